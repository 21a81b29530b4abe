#!/usr/bin/env bash
# An agent in plain shell: sends a task and two notes, works on its inbox under leases, answers, acknowledges. All it needs
# is curl and jq. What it prints, a line for each step with tabs in between, is told in the README one folder up.
set -euo pipefail

url=${AGENTBUS_URL:-http://127.0.0.1:8091}
me=${AGENTBUS_AGENT:-sue}
peer=${AGENTBUS_PEER:-$me}
text="Grüße · 日本語 · 🚀"
# A task and two notes from another agent, and the answer to its own task.
expected=4

tell() { local IFS=$'\t'; printf '%s\n' "$*"; }

new_id() { cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen; }

# What a detail of the last refusal says; nothing if it has none of this kind.
detail() { jq -r --arg type "google.rpc.$1" '.details[]? | select(.type == $type) | .debug | '"$2" <<<"$answer"; }

# call METHOD JSON: the answer is in $answer, and the exit code says whether it is one or a refusal. Repeats the very same
# request, with its requestId, for as long as the bus says when to.
call() {
  local status wait
  while true; do
    # The last line is the status. The deadline is longer than any wait below.
    answer=$(curl -sS --max-time 40 -w '\n%{http_code}' -H 'content-type: application/json' \
      -H "x-bus-token: ${AGENTBUS_TOKEN:-}" -d "$2" "$url/agentbus.v1.MessageBus/$1")
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    [ "$status" = 200 ] && return 0
    wait=$(detail RetryInfo .retryDelay)
    [ -n "$wait" ] || return 1
    tell refused "$(detail ErrorInfo .reason)" "$(jq -rn --arg wait "$wait" '$wait[:-1] | tonumber * 1000 | ceil')"
    sleep "${wait%s}"
  done
}

must() { call "$@" || { echo "$1: $answer" >&2; exit 1; }; }

send() {
  must Send "$1"
  jq -r --argjson request "$1" '["sent", $request.subject, .id, .deduplicated] | @tsv' <<<"$answer"
}

# pull MAX_MESSAGES LEASE_SECONDS: waits until there is mail, and leases it; $pulled has it.
pull() {
  pulled='{"messages": []}'
  until jq -e '.messages != []' <<<"$pulled" >/dev/null; do
    must PullInbox "$(jq -nc --arg me "$me" --arg id "$(new_id)" --argjson max "$1" --argjson lease "$2" \
      '{agent: $me, maxMessages: $max, leaseSeconds: $lease, waitSeconds: 30, requestId: $id}')"
    pulled=$answer
    jq -r '.messages[] | ["got", .subject, .id, .from, .body, .deliveryAttempt, .inReplyTo // ""] | @tsv' <<<"$pulled"
  done
}

# task_or_note SUBJECT: a request with an id of its own.
task_or_note() {
  jq -nc --arg me "$me" --arg peer "$peer" --arg subject "$1" --arg text "$text" --arg id "$(new_id)" \
    '{from: $me, to: $peer, subject: $subject, body: $text, requestId: $id}'
}

must RegisterAgent "$(jq -nc --arg me "$me" '{agent: $me, description: "a shell agent (curl)"}')"
tell registered "$(jq -r .agent.name <<<"$answer")"

call GetMessage "$(jq -nc --arg me "$me" '{agent: $me, messageId: "no-such-message"}')" ||
  tell error "$(detail ErrorInfo .reason)"

task=$(task_or_note Task) note1=$(task_or_note "Note 1") note2=$(task_or_note "Note 2")
send "$task"
send "$note1"
send "$note2"
send "$task" # as if its answer had been lost

pull 1 1 # as if it had died over this one: it comes again
acked=0
while [ "$acked" -lt "$expected" ]; do
  pull 10 30
  # A task is answered; notes and answers are only read. Whoever works on it again answers once: by the requestId.
  while read -r answering; do
    send "$answering"
  done < <(jq -c --arg me "$me" '.messages[] | select(.subject == "Task")
    | {from: $me, to: .from, subject: "Re: \(.subject)", body: "done: \(.body)", inReplyTo: .id, requestId: "reply:\(.id)"}' <<<"$pulled")
  must Ack "$(jq -c --arg me "$me" '{agent: $me, messageIds: [.messages[].id], leaseId}' <<<"$pulled")"
  count=$(jq .ackedCount <<<"$answer")
  tell acked "$count"
  acked=$((acked + count))
done

began=$(date +%s%N)
must PullInbox "$(jq -nc --arg me "$me" '{agent: $me, waitSeconds: 2}')"
tell quiet "$(jq '.messages | length' <<<"$answer")" "$((($(date +%s%N) - began) / 1000000))"
