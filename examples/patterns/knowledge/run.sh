#!/bin/sh
# A question between two agents: developer asks, librarian answers.
# It needs a bus: the one that AGENTBUS_URL names, or "agentbus serve" on this machine.
set -eu
cd "$(dirname "$0")"

agentbus work librarian --reply --concurrency 4 -- ./librarian.sh &
librarian=$!
trap 'kill $librarian; wait' EXIT

./developer.sh
