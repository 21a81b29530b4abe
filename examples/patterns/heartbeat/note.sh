#!/bin/sh
# Notes one report: a file for each agent, with the last word it had. A report that came twice would change nothing.
# (The name of an agent is letters, digits and . _ -, and begins with a letter or digit: it can be the name of a file.)
set -eu

printf '%s %s\n' "$AGENTBUS_TIMESTAMP" "$(cat)" > "$BOARD/$AGENTBUS_FROM"
