#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot node`: what it refuses, and a node that only shares.
. "$(dirname "$0")/../lib/cli.sh"

node() { "$snowboot" node "$@"; }
key=$("$snowboot" key generate node-test-1 -o "$tmp/secret")

# Configuration.
check_fails 1 "snowboot: no key is named to hold 'default' against
hint: 'snowboot key generate' makes one, and the origin needs it" node --name default --origin http://127.0.0.1:1
check_fails 2 "snowboot: no origin is named
hint: name one: http://ADDRESS:PORT" node --name default --key "$key"
check_fails 2 "snowboot: '../x' is not the name of a system" node --name ../x --key "$key" --origin http://127.0.0.1:1
check_fails 2 "snowboot: 'snowboot node' does not take 'operand'
hint: see 'snowboot node --help'" node operand
check_fails 2 "snowboot: --site '01234567890123456789012345678901' has 32 bytes > max 31" \
	node --site 01234567890123456789012345678901
printf 'port 70000\n' >"$tmp/conf"
check_fails 1 "snowboot: '$tmp/conf': node configuration: line 1: 70000 > max 65535" node --config "$tmp/conf"
printf 'no key\n' >"$tmp/conf"
run node --key "$tmp/conf"
[ "$status" = 1 ] || fail "a file that is no key: $status"
check_stderr "^snowboot: '$tmp/conf': "
run node --key nonsense
[ "$status" = 2 ] || fail "an option that is no key: $status"
check_stderr '^snowboot: --key: neither a file nor a key: '

# begin_node ARGUMENT…: starts one in the background; its output is in $tmp/node. wait_line PATTERN: until it says so.
begin_node() {
	: >"$tmp/node" # it is read before the program runs
	"$snowboot" node "$@" >"$tmp/node" 2>&1 &
	node=$!
	run_at_exit "kill $node 2>/dev/null"
}
wait_line() {
	local i
	for ((i = 0; i < 200; i++)); do
		grep -Eq -- "$1" "$tmp/node" && return
		kill -0 "$node" 2>/dev/null || break
		sleep 0.1
	done
	fail "no line '$1' in: $(cat "$tmp/node")"
}
end_node() {
	kill "$node"
	wait "$node" || fail "the node ended with $?: $(cat "$tmp/node")"
}
# ask PATH: what it answers on its unix socket.
ask() { curl -sS --max-time 10 --unix-socket "$tmp/state/node.sock" "http://node$1"; }

# It only shares: says so, tells its state, ends on a signal and leaves no socket behind.
begin_node --state-dir "$tmp/state" --cache "$tmp/state" --cache-size 16M
wait_line '^sharing$'
check_equal step "$(ask /v1/status | python3 -c 'import json, sys; print(json.load(sys.stdin)["step"])')" sharing
ask /metrics >"$tmp/metrics"
grep -qx 'snowboot_node_cache_disk_usable 1' "$tmp/metrics" || fail "no usable disk: $(grep cache "$tmp/metrics")"
end_node
[ ! -e "$tmp/state/node.sock" ] || fail 'the socket is left behind'

# From a server to a block device, byte for byte the image that `build squashfs` writes; and from its disk when the server is gone.
command -v nbdcopy >/dev/null || skip 'needs nbdcopy (libnbd-bin)'
system=$(fixture scripted)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
mkdir -p "$tmp/serve" "$tmp/cache"
: >"$tmp/server"
"$snowboot" serve --dhcp off --listen 127.0.0.1:0 --state "$tmp/serve" "$system" >"$tmp/server" 2>&1 &
server=$!
run_at_exit "kill $server 2>/dev/null"
for ((i = 0; i < 1200; i++)); do
	url=$(sed -n 's/^serving at \(.*\)\/$/\1/p' "$tmp/server")
	[ -n "$url" ] && curl -sf --max-time 60 -o /dev/null "$url/v1/manifests/default" && break
	kill -0 "$server" || fail "the server ended: $(cat "$tmp/server")"
	sleep 0.2
done
check_ok "$snowboot" build squashfs -q "$system" -o "$tmp/image"

# copy_image: compares what the node serves with the image, read by many requests at a time.
copy_image() {
	nbdcopy "nbd+unix:///?socket=$tmp/nbd" "$tmp/copy" || fail "nbdcopy failed: $(cat "$tmp/node")"
	cmp "$tmp/image" "$tmp/copy" || fail "the node serves another image: $(cat "$tmp/node")"
	rm "$tmp/copy"
}
# number PATH: of the node's status.
number() { ask /v1/status | python3 -c 'import functools, json, sys
print(functools.reduce(lambda o, k: o[k], sys.argv[1].split("."), json.load(sys.stdin)))' "$1"; }

as_client=(--origin "$url" --name default --key "$tmp/serve/key.pub" --nbd-socket "$tmp/nbd" --state-dir "$tmp/state"
	--cache "$tmp/cache" --cache-size 600M --memory 64M)
begin_node --complete "${as_client[@]}"
wait_line "^ready: 'default', [0-9.]+ MiB\$"
grep -q '^snowboot-plan 1$' "$tmp/state/plan" || fail 'no plan'
[ "$(sqlite3 "$tmp/state/db/db.sqlite" 'select count(*) from ValidPaths')" = "$(nix-store -qR "$system" 2>/dev/null | wc -l)" ] ||
	fail 'the database has other paths than the closure'
# Whole on the disk, however slow that is; nothing is fetched much more than once.
for ((i = 0; i < 600; i++)); do
	[ "$(number prefetch.complete)" = 1 ] && break
	sleep 0.2
done
check_equal complete "$(number prefetch.complete)" 1
check_equal step "$(number step)" complete
[ "$(number received.origin_bytes)" -lt "$(($(number image.data_bytes) * 106 / 100))" ] || fail "too much: $(ask /v1/status)"
copy_image
sleep 2 # what was a buffer is given back
known=$(($(number image.metadata_bytes) + $(number image.index_bytes)))
beyond=$(($(number process.resident_bytes) - $(number cache.memory_bytes)))
printf 'resident beyond the cache: %d KiB, %d KiB of it for the system\n' $((beyond / 1024)) $((known / 1024))
[ "$beyond" -lt $((24 << 20)) ] || fail "the node holds $beyond bytes beyond its cache: $(ask /v1/status)"
end_node

kill "$server"
wait "$server" || fail "the server ended with $?"
begin_node "${as_client[@]}"
wait_line "no origin answers, using serial 1 of 'default' from the cache instead"
wait_line '^ready: '
copy_image
check_equal bytes "$(number received.origin_bytes)" 0
end_node

# A key that did not sign it.
"$snowboot" serve --dhcp off --listen "${url#http://}" --state "$tmp/serve" "$system" >"$tmp/server" 2>&1 &
server=$!
run_at_exit "kill $server 2>/dev/null"
for ((i = 0; i < 600; i++)); do
	curl -sf --max-time 60 -o /dev/null "$url/v1/manifests/default" && break
	sleep 0.2
done
run "$snowboot" node --origin "$url" --name default --key "$key"
[ "$status" = 1 ] || fail "an unknown key: status $status"
check_stderr "^snowboot: origin '$url': manifest 'default' .*key"
check_fails 1 "$(printf "cannot get '%s/v1/manifests/other': there is none, passing it over
snowboot: cannot get '%s/v1/manifests/other': there is none
hint: the origin must serve a system by the name 'other'" "$url" "$url")" \
	"$snowboot" node --origin "$url" --name other --key "$key"
