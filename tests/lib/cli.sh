# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by every shell test. Gives: $snowboot (the program), $tmp (removed at exit), and the checks below. The first
# check that fails ends the test with exit status 1 and says what was expected.

set -euo pipefail
export LC_ALL=C

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
snowboot=${SNOWBOOT:-$root/build/src/cli/snowboot}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/snowboot-test-XXXXXX")
at_exit=()
# run_at_exit COMMAND: runs it when the test ends, last given first.
run_at_exit() { at_exit=("$1" "${at_exit[@]}"); }
leave() {
	local status=$?
	for command in "${at_exit[@]}"; do eval "$command" || true; done
	rm -rf "$tmp"
	exit "$status"
}
trap leave EXIT

fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}

# skip WHY: ends the test as skipped; where everything must run, as failed.
skip() {
	if [ "${MUST_RUN:-}" = 1 ]; then fail "must run, but: $*"; fi
	printf 'SKIPPED: %s\n' "$*" >&2
	exit 77
}

# run COMMAND…: keeps its exit status in $status and its output in $tmp/stdout and $tmp/stderr.
run() {
	status=0
	"$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null || status=$?
}

# check_ok COMMAND…: it exits 0.
check_ok() {
	run "$@"
	[ "$status" = 0 ] || fail "'$*' ended with $status: $(cat "$tmp/stderr")"
}

# check_fails STATUS STDERR COMMAND…: it exits so, and prints exactly that on standard error.
check_fails() {
	local want=$1 message=$2
	shift 2
	run "$@"
	[ "$status" = "$want" ] || fail "'$*' ended with $status, not $want: $(cat "$tmp/stderr")"
	[ "$(cat "$tmp/stderr")" = "$message" ] ||
		fail "'$*' said: $(cat "$tmp/stderr")"$'\n'"instead of: $message"
}

# check_stdout PATTERN: what the last run printed has a line that matches the extended regular expression.
check_stdout() { grep -Eq -- "$1" "$tmp/stdout" || fail "no line '$1' in: $(cat "$tmp/stdout")"; }
check_stderr() { grep -Eq -- "$1" "$tmp/stderr" || fail "no line '$1' in: $(cat "$tmp/stderr")"; }

# check_equal WHAT GOT WANT
check_equal() { [ "$2" = "$3" ] || fail "$1 is '$2' instead of '$3'"; }

# fixture NAME: prints the toplevel's store path of a fixture, building it when it is missing.
fixture() {
	local link=${SNOWBOOT_FIXTURES:-/var/lib/snowboot/fixtures}/$1
	[ -e "$link" ] || "$root/fixtures/build" "$1" >&2 || skip "the fixture '$1' cannot be built"
	readlink -f "$link"
}

# network_cmdline SYSTEM: the kernel command line of a network boot of it.
network_cmdline() {
	local params
	params=$(cat "$1/kernel-params")
	case " $params" in
	*' root='* | *' rootfstype='*) echo "$params init=$1/init fstab=no" ;;
	*) echo "$params init=$1/init fstab=no rootfstype=ramfs" ;;
	esac
}
