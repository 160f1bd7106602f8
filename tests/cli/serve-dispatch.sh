#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The URL scheme of nix-netboot-serve: profiles, configurations that Nix builds, Hydra's jobs.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

here=$(cd "$(dirname "$0")" && pwd)
command -v nix-build >/dev/null || skip "there is no nix-build"
[ "$(id -u)" = 0 ] || skip "building without a daemon needs root"
system=$(fixture scripted)
second=$(fixture scripted-2)
name=$(basename "$system")
second_name=$(basename "$second")
export SNOWBOOT_POOL=${SNOWBOOT_POOL:-$tmp/pool}
# Nix without a daemon, as for the fixtures.
export NIX_REMOTE=local NIX_CONFIG='build-users-group =
sandbox = false
substitute = false'

# location URL…: the status and where it leads.
location() { curl -s -o /dev/null -w '%{http_code} %{redirect_url}' --max-time 60 "$@"; }

### What it refuses: clients would only see that a name is not there.
refused() { check_fails "$1" "snowboot: $2" "$snowboot" serve -q --dhcp off --listen 127.0.0.1:0 --state "$tmp/state" "${@:3}"; }
refused 1 "cannot read the profiles' directory '$tmp/none': No such file or directory" --profiles "$tmp/none"
refused 1 "cannot read the configurations' directory '$tmp/none': No such file or directory" --configurations "$tmp/none"
for host in https://hydra.example.org/ hydra.example.org/x 'a b' http:// ''; do
	refused 2 "--hydra takes HOST, HOST:PORT or http://HOST, not '$host'" --hydra "$host"
done

### Profiles.
mkdir "$tmp/profiles" "$tmp/configurations"
ln -s "$system" "$tmp/profiles/kiosk"
ln -s "$tmp/gone" "$tmp/profiles/broken"
serve_arguments=(--listen 127.0.0.1:0 --state "$tmp/state")
start plain --profiles "$tmp/profiles"
check_equal "a profile" "$(location "$url/dispatch/profile/kiosk")" "302 $url/boot/$name/netboot.ipxe"
check_equal "its query" "$(location "$url/dispatch/profile/kiosk?cmdline_prefix_args=a&cmdline_suffix_args=b%20c")" \
	"302 $url/boot/$name/netboot.ipxe?cmdline_prefix_args=a&cmdline_suffix_args=b%20c"
line=$(get -L "$url/dispatch/profile/kiosk?cmdline_prefix_args=a&cmdline_suffix_args=b%20c" | grep ^kernel)
[[ $line == "kernel /boot/$name/bzImage initrd=initrd a "*" b c snowboot.origin="* ]] || fail "kernel line: $line"
check_equal "its kernel" "$(get "$url/boot/$name/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
check_equal "another profile" "$(curl -s "$url/dispatch/profile/none")" "snowboot: '$tmp/profiles/none' does not exist"
check_equal "a broken one" "$(curl -s "$url/dispatch/profile/broken")" \
	"snowboot: '$tmp/profiles/broken' leads to '$tmp/gone', which does not exist"
check_equal "a broken one for iPXE" "$(curl -s -A iPXE/1.21.1 "$url/dispatch/profile/broken")" "#!ipxe
imgfree
echo snowboot: '$tmp/profiles/broken' leads to '$tmp/gone', which does not exist
echo snowboot: asking again in 10 seconds
:again
sleep 10
chain --replace /dispatch/profile/broken || goto again"
for path in profile/.. profile/../configurations profile/a/b profile/ configuration/small hydra/a/b/c/d other/x; do
	check_equal "status of $path" "$(code --path-as-is "$url/dispatch/$path")" 404
done
check_equal "a system by its own name" "$(curl -s "$url/boot/$second_name/netboot.ipxe")" "there is nothing at '/boot/$second_name/netboot.ipxe'"
ln -sfn "$second" "$tmp/profiles/kiosk"
check_equal "a switched profile" "$(location "$url/dispatch/profile/kiosk")" "302 $url/boot/$second_name/netboot.ipxe"
stop "$server"

# Their names are SYSTEMs, on the command line and in machine files.
mkdir "$tmp/machines"
ln -s "$system" "$tmp/profiles/lab"
echo '{"system": "lab"}' >"$tmp/machines/52-54-00-00-00-01.json"
echo '{"system": "broken"}' >"$tmp/machines/52-54-00-00-00-02.json"
start named --profiles "$tmp/profiles" --machines "$tmp/machines" kiosk
boots() { get "$url/boot/default/netboot.ipxe?mac=$1" | sed -n 's/^echo snowboot: //p' | head -n 1; }
check_equal "the first SYSTEM" "$(boots 52-54-00-00-00-09)" "$second_name"
check_equal "by a machine file" "$(boots 52-54-00-00-00-01)" "$name"
check_equal "by a broken one" "$(boots 52-54-00-00-00-02)" \
	"machine entry '$tmp/machines/52-54-00-00-00-02.json': '$tmp/profiles/broken' leads to '$tmp/gone', which does not exist"
ln -sfn "$second" "$tmp/profiles/lab"
check_equal "by a switched one" "$(boots 52-54-00-00-00-01)" "$second_name"
stop "$server"

### Any system of the store, by its own name.
start any --any-system
check_equal "any system" "$(get "$url/boot/$name/netboot.ipxe?cmdline_suffix_args=a" | grep -c "^kernel /boot/$name/bzImage .* init=$system/init .* a snowboot.origin=")" 1
check_equal "its kernel" "$(get "$url/boot/$name/bzImage" | sha256sum)" "$(sha256sum <"$system/kernel")"
check_equal "another's kernel, at once" "$(get "$url/boot/$second_name/bzImage" | sha256sum)" "$(sha256sum <"$second/kernel")"
check_equal "another's manifest" "$(get "$url/v1/manifests/$second_name" | sed -n 's/^system //p')" "$second"
kernel=$(basename "$(dirname "$(readlink -f "$system/kernel")")")
for other in "$kernel" "${name:0:32}" "$name-none" .. default; do
	check_equal "'$other', which is no system" "$(curl -s --path-as-is "$url/boot/$other/netboot.ipxe")" "there is nothing at '/boot/$other/netboot.ipxe'"
done
stop "$server"

# It flips to and fro while many boot by it, by the profile's name and as the server's own system: each of them boots one system.
start flips --profiles "$tmp/profiles" "$tmp/profiles/kiosk"
timeout 250 python3 "$here/flip_clients.py" "$url" "$tmp/profiles/kiosk" 10 /boot/default/netboot.ipxe /dispatch/profile/kiosk \
	"$system" "$second" || fail "flip_clients.py"
stop "$server"

### Configurations.
# configuration NAME SECONDS SYSTEM: its build takes so long, and leaves a line in $tmp/built.
nonce=$(date +%s%N)
configuration() {
	mkdir -p "$tmp/configurations/$1"
	cat >"$tmp/configurations/$1/default.nix" <<-END
		derivation {
		  name = "dispatched-$1";
		  system = builtins.currentSystem;
		  nonce = "$nonce";
		  builder = "/bin/sh";
		  args = [ "-c" "echo building $1; echo $1 >>$tmp/built; /bin/sleep $2; /bin/ln -s \${builtins.storePath $3} \$out" ];
		}
	END
}
configuration small 3 "$system"
configuration slow 22 "$second"
mkdir "$tmp/configurations/failing"
echo 'throw "not today"' >"$tmp/configurations/failing/default.nix"
start builds --configurations "$tmp/configurations"
check_equal "a log before" "$(code "$url/dispatch/configuration/small/log")" 404
# Two at once: one build, which both get.
location "$url/dispatch/configuration/small" >"$tmp/one" &
one=$!
check_equal "the first" "$(location "$url/dispatch/configuration/small")" "302 $url/boot/$name/netboot.ipxe"
wait "$one"
check_equal "the second" "$(cat "$tmp/one")" "302 $url/boot/$name/netboot.ipxe"
check_equal "builds" "$(grep -c small "$tmp/built")" 1
get "$url/dispatch/configuration/small/log" | grep -Fxq "building small" || fail "another log"
# Built again when it is asked for again: what it says may have changed.
configuration small 0 "$second"
check_equal "changed" "$(location "$url/dispatch/configuration/small")" "302 $url/boot/$second_name/netboot.ipxe"
check_equal "links" "$(find "$tmp/state/builds" -type l | wc -l)" 1
check_equal "another configuration" "$(code "$url/dispatch/configuration/none")" 404
check_equal "a failing one" "$(curl -s "$url/dispatch/configuration/failing")" "snowboot: nix-build failed with status 1
the log: /dispatch/configuration/failing/log"
get "$url/dispatch/configuration/failing/log" | grep -q "not today" || fail "the log lacks why"
# Who waited for long is told to come again, iPXE by a script, and gets that result.
curl -s -A iPXE/1.21.1 "$url/dispatch/configuration/slow" >"$tmp/script" &
script=$!
curl -s -D "$tmp/head" --interface 127.0.0.2 "$url/dispatch/configuration/slow" >"$tmp/text"
wait "$script"
check_equal "what iPXE is told" "$(cat "$tmp/script")" "#!ipxe
imgfree
echo snowboot: the system is being built
echo the log: /dispatch/configuration/slow/log
echo snowboot: asking again in 5 seconds
:again
sleep 5
chain --replace /dispatch/configuration/slow || goto again"
check_equal "status" "$(sed -n '1s/^HTTP[^ ]* \([0-9]*\) .*/\1/p' "$tmp/head")" 503
check_equal "Retry-After" "$(tr -d '\r' <"$tmp/head" | sed -n 's/^Retry-After: //p')" 5
check_equal "what others are told" "$(cat "$tmp/text")" "snowboot: the system is being built
the log: /dispatch/configuration/slow/log"
until grep -q "^'/dispatch/configuration/slow' is " "$tmp/builds.err"; do sleep 0.2; done
check_equal "what it gets" "$(location --interface 127.0.0.2 "$url/dispatch/configuration/slow")" \
	"302 $url/boot/$second_name/netboot.ipxe"
check_equal "builds" "$(grep -c slow "$tmp/built")" 1
# A build that runs ends with the server.
configuration hanging 1000 "$system"
location "$url/dispatch/configuration/hanging" >"$tmp/hanging" &
until grep -q hanging "$tmp/built"; do sleep 0.1; done
stop "$server"
check_equal "a hanging one" "$(cut -d' ' -f1 "$tmp/hanging")" 503
check_equal "links afterwards" "$(find "$tmp/state/builds" -type l | wc -l)" 0

### Hydra.
cat >"$tmp/hydra.py" <<'END'
import http.server, json, sys
class Hydra(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.headers["Accept"] != "application/json":
            return self.send_error(406)
        if self.path == "/job/p/main/kiosk/latest":
            self.send_response(302)
            self.send_header("Location", "/build/7")
            return self.end_headers()
        if self.path != "/build/7":
            return self.send_error(404)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"id": 7, "buildoutputs": {"out": {"path": sys.argv[1]}}}).encode())
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Hydra)
print(server.server_port, flush=True)
server.serve_forever()
END
python3 "$tmp/hydra.py" "$system" >"$tmp/port" &
hydra=$!
run_at_exit "kill $hydra"
until [ -s "$tmp/port" ]; do sleep 0.05; done
host=127.0.0.1:$(cat "$tmp/port")
start hydra --hydra "http://$host" --hydra https://hydra.example.org
check_equal "a job" "$(location "$url/dispatch/hydra/$host/p/main/kiosk")" "302 $url/boot/$name/netboot.ipxe"
check_equal "another job" "$(curl -s "$url/dispatch/hydra/$host/p/main/none" | head -n 1)" \
	"snowboot: asking 'http://$host/job/p/main/none/latest': status 404"
check_equal "another server" "$(curl -s "$url/dispatch/hydra/127.0.0.1:1/p/main/kiosk")" \
	"snowboot: the server may not ask '127.0.0.1:1'
hint: allow it with --hydra 127.0.0.1:1"
stop "$server"
