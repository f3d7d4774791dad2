"""OpenAI's Python client at Activeloop, as in the platform's own notebooks and benchmark code."""

import json

import openai
from openai import OpenAI

from harness import QUOTED_NAME, WRONG_TOKEN, equal, raises, suite
from openai_cases import Cases

case = suite("openai", " at Activeloop")
client = OpenAI()
HERE = {"workspace": "default"}


def create(content=b"Hello, world!", name="hello.txt", **body):
    return client.files.create(file=(name, content), purpose="user_data", extra_body=body)


same = Cases(client.files, create, openai.NotFoundError)


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


case("empty file")(same.empty_file)
case("several MB")(same.several_mb)


@case("list")
def _():
    same.list(purpose="user_data", extra_query=HERE)
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


case("delete")(lambda: same.delete(extra_query=HERE))
case("second delete")(same.second_delete)


@case("bad token")
def _():
    with raises(openai.AuthenticationError):
        OpenAI(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(openai.NotFoundError):
        client.files.retrieve("0" * 32)
