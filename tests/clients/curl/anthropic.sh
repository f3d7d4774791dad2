# The documented command lines of Anthropic's page, in the dialects of the beta and of its successor.

platform=Anthropic
. "$(dirname "$0")/harness.sh"
api=$ANTHROPIC_BASE_URL/v1/files
key="x-api-key: $ANTHROPIC_API_KEY"
version='anthropic-version: 2023-06-01'
beta='anthropic-beta: files-api-2025-04-14'

create() { ask -H "$key" -H "$version" "$api" -F "file=@${1:-hello.txt}${2:+;filename=$2}" "${@:3}"; }
get() { ask -H "$key" -H "$version" "$api/$1" "${@:2}"; }
delete() { ask -X DELETE -H "$key" -H "$version" "$api/$1"; }

created() {
  create
  is 200 '[.type, .filename, .mime_type, .size_bytes, .downloadable] == ["file", "hello.txt", "text/plain", 13, false]'
  is 200 '(.id | startswith("file_011C")) and (.created_at | endswith("Z")) and .expires_at == null'
  create hello.txt '' -F expires_in_seconds=7776000
  is 200 '.expires_at | endswith("Z")'
  create hello.txt '' -F expires_in_seconds=7776001
  is 400 '.type == "error" and .error.type == "invalid_request_error" and (.request_id | startswith("req_"))'
  # The beta has no lifetimes.
  create hello.txt '' -H "$beta"
  is 200 'has("expires_at") | not'
  create hello.txt '' -H "$beta" -F expires_in_seconds=7776000
  is 400
}
unicode() { create hello.txt 'naïve 日本.txt'; is 200 '.filename == "naïve 日本.txt"'; create hello.txt 'a|b.txt'; is 400; }
empty() { create empty.txt; is 200 '.size_bytes == 0'; }
several_mb() { create big.bin made-big.bin; get "$(value .id)/content"; is 200; cmp big.bin "$answer"; }
list() {
  local next= pages=0 more=true
  for _ in 1 2 3 4 5; do create; done
  while [ "$next" != null ]; do
    ask -G -H "$key" -H "$version" "$api" -d limit=2 --data-urlencode "page=$next"
    is 200 '.data | length <= 2'
    next=$(jq -r .next_page "$answer"); pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
  # In the beta, by the ids of files: forward and back.
  next=; pages=0
  while [ "$more" = true ]; do
    ask -G -H "$key" -H "$version" -H "$beta" "$api" -d limit=2 -d "after_id=$next"
    is 200 '(has("next_page") | not) and .first_id == .data[0].id'
    more=$(jq .has_more "$answer"); next=$(value .last_id); pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
  ask -H "$key" -H "$version" -H "$beta" "$api?limit=1&before_id=$next"
  is 200 '(.data | length) == 1 and .has_more'
}
filter() {
  local one two
  create; one=$(value .id); create; two=$(value .id)
  ask -G -H "$key" -H "$version" "$api" -d "ids[]=$one" -d "ids[]=$two" -d 'ids[]=file_unknown'
  is 200 --arg one "$one" --arg two "$two" '[.data[].id] == [$two, $one] and .next_page == null'
}
get_one() {
  local id; create; id=$(value .id)
  get "$id"; is 200 --arg id "$id" '.id == $id'
  # Another workspace does not see it.
  get "$id" -H 'anthropic-workspace-id: wrkspc_other'; is 404 '.error.type == "not_found_error"'
  ask -H "Authorization: Bearer $ANTHROPIC_API_KEY" -H 'anthropic-version: 2026-10-21' "$api/$id"; is 200
}
content() {
  create hello.txt made.txt; get "$(value .id)/content"; is 200; cmp hello.txt "$answer"
  create; get "$(value .id)/content"; is 400 '.error.details.error_code == "file_not_downloadable"'
}
deleted() { create; delete "$(value .id)"; is 200 '.type == "file_deleted"'; }
second_delete() { local id; create; id=$(value .id); delete "$id"; delete "$id"; is 404 '.error.message | startswith("File not found: ")'; }
bad_token() {
  ask -H 'x-api-key: wrong-token' -H "$version" "$api"; is 401 '.error.message == "invalid x-api-key"'
  ask -H "$key" "$api"; is 400 '.error.message | startswith("anthropic-version: ")'
}
unknown() { get file_unknown; is 404 '.error.type == "not_found_error"'; }

check create created
check "unicode name" unicode
check "empty file" empty
check "several MB" several_mb
check list list
check filter filter
check get get_one
check content content
check delete deleted
check "second delete" second_delete
check "bad token" bad_token
check "unknown id" unknown
