#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve --machines`: which machine boots what, once and again, and what a machine without an entry is told.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
second=$(fixture scripted-2)
name=$(basename "$system")
second_name=$(basename "$second")
special=$(readlink -f "$system/specialisation/quiet")
special_name=$(basename "$special")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
machines=$tmp/machines
state=$tmp/state
mkdir "$machines"

serve_arguments=(--listen 127.0.0.1:0 --state "$state" --machines "$machines")
# boots QUERY: the script that a machine which says this of itself gets.
boots() { get "$url/boot/default/netboot.ipxe?$1"; }
# check_boots QUERY NAME: it boots the system of that file name.
check_boots() { check_equal "what '$1' boots" "$(boots "$1" | sed -n 's/^echo snowboot: //p' | head -n 1)" "$2"; }
kernel_line() { grep ^kernel <<<"$1"; }

### What it refuses.
check_fails 1 "snowboot: cannot read the machines' directory '$tmp/none': No such file or directory" \
	"$snowboot" serve -q --dhcp off --state "$state" --machines "$tmp/none"

### No system but those of the directory.
touch "$machines/README"
start first
grep -Fxq "'$machines/README' has not the name of a machine, ignoring" "$tmp/first.err" || fail "no warning: $(cat "$tmp/first.err")"
check_equal "what asks first" "$(get "$url/boot/default/netboot.ipxe")" '#!ipxe
:start
chain --replace /boot/default/netboot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid}&serial=${serial:uristring}&asset=${asset:uristring}&memory=${memsize}&firmware=${platform}&arch=${buildarch} || goto failed
:failed
echo snowboot: that did not work, trying again in 10 seconds
sleep 10
goto start'
check_equal "what goes on" "$(get "$url/boot/default/netboot.ipxe?cmdline_suffix_args=a%20b" | sed -n 's/^chain .*arch=${buildarch}//p')" \
	'&cmdline_suffix_args=a%20b || goto failed'
check_equal "an odd query" "$(curl -s "$url/boot/default/netboot.ipxe?x=\$\{net0/mac\}")" \
	"the URL has '\$', which has to be written as %24"
check_told mac=52-54-00-00-00-01 "snowboot: there is nothing to boot for 52:54:00:00:00:01" \
	"hint: make an entry for it, or 'default', in '$machines'"
machine=$(get "$url/v1/machines/52:54:00:00:00:01")
check_equal "its step" "$(python3 -c 'import json, sys; m = json.load(sys.stdin); print(m["step"], m["failure"], sep=": ")' <<<"$machine")" \
	"failed: there is nothing to boot for 52:54:00:00:00:01"
check_ok "$snowboot" status "$url"
check_stdout "^127\.0\.0\.1 .* failed .*  there is nothing to boot for 52:54:00:00:00:01\$"
check_told mac= "snowboot: there is nothing to boot for a machine of which nothing is known" \
	"hint: make an entry for it, or 'default', in '$machines'"
check_equal "a manifest of nothing" "$(code "$url/v1/manifests/default")" 404

### Each kind of name; a change counts at once.
one=mac=52-54-00-00-00-01\&uuid=4c4c4544-0043-3510-8052-b9c04f4d3032\&serial=AB%2FCD\&asset=hall%203
ln -s "$second" "$machines/default"
check_boots "$one" "$second_name"
ln -s "$system" "$machines/asset-hall 3"
check_boots "$one" "$name"
ln -s "$second" "$machines/serial-AB%2Fcd"
check_boots "$one" "$second_name"
ln -s "$system" "$machines/4C4C4544-0043-3510-8052-B9C04F4D3032"
check_boots "$one" "$name"
ln -s "$second" "$machines/52:54:00:00:00:01"
check_boots "$one" "$second_name"
check_boots mac=52-54-00-00-00-02 "$second_name"
ln -sfn "$system" "$machines/52:54:00:00:00:01"
check_boots "$one" "$name"
# What the script names is there, and signed.
check_equal "its step" "$(get "$url/v1/machines/52:54:00:00:00:01" | python3 -c 'import json, sys; m = json.load(sys.stdin); print(m["step"], m["failure"])')" \
	"script None"
check_equal "its kernel" "$(get "$url/boot/$name/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
check_equal "its manifest" "$(get "$url/v1/manifests/$name" | sed -n 's/^system //p')" "$system"
grep -Fq "$name by '52:54:00:00:00:01'" "$tmp/first.out" || fail "no entry in the journal: $(cat "$tmp/first.out")"

# Switched while it is asked for: one system or the other, whole.
for i in $(seq 30); do
	if ((i % 2)); then ln -sfn "$second" "$machines/52:54:00:00:00:01"; else ln -sfn "$system" "$machines/52:54:00:00:00:01"; fi
done &
switcher=$!
for _ in $(seq 40); do
	script=$(boots "$one")
	got=$(sed -n 's/^echo snowboot: //p' <<<"$script" | head -n 1)
	case $got in
	"$name") [[ $script == *"init=$system/init "*"/boot/$name/initrd"* ]] || fail "half of each: $script" ;;
	"$second_name") [[ $script == *"init=$second/init "*"/boot/$second_name/initrd"* ]] || fail "half of each: $script" ;;
	*) fail "neither system: $script" ;;
	esac
done
wait "$switcher"

### Machine files.
file=$machines/52-54-00-00-00-03.json
three=mac=52:54:00:00:00:03
cat >"$file" <<END
{
  "comment": "in the hall",
  "system": "$system",
  "specialisation": "quiet",
  "kernel-params": ["console=ttyS1", "panic=10"]
}
END
check_boots "$three" "$special_name"
line=$(kernel_line "$(boots "$three")")
[[ $line == *" init=$special/init "*" console=ttyS1 panic=10 snowboot.origin="* ]] || fail "kernel line: $line"
line=$(kernel_line "$(boots "$three&cmdline_prefix_args=first%20of%3dall&cmdline_suffix_args=last")")
[[ $line == "kernel /boot/$special_name/bzImage initrd=initrd first of=all "*" panic=10 last snowboot.origin="* ]] ||
	fail "kernel line: $line"
check_equal "init twice" "$(curl -s "$url/boot/default/netboot.ipxe?$three&cmdline_suffix_args=init=/bin/sh")" \
	"'init=/bin/sh' cannot be added to the kernel command line"
check_equal "too long" "$(curl -s "$url/boot/default/netboot.ipxe?$three&cmdline_suffix_args=$(printf '%02000d' 0)" | sed 's/[0-9]\{4\} bytes/N bytes/')" \
	"the kernel command line would have N bytes, more than the 2047 that the kernel keeps"

# A broken one is told, with file and line, and nothing else is booted instead.
printf '{\n  "sistem": "%s"\n}\n' "$system" >"$file"
check_told "$three" "snowboot: machine file '$file': line 2: 'sistem' is no key of a machine file" \
	"hint: there are system, specialisation, kernel-params, device-tree, once and comment"
printf '{\n  "system": "%s",\n}\n' "$system" >"$file"
check_told "$three" "snowboot: machine file '$file': line 3: string or '}' expected near '}'"
printf '{"system": "%s", "specialisation": "loud"}\n' "$system" >"$file"
check_told "$three" "snowboot: machine entry '$file': the system '$system' has no specialisation 'loud'" \
	"hint: 'snowboot show $system' lists those that it has"
rm "$file"
ln -s "$tmp/gone" "$file"
check_told "$three" "snowboot: machine entry '$file': '$file' leads to '$tmp/gone', which does not exist"
grep -Fq "leads to '$tmp/gone', which does not exist" "$tmp/first.out" || fail "not in the journal: $(cat "$tmp/first.out")"

### Once: until it came up.
rm "$file"
printf '{"system": "%s", "once": true}\n' "$system" >"$file"
check_boots "$three" "$name"
check_boots "$three" "$name"
record=$(sed -n 's/^given [0-9a-f]* //p' "$state/once" | sed 's/ [0-9]*$//')
check_equal "the record" "$record" "52:54:00:00:00:03 52:54:00:00:00:03 $name"
stop "$server"

# Another server, with a system of its own for who has no entry, remembers it.
rm "$machines/default"
start second "$second"
check_boots mac=52-54-00-00-00-02 "$second_name"
check_boots "$three" "$name"
check_equal "who says that it is up" "$(get "$url/v1/up")" noted
check_boots "$three" "$second_name"
grep -Fxq "'52:54:00:00:00:03' came up with '$name': what it was given for once is used up" "$tmp/second.err" ||
	fail "no line of it: $(cat "$tmp/second.err")"
touch -d '1 hour ago' "$file"
check_boots "$three" "$name"
# By its card, whatever address its system has; then it is used up once more.
check_equal "status for a card that booted nothing" "$(code "$url/v1/up?mac=52-54-00-00-00-09")" 404
check_equal "who says so by its card" "$(get "$url/v1/up?mac=01-52-54-00-00-00-03")" noted
check_boots "$three" "$second_name"

### A machine whose boot failed tells why. What it was given for once is not used up by that.
touch -d '2 hours ago' "$file"
check_boots "$three" "$name"
check_equal "who says why it failed" "$(get "$url/v1/failed?mac=01-52-54-00-00-00-03&why=cannot%20mount%20%27%2Froot%27%3A%20100%20%25%20full")" noted
check_machine() { # MAC STEP FAILURE
	get "$url/v1/machines" >"$tmp/machines.json"
	check_equal "machine $1" "$(python3 -c 'import json, sys
m = [m for m in json.load(open(sys.argv[1]))["machines"] if m["mac"] == sys.argv[2]]
print(*[(m["step"], m["failure"], m["linked"]) for m in m])' "$tmp/machines.json" "$1")" "('$2', $3, False)"
}
check_machine 52:54:00:00:00:03 failed "\"cannot mount '/root': 100 % full\""
check_ok "$snowboot" status "$url"
check_stdout "^127\.0\.0\.1 .* failed .*  cannot mount '/root': 100 % full\$"
get "$url/v1/events" | python3 -c 'import json, sys
e = [json.loads(line) for line in sys.stdin][-1]
assert (e["step"], e["client"], e["mac"], e["subject"], e["note"]) == (
    "failed", "127.0.0.1", "52:54:00:00:00:03", sys.argv[1], "cannot mount \x27/root\x27: 100 % full"), e' "$name"
get "$url/metrics" | grep -Fxq 'snowboot_origin_machines{state="failed"} 1' || fail "no failed machine in /metrics"
wait_line "$tmp/second.out" "^[0-9:]+ 127\.0\.0\.1 52:54:00:00:00:03 failed: $name, cannot mount '/root': 100 % full\$"
check_boots "$three" "$name"
check_machine 52:54:00:00:00:03 script None
# One whose boot was not seen here, by a mirror perhaps.
check_equal "who was not seen" "$(get "$url/v1/failed?mac=52-54-00-00-00-0a&why=x")" noted
check_machine 52:54:00:00:00:0a failed "'x'"
check_refused() { # QUERY MESSAGE
	check_equal "status for '$1'" "$(curl -s -o "$tmp/refused" -w '%{http_code}' "$url/v1/failed$1")" 400
	check_equal "answer to '$1'" "$(cat "$tmp/refused")" "$2"
}
check_refused '' 'nothing says why it failed: ?why=TEXT'
check_refused '?why=a%0Ab' "the value of 'why' has a control character"
check_refused "?why=$(printf '%2049s' '' | tr ' ' x)" 'the reason has 2049 bytes > max 2048'
stop "$server"

# A damaged record gives nothing out.
echo garbage >"$state/once"
start third "$second"
check_told "$three" "snowboot: '$state/once' line 1 is damaged" \
	"hint: put the file right, or remove it: all one-shot assignments are new then"
stop "$server"
