# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced after cli.sh by tests of binary caches. Gives a closure of two paths in a store of its own ($store; $top refers to $data;
# $hash and $data_hash are their digits), the key $lab that `lab.secret` in $tmp makes, and the functions below.

for program in nix-store nix python3 brotli; do
	command -v "$program" >/dev/null || skip "needs $program"
done
export NIX_REMOTE=local NIX_CONFIG='build-users-group =
experimental-features = nix-command'
export NIX_CONF_DIR=$tmp/conf
mkdir "$NIX_CONF_DIR"

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
# shellcheck disable=SC2034 # for whoever sources this
data_hash=$(basename "$data" | cut -c-32)

nix-store --generate-binary-cache-key lab-1 "$tmp/lab.secret" "$tmp/lab.public"
lab=$(cat "$tmp/lab.public")
count=0
# fetch ARGUMENTS…: packs into a new pool, $tmp/pool$count.
fetch() {
	count=$((count + 1))
	"$snowboot" pool add -q --pool "$tmp/pool$count" --cache-timeout 1 "$@"
}

# make_cache COMPRESSION: writes $tmp/cache-COMPRESSION by Nix. Content-addressed paths need no signature; NixOS's own are not, so these
# lose their addresses.
make_cache() {
	nix copy --to "file://$tmp/cache-$1?compression=$1&secret-key=$tmp/lab.secret" "$top" 2>"$tmp/nix-copy.log" ||
		fail "Nix says $(cat "$tmp/nix-copy.log")"
	sed -i '/^CA: /d' "$tmp/cache-$1"/*.narinfo
}

# spoil DIR SED HASH: $tmp/DIR, a copy of $cache with one narinfo changed, that of $data when no other is named.
spoil() {
	rm -rf "${tmp:?}/$1"
	cp -r "$cache" "$tmp/$1"
	sed -i "$2" "$tmp/$1/${3:-$data_hash}.narinfo"
}
# field NAME: of the narinfo of $data in $cache.
field() { sed -n "s/^$1: //p" "$cache/$data_hash.narinfo"; }

# serve_cache PORT DIR: over HTTP, with all that bad_cache.py can do wrong; sets $url. Requests are lines of $tmp/requests.
serve_cache() {
	url=http://127.0.0.1:$1
	: >"$tmp/requests"
	python3 "$root/tests/cli/bad_cache.py" "$1" "$2" "$tmp/requests" &
	run_at_exit "kill $!; wait $!"
	for _ in $(seq 200); do
		if curl -sfo /dev/null "$url/ok/nix-cache-info"; then break; fi
		sleep 0.05
	done
}
asked() { grep -c -- "$1" "$tmp/requests" || true; }
# http ARGUMENTS…: fetch, with the requests counted from here.
http() { : >"$tmp/requests"; fetch --trusted-key "$lab" "$@"; }
