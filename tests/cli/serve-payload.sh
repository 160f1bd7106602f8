#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve` chooses what a machine gets by what its boot loader says of memory and firmware; the log has the reason, and a
# machine that cannot boot what it would get is told so.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
name=$(basename "$system")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
boots() { get "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-01&$1"; }
# told QUERY LINE…: the machine of boots() boots nothing and shows these lines.
told() { check_told "mac=52-54-00-00-00-01&$1" "${@:2}"; }

### By memory.
start auto --root auto --listen 127.0.0.1:0 --state "$tmp/state" "$system"
check_equal "who says nothing" "$(get "$url/boot/default/netboot.ipxe" | grep -c 'memory=${memsize}&firmware=${platform}&arch=${buildarch}')" 1
boots '' >"$tmp/script" # when the boot is made
image=$(get "$url/v1/status" | python3 -c 'import json, sys; print(json.load(sys.stdin)["systems"][0]["image_bytes"] >> 20)')
# chosen QUERY WORDS REASON: how often the command line asks for a copy, and what the log says.
chosen() {
	local line
	line=$(boots "$1" | grep ^kernel)
	check_equal "copies by '$1'" "$(grep -o ' snowboot\.root=ram ' <<<"$line" | wc -l)" "$2"
	check_equal "the reason for '$1'" "$(tail -n 1 "$tmp/auto.out" | sed 's/.*, \('"$name"'\)/\1/')" "$name, $3"
}
chosen '' 0 'over the network: its memory is unknown'
chosen "memory=$((image * 4 + 4))&firmware=pcbios&arch=i386" 1 \
	"in memory: the image has $image MiB, at most a quarter of its $((image * 4 + 4)) MiB of memory"
chosen "memory=$((image * 4 - 4))&firmware=efi&arch=x86_64" 0 \
	"over the network: the image has $image MiB, more than a quarter of its $((image * 4 - 4)) MiB of memory"
check_ok "$snowboot" explain --server "$url" 52:54:00:00:00:01
check_stdout '^  root      auto$'

### Too little of it, and another processor.
needed=$(boots memory=100\&firmware=efi | sed -n "s/^echo snowboot: this machine has 100 MiB of memory, and needs at least \([0-9]*\) MiB$/\1/p")
[ "$needed" -gt 384 ] || fail "an EFI machine needs $needed MiB"
told 'memory=100&firmware=efi' "snowboot: this machine has 100 MiB of memory, and needs at least $needed MiB"
boots "memory=$needed&firmware=efi" | grep -q ^kernel || fail "it does not boot with $needed MiB"
bios=$(boots memory=100\&firmware=pcbios | sed -n 's/.* at least \([0-9]*\) MiB$/\1/p')
[ "$bios" -lt "$needed" ] || fail "a BIOS needs $bios MiB, EFI $needed"
told 'memory=4096&firmware=efi&arch=arm64' "snowboot: this machine's boot loader is for arm64, the system for x86_64-linux" \
	'hint: make an entry for it that names a system of its kind'
grep -Eq " 52:54:00:00:00:01 script: /boot/default/netboot\.ipxe .*this machine's boot loader is for arm64, the system for x86_64-linux" "$tmp/auto.out" ||
	fail "not in the log: $(tail -n 2 "$tmp/auto.out")"
stop "$server"

### All in the initramfs needs its image two or three times, and the way out is said.
start ram --root ram --listen 127.0.0.1:0 "$system"
boots '' >/dev/null
hint='hint: with --root net it would need less'
bios=$(boots memory=100\&firmware=pcbios | sed -n 's/.* at least \([0-9]*\) MiB$/\1/p')
efi=$(boots memory=100\&firmware=efi | sed -n 's/.* at least \([0-9]*\) MiB$/\1/p')
[ "$bios" -gt $((2 * image)) ] && [ $((efi - bios)) -ge "$image" ] || fail "a BIOS needs $bios MiB, EFI $efi, for an image of $image MiB"
told 'memory=512&firmware=pcbios' "snowboot: this machine has 512 MiB of memory, and needs at least $bios MiB" "$hint"
told "memory=$bios&firmware=efi" "snowboot: this machine has $bios MiB of memory, and needs at least $efi MiB" "$hint"
boots "memory=$bios&firmware=pcbios" | grep -q ^kernel || fail "it does not boot with $bios MiB"
stop "$server"
