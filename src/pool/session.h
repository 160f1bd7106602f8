/* SPDX-License-Identifier: MIT */
#ifndef POOL_SESSION_H
#define POOL_SESSION_H

/*
 * A process's stay in a pool: where its temporaries lie and which objects it wants kept. Alive as
 * long as a lock is held, so whatever way the process ends, others see at once that it did.
 *
 *   lock                      flock: shared while objects appear and are pinned, exclusive for gc
 *   sessions/<id>/lock        flock, exclusive, held by the process
 *   sessions/<id>/pins        digests, 32 bytes each
 *   sessions/<id>/<number>    temporaries: files and directories
 */

#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

#include <stdbool.h>

struct session {
	int pool_fd;          /* the pool's directory, borrowed */
	const char *pool_dir; /* its name, for messages; borrowed */
	char *dir;            /* "sessions/<id>"; NULL before the first use */
	int fd, lock_fd, pins_fd;
	unsigned next; /* number of the next temporary */
};

void session_init(struct session *session, int pool_fd, const char *pool_dir);
/* Ends the stay: removes temporaries and pins. */
void session_done(struct session *session);

enum session_lock {
	SESSION_LOCK_SHARED,    /* waits */
	SESSION_LOCK_EXCLUSIVE, /* waits */
	SESSION_LOCK_TRY, /* exclusive; returns 1 when it was got, 0 when others are at work */
};

/* Takes the pool's lock, which closing *ret_fd (an AUTO_FD) releases. ERR_IO. */
int session_lock(
	const struct session *session, enum session_lock how, int *ret_fd, struct err *err);

/* Creates a temporary. Several threads may do so at once after session_begin(). Its name, relative
 * to the pool, is the caller's. */
int session_temp(struct session *session, char **ret_name, int *ret_fd, struct err *err);
/* Creates a temporary directory, likewise. */
int session_scratch(struct session *session, char **ret_name, struct err *err);
/* Removes a temporary directory with its contents, by its number. */
void session_remove(const struct session *session, const char *number);
/* Begins the stay when it has not begun. */
int session_begin(struct session *session, struct err *err);
/* Adds pins; the caller holds the shared lock. */
int session_pin(
	struct session *session, const struct digest *objects, size_t count, struct err *err);

struct digest_list {
	struct digest *items;
	size_t len, cap;
};
#define AUTO_DIGEST_LIST AUTO(digest_list_done) struct digest_list
void digest_list_done(struct digest_list *list);
void digest_list_sort(struct digest_list *list);
/* In a sorted list. */
bool digest_list_has(const struct digest_list *list, const struct digest *digest);

/*
 * Removes what dead processes left and appends the pins of those alive. The caller holds the
 * exclusive lock.
 */
int session_sweep(const struct session *session, struct digest_list *pins, struct err *err);

#endif
