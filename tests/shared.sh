#!/usr/bin/env bash
# Tests stores shared by several servers, with PostgreSQL and with buckets of nanio and moto. Kills servers under load.
# Usage: tests/shared.sh [HAUL-WITHOUT-THE-FEATURE]
set -euo pipefail
cd "$(dirname "$0")/.."
plain=${1:-}
work=$(mktemp -d)
# The database may run as another user, which needs to reach its folder.
chmod 711 "$work"
pids=()
finish() {
  status=$?
  [ ! -e "$work/database" ] || "$work/database" stop || true
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  [ "$status" = 0 ] || tail -n 20 "$work"/*.log "$work"/pg/*.log >&2 || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
fail() { echo "$*" >&2; exit 1; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() {
  for _ in $(seq 300); do
    if curl -s -o /dev/null "$1"; then return; fi
    sleep 0.1
  done
  fail "no server at $1"
}

# Only the feature adds PostgreSQL, and it adds no second TLS provider.
tree() { cargo tree --locked --offline --edges normal --prefix none "$@"; }
if tree | grep -E '^(tokio-postgres|deadpool)'; then fail 'PostgreSQL is part of the default features'; fi
if tree --features shared | grep -E '^(aws-lc-(rs|sys)|openssl|openssl-sys|native-tls) '; then fail 'the feature brings another TLS provider'; fi
if [ -n "$plain" ]; then
  if grep -a -q pg_advisory "$plain"; then fail "$plain contains the code for PostgreSQL"; fi
  status=0
  "$plain" serve --index postgres://localhost/haul --blobs s3://bucket 2>"$work/plain.txt" || status=$?
  if [ "$status" != 5 ] || ! grep -q -- '--features shared' "$work/plain.txt"; then
    cat "$work/plain.txt" >&2
    fail "exit code $status without the feature"
  fi
fi

programs=$(dirname "$(find /usr/lib/postgresql /usr/pgsql-* -name initdb -path '*bin*' 2>/dev/null | sort -V | tail -n 1)")
[ -x "$programs/initdb" ] || programs=$(dirname "$(command -v initdb)")
mkdir "$work/pg"
# PostgreSQL refuses to run as root.
as=()
if [ "$(id -u)" = 0 ]; then
  user=postgres
  id postgres >/dev/null 2>&1 || user=nobody
  chown "$user" "$work/pg"
  as=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi
export PGPASSWORD=secret
printf '%s' "$PGPASSWORD" >"$work/pg/password"
port=$(free_port)
# A self-signed certificate, which every connection verifies.
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=database -addext subjectAltName=IP:127.0.0.1 \
  -addext basicConstraints=critical,CA:FALSE \
  -keyout "$work/pg/server.key" -out "$work/server.crt" 2>"$work/openssl.log"
chmod 600 "$work/pg/server.key"
[ "${#as[@]}" = 0 ] || chown "$user" "$work/pg/server.key"
"${as[@]}" "$programs/initdb" --pgdata "$work/pg/data" --username haul --auth scram-sha-256 --pwfile "$work/pg/password" \
  --locale C.UTF-8 >"$work/initdb.log"
cat >>"$work/pg/data/postgresql.conf" <<CONF
port = $port
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work/pg'
max_connections = 200
ssl = on
ssl_cert_file = '$work/server.crt'
ssl_key_file = '$work/pg/server.key'
CONF
cat >"$work/database" <<SCRIPT
#!/bin/sh
cd / && exec ${as[*]} $programs/pg_ctl --pgdata $work/pg/data --mode immediate --silent --wait --log $work/pg/server.log "\$1"
SCRIPT
chmod +x "$work/database"
"$work/database" start
export HAUL_TEST_DATABASE=$work/database HAUL_TEST_INDEX="postgres://haul@127.0.0.1:$port/haul?sslmode=verify-full&sslrootcert=$work/server.crt"
"$programs/createdb" --host 127.0.0.1 --port "$port" --username haul haul

tools=$PWD/target/objects
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check 'moto[server]==5.2.5' 'nanio==0.1.7'
export AWS_ACCESS_KEY_ID=ACCESSKEY123 AWS_SECRET_ACCESS_KEY=SECRETKEY123 HAUL_TEST_BLOBS=s3://bucket/tests
make_bucket() {
  "$tools/venv/bin/python" - "$1" <<'PYTHON'
import sys, boto3
boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1").create_bucket(Bucket="bucket")
PYTHON
}
nanio=http://127.0.0.1:$(free_port)
mkdir "$work/nanio"
NANIO_ACCESS_KEY=$AWS_ACCESS_KEY_ID NANIO_SECRET_KEY=$AWS_SECRET_ACCESS_KEY "$tools/venv/bin/nanio" serve \
  --host 127.0.0.1 --port "${nanio##*:}" --data-dir "$work/nanio" >"$work/nanio.log" 2>&1 &
pids+=($!)
moto=http://127.0.0.1:$(free_port)
"$tools/venv/bin/moto_server" -H 127.0.0.1 -p "${moto##*:}" >"$work/moto.log" 2>&1 &
pids+=($!)
wait_for "$nanio"
make_bucket "$nanio"
wait_for "$moto"
make_bucket "$moto"

echo '-- the tests of the store, on PostgreSQL and nanio'
export AWS_ENDPOINT_URL=$nanio
cargo test --locked --features shared --lib --test it -- store::
echo '-- those of shared stores on moto'
AWS_ENDPOINT_URL=$moto cargo test --locked --features shared --test it -- store::shared::
echo '-- killed servers'
cargo test --locked --features shared --test it -- --ignored --exact --nocapture store::kills::killed_servers_lose_nothing

echo '-- a server without its database'
haul=$PWD/target/debug/haul
export HAUL_HOME=$work/home
token=$("$haul" serve token add team --tokens "$work/tokens" 2>"$work/token.log")
"$haul" serve --listen 127.0.0.1:0 --tokens "$work/tokens" --index "$HAUL_TEST_INDEX" --blobs "$HAUL_TEST_BLOBS" \
  >"$work/served" 2>"$work/served.log" &
pids+=($!)
for _ in $(seq 200); do [ ! -s "$work/served" ] || break; sleep 0.1; done
url=$(head -n 1 "$work/served")
health() { curl -s -o /dev/null -w '%{http_code}' "$url/healthz"; }
upload() {
  curl -s -o "$work/answer" -w '%{http_code}' -H "Authorization: Bearer $token" -F purpose=batch -F "file=@$work/tokens" \
    "$url/openai/v1/files"
}
[ "$(health) $(upload)" = '200 200' ] || fail 'the server does not work'
"$work/database" stop
[ "$(health) $(upload)" = '503 503' ] || fail 'the server works without its database'
if grep postgres "$work/answer"; then fail 'a client gets the address of the database'; fi
grep -q 'cannot reach the index database' "$work/served.log" || fail 'the reason is not printed'
"$work/database" start
for _ in $(seq 100); do [ "$(health)" != 200 ] || break; sleep 0.1; done
[ "$(health) $(upload)" = '200 200' ] || fail 'the server does not recover'
unset HAUL_HOME

echo '-- official clients against two servers'
tests/clients/run --replicas "$haul"

echo 'shared stores: PostgreSQL, nanio and moto passed'
