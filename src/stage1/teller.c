/* SPDX-License-Identifier: MIT */
/* It knows nothing of links and addresses: whether there is a network yet shows by asking. */
#include "stage1/teller.h"

#include "base/fd.h"
#include "http/client.h"
#include "http/query.h"

#include <event2/event.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define URLS_MAX \
	((size_t)256 * 1024) /* bytes: more than a command line has, each with a reason \
			      */
#define STRETCH 32           /* the longest pause is so many of the first */

struct teller {
	struct teller_params params;
	void (*done)(const struct err *failure, void *data);
	void *data;
	struct http_client *client;
	struct event *again;
	size_t next;      /* URL to be asked */
	unsigned stretch; /* of the next pause */
	uint64_t end_ms;
};

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int on_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	(void)get, (void)data;
	if (answer->status == 200)
		return 0;
	return err_raise(err, ERR_AGAIN, "the answer is %d", answer->status);
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	(void)get, (void)bytes, (void)len, (void)data, (void)err;
	return 0;
}

static void ask(struct teller *t);

/* The next one at once; after the last a pause. */
static void failed(struct teller *t, const struct err *failure)
{
	uint64_t pause_ms = (uint64_t)t->params.pause_ms * t->stretch;
	if (++t->next < t->params.urls->len) {
		ask(t);
		return;
	}
	t->next = 0;
	if (t->stretch < STRETCH)
		t->stretch *= 2;
	const struct timeval pause = {
		(time_t)(pause_ms / 1000), (suseconds_t)(pause_ms % 1000 * 1000)};
	if (now_ms() + pause_ms > t->end_ms || event_add(t->again, &pause) < 0)
		t->done(failure, t->data);
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	struct teller *t = data;
	(void)get;
	if (failure == NULL)
		t->done(NULL, t->data);
	else
		failed(t, failure);
}

static void ask(struct teller *t)
{
	static const struct http_get_ops ops = {.head = on_head, .body = on_body, .done = on_done};
	const struct http_get_params get = {.url = t->params.urls->items[t->next]};
	struct http_get *under_way;
	struct err err = ERR_INIT;
	if (http_client_get(t->client, &get, &ops, t, &under_way, &err) < 0)
		failed(t, &err);
}

static void on_again(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what;
	ask(data);
}

int teller_new(struct event_base *base, const struct teller_params *params,
	void (*done)(const struct err *failure, void *data), void *data, struct teller **ret,
	struct err *err)
{
	const struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	const struct timeval at_once = {0};
	struct teller *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_oom(err);
	*t = (struct teller){.params = *params,
		.done = done,
		.data = data,
		.stretch = 1,
		.end_ms = now_ms() + params->patience_ms};
	t->again = event_new(base, -1, 0, on_again, t);
	if (t->again == NULL || event_add(t->again, &at_once) < 0) {
		teller_free(t);
		return err_oom(err);
	}
	if (http_client_new(base, &limits, &t->client, err) < 0) {
		teller_free(t);
		return -1;
	}
	*ret = t;
	return 0;
}

struct teller *teller_free(struct teller *t)
{
	if (t == NULL)
		return NULL;
	http_client_free(t->client);
	if (t->again != NULL)
		event_free(t->again);
	free(t);
	return NULL;
}

static int put_url(const struct netconf *conf, const char *origin, const char *what,
	const char *why, struct buf *out, struct err *err)
{
	static const uint8_t none[6];
	const uint8_t *mac = conf->net.first_mac;
	bool card = memcmp(mac, none, sizeof(none)) != 0;
	if (buf_printf(out, err, "%s/v1/%s", origin, what) < 0)
		return -1;
	if (card &&
		buf_printf(out, err, "?mac=%02x-%02x-%02x-%02x-%02x-%02x", mac[0], mac[1], mac[2],
			mac[3], mac[4], mac[5]) < 0)
		return -1;
	if (why != NULL &&
		(buf_put_str(out, card ? "&why=" : "?why=", err) < 0 ||
			http_query_put(why, out, err) < 0))
		return -1;
	return buf_put_str(out, "\n", err);
}

int teller_keep_urls(
	const struct netconf *conf, const char *what, const char *why, int *ret_fd, struct err *err)
{
	AUTO_BUF text = {0};
	AUTO_FD int fd = memfd_create("urls", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot keep the server's address");
	for (size_t i = 0; i < conf->node.origins.len; i++)
		if (put_url(conf, conf->node.origins.items[i], what, why, &text, err) < 0)
			return -1;
	if (fd_write_full(fd, text.data, text.len, "the server's address", err) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int teller_read_urls(int fd, struct strvec *ret, struct err *err)
{
	AUTO_FREE char *text = malloc(URLS_MAX);
	AUTO_STRVEC urls = {0};
	size_t len;
	if (text == NULL)
		return err_oom(err);
	if (fd_pread_full(fd, text, URLS_MAX - 1, 0, "the server's address", &len, err) < 0)
		return -1;
	text[len] = '\0';
	for (char *rest = text, *url; (url = strsep(&rest, "\n")) != NULL;)
		if (url[0] != '\0' && strvec_push(&urls, url, err) < 0)
			return -1;
	*ret = urls;
	urls = (struct strvec){0};
	return 0;
}
