/* SPDX-License-Identifier: MIT */
/*
 * What came over the line is kept as text; `look` is where the search for the next match begins.
 * Since a pattern matches within a line, a search that failed need not see whole lines again.
 */
#include "vm/console.h"

#include "base/buf.h"
#include "base/fd.h"
#include "vm/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Text kept for matching; a boot prints some 100 KiB. Older text is forgotten. */
#define KEEP_MAX ((size_t)4 << 20)
#define KEEP_MIN ((size_t)1 << 20)

/* Where in a terminal's escape sequence we are (ECMA-48 §5.4, and OSC strings, §8.3.89). */
enum escape { ESCAPE_NONE, ESCAPE_START, ESCAPE_CSI, ESCAPE_STRING };

struct console {
	int fd, transcript;
	bool end;
	struct buf text;
	size_t look;   /* offset in text: behind the last match */
	char *pattern; /* the last one, compiled; text before `from` does not match it */
	regex_t compiled;
	size_t from;
	enum escape escape;
	bool forbids;
	regex_t forbidden;
	char *before;
	console_sink_fn *sink;
	void *sink_context;
};

int console_new(int *take_fd, const char *transcript, struct console **ret, struct err *err)
{
	AUTO_FD int fd = TAKE_FD(*take_fd);
	AUTO_FD int file = -1;
	if (transcript != NULL) {
		file = open(transcript, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
		if (file < 0)
			return err_sys(err, "cannot open the transcript '%s'", transcript);
	}
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, "cannot set up the console");
	struct console *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_oom(err);
	c->fd = TAKE_FD(fd);
	c->transcript = TAKE_FD(file);
	*ret = c;
	return 0;
}

void console_free(struct console *c)
{
	if (c == NULL)
		return;
	fd_close_ptr(&c->fd);
	fd_close_ptr(&c->transcript);
	buf_done(&c->text);
	if (c->forbids)
		regfree(&c->forbidden);
	if (c->pattern != NULL)
		regfree(&c->compiled);
	free(c->pattern);
	free(c->before);
	free(c);
}

void console_free_ptr(struct console **c)
{
	console_free(*c);
	*c = NULL;
}

void console_set_sink(struct console *c, console_sink_fn *sink, void *context)
{
	c->sink = sink;
	c->sink_context = context;
}

int console_fd(const struct console *c)
{
	return c->fd;
}

bool console_at_end(const struct console *c)
{
	return c->end;
}

static int compile(regex_t *ret, const char *pattern, struct err *err)
{
	int r = regcomp(ret, pattern, REG_EXTENDED | REG_NEWLINE);
	if (r == 0)
		return 0;
	char cause[128];
	regerror(r, ret, cause, sizeof(cause));
	return err_raise(err, ERR_USAGE, "pattern '%s' is not valid: %s", pattern, cause);
}

int console_forbid(struct console *c, const char *pattern, struct err *err)
{
	regex_t compiled;
	if (pattern != NULL && compile(&compiled, pattern, err) < 0)
		return -1;
	if (c->forbids)
		regfree(&c->forbidden);
	c->forbids = pattern != NULL;
	if (pattern != NULL)
		c->forbidden = compiled;
	return 0;
}

/* True when the byte is text; escape sequences are followed and dropped. */
static bool is_text(struct console *c, unsigned char byte)
{
	switch (c->escape) {
	case ESCAPE_NONE:
		if (byte == 0x1b)
			c->escape = ESCAPE_START;
		return byte != 0x1b && byte != '\r' && byte != '\0';
	case ESCAPE_START:
		c->escape = byte == '[' ? ESCAPE_CSI : byte == ']' ? ESCAPE_STRING : ESCAPE_NONE;
		/* Intermediate bytes (0x20 to 0x2f, as in "ESC ( B") announce one more. */
		if (byte >= 0x20 && byte <= 0x2f)
			c->escape = ESCAPE_START;
		return false;
	case ESCAPE_CSI:
		if (byte >= 0x40 && byte <= 0x7e)
			c->escape = ESCAPE_NONE;
		return false;
	case ESCAPE_STRING:
		if (byte == 0x07)
			c->escape = ESCAPE_NONE;
		if (byte == 0x1b)
			c->escape = ESCAPE_START; /* "ESC \" ends it */
		return false;
	}
	return false;
}

/* Forgets old text beyond the bound, at the beginning of a line if there is one. */
static void forget(struct console *c)
{
	if (c->text.len < KEEP_MAX)
		return;
	size_t cut = c->text.len - KEEP_MIN;
	const uint8_t *line = memchr(c->text.data + cut, '\n', KEEP_MIN);
	if (line != NULL)
		cut = (size_t)(line - c->text.data) + 1;
	c->text.len -= cut;
	memmove(c->text.data, c->text.data + cut, c->text.len);
	c->look = c->look > cut ? c->look - cut : 0;
	c->from = c->from > cut ? c->from - cut : 0;
}

static int keep(struct console *c, const char *data, size_t size, struct err *err)
{
	if (c->sink != NULL)
		c->sink(data, size, c->sink_context);
	if (c->transcript >= 0 &&
		fd_write_full(c->transcript, data, size, "the transcript", err) < 0)
		return -1;
	uint8_t *to = buf_reserve(&c->text, size, err);
	if (to == NULL)
		return -1;
	for (size_t i = 0; i < size; i++)
		if (is_text(c, (unsigned char)data[i]))
			to[0] = (uint8_t)data[i], to++, c->text.len++;
	forget(c);
	return 0;
}

int console_read(struct console *c, unsigned timeout_ms, struct err *err)
{
	if (c->end)
		return 1;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	int n = poll(&p, 1, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms);
	if (n == 0 || (n < 0 && errno == EINTR))
		return 1;
	char data[16384];
	ssize_t len = n < 0 ? -1 : read(c->fd, data, sizeof(data));
	if (len > 0)
		return keep(c, data, (size_t)len, err);
	if (len < 0 && errno == EAGAIN)
		return 1;
	/* A pty says EIO when its other side is closed, a socket ECONNRESET. */
	if (len < 0 && errno != EIO && errno != ECONNRESET)
		return err_sys(err, "cannot read from the console");
	c->end = true;
	return 1;
}

char *console_tail(const struct console *c, unsigned lines, struct err *err)
{
	size_t end = c->text.len;
	while (end > 0 && c->text.data[end - 1] == '\n')
		end--;
	size_t start = end;
	for (; start > 0; start--)
		if (c->text.data[start - 1] == '\n' && lines-- <= 1)
			break;
	AUTO_BUF out = {0};
	for (size_t i = start; i < end; i++) {
		uint8_t byte = c->text.data[i];
		int r = byte == '\n'  ? buf_put_str(&out, " | ", err)
			: byte < 0x20 ? buf_put_str(&out, " ", err)
				      : buf_put(&out, &byte, 1, err);
		if (r < 0)
			return NULL;
	}
	return buf_take_str(&out, err);
}

/* Adds the last lines to a failure's message. Returns -1. */
static int quote_tail(const struct console *c, struct err *err)
{
	struct err ignored = ERR_INIT;
	AUTO_FREE char *tail = console_tail(c, 5, &ignored);
	size_t len = strlen(err->msg);
	if (tail != NULL && tail[0] != '\0')
		snprintf(err->msg + len, sizeof(err->msg) - len, "; its last lines: %.600s", tail);
	else
		snprintf(err->msg + len, sizeof(err->msg) - len, "; it has said nothing");
	return -1;
}

/* Consumes the text up to `end`. */
static int consume(struct console *c, size_t end, struct err *err)
{
	char *before = strndup((const char *)c->text.data + c->look, end - c->look);
	if (before == NULL)
		return err_oom(err);
	free(c->before);
	c->before = before;
	c->look = c->from = end;
	return 0;
}

/* Makes `pattern` the one that is looked for; the same one goes on where it was. */
static int set_pattern(struct console *c, const char *pattern, struct err *err)
{
	if (c->pattern != NULL && strcmp(c->pattern, pattern) == 0)
		return 0;
	regex_t compiled;
	if (compile(&compiled, pattern, err) < 0)
		return -1;
	char *copy = strdup(pattern);
	if (copy == NULL) {
		regfree(&compiled);
		return err_oom(err);
	}
	if (c->pattern != NULL)
		regfree(&c->compiled);
	free(c->pattern);
	c->pattern = copy;
	c->compiled = compiled;
	c->from = c->look;
	return 0;
}

/* 0 found, 1 not there (yet). */
static int look(struct console *c, char **ret_match, struct err *err)
{
	const char *text = buf_str(&c->text, err);
	if (text == NULL)
		return -1;
	text += c->from;
	regmatch_t bad, found[2];
	bool is_bad = c->forbids && regexec(&c->forbidden, text, 1, &bad, 0) == 0;
	bool is_found = regexec(&c->compiled, text, 2, found, 0) == 0;
	if (is_bad && (!is_found || bad.rm_so < found[0].rm_so)) {
		err_raise(err, ERR_IO, "'%.*s' appeared on the console while waiting for '%s'",
			(int)(bad.rm_eo - bad.rm_so), text + bad.rm_so, c->pattern);
		return quote_tail(c, err);
	}
	if (!is_found) {
		const char *newline = strrchr(text, '\n');
		c->from += newline != NULL ? (size_t)(newline + 1 - text) : 0;
		return 1;
	}
	if (ret_match != NULL) {
		regmatch_t m = found[1].rm_so >= 0 ? found[1] : found[0];
		*ret_match = strndup(text + m.rm_so, (size_t)(m.rm_eo - m.rm_so));
		if (*ret_match == NULL)
			return err_oom(err);
	}
	return consume(c, c->from + (size_t)found[0].rm_eo, err);
}

int console_expect(struct console *c, const char *pattern, unsigned timeout_ms, char **ret_match,
	struct err *err)
{
	if (set_pattern(c, pattern, err) < 0)
		return -1;
	uint64_t deadline = deadline_in(timeout_ms);
	for (;;) {
		int r = look(c, ret_match, err);
		if (r <= 0)
			return r;
		if (c->end) {
			err_raise(
				err, ERR_IO, "the console closed while waiting for '%s'", pattern);
			return quote_tail(c, err);
		}
		int left = deadline_left_ms(deadline);
		r = console_read(c, (unsigned)left, err);
		if (r < 0)
			return -1;
		if (r == 1 && left == 0) {
			err_raise(err, ERR_AGAIN, "'%s' did not appear on the console within %g s",
				pattern, timeout_ms / 1000.0);
			return quote_tail(c, err);
		}
	}
}

int console_look(struct console *c, const char *pattern, char **ret_match, struct err *err)
{
	return set_pattern(c, pattern, err) < 0 ? -1 : look(c, ret_match, err);
}

/* A write that cannot end in SIGPIPE; a pty, which is no socket, never does. */
static ssize_t put(int fd, const char *text, size_t size)
{
	ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
	return n < 0 && errno == ENOTSOCK ? write(fd, text, size) : n;
}

int console_send(struct console *c, const char *text, struct err *err)
{
	size_t left = strlen(text);
	while (left > 0) {
		ssize_t n = put(c->fd, text, left);
		if (n >= 0) {
			text += n;
			left -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return err_sys(err, "cannot write to the console");
		struct pollfd p = {.fd = c->fd, .events = POLLIN | POLLOUT};
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return err_sys(err, "cannot write to the console");
		if ((p.revents & POLLIN) != 0 && console_read(c, 0, err) < 0)
			return -1;
	}
	return 0;
}

const char *console_before(const struct console *c)
{
	return c->before != NULL ? c->before : "";
}
