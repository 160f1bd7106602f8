#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A binary cache over HTTP that misbehaves (bad_cache.py): what breaks off is continued, what goes wrong is said, and nothing makes
# us wait or take bytes without an end. Several caches: their order, and what comes from the next.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/cache.sh"

make_cache xz
cache=$tmp/cache-xz
nar=$(field URL)
nar_size=$(stat -c %s "$cache/$nar")
serve_cache 18985 "$cache"
check_ok http "$url/ok/$hash"
check_equal 'requests' "$(asked .)" 5
nothing_used() {
	[ -z "$(find "$tmp/pool$count/objects" -type f -size +100k)" ] || fail 'something of it was used'
	[ -z "$(ls "$tmp/pool$count/sessions")" ] || fail 'a session was left'
}

# What breaks off is continued, with and without ranges; what is busy is asked again; redirects are followed.
for mode in broken-nar norange-nar busy moved; do
	check_ok http "$url/$mode/$hash"
	check_equal "words about $mode" "$(cat "$tmp/stderr")" ''
	check_ok "$snowboot" pool verify --pool "$tmp/pool$count"
	case $mode in
	broken-nar) check_equal "continued" "$(asked "^GET /broken-nar/$nar 206 bytes=[1-9][0-9]*-")" 1 ;;
	norange-nar) check_equal 'sent again' "$(asked "^GET /norange-nar/$nar 200 bytes=[1-9][0-9]*-")" 1 ;;
	busy) check_equal 'tries' "$(asked "^GET /busy/$nar 503")" 2 ;;
	moved) check_equal 'followed' "$(asked "^GET /ok/$nar 200")" 1 ;;
	esac
done
check_fails 1 "snowboot: '$url/lying-nar/$nar': the xz stream is damaged: Lzma library error: Corrupted input data" \
	http "$url/lying-nar/$hash"
nothing_used

# What ends early, always.
rest=$((nar_size - nar_size / 2))
check_fails 1 "snowboot: cannot fetch '$url/early-nar/$nar': transfer closed with $rest bytes remaining to read" \
	http "$url/early-nar/$hash"
nothing_used

# How far it is, how fast, and how long it takes: to a log, to programs, and to a terminal.
amounts='[0-9.]+ [KM]iB of [0-9.]+ MiB, [0-9.]+ [KM]iB/s'
slowly() { "$snowboot" pool add --pool "$tmp/slow-$1" --trusted-key "$lab" "${@:2}" "$url/slow-nar/$hash"; }
check_ok slowly log
check_stderr "^fetch: $amounts, [1-9] s left\$"
check_stderr "^fetch: $amounts, done in [2-9]\.[0-9] s\$"
check_ok slowly json --json
python3 - "$tmp/stderr" <<'PYTHON' || fail "progress: $(cat "$tmp/stderr")"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
lines = [line for line in lines if line["progress"] == "fetch"]
*running, last = lines
assert running and not any(line["finished"] for line in running)
for line in running:
    assert line["unit"] == "bytes" and 0 < line["done"] < line["total"], line
    assert abs(line["rate"] - line["done"] / line["seconds"]) < 2000, line
    assert abs(line["left"] - (line["total"] - line["done"]) / line["rate"]) < 0.1, line
assert last["finished"] and last["done"] == last["total"] and last["left"] == 0, last
PYTHON
python3 - "$snowboot" pool add --pool "$tmp/slow-terminal" --trusted-key "$lab" "$url/slow-nar/$hash" >"$tmp/terminal" <<'PYTHON'
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], lambda fd: os.read(fd, 65536))))
PYTHON
tr '\r' '\n' <"$tmp/terminal" | sed 's/\x1b\[K//' >"$tmp/bars"
grep -Eqx "fetch \[#+\.+\]  ?[0-9]+%  $amounts, [1-9] s left" "$tmp/bars" || fail "bars: $(cat "$tmp/bars")"
grep -Eqx "$top: 2 store paths, [0-9.]+ MiB packed to [0-9.]+ MiB, [0-9.]+ s" "$tmp/bars" || fail "result: $(cat "$tmp/bars")"

# Many at once: twelve NARs of four seconds each, in far less than one after the other.
for i in $(seq 12); do
	mkdir "$tmp/many$i"
	head -c 150000 /dev/urandom >"$tmp/many$i/file"
	many+=("\${builtins.storePath $(nix-store --store "local?root=$store" --add "$tmp/many$i")}")
done
many_top=$(nix-instantiate --store "local?root=$store" --eval --read-write-mode -E "builtins.toFile \"many\" \"${many[*]}\"" | tr -d '"')
nix copy --to "file://$cache?compression=none&secret-key=$tmp/lab.secret" "$many_top" 2>"$tmp/nix-copy.log" ||
	fail "Nix says $(cat "$tmp/nix-copy.log")"
begun=$SECONDS
check_ok http "$url/slow-nar/$(basename "$many_top" | cut -c-32)"
check_equal 'NARs' "$(asked '^GET /slow-nar/nar/')" 13
[ $((SECONDS - begun)) -lt 24 ] || fail "one after the other, in $((SECONDS - begun)) s"

# Errors.
cannot="snowboot: cannot fetch '$url"
check_fails 1 "$cannot/status-500/$hash.narinfo': the cache answers 500" http "$url/status-500/$hash"
check_equal 'tries' "$(asked "/status-500/$hash.narinfo 500")" 4
check_fails 1 "$cannot/status-500-nar/$nar': the cache answers 500" http "$url/status-500-nar/$hash"
nothing_used
check_fails 1 "$cannot/status-404-nar/$nar': the cache answers 404" http "$url/status-404-nar/$hash"
check_equal 'tries' "$(asked "/status-404-nar/$nar 404")" 1
check_fails 1 "snowboot: '$hash' is not in the cache '$url/status-403'" http "$url/status-403/$hash"
check_equal 'tries' "$(asked "/status-403/$hash.narinfo 403")" 1
check_fails 1 "snowboot: '$hash' is not in the cache '$url/status-404'" http "$url/status-404/$hash"
check_fails 1 "$cannot/status-418/$hash.narinfo': the cache answers 418" http "$url/status-418/$hash"
check_fails 1 "$cannot/status-429/$hash.narinfo': the cache answers 429" http "$url/status-429/$hash"
check_equal 'tries' "$(asked "/status-429/$hash.narinfo 429")" 4
check_fails 1 "$cannot/circle/$hash.narinfo': Maximum (5) redirects followed" http "$url/circle/$hash"
check_fails 1 "$cannot/to-file/$hash.narinfo': Protocol \"file\" not supported or disabled in libcurl" http "$url/to-file/$hash"
check_fails 1 "$cannot/garbage/$hash.narinfo': Received HTTP/0.9 when not allowed" http "$url/garbage/$hash"
run http "http://127.0.0.1:1/$hash"
grep -Eqx "snowboot: cannot fetch 'http://127.0.0.1:1/nix-cache-info': Failed to connect to 127.0.0.1 port 1 after [0-9]+ ms: Couldn't connect to server" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"

# What is slow, or never comes to an end, is given up in bounded time. With one second to send 1 KiB, four times.
slow='Operation too slow. Less than 1024 bytes/sec transferred the last 1 seconds'
in_time() { # in_time SECONDS check_fails …
	local begun=$SECONDS limit=$1
	shift
	"$@"
	[ $((SECONDS - begun)) -le "$limit" ] || fail "that took $((SECONDS - begun)) s"
}
in_time 60 check_fails 1 "$cannot/hang/nix-cache-info': $slow" http "$url/hang/$hash"
in_time 60 check_fails 1 "$cannot/trickle/$hash.narinfo': $slow" http "$url/trickle/$hash"
in_time 60 check_fails 1 "$cannot/trickle-nar/$nar': $slow" http "$url/trickle-nar/$hash"
nothing_used
in_time 60 check_fails 1 "$cannot/stall-nar/$nar': $slow" http "$url/stall-nar/$hash"
nothing_used
# A hundred bytes per connection are an end to each, and would take a day in all.
in_time 60 check_fails 1 "$cannot/drip-nar/$nar': transfer closed with $((nar_size - 400)) bytes remaining to read" \
	http "$url/drip-nar/$hash"
check_fails 1 "snowboot: '$url/huge/$hash.narinfo' has more than 1048576 bytes" http "$url/huge/$hash"
in_time 60 check_fails 1 "$cannot/endless/$hash.narinfo': the cache answers 500" http "$url/endless/$hash"
in_time 60 check_fails 1 "$cannot/spiral/$hash.narinfo': Maximum (5) redirects followed" http "$url/spiral/$hash"
in_time 60 check_fails 1 "$cannot/headers/$hash.narinfo': it has more than 262144 bytes of headers" http "$url/headers/$hash"

# Several: by their priorities, then as they are named; what the first lacks, or gives wrongly, comes from the next.
mkdir -p "$tmp/part"
cp "$cache/nix-cache-info" "$cache/$hash.narinfo" "$tmp/part"
check_ok http --cache "$url/ok" "file://$tmp/part/$hash"
check_stderr "^cannot fetch 'file://$tmp/part/nar/.*': there is none, trying '$url/ok/nar/.*' instead\$"
check_equal 'asked for what the first has' "$(asked "/ok/$data_hash.narinfo")" 1
check_ok http --cache "$url/early-nar" --cache "$url/ok" --store "$tmp/none" "$hash"
check_equal 'words' "$(cat "$tmp/stderr")" \
	"cannot fetch '$url/early-nar/$nar': transfer closed with $rest bytes remaining to read, trying '$url/ok/$nar' instead"
check_ok http --cache "$url/status-500?priority=1" --cache "$url/ok" --cache "file://$tmp/none" --store "$tmp/none" "$hash"
check_stderr "^cannot fetch 'file://$tmp/none/nix-cache-info': there is none, ignoring this cache\$"
check_stderr "^cannot fetch '$url/status-500/$hash.narinfo': the cache answers 500, asking '$url/ok' instead\$"
cp -r "$cache" "$tmp/first"
sed -i 's/^Priority: .*//; $a Priority: 7' "$tmp/first/nix-cache-info"
for order in "--cache $url/ok --cache file://$tmp/first" "--cache file://$tmp/first --cache $url/ok" \
	"--cache $url/ok?priority=8 --cache file://$tmp/first" "--cache file://$tmp/first?priority=60 --cache $url/moved?priority=50"; do
	# shellcheck disable=SC2086 # words
	check_ok http $order --store "$tmp/none" "$hash"
	case $order in
	*priority=60*) check_equal "narinfos by $order" "$(asked '/moved/.*narinfo')" 2 ;;
	*) check_equal "narinfos by $order" "$(asked 'narinfo')" 0 ;;
	esac
done
# What a cache lacks it is asked for once.
check_ok http --cache "$url/status-404" --cache "$url/ok" --store "$tmp/none" "$hash" "$data_hash" "$hash"
check_equal 'asked for what is not there' "$(asked "/status-404/$data_hash.narinfo 404"), $(asked "/status-404/$hash.narinfo 404")" '1, 1'
# Nor does the next process ask for it, as long as nix.conf says, if another cache may have it.
same_pool() { : >"$tmp/requests" && "$snowboot" pool add -q --pool "$tmp/pool$count" --store "$tmp/none" --trusted-key "$lab" "$@"; }
both=(--cache "$url/status-404" --cache "$url/ok" "$hash")
asked_both() { echo "$(asked '/status-404/.*narinfo 404'), $(asked '/ok/.*narinfo 200')"; }
check_ok http --store "$tmp/none" "${both[@]}"
check_equal 'asked at first' "$(asked_both)" '2, 2'
check_ok same_pool --level 1 "${both[@]}"
check_equal 'asked within the hour' "$(asked_both)" '0, 2'
echo 'narinfo-cache-negative-ttl = 0' >"$NIX_CONF_DIR/nix.conf"
check_ok same_pool --level 2 "${both[@]}"
check_equal 'asked where nothing is remembered' "$(asked_both)" '2, 2'
rm "$NIX_CONF_DIR/nix.conf"
python3 - "$tmp/pool$count/absent" <<'PYTHON'
import struct, sys
with open(sys.argv[1], "rb") as f:
    magic, records = f.read(8), f.read()
with open(sys.argv[1], "wb") as f:
    f.write(magic)
    for at in range(0, len(records), 48):
        f.write(records[at:at + 40] + struct.pack("<Q", struct.unpack("<Q", records[at + 40:at + 48])[0] - 3600))
PYTHON
check_ok same_pool --level 3 "${both[@]}"
check_equal 'asked after an hour' "$(asked_both)" '2, 2'
# But what was uploaded meanwhile is there, in the only cache as in the first of two whose other lacks it.
mv "$cache/$data_hash.narinfo" "$tmp/held-back"
check_fails 1 "snowboot: '$top' refers to what is missing: '$data' is not in the cache '$url/ok'" \
	http --store "$tmp/none" --cache "$url/ok" "$hash"
mv "$tmp/held-back" "$cache/$data_hash.narinfo"
check_ok same_pool --cache "$url/ok" "$hash"
mv "$cache/$data_hash.narinfo" "$tmp/held-back"
check_fails 1 "snowboot: '$top' refers to what is missing: '$data' is in none of the 2 caches" \
	http --store "$tmp/none" --cache "$url/ok" --cache "$url/status-404?priority=99" "$hash"
mv "$tmp/held-back" "$cache/$data_hash.narinfo"
check_ok same_pool --cache "$url/ok" --cache "$url/status-404?priority=99" "$hash"
# One that is damaged, by hash and by signature, is passed over too.
cp -r "$cache" "$tmp/damaged"
printf '\0' | dd of="$tmp/damaged/$nar" bs=1 seek=2000 conv=notrunc status=none
check_ok http --cache "file://$tmp/damaged?priority=1" --cache "$url/ok" --store "$tmp/none" "$hash"
check_stderr "^'file://$tmp/damaged/$nar': the xz stream is damaged: .*, trying '$url/ok/$nar' instead\$"
check_ok "$snowboot" pool verify --pool "$tmp/pool$count"
sed -i '/^Sig/d' "$tmp/damaged/$data_hash.narinfo"
check_ok http --cache "file://$tmp/damaged?priority=1" --cache "$url/ok" --store "$tmp/none" "$hash"
check_equal 'words' "$(cat "$tmp/stderr")" \
	"narinfo 'file://$tmp/damaged/$data_hash.narinfo': it has no signature, asking '$url/ok' instead"
rm "$tmp/part/$hash.narinfo"
check_fails 1 "snowboot: '00000000000000000000000000000000' is in none of the 2 caches" \
	http --cache "$url/ok" "file://$tmp/part/00000000000000000000000000000000"
cp "$cache/$hash.narinfo" "$tmp/part"
check_fails 1 "snowboot: '$top' refers to what is missing: '$data' is not in the cache 'file://$tmp/part'" \
	http "file://$tmp/part/$hash"
check_fails 2 "snowboot: cache 'file://$cache?priority=high' has the priority 'high', not a number" \
	http --store "$tmp/none" --cache "file://$cache?priority=high" "$hash"
check_fails 1 "$cannot/auth/nix-cache-info': the cache answers 401
hint: name and password are taken from a netrc file" http "$url/auth/$hash"
