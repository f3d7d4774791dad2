# The endpoints of xAI's page, in a dialect that no client uses any longer.

platform=xAI
. "$(dirname "$0")/harness.sh"
api=$XAI_BASE_URL
token="Authorization: Bearer $XAI_API_KEY"
team=team_id=team_1

create() { ask -H "$token" "$api/files?$team" -F "file=@${1:-hello.txt}${2:+;filename=$2}"; is 200; }
get() { ask -H "$token" "$api/files/$1?$team"; }
delete() { ask -X DELETE -H "$token" "$api/files/$1?$team"; }

created() {
  create
  is 200 '[.name, .size_bytes, .content_type, .upload_status] == ["hello.txt", "13", "text/plain", "Complete"]'
  is 200 '(.hash | length) == 64 and (.created_at | test("^....-..-..T"))'
  # In chunks.
  ask -H "$token" "$api/files:initialize" --json '{"name": "chunks.txt", "content_type": "text/plain"}'
  is 200 '.metadata.upload_status == "Initializing"'
  local id; id=$(value .file_id)
  ask -H "$token" "$api/files:uploadChunks" \
    --json "{\"file_id\": \"$id\", \"chunk\": \"SGVsbG8s\"}{\"file_id\": \"$id\", \"chunk\": \"IHdvcmxkIQ==\"}"
  is 200 '[.size_bytes, .upload_status] == ["13", "Complete"]'
  # xAI rejects a lifetime that follows the file.
  ask -H "$token" "$api/files" -F file=@hello.txt -F expires_after=86400
  is 400 .error
}
unicode() { create hello.txt 'naïve 日本.txt'; is 200 '.name == "naïve 日本.txt"'; }
empty() { create empty.txt; is 200 '.name == "empty.txt"'; }
several_mb() { create big.bin; ask -H "$token" "$api/files/$(value .file_id)/content"; is 200; cmp big.bin "$answer"; }
list() {
  local next= pages=0 size=2
  for _ in 1 2 3 4 5; do create; done
  while [ "$size" = 2 ]; do
    ask -H "$token" "$api/files?order=ASCENDING&limit=2&next_token=$next"
    is 200 '.files | length <= 2'
    size=$(jq '.files | length' "$answer"); next=$(jq -r '.next_token // ""' "$answer"); pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
}
filter() {
  create hello.txt report-1.txt; create big.bin report-2.txt
  local names='[.files[].name]'
  for filter in 'name:"report" AND size_bytes > 1000' 'name:report-2* AND upload_status = "Complete"'; do
    ask -G -H "$token" "$api/files" -d order=DESCENDING --data-urlencode "filter=$filter"
    is 200 "$names == [\"report-2.txt\"]"
  done
  ask -H "$token" "$api/files?prefix=report&order=ASCENDING"
  is 200 "$names == [\"report-1.txt\", \"report-2.txt\"]"
  ask -G -H "$token" "$api/files" --data-urlencode 'filter=colour = "red"'
  is 400 '.code == "Client specified an invalid argument"'
}
get_one() { local id; create; id=$(value .file_id); get "$id"; is 200 --arg id "$id" '[.file_id, .name] == [$id, "hello.txt"]'; }
content() { create; ask -H "$token" "$api/files/$(value .file_id)/content?$team"; is 200; cmp hello.txt "$answer"; }
update() {
  create
  ask -X PUT -H "$token" "$api/files/$(value .file_id)" --json '{"name": "new.txt", "file_path": "a/b", "data": "bmV3"}'
  is 200 '[.name, .file_path, .size_bytes] == ["new.txt", "a/b", "3"]'
}
deleted() { create; delete "$(value .file_id)"; is 200; }
second_delete() { local id; create; id=$(value .file_id); delete "$id"; delete "$id"; is 404 '.code == "Some requested entity was not found"'; }
# xAI responds to an invalid key with 400, not 401.
bad_token() { ask -H 'Authorization: Bearer wrong-token' "$api/files"; is 400 '.error | startswith("Incorrect API key provided: ")'; }
unknown() { get file_unknown; is 404 .error; }

check create created
check "unicode name" unicode
check "empty file" empty
check "several MB" several_mb
check list list
check filter filter
check get get_one
check content content
check update update
check delete deleted
check "second delete" second_delete
check "bad token" bad_token
check "unknown id" unknown
