#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that boot while the symlink to what they boot flips to and fro, some fifty times a second.

flip_clients.py URL LINK SECONDS PATH=TOPLEVEL…   PATH is /boot/default/netboot.ipxe or a profile's

Every client fetches script, kernel, initrd and manifest, with pauses, the initrd in two ranges; all of it must be one system's: the
files that this system had before the flips began, by name. Each PATH must have given each system to somebody in the end.
"""
import hashlib
import os
import re
import sys
import threading
import time
import urllib.request

url, link, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
paths, systems = [], []
for word in sys.argv[4:]:
    (paths if word.startswith("/boot/") or word.startswith("/dispatch/") else systems).append(word)
CLIENTS = 12


def point(system):
    """At once, as Nix switches a profile: there is always one or the other."""
    os.symlink(system, link + ".new")
    os.rename(link + ".new", link)


def fetch(path, **fields):
    request = urllib.request.Request(url + path, headers={name.replace("_", "-"): text for name, text in fields.items()})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read(), answer


def boot(path, pause=0.0):
    """Name and digests of what a boot loader gets that begins at `path`."""
    text = fetch(path)[0].decode()
    names = set(re.findall(r"/boot/([^/\s]+)/(?:bzImage|initrd)", text)) | set(re.findall(r"init=/nix/store/([^/\s]+)/", text))
    assert text.startswith("#!ipxe\n") and len(names) == 1, (path, names, text)
    name = names.pop()
    time.sleep(pause)
    kernel = fetch("/boot/%s/bzImage" % name)[0]
    time.sleep(pause)
    first, answer = fetch("/boot/%s/initrd" % name, Range="bytes=0-999999")
    assert answer.status == 206, answer.status
    time.sleep(pause)
    # An answer of 200 would be another file by the same name.
    rest, again = fetch("/boot/%s/initrd" % name, Range="bytes=1000000-", If_Range=answer.headers["ETag"])
    assert again.status == 206 and again.headers["Content-Range"] == "bytes 1000000-%d/%d" % (
        999999 + len(rest), 1000000 + len(rest)), (again.status, again.headers["Content-Range"])
    manifest = fetch("/v1/manifests/%s" % name)[0].decode()
    assert re.search(r"^name %s$" % re.escape(name), manifest, re.M), manifest
    catalog = re.search(r"^catalog .*$", manifest, re.M).group()
    return name, tuple(hashlib.sha256(data).hexdigest() for data in (kernel, first + rest)) + (catalog,)


known = {}
for system in systems:
    point(system)
    for path in paths:
        name, digests = boot(path)
        assert name == os.path.basename(system), (path, name)
        assert known.setdefault(name, digests) == digests, path
assert len(set(known.values())) == len(systems), known

seen, failures, flips, over = {path: {} for path in paths}, [], 0, False


def client(i):
    path = paths[i % len(paths)]
    try:
        while not over:
            name, digests = boot(path, 0.01 * (i % 4))
            assert known[name] == digests, "%s: '%s' has %s, not %s" % (path, name, digests, known[name])
            seen[path][name] = seen[path].get(name, 0) + 1
    except Exception as failure:  # of any kind: it is told at the end
        failures.append("%s: %r" % (path, failure))


threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
for thread in threads:
    thread.start()
end = time.monotonic() + seconds
while time.monotonic() < end and not failures:
    point(systems[flips % len(systems)])
    flips += 1
    time.sleep(0.02)
over = True
for thread in threads:
    thread.join()
assert not failures, failures
for path in paths:
    assert set(seen[path]) == set(known), (path, seen[path])
print("%d flips, boots: %s" % (flips, {path: sorted(seen[path].values()) for path in paths}))
