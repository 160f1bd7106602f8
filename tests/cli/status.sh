#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# `snowboot status`: what an origin answers, as table, JSON, chart and drawing; and what goes wrong.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

system=$(fixture scripted)
name=$(basename "$system")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}

### What it refuses.
check_fails 2 "snowboot: a URL and --socket exclude each other" "$snowboot" status --socket x http://127.0.0.1:1
check_fails 2 "snowboot: --svg needs --timeline MACHINE" "$snowboot" status --svg x
check_fails 2 "snowboot: --svg writes one drawing: without --watch and --json" "$snowboot" status --timeline x --svg x --watch
check_fails 2 "snowboot: --timeline takes an address or an id, not 'a/b'" "$snowboot" status 127.0.0.1:1 --timeline a/b
check_fails 2 "snowboot: 'https://x': only http:// is spoken here" "$snowboot" status https://x
for url in http:// 'http://[::1' http://a/b http://:80; do
	check_fails 2 "snowboot: '$url': a URL looks like http://HOST:PORT" "$snowboot" status "$url"
done
check_fails 1 "snowboot: 'http://127.0.0.1:1': cannot connect: Connection refused
hint: name the server: snowboot status http://HOST:PORT" "$snowboot" status http://127.0.0.1:1
check_fails 1 "snowboot: '$tmp/none': cannot connect: No such file or directory" "$snowboot" status --socket "$tmp/none"
# Somebody else's server, and somebody who talks something else.
python3 -c 'import http.server, sys; s = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
print(s.server_port, flush=True); s.handle_request()' >"$tmp/port" 2>/dev/null &
until [ -s "$tmp/port" ]; do sleep 0.05; done
port=$(cat "$tmp/port")
check_fails 1 "snowboot: '127.0.0.1:$port': status 501: this is no snowboot" "$snowboot" status "127.0.0.1:$port"
python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True)
c, _ = s.accept(); c.recv(100); c.send(b"220 mail\r\n"); c.close()' >"$tmp/port2" &
until [ -s "$tmp/port2" ]; do sleep 0.05; done
port=$(cat "$tmp/port2")
check_fails 1 "snowboot: '127.0.0.1:$port': the answer is no HTTP" "$snowboot" status "127.0.0.1:$port"

### An origin.
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state")
start origin "$system"
check_ok "$snowboot" status "$url"
check_stdout "^Origin at $url, snowboot [0-9.]+, up [0-9a-z. ]+ s\$"
check_stdout '^No machine was seen yet\.$'
check_fails 1 "snowboot: '$url': no machine '10.0.0.1' was seen here" "$snowboot" status "$url" --timeline 10.0.0.1

for file in netboot.ipxe bzImage initrd; do
	curl -fsS --max-time 250 "$url/boot/default/$file" -o "$tmp/$file"
done
check_ok "$snowboot" status "${url#http://}"
check_stdout '^  snowboot-scripted-26\.05\.fixture \(default\), ready, issue 1 until 20[0-9]{2}-[0-9]{2}-[0-9]{2}, kernel [0-9.]+ MB, initrd [0-9.]+ MB, image [0-9.]+ MB$'
check_stdout '^  sent: boot files [0-9.]+ MB, objects 0, chunks 0$'
check_stdout '^  swarm: 0 members, 0 chunks sent, 0 requests sent on to a peer, 0 asked again, control 0$'
check_stdout '^127\.0\.0\.1 +snowboot-scripted-26\.0 +initrd +[0-9a-z. ]+ s +0/s +0 +0 +0 +0 +0 +0 +0 +0 +0  \(no link\)$'

check_ok "$snowboot" status "$url" --json
sent=$(stat -c %s "$tmp/netboot.ipxe" "$tmp/bzImage" "$tmp/initrd" | awk '{sum += $1} END {print sum}')
python3 - "$tmp/stdout" "$name" "$sent" <<'END'
import json, sys
s = json.load(open(sys.argv[1]))
assert (s["format"], s["role"]) == (1, "origin"), s
assert s["systems"][0]["system"].endswith(sys.argv[2]) and s["systems"][0]["serial"] == 1, s["systems"]
assert s["sent"] == {"boot_files": int(sys.argv[3]), "manifests": 0, "objects": 0, "chunks": 0, "tftp": 0}, s["sent"]
assert [m["address"] for m in s["machines"]] == ["127.0.0.1"], s["machines"]
m = s["machines"][0]
assert (m["step"], m["system"], m["linked"], m["boots"]) == ("initrd", sys.argv[2], False, 1), m
END
check_ok "$snowboot" status "$url" --timeline 127.0.0.1 --json
python3 - "$tmp/stdout" <<'END'
import json, sys
steps = json.load(open(sys.argv[1]))["timeline"]["steps"]
assert [s["step"] for s in steps] == ["script", "kernel", "initrd"], steps
assert all(a["at"] + a["seconds"] <= b["at"] + 0.01 for a, b in zip(steps, steps[1:])), steps
END
check_ok "$snowboot" status "$url" --timeline 127.0.0.1
check_stdout "^Boot of 127\.0\.0\.1 at 20[0-9-]+ [0-9:]+\$"
check_stdout '^ +\|0 s'
check_stdout '^kernel +[0-9.]+ s +[0-9.]+ s  .*━ [0-9.]+ MB, [0-9.]+ [GM]B/s$'

check_ok "$snowboot" status "$url" --timeline 127.0.0.1 --svg "$tmp/boot.svg"
python3 -c 'import sys, xml.dom.minidom as d; s = d.parse(sys.argv[1]); t = [e.firstChild.data for e in s.getElementsByTagName("text") if e.firstChild]
assert s.documentElement.tagName == "svg" and {"script", "kernel", "initrd"} <= set(t), t' "$tmp/boot.svg"

# Events: those that were, and one that is waited for.
curl -fsS --max-time 60 "$url/v1/events" >"$tmp/events"
check_equal "steps of the events" "$(python3 -c 'import json, sys; print(*[json.loads(l)["step"] for l in sys.stdin])' <"$tmp/events")" "script kernel initrd"
curl -fsS --max-time 60 "$url/v1/events?after=3" >"$tmp/next" &
waiting=$!
sleep 0.5
[ ! -s "$tmp/next" ] || fail "an event before there is one: $(cat "$tmp/next")"
curl -fsS "$url/" >/dev/null
wait "$waiting" || fail "the request for events failed"
check_equal "the next event" "$(python3 -c 'import json, sys; e = json.load(sys.stdin); print(e["event"], e["step"], e["subject"])' <"$tmp/next")" "4 http /"

# The same as a stream: what was, what comes, and where it left off.
curl -sSN --max-time 60 -D "$tmp/fields" -H 'Accept: text/event-stream' -H 'Last-Event-ID: 2' "$url/v1/events" >"$tmp/stream" &
stream=$!
wait_line "$tmp/stream" '^id: 4$'
curl -fsS "$url/nothing" >/dev/null || true
wait_line "$tmp/stream" '^id: 5$'
grep -Fxq $'Content-Type: text/event-stream\r' "$tmp/fields" || fail "fields: $(cat "$tmp/fields")"
python3 - "$tmp/stream" <<'END'
import json, sys
events = open(sys.argv[1]).read().split("\n\n")
assert events.pop() == ""
for number, text in zip((3, 4, 5), events, strict=True):
    name, data = text.split("\n")
    event = json.loads(data.removeprefix("data: "))
    assert name == f"id: {number}" and event["event"] == number, text
assert (event["step"], event["subject"], event["status"]) == ("http", "/nothing", 404), event
END
kill "$stream"

# A transfer that takes a while tells how far it is.
curl -fsS "$url/boot/default/initrd" >"$tmp/initrd"
size=$(stat -c %s "$tmp/initrd")
# With a small buffer: loopback would take all of it at once, however slowly it is read.
python3 - "$url" "$size" <<'END'
import socket, sys, time
size, address = int(sys.argv[2]), sys.argv[1].removeprefix("http://").split(":")
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
client.settimeout(60)
client.connect((address[0], int(address[1])))
client.sendall(f"GET /boot/default/initrd HTTP/1.1\r\nHost: {address[0]}\r\nConnection: close\r\n\r\n".encode())
got, begun = 0, time.monotonic()
while piece := client.recv(32768):
    got += len(piece)
    time.sleep(max(0, begun + 8 * got / size - time.monotonic()))
assert got > size, got
END
curl -fsS "$url/v1/events?after=6" >"$tmp/events"
python3 - "$tmp/events" "$size" <<'END'
import json, sys
*running, last = [json.loads(line) for line in open(sys.argv[1])]
percents = [e["percent"] for e in running]
assert percents and percents == sorted(set(percents)) and 0 < percents[0] and percents[-1] < 100, percents
for e in running:
    assert (e["step"], e["subject"], e["total"]) == ("initrd", "/boot/default/initrd", int(sys.argv[2])), e
    assert e["percent"] == 100 * e["bytes"] // e["total"] and "seconds" not in e, e
assert (last["step"], last["bytes"]) == ("initrd", int(sys.argv[2])) and "percent" not in last, last
END

curl -fsS "$url/metrics" >"$tmp/metrics"
sent=$((sent + 2 * size))
grep -qx "snowboot_origin_sent_bytes_total{kind=\"boot\"} $sent" "$tmp/metrics" || fail "metrics: $(cat "$tmp/metrics")"
python3 - "$tmp/metrics" <<'END'
import re, sys
typed = set()
for line in open(sys.argv[1]):
    if line.startswith("# TYPE "):
        typed.add(line.split()[2])
    elif not line.startswith("#"):
        found = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"\n]*"\})? [0-9]+\n', line)
        assert found and found.group(1) in typed, line
END

# --watch shows it again.
timeout 3 "$snowboot" status "$url" --watch >"$tmp/watch" || [ $? = 124 ]
[ "$(grep -c '^Origin at' "$tmp/watch")" -ge 2 ] || fail "watched: $(cat "$tmp/watch")"
