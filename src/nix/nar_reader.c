/* SPDX-License-Identifier: MIT */
/*
 * The NAR reader: a parser by hand for a grammar of words. It keeps the last name of each open
 * directory, to see that names ascend, one buffer, and no more. Every byte is hashed when it comes
 * in, whoever it is for. What the parts mean is the caller's business.
 */
#include "nix/nar_reader.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/vec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER_SIZE = 64 * 1024, WORD_MAX = 13 /* "nix-archive-1" */ };

enum state { STATE_BEGIN, STATE_FILE, STATE_DIRECTORY, STATE_AFTER, STATE_END };

struct nar_reader {
	struct nar_input input;
	uint64_t limit;    /* bytes the NAR may have */
	uint64_t received; /* bytes the input gave */
	struct sha256_ctx hash;
	uint8_t buffer[BUFFER_SIZE];
	size_t at, len;          /* what is left in the buffer */
	enum state state;        /* what comes next */
	uint64_t file_size;      /* of the current file */
	uint64_t file_left;      /* bytes of it that were not read */
	struct buf names;        /* the last name in each open directory, each with a NUL */
	VEC(size_t) directories; /* where the names of each open directory begin */
	char target[NAR_TARGET_MAX + 1];
};

int nar_reader_new(
	const struct nar_input *input, uint64_t size, struct nar_reader **ret, struct err *err)
{
	struct nar_reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return err_oom(err);
	reader->input = *input;
	reader->limit = size;
	sha256_init(&reader->hash);
	*ret = reader;
	return 0;
}

struct nar_reader *nar_reader_free(struct nar_reader *reader)
{
	if (reader == NULL)
		return NULL;
	buf_done(&reader->names);
	vec_done(&reader->directories);
	free(reader);
	return NULL;
}

void nar_reader_free_ptr(struct nar_reader **reader)
{
	*reader = nar_reader_free(*reader);
}

struct digest nar_reader_hash(struct nar_reader *reader, uint64_t *ret_size)
{
	struct sha256_ctx hash = reader->hash;
	*ret_size = reader->received;
	return digest_finish(&hash);
}

/* Bytes that were read and used. */
static uint64_t position(const struct nar_reader *r)
{
	return r->received - (r->len - r->at);
}

/* Text from outside as a message may show it, shortened. Static size, so that nothing can fail. */
struct shown {
	char text[64];
};

static struct shown show(const void *bytes, size_t len)
{
	struct shown shown;
	size_t max = sizeof(shown.text) - 1;
	size_t kept = len < max ? len : max;
	for (size_t i = 0; i < kept; i++) {
		char c = ((const char *)bytes)[i];
		shown.text[i] = isprint((unsigned char)c) ? c : '?';
	}
	shown.text[kept] = '\0';
	if (len > max)
		memcpy(shown.text + max - 3, "...", 3);
	return shown;
}

/* Takes up to `max` bytes from the input. */
static int receive(struct nar_reader *r, void *data, size_t max, size_t *ret_len, struct err *err)
{
	if (r->input.read(r->input.data, data, max, ret_len, err) < 0)
		return -1;
	if (*ret_len > r->limit - r->received)
		return err_raise(err, ERR_CORRUPT,
			"the NAR is longer than the %llu bytes announced",
			(unsigned long long)r->limit);
	r->received += *ret_len;
	sha256_update(&r->hash, *ret_len, data);
	return 0;
}

static int ends_early(const struct nar_reader *r, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "the NAR ends after %llu bytes, in the middle",
		(unsigned long long)r->received);
}

static int take(struct nar_reader *r, void *data, size_t size, struct err *err)
{
	uint8_t *to = data;
	while (size > 0) {
		size_t len = r->len - r->at;
		if (len > size)
			len = size;
		memcpy(to, r->buffer + r->at, len);
		r->at += len;
		to += len;
		size -= len;
		if (size == 0)
			break;
		/* Large pieces go straight to where they are wanted. */
		bool direct = size >= BUFFER_SIZE;
		size_t got;
		if (receive(r, direct ? to : r->buffer, direct ? size : BUFFER_SIZE, &got, err) < 0)
			return -1;
		if (got == 0)
			return ends_early(r, err);
		r->at = 0;
		r->len = direct ? 0 : got;
		to += direct ? got : 0;
		size -= direct ? got : 0;
	}
	return 0;
}

static int take_size(struct nar_reader *r, uint64_t *ret, struct err *err)
{
	uint8_t bytes[8];
	if (take(r, bytes, sizeof(bytes), err) < 0)
		return -1;
	*ret = get_le64(bytes);
	return 0;
}

static int take_padding(struct nar_reader *r, uint64_t size, struct err *err)
{
	static const uint8_t zeros[8];
	uint8_t bytes[8] = {0};
	size_t rest = (size_t)(size % 8);
	if (rest == 0)
		return 0;
	if (take(r, bytes, 8 - rest, err) < 0)
		return -1;
	if (memcmp(bytes, zeros, 8 - rest) != 0)
		return err_raise(err, ERR_CORRUPT,
			"the NAR has padding that is not zero at byte %llu",
			(unsigned long long)(position(r) - (8 - rest)));
	return 0;
}

/* A string of 1 to `max` bytes, without NULs, into `out`, which has room for one byte more. */
static int take_string(struct nar_reader *r, const char *what, size_t max, char *out,
	size_t *ret_len, struct err *err)
{
	uint64_t size;
	if (take_size(r, &size, err) < 0)
		return -1;
	if (size > max)
		return err_raise(err, ERR_CORRUPT, "%s in the NAR has %llu bytes > max %zu", what,
			(unsigned long long)size, max);
	if (take(r, out, (size_t)size, err) < 0 || take_padding(r, size, err) < 0)
		return -1;
	out[size] = '\0';
	if (size == 0)
		return err_raise(err, ERR_CORRUPT, "%s in the NAR is empty", what);
	if (memchr(out, '\0', (size_t)size) != NULL)
		return err_raise(err, ERR_CORRUPT, "%s '%s' in the NAR contains a NUL", what,
			show(out, (size_t)size).text);
	*ret_len = (size_t)size;
	return 0;
}

/* One of the format's own words, into `out`. */
static int take_word(struct nar_reader *r, char out[WORD_MAX + 1], struct err *err)
{
	uint64_t size, start = position(r);
	if (take_size(r, &size, err) < 0)
		return -1;
	if (size > WORD_MAX)
		return err_raise(err, ERR_CORRUPT, "%s at byte %llu",
			start == 0 ? "this is no NAR: it has no magic number"
				   : "the NAR has a word that is none",
			(unsigned long long)start);
	if (take(r, out, (size_t)size, err) < 0 || take_padding(r, size, err) < 0)
		return -1;
	out[size] = '\0';
	/* A NUL would hide what is behind it. */
	for (size_t i = 0; i < size; i++)
		out[i] = out[i] != '\0' ? out[i] : '?';
	return 0;
}

static int unexpected(
	const struct nar_reader *r, const char *word, const char *wanted, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "the NAR has '%s' before byte %llu instead of '%s'",
		show(word, strlen(word)).text, (unsigned long long)position(r), wanted);
}

static int expect(struct nar_reader *r, const char *wanted, struct err *err)
{
	char word[WORD_MAX + 1];
	if (take_word(r, word, err) < 0)
		return -1;
	return strcmp(word, wanted) == 0 ? 0 : unexpected(r, word, wanted, err);
}

static int begin_file(struct nar_reader *r, struct nar_event *event, struct err *err)
{
	char word[WORD_MAX + 1];
	uint64_t none;
	event->type = NAR_FILE;
	if (take_word(r, word, err) < 0)
		return -1;
	if (strcmp(word, "executable") == 0) {
		event->executable = true;
		if (take_size(r, &none, err) < 0)
			return -1;
		if (none != 0)
			return err_raise(err, ERR_CORRUPT,
				"the NAR has an executable bit that is not empty before byte %llu",
				(unsigned long long)position(r));
		if (take_word(r, word, err) < 0)
			return -1;
	}
	if (strcmp(word, "contents") != 0)
		return unexpected(r, word, "contents", err);
	if (take_size(r, &event->size, err) < 0)
		return -1;
	if (event->size > r->limit - position(r))
		return err_raise(err, ERR_CORRUPT,
			"the NAR has a file of %llu bytes where %llu are left",
			(unsigned long long)event->size,
			(unsigned long long)(r->limit - position(r)));
	r->file_size = r->file_left = event->size;
	r->state = STATE_FILE;
	return 0;
}

static int read_symlink(struct nar_reader *r, struct nar_event *event, struct err *err)
{
	event->type = NAR_SYMLINK;
	event->target = r->target;
	if (expect(r, "target", err) < 0 ||
		take_string(r, "symlink target", NAR_TARGET_MAX, r->target, &event->target_len,
			err) < 0)
		return -1;
	r->state = STATE_AFTER;
	return expect(r, ")", err);
}

static int begin_directory(struct nar_reader *r, struct nar_event *event, struct err *err)
{
	event->type = NAR_DIRECTORY;
	if (r->directories.len == NAR_DEPTH_MAX)
		return err_raise(
			err, ERR_LIMIT, "the NAR nests directories deeper than %d", NAR_DEPTH_MAX);
	/* No name yet; what is there of the parent ends with a NUL. */
	if (vec_push(&r->directories, r->names.len, err) < 0 || buf_put_zero(&r->names, 1, err) < 0)
		return -1;
	r->state = STATE_DIRECTORY;
	return 0;
}

/* A file, symlink or directory up to where its contents begin. */
static int begin_object(struct nar_reader *r, struct nar_event *event, struct err *err)
{
	char word[WORD_MAX + 1];
	if (expect(r, "(", err) < 0 || expect(r, "type", err) < 0 || take_word(r, word, err) < 0)
		return -1;
	if (strcmp(word, "regular") == 0)
		return begin_file(r, event, err);
	if (strcmp(word, "symlink") == 0)
		return read_symlink(r, event, err);
	if (strcmp(word, "directory") == 0)
		return begin_directory(r, event, err);
	return unexpected(r, word, "regular', 'symlink' or 'directory", err);
}

/* The last name in the innermost directory; "" before the first. */
static char *last_name(const struct nar_reader *r)
{
	return (char *)r->names.data + r->directories.items[r->directories.len - 1];
}

static int check_name(const struct nar_reader *r, const char *name, size_t len, struct err *err)
{
	struct shown shown = show(name, len);
	if (strchr(name, '/') != NULL)
		return err_raise(
			err, ERR_CORRUPT, "entry name '%s' in the NAR contains '/'", shown.text);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_raise(err, ERR_CORRUPT, "the NAR has an entry '%s'", shown.text);
	const char *last = last_name(r);
	int order = strcmp(last, name); /* "" is below every name */
	if (order == 0)
		return err_raise(err, ERR_CORRUPT, "the NAR has the entry '%s' twice", shown.text);
	if (order > 0)
		return err_raise(err, ERR_CORRUPT,
			"the entries of the NAR are not sorted: '%s' comes after '%s'", shown.text,
			show(last, strlen(last)).text);
	return 0;
}

static int begin_entry(struct nar_reader *r, struct nar_event *event, struct err *err)
{
	char name[NAR_NAME_MAX + 1];
	size_t len;
	if (expect(r, "(", err) < 0 || expect(r, "name", err) < 0 ||
		take_string(r, "entry name", NAR_NAME_MAX, name, &len, err) < 0 ||
		check_name(r, name, len, err) < 0)
		return -1;
	size_t start = r->directories.items[r->directories.len - 1];
	r->names.len = start;
	if (buf_put(&r->names, name, len + 1, err) < 0 || expect(r, "node", err) < 0 ||
		begin_object(r, event, err) < 0)
		return -1;
	event->name = (const char *)r->names.data + start;
	event->name_len = len;
	return 0;
}

/* In a directory: an entry, or its end. */
static int step_in_directory(struct nar_reader *r, struct nar_event *event, struct err *err)
{
	char word[WORD_MAX + 1];
	if (take_word(r, word, err) < 0)
		return -1;
	if (strcmp(word, "entry") == 0)
		return begin_entry(r, event, err);
	if (strcmp(word, ")") != 0)
		return unexpected(r, word, "entry", err);
	event->type = NAR_DIRECTORY_END;
	r->names.len = r->directories.items[--r->directories.len];
	r->state = STATE_AFTER;
	return 0;
}

static int end_file(struct nar_reader *r, struct err *err)
{
	if (r->file_left > 0)
		return err_raise(err, ERR_BUG, "%llu bytes of a file were not read",
			(unsigned long long)r->file_left);
	if (take_padding(r, r->file_size, err) < 0)
		return -1;
	r->state = STATE_AFTER;
	return expect(r, ")", err);
}

/* Behind an object: back to its directory, or the end of all. */
static int end_object(struct nar_reader *r, struct err *err)
{
	if (r->directories.len > 0) {
		r->state = STATE_DIRECTORY;
		return expect(r, ")", err);
	}
	size_t more = r->len - r->at;
	if (more == 0 && r->received < r->limit) {
		if (receive(r, r->buffer, BUFFER_SIZE, &more, err) < 0)
			return -1;
		r->at = 0;
		r->len = more;
	}
	/* A NAR as long as announced may still have something behind it. */
	uint8_t byte;
	if (more == 0 && r->input.read(r->input.data, &byte, 1, &more, err) < 0)
		return -1;
	if (more > 0)
		return err_raise(err, ERR_CORRUPT, "the NAR goes on behind its end at byte %llu",
			(unsigned long long)position(r));
	r->state = STATE_END;
	return 0;
}

int nar_reader_next(struct nar_reader *r, struct nar_event *ret, struct err *err)
{
	struct nar_event event = {.name = ""};
	if (r->state == STATE_FILE && end_file(r, err) < 0)
		return -1;
	if (r->state == STATE_AFTER && end_object(r, err) < 0)
		return -1;
	if (r->state == STATE_END)
		return 0;
	if (r->state == STATE_BEGIN) {
		if (expect(r, "nix-archive-1", err) < 0 || begin_object(r, &event, err) < 0)
			return -1;
	} else if (step_in_directory(r, &event, err) < 0) {
		return -1;
	}
	*ret = event;
	return 1;
}

int nar_reader_contents(struct nar_reader *r, void *data, size_t size, struct err *err)
{
	if (r->state != STATE_FILE || size > r->file_left)
		return err_raise(err, ERR_BUG, "more bytes of a file are read than it has");
	if (take(r, data, size, err) < 0)
		return -1;
	r->file_left -= size;
	return 0;
}
