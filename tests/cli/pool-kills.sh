#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Killed at random moments (pool-kills.sh [ROUNDS [SEED]]: 5 of each of the four kinds, so 20): while the pool is filled from the store, from a binary cache,
# while a cache is written and while systems are served. Nothing is damaged, and the next run completes. The seed is printed;
# with the same one the moments are the same, as far as the machine's load lets them.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

for program in nix-store python3 curl; do command -v "$program" >/dev/null || skip "needs $program"; done
rounds=${1:-5}
seed=${2:-$((RANDOM * 32768 + RANDOM))}
echo "seed $seed"
RANDOM=$seed
export NIX_REMOTE='' NIX_CONFIG='build-users-group ='
export NIX_CONF_DIR=$tmp/conf
mkdir "$NIX_CONF_DIR"
store=$tmp/root
pool=$tmp/pool

# Twelve store paths, larger and larger.
for i in $(seq 12); do
	mkdir "$tmp/p$i"
	head -c $((i * 150000)) /dev/urandom >"$tmp/p$i/a"
	seq 300000 >"$tmp/p$i/numbers"
	paths+=("$(nix-store --store "local?root=$store" --add "$tmp/p$i")")
done
now() { date +%s%3N; }
# time_of COMMAND…: sets $whole to the milliseconds that it takes.
time_of() {
	local begun
	begun=$(now)
	("$@") || fail "'$*' failed"
	whole=$(($(now) - begun))
}
# kill_in COMMAND…: starts it and kills it after a part of $whole, or a little more.
kill_in() {
	local after=$((RANDOM * 32768 % (whole + whole / 8 + 1) + RANDOM % 10))
	"$@" >"$tmp/killed.log" 2>&1 &
	local pid=$!
	sleep "$(printf '%d.%03d' $((after / 1000)) $((after % 1000)))"
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	moment="round $round of '$what', seed $seed, killed after $after ms"
}
# whole_pool WHEN: nothing in it is damaged, and the dead have left nothing.
whole_pool() {
	if [ -e "$pool/index.sqlite" ]; then
		"$snowboot" pool verify -q --pool "$pool" >"$tmp/verify.log" 2>&1 ||
			{ [ "$1" = 'at once' ] && [ "$(head -n 1 "$tmp/verify.log")" = "snowboot: there is no pool at '$pool'" ]; } ||
			fail "$moment, $1: $(cat "$tmp/verify.log")"
		[ -z "$(ls "$pool/sessions")" ] || [ "$1" = 'at once' ] || fail "$moment: temporaries were left"
	fi
}
complete() {
	("$@") >"$tmp/next.log" 2>&1 || fail "$moment: the next run: $(cat "$tmp/next.log")"
}

# The pool, from the store and from a cache by HTTP.
from_store() { exec "$snowboot" pool add -q --pool "$pool" --store "$store" "${paths[@]}"; }
"$snowboot" copy -q --store "$store" --pool "$tmp/first" --compression zstd --to "$tmp/cache" "${paths[0]}"
for path in "${paths[@]:1}"; do "$snowboot" copy -q --store "$store" --pool "$tmp/first" --to "$tmp/cache" "$path"; done
python3 "$root/tests/cli/bad_cache.py" 18986 "$tmp/cache" "$tmp/requests" &
run_at_exit "kill $!; wait $!"
wait_for http://127.0.0.1:18986/ok/nix-cache-info
from_cache() {
	exec "$snowboot" pool add -q --pool "$pool" --no-check-sigs --store "$tmp/none" --cache http://127.0.0.1:18986/ok "${paths[@]}"
}
for what in from_store from_cache; do
	rm -rf "$pool"
	time_of "$what"
	for round in $(seq "$rounds"); do
		# Now and then beside what is there already.
		if [ $((round % 4)) = 0 ]; then
			rm -f "$(find "$pool/objects" -type f | sort | head -n $((RANDOM % 24 + 1)) | tail -n 1)"
			"$snowboot" pool verify -q --repair --pool "$pool" >"$tmp/repair.log" 2>&1 || fail "repair: $(cat "$tmp/repair.log")"
		else
			rm -rf "$pool/objects" "$pool"/index.sqlite*
		fi
		kill_in "$what"
		whole_pool 'at once'
		complete "$what"
		whole_pool 'in the end'
		"$snowboot" pool stat --json --pool "$pool" | grep -q '"segments":12,' || fail "$moment: not all is there"
	done
done

# A cache that is written: what has a narinfo there is whole.
what=copy
write() { exec "$snowboot" copy -q --store "$store" --pool "$tmp/first" --compression xz --to "$tmp/written" "${paths[11]}"; }
time_of write
cp -r "$tmp/written" "$tmp/as-it-should-be"
for round in $(seq "$rounds"); do
	rm -rf "$tmp/written"
	kill_in write
	if [ -d "$tmp/written" ]; then
		(cd "$tmp/written" && find . -type f ! -name '*.tmp-*' -exec cmp {} ../as-it-should-be/{} \;) || fail "$moment: a file is not whole"
	fi
	complete write
	diff -r -x '*.tmp-*' "$tmp/written" "$tmp/as-it-should-be" || fail "$moment: the next run left something out"
done

# A server, while a client loads from it: the next one goes on where this one stopped.
what=serve
system=$(fixture scripted)
name=$(basename "$system")
rm -rf "$pool"
serve() { exec "$snowboot" serve -q --dhcp off --root ram --listen 127.0.0.1:18987 --level 1 --pool "$pool" "$system"; }
initrd=http://127.0.0.1:18987/boot/$name/initrd
load() { # load FILE: what is missing of the initramfs, waiting for the server as a machine does
	for _ in $(seq 3000); do
		if curl -sf --limit-rate 200M -C - -o "$1" --max-time 200 "$initrd"; then return; fi
		# Nothing was missing: the server has no such range.
		if [ -s "$1" ] && [ "$(curl -sfI "$initrd" | tr -d '\r' | sed -n 's/^[Cc]ontent-[Ll]ength: //p')" = "$(stat -c %s "$1")" ]; then return; fi
		sleep 0.1
	done
	fail "$moment: '$initrd' does not answer: $(cat "$tmp/killed.log")"
}
moment=
run_at_exit 'end_program "$server"'
for _ in 1 2; do # the first time fills the pool
	rm -f "$tmp/initrd"
	begun=$(now)
	serve >"$tmp/killed.log" 2>&1 &
	server=$!
	load "$tmp/initrd"
	whole=$(($(now) - begun))
	stop "$server"
done
for round in $(seq "$rounds"); do
	if [ $((round % 5)) = 1 ]; then
		find "$pool/objects" -type f | sort | awk -v "from=$RANDOM" 'NR % 50 == from % 50' | xargs rm -f
		"$snowboot" pool verify -q --repair --pool "$pool" >"$tmp/repair.log" 2>&1 || fail "repair: $(cat "$tmp/repair.log")"
	fi
	rm -f "$tmp/loaded"
	curl -s --retry 100 --retry-connrefused --retry-delay 1 --limit-rate 100M -o "$tmp/loaded" "$initrd" &
	client=$!
	kill_in serve
	kill "$client" 2>/dev/null || true
	wait "$client" 2>/dev/null || true
	serve >"$tmp/killed.log" 2>&1 &
	server=$!
	load "$tmp/loaded"
	cmp "$tmp/initrd" "$tmp/loaded" || fail "$moment: another initramfs"
	stop "$server"
	if [ $((round % 5)) = 0 ]; then whole_pool 'in the end'; fi
done
