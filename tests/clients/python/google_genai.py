"""Google's Python client for Gemini. It sends chunks of 8 MiB to the session URL, without the key."""

import base64
import hashlib
import io
import json
import os
import tempfile

from google import genai
from google.genai import errors, types

from harness import QUOTED_NAME, SEVERAL_MB, WRONG_TOKEN, equal, fetch, raises, suite

case = suite("google-genai")
client = genai.Client()
ROOT = os.environ["GOOGLE_GEMINI_BASE_URL"]
# Whether the server reports uploaded files as generated.
GENERATED = "GENERATED" in os.environ
SOURCE = types.FileSource.GENERATED if GENERATED else types.FileSource.UPLOADED


def create(content=b"Hello, world!", **config):
    config.setdefault("mime_type", "text/plain")
    return client.files.upload(file=io.BytesIO(content), config=config)


def missing(error):
    return (error.code, error.status) == (403, "PERMISSION_DENIED") and "may not exist" in error.message


@case("create")
def _():
    file = create(display_name="hello.txt")
    equal((file.display_name, file.size_bytes, file.mime_type), ("hello.txt", 13, "text/plain"))
    equal((file.state, file.source), (types.FileState.ACTIVE, SOURCE))
    digest = hashlib.sha256(b"Hello, world!").hexdigest()
    equal(base64.b64decode(file.sha256_hash).decode(), digest)
    equal((file.expiration_time - file.create_time).total_seconds(), 48 * 3600)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "path.txt")
        with open(path, "wb") as out:
            out.write(b"x")
        equal(client.files.upload(file=path).display_name, "path.txt")
    name = create(name="my-id").name
    equal(name, "files/my-id")
    with raises(errors.ClientError, lambda error: (error.code, error.status) == (409, "ALREADY_EXISTS")):
        create(name="my-id")


@case("unicode name")
def _():
    equal(create(display_name=QUOTED_NAME).display_name, QUOTED_NAME)


@case("empty file")
def _():
    equal(create(b"").size_bytes or 0, 0)


@case("several MB")
def _():
    content = SEVERAL_MB * 4
    file = create(content)
    equal(file.size_bytes, len(content))
    equal(base64.b64decode(file.sha256_hash).decode(), hashlib.sha256(content).hexdigest())


@case("list")
def _():
    newest = [create().name for _ in range(5)][::-1]
    listed = [file.name for file in client.files.list(config={"page_size": 2})]
    equal((listed[:5], len(set(listed))), (newest, len(listed)))


@case("get")
def _():
    file = create(display_name="a.txt")
    equal(client.files.get(name=file.name), file)
    equal(client.files.get(name=file.name.removeprefix("files/")), file)


@case("content")
def _():
    file = create()
    if GENERATED:
        equal(client.files.download(file=file), b"Hello, world!")
        return
    with raises(ValueError):
        client.files.download(file=file)
    with raises(errors.ClientError, lambda error: error.code == 400):
        client.files.download(file=file.name)


@case("delete")
def _():
    file = create()
    client.files.delete(name=file.name)
    with raises(errors.ClientError, missing):
        client.files.get(name=file.name)


@case("second delete")
def _():
    file = create()
    client.files.delete(name=file.name)
    with raises(errors.ClientError, missing):
        client.files.delete(name=file.name)
    with raises(errors.ClientError, lambda error: error.code == 400 and "40 characters" in error.message):
        client.files.delete(name="batch-" + "0" * 36)


@case("bad token")
def _():
    stranger = genai.Client(api_key=WRONG_TOKEN)
    with raises(errors.ClientError, lambda error: error.code == 400 and "API key not valid" in error.message):
        stranger.files.list()
    status, body = fetch(f"{ROOT}/v1beta/files?key={WRONG_TOKEN}")
    equal((status, json.loads(body)["error"]["details"][0]["reason"]), (400, "API_KEY_INVALID"))


@case("unknown id")
def _():
    with raises(errors.ClientError, missing):
        client.files.get(name="unknown")
