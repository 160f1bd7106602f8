# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Sourced by the tests of swarms on real sockets, after cli.sh: network namespaces, a web server in one, nodes in others.

[ "$(id -u)" = 0 ] || skip 'network namespaces need root'
lab=snowboot-swarm-$$

# namespace NAME: makes one.
namespace() {
	ip netns add "$lab-$1"
	run_at_exit "ip netns del $lab-$1"
	ip -n "$lab-$1" link set lo up
}

# plug NAME ADDRESS: a cable from the namespace to the switch, which is in the namespace "switch".
plug() {
	if ! ip netns list | grep -q "^$lab-switch\b"; then
		namespace switch
		ip -n "$lab-switch" link add name sw0 type bridge mcast_snooping 0
		ip -n "$lab-switch" link set sw0 up
	fi
	ip -n "$lab-switch" link add name "to-$1" type veth peer name eth0 netns "$lab-$1"
	ip -n "$lab-switch" link set "to-$1" master sw0 up
	ip -n "$lab-$1" addr add "$2/24" dev eth0
	ip -n "$lab-$1" link set eth0 up
}

# end PID PROGRAM: ends it, if that number is still that program, and waits.
end() {
	[ "$(readlink "/proc/$1/exe")" = "$(readlink -f "$2")" ] || return 0
	kill "$1"
	wait "$1" || true
}

# web_server NAME DIR: nginx serves DIR on port 80 of the namespace; its log is $tmp/NAME.access. Sets $web_pid.
web_server() {
	local name=$1 dir=$2
	mkdir -p "$tmp/$name-nginx"
	cat >"$tmp/$name.conf" <<-END
		daemon off;
		master_process off;
		user root;
		pid $tmp/$name-nginx/pid;
		error_log $tmp/$name.error;
		events {}
		http {
			access_log $tmp/$name.access;
			client_body_temp_path $tmp/$name-nginx/body;
			proxy_temp_path $tmp/$name-nginx/proxy;
			fastcgi_temp_path $tmp/$name-nginx/fastcgi;
			uwsgi_temp_path $tmp/$name-nginx/uwsgi;
			scgi_temp_path $tmp/$name-nginx/scgi;
			server {
				listen 80;
				root $dir;
				log_not_found off;
			}
		}
	END
	(exec ip netns exec "$lab-$name" nginx -c "$tmp/$name.conf") &
	web_pid=$!
	run_at_exit "end $web_pid /usr/sbin/nginx"
	for _ in $(seq 100); do
		ip netns exec "$lab-$name" curl -s -o "$tmp/answer" http://127.0.0.1/ && return
		sleep 0.1
	done
	fail "nginx does not start: $(cat "$tmp/$name.error")"
}

# node NAME ARGUMENT…: a node in that namespace; output in $tmp/NAME.log, NBD on $tmp/NAME.nbd. Sets $node_pid.
node() {
	local name=$1
	shift
	(exec ip netns exec "$lab-$name" "$snowboot" node --nbd-socket "$tmp/$name.nbd" --state-dir "$tmp/$name" \
		--memory 1G "$@") >"$tmp/$name.log" 2>&1 &
	node_pid=$!
	run_at_exit "end $node_pid $snowboot"
}

# wait_line NAME SECONDS PATTERN: until the node's log has it.
wait_line() {
	for _ in $(seq $(($2 * 10))); do
		grep -Eqs -- "$3" "$tmp/$1.log" && return
		sleep 0.1
	done
	fail "no line '$3' of node $1 in: $(cat "$tmp/$1.log")"
}

# status NAME EXPRESSION: of the node's status, as Python has it: status n1 'swarm["members"]'.
status() {
	curl -sS --max-time 10 --unix-socket "$tmp/$1/node.sock" http://node/v1/status |
		python3 -c 'import json, sys; print(eval(sys.argv[1], {}, json.load(sys.stdin)))' "$2"
}

# wait_status NAME SECONDS EXPRESSION: until it is true.
wait_status() {
	for _ in $(seq $(($2 * 5))); do
		[ "$(status "$1" "$3")" != True ] || return 0
		sleep 0.2
	done
	fail "'$3' of node $1 does not come true: $(curl -sS --unix-socket "$tmp/$1/node.sock" http://node/v1/status)"
}

# holds_system IMAGE SYSTEM: the image has the closure, all of it as it is in the store.
holds_system() {
	unsquashfs -n -q -f -d "$tmp/unpacked" "$1" >"$tmp/unsquashfs" 2>&1 || fail "$(cat "$tmp/unsquashfs")"
	nix-store -qR "$2" 2>/dev/null >"$tmp/closure"
	while read -r path; do
		diff -r --no-dereference "$path" "$tmp/unpacked/$(basename "$path")" >"$tmp/diff" ||
			fail "'$path' differs: $(head -3 "$tmp/diff")"
	done <"$tmp/closure"
	rm -rf "$tmp/unpacked"
}
