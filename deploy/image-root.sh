#!/bin/sh
# Puts the files of a karez image together: the two programs, the libraries they load, what the C library and TLS look up, and
# nothing else. No shell, no package manager.
#
#     deploy/image-root.sh BUILD ROOT      BUILD has karezd and karez; ROOT is made, and must not be there
#
# The Dockerfile copies ROOT into an empty image; test/e2e/test_deploy.py runs karezd in it by chroot.
set -eu

build=$1
root=$2
user=65532

[ ! -e "$root" ] || { echo "image-root: $root is there already" >&2; exit 1; }
mkdir -p "$root/usr/sbin" "$root/usr/bin" "$root/etc/ssl/certs" "$root/etc/karez" "$root/var/lib/karez" "$root/run" "$root/tmp" \
    "$root/proc" "$root/dev"

install -m 755 "$build/karezd" "$root/usr/sbin/karezd"
install -m 755 "$build/karez" "$root/usr/bin/karez"

# Each library at the place where the loader looks for it. What is loaded only on demand is none of ours.
ldd "$build/karezd" "$build/karez" | awk '$2 == "=>" && $3 ~ "^/" { print $3 } $1 ~ "^/" && NF == 2 && $1 !~ ":$" { print $1 }' |
    sort -u | while read -r library; do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
    chmod 755 "$root$library"
done

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/\nkarez:x:%s:%s:karez:/var/lib/karez:/\n' "$user" "$user" >"$root/etc/passwd"
printf 'root:x:0:\nkarez:x:%s:\n' "$user" >"$root/etc/group"
chmod 1777 "$root/tmp"
chmod 700 "$root/var/lib/karez"
# As root it is the user's; else whoever copies the tree says so (COPY --chown).
[ "$(id -u)" -ne 0 ] || chown "$user:$user" "$root/var/lib/karez"
