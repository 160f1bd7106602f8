#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Servers on a host without Nix and without a store: systems out of binary caches, by the command line and by machine
# files; out of the pool alone when the cache is gone; and what Nix builds.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

[ "$(id -u)" = 0 ] || skip "hiding the store needs root"
unshare -m true 2>/dev/null || skip "there are no mount namespaces"
for program in nix-store nix-build python3; do
	command -v "$program" >/dev/null || skip "needs $program"
done
system=$(fixture scripted)
name=$(basename "$system")
hash=${name:0:32}
special=$(readlink -f "$system/specialisation/quiet")
special_name=$(basename "$special")
export NIX_CONF_DIR=$tmp/conf
mkdir "$NIX_CONF_DIR" "$tmp/machines"

# hidden COMMAND…: where /nix is empty.
cat >"$tmp/hidden" <<'END'
#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs none /nix && exec "$@"' sh "$@"
END
chmod +x "$tmp/hidden"
hidden() { "$tmp/hidden" "$@"; }

nix-store --generate-binary-cache-key lab-1 "$tmp/secret" "$tmp/public"
cache=$tmp/cache
check_ok "$snowboot" copy -q --pool "${SNOWBOOT_POOL:-$tmp/packed}" --key "$tmp/secret" --to "$cache" "$system"
trusted=(--trusted-key "$(cat "$tmp/public")")
export SNOWBOOT_POOL=$tmp/pool
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state" --machines "$tmp/machines" "${trusted[@]}")
# start_hidden LOG ARGUMENTS…: a server there.
start_hidden() {
	local log=$1
	shift
	launch "$log" "$tmp/hidden" "$snowboot" serve --dhcp off "${serve_arguments[@]}" "$@"
}
# patient ARGUMENTS…: as get, for who comes again when it is told to.
patient() { get -s --retry 100 --retry-max-time 270 "$@"; }
# get_whatever URL: the answer, of whatever status.
get_whatever() { curl -s --max-time 60 "$1"; }
# boots MAC: the name of what it boots.
boots() { patient "$url/boot/default/netboot.ipxe?mac=$1" | sed -n 's/^echo snowboot: //p' | head -n 1; }
state_of() { get "$url/v1/status" | python3 -c "import json, sys; print(json.load(sys.stdin)['systems'][$1].get('$2'))"; }

### What it looks like, of which only what is looked at is fetched.
check_ok hidden "$snowboot" show --json --pool "$tmp/looked" "${trusted[@]}" "file://$cache/$hash"
mv "$tmp/stdout" "$tmp/shown"
check_ok "$snowboot" show --json "$system"
cmp "$tmp/shown" "$tmp/stdout" || fail "shown as: $(cat "$tmp/shown")"
check_ok hidden "$snowboot" pool stat --json --pool "$tmp/looked"
check_stdout '"segments":[2-9],'

### Out of a slow cache: who asks waits, is told to come again, and gets it. One fetch for all.
touch "$tmp/hold"
python3 "$root/tests/cli/slow_cache.py" "$cache" "$tmp/hold" "$tmp/requests" >"$tmp/port" &
run_at_exit "kill $!"
wait_line "$tmp/port" '^[0-9]+$'
slow=http://127.0.0.1:$(cat "$tmp/port")
start_hidden slow --cache-timeout 300 "$slow/$hash"
get "$url/boot/default/bzImage" >"$tmp/waited" &
waiter=$!
check_equal "a client that waited" "$(curl -s -w ' %{http_code} %header{retry-after}' "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-09" | sed 's/fetch: .*/PROGRESS/')" \
	"snowboot: '$slow/$hash' is being prepared
PROGRESS
 503 5" &
first=$!
check_equal "the same to iPXE" "$(curl -s -A iPXE/1.21.1 "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-09" | sed 's/fetch: [0-9]* % of [0-9]* MiB/PROGRESS/')" "#!ipxe
imgfree
echo snowboot: '$slow/$hash' is being prepared
echo PROGRESS
echo snowboot: asking again in 5 seconds
:again
sleep 5
chain --replace /boot/default/netboot.ipxe?mac=52-54-00-00-00-09 || goto again"
wait "$first"
wait "$waiter" && fail "a kernel came before its system"
check_equal "the state" "$(state_of 0 state) $(state_of 0 progress | sed 's/: .*//')" "preparing fetch"
rm "$tmp/hold"
check_equal "what it boots" "$(boots 52-54-00-00-00-09)" "$name"
check_equal "its kernel" "$(get "$url/boot/$name/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
check_equal "its manifest" "$(get "$url/v1/manifests/default" | sed -n 's/^system //p')" "$system"
check_equal "files asked for twice" "$(sort "$tmp/requests" | uniq -d)" ""
check_equal "what it is" "$(state_of 0 named) $(state_of 0 system) $(state_of 0 state)" "$slow/$hash $system ready"
grep -Fxq "'$slow/$hash' is '$system'" "$tmp/slow.err" || fail "not in the log: $(cat "$tmp/slow.err")"
check_ok hidden "$snowboot" manifest show --state "$tmp/state" "$slow/$hash"
check_stdout "^system +$system$"
check_ok hidden "$snowboot" manifest show --state "$tmp/state" "$hash"
# What is served stays, whatever the pool is told.
check_ok hidden "$snowboot" pool gc --max-size 0
check_image "$url" "$system"
check_equal "its kernel after gc" "$(get "$url/boot/$name/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
stop "$server"

### Machine files name them, too; a specialisation is a part of what was fetched.
cat >"$tmp/machines/52-54-00-00-00-01.json" <<END
{"system": "file://$cache/$hash", "specialisation": "quiet", "kernel-params": ["panic=9"]}
END
echo "{\"system\": \"file://$cache/$hash\", \"specialisation\": \"loud\"}" >"$tmp/machines/serial-2.json"
echo '{"system": "00000000000000000000000000000000"}' >"$tmp/machines/serial-3.json"
start_hidden machines --cache "file://$cache"
check_equal "a specialisation" "$(boots 52-54-00-00-00-01)" "$special_name"
line=$(patient "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-01" | grep ^kernel)
[[ $line == *" init=$special/init "*" panic=9 snowboot.origin="* ]] || fail "kernel line: $line"
check_ok "$snowboot" explain --server "$url" 52:54:00:00:00:01
check_stdout "$special"
refused() { patient "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-77&serial=$1" | sed -n 's/^echo snowboot: //p' | head -n 1; }
check_equal "one that is not there" "$(refused 2)" "the system '$system' has no specialisation 'loud'"
check_equal "a hash of nothing" "$(refused 3)" "'00000000000000000000000000000000' is not in the cache 'file://$cache'"
stop "$server"
rm "$tmp/machines"/*

### Without the cache: the pool has all of it. Whether it is believed is asked anew.
mv "$cache" "$cache.gone"
start_hidden alone "file://$cache/$hash"
check_equal "its kernel from the pool" "$(patient "$url/boot/default/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
check_image "$url" "$system"
stop "$server"
# From a pool that is only read as well, by any name that it has; one that is not whole says so, though the cache has the rest.
objects() { find "$tmp/pool/objects" | sort | sha256sum; }
before=$(objects)
start_hidden readonly --readonly "$hash"
check_equal "its kernel from a pool that is only read" "$(patient "$url/boot/default/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
check_image "$url" "$system"
stop "$server"
check_equal "the pool's objects" "$(objects)" "$before"
mv "$cache.gone" "$cache"
start_hidden lacking --readonly --pool "$tmp/looked" "file://$cache/$hash"
lacking=$(get_whatever "$url/boot/default/bzImage")
[[ $lacking =~ ^pool\ \'$tmp/looked\',\ which\ is\ only\ read,\ lacks\ [0-9]+\ store\ paths$ ]] || fail "it says: $lacking"
wait_line "$tmp/lacking.err" \
	"^cannot prepare 'file://$cache/$hash': pool '$tmp/looked', which is only read, lacks [0-9]+ store paths\$"
wait_line "$tmp/lacking.err" "^hint: 'snowboot pool add SYSTEM' fills it\$"
stop "$server"
mv "$cache" "$cache.gone"
check_ok hidden "$snowboot" publish -q --state "$tmp/state" "${trusted[@]}" --to "$tmp/www" "file://$cache/$hash"
cmp "$tmp/www/boot/$name/bzImage" "$system/kernel" || fail "another kernel is published"
gone="snowboot: cannot fetch 'file://$cache/nix-cache-info': there is none
hint: a binary cache has that file; is the URL right?"
check_fails 1 "$gone" hidden "$snowboot" publish -q --state "$tmp/state" --to "$tmp/www" "file://$cache/$hash"
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state")
start_hidden untrusted "file://$cache/$hash"
check_equal "who trusts nobody" "$(curl -s "$url/boot/default/netboot.ipxe")" \
	"cannot fetch 'file://$cache/nix-cache-info': there is none"
stop "$server"

### What Nix builds, again when the server is told to.
export NIX_REMOTE=local NIX_CONFIG='build-users-group =
sandbox = false
substitute = false'
mkdir "$tmp/lab"
# expression SYSTEM
expression() {
	cat >"$tmp/lab/default.nix" <<-END
		derivation {
		  name = "lab";
		  system = builtins.currentSystem;
		  builder = "/bin/sh";
		  args = [ "-c" "/bin/ln -s \${builtins.storePath $1} \$out" ];
		}
	END
}
expression "$system"
start lab "$tmp/lab"
check_equal "what is built" "$(patient "$url/boot/default/netboot.ipxe" | sed -n 's/^echo snowboot: //p' | head -n 1)" "$name"
expression "$special"
kill -HUP "$server"
wait_line "$tmp/lab.err" "^'$tmp/lab' is '$special'$"
check_equal "what is built then" "$(patient "$url/boot/default/netboot.ipxe" | sed -n 's/^echo snowboot: //p' | head -n 1)" "$special_name"
check_equal "what was built before" "$(code "$url/boot/$name/bzImage")" 200
stop "$server"
