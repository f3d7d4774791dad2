"""Anthropic's Python client. With the argument `beta`, its `beta` namespace."""

import sys
import time

import anthropic
from anthropic import Anthropic

from harness import SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, equal, raises, suite

beta = "beta" in sys.argv[1:]
case = suite("anthropic", ", beta" if beta else "")
client = Anthropic(max_retries=0)
files = client.beta.files if beta else client.files
CODE = "file_not_downloadable"


def create(content=b"hello", name="hello.txt", **more):
    return files.upload(file=(name, content), **more)


def code(error):
    return error.body["error"]["details"]["error_code"]


@case("create")
def _():
    file = create()
    equal((file.type, file.filename, file.mime_type, file.size_bytes), ("file", "hello.txt", "text/plain", 5))
    equal(file.downloadable, False)
    equal(create(name="folder/hello.txt").filename, "hello.txt")
    with raises(anthropic.BadRequestError):
        create(name="a:b.txt")
    if beta:
        return
    expires = create(expires_in_seconds=3600).expires_at
    assert abs(expires.timestamp() - time.time() - 3600) < 60, expires
    with raises(anthropic.BadRequestError):
        create(expires_in_seconds=60)


@case("unicode name")
def _():
    equal(create(name=UNICODE_NAME).filename, UNICODE_NAME)
    with raises(anthropic.BadRequestError):
        create(name='a "quoted" name')


@case("empty file")
def _():
    equal(create(b"").size_bytes, 0)


@case("several MB")
def _():
    file = create(SEVERAL_MB, "made-by-tool.bin")
    equal((file.downloadable, files.download(file.id).read()), (True, SEVERAL_MB))


@case("list")
def _():
    newest = [create().id for _ in range(5)][::-1]
    pages = [page.data for page, _ in zip(files.list(limit=2).iter_pages(), range(3))]
    equal([len(page) for page in pages], [2, 2, 2])
    equal([file.id for page in pages for file in page][:5], newest)
    listed = [file.id for file in files.list(limit=2)]
    equal((listed[:5], len(set(listed))), (newest, len(listed)))
    if beta:
        back = [file.id for page in files.list(limit=2, before_id=newest[4]).iter_pages() for file in page.data]
        equal(sorted(back), sorted(newest[:4]))
    with raises(anthropic.BadRequestError):
        files.list(limit=1001)


if not beta:

    @case("filter")
    def _():
        ids = [create().id for _ in range(2)]
        equal([file.id for file in files.list(ids=[*ids, ids[0], "file_unknown"])], ids[::-1])
        with raises(anthropic.BadRequestError):
            files.list(ids=ids, limit=1)


@case("get")
def _():
    file = create()
    equal(files.retrieve_metadata(file.id).model_dump(), file.model_dump())


@case("content")
def _():
    equal(files.download(create(name="made.txt").id).read(), b"hello")
    with raises(anthropic.BadRequestError, lambda error: code(error) == CODE):
        files.download(create().id)


@case("delete")
def _():
    file = create()
    gone = files.delete(file.id)
    equal((gone.id, gone.type), (file.id, "file_deleted"))


@case("second delete")
def _():
    file = create()
    files.delete(file.id)
    with raises(anthropic.NotFoundError, lambda error: error.body["error"]["type"] == "not_found_error"):
        files.delete(file.id)


@case("bad token")
def _():
    def identified(error):
        return error.request_id == error.body["request_id"] and error.body["error"]["type"] == "authentication_error"

    with raises(anthropic.AuthenticationError, identified):
        stranger = Anthropic(api_key=WRONG_TOKEN)
        (stranger.beta if beta else stranger).files.list()


@case("unknown id")
def _():
    with raises(anthropic.NotFoundError):
        files.retrieve_metadata("file_unknown")
    # An id that the client must encode in the path.
    with raises(anthropic.NotFoundError):
        files.retrieve_metadata("a/../b ?x")
