#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Manifests looked at from outside. They are made here by hand and signed with openssl, so that not only our own code says
# that a signature is good.
. "$(dirname "$0")/../lib/cli.sh"

command -v openssl >/dev/null || skip 'needs openssl'

# generate NAME: a key that openssl has, too; its public key in Nix's format in $tmp/NAME.pub.
generate() {
	openssl genpkey -algorithm ed25519 -out "$tmp/$1.pem"
	printf '%s:%s\n' "$1" "$(openssl pkey -in "$tmp/$1.pem" -pubout -outform DER | tail -c 32 | base64)" >"$tmp/$1.pub"
}
# sign NAME FILE: appends a signature over what FILE has so far less its signatures.
sign() {
	sed '/^signature /d' "$2" >"$tmp/body"
	openssl pkeyutl -sign -rawin -inkey "$tmp/$1.pem" -in "$tmp/body" -out "$tmp/sig"
	printf 'signature %s:%s\n' "$1" "$(base64 -w0 "$tmp/sig")" >>"$2"
}
now=$(date +%s)
# manifest NAME SERIAL ISSUED EXPIRES CATALOG SIZE
manifest() {
	printf '%s\n' 'snowboot-manifest 1' "name $1" 'system /nix/store/x-nixos-system-host' "serial $2" "issued $3" "expires $4" \
		'cmdline quiet' "catalog $5 $6"
}
zero=$(printf '0%.0s' {1..64})
generate key-1
generate key-2
generate strange
manifest default 7 "$((now - 60))" "$((now + 3600))" "$zero" 4000 >"$tmp/good"
cp "$tmp/good" "$tmp/unsigned"
sign key-1 "$tmp/good"

check_ok "$snowboot" manifest show "$tmp/good"
check_equal 'manifest' "$(cat "$tmp/stdout")" "name      default
system    /nix/store/x-nixos-system-host
serial    7
issued    $(date -u -d "@$((now - 60))" '+%Y-%m-%d %H:%M:%S UTC')
expires   $(date -u -d "@$((now + 3600))" '+%Y-%m-%d %H:%M:%S UTC')
cmdline   quiet
catalog   $zero, 3.9 KiB
signed by key-1"
check_ok "$snowboot" manifest show "$tmp/unsigned"
check_stdout '^signed by nobody$'
check_ok "$snowboot" manifest show --json "$tmp/good" "$tmp/unsigned"
check_stdout "^\{\"name\":\"default\",\"system\":\"/nix/store/x-nixos-system-host\",\"serial\":7,\"issued\":$((now - 60)),\"expires\":$((now + 3600)),\"cmdline\":\"quiet\",\"catalog\":\"$zero\",\"catalog_size\":4000,\"signed_by\":\[\"key-1\"\]\}$"
check_equal 'lines' "$(wc -l <"$tmp/stdout")" 2

verify() { "$snowboot" manifest verify --key "$tmp/key-1.pub" "$@"; }
good="good, 'default' serial 7 until $(date -u -d "@$((now + 3600))" '+%Y-%m-%d %H:%M:%S UTC')"
check_ok verify "$tmp/good"
check_equal 'verdict' "$(cat "$tmp/stdout")" "$tmp/good: $good"
check_ok "$snowboot" manifest verify --key "$(cat "$tmp/key-1.pub")" "$tmp/good"
check_equal 'from standard input' "$(verify - <"$tmp/good")" "-: $good"
# Either of two keys, and either of two signatures.
cat "$tmp/strange.pub" "$tmp/key-1.pub" >"$tmp/keys"
check_ok "$snowboot" manifest verify --key "$tmp/keys" "$tmp/good"
cp "$tmp/unsigned" "$tmp/both"
sign strange "$tmp/both"
sign key-1 "$tmp/both"
check_ok verify "$tmp/both"

# Each thing that a machine refuses.
untrusted='hint: a machine trusts the keys in its initramfs; elsewhere --key adds one'
check_fails 1 "snowboot: '$tmp/unsigned': manifest 'default' has no signature" verify "$tmp/unsigned"
check_fails 1 "snowboot: '$tmp/good': manifest 'default' is signed by a key that is not trusted, 'key-1'
$untrusted" "$snowboot" manifest verify --key "$tmp/key-2.pub" "$tmp/good"
sed 's/serial 7/serial 8/' "$tmp/good" >"$tmp/forged"
check_fails 1 "snowboot: '$tmp/forged': manifest 'default' has a wrong signature by the trusted key 'key-1'" verify "$tmp/forged"
sed 's/^key-2/key-1/' "$tmp/key-2.pub" >"$tmp/impostor"
check_fails 1 "snowboot: '$tmp/good': manifest 'default' has a wrong signature by the trusted key 'key-1'" \
	"$snowboot" manifest verify --key "$tmp/impostor" "$tmp/good"
check_fails 1 "snowboot: '$tmp/good': manifest 'default' came when 'other' was asked for" verify --name other "$tmp/good"
check_ok verify --min-serial 7 "$tmp/good"
check_fails 1 "snowboot: '$tmp/good': manifest 'default' has serial 7, but this machine has seen 8
hint: an old one was sent again, or two origins count apart: they must share --state; to go back to an old system, issue it anew" verify --min-serial 8 "$tmp/good"
manifest default 7 1000 2000 "$zero" 4000 >"$tmp/expired"
sign key-1 "$tmp/expired"
run verify "$tmp/expired"
check_equal 'status' "$status" 1
check_stderr "^snowboot: '$tmp/expired': manifest 'default' expired at 1970-01-01 00:33:20 UTC: here it is 20..-..-.. ..:..:.. UTC\$"
# Issued tomorrow: this clock is before the time of issue, and so wrong.
manifest default 7 "$((now + 86400))" "$((now + 90000))" "$zero" 4000 >"$tmp/tomorrow"
sign key-1 "$tmp/tomorrow"
check_ok verify "$tmp/tomorrow"

# Words.
check_fails 1 "snowboot: cannot open '$tmp/none': No such file or directory
hint: --key takes a public key or a file of them" "$snowboot" manifest verify --key "$tmp/none" "$tmp/good"
check_fails 1 "snowboot: '$tmp/good': not a public key: it looks like NAME:BASE64 with 32 bytes behind the colon" \
	"$snowboot" manifest verify --key "$tmp/good" "$tmp/good"
check_fails 1 "snowboot: cannot open '$tmp/state/key.pub': No such file or directory
hint: say whom to trust with --key" "$snowboot" manifest verify --state "$tmp/state" "$tmp/good"
mkdir "$tmp/state"
cp "$tmp/key-1.pub" "$tmp/state/key.pub"
check_ok "$snowboot" manifest verify --state "$tmp/state" "$tmp/good"
echo hello >"$tmp/nonsense"
check_fails 1 "snowboot: '$tmp/nonsense': manifest: does not begin with 'snowboot-manifest 1'" "$snowboot" manifest show "$tmp/nonsense"
check_fails 2 "snowboot: 'snowboot manifest show' needs FILE|URL|SYSTEM...
hint: see 'snowboot manifest show --help'" "$snowboot" manifest show

# By HTTP, from a server of plain files: the catalog is checked with it, piece by piece.
command -v nginx >/dev/null || skip 'needs nginx'
www=$tmp/www
# The smallest catalog: no members, no files.
{
	printf 'SBCATL\0\1'
	printf '\0\x10\0\0\0\0\0\0'
	head -c 40 /dev/zero
} >"$tmp/catalog"
digest=$(sha256sum <"$tmp/catalog" | cut -d' ' -f1)
mkdir -p "$www/v1/manifests" "$www/v1/objects/${digest:0:2}"
cp "$tmp/catalog" "$www/v1/objects/${digest:0:2}/$digest"
manifest default 7 "$((now - 60))" "$((now + 3600))" "$digest" 56 >"$www/v1/manifests/default"
sign key-1 "$www/v1/manifests/default"
cat >"$tmp/nginx.conf" <<EOF
daemon off; pid $tmp/nginx.pid; error_log $tmp/nginx.log;
events { worker_connections 64; }
http { access_log off; client_body_temp_path $tmp/n1; proxy_temp_path $tmp/n2; fastcgi_temp_path $tmp/n3;
	uwsgi_temp_path $tmp/n4; scgi_temp_path $tmp/n5;
	server { listen unix:$tmp/unused; listen 127.0.0.1:18941; root $www; } }
EOF
chmod 755 "$tmp"
nginx -e "$tmp/nginx.log" -c "$tmp/nginx.conf" &
server=$!
run_at_exit 'kill "$server"; wait "$server"'
url=http://127.0.0.1:18941
for _ in $(seq 100); do curl -sf "$url/v1/manifests/default" >/dev/null && break || sleep 0.05; done
check_ok "$snowboot" manifest show "$url"
check_stdout '^contents  0 store paths, image of 4.0 KiB, trees and chunk tables of 0 B$'
check_ok verify "$url"
check_equal 'verdict' "$(cat "$tmp/stdout")" "$url: $good"
check_ok verify "$url/v1/manifests/default"
check_fails 1 "snowboot: cannot GET '$url/v1/manifests/none': the server answers 404" verify "$url/v1/manifests/none"
cp "$www/v1/manifests/default" "$www/v1/manifests/other"
check_fails 1 "snowboot: '$url/v1/manifests/other': manifest 'default' came when 'other' was asked for" verify "$url/v1/manifests/other"
printf x | dd of="$www/v1/objects/${digest:0:2}/$digest" bs=1 seek=20 conv=notrunc status=none
check_fails 1 "snowboot: '$url': '$url/v1/objects/${digest:0:2}/$digest' is not what the manifest names" verify "$url"
