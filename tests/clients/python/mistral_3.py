"""Mistral's Python client, which reads no variable for the URL."""

import os
import time
import urllib.parse

from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from harness import QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, equal, fetch, raises, suite

SERVER = os.environ["MISTRAL_SERVER_URL"]
UNKNOWN = "00000000-0000-4000-8000-000000000000"

case = suite("mistralai")
client = Mistral(api_key=os.environ["MISTRAL_API_KEY"], server_url=SERVER)


def create(content=b"Hello, world!", name="hello.txt", **more):
    return client.files.upload(file={"file_name": name, "content": content}, **more)


def content(file):
    return client.files.download(file_id=file.id).read()


def status(expected):
    return lambda error: error.status_code == expected


@case("create")
def _():
    file = create(name="hello.jsonl", purpose="batch", expiry=48, visibility="user")
    equal((file.object, file.filename, file.size_bytes, file.purpose), ("file", "hello.jsonl", 13, "batch"))
    equal((file.sample_type, file.source, file.visibility), ("batch_request", "upload", "user"))
    equal(file.expires_at, file.created_at + 48 * 3600)
    with raises(SDKError, status(422)):
        create(name="a.zip", purpose="ocr")


@case("unicode name")
def _():
    equal(create(name=QUOTED_NAME).filename, QUOTED_NAME)


@case("empty file")
def _():
    file = create(b"")
    equal((file.size_bytes, content(file)), (0, b""))


@case("several MB")
def _():
    equal(content(create(SEVERAL_MB)), SEVERAL_MB)


@case("list")
def _():
    newest = [create().id for _ in range(5)][::-1]
    pages = [client.files.list(page=page, page_size=2) for page in range(3)]
    equal([file.id for page in pages for file in page.data][:5], newest)
    everything = client.files.list()
    equal((len(everything.data), {page.total for page in pages}), (everything.total, {everything.total}))
    equal(client.files.list(include_total=False).total, None)
    with raises(SDKError, status(422)):
        client.files.list(page=-1)


@case("filter")
def _():
    file = create(name="Only.jsonl", purpose="fine-tune")
    words = {"sample_type": ["instruct"], "source": ["upload"], "search": "only", "purpose": "fine-tune"}
    equal([found.id for found in client.files.list(**words, mimetypes=[file.mimetype]).data], [file.id])
    equal(client.files.list(**{**words, "search": "nothing"}).data, [])


@case("get")
def _():
    file = create()
    found = client.files.retrieve(file_id=file.id)
    equal((found.id, found.filename, found.created_at), (file.id, "hello.txt", file.created_at))
    equal(found.deleted, False)


@case("content")
def _():
    equal(content(create()), b"Hello, world!")


@case("link")
def _():
    file = create()
    url = client.files.get_signed_url(file_id=file.id, expiry=2).url
    equal(fetch(url), (200, b"Hello, world!"))
    [end] = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["se"]
    equal(end[:13], time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + 7200)))
    # The storage rejects the token, which clients must not forward.
    equal(fetch(url, {"Authorization": "Bearer right-token"})[0], 403)
    with raises(SDKError, status(422)):
        client.files.get_signed_url(file_id=file.id, expiry=169)


@case("delete")
def _():
    file = create()
    gone = client.files.delete(file_id=file.id)
    equal((gone.id, gone.object, gone.deleted), (file.id, "file", True))


@case("second delete")
def _():
    file = create()
    client.files.delete(file_id=file.id)
    with raises(SDKError, status(404)):
        client.files.delete(file_id=file.id)


@case("bad token")
def _():
    with raises(SDKError, status(401)):
        Mistral(api_key=WRONG_TOKEN, server_url=SERVER).files.list()


@case("unknown id")
def _():
    with raises(SDKError, status(404)):
        client.files.retrieve(file_id=UNKNOWN)
