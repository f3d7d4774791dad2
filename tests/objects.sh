#!/usr/bin/env bash
# Tests object storage on real servers: moto (S3 semantics), nanio (signatures, files on disk) and azurite (Azure).
# Usage: tests/objects.sh [HAUL]
set -euo pipefail
cd "$(dirname "$0")/.."
haul=$(realpath "${1:-target/debug/haul}")
work=$(mktemp -d)
pids=()
finish() {
  status=$?
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  [ "$status" = 0 ] || tail -n 20 "$work"/*.log >&2 || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

tools=$PWD/target/objects
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5' 'nanio==0.1.7' \
  'azure-storage-blob==12.31.1'
npm install --silent --no-audit --no-fund --prefix "$tools" azurite@3.37.0 >/dev/null

export HAUL_HOME=$work/home HOME=$work/home AWS_ACCESS_KEY_ID=ACCESSKEY123 AWS_SECRET_ACCESS_KEY=SECRETKEY123
mkdir -p "$HAUL_HOME"
fail() { echo "$name: $*" >&2; exit 1; }
# `expect STATUS COMMAND…` checks an exit code; the output is in $out.
expect() {
  local wanted=$1 status=0
  shift
  out=$("$@" 2>"$work/stderr.log") || status=$?
  [ "$status" = "$wanted" ] || { cat "$work/stderr.log" >&2; fail "exit code $status instead of $wanted: $*"; }
}
same() { [ "$1" = "$2" ] || fail "expected $(printf %q "$2"), got $(printf %q "$1")"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() {
  for _ in $(seq 300); do
    if curl -s -o /dev/null "$1"; then return; fi
    sleep 0.1
  done
  fail "no server at $1"
}

# conforms ADDRESS: all operations on this scheme and bucket, except `meta set`.
conforms() {
  local address=$1
  cd "$work"
  rm -rf docs haul.lock out*.bin* && mkdir -p docs
  printf 'hello\n' >'a b.txt'
  head -c 20000000 /dev/urandom >big.bin
  expect 0 "$haul" upload -p "$address" 'a b.txt' --metadata 'author=Ä "b"' --ids
  same "$out" 'a b.txt'
  expect 1 "$haul" upload -p "$address" 'a b.txt'
  expect 0 "$haul" upload -p "$address" 'a b.txt' --if-exists skip
  expect 0 "$haul" info "$address/a b.txt" --jsonl
  same "$(jq -r '[.size, .content_type, .metadata.author, (.checksums.sha256 != null)] | @csv' <<<"$out")" \
    '6,"text/plain","Ä ""b""",true'
  expect 0 "$haul" get "$address/a b.txt" -o -
  same "$out" hello
  printf 'changed\n' >'a b.txt'
  expect 0 "$haul" upload -p "$address" 'a b.txt' --if-exists update
  expect 0 "$haul" get "$address/a b.txt" -o -
  same "$out" changed
  expect 0 "$haul" upload -p "$address" big.bin
  expect 0 "$haul" get "$address/big.bin" -o out.bin
  cmp big.bin out.bin
  # A resumed download.
  head -c 12345678 big.bin >out2.bin.part
  expect 0 "$haul" get "$address/big.bin" -o out2.bin
  cmp big.bin out2.bin
  expect 0 "$haul" cp 'a b.txt' "$address/dir/c+d.txt"
  expect 0 "$haul" cp "$address/a b.txt" "$address/dir/sub/"
  expect 0 "$haul" ls "$address/dir/" --ids
  same "$(sort <<<"$out")" $'c+d.txt\nsub/a b.txt'
  expect 0 "$haul" ls "$address/dir/*.txt" --ids
  expect 0 "$haul" cp "$address/dir/" local: --ids
  expect 0 "$haul" link "$address/dir/c+d.txt" --expires 5m
  same "$(curl -sf "$out")" changed
  for name in 1 2 3 4 5; do printf '%s' "$name" >"docs/$name.txt"; done
  expect 0 "$haul" sync docs "$address/site/"
  expect 0 "$haul" sync docs "$address/site/" --check
  printf 'new' >docs/1.txt
  rm docs/5.txt
  expect 0 "$haul" sync docs "$address/site/" --delete
  expect 0 "$haul" get "$address/site/1.txt" -o -
  same "$out" new
  # A listing of the whole bucket.
  expect 0 "$haul" ls "$address" --ids
  same "$(sort <<<"$out")" $'a b.txt\nbig.bin\ndir/c+d.txt\ndir/sub/a b.txt\nsite/1.txt\nsite/2.txt\nsite/3.txt\nsite/4.txt'
  expect 0 "$haul" rm "$address/big.bin"
  expect 3 "$haul" rm "$address/big.bin"
  expect 3 "$haul" info "$address/big.bin"
}

# annotates ADDRESS: `meta set` changes the metadata in place.
annotates() {
  expect 0 "$haul" meta set "$1/a b.txt" year=1807 --type text/markdown
  expect 0 "$haul" info "$1/a b.txt" --jsonl
  same "$(jq -r '[.content_type, .metadata.year, (.checksums.sha256 != null)] | @csv' <<<"$out")" \
    '"text/markdown","1807",true'
}

make_bucket() {
  "$tools/venv/bin/python" - "$1" <<'PYTHON'
import os, sys, boto3
client = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
client.create_bucket(Bucket="bucket")
PYTHON
}

name=moto
port=$(free_port)
"$tools/venv/bin/moto_server" -H 127.0.0.1 -p "$port" >"$work/moto.log" 2>&1 &
pids+=($!)
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
wait_for "$AWS_ENDPOINT_URL"
make_bucket "$AWS_ENDPOINT_URL"
conforms s3://bucket
annotates s3://bucket
expect 1 "$haul" ls s3://missing
grep -q NoSuchBucket "$work/stderr.log" || fail 'no NoSuchBucket'
# Conditions are evaluated by the server, without a request before the upload.
expect 1 "$haul" upload -p s3 --set bucket=bucket --set conditional=true "$work/a b.txt"

name=nanio
port=$(free_port)
mkdir "$work/nanio"
NANIO_ACCESS_KEY=$AWS_ACCESS_KEY_ID NANIO_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
  "$tools/venv/bin/nanio" serve --host 127.0.0.1 --port "$port" --data-dir "$work/nanio" >"$work/nanio.log" 2>&1 &
pids+=($!)
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
wait_for "$AWS_ENDPOINT_URL"
make_bucket "$AWS_ENDPOINT_URL"
conforms s3://bucket
AWS_SECRET_ACCESS_KEY=wrong expect 4 "$haul" ls s3://bucket
grep -q SignatureDoesNotMatch "$work/stderr.log" || fail 'no SignatureDoesNotMatch'
# This server confirms a metadata change that it does not make.
expect 8 "$haul" meta set "s3://bucket/a b.txt" year=1807

name=azurite
port=$(free_port)
"$tools/node_modules/.bin/azurite-blob" --silent --location "$work/azurite" --blobHost 127.0.0.1 --blobPort "$port" \
  --skipApiVersionCheck >"$work/azurite.log" 2>&1 &
pids+=($!)
endpoint=http://127.0.0.1:$port/devstoreaccount1
# The well-known key of all Azure Storage emulators.
key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==
export AZURE_STORAGE_CONNECTION_STRING="AccountName=devstoreaccount1;AccountKey=$key;BlobEndpoint=$endpoint"
wait_for "$endpoint"
"$tools/venv/bin/python" - "DefaultEndpointsProtocol=http;$AZURE_STORAGE_CONNECTION_STRING" <<'PYTHON'
import sys
from azure.storage.blob import BlobServiceClient
BlobServiceClient.from_connection_string(sys.argv[1]).create_container("bucket")
PYTHON
conforms az://bucket
annotates az://bucket
expect 1 "$haul" ls az://missing
grep -q ContainerNotFound "$work/stderr.log" || fail 'no ContainerNotFound'
AZURE_STORAGE_CONNECTION_STRING="AccountName=devstoreaccount1;AccountKey=d3Jvbmc=;BlobEndpoint=$endpoint" \
  expect 4 "$haul" ls az://bucket
AZURE_STORAGE_CONNECTION_STRING="AccountName=devstoreaccount1;BlobEndpoint=$endpoint" expect 4 "$haul" ls az://bucket

echo 'object storage: moto, nanio and azurite passed'
