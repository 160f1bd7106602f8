#!/bin/bash
# SPDX-License-Identifier: MIT
#
# make-guest.sh DIR KIND STAGE1: the smallest system of that kind that stage 1 can hand over to, with
# the kernel of a fixture: DIR/kernel, and DIR/root, the initramfs's files as the initramfs contract
# (docs/internals/stage1.md) has them. Tests damage DIR/root and pack it with pack-guest.sh.
set -euo pipefail

dir=$1 kind=$2 stage1=$3
fixtures=${SNOWBOOT_FIXTURES:-/var/lib/snowboot/fixtures}
# An etc overlay needs Linux 6.5: only that fixture has it. systemd-etc is a systemd system with one.
plan_kind=${kind%-etc}
case $kind in
nixos-init | systemd-etc) overlay=yes fixture=$fixtures/nixos-init ;;
*) overlay=no fixture=$fixtures/scripted ;;
esac
hash=0123456789abcdfghijklmnpqrsvwxyz
system=$hash-nixos-system-guest
tools=$hash-tools
B=/nix/store/$tools/bin/busybox

release=$(basename "$(ls -d "$fixture"/kernel-modules/lib/modules/*)")
cp "$(readlink -f "$fixture/kernel")" "$dir/kernel"
store=$dir/store root=$dir/root
mkdir -p "$store/$tools/bin" "$store/$system/specialisation" "$root"/{bin,sbin,dev,proc,sys,run,tmp,snowboot/db}
cp /bin/busybox "$store/$tools/bin/busybox"
for applet in sh sort tr modprobe cat echo ls mount umount sync free env stat readlink cksum losetup poweroff dmesg cut grep; do
	ln -s busybox "$store/$tools/bin/$applet"
done
# Something to hash: random bytes that squashfs cannot shrink.
head -c "$((${GUEST_MIB:-1} << 20))" /dev/urandom > "$store/$tools/payload"

# The shell that becomes PID 1 tells what it got, then obeys the test.
cat > "$dir/pid1" <<EOF
#!$B sh
PATH=/nix/store/$tools/bin
ls /proc/1/fd > /run/fds
fds=\$(grep -v '^1[01]\$' /run/fds | sort -n | tr '\n' ' ') # 10, 11: the shell's own
set | grep -E '^(TERM|IN_NIXOS_SYSTEMD_STAGE1|fstab|BOOT_IMAGE)=' | while read -r line; do echo "env \$line"; done
export PATH HOME=/
echo # the firmware leaves its line open
echo "pid \$\$ args '\$*' fds \$fds"
read -r uptime _ < /proc/uptime
echo "uptime \$uptime"
echo "handed over: $kind"
! grep -qw bench /proc/cmdline || poweroff -f
exec sh
EOF
chmod 555 "$dir/pid1"
specialise() { # a second system below specialisation/, which is a link to its store path
	cp -r "$store/$system" "$store/$hash-nixos-system-guest-quiet"
	ln -s "/nix/store/$hash-nixos-system-guest-quiet" "$store/$system/specialisation/quiet"
}
case $kind in
scripted)
	cp "$dir/pid1" "$store/$system/init"
	;;
systemd | systemd-etc)
	mkdir -p "$store/$system/systemd/lib/systemd"
	cp "$dir/pid1" "$store/$system/systemd/lib/systemd/systemd"
	cp "$dir/pid1" "$store/$system/init"
	cat > "$store/$system/prepare-root" <<EOF
#!$B sh
PATH=/nix/store/$tools/bin
[ "\$IN_NIXOS_SYSTEMD_STAGE1" = true ] || exit 9
[ ! -e /proc/1 ] || exit 8
[ -d /run/snowboot ] || exit 7
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
echo prepared > /run/prepared
[ ! -e /etc/hostname ] || cat /etc/hostname > /run/prepared
EOF
	[ -z "${GUEST_PREPARE:-}" ] || echo "$GUEST_PREPARE" >> "$store/$system/prepare-root"
	chmod 555 "$store/$system/prepare-root"
	;;
nixos-init)
	cp "$dir/pid1" "$store/$system/init"
	;;
esac
if [ $overlay = yes ]; then
	mkdir -p "$dir/etc" "$store/$hash-etc-base"
	echo guest > "$dir/etc/hostname"
	mkfs.erofs "$store/$hash-etc.erofs" "$dir/etc" > /dev/null
fi
specialise
find "$store" -type f ! -perm /111 -exec chmod 444 {} +
mksquashfs "$store" "$root/image.squashfs" -comp zstd -Xcompression-level 1 -all-root -noappend -quiet \
	-no-progress -mkfs-time 1 -all-time 1

# The modules, what they need, and lists cut to that.
modules=$root/lib/modules/$release
mkdir -p "$modules"
for module in squashfs overlay loop zram erofs virtio_pci virtio_blk nbd; do
	modprobe -d "$(readlink -f "$fixture/kernel-modules")" -S "$release" --show-depends "$module" 2> /dev/null || true
done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
	# Flat: the path inside does not matter, and fixtures may pack modules or not.
	cp "$file" "$modules/"
	case $file in *.xz) unxz "$modules/${file##*/}" ;; *.zst) zstd -q -d --rm "$modules/${file##*/}" ;; esac
done
cp "$fixture/kernel-modules/lib/modules/$release"/modules.builtin* "$modules/"
touch "$modules/modules.order"
depmod -b "$root" "$release"
rm -f "$modules"/*.bin

cp "$stage1" "$root/init"
strip "$root/init"
ln -s /init "$root/sbin/modprobe"
cp /bin/busybox "$root/bin/busybox"
echo 10 > "$root/snowboot/db/schema"
echo registration > "$root/snowboot/db/registration"
echo database > "$root/snowboot/db/db.sqlite"

size=$(stat -c %s "$root/image.squashfs")
part() { # OFFSET LENGTH [NAME]
	local sum
	sum=$(dd if="$root/image.squashfs" iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none | sha256sum | cut -d' ' -f1)
	echo "part $1 $2 $sum${3:+ $3}"
}
{
	printf 'snowboot-plan 1\nkind %s\nsystem /nix/store/%s\nimage /image.squashfs\nimage-size %s\n' \
		"$plan_kind" "$system" "$size"
	echo 'database /snowboot/db'
	if [ "$kind" = nixos-init ]; then
		printf 'store-mount-opt ro\nstore-mount-opt nosuid\nstore-mount-opt nodev\n'
		printf 'firmware /nix/store/%s/lib/firmware\nmodprobe-binary /nix/store/%s/bin/modprobe\n' "$tools" "$tools"
		printf 'sh-binary /nix/store/%s/bin/sh\nenv-binary /nix/store/%s/bin/env\n' "$tools" "$tools"
	fi
	[ $overlay = no ] ||
		printf 'etc-metadata-image /nix/store/%s-etc.erofs\netc-basedir /nix/store/%s-etc-base\n' "$hash" "$hash"
	# Four parts, so that there is something to share among CPUs and to name.
	quarter=$(((size - 4096) / 3))
	part 0 4096
	part 4096 $quarter "$tools"
	part $((4096 + quarter)) $quarter "$system"
	part $((4096 + 2 * quarter)) $((size - 4096 - 2 * quarter)) 
	echo end
} > "$root/snowboot/plan"
