#!/bin/sh
# Status reports on a heartbeat: what cron would do in ten minutes, at once.
# It needs a bus: the one that AGENTBUS_URL names, or "agentbus serve" on this machine.
set -eu
cd "$(dirname "$0")"
BOARD=${BOARD:-$(mktemp -d)}
export BOARD

agentbus send builder "website" -s "Build" --as user
agentbus send builder "handbook" -s "Build" --as user
./builder.sh
./manager.sh
./builder.sh
./manager.sh
