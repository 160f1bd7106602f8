/* SPDX-License-Identifier: MIT */
/*
 * A bad network, where the kernel has no netem: a cable between two network namespaces (an
 * interface "bad0" in each) that delays packets, loses some and lets some be overtaken.
 *
 *   relay NAMESPACE NAMESPACE DELAY_MS LOSS_PERCENT REORDER_PERCENT SEED
 *
 * Says "ready" when the interfaces are there; at SIGTERM how many packets went which way.
 */
#include "base/fd.h"
#include "base/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 2048
#define QUEUE_MAX 20000 /* packets under way; more are lost, as anywhere */
#define OVERTAKEN_US 30000

struct packet {
	uint64_t due_us;
	uint64_t number; /* so that what is due at the same time keeps its order */
	int to;
	size_t len;
	uint8_t bytes[PACKET_MAX];
};

struct relay {
	int ends[2];
	uint64_t delay_us;
	double loss, reorder;      /* shares of 1 */
	VEC(struct packet *) heap; /* the next one due first */
	uint64_t number, forwarded, lost, overtaken;
};

static void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* The descriptor stays what it is when the process goes on to the next namespace. */
static int open_end(const char *namespace)
{
	char path[128];
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		die(path);
	close(ns);
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	strcpy(ifr.ifr_name, "bad0");
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("/dev/net/tun");
	return fd;
}

static bool before(const struct packet *a, const struct packet *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static void push(struct relay *r, struct packet *packet)
{
	struct err err = ERR_INIT;
	if (vec_push(&r->heap, packet, &err) < 0)
		die("memory");
	size_t i = r->heap.len - 1;
	for (; i > 0 && before(packet, r->heap.items[(i - 1) / 2]); i = (i - 1) / 2)
		r->heap.items[i] = r->heap.items[(i - 1) / 2];
	r->heap.items[i] = packet;
}

static struct packet *pop(struct relay *r)
{
	struct packet *first = r->heap.items[0];
	struct packet *last = r->heap.items[--r->heap.len];
	size_t i = 0, child;
	while ((child = 2 * i + 1) < r->heap.len) {
		if (child + 1 < r->heap.len &&
			before(r->heap.items[child + 1], r->heap.items[child]))
			child++;
		if (!before(r->heap.items[child], last))
			break;
		r->heap.items[i] = r->heap.items[child];
		i = child;
	}
	r->heap.items[i] = last;
	return first;
}

static void take(struct relay *r, unsigned from)
{
	for (;;) {
		struct packet *packet = malloc(sizeof(*packet));
		if (packet == NULL)
			die("memory");
		ssize_t n = read(r->ends[from], packet->bytes, sizeof(packet->bytes));
		bool lost = drand48() < r->loss || r->heap.len >= QUEUE_MAX;
		if (n <= 0 || lost) {
			free(packet);
			r->lost += n > 0;
			if (n <= 0)
				return;
			continue;
		}
		packet->len = (size_t)n;
		packet->to = r->ends[!from];
		packet->number = r->number++;
		packet->due_us = now_us() + r->delay_us;
		if (drand48() < r->reorder) {
			packet->due_us += OVERTAKEN_US;
			r->overtaken++;
		}
		push(r, packet);
	}
}

/* Passes on what is due; for how long to wait for the next, ms. */
static int give(struct relay *r)
{
	while (r->heap.len > 0) {
		uint64_t now = now_us();
		if (r->heap.items[0]->due_us > now)
			return (int)((r->heap.items[0]->due_us - now) / 1000) + 1;
		struct packet *packet = pop(r);
		/* An interface that is not up yet takes nothing: lost. */
		if (write(packet->to, packet->bytes, packet->len) == (ssize_t)packet->len)
			r->forwarded++;
		else
			r->lost++;
		free(packet);
	}
	return -1;
}

int main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr, "usage: relay NAMESPACE NAMESPACE DELAY_MS LOSS REORDER SEED\n");
		return 2;
	}
	struct relay r = {.ends = {open_end(argv[1]), open_end(argv[2])},
		.delay_us = strtoull(argv[3], NULL, 10) * 1000,
		.loss = strtod(argv[4], NULL) / 100,
		.reorder = strtod(argv[5], NULL) / 100};
	srand48(strtol(argv[6], NULL, 10));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int term = signalfd(-1, &set, SFD_CLOEXEC);
	if (term < 0)
		die("signalfd");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		struct pollfd fds[] = {
			{r.ends[0], POLLIN, 0}, {r.ends[1], POLLIN, 0}, {term, POLLIN, 0}};
		if (poll(fds, 3, give(&r)) < 0 && errno != EINTR)
			die("poll");
		if (fds[2].revents != 0)
			break;
		take(&r, 0);
		take(&r, 1);
	}
	printf("%llu forwarded, %llu lost, %llu overtaken\n", (unsigned long long)r.forwarded,
		(unsigned long long)r.lost, (unsigned long long)r.overtaken);
	return 0;
}
