#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot show`: the three kinds, a profile, a store under another root, and what it refuses.
. "$(dirname "$0")/../lib/cli.sh"

json() { python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$tmp/stdout" "$1"; }

# The kinds, against the files of each system and against Nix.
for kind in scripted systemd nixos-init; do
	system=$(fixture "$kind")
	check_ok "$snowboot" show "$system"
	check_stdout "^System +$system\$"
	check_stdout "^Kind +$kind: "
	check_stdout "^Kernel +$(readlink -f "$system/kernel") \([0-9.]+ MiB\)\$"
	check_stdout "^Kernel release +$(ls "$system/kernel-modules/lib/modules" | sed 's/[+.]/\\&/g')\$"
	check_stdout "^Parameters +$(cat "$system/kernel-params")\$"
	check_stdout "^Closure +$(nix-store -qR "$system" 2>/dev/null | wc -l) paths, [0-9.]+ [MG]iB\$"
	check_stdout "^  quiet +$(readlink -f "$system/specialisation/quiet")\$"
	check_stdout "^  command line +$(network_cmdline "$system")\$"
	check_equal "generations of no profile" "$(grep -c '^Generations of' "$tmp/stdout" || true)" 0

	check_ok "$snowboot" show --json --largest 3 "$system"
	check_equal kind "$(json 'd["kind"]')" "$kind"
	check_equal kernel "$(json 'd["kernel"]["path"]')" "$(readlink -f "$system/kernel")"
	check_equal "kernel size" "$(json 'd["kernel"]["size"]')" "$(stat -L -c %s "$system/kernel")"
	check_equal parameters "$(json '" ".join(d["kernel_params"])')" "$(cat "$system/kernel-params")"
	check_equal paths "$(json 'd["closure"]["paths"]')" "$(nix-store -qR "$system" 2>/dev/null | wc -l)"
	check_equal size "$(json 'd["closure"]["nar_size"]')" \
		"$(nix-store -qR "$system" 2>/dev/null | xargs nix-store -q --size 2>/dev/null | awk '{ s += $1 } END { print s }')"
	check_equal largest "$(json '" ".join(p["path"] for p in d["closure"]["largest"])')" \
		"$(nix-store -qR "$system" 2>/dev/null | while read -r p; do
			printf '%s %s\n' "$(nix-store -q --size "$p" 2>/dev/null)" "$p"
		done | sort -k1,1nr -k2 | head -3 | cut -d' ' -f2 | tr '\n' ' ' | sed 's/ $//')"
	check_equal profile "$(json 'd["profile"]')" None
done

# A profile with a generation that is gone.
system=$(fixture scripted)
mkdir "$tmp/profiles"
ln -s "$system" "$tmp/profiles/system-7-link"
ln -s /nix/store/00000000000000000000000000000000-gone "$tmp/profiles/system-6-link"
ln -s system-7-link "$tmp/profiles/system"
check_ok "$snowboot" show "$tmp/profiles/system"
check_stdout "^Generations of $tmp/profiles/system\$"
check_stdout '^  +6 .*\(not in the store any more\)$'
check_stdout "^\* +7 .*$(basename "$system")\$"
check_ok "$snowboot" show --json "$tmp/profiles/system-7-link"
check_equal current "$(json '[g["number"] for g in d["profile"]["generations"] if g["current"]]')" '[7]'
check_equal gone "$(json '[g["number"] for g in d["profile"]["generations"] if g["path"] is None]')" '[6]'

# A specialisation is a system as well.
check_ok "$snowboot" show "$system/specialisation/quiet"
check_stdout "^Parameters .* quiet systemd.show_status=no\$"

# Another root: Nix's own registration, the store's contents through a link.
mkdir -p "$tmp/mnt/nix/var/nix/profiles"
nix-store -qR "$system" 2>/dev/null | xargs nix-store --dump-db 2>/dev/null >"$tmp/registration"
nix-store --store "$tmp/mnt" --load-db <"$tmp/registration" 2>/dev/null
rm -rf "$tmp/mnt/nix/store"
ln -s /nix/store "$tmp/mnt/nix/store"
ln -s "$system" "$tmp/mnt/nix/var/nix/profiles/system-1-link"
ln -s system-1-link "$tmp/mnt/nix/var/nix/profiles/system"
check_ok "$snowboot" show --store "$tmp/mnt" "$tmp/mnt/nix/var/nix/profiles/system"
check_stdout "^System +$system\$"
check_stdout '^\* +1 '

# What it refuses.
store="$system/sw"
store=$(readlink -f "$store")
check_fails 2 "snowboot: '$store' is not a system package: it has no 'init'
hint: name a toplevel, like /run/current-system or what nixos-rebuild build leaves in ./result" "$snowboot" show "$store"
check_ok "$snowboot" show "$(fixture scripted)"
check_stdout '^  image +less than [0-9.]+ MiB: fetched as it is touched \(--root net\), or in the initramfs \(--root ram, at most 1\.0 GiB\)$'
check_fails 1 "snowboot: '$tmp/none' does not exist" "$snowboot" show "$tmp/none"
check_fails 2 "snowboot: '$tmp' is not in the store '/nix/store'
hint: name a store path of a system package or a symlink to one, like /run/current-system" "$snowboot" show "$tmp"
check_fails 1 "snowboot: '$tmp/profiles/system-6-link' leads to '/nix/store/00000000000000000000000000000000-gone', which does not exist" \
	"$snowboot" show "$tmp/profiles/system-6-link"
check_fails 1 "snowboot: there is no store path '$(basename "$system")' in '$tmp/empty/nix/store'
hint: --cache URL, or substituters in nix.conf, name where else to look" \
	"$snowboot" show --pool "$tmp/pool" --store "$tmp/empty" "$system"
check_fails 2 "snowboot: 'snowboot show' needs SYSTEM
hint: see 'snowboot show --help'" "$snowboot" show
