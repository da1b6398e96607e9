#!/bin/sh
# Twelve steps against any running eventdeck: what a client does in its life, and what it is told when it errs.
set -u

usage() {
  cat <<'TEXT'
Usage: test/smoke.sh [BASE_URL]

Creates, reads, lists, changes, counts and deletes events on the server at BASE_URL
(default http://127.0.0.1:8001) and prints one line a step. It deletes what it created.
Needs curl and jq. Where the server asks for a token, set API_TOKEN.
Exit code: 0 when all steps passed, 1 when one failed, 2 when it cannot run.
TEXT
}

case ${1:-} in
-h | --help)
  usage
  exit 0
  ;;
esac
base=${1:-http://127.0.0.1:8001}
base=${base%/}
for tool in curl jq; do
  command -v "$tool" >/dev/null || {
    echo "smoke.sh needs $tool" >&2
    exit 2
  }
done

answer=$(mktemp) || exit 2
created=''
passed=0
failed=0
type="smoke_$$_$(date +%s)"

# call METHOD PATH [JSON]: the status in $status, the body in $answer
call() {
  method=$1
  path=$2
  set -- --silent --show-error --max-time 15 --output "$answer" --write-out '%{http_code}' --request "$method" "$base$path" \
    ${3:+--header 'Content-Type: application/json' --data "$3"}
  [ -z "${API_TOKEN:-}" ] || set -- "$@" --header "Authorization: Bearer $API_TOKEN"
  status=$(curl "$@") || status=000
}

# create JSON: the id in $id
create() {
  call POST /api/events "$1"
  id=$(jq -r '.id // empty' "$answer" 2>/dev/null)
  created="$created $id"
}

# holds STATUS FILTER: the last call answered STATUS, with a body for which the jq filter is true
holds() {
  [ "$status" = "$1" ] && { [ -z "${2:-}" ] || jq -e --arg type "$type" "$2" "$answer" >/dev/null 2>&1; }
}

# step NAME CODE: CODE is the exit code of the check before
step() {
  number=$((passed + failed + 1))
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok   %2d  %s\n' "$number" "$1"
  else
    failed=$((failed + 1))
    printf 'FAIL %2d  %s (status %s: %.300s)\n' "$number" "$1" "$status" "$(cat "$answer" 2>/dev/null)"
  fi
}

clean_up() {
  for id in $created; do call DELETE "/api/events/$id"; done
  rm -f "$answer"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

call GET /api/events/stats
holds 200 '(.total_events | type) == "number" and (.events_by_severity | keys) == ["critical","error","info","warning"]'
step 'stats' $?
total=$(jq -r '.total_events // 0' "$answer" 2>/dev/null)

create "{\"event_type\":\"$type\",\"severity\":\"info\",\"message\":\"minimal\"}"
first=$id
holds 201 '.event_type == $type and .details == null and .source == null'
step 'create a minimal event' $?

create "{\"event_type\":\"$type\",\"severity\":\"warning\",\"message\":\"full\",\"details\":{\"disk\":{\"used\":0.93}},\"source\":\"smoke\",\"timestamp\":\"2026-01-31T10:30:00+01:00\"}"
full=$id
holds 201 '.details.disk.used == 0.93 and .source == "smoke" and .timestamp == "2026-01-31T09:30:00.000Z"'
step 'create a full event' $?

call GET "/api/events/$full"
holds 200 ".id == ${full:-0} and .message == \"full\""
step 'get an event' $?

call GET '/api/events?limit=5'
holds 200 'type == "array" and length >= 1 and length <= 5'
step 'list events' $?

call GET "/api/events/type/$type"
holds 200 'length == 2 and all(.event_type == $type)'
step 'filter by type' $?

call GET "/api/events?event_type=$type&severity=warning"
holds 200 'length == 1 and .[0].severity == "warning"'
step 'filter by severity' $?

call PUT "/api/events/$full" '{"message":"changed","source":null}'
holds 200 '.message == "changed" and .source == null and .details.disk.used == 0.93'
step 'update an event' $?

severities=0
for severity in info warning error critical; do
  create "{\"event_type\":\"$type\",\"severity\":\"$severity\",\"message\":\"all severities\"}"
  holds 201 || severities=1
done
step 'create one event of each severity' $severities

call GET /api/events/stats
holds 200 ".total_events >= ${total:-0} + 6 and .events_by_severity.critical >= 1"
step 'stats count them' $?

call DELETE "/api/events/$first"
deleted=$status
call GET "/api/events/$first"
[ "$deleted" = 204 ] && holds 404 ".detail == \"Event ${first:-0} not found\""
step 'delete an event, and it is gone' $?

call POST /api/events '{"event_type":"","severity":"fatal"}'
holds 422 '(.errors | map(.pointer) | sort) == ["#/event_type","#/message","#/severity"]'
step 'an invalid event is refused, with every reason' $?

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
