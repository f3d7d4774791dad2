"""OpenAI's Python client at xAI, as its documents describe."""

import time

import openai
from openai import OpenAI

from harness import SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, equal, fetch, raises, suite

case = suite("openai", " at xAI")
client = OpenAI()


def create(content=b"hello", name="hello.txt", **more):
    return client.files.create(file=(name, content), purpose="assistants", **more)


def not_found(error):
    # This client keeps the text of xAI's errors, and loses their code.
    return error.body.endswith(" not found")


@case("create")
def _():
    file = create()
    equal((file.object, file.filename, file.bytes, file.expires_at), ("file", "hello.txt", 5, None))
    file = create(expires_after={"anchor": "created_at", "seconds": 86400})
    equal(file.expires_at, file.created_at + 86400)
    with raises(openai.BadRequestError, lambda error: "expires_after" in error.body):
        create(expires_after={"anchor": "created_at", "seconds": 60})


@case("unicode name")
def _():
    equal(create(name=UNICODE_NAME).filename, UNICODE_NAME)
    with raises(openai.BadRequestError):
        create(name='a "quoted" name')


@case("empty file")
def _():
    file = create(b"")
    equal((file.bytes, client.files.content(file.id).read()), (0, b""))


@case("several MB")
def _():
    equal(client.files.content(create(SEVERAL_MB).id).read(), SEVERAL_MB)


@case("list")
def _():
    newest = [create().id for _ in range(5)][::-1]
    pages = [page.data for page, _ in zip(client.files.list(limit=2).iter_pages(), range(3))]
    equal([file.id for page in pages for file in page][:5], newest)
    # Without `has_more` it asks on, after the last id, until a page is empty.
    listed = [file.id for file in client.files.list(limit=2, order="asc")]
    equal((listed[-5:], len(set(listed))), (newest[::-1], len(listed)))


@case("filter")
def _():
    big, _ = create(b"x" * 100, "report-a.txt"), create(b"x", "report-b.txt")
    found = client.files.list(extra_query={"filter": 'name:"report" AND size_bytes > 50'})
    equal([file.id for file in found], [big.id])
    found = client.files.list(extra_query={"filter": "name:report*", "sort_by": "size", "order": "asc"})
    equal([file.filename for file in found], ["report-b.txt", "report-a.txt"])


@case("get")
def _():
    file = create()
    equal(client.files.retrieve(file.id).model_dump(), file.model_dump())


@case("content")
def _():
    equal(client.files.content(create().id).read(), b"hello")


@case("link")
def _():
    file = create(b"%PDF-", "page.pdf")
    link = client.post(f"/files/{file.id}/public-url", cast_to=object, body={"expires_after": 3600})
    equal(fetch(link["public_url"]), (200, b"%PDF-"))
    assert abs(link["expires_at"] - time.time() - 3600) < 60, link
    equal(client.files.retrieve(file.id).public_url, link["public_url"])
    revoked = client.post(f"/files/{file.id}/public-url/revoke", cast_to=object)
    equal((revoked["revoked"], fetch(link["public_url"])[0]), (True, 404))


@case("delete")
def _():
    file = create()
    gone = client.files.delete(file.id)
    equal((gone.id, gone.object, gone.deleted), (file.id, "file", True))


@case("second delete")
def _():
    file = create()
    client.files.delete(file.id)
    with raises(openai.NotFoundError, not_found):
        client.files.delete(file.id)


@case("bad token")
def _():
    # A bad key is a bad request here.
    said = "Incorrect API key provided: wr***en."
    with raises(openai.BadRequestError, lambda error: error.body.startswith(said)):
        OpenAI(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(openai.NotFoundError, not_found):
        client.files.retrieve("file_unknown")
