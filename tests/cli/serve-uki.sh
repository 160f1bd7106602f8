#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve` to firmware that boots by HTTP: one EFI program, made for the machine that asks.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
second=$(fixture scripted-2)
name=$(basename "$system")
second_name=$(basename "$second")
stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub
[ -e "$stub" ] || skip "needs systemd's EFI stub (Debian: systemd-boot-efi)"
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
machines=$tmp/machines
mkdir "$machines"
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state" --machines "$machines" --stub "$stub")

header() { tr -d '\r' | sed -n "s/^$1: //p"; }
# section FILE NAME: its contents. cmdline QUERY: that of the program for who asks so.
section() { rm -f "$tmp/section" && objcopy -O binary -j "$2" "$1" "$tmp/section" && cat "$tmp/section"; }
cmdline() { get -o "$tmp/for.efi" "$url/boot/default/uki.efi?$1" && section "$tmp/for.efi" .cmdline; }

# check_begin NAME FILE: that section begins with this; the rest is padding.
check_begin() {
	section "$tmp/uki.efi" "$1" >/dev/null
	cmp -n "$(stat -c %s "$2")" "$tmp/section" "$2" || fail "section '$1' is not '$2'"
}

ln -s "$system" "$machines/default"
printf '{"system": "%s", "kernel-params": ["console=ttyS1"], "once": true}\n' "$second" >"$machines/52:54:00:00:00:03.json"
start first
one=mac=52-54-00-00-00-01
head=$(get -I "$url/boot/default/uki.efi?$one")
check_equal Content-Type "$(header Content-Type <<<"$head")" application/efi
check_equal Cache-Control "$(header Cache-Control <<<"$head")" no-cache
etag=$(header ETag <<<"$head")
get -o "$tmp/uki.efi" "$url/boot/default/uki.efi?$one"
check_equal Content-Length "$(header Content-Length <<<"$head")" "$(stat -c %s "$tmp/uki.efi")"
check_equal "the last section" "$(objdump -h "$tmp/uki.efi" | awk '$1 ~ /^[0-9]+$/ { last = $2 } END { print last }')" .linux
get -o "$tmp/initrd" "$url/boot/$name/initrd"
check_begin .linux "$system/kernel"
check_begin .initrd "$tmp/initrd"
check_equal "os-release" "$(section "$tmp/uki.efi" .osrel)" "$(cat "$system/etc/os-release")"
line=$(section "$tmp/uki.efi" .cmdline)
[[ $line == *" init=$system/init "*" snowboot.origin=$url BOOTIF=01-52-54-00-00-00-01" ]] || fail "command line: $line"

# Pieces, and whose they are.
get -r 1000000-1000999 "$url/boot/default/uki.efi?$one" | cmp - <(tail -c +1000001 "$tmp/uki.efi" | head -c 1000)
get -r -5 "$url/boot/default/uki.efi?$one" | cmp - <(tail -c 5 "$tmp/uki.efi")
check_equal "the same ETag" "$(code -H "If-None-Match: $etag" "$url/boot/default/uki.efi?$one")" 304
other=$(get -I "$url/boot/default/uki.efi?mac=52-54-00-00-00-02" | header ETag)
[ "$other" != "$etag" ] || fail "two machines have the same bytes"
check_equal "to go on with another's" "$(code -r 5-9 -H "If-Range: $other" "$url/boot/default/uki.efi?$one")" 200
check_equal "the same again" "$(get "$url/boot/default/uki.efi?$one" | sha256sum)" "$(sha256sum <"$tmp/uki.efi")"

# Rules, and what is for once: HEAD takes nothing.
three=mac=52:54:00:00:00:03
head=$(get -I "$url/boot/default/uki.efi?$three")
[ ! -e "$tmp/state/once" ] || ! grep -q ^given "$tmp/state/once" || fail "HEAD has taken it"
line=$(cmdline "$three")
[[ $line == *" init=$second/init "*" console=ttyS1 snowboot.origin="* ]] || fail "command line: $line"
check_equal "size by HEAD" "$(header Content-Length <<<"$head")" "$(stat -c %s "$tmp/for.efi")"
grep -q "^given " "$tmp/state/once" || fail "it is not remembered that it was given"
# One step of a boot, with what was sent.
steps=$(get "$url/v1/machines/52:54:00:00:00:03" | python3 -c 'import json, sys
m = json.load(sys.stdin)
print(m["step"], m["system"], [(s["step"], s["bytes"] > 1000000) for s in m["timeline"]["steps"]])')
check_equal "steps" "$steps" "uki $second_name [('uki', True)]"
# A machine that is not known has no card to name, and gets the default.
line=$(cmdline arch=x86_64)
[[ $line == *" init=$system/init "* && $line != *BOOTIF* ]] || fail "command line: $line"
line=$(cmdline "cmdline_prefix_args=first%20of%3dall&cmdline_suffix_args=last")
[[ $line == "first of=all "*" last" ]] || fail "command line: $line"
# Firmware leaves the port out of Host: it is ours, and for another name than ours perhaps a proxy's.
port=${url##*:}
get -H 'Host: 127.0.0.1' -o "$tmp/for.efi" "$url/boot/default/uki.efi"
line=$(section "$tmp/for.efi" .cmdline)
[[ $line == *" snowboot.origin=http://127.0.0.1:$port" ]] || fail "command line: $line"
get -H 'Host: boot.example' -o "$tmp/for.efi" "$url/boot/default/uki.efi"
line=$(section "$tmp/for.efi" .cmdline)
[[ $line == *" snowboot.origin=http://boot.example:$port,http://boot.example" ]] || fail "command line: $line"
# By name, whatever the rules say.
get -o "$tmp/for.efi" "$url/boot/$second_name/uki.efi?$one"
line=$(section "$tmp/for.efi" .cmdline)
[[ $line == *" init=$second/init "* ]] || fail "command line: $line"

# What firmware gets that cannot have it; the log says why.
check_equal "another processor" "$(curl -s "$url/boot/default/uki.efi?arch=arm64")" \
	"this machine's boot loader is for arm64, the system for x86_64-linux
hint: make an entry for it that names a system of its kind"
check_equal "its status" "$(code "$url/boot/default/uki.efi?arch=arm64")" 500
check_equal "an unknown system" "$(curl -s "$url/boot/nobody/uki.efi")" "there is no system 'nobody' here"
check_equal "its status" "$(code "$url/boot/nobody/uki.efi")" 404
check_equal "a word that is ours" "$(code "$url/boot/default/uki.efi?cmdline_suffix_args=init=/x")" 400
check_equal "too long" "$(curl -s "$url/boot/default/uki.efi?cmdline_suffix_args=$(printf '%02000d' 0)" | sed 's/[0-9]\{4\} bytes/N bytes/')" \
	"the kernel command line would have N bytes, more than the 2047 that the kernel keeps"
rm "$machines/default"
check_equal "nothing to boot" "$(code "$url/boot/default/uki.efi?$one")" 404
grep -Eq " 52:54:00:00:00:01 uki: /boot/default/uki\.efi 404 .*there is nothing to boot for 52:54:00:00:00:01$" "$tmp/first.out" ||
	fail "no reason in the log: $(tail -n 3 "$tmp/first.out")"
grep -Eq " 52:54:00:00:00:03 uki: /boot/default/uki\.efi [0-9.]+ MB in .*, $second_name by '52:54:00:00:00:03\.json', once$" "$tmp/first.out" ||
	fail "no line for the machine file: $(cat "$tmp/first.out")"

stop "$server"

# With the root in memory its bytes are sent out of the pool: the server does not grow by them.
serve_arguments=(--listen 127.0.0.1:0 --root ram --stub "$stub")
start ram "$system"
get -I "$url/boot/default/uki.efi" >"$tmp/head"
before=$(awk '/^VmHWM/ { print $2 }' "/proc/$server/status")
size=$(get "$url/boot/default/uki.efi" | wc -c)
check_equal "the whole" "$size" "$(header Content-Length <"$tmp/head")"
after=$(awk '/^VmHWM/ { print $2 }' "/proc/$server/status")
[ "$size" -gt 200000000 ] || fail "the image is not in it: $size bytes"
[ $((after - before)) -lt 4096 ] || fail "the server grew by $((after - before)) KiB"
get "$url/boot/default/uki.efi" -o "$tmp/uki.efi"
line=$(section "$tmp/uki.efi" .cmdline)
[[ $line == *" init=$system/init "*" snowboot.origin=$url" ]] || fail "command line: $line"
stop "$server"

# A stub that is none.
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state" --stub "$system/init")
start bad "$system"
check_equal "without a stub" "$(curl -s --max-time 200 "$url/boot/default/uki.efi")" "stub '$system/init': not an EFI program"
check_equal "its script" "$(code "$url/boot/default/netboot.ipxe")" 200
grep -Fxq "no UEFI HTTP boot of '$name': stub '$system/init': not an EFI program" "$tmp/bad.err" || fail "not in the log: $(cat "$tmp/bad.err")"
stop "$server"
