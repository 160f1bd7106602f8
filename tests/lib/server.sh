# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced after cli.sh by tests that start servers in the background.

# end_program PID: kills it if it is still ours and not somebody who got its number.
end_program() { [ "$(readlink "/proc/$1/exe")" != "$(readlink -f "$snowboot")" ] || kill -KILL "$1"; }

# start LOG ARGUMENTS…: runs the server, with ${serve_arguments[@]} before; sets $server (pid) and $url once it listens.
start() {
	local log=$1
	shift
	: >"$tmp/$log.err"
	"$snowboot" serve --dhcp off "${serve_arguments[@]}" "$@" >"$tmp/$log.out" 2>"$tmp/$log.err" </dev/null &
	server=$!
	run_at_exit "end_program $server"
	for _ in $(seq 100); do
		url=$(sed -n 's|^serving at \(.*\)/$|\1|p' "$tmp/$log.err")
		[ -z "$url" ] || return 0
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	fail "the server does not start: $(cat "$tmp/$log.err")"
}

# stop PID: ends a program gracefully.
stop() {
	local status=0
	kill -TERM "$1"
	wait "$1" || status=$?
	check_equal "exit status of $1" "$status" 0
}
