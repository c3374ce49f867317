#!/bin/sh
# Writes a minimal Debian as a tar archive to stdout, for `docker import`; needs root and debootstrap, and no registry.
#   rootfs.sh [SUITE] [MIRROR]
set -eu
suite=${1:-bookworm}
mirror=${2:-http://deb.debian.org/debian}

# debootstrap mounts /proc below its target. In a mount namespace of our own nothing stays mounted, however this ends,
# and the removal below can never reach the real one.
if [ -z "${IN_NAMESPACE:-}" ]; then
  IN_NAMESPACE=yes exec unshare --mount --propagation private -- "$0" "$suite" "$mirror"
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
root=$work/root

debootstrap --variant=minbase "$suite" "$root" "$mirror" >&2
umount "$root/proc" "$root/sys" 2>/dev/null || true
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* \
  "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/var/log/*.log
cat >"$root/etc/apt/sources.list" <<SOURCES
deb $mirror $suite main
deb $mirror $suite-updates main
deb http://deb.debian.org/debian-security $suite-security main
SOURCES
# What the machine that built it was called and where it asked for names is no part of an image.
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
tar -C "$root" --numeric-owner --one-file-system -c .
