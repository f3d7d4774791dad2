"""The second Python client of Replicate. It sends metadata as form fields such as `metadata[tags][]`."""

import base64
import hashlib
import hmac
import time

import replicate
from replicate import Replicate

from harness import QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, equal, raises, suite

case = suite("replicate")
client = Replicate()


def create(content=b"Hello, world!", name="hello.txt", kind="text/plain", **more):
    return client.files.create(content=(name, content, kind), **more)


def not_found(error):
    return error.body == {"detail": "File not found"}


@case("create")
def _():
    file = create()
    equal((file.name, file.size, file.content_type), ("hello.txt", 13, "text/plain"))
    equal(file.checksums.sha256, hashlib.sha256(b"Hello, world!").hexdigest())
    # The fields take precedence over the headers of the part, and bare bytes are uploaded as `upload`.
    file = create(filename="example.zip", type="application/zip")
    equal((file.name, file.content_type), ("example.zip", "application/zip"))
    equal(client.files.create(content=b"raw").name, "upload")


@case("metadata")
def _():
    file = create(metadata={"customer_reference_id": 123, "tags": ["a", "b"]})
    equal(file.metadata, {"customer_reference_id": "123", "tags": ["a", "b"]})


@case("unicode name")
def _():
    equal(create(name=QUOTED_NAME).name, QUOTED_NAME)


@case("empty file")
def _():
    equal(create(b"").size, 0)


@case("several MB")
def _():
    file = create(SEVERAL_MB)
    equal((file.size, file.checksums.sha256), (len(SEVERAL_MB), hashlib.sha256(SEVERAL_MB).hexdigest()))


@case("list")
def _():
    newest = [create().id for _ in range(5)][::-1]
    pages = list(client.files.list().iter_pages())
    assert len(pages) >= 3, len(pages)
    equal([file.id for page in pages for file in page.results][:5], newest)
    equal([file.id for file in client.files.list()][:5], newest)


@case("get")
def _():
    file = create(metadata={"k": "v"})
    equal(client.files.get(file_id=file.id).model_dump(), file.model_dump())


@case("content")
def _():
    file = create()
    owner, expiry = client.account.get().username, int(time.time()) + 60
    text = f"{owner} {file.id} {expiry}".encode()
    signature = base64.b64encode(hmac.digest(b"signing-secret", text, "sha256")).decode()
    link = {"owner": owner, "expiry": expiry, "signature": signature}
    equal(client.files.download(file_id=file.id, **link).read(), b"Hello, world!")
    for wrong in [{"signature": "A" * 43 + "="}, {"expiry": expiry + 1}, {"owner": "another"}]:
        with raises(replicate.NotFoundError, not_found):
            client.files.download(file_id=file.id, **{**link, **wrong})


@case("delete")
def _():
    file = create()
    equal(client.files.delete(file_id=file.id), None)
    with raises(replicate.NotFoundError, not_found):
        client.files.get(file_id=file.id)


@case("second delete")
def _():
    file = create()
    client.files.delete(file_id=file.id)
    with raises(replicate.NotFoundError, not_found):
        client.files.delete(file_id=file.id)


@case("bad token")
def _():
    with raises(replicate.AuthenticationError, lambda error: error.body["title"] == "Unauthenticated"):
        Replicate(bearer_token=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(replicate.NotFoundError, not_found):
        client.files.get(file_id="unknown")
