/* SPDX-License-Identifier: MIT */
/* Rendering of steps. Lines are flushed at once: somebody may be waiting for them. */
#include "serve/journal.h"

#include "base/mem.h"
#include "serve/neighbour.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

static void put_bytes(FILE *out, uint64_t bytes)
{
	static const char units[][3] = {"kB", "MB", "GB", "TB"};
	if (bytes < 1000) {
		fprintf(out, " %" PRIu64 " bytes", bytes);
		return;
	}
	double v = (double)bytes / 1000;
	size_t unit = 0;
	for (; v >= 1000 && unit + 1 < ARRAY_LEN(units); unit++)
		v /= 1000;
	fprintf(out, " %.1f %s", v, units[unit]);
}

static void put_text(FILE *out, const struct journal_step *s)
{
	char at[16];
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(at, sizeof(at), "%H:%M:%S", &tm);
	fprintf(out, "%s", at);
	if (s->client != NULL)
		fprintf(out, " %s", s->client);
	if (s->mac != NULL)
		fprintf(out, " %s", s->mac);
	fprintf(out, " %s:", s->step);
	if (s->subject != NULL)
		fprintf(out, " %s", s->subject);
	if (s->status != 0 && s->status != 200)
		fprintf(out, " %d", s->status);
	if (s->total_bytes != 0) {
		put_bytes(out, s->bytes);
		if (s->bytes != s->total_bytes) {
			fputs(" of", out);
			put_bytes(out, s->total_bytes);
		}
	}
	double seconds = (double)s->elapsed_us / 1e6;
	if (s->elapsed_us != 0)
		fprintf(out, " in %.3f s", seconds);
	if (s->elapsed_us != 0 && s->bytes >= 1000000)
		fprintf(out, " (%.0f MB/s)", (double)s->bytes / 1e6 / seconds);
	if (s->note != NULL)
		fprintf(out, "%s %s", s->subject != NULL ? "," : "", s->note);
	fputc('\n', out);
}

static void set_string(json_t *object, const char *key, const char *value)
{
	if (value == NULL)
		return;
	json_t *string = json_string(value);
	/* Bytes that are no UTF-8 came from a client: it is named, if not as it likes. */
	json_object_set_new(object, key, string != NULL ? string : json_string("?"));
}

char *journal_json(const struct journal_step *s)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	json_t *object = json_object();
	json_object_set_new(
		object, "time", json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9));
	set_string(object, "step", s->step);
	set_string(object, "client", s->client);
	set_string(object, "mac", s->mac);
	set_string(object, "subject", s->subject);
	set_string(object, "note", s->note);
	if (s->status != 0)
		json_object_set_new(object, "status", json_integer(s->status));
	if (s->status != 0 || s->total_bytes != 0) {
		json_object_set_new(object, "bytes", json_integer((json_int_t)s->bytes));
		json_object_set_new(object, "total", json_integer((json_int_t)s->total_bytes));
	}
	if (s->percent != 0)
		json_object_set_new(object, "percent", json_integer(s->percent));
	else if (s->status != 0 || s->total_bytes != 0)
		json_object_set_new(object, "seconds", json_real((double)s->elapsed_us / 1e6));
	char *text =
		json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(16));
	json_decref(object);
	return text;
}

void journal_put(const struct journal *journal, const struct journal_step *step)
{
	if (journal->json) {
		AUTO_FREE char *line = journal_json(step);
		fprintf(journal->out, "%s\n", line != NULL ? line : "{}");
	} else {
		put_text(journal->out, step);
	}
	fflush(journal->out);
}

bool journal_find_mac(const char *client, char mac[18])
{
	return neighbour_find(client, mac);
}
