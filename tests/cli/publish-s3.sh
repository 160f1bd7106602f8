#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Publishing to a bucket: s3rver stores, and a gate in front of it (s3_gate.py) holds every request to its signature and is
# overloaded now and then. A machine's image is then read from the bucket by plain HTTP.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

for program in node nbdcopy python3 curl; do
	command -v "$program" >/dev/null || skip "needs $program"
done
s3rver=${SNOWBOOT_NPM:-/var/cache/snowboot-tests/npm}/node_modules/.bin/s3rver
[ -e "$s3rver" ] || skip "needs s3rver, which tools/install-packages fetches"
system=$(fixture scripted)
second=$(fixture scripted-2)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
store_port=18953 gate_port=18954
export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER
export AWS_SESSION_TOKEN=of-a-session
unset AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3
gate=http://127.0.0.1:$gate_port
publish() { "$snowboot" publish -q --state "$tmp/state" --endpoint "$gate" "$@"; }

mkdir "$tmp/store"
node "$s3rver" -d "$tmp/store" -a 127.0.0.1 -p "$store_port" -s --no-vhost-buckets --configure-bucket images >"$tmp/s3rver.log" 2>&1 &
store=$!
run_at_exit 'kill "$store"; wait "$store"'
GATE_SECRET=S3RVER GATE_FLAKY=97 python3 "$root/tests/cli/s3_gate.py" "$gate_port" "$store_port" 2>"$tmp/gate.log" &
gate_pid=$!
run_at_exit 'kill "$gate_pid"; wait "$gate_pid"'
for port in "$store_port" "$gate_port"; do
	for _ in $(seq 200); do
		! curl -so /dev/null "http://127.0.0.1:$port/" || break
		sleep 0.05
	done
done

# Words.
hint='hint: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be allowed to list, read, write and remove there'
AWS_SECRET_ACCESS_KEY=wrong check_fails 1 "snowboot: cannot list 'v1/manifests/' at 's3://images/lab': the store answers 403, SignatureDoesNotMatch: not signed so
$hint" publish --to s3://images/lab --gc
check_fails 1 "snowboot: cannot list 'v1/manifests/' at 's3://none/lab': the store answers 404, NoSuchBucket: The specified bucket does not exist
hint: the bucket must exist: make it first" publish --to s3://none/lab --gc
check_fails 1 "snowboot: cannot GET 'http://127.0.0.1:1/images?list-type=2&prefix=lab%2Fv1%2Fmanifests%2F': Failed to connect to 127.0.0.1 port 1 after 0 ms: Couldn't connect to server" \
	"$snowboot" publish --endpoint http://127.0.0.1:1 --to s3://images/lab --gc

# A name with characters that must be escaped, and be escaped the same way where it is signed.
prefix='lab+a=b c'
to="s3://images/$prefix"
# Machines read from the bucket itself, which is public.
url="http://127.0.0.1:$store_port/images/lab%2Ba%3Db%20c"
# Cut off in the middle, then whole.
"$snowboot" publish -q --state "$tmp/state" --endpoint "$gate" --to "$to" --url "$url" "$system" &
cut=$!
for _ in $(seq 1200); do
	[ "$(find "$tmp/store" -name '*_object' | wc -l)" -lt 40 ] || break
	sleep 0.1
done
kill -9 "$cut"
{ wait "$cut"; } 2>/dev/null || true
curl -sf "$url/v1/manifests/default" >/dev/null && fail 'a manifest before its objects'
check_ok publish --json --to "$to" --url "$url" "$system"
check_stdout '"kept":[1-9][0-9]+,'
check_ok publish --json --to "$to" --url "$url" --gc "$system"
check_stdout '"removed":0,'
again=$(sed -n 's/.*"bytes":\([0-9]*\),"kept".*/\1/p' "$tmp/stdout")
[ "$again" -lt 10000 ] || fail "$again bytes were put again"
check_ok "$snowboot" manifest verify --state "$tmp/state" "$url"
headers=$(curl -sSI "$url/v1/manifests/default")
grep -qi '^cache-control: no-cache' <<<"$headers" || fail "a manifest that may be cached: $headers"
object=$(sed -n "s|^kernel --name bzImage \([^ ]*\) .*|\1|p" <<<"$(curl -sSf "$url/boot/default/netboot.ipxe")")
curl -sSfD "$tmp/headers" "$object" | cmp - "$system/kernel" || fail 'the script names another kernel'
grep -qi '^cache-control: public, max-age=31536000, immutable' "$tmp/headers" || fail "an object: $(cat "$tmp/headers")"

check_image "$url" "$system"

# The next generation, and the first one taken back.
check_ok publish --json --to "$to" --url "$url" "$second"
check_image "$url" "$second"
rm -f "$tmp/store/images/$prefix/v1/manifests/$(basename "$system")"*
check_ok publish --json --to "$to" --gc
check_stdout '"removed":[1-9]'
check_image "$url" "$second"
