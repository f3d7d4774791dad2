# Runs the cases of cURL at one platform and prints `client | case | result` for each. Sourced by each platform's script.

set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
printf 'Hello, world!' >hello.txt
: >empty.txt
head -c 5242880 /dev/urandom >big.bin
# The answer to the last request, and its status.
answer=$work/answer
status=

# Asks with cURL's arguments, as a documented line has them.
ask() {
  status=$(command curl --silent --show-error --output "$answer" --write-out '%{http_code}' "$@")
}

# Whether the last answer had this status, and passes this jq filter if there is one.
is() {
  if [ "$status" != "$1" ] || { [ $# -gt 1 ] && ! jq -e "${@:2}" "$answer" >/dev/null; }; then
    echo "not $*: $status $(head -c 500 "$answer")" >&2
    return 1
  fi
}

# A value of the last answer.
value() {
  jq -er "$1" "$answer"
}

# check CASE FUNCTION: the function ends at the first command that fails.
check() {
  local result=ok
  # In a subshell, and not in a condition, for there `set -e` counts.
  (set -e; "$2") >&2
  [ $? = 0 ] || { echo "curl at $platform, $1" >&2; result=FAIL; }
  echo "curl at $platform | $1 | $result"
}
