# The cURL command lines of Replicate's page.

platform=Replicate
. "$(dirname "$0")/harness.sh"
api=$REPLICATE_BASE_URL
token="Authorization: Token $REPLICATE_API_TOKEN"

create() {
  ask -X POST "$api/files" \
    -H "$token" \
    -H 'Content-Type: multipart/form-data' \
    -F "content=@${1:-hello.txt};type=application/zip;filename=${2:-example.zip}" \
    -F 'metadata={"customer_reference_id": 123};type=application/json'
  is 201
}
get() { ask -s -H "$token" "$api/files/$1"; }
delete() { ask -X DELETE -H "$token" "$api/files/$1"; }

created() { create; is 201 '[.name, .size, .content_type] == ["example.zip", 13, "application/zip"]'; }
metadata() { create; is 201 '.metadata == {"customer_reference_id": 123}'; }
unicode() { create hello.txt 'naïve 日本.zip'; is 201 '.name == "naïve 日本.zip"'; }
empty() { create empty.txt; is 201 '.size == 0'; }
several_mb() { create big.bin; is 201 --arg sum "$(sha256sum <big.bin | cut -d' ' -f1)" '.checksums.sha256 == $sum'; }
list() {
  local next=$api/files pages=0
  for _ in 1 2 3 4 5; do create; done
  while [ "$next" != null ]; do
    ask -s -H "$token" "$next"
    is 200 '.results | length <= 2'
    next=$(jq -r .next "$answer")
    pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
  is 200 '.previous'
}
get_one() { local made; create; made=$(jq -S . "$answer"); get "$(value .id)"; is 200; [ "$made" = "$(jq -S . "$answer")" ]; }
content() {
  local id expiry signature
  create; id=$(value .id); expiry=$(($(date +%s) + 60))
  signature=$(printf 'local-user %s %s' "$id" "$expiry" | openssl dgst -sha256 -hmac signing-secret -binary | base64 | jq -Rr @uri)
  # No token: the signature is the credential. In predictions it is percent-encoded twice.
  for encoded in "$signature" "${signature//%/%25}"; do
    ask -X GET "$api/files/$id/download?expiry=$expiry&owner=local-user&signature=$encoded"
    is 200
    cmp hello.txt "$answer"
  done
  ask "$api/files/$id/download?expiry=$((expiry + 1))&owner=local-user&signature=$signature"
  is 404 '.detail == "File not found"'
}
deleted() { local id; create; id=$(value .id); delete "$id"; is 204; [ ! -s "$answer" ]; get "$id"; is 404 '.detail == "File not found"'; }
second_delete() { local id; create; id=$(value .id); delete "$id"; delete "$id"; is 404 '.detail == "File not found"'; }
bad_token() { ask -H 'Authorization: Token wrong-token' "$api/files"; is 401 '.title == "Unauthenticated"'; }
unknown() { get cneqzikepnug6xezperrr4z55o; is 404 '.detail == "File not found"'; }

check create created
check metadata metadata
check "unicode name" unicode
check "empty file" empty
check "several MB" several_mb
check list list
check get get_one
check content content
check delete deleted
check "second delete" second_delete
check "bad token" bad_token
check "unknown id" unknown
