/* SPDX-License-Identifier: MIT */
#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

/*
 * A serial console, as a person at a terminal would use it: wait until something appears, type
 * something. Works on any stream descriptor (socket, pty).
 *
 * Patterns are POSIX extended regular expressions, matched within one line ("^" and "$" are its
 * ends), against text freed of carriage returns, NULs and terminal escape sequences. Since text
 * comes in pieces, "$" also matches where it has come to so far ("login: *$"); a pattern that wants
 * the whole of a line ends with "\n". Text is consumed by a match: the next one is looked for
 * behind it.
 */

#include "base/err.h"
#include "base/vec.h"

struct console;

/* Gets every piece of raw output as it is read. */
typedef void console_sink_fn(const void *data, size_t size, void *context);

/*
 * Takes over *take_fd, also on failure. All output is appended to the file `transcript` if not
 * NULL.
 */
int console_new(int *take_fd, const char *transcript, struct console **ret, struct err *err);
void console_free(struct console *c);
void console_free_ptr(struct console **c);
#define AUTO_CONSOLE AUTO(console_free_ptr) struct console *

void console_set_sink(struct console *c, console_sink_fn *sink, void *context);
/* For poll(). Borrowed. */
int console_fd(const struct console *c);

/*
 * From now on a wait fails at once, with ERR_IO, when this appears ("Kernel panic"). NULL: nothing
 * is forbidden any more.
 */
int console_forbid(struct console *c, const char *pattern, struct err *err);

/*
 * Waits for `pattern`, which lies within one line. *ret_match, if ret_match is not NULL, is what
 * the first group matched, or the whole match when there is none; caller owns it. ERR_AGAIN when
 * the time is over, ERR_IO when the other side is gone; both quote the last lines.
 */
int console_expect(struct console *c, const char *pattern, unsigned timeout_ms, char **ret_match,
	struct err *err);

/*
 * As console_expect() without waiting: looks at what has been read so far. 0 found (and consumed),
 * 1 not there.
 */
int console_look(struct console *c, const char *pattern, char **ret_match, struct err *err);

/* Reads what is there, waiting up to timeout_ms for it: 0 read something, 1 nothing or the end. */
int console_read(struct console *c, unsigned timeout_ms, struct err *err);
/* True once the other side has closed. */
bool console_at_end(const struct console *c);

/* Types `text` as it is ("\n" is the return key). Reads meanwhile, so that neither side blocks. */
int console_send(struct console *c, const char *text, struct err *err);

/* The text consumed by the last successful match and what stood before it; until the next call. */
const char *console_before(const struct console *c);
/* The last `lines` lines, on one line with " | " between; caller owns it. NULL with ERR_NOMEM. */
char *console_tail(const struct console *c, unsigned lines, struct err *err);

#endif
