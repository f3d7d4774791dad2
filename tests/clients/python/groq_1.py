"""Groq's Python client."""

import groq
from groq import Groq

from harness import UNICODE_NAME, WRONG_TOKEN, equal, raises, suite
from openai_cases import Cases

case = suite("groq")
client = Groq()


def create(content=b"hello", name="hello.jsonl"):
    return client.files.create(file=(name, content), purpose="batch")


same = Cases(client.files, create, groq.NotFoundError)


@case("create")
def _():
    file = create()
    equal((file.object, file.filename, file.bytes, file.purpose), ("file", "hello.jsonl", 5, "batch"))
    assert file.id.startswith("file_"), file.id


@case("unicode name")
def _():
    equal(create(name=UNICODE_NAME).filename, UNICODE_NAME)


case("empty file")(same.empty_file)
case("several MB")(same.several_mb)


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


case("delete")(same.delete)
case("second delete")(same.second_delete)


@case("bad token")
def _():
    with raises(groq.AuthenticationError):
        Groq(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(groq.NotFoundError):
        client.files.info("file_unknown")
