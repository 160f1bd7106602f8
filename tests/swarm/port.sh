#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Garbage, slowloris and 10,000 connections against a node's port: its own reads go on, and so does what it gives to peers.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/lib.sh"

megabytes=40
start_origin
start_node victim
start_node peer
for kind in garbage slowloris connections; do
	/usr/bin/python3 "$(dirname "$0")/attack.py" "${port[victim]}" "$kind" >"$tmp/attack" 2>&1 &
	attack=$!
	run_at_exit "end $attack KILL"
	sleep 3
	for ((i = 0; i < 1200; i++)); do
		[ "$kind" = connections ] && ! grep -q '^10000 connections' "$tmp/attack" || break
		sleep 0.1
	done
	read_all "under $kind" victim 5
	read_all "a peer of who is under $kind" peer 10
	kill -0 "$attack" 2>/dev/null || fail "the attack ended: $(cat "$tmp/attack")"
	end "$attack" KILL
	cat "$tmp/attack"
	beyond=$(($(number victim process resident_bytes) - $(number victim cache memory_bytes)))
	echo "  resident beyond the cache: $((beyond >> 20)) MiB"
	[ "$((beyond >> 20))" -lt 64 ] || fail "the node grew to $((beyond >> 20)) MiB"
	kill -0 "${pid[victim]}" || fail "the node died: $(tail "$tmp/victim.log")"
done
# Afterwards it answers everybody again.
for ((i = 0; i < 100; i++)); do
	! curl -fs --max-time 2 -o /dev/null "http://127.0.0.1:${port[victim]}/v1/status" || break
	sleep 0.5
done
curl -fs --max-time 5 "http://127.0.0.1:${port[victim]}/v1/status" >"$tmp/after" || fail 'the port does not answer any more'
