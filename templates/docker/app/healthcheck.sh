#!/bin/bash
# Exits 0 while the process answers GET /healthz. Bash alone: a Node for every look would cost more than what it looks at.
set -u
exec 3<>"/dev/tcp/127.0.0.1/${OPENCLAW_HA_PORT:-18789}" 2>/dev/null || exit 1
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
IFS= read -r -t 3 status <&3 || exit 1
[[ $status == 'HTTP/1.'?' 200'* ]]
