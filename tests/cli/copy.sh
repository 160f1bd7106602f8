#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Binary caches: what we take from one is what the store has, whatever it is packed with and however it comes; what we
# write Nix itself takes; and what is wrong with a cache is said, and nothing of it used.
. "$(dirname "$0")/../lib/cli.sh"

for program in nix-store nix python3 brotli; do
	command -v "$program" >/dev/null || skip "needs $program"
done
export NIX_REMOTE=local NIX_CONFIG='build-users-group =
experimental-features = nix-command'
export NIX_CONF_DIR=$tmp/conf
mkdir "$NIX_CONF_DIR"
port=18957
url=http://127.0.0.1:$port

# A small closure in a store of its own: a file, and what refers to it.
store=$tmp/root
nix() { command nix --store "local?root=$store" "$@"; }
python3 - "$tmp" <<'PYTHON'
import os, sys
os.makedirs(sys.argv[1] + "/data/sub")
with open(sys.argv[1] + "/data/large", "wb") as f:
    f.write(os.urandom(3 << 20))
for name in "abc":
    with open(f"{sys.argv[1]}/data/sub/{name}", "w") as f:
        f.write("the same\n" * 50000)
os.symlink("sub/a", sys.argv[1] + "/data/link")
PYTHON
data=$(nix-store --store "local?root=$store" --add "$tmp/data")
top=$(nix-instantiate --store "local?root=$store" --eval --read-write-mode -E \
	"builtins.toFile \"top\" \"see \${builtins.storePath $data}\"" | tr -d '"')
hash=$(basename "$top" | cut -c-32)
data_hash=$(basename "$data" | cut -c-32)

nix-store --generate-binary-cache-key lab-1 "$tmp/lab.secret" "$tmp/lab.public"
nix-store --generate-binary-cache-key other-1 "$tmp/other.secret" "$tmp/other.public"
lab=$(cat "$tmp/lab.public")
count=0
# fetch ARGUMENTS…: packs into a new pool.
fetch() {
	count=$((count + 1))
	"$snowboot" pool add -q --pool "$tmp/pool$count" --cache-timeout 1 "$@"
}
same=$("$snowboot" build squashfs --json --store "$store" --pool "$tmp/local" -o "$tmp/local.squashfs" "$top" |
	sed 's/.*"id":"\([0-9a-f]*\)".*/\1/')

# By every compression that Nix writes, signed.
for compression in none xz zstd bzip2 gzip br; do
	cache=$tmp/cache-$compression
	nix copy --to "file://$cache?compression=$compression&secret-key=$tmp/lab.secret" "$top"
	# Content-addressed paths need no signature; NixOS's own are not, so these lose their addresses.
	sed -i '/^CA: /d' "$cache"/*.narinfo
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

# Signatures: none, by nobody we know, wrong; and what is content-addressed needs none.
narinfo=file://$cache/$hash.narinfo
check_fails 1 "snowboot: narinfo '$narinfo': it is signed by a key that is not trusted, 'lab-1'
hint: --trusted-key NAME:BASE64 adds a key, as does trusted-public-keys in nix.conf" fetch "file://$cache/$hash"
check_fails 1 "snowboot: narinfo '$narinfo': it has a wrong signature by the trusted key 'lab-1'" \
	fetch --trusted-key "lab-1:$(cut -d: -f2 "$tmp/other.public")" "file://$cache/$hash"
check_fails 2 "snowboot: --trusted-key: 'nonsense': not a public key: it looks like NAME:BASE64 with 32 bytes behind the colon" \
	fetch --trusted-key nonsense "file://$cache/$hash"
check_ok fetch --no-check-sigs "file://$cache/$hash"
# spoil DIR SED FILE: a copy of the cache with one narinfo changed.
spoil() {
	rm -rf "${tmp:?}/$1"
	cp -r "$cache" "$tmp/$1"
	sed -i "$2" "$tmp/$1/${3:-$data_hash}.narinfo"
}
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

# What a narinfo may not say. It is read before its signature is looked at.
bad() { # bad SED MESSAGE
	spoil bad "$1"
	check_fails 1 "snowboot: narinfo 'file://$tmp/bad/$data_hash.narinfo': $2" \
		fetch --trusted-key "$lab" "file://$tmp/bad/$hash"
	[ -z "$(find "$tmp/pool$count/objects" -type f)" ] || fail 'something of it was used'
}
bad "s/^StorePath: .*/StorePath: \/nix\/store\/$hash-top/" "it is of '/nix/store/$hash-top', another store path"
bad 's/^StorePath: .*/StorePath: \/nix\/store\/..\/etc/' "StorePath: '/nix/store/../etc' is not a store path"
bad 's/^URL: .*/URL: ..\/..\/etc\/passwd/' "URL '../../etc/passwd' is not a name within the cache"
bad 's/^NarSize: .*/NarSize: -1/' "NarSize '-1' is not a number of bytes"
bad 's/^NarSize: .*/NarSize: 99999999999999/' 'NarSize 99999999999999 > max 17592186044416'
bad '/^NarHash/d' 'it has no NarHash'

# What a NAR may not be. Unsigned, since the hash is what is wrong.
nar=$(sed -n 's/^URL: //p' "$cache/$data_hash.narinfo")
size=$(sed -n 's/^NarSize: //p' "$cache/$data_hash.narinfo")
wrong() { # wrong MESSAGE: takes it from $tmp/bad
	check_fails 1 "snowboot: 'file://$tmp/bad/$nar': $1" fetch --no-check-sigs "file://$tmp/bad/$hash"
	[ -z "$(find "$tmp/pool$count/objects" -type f -size +100k)" ] || fail 'something of it was used'
	[ -z "$(ls "$tmp/pool$count/sessions")" ] || fail 'a session was left'
}
spoil bad "s/^NarSize: .*/NarSize: $((size - 8))/"
wrong "the NAR is longer than the $((size - 8)) bytes announced"
spoil bad "s/^NarSize: .*/NarSize: $((size + 8))/"
wrong "the NAR has $size bytes, not the $((size + 8)) announced"
old=$(nix-hash --type sha256 --to-base16 "$(sed -n 's/^NarHash: sha256://p' "$cache/$data_hash.narinfo")")
spoil bad "s/^NarHash: .*/NarHash: sha256:$(printf '0%.0s' {1..64})/"
wrong "the NAR has the hash sha256:$old, not the sha256:$(printf '0%.0s' {1..64}) announced"
spoil bad "s/^FileHash: .*/FileHash: sha256:$(printf '0%.0s' {1..64})/"
wrong "the file has the hash sha256:$(sha256sum "$cache/$nar" | cut -d' ' -f1), not the sha256:$(printf '0%.0s' {1..64}) announced"
spoil bad '/^File/d'
truncate -s -1000 "$tmp/bad/$nar"
wrong 'the xz stream is damaged: it breaks off, or its end is wrong'
spoil bad '/^File/d'
echo nonsense >"$tmp/bad/$nar"
wrong 'the xz stream is damaged: it does not begin as one'
# A few KiB that unpack to 100 GiB: as much is taken as was announced, and no more.
head -c 64M /dev/zero | zstd -19 -q >"$tmp/frame"
zeros() { for _ in $(seq 1600); do cat "$tmp/frame"; done; }
bomb="s/^Compression: .*/Compression: zstd/; /^File/d"
spoil bad "$bomb"
{ head -c 96 "$tmp/cache-none/$(sed -n 's/^URL: //p' "$tmp/cache-none/$hash.narinfo")" | head -c 88 && printf '\0\0\0\0\x19\0\0\0'; } |
	zstd -q >"$tmp/bad/$nar"
zeros >>"$tmp/bad/$nar"
wrong "the NAR has a file of 107374182400 bytes where $((size - 96)) are left"
spoil bad "$bomb"
zstd -q <"$tmp/cache-none/$(sed -n 's/^URL: //p' "$tmp/cache-none/$data_hash.narinfo")" >"$tmp/bad/$nar"
zeros >>"$tmp/bad/$nar"
wrong "the NAR is longer than the $size bytes announced"

# Over HTTP, from a cache that misbehaves.
python3 "$root/tests/cli/bad_cache.py" "$port" "$cache" "$tmp/requests" &
cache_pid=$!
run_at_exit 'kill "$cache_pid"; wait "$cache_pid"'
for _ in $(seq 100); do
	! curl -so /dev/null "$url/ok/nix-cache-info" || break
	sleep 0.05
done
asked() { grep -c "$1" "$tmp/requests" || true; }
http() { : >"$tmp/requests"; fetch --trusted-key "$lab" "$@"; }
check_ok http "$url/ok/$hash"
check_equal 'requests' "$(asked .)" 5
for mode in broken-nar norange-nar; do
	check_ok http "$url/$mode/$hash"
	check_ok "$snowboot" pool verify --pool "$tmp/pool$count"
done
check_equal 'continued' "$(asked "^GET /norange-nar/$nar 200 bytes=[1-9][0-9]*-")" 1
check_fails 1 "snowboot: cannot fetch '$url/early-nar/$nar': transfer closed with $((($(stat -c %s "$cache/$nar") + 1) / 2)) bytes remaining to read" \
	http "$url/early-nar/$hash"
check_fails 1 "snowboot: cannot fetch '$url/status-500/$hash.narinfo': the cache answers 500" http "$url/status-500/$hash"
check_equal 'tries' "$(asked "/status-500/$hash.narinfo 500")" 4
check_fails 1 "snowboot: cannot fetch '$url/status-500-nar/$nar': the cache answers 500" \
	http "$url/status-500-nar/$hash"
check_fails 1 "snowboot: '$hash' is not in the cache '$url/status-403'" http "$url/status-403/$hash"
check_equal 'tries' "$(asked "/status-403/$hash.narinfo 403")" 1
check_fails 1 "snowboot: cannot fetch '$url/status-418/$hash.narinfo': the cache answers 418" http "$url/status-418/$hash"
check_fails 1 "snowboot: cannot fetch '$url/circle/$hash.narinfo': Maximum (5) redirects followed" http "$url/circle/$hash"
check_fails 1 "snowboot: cannot fetch '$url/hang/nix-cache-info': Operation too slow. Less than 1024 bytes/sec transferred the last 1 seconds" \
	http "$url/hang/$hash"
check_fails 1 "snowboot: cannot fetch '$url/trickle/$hash.narinfo': Operation too slow. Less than 1024 bytes/sec transferred the last 1 seconds" \
	http "$url/trickle/$hash"
check_fails 1 "snowboot: '$url/huge/$hash.narinfo' has more than 1048576 bytes" http "$url/huge/$hash"
run http "http://127.0.0.1:1/$hash"
grep -Eqx "snowboot: cannot fetch 'http://127.0.0.1:1/nix-cache-info': Failed to connect to 127.0.0.1 port 1 after [0-9]+ ms: Couldn't connect to server" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"
check_fails 1 "snowboot: cannot fetch '$url/auth/nix-cache-info': the cache answers 401
hint: name and password are taken from a netrc file" http "$url/auth/$hash"
echo 'machine 127.0.0.1 login u password p' >"$tmp/netrc"
echo "netrc-file = $tmp/netrc" >"$NIX_CONF_DIR/nix.conf"
check_ok http "$url/auth/$hash"
rm "$NIX_CONF_DIR/nix.conf"

# Several: what the first lacks, or gives wrongly, comes from the next.
mkdir -p "$tmp/part"
cp "$cache/nix-cache-info" "$cache/$hash.narinfo" "$tmp/part"
check_ok http --cache "$url/ok" "file://$tmp/part/$hash"
check_stderr "^cannot fetch 'file://$tmp/part/nar/.*': there is none, trying '$url/ok/nar/.*' instead\$"
check_equal 'asked for what the first has' "$(asked "/ok/$data_hash.narinfo")" 1
check_ok http --cache "$url/early-nar" --cache "$url/ok" --store "$tmp/none" "$hash"
check_stderr "^cannot fetch '$url/early-nar/$nar': .* bytes remaining to read, trying '$url/ok/$nar' instead\$"
check_ok http --cache "$url/status-500?priority=1" --cache "$url/ok" --cache "file://$tmp/none" --store "$tmp/none" "$hash"
check_stderr "^cannot fetch 'file://$tmp/none/nix-cache-info': there is none, ignoring this cache\$"
check_stderr "^cannot fetch '$url/status-500/$hash.narinfo': the cache answers 500, asking '$url/ok' instead\$"
rm "$tmp/part/$hash.narinfo"
check_fails 1 "snowboot: '00000000000000000000000000000000' is in none of the 2 caches" \
	http --cache "$url/ok" "file://$tmp/part/00000000000000000000000000000000"
cp "$cache/$hash.narinfo" "$tmp/part"
check_fails 1 "snowboot: '$top' refers to what is missing: '$data' is not in the cache 'file://$tmp/part'" \
	http "file://$tmp/part/$hash"

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
check_fails 2 "snowboot: no directory is named
hint: say --to DIR" "$snowboot" copy "$top"
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
for kind in scripted systemd nixos-init; do
	system=$(fixture "$kind")
	check_ok "$snowboot" build netboot -o "$tmp/here-$kind" "$system"
	check_ok "$snowboot" copy --to "$tmp/system" --key "$tmp/lab.secret" "$system"
	# shellcheck disable=SC2016 # expanded there
	check_ok unshare -m sh -c 'mount -t tmpfs none /nix && ! [ -e /nix/store ] && exec "$@"' sh \
		"$snowboot" build netboot --pool "$tmp/there" --trusted-key "$lab" -o "$tmp/there-$kind" \
		"file://$tmp/system/$(basename "$system" | cut -c-32)"
	cmp "$tmp/here-$kind/bzImage" "$tmp/there-$kind/bzImage" || fail "another kernel for $kind"
	cmp "$tmp/here-$kind/cmdline" "$tmp/there-$kind/cmdline" || fail "another command line for $kind"
	[ -z "$(ls "$tmp/there/sessions")" ] || fail 'files of the system were left'
done
