#!/bin/bash
# SPDX-License-Identifier: MIT
# The base of an initramfs out of each fixture's real kernel: unpacked by zstd and cpio, and compared with what the
# system has and with what kmod says of it.
. "$(dirname "$0")/../lib/cli.sh"

build=${SNOWBOOT_BUILD:-$root/build}
fixtures=${SNOWBOOT_FIXTURES:-/var/lib/snowboot/fixtures}
export SNOWBOOT_STAGE1=$build/src/stage1/stage1

# check_kernel SYSTEM: builds its base for the set netboot and looks at every member.
check_kernel() {
	local system=$1 release modules
	modules=$(echo "$system"/kernel-modules/lib/modules/*)
	release=$(basename "$modules")
	"$build/bench/initramfs-size" "$system" netboot trimmed "$tmp/base"
	rm -rf "$tmp/out" && mkdir "$tmp/out"
	zstd -qdc <"$tmp/base" | (cd "$tmp/out" && cpio -idm --quiet)
	cd "$tmp/out" || fail "cannot enter a folder"

	cmp init "$SNOWBOOT_STAGE1" || fail "init is not stage 1"
	cmp bin/busybox /bin/busybox || fail "bin/busybox is not busybox"
	[ "$(readlink sbin/modprobe)" = ../init ] || fail "sbin/modprobe is not stage 1"
	[ -c dev/console ] || fail "no dev/console"
	cd "lib/modules/$release" || fail "cannot enter a folder"

	# modules.dep names what is there, and all of it.
	cut -d: -f1 modules.dep | sort >"$tmp/named"
	find kernel -name '*.ko' | sort >"$tmp/there"
	diff "$tmp/named" "$tmp/there" || fail "modules.dep differs from the modules that are there"
	cut -d: -f2 modules.dep | tr ' ' '\n' | sort -u | grep . >"$tmp/needed"
	comm -23 "$tmp/needed" "$tmp/there" >"$tmp/missing"
	[ ! -s "$tmp/missing" ] || fail "missing dependencies: $(cat "$tmp/missing")"

	# Every wired network card and what it talks to its cable through.
	(cd "$modules" && find kernel/drivers/net/ethernet kernel/drivers/net/phy kernel/drivers/net/mdio \
		kernel/drivers/net/pcs -name '*.ko*') | sed 's/\.ko\..*/.ko/' | sort >"$tmp/wired"
	[ "$(wc -l <"$tmp/wired")" -gt 150 ] || fail "the fixture has too few network drivers to mean anything"
	comm -23 "$tmp/wired" "$tmp/there" >"$tmp/missing"
	[ ! -s "$tmp/missing" ] || fail "missing drivers: $(cat "$tmp/missing")"

	# What kmod would load in the whole system, soft dependencies included, is here or built in.
	for module in squashfs overlay loop af_packet erofs virtio_net virtio_blk r8169 e1000e igb mlx5_core nvme \
		ahci sd_mod usb_storage uas xhci_pci ehci_pci hid_generic usbhid; do
		modprobe -d "$system/kernel-modules" -S "$release" --show-depends "$module" >"$tmp/loads"
		while read -r verb path _; do
			[ "$verb" = insmod ] || continue
			path=${path#*/lib/modules/"$release"/}
			[ -e "${path%%.ko*}.ko" ] || fail "$module needs $path"
		done <"$tmp/loads"
	done

	# They are modules that binutils and kmod can still read, and hold nothing to be dropped.
	for module in $(find kernel -name '*.ko' | sort | head -n 20); do
		[ "$(modinfo -F vermagic "./$module" | cut -d' ' -f1)" = "$release" ] || fail "modinfo of $module"
		if readelf -SW "$module" | grep -E '\.(BTF|debug_|orc_)'; then fail "$module is not trimmed"; fi
	done
	cd "$root" || fail "cannot enter a folder"
}

seen=
for kind in scripted nixos-init; do
	[ -e "$fixtures/$kind/kernel-modules" ] || skip "no fixture '$fixtures/$kind'; fixtures/build makes it"
	check_kernel "$(realpath "$fixtures/$kind")"
	seen+=" $kind"
done
echo "checked:$seen"
