#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve --user` and `--readonly`: started by root, run by nobody, and a pool that is only read.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"
[ "$(id -u)" = 0 ] || skip "--user needs root"

here=$(cd "$(dirname "$0")" && pwd)
system=$(fixture scripted)
name=$(basename "$system")
unset SNOWBOOT_POOL
chmod 755 "$tmp"
serve_arguments=(--user nobody --state "$tmp/state" --pool "$tmp/pool" --level 1 --modules minimal)

check_fails 1 "snowboot: there is no user 'nosuchuser'
hint: 'useradd --system nosuchuser' makes it (NixOS: users.users.nosuchuser.isSystemUser)" \
	"$snowboot" serve -q --dhcp off --user nosuchuser --state "$tmp/none" --pool "$tmp/none" "$system"
check_fails 2 "snowboot: only root can serve as user 'root'
hint: start it as that user, or as root" \
	setpriv --reuid nobody --clear-groups -- "$snowboot" serve -q --dhcp off --user root --state "$tmp" --pool "$tmp" "$system"

# privileges PID: what each thread of it may do: user, groups, capabilities, new privileges.
privileges() {
	local status
	for status in "/proc/$1/task"/*/status; do
		awk '/^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb)|NoNewPrivs):/ { $1 = $1; print }' "$status"
	done | sort -u
}
none="CapAmb: 0000000000000000
CapEff: 0000000000000000
CapInh: 0000000000000000
CapPrm: 0000000000000000
Gid: 65534 65534 65534 65534
Groups: 65534
NoNewPrivs: 1
Uid: 65534 65534 65534 65534"

### Ports that are root's alone, DHCP and its child, in namespaces of our own.
two_hosts
ip -n "${ns}c" addr add 10.55.0.9/24 dev v1
launch dhcp ip netns exec "${ns}s" "$snowboot" serve "${serve_arguments[@]}" --dhcp full --listen 10.55.0.1:80 "$system"
wait_line "$tmp/dhcp.err" "^DHCP on 'v0'"
check_equal "privileges" "$(privileges "$server")" "$none"
in_client=(ip netns exec "${ns}c")
"${in_client[@]}" curl -fsS --max-time 280 http://10.55.0.1/boot/default/bzImage | cmp - "$system/kernel" || fail "no kernel: $(cat "$tmp/dhcp.err")"
initrd=$("${in_client[@]}" curl -fsS --max-time 280 "http://10.55.0.1/boot/$name/initrd" | sha256sum)
"${in_client[@]}" curl -sS --max-time 30 tftp://10.55.0.1/snponly.efi | cmp - /usr/lib/ipxe/snponly.efi
"${in_client[@]}" python3 "$here/pxe_client.py" v1 bios >"$tmp/stdout"
check_stdout '^file undionly\.kpxe$'
child=$(pgrep -P "$server" dnsmasq)
check_equal "dnsmasq's capabilities" "$(privileges "$child" | sed -n 's/^CapEff: //p')" 0000000000003400
# What it keeps is its own; what root opened for it still holds the system.
for file in state state/key pool pool/index.sqlite; do
	check_equal "owner of '$file'" "$(stat -c %U "$tmp/$file")" nobody
done
check_equal "mode of the key" "$(stat -c %a "$tmp/state/key")" 600
grep -zxq "$system" "/nix/var/nix/temproots/$server" || fail "not held from the collector"
kill -HUP "$server"
"${in_client[@]}" curl -fsS --max-time 280 "http://10.55.0.1/v1/manifests/$name" | grep -Fxq "system $system" || fail "no manifest"
stop "$server"
if grep -qs '^State:.[^Z]' "/proc/$child/status"; then fail "dnsmasq outlives the server"; fi

### A pool that is only read: by somebody who could not write to it, and by root.
objects() { find "$tmp/pool/objects" | sort | sha256sum; }
before=$(objects)
chown -R root "$tmp/pool"
serve_arguments=(--state "$tmp/state" --pool "$tmp/pool" --level 1 --modules minimal --listen 127.0.0.1:0 --readonly)
start reader --user nobody --tftp 0 "$system"
get "$url/boot/default/bzImage" | cmp - "$system/kernel"
check_equal "privileges" "$(privileges "$server")" "$none"
check_equal "initrd" "$(get "$url/boot/$name/initrd" | sha256sum)" "$initrd"
stop "$server"
check_equal "the pool's objects" "$(objects)" "$before"
start root "$system" "$(fixture scripted-2)"
get "$url/boot/$name/bzImage" | cmp - "$system/kernel"
second=$(basename "$(fixture scripted-2)")
missing=$(curl -s "$url/boot/$second/bzImage")
[[ $missing =~ ^pool\ \'$tmp/pool\',\ which\ is\ only\ read,\ lacks\ [0-9]+\ store\ paths$ ]] || fail "it says: $missing"
check_equal "its status" "$(code "$url/boot/$second/bzImage")" 500
wait_line "$tmp/root.err" "^cannot prepare '.*/$second': pool '$tmp/pool', which is only read, lacks [0-9]+ store paths\$"
wait_line "$tmp/root.err" "^hint: 'snowboot pool add SYSTEM' fills it\$"
stop "$server"
check_equal "the pool's objects" "$(objects)" "$before"
serve_arguments=(--state "$tmp/state" --pool "$tmp/none" --listen 127.0.0.1:0 --readonly)
start none "$system"
check_equal "without a pool" "$(curl -s --max-time 60 "$url/boot/default/bzImage")" "there is no pool at '$tmp/none'"
wait_line "$tmp/none.err" "^hint: 'snowboot pool add' makes one; --pool names another one\$"
stop "$server"
[ ! -e "$tmp/none" ] || fail "it made a pool"
