#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Publishing to a directory: what is there is whole at every moment, only what is missing is written, and a web server with
# nothing but these files boots a machine's image, alone and with a cache in front of it.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

for program in nginx varnishd nbdcopy curl; do
	command -v "$program" >/dev/null || skip "needs $program"
done
first=$(fixture scripted)
second=$(fixture scripted-2)
# Always its own: something in it is damaged below.
export SNOWBOOT_POOL=$tmp/pool
www=$tmp/www
# Web servers drop their rights.
chmod 755 "$tmp"
port=18951 cache_port=18952
url=http://127.0.0.1:$port
publish() { "$snowboot" publish -q --state "$tmp/state" "$@"; }

# check_whole DIR: every object has the bytes that its name says.
check_whole() {
	(cd "$1/v1/objects" && find . -type f -printf '%f  %p\n' | sha256sum --quiet -c -) || fail "an object in $1 is damaged"
}

# Words.
check_fails 2 "snowboot: where should it be published?
hint: say --to DIR or --to s3://BUCKET/PREFIX" publish "$first"
check_fails 2 "snowboot: no system is named
hint: name one, or say --gc to remove what is not needed any more" publish --to "$www"
check_fails 2 "snowboot: --url takes a URL like http://HOST/PREFIX, not 'server'
hint: machines fetch by plain HTTP, and verify every byte" publish --to "$www" --url server "$first"
check_fails 2 "snowboot: --url takes a URL like http://HOST/PREFIX, not 'https://server'
hint: machines fetch by plain HTTP, and verify every byte" publish --to "$www" --url https://server "$first"
check_fails 2 "snowboot: 'a/b' cannot be the name of a manifest" publish --to "$www" --name a/b "$first"
[ ! -e "$www/v1" ] || fail 'a run that failed wrote something'

# The first time everything, the second time next to nothing.
check_ok "$snowboot" publish --json --state "$tmp/state" --to "$www" --url "$url/" "$first"
check_stdout '"systems":1,"files":[0-9]+,"bytes":[0-9]+,"kept":0,'
all=$(sed -n 's/.*"bytes":\([0-9]*\).*/\1/p' "$tmp/stdout")
check_whole "$www"
for name in default "$(basename "$first")"; do
	check_ok "$snowboot" manifest verify --state "$tmp/state" "$www/v1/manifests/$name"
	grep -q "snowboot.origin=$url " "$www/boot/$name/netboot.ipxe" || fail "the script of $name does not say where it is"
	for file in bzImage initrd; do
		object=$(sed -n "s|.*--name $file $url/\(v1/objects/[^ ]*\) .*|\1|p" "$www/boot/$name/netboot.ipxe")
		cmp "$www/boot/$name/$file" "$www/$object" || fail "$file is not what the script names"
	done
done
cmp "$www/boot/default/bzImage" "$first/kernel" || fail 'bzImage is not the kernel'
check_ok "$snowboot" manifest verify --state "$tmp/state" "$first"
check_stdout "^$first: good, '$(basename "$first")' serial 1 until "
check_fails 1 "snowboot: no manifest of '$second' was issued in '$tmp/state'
hint: 'snowboot serve' and 'snowboot publish' issue one; --state says where" "$snowboot" manifest show --state "$tmp/state" "$second"
check_ok "$snowboot" publish --json --state "$tmp/state" --to "$www" --url "$url" "$first"
again=$(sed -n 's/.*"bytes":\([0-9]*\).*/\1/p' "$tmp/stdout")
[ "$again" -lt 10000 ] || fail "$again bytes were put again"
stat -c %i "$www"/v1/objects/*/* | sort >"$tmp/inodes"
[ ! -e "$www/v1/profiles" ] || fail 'a profile out of nothing'

# What machines of a server with the same state have touched goes with it, as places in the catalog: here the first chunks
# of some table, last one first.
catalog=$(sed -n 's/^catalog \([0-9a-f]*\) .*/\1/p' "$www/v1/manifests/default")
table=$(grep -rlaP '^SBCHNK\x00' "$www/v1/objects" | sort | sed -n 1p)
mkdir -p "$tmp/state/profiles"
python3 - "$table" "$tmp/state/profiles/$catalog" <<'EOF'
import struct, sys
table = open(sys.argv[1], "rb").read()
count = min(struct.unpack_from("<I", table, 48)[0], 3)
chunks = [table[52 + 36 * i + 4:52 + 36 * (i + 1)] for i in range(count)]
open(sys.argv[2], "wb").write(b"snowboot-touches 1\n" + b"".join(reversed(chunks)))
EOF
check_ok publish --to "$www" --url "$url" "$first"
python3 - "$table" "$www/v1/profiles/$catalog" "$catalog" <<'EOF' || fail 'the profile is not what was touched'
import struct, sys
table, profile = (open(name, "rb").read() for name in sys.argv[1:3])
count = min(struct.unpack_from("<I", table, 48)[0], 3)
assert profile[:40] == b"sbprof01" + bytes.fromhex(sys.argv[3]) and len(profile) == 44 + 8 * count
entries = [struct.unpack_from("<II", profile, 44 + 8 * i) for i in range(count)]
assert struct.unpack_from("<I", profile, 40)[0] == count
assert [chunk for _, chunk in entries] == list(reversed(range(count))) and len({member for member, _ in entries}) == 1
EOF

# A mirror that is cut off at any moment: no manifest without all that it names, and the next run goes on.
for round in 1 2 3 4 5 6; do
	"$snowboot" publish -q --state "$tmp/state" --to "$tmp/cut" "$first" &
	sleep "0.$(printf %02d $((RANDOM % 60)))"
	kill -9 "$!" 2>/dev/null || true
	{ wait "$!"; } 2>/dev/null || true
	[ ! -d "$tmp/cut/v1/objects" ] || check_whole "$tmp/cut"
	if [ -e "$tmp/cut/v1/manifests/default" ]; then
		diff <(cd "$www/v1/objects" && find . -type f | sort) <(cd "$tmp/cut/v1/objects" && find . -type f | sort) ||
			fail "round $round: a manifest, but not all objects"
		rm -rf "$tmp/cut"
	fi
done
check_ok publish --to "$tmp/cut" "$first"
diff -r --exclude=netboot.ipxe --exclude=.publish "$www" "$tmp/cut" || fail 'what was continued differs'
[ ! -e "$tmp/cut/boot/default/netboot.ipxe" ] || fail 'a script that cannot know where it is'
rm -rf "$tmp/cut"

# What no peer may give is there for whoever can read the directory, and that is said.
check_ok publish --to "$tmp/private" --exclude-from-peers '*nixos-system*' "$first"
check_stderr "^[1-9] store paths of '$(basename "$first")' are private, and will be had by whoever can read '$tmp/private'\$"
rm -rf "$tmp/private"

# A damaged object of the pool is not spread.
victim=$(find "$www/v1/objects" -type f -size +200k -size -2000k | sort | sed -n 1p)
victim=$SNOWBOOT_POOL/objects/${victim#"$www/v1/objects/"}
cp "$victim" "$tmp/victim"
chmod u+w "$victim"
printf x | dd of="$victim" bs=1 seek=1000 conv=notrunc status=none
check_fails 1 "snowboot: '$victim' is damaged
hint: 'snowboot pool verify --repair' forgets what is damaged" publish --to "$tmp/bad" "$first"
[ ! -e "$tmp/bad/v1/manifests" ] || fail 'a damaged system was switched to'
cp "$tmp/victim" "$victim"
rm -rf "$tmp/bad"

# The web server: plain files, and no process of ours.
mkdir "$tmp/nginx"
cat >"$tmp/nginx.conf" <<EOF
daemon off; worker_processes 1; pid $tmp/nginx/pid; error_log $tmp/nginx/error;
events { worker_connections 512; }
http {
	log_format short '\$request_uri \$http_range'; access_log $tmp/nginx/access short;
	client_body_temp_path $tmp/nginx/1; proxy_temp_path $tmp/nginx/2; fastcgi_temp_path $tmp/nginx/3;
	uwsgi_temp_path $tmp/nginx/4; scgi_temp_path $tmp/nginx/5;
	server {
		listen 127.0.0.1:$port; root $www; default_type application/octet-stream;
		location /v1/objects/ { add_header Cache-Control 'public, max-age=31536000, immutable'; }
		location /v1/manifests/ { add_header Cache-Control no-cache; }
	}
}
EOF
nginx -e "$tmp/nginx/error" -c "$tmp/nginx.conf" &
nginx=$!
run_at_exit 'kill "$nginx"; wait "$nginx"'
wait_for "$url/v1/manifests/default"
check_ok "$snowboot" manifest verify --state "$tmp/state" "$url"

check_image "$url" "$first"

# Varnish in front: many who want ranges of one object that it does not have cause one request, and later ones none.
varnishd -n "$tmp/varnish" -F -a "127.0.0.1:$cache_port" -b "127.0.0.1:$port" -s malloc,600M >"$tmp/varnish.log" 2>&1 &
varnish=$!
run_at_exit 'kill "$varnish"; wait "$varnish"'
cached=http://127.0.0.1:$cache_port
wait_for "$cached/v1/manifests/default"
large=$(cd "$www" && find v1/objects -type f -size +4M | sort | sed -n 1p)
size=$(stat -c %s "$www/$large")
before=$(grep -c "^/$large " "$tmp/nginx/access" || true)
for i in $(seq 24); do
	off=$((i * (size - 70000) / 24))
	curl -sS --max-time 30 -r "$off-$((off + 65535))" -o "$tmp/range$i" "$cached/$large" &
	ranges+=("$!")
done
for pid in "${ranges[@]}"; do wait "$pid" || fail 'a range cannot be had through the cache'; done
for i in $(seq 24); do
	off=$((i * (size - 70000) / 24))
	cmp -n 65536 <(tail -c +$((off + 1)) "$www/$large") "$tmp/range$i" || fail "range $i differs"
done
check_equal 'requests behind the cache for 24 ranges at once' "$(($(grep -c "^/$large " "$tmp/nginx/access") - before))" 1
check_image "$cached" "$first"
before=$(grep -c '^/v1/objects/' "$tmp/nginx/access")
check_image "$cached" "$first"
check_equal 'requests for objects behind a warm cache' "$(($(grep -c '^/v1/objects/' "$tmp/nginx/access") - before))" 0

# The next generation: what is shared stays as it is, the switch is the last thing, and gc drops what only the old one needed.
check_ok "$snowboot" publish --json --state "$tmp/state" --to "$www" --url "$url" --gc "$second"
check_stdout '"removed":0,'
kept=$(sed -n 's/.*"kept_bytes":\([0-9]*\).*/\1/p' "$tmp/stdout")
put=$(sed -n 's/.*"bytes":\([0-9]*\),"kept".*/\1/p' "$tmp/stdout")
[ "$kept" -gt $((all / 2)) ] || fail "only $kept of $all bytes were shared"
echo "second generation: $put bytes put, $kept were there"
check_equal 'what boots' "$("$snowboot" manifest show "$www/v1/manifests/default" | sed -n 's/^system *//p')" "$second"
stat -c %i "$www"/v1/objects/*/* | sort >"$tmp/inodes-2"
[ -z "$(comm -23 "$tmp/inodes" "$tmp/inodes-2")" ] || fail 'objects were written again'
check_image "$url" "$second"
check_image "$url" "$first"
rm "$www/v1/manifests/$(basename "$first")"
check_ok "$snowboot" publish --json --to "$www" --gc
check_stdout '"removed":[1-9]'
[ ! -e "$www/boot/$(basename "$first")/bzImage" ] || fail 'gc left a kernel that nothing boots'
check_ok publish --to "$tmp/fresh" "$second"
diff <(cd "$www/v1/objects" && find . -type f | sort) <(cd "$tmp/fresh/v1/objects" && find . -type f | sort) ||
	fail 'gc left too much, or too little'
check_image "$url" "$second"

# Gc never guesses.
rm "$www/v1/published/default"
check_fails 1 "snowboot: nothing says what the manifest 'default' needs
hint: publish that system again, or remove 'v1/manifests/default'" publish --to "$www" --gc
check_whole "$www"
echo hello >"$www/v1/published/default"
check_fails 1 "snowboot: the record of 'default' is damaged
hint: publish 'default' again to have it written anew" publish --to "$www" --gc
check_ok publish --to "$www" --url "$url" --gc "$second"
check_image "$url" "$second"
