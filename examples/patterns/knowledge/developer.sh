#!/bin/sh
# An agent that needs to know something before it goes on: it asks, waits, and uses the answer.
set -eu

# The text of the answer stands between its headings and the line that ends it.
answer=$(agentbus ask librarian "api-port" --timeout 1m --as developer | sed '1,/^$/d; $d')
echo "developer: was told \"$answer\", and goes on."
