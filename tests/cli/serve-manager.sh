#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot serve` below a service manager: the socket it hands over, and what it is told.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}

# A manager of a few lines: listens, hands over, and writes down what it is told.
cat >"$tmp/manager.py" <<'END'
import os, socket, sys
out, kind, count = open(sys.argv[1], "w", buffering=1), sys.argv[2], int(sys.argv[3])
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(sys.argv[4])
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", 0))
if kind == "stream":
    listener.listen()
print("port", listener.getsockname()[1], file=out)
pid = os.fork()
if pid == 0:
    os.dup2(listener.fileno(), 3)
    os.dup2(listener.fileno(), 4)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), NOTIFY_SOCKET=sys.argv[4])
    os.execv(sys.argv[5], sys.argv[5:])
listener.close()
print("pid", pid, file=out)
notify.settimeout(0.2)
status = None
while status is None:
    try:
        print(notify.recv(4096).decode().split("\n")[0], file=out)
    except TimeoutError:
        ended, code = os.waitpid(pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if ended else None
sys.exit(status)
END
# managed LOG KIND COUNT ARGUMENTS…
managed() {
	local log=$1 kind=$2 count=$3
	shift 3
	python3 "$tmp/manager.py" "$tmp/$log" "$kind" "$count" "$tmp/$log.socket" \
		"$snowboot" serve --dhcp off --state "$tmp/state" "$@" >"$tmp/$log.out" 2>"$tmp/$log.err" </dev/null
}
# wait_told LOG LINE COUNT
wait_told() {
	for _ in $(seq 200); do
		if [ "$(grep -Fxc "$2" "$tmp/$1" 2>/dev/null)" = "$3" ]; then return 0; fi
		sleep 0.1
	done
	fail "the manager was not told '$2' $3 times: $(cat "$tmp/$1" "$tmp/$1.err")"
}

managed good stream 1 "$system" &
manager=$!
wait_told good READY=1 1
port=$(sed -n 's/^port //p' "$tmp/good")
pid=$(sed -n 's/^pid //p' "$tmp/good")
run_at_exit "end_program $pid"
grep -Fxq "serving at http://127.0.0.1:$port/" "$tmp/good.err" || fail "another address: $(cat "$tmp/good.err")"
curl -fsS --max-time 60 "http://127.0.0.1:$port/" | grep -Fxq "$system" || fail "it does not answer"
kill -HUP "$pid"
wait_told good RELOADING=1 1
wait_told good READY=1 2
kill -TERM "$pid"
status=0
wait "$manager" || status=$?
check_equal "exit status" "$status" 0
check_equal "the last word" "$(tail -n 1 "$tmp/good")" STOPPING=1

# The units that are installed: as the manager reads them, and shut off from the rest of the machine.
mkdir "$tmp/units"
sed "s|@bindir@/snowboot|$snowboot|" "$root/systemd/snowboot.service.in" >"$tmp/units/snowboot.service"
cp "$root/systemd/snowboot.socket" "$tmp/units"
command -v systemd-analyze >/dev/null || skip "needs systemd-analyze"
check_ok systemd-analyze verify --man=no "$tmp/units/snowboot.service" "$tmp/units/snowboot.socket"
check_equal "what systemd says of the units" "$(cat "$tmp/stdout" "$tmp/stderr")" ""
check_ok systemd-analyze security --offline=true --threshold=30 "$tmp/units/snowboot.service"

status=0
managed two stream 2 -q "$system" || status=$?
check_equal "exit status" "$status" 2
check_equal "two sockets" "$(cat "$tmp/two.err")" "snowboot: the service manager hands over 2 sockets > max 1"
status=0
managed datagram datagram 1 -q "$system" || status=$?
check_equal "exit status" "$status" 2
check_equal "a datagram socket" "$(cat "$tmp/datagram.err")" "snowboot: the socket of the service manager is not one that listens
hint: the unit needs ListenStream= and Accept=no"
status=0
managed both stream 1 -q --listen 127.0.0.1:0 "$system" || status=$?
check_equal "exit status" "$status" 2
check_equal "both" "$(cat "$tmp/both.err")" "snowboot: --listen and a socket of the service manager exclude each other"
