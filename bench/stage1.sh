#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bench/stage1.sh [RUNS]: from the kernel's start to the system's init, stage 1 against a busybox
# script that does the same (stage1-script.sh), in turns, on the same guest. GUEST_MIB is the size
# of the image that is checked. Prints medians, in ms of the guest's clock, and their ratio.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${SNOWBOOT_BUILD:-$here/../build}
runs=${1:-5}
export GUEST_MIB=${GUEST_MIB:-64}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$here/../tests/stage1/make-guest.sh" "$dir" scripted "$build/src/stage1/stage1"
"$here/../tests/stage1/pack-guest.sh" "$dir"
mv "$dir/initrd" "$dir/stage1"
# The script has busybox's own modprobe, which finds modules in the same lists.
rm "$dir/root/sbin/modprobe" "$dir/root/init"
ln -s ../bin/busybox "$dir/root/sbin/modprobe"
install -m 755 "$here/stage1-script.sh" "$dir/root/init"
"$here/../tests/stage1/pack-guest.sh" "$dir"
mv "$dir/initrd" "$dir/script"

init=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-guest/init
accel=tcg,thread=multi
[ "${ACCEL:-tcg}" = tcg ] || accel=$ACCEL
boot() { # INITRD: the guest's uptime, in ms, when the system's init ran
	timeout 120 qemu-system-x86_64 -accel "$accel" -smp 2 -m 1024 -nographic -no-reboot -net none \
		-kernel "$dir/kernel" -initrd "$1" -append "console=ttyS0 loglevel=3 panic=-1 init=$init bench" \
		< /dev/null | tr -d '\r' | sed -n 's/^uptime \([0-9]*\)\.\([0-9]*\)$/\1\20/p'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((i = 0; i < runs; i++)); do
	boot "$dir/stage1" >> "$dir/stage1.ms"
	boot "$dir/script" >> "$dir/script.ms"
done
if [ "$(cat "$dir/stage1.ms" "$dir/script.ms" | wc -l)" != $((2 * runs)) ]; then
	echo "a guest did not come up" >&2
	exit 1
fi
stage1=$(median < "$dir/stage1.ms") script=$(median < "$dir/script.ms")
echo "kernel start to hand-over, image of $GUEST_MIB MiB, $runs runs, median:"
echo "  stage 1          $stage1 ms   ($(tr '\n' ' ' < "$dir/stage1.ms"))"
echo "  busybox script   $script ms   ($(tr '\n' ' ' < "$dir/script.ms"))"
awk -v a="$stage1" -v b="$script" 'BEGIN { printf "  ratio            %.2f\n", a / b }'
