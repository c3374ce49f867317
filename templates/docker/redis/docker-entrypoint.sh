#!/bin/sh
# As the official image: arguments of redis-server may come alone, root becomes redis, and protected mode is off, since
# who may reach the port is decided by the container's network.
set -e

case $1 in
  -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
  case " $* " in
    *' --protected-mode '*) ;;
    *) set -- "$@" --protected-mode no ;;
  esac
  if [ "$(id -u)" = 0 ]; then
    chown -R redis:redis /data
    exec gosu redis "$@"
  fi
fi
exec "$@"
