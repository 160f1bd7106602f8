#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve` with a network root: keys, manifests, objects, what is fetched and what is not, and two servers of one key.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
second=$(fixture scripted-2)
name=$(basename "$system")
second_name=$(basename "$second")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
state=$tmp/state

serve_arguments=(--listen 127.0.0.1:0)

field() { sed -n "s/^$2 //p" <<<"$1"; }
header() { tr -d '\r' | sed -n "s/^$1: //p"; }

### What it refuses.
check_fails 2 "snowboot: --root takes net, ram, copy or auto, not 'disk'" "$snowboot" serve --root disk "$system"
for option in '--key x' '--state x' '--expiry 3' '--exclude-from-peers x' '--site x' --no-peers --complete '--uplink 1Mbit' \
	'--cache-control x' --boot-from-peers; do
	# shellcheck disable=SC2086 # two words
	check_fails 2 "snowboot: ${option%% *} needs --root net" "$snowboot" serve --root ram $option "$system"
done
check_fails 2 "snowboot: --expiry takes a whole number from 1 to 3650, not '0'" "$snowboot" serve --expiry 0 "$system"
for rate in 10 -5Mbit 0Mbit 3Mbits 99999999999Tbit x; do
	check_fails 2 "snowboot: --uplink takes a rate a second like '200Mbit' or '25MB', not '$rate'" \
		"$snowboot" serve --uplink "$rate" "$system"
done
check_fails 2 "snowboot: --boot-from-peers and --no-peers exclude each other" "$snowboot" serve --boot-from-peers --no-peers "$system"
check_fails 2 "snowboot: --site takes letters, digits, '.', '_' and '-', not 'a b'" "$snowboot" serve --site 'a b' "$system"
check_fails 2 "snowboot: --site has 40 bytes > max 31" "$snowboot" serve --site "$(printf '%040d' 0)" "$system"
check_fails 2 "snowboot: --cache-control has a character that a header field cannot have" \
	"$snowboot" serve --cache-control $'a\nb' "$system"
check_fails 1 "snowboot: key '$tmp/none': cannot open '$tmp/none': No such file or directory" \
	"$snowboot" serve --dhcp off --state "$state" --key "$tmp/none" "$system"
ln -s nowhere "$tmp/dangling"

### One server, a symlink.
ln -s "$system" "$tmp/profile"
start first --state "$state" --exclude-from-peers '*-glibc-*' --site hall-2 --expiry 10 --cache-control 'max-age=7' "$tmp/profile"
first=$server first_url=$url
manifest=$(get "$url/v1/manifests/default")
check_equal "mode of the key" "$(stat -c %a "$state/key")" 600
check_equal "first line" "$(head -n 1 <<<"$manifest")" 'snowboot-manifest 1'
check_equal "name" "$(field "$manifest" name)" default
check_equal "system" "$(field "$manifest" system)" "$system"
check_equal "serial" "$(field "$manifest" serial)" 1
check_equal "lifetime" "$(($(field "$manifest" expires) - $(field "$manifest" issued)))" $((10 * 86400))
key_name=$(cut -d: -f1 "$state/key.pub")
[[ $(field "$manifest" signature) == "$key_name":* ]] || fail "signed by another key: $manifest"
head=$(get -I "$url/v1/manifests/default")
check_equal Cache-Control "$(header Cache-Control <<<"$head")" no-cache
[ -n "$(header Date <<<"$head")" ] || fail "no Date: $head"
own=$(get "$url/v1/manifests/$name")
check_equal "its own name" "$(field "$own" name)" "$name"
check_equal "one catalog" "$(field "$own" catalog)" "$(field "$manifest" catalog)"
check_equal "status of another manifest" "$(code "$url/v1/manifests/nobody")" 404

script=$(get "$url/boot/default/netboot.ipxe")
[[ $script == *$'\n'"kernel /boot/$name/bzImage initrd=initrd "*" init=$system/init "*" snowboot.origin=$url BOOTIF=01-\${netX/mac:hexhyp} || goto failed"$'\n'* ]] ||
	fail "script: $script"
get "$url/boot/default/bzImage" | cmp - "$system/kernel"
get "$url/boot/default/initrd" >"$tmp/initrd"
[ "$(stat -c %s "$tmp/initrd")" -lt 16777216 ] || fail "kernel and initramfs are too large"
# node_conf: the node's configuration, which lies uncompressed at the initramfs's end.
node_conf() { tail -c 8192 "$tmp/initrd" | tr '\0' '\n' | grep -a '^[a-z-]* [^ ]*'; }
for line in "key $(cat "$state/key.pub")" "name $name" 'site hall-2' 'peers yes' 'complete no' 'boot-files no'; do
	[[ $'\n'$(node_conf)$'\n' == *$'\n'"$line"$'\n'* ]] || fail "no line '$line' in the initramfs"
done

# Objects: the catalog leads to them; each is what its name says, and nothing else is given out.
catalog=$(field "$manifest" catalog | cut -d' ' -f1)
object() { echo "$first_url/v1/objects/${1:0:2}/$1"; }
check_equal "the catalog's digest" "$(get "$(object "$catalog")" | sha256sum | cut -d' ' -f1)" "$catalog"
head=$(get -I "$(object "$catalog")")
check_equal Cache-Control "$(header Cache-Control <<<"$head")" 'max-age=7'
check_equal ETag "$(header ETag <<<"$head")" "\"$catalog\""
size=$(header Content-Length <<<"$head")
get "$(object "$catalog")" >"$tmp/catalog"
get -r 100-299 "$(object "$catalog")" | cmp - <(tail -c +101 "$tmp/catalog" | head -c 200)
check_equal "status for the same ETag" "$(code -H "If-None-Match: \"$catalog\"" "$(object "$catalog")")" 304
check_equal "status beyond the end" "$(code -H "Range: bytes=$size-" "$(object "$catalog")")" 416
strange=$(printf 'x' | sha256sum | cut -d' ' -f1)
check_equal "status of an unknown object" "$(code "$(object "$strange")")" 404
check_equal "status in capitals" "$(code "$first_url/v1/objects/${catalog:0:2}/${catalog^^}")" 404
check_equal "status in another folder" "$(code "$first_url/v1/objects/zz/$catalog")" 404
check_equal "status of a profile" "$(code "$url/v1/profiles/$catalog")" 404
check_equal "status without an upgrade" "$(code "$url/v1/link")" 426

# What is in the pool and not of this system stays there.
"$snowboot" pool add "$second" >/dev/null 2>&1
served=0 kept=0
for path in $(find "$SNOWBOOT_POOL/objects" -type f | sort | awk 'NR % 40 == 0 && n++ < 200'); do
	digest=$(basename "$path")
	case $digest in *[!0-9a-f]* | '') continue ;; esac
	if [ "$(code -I "$(object "$digest")")" = 200 ]; then served=$((served + 1)); else kept=$((kept + 1)); fi
done
[ "$served" -gt 0 ] || fail "no object of the pool is served"

### A switch is a new issue, and so is the way back.
ln -sfn "$second" "$tmp/profile"
next=$(get "$url/v1/manifests/default")
check_equal "system" "$(field "$next" system)" "$second"
check_equal "serial" "$(field "$next" serial)" 2
check_equal "the old manifest" "$(get "$url/v1/manifests/$name")" "$own"
check_equal "an object of both" "$(code "$(object "$catalog")")" 200
ln -sfn "$system" "$tmp/profile"
back=$(get "$url/v1/manifests/default")
check_equal "serial of the way back" "$(field "$back" serial)" 3
check_equal "its system" "$(field "$back" system)" "$system"
stop "$first"

### Serials survive; the same bytes are no new issue; another lifetime's half is.
start again --state "$state" --exclude-from-peers '*-glibc-*' --site hall-2 --expiry 10 "$tmp/profile"
check_equal "the manifest after a restart" "$(get "$url/v1/manifests/default")" "$back"
head=$(get -I "$url/v1/objects/${catalog:0:2}/$catalog")
check_equal Cache-Control "$(header Cache-Control <<<"$head")" 'public, max-age=31536000, immutable'

# A second server of the same state gives out the same, byte for byte.
again=$server again_url=$url
start twin --state "$state" --exclude-from-peers '*-glibc-*' --site hall-2 --expiry 10 "$tmp/profile"
check_equal "the twin's manifest" "$(get "$url/v1/manifests/default")" "$back"
check_equal "the twin's initramfs" "$(get "$url/boot/default/initrd" | sha256sum)" "$(get "$again_url/boot/default/initrd" | sha256sum)"
stop "$server"
stop "$again"

# Two servers with one key but a state of their own: each counts for itself.
start own --state "$tmp/other" --key "$state/key" "$tmp/profile"
other=$(get "$url/v1/manifests/default")
check_equal "serial of another state" "$(field "$other" serial)" 1
[[ $(field "$other" signature) == "$key_name":* ]] || fail "signed by another key: $other"
stop "$server"

# Two keys: both sign, and the initramfs knows both.
"$snowboot" key generate new-1 >"$tmp/new.key"
start keys --state "$tmp/other" --key "$state/key" --key "$tmp/new.key" "$tmp/profile"
both=$(get "$url/v1/manifests/default")
check_equal "signatures" "$(field "$both" signature | cut -d: -f1 | sort | tr '\n' ' ')" "$(printf '%s\n' new-1 "$key_name" | sort | tr '\n' ' ')"
check_equal "keys in the initramfs" "$(get "$url/boot/default/initrd" >"$tmp/initrd" && node_conf | grep -ac '^key ')" 2
stop "$server"
check_fails 2 "snowboot: key '$tmp/new.key': two keys have the name 'new-1'" \
	"$snowboot" serve --dhcp off --state "$tmp/other" --key "$tmp/new.key" --key "$tmp/new.key" "$system"

### Two systems; the root in RAM has neither manifest nor objects.
start two --state "$tmp/two" --no-peers --complete "$system" "$second"
check_equal "the second's manifest" "$(field "$(get "$url/v1/manifests/$second_name")" system)" "$second"
get "$url/boot/$second_name/initrd" >"$tmp/initrd"
for line in 'peers no' 'complete yes'; do
	[[ $'\n'$(node_conf)$'\n' == *$'\n'"$line"$'\n'* ]] || fail "no line '$line' in the initramfs"
done
stop "$server"
start copy --root copy --append quiet "$system"
[[ $(get "$url/boot/default/netboot.ipxe?mac=") == *" snowboot.root=ram quiet "* ]] || fail "the command line asks for no copy"
check_equal "the copy's manifest" "$(field "$(get "$url/v1/manifests/default")" system)" "$system"
stop "$server"
start ram --root ram "$system"
get "$url/boot/default/netboot.ipxe?mac=" >/dev/null # the manifest, too, waits for the boot to be made
check_equal "status of a manifest" "$(code "$url/v1/manifests/default")" 404
check_equal "status of an object" "$(code "$url/v1/objects/${catalog:0:2}/$catalog")" 404
check_equal "status of a link" "$(code "$url/v1/link")" 404
stop "$server"
