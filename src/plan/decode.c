/* SPDX-License-Identifier: MIT */
/*
 * Reads the hand-over plan's text. Everything is bounded, every key stands once, and the last line
 * must be there, so that a plan that was cut off is never obeyed.
 */
#include "plan/plan.h"

#include "plan/text.h"

#include <inttypes.h>
#include <string.h>

struct reader {
	const char *rest, *end;
	size_t line; /* number of the line that is being read, from 1 */
	struct plan *plan;
	bool has_kind, has_size, ended;
};

/* A word of the line, not terminated. */
struct span {
	const char *at;
	size_t len;
};

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static int bad_line(const struct reader *r, const char *what, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "plan: line %zu %s", r->line, what);
}

/* Splits off what stands before the next blank; false when the line is used up. */
static bool next_word(struct span *line, struct span *ret)
{
	if (line->len == 0)
		return false;
	const char *blank = memchr(line->at, ' ', line->len);
	size_t len = blank != NULL ? (size_t)(blank - line->at) : line->len;
	*ret = (struct span){line->at, len};
	size_t used = blank != NULL ? len + 1 : len;
	*line = (struct span){line->at + used, line->len - used};
	return true;
}

/* Decimal without a sign or leading zeros, so that a plan has one spelling. */
static bool read_number(struct span s, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.len == 0 || (s.len > 1 && s.at[0] == '0'))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9')
			return false;
		if (!mem_mul(v, 10, &v) || !mem_add(v, (uint64_t)(s.at[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return true;
}

static int read_string(struct reader *r, struct span value, char **field, struct err *err)
{
	if (*field != NULL)
		return bad_line(r, "repeats a key", err);
	if (value.len == 0)
		return bad_line(r, "has no value", err);
	*field = strndup(value.at, value.len);
	return *field != NULL ? 0 : err_oom(err);
}

static int read_path(struct reader *r, struct span value, char **field, struct err *err)
{
	if (value.len > 0 && value.at[0] != '/')
		return bad_line(r, "has a path that is not absolute", err);
	return read_string(r, value, field, err);
}

static int read_kind(struct reader *r, struct span value, struct err *err)
{
	static const enum system_kind kinds[] = {
		SYSTEM_SCRIPTED, SYSTEM_SYSTEMD, SYSTEM_NIXOS_INIT};
	if (r->has_kind)
		return bad_line(r, "repeats a key", err);
	r->has_kind = true;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!span_is(value, system_kind_name(kinds[i])))
			continue;
		r->plan->kind = kinds[i];
		return 0;
	}
	return err_raise(err, ERR_UNSUPPORTED, "plan: line %zu names an unknown kind '%.*s'",
		r->line, (int)value.len, value.at);
}

static int read_size(struct reader *r, struct span value, struct err *err)
{
	if (r->has_size)
		return bad_line(r, "repeats a key", err);
	r->has_size = true;
	if (!read_number(value, &r->plan->image_size) || r->plan->image_size == 0)
		return bad_line(r, "has no valid size", err);
	return 0;
}

static int read_part(struct reader *r, struct span value, struct err *err)
{
	struct plan_part part = {0};
	struct span off, len, digest;
	if (!next_word(&value, &off) || !next_word(&value, &len) || !next_word(&value, &digest) ||
		!read_number(off, &part.off) || !read_number(len, &part.len) || part.len == 0 ||
		!digest_from_hex(digest.at, digest.len, &part.digest))
		return bad_line(r, "is not a valid part", err);
	uint64_t begin = 0, end;
	if (r->plan->parts.len > 0) {
		const struct plan_part *last = &r->plan->parts.items[r->plan->parts.len - 1];
		begin = last->off + last->len;
	}
	if (!mem_add(part.off, part.len, &end) || part.off < begin || end > r->plan->image_size)
		return bad_line(r, "has a part out of order or beyond the image", err);
	if (r->plan->parts.len >= PLAN_PARTS_MAX)
		return err_raise(err, ERR_LIMIT, "plan: more than %zu parts", PLAN_PARTS_MAX);
	if (value.len > 0 && read_string(r, value, &part.name, err) < 0)
		return -1;
	if (vec_push(&r->plan->parts, part, err) == 0)
		return 0;
	free(part.name);
	return -1;
}

static int read_opt(struct reader *r, struct span value, struct err *err)
{
	if (value.len == 0)
		return bad_line(r, "has no value", err);
	if (r->plan->store_mount_opts.len >= PLAN_OPTS_MAX)
		return err_raise(
			err, ERR_LIMIT, "plan: more than %d store mount options", PLAN_OPTS_MAX);
	return strvec_push_n(&r->plan->store_mount_opts, value.at, value.len, err);
}

static int read_line(struct reader *r, struct span line, struct err *err)
{
	struct plan *plan = r->plan;
	struct {
		const char *key;
		char **field;
	} paths[] = {
		{"system", &plan->system},
		{"image", &plan->image},
		{"database", &plan->database},
		{"firmware", &plan->firmware},
		{"modprobe-binary", &plan->modprobe_binary},
		{"sh-binary", &plan->sh_binary},
		{"env-binary", &plan->env_binary},
		{"etc-metadata-image", &plan->etc_metadata_image},
		{"etc-basedir", &plan->etc_basedir},
	};
	struct span key;
	if (!next_word(&line, &key))
		return bad_line(r, "is empty", err);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (span_is(key, paths[i].key))
			return read_path(r, line, paths[i].field, err);
	if (span_is(key, "part"))
		return read_part(r, line, err);
	if (span_is(key, "kind"))
		return read_kind(r, line, err);
	if (span_is(key, "image-size"))
		return read_size(r, line, err);
	if (span_is(key, "store-mount-opt"))
		return read_opt(r, line, err);
	return err_raise(err, ERR_CORRUPT, "plan: line %zu has an unknown key '%.*s'", r->line,
		(int)key.len, key.at);
}

/* The next line without its line break; a last line without one counts as cut off. */
static int next_line(struct reader *r, struct span *ret, struct err *err)
{
	r->line++;
	size_t left = (size_t)(r->end - r->rest);
	size_t look = left < PLAN_LINE_MAX ? left : PLAN_LINE_MAX;
	const char *brk = memchr(r->rest, '\n', look);
	if (brk == NULL)
		return bad_line(r, look < PLAN_LINE_MAX ? "is cut off" : "is too long", err);
	*ret = (struct span){r->rest, (size_t)(brk - r->rest)};
	r->rest = brk + 1;
	return 0;
}

static int read_first_line(struct reader *r, struct err *err)
{
	struct span line;
	if (next_line(r, &line, err) < 0)
		return -1;
	if (span_is(line, PLAN_TEXT_FIRST_LINE))
		return 0;
	struct span magic, version = line;
	if (next_word(&version, &magic) && span_is(magic, PLAN_TEXT_MAGIC))
		return err_raise(err, ERR_UNSUPPORTED,
			"plan: version '%.*s' is not one that this stage 1 knows (1)",
			(int)version.len, version.at);
	return err_raise(err, ERR_CORRUPT, "plan: does not begin with '" PLAN_TEXT_FIRST_LINE "'");
}

static int read_all(struct reader *r, struct err *err)
{
	if (read_first_line(r, err) < 0)
		return -1;
	while (!r->ended) {
		struct span line;
		if (next_line(r, &line, err) < 0)
			return -1;
		if (span_is(line, PLAN_TEXT_LAST_LINE))
			r->ended = true;
		else if (read_line(r, line, err) < 0)
			return -1;
	}
	if (r->rest != r->end)
		return err_raise(err, ERR_CORRUPT, "plan: %zu bytes follow the last line",
			(size_t)(r->end - r->rest));
	const char *missing = !r->has_kind ? "kind"
		: r->plan->system == NULL  ? "system"
		: r->plan->image == NULL   ? "image"
		: !r->has_size             ? "image-size"
		: r->plan->parts.len == 0  ? "part"
					   : NULL;
	if (missing != NULL)
		return err_raise(err, ERR_CORRUPT, "plan: has no '%s'", missing);
	return 0;
}

int plan_decode(const char *text, size_t len, struct plan *ret, struct err *err)
{
	if (len > PLAN_TEXT_MAX)
		return err_raise(err, ERR_LIMIT, "plan: %zu bytes > max %zu", len, PLAN_TEXT_MAX);
	const char *nul = memchr(text, '\0', len);
	if (nul != NULL)
		return err_raise(
			err, ERR_CORRUPT, "plan: has a NUL at byte %zu", (size_t)(nul - text));
	AUTO_PLAN plan = {0};
	struct reader r = {.rest = text, .end = text + len, .plan = &plan};
	if (read_all(&r, err) < 0)
		return -1;
	*ret = plan;
	plan = (struct plan){0};
	return 0;
}
