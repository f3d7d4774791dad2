"""The bench's work, done with Replicate's Python client: replicate_files.py BASE_URL up FILE"""

import sys

import replicate

base, action, path = sys.argv[1:]
client = replicate.Client(api_token="any", base_url=base.removesuffix("/v1"))
with open(path, "rb") as file:
    client.files.create(file)
