# The endpoints of LlamaCloud's page, and the older ones, which the newest clients no longer use.

platform=LlamaCloud
. "$(dirname "$0")/harness.sh"
beta=$LLAMA_CLOUD_BASE_URL/api/v1/beta/files
legacy=$LLAMA_CLOUD_BASE_URL/api/v1/files
token="Authorization: Bearer $LLAMA_CLOUD_API_KEY"

create() { ask -H "$token" "$beta" -F purpose=user_data -F "file=@${1:-hello.txt}${2:+;filename=$2}"; }
delete() { ask -X DELETE -H "$token" "$beta/$1"; }

created() {
  create
  is 200 '[.name, .file_type, .purpose] == ["hello.txt", "txt", "user_data"] and (has("file_size") | not)'
  ask -H "$token" "$legacy?external_file_id=ext-1" -F upload_file=@hello.txt
  is 200 '[.name, .file_size, .external_file_id] == ["hello.txt", 13, "ext-1"]'
  # By a presigned URL, which requires no token.
  ask -X PUT -H "$token" "$legacy" --json '{"name": "big.bin", "external_file_id": "x", "file_size": 5242880}'
  is 200 .file_id
  local id; id=$(value .file_id)
  ask -X PUT -T big.bin "$(value .url)"
  is 200
  ask -H "$token" "$legacy/$id"
  is 200 '.file_size == 5242880'
}
unicode() { create hello.txt 'naïve 日本.txt'; is 200 '.name == "naïve 日本.txt"'; }
empty() { create empty.txt; is 400 .detail; }
several_mb() { create big.bin; ask -H "$token" "$beta/$(value .id)/content"; ask "$(value .url)"; is 200; cmp big.bin "$answer"; }
list() {
  local next= pages=0
  for _ in 1 2 3 4 5; do create; done
  while [ "$next" != null ]; do
    ask -H "$token" "$beta?page_size=2${next:+&page_token=$next}"
    is 200 '.items | length <= 2'
    next=$(jq -r .next_page_token "$answer"); pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
  ask -H "$token" "$legacy"
  is 200 'type == "array"'
}
filter() {
  create hello.txt only.txt
  ask -H "$token" "$beta/query" --json '{"filter": {"file_name": "only.txt"}}'
  is 200 '[.items[].name] == ["only.txt"]'
}
get_one() { local id; create; id=$(value .id); ask -H "$token" "$beta/$id"; is 200 --arg id "$id" '[.id, .name] == [$id, "hello.txt"]'; }
content() { create; ask -H "$token" "$beta/$(value .id)/content"; is 200 '.form_fields == null'; ask "$(value .url)"; is 200; cmp hello.txt "$answer"; }
link() {
  create
  ask -H "$token" "$beta/$(value .id)/content?expires_at_seconds=60"
  local url; url=$(value .url)
  ask -r 7-11 "$url"
  is 206
  [ "$(cat "$answer")" = world ]
  # The storage rejects a request with a token, with an error in its own XML format.
  ask -H "$token" "$url"
  is 400
  grep -q '<Error>' "$answer"
}
deleted() { local id; create; id=$(value .id); delete "$id"; is 204; ask -H "$token" "$beta/$id"; is 404 .detail; }
second_delete() { local id; create; id=$(value .id); delete "$id"; delete "$id"; is 404 .detail; }
bad_token() { ask -H 'Authorization: Bearer wrong-token' "$beta"; is 401 .detail; }
unknown() { ask -H "$token" "$beta/00000000-0000-4000-8000-000000000000"; is 404 .detail; }

check create created
check "unicode name" unicode
check "empty file" empty
check "several MB" several_mb
check list list
check filter filter
check get get_one
check content content
check link link
check delete deleted
check "second delete" second_delete
check "bad token" bad_token
check "unknown id" unknown
