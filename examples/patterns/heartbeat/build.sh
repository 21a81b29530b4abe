#!/bin/sh
# The work itself: one task on stdin. Anything but exit code 0 means "not done": the task comes again at a later heartbeat.
set -eu

target=$(cat)
echo "builds $target"
[ "$target" != "broken" ]
