#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# snowboot vm: what it asks of its options, and a BIOS machine that finds what --url names.
. "$(dirname "$0")/../lib/cli.sh"

vm=("$snowboot" vm --pxe)

check_fails 2 "snowboot: what shall the machine boot from?
hint: say --pxe to boot it from the network" "$snowboot" vm
check_fails 2 "snowboot: a machine has either --bios or --uefi" "${vm[@]}" --bios --uefi
check_fails 2 "snowboot: --net user needs the --url to boot from
hint: the host is 10.0.2.2 there: --url http://10.0.2.2:PORT/boot/NAME/netboot.ipxe" "${vm[@]}"
check_fails 2 "snowboot: --net does not know 'wifi'
hint: it takes user, tap:NAME or bridge:NAME" "${vm[@]}" --net wifi
check_fails 2 "snowboot: --url and --forward go with --net user only" "${vm[@]}" --net tap:t0 --url http://x/
check_fails 2 "snowboot: --forward takes two ports like '8080:80', not '0:80'" "${vm[@]}" --url http://x/ --forward 0:80
check_fails 2 "snowboot: --memory takes a size like '500M' or '20G', not 'much'" "${vm[@]}" --memory much
check_fails 2 "snowboot: 32 MiB of memory are too few for a BIOS machine (min 64)" \
	"${vm[@]}" --quiet --url http://x/ --memory 32M
check_fails 2 "snowboot: 'f00' is not the MAC address of a card, like 52:54:00:12:34:56" \
	"${vm[@]}" --quiet --url http://x/ --mac f00
check_fails 2 '{"error":"--json and --serial stdio both want standard output","kind":"usage","hint":"say --serial FILE"}' \
	"${vm[@]}" --json --url http://x/ --serial stdio
check_fails 2 "snowboot: --timeout takes a whole number from 1 to 86400, not '0'" "${vm[@]}" --quiet --url http://x/ --timeout 0

# Without QEMU it says what to install.
check_fails 1 "snowboot: cannot run 'qemu-system-x86_64': No such file or directory
hint: install QEMU (Debian: apt-get install qemu-system-x86)" env PATH=/nonexistent "${vm[@]}" --quiet --url http://x/

command -v qemu-system-x86_64 >"$tmp/stdout" || skip "needs qemu-system-x86_64"

# A card that QEMU does not have: its own words are in the message.
check_fails 1 "snowboot: cannot start the virtual machine; QEMU exited with status 1: \
qemu-system-x86_64: -device no-such-card,netdev=net0,bootindex=1: 'no-such-card' is not a valid device model name" \
	"${vm[@]}" --quiet --url http://x/ --nic no-such-card

# QEMU's own DHCP names our URL, iPXE in the card asks for it: an iPXE script says so on the console.
mkdir "$tmp/www"
printf '#!ipxe\necho the script has come ${mac}\npoweroff ||\nexit\n' >"$tmp/www/netboot.ipxe"
python3 -u -m http.server --bind 127.0.0.1 --directory "$tmp/www" 0 >"$tmp/port" 2>"$tmp/requests" &
server=$!
run_at_exit "kill $server"
for _ in $(seq 100); do
	port=$(sed -n 's/.*port \([0-9]*\) .*/\1/p' "$tmp/port")
	[ -n "$port" ] && break
	sleep 0.1
done
url=http://10.0.2.2:$port/netboot.ipxe
# One machine of all tests at a time. The lock is the shell's alone: what it starts must not keep it.
exec 9>/tmp/snowboot-qemu.lock
flock 9
vm_alone() { "${vm[@]}" "$@" 9>&-; }
check_ok vm_alone --memory 256M --url "$url" --mac 52:54:00:aa:bb:cc --serial "$tmp/console" --json --timeout 120 \
	--until 'script has come ([0-9a-f:]{17})'
check_stdout '^\{"event":"matched","seconds":[0-9.]+,"match":"52:54:00:aa:bb:cc"\}$'
grep -q '"GET /netboot.ipxe' "$tmp/requests" || fail "no request: $(cat "$tmp/requests")"
grep -q iPXE "$tmp/console" || fail "no iPXE in: $(cat "$tmp/console")"

# The console on standard output, and a pattern that does not come in time.
run vm_alone --quiet --memory 256M --url "$url" --until 'login:' --timeout 1
[ "$status" = 1 ] || fail "ended with $status"
check_stderr "^snowboot: 'login:' did not appear on the console within 1 s; its last lines: "
