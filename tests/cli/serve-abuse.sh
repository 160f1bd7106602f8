#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve` and clients that nobody wishes for: each is answered, or cut, and everybody else is served meanwhile.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

here=$(cd "$(dirname "$0")" && pwd)
system=$(fixture scripted)
name=$(basename "$system")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state")
abuse() { timeout 600 python3 "$here/http_abuse.py" "${url##*:}" "$@" || fail "http_abuse.py $*"; }
files_open() { find "/proc/$server/fd" -mindepth 1 | wc -l; }

start first "$system"
check_equal "limit of descriptors" "$(awk '/^Max open files/ { print $4 }' "/proc/$server/limits")" \
	"$(awk '/^Max open files/ { print $5 }' "/proc/$server/limits")"
get "$url/boot/default/initrd" >"$tmp/initrd"
open=$(files_open)
memory=$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")

timeout 600 python3 "$here/http_abuse.py" "${url##*:}" slow "$name" "$tmp/first.out" &
slow=$!
abuse answers "$name"
abuse leavers "$name"
abuse watchers
wait "$slow" || fail "a byte a second"
wait_line "$tmp/first.out" "initrd: /boot/$name/initrd [0-9.]+ [kM]B of .*, the client stopped reading\$"

# Meanwhile somebody takes all that time for an initrd, as a client of a slow line does.
size=$(stat -c %s "$tmp/initrd")
get --limit-rate "$((size / 45))" --max-time 900 "$url/boot/default/initrd" >"$tmp/steady" &
steady=$!
abuse idle 10000
wait "$steady" || fail "the steady client was cut"
cmp "$tmp/initrd" "$tmp/steady"

# All places are held by clients that read too fast to be dead, and too slowly to be of use.
abuse readers "$name" 1024
wait_line "$tmp/first.out" \
	"initrd: /boot/$name/initrd [0-9.]+ [kM]B of .*, another client needs its place: it read [0-9]+ < 4096 bytes a second\$"

# All of them are gone, and so is what they cost.
for _ in $(seq 100); do
	[ "$(files_open)" -gt $((open + 4)) ] || break
	sleep 0.2
done
[ "$(files_open)" -le $((open + 4)) ] || fail "$(files_open) descriptors are open, $open were"
grown=$(($(awk '/^VmRSS/ { print $2 }' "/proc/$server/status") - memory))
[ "$grown" -lt 49152 ] || fail "the server grew by $grown KiB"
get "$url/boot/default/initrd" | cmp - "$tmp/initrd"
stop "$server"

# With few descriptors the same holds: the places are as many as there are descriptors for.
launch few bash -c 'ulimit -n 256; exec "$@"' - "$snowboot" serve --dhcp off "${serve_arguments[@]}" "$system"
check_equal "limit of descriptors" "$(awk '/^Max open files/ { print $5 }' "/proc/$server/limits")" 256
abuse idle 1000
abuse links 48
get "$url/boot/default/initrd" | cmp - "$tmp/initrd"
stop "$server"
