/* SPDX-License-Identifier: MIT */
#ifndef VM_QMP_H
#define VM_QMP_H

/*
 * QEMU's machine protocol: one JSON object a line, commands answered in order, events in between
 * (QEMU docs/interop/qmp-spec.txt). Events that arrive while an answer is awaited are kept.
 */

#include "base/err.h"

#include <jansson.h>

struct qmp;

/* Takes over *take_fd, reads the greeting and leaves the negotiation mode. */
int qmp_new(int *take_fd, unsigned timeout_ms, struct qmp **ret, struct err *err);
void qmp_free(struct qmp *q);
void qmp_free_ptr(struct qmp **q);

/*
 * Executes a command. The reference to take_arguments (NULL: none) is consumed, also on failure.
 * *ret is the value of "return", a new reference; ret may be NULL. ERR_AGAIN when the time is
 * over, ERR_IO when QEMU is gone or refuses (the message has its class and description),
 * ERR_CORRUPT when it does not speak QMP.
 */
int qmp_execute(struct qmp *q, const char *command, json_t *take_arguments, unsigned timeout_ms,
	json_t **ret, struct err *err);

/*
 * Waits for an event of that name, kept ones first, and drops those before it. *ret is the whole
 * event, a new reference; ret may be NULL. Errors as qmp_execute().
 */
int qmp_wait_event(
	struct qmp *q, const char *name, unsigned timeout_ms, json_t **ret, struct err *err);

#endif
