"""OpenAI's Python client at OpenAI, and with its Azure class at Azure."""

import hashlib

import openai
from openai import AzureOpenAI, OpenAI

from harness import SEVERAL_MB, UNICODE_NAME, WRONG_TOKEN, equal, raises, suite
from openai_cases import Cases

case = suite("openai")
client = OpenAI()


def create(content=b"hello", name="hello.jsonl", purpose="batch", **more):
    return client.files.create(file=(name, content), purpose=purpose, **more)


def is_invalid(param):
    return lambda error: (error.type, error.param) == ("invalid_request_error", param)


def not_found(error):
    return error.body["message"].startswith("No such File object: ") and error.request_id.startswith("req_")


same = Cases(client.files, create, openai.NotFoundError, not_found)


@case("create")
def _():
    file = create()
    equal((file.object, file.filename, file.bytes, file.status), ("file", "hello.jsonl", 5, "processed"))
    file = create(expires_after={"anchor": "created_at", "seconds": 86400})
    equal(file.expires_at, file.created_at + 86400)
    with raises(openai.BadRequestError, is_invalid("expires_after")):
        create(expires_after={"anchor": "created_at", "seconds": 60})
    with raises(openai.BadRequestError, is_invalid("purpose")):
        create(purpose="none")
    azure = AzureOpenAI(api_version="2024-10-21")
    file = azure.files.create(file=("a.jsonl", b"{}"), purpose="batch")
    equal([found.id for found in azure.files.list()], [file.id])


@case("unicode name")
def _():
    equal(create(name=UNICODE_NAME).filename, UNICODE_NAME)
    equal(create(name='a "quoted" name').filename, 'a "quoted" name')


case("empty file")(same.empty_file)
case("several MB")(same.several_mb)
case("list")(same.list)


@case("parts")
def _():
    def chunked(**more):
        given = {"filename": "big.bin", "bytes": len(SEVERAL_MB), "mime_type": "text/plain", "purpose": "batch"}
        return client.uploads.upload_file_chunked(file=SEVERAL_MB, part_size=1 << 20, **given, **more)

    upload = chunked(md5=hashlib.md5(SEVERAL_MB).hexdigest())
    equal((upload.status, upload.file.filename, upload.file.bytes), ("completed", "big.bin", len(SEVERAL_MB)))
    equal(client.files.content(upload.file.id).read(), SEVERAL_MB)
    with raises(openai.BadRequestError, is_invalid("md5")):
        chunked(md5="0" * 32)
    about = {"bytes": 2, "filename": "a.txt", "mime_type": "text/plain", "purpose": "assistants"}
    for at in (client, AzureOpenAI(api_version="2024-10-21")):
        upload = at.uploads.create(**about, expires_after={"anchor": "created_at", "seconds": 3600})
        equal((upload.status, upload.expires_at), ("pending", upload.created_at + 3600))
        first, last = (at.uploads.parts.create(upload.id, data=data).id for data in (b"b", b"a"))
        done = at.uploads.complete(upload.id, part_ids=[last, first])
        equal(done.file.expires_at, done.file.created_at + 3600)
        with raises(openai.BadRequestError, lambda error: "completed" in error.body["message"]):
            at.uploads.cancel(upload.id)
        equal(at.uploads.cancel(at.uploads.create(**about).id).status, "cancelled")
        with raises(openai.NotFoundError, lambda error: error.body["message"] == "No such Upload object: upload_x"):
            at.uploads.cancel("upload_x")


@case("filter")
def _():
    file = create(purpose="vision", name="a.png")
    equal([found.id for found in client.files.list(purpose="vision")], [file.id])


@case("get")
def _():
    file = create()
    equal(client.files.retrieve(file.id).model_dump(), file.model_dump())
    equal(client.files.wait_for_processing(file.id).status, "processed")


@case("content")
def _():
    equal(client.files.content(create().id).read(), b"hello")
    refused = create(purpose="user_data")
    message = "Not allowed to download files of purpose: user_data"
    with raises(openai.BadRequestError, lambda error: error.body["message"] == message):
        client.files.content(refused.id)


case("delete")(same.delete)
case("second delete")(same.second_delete)


@case("bad token")
def _():
    with raises(openai.AuthenticationError, lambda error: error.code == "invalid_api_key"):
        OpenAI(api_key=WRONG_TOKEN).files.list()


@case("unknown id")
def _():
    with raises(openai.NotFoundError, not_found):
        client.files.retrieve("file-unknown")


@case("vector stores")
def _():
    store = client.vector_stores.create(name="n", metadata={"a": "b"})
    stores = client.vector_stores
    attached = stores.files.create_and_poll(vector_store_id=store.id, file_id=create(name="a.md", purpose="assistants").id)
    equal((attached.status, attached.usage_bytes, attached.last_error), ("completed", 5, None))
    uploaded = stores.files.upload_and_poll(vector_store_id=store.id, file=("b.md", b"hello"))
    equal((uploaded.status, client.files.retrieve(uploaded.id).purpose), ("completed", "assistants"))
    unsupported = stores.files.upload_and_poll(vector_store_id=store.id, file=("b.xyz", b"hello"))
    equal((unsupported.status, unsupported.last_error.code), ("failed", "unsupported_file"))
    files = [("c.md", b"c"), ("d.md", b"d")]
    batch = stores.file_batches.upload_and_poll(vector_store_id=store.id, files=files)
    equal((batch.status, batch.file_counts.completed), ("completed", 2))
    pages = [file.id for file in stores.files.list(vector_store_id=store.id, limit=2, order="asc")]
    equal((pages[:3], len(pages)), ([attached.id, uploaded.id, unsupported.id], 5))
    failed = stores.files.list(vector_store_id=store.id, filter="failed")
    equal([file.id for file in failed], [unsupported.id])
    changed = stores.files.update(vector_store_id=store.id, file_id=attached.id, attributes={"k": "v", "n": 1})
    equal(changed.attributes, {"k": "v", "n": 1})
    equal(stores.files.delete(vector_store_id=store.id, file_id=attached.id).deleted, True)
    with raises(openai.NotFoundError, lambda error: error.body["message"].startswith("No file found with id")):
        stores.files.retrieve(vector_store_id=store.id, file_id=attached.id)
    client.files.retrieve(attached.id)
    equal([found.file_counts.total for found in stores.list(limit=1)][:1], [4])
    equal(stores.delete(store.id).deleted, True)
