#!/bin/sh
# An agent that needs to know something before it goes on: it asks, waits, and uses the answer.
set -eu

# --json: the answer alone, without its headings.
answer=$(agentbus ask librarian "api-port" -s "Question" --timeout 1m --json --as developer | jq -r .message.body)
echo "developer: was told \"$answer\", and goes on."
