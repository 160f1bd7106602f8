#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A flake's attribute and a directory with default.nix are built by Nix, and what comes out is taken; what Nix says is seen, and what
# does not come out is said.
. "$(dirname "$0")/../lib/cli.sh"

for program in nix nix-build; do command -v "$program" >/dev/null || skip "needs $program"; done
[ "$(id -u)" = 0 ] || skip 'needs root, to build in /nix/store without a daemon'
export NIX_REMOTE=local HOME=$tmp/home NIX_CONF_DIR=$tmp/conf
export NIX_CONFIG='build-users-group =
sandbox = false
substitute = false'
mkdir "$HOME" "$NIX_CONF_DIR" "$tmp/empty" "$tmp/expression" "$tmp/flake"
add() { "$snowboot" pool add --json --pool "$tmp/pool" "$@"; }
add_quietly() { "$snowboot" pool add -q --pool "$tmp/pool" "$@"; }
stamp=$$-$RANDOM
# derivation NAME COMMAND: one that /bin/sh builds, new each time.
derivation() {
	printf 'derivation { name = "%s"; system = builtins.currentSystem; builder = "/bin/sh"; stamp = "%s"; args = [ "-c" "%s" ]; }\n' \
		"$1" "$stamp" "$2"
}

# What comes out is what is taken, with what it refers to.
derivation made "echo made by Nix, see $tmp >\$out" >"$tmp/expression/default.nix"
check_ok add "$tmp/expression"
path=$(nix-build --no-out-link "$tmp/expression" 2>/dev/null)
check_stdout "^\{\"path\":\"$path\",\"paths\":1,"
cat >"$tmp/flake/flake.nix" <<EOT
{
  outputs = { self }: let
    inner = $(derivation inner 'echo inner >\$out' | sed 's/builtins.currentSystem/"x86_64-linux"/');
  in {
    packages.x86_64-linux.both = derivation {
      name = "both"; system = "x86_64-linux"; builder = "/bin/sh"; stamp = "$stamp";
      args = [ "-c" "echo see \${inner} >\$out" ];
    };
  };
}
EOT
check_ok add "$tmp/flake#both"
path=$(nix --extra-experimental-features 'nix-command flakes' eval --raw "$tmp/flake#both.outPath" 2>/dev/null)
check_stdout "^\{\"path\":\"$path\",\"paths\":2,"
check_ok "$snowboot" pool verify --pool "$tmp/pool"

# What goes wrong; Nix's own words stand before ours.
last() { # last MESSAGE COMMAND…: fails, and ends with that
	local message=$1
	shift
	run "$@"
	check_equal 'exit status' "$status" "${want_status:-1}"
	check_equal 'the last words' "$(sed -n '/^snowboot: /,$p' "$tmp/stderr")" "$message"
}
derivation broken 'echo the compiler is out of order >&2; exit 3' >"$tmp/expression/default.nix"
last "snowboot: building '$tmp/expression': 'nix-build' failed" add_quietly "$tmp/expression"
check_stderr 'the compiler is out of order'
echo 'throw "no such thing"' >"$tmp/expression/default.nix"
last "snowboot: building '$tmp/expression': 'nix-build' failed" add_quietly "$tmp/expression"
check_stderr 'no such thing'
last "snowboot: building '$tmp/flake#none': 'nix' failed" add_quietly "$tmp/flake#none"
check_stderr "does not provide attribute"
last "snowboot: building '$tmp/nowhere#x': 'nix' failed" add_quietly "$tmp/nowhere#x"
{
	echo '['
	derivation one 'echo 1 >$out' | sed 's/^/(/; s/$/)/'
	derivation two 'echo 2 >$out' | sed 's/^/(/; s/$/)/'
	echo ']'
} >"$tmp/expression/default.nix"
want_status=2 last "snowboot: building '$tmp/expression': that makes several store paths, not one system" add_quietly "$tmp/expression"
echo '{ }' >"$tmp/expression/default.nix"
last "snowboot: building '$tmp/expression': Nix names no store path" add_quietly "$tmp/expression"
# What begins like an option is none: neither --version nor --help is what is asked for.
mkdir "$tmp/-expression"
cp "$tmp/expression/default.nix" "$tmp/-expression"
cd "$tmp" || exit
for name in '--version#x' '-expression'; do
	check_fails 2 "snowboot: building '$name': Nix would take that for an option
hint: what lies in this directory is also called './$name'" add_quietly -- "$name"
done
cd "$root" || exit
not_installed="hint: Nix builds flakes and expressions; what is built already can be named by its store path, or taken from a binary cache"
check_fails 1 "snowboot: building '$tmp/empty#x': 'nix' is not installed
$not_installed" env PATH="$tmp/empty" "$snowboot" pool add --pool "$tmp/pool" "$tmp/empty#x"
check_fails 1 "snowboot: building '$tmp/expression': 'nix-build' is not installed
$not_installed" env PATH="$tmp/empty" "$snowboot" pool add --pool "$tmp/pool" "$tmp/expression"
