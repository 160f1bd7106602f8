#!/bin/bash
# SPDX-License-Identifier: MIT
#
# pack-guest.sh DIR: DIR/root as the initramfs DIR/initrd, with /dev/console as a device node.
set -euo pipefail
[ -e "$1/root/dev/console" ] || mknod -m 600 "$1/root/dev/console" c 5 1
cd "$1/root"
find . | LC_ALL=C sort | cpio --quiet -o -H newc > ../initrd
