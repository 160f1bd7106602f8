#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Origins that go away, come back, change what they serve, and nodes whose clock is wrong by ten years.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/lib.sh"

off=20
[ "${SNOWBOOT_LONG:-}" != 1 ] || off=600

# Off during a boot, then back.
start_origin
start_node off
begin_read off
end "$origin" KILL
kill -0 "$reader" 2>/dev/null || fail 'the reader was done before the origin went off'
sleep "$off"
start_origin
read_rest "the origin off for $off s" $((off + 15))
end "${pid[off]}"

# Clocks. The monotonic ones go on; the origin's Date helps a node that is ahead.
if command -v faketime >/dev/null; then
	export FAKETIME_DONT_FAKE_MONOTONIC=1
	for years in -10 +10; do
		node_prefix=(faketime -f "${years}y")
		start_node "clock$years"
		node_prefix=()
		megabytes=2 read_all "a clock wrong by $years years" "clock$years" 10
		end "${pid[clock$years]}"
	done
else
	skip 'faketime is missing'
fi

# Another system under a running node; who starts afterwards gets the new one.
end "$origin"
ln -s "$system" "$tmp/current"
served=$tmp/current
start_origin
start_node old
begin_read old
ln -sfn "$(fixture scripted-2)" "$tmp/current"
until curl -fs --max-time 300 "$url/v1/manifests/default" | grep -q "^system $(fixture scripted-2)\$"; do sleep 0.3; done
read_rest 'the manifest swapped' 10
start_node new
check_equal "the new node's system" "$(status_of new | sed -n 's/^"system":"\(.*\)",$/\1/p')" "$(fixture scripted-2)"
end "${pid[new]}"
end "${pid[old]}"
ln -sfn "$system" "$tmp/current"
end "$origin"
start_origin

# Off for good after the first complete node: the second has everything from it.
start_node first --complete
for ((i = 0; i < 3000; i++)); do [ "$(number first prefetch complete)" = 0 ] || break; sleep 0.1; done
[ "$(number first prefetch complete)" = 1 ] || fail "the first node is not complete: $(status_of first)"
start_node second
wait_number second swarm members 2
end "$origin" KILL
before=$(number second received origin_bytes)
read_all 'the origin off after the first complete node' second 15
check_equal 'bytes from the dead origin' "$(number second received origin_bytes)" "$before"
