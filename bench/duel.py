# SPDX-License-Identifier: MIT
"""What the scripts of this folder share: two programs in turn, and servers for as long as a block runs."""
import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("BUILD", ROOT / "build"))
SNOWBOOT = os.environ.get("SNOWBOOT", str(BUILD / "src/cli/snowboot"))
# Nix without its daemon, without caches of this machine, and whose builds need no users.
NIX = dict(os.environ, NIX_REMOTE="local",
           NIX_CONFIG="build-users-group =\nsandbox = false\nsubstitute = false\nsubstituters =\n"
                      "experimental-features = nix-command\n")


class Duel:
    """Runs a rival and us in turn, prints every figure, then medians and their ratio."""

    def __init__(self, what, unit="s", more_is_better=False):
        self.what, self.unit, self.more = what, unit, more_is_better
        self.figures = {}

    def round(self, **runs):
        """Each of `runs` is a function that returns its figure; the rival's comes first."""
        line = []
        for name, run in runs.items():
            figure = run()
            self.figures.setdefault(name, []).append(figure)
            line.append(f"{name} {figure:.4g} {self.unit}")
        print(f"  {self.what}: " + ", ".join(line), flush=True)

    def median(self, name):
        return statistics.median(self.figures[name])

    def conclude(self, goal):
        rival, ours = self.figures
        a, b = self.median(rival), self.median(ours)
        ratio = b / a if self.more else a / b
        word = "the throughput" if self.more else "as fast"
        print(f"{self.what}: median of {len(self.figures[ours])}: {rival} {a:.4g} {self.unit}, {ours} {b:.4g} {self.unit}: "
              f"{ratio:.2f}× {word}, goal {goal}× {'reached' if ratio >= goal else 'MISSED'}", flush=True)


def seconds(*command, **options):
    """How long a command takes; its output is dropped, and it must succeed."""
    begun = time.monotonic()
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, check=False, **options)
    took = time.monotonic() - begun
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with {done.returncode}:\n" + done.stderr.decode()[-2000:])
    return took


def output(*command, **options):
    return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                          text=True, **options).stdout


@contextlib.contextmanager
def scratch():
    """A folder of its own on a disk, not in memory."""
    folder = Path(tempfile.mkdtemp(prefix="snowboot-bench-", dir=os.environ.get("BENCH_DIR", "/var/tmp")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder.chmod(0o755)  # nginx's worker looks into it
    try:
        yield folder
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)  # store paths are read-only
        shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def pinned(core):
    return [] if core is None else ["taskset", "-c", str(core)]


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def nginx(folder, served, core=None):
    """One worker with sendfile; yields its URL and the worker's process id."""
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
                    "events { worker_connections 1024; }\n"
                    "http { sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000;\n"
                    f"server {{ listen 127.0.0.1:{port} backlog=1024; root {served}; }} }}\n")
    process = subprocess.Popen(pinned(core) + ["nginx", "-c", str(conf), "-e", f"{folder}/nginx.log"])
    try:
        wait_for(port, process)
        worker = int(output("pgrep", "-P", str(process.pid)).split()[0])
        yield f"http://127.0.0.1:{port}", worker
    finally:
        end(process)


@contextlib.contextmanager
def serve(folder, *arguments, core=None):
    """snowboot serve without DHCP, its steps in `folder`; yields its URL and process id when it answers."""
    out, log = open(folder / "serve.out", "w", encoding="utf-8"), open(folder / "serve.log", "w", encoding="utf-8")
    pool = os.environ.get("SNOWBOOT_POOL", str(folder / "pool"))
    command = [SNOWBOOT, "serve", "--dhcp", "off", "--listen", "127.0.0.1:0", "--pool", pool, *map(str, arguments)]
    if "ram" not in arguments or "--machines" in arguments:
        command += ["--state", str(folder / "state")]
    process = subprocess.Popen(pinned(core) + command, stdin=subprocess.DEVNULL, stdout=out, stderr=log)
    try:
        found = None
        while found is None:
            if process.poll() is not None:
                sys.exit((folder / "serve.log").read_text())
            time.sleep(0.05)
            found = re.search(r"^serving at (http://127.0.0.1:\d+)/$", (folder / "serve.log").read_text(), re.MULTILINE)
        yield found.group(1), process.pid
    finally:
        end(process)


def wait_for(port, process):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None:
                sys.exit(f"{process.args[0]} ended with {process.returncode}")
            time.sleep(0.02)


def first_byte(url, path, timeout=900):
    """Seconds from the request, connection included, to the first byte of a body; and the status."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)
    begun = time.monotonic()
    connection.request("GET", path)
    response = connection.getresponse()
    response.read(1)
    took = time.monotonic() - begun
    connection.close()
    return took, response.status


def await_boot(url, name="default", seconds_max=1800):
    """Waits until a system is made: its initramfs is answered."""
    _, status = first_byte(url, f"/boot/{name}/initrd", seconds_max)
    if status != 200:
        sys.exit(f"/boot/{name}/initrd answers {status}")


def status_kib(pid, field):
    """A field of /proc/PID/status, in KiB."""
    match = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match.group(1))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine():
    """The line that every report begins with."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{os.cpu_count()} processors ({model.group(1) if model else '?'}), load {load}", flush=True)
