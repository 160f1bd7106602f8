#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot explain`: which rule wins, which lost and why, and what comes of it; as text and JSON.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
second=$(fixture scripted-2)
special=$(readlink -f "$system/specialisation/quiet")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
machines=$tmp/machines
mkdir "$machines"
mac=52:54:00:00:00:01

### What it refuses.
check_fails 2 "snowboot: 'snowboot explain' needs MACHINE...
hint: see 'snowboot explain --help'" "$snowboot" explain
check_fails 2 "snowboot: '10.0.0.7' is no name of a machine
hint: a hardware address, a UUID, serial-NUMBER, asset-TAG, or default" "$snowboot" explain 10.0.0.7
check_fails 1 "snowboot: '127.0.0.1:1': cannot connect: Connection refused
hint: name the server: --server http://HOST:PORT" "$snowboot" explain --server 127.0.0.1:1 "$mac"

# explain MACHINE…: asks the server.
explain() { run "$snowboot" explain --server "$url" "$@"; }
# check_explained STATUS LINE…: the last answer was exactly that.
check_explained() {
	check_equal status "$status" "$1"
	shift
	printf '%s\n' "$@" | diff - "$tmp/stdout" || fail "another explanation: $(cat "$tmp/stdout")"
}

### Nothing to boot.
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state" --machines "$machines")
touch "$machines/README"
start first
explain default
check_explained 1 machine '  mac       unknown' '  uuid      unknown' '  serial    unknown' '  asset     unknown' \
	"rules in $machines" "  'README' has not the name of a machine"
check_equal "its message" "$(cat "$tmp/stderr")" "snowboot: there is nothing to boot for a machine of which nothing is known
hint: make an entry for it, or 'default', in '$machines'"

### Who wins, who lost and why.
printf '{"system": "%s", "specialisation": "quiet", "kernel-params": ["panic=10"], "once": true}\n' "$system" >"$machines/$mac.json"
ln -s "$second" "$machines/serial-AB%2FC"
ln -s "$second" "$machines/default"
ln -s "$second" "$machines/52:54:00:00:00:02"
explain "$mac" serial-ab%2Fc
check_equal status "$status" 0
check_stdout "^  mac       $mac\$"
check_stdout "^  serial    ab/c\$"
check_stdout "^  wins      $mac\.json +the machine's mac is '$mac'\$"
check_stdout "^  beaten    serial-AB%2FC +'$mac\.json' comes before it\$"
check_stdout "^  beaten    default +'$mac\.json' comes before it\$"
check_stdout '^  1 entry is of other machines$'
check_stdout "^  system    $special\$"
check_stdout '^  special   quiet$'
check_stdout '^  once      until the machine reports that it came up$'
# Explained, it is not given; and it is being made from now on.
[ ! -e "$tmp/state/once" ] || fail "it counts as given: $(cat "$tmp/state/once")"
curl -fsS --max-time 280 -o "$tmp/script" "$url/boot/$(basename "$special")/netboot.ipxe"
explain "$mac"
check_stdout '^  root      net$'
check_stdout "^  kernel    $(readlink -f "$special/kernel"), [0-9.]+ MB; initrd [0-9.]+ MB\$"
check_stdout "^  cmdline   .* init=$special/init .* panic=10\$"

# What the machine said when it booted is known afterwards.
curl -fsS --max-time 280 -o "$tmp/script" "$url/boot/default/netboot.ipxe?mac=$mac&serial=AB%2FC&asset=hall%203"
explain asset-hall%203
check_stdout "^  mac       $mac\$"
check_stdout "^  wins      $mac\.json "
# Used up, the next one wins.
curl -fsS -o /dev/null "$url/v1/up"
explain "$mac"
check_stdout "^  used up   $mac\.json +the machine came up with it on 20[0-9-]* [0-9:]* UTC\$"
check_stdout "^  wins      serial-AB%2FC +the machine's serial is 'AB/C'\$"

### JSON, and a broken entry.
explain --json "$mac"
check_equal status "$status" 0
python3 - "$tmp/stdout" "$second" "$mac" <<'END' || fail "the JSON is another: $(cat "$tmp/stdout")"
import json, sys
answer = json.load(open(sys.argv[1]))
assert answer["machine"] == {"mac": sys.argv[3], "uuid": None, "serial": "AB/C", "asset": "hall 3"}, answer["machine"]
assert [r["standing"] for r in answer["rules"]] == ["used up", "wins", "beaten"]
assert [r["by"] for r in answer["rules"]] == ["mac", "serial", "default"]
assert answer["boots"]["system"] == sys.argv[2] and answer["failure"] is None
assert answer["ignored"] == ["README"] and answer["others"] == 1
END
echo '{' >"$machines/serial-AB%2FC.json"
rm "$machines/serial-AB%2FC"
explain --json "$mac"
check_equal status "$status" 1
check_equal "its message" "$(cat "$tmp/stderr")" "{\"error\":\"machine file '$machines/serial-AB%2FC.json': line 2: \
string or '}' expected near end of file\",\"kind\":\"not-found\",\"hint\":\"\"}"
stop "$server"

### Without rules, and somebody else's server.
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state")
start second "$second"
explain default
check_equal status "$status" 0
check_stdout '^rules$'
check_stdout "^  wins      \(first SYSTEM\) +it is the server's first SYSTEM\$"
check_stdout "^  system    $second\$"
stop "$server"
