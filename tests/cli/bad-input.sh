#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What users run into: systems and stores that are not as they should be, each with all that the program says of it. The
# pool's own troubles are in pool.sh.
. "$(dirname "$0")/../lib/cli.sh"

command -v nix-store >/dev/null || skip 'needs nix-store'
export NIX_REMOTE='' NIX_CONFIG='build-users-group =' SNOWBOOT_POOL=$tmp/pool
store=$tmp/root
# store_add NAME: puts $tmp/NAME into the store and prints its path.
store_add() { nix-store --store "local?root=$store" --add "$tmp/$1"; }
show() { "$snowboot" show --store "$store" "$@"; }

mkdir -p "$tmp/linux" "$tmp/modules/lib/modules/6.1.0"
printf 'kernel\n' >"$tmp/linux/bzImage"
printf 'kernel/fs/overlay.ko:\n' >"$tmp/modules/lib/modules/6.1.0/modules.dep"
printf 'kernel/drivers/block/loop.ko\n' >"$tmp/modules/lib/modules/6.1.0/modules.builtin"
linux=$(store_add linux)
modules=$(store_add modules)

# system NAME COMMAND: a system package after COMMAND was run in it; sets $system.
system() {
	mkdir "$tmp/$1"
	(
		cd "$tmp/$1" || exit
		printf '#!/bin/sh\n' >init
		chmod +x init
		ln -s "$linux/bzImage" kernel
		ln -s "$modules" kernel-modules
		printf x86_64-linux >system
		printf quiet >kernel-params
		printf 26.05 >nixos-version
		eval "$2"
	)
	system=$(store_add "$1")
}
# boot_json: prints one that is right but for what sed's script changes.
boot_json() {
	printf '{"org.nixos.bootspec.v1":{"system":"x86_64-linux","init":"/nix/store/x/init","kernel":"%s/bzImage",%s' "$linux" \
		'"kernelParams":["quiet"],"label":"NixOS","toplevel":"/nix/store/x"}}' | sed "$1"
}

system good 'boot_json "" >boot.json'
check_ok show "$system"

# No system package.
check_fails 2 "snowboot: '$linux' is not a system package: it has no 'init'
hint: name a toplevel, like /run/current-system or what nixos-rebuild build leaves in ./result" show "$linux"
system no-platform 'rm system'
check_fails 2 "snowboot: '$system' is not a system package: it has no 'system'" show "$system"

# No kernel.
system no-kernel 'rm kernel'
check_fails 1 "snowboot: '$system' has no 'kernel', so it is the system of a container
hint: containers run on their host's kernel; build the system of a machine, without boot.isContainer" show "$system"
system lost-kernel 'boot_json s/bzImage/vmlinux/ >boot.json'
check_fails 1 "snowboot: kernel of '$system': '$linux/vmlinux' does not exist" show "$system"

# An init of no kind.
system odd-init 'printf garbage >init'
check_fails 1 "snowboot: '$system/init' is of unknown kind: neither a script nor an ELF program" show "$system"

# boot.json.
system no-json 'printf nonsense >boot.json'
check_fails 1 "snowboot: '$system/boot.json': not JSON: line 1, column 8: '[' or '{' expected near 'nonsense'" show "$system"
system no-label 'boot_json "s/\"label\":\"NixOS\",//" >boot.json'
check_fails 1 "snowboot: '$system/boot.json': 'org.nixos.bootspec.v1' lacks 'label'" show "$system"
system no-text 'boot_json "s/\"NixOS\"/7/" >boot.json'
check_fails 1 "snowboot: '$system/boot.json': 'label' in 'org.nixos.bootspec.v1' is a number, not a string" show "$system"

# Kernels that cannot mount an image.
build() { "$snowboot" build initrd -q --store "$store" "$1" -o "$tmp/out"; }
missing="neither as a module nor built in, so it cannot mount an image
hint: boot.kernelPackages needs a kernel with squashfs, overlayfs and loop devices"
system no-squashfs :
check_fails 1 "snowboot: initramfs: kernel '6.1.0' has no 'squashfs', $missing" build "$system"
chmod -R u+w "$tmp/modules"
printf 'kernel/fs/squashfs.ko:\n' >"$tmp/modules/lib/modules/6.1.0/modules.dep"
modules=$(store_add modules)
system no-overlay :
check_fails 1 "snowboot: initramfs: kernel '6.1.0' has no 'overlay', $missing" build "$system"
[ ! -e "$tmp/out" ] || fail 'an output is left of a failure'

# A store path that differs from its hash is not packed, and nothing is built of it.
system rotten 'printf other >kernel-params'
chmod -R u+w "$store$system"
was=$(nix-hash --type sha256 "$store$system")
printf loud >"$store$system/kernel-params"
check_fails 1 "snowboot: store path '$system': its contents have the hash sha256:$(nix-hash --type sha256 "$store$system"), the store recorded sha256:$was
hint: 'nix-store --repair-path $system' fetches or builds it again" build "$system"

# A reference to what the store does not have.
python3 - "$store/nix/var/nix/db/db.sqlite" "$system" "$linux" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
row = {path: id for id, path in db.execute('select id, path from ValidPaths')}
db.execute('insert into Refs values (?, ?)', (row[sys.argv[2]], row[sys.argv[3]]))
db.execute('delete from ValidPaths where path = ?', (sys.argv[3],))
db.commit()
END
row=$(python3 -c 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute("select reference from Refs").fetchone())' \
	"$store/nix/var/nix/db/db.sqlite")
check_fails 1 "snowboot: closure of '$system': '$system' refers to row $row of the Nix database, which is missing" build "$system"
