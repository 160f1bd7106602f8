/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a bound. It knows nothing of what the bytes mean. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.max = buf->max};
}

uint8_t *buf_reserve(struct buf *buf, size_t size, struct err *err)
{
	size_t max = buf->max != 0 ? buf->max : BUF_MAX_DEFAULT;
	if (size > max || buf->len > max - size) {
		err_raise(err, ERR_LIMIT, "%zu bytes are more than the limit of %zu",
			buf->len + size, max);
		return NULL;
	}
	if (buf->cap - buf->len >= size && buf->data != NULL)
		return buf->data + buf->len;
	size_t cap = buf->cap < 128 ? 256 : buf->cap * 2;
	if (cap < buf->len + size)
		cap = buf->len + size;
	uint8_t *data = realloc(buf->data, cap);
	if (data == NULL) {
		err_oom(err);
		return NULL;
	}
	buf->data = data;
	buf->cap = cap;
	return buf->data + buf->len;
}

int buf_put(struct buf *buf, const void *data, size_t size, struct err *err)
{
	uint8_t *p = buf_reserve(buf, size, err);
	if (p == NULL)
		return -1;
	if (size > 0)
		memcpy(p, data, size);
	buf->len += size;
	return 0;
}

int buf_put_str(struct buf *buf, const char *str, struct err *err)
{
	return buf_put(buf, str, strlen(str), err);
}

int buf_put_zero(struct buf *buf, size_t size, struct err *err)
{
	uint8_t *p = buf_reserve(buf, size, err);
	if (p == NULL)
		return -1;
	memset(p, 0, size);
	buf->len += size;
	return 0;
}

int buf_printf(struct buf *buf, struct err *err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		return err_raise(err, ERR_BUG, "cannot format '%s'", fmt);
	uint8_t *p = buf_reserve(buf, (size_t)len + 1, err);
	if (p == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf((char *)p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)len;
	return 0;
}

char *buf_str(struct buf *buf, struct err *err)
{
	uint8_t *p = buf_reserve(buf, 1, err);
	if (p == NULL)
		return NULL;
	*p = '\0';
	return (char *)buf->data;
}

char *buf_take_str(struct buf *buf, struct err *err)
{
	char *str = buf_str(buf, err);
	if (str == NULL)
		return NULL;
	*buf = (struct buf){.max = buf->max};
	return str;
}
