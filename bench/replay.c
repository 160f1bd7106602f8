/* SPDX-License-Identifier: MIT */
/*
 * replay CONFIG TRACE OUT ADDRESS [THINK]: one node of a storm. It starts a node by the
 * configuration (docs/formats/node.md), and when its image is ready reads what a kernel read when
 * the trace was recorded, as that kernel did: reads that came within 200 µs are asked together; the
 * next ones when those are answered and the time has passed that lay between them (times THINK, 1).
 * Then it goes on as a booted machine does, until SIGTERM. OUT gets one line of JSON at the end of
 * the trace and again at the end. The bytes that were read are added up to a sum that depends on
 * every byte and its place, so that nodes can be compared. bench/storm runs many of these.
 */
#include "base/bytes.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/outfile.h"
#include "base/path.h"
#include "node/bootend.h"
#include "node/node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define TOGETHER_US 200u
#define REQUEST_SIZE 28u
#define REPLY_SIZE 16u
#define BINS 24u /* as swarm/swarm.h: bin i counts below 2^i × 16 µs */

struct read {
	uint64_t us, off;
	uint32_t len;
	uint64_t asked_us;
};

struct replay {
	struct event_base *base;
	struct node_config config;
	struct node *node;
	struct bufferevent *device;
	struct event *think;
	VEC(struct read) reads;
	size_t next, waiting;
	double pace;
	uint64_t begun_us, ready_us, ended_us, bytes, longest_us;
	uint64_t sum, errors;
	uint64_t bins[BINS];
	const char *out;
	int status;
};

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int load_trace(const char *path, struct replay *replay, struct err *err)
{
	FILE *file = fopen(path, "re");
	struct read read = {0};
	if (file == NULL)
		return err_sys(err, "cannot open '%s'", path);
	while (fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu32, &read.us, &read.off, &read.len) ==
		3) {
		if (vec_push(&replay->reads, read, err) < 0)
			break;
	}
	fclose(file);
	if (err_clean(err) && replay->reads.len == 0)
		return err_raise(err, ERR_CORRUPT, "no reads in '%s'", path);
	return err_clean(err) ? 0 : -1;
}

/* Of the process itself, seconds. */
static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int report(struct replay *replay, struct err *err)
{
	AUTO_BUF text = {0};
	if (buf_printf(&text, err,
		    "{\"begun_us\": %" PRIu64 ", \"ready_us\": %" PRIu64 ", \"ended_us\": %" PRIu64
		    ", \"read_bytes\": %" PRIu64 ", \"reads\": %zu, \"longest_us\": %" PRIu64
		    ", \"errors\": %" PRIu64 ", \"sum\": \"%016" PRIx64
		    "\", \"cpu_s\": %.3f, \"latency\": [",
		    replay->begun_us, replay->ready_us, replay->ended_us, replay->bytes,
		    replay->next, replay->longest_us, replay->errors, replay->sum,
		    cpu_seconds()) < 0)
		return -1;
	for (unsigned i = 0; i < BINS; i++) {
		if (buf_printf(&text, err, "%s%" PRIu64, i == 0 ? "" : ", ", replay->bins[i]) < 0)
			return -1;
	}
	if (buf_put_str(&text, "], \"status\": ", err) < 0 ||
		node_status_json(replay->node, &text, err) < 0 ||
		buf_put_str(&text, "}\n", err) < 0)
		return -1;
	return outfile_write(replay->out, text.data, text.len, err);
}

static void give_up(struct replay *replay, const struct err *err)
{
	log_error("%s", err->msg);
	replay->status = 1;
	event_base_loopbreak(replay->base);
}

static void ask(struct replay *replay, size_t i)
{
	struct read *read = &replay->reads.items[i];
	uint8_t request[REQUEST_SIZE] = {0};
	put_be32(request, 0x25609513); /* NetworkBlockDevice doc/proto.md */
	put_be64(request + 8, i);
	put_be64(request + 16, read->off);
	put_be32(request + 24, read->len);
	read->asked_us = now_us();
	replay->waiting++;
	bufferevent_write(replay->device, request, sizeof(request));
}

/* All reads that were asked together. */
static void ask_some(struct replay *replay)
{
	do
		ask(replay, replay->next++);
	while (replay->next < replay->reads.len &&
		replay->reads.items[replay->next].us - replay->reads.items[replay->next - 1].us <
			TOGETHER_US);
}

static void on_think(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	ask_some(data);
}

/* As systemd does when its start is finished (node/bootend.h). */
static int tell_up(const struct replay *replay, struct err *err)
{
	static const char up[] = "READY=1\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/" BOOTEND_SOCKET,
		replay->config.state_dir);
	if (fd < 0 || len < 0 || (size_t)len >= sizeof(address.sun_path) ||
		sendto(fd, up, sizeof(up) - 1, 0, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_sys(err, "cannot tell the node in '%s' that it is up",
			replay->config.state_dir);
	return 0;
}

static void all_answered(struct replay *replay)
{
	struct err err = ERR_INIT;
	if (replay->next < replay->reads.len) {
		const struct read *next = &replay->reads.items[replay->next];
		uint64_t us = (uint64_t)((double)(next->us - next[-1].us) * replay->pace);
		struct timeval tv = {
			.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
		event_add(replay->think, &tv);
		return;
	}
	replay->ended_us = now_us();
	if (tell_up(replay, &err) < 0 || report(replay, &err) < 0)
		give_up(replay, &err);
}

/* Depends on each byte and on its place; a sum over reads, so their order does not matter. */
static uint64_t sum_of(uint64_t off, const uint8_t *bytes, size_t len)
{
	uint64_t h = off * 0x9e3779b97f4a7c15 + len;
	for (size_t i = 0; i + 8 <= len; i += 8)
		h = (h ^ get_le64(bytes + i)) * 0xff51afd7ed558ccd, h ^= h >> 32;
	for (size_t i = len / 8 * 8; i < len; i++)
		h = (h ^ bytes[i]) * 0xff51afd7ed558ccd;
	return h ^ h >> 29;
}

static void take_answer(struct replay *replay, const struct read *read, const uint8_t *bytes)
{
	uint64_t us = now_us() - read->asked_us;
	unsigned bin = 0;
	while (bin < BINS - 1 && us >= 16ull << bin)
		bin++;
	replay->bins[bin]++;
	replay->longest_us = us > replay->longest_us ? us : replay->longest_us;
	replay->bytes += read->len;
	replay->sum += sum_of(read->off, bytes, read->len);
	replay->waiting--;
}

static void on_answer(struct bufferevent *device, void *data)
{
	struct replay *replay = data;
	struct evbuffer *input = bufferevent_get_input(device);
	uint8_t head[REPLY_SIZE];
	while (evbuffer_copyout(input, head, sizeof(head)) == (ssize_t)sizeof(head)) {
		uint64_t i = get_be64(head + 8);
		if (get_be32(head) != 0x67446698 || i >= replay->next || get_be32(head + 4) != 0) {
			struct err err = ERR_INIT;
			replay->errors++;
			err_raise(&err, ERR_IO, "read %" PRIu64 " failed with %u", i,
				get_be32(head + 4));
			give_up(replay, &err);
			return;
		}
		const struct read *read = &replay->reads.items[i];
		if (evbuffer_get_length(input) < REPLY_SIZE + read->len)
			break;
		evbuffer_drain(input, REPLY_SIZE);
		take_answer(replay, read, evbuffer_pullup(input, read->len));
		evbuffer_drain(input, read->len);
	}
	if (replay->waiting == 0)
		all_answered(replay);
}

static int begin(struct replay *replay, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(err, "cannot make a socket");
	replay->device = bufferevent_socket_new(replay->base, pair[1], BEV_OPT_CLOSE_ON_FREE);
	replay->think = evtimer_new(replay->base, on_think, replay);
	if (replay->device == NULL || replay->think == NULL)
		return err_oom(err);
	if (node_serve_kernel(replay->node, pair[0], err) < 0)
		return -1;
	bufferevent_setcb(replay->device, on_answer, NULL, NULL, replay);
	bufferevent_enable(replay->device, EV_READ | EV_WRITE);
	replay->ready_us = now_us();
	ask_some(replay);
	return 0;
}

static void on_event(enum node_event event, const char *text, const struct err *failure, void *data)
{
	struct replay *replay = data;
	struct err err = ERR_INIT;
	switch (event) {
	case NODE_PROGRESS:
		log_debug("%s", text);
		break;
	case NODE_READY:
		if (replay->device == NULL && begin(replay, &err) < 0)
			give_up(replay, &err);
		break;
	case NODE_FAILED:
		give_up(replay, failure);
		break;
	}
}

static void on_signal(evutil_socket_t fd, short events, void *data)
{
	(void)fd;
	(void)events;
	event_base_loopbreak(((struct replay *)data)->base);
}

static int start(struct replay *replay, char **argv, struct err *err)
{
	AUTO_BUF text = {0};
	struct node_ops ops = {.event = on_event, .data = replay};
	struct node_address address = {.port = 0};
	replay->begun_us = now_us();
	if (fd_read_file(AT_FDCWD, argv[1], 64 << 10, &text, err) < 0 ||
		node_config_decode((const char *)text.data, text.len, &replay->config, err) < 0 ||
		load_trace(argv[2], replay, err) < 0 ||
		path_mkdirs(replay->config.state_dir, err) < 0)
		return -1;
	replay->out = argv[3];
	address.ip[10] = address.ip[11] = 0xff;
	if (inet_pton(AF_INET, argv[4], address.ip + 12) != 1)
		return err_raise(err, ERR_USAGE, "'%s' is not an IPv4 address", argv[4]);
	address.port = replay->config.port;
	replay->pace = argv[5] != NULL ? strtod(argv[5], NULL) : 1;
	if (node_new(replay->base, &replay->config, &ops, &replay->node, err) < 0)
		return -1;
	node_readdress(replay->node, &address);
	return 0;
}

int main(int argc, char **argv)
{
	static struct replay replay;
	struct err err = ERR_INIT;
	if (argc < 5 || argc > 6) {
		fprintf(stderr, "usage: replay CONFIG TRACE OUT ADDRESS [THINK]\n");
		return 2;
	}
	log_setup(LOG_LEVEL_WARNING, NULL, NULL);
	signal(SIGPIPE, SIG_IGN);
	replay.base = event_base_new();
	if (replay.base == NULL || start(&replay, argv, &err) < 0) {
		fprintf(stderr, "replay: %s\n", err.msg);
		return 1;
	}
	struct event *term = evsignal_new(replay.base, SIGTERM, on_signal, &replay);
	if (term == NULL || event_add(term, NULL) < 0)
		return 1;
	event_base_dispatch(replay.base);
	if (replay.status == 0 && replay.ended_us != 0 && report(&replay, &err) < 0)
		replay.status = 1;
	if (replay.device != NULL)
		bufferevent_free(replay.device);
	node_free(replay.node);
	return replay.status;
}
