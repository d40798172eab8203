#!/bin/sh
# Makes what deploy/compose.yaml needs once and nobody else may have: secrets/ (the cluster's key, Redis' password), state/ (what
# the nodes and Redis keep) and .env (whose files these are). What is there already stays as it is.
#
#     deploy/prepare.sh [DIRECTORY]        usually deploy itself
set -eu

cd "${1:-$(dirname "$0")}"
umask 077

secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

mkdir -p secrets state/node1 state/node2 state/redis
if [ ! -e secrets/cluster-key ]; then
    secret >secrets/cluster-key
fi
if [ ! -e secrets/redis.conf ] || [ ! -e secrets/karezd.yaml ]; then
    password=$(secret)
    printf 'requirepass %s\nappendonly yes\nappendfsync everysec\ndir /data\n' "$password" >secrets/redis.conf
    printf 'store: redis://:%s@redis:6379/0\n' "$password" >secrets/karezd.yaml
fi

# Containers run as whoever owns these files; as root, they are given to the image's own user.
uid=$(id -u)
gid=$(id -g)
if [ "$uid" -eq 0 ]; then
    uid=65532
    gid=65532
    chown -R "$uid:$gid" secrets state
fi
[ -e .env ] || printf 'COMPOSE_PROJECT_NAME=karez\nKAREZ_UID=%s\nKAREZ_GID=%s\nKAREZ_DOMAIN=tunnel.example.com\n' "$uid" "$gid" >.env
echo "prepare: secrets/, state/ and .env are here; set KAREZ_DOMAIN in .env, then: docker compose up -d"
