# The cURL command lines of Metorial's page, in a dialect that no client uses.

platform=Metorial
. "$(dirname "$0")/harness.sh"
api=$METORIAL_API_HOST
token="Authorization: Bearer $METORIAL_API_KEY"

create() { ask -X POST "$api/files" -H "$token" -F "purpose=${3:-attachment}" -F "file=@${1:-hello.txt}${2:+;filename=$2}"; }
get() { ask "$api/files/$1" -H "$token"; }
# The page omits that this is a POST request.
link() { ask -X POST "$api/files/$1/links" -H "$token"; is 200; }

created() {
  create
  is 200 'keys == ["created_at", "id", "mime_type", "name", "purpose", "size"]'
  is 200 '[.name, .size, .mime_type, .purpose] == ["hello.txt", 13, "text/plain", "attachment"]'
  create hello.txt hello.txt nonsense
  is 400 '.code == "bad_request"'
}
unicode() { create hello.txt 'naïve 日本.txt'; is 200 '.name == "naïve 日本.txt"'; }
several_mb() { create big.bin; link "$(value .id)"; ask "$(value .url)"; is 200; cmp big.bin "$answer"; }
list() {
  local after= pages=0 more=true
  for _ in 1 2 3 4 5; do create; done
  while [ "$more" = true ]; do
    ask "$api/files?limit=2${after:+&after=$after}" -H "$token"
    is 200 '.items | length <= 2'
    after=$(value '.items[-1].id'); more=$(jq -r .pagination.has_more_after "$answer"); pages=$((pages + 1))
  done
  [ "$pages" -ge 3 ]
  ask "$api/files?limit=0" -H "$token"
  is 400 '.code == "invalid_data"'
}
filter() {
  local one two
  create; one=$(value .id); create; two=$(value .id)
  # The three forms of a list in a query.
  for query in "id=$one&id=$two" "id[]=$one&id[]=$two" "id[0]=$one&id[1]=$two"; do
    ask --globoff "$api/files?$query" -H "$token"
    is 200 --arg one "$one" --arg two "$two" '[.items[].id] == [$one, $two]'
  done
  ask --globoff "$api/files?created_at[gt]=2999-01-01T00:00:00Z" -H "$token"
  is 200 '.items == []'
}
get_one() { local id; create; id=$(value .id); get "$id"; is 200 --arg id "$id" '.id == $id'; }
content() { create; link "$(value .id)"; ask "$(value .url)"; is 200; cmp hello.txt "$answer"; }
deleted() { local id; create; id=$(value .id); ask -X DELETE "$api/files/$id" -H "$token"; is 200; get "$id"; is 404 '.entity == "file"'; }
bad_token() { ask "$api/files" -H 'Authorization: Bearer wrong-token'; is 401 '.code == "unauthorized"'; }
unknown() { get file_Rm4Mnheq2bfEPhBhP7SY; is 404 '.code == "not_found"'; }

check create created
check "unicode name" unicode
check "several MB" several_mb
check list list
check filter filter
check get get_one
check content content
check delete deleted
check "bad token" bad_token
check "unknown id" unknown
