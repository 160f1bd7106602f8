#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Binary caches whose contents are wrong: what is wrong is said, nothing of it is used, and no more is unpacked than was announced.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/cache.sh"

for compression in none xz zstd bzip2 gzip br; do make_cache "$compression"; done
cache=$tmp/cache-xz
nar=$(field URL)
size=$(field NarSize)
zero=$(printf '0%.0s' {1..64})
nothing_used() {
	[ -z "$(find "$tmp/pool$count/objects" -type f -size +100k)" ] || fail 'something of it was used'
	[ -z "$(ls "$tmp/pool$count/sessions")" ] || fail 'a session was left'
}

# What a narinfo may not say. It is read before its signature is looked at.
bad() { # bad SED MESSAGE
	spoil bad "$1"
	check_fails 1 "snowboot: narinfo 'file://$tmp/bad/$data_hash.narinfo': $2" \
		fetch --trusted-key "$lab" "file://$tmp/bad/$hash"
	[ -z "$(find "$tmp/pool$count/objects" -type f)" ] || fail 'something of it was used'
}
bad "s/^StorePath: .*/StorePath: \/nix\/store\/$hash-top/" "it is of '/nix/store/$hash-top', another store path"
bad 's/^StorePath: .*/StorePath: \/nix\/store\/..\/etc/' "StorePath: '/nix/store/../etc' is not a store path"
bad "s/^StorePath: .*/StorePath: \/etc\/$data_hash-data/" "StorePath: '/etc/$data_hash-data' is not a store path"
bad "s/^StorePath: .*/StorePath: \/nix\/store\/$data_hash-data\/..\/..\/etc/" \
	"StorePath: '/nix/store/$data_hash-data/../../etc' is not a store path"
bad "s/^StorePath: .*/&\n&/" 'StorePath stands there twice'
bad 's/^URL: .*/URL: ..\/..\/etc\/passwd/' "URL '../../etc/passwd' is not a name within the cache"
bad 's/^URL: .*/URL: nar\/%2e%2E\/%2e%2e\/x/' "URL 'nar/%2e%2E/%2e%2e/x' is not a name within the cache"
bad 's/^URL: .*/URL: http:\/\/other\/x/' "URL 'http://other/x' is not a name within the cache"
bad 's/^URL: .*/URL: \/etc\/passwd/' "URL '/etc/passwd' is not a name within the cache"
bad 's/^NarSize: .*/NarSize: -1/' "NarSize '-1' is not a number of bytes"
bad 's/^NarSize: .*/NarSize: 99999999999999/' 'NarSize 99999999999999 > max 17592186044416'
bad 's/^NarSize: .*/NarSize: 18446744073709551617/' 'NarSize 18446744073709551617 > max 17592186044416'
bad 's/^FileSize: .*/FileSize: -1/' "FileSize '-1' is not a number of bytes"
bad 's/^FileSize: .*/FileSize: 99999999999999/' 'FileSize 99999999999999 > max 17592186044416'
bad 's/^NarHash: .*/NarHash: md5:900150983cd24fb0d6963f7d28e17f72/' \
	"NarHash 'md5:900150983cd24fb0d6963f7d28e17f72' is not a SHA-256 as Nix writes it"
bad '/^NarHash/d' 'it has no NarHash'
bad '/^NarSize/d' 'it has no NarSize'
bad 's/^Compression: .*/Compression: rar/' "Compression 'rar' is none of ours"
bad 's/^References: .*/References: ..\/..\/etc/' "References: '/nix/store/../../etc' is not a store path"
bad "s/^Deriver: .*//; s/^NarHash/Deriver: ..\/x\n&/" "Deriver: '/nix/store/../x' is not a store path"
bad 's/^NarHash/X\x01: y\n&/' 'it contains a control character'
bad 's/^NarHash/nonsense\n&/' 'it has a line without a colon'
: >"$tmp/bad/$data_hash.narinfo"
check_fails 1 "snowboot: narinfo 'file://$tmp/bad/$data_hash.narinfo': it has no StorePath" fetch "file://$tmp/bad/$hash" --no-check-sigs
spoil bad ''
python3 -c 'import sys; print("References:", (sys.argv[1] + " ") * 240000)' "$(basename "$data")" >>"$tmp/bad/$data_hash.narinfo"
check_fails 1 "snowboot: 'file://$tmp/bad/$data_hash.narinfo' has more than 1048576 bytes" \
	fetch --trusted-key "$lab" "file://$tmp/bad/$hash"
# Another path than it was asked for, of the same digits.
spoil bad "s/^StorePath: .*/&-2/"
check_fails 1 "snowboot: narinfo 'file://$tmp/bad/$data_hash.narinfo': it is of '$data-2', not of '$data'" \
	fetch --no-check-sigs "file://$tmp/bad/$hash"
spoil bad ''
sed -i 's/^StoreDir: .*/StoreDir: \/gnu\/store/' "$tmp/bad/nix-cache-info"
check_fails 1 "snowboot: 'file://$tmp/bad/nix-cache-info': it is of the store '/gnu/store', not of '/nix/store'" \
	fetch --trusted-key "$lab" "file://$tmp/bad/$hash"
check_ok fetch --trusted-key "$lab" --store "$tmp/none" --cache "file://$tmp/bad" --cache "file://$cache" "$hash"
check_stderr "^'file://$tmp/bad/nix-cache-info': it is of the store '/gnu/store', not of '/nix/store', ignoring this cache\$"
head -c 1M /dev/zero | tr '\0' x >"$tmp/bad/nix-cache-info"
check_fails 1 "snowboot: 'file://$tmp/bad/nix-cache-info' has more than 65536 bytes" fetch "file://$tmp/bad/$hash"

# A closure without an end: twelve paths of 18,000 references each, none of which is asked for.
spoil bad ''
python3 - "$tmp/bad" "$top" "$data" <<'PYTHON'
import sys
folder, top, data = sys.argv[1:]
def write(number, refs):
    digits = top[11:43] if number < 0 else f"{number:032d}"
    name = top[11:] if number < 0 else f"{digits}-x"
    with open(f"{folder}/{digits}.narinfo", "w", encoding="ascii") as f:
        f.write(f"StorePath: /nix/store/{name}\nURL: nar/x\nCompression: none\nNarHash: sha256:{'0' * 64}\nNarSize: 8\n"
                f"References: {' '.join(f'{ref:032d}-x' for ref in refs)}\n")
write(-1, range(12))
for i in range(12):
    write(i, range(1000 + i * 18000, 1000 + (i + 1) * 18000))
PYTHON
check_fails 1 'snowboot: the closure has more than 200000 store paths' fetch --no-check-sigs "file://$tmp/bad/$hash"

# Signatures: one good one is enough, whatever stands beside it; a good one of something else is none.
untrusted="hint: --trusted-key NAME:BASE64 adds a key, as does trusted-public-keys in nix.conf"
sig=$(field Sig)
spoil bad "s|^Sig: .*|Sig: nonsense\nSig: lab-1:AAAA\nSig: other-1:${sig#*:}\n&|"
check_ok fetch --trusted-key "$lab" "file://$tmp/bad/$hash"
bad "s|^Sig: .*|$(grep '^Sig: ' "$cache/$hash.narinfo")|" \
	"it has a wrong signature by the trusted key 'lab-1'"
bad "s|^Sig: .*|Sig: other-1:${sig#*:}\nSig: lab-1:${sig#*:}|; s/^NarSize: .*/NarSize: $((size + 8))/" \
	"it has a wrong signature by the trusted key 'lab-1'"
bad "s/^NarSize: .*/NarSize: $((size + 8))/" "it has a wrong signature by the trusted key 'lab-1'"
bad "s/^References: .*/References: $(basename "$top")/" "it has a wrong signature by the trusted key 'lab-1'"
bad 's/^Sig: .*/Sig: lab-1:AAAA/' "it has a wrong signature by the trusted key 'lab-1'"
bad 's/^Sig: .*/Sig: nonsense/' "it is signed by a key that is not trusted, 'nonsense'
$untrusted"

# What a content address says must be so.
nix copy --to "file://$tmp/addressed?compression=none" "$top"
old=$cache
cache=$tmp/addressed
bad "s/^NarHash: .*/NarHash: sha256:$zero/" "the content address '$(field CA)' is not that of its NarHash"
spoil bad "s/^\(CA: text:sha256:\).*/\1$zero/" "$hash"
run fetch "file://$tmp/bad/$hash"
check_equal 'exit status' "$status" 1
grep -Eqx "snowboot: narinfo 'file://$tmp/bad/$hash.narinfo': the content address 'text:sha256:$zero' makes another store path, '[0-9a-z]{32}-…'" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"
# A file by its own hash, with a NAR of something else of the same length.
was=$(nix-hash --type sha256 --flat "$store$top")
spoil bad "" "$hash"
top_nar=$(sed -n 's/^URL: //p' "$tmp/bad/$hash.narinfo")
LC_ALL=C sed -i 's/see /See /' "$tmp/bad/$top_nar"
is=$(sed 's/see /See /' "$store$top" | sha256sum | cut -d' ' -f1)
sed -i "s/^NarHash: .*/NarHash: sha256:$(sha256sum "$tmp/bad/$top_nar" | cut -d' ' -f1)/; /^File/d" "$tmp/bad/$hash.narinfo"
check_fails 1 "snowboot: 'file://$tmp/bad/$top_nar': its file has the hash sha256:$is, its content address says sha256:$was" \
	fetch --no-check-sigs "file://$tmp/bad/$hash"
cache=$old

# What a NAR may not be. Unsigned, since the hash is what is wrong.
wrong() { # wrong MESSAGE: takes it from $tmp/bad
	check_fails 1 "snowboot: 'file://$tmp/bad/$nar': $1" fetch --no-check-sigs "file://$tmp/bad/$hash"
	nothing_used
}
spoil bad "s/^NarSize: .*/NarSize: $((size - 8))/"
wrong "the NAR is longer than the $((size - 8)) bytes announced"
spoil bad "s/^NarSize: .*/NarSize: $((size + 8))/"
wrong "the NAR has $size bytes, not the $((size + 8)) announced"
old=$(nix-hash --type sha256 --to-base16 "$(field NarHash | cut -d: -f2)")
spoil bad "s/^NarHash: .*/NarHash: sha256:$zero/"
wrong "the NAR has the hash sha256:$old, not the sha256:$zero announced"
spoil bad "s/^FileHash: .*/FileHash: sha256:$zero/"
wrong "the file has the hash sha256:$(sha256sum "$cache/$nar" | cut -d' ' -f1), not the sha256:$zero announced"
file_size=$(field FileSize)
spoil bad "s/^FileSize: .*/FileSize: $((file_size - 1))/"
wrong "the file is longer than the $((file_size - 1)) bytes announced"
spoil bad "s/^FileSize: .*/FileSize: $((file_size + 1))/"
wrong "the file has $file_size bytes, not the $((file_size + 1)) announced"
spoil bad ''
rm "$tmp/bad/$nar"
check_fails 1 "snowboot: cannot fetch 'file://$tmp/bad/$nar': there is none" fetch --trusted-key "$lab" "file://$tmp/bad/$hash"
nothing_used

# Broken off, something behind its end, something else: by every compression.
# take COMPRESSION: $tmp/bad as that has it, without what is known of the file.
take() {
	cache=$tmp/cache-$1
	nar=$(field URL)
	spoil bad '/^File/d'
}
for compression in none xz zstd bzip2 gzip br; do
	stream="the $compression stream is damaged"
	take "$compression"
	truncate -s -1000 "$tmp/bad/$nar"
	case $compression in
	none) wrong "the NAR ends after $((size - 1000)) bytes, in the middle" ;;
	*) wrong "$stream: it breaks off, or its end is wrong" ;;
	esac
	take "$compression"
	: >"$tmp/bad/$nar"
	case $compression in
	none) wrong 'the NAR ends after 0 bytes, in the middle' ;;
	*) wrong "$stream: it breaks off, or its end is wrong" ;;
	esac
	take "$compression"
	printf 'nonsense, and more of it\n' >"$tmp/bad/$nar"
	case $compression in
	none) wrong 'this is no NAR: it has no magic number at byte 0' ;;
	br) wrong "$stream: PADDING_2" ;;
	*) wrong "$stream: it does not begin as one" ;;
	esac
	take "$compression"
	printf 'and more' >>"$tmp/bad/$nar"
	case $compression in
	none) wrong "the NAR is longer than the $size bytes announced" ;;
	xz) wrong "$stream: it breaks off, or its end is wrong" ;;
	zstd) wrong "$stream: Unknown frame descriptor" ;;
	*) wrong "$stream: it goes on behind its end" ;;
	esac
	spoil bad ''
	printf 'and more' >>"$tmp/bad/$nar"
	wrong "the file is longer than the $(field FileSize) bytes announced"
done

# Bombs: some KiB that unpack to 100 GiB (gzip: 10 GiB; brotli, which has no frames: 1 GiB). As much is taken as was announced, and
# no more: neither time nor memory goes into the rest.
zeros_of() { # zeros_of COMPRESSION: a lot of packed zeros
	case $1 in
	br) head -c 1G /dev/zero | brotli -q 3 ;;
	*)
		head -c 64M /dev/zero | "$1" -6 >"$tmp/frame"
		for _ in $(seq "$([ "$1" = gzip ] && echo 160 || echo 1600)"); do cat "$tmp/frame"; done
		;;
	esac
}
pack() { case $1 in br) brotli -q 1 ;; *) "$1" -1 ;; esac }
plain=$tmp/cache-none/$(sed -n 's/^URL: //p' "$tmp/cache-none/$data_hash.narinfo")
one_file=$tmp/cache-none/$(sed -n 's/^URL: //p' "$tmp/cache-none/$hash.narinfo")
bounded() { # bounded MESSAGE: as wrong, in 20 s and 256 MiB
	count=$((count + 1))
	status=0
	timeout 20 /usr/bin/time -q -f %M -o "$tmp/peak" "$snowboot" pool add -q --pool "$tmp/pool$count" --no-check-sigs \
		"file://$tmp/bad/$hash" 2>"$tmp/stderr" || status=$?
	check_equal 'exit status' "$status" 1
	check_equal 'words' "$(cat "$tmp/stderr")" "snowboot: 'file://$tmp/bad/$nar': $1"
	[ "$(cat "$tmp/peak")" -lt 262144 ] || fail "that took $(cat "$tmp/peak") KiB of memory"
	nothing_used
}
for compression in xz zstd bzip2 gzip br; do
	zeros_of "$compression" >"$tmp/zeros"
	# A file that says how large it will be.
	take "$compression"
	{ head -c 88 "$one_file" && printf '\0\0\0\0\x19\0\0\0'; } >"$tmp/begin"
	if [ "$compression" = br ]; then
		{ cat "$tmp/begin" && head -c 1G /dev/zero; } | brotli -q 3 >"$tmp/bad/$nar"
	else
		{ pack "$compression" <"$tmp/begin" && cat "$tmp/zeros"; } >"$tmp/bad/$nar"
	fi
	bounded "the NAR has a file of 107374182400 bytes where $((size - 96)) are left"
	# Something behind the end.
	take "$compression"
	if [ "$compression" = br ]; then
		{ cat "$plain" && head -c 1G /dev/zero; } | brotli -q 3 >"$tmp/bad/$nar"
	else
		{ pack "$compression" <"$plain" && cat "$tmp/zeros"; } >"$tmp/bad/$nar"
	fi
	bounded "the NAR is longer than the $size bytes announced"
	# Nothing but zeros.
	take "$compression"
	mv "$tmp/zeros" "$tmp/bad/$nar"
	bounded "the NAR has '' before byte 8 instead of 'nix-archive-1'"
done
# Windows larger than any NAR's needs.
cache=$tmp/cache-zstd
nar=$(field URL)
spoil bad '/^File/d'
zstd -q --ultra --long=31 -1 <"$plain" >"$tmp/bad/$nar"
bounded 'the zstd stream is damaged: Frame requires too much memory for decoding'
# The dictionary of 4 GiB that an xz stream may ask for is memory that nobody touches.
cache=$tmp/cache-xz
nar=$(field URL)
spoil bad '/^File/d'
python3 - "$plain" "$tmp/bad/$nar" <<'PYTHON'
import lzma, struct, sys, zlib
packed = bytearray(lzma.compress(open(sys.argv[1], "rb").read(), preset=0))
size = (packed[12] + 1) * 4  # of the block's header, behind the stream's of 12 bytes
header = packed[12:12 + size - 4]
at = header.index(b"\x21\x01") + 2
header[at] = 40
packed[12:12 + size] = header + struct.pack("<I", zlib.crc32(header))
open(sys.argv[2], "wb").write(packed)
PYTHON
count=$((count + 1))
unset MALLOC_PERTURB_ # meson's: it would write on all that is only reserved
check_ok /usr/bin/time -q -f %M -o "$tmp/peak" "$snowboot" pool add -q --pool "$tmp/pool$count" --no-check-sigs "file://$tmp/bad/$hash"
[ "$(cat "$tmp/peak")" -lt 262144 ] || fail "that took $(cat "$tmp/peak") KiB of memory"
check_ok "$snowboot" pool verify --pool "$tmp/pool$count"
