#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A disk that fills up in the middle: of filling the pool from the store and from a cache, of an image, of a cache. It is said, what was
# there stays, nothing half is left; with more room the same command completes.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/cache.sh"

[ "$(id -u)" = 0 ] || skip 'needs root to mount'
disk=$tmp/disk
mkdir "$disk"
mount -t tmpfs -o size=1m none "$disk" || skip 'cannot mount a tmpfs'
run_at_exit 'umount "$disk"'
# room SIZE: an empty disk of that size. more SIZE: the same disk, larger.
more() { mount -o remount,size="$1" "$disk"; }
room() {
	more 64m
	rm -rf "${disk:?}"/*
	more "$1"
}
space='No space left on device'
hint="hint: free some space, run 'snowboot pool gc', or name another pool by --pool"
make_cache zstd
cache=$tmp/cache-zstd
nar=$(field URL)

# The pool. What fits is kept, and need not be made again.
pool=$disk/pool
filled() {
	[ -z "$(ls "$pool/sessions")" ] || fail 'a session was left'
	check_ok "$snowboot" pool verify --pool "$pool"
	check_ok "$snowboot" pool stat --json --pool "$pool"
	check_stdout "\"segments\":$1,.*\"unused\":0,"
}
from_store() { "$snowboot" pool add -q --jobs 1 --pool "$pool" --store "$store" "$top"; }
from_cache() { "$snowboot" pool add -q --jobs 1 --pool "$pool" --trusted-key "$lab" "file://$cache/$hash"; }
small=$(nix-store --store "local?root=$store" --add "$tmp/lab.public")
for from in store cache; do
	room 2m
	check_ok "$snowboot" pool add -q --pool "$pool" --store "$store" "$small"
	case $from in
	store) said="store path '$data'" ;;
	cache) said="'file://$cache/$nar'" ;;
	esac
	check_fails 1 "snowboot: $said: cannot write '$pool': $space
$hint" "from_$from"
	filled 1
	check_fails 1 "snowboot: $said: cannot write '$pool': $space
$hint" "from_$from"
	more 16m
	check_ok "from_$from"
	filled 3
done
# Without any room at all: every page of the disk is taken.
room 2m
check_ok "$snowboot" pool add -q --pool "$pool" --store "$store" "$small"
dd if=/dev/zero of="$disk/ballast" bs=4096 status=none 2>"$tmp/dd" || true
for attempt in store cache; do
	run "from_$attempt"
	check_equal 'exit status' "$status" 1
	grep -Eqx "snowboot: (cannot create directory '$pool/sessions/[0-9a-f]{16}': $space|index '$pool/index.sqlite': (database or disk is full|disk I/O error: $space)|.*: cannot (write|create) .*: $space)" \
		"$tmp/stderr" || fail "said: $(cat "$tmp/stderr")"
done
rm "$disk/ballast"
more 16m
check_ok from_store
filled 3

# An image: the old one stays until the new one is whole.
check_ok "$snowboot" build squashfs --pool "$tmp/good" --store "$store" -o "$tmp/image" "$top"
room 2m
echo old >"$disk/image"
image() { "$snowboot" build squashfs -q --pool "$tmp/good" --store "$store" -o "$disk/image" "$top"; }
check_fails 1 "snowboot: writing '$disk/image': cannot write 'output': $space" image
check_equal 'the old image' "$(cat "$disk/image")" old
check_equal 'what is there' "$(ls -A "$disk")" image
more 16m
check_ok image
cmp "$tmp/image" "$disk/image" || fail 'another image'

# A cache: what has a narinfo is there.
check_ok "$snowboot" copy --pool "$tmp/good" --store "$store" --to "$tmp/written" "$top"
room 2m
copy() { "$snowboot" copy -q --pool "$tmp/good" --store "$store" --to "$disk/cache" "$top"; }
# Two are written at a time: whichever needs the last page first is told.
run copy
check_equal 'exit status' "$status" 1
written() { sed -n "s|^URL: \(.*\)|snowboot: cannot write '$disk/cache/\1': $space|p" "$tmp/written/$1.narinfo"; }
[ "$(cat "$tmp/stderr")" = "$(written "$data_hash")" ] || [ "$(cat "$tmp/stderr")" = "$(written "$hash")" ] ||
	fail "said: $(cat "$tmp/stderr")"
[ -z "$(find "$disk/cache" -name '*.narinfo' -o -name '*.tmp-*')" ] || fail "left: $(find "$disk/cache")"
more 16m
check_ok copy
diff -r "$tmp/written" "$disk/cache" || fail 'another cache'
