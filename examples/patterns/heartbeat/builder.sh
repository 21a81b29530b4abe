#!/bin/sh
# One heartbeat of a worker that is not always there. In a crontab:
#   */5 * * * *  /path/to/builder.sh
# It does what waits, leaves, and tells the manager how it stands.
set -eu
cd "$(dirname "$0")"

code=0
agentbus work builder --once --timeout 4m -- ./build.sh || code=$?
case $code in
  0) status="did all that waited" ;;
  3) status="had nothing to do" ;;
  *) status="could not do everything; it will try again" ;;
esac
# While the bus is away the report is kept on this host (exit code 4) and goes out with the next heartbeat.
agentbus send manager "$status" -s "Status" --as builder || [ $? -eq 4 ]
