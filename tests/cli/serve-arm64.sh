#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Systems of two processors: each is built and served with a stage 1 of its own, and clients get what they can run.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

pc=$(fixture scripted)
arm=$(fixture arm64)
board=$(readlink -f "$arm/specialisation/board")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
foreign=$SNOWBOOT_BUILD/src/stage1/aarch64
for program in stage1 busybox; do
	[ -e "$foreign/$program" ] || skip "needs $program for aarch64, of which tools/install-packages has the parts"
done

### Programs of the system's processor, or a clear word.
check_fails 1 "snowboot: initramfs: '$SNOWBOOT_BUILD/src/stage1/stage1' is a program for x86_64, and the system is for aarch64" \
	env SNOWBOOT_STAGE1="$SNOWBOOT_BUILD/src/stage1/stage1" "$snowboot" build netboot -q "$arm" -o "$tmp/out"
mkdir -p "$tmp/installed"
cp "$snowboot" "$tmp/installed/snowboot"
run "$tmp/installed/snowboot" build netboot -q "$arm" -o "$tmp/out"
if [ "$status" != 0 ]; then # else there is one installed on this machine
	check_stderr "^snowboot: .*cannot open '.*/snowboot/aarch64/stage1': No such file or directory\$"
	check_stderr "^hint: build snowboot for aarch64, and install its program 'stage1' there or set SNOWBOOT_STAGE1 to it\$"
fi
check_ok "$snowboot" build netboot -q "$arm" -o "$tmp/netboot"
cmp "$tmp/netboot/bzImage" "$arm/kernel"
python3 - "$tmp/netboot/initrd" "$foreign/stage1" "$foreign/busybox" <<'EOF'
import subprocess
import sys

initrd, *programs = [open(name, "rb").read() for name in sys.argv[1:]]
base = initrd[initrd.index(b"\x28\xb5\x2f\xfd"):] # the frame of zstd (RFC 8878); what follows it is another archive
files = subprocess.run(["zstd", "-dcq"], input=base, capture_output=True, check=False).stdout
assert all(program in files for program in programs), "a program is not in the initramfs"
EOF

### One server for both.
machines=$tmp/machines
mkdir "$machines"
ln -s "$board" "$machines/52:54:00:00:00:01"
printf '{"system": "%s", "device-tree": "xilinx/avnet-ultra96-rev1.dtb"}\n' "$arm" >"$machines/52:54:00:00:00:02.json"
printf '{"system": "%s", "device-tree": "none.dtb"}\n' "$arm" >"$machines/52:54:00:00:00:03.json"
ln -s "$arm" "$machines/52:54:00:00:00:04"
start both --listen 127.0.0.1:0 --tftp 0 --state "$tmp/state" "$pc" "$arm"
port=$(sed -n "s|^TFTP at UDP port \([0-9]*\).*|\1|p" "$tmp/both.err")

# iPXE says what its machine is.
check_equal "what iPXE is asked" "$(get "$url/boot/default/netboot.ipxe" | grep -c 'arch=${buildarch}')" 1
for row in "x86_64 $pc" "i386 $pc" "arm64 $arm" "unheard-of $pc"; do
	read -r arch system <<<"$row"
	get "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-09&arch=$arch" | grep -Fq " init=$system/init " ||
		fail "'$arch' does not boot '$system'"
done
get "$url/boot/default/netboot.ipxe?mac=52-54-00-00-00-09&arch=riscv64" |
	grep -Fxq "echo snowboot: this machine's boot loader is for riscv64, the system for x86_64-linux" ||
	fail "riscv64 is not told"

# Loaders of extlinux.conf ask for names in turn; U-Boot ends with its processor, PXELINUX with none.
for name in 01-52-54-00-00-00-09 0A370009; do
	check_equal "status of $name" "$(code "$url/pxelinux.cfg/$name")" 404
	check_equal "answer to $name" "$(curl -sS "$url/pxelinux.cfg/$name")" \
		"what it gets depends on its processor: ask for pxelinux.cfg/default-ARCH"
done
for row in "default-arm-qemu $arm" "default-arm64 $arm" "default-x86 $pc" "default $pc"; do
	read -r name system <<<"$row"
	get "$url/pxelinux.cfg/$name" | grep -Fq " init=$system/init " || fail "'$name' does not lead to '$system'"
done
check_equal "riscv" "$(curl -sS "$url/pxelinux.cfg/default-riscv")" "there is no system for riscv64 here"

# Device trees, of which U-Boot chooses unless it is told.
get "$url/pxelinux.cfg/default-arm" | grep -Fxq "	FDTDIR /boot/$(basename "$arm")/dtbs" || fail "no FDTDIR"
if get "$url/pxelinux.cfg/default-x86" | grep FDT; then fail "a PC has no device tree"; fi
tree=broadcom/bcm2837-rpi-3-b.dtb
busybox tftp -g -l "$tmp/tree" -r "/boot/$(basename "$arm")/dtbs/$tree" 127.0.0.1 "$port" 2>/dev/null
cmp "$tmp/tree" "$arm/dtbs/$tree"
stop "$server"

### What a machine's entry, or its system, says of it.
start entries --listen 127.0.0.1:0 --tftp 0 --state "$tmp/state" --machines "$machines" "$pc" "$arm"
fdt() { get "$url/pxelinux.cfg/01-52-54-00-00-00-0$1" | sed -n 's/^	\(FDT.*\)/\1/p'; }
check_equal "by boot.json" "$(fdt 1)" "FDT /boot/$(basename "$board")/dtbs/$tree"
check_equal "by the entry" "$(fdt 2)" "FDT /boot/$(basename "$arm")/dtbs/xilinx/avnet-ultra96-rev1.dtb"
check_equal "by nobody" "$(fdt 4)" "FDTDIR /boot/$(basename "$arm")/dtbs"
check_equal "of a tree that is not there" "$(curl -sS "$url/pxelinux.cfg/01-52-54-00-00-00-03")" \
	"there is no device tree 'none.dtb' in '$(basename "$arm")'"
stop "$server"
