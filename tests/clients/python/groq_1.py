"""Groq's Python client."""

import groq
from groq import Groq

from harness import SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, equal, raises, suite

case = suite("groq")
client = Groq()


def create(content=b"hello", name="hello.jsonl"):
    return client.files.create(file=(name, content), purpose="batch")


@case("create")
def _():
    file = create()
    equal((file.object, file.filename, file.bytes, file.purpose), ("file", "hello.jsonl", 5, "batch"))
    assert file.id.startswith("file_"), file.id


@case("unicode name")
def _():
    equal(create(name=UNICODE_NAME).filename, UNICODE_NAME)


@case("empty file")
def _():
    file = create(b"")
    equal((file.bytes, client.files.content(file.id).read()), (0, b""))


@case("several MB")
def _():
    equal(client.files.content(create(SEVERAL_MB).id).read(), SEVERAL_MB)


@case("list")
def _():
    made = {create().id for _ in range(3)}
    listed = [file.id for file in client.files.list().data]
    assert made <= set(listed) and len(listed) == len(set(listed)), listed


@case("get")
def _():
    file = create()
    equal(client.files.info(file.id).filename, file.filename)


@case("content")
def _():
    equal(client.files.content(create().id).read(), b"hello")


@case("delete")
def _():
    file = create()
    gone = client.files.delete(file.id)
    equal((gone.id, gone.object, gone.deleted), (file.id, "file", True))


@case("second delete")
def _():
    file = create()
    client.files.delete(file.id)
    with raises(groq.NotFoundError):
        client.files.delete(file.id)


@case("bad token")
def _():
    with raises(groq.AuthenticationError):
        Groq(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(groq.NotFoundError):
        client.files.info("file_unknown")
