#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The pool by hand: what it says, and that neither a full disk, a read-only one, a second process nor a flipped byte
# makes it lose or invent anything.
. "$(dirname "$0")/../lib/cli.sh"

command -v nix-store >/dev/null || skip 'needs nix-store'
export NIX_REMOTE='' NIX_CONFIG='build-users-group ='
store=$tmp/root
pool=$tmp/pool
pool() { local verb=$1; shift; "$snowboot" pool "$verb" -q --pool "$pool" "$@"; }
# store_add NAME: puts $tmp/NAME into the store and prints its path.
store_add() { nix-store --store "local?root=$store" --add "$tmp/$1"; }

mkdir "$tmp/small" "$tmp/large"
printf 'a little text\n' >"$tmp/small/text"
seq 300000 >"$tmp/large/numbers"
head -c 3000000 /dev/urandom >"$tmp/large/noise"
for i in $(seq 200); do seq "$i" "$((i + 500))" >"$tmp/large/file$i"; done
small=$(store_add small)
large=$(store_add large)

# Words.
check_fails 2 "snowboot: 'snowboot pool' needs a command of its group
hint: 'snowboot pool' has add, stat, verify, gc" "$snowboot" pool
check_fails 2 "snowboot: --level takes a whole number from 1 to 19, not '20'" pool add --level 20 --store "$store" "$small"
check_fails 2 "snowboot: how large may the pool stay?
hint: say --max-size SIZE, like '20G'; '0' removes all that is not in use" pool gc
for verb in stat verify 'gc --max-size 1'; do
	# shellcheck disable=SC2086 # two words
	check_fails 1 "snowboot: there is no pool at '$pool'
hint: 'snowboot pool add' makes one; --pool names another one" pool $verb
	[ ! -e "$pool/objects" ] || fail "'$verb' made a pool"
	mkdir -p "$pool"
done

# Add, count, verify.
check_ok pool add --json --store "$store" "$small" "$large"
check_stdout "^\{\"path\":\"$small\",\"paths\":1,\"nar_bytes\":[0-9]+,\"packed_bytes\":[0-9]+,\"seconds\":[0-9.]+\}$"
check_ok pool stat --json
check_stdout '"segments":2,.*"objects":4,.*"unused":0,"unused_bytes":0'
check_ok pool stat
check_stdout '^store paths  2, [0-9.]+ MiB unpacked$'
check_ok "$snowboot" pool verify --pool "$pool"
check_stdout '^0 problems$'
check_ok pool add --store "$store" "$small" "$large"
[ -z "$(ls "$pool/sessions")" ] || fail 'a session was left'

# Every flipped byte of a small object is found, and repaired by forgetting it.
smallest=$(find "$pool/objects" -type f -size -300c | sort | head -n 1)
[ -n "$smallest" ] || fail 'no small object'
cp "$smallest" "$tmp/original"
chmod u+w "$smallest"
for ((i = 0; i < $(stat -c %s "$tmp/original"); i++)); do
	byte=$(od -An -tu1 -j "$i" -N 1 "$tmp/original")
	printf "\\x$(printf %x $((byte ^ 0x40)))" | dd of="$smallest" bs=1 seek="$i" conv=notrunc status=none
	check_fails 1 "snowboot: pool '$pool' has 1 problems
hint: 'snowboot pool verify --repair' removes what is bad, and it is made again" pool verify
	check_stdout "^'$smallest' is damaged\$"
	cp "$tmp/original" "$smallest"
done
check_ok pool verify
printf x >>"$smallest"
check_ok pool verify --repair
check_ok pool verify
check_ok pool stat --json
check_stdout '"segments":1,'
check_ok pool add --store "$store" "$small" "$large"
check_ok pool stat --json
check_stdout '"segments":2,.*"unused":0'
rm "$(find "$pool/objects" -type f -size +1000k)"
check_fails 1 "snowboot: pool '$pool' has 1 problems
hint: 'snowboot pool verify --repair' removes what is bad, and it is made again" pool verify
check_stdout "^object '[0-9a-f]{64}' is missing\$"
check_ok pool verify --repair --json
check_stdout '^\{"problems":1,"repaired":true\}$'

# The size is kept; what is not needed goes first.
check_ok pool add --store "$store" "$small" "$large"
check_ok "$snowboot" pool gc --pool "$pool" --max-size 1G
check_stdout '^removed 0 objects of 0 B, [0-9.]+ MiB are left$'
check_ok pool gc --json --max-size 0
check_stdout '"left_bytes":0\}$'
[ -z "$(find "$pool/objects" -type f)" ] || fail 'gc left objects'

# A store path that is not what the store recorded.
chmod u+w "$store$small" "$store$small/text"
printf 'A little text\n' >"$store$small/text"
was=$(nix-store --store "local?root=$store" -q --hash "$small" | sed 's/sha256://')
was=$(nix-hash --type sha256 --to-base16 "$was")
is=$(nix-hash --type sha256 "$store$small")
check_fails 1 "snowboot: store path '$small': its contents have the hash sha256:$is, the store recorded sha256:$was
hint: 'nix-store --repair-path $small' fetches or builds it again" pool add --store "$store" "$small"
printf 'a little text\n' >"$store$small/text"

# Two at once.
for i in $(seq 12); do
	mkdir "$tmp/p$i"
	head -c $((i * 150000)) /dev/urandom >"$tmp/p$i/a"
	cp -r "$tmp/large/numbers" "$tmp/p$i/"
	paths+=("$(store_add "p$i")")
done
pool add --store "$store" "${paths[@]}" &
first=$!
pool add --store "$store" "${paths[@]}" || fail 'the second process failed'
wait "$first" || fail 'the first process failed'
check_ok pool stat --json
check_stdout '"segments":12,.*"unused":0,'
check_ok pool verify

# Collected while it is filled: whoever adds has it all at the end or says that it was collected, and what is left is whole.
for round in $(seq 6); do
	for i in 1 2; do
		"$snowboot" pool add -q --pool "$pool" --level "$i" --store "$store" "${paths[@]}" 2>"$tmp/add$i" &
	done
	for i in 1 2 3; do pool gc --max-size 0 || fail "round $round: gc failed"; done
	wait
	sort -u "$tmp"/add? | grep -Evx "snowboot: '/nix/store/[^']*' was collected again at once" >"$tmp/said" &&
		fail "round $round: $(cat "$tmp/said")"
	check_ok pool verify
	check_ok pool stat --json
	check_stdout '"unused":0,'
done
check_ok pool add --level 9 --store "$store" "${paths[@]}"
check_ok pool verify

# An index that is none.
printf 'nonsense%.0s' {1..512} >"$pool/index.sqlite"
for verb in stat verify 'gc --max-size 1' "add --store $store $small"; do
	# shellcheck disable=SC2086 # words
	check_fails 1 "snowboot: index '$pool/index.sqlite': file is not a database
hint: remove '$pool/index.sqlite' to begin a new one; the segments are then made again" pool $verb
done
rm "$pool/index.sqlite"
check_ok pool add --level 9 --store "$store" "${paths[@]}"
check_ok pool gc --max-size 1G
check_ok pool stat --json
check_stdout '"segments":12,.*"unused":0,'
check_ok pool verify

# Nor one that was only begun, whose maker was killed.
for begun in '' 'PRAGMA journal_mode = WAL'; do
	rm -rf "$tmp/killed"
	mkdir -p "$tmp/killed/objects" "$tmp/killed/sessions"
	: >"$tmp/killed/index.sqlite"
	[ -z "$begun" ] || sqlite3 "$tmp/killed/index.sqlite" "$begun" >/dev/null
	for verb in stat verify; do
		check_fails 1 "snowboot: there is no pool at '$tmp/killed'
hint: 'snowboot pool add' makes one; --pool names another one" "$snowboot" pool $verb --pool "$tmp/killed"
	done
	check_ok "$snowboot" pool add -q --pool "$tmp/killed" --store "$store" "$small"
	check_ok "$snowboot" pool verify -q --pool "$tmp/killed"
done

# A disk that fills up, and one that cannot be written.
[ "$(id -u)" = 0 ] || skip 'needs root to mount'
mkdir "$tmp/disk"
mount -t tmpfs -o size=6m none "$tmp/disk" || skip 'cannot mount a tmpfs'
run_at_exit 'umount "$tmp/disk"'
pool=$tmp/disk/pool
check_ok pool add --store "$store" "$large"
run pool add --jobs 1 --store "$store" "${paths[@]:4}"
[ "$status" = 1 ] || fail "filling a disk ended with $status"
grep -qx "snowboot: store path '/nix/store/[^']*': cannot write '$pool': No space left on device" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"
check_stderr "^hint: free some space, run 'snowboot pool gc', or name another pool by --pool\$"
[ -z "$(ls "$pool/sessions")" ] || fail 'a session was left on the full disk'
check_ok pool verify
check_ok pool stat --json
check_stdout '"segments":[1-9]'
mount -o remount,ro "$tmp/disk"
check_fails 1 "snowboot: cannot open '$pool/lock': Read-only file system
hint: the pool must be writable; --pool names another one" pool add --store "$store" "${paths[@]}"
check_ok pool verify
check_ok pool stat --json
check_stdout '"segments":[1-9]'
