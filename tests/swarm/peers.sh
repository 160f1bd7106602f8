#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Peers that corrupt, crawl, say nothing or claim what they do not have: the reader sees no wrong byte and no error, and waits
# for no longer than is printed.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/lib.sh"

start_origin
for how in corrupt slow silent hollow; do
	start_liar "$how"
	start_node "$how"
	wait_number "$how" swarm members 2
	# On a busy machine it may be too slow to be connected to at first, and is left alone for a while.
	for _ in 1 2 3 4 5 6 7 8; do
		read_all "a $how peer" "$how" 10
		! grep -q '^believed' "$tmp/liar.out" || break
		sleep 2
	done
	counters=$(status_of "$how" | /usr/bin/python3 -c 'import json, sys
s = json.load(sys.stdin)["swarm"]
print(", ".join(f"{k} {s[k]}" for k in ("corrupt", "timeouts", "quarantines", "hedges")))')
	[ "$how" != corrupt ] || [ "$(number "$how" swarm corrupt)" -gt 0 ] || fail "no corrupt chunk was seen: $counters"
	# Nothing else gave it away.
	case $how in slow | silent | hollow) check_equal "corrupt chunks of a $how peer" "$(number "$how" swarm corrupt)" 0 ;; esac
	end "${pid[$how]}"
	end_liar
	[ "$asked" -gt 0 ] || fail "nobody asked the $how peer"
	echo "  asked $asked times; $counters"
done

# All of them beside an honest one that is complete.
start_node honest --complete
for ((i = 0; i < 1200; i++)); do [ "$(number honest prefetch complete)" = 0 ] || break; sleep 0.1; done
start_liar corrupt
start_node last
wait_number last swarm members 3
before=$(number last received origin_bytes)
read_all 'a corrupt peer beside an honest one' last 10
echo "  from the origin: $(($(number last received origin_bytes) - before)) bytes"
