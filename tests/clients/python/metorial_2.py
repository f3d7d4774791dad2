"""The Python client of Metorial, which supports only the newest dialect and cannot upload: plain HTTP does it here."""

import datetime
import os

import httpx
from metorial import Metorial
from metorial import exceptions

from harness import WRONG_TOKEN, equal, fetch, raises, suite

case = suite("metorial")
HOST, TOKEN = os.environ["METORIAL_API_HOST"], os.environ["METORIAL_API_KEY"]
client = Metorial(api_key=TOKEN, api_host=HOST)


def upload(content=b"hello world", name="hello.txt"):
    answer = httpx.post(
        f"{HOST}/files",
        headers={"Authorization": f"Bearer {TOKEN}"},
        data={"purpose": "generic"},
        files={"file": (name, content, "text/plain")},
    )
    return answer.raise_for_status().json()["id"]


@case("list")
def _():
    ids = [upload() for _ in range(5)]
    pages, after = [], None
    while True:
        page = client.files.list(limit=2, after=after, purpose=["generic", "user_image"], id=ids)
        pages.append([file.id for file in page.items])
        if not page.pagination.has_more_after:
            break
        after = pages[-1][-1]
    equal(pages, [ids[:2], ids[2:4], ids[4:]])
    equal([file.id for file in client.files.list(limit=2, order="desc").items], ids[:2:-1])


@case("filter")
def _():
    ids = [upload(), upload()]
    equal([file.id for file in client.files.list(id=ids[1]).items], [ids[1]])
    equal(client.files.list(purpose="user_image").items, [])


@case("get")
def _():
    file = client.files.get(upload("ï".encode(), "naïve 日本.txt"))
    equal((file.file_name, file.file_size, file.purpose), ("naïve 日本.txt", 2, "generic"))
    equal((file.status, file.file_type), ("active", "text/plain"))


@case("content")
def _():
    link = client.files.links.create(file_id=upload())
    equal(fetch(link.url), (200, b"hello world"))


@case("link")
def _():
    file = upload()
    first, second = (client.files.links.create(file_id=file) for _ in range(2))
    assert first.url != second.url
    listed = client.files.links.list(file_id=file, limit=3).items
    equal([link.id for link in listed], [first.id, second.id])
    equal(client.files.links.get(first.id).url, first.url)
    equal(client.files.links.delete(first.id).id, first.id)
    equal((fetch(first.url)[0], fetch(second.url)[0]), (404, 200))


@case("delete")
def _():
    file = upload()
    url = client.files.links.create(file_id=file).url
    equal(client.files.delete(file).status, "deleted")
    # The record remains available by its id; the listing omits it and its link is gone.
    equal(client.files.get(file).status, "deleted")
    equal((client.files.list(id=file).items, fetch(url)[0]), ([], 404))


@case("second delete")
def _():
    file = upload()
    client.files.delete(file)
    with raises(exceptions.PermissionDeniedError):
        client.files.delete(file)


@case("bad token")
def _():
    with raises(exceptions.AuthenticationError, lambda error: error.body["code"] == "unauthorized"):
        Metorial(api_key=WRONG_TOKEN, api_host=HOST).files.list()


@case("unknown id")
def _():
    with raises(exceptions.NotFoundError, lambda error: error.body["entity"] == "file"):
        client.files.get("fil_unknown")


@case("own bugs")
def _():
    # The client never sends an expiry, because it cannot serialize a datetime as JSON.
    with raises(exceptions.MetorialSDKError, lambda error: error.code == "network_error"):
        ends = datetime.datetime.now(datetime.timezone.utc)
        client.files.links.create(file_id=upload(), expires_at=ends)
    # The client sends a bound as `created_at=gt`, which has no effect.
    id = upload()
    equal([file.id for file in client.files.list(id=id, created_at={"gt": "2999-01-01T00:00:00Z"}).items], [id])
