# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by the tests of a swarm, after tests/lib/cli.sh: an origin, nodes, liars and readers on the loopback device.
# Sets $system and $image, a reference made by `snowboot build`.

/usr/bin/python3 -c 'import nbd' 2>/dev/null || skip 'python3-libnbd is missing'
system=$(fixture scripted)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-/var/cache/snowboot-tests/pool}
mkdir -p "$SNOWBOOT_POOL"
image=$tmp/image
"$snowboot" build squashfs "$system" -o "$image" 2>"$tmp/build.err" || fail "no image: $(cat "$tmp/build.err")"
liar=${SNOWBOOT_BUILD:-$root/build}/tests/swarm/liar
megabytes=${SNOWBOOT_SWARM_MB:-16}

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# end PID [SIGNAL]: ends a process of ours, and waits.
end() {
	kill "-${2:-TERM}" "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# start_origin [ARGUMENT…]: $origin (pid) and $url. The same port every time, so that it can come back.
origin_port=$(free_port)
url=http://127.0.0.1:$origin_port
start_origin() {
	"$snowboot" serve --dhcp off --listen "127.0.0.1:$origin_port" --state "$tmp/origin" "$@" "${served:-$system}" \
		>>"$tmp/serve.log" 2>&1 </dev/null &
	origin=$!
	run_at_exit "end $origin KILL"
	until curl -fs --max-time 60 -o /dev/null "$url/v1/manifests/default"; do
		kill -0 "$origin" 2>/dev/null || fail "the origin ended: $(tail "$tmp/serve.log")"
		sleep 0.2
	done
}

# start_node NAME [ARGUMENT…]: a node with its own port; waits until it is ready. Its pid is in ${pid[NAME]}, its port in ${port[NAME]}.
declare -A pid port
node_prefix=()
start_node() {
	local name=$1
	shift
	port[$name]=$(free_port)
	: >"$tmp/$name.log"
	"${node_prefix[@]}" "$snowboot" node --origin "$url" --name default --key "$tmp/origin/key.pub" --memory 512M \
		--state-dir "$tmp/$name" --port "${port[$name]}" --nbd-socket "$tmp/$name.nbd" "$@" >"$tmp/$name.log" 2>&1 </dev/null &
	pid[$name]=$!
	run_at_exit "end $! KILL"
	local i
	for ((i = 0; i < 600; i++)); do
		! grep -q '^ready' "$tmp/$name.log" || return 0
		kill -0 "${pid[$name]}" 2>/dev/null || break
		sleep 0.1
	done
	fail "node '$name' is not ready: $(tail "$tmp/$name.log")"
}

status_of() { curl -fs --max-time 10 --unix-socket "$tmp/$1/node.sock" http://node/v1/status; }
# number NAME KEY…: one number of a node's status.
number() {
	local name=$1
	shift
	status_of "$name" | /usr/bin/python3 -c 'import functools, json, sys
print(int(functools.reduce(lambda o, k: o[k], sys.argv[1:], json.load(sys.stdin))))' "$@"
}
wait_number() { # NAME KEY… MINIMUM
	local minimum=${*: -1} i
	for ((i = 0; i < 600; i++)); do
		[ "$(number "${@:1:$#-1}")" -lt "$minimum" ] || return 0
		sleep 0.1
	done
	fail "node '$1': ${*:2:$#-2} is $(number "${@:1:$#-1}") < $minimum"
}

# start_liar HOW: waits until the origin knows it; $liar_pid.
start_liar() {
	: >"$tmp/liar.out"
	"$liar" "$url" "$(free_port)" "$1" >"$tmp/liar.out" 2>"$tmp/liar.err" &
	liar_pid=$!
	run_at_exit "end $liar_pid KILL"
	local i
	for ((i = 0; i < 100; i++)); do
		! grep -q '^joined' "$tmp/liar.out" || return 0
		sleep 0.1
	done
	fail "the liar does not join: $(cat "$tmp/liar.err")"
}
end_liar() {
	end "$liar_pid"
	asked=$(sed -n 's/^asked //p' "$tmp/liar.out")
}

# read_all WHAT NAME SECONDS: reads through a node what was not read before; every byte must be right and no read longer.
first=0
read_all() {
	/usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/reader.py" "$tmp/$2.nbd" "$image" "$megabytes" "$first" >"$tmp/read" 2>&1 ||
		fail "$1: $(cat "$tmp/read")"
	first=$((first + megabytes * 1000000 / 65536))
	check_read "$1" "$3"
}
check_read() {
	local longest
	longest=$(sed -n 's/.*the longest \(.*\) s$/\1/p' "$tmp/read")
	echo "$1: $(cat "$tmp/read")"
	awk "BEGIN { exit !($longest <= $2) }" || fail "$1: a read took $longest s > $2 s"
}
# The same in the background, $reader; read_rest WHAT SECONDS waits for it. $tmp/mark appears when a tenth is read.
begin_read() {
	rm -f "$tmp/mark"
	/usr/bin/python3 "$(dirname "${BASH_SOURCE[0]}")/reader.py" "$tmp/$1.nbd" "$image" "$megabytes" "$first" "$tmp/mark" >"$tmp/read" 2>&1 &
	reader=$!
	until [ -e "$tmp/mark" ]; do
		kill -0 "$reader" 2>/dev/null || fail "the reader ended: $(cat "$tmp/read")"
		sleep 0.02
	done
}
read_rest() {
	wait "$reader" || fail "$1: $(cat "$tmp/read")"
	check_read "$1" "$2"
}
