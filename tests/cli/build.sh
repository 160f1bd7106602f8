#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot build`: images against the store they were made from, the same bytes every time, and what it refuses.
. "$(dirname "$0")/../lib/cli.sh"

export SNOWBOOT_POOL=$tmp/pool
[ "$(id -u)" = 0 ] || skip "mounting an image needs root"

# compare IMAGE PATH: the image holds the closure of PATH, and all of it is as in the store.
compare() {
	nix-store -qR "$2" 2>/dev/null | sort >"$tmp/closure"
	mkdir -p "$tmp/mnt"
	unshare -m bash -euo pipefail -c '
		mount -t squashfs -o loop,ro "$1" "$2/mnt"
		diff <(cd "$2/mnt" && ls -A) <(xargs -n1 basename <"$2/closure" | sort)
		# Link counts of directories only: names that are hard links here are files of their own there.
		list() { find "$1" "(" -type d -printf "%P %y %m %T@ %n\n" ")" -o -printf "%P %y %m %T@ %l\n" | sort; }
		[ -z "$(find "$2/mnt" ! -uid 0 -o ! -gid 0)" ]
		while read -r path; do
			name=$(basename "$path")
			diff -r --no-dereference "$path" "$2/mnt/$name"
			diff <(list "$path") <(list "$2/mnt/$name")
		done <"$2/closure"' - "$1" "$tmp" || fail "the image of '$2' differs from the store"
}

system=$(fixture scripted)
check_ok "$snowboot" build squashfs "$system" -o "$tmp/a.squashfs"
check_stdout "^$tmp/a\.squashfs: $(nix-store -qR "$system" 2>/dev/null | wc -l) store paths, [0-9.]+ [MG]iB in [0-9.]+ MiB, [0-9.]+ s\$"
compare "$tmp/a.squashfs" "$system"
(cd "$tmp" && unsquashfs -n -q -d unpacked a.squashfs >"$tmp/unsquashfs" 2>&1) || fail "$(cat "$tmp/unsquashfs")"
while read -r path; do
	diff -r --no-dereference "$path" "$tmp/unpacked/$(basename "$path")" || fail "unsquashfs sees another '$path'"
done <"$tmp/closure"
rm -rf "$tmp/unpacked"

# Composed again, looked up, and out of another pool: the same bytes, and the same id.
check_ok "$snowboot" build squashfs --json "$system" -o "$tmp/b.squashfs"
id=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])' <"$tmp/stdout")
cmp "$tmp/a.squashfs" "$tmp/b.squashfs" || fail "the second image differs"
check_ok "$snowboot" build squashfs --json --jobs 1 --pool "$tmp/pool-2" "$system" -o "$tmp/b.squashfs"
cmp "$tmp/a.squashfs" "$tmp/b.squashfs" || fail "an image out of another pool differs"
check_equal id "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])' <"$tmp/stdout")" "$id"
rm -rf "$tmp/pool-2" "$tmp/a.squashfs" "$tmp/b.squashfs"

# Paths that break assumptions.
for name in odd odd-many; do
	path=$(fixture "$name")
	check_ok "$snowboot" build squashfs "$path" -o "$tmp/$name.squashfs"
	compare "$tmp/$name.squashfs" "$path"
done

# An initrd: its last archive holds the image, byte for byte.
check_ok "$snowboot" build squashfs "$system" -o "$tmp/root.squashfs"
check_ok "$snowboot" build initrd --json --modules minimal "$system" -o "$tmp/initrd"
cmdline=$(network_cmdline "$system")
check_equal "command line" "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["command_line"])' <"$tmp/stdout")" "$cmdline"
python3 - "$tmp/initrd" "$tmp/root.squashfs" <<'END' || fail "the initrd does not carry the image"
import sys
initrd, image = (open(name, "rb").read() for name in sys.argv[1:])
name = initrd.rindex(b"image.squashfs\0")
header = initrd[name - 110:name]
size, begin = int(header[54:62], 16), (name + 15 + 3) // 4 * 4
sys.exit(header[:6] != b"070701" or initrd[begin:begin + size] != image)
END

# All that a web server needs.
check_ok "$snowboot" build netboot --modules minimal --append "one two" "$system" -o "$tmp/new/netboot"
check_stdout "^command line: $cmdline one two\$"
check_stdout '^memory needed: [0-9.]+ [MG]iB$'
check_equal files "$(ls -A "$tmp/new/netboot" | tr '\n' ' ')" "bzImage cmdline initrd netboot.ipxe "
cmp "$tmp/new/netboot/bzImage" "$system/kernel" || fail "another kernel"
cmp "$tmp/new/netboot/initrd" "$tmp/initrd" || fail "another initrd"
check_equal cmdline "$(cat "$tmp/new/netboot/cmdline")" "$cmdline one two"
check_equal script "$(sed -n '1p; /^kernel/p; /^initrd/p' "$tmp/new/netboot/netboot.ipxe")" \
	"#!ipxe
kernel bzImage initrd=initrd $cmdline one two || goto failed
initrd initrd || goto failed"

# One EFI program.
stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub
check_ok "$snowboot" build uki --modules minimal --append "one two" --stub "$stub" "$system" -o "$tmp/uki.efi"
check_stdout "^command line: $cmdline one two\$"
python3 - "$tmp/uki.efi" "$tmp/initrd" "$system/kernel" "$system/etc/os-release" "$cmdline one two" <<'END' || fail "the program has something else"
import struct, sys
uki, initrd, kernel, os_release = (open(name, "rb").read() for name in sys.argv[1:5])
coff = struct.unpack_from("<I", uki, 60)[0] + 4
count, optional = struct.unpack_from("<H", uki, coff + 2)[0], struct.unpack_from("<H", uki, coff + 16)[0]
found = {}
for i in range(count):
    name, size, _, raw, at = struct.unpack_from("<8sIIII", uki, coff + 20 + optional + 40 * i)
    found[name.rstrip(b"\0").decode()] = uki[at:at + min(size, raw)]
assert list(found)[-5:] == [".osrel", ".cmdline", ".uname", ".initrd", ".linux"], list(found)
assert found[".osrel"] == os_release
assert found[".cmdline"] == sys.argv[5].encode()
assert found[".initrd"] == initrd
assert found[".linux"].rstrip(b"\0") == kernel.rstrip(b"\0")
END
check_ok "$snowboot" build uki --modules minimal --append "one two" "$system" -o "$tmp/again.efi"
cmp "$tmp/uki.efi" "$tmp/again.efi" || fail "with this machine's stub it is another program"
rm "$tmp/uki.efi" "$tmp/again.efi"
check_fails 1 "snowboot: stub '$system/init': not an EFI program" \
	"$snowboot" build uki -q --modules minimal --stub "$system/init" "$system" -o "$tmp/out"

# What it refuses.
sw=$(readlink -f "$system/sw")
check_fails 2 "snowboot: '$sw' is not a system package: it has no 'init'
hint: name a toplevel, like /run/current-system or what nixos-rebuild build leaves in ./result" \
	"$snowboot" build initrd "$sw" -o "$tmp/out"
check_fails 1 "snowboot: the kernel command line has the word ';', which iPXE takes for the end of its own command" \
	"$snowboot" build netboot -q --modules minimal --append "a ; b" "$system" -o "$tmp/out"
check_fails 2 "snowboot: no output is named
hint: say -o FILE" "$snowboot" build squashfs "$system"
check_fails 1 "snowboot: '$tmp/none' does not exist" "$snowboot" build squashfs "$tmp/none" -o "$tmp/out"
check_fails 1 "snowboot: writing '$tmp/no/out': cannot create '$tmp/no/out': No such file or directory" \
	"$snowboot" build squashfs -q "$system" -o "$tmp/no/out"
[ ! -e "$tmp/out" ] || fail "an output is left of a failure"
