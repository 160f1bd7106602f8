/* SPDX-License-Identifier: MIT */
/*
 * A line for each assignment and machine: STATE MARK ENTRY WHO SYSTEM TIME. The file is read each
 * time, since another server may have changed it; only one-shot assignments pay for that.
 */
#include "rules/once.h"

#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"
#include "base/vec.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_NAME "once"
#define FIRST_LINE "snowboot-once 1"
#define FILE_MAX ((size_t)64 << 20)
#define FIELDS 6

struct record {
	enum once_state state;
	struct digest mark;
	char *entry, *who, *system;
	int64_t at;
};

struct records {
	char *path;
	VEC(struct record) items;
};

static void records_done(struct records *r)
{
	VEC_FOREACH(record, &r->items) {
		free(record->entry);
		free(record->who);
		free(record->system);
	}
	vec_done(&r->items);
	free(r->path);
}

static bool is_word(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= ' ' || *p == 0x7f)
			return false;
	return text[0] != '\0';
}

static int add(struct records *r, const struct record *from, struct err *err)
{
	struct record record = *from;
	if (r->items.len == ONCE_RECORDS_MAX)
		return err_raise(err, ERR_LIMIT, "'%s' has more than %d assignments", r->path,
			ONCE_RECORDS_MAX);
	record.entry = strdup(from->entry);
	record.who = strdup(from->who);
	record.system = strdup(from->system);
	if (record.entry != NULL && record.who != NULL && record.system != NULL) {
		if (vec_push(&r->items, record, err) == 0)
			return 0;
	} else {
		err_oom(err);
	}
	free(record.entry);
	free(record.who);
	free(record.system);
	return -1;
}

/* Cuts the line at its blanks. */
static bool split(char *line, char *fields[FIELDS])
{
	for (size_t i = 0; i < FIELDS; i++) {
		char *blank = strchr(line, ' ');
		if ((blank == NULL) != (i == FIELDS - 1))
			return false;
		if (blank != NULL)
			*blank = '\0';
		fields[i] = line;
		if (!is_word(line))
			return false;
		line = blank != NULL ? blank + 1 : line;
	}
	return true;
}

static bool parse(char *line, struct record *ret)
{
	char *f[FIELDS], *end;
	if (!split(line, f))
		return false;
	bool given = strcmp(f[0], "given") == 0;
	*ret = (struct record){.state = given ? ONCE_GIVEN : ONCE_USED,
		.entry = f[2],
		.who = f[3],
		.system = f[4],
		.at = strtoll(f[5], &end, 10)};
	return (given || strcmp(f[0], "used") == 0) && *end == '\0' &&
		digest_from_hex(f[1], strlen(f[1]), &ret->mark);
}

static int corrupt(const struct records *r, unsigned line, struct err *err)
{
	err_raise(err, ERR_CORRUPT, "'%s' line %u is damaged", r->path, line);
	return err_hint(
		err, "put the file right, or remove it: all one-shot assignments are new then");
}

static int decode(struct records *r, char *text, struct err *err)
{
	unsigned number = 1;
	for (char *line = text; *line != '\0'; number++) {
		struct record record;
		char *end = strchr(line, '\n');
		if (end == NULL)
			return corrupt(r, number, err);
		*end = '\0';
		bool ok = number == 1 ? strcmp(line, FIRST_LINE) == 0 : parse(line, &record);
		if (!ok)
			return corrupt(r, number, err);
		if (number > 1 && add(r, &record, err) < 0)
			return -1;
		line = end + 1;
	}
	return 0;
}

static int read_records(const char *state_dir, struct records *r, struct err *err)
{
	AUTO_BUF text = {0};
	r->path = path_printf(err, "%s/" FILE_NAME, state_dir);
	if (r->path == NULL)
		return -1;
	if (access(r->path, F_OK) < 0)
		return 0; /* nothing was given yet */
	if (fd_read_file(AT_FDCWD, r->path, FILE_MAX, &text, err) < 0)
		return -1;
	char *str = buf_str(&text, err);
	if (str == NULL)
		return -1;
	return strlen(str) != text.len ? corrupt(r, 1, err) : decode(r, str, err);
}

static int write_records(const struct records *r, struct err *err)
{
	AUTO_BUF text = {0};
	char hex[DIGEST_HEX_SIZE];
	if (buf_put_str(&text, FIRST_LINE "\n", err) < 0)
		return -1;
	VEC_FOREACH(record, &r->items)
		if (buf_printf(&text, err, "%s %s %s %s %s %lld\n",
			    record->state == ONCE_GIVEN ? "given" : "used",
			    digest_hex(&record->mark, hex), record->entry, record->who,
			    record->system, (long long)record->at) < 0)
			return -1;
	return outfile_write(r->path, text.data, text.len, err);
}

/* Held until *ret_fd is closed. The state directory itself is what is locked. */
static int lock(const char *state_dir, int *ret_fd, struct err *err)
{
	AUTO_FD int fd = -1;
	if (path_mkdirs(state_dir, err) < 0 ||
		fd_open(AT_FDCWD, state_dir, O_RDONLY | O_DIRECTORY, &fd, err) < 0)
		return -1;
	if (flock(fd, LOCK_EX) < 0)
		return err_sys(err, "cannot lock '%s'", state_dir);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static struct record *find(struct records *r, const struct once_key *key)
{
	VEC_FOREACH(record, &r->items)
		if (strcmp(record->entry, key->entry) == 0 && strcmp(record->who, key->who) == 0)
			return record;
	return NULL;
}

int once_look(const char *state_dir, const struct once_key *key, enum once_state *ret,
	int64_t *ret_at, struct err *err)
{
	AUTO(records_done) struct records r = {0};
	if (read_records(state_dir, &r, err) < 0)
		return -1;
	const struct record *record = find(&r, key);
	bool same = record != NULL && digest_equal(&record->mark, &key->mark);
	*ret = same ? record->state : ONCE_NEW;
	*ret_at = same ? record->at : 0;
	return 0;
}

int once_give(const char *state_dir, const struct once_key *key, const char *system, int64_t now,
	struct err *err)
{
	AUTO_FD int fd = -1;
	AUTO(records_done) struct records r = {0};
	if (lock(state_dir, &fd, err) < 0 || read_records(state_dir, &r, err) < 0)
		return -1;
	struct record *old = find(&r, key);
	const struct record record = {.state = ONCE_GIVEN,
		.mark = key->mark,
		.entry = (char *)key->entry, /* add() copies them */
		.who = (char *)key->who,
		.system = (char *)system,
		.at = now};
	bool same = old != NULL && digest_equal(&old->mark, &key->mark);
	if (same && (old->state == ONCE_USED || strcmp(old->system, system) == 0))
		return 0;
	if (old == NULL)
		return add(&r, &record, err) < 0 ? -1 : write_records(&r, err);
	char *name = strdup(system);
	if (name == NULL)
		return err_oom(err);
	free(old->system);
	old->system = name;
	old->state = ONCE_GIVEN;
	old->mark = key->mark;
	old->at = now;
	return write_records(&r, err);
}

int once_came_up(const char *state_dir, const char *who, const char *system, int64_t now,
	size_t *ret_count, struct err *err)
{
	AUTO_FD int fd = -1;
	AUTO(records_done) struct records r = {0};
	size_t count = 0;
	*ret_count = 0;
	if (lock(state_dir, &fd, err) < 0 || read_records(state_dir, &r, err) < 0)
		return -1;
	VEC_FOREACH(record, &r.items) {
		if (record->state != ONCE_GIVEN || strcmp(record->who, who) != 0 ||
			strcmp(record->system, system) != 0)
			continue;
		record->state = ONCE_USED;
		record->at = now;
		count++;
	}
	if (count > 0 && write_records(&r, err) < 0)
		return -1;
	*ret_count = count;
	return 0;
}
