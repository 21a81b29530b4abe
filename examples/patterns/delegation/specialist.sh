#!/bin/sh
# The specialist. Its trade is counting words: the task comes on stdin, and what it prints is the answer.
#   agentbus work specialist --reply -- ./specialist.sh
set -eu

echo "$(wc -w | tr -d ' ') words"
