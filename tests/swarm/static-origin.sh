#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Plain files behind nginx as the only origin: nodes find each other by multicast DNS, the second lives on the first when
# the web server is gone, and mirrors that are stale or wrong are passed over.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/network.sh"

system=$(fixture scripted)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
key=$("$snowboot" key generate static-1 -o "$tmp/secret")
check_ok "$snowboot" publish "$system" --to "$tmp/www" --key "$tmp/secret" --state "$tmp/publish"

for n in 1 2 3 4; do
	namespace "n$n"
	plug "n$n" "10.7.0.1$n"
done
namespace origin
plug origin 10.7.0.1
web_server origin "$tmp/www"
origin_pid=$web_pid

# The first one reads everything from the web server, many chunks with one request.
node n1 --origin http://10.7.0.1 --name default --key "$key" --port 7000
first_pid=$node_pid
wait_line n1 60 '^ready: '
nbdcopy "nbd+unix:///?socket=$tmp/n1.nbd" "$tmp/image-1"
holds_system "$tmp/image-1" "$system"
requests=$(grep -c ' /v1/objects/' "$tmp/origin.access")
chunks=$(status n1 'received["origin_chunks"]')
echo "n1: $chunks chunks by $requests requests"
[ "$chunks" -gt $((requests * 2)) ] || fail "neighbouring chunks were not joined: $chunks chunks, $requests requests"
check_equal 'chunks from peers' "$(status n1 'received["peer_chunks"]')" 0

# The second one finds it; then the web server goes, and what is left comes from the first.
node n2 --origin http://10.7.0.1 --name default --key "$key" --port 7000
wait_line n2 60 '^ready: '
wait_status n1 20 'swarm["members"] == 2'
wait_status n2 20 'swarm["members"] == 2'
end "$origin_pid" /usr/sbin/nginx
before=$(status n2 'received["origin_bytes"]')
timeout 300 nbdcopy "nbd+unix:///?socket=$tmp/n2.nbd" "$tmp/image-2" || fail "the second node does not get everything"
cmp "$tmp/image-1" "$tmp/image-2" || fail 'the second node reads something else'
check_equal 'bytes from the origin after it was gone' "$(status n2 'received["origin_bytes"]')" "$before"
echo "n2: $before bytes from the origin before it was gone, $(status n2 'received["peer_bytes"]') from its peer"

# Another key is another swarm, though all else is the same.
other=$("$snowboot" key generate other-1 -o "$tmp/other")
node n3 --origin http://10.7.0.1 --key "$other" --port 7000
wait_line n3 20 '^sharing$'
sleep 2
check_equal 'members of the other swarm' "$(status n3 'swarm["members"]')" 1

# Who leaves says so.
end "$first_pid" "$snowboot"
wait_status n2 10 'swarm["members"] == 1'

# Of two origins the first has lost objects and damaged others: it is said, and the second has everything.
cp -r "$tmp/www" "$tmp/bad"
find "$tmp/bad/v1/objects" -type f -size +20k | sort >"$tmp/large"
lost=$(sed -n 3p "$tmp/large")
rm "$lost"
damaged=$(sed -n 6p "$tmp/large")
printf 'damage' | dd of="$damaged" bs=1 seek=8192 conv=notrunc status=none
namespace bad
plug bad 10.7.0.2
web_server bad "$tmp/bad"
rm "$tmp/origin.access"
web_server origin "$tmp/www"
# The second one has a name, that a DNS server knows.
mkdir -p "/etc/netns/$lab-n4"
run_at_exit "rm -r /etc/netns/$lab-n4"
echo 'nameserver 10.7.0.1' >"/etc/netns/$lab-n4/resolv.conf"
(exec ip netns exec "$lab-origin" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
	--pid-file= --address=/origin.test/10.7.0.1) &
run_at_exit "end $! $(command -v dnsmasq)"
node n4 --origin http://10.7.0.2 --origin http://origin.test --name default --key "$key" --no-peers
wait_line n4 120 '^ready: '
timeout 300 nbdcopy "nbd+unix:///?socket=$tmp/n4.nbd" "$tmp/image-4" || fail 'a bad mirror stops a node'
cmp "$tmp/image-1" "$tmp/image-4" || fail 'a bad mirror changes what is read'
grep -q ' /v1/objects/' "$tmp/origin.access" || fail 'the named origin was not asked'
wait_line n4 1 "^origin 'http://10.7.0.2' has no object '$(basename "$lost")'"
wait_line n4 1 "^origin 'http://10.7.0.2': bytes [0-9]+-[0-9]+ of object '$(basename "$damaged")' are wrong, passing it over for "
