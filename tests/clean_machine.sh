#!/usr/bin/env bash
# clean_machine: proves that a bare Debian 12 needs one command, by running it in one made for the purpose.
#
#   tests/clean_machine.sh [--keep] [--folder DIR] [--from DIR.tar] [COMMAND...]
#
#   COMMAND         what to run in a fresh clone of HEAD; default: ./run pipelines/train.yaml configs/test-tiny.yaml
#   --folder DIR    where the Debian goes; default: a new folder in /tmp
#   --from FILE     unpack this tar of a bare Debian instead of making one with debootstrap
#   --keep          leave the folder there
#
# Needs root and, without --from, debootstrap. $MIRROR names the Debian mirror, else this machine's own is used.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder='' from='' keep=''
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --folder) folder=$2; shift ;;
    --from) from=$2; shift ;;
    -*) sed -n '4,11s/^# *//p' "$0" >&2; exit 2 ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || set -- ./run pipelines/train.yaml configs/test-tiny.yaml
[ "$(id -u)" -eq 0 ] || { echo "clean_machine: needs root, for chroot" >&2; exit 1; }

if [ -z "$folder" ]; then
  folder=$(mktemp -d /tmp/clean_machine.XXXXXX)
  chmod 755 "$folder"
elif [ -e "$folder" ]; then
  echo "clean_machine: $folder is there already; a clean machine starts from nothing" >&2
  exit 1
fi
mkdir -p "$folder"

leave() {
  umount "$folder/dev/shm" "$folder/proc" 2>/dev/null || true
  # Only what lies on this file system, should a mount have stayed.
  [ -n "$keep" ] || rm -rf --one-file-system "$folder"
}
trap leave EXIT
trap 'exit 130' INT TERM

if [ -n "$from" ]; then
  tar -C "$folder" -xf "$from"
else
  mirror=${MIRROR:-$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
                     awk '/^deb /{ print $2; exit } /^URIs:/{ print $2; exit }')}
  log=$folder.log
  debootstrap --variant=minbase bookworm "$folder" ${mirror:+"$mirror"} >"$log" 2>&1 || { tail "$log" >&2; exit 1; }
  rm -f "$log"
fi
# A container image comes without package lists.
rm -rf "$folder"/var/lib/apt/lists/*
cp -L /etc/resolv.conf "$folder/etc/resolv.conf"
mount -t proc proc "$folder/proc"
mount -t tmpfs tmpfs "$folder/dev/shm"

git clone -q --no-hardlinks "$root" "$folder/worldline"
echo "clean_machine: $(git -C "$root" rev-parse --short HEAD) on a bare Debian: $*"
started=$SECONDS
status=0
chroot "$folder" /usr/bin/env -i HOME=/ PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  ${CI:+CI="$CI"} bash -c 'cd /worldline && "$@"' - "$@" </dev/null || status=$?
echo "clean_machine: exit status $status after $((SECONDS - started)) s"
exit "$status"
