#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The units that are installed, run by a systemd of our own: PID 1 of namespaces, with /etc and /var that are gone with it, and no
# unit beside ours but the targets that these need.
. "$(dirname "$0")/../lib/cli.sh"
. "$(dirname "$0")/../lib/server.sh"

[ "$(id -u)" = 0 ] || skip "a manager of one's own needs root"
[ -x /lib/systemd/systemd ] || skip "needs systemd"
command -v systemd-sysusers >/dev/null || skip "needs systemd-sysusers"
unshare -mpfCn true 2>/dev/null || skip "there are no namespaces"
system=$(fixture scripted)
name=$(basename "$system")
snowboot=$(readlink -f "$snowboot")

mkdir "$tmp/inside"
cat >"$tmp/begin" <<'END'
set -e
inside=$1 snowboot=$2 root=$3
mount --make-rprivate /
mount -t tmpfs tmpfs "$inside"
for dir in etc var; do
	mkdir -p "$inside/$dir" "$inside/work-$dir"
	mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$inside/$dir,workdir=$inside/work-$dir" "/$dir"
done
rm -rf /etc/snowboot /etc/systemd/system/*
mkdir -p /etc/sysusers.d /var/lib/snowboot "$inside/units"
mount -t tmpfs tmpfs /var/lib/snowboot
cp "$root/systemd/sysusers.conf" /etc/sysusers.d/snowboot.conf
systemd-sysusers /etc/sysusers.d/snowboot.conf
for unit in sysinit basic sockets timers paths slices shutdown umount network network-online local-fs swap; do
	cp "/lib/systemd/system/$unit.target" "$inside/units"
done
sed "s|@bindir@/snowboot|$snowboot|" "$root/systemd/snowboot.service.in" >"$inside/units/snowboot.service"
cp "$root/systemd/snowboot.socket" "$inside/units"
mount --bind "$inside/units" /lib/systemd/system
mount -t tmpfs tmpfs /run
ip link set lo up
ip link add lab0 type veth peer name lab1
ip addr add 10.55.0.1/24 dev lab0
ip link set lab1 up
ip link set lab0 up
mount -t cgroup2 none /sys/fs/cgroup
export container=snowboot-test
exec /lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
END
unshare -mpfCn --mount-proc --kill-child bash "$tmp/begin" "$tmp/inside" "$snowboot" "$root" >"$tmp/manager" 2>&1 </dev/null &
outer=$!
run_at_exit "kill -KILL $outer"
for _ in $(seq 100); do
	manager=$(pgrep -P "$outer" || true)
	[ -z "$manager" ] || [ ! -S "/proc/$manager/root/run/systemd/private" ] || break
	kill -0 "$outer" 2>/dev/null || fail "no manager: $(cat "$tmp/manager")"
	sleep 0.1
done
in_it() { nsenter -t "$manager" -m -p -n -C "$@"; }
systemctl() { in_it systemctl --no-pager "$@"; }
show() { systemctl show -p "$1" --value "$2"; }
fetch() { in_it curl -fsS --max-time 250 "$@"; }
# field NAME: of the server's /proc/PID/status.
field() { in_it sed -n "s/^$1:\t//p" "/proc/$(show MainPID snowboot.service)/status"; }
# A journal is none of what runs here: the manager's words and the unit's states have to do.
check_state() { check_equal "state of $1" "$(show ActiveState "$1") $(show Result "$1")" "$2"; }

### Without a directory of machines it is not started, and that is no failure.
systemctl start snowboot.service
check_state snowboot.service "inactive success"
check_equal "its condition" "$(show ConditionResult snowboot.service)" no

### As installed: DHCP beside another server, TFTP, HTTP, as an own user, shut off.
in_it mkdir -p /etc/snowboot/machines
in_it ln -s "$system" /etc/snowboot/machines/default
echo 'SNOWBOOT_OPTIONS=--level 1 --modules minimal' | in_it tee /etc/snowboot/serve.env >"$tmp/stdout"
systemctl start snowboot.service
check_state snowboot.service "active success"
check_equal "its user" "$(field Uid)" "$(in_it id -u snowboot | sed 's/.*/&\t&\t&\t&/')"
check_equal "its capabilities" "$(field CapEff) $(field CapBnd)" "0000000000000000 00000000000034c0" # nobody may have more than the unit says
check_equal "new privileges, system calls" "$(field NoNewPrivs) $(field Seccomp)" "1 2"
main=$(show MainPID snowboot.service)
# Of the machine it sees what it needs, and nothing of it may be written.
check_equal "what it may write" "$(in_it nsenter -t "$main" -m sh -c 'for dir in /etc /usr /var /home /nix/store /var/cache/snowboot /var/lib/snowboot; do
	if (: >"$dir/try") 2>/dev/null; then echo "$dir"; fi; done' | tr '\n' ' ')" "/var/cache/snowboot /var/lib/snowboot "
check_script() {
	fetch "http://10.55.0.1:8080/boot/default/netboot.ipxe?mac=52-54-00-00-00-01" >"$tmp/script"
	check_equal "the script $1" "$(sed -n 's/^echo snowboot: //p' "$tmp/script" | head -n 1)" "$name"
}
check_script "as it starts"
fetch "http://10.55.0.1:8080/boot/$name/bzImage" | cmp - "$system/kernel"
fetch "http://10.55.0.1:8080/boot/$name/initrd" >"$tmp/initrd"
fetch -o "$tmp/by-tftp" "tftp://10.55.0.1/boot/$name/bzImage"
cmp "$tmp/by-tftp" "$system/kernel"
check_equal "who offers addresses" "$(in_it pgrep -c dnsmasq)" 1

### Reloaded it is the same one; killed, another one; stopped, gone with all that it started.
systemctl reload snowboot.service
check_equal "after a reload" "$(show MainPID snowboot.service) $(show ActiveState snowboot.service)" "$main active"
in_it kill -KILL "$main"
for _ in $(seq 200); do
	[ "$(show NRestarts snowboot.service) $(show ActiveState snowboot.service)" != "1 active" ] || break
	sleep 0.1
done
check_equal "after it was killed" "$(show NRestarts snowboot.service) $(show ActiveState snowboot.service)" "1 active"
fetch "http://10.55.0.1:8080/boot/$name/initrd" | cmp - "$tmp/initrd"
systemctl stop snowboot.service
check_state snowboot.service "inactive success"
check_equal "what is left of it" "$(in_it pgrep -c 'snowboot|dnsmasq' || true)" 0

### By its socket: the first client starts it, and while it is away clients wait.
systemctl start snowboot.socket
check_state snowboot.socket "active success"
check_state snowboot.service "inactive success"
check_script "by the socket"
check_state snowboot.service "active success"
systemctl restart snowboot.service &
restart=$!
check_script "while it starts again"
wait "$restart"
systemctl stop snowboot.service snowboot.socket
check_state snowboot.service "inactive success"
