#!/bin/sh
# The manager. A task that comes in goes to the specialist; the specialist's result goes back to whoever set the task.
#   agentbus work manager -- ./manager.sh
# It keeps no list of open tasks: each message names the one that it answers, and the bus remembers them all.
set -eu

if [ -z "${AGENTBUS_IN_REPLY_TO:-}" ]; then
  # A task. --reply-to ties what is delegated to it. Should this script die half-way and run again, the same --request-id
  # makes sure that nothing is delegated twice.
  exec agentbus send specialist - -s "$AGENTBUS_SUBJECT" \
    --reply-to "$AGENTBUS_MESSAGE_ID" --request-id "delegate-$AGENTBUS_MESSAGE_ID"
fi

# A result: it answers what was delegated, and that answers the task.
task=$(agentbus show "$AGENTBUS_IN_REPLY_TO" | sed -n '/^$/q; s/^In-Reply-To: //p')
exec agentbus reply "$task" - --request-id "result-$AGENTBUS_MESSAGE_ID"
