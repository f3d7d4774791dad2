"""Together's Python client. It uploads in three steps, equal content only once, and large files in parts."""

import json
import os
import pathlib
import tempfile

from together import APIStatusError, Together
from together.lib.resources import files as uploads

from harness import SEVERAL_MB, WRONG_TOKEN, equal, raises, suite

case = suite("together")
client = Together()
folder = pathlib.Path(tempfile.mkdtemp())
numbers = iter(range(1000))


def lines(size=0):
    """Lines of at least this size that no other call returns."""
    line = {"messages": [{"role": "user", "content": f"number {next(numbers)}"}, {"role": "assistant", "content": "yes"}]}
    text = json.dumps(line) + "\n"
    return text * (size // len(text) + 1)


def create(content=None, name="hello.jsonl", **more):
    path = folder / name
    path.write_text(lines() if content is None else content, encoding="utf-8")
    return client.files.upload(path, **{"purpose": "fine-tune", **more})


def content(file):
    return client.files.content(file.id).read()


def status(expected):
    return lambda error: error.status_code == expected


@case("create")
def _():
    text = lines()
    file = create(text)
    equal((file.object, file.filename, file.bytes, file.purpose), ("file", "hello.jsonl", len(text), "fine-tune"))
    equal(file.processing_status, "COMPLETED")
    # Uploading the same content again returns the same file, even under another name.
    equal(create(text, name="again.jsonl").id, file.id)
    with raises(uploads.FileAlreadyExistsError, lambda error: error.file_id == file.id):
        create(text, raise_if_already_exists=True)


@case("unicode name")
def _():
    equal(create(name="naïve résumé 日本.jsonl").filename, "naïve résumé 日本.jsonl")


@case("several MB")
def _():
    text = lines(len(SEVERAL_MB))
    equal(content(create(text)), text.encode())


@case("parts")
def _():
    # By default only files above 5 GiB are sent in parts.
    uploads.MULTIPART_THRESHOLD_GB, uploads.TARGET_PART_SIZE_MB = 0.001, 5
    text = lines(2 * len(SEVERAL_MB))
    file = create(text)
    equal((file.bytes, content(file), create(text).id), (len(text), text.encode(), file.id))
    uploads.MULTIPART_THRESHOLD_GB = 5.0


@case("list")
def _():
    ids = {create().id for _ in range(3)}
    equal(ids - {file.id for file in client.files.list().data}, set())


@case("get")
def _():
    file = create()
    found = client.files.retrieve(file.id)
    equal((found.id, found.filename, found.created_at), (file.id, "hello.jsonl", file.created_at))


@case("content")
def _():
    text = lines()
    equal(content(create(text)), text.encode())


@case("delete")
def _():
    file = create()
    gone = client.files.delete(file.id)
    equal((gone.id, gone.deleted), (file.id, True))


@case("second delete")
def _():
    file = create()
    client.files.delete(file.id)
    with raises(APIStatusError, status(404)):
        client.files.delete(file.id)


@case("bad token")
def _():
    with raises(APIStatusError, status(401)):
        Together(api_key=WRONG_TOKEN, base_url=os.environ["TOGETHER_BASE_URL"]).files.list()


@case("unknown id")
def _():
    with raises(APIStatusError, status(404)):
        client.files.retrieve("file-00000000-0000-4000-8000-000000000000")
