#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients of HTTP that nobody wishes for, and what each of them is answered, to the last byte of the body.

http_abuse.py PORT answers NAME    garbage, sizes, ranges and paths against the system NAME
http_abuse.py PORT leavers NAME    fetches the initrd and leaves somewhere in it, a hundred times
http_abuse.py PORT slow NAME FILE  a byte a second, in the request and of the answer, until the journal in FILE tells of its end
http_abuse.py PORT idle COUNT      so many connections of three kinds that ask for nothing; others are served meanwhile
http_abuse.py PORT readers NAME COUNT  so many that read just enough of the initrd not to be cut for it; others are served all the same
http_abuse.py PORT links COUNT     so many nodes as there are places for, and one more
http_abuse.py PORT watchers        more followers of the events than there are places
"""
import concurrent.futures
import json
import random
import resource
import socket
import struct
import sys
import time

SERVER = ("127.0.0.1", int(sys.argv[1]))


def connect(**options):
    sock = socket.socket()
    sock.settimeout(120)
    if "buffer" in options:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["buffer"])
    sock.connect(SERVER)
    return sock


def read_all(sock):
    data = b""
    while True:
        more = sock.recv(1 << 20)
        if not more:
            return data
        data += more


def parse(data):
    """Status line, fields, body."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return lines[0], dict(line.split(": ", 1) for line in lines[1:]), body


def answer(request):
    """What a request gets; it is the last one on its connection, for one of the two sides."""
    with connect() as sock:
        sock.sendall(request)
        return parse(read_all(sock))


def get(target, *fields):
    return answer(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n" % (
        target.encode(), b"".join(f.encode() + b"\r\n" for f in fields)))


def expect(got, status, text, **fields):
    line, have, body = got
    assert line == "HTTP/1.1 " + status, (line, body[:300])
    assert body == text.encode() + b"\n", (line, body[:300])
    assert have["Content-Length"] == str(len(body)) and have["Connection"] == "close", have
    for name, value in fields.items():
        assert have[name.replace("_", "-")] == value, have


def answers(name):
    bad = "400 Bad Request"
    large = "431 Request Header Fields Too Large"
    too_large = "request head is larger than 16384 bytes"
    began = time.monotonic()
    # Not ended: answered all the same, and at once.
    expect(answer(b"GET /\r\n"), bad, "malformed request: request line is not 'METHOD TARGET VERSION'")
    expect(answer(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), bad, "malformed request: method is not a word")
    expect(answer(b"SSH-2.0-x\r\n"), bad, "malformed request: request line is not 'METHOD TARGET VERSION'")
    expect(answer(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "501 Not Implemented", "HTTP version 'HTTP/2.0' is not 1.0 or 1.1")
    expect(answer(b"GET / HTTP/1.1\r\n\r\n"), bad, "malformed request: not exactly one Host field")
    expect(answer(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"), bad, "malformed request: header line is not 'NAME: VALUE'")
    assert time.monotonic() - began < 10, "refusals take their time"
    # Too much of everything.
    expect(answer(b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"x" * (1 << 20))), large, too_large)
    expect(answer(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * (1 << 20))), large, too_large)
    expect(answer(b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"X: y\r\n" * 100)), large, "more than 100 header fields")
    expect(answer(b"\r\n" * (1 << 19)), large, too_large)
    # Ranges.
    line, fields, script = get("/boot/%s/netboot.ipxe" % name)
    assert line == "HTTP/1.1 200 OK" and script.startswith(b"#!ipxe\n"), (line, script)
    size = len(script)
    nothing = {"Content-Range": "bytes */%d" % size, "Content-Length": "0"}
    for text in (str(size), str(1 << 63), str(1 << 64), "9" * 1000):
        line, fields, body = get("/boot/%s/netboot.ipxe" % name, "Range: bytes=%s-" % text)
        assert (line, body) == ("HTTP/1.1 416 Range Not Satisfiable", b""), (text, line, body)
        assert nothing.items() <= fields.items(), fields
    line, fields, body = get("/boot/%s/netboot.ipxe" % name, "Range: bytes=-%d" % (1 << 64))
    assert (line, body) == ("HTTP/1.1 206 Partial Content", script), (line, body)
    # Several pieces: the whole is as good an answer, and costs nothing (RFC 9110, section 14.2).
    for pieces in (",".join("%d-%d" % (i % size, i % size) for i in range(1000)), "0-0," * 1000, "0-,-1,5-1," * 300):
        line, fields, body = get("/boot/%s/netboot.ipxe" % name, "Range: bytes=" + pieces)
        assert (line, body) == ("HTTP/1.1 200 OK", script) and "Content-Range" not in fields, (line, body)
    expect(get("/", "Range: bytes=" + "1000000000-2000000000," * 1000), large, too_large)
    # Out of every folder.
    up = "%2e%2e/"
    for target, path in (
            ("/../../etc/passwd", "/../../etc/passwd"),
            ("/boot/%s/../../../etc/passwd" % name, "/boot/%s/../../../etc/passwd" % name),
            ("/" + up * 5 + "etc/passwd", "/" + "../" * 5 + "etc/passwd"),
            ("/boot/%s/%s%sinitrd" % (name, up, up), "/boot/%s/../../initrd" % name),
            ("/boot/%2e%2e/initrd", "/boot/../initrd"),
            ("/boot/..%2f..%2fetc/initrd", "/boot/../../etc/initrd"),
            ("/boot/..%5c..%5cetc/initrd", "/boot/..\\..\\etc/initrd"),
            ("/boot/%252e%252e/initrd", "/boot/%2e%2e/initrd"),
            ("/v1/manifests/..%2f..%2fkey", "/v1/manifests/../../key"),
            ("/v1/manifests/..", "/v1/manifests/.."),
            ("/v1/objects/..%2f..%2f..%2findex.sqlite", "/v1/objects/../../../index.sqlite"),
            ("/v1/profiles/..%2fkey", "/v1/profiles/../key"),
            ("/pxelinux.cfg/..%2f..%2fetc%2fpasswd", "/pxelinux.cfg/../../etc/passwd"),
            ("//boot//%s//initrd" % name, "//boot//%s//initrd" % name)):
        expect(get(target), "404 Not Found", "there is nothing at '%s'" % path)
    expect(get("/v1/machines/.."), "404 Not Found", "no machine '..' was seen here")
    expect(get("/boot/%s%%00/initrd" % name), bad, "malformed request: control character in the target")
    expect(get("/boot/%s/initrd%%0d%%0aX:y" % name), bad, "malformed request: control character in the target")
    expect(get("/boot/%zz/initrd"), bad, "malformed request: '%' without two hexadecimal digits")


def leavers(name):
    random.seed(11)
    request = b"GET /boot/%s/initrd HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode()
    for i in range(100):
        sock = connect()
        sock.sendall(request[:random.randrange(len(request))] if i % 3 == 0 else request)
        left = 0 if i % 3 == 0 else random.randrange(1 << 20)
        while left > 0:
            left -= len(sock.recv(min(left, 65536)))
        if i % 2 == 0:  # with a reset
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def slow(name, journal):
    """The server's own limits: 15 s for a head, at least 4 KiB in 30 s. What the reader has in its buffer it gets in any case."""
    asker, reader = connect(), connect(buffer=4096)
    reader.sendall(b"GET /boot/%s/initrd HTTP/1.1\r\nHost: a\r\n\r\n" % name.encode())
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10
    began, asked, answered, ended = time.monotonic(), 0, None, None
    asker.setblocking(False)
    while (answered is None or ended is None) and time.monotonic() - began < 150:
        time.sleep(1)
        assert len(reader.recv(1)) == 1
        if answered is None:
            try:
                asker.send(request[asked:asked + 1])
                asked += 1
                data = asker.recv(65536)
                answered = time.monotonic() - began
                expect(parse(data), "408 Request Timeout", "the request did not end in time")
            except BlockingIOError:
                pass
        with open(journal, encoding="utf-8") as lines:
            if any(line.endswith(", the client stopped reading\n") for line in lines):
                ended = time.monotonic() - began
    assert answered is not None and 13 < answered < 60, answered
    assert ended is not None and 25 < ended, ended


def check_served(what):
    for _ in range(10):
        began = time.monotonic()
        line, _, body = get("/")
        assert line == "HTTP/1.1 200 OK" and body.startswith(b"snowboot "), (what, line, body)
        assert time.monotonic() - began < 10, "beside %s an answer takes %.1f s" % (what, time.monotonic() - began)


def idle(count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most > count + 100, "only %d descriptors" % most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for what, begin in (
            ("connections that say nothing", b""),
            ("connections that say half of it", b"GET / HTTP/1.1\r\nHo"),
            ("connections that stay", b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")):
        held = []
        for i in range(count):
            sock = connect()
            if begin:
                sock.send(begin)
            held.append(sock)
            if i % 2000 == 0:
                check_served(what)
        check_served(what)
        for sock in held:
            sock.close()


def readers(name, count):
    """Slower than the 4 KiB a second that a place is worth when others wait, faster than the 4 KiB in 30 s that nobody may stay below."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    request = b"GET /boot/%s/initrd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % name.encode()
    held = []
    for _ in range(count):
        sock = connect(buffer=4096)
        sock.sendall(request)
        sock.setblocking(False)
        held.append(sock)

    def read(size):
        """Of each so much: how many were cut."""
        cut = 0
        for sock in held:
            try:
                cut += sock.recv(size) == b""
            except BlockingIOError:
                pass
            except ConnectionResetError:
                cut += 1
        return cut

    began = time.monotonic()
    while time.monotonic() - began < 40:  # longer than a stalled one would be left alone
        time.sleep(2)
        assert read(512) == 0, "cut before anybody else came"
    check_served("%d slow readers" % count)
    with concurrent.futures.ThreadPoolExecutor(50) as others:
        sizes = set(others.map(lambda request: len(answer(request)[2]), [request] * 50))
    assert len(sizes) == 1 and sizes.pop() > 1 << 20, sizes
    read(1 << 16)  # a reset is told behind what came before it
    cut = read(1 << 16)
    assert 1 <= cut <= 60, "%d of %d were cut for 50 others at once" % (cut, count)
    for sock in held:
        sock.close()


def links(places):
    """Nodes that say nothing: those beyond the places are told so, and the silent ones are dropped."""
    request = b"GET /v1/link HTTP/1.1\r\nHost: a\r\n%s\r\n"
    upgrade = request % b"Connection: Upgrade\r\nUpgrade: snowboot-link/1\r\n"
    held = [connect() for _ in range(places)]
    for sock in held:
        sock.sendall(upgrade)
        assert sock.recv(65536).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    with connect() as sock:
        sock.sendall(upgrade)
        line, _, body = parse(sock.recv(65536))
        assert (line, body) == ("HTTP/1.1 503 Service Unavailable", b"%d nodes are linked already\n" % places), (line, body)
    check_served("nodes")
    for sock in held:
        assert sock.recv(65536) == b"" # the silence of three heartbeats
    with connect() as sock:
        sock.sendall(upgrade)
        assert sock.recv(65536).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")


def watchers():
    _, _, known = get("/v1/events")
    last = json.loads(known.splitlines()[-1])["event"]
    request = b"GET /v1/events?after=%d HTTP/1.1\r\nHost: a\r\n%s\r\n"
    for fields, places, words in (
            (b"", 256, "256 others wait for events already"),
            (b"Accept: text/event-stream\r\n", 64, "64 others follow the events already")):
        held = [connect() for _ in range(places)]
        for sock in held:
            sock.sendall(request % (last, fields))
        if fields:
            for sock in held:
                line, have, _ = parse(sock.recv(65536))
                assert (line, have["Content-Type"]) == ("HTTP/1.1 200 OK", "text/event-stream"), (line, have)
        time.sleep(1)
        with connect() as sock:
            sock.sendall(request % (last, fields + b"Connection: close\r\n"))
            expect(parse(read_all(sock)), "503 Service Unavailable", words, Retry_After="25")
        for sock in held:
            sock.close()
        time.sleep(1)
        with connect() as sock:
            sock.sendall(request % (0, fields))
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


command, words = sys.argv[2], sys.argv[3:]
if command == "idle":
    idle(int(words[0]))
elif command == "readers":
    readers(words[0], int(words[1]))
elif command == "links":
    links(int(words[0]))
else:
    {"answers": answers, "leavers": leavers, "slow": slow, "watchers": watchers}[command](*words)
