/* SPDX-License-Identifier: MIT */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/*
 * The one error convention of the project.
 *
 *   int f(args…, T *ret_x, struct err *err)
 *
 * returns 0 on success, 1 only where documented as "yes" or "more", and -1 on failure. On -1 *err
 * is filled; on success it is untouched. err is never NULL and is clean (err_clean()) on entry.
 * The object has a fixed size and needs no heap, so it works when memory is exhausted.
 */

#include <stdbool.h>
#include <stdio.h>

/* What kind of failure it was. Callers branch on this and never on the text. */
enum err_kind {
	ERR_NONE = 0,
	ERR_USAGE,       /* the user asked for something that makes no sense */
	ERR_NOT_FOUND,   /* a thing the user named, or that it refers to, is not there */
	ERR_IO,          /* a system call failed; sys says how */
	ERR_CORRUPT,     /* bytes that are not what they claim to be */
	ERR_UNTRUSTED,   /* signature or key missing, wrong, unknown */
	ERR_UNSUPPORTED, /* valid, but not by this version or on this machine */
	ERR_LIMIT,       /* larger than a bound we keep, or out of space */
	ERR_AGAIN,       /* works later: busy, locked, not yet there */
	ERR_NOMEM,
	ERR_BUG, /* our own mistake */
};

struct err {
	enum err_kind kind;
	int sys; /* errno, or 0 when no system call failed */
	char msg[1024];
	char hint[512];
};

#define ERR_INIT \
	(struct err) \
	{ \
		.kind = ERR_NONE \
	}

static inline bool err_clean(const struct err *err)
{
	return err->kind == ERR_NONE;
}

/* Forgets the failure, so that the object can be used again. */
void err_reset(struct err *err);

/* Raises a failure of `kind`. Always returns -1, so that it can end a function. */
int err_raise(struct err *err, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/*
 * Raises the failure of a system call: takes errno at once and appends ": " and its text. The kind
 * is ERR_NOT_FOUND for ENOENT and ENOTDIR, ERR_NOMEM for ENOMEM, ERR_LIMIT for ENOSPC, EDQUOT,
 * EMFILE and ENFILE, ERR_AGAIN for EAGAIN and EBUSY, else ERR_IO. Returns -1.
 */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* As err_sys(), with the error number given (for calls that return it). Returns -1. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Raises ERR_NOMEM. Returns -1. */
int err_oom(struct err *err) __attribute__((cold));

/*
 * Puts "text: " before the message of a failure that is already raised. A message that grows
 * beyond its space is shortened in the middle: the first subject and the last cause are what
 * matters. Returns -1.
 */
int err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Sets the way out, shown on a line of its own; the first hint wins. Returns -1. */
int err_hint(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* The name of a kind in lower case, as JSON output has it ("not-found"). Static storage. */
const char *err_kind_name(enum err_kind kind);

/*
 * ERR_SCOPE(err, "closure of '%s'", root); at the top of a function puts that prefix before every
 * failure that is raised until the function returns. The arguments must live as long as the scope.
 */
struct err_scope {
	struct err *err;
	char text[256];
};
void err_scope_leave(struct err_scope *scope);
struct err_scope err_scope_enter(struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
#define ERR_SCOPE(err, ...) \
	struct err_scope err_scope_here __attribute__((cleanup(err_scope_leave), unused)) = \
		err_scope_enter((err), __VA_ARGS__)

#endif
