# Activeloop's requests, including one with several files. The platform has no client of its own that sends them.

platform=Activeloop
. "$(dirname "$0")/harness.sh"
# The base URL has no variable of Activeloop's own.
api=$OPENAI_BASE_URL
token="Authorization: Bearer $ACTIVELOOP_TOKEN"

create() { ask -H "$token" "$api/files" -F "file=@${1:-hello.txt}${2:+;filename=$2}"; is 200; }
get() { ask -H "$token" "$api/files/$1?workspace=default"; }
delete() { ask -X DELETE -H "$token" "$api/files/$1?workspace=default"; }

created() {
  create
  is 200 '[.object, .filename, .bytes, .purpose, .status] == ["file", "hello.txt", 13, "user_data", "uploaded"]'
  ask -H "$token" "$api/files" -F file=@hello.txt -F 'file=@empty.txt;filename=b.pdf' -F workspace=default
  is 200 '[.[].filename] == ["hello.txt", "b.pdf"]'
}
metadata() {
  ask -H "$token" "$api/files" -F file=@hello.txt -F purpose=user_data -F workspace=default \
    -F 'metadata={"author":"hegel"}' -F 'instructions=extract the year'
  is 200 '.metadata == {"author": "hegel"}'
}
unicode() { create hello.txt 'naïve 日本.txt'; is 200 '.filename == "naïve 日本.txt"'; }
empty() { create empty.txt; is 200 '.bytes == 0'; }
several_mb() { create big.bin; ask -H "$token" "$api/files/$(value .id)/content"; is 200; cmp big.bin "$answer"; }
list() {
  local after= pages=0 more=true
  for _ in 1 2 3 4 5; do create; done
  while [ "$more" = true ]; do
    ask -H "$token" "$api/files?workspace=default&limit=2&order=desc&after=$after"
    is 200 '.data | length <= 2'
    after=$(value .last_id); more=$(jq -r .has_more "$answer"); pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
  ask -H "$token" "$api/files?limit=10001"
  is 422 '.detail[0].loc == ["query", "limit"]'
}
get_one() { local id; create; id=$(value .id); get "$id"; is 200 --arg id "$id" '[.id, .filename] == [$id, "hello.txt"]'; }
content() { create; ask -H "$token" "$api/files/$(value .id)/content?workspace=default"; is 200; cmp hello.txt "$answer"; }
update() {
  local id
  metadata; id=$(value .id)
  ask -X PUT -H "$token" -H 'Content-Type: application/json' "$api/files/$id/metadata" -d '{"year": 1807}'
  is 200
  get "$id"
  is 200 '.metadata == {"author": "hegel", "year": 1807}'
}
deleted() { create; delete "$(value .id)"; is 200 '.deleted'; }
second_delete() { local id; create; id=$(value .id); delete "$id"; delete "$id"; is 404 .detail; }
bad_token() { ask -H 'Authorization: Bearer wrong-token' "$api/files"; is 401 .detail; }
unknown() { get 00000000000000000000000000000000; is 404 .detail; }

check create created
check metadata metadata
check "unicode name" unicode
check "empty file" empty
check "several MB" several_mb
check list list
check get get_one
check content content
check update update
check delete deleted
check "second delete" second_delete
check "bad token" bad_token
check "unknown id" unknown
