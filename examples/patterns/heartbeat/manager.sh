#!/bin/sh
# One heartbeat of the manager: takes in what the workers report, and shows it. In a crontab, a minute after them:
#   1-59/5 * * * *  /path/to/manager.sh
set -eu
cd "$(dirname "$0")"
BOARD=${BOARD:-./board}
export BOARD
mkdir -p "$BOARD"

agentbus work manager --once -- ./note.sh || [ $? -eq 3 ]
grep -H . "$BOARD"/* | sed 's|.*/||'
