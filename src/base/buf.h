/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * A byte buffer that grows up to a maximum given at birth. Zeroed memory is a valid, empty buffer
 * with no maximum of its own (BUF_MAX_DEFAULT applies). Not NUL-terminated unless buf_str() is
 * called.
 */

#include "base/err.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define BUF_MAX_DEFAULT ((size_t)1 << 31)

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max; /* bytes; 0 means BUF_MAX_DEFAULT */
};

#define AUTO_BUF AUTO(buf_done) struct buf

void buf_done(struct buf *buf);

/* Forgets the contents and keeps the memory. */
static inline void buf_clear(struct buf *buf)
{
	buf->len = 0;
}

/*
 * Makes room for `size` more bytes and returns where they start, without adding them to len; NULL
 * with ERR_NOMEM or ERR_LIMIT.
 */
uint8_t *buf_reserve(struct buf *buf, size_t size, struct err *err);

/* Appends. Fails with ERR_NOMEM, or ERR_LIMIT beyond the maximum. */
int buf_put(struct buf *buf, const void *data, size_t size, struct err *err);
int buf_put_str(struct buf *buf, const char *str, struct err *err);
int buf_put_zero(struct buf *buf, size_t size, struct err *err);
int buf_printf(struct buf *buf, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Ensures a NUL behind the contents (not counted in len) and returns them; NULL on failure. */
char *buf_str(struct buf *buf, struct err *err);

/* As buf_str(), but the caller owns the memory and the buffer is empty afterwards. */
char *buf_take_str(struct buf *buf, struct err *err);

#endif
