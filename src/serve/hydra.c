/* SPDX-License-Identifier: MIT */
/*
 * libcurl's easy interface in a thread: names may have to be looked up, which waits. Thread and
 * loop share the question, which belongs to whoever lets go of it last.
 */
#include "serve/hydra.h"

#include "base/buf.h"
#include "base/fd.h"
#include "nix/store_path.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define DEADLINE_S 30L
#define REDIRECTS_MAX 5L
#define STORE_DIR "/nix/store"

struct hydra_query {
	char *url;
	pthread_mutex_t lock; /* of the next two */
	bool dropped;         /* nobody waits any longer */
	bool finished;
	char *path;
	struct err failure;
	int wake; /* eventfd */
	struct event *readable;
	hydra_done_fn *done;
	void *data;
};

static void query_free(struct hydra_query *q)
{
	fd_close_ptr(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q->url);
	free(q->path);
	free(q);
}

int hydra_parse(const char *json, size_t len, char **ret, struct err *err)
{
	json_error_t error;
	json_t *root = json_loadb(json, len, 0, &error);
	if (root == NULL)
		return err_raise(err, ERR_CORRUPT, "the answer is no JSON: line %d", error.line);
	const json_t *out = json_object_get(json_object_get(root, "buildoutputs"), "out");
	const char *path = json_string_value(json_object_get(out, "path"));
	int r = -1;
	if (path == NULL)
		err_raise(err, ERR_CORRUPT, "the build has no output 'out'");
	else if (store_path_check(path, STORE_DIR, err) == 0) {
		*ret = strdup(path);
		r = *ret != NULL ? 0 : err_oom(err);
	}
	json_decref(root);
	return r;
}

static size_t on_bytes(char *data, size_t size, size_t count, void *user)
{
	struct err err = ERR_INIT;
	return buf_put(user, data, size * count, &err) == 0 ? size * count : 0;
}

static int perform(CURL *curl, struct hydra_query *q, struct buf *body, struct err *err)
{
	struct curl_slist *fields = curl_slist_append(NULL, "Accept: application/json");
	long status = 0;
	curl_easy_setopt(curl, CURLOPT_URL, q->url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, DEADLINE_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "snowboot/" SNOWBOOT_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(fields);
	if (code != CURLE_OK)
		return err_raise(err, code == CURLE_WRITE_ERROR ? ERR_LIMIT : ERR_IO, "%s",
			code == CURLE_WRITE_ERROR ? "the answer is too large"
						  : curl_easy_strerror(code));
	if (status != 200)
		return err_raise(err, ERR_NOT_FOUND, "status %ld", status);
	return 0;
}

static void ask(struct hydra_query *q)
{
	AUTO_BUF body = {.max = HYDRA_ANSWER_MAX};
	CURL *curl = curl_easy_init();
	if (curl == NULL) {
		err_oom(&q->failure);
		return;
	}
	if (perform(curl, q, &body, &q->failure) < 0 ||
		hydra_parse((const char *)body.data, body.len, &q->path, &q->failure) < 0)
		err_prefix(&q->failure, "asking '%s'", q->url);
	curl_easy_cleanup(curl);
}

static void *run(void *data)
{
	struct hydra_query *q = data;
	ask(q);
	pthread_mutex_lock(&q->lock);
	q->finished = true;
	bool dropped = q->dropped;
	if (!dropped)
		(void)eventfd_write(q->wake, 1); /* its counter is 0: it cannot be full */
	pthread_mutex_unlock(&q->lock);
	if (dropped)
		query_free(q);
	return NULL;
}

static void on_wake(evutil_socket_t fd, short what, void *data)
{
	struct hydra_query *q = data;
	(void)what;
	eventfd_t count;
	(void)eventfd_read(fd, &count);         /* it says only that there is an answer */
	q->done(q->path, &q->failure, q->data); /* may free us */
}

int hydra_ask(struct event_base *base, const char *url, hydra_done_fn *done, void *data,
	struct hydra_query **ret, struct err *err)
{
	struct hydra_query *q = calloc(1, sizeof(*q));
	if (q == NULL)
		return err_oom(err);
	pthread_mutex_init(&q->lock, NULL);
	q->failure = ERR_INIT;
	q->done = done;
	q->data = data;
	q->url = strdup(url);
	q->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->wake >= 0)
		q->readable = event_new(base, q->wake, EV_READ | EV_PERSIST, on_wake, q);
	pthread_t thread;
	int r = EAGAIN;
	if (q->url != NULL && q->readable != NULL && event_add(q->readable, NULL) == 0)
		r = pthread_create(&thread, NULL, run, q);
	if (r == 0) {
		pthread_detach(thread);
		*ret = q;
		return 0;
	}
	if (q->readable != NULL)
		event_free(q->readable);
	query_free(q);
	return err_errno(err, r, "cannot start a thread to ask '%s'", url);
}

struct hydra_query *hydra_free(struct hydra_query *q)
{
	if (q == NULL)
		return NULL;
	event_free(q->readable);
	pthread_mutex_lock(&q->lock);
	q->dropped = true;
	bool finished = q->finished;
	pthread_mutex_unlock(&q->lock);
	if (finished)
		query_free(q);
	return NULL;
}
