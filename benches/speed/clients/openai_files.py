"""The bench's work, done with the OpenAI Python client: openai_files.py BASE_URL ACTION ARGUMENTS"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from openai import OpenAI

base, action, *arguments = sys.argv[1:]
client = OpenAI(base_url=base, api_key="any", max_retries=0)


def up(path):
    with open(path, "rb") as file:
        client.files.create(file=file, purpose="assistants")


def down(id, path):
    with client.files.with_streaming_response.content(id) as answer:
        answer.stream_to_file(path)


def many(threads, work, items):
    with ThreadPoolExecutor(int(threads)) as pool:
        for _ in pool.map(work, items):
            pass


if action == "up":
    up(arguments[0])
elif action == "down":
    down("file-0", arguments[0])
elif action == "up-chunked":
    client.uploads.upload_file_chunked(
        file=arguments[0], mime_type="application/octet-stream", purpose="assistants"
    )
elif action == "up-many":
    folder, threads = arguments
    many(threads, up, [os.path.join(folder, name) for name in os.listdir(folder)])
elif action == "down-many":
    folder, threads, count = arguments
    many(threads, lambda n: down(f"file-{n}", os.path.join(folder, f"{n}.bin")), range(int(count)))
elif action == "page":
    client.files.list(limit=100)
elif action == "list":
    for file in client.files.list(limit=int(arguments[0])):
        sys.stdout.write(json.dumps(file.to_dict()) + "\n")
