#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pack-guest.sh DIR: DIR/root as the initramfs DIR/initrd, with /dev/console as a device node and the
# image as the last member.
set -euo pipefail
[ -e "$1/root/dev/console" ] || mknod -m 600 "$1/root/dev/console" c 5 1
cd "$1/root"
{
	find . ! -name image.squashfs | LC_ALL=C sort
	find . -name image.squashfs
} | cpio --quiet -o -H newc > ../initrd
