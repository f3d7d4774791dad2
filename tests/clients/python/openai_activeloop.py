"""OpenAI's Python client at Activeloop, which is how its own users reach it."""

import json

import openai
from openai import OpenAI

from harness import QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, equal, raises, suite

case = suite("openai", " at Activeloop")
client = OpenAI()
HERE = {"workspace": "default"}


def create(content=b"Hello, world!", name="hello.txt", **body):
    return client.files.create(file=(name, content), purpose="user_data", extra_body=body)


@case("create")
def _():
    file = create()
    equal((file.object, file.filename, file.bytes, file.purpose), ("file", "hello.txt", 13, "user_data"))
    equal((file.status, file.workspace_id, len(file.id)), ("uploaded", "default", 32))


@case("metadata")
def _():
    file = create(workspace="default", metadata=json.dumps({"author": "hegel"}), instructions="extract dates")
    equal(file.metadata, {"author": "hegel"})
    with raises(openai.BadRequestError):
        create(metadata="{")


@case("unicode name")
def _():
    equal(create(name=QUOTED_NAME).filename, QUOTED_NAME)


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
    listed = [file.id for file in client.files.list(limit=2, order="asc", purpose="user_data", extra_query=HERE)]
    equal((listed[-5:], len(set(listed))), (newest[::-1], len(listed)))
    with raises(openai.UnprocessableEntityError, lambda error: error.body["detail"][0]["loc"] == ["query", "limit"]):
        client.files.list(limit=0)


@case("filter")
def _():
    file = create(metadata=json.dumps({"author": "kant"}))
    listed = client.files.list(limit=1, extra_query={**HERE, "filter": "metadata.author == 'kant'"})
    equal([found.id for found in listed], [file.id])


@case("get")
def _():
    file = create()
    found = client.files.retrieve(file.id, extra_query=HERE)
    equal((found.id, found.filename, found.created_at), (file.id, "hello.txt", file.created_at))
    client.post("/workspaces", cast_to=object, body={"id": "another", "name": "Another"})
    with raises(openai.NotFoundError):
        client.files.retrieve(file.id, extra_query={"workspace": "another"})


@case("content")
def _():
    equal(client.files.content(create().id, extra_query=HERE).read(), b"Hello, world!")


@case("update")
def _():
    file = create(metadata=json.dumps({"author": "hegel", "year": 1807}))
    body = {"author": "kant", "instructions": "add the year"}
    client.put(f"/files/{file.id}/metadata", cast_to=object, body=body, options={"params": HERE})
    equal(client.files.retrieve(file.id).metadata, {"author": "kant", "year": 1807})


@case("delete")
def _():
    file = create()
    gone = client.files.delete(file.id, extra_query=HERE)
    equal((gone.id, gone.object, gone.deleted), (file.id, "file", True))


@case("second delete")
def _():
    file = create()
    client.files.delete(file.id)
    with raises(openai.NotFoundError):
        client.files.delete(file.id)


@case("bad token")
def _():
    with raises(openai.AuthenticationError):
        OpenAI(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(openai.NotFoundError):
        client.files.retrieve("0" * 32)
