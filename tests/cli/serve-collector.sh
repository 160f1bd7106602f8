#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve` and what happens to the store below it: Nix's garbage collector, and paths that are deleted by force. The
# store is the test's own: hard links to the fixtures', mounted in the place of /nix where only this test sees it.
if [ "$(id -u)" = 0 ] && [ "${1:-}" != inside ]; then exec unshare --mount --propagation private bash "$0" inside; fi
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"
[ "$(id -u)" = 0 ] || skip "a store in the place of /nix needs root"
command -v nix-store >/dev/null || skip "needs Nix"

system=$(fixture scripted)
second=$(fixture scripted-2)
name=$(basename "$system")
second_name=$(basename "$second")
export NIX_REMOTE=local NIX_CONFIG="build-users-group ="
mapfile -t paths < <(nix-store -qR "$system" "$second")
mkdir -p "$tmp/nix/store" "$tmp/nix/var/nix/gcroots"
cp -al -t "$tmp/nix/store" "${paths[@]}" 2>/dev/null || cp -a -t "$tmp/nix/store" "${paths[@]}"
nix-store --dump-db "${paths[@]}" >"$tmp/registration"
mount --bind "$tmp/nix" /nix
nix-store --load-db <"$tmp/registration"

serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state" --pool "$tmp/pool" --level 1 --modules minimal)
ln -s "$system" "$tmp/profile"
ln -s "$second" /nix/var/nix/gcroots/second
# collect: what nobody holds goes, and something that nobody holds is there.
collect() {
	echo "$RANDOM" >"$tmp/garbage"
	local garbage
	garbage=$(nix-store --add "$tmp/garbage")
	nix-store --gc >"$tmp/collected" 2>&1 || fail "the collector failed: $(cat "$tmp/collected")"
	[ ! -e "$garbage" ] || fail "the collector did not collect"
}
# whole SYSTEM: the store has all of it.
whole() { nix-store -qR "$1" | xargs nix-store --check-validity && nix-store --verify-path "$1"; }
roots() { tr '\0' '\n' <"/nix/var/nix/temproots/$server"; }

### While it is made, while it is served, and when another one takes its place.
start net "$tmp/profile"
for _ in $(seq 200); do
	[[ $(roots 2>/dev/null) != *"$system"* ]] || break
	sleep 0.05
done
collect
get "$url/boot/default/netboot.ipxe" >"$tmp/script"
grep -q "init=$system/init " "$tmp/script" || fail "another system: $(cat "$tmp/script")"
collect
whole "$system"
get "$url/boot/$name/initrd" >"$tmp/initrd"
ln -sfn "$second" "$tmp/profile"
get "$url/boot/default/netboot.ipxe" | grep -q "init=$second/init " || fail "still the first system: $(cat "$tmp/net.err")"
rm /nix/var/nix/gcroots/second
# The collector runs over and over while both are fetched.
for _ in 1 2 3; do collect; done &
collector=$!
while kill -0 "$collector" 2>/dev/null; do
	get "$url/boot/$name/initrd" | cmp - "$tmp/initrd"
	get "$url/boot/$second_name/initrd" >"$tmp/second-initrd"
	get "$url/boot/$second_name/bzImage" | cmp - "$second/kernel"
done
wait "$collector" || fail "the collector failed"
whole "$system"
whole "$second"

### Deleted by force: what is served lies in the pool. The name that leads there is told, and what it led to before stays.
kernel=$(sha256sum <"$system/kernel")
cp -a "$system" "$tmp/kept"
rm -rf "$system"
get "$url/boot/$name/initrd" | cmp - "$tmp/initrd"
check_equal "its kernel" "$(get "$url/boot/$name/bzImage" | sha256sum)" "$kernel"
check_equal "its manifest" "$(get "$url/v1/manifests/$name" | sed -n 's/^system //p')" "$system"
ln -sfn "$system" "$tmp/profile"
get "$url/boot/default/netboot.ipxe" | grep -q "init=$second/init " || fail "not what was served before"
grep -Fxq "cannot follow '$tmp/profile': '$tmp/profile' leads to '$system', which does not exist, keeping what was served before" \
	"$tmp/net.err" || fail "not told: $(cat "$tmp/net.err")"
stop "$server"
check_fails 1 "snowboot: '$tmp/profile' leads to '$system', which does not exist" \
	timeout 60 "$snowboot" serve -q --dhcp off "${serve_arguments[@]}" "$tmp/profile"

# A part of it, which the pool has not yet: that system fails and says what is missing, the others are served.
cp -a "$tmp/kept" "$system"
own=$(comm -23 <(nix-store -qR "$system" | sort) <(nix-store -qR "$second" | sort) | grep -Fxv "$system" | head -n 1)
rm -rf "$own"
rm -rf "$tmp/pool"
start part "$second" "$system"
get "$url/boot/$second_name/bzImage" | cmp - "$second/kernel"
check_equal "what is missing" "$(curl -s --max-time 280 "$url/boot/$name/bzImage")" "store path '$own': cannot read '$own': No such file or directory"
check_equal "its status" "$(code "$url/boot/$name/bzImage")" 500
wait_line "$tmp/part.err" "^cannot prepare '$system': store path '$own': cannot read '$own': No such file or directory\$"
get "$url/boot/$second_name/bzImage" | cmp - "$second/kernel"
stop "$server"

### In RAM the kernel comes from the store itself.
mkdir "$tmp/machines"
ln -s "$second" "$tmp/machines/default"
serve_arguments+=(--root ram --machines "$tmp/machines")
missing=$(readlink -f "$second/kernel")
start ram
get "$url/boot/default/netboot.ipxe?mac=" | grep -q "^kernel /boot/$second_name/bzImage " || fail "no script"
get "$url/boot/$second_name/bzImage" | cmp - "$missing"
mv "$missing" "$missing.away"
check_equal "the kernel that is gone" "$(curl -s "$url/boot/$second_name/bzImage")" \
	"cannot open '$missing': No such file or directory"
check_equal "its status" "$(code "$url/boot/$second_name/bzImage")" 500
check_equal "the index beside it" "$(code "$url/")" 200
check_equal "the initrd beside it" "$(code -r 0-9 "$url/boot/$second_name/initrd")" 206
mv "$missing.away" "$missing"
get "$url/boot/$second_name/bzImage" | cmp - "$missing"
stop "$server"

### Nobody holds them any more.
collect
[ ! -e "$second" ] || fail "'$second' is held still"
