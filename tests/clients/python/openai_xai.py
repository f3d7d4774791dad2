"""OpenAI's Python client at xAI, as xAI's documentation describes."""

import time

import openai
from openai import OpenAI

from harness import UNICODE_NAME, WRONG_TOKEN, equal, fetch, raises, suite
from openai_cases import Cases

case = suite("openai", " at xAI")
client = OpenAI()


def create(content=b"hello", name="hello.txt", **more):
    return client.files.create(file=(name, content), purpose="assistants", **more)


def not_found(error):
    # This client keeps the text of xAI's errors but loses their code.
    return error.body.endswith(" not found")


same = Cases(client.files, create, openai.NotFoundError, not_found)


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


case("empty file")(same.empty_file)
case("several MB")(same.several_mb)
# Without `has_more`, the client requests pages after the last id until one is empty.
case("list")(same.list)


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


case("delete")(same.delete)
case("second delete")(same.second_delete)


@case("bad token")
def _():
    # xAI responds to an invalid key with 400, not 401.
    said = "Incorrect API key provided: wr***en."
    with raises(openai.BadRequestError, lambda error: error.body.startswith(said)):
        OpenAI(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(openai.NotFoundError, not_found):
        client.files.retrieve("file_unknown")
