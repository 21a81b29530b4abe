#!/bin/sh
# An agent that knows things: a question comes on stdin, and what it prints is the answer.
#   agentbus work librarian --reply --concurrency 4 -- ./librarian.sh
set -eu

question=$(cat)
# -F and --: a question is text of somebody else, and no pattern or option.
grep -iF -- "$question" facts.txt || echo "I know nothing about \"$question\"."
