#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve`: HTTP with every kind of client, DHCP and TFTP in network namespaces, and what it refuses.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

here=$(cd "$(dirname "$0")" && pwd)
system=$(fixture scripted)
second=$(fixture scripted-2)
name=$(basename "$system")
pool=${SNOWBOOT_POOL:-$tmp/pool}
export SNOWBOOT_POOL=$pool

# start LOG [PREFIX…] -- ARGUMENTS…: runs the server, behind PREFIX.
start() {
	local log=$1 prefix=()
	shift
	while [ "$1" != -- ]; do
		prefix+=("$1")
		shift
	done
	shift
	launch "$log" "${prefix[@]}" "$snowboot" serve "$@"
}

get() { curl -sS --max-time 300 "$@"; }

### What it refuses.
check_fails 2 "snowboot: 'snowboot serve' needs SYSTEM... or --machines DIR
hint: see 'snowboot serve --help'" "$snowboot" serve
check_fails 2 "snowboot: --dhcp takes proxy, full or off, not 'maybe'" "$snowboot" serve --root ram --dhcp maybe "$system"
check_fails 1 "snowboot: there is no network interface 'nosuch0'
hint: 'ip link' lists them" "$snowboot" serve --root ram --interface nosuch0 "$system"
run "$snowboot" serve --root ram --dhcp off --listen nonsense "$system"
check_equal status "$status" 2
check_stderr "^snowboot: --listen takes an address like 10\.0\.0\.1:8080 or \[fd00::1\]:8080, not 'nonsense'\$"

### HTTP.
profile=$tmp/profile
ln -s "$system" "$profile"
start http -- --root ram --dhcp off --listen 127.0.0.1:0 --append "quiet two" "$profile"
boot=$url/boot/default
status_page=$(get "$url/")
[[ $status_page == *"/boot/$name/netboot.ipxe"* ]] || fail "status page: $status_page"
# A first question waits until the boot is made; the others follow its answer.
get "$boot/netboot.ipxe?mac=" >"$tmp/script"
check_equal "first line of the script" "$(head -n 1 "$tmp/script")" '#!ipxe'
check_equal "kernel line" "$(grep ^kernel "$tmp/script")" \
	"kernel /boot/$name/bzImage initrd=initrd $(network_cmdline "$system") quiet two snowboot.origin=$url BOOTIF=01-\${netX/mac:hexhyp} || goto failed"
get "$boot/bzImage" | cmp - "$system/kernel"
get "$url/boot/$name/initrd" >"$tmp/initrd"
size=$(stat -c %s "$tmp/initrd")
[ "$size" -gt 100000000 ] || fail "the initrd has only $size bytes"

get -I "$boot/initrd" | tr -d '\r' >"$tmp/head"
check_equal Content-Length "$(sed -n 's/^Content-Length: //p' "$tmp/head")" "$size"
check_equal Accept-Ranges "$(sed -n 's/^Accept-Ranges: //p' "$tmp/head")" bytes
etag=$(sed -n 's/^ETag: //p' "$tmp/head")
check_equal "status for the same ETag" "$(code -H "If-None-Match: $etag" "$boot/initrd")" 304
check_equal "status for another ETag" "$(code -I -H 'If-None-Match: "x"' "$boot/initrd")" 200
check_equal "status beyond the end" "$(code -H "Range: bytes=$size-" "$boot/initrd")" 416
check_equal "status of POST" "$(code -X POST "$boot/initrd")" 405
check_equal "status of a body" "$(code -d x "$boot/initrd")" 501
check_equal "status of another file" "$(code "$boot/vmlinuz")" 404
check_equal "status of another system" "$(code "$url/boot/x/initrd")" 404
check_equal "status above the root" "$(code --path-as-is "$url/boot/default/../../etc/passwd")" 404

# Resuming, and a piece of any place.
head -c 12345678 "$tmp/initrd" >"$tmp/resumed"
get -C - -o "$tmp/resumed" "$boot/initrd"
cmp "$tmp/initrd" "$tmp/resumed"
for off in 0 1 4095 4600957 $((size / 2)) $((size - 7)); do
	get -r "$off-$((off + 99999))" "$boot/initrd" |
		cmp - <(tail -c +$((off + 1)) "$tmp/initrd" | head -c 100000)
done

# What is not HTTP, is cut off, or leaves in the middle.
for garbage in '\x16\x03\x01\x02\x00' 'GET\r\n\r\n' 'GET / HTTP/1.1\r\n\r\n' "GET /$(printf '%020000d' 0)" '\r\n\r\n\r\n'; do
	printf '%b' "$garbage" | timeout 30 bash -c 'exec 3<>/dev/tcp/127.0.0.1/'"${url##*:}"'; cat >&3; head -c 100 <&3' >"$tmp/answer" &
	garbage_pids+=($!)
done
for _ in 1 2 3 4 5; do
	get "$boot/initrd" 2>/dev/null | head -c 1000000 >/dev/null || true
done

# A hundred at once, one of them slow; memory stays bounded.
sha=$(sha256sum <"$tmp/initrd")
get --limit-rate 100K -r 0-999999 "$boot/initrd" >"$tmp/slow" &
slow=$!
pids=()
for i in $(seq 100); do
	get -r "$((i * 1000000))-$((i * 1000000 + 4999999))" "$boot/initrd" -o "$tmp/part.$i" &
	pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "one of a hundred clients failed"; done
for i in $(seq 100); do
	cmp "$tmp/part.$i" <(tail -c +$((i * 1000000 + 1)) "$tmp/initrd" | head -c 5000000)
	rm "$tmp/part.$i"
done
wait "$slow" || fail "the slow client failed"
cmp "$tmp/slow" <(head -c 1000000 "$tmp/initrd")
check_equal "initrd afterwards" "$(get "$boot/initrd" | sha256sum)" "$sha"
[ "$(grep -c '^VmHWM' "/proc/$server/status")" = 1 ] || fail "the server is gone"

# A switched profile is what boots next; what was served stays under its name.
ln -sfn "$second" "$profile"
get "$boot/netboot.ipxe?mac=" >"$tmp/script"
grep -q "init=$second/init " "$tmp/script" || fail "still the old system: $(cat "$tmp/script")"
check_equal "the old system's script" "$(code "$url/boot/$name/netboot.ipxe")" 200
check_equal "the old initrd" "$(get "$url/boot/$name/initrd" | sha256sum)" "$sha"
for file in /nix/var/nix/temproots/*; do
	[ "$(basename "$file")" != "$server" ] || held=$(tr '\0' '\n' <"$file")
done
[[ ${held:-} == *"$system"* && $held == *"$second"* ]] || fail "not held from the collector: ${held:-nothing}"

# The port is taken.
run "$snowboot" serve --root ram --dhcp off --listen "127.0.0.1:${url##*:}" "$system"
check_equal status "$status" 1
check_stderr "^snowboot: cannot listen on '127\.0\.0\.1:${url##*:}': Address already in use\$"
check_stderr "^hint: another program has this port \('ss -ltnp' names it\); choose another one with --listen ADDR:PORT\$"

# Stopping lets a transfer end.
get --limit-rate 20M -r 0-39999999 "$boot/initrd" -o "$tmp/last" &
last=$!
sleep 0.5
stop "$server"
wait "$last" || fail "the running transfer was cut"
check_equal "bytes of it" "$(stat -c %s "$tmp/last")" 40000000
wait "${garbage_pids[@]}" || true
grep -Eq '^[0-9:]{8} 127\.0\.0\.1 initrd: /boot/default/initrd 3[0-9]{2}\.[0-9] MB in [0-9.]+ s \([0-9]+ MB/s\)$' "$tmp/http.out" ||
	fail "no line for a whole initrd in: $(cat "$tmp/http.out")"

### A system that is none: named, answered with 500, and the server goes on.
odd=$(fixture odd)
start odd -- --state "$tmp/state" --dhcp off --listen 127.0.0.1:0 --json "$odd"
check_equal "status for no system" "$(code "$url/boot/default/netboot.ipxe")" 500
stop "$server"
python3 -c 'import json, sys; s = [json.loads(l) for l in open(sys.argv[1])][0]; assert (s["step"], s["status"]) == ("script", 500), s' \
	"$tmp/odd.out"

### DHCP and TFTP, in namespaces of our own.
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
two_hosts
in_server=(ip netns exec "${ns}s")
in_client=(ip netns exec "${ns}c")
ask() { "${in_client[@]}" python3 "$here/pxe_client.py" v1 "$@" >"$tmp/stdout"; }
script=http://10.55.0.1:8080/boot/default/netboot.ipxe

# No permission: root without the capabilities, and the way out.
run "${in_server[@]}" setpriv --bounding-set -net_admin,-net_raw --inh-caps -net_admin,-net_raw -- "$snowboot" serve --root ram "$system"
check_equal status "$status" 1
check_stderr "^snowboot: no permission to serve DHCP on 'v0'\$"
check_stderr "^hint: run as root \(or with CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE\), or pass --dhcp off and let your own DHCP server name $script\$"

start proxy "${in_server[@]}" -- --root ram "$system"
wait_line "$tmp/proxy.err" "^proxy DHCP on 'v0', TFTP from '/usr/lib/ipxe'\$"
ask bios
check_stdout '^yiaddr 0\.0\.0\.0$'
check_stdout '^siaddr 10\.55\.0\.1$'
check_stdout '^file undionly\.kpxe$'
check_stdout '^o43 060108'
check_stdout '^o54 0a370001$'
check_stdout '^o60 PXEClient$'
check_stdout '^o97 000102030405060708090a0b0c0d0e0f10$'
for kind in efi efi-9; do
	ask "$kind"
	check_stdout '^siaddr 10\.55\.0\.1$'
	check_stdout '^o60 PXEClient$'
	if grep -q '^o43' "$tmp/stdout"; then fail "EFI got option 43: $(cat "$tmp/stdout")"; fi
done
for kind in ipxe ipxe-efi; do
	ask "$kind"
	check_stdout "^file $script\$"
done
ask ipxe-no-http
check_stdout '^file undionly\.kpxe$'
# UEFI HTTP boot: a proxy's offer is enough.
for pair in http:x86_64 http-arm64:arm64; do
	ask "${pair%%:*}"
	check_stdout '^yiaddr 0\.0\.0\.0$'
	check_stdout "^file http://10\.55\.0\.1:8080/boot/default/uki\.efi\?arch=${pair#*:}\$"
	check_stdout '^o60 HTTPClient$'
done
ip -n "${ns}c" addr add 10.55.0.9/24 dev v1
ask efi --port4011 10.55.0.1
check_stdout '^file snponly\.efi$'
for file in undionly.kpxe snponly.efi; do
	"${in_client[@]}" curl -sS --max-time 30 "tftp://10.55.0.1/$file" | cmp - "/usr/lib/ipxe/$file"
done
check_equal "status from the client's side" "$("${in_client[@]}" curl -s -o /dev/null -w '%{http_code}' --max-time 300 "$script")" 200
mac=$(ip netns exec "${ns}c" cat /sys/class/net/v1/address)
wait_line "$tmp/proxy.out" '^[0-9:]{8} 52:54:00:aa:bb:01 dhcp: undionly\.kpxe, told to boot$'
wait_line "$tmp/proxy.out" "^[0-9:]{8} 10\.55\.0\.9 $mac tftp: snponly\.efi [0-9.]+ kB in [0-9.]+ s\$"
wait_line "$tmp/proxy.out" "^[0-9:]{8} 10\.55\.0\.9 $mac script: /boot/default/netboot\.ipxe [0-9]+ bytes in [0-9.]+ s\$"

# Another TFTP server has its port; another DHCP server has that one.
run "${in_server[@]}" timeout 60 "$snowboot" serve --root ram --listen 10.55.0.1:8081 "$system"
check_equal status "$status" 1
check_stderr "^snowboot: cannot serve TFTP at '10\.55\.0\.1', UDP port 69: Address already in use\$"
check_stderr "^hint: another TFTP server has this port \('ss -lunp' names it\): stop it\$"
stop "$server"
"${in_server[@]}" python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 67))
print("bound", flush=True)
time.sleep(60)' >"$tmp/bound" &
other=$!
run_at_exit "kill $other 2>/dev/null"
wait_line "$tmp/bound" '^bound$'
run "${in_server[@]}" timeout 60 "$snowboot" serve --root ram --listen 10.55.0.1:8081 "$system"
check_equal status "$status" 1
check_stderr "^snowboot: cannot serve DHCP on 'v0', UDP port 67: Address already in use\$"
check_stderr "^hint: another server has this port \('ss -lunp' names it\): stop it, or pass --dhcp off and let it name our script\$"
kill "$other"
ip -4 -n "${ns}c" addr flush dev v1

start full "${in_server[@]}" -- --root ram --dhcp full --interface v0 "$system"
wait_line "$tmp/full.err" "^DHCP on 'v0', TFTP from '/usr/lib/ipxe'\$"
for pair in bios:undionly.kpxe efi:snponly.efi efi-9:snponly.efi "ipxe:$script" "ipxe-efi:$script" uboot:boot.scr.uimg; do
	ask "${pair%%:*}"
	check_stdout '^yiaddr 10\.55\.0\.[0-9]+$'
	check_stdout '^siaddr 10\.55\.0\.1$'
	check_stdout "^file ${pair#*:}\$"
done
for pair in http:x86_64 http-arm64:arm64; do
	ask "${pair%%:*}"
	check_stdout '^yiaddr 10\.55\.0\.[0-9]+$'
	check_stdout "^file http://10\.55\.0\.1:8080/boot/default/uki\.efi\?arch=${pair#*:}\$"
	check_stdout '^o60 HTTPClient$'
done
ask plain
check_stdout '^yiaddr 10\.55\.0\.[0-9]+$'
# A real client takes a lease.
printf '#!/bin/sh\n[ "$1" != bound ] || echo "bound $ip/$mask by $serverid" >"%s/lease"\n' "$tmp" >"$tmp/udhcpc.sh"
chmod +x "$tmp/udhcpc.sh"
"${in_client[@]}" busybox udhcpc -i v1 -n -q -f -t 5 -T 2 -s "$tmp/udhcpc.sh" >/dev/null 2>&1 || fail "udhcpc got no lease"
grep -Eq '^bound 10\.55\.0\.[0-9]+/24 by 10\.55\.0\.1$' "$tmp/lease" || fail "lease: $(cat "$tmp/lease")"
wait_line "$tmp/full.out" "^[0-9:]{8} 10\.55\.0\.[0-9]+ $mac dhcp:.*has its address\$"
# dnsmasq owns its leases and nothing else: root writes and removes in that folder.
child=$(pgrep -P "$server" dnsmasq)
folder=$(tr '\0' '\n' <"/proc/$child/cmdline" | sed -n 's|^--conf-file=\(.*\)/dnsmasq.conf$|\1|p')
check_equal "the folder's owner" "$(stat -c '%u %a' "$folder")" "$(id -u) 755"
check_equal "the leases' owner" "$(stat -c %u "$folder/leases")" 65534
grep -q " $mac 10\.55\.0\." "$folder/leases" || fail "no lease in: $(cat "$folder/leases")"

# Whoever asks for an IPv6 router hears that there is none: sixteen bytes, no flags, lifetime 0.
check_equal "router" "$("${in_client[@]}" "$root/tests/cli/router_client.py" v1)" "16 0 0"

# dnsmasq that dies is noticed; a server that is killed takes it along.
# ("ip netns exec" becomes the server, so $server is its pid.)
child=$(pgrep -P "$server" dnsmasq)
kill -KILL "$child"
status=0
wait "$server" || status=$?
check_equal "exit status without dnsmasq" "$status" 1
tail -n 1 "$tmp/full.err" | grep -Eq '^snowboot: dnsmasq was killed by signal 9; it last said: ' ||
	fail "not reported: $(cat "$tmp/full.err")"
start killed "${in_server[@]}" -- --root ram --dhcp full "$system"
wait_line "$tmp/killed.err" "^DHCP on 'v0'"
child=$(pgrep -P "$server" dnsmasq)
folder=$(tr '\0' '\n' <"/proc/$child/cmdline" | sed -n 's|^--conf-file=\(.*\)/dnsmasq.conf$|\1|p')
run_at_exit "rm -rf '$folder'"
kill -KILL "$server"
wait "$server" 2>/dev/null || true
for _ in $(seq 50); do
	grep -qs '^State:.[^Z]' "/proc/$child/status" || break
	sleep 0.1
done
if grep -qs '^State:.[^Z]' "/proc/$child/status"; then fail "dnsmasq outlives the server"; fi

# A folder by a relative name with odd characters; any address of IPv6 is any of IPv4, too.
ipxe=$(mktemp -d)
run_at_exit "rm -rf '$ipxe'"
chmod 755 "$ipxe"
mkdir "$ipxe/a, b #\"c"
cp /usr/lib/ipxe/undionly.kpxe /usr/lib/ipxe/snponly.efi "$ipxe/a, b #\"c"
start ipxe env -C "$ipxe" "${in_server[@]}" -- --root ram --listen '[::]:8080' --ipxe-dir 'a, b #"c' "$system"
wait_line "$tmp/ipxe.err" "^proxy DHCP on 'v0', TFTP from '$ipxe/a, b #\"c'\$"
ask ipxe
check_stdout "^file $script\$"
ip -n "${ns}c" addr add 10.55.0.9/24 dev v1
"${in_client[@]}" curl -sS --max-time 30 tftp://10.55.0.1/snponly.efi | cmp - /usr/lib/ipxe/snponly.efi
stop "$server"

# More interfaces than one: which?
ip -n "${ns}s" link add v2 type veth peer name v3 netns "${ns}c"
ip -n "${ns}s" addr add 10.56.0.1/24 dev v2
ip -n "${ns}s" link set v2 up
check_fails 2 "snowboot: several network interfaces have an address: 'v0' (10.55.0.1), 'v2' (10.56.0.1)
hint: name the one that clients are on with --interface IF" "${in_server[@]}" "$snowboot" serve --root ram "$system"
