/* SPDX-License-Identifier: MIT */
/*
 * A thread around libcurl's multi interface. Only the thread touches curl's handles; the others
 * leave wishes (start, go on, stop) under the lock and wake it. A transfer that breaks is begun
 * again behind what has arrived; a server that sends it all again is let, and the beginning
 * dropped.
 */
#include "source/download.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/hex.h"
#include "source/download_request.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define TRIES 4            /* in a row that were not worth it */
#define PAUSE_MS 250       /* before the second try; doubles each time */
#define POLL_MS 1000       /* the thread's longest sleep */
#define REFUSED_MAX 65536U /* bytes that are read of the page of an error */
#define CONNECTIONS_KEPT 64L
/* Bytes that a reader is woken for before the end; fewer cost more in switches than they are. */
#define READY_BYTES ((size_t)32 << 10)

enum phase { PHASE_WAITING, PHASE_RUNNING, PHASE_ENDED };

struct download {
	struct downloader *downloader;
	struct download *next, **link; /* in the downloader's list */
	char *url;
	const struct download_auth *auth;
	int fd; /* a file on this machine, which is read without curl; -1: none is open */
	/* The thread's. */
	struct download_request request;
	uint64_t received; /* bytes that went into `data` */
	uint64_t skip;     /* bytes of this try that were there already */
	bool looked;       /* at how this try's answer begins */
	uint64_t at_try;   /* `received` when this try began */
	int64_t try_ms;    /* when that was */
	size_t refused;    /* bytes of the page that says why */
	unsigned tries;
	int64_t due_ms; /* waiting: not before */
	/* Under the lock. */
	pthread_cond_t change; /* enough bytes arrived, or it ended */
	enum phase phase;
	struct buf data; /* arrived; read up to `at` */
	size_t at;
	bool paused, stopping;
	struct err failure;
};

struct downloader {
	pthread_mutex_t lock;
	pthread_t thread;
	bool started, closing;
	bool woken;             /* the thread will look at what is wished for */
	struct download *first; /* all of them */
	CURLM *multi;
	char *netrc, *tls_trust; /* or NULL */
	unsigned stall_s;
};

/* Lets the thread look at what is wished for. Under the lock. */
static void wake(struct downloader *dl)
{
	if (!dl->woken)
		(void)curl_multi_wakeup(dl->multi); /* if not, it looks after a second */
	dl->woken = true;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Called by curl in the thread. */
static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct download *d = user;
	size_t len = size * count, taken = len;
	struct err err = ERR_INIT;
	if (download_request_refused(&d->request)) {
		d->refused += len;
		return d->refused <= REFUSED_MAX ? len : 0;
	}
	if (!d->looked && d->received > 0 && !download_request_resumed(&d->request))
		d->skip = d->received;
	d->looked = true;
	pthread_mutex_lock(&d->downloader->lock);
	if (d->data.len - d->at + len > DOWNLOAD_WINDOW && d->data.len > d->at) {
		d->paused = true;
		pthread_mutex_unlock(&d->downloader->lock);
		return CURL_WRITEFUNC_PAUSE;
	}
	/* Bytes that were there already. */
	size_t old = d->skip < len ? (size_t)d->skip : len;
	d->skip -= old;
	if (buf_put(&d->data, bytes + old, len - old, &err) < 0)
		taken = 0;
	else
		d->received += len - old;
	if (d->data.len - d->at >= READY_BYTES)
		pthread_cond_signal(&d->change);
	pthread_mutex_unlock(&d->downloader->lock);
	return taken;
}

/* Under the lock. */
static void begin_try(struct downloader *dl, struct download *d)
{
	const struct download_ask ask = {.url = d->url,
		.auth = d->auth,
		.netrc = dl->netrc,
		.tls_trust = dl->tls_trust,
		.stall_s = dl->stall_s,
		.from = d->received,
		.on_body = on_body,
		.user = d};
	d->at_try = d->received;
	d->try_ms = now_ms();
	d->refused = 0;
	d->skip = 0;
	d->looked = false;
	d->paused = false;
	d->phase = PHASE_RUNNING;
	if (download_request_begin(&d->request, &ask, dl->multi, &d->failure) < 0)
		d->phase = PHASE_ENDED;
	if (d->phase == PHASE_ENDED)
		pthread_cond_signal(&d->change);
}

/* Fewer bytes than the lowest rate asks for, by one connection after another, are too few, too. */
static bool was_worth_it(const struct download *d)
{
	int64_t seconds = (now_ms() - d->try_ms) / 1000 + 1;
	return d->received - d->at_try >= (uint64_t)seconds * DOWNLOAD_SLOWEST;
}

/* A try ended: with the file, with a failure, or with another try to come. */
static void end_try(struct downloader *dl, struct download *d, CURLcode code)
{
	struct err err = ERR_INIT;
	int again = download_request_end(&d->request, dl->multi, code, &err);
	pthread_mutex_lock(&dl->lock);
	if (was_worth_it(d))
		d->tries = 0;
	d->phase = PHASE_ENDED;
	if (again == 1 && ++d->tries < TRIES) {
		d->phase = PHASE_WAITING;
		d->due_ms = now_ms() + ((int64_t)PAUSE_MS << d->tries);
	} else {
		d->failure = err;
	}
	pthread_cond_signal(&d->change);
	pthread_mutex_unlock(&dl->lock);
}

static void free_download(struct downloader *dl, struct download *d)
{
	download_request_drop(&d->request, dl->multi);
	*d->link = d->next;
	if (d->next != NULL)
		d->next->link = d->link;
	buf_done(&d->data);
	pthread_cond_destroy(&d->change);
	free(d->url);
	free(d);
}

/* Does what others wished for. Returns the time until the next try. Under the lock. */
static int attend(struct downloader *dl)
{
	int64_t now = now_ms(), wait = POLL_MS;
	dl->woken = false;
	for (struct download *d = dl->first, *next; d != NULL; d = next) {
		next = d->next;
		if (d->stopping) {
			free_download(dl, d);
			continue;
		}
		if (d->phase == PHASE_WAITING && d->due_ms <= now)
			begin_try(dl, d);
		if (d->phase == PHASE_WAITING && d->due_ms - now < wait)
			wait = d->due_ms - now;
		if (d->phase == PHASE_RUNNING && d->paused &&
			d->data.len - d->at < DOWNLOAD_WINDOW / 2) {
			d->paused = false;
			/* Calls on_body(), which takes the lock. */
			pthread_mutex_unlock(&dl->lock);
			(void)curl_easy_pause(d->request.curl, CURLPAUSE_CONT);
			pthread_mutex_lock(&dl->lock);
			next = d->next;
		}
	}
	return (int)wait;
}

static void *run(void *arg)
{
	struct downloader *dl = arg;
	for (;;) {
		pthread_mutex_lock(&dl->lock);
		int wait = attend(dl), running, left;
		bool closing = dl->closing;
		pthread_mutex_unlock(&dl->lock);
		if (closing)
			return NULL;
		(void)curl_multi_perform(
			dl->multi, &running); /* each transfer tells its own failure */
		bool ended = false;
		for (CURLMsg *msg; (msg = curl_multi_info_read(dl->multi, &left)) != NULL;) {
			struct download *d;
			if (msg->msg != CURLMSG_DONE)
				continue;
			CURLcode code = msg->data.result;
			(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&d);
			end_try(dl, d, code);
			ended = true;
		}
		if (!ended)
			(void)curl_multi_poll(dl->multi, NULL, 0, wait, NULL);
	}
}

static int copy(const char *from, char **to, struct err *err)
{
	*to = from != NULL ? strdup(from) : NULL;
	return from == NULL || *to != NULL ? 0 : err_oom(err);
}

int downloader_new(const struct downloader_params *params, struct downloader **ret, struct err *err)
{
	struct downloader *dl = calloc(1, sizeof(*dl));
	if (dl == NULL)
		return err_oom(err);
	pthread_mutex_init(&dl->lock, NULL);
	dl->stall_s = params->stall_s;
	(void)curl_global_init(CURL_GLOBAL_DEFAULT); /* if not, the next call fails */
	dl->multi = curl_multi_init();
	/* Else as many as four times the transfers of the moment, which may be few. */
	if (dl->multi != NULL)
		(void)curl_multi_setopt(dl->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	int errnum = 0;
	if (dl->multi == NULL)
		err_oom(err);
	else if (copy(params->netrc, &dl->netrc, err) == 0 &&
		copy(params->tls_trust, &dl->tls_trust, err) == 0 &&
		(errnum = pthread_create(&dl->thread, NULL, run, dl)) != 0)
		err_errno(err, errnum, "cannot start a thread");
	dl->started = err_clean(err);
	if (!dl->started) {
		downloader_free(dl);
		return -1;
	}
	*ret = dl;
	return 0;
}

struct downloader *downloader_free(struct downloader *dl)
{
	if (dl == NULL)
		return NULL;
	if (dl->started) {
		pthread_mutex_lock(&dl->lock);
		dl->closing = true;
		pthread_mutex_unlock(&dl->lock);
		(void)curl_multi_wakeup(dl->multi);
		pthread_join(dl->thread, NULL);
	}
	while (dl->first != NULL)
		free_download(dl, dl->first);
	curl_multi_cleanup(dl->multi);
	pthread_mutex_destroy(&dl->lock);
	free(dl->netrc);
	free(dl->tls_trust);
	free(dl);
	return NULL;
}

static bool is_file(const char *url)
{
	return strncmp(url, "file://", 7) == 0;
}

/* The file's name, with %XX unescaped; the caller owns it. */
static char *file_name(const char *url)
{
	char *name = strdup(url + strlen("file://")), *to = name;
	for (const char *p = name; name != NULL && *p != '\0'; p++) {
		uint8_t byte;
		if (p[0] == '%' && p[1] != '\0' && hex_decode(p + 1, 2, &byte, 1) && byte != 0) {
			*to++ = (char)byte;
			p += 2;
		} else {
			*to++ = *p;
		}
	}
	if (to != NULL)
		*to = '\0';
	return name;
}

static int read_file(struct download *d, void *data, size_t max, size_t *ret_len, struct err *err)
{
	AUTO_FREE char *name = file_name(d->url);
	if (name == NULL)
		return err_oom(err);
	if (d->fd < 0) {
		d->fd = open(name, O_RDONLY | O_CLOEXEC);
		if (d->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			return err_raise(
				err, ERR_NOT_FOUND, "cannot fetch '%s': there is none", d->url);
		if (d->fd < 0)
			return err_sys(err, "cannot fetch '%s'", d->url);
	}
	return fd_read_full(d->fd, data, max, name, ret_len, err);
}

int download_start(struct downloader *dl, const char *url, const struct download_auth *auth,
	struct download **ret, struct err *err)
{
	struct download *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return err_oom(err);
	*d = (struct download){
		.downloader = dl, .auth = auth, .link = &dl->first, .url = strdup(url), .fd = -1};
	if (d->url == NULL) {
		free(d);
		return err_oom(err);
	}
	if (is_file(url)) {
		*ret = d;
		return 0;
	}
	pthread_cond_init(&d->change, NULL);
	pthread_mutex_lock(&dl->lock);
	d->next = dl->first;
	if (d->next != NULL)
		d->next->link = &d->next;
	dl->first = d;
	wake(dl);
	pthread_mutex_unlock(&dl->lock);
	*ret = d;
	return 0;
}

/* Takes what has arrived. Under the lock. */
static size_t take(struct download *d, void *data, size_t max)
{
	size_t len = d->data.len - d->at;
	if (len > max)
		len = max;
	if (len > 0)
		memcpy(data, d->data.data + d->at, len);
	d->at += len;
	/* Moves the rest to the front when that costs less than what was read. */
	if (d->at >= d->data.len - d->at) {
		size_t rest = d->data.len - d->at;
		if (rest > 0)
			memmove(d->data.data, d->data.data + d->at, rest);
		d->data.len = rest;
		d->at = 0;
	}
	return len;
}

int download_read(struct download *d, void *data, size_t max, size_t *ret_len, struct err *err)
{
	struct downloader *dl = d->downloader;
	if (is_file(d->url))
		return read_file(d, data, max, ret_len, err);
	pthread_mutex_lock(&dl->lock);
	while (d->data.len - d->at < READY_BYTES && d->phase != PHASE_ENDED)
		pthread_cond_wait(&d->change, &dl->lock);
	*ret_len = take(d, data, max);
	int r = 0;
	if (*ret_len == 0 && !err_clean(&d->failure)) {
		*err = d->failure;
		r = -1;
	}
	if (d->paused && d->data.len - d->at < DOWNLOAD_WINDOW / 2)
		wake(dl);
	pthread_mutex_unlock(&dl->lock);
	return r;
}

struct download *download_stop(struct download *d)
{
	if (d == NULL)
		return NULL;
	struct downloader *dl = d->downloader;
	if (is_file(d->url)) {
		fd_close_ptr(&d->fd);
		free(d->url);
		free(d);
		return NULL;
	}
	pthread_mutex_lock(&dl->lock);
	d->stopping = true;
	if (d->phase == PHASE_RUNNING) /* curl has it */
		wake(dl);
	else
		free_download(dl, d);
	pthread_mutex_unlock(&dl->lock);
	return NULL;
}

const char *download_url(const struct download *d)
{
	return d->url;
}
