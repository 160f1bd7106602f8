/* SPDX-License-Identifier: MIT */
/*
 * The network of a node against dnsmasq: a machine and a server, each in a network namespace of the
 * test's own, with a pair of virtual cards between them.
 */
#include "net/net.h"

#include "net/card.h"
#include "net/namespace.h"
#include "net/uplink.h"

#include "test.h"

#include "base/fd.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAC1 "52:54:00:00:00:01"
#define MAC2 "52:54:00:00:00:02"
#define WAIT_MS 30000

struct lab {
	pid_t server, machine, dnsmasq; /* the first two hold the namespaces */
	int home;
	struct event_base *base;
	struct net *net;
	struct net_state state;
	unsigned changes;
};

static pid_t hold_namespace(void)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(ready[0]);
		if (unshare(CLONE_NEWNET) < 0)
			_exit(1);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	char byte;
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	return pid;
}

#define ON(pid, fmt, ...) test_shell("nsenter -t %d -n sh -c '" fmt "'", (int)(pid), ##__VA_ARGS__)

static void enter_namespace(pid_t pid)
{
	char path[64];
	struct err err = ERR_INIT;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(namespace_enter(fd, &err));
}

static void stop(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void serve(struct lab *lab, const char *range, const char *more)
{
	char command[1024];
	snprintf(command, sizeof(command),
		"exec nsenter -t %d -n dnsmasq -k --conf-file=/dev/null --port=0 --no-ping "
		"--log-facility=- "
		"--user=root --dhcp-leasefile=%s/leases --pid-file= --dhcp-authoritative "
		"--dhcp-range=%s %s >/dev/null 2>&1",
		(int)lab->server, test_tmpdir(), range, more);
	lab->dnsmasq = fork();
	if (lab->dnsmasq == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
}

static int setup(void **state)
{
	if (geteuid() != 0)
		test_skip("only root may make network namespaces");
	struct lab *lab = calloc(1, sizeof(*lab));
	struct err err = ERR_INIT;
	assert_ok(namespace_current(&lab->home, &err));
	lab->server = hold_namespace();
	lab->machine = hold_namespace();
	ON(lab->machine,
		"ip link set lo up; ip link add eth0 address " MAC1
		" type veth peer name s0 netns %d",
		(int)lab->server);
	ON(lab->server, "ip link set lo up; ip addr add 10.9.0.1/24 dev s0; ip link set s0 up");
	lab->base = event_base_new();
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;
	struct err err = ERR_INIT;
	net_free(lab->net);
	event_base_free(lab->base);
	stop(&lab->dnsmasq);
	stop(&lab->server);
	stop(&lab->machine);
	assert_ok(namespace_enter(lab->home, &err));
	close(lab->home);
	free(lab);
	return 0;
}

static void on_change(const struct net_state *state, void *data)
{
	struct lab *lab = data;
	lab->state = *state;
	lab->changes++;
}

static void begin(struct lab *lab, enum net_mode mode, const char *first_mac, int namespace_fd)
{
	struct err err = ERR_INIT;
	struct net_params params = {
		.mode = mode, .namespace_fd = namespace_fd, .machine_id = "0123456789abcde"};
	if (first_mac != NULL)
		assert_int_equal(
			sscanf(first_mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", params.first_mac,
				params.first_mac + 1, params.first_mac + 2, params.first_mac + 3,
				params.first_mac + 4, params.first_mac + 5),
			6);
	enter_namespace(lab->machine);
	assert_ok(net_new(lab->base, &params, on_change, lab, &lab->net, &err));
}

static void run_ms(struct lab *lab, int ms)
{
	const struct timeval wait = {ms / 1000, ms % 1000 * 1000};
	event_base_loopexit(lab->base, &wait);
	event_base_dispatch(lab->base);
}

#define wait_until(lab, condition) \
	do { \
		int64_t end_ = uplink_now_ms() + WAIT_MS; \
		while (!(condition)) { \
			if (uplink_now_ms() > end_) \
				fail_msg("never: %s", #condition); \
			run_ms((lab), 20); \
		} \
	} while (0)

static struct in_addr ip(const char *text)
{
	struct in_addr address = {0};
	inet_pton(AF_INET, text, &address);
	return address;
}

static bool has(const struct lab *lab, const char *address)
{
	return lab->state.address.s_addr == ip(address).s_addr;
}

static bool in_range(const struct lab *lab, const char *first, const char *last)
{
	uint32_t got = ntohl(lab->state.address.s_addr);
	return got >= ntohl(ip(first).s_addr) && got <= ntohl(ip(last).s_addr);
}

static bool pings(const char *address)
{
	char command[128];
	snprintf(command, sizeof(command), "ping -q -c 1 -W 2 %s >/dev/null 2>&1", address);
	return system(command) == 0;
}

/* An interface of our own: the machine's network has none of it. */
static void own(void **state)
{
	struct lab *lab = *state;
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m",
		"--dhcp-option=6,10.9.0.7 --dhcp-option=26,1400");
	begin(lab, NET_OWN, MAC1, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	assert_int_equal(lab->state.mode, NET_OWN);
	assert_string_equal(lab->state.link, "eth0");
	uint8_t card[6] = {0x52, 0x54, 0, 0, 0, 1}, mac[6];
	card_own_mac(card, mac);
	assert_memory_equal(lab->state.mac, mac, 6);
	assert_int_equal(lab->state.prefix_len, 24);
	assert_int_equal(lab->state.router.s_addr, ip("10.9.0.1").s_addr);
	assert_int_equal(lab->state.dns[0].s_addr, ip("10.9.0.7").s_addr);
	assert_true(lab->state.lease_ends > uplink_now_ms() / 1000 + 60);
	assert_true(pings("10.9.0.1")); /* from the namespace that this process is in now */
	test_shell("ip link show %s | grep -q \"mtu 1400\"", lab->state.interface);
	ON(lab->machine, "! ip addr show | grep -q 10.9.0");
	/* Whatever firewall the machine has, it is not ours. */
	ON(lab->server, "ping -q -c 1 -W 2 %s >/dev/null", inet_ntoa(lab->state.address));
}

static void shared(void **state)
{
	struct lab *lab = *state;
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	begin(lab, NET_SHARED, NULL, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	assert_int_equal(lab->state.mode, NET_SHARED);
	assert_string_equal(lab->state.interface, "eth0");
	ON(lab->machine, "ip addr show dev eth0 | grep -q 10.9.0");
	ON(lab->machine, "ip route show default | grep -q \"via 10.9.0.1 .*metric 20\"");
}

/* Somebody else flushes the card, and sets it down: it comes back. */
static void puts_back(void **state)
{
	struct lab *lab = *state;
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	begin(lab, NET_SHARED, NULL, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	for (int i = 0; i < 3; i++) {
		ON(lab->machine, "ip addr flush dev eth0 scope global");
		run_ms(lab, 1300);
		assert_true(pings("10.9.0.1"));
	}
	ON(lab->machine, "ip route del default");
	run_ms(lab, 1300);
	ON(lab->machine, "ip route show default | grep -q \"via 10.9.0.1\"");
	ON(lab->machine, "ip link set eth0 down");
	run_ms(lab, 2000);
	ON(lab->machine, "ip route show default | grep -q \"via 10.9.0.1\"");
	assert_true(pings("10.9.0.1"));
}

/* Whatever comes from another MAC than the card's is ignored, as hypervisors and switches may do.
 */
static void falls_back(void **state)
{
	struct lab *lab = *state;
	const uint8_t card[6] = {0x52, 0x54, 0, 0, 0, 1};
	uint8_t mac[6];
	char ignore[64];
	card_own_mac(card, mac);
	snprintf(ignore, sizeof(ignore), "--dhcp-host=%02x:%02x:%02x:%02x:%02x:%02x,ignore", mac[0],
		mac[1], mac[2], mac[3], mac[4], mac[5]);
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", ignore);
	begin(lab, NET_OWN, NULL, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	assert_int_equal(lab->state.mode, NET_SHARED);
	assert_string_equal(lab->state.interface, "eth0");
	assert_true(pings("10.9.0.1")); /* back in the machine's namespace */
	ON(lab->machine, "ip addr show dev eth0 | grep -q 10.9.0");
}

/* A server that is late and answers the card's own client first: the macvlan still has its chance.
 */
static void late_server(void **state)
{
	struct lab *lab = *state;
	begin(lab, NET_OWN, MAC1, 0);
	run_ms(lab, 16500); /* the card asks at 8, 9, 11 and 15 s, the macvlan at 7 and at 15 s */
	assert_int_equal(lab->changes, 0);
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	assert_int_equal(lab->state.mode, NET_OWN);
	run_ms(lab, 200);
	ON(lab->machine, "! ip addr show | grep -q 10.9.0");
}

/* The server has another range when the lease is renewed: by unicast, which it refuses. */
static void renewal_changes_the_address(void **state)
{
	struct lab *lab = *state;
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "--dhcp-option=58,4");
	begin(lab, NET_OWN, MAC1, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	int64_t ends = lab->state.lease_ends;
	wait_until(lab, uplink_now_ms() / 1000 > ends - 120 + 5); /* renewed once, silently */
	assert_int_equal(lab->changes, 1);
	stop(&lab->dnsmasq);
	serve(lab, "10.9.0.150,10.9.0.190,255.255.255.0,2m", "--dhcp-option=58,4");
	wait_until(lab, in_range(lab, "10.9.0.150", "10.9.0.190"));
	test_shell("test $(ip -4 addr show %s | grep -c inet) = 1", lab->state.interface);
	assert_true(pings("10.9.0.1"));
}

/* A server that comes late; one that goes away and comes back with another range. */
static void server_comes_and_goes(void **state)
{
	struct lab *lab = *state;
	begin(lab, NET_OWN, MAC1, 0);
	run_ms(lab, 2500);
	assert_int_equal(lab->changes, 0);
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	stop(&lab->dnsmasq);
	struct in_addr before = lab->state.address;
	ON(lab->server, "ip link set s0 down");
	run_ms(lab, 500);
	assert_int_equal(lab->state.address.s_addr, before.s_addr); /* the address stays */
	/* Another range: the old address is refused, when the link is back. */
	serve(lab, "10.9.0.150,10.9.0.190,255.255.255.0,2m", "");
	run_ms(lab, 300);
	ON(lab->server, "ip link set s0 up");
	wait_until(lab, in_range(lab, "10.9.0.150", "10.9.0.190"));
	test_shell("test $(ip -4 addr show %s | grep -c inet) = 1", lab->state.interface);
	assert_true(pings("10.9.0.1"));
}

/* Two cards, one of which leads nowhere; PXE used the other one, or is not known. */
static void two_cards(struct lab *lab, const char *first, const char *dead)
{
	ON(lab->machine, "ip link add eth1 address " MAC2 " type veth peer name s1 netns %d",
		(int)lab->server);
	ON(lab->server,
		"ip link set s1 up; ip link set %s down; ip addr flush dev s0; ip addr add "
		"10.9.0.1/24 dev %s",
		dead, strcmp(dead, "s0") == 0 ? "s1" : "s0");
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	begin(lab, NET_OWN, first, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	const char *live = strcmp(dead, "s0") == 0 ? "eth1" : "eth0";
	assert_string_equal(lab->state.link, live);
	assert_true(pings("10.9.0.1"));
	/* A container's interface is none of our business, and neither is one that nobody needs. */
	ON(lab->machine, "ip link add veth7 type veth peer name veth8; ip link set %s down",
		strcmp(dead, "s0") == 0 ? "eth0" : "eth1");
	run_ms(lab, 6000);
	ON(lab->machine,
		"! ip link show veth7 up | grep -q veth7 && ! ip link show %s up | grep -q eth",
		strcmp(dead, "s0") == 0 ? "eth0" : "eth1");
	/* The cable moves to the other card. */
	ON(lab->server,
		"ip addr flush dev s0; ip addr flush dev s1; ip link set s0 up; ip link set s1 up; "
		"ip link set %s down; ip addr add 10.9.0.1/24 dev %s",
		strcmp(dead, "s0") == 0 ? "s1" : "s0", dead);
	wait_until(lab, strcmp(lab->state.link, live) != 0);
	wait_until(lab, pings("10.9.0.1"));
}

static void first_is_dead(void **state)
{
	two_cards(*state, MAC1, "s0");
}

static void other_is_dead(void **state)
{
	two_cards(*state, NULL, "s1");
}

/* A driver that loads late, as a card that appears. */
static void late_card(void **state)
{
	struct lab *lab = *state;
	ON(lab->machine, "ip link set eth0 down; ip link del eth0");
	begin(lab, NET_OWN, MAC1, 0);
	run_ms(lab, 700);
	ON(lab->machine, "ip link add eth0 address " MAC1 " type veth peer name s0 netns %d",
		(int)lab->server);
	ON(lab->server, "ip addr add 10.9.0.1/24 dev s0; ip link set s0 up");
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	assert_true(pings("10.9.0.1"));
}

/* The card is renamed by udev, and everything goes on. */
static void renamed(void **state)
{
	struct lab *lab = *state;
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	begin(lab, NET_OWN, MAC1, 0);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	unsigned changes = lab->changes;
	ON(lab->machine, "ip link set eth0 down; ip link set eth0 name enp1s0");
	run_ms(lab, 1500);
	ON(lab->machine, "ip link show dev enp1s0 up | grep -q LOWER_UP");
	assert_true(pings("10.9.0.1"));
	assert_in_range(lab->changes, changes, changes + 2);
}

/* A node that died: its namespace was kept, and what starts in it has its address at once. */
static void starts_again(void **state)
{
	struct lab *lab = *state;
	struct err err = ERR_INIT;
	serve(lab, "10.9.0.50,10.9.0.90,255.255.255.0,2m", "");
	enter_namespace(lab->machine);
	AUTO_FD int kept = -1;
	assert_ok(net_namespace_new(&kept, &err));
	begin(lab, NET_OWN, MAC1, kept);
	wait_until(lab, in_range(lab, "10.9.0.50", "10.9.0.90"));
	struct in_addr before = lab->state.address;
	lab->net = net_free(lab->net);
	lab->state = (struct net_state){0};
	stop(&lab->dnsmasq); /* nobody is needed for it */
	int64_t began = uplink_now_ms();
	begin(lab, NET_OWN, MAC1, kept);
	wait_until(lab, lab->state.address.s_addr == before.s_addr);
	assert_true(uplink_now_ms() - began < 1000);
	assert_true(pings("10.9.0.1"));
}

/* A router's advertisement, and nobody who gives IPv4 addresses. */
static void ipv6(void **state)
{
	struct lab *lab = *state;
	ON(lab->server,
		"echo 0 > /proc/sys/net/ipv6/conf/s0/accept_dad; ip addr add fd09::1/64 dev s0");
	serve(lab, "fd09::,ra-only", "--enable-ra");
	begin(lab, NET_OWN, NULL, 0);
	wait_until(lab, !IN6_IS_ADDR_UNSPECIFIED(&lab->state.address6));
	assert_int_equal(lab->state.address6.s6_addr[0], 0xfd);
	assert_int_equal(lab->state.address.s_addr, 0);
	test_shell("ping -6 -q -c 1 -W 2 fd09::1 >/dev/null");
	assert_false(has(lab, "10.9.0.50"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CASE(own),
		CASE(shared),
		CASE(puts_back),
		CASE(falls_back),
		CASE(late_server),
		CASE(renewal_changes_the_address),
		CASE(server_comes_and_goes),
		CASE(first_is_dead),
		CASE(other_is_dead),
		CASE(late_card),
		CASE(renamed),
		CASE(starts_again),
		CASE(ipv6),
	};
	return TEST_MAIN(tests);
}
