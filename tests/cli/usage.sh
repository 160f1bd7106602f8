#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The program without a command: help, version, words it does not know.
. "$(dirname "$0")/../lib/cli.sh"

check_ok "$snowboot" --version
check_stdout '^snowboot [0-9]+\.[0-9]+\.[0-9]+$'

check_ok "$snowboot" --help
check_stdout '^Usage: snowboot COMMAND'

check_fails 2 "snowboot: unknown command 'xyzzyxyzzy'
hint: see 'snowboot --help'" "$snowboot" xyzzyxyzzy

# Groups: what is in them.
check_ok "$snowboot" pool --help
check_equal 'the group' "$(cat "$tmp/stdout")" "Usage: snowboot pool COMMAND [ARGUMENTS...]

Commands:
  pool add         compress store paths into the pool
  pool stat        tell what the pool holds
  pool verify      check every byte of the pool
  pool gc          shrink the pool to a size

See 'snowboot pool COMMAND --help'."
check_ok "$snowboot" build -h
check_stdout '^  build uki  '
check_fails 2 "snowboot: 'snowboot pool' needs a command of its group
hint: 'snowboot pool' has add, stat, verify, gc" "$snowboot" pool
check_fails 2 "snowboot: unknown command 'build iso'
hint: 'snowboot build' has squashfs, initrd, netboot, uki" "$snowboot" build iso x
check_fails 2 "snowboot: unknown command 'serv'
hint: did you mean 'snowboot serve'?" "$snowboot" serv --help

# Help fits a terminal.
count=0
while read -r -a words; do
	check_ok "$snowboot" "${words[@]}" --help
	long=$(grep -E '.{81}| $' "$tmp/stdout" || true)
	[ -z "$long" ] || fail "help of '${words[*]}' has a line that is too long, or ends in a blank: $long"
	count=$((count + 1))
done < <("$snowboot" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\( [a-z]\+\)\?\)   *[a-z].*/\1/p')
[ "$count" -gt 20 ] || fail "only $count commands have help"

# Names that lead nowhere: what may have been meant.
check_fails 1 "snowboot: 'kiosk' does not exist
hint: there is neither a file nor a profile of that name; snowboot-sources(7) tells what a SYSTEM may be" "$snowboot" show kiosk
cache=cache.example.org/0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb
check_fails 1 "snowboot: '$cache' does not exist
hint: a binary cache is named by its URL, like https://$cache" "$snowboot" serve -q --dhcp off --state "$tmp/state" --pool "$tmp/pool" "$cache"
