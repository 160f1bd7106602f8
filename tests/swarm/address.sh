#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A host's address changes while its node reads: every read is right, none fails, and how long the longest waited is bounded,
# by TCP, which finds out; from an origin with links, and from plain files. A machine that boots is told by its lease.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/network.sh"

/usr/bin/python3 -c 'import nbd' 2>/dev/null || skip 'python3-libnbd is missing'
system=$(fixture scripted)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
key=$("$snowboot" key generate address-1 -o "$tmp/secret")
check_ok "$snowboot" build squashfs "$system" -o "$tmp/image"
check_ok "$snowboot" publish "$system" --to "$tmp/www" --key "$tmp/secret" --state "$tmp/publish"

namespace origin
plug origin 10.7.0.1
# So slow that the reads outlast the change.
ip netns exec "$lab-origin" tc qdisc add dev eth0 root tbf rate 80mbit burst 64kb latency 200ms
(exec ip netns exec "$lab-origin" "$snowboot" serve --dhcp off --listen 10.7.0.1:8080 --key "$tmp/secret" \
	--state "$tmp/serve" "$system") >"$tmp/serve.log" 2>&1 &
run_at_exit "end $! $snowboot"
for _ in $(seq 300); do
	ip netns exec "$lab-origin" curl -fs -o "$tmp/answer" http://10.7.0.1:8080/v1/manifests/default && break
	sleep 0.2
done
web_server origin "$tmp/www"

# Two machines, each with an origin of its own kind; both read 16 MB.
declare -A url=([links]=http://10.7.0.1:8080 [plain]=http://10.7.0.1) address=([links]=10.7.0.11 [plain]=10.7.0.12) reader
for kind in links plain; do
	namespace $kind
	plug $kind "${address[$kind]}"
	node $kind --origin "${url[$kind]}" --name default --key "$key" --no-peers
	wait_line $kind 60 '^ready: '
done
for kind in links plain; do
	/usr/bin/python3 "$(dirname "$0")/reader.py" "$tmp/$kind.nbd" "$tmp/image" 16 0 "$tmp/$kind.mark" >"$tmp/$kind.read" 2>&1 &
	reader[$kind]=$!
done
for kind in links plain; do
	until [ -e "$tmp/$kind.mark" ]; do
		kill -0 "${reader[$kind]}" 2>/dev/null || fail "$kind: the reader ended: $(cat "$tmp/$kind.read")"
		sleep 0.02
	done
done

# Another address, and none at all for a moment, as when a server refuses to renew the old one.
for kind in links plain; do ip -n "$lab-$kind" addr del "${address[$kind]}/24" dev eth0; done
sleep 2
for kind in links plain; do
	kill -0 "${reader[$kind]}" 2>/dev/null || fail "$kind: all was read before the address changed"
	ip -n "$lab-$kind" addr add "${address[$kind]/0.1/0.2}/24" dev eth0
done
for kind in links plain; do
	wait "${reader[$kind]}" || fail "$kind: $(cat "$tmp/$kind.read")"
	echo "$kind: $(cat "$tmp/$kind.read")"
	longest=$(sed -n 's/.*the longest \(.*\) s$/\1/p' "$tmp/$kind.read")
	awk "BEGIN { exit !($longest <= 35) }" || fail "$kind: a read took $longest s > 35 s"
	check_equal "reads that failed from $kind" "$(status $kind 'reads["failed"]')" 0
done
