#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Binary caches that want more than a URL: a bucket by S3's protocol with signed requests, a netrc file, a proxy; and TLS.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/cache.sh"
. "$(dirname "$0")/../lib/server.sh"

make_cache xz
cache=$tmp/cache-xz
nar=$(field URL)
serve_cache 18981 "$cache"
served=$url

# Name and password from a netrc file: that of nix.conf, else the user's own.
check_fails 1 "snowboot: cannot fetch '$url/auth/nix-cache-info': the cache answers 401
hint: name and password are taken from a netrc file" http "$url/auth/$hash"
echo 'machine 127.0.0.1 login u password p' >"$tmp/netrc"
echo "netrc-file = $tmp/netrc" >"$NIX_CONF_DIR/nix.conf"
check_ok http "$url/auth/$hash"
echo 'machine 127.0.0.1 login u password wrong' >"$tmp/netrc"
check_fails 1 "snowboot: cannot fetch '$url/auth/nix-cache-info': the cache answers 401
hint: name and password are taken from a netrc file" http "$url/auth/$hash"
rm "$NIX_CONF_DIR/nix.conf"
mkdir "$tmp/home"
echo 'machine 127.0.0.1 login u password p' >"$tmp/home/.netrc"
HOME=$tmp/home check_ok http "$url/auth/$hash"

# A proxy, but not for whom no_proxy names.
python3 "$root/tests/cli/http_proxy.py" 18982 "$tmp/proxied" &
run_at_exit "kill $!; wait $!"
wait_for http://127.0.0.1:18982/
export http_proxy=http://127.0.0.1:18982
: >"$tmp/proxied"
check_ok http "$url/ok/$hash"
check_equal 'by the proxy' "$(sort "$tmp/proxied")" "$(for file in nix-cache-info "$hash.narinfo" "$data_hash.narinfo" \
	"$nar" "$(sed -n 's/^URL: //p' "$cache/$hash.narinfo")"; do echo "GET $url/ok/$file"; done | sort)"
: >"$tmp/proxied"
no_proxy=127.0.0.1 check_ok http "$url/ok/$hash"
check_equal 'by the proxy' "$(cat "$tmp/proxied")" ''
http_proxy=http://127.0.0.1:1 run http "$url/ok/$hash"
grep -Eqx "snowboot: cannot fetch '$url/ok/nix-cache-info': Failed to connect to 127.0.0.1 port 1 after [0-9]+ ms: Couldn't connect to server" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"
http_proxy=http://127.0.0.1:18982 check_fails 1 "snowboot: cannot fetch 'http://refused.invalid/nix-cache-info': the cache answers 407" \
	http "http://refused.invalid/$hash"
unset http_proxy

# A certificate that nobody vouches for.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/key.pem" -out "$tmp/certificate.pem" -days 2 -subj /CN=127.0.0.1 \
	-addext subjectAltName=IP:127.0.0.1 2>/dev/null
cat "$tmp/key.pem" >>"$tmp/certificate.pem"
python3 "$root/tests/cli/bad_cache.py" 18988 "$cache" "$tmp/requests" "$tmp/certificate.pem" &
run_at_exit "kill $!; wait $!"
for _ in $(seq 200); do
	if curl -skfo /dev/null https://127.0.0.1:18988/ok/nix-cache-info; then break; fi
	sleep 0.05
done
run http "https://127.0.0.1:18988/ok/$hash"
check_equal 'exit status' "$status" 1
# By GnuTLS or by OpenSSL.
grep -Eqx "snowboot: cannot fetch 'https://127.0.0.1:18988/ok/nix-cache-info': (server certificate verification failed. CAfile: .* CRLfile: .*|SSL certificate problem: self-signed certificate)" "$tmp/stderr" ||
	fail "said: $(cat "$tmp/stderr")"
check_equal 'the hint' "$(tail -n 1 "$tmp/stderr")" \
	"hint: certificates to trust are in the file that \$NIX_SSL_CERT_FILE or ssl-cert-file in nix.conf names, else the system's"
NIX_SSL_CERT_FILE=$tmp/certificate.pem check_ok http "https://127.0.0.1:18988/ok/$hash"
check_equal 'words' "$(cat "$tmp/stderr")" ''
check_equal 'requests' "$(asked '^GET /ok/')" 5
echo "ssl-cert-file = $tmp/certificate.pem" >"$NIX_CONF_DIR/nix.conf"
check_ok http "https://127.0.0.1:18988/ok/$hash"
rm "$NIX_CONF_DIR/nix.conf"

# A bucket. s3rver stores; a gate before it holds every request to its signature, and is overloaded now and then.
command -v node >/dev/null || skip 'the rest needs node'
s3rver=${SNOWBOOT_NPM:-/var/cache/snowboot-tests/npm}/node_modules/.bin/s3rver
[ -e "$s3rver" ] || skip 'the rest needs s3rver, which tools/install-packages fetches'
store_port=18983 gate_port=18984
export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER AWS_SESSION_TOKEN=of-a-session
mkdir "$tmp/bucket"
node "$s3rver" -d "$tmp/bucket" -a 127.0.0.1 -p "$store_port" -s --no-vhost-buckets --configure-bucket lab >"$tmp/s3rver.log" 2>&1 &
run_at_exit "kill $!; wait $!"
GATE_SECRET=S3RVER GATE_FLAKY=3 GATE_PUBLIC=no python3 "$root/tests/cli/s3_gate.py" "$gate_port" "$store_port" 2>"$tmp/gate.log" &
run_at_exit "kill $!; wait $!"
for port in "$store_port" "$gate_port"; do
	for _ in $(seq 200); do
		if curl -so /dev/null "http://127.0.0.1:$port/"; then break; fi
		sleep 0.05
	done
done
(cd "$cache" && find . -type f | while read -r file; do
	curl -fsS -T "$file" -H "x-amz-content-sha256: $(sha256sum "$file" | cut -d' ' -f1)" --aws-sigv4 aws:amz:us-east-1:s3 --user S3RVER:S3RVER \
		"http://127.0.0.1:$store_port/lab/${file#./}"
done)
bucket="s3://lab?endpoint=127.0.0.1:$gate_port&scheme=http&region=eu-lab-1"
check_ok fetch --trusted-key "$lab" --store "$tmp/none" --cache "$bucket" "$hash"
check_equal 'words' "$(cat "$tmp/stderr")" ''
check_ok "$snowboot" pool verify --pool "$tmp/pool$count"
check_ok fetch --trusted-key "$lab" "s3://lab/$hash?endpoint=127.0.0.1:$gate_port&scheme=http"
check_ok fetch --trusted-key "$lab" "s3://lab/$hash?endpoint=http://127.0.0.1:$gate_port"
gate=http://127.0.0.1:$gate_port/lab
no_info="snowboot: cannot fetch '$gate/nix-cache-info': the cache answers 403
hint: a binary cache has that file; is the URL right?"
AWS_SECRET_ACCESS_KEY=wrong check_fails 1 "$no_info" fetch --store "$tmp/none" --cache "$bucket" "$hash"
AWS_SECRET_ACCESS_KEY='' check_fails 1 "$no_info" fetch --store "$tmp/none" --cache "$bucket" "$hash"
check_fails 1 "snowboot: cannot fetch 'http://127.0.0.1:$gate_port/none/nix-cache-info': the cache answers 404
hint: a binary cache has that file; is the URL right?" fetch --store "$tmp/none" \
	--cache "s3://none?endpoint=127.0.0.1:$gate_port&scheme=http" "$hash"
check_fails 1 "snowboot: '00000000000000000000000000000000' is not in the cache 's3://lab'" \
	fetch --store "$tmp/none" --cache "$bucket" 00000000000000000000000000000000
# Signed for a bucket of its own name, a key of ours; and the rest comes from a cache behind it.
rm -f "$tmp/bucket/lab/$nar"*
check_ok fetch --trusted-key "$lab" --store "$tmp/none" --cache "$bucket&priority=1" --cache "$served/ok" "$hash"
check_stderr "^cannot fetch '$gate/$nar': the cache answers 404, trying '$served/ok/$nar' instead\$"
