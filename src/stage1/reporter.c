/* SPDX-License-Identifier: MIT */
/*
 * It uses the system's own network, whatever that is and whenever it comes, so it knows nothing of
 * links and addresses: it asks, and asks again. Its file system is the emptied initramfs; into the
 * system's it goes only when that is up, for resolv.conf.
 */
#include "stage1/reporter.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "http/client.h"
#include "node/bootend.h"
#include "stage1/kmsg.h"
#include "stage1/netconf.h"
#include "stage1/program.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTIFY_FD 3
#define URLS_FD 4
#define MOUNTS_FD 5
#define URLS_MAX ((size_t)64 * 1024) /* bytes: more than a command line has */
#define PAUSE_MS 1000
#define PATIENCE_MS 600000
#define STRETCH 32 /* the longest pause is so many of the first */

struct reporter {
	const struct reporter_params *params;
	struct event_base *base;
	struct node_bootend *bootend;
	struct http_client *client;
	struct event *again;
	size_t next;      /* URL to be asked */
	unsigned stretch; /* of the next pause */
	int status;       /* of the last answer */
	uint64_t end_ms;
	struct err failure; /* why nobody has taken it yet */
	bool told;
};

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void stop(struct reporter *r)
{
	event_base_loopbreak(r->base);
}

static int on_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	struct reporter *r = data;
	(void)get;
	r->status = answer->status;
	if (answer->status == 200)
		return 0;
	return err_raise(err, ERR_AGAIN, "the answer is %d", answer->status);
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	(void)get, (void)bytes, (void)len, (void)data, (void)err;
	return 0;
}

static void ask(struct reporter *r);

/* The next one at once; after the last a pause. */
static void failed(struct reporter *r, const struct err *failure)
{
	uint64_t pause_ms = (uint64_t)r->params->pause_ms * r->stretch;
	r->failure = *failure;
	if (++r->next < r->params->urls->len) {
		ask(r);
		return;
	}
	r->next = 0;
	if (r->stretch < STRETCH)
		r->stretch *= 2;
	const struct timeval pause = {
		(time_t)(pause_ms / 1000), (suseconds_t)(pause_ms % 1000 * 1000)};
	if (now_ms() + pause_ms > r->end_ms || event_add(r->again, &pause) < 0)
		stop(r);
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	struct reporter *r = data;
	(void)get;
	r->told = failure == NULL;
	if (r->told)
		stop(r);
	else
		failed(r, failure);
}

static void ask(struct reporter *r)
{
	static const struct http_get_ops ops = {.head = on_head, .body = on_body, .done = on_done};
	const struct http_get_params get = {.url = r->params->urls->items[r->next]};
	struct http_get *under_way;
	struct err err = ERR_INIT;
	if (http_client_get(r->client, &get, &ops, r, &under_way, &err) < 0)
		failed(r, &err);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	ask(data);
}

/* setns() leads to the root of the namespace, over which the system's is mounted by now, also when
 * it is the namespace that we are in (Linux 4.18, mntns_install()). */
static void on_up(void *data)
{
	struct reporter *r = data;
	const struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	if (r->params->mounts >= 0 && setns(r->params->mounts, CLONE_NEWNS) < 0) {
		err_sys(&r->failure, "cannot enter the system's file system");
		log_ignored(&r->failure);
	}
	r->end_ms = now_ms() + r->params->patience_ms;
	if (http_client_new(r->base, &limits, &r->client, &r->failure) < 0)
		stop(r);
	else
		ask(r);
}

int reporter_run(const struct reporter_params *params, int take_fd, struct err *err)
{
	struct reporter r = {.params = params, .base = event_base_new(), .stretch = 1};
	AUTO_FD int fd = take_fd;
	if (r.base == NULL)
		return err_oom(err);
	r.again = event_new(r.base, -1, 0, on_again, &r);
	int result = r.again == NULL ? err_oom(err) : 0;
	if (result == 0)
		result = node_bootend_new(r.base, TAKE_FD(fd), on_up, &r, &r.bootend, err);
	if (result == 0)
		event_base_dispatch(r.base);
	if (result == 0 && !r.told) {
		*err = r.failure;
		result = err_prefix(err, "cannot tell the server that the system is up");
	}
	node_bootend_free(r.bootend);
	http_client_free(r.client);
	if (r.again != NULL)
		event_free(r.again);
	event_base_free(r.base);
	return result;
}

/* A line for each origin: its URL for who is up, with the card that the machine booted from. */
static int put_urls(const struct netconf *conf, struct buf *out, struct err *err)
{
	static const uint8_t none[6];
	const uint8_t *mac = conf->net.first_mac;
	for (size_t i = 0; i < conf->node.origins.len; i++) {
		if (buf_printf(out, err, "%s/v1/up", conf->node.origins.items[i]) < 0)
			return -1;
		if (memcmp(mac, none, sizeof(none)) != 0 &&
			buf_printf(out, err, "?mac=%02x-%02x-%02x-%02x-%02x-%02x", mac[0], mac[1],
				mac[2], mac[3], mac[4], mac[5]) < 0)
			return -1;
		if (buf_put_str(out, "\n", err) < 0)
			return -1;
	}
	return 0;
}

static int keep_urls(const struct netconf *conf, int *ret_fd, struct err *err)
{
	AUTO_BUF text = {0};
	AUTO_FD int fd = memfd_create("urls", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot keep the server's address");
	if (put_urls(conf, &text, err) < 0 ||
		fd_write_full(fd, text.data, text.len, "the server's address", err) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int reporter_start(const struct cmdline *cmdline, const char *run, pid_t *ret_pid, struct err *err)
{
	AUTO_NETCONF conf = {0};
	AUTO_FD int urls = -1, notify = -1, mounts = -1;
	ERR_SCOPE(err, "cannot start who tells the server when the system is up");
	if (netconf_apply(&conf, cmdline, err) < 0)
		return -1;
	*ret_pid = 0;
	if (conf.node.origins.len == 0)
		return 0;
	AUTO_FREE char *path = path_printf(err, "%s/snowboot/" BOOTEND_SOCKET, run);
	/* Here, where /run and /proc are: they move away before it looks. */
	if (path == NULL || keep_urls(&conf, &urls, err) < 0 ||
		node_bootend_listen(path, &notify, err) < 0 ||
		fd_open(AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY, &mounts, err) < 0)
		return -1;
	const int fds[PROGRAM_FDS] = {notify, urls, mounts};
	return program_start(REPORTER_NAME, fds, ret_pid, err);
}

void reporter_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int read_urls(struct strvec *ret, struct err *err)
{
	AUTO_FREE char *text = malloc(URLS_MAX);
	AUTO_STRVEC urls = {0};
	size_t len;
	if (text == NULL)
		return err_oom(err);
	if (fd_pread_full(URLS_FD, text, URLS_MAX - 1, 0, "the server's address", &len, err) < 0)
		return -1;
	text[len] = '\0';
	for (char *rest = text, *url; (url = strsep(&rest, "\n")) != NULL;)
		if (url[0] != '\0' && strvec_push(&urls, url, err) < 0)
			return -1;
	*ret = urls;
	urls = (struct strvec){0};
	return 0;
}

int reporter_main(void)
{
	struct err err = ERR_INIT;
	AUTO_STRVEC urls = {0};
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	setsid(); /* fails for the leader of a group, who has a session */
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2 && null > 2; fd++)
		dup2(null, fd);
	(void)prctl(PR_SET_NAME, "snowboot-report"); /* for whoever looks */
	const struct reporter_params params = {.urls = &urls,
		.mounts = MOUNTS_FD,
		.pause_ms = PAUSE_MS,
		.patience_ms = PATIENCE_MS};
	if (read_urls(&urls, &err) == 0 && reporter_run(&params, NOTIFY_FD, &err) == 0)
		return 0;
	log_warning("%s", err.msg);
	return 1;
}
