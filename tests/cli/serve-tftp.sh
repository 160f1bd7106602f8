#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# TFTP of `snowboot serve` with real clients: what it serves, what it refuses, what it tells, and what it survives.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

here=$(cd "$(dirname "$0")" && pwd)
system=$(fixture scripted)
name=$(basename "$system")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
serve_arguments=(--listen 127.0.0.1:0 --tftp 0 --state "$tmp/state")
for program in curl busybox tftp atftp; do
	command -v "$program" >/dev/null || skip "needs $program"
done

### What it refuses to start with.
check_fails 2 "snowboot: --tftp needs --dhcp off" "$snowboot" serve --tftp 69 "$system"
check_fails 2 "snowboot: --tftp takes a whole number from 0 to 65535, not '65536'" \
	"$snowboot" serve --dhcp off --tftp 65536 "$system"
check_fails 1 "snowboot: '$tmp' does not have 'undionly.kpxe' and 'snponly.efi' or 'ipxe.efi'
hint: install the package 'ipxe' (Debian: ipxe, NixOS: pkgs.ipxe) and name its folder with --ipxe-dir DIR, or pass --dhcp off" \
	"$snowboot" serve --root ram --dhcp off --tftp 0 --ipxe-dir "$tmp" "$system"

### Files of the folder, in every size that matters.
files=$tmp/files
mkdir -p "$files/sub" "$tmp/got"
touch "$files/undionly.kpxe" "$files/snponly.efi" # as iPXE's folder has them
sizes="0 1 511 512 513 1467 1468 1469 65536 33554431 33554432 40000000"
for size in $sizes; do head -c "$size" /dev/urandom >"$files/f$size"; done
cp "$files/f513" "$files/sub/lower.0"
mkfifo "$files/fifo"
start files --ipxe-dir "$files" --json "$system"
port=$(sed -n "s|^TFTP at UDP port \([0-9]*\), with the files of '$files'\$|\1|p" "$tmp/files.err")
[ -n "$port" ] || fail "no port in: $(cat "$tmp/files.err")"
tftp_get() { (cd "$tmp/got" && timeout 120 "$@") || fail "'$*' failed"; }
same() {
	cmp "$files/$1" "$tmp/got/$1"
	rm "$tmp/got/$1"
}
for size in $sizes; do
	f=f$size
	# Blocks of 512 without options, beyond 65535 of them; then as large as they may be, which is 1468.
	tftp_get tftp -m binary 127.0.0.1 "$port" -c get "$f" >/dev/null
	same "$f"
	if [ "$size" != 0 ]; then # of which curl wants no size
		tftp_get curl -sS --tftp-blksize 1468 -o "$f" "tftp://127.0.0.1:$port/$f"
		same "$f"
	fi
	tftp_get busybox tftp -g -b 8192 -r "$f" 127.0.0.1 "$port" 2>/dev/null
	same "$f"
	tftp_get atftp --option "windowsize 16" --option "blksize 1400" -g -r "$f" -l "$f" 127.0.0.1 "$port" 2>/dev/null
	same "$f"
done
tftp_get curl -sS --tftp-no-options -o f1469 "tftp://127.0.0.1:$port/f1469"
same f1469
for window in 2 7 1000; do
	check_equal "window of $window, with losses" \
		"$(timeout 120 python3 "$here/tftp_client.py" "$port" window f33554432 "$window")" "$(sha256sum "$files/f33554432" | cut -d' ' -f1)"
done
# Names as firmware writes them.
for path in /sub/lower.0 '\sub\lower.0' SUB/LOWER.0 //sub//lower.0; do
	tftp_get busybox tftp -g -l got -r "$path" 127.0.0.1 "$port" 2>/dev/null
	cmp "$files/sub/lower.0" "$tmp/got/got"
done

### Refusals come at once, with words.
refused() {
	local want=$1
	shift
	run env -C "$tmp/got" timeout 3 "$@"
	[ "$status" != 0 ] && [ "$status" != 124 ] || [ "$1" = tftp ] || fail "'$*' ended with $status"
	grep -Fq -- "$want" "$tmp/stdout" "$tmp/stderr" || fail "'$*' said: $(cat "$tmp/stdout" "$tmp/stderr")"
}
refused "there is no such file" busybox tftp -g -r none 127.0.0.1 "$port"
refused "there is no such file" busybox tftp -g -l x -r sub 127.0.0.1 "$port"
refused "there is no such file" busybox tftp -g -r fifo 127.0.0.1 "$port"
refused "there is no such file" busybox tftp -g -l x -r boot/none/initrd 127.0.0.1 "$port"
refused "the file name has a part '..'" busybox tftp -g -l x -r ../../etc/passwd 127.0.0.1 "$port"
refused "the file name has a part '..'" busybox tftp -g -l x -r 'sub\..\..\x' 127.0.0.1 "$port"
refused "files are sent as they are: ask in binary mode (octet)" tftp -m ascii 127.0.0.1 "$port" -c get f1
refused "nothing can be written here" tftp -m binary 127.0.0.1 "$port" -c put "$files/f1" f1
check_equal "f1" "$(stat -c %s "$files/f1")" 1

### Kernel and initrd, under HTTP's names.
tftp_get curl -sS --tftp-blksize 1468 -o kernel "tftp://127.0.0.1:$port/boot/default/bzImage"
cmp "$system/kernel" "$tmp/got/kernel"
tftp_get curl -sS --tftp-blksize 1468 -o initrd "tftp://127.0.0.1:$port/boot/$name/initrd"
curl -fsS "$url/boot/default/initrd" | cmp - "$tmp/got/initrd"

# iPXE that knows no better than TFTP is led to HTTP.
for which in default "$name"; do
	tftp_get busybox tftp -g -l script -r "/boot/$which/netboot.ipxe" 127.0.0.1 "$port" 2>/dev/null
	check_equal "script of $which" "$(cat "$tmp/got/script")" "#!ipxe
:start
chain --replace $url/boot/$which/netboot.ipxe?mac=\${netX/mac:hexhyp}&uuid=\${uuid}&serial=\${serial:uristring}&asset=\${asset:uristring}&memory=\${memsize}&firmware=\${platform}&arch=\${buildarch} || goto failed
:failed
echo snowboot: that did not work, trying again in 10 seconds
sleep 10
goto start"
done
refused "there is no such file" busybox tftp -g -l x -r boot/none/netboot.ipxe 127.0.0.1 "$port"

# How far a transfer is shows in the status; how it ended in the journal.
mkfifo "$tmp/go"
timeout 60 python3 "$here/tftp_client.py" "$port" stop boot/default/initrd 2000 <"$tmp/go" >"$tmp/client" &
client=$!
exec 7>"$tmp/go"
wait_line "$tmp/client" '^stopped$'
percent=$((100 * 1999 * 1468 / $(stat -c %s "$tmp/got/initrd")))
machine=$(curl -fsS "$url/v1/machines/127.0.0.1")
check_equal "step and percent" "$(python3 -c 'import json, sys; m = json.load(sys.stdin); print(m["step"], m["percent"])' <<<"$machine")" \
	"initrd $percent"
for _ in $(seq 50); do
	curl -fsS "$url/v1/events" >"$tmp/events"
	if grep -Eq "\"step\":\"initrd\",.*\"subject\":\"boot/default/initrd\",.*\"percent\":$((percent / 10))[0-9]}" "$tmp/events"; then break; fi
	sleep 0.1
done
grep -q '"percent":' "$tmp/events" || fail "no event tells how far it is: $(cat "$tmp/events")"
echo >&7
exec 7>&-
wait "$client"
wait_line "$tmp/files.out" '"note":"the client broke it off: error 0, enough"'
python3 - "$tmp/files.out" "$name" "$(stat -c %s "$tmp/got/initrd")" <<'EOF'
import json
import sys

lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
name, size = sys.argv[2], int(sys.argv[3])


def last(subject):
    return [l for l in lines if l.get("subject") == subject][-1]


whole = last("f1468")
assert (whole["step"], whole["bytes"], whole["total"], whole["client"]) == ("tftp", 1468, 1468, "127.0.0.1"), whole
assert "note" not in whole and whole["seconds"] > 0, whole
assert last("none")["note"] == "there is no such file", last("none")
assert last("../../etc/passwd")["note"] == "the file name has a part '..'"
initrd = last("boot/%s/initrd" % name)
assert (initrd["step"], initrd["bytes"], initrd["total"]) == ("initrd", size, size), initrd
cut = last("boot/default/initrd")
assert (cut["step"], cut["bytes"], cut["total"]) == ("initrd", 1999 * 1468, size), cut
assert last("boot/default/bzImage")["step"] == "kernel"
assert last("/boot/default/netboot.ipxe")["step"] == "tftp"
EOF
machine=$(curl -fsS "$url/v1/machines/127.0.0.1")
check_equal "system" "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["system"])' <<<"$machine")" "$name"
curl -fsS "$url/metrics" | grep -Eq '^snowboot_origin_tftp_sent_bytes_total [0-9]{9,}$' || fail "no bytes in the metrics"

### extlinux.conf, by every name that leads to it, by TFTP and by HTTP.
cmdline=$(curl -fsS "$url/boot/default/netboot.ipxe" | sed -n "s/^kernel .* initrd=initrd \(.*\) snowboot.origin=.*/\1/p")
[[ " $cmdline " == *" init=$system/init "* ]] || fail "command line: $cmdline"
config="DEFAULT snowboot
PROMPT 0
LABEL snowboot
	MENU LABEL $name
	LINUX /boot/$name/bzImage
	INITRD /boot/$name/initrd
	APPEND $cmdline snowboot.origin=$url
	IPAPPEND 2"
for path in 01-52-54-00-5b-00-02 01-52-54-00-5B-00-02 4c4c4544-0042-3510-8052-b4c04f564433 0A370009 default-x86 default; do
	tftp_get busybox tftp -g -l got -r "pxelinux.cfg/$path" 127.0.0.1 "$port" 2>/dev/null
	check_equal "$path by TFTP" "$(cat "$tmp/got/got")" "$config"
	check_equal "$path by HTTP" "$(curl -fsS "$url/pxelinux.cfg/$path")" "$config"
done
tftp_get busybox tftp -g -l got -r /some/folder/pxelinux.cfg/default 127.0.0.1 "$port" 2>/dev/null
check_equal "in a folder" "$(cat "$tmp/got/got")" "$config"
for path in default-arm64 default-arm-rk3399 0A37000 0 nonsense; do
	words="there is no such file"
	[[ $path != default-* ]] || words="there is no system for aarch64 here"
	refused "$words" busybox tftp -g -l x -r "pxelinux.cfg/$path" 127.0.0.1 "$port"
	check_equal "status of $path" "$(curl -s -o /dev/null -w '%{http_code}' "$url/pxelinux.cfg/$path")" 404
done
refused "there is no such file" busybox tftp -g -l x -r "boot/$name/dtbs/arm,juno.dtb" 127.0.0.1 "$port"
tftp_get busybox tftp -g -r boot.scr.uimg 127.0.0.1 "$port" 2>/dev/null
grep -aFq 'if pxe get; then pxe boot; fi' "$tmp/got/boot.scr.uimg" || fail "boot.scr.uimg has no script"

### A flood: places, descriptors and memory stay bounded, and whoever is honest is served.
before=$(awk '/^VmRSS/ { print $2 }' "/proc/$server/status")
python3 "$here/tftp_client.py" "$port" flood 3000
files_open=$(find "/proc/$server/fd" -mindepth 1 | wc -l)
[ "$files_open" -lt 100 ] || fail "$files_open descriptors are open"
tftp_get curl -sS -o f1469 "tftp://127.0.0.1:$port/f1469"
same f1469
grown=$(($(awk '/^VmRSS/ { print $2 }' "/proc/$server/status") - before))
[ "$grown" -lt 8192 ] || fail "the server grew by $grown KiB"

### The port is taken: said, with the way out. Stopping lets a transfer end.
run timeout 60 "$snowboot" serve --dhcp off --listen 127.0.0.1:0 --tftp "$port" --state "$tmp/other" "$system"
check_equal status "$status" 1
check_stderr "^snowboot: cannot serve TFTP at '127\.0\.0\.1', UDP port $port: Address already in use\$"
check_stderr "^hint: another TFTP server has this port \('ss -lunp' names it\): stop it\$"
(cd "$tmp/got" && timeout 60 tftp -m binary 127.0.0.1 "$port" -c get f40000000) &
last=$!
sleep 0.2
stop "$server"
wait "$last"
same f40000000

### Without iPXE's folder there are kernels and initrds all the same; the uplink's limit is TFTP's, too.
mkdir "$tmp/machines"
printf '{"system": "%s", "kernel-params": ["its=own"]}\n' "$system" >"$tmp/machines/52:54:00:5b:00:07.json"
start paced --uplink 4MB --machines "$tmp/machines" "$system"
port=$(sed -n "s|^TFTP at UDP port \([0-9]*\).*|\1|p" "$tmp/paced.err")
began=$(date +%s%N)
# The boot is still being made: the request waits.
tftp_get curl -sS --tftp-blksize 1468 -o kernel "tftp://127.0.0.1:$port/boot/default/bzImage"
cmp "$system/kernel" "$tmp/got/kernel"
took=$((($(date +%s%N) - began) / 1000000))
at_least=$(($(stat -c %s "$system/kernel") / 4400))
[ "$took" -ge "$at_least" ] || fail "the kernel took $took ms, not at least $at_least"
# The rules of the machines' directory count here, too.
tftp_get busybox tftp -g -l got -r pxelinux.cfg/01-52-54-00-5b-00-07 127.0.0.1 "$port" 2>/dev/null
grep -Eq '^	APPEND .* its=own snowboot\.origin=' "$tmp/got/got" || fail "not by its entry: $(cat "$tmp/got/got")"
tftp_get busybox tftp -g -l got -r pxelinux.cfg/01-52-54-00-5b-00-08 127.0.0.1 "$port" 2>/dev/null
if grep -q its=own "$tmp/got/got"; then fail "by another's entry: $(cat "$tmp/got/got")"; fi
stop "$server"
