# Runs the cURL cases of one platform and prints `client | case | result` for each. Sourced by each platform's script.

set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
printf 'Hello, world!' >hello.txt
: >empty.txt
head -c 5242880 /dev/urandom >big.bin
# The body and the status of the last response.
answer=$work/answer
status=

# ask ARGUMENT...: sends a request with cURL's arguments, as in a documented command line.
ask() {
  status=$(command curl --silent --show-error --output "$answer" --write-out '%{http_code}' "$@")
}

# is STATUS [JQ-ARGUMENT...]: whether the last response has this status and passes the jq filter, if any.
is() {
  if [ "$status" != "$1" ] || { [ $# -gt 1 ] && ! jq -e "${@:2}" "$answer" >/dev/null; }; then
    echo "not $*: $status $(head -c 500 "$answer")" >&2
    return 1
  fi
}

# value FILTER: a value from the last response.
value() {
  jq -er "$1" "$answer"
}

# check CASE FUNCTION: runs the function, which ends at the first failing command, and prints the result.
check() {
  local result=ok
  # In a subshell outside of a condition, because a condition disables `set -e`.
  (set -e; "$2") >&2
  [ $? = 0 ] || { echo "curl at $platform, $1" >&2; result=FAIL; }
  echo "curl at $platform | $1 | $result"
}
