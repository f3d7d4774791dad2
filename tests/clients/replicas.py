#!/usr/bin/env python3
"""Runs a command like `haul serve`, with two servers that share a store in turn: replicas.py HAUL [OPTION…] -- COMMAND…

The servers accept the tokens of a file. The store is a folder, or what HAUL_TEST_INDEX and HAUL_TEST_BLOBS name.
"""

import asyncio
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import uuid

TOKEN = "right-token"


def start(haul, options, folder):
    """Starts a server on a free port. Returns its process and port."""
    command = [haul, "serve", "--json", "--listen", "127.0.0.1:0", "--tokens", f"{folder}/tokens", *options]
    with open(f"{folder}/errors", "a") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    url = json.loads(process.stdout.readline())["url"]
    return process, int(url.rsplit(":", 1)[1])


async def copy(reader, writer):
    """Copies a stream to its end."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def forward(ports, reader, writer):
    """Forwards a request to the next server and the response to the client. Each connection serves one request."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head[:-4].split(b"\r\n")
        lines = [line for line in lines if not line.lower().startswith(b"connection:")]
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", next(ports))
        server_writer.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]))
        sending = asyncio.create_task(copy(reader, server_writer))
        await copy(server_reader, writer)
        sending.cancel()
        server_writer.close()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def run(haul, options, command, folder):
    """Starts the servers and the proxy, runs the command and returns its exit code."""
    # A new space, because many runs use the same database.
    space = f"run-{uuid.uuid4().hex}"
    line = f"{space} {hashlib.sha256(TOKEN.encode()).hexdigest()}\n"
    with open(os.open(f"{folder}/tokens", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write(line)
    index, blobs = os.environ.get("HAUL_TEST_INDEX"), os.environ.get("HAUL_TEST_BLOBS")
    store = ["--index", index, "--blobs", blobs] if index else ["--data", f"{folder}/store"]
    servers = [start(haul, [*options, *store], folder) for _ in range(2)]
    ports = itertools.cycle([port for _, port in servers])
    proxy = await asyncio.start_server(lambda *streams: forward(ports, *streams), "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    arguments = ["serve", "--json", "--print-env", "--token", TOKEN, "--listen", f"127.0.0.1:{port}", *options]
    variables = json.loads(subprocess.check_output([haul, *arguments]))["env"]
    if "signing-secret=signing-secret" in options:
        # A link signed by a client contains no token, so its address names the space.
        root = f"http://127.0.0.1:{port}"
        variables = {name: value.replace(root, f"{root}/~{space}") for name, value in variables.items()}
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **variables})
    status = await process.wait()
    for server, _ in servers:
        server.terminate()
    broken = next((code for server, _ in servers if (code := server.wait(60)) != 143), 0)
    if broken:
        with open(f"{folder}/errors") as errors:
            sys.stderr.write(errors.read())
    return status or broken


def main():
    """Splits the arguments at `--` and runs the command with a temporary folder."""
    arguments = sys.argv[1:]
    at = arguments.index("--")
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(arguments[0], arguments[1:at], arguments[at + 1 :], folder))


if __name__ == "__main__":
    sys.exit(main())
