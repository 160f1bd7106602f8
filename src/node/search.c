/* SPDX-License-Identifier: MIT */
/*
 * The search for a manifest. What may come back is waited for without end: an origin that is off,
 * or busy. What waiting does not mend is a failure, but only when every origin has answered: one
 * bad mirror keeps nobody from booting. After a while without any origin the last good manifest
 * counts, so that a machine with a warm cache outlives its origin.
 */
#include "node/search.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "node/fetch.h"

#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define PAUSE_MIN_MS 250u
#define PAUSE_MAX_MS 5000u
#define OUTAGE_MS 10000u /* without an origin, before the last good manifest is taken */
#define NOTE_HEAD "serial "

struct node_search {
	const struct node_config *config;
	struct http_client *client;
	struct cache *cache;
	struct node_search_ops ops;
	struct event *timer;
	struct http_get *get;
	uint64_t begun_us;
	unsigned pause_ms;
	size_t origin; /* that is being asked */
	unsigned rounds;
	bool later; /* in this round an origin was away */
	uint64_t min_serial;
	int status;
	int64_t origin_now;
	char *url;
	struct buf text;
	char away[160];     /* why the last one that is away is */
	struct err failure; /* the first of this round that waiting does not mend */
};

static void ask(struct node_search *s);

static void note_name(const char *name, char ret[sizeof("manifest.") + 16])
{
	struct digest digest = digest_of(name, strlen(name));
	char hex[DIGEST_HEX_SIZE];
	snprintf(ret, sizeof("manifest.") + 16, "manifest.%.16s", digest_hex(&digest, hex));
}

void node_search_remember(
	struct cache *cache, const struct manifest *manifest, const struct buf *text)
{
	AUTO_BUF note = {0};
	struct err err = ERR_INIT;
	char name[sizeof("manifest.") + 16];
	note_name(manifest->name, name);
	if (buf_printf(&note, &err, NOTE_HEAD "%" PRIu64 "\n", manifest->serial) < 0 ||
		buf_put(&note, text->data, text->len, &err) < 0) {
		log_ignored(&err);
		return;
	}
	cache_note_set(cache, name, note.data, note.len);
}

/* The note's serial, 0 without one, and its manifest's text. The disk is not believed: the serial
 * only makes us pickier, and the manifest is checked as if it came from an origin. */
static uint64_t read_note(const struct node_search *s, struct buf *text, struct err *err)
{
	char name[sizeof("manifest.") + 16];
	note_name(s->config->name, name);
	const struct buf *note = cache_note(s->cache, name);
	const size_t head = strlen(NOTE_HEAD);
	if (note == NULL || note->len < head || memcmp(note->data, NOTE_HEAD, head) != 0)
		return 0;
	uint64_t serial = 0;
	size_t i = head;
	for (; i < note->len && note->data[i] >= '0' && note->data[i] <= '9'; i++)
		if (!mem_mul(serial, 10, &serial) ||
			!mem_add(serial, (uint64_t)(note->data[i] - '0'), &serial))
			return 0;
	if (i < note->len && note->data[i] == '\n' && text != NULL &&
		buf_put(text, note->data + i + 1, note->len - i - 1, err) < 0)
		return 0;
	return serial;
}

static int check(const struct node_search *s, const struct buf *text, uint64_t min_serial,
	int64_t now, int64_t origin_now, struct manifest *ret, struct err *err)
{
	AUTO_MANIFEST manifest = {0};
	if (manifest_decode((const char *)text->data, text->len, &manifest, err) < 0)
		return -1;
	const struct manifest_trust trust = {.keys = &s->config->keys,
		.name = s->config->name,
		.min_serial = min_serial,
		.now = now != 0 ? now : manifest.issued,
		.origin_now = origin_now};
	if (manifest_check(&manifest, &trust, err) < 0)
		return -1;
	*ret = manifest;
	manifest = (struct manifest){0};
	return 0;
}

static void after(struct node_search *s, unsigned ms)
{
	struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
	event_add(s->timer, &wait);
}

/* The manifest of the node that was here before us. Expiry counts when a machine boots, and it has
 * booted: so the time is that of issue. */
static bool resume(struct node_search *s)
{
	struct manifest manifest = {0};
	struct err err = ERR_INIT;
	if (!s->config->resume || s->config->state_dir == NULL)
		return false;
	AUTO_FREE char *path = path_printf(&err, "%s/manifest", s->config->state_dir);
	buf_clear(&s->text);
	if (path == NULL || fd_read_file(AT_FDCWD, path, MANIFEST_MAX, &s->text, &err) < 0 ||
		check(s, &s->text, 0, 0, 0, &manifest, &err) < 0) {
		if (err.kind != ERR_NOT_FOUND)
			log_ignored(&err);
		return false;
	}
	log_info("going on with serial %" PRIu64 " of '%s'", manifest.serial, manifest.name);
	s->ops.done(&manifest, &s->text, NULL, s->ops.data);
	return true;
}

static bool fall_back(struct node_search *s)
{
	struct manifest manifest = {0};
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	if (read_note(s, &text, &err) == 0 || text.len == 0)
		return false;
	if (check(s, &text, 0, time(NULL), 0, &manifest, &err) < 0) {
		err_prefix(&err, "the last good manifest");
		log_ignored(&err);
		return false;
	}
	log_warning("no origin answers, using serial %" PRIu64 " of '%s' from the cache instead",
		manifest.serial, manifest.name);
	s->ops.done(&manifest, &text, NULL, s->ops.data);
	return true;
}

static void end_round(struct node_search *s)
{
	if (!s->later) {
		struct err failure = s->failure;
		s->ops.done(NULL, NULL, &failure, s->ops.data);
		return;
	}
	uint64_t waited_ms = (node_clock_us() - s->begun_us) / 1000;
	if (waited_ms >= OUTAGE_MS && fall_back(s))
		return;
	s->ops.progress(s->away, s->ops.data);
	after(s, s->pause_ms);
	s->pause_ms = s->pause_ms * 2 < PAUSE_MAX_MS ? s->pause_ms * 2 : PAUSE_MAX_MS;
	s->origin = 0;
	s->rounds++;
	s->later = false;
	err_reset(&s->failure);
}

static const char *origin(const struct node_search *s)
{
	return s->config->origins.items[s->origin];
}

/* This origin has none that we may boot. */
static void pass_over(struct node_search *s, const struct err *why, bool later)
{
	if ((s->rounds & (s->rounds - 1)) == 0) /* ever more rarely */
		log_warning("%s, %s", why->msg, later ? "trying again" : "passing it over");
	if (later) {
		s->later = true;
		snprintf(s->away, sizeof(s->away), "no origin answers: %.130s", why->msg);
	}
	if (!later && s->failure.kind == ERR_NONE)
		s->failure = *why;
	s->origin++;
	ask(s);
}

static int on_head(
	struct http_get *get, const struct http_answer *answer, void *data, struct err *err)
{
	struct node_search *s = data;
	(void)get;
	s->status = answer->status;
	s->origin_now = answer->date;
	if (answer->status == 200)
		return 0;
	if (answer->status == 404 || answer->status == 410)
		return err_raise(err, ERR_NOT_FOUND, "there is none");
	if (answer->status == 429 || answer->status >= 500)
		return err_raise(err, ERR_AGAIN, "it answers with status %d", answer->status);
	return err_raise(err, ERR_CORRUPT, "it answers with status %d", answer->status);
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	struct node_search *s = data;
	(void)get;
	if (len > MANIFEST_MAX - s->text.len)
		return err_raise(err, ERR_CORRUPT, "more than %zu bytes", MANIFEST_MAX);
	return buf_put(&s->text, bytes, len, err);
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	struct node_search *s = data;
	struct manifest manifest = {0};
	struct err err = ERR_INIT;
	(void)get;
	s->get = NULL;
	if (failure != NULL) {
		bool answered = s->status != 0 || failure->kind == ERR_USAGE;
		err = *failure;
		if (err.kind == ERR_NOT_FOUND && s->status != 0)
			err_hint(&err, "the origin must serve a system by the name '%s'",
				s->config->name);
		pass_over(s, &err, !answered || failure->kind == ERR_AGAIN);
	} else if (check(s, &s->text, s->min_serial, time(NULL), s->origin_now, &manifest, &err) <
		0) {
		err_prefix(&err, "origin '%s'", origin(s));
		pass_over(s, &err, err.kind == ERR_NOMEM);
	} else {
		s->ops.done(&manifest, &s->text, NULL, s->ops.data);
	}
}

static const struct http_get_ops get_ops = {.head = on_head, .body = on_body, .done = on_done};

/* Of what a name may have (manifest_name_valid()) only '?' means something else in a URL. */
static char *make_url(const struct node_search *s, struct err *err)
{
	AUTO_BUF url = {0};
	if (buf_printf(&url, err, "%s/v1/manifests/", origin(s)) < 0)
		return NULL;
	for (const char *p = s->config->name; *p != '\0'; p++)
		if (*p == '?' ? buf_put_str(&url, "%3F", err) < 0 : buf_put(&url, p, 1, err) < 0)
			return NULL;
	return buf_take_str(&url, err);
}

static void ask(struct node_search *s)
{
	struct err err = ERR_INIT;
	if (s->origin == s->config->origins.len) {
		end_round(s);
		return;
	}
	free(s->url);
	s->url = make_url(s, &err);
	s->status = 0;
	s->origin_now = 0;
	buf_clear(&s->text);
	const struct http_get_params params = {.url = s->url, .urgent = true};
	if (s->url == NULL || http_client_get(s->client, &params, &get_ops, s, &s->get, &err) < 0)
		pass_over(s, &err, err.kind == ERR_NOMEM);
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	struct node_search *s = data;
	(void)fd;
	(void)what;
	bool first = s->begun_us == 0;
	if (first)
		s->begun_us = node_clock_us();
	if (!first || !resume(s))
		ask(s);
}

int node_search_new(struct event_base *base, const struct node_config *config,
	struct http_client *client, struct cache *cache, const struct node_search_ops *ops,
	struct node_search **ret, struct err *err)
{
	struct node_search *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_oom(err);
	*s = (struct node_search){.config = config,
		.client = client,
		.cache = cache,
		.ops = *ops,
		.pause_ms = PAUSE_MIN_MS,
		.rounds = 1,
		.failure = ERR_INIT};
	s->min_serial = read_note(s, NULL, err);
	s->timer = evtimer_new(base, on_timer, s);
	if (s->timer == NULL) {
		free(s);
		return err_oom(err);
	}
	after(s, 0);
	*ret = s;
	return 0;
}

struct node_search *node_search_free(struct node_search *search)
{
	if (search == NULL)
		return NULL;
	if (search->get != NULL)
		http_get_cancel(search->get);
	event_free(search->timer);
	free(search->url);
	buf_done(&search->text);
	free(search);
	return NULL;
}
