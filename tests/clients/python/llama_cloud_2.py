"""The Python client of LlamaCloud."""

import llama_cloud
from llama_cloud import LlamaCloud

from harness import QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, equal, fetch, raises, suite

case = suite("llama-cloud")
client = LlamaCloud()
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def create(content=b"hello world", name="hello.txt", purpose="user_data", **more):
    return client.files.create(file=(name, content), purpose=purpose, **more)


@case("create")
def _():
    file = create()
    equal((file.name, file.file_type, file.purpose, file.expires_at), ("hello.txt", "txt", "user_data", None))
    assert create(purpose="parse").expires_at is not None
    with raises(llama_cloud.UnprocessableEntityError, lambda error: error.body["detail"][0]["loc"]):
        create(purpose="nonsense")


@case("metadata")
def _():
    # The only metadata that a caller can set.
    file = create(external_file_id="ext-1")
    equal(file.external_file_id, "ext-1")
    equal([found.id for found in client.files.list(external_file_id="ext-1")], [file.id])


@case("unicode name")
def _():
    equal(create(name=QUOTED_NAME).name, QUOTED_NAME)
    equal([file.name for file in client.files.list(file_name=QUOTED_NAME)], [QUOTED_NAME])


@case("empty file")
def _():
    with raises(llama_cloud.BadRequestError, lambda error: error.body["detail"]):
        create(b"")


@case("several MB")
def _():
    file = create(SEVERAL_MB)
    equal(fetch(client.files.content(file.id).url), (200, SEVERAL_MB))


@case("list")
def _():
    newest = [create().id for _ in range(5)][::-1]
    pages = [page.items for page, _ in zip(client.files.list(page_size=2).iter_pages(), range(3))]
    equal([len(page) for page in pages], [2, 2, 2])
    equal([file.id for page in pages for file in page][:5], newest)
    # All pages, with a list that is sent as a repeated key.
    found = client.files.list(page_size=2, file_ids=newest, order_by="id", expand=["download_url"])
    found = list(found)
    equal([file.id for file in found], sorted(newest))
    equal(fetch(found[0].download_url.url), (200, b"hello world"))
    with raises(llama_cloud.UnprocessableEntityError):
        client.files.list(page_size=1001)


@case("filter")
def _():
    file = create(name="only.txt")
    query = {"filter": {"file_name": "only.txt"}, "order_by": "name desc", "page_size": 5}
    equal([found.id for found in client.files.query(**query).items], [file.id])
    equal(client.files.query(**query).next_page_token, None)


@case("get")
def _():
    file = create()
    equal(client.files.retrieve(file.id).model_dump(), {**file.model_dump(), "download_url": None})


@case("content")
def _():
    link = client.files.content(create().id)
    equal((fetch(link.url), link.form_fields), ((200, b"hello world"), None))
    # The storage rejects the token, which clients must not forward.
    equal(fetch(link.url, {"Authorization": "Bearer any"})[0], 400)


@case("link")
def _():
    url = client.files.content(create().id, expires_at_seconds=600).url
    equal(fetch(url), (200, b"hello world"))
    equal(fetch(url[:-1] + ("0" if url[-1] != "0" else "1"))[0], 403)


@case("delete")
def _():
    file = create()
    equal(client.files.delete(file.id), None)
    with raises(llama_cloud.NotFoundError):
        client.files.retrieve(file.id)


@case("second delete")
def _():
    file = create()
    client.files.delete(file.id)
    with raises(llama_cloud.NotFoundError, lambda error: error.body["detail"]):
        client.files.delete(file.id)


@case("bad token")
def _():
    with raises(llama_cloud.AuthenticationError, lambda error: error.body["detail"]):
        LlamaCloud(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(llama_cloud.NotFoundError):
        client.files.content(UNKNOWN)
