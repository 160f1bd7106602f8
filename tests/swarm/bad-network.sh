#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A network that delays by 50 ms each way, loses 5 % of all packets and lets 5 % be overtaken: a node boots over it from
# plain files and from an origin with links, and every read is right.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/network.sh"

relay=${RELAY:?the relay program}
seed=${SEED:-$RANDOM}
echo "SEED=$seed"
system=$(fixture scripted)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
key=$("$snowboot" key generate bad-1 -o "$tmp/secret")
check_ok "$snowboot" publish "$system" --to "$tmp/www" --key "$tmp/secret" --state "$tmp/publish"

namespace origin
namespace client
"$relay" "$lab-origin" "$lab-client" 50 5 5 "$seed" >"$tmp/relay" 2>&1 &
relay_pid=$!
run_at_exit "end $relay_pid $relay"
for _ in $(seq 100); do
	grep -qs ready "$tmp/relay" && break
	sleep 0.1
done
for end in "origin 10.8.0.1 10.8.0.2" "client 10.8.0.2 10.8.0.1"; do
	# shellcheck disable=SC2086 # three words
	set -- $end
	ip -n "$lab-$1" addr add "$2" peer "$3" dev bad0
	ip -n "$lab-$1" link set bad0 up
done
ip netns exec "$lab-client" ping -c 5 -i 0.2 -W 2 10.8.0.1 >"$tmp/ping" || fail "the relay passes nothing: $(cat "$tmp/ping")"

# reads NAME COUNT SEED SECONDS: the digest of that many reads of 16 KiB here and there, one at a time and then 16 at once;
# none may take longer.
reads() {
	/usr/bin/python3 - "$tmp/$1.nbd" "$2" "$3" "$4" <<-'END'
		import hashlib, random, sys, time
		import nbd  # Debian's, for Debian's Python
		h = nbd.NBD()
		h.connect_unix(sys.argv[1])
		r = random.Random(sys.argv[3])
		places = [r.randrange(h.get_size() // 16384) * 16384 for _ in range(int(sys.argv[2]))]
		digest, longest, half = hashlib.sha256(), 0, len(places) // 4
		for place in places[:half]:
		    begun = time.monotonic()
		    digest.update(h.pread(16384, place))
		    longest = max(longest, time.monotonic() - begun)
		begun = time.monotonic()
		for i in range(half, len(places), 16):
		    waiting = [(nbd.Buffer(16384), place) for place in places[i:i + 16]]
		    cookies = [h.aio_pread(buffer, place) for buffer, place in waiting]
		    begun_some = time.monotonic()
		    while h.aio_in_flight() > 0:
		        h.poll(-1)
		    longest = max(longest, time.monotonic() - begun_some)
		    assert all(h.aio_command_completed(cookie) for cookie in cookies)
		    for buffer, _ in waiting:
		        digest.update(buffer.to_bytearray())
		print(digest.hexdigest())
		print(f"the longest of {len(places)} reads took {longest:.2f} s, those by sixteens {time.monotonic() - begun:.1f} s",
		      file=sys.stderr)
		sys.exit(longest > float(sys.argv[4]))
	END
}

# What is right: a node in the origin's own namespace reads it.
web_server origin "$tmp/www"
node origin --origin http://127.0.0.1 --name default --key "$key" --no-peers
reference_pid=$node_pid
wait_line origin 120 '^ready: '
expected=$(reads origin 240 "$seed" 10) || fail 'the reference cannot be read'
end "$reference_pid" "$snowboot"

# over_bad_network WHAT URL: boots from there and reads the same.
over_bad_network() {
	local begun=$SECONDS
	node client --origin "$2" --name default --key "$key" --no-peers
	wait_line client 240 '^ready: '
	echo "$1: ready after $((SECONDS - begun)) s"
	local got
	got=$(reads client 240 "$seed" 20) || fail "$1: a read failed, or took longer than 20 s"
	check_equal "what is read from $1" "$got" "$expected"
	check_equal "reads that failed from $1" "$(status client 'reads["failed"]')" 0
	end "$node_pid" "$snowboot"
}
over_bad_network 'plain files' http://10.8.0.1

(exec ip netns exec "$lab-origin" "$snowboot" serve --dhcp off --listen 10.8.0.1:8080 --key "$tmp/secret" \
	--state "$tmp/serve" "$system") >"$tmp/serve.log" 2>&1 &
serve_pid=$!
run_at_exit "end $serve_pid $snowboot"
for _ in $(seq 300); do
	ip netns exec "$lab-origin" curl -fs -o "$tmp/answer" http://10.8.0.1:8080/v1/manifests/default && break
	sleep 0.2
done
over_bad_network 'an origin with links' http://10.8.0.1:8080

kill "$relay_pid"
wait "$relay_pid" || true
cat "$tmp/relay"
# It did what it is for.
awk '/forwarded/ { bad = $3 > 0 && $5 > 0 } END { exit !bad }' "$tmp/relay" || fail 'the relay lost or delayed nothing'
