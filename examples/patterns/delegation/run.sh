#!/bin/sh
# A chain of delegation: user -> manager -> specialist -> manager -> user.
# It needs a bus: the one that AGENTBUS_URL names, or "agentbus serve" on this machine.
set -eu
cd "$(dirname "$0")"

agentbus work specialist --reply -- ./specialist.sh &
specialist=$!
agentbus work manager -- ./manager.sh &
manager=$!
trap 'kill $specialist $manager; wait' EXIT

# The user only knows the manager.
agentbus ask manager "The quick brown fox jumps over the lazy dog" -s "Count the words" --timeout 1m --as user
