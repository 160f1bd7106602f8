# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced after cli.sh by tests that start servers in the background.

# end_program PID: kills it if it is still ours, also of a file that was built anew since, and not somebody who got its number.
end_program() {
	local exe
	exe=$(readlink "/proc/$1/exe") || return 0
	[ "${exe% (deleted)}" != "$(readlink -f "$snowboot")" ] || kill -KILL "$1"
}

# launch LOG COMMAND…: runs a server; sets $server (pid) and $url once it listens.
launch() {
	local log=$1
	shift
	: >"$tmp/$log.err"
	"$@" >"$tmp/$log.out" 2>"$tmp/$log.err" </dev/null &
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

# start LOG ARGUMENTS…: the same without DHCP, and with ${serve_arguments[@]} before.
start() {
	local log=$1
	shift
	launch "$log" "$snowboot" serve --dhcp off "${serve_arguments[@]}" "$@"
}

# get ARGUMENTS…: curl of what must be there. code ARGUMENTS…: the status of an answer.
get() { curl -fsS --max-time 280 "$@"; }
code() { curl -s -o /dev/null -w '%{http_code}' --max-time 60 "$@" || true; }

# stop PID: ends a program gracefully.
stop() {
	local status=0
	kill -TERM "$1"
	wait "$1" || status=$?
	check_equal "exit status of $1" "$status" 0
}

# wait_for URL: until a web server gives it.
wait_for() {
	for _ in $(seq 200); do curl -sfo /dev/null "$1" && return; sleep 0.05; done
	fail "'$1' does not answer"
}

# wait_line FILE PATTERN: at most 20 s.
wait_line() {
	for _ in $(seq 200); do
		if grep -Eq -- "$2" "$1"; then return 0; fi
		sleep 0.1
	done
	fail "no line '$2' in: $(cat "$1")"
}

# check_image ORIGIN SYSTEM: a node with no other origin, which trusts $tmp/state, reads the whole image, and it is the one that we
# would build.
check_image() {
	local name want
	name=$(basename "$2")
	want=$tmp/$name.squashfs
	[ -e "$want" ] || check_ok "$snowboot" build squashfs -q "$2" -o "$want"
	rm -rf "$tmp/node"
	mkdir "$tmp/node"
	"$snowboot" node --origin "$1" --name "$name" --key "$tmp/state/key.pub" --no-peers --memory 64M \
		--state-dir "$tmp/node" --nbd-socket "$tmp/node/nbd" >"$tmp/node/log" 2>&1 &
	local node=$!
	for _ in $(seq 300); do
		[ ! -S "$tmp/node/nbd" ] || break
		kill -0 "$node" 2>/dev/null || fail "the node ended: $(cat "$tmp/node/log")"
		sleep 0.1
	done
	timeout 200 nbdcopy --no-extents "nbd+unix:///?socket=$tmp/node/nbd" "$tmp/node/image" ||
		fail "the image cannot be read from $1: $(cat "$tmp/node/log")"
	kill "$node"
	wait "$node" || true
	cmp -n "$(stat -c %s "$want")" "$tmp/node/image" "$want" || fail "the image from $1 differs"
	rm "$tmp/node/image"
}

# two_hosts: network namespaces ${ns}s, a server at 10.55.0.1, and ${ns}c, joined by v0 and v1; gone at the end.
two_hosts() {
	ns=sb$$
	ip netns add "${ns}s"
	run_at_exit "ip netns del ${ns}s"
	ip netns add "${ns}c"
	run_at_exit "ip netns del ${ns}c"
	ip -n "${ns}s" link add v0 type veth peer name v1 netns "${ns}c"
	ip -n "${ns}s" addr add 10.55.0.1/24 dev v0
	ip -n "${ns}s" link set v0 up
	ip -n "${ns}c" link set v1 up
}

# check_told QUERY LINE…: whoever asks $url for a script like that boots nothing and is shown these lines.
check_told() {
	local query=$1 script
	shift
	script=$(get "$url/boot/default/netboot.ipxe?$query")
	check_equal "what '$query' is told" "$script" "#!ipxe
imgfree
$(printf 'echo %s\n' "$@")
echo snowboot: asking again in 10 seconds
:again
sleep 10
chain --replace /boot/default/netboot.ipxe?$query || goto again"
}
