#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Keys by hand: that a secret stays one, and that Nix takes what we make.
. "$(dirname "$0")/../lib/cli.sh"

check_ok "$snowboot" key generate test-1 -o "$tmp/key"
check_stdout '^test-1:[A-Za-z0-9+/]{43}=$'
check_equal 'mode' "$(stat -c %a "$tmp/key")" 600
grep -Eqx 'test-1:[A-Za-z0-9+/]{86}==' "$tmp/key" || fail 'that is no secret key'
public=$(cat "$tmp/stdout")
check_fails 2 "snowboot: '$tmp/key' is there already
hint: a key that is replaced is lost; name another file" "$snowboot" key generate test-1 -o "$tmp/key"
check_ok "$snowboot" key public "$tmp/key"
check_equal 'public key' "$(cat "$tmp/stdout")" "$public"
check_equal 'public key by standard input' "$("$snowboot" key public <"$tmp/key")" "$public"
check_ok "$snowboot" key public --json "$tmp/key"
check_equal 'JSON' "$(cat "$tmp/stdout")" "{\"name\":\"test-1\",\"public_key\":\"$public\"}"
check_ok "$snowboot" key generate test-2
check_stdout '^test-2:[A-Za-z0-9+/]{86}==$'
check_ok "$snowboot" key generate --json test-2
check_stdout '^\{"name":"test-2","secret_key":"test-2:[A-Za-z0-9+/]{86}=="\}$'

# Two are never the same, and none is printed twice.
[ "$("$snowboot" key generate a)" != "$("$snowboot" key generate a)" ] || fail 'two keys are the same'

check_fails 2 "snowboot: 'a:b' cannot be the name of a key
hint: take up to 255 printable characters without blanks and colons, like example.org-1" "$snowboot" key generate a:b
check_fails 2 "snowboot: 'snowboot key generate' needs NAME
hint: see 'snowboot key generate --help'" "$snowboot" key generate
check_fails 1 "snowboot: cannot create '$tmp/none/key': No such file or directory" "$snowboot" key generate a -o "$tmp/none/key"
check_fails 1 "snowboot: cannot open '$tmp/none': No such file or directory" "$snowboot" key public "$tmp/none"
printf '%s\n' "$public" >"$tmp/public"
check_fails 1 "snowboot: '$tmp/public': not a secret key: it looks like NAME:BASE64 with 64 bytes behind the colon" \
	"$snowboot" key public "$tmp/public"

command -v nix >/dev/null || skip 'needs nix'
nix=(nix --extra-experimental-features nix-command key)
check_equal 'what Nix derives' "$("${nix[@]}" convert-secret-to-public <"$tmp/key")" "$public"
"${nix[@]}" generate-secret --key-name nix-1 >"$tmp/nix"
check_ok "$snowboot" key public "$tmp/nix"
check_equal 'what we derive' "$(cat "$tmp/stdout")" "$("${nix[@]}" convert-secret-to-public <"$tmp/nix")"
