#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# What bench/netroot-boot compares a network root with: an initramfs script by the book that mounts the
# same image from a local virtio disk and hands over to a scripted system.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs -o mode=755 devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run
mount -t devpts -o mode=620,ptmxmode=0666,gid=3 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755,size=25% tmpfs /run

# Drivers for everything, in the background, as stage 1 does it.
find /sys/devices -name modalias -exec cat {} + 2> /dev/null | sort -u | xargs modprobe -a 2> /dev/null &
for module in virtio_pci virtio_blk squashfs overlay; do modprobe $module; done
until [ -b /dev/vda ]; do sleep 0.05; done

mkdir /sysroot
mount -t tmpfs -o mode=755 tmpfs /sysroot
mkdir -p /sysroot/nix/.ro-store /sysroot/nix/.rw-store/store /sysroot/nix/.rw-store/work /sysroot/nix/store
mount -t squashfs -o ro /dev/vda /sysroot/nix/.ro-store
mount -t overlay -o lowerdir=/sysroot/nix/.ro-store,upperdir=/sysroot/nix/.rw-store/store,workdir=/sysroot/nix/.rw-store/work \
	overlay /sysroot/nix/store
cd /sysroot || exit
mkdir -p proc sys dev run etc tmp root var
chmod 1777 tmp
touch etc/NIXOS
cd /
# shellcheck disable=SC2013 # words are what is wanted
for word in $(cat /proc/cmdline); do
	case $word in init=*) init=${word#init=} ;; esac
done
for mount in proc sys dev run; do mount --move /$mount /sysroot/$mount; done
exec env -i busybox switch_root /sysroot "$init"
