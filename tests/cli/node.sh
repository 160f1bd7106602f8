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
