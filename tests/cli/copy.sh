#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Binary caches: what we take from one is what the store has, whatever it is packed with and whatever it is called; what
# is not signed as it should is refused; what we write Nix itself takes.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/cache.sh"
nix-store --generate-binary-cache-key other-1 "$tmp/other.secret" "$tmp/other.public"
same=$("$snowboot" build squashfs --json --store "$store" --pool "$tmp/local" -o "$tmp/local.squashfs" "$top" |
	sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')

# By every compression that Nix writes, signed.
for compression in none xz zstd bzip2 gzip br; do
	cache=$tmp/cache-$compression
	make_cache "$compression"
	check_ok "$snowboot" build squashfs --json --pool "$tmp/pool-$compression" --trusted-key "$lab" \
		-o "$tmp/image" "file://$cache/$hash"
	check_stdout "\"path\":\"$top\",.*\"id\":\"$same\",\"paths\":2,"
	cmp "$tmp/local.squashfs" "$tmp/image" || fail "another image by $compression"
	check_ok "$snowboot" pool verify --pool "$tmp/pool-$compression"
done
cache=$tmp/cache-xz

# By all the names of it.
echo "trusted-public-keys = $lab" >"$NIX_CONF_DIR/more.conf"
echo 'include more.conf' >"$NIX_CONF_DIR/nix.conf"
for name in "$hash" "$(basename "$top")" "$top"; do
	check_ok fetch --store "$tmp/none" --cache "file://$cache" "$name"
done
echo "extra-substituters = file://$cache?priority=3" >>"$NIX_CONF_DIR/nix.conf"
check_ok fetch --store "$tmp/none" "$hash"
rm "$NIX_CONF_DIR"/*
check_ok fetch --store "$store" "$hash"
check_ok fetch --trusted-key "$lab" "file://$cache/$(basename "$top").narinfo"
check_fails 2 "snowboot: 'file://$cache/nonsense' names no system in a binary cache
hint: behind the cache's URL stands the hash of its store path, as in https://cache.example.org/0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb" \
	fetch "file://$cache/nonsense"
check_fails 1 "snowboot: there is no store path '$hash' in '$tmp/none/nix/store'
hint: --cache URL, or substituters in nix.conf, name where else to look" fetch --store "$tmp/none" "$hash"
check_fails 1 "snowboot: cannot fetch 'file://$tmp/none/nix-cache-info': there is none
hint: a binary cache has that file; is the URL right?" fetch "file://$tmp/none/$hash"
check_fails 1 "snowboot: '00000000000000000000000000000000' is not in the cache 'file://$cache'" \
	fetch "file://$cache/00000000000000000000000000000000"
check_fails 2 "snowboot: 'ftp://x' is no URL of a binary cache
hint: it begins with https://, http://, file:/// or s3://, like https://cache.example.org" \
	fetch --store "$tmp/none" --cache ftp://x "$hash"
check_fails 2 "snowboot: '$cache' is no URL of a binary cache
hint: a directory is named as file://$cache" fetch --store "$tmp/none" --cache "$cache" "$hash"

# Signatures: none, by nobody we know, wrong; and what is content-addressed needs none.
narinfo=file://$cache/$hash.narinfo
check_fails 1 "snowboot: narinfo '$narinfo': it is signed by a key that is not trusted, 'lab-1'
hint: --trusted-key NAME:BASE64 adds a key, as does trusted-public-keys in nix.conf" fetch "file://$cache/$hash"
check_fails 1 "snowboot: narinfo '$narinfo': it has a wrong signature by the trusted key 'lab-1'" \
	fetch --trusted-key "lab-1:$(cut -d: -f2 "$tmp/other.public")" "file://$cache/$hash"
check_fails 2 "snowboot: --trusted-key: 'nonsense': not a public key: it looks like NAME:BASE64 with 32 bytes behind the colon" \
	fetch --trusted-key nonsense "file://$cache/$hash"
check_ok fetch --no-check-sigs "file://$cache/$hash"
spoil unsigned '/^Sig: /d'
check_fails 1 "snowboot: narinfo 'file://$tmp/unsigned/$data_hash.narinfo': it has no signature
hint: --no-check-sigs takes it nevertheless" fetch --trusted-key "$lab" "file://$tmp/unsigned/$hash"
nix copy --to "file://$tmp/addressed?compression=none" "$top"
check_ok fetch "file://$tmp/addressed/$hash"
cp -r "$tmp/addressed" "$tmp/renamed"
renamed=$(echo "$hash" | tr '0123' '3210')
sed "s/^StorePath: .*/StorePath: \/nix\/store\/$renamed-top/" "$tmp/addressed/$hash.narinfo" >"$tmp/renamed/$renamed.narinfo"
run fetch "file://$tmp/renamed/$renamed"
check_equal "exit status" "$status" 1
grep -Eqx "snowboot: narinfo 'file://$tmp/renamed/$renamed.narinfo': the content address 'text:sha256:[0-9a-z]+' makes another store path, '$hash-…'" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"

# What we write, Nix takes, with its signatures held against the key.
for compression in zstd xz bzip2 gzip none; do
	ours=$tmp/ours-$compression
	check_ok "$snowboot" copy --json --store "$store" --pool "$tmp/local" --compression "$compression" \
		--key "$tmp/lab.secret" --to "$ours" "$top"
	check_stdout "^\{\"path\":\"$top\",\"to\":\"$ours\",\"paths\":2,\"copied\":2,\"copied_bytes\":[0-9]+,"
	sed -i '/^CA: /d' "$ours"/*.narinfo
	command nix copy --option trusted-public-keys "$lab" \
		--from "file://$ours" --to "local?root=$tmp/theirs-$compression" "$top" ||
		fail "Nix does not take what is packed by $compression"
	nix-store --store "local?root=$tmp/theirs-$compression" --verify --check-contents 2>"$tmp/verify" ||
		fail "Nix finds $(cat "$tmp/verify")"
	cmp "$tmp/theirs-$compression$data/large" "$store$data/large"
	if command nix copy --option trusted-public-keys "$(cat "$tmp/other.public")" --from "file://$ours" \
		--to "local?root=$tmp/untrusted" "$top" 2>"$tmp/untrusted.log"; then
		fail 'Nix takes it by another key'
	fi
	grep -q 'lacks a .*signature' "$tmp/untrusted.log" || fail "Nix says $(cat "$tmp/untrusted.log")"
done
check_ok "$snowboot" copy --store "$store" --pool "$tmp/local" --to "$ours" "$top"
check_stdout "^$top: 0 of 2 store paths copied, 0 B, "
rm "$ours/$hash.narinfo"
check_ok "$snowboot" copy --store "$store" --pool "$tmp/local" --to "$ours" "$top"
check_stdout "^$top: 1 of 2 store paths copied, "
check_ok "$snowboot" copy --pool "$tmp/copy-pool" --no-check-sigs --to "$tmp/again" --compression none "file://$tmp/ours-xz/$hash"
cmp "$tmp/again/nar/"*"$(sed -n 's/^NarHash: sha256://p' "$cache/$data_hash.narinfo").nar" "$tmp/cache-none/$(sed -n 's/^URL: //p' "$tmp/cache-none/$data_hash.narinfo")" ||
	fail 'a cache of a cache has another NAR'
# Killed at any moment, it leaves files that are whole or none, and the next run completes them.
for delay in 0.01 0.02 0.03 0.05 0.08 0.12 0.2; do
	rm -rf "$tmp/killed"
	"$snowboot" copy -q --store "$store" --pool "$tmp/local" --compression xz --to "$tmp/killed" "$top" &
	sleep "$delay"
	kill -9 $! 2>/dev/null || true
	wait $! 2>/dev/null || true
	check_equal "names left after $delay s" "$(find "$tmp/killed" -name '*.tmp-*')" ''
done
check_ok "$snowboot" copy -q --store "$store" --pool "$tmp/local" --compression xz --to "$tmp/killed" "$top"
check_ok "$snowboot" pool add -q --pool "$tmp/pool-killed" --no-check-sigs "file://$tmp/killed/$hash"
check_fails 2 "snowboot: no directory is named
hint: say --to DIR" "$snowboot" copy "$top"
for to in s3://bucket http://server/cache file://cache; do
	check_fails 2 "snowboot: --to takes a directory, not the URL '$to'
hint: what is written there can be brought to any web server or bucket as it is" "$snowboot" copy --to "$to" "$top"
done
check_ok "$snowboot" copy --store "$store" --pool "$tmp/local" --to "file://$ours" "$top"
check_stdout "^$top: 0 of 2 store paths copied, 0 B, "
check_fails 2 "snowboot: --compression takes zstd, xz, bzip2, gzip or none, not 'br'" "$snowboot" copy --to "$tmp/x" --compression br "$top"
check_fails 1 "snowboot: '$tmp/lab.public': not a secret key: it looks like NAME:BASE64 with 64 bytes behind the colon" \
	"$snowboot" copy --to "$tmp/x" --key "$tmp/lab.public" "$top"

# An expression and a flake, built by Nix.
mkdir "$tmp/expression" "$tmp/empty"
echo 'builtins.toFile "made" "by Nix"' >"$tmp/expression/default.nix"
check_fails 1 "snowboot: building '$tmp/empty#x': 'nix' is not installed
hint: Nix builds flakes and expressions; what is built already can be named by its store path, or taken from a binary cache" \
	env PATH="$tmp/empty" "$snowboot" pool add --pool "$tmp/pool-nix" "$tmp/empty#x"
check_fails 1 "snowboot: building '$tmp/expression': 'nix-build' is not installed
hint: Nix builds flakes and expressions; what is built already can be named by its store path, or taken from a binary cache" \
	env PATH="$tmp/empty" "$snowboot" pool add --pool "$tmp/pool-nix" "$tmp/expression"

# A whole system, on a host that has no store: the same bytes as where it is.
[ "$(id -u)" = 0 ] || skip 'the rest needs root, to hide /nix'
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
unset MALLOC_PERTURB_ # meson's: it would write on all that is only reserved
for kind in scripted systemd nixos-init; do
	system=$(fixture "$kind")
	check_ok "$snowboot" build netboot -o "$tmp/here-$kind" "$system"
	check_ok "$snowboot" copy --to "$tmp/system" --key "$tmp/lab.secret" "$system"
	# shellcheck disable=SC2016 # expanded there
	check_ok unshare -m sh -c 'mount -t tmpfs none /nix && ! [ -e /nix/store ] && exec "$@"' sh \
		/usr/bin/time -q -f %M -o "$tmp/peak" "$snowboot" build netboot --pool "$tmp/there" --trusted-key "$lab" -o "$tmp/there-$kind" \
		"file://$tmp/system/$(basename "$system" | cut -c-32)"
	echo "$kind: $(cat "$tmp/peak") KiB of memory"
	[ "$(cat "$tmp/peak")" -lt 262144 ] || fail "a gigabyte of NARs took $(cat "$tmp/peak") KiB of memory"
	cmp "$tmp/here-$kind/bzImage" "$tmp/there-$kind/bzImage" || fail "another kernel for $kind"
	cmp "$tmp/here-$kind/cmdline" "$tmp/there-$kind/cmdline" || fail "another command line for $kind"
	[ -z "$(ls "$tmp/there/sessions")" ] || fail 'files of the system were left'
done
