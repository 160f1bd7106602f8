/* SPDX-License-Identifier: MIT */
/*
 * Nodes that find each other: one process and one network namespace each, on a bridge of the
 * test's own. What a node finds and loses it writes to a pipe, a line each.
 */
#include "swarm/mdns.h"

#include "test.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NODES 4

static char prefix[32]; /* of the namespaces' names */

struct child {
	pid_t pid;
	int lines;
	char text[4096];
	size_t len;
};

static void tell(int fd, const char *what, const struct node_id *id, const struct node_address *a)
{
	char ip[INET6_ADDRSTRLEN] = "", line[128];
	if (a != NULL)
		inet_ntop(AF_INET, a->ip + 12, ip, sizeof(ip));
	int len = snprintf(line, sizeof(line), "%s %u %s %u\n", what, id->bytes[15], ip,
		a != NULL ? a->port : 0);
	if (write(fd, line, (size_t)len) != len)
		_exit(1);
}

static void found(const struct node_id *id, const struct node_address *address, void *data)
{
	tell(*(int *)data, "found", id, address);
}

static void lost(const struct node_id *id, void *data)
{
	tell(*(int *)data, "lost", id, NULL);
}

static const struct mdns_ops ops = {found, lost};

static void on_term(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(data);
}

static void node(unsigned n, uint8_t key_byte, uint16_t port, int lines)
{
	char path[64];
	struct err err = ERR_INIT;
	struct mdns *mdns;
	const uint8_t key[32] = {key_byte};
	snprintf(path, sizeof(path), "/run/netns/%s%u", prefix, n);
	int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		_exit(2);
	struct event_base *base = event_base_new();
	struct event *term = evsignal_new(base, SIGTERM, on_term, base);
	event_add(term, NULL);
	struct mdns_params params = {.id = {{[15] = (uint8_t)n}}, .swarm_count = 1, .port = port};
	params.swarms[0] = mdns_swarm_of(key, "");
	if (mdns_new(base, &params, &ops, &lines, &mdns, &err) < 0)
		_exit(3);
	event_base_dispatch(base);
	mdns_free(mdns);
	_exit(0);
}

static struct child begin(unsigned n, uint8_t key_byte, uint16_t port)
{
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	struct child child = {.pid = fork(), .lines = fds[0]};
	assert_true(child.pid >= 0);
	if (child.pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		node(n, key_byte, port, fds[1]);
	close(fds[1]);
	return child;
}

static void end(struct child *child, int signal)
{
	int status = 0;
	kill(child->pid, signal);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_true(signal == SIGKILL || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	close(child->lines);
}

/* Reads until the line came, at most 20 s. */
static void says(struct child *child, const char *line)
{
	for (int i = 0; i < 200 && strstr(child->text, line) == NULL; i++) {
		struct pollfd pfd = {.fd = child->lines, .events = POLLIN};
		if (poll(&pfd, 1, 100) <= 0)
			continue;
		ssize_t n = read(child->lines, child->text + child->len,
			sizeof(child->text) - 1 - child->len);
		assert_true(n > 0);
		child->len += (size_t)n;
	}
	if (strstr(child->text, line) == NULL)
		fail_msg("'%s' is not among: %s", line, child->text);
}

static void tear_down(void)
{
	char command[256];
	for (unsigned n = 0; n <= NODES; n++) {
		snprintf(command, sizeof(command), "ip netns del %s%u 2>/dev/null || true", prefix,
			n);
		test_shell("%s", command);
	}
}

/* Namespace 0 has the bridge; each other one an end of a cable to it. */
static int set_up(void **state)
{
	(void)state;
	snprintf(prefix, sizeof(prefix), "sbmdns%d-", (int)getpid());
	if (geteuid() != 0)
		test_skip("network namespaces need root");
	test_shell(
		"ip netns add %s0 && ip -n %s0 link add name sw0 type bridge mcast_snooping 0 && "
		"ip -n %s0 link set sw0 up",
		prefix, prefix, prefix);
	for (unsigned n = 1; n <= NODES; n++)
		test_shell("ip netns add %s%u && ip -n %s0 link add p%u type veth peer name eth "
			   "netns %s%u && ip -n %s0 link set p%u master sw0 up && "
			   "ip -n %s%u addr add 10.9.0.%u/24 dev eth && ip -n %s%u link set eth up",
			prefix, n, prefix, n, prefix, n, prefix, n, prefix, n, n, prefix, n);
	return 0;
}

static void neighbours(void **state)
{
	(void)state;
	struct child a = begin(1, 7, 1001), b = begin(2, 7, 1002);
	says(&a, "found 2 10.9.0.2 1002\n");
	says(&b, "found 1 10.9.0.1 1001\n");
	/* One that comes later learns of both and is learnt of; one of another swarm is not; one
	 * that serves nobody only learns. */
	struct child other = begin(3, 8, 1003), silent = begin(4, 7, 0);
	says(&silent, "found 1 10.9.0.1 1001\n");
	says(&silent, "found 2 10.9.0.2 1002\n");
	end(&b, SIGTERM);
	says(&a, "lost 2  0\n");
	says(&silent, "lost 2  0\n");
	b = begin(2, 7, 2002);
	says(&a, "found 2 10.9.0.2 2002\n");
	end(&b, SIGKILL); /* says nothing, and comes back with another port */
	b = begin(2, 7, 3002);
	says(&a, "found 2 10.9.0.2 3002\n");
	assert_null(strstr(a.text, "found 3"));
	assert_null(strstr(a.text, "found 4"));
	struct pollfd pfd = {.fd = other.lines, .events = POLLIN};
	assert_int_equal(poll(&pfd, 1, 0), 0);
	end(&a, SIGTERM);
	end(&b, SIGTERM);
	end(&other, SIGTERM);
	end(&silent, SIGTERM);
}

/* An interface that gets its address late, and one that gets another address. */
static void late_address(void **state)
{
	(void)state;
	test_shell("ip -n %s2 addr flush dev eth", prefix);
	struct child a = begin(1, 7, 1001), b = begin(2, 7, 1002);
	says(&b, "found 1 10.9.0.1 1001\n");
	test_shell("ip -n %s2 addr add 10.9.0.22/24 dev eth", prefix);
	says(&a, "found 2 10.9.0.22 1002\n");
	test_shell("ip -n %s2 addr flush dev eth && ip -n %s2 addr add 10.9.0.2/24 dev eth", prefix,
		prefix);
	says(&a, "found 2 10.9.0.2 1002\n");
	end(&a, SIGTERM);
	end(&b, SIGTERM);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours),
		cmocka_unit_test(late_address),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	int failed = cmocka_run_group_tests(tests, set_up, NULL);
	tear_down(); /* also of a set-up that failed half-way */
	return failed;
}
