"""The first Python client of Replicate. It appends `/v1` to the base URL, which already ends with it."""

import hashlib
import io
import pathlib

from replicate.client import Client
from replicate.exceptions import ReplicateError

from harness import QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, equal, raises, suite

case = suite("replicate")
client = Client()


def create(content=b"Hello, world!", filename="hello.txt", **more):
    return client.files.create(io.BytesIO(content), filename=filename, **more)


def not_found(error):
    return (error.status, error.detail) == (404, "File not found")


@case("create")
def _():
    file = create()
    equal((file.name, file.size, file.content_type), ("hello.txt", 13, "text/plain"))
    equal(file.checksums["sha256"], hashlib.sha256(b"Hello, world!").hexdigest())
    equal(file.etag, hashlib.md5(b"Hello, world!").hexdigest())
    assert file.urls["get"].endswith(f"/files/{file.id}"), file.urls


@case("metadata")
def _():
    equal(create(metadata={"customer_reference_id": 123}).metadata, {"customer_reference_id": 123})
    equal(create().metadata, {})


@case("unicode name")
def _():
    equal(create(filename=QUOTED_NAME, content_type="application/zip").name, QUOTED_NAME)
    # A file object without a name is uploaded as `file`.
    equal(client.files.create(io.BytesIO(b"x")).name, "file")


@case("empty file")
def _():
    file = create(b"")
    equal((file.size, file.etag), (0, "d41d8cd98f00b204e9800998ecf8427e"))


@case("several MB")
def _():
    file = create(SEVERAL_MB)
    equal((file.size, file.checksums["md5"]), (len(SEVERAL_MB), hashlib.md5(SEVERAL_MB).hexdigest()))


@case("list")
def _():
    newest = [create().id, create().id][::-1]
    # The client never requests a second page; here a page has two files.
    equal([file.id for file in client.files.list()], newest)


@case("get")
def _():
    file = create(metadata={"k": "v"})
    equal(client.files.get(file.id), file)


@case("delete")
def _():
    file = create()
    equal(client.files.delete(file.id), True)
    with raises(ReplicateError, not_found):
        client.files.get(file.id)


@case("second delete")
def _():
    file = create()
    client.files.delete(file.id)
    with raises(ReplicateError, not_found):
        client.files.delete(file.id)


@case("bad token")
def _():
    with raises(ReplicateError, lambda error: (error.status, error.title) == (401, "Unauthenticated")):
        Client(api_token=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(ReplicateError, not_found):
        client.files.get("unknown")


@case("own bugs")
def _():
    # The client ignores a name given together with a path.
    here = pathlib.Path(__file__)
    equal(client.files.create(here, filename="renamed.bin").name, here.name)
