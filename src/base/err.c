/* SPDX-License-Identifier: MIT */
/*
 * Errors as values: a kind to branch on, one message that grows outwards from the cause, and the
 * way out. It knows nothing of logging or of exit codes; main() renders what arrives there.
 */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

void err_reset(struct err *err)
{
	*err = ERR_INIT;
}

static enum err_kind kind_of_errno(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return ERR_NOT_FOUND;
	case ENOMEM:
		return ERR_NOMEM;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
		return ERR_LIMIT;
	case EAGAIN:
	case EBUSY:
		return ERR_AGAIN;
	default:
		return ERR_IO;
	}
}

/*
 * Joins head and tail into msg. When both do not fit, the end of the head and the start of the tail
 * make place for "…": what is lost is the middle of the chain.
 */
static void join(char *msg, size_t size, const char *head, const char *tail)
{
	static const char gap[] = "…";
	size_t head_len = strlen(head), tail_len = strlen(tail);
	if (head_len + tail_len < size) {
		memmove(msg + head_len, tail, tail_len + 1);
		memcpy(msg, head, head_len);
		return;
	}
	size_t space = size - sizeof(gap);
	size_t keep_head = head_len < space / 2 ? head_len : space / 2;
	size_t keep_tail = space - keep_head < tail_len ? space - keep_head : tail_len;
	memmove(msg + keep_head + sizeof(gap) - 1, tail + tail_len - keep_tail, keep_tail + 1);
	memcpy(msg, head, keep_head);
	memcpy(msg + keep_head, gap, sizeof(gap) - 1);
}

static int raise_va(struct err *err, enum err_kind kind, int errnum, const char *fmt, va_list ap)
{
	assert(err_clean(err));
	err->kind = kind;
	err->sys = errnum;
	err->hint[0] = '\0';
	char text[sizeof(err->msg)];
	vsnprintf(text, sizeof(text), fmt, ap);
	char cause[160] = "";
	if (errnum != 0)
		snprintf(cause, sizeof(cause), ": %s", strerror(errnum));
	join(err->msg, sizeof(err->msg), text, cause);
	return -1;
}

int err_raise(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	raise_va(err, kind, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int errnum = errno;
	va_list ap;
	va_start(ap, fmt);
	raise_va(err, kind_of_errno(errnum), errnum, fmt, ap);
	va_end(ap);
	return -1;
}

int err_errno(struct err *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	raise_va(err, kind_of_errno(errnum), errnum, fmt, ap);
	va_end(ap);
	return -1;
}

int err_oom(struct err *err)
{
	return err_raise(err, ERR_NOMEM, "out of memory");
}

static void put_before(struct err *err, const char *head)
{
	char tail[sizeof(err->msg)];
	memcpy(tail, err->msg, sizeof(tail));
	join(err->msg, sizeof(err->msg), head, tail);
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	assert(!err_clean(err));
	char head[sizeof(err->msg) / 2];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(head, sizeof(head) - 2, fmt, ap);
	va_end(ap);
	strcat(head, ": ");
	put_before(err, head);
	return -1;
}

int err_hint(struct err *err, const char *fmt, ...)
{
	assert(!err_clean(err));
	if (err->hint[0] != '\0')
		return -1;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return "none";
	case ERR_USAGE:
		return "usage";
	case ERR_NOT_FOUND:
		return "not-found";
	case ERR_IO:
		return "io";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_UNTRUSTED:
		return "untrusted";
	case ERR_UNSUPPORTED:
		return "unsupported";
	case ERR_LIMIT:
		return "limit";
	case ERR_AGAIN:
		return "again";
	case ERR_NOMEM:
		return "out-of-memory";
	case ERR_BUG:
		return "bug";
	}
	return "unknown";
}

struct err_scope err_scope_enter(struct err *err, const char *fmt, ...)
{
	assert(err_clean(err));
	struct err_scope scope = {.err = err};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(scope.text, sizeof(scope.text), fmt, ap);
	va_end(ap);
	return scope;
}

void err_scope_leave(struct err_scope *scope)
{
	if (!err_clean(scope->err))
		err_prefix(scope->err, "%s", scope->text);
}
