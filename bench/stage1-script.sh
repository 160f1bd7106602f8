#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# What bench/stage1 compares stage 1 with: an initramfs script by the book that does the same for a
# scripted system (same checks, same mounts, same drivers). The plan's lines are its input too.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid,mode=755,size=5% devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run
mount -t devpts -o mode=620,ptmxmode=0666,gid=3 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755,size=25% tmpfs /run
mkdir -p /run/keys
mount -t ramfs -o mode=750 ramfs /run/keys

# Drivers, in the background as stage 1 does it.
find /sys/devices -name modalias -exec cat {} + 2> /dev/null | sort -u | xargs modprobe -a 2> /dev/null &

# The image: its size and every part, on both CPUs.
check() {
	while read -r _ off len sum _; do
		found=$(dd if=/image.squashfs iflag=skip_bytes,count_bytes bs=256k skip="$off" count="$len" 2> /dev/null | sha256sum)
		[ "${found%% *}" = "$sum" ] || echo bad > /run/bad
	done
}
size=$(sed -n 's/^image-size //p' /snowboot/plan)
[ "$(stat -c %s /image.squashfs)" = "$size" ] || echo bad > /run/bad
grep '^part' /snowboot/plan | awk 'NR % 2' | check &
even=$!
grep '^part' /snowboot/plan | awk 'NR % 2 == 0' | check
wait $even
[ ! -e /run/bad ] || { echo "the image is damaged"; exec sh; }

modprobe squashfs
modprobe loop
modprobe overlay
mkdir /sysroot
mount -t tmpfs -o mode=755 tmpfs /sysroot
mkdir -p /sysroot/nix/.ro-store /sysroot/nix/.rw-store/store /sysroot/nix/.rw-store/work /sysroot/nix/store
loop=$(losetup -f)
losetup -r "$loop" /image.squashfs
mount -t squashfs -o ro "$loop" /sysroot/nix/.ro-store
chown 0:30000 /sysroot/nix/.rw-store/store
chmod 1775 /sysroot/nix/.rw-store/store
mount -t overlay -o lowerdir=/sysroot/nix/.ro-store,upperdir=/sysroot/nix/.rw-store/store,workdir=/sysroot/nix/.rw-store/work \
	overlay /sysroot/nix/store
cd /sysroot || exit
mkdir -p proc sys dev run etc tmp root var nix/var/log/nix/drvs nix/var/nix/db nix/var/nix/daemon-socket \
	nix/var/nix/gcroots/per-user nix/var/nix/profiles/per-user nix/var/nix/temproots nix/var/nix/userpool
chmod 1777 tmp
cp /snowboot/db/* nix/var/nix/db/
system=$(sed -n 's/^system //p' /snowboot/plan)
ln -s "$system" nix/var/nix/profiles/system-1-link
ln -s system-1-link nix/var/nix/profiles/system
touch etc/NIXOS
cd /
# shellcheck disable=SC2013 # words are what is wanted
for word in $(cat /proc/cmdline); do
	case $word in init=*) init=${word#init=} ;; esac
done
for mount in proc sys dev run; do
	mount --move /$mount /sysroot/$mount
done
exec env -i busybox switch_root /sysroot "$init"
