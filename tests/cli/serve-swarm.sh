#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Nodes against an origin, end to end on one machine: the image's bytes, leases, profiles, the uplink's limit, boot files from
# a peer, paths that no peer gets, and an origin that ends and comes back.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

PATH=/usr/bin:$PATH nbdsh --help >/dev/null 2>&1 || skip "nbdsh (libnbd-bin, python3-libnbd) is not installed"
system=$(fixture scripted)
name=$(basename "$system")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
state=$tmp/state

serve_arguments=(--state "$state")

# node NUMBER ARGUMENTS…: runs a node in $tmp/node.NUMBER; its pid is ${nodes[NUMBER]}. Ready when this returns.
nodes=()
node() {
	local number=$1 dir=$tmp/node.$1
	shift
	rm -rf "$dir"
	mkdir "$dir"
	printf 'machine-id %032d\n' "$number" >"$dir/conf"
	"$snowboot" node --config "$dir/conf" --name default --key "$state/key.pub" --nbd-socket "$dir/nbd" --state-dir "$dir" \
		--port $((20000 + $$ % 20000 + number)) "$@" >"$dir/log" 2>&1 </dev/null &
	nodes[number]=$!
	run_at_exit "end_program ${nodes[number]}"
}
ready() {
	for _ in $(seq 600); do
		if grep -q '^ready: ' "$tmp/node.$1/log"; then return 0; fi
		kill -0 "${nodes[$1]}" 2>/dev/null || break
		sleep 0.1
	done
	fail "node $1 does not get ready: $(cat "$tmp/node.$1/log")"
}
# leave NUMBER…
leave_nodes() {
	for number in "$@"; do stop "${nodes[number]}"; done
}

# read_image NUMBER FROM TO: reads these MiB through a node, and holds them to the image; says how long the longest read took.
# (nbdsh needs the system's Python.)
read_image() {
	PATH=/usr/bin:$PATH timeout 250 nbdsh -u "nbd+unix:///?socket=$tmp/node.$1/nbd" -c "
import time
image = open('$tmp/image', 'rb')
longest = 0
for at in range($2 << 20, $3 << 20, 128 << 10):
    image.seek(at)
    want = image.read(128 << 10)
    begun = time.monotonic()
    assert h.pread(len(want), at) == want, at
    longest = max(longest, time.monotonic() - begun)
print(f'node $1, MiB $2 to $3: the longest read took {longest:.2f} s')
assert longest < 10, longest" || fail "node $1 gives other bytes, or is late: $(tail -n 3 "$tmp/node.$1/log")"
}

# of NUMBER EXPRESSION: a number of a node's status. of_origin EXPRESSION: of the origin's.
of() { "$snowboot" status --socket "$tmp/node.$1/node.sock" --json | python3 -c "import json, sys; s = json.load(sys.stdin); print($2)"; }
of_origin() { "$snowboot" status "$url" --json | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"; }

check_ok "$snowboot" build squashfs "$system" -o "$tmp/image"

### One node: every byte, then the profile of what it touched.
start first --listen 127.0.0.1:0 "$system"
get "$url/v1/manifests/default" >"$tmp/manifest"
catalog=$(sed -n 's/^catalog \([0-9a-f]*\) .*/\1/p' "$tmp/manifest")
node 1 --origin "$url"
ready 1
nbdcopy "nbd+unix:///?socket=$tmp/node.1/nbd" "$tmp/copy"
cmp "$tmp/copy" "$tmp/image"
rm "$tmp/copy"
for _ in $(seq 100); do
	[ "$(of_origin 's["machines"][0]["counters"]["reads"] > 0 and s["machines"][0]["step"] == "ready"')" = False ] || break
	sleep 0.1
done
[ "$(of_origin 's["sent"]["chunks"]')" -ge "$(of 1 's["received"]["origin_bytes"]')" ] || fail "the origin's and the node's bytes differ"
check_equal "the machine's system" "$(of_origin 's["machines"][0]["system"]')" "$name"
for _ in $(seq 100); do
	get "$url/v1/profiles/$catalog" >"$tmp/profile" 2>/dev/null && break
	sleep 0.1
done
check_equal "the profile's begin" "$(head -c 8 "$tmp/profile")" sbprof01
check_equal "the profile's catalog" "$(tail -c +9 "$tmp/profile" | head -c 32 | od -An -tx1 | tr -d ' \n')" "$catalog"
grep -Eq "^[0-9:]{8} 127\.0\.0\.1 node: $name, joined, issue 1\$" "$tmp/first.out" || fail "no line for the node: $(cat "$tmp/first.out")"

# What stage 1 says when it hands over, and what systemd says to its NOTIFY_SOCKET at the end of its start.
# hears TEXT STEP: told that, the origin knows the machine to be there.
hears() {
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), sys.argv[2])' \
		"$1" "$tmp/node.1/notify"
	for _ in $(seq 100); do
		[ "$(of_origin 's["machines"][0]["step"]')" != "$2" ] || return 0
		sleep 0.1
	done
	fail "the machine's step is not '$2': $(of_origin 's["machines"][0]')"
}
hears $'X_SNOWBOOT_HANDED_OVER=1\n' 'stage 2'
hears $'READY=1\nSTATUS=Startup finished in 3s.' multi-user
grep -Eq "^[0-9:]{8} 127\.0\.0\.1 node: stage 2\$" "$tmp/first.out" || fail "no line for stage 2: $(cat "$tmp/first.out")"
id=$(of_origin 's["machines"][0]["id"]')
check_ok "$snowboot" status "$url" --timeline "$id" --json
python3 - "$tmp/stdout" <<'END'
import json, sys
timeline = json.load(open(sys.argv[1]))["timeline"]
steps = [s["step"] for s in timeline["steps"]]
assert steps[-2:] == ["stage 2", "multi-user"] and "ready" in steps and "first read" in steps, steps
assert sum(timeline["samples"][-1][1:]) > 300000000, timeline["samples"][-1]
END

### The server ends with a node connected, at once; what it learnt is there when it comes back.
port=${url##*:}
get "$url/v1/profiles/$catalog" >"$tmp/profile" # whole now: what is touched after the start does not count
begin=$SECONDS
stop "$server"
[ $((SECONDS - begin)) -lt 5 ] || fail "the server took $((SECONDS - begin)) s to end"
start second --listen "127.0.0.1:$port" "$system"
get "$url/v1/manifests/default" | cmp - "$tmp/manifest"
get "$url/v1/profiles/$catalog" | cmp - "$tmp/profile"
for _ in $(seq 300); do
	[ "$(of_origin 's["swarm"]["members"]')" != 1 ] || break
	sleep 0.1
done
check_equal "members after the restart" "$(of_origin 's["swarm"]["members"]')" 1
leave_nodes 1
for _ in $(seq 100); do
	[ "$(of_origin 's["swarm"]["members"]')" != 0 ] || break
	sleep 0.1
done
check_equal "members when the node left" "$(of_origin 's["swarm"]["members"]')" 0

stop "$server"

### Several nodes at once, behind a narrow uplink: each chunk goes out about once.
start third --listen 127.0.0.1:0 --uplink 64Mbit "$system"
get "$url/v1/manifests/default" >/dev/null
for number in 1 2 3; do node $number --origin "$url"; done
for number in 1 2 3; do ready $number; done
begin=$(date +%s%N)
readers=()
for number in 1 2 3; do
	read_image $number 20 44 &
	readers+=($!)
	sleep 0.3
done
for reader in "${readers[@]}"; do wait "$reader"; done
took_ms=$((($(date +%s%N) - begin) / 1000000))
# What one node has is at most what all together have: reads, and what the profile made it fetch ahead.
unique=0
for number in 1 2 3; do
	received=$(of $number 's["received"]["peer_bytes"] + s["received"]["origin_bytes"]')
	[ "$received" -le "$unique" ] || unique=$received
done
sent=$(of_origin 's["sent"]["chunks"]')
echo "three nodes have at least $unique bytes after $took_ms ms; the origin sent $sent: $((sent * 100 / unique)) %"
[ "$unique" -ge 25000000 ] || fail "a node that read 24 MiB received only $unique bytes"
[ $((sent * 100)) -le $((unique * 112)) ] || fail "the origin sent $sent bytes for $unique"
[ "$took_ms" -ge 2500 ] || fail "24 MiB in $took_ms ms are more than 64 Mbit/s"
[ "$(of 1 's["received"]["peer_bytes"]')" -gt 1000000 ] || fail "node 1 got nothing from peers"
[ "$(of_origin 's["swarm"]["redirects"]')" -gt 0 ] || fail "nobody was sent on to a peer"
get "$url/metrics" | grep -Eq '^snowboot_origin_members 3$' || fail "metrics do not know three members"
leave_nodes 1 2 3
stop "$server"

### Two servers of one state: the node goes on when the one it asks ends.
start left --listen 127.0.0.1:0 "$system"
left=$server left_url=$url
start right --listen 127.0.0.1:0 "$system"
node 1 --origin "$left_url" --origin "$url"
ready 1
read_image 1 0 2
stop "$left"
read_image 1 60 64
leave_nodes 1
stop "$server"

### Paths that no peer gets: from the server, by each node.
start private --listen 127.0.0.1:0 --exclude-from-peers '*' "$system"
for number in 1 2; do node $number --origin "$url"; done
for number in 1 2; do ready $number; done
for number in 1 2; do read_image $number 20 24; done
check_equal "bytes of private chunks from peers" "$(of 2 's["reads"]["peer"]["bytes"]')" 0
[ "$(of 2 's["received"]["origin_bytes"]')" -ge 4000000 ] || fail "private chunks did not come from the origin"
leave_nodes 1 2
stop "$server"

### Kernel and initramfs from a peer that lives.
start boot --listen 127.0.0.1:0 --boot-from-peers "$system"
get "$url/boot/default/netboot.ipxe" >"$tmp/script"
if grep -q ' || kernel ' "$tmp/script"; then fail "a peer is named where there is none: $(cat "$tmp/script")"; fi
# The profile names the whole image, which the first node read: with room for that, the boot files come behind it.
node 1 --origin "$url" --name "$name" --boot-files --memory 600M
ready 1
get "$url/boot/default/netboot.ipxe" >"$tmp/script"
peer=$(sed -n 's|^kernel --timeout 5000 \(http://[^/]*\)/boot/.* \|\| kernel /boot/.* \|\| goto failed$|\1|p' "$tmp/script")
[ -n "$peer" ] || fail "no peer is named: $(cat "$tmp/script")"
grep -qx "initrd --timeout 5000 $peer/boot/$name/initrd || initrd /boot/$name/initrd || goto failed" "$tmp/script" || fail "script: $(cat "$tmp/script")"
# The node fetches them beside all else; until then it has none, and the script's second choice counts.
for _ in $(seq 100); do
	if get -o /dev/null "$peer/boot/$name/bzImage" && get -o /dev/null "$peer/boot/$name/initrd"; then break; fi 2>/dev/null
	sleep 0.1
done
for file in bzImage initrd; do get "$peer/boot/$name/$file" | cmp - <(get "$url/boot/$name/$file"); done
leave_nodes 1
get "$url/boot/default/netboot.ipxe" >"$tmp/script"
if grep -q ' || kernel ' "$tmp/script"; then fail "a peer that left is named: $(cat "$tmp/script")"; fi
stop "$server"

### Another server with the same key, which counts for itself: it says what that leads to.
start counts --listen 127.0.0.1:0 "$system"
issue=$(get "$url/v1/manifests/default" | sed -n 's/^serial //p')
[ "$issue" -gt 1 ] || fail "only one issue so far"
node 1 --origin "$url"
ready 1
port=${url##*:}
stop "$server"
mkdir "$tmp/apart"
cp "$state/key" "$tmp/apart"
serve_arguments=(--state "$tmp/apart")
start apart --listen "127.0.0.1:$port" "$system"
warning="machine '127.0.0.1' has issue $issue of '$name', but '$tmp/apart' has made only 1: an origin with the same key counts \
elsewhere, and machines refuse the lower one; let both share a state directory (--state)"
for _ in $(seq 600); do
	! grep -Fq "$warning" "$tmp/apart.err" || break
	sleep 0.1
done
check_equal "times that it warned" "$(grep -Fc "$warning" "$tmp/apart.err")" 1
leave_nodes 1
stop "$server"
# Those that share theirs have nothing to say.
if grep -F 'has made only' "$tmp"/{first,second,third,left,right,private,boot,counts}.err; then fail 'a server warned of itself'; fi
