/* SPDX-License-Identifier: MIT */
/*
 * QMP in the plain order: one command at a time. Lines are bounded, since a peer that sends no
 * newline must not fill our memory.
 */
#include "vm/qmp.h"

#include "base/buf.h"
#include "base/fd.h"
#include "vm/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_MAX_BYTES ((size_t)4 << 20) /* query-qmp-schema answers with some 200 KiB */
#define EVENTS_MAX 1024

struct qmp {
	int fd;
	struct buf in;
	json_t *events; /* array of events not yet waited for */
};

void qmp_free(struct qmp *q)
{
	if (q == NULL)
		return;
	fd_close_ptr(&q->fd);
	buf_done(&q->in);
	json_decref(q->events);
	free(q);
}

void qmp_free_ptr(struct qmp **q)
{
	qmp_free(*q);
	*q = NULL;
}

static int read_more(struct qmp *q, uint64_t deadline, struct err *err)
{
	struct pollfd p = {.fd = q->fd, .events = POLLIN};
	int n = poll(&p, 1, deadline_left_ms(deadline));
	if (n == 0)
		return err_raise(err, ERR_AGAIN, "QEMU's monitor does not answer in time");
	if (n < 0)
		return errno == EINTR ? 0 : err_sys(err, "cannot wait for QEMU's monitor");
	uint8_t *to = buf_reserve(&q->in, 4096, err);
	if (to == NULL)
		return -1;
	ssize_t len = read(q->fd, to, 4096);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (len < 0 && errno != ECONNRESET)
		return err_sys(err, "cannot read from QEMU's monitor");
	if (len <= 0)
		return err_raise(err, ERR_IO, "QEMU closed its monitor");
	q->in.len += (size_t)len;
	return 0;
}

/* The next object of the stream, a new reference. */
static int read_object(struct qmp *q, uint64_t deadline, json_t **ret, struct err *err)
{
	const uint8_t *newline;
	while ((newline = memchr(q->in.data != NULL ? q->in.data : (const uint8_t *)"", '\n',
			q->in.len)) == NULL)
		if (read_more(q, deadline, err) < 0)
			return -1;
	size_t len = (size_t)(newline - q->in.data) + 1;
	json_error_t cause;
	json_t *object = json_loadb((const char *)q->in.data, len, 0, &cause);
	q->in.len -= len;
	memmove(q->in.data, q->in.data + len, q->in.len);
	if (object == NULL)
		return err_raise(err, ERR_CORRUPT, "QEMU's monitor sent no JSON: %s", cause.text);
	if (!json_is_object(object)) {
		json_decref(object);
		return err_raise(err, ERR_CORRUPT, "QEMU's monitor sent no JSON object");
	}
	*ret = object;
	return 0;
}

/* Reads until something that is no event arrives. */
static int read_answer(struct qmp *q, uint64_t deadline, json_t **ret, struct err *err)
{
	for (;;) {
		json_t *object;
		if (read_object(q, deadline, &object, err) < 0)
			return -1;
		if (json_object_get(object, "event") == NULL) {
			*ret = object;
			return 0;
		}
		if (json_array_size(q->events) >= EVENTS_MAX)
			json_array_remove(q->events, 0);
		if (json_array_append_new(q->events, object) < 0)
			return err_oom(err);
	}
}

static int greet(struct qmp *q, unsigned timeout_ms, struct err *err)
{
	json_t *greeting;
	if (read_answer(q, deadline_in(timeout_ms), &greeting, err) < 0)
		return -1;
	bool is_qmp = json_is_object(json_object_get(greeting, "QMP"));
	json_decref(greeting);
	if (!is_qmp)
		return err_raise(err, ERR_CORRUPT, "QEMU's monitor does not greet as QMP");
	return qmp_execute(q, "qmp_capabilities", NULL, timeout_ms, NULL, err);
}

int qmp_new(int *take_fd, unsigned timeout_ms, struct qmp **ret, struct err *err)
{
	AUTO_FD int fd = TAKE_FD(*take_fd);
	struct qmp *q = calloc(1, sizeof(*q));
	json_t *events = json_array();
	if (q == NULL || events == NULL) {
		json_decref(events);
		free(q);
		return err_oom(err);
	}
	*q = (struct qmp){.fd = TAKE_FD(fd), .in.max = LINE_MAX_BYTES, .events = events};
	if (greet(q, timeout_ms, err) < 0) {
		qmp_free(q);
		return -1;
	}
	*ret = q;
	return 0;
}

/* Not write(): a QEMU that is gone must be an error, not a SIGPIPE. */
static int send_all(struct qmp *q, const char *text, size_t left, struct err *err)
{
	while (left > 0) {
		/* Short against a socket's buffer, and QEMU always reads: this does not block. */
		ssize_t n = send(q->fd, text, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EPIPE)
			return err_raise(err, ERR_IO, "QEMU closed its monitor");
		if (n < 0 && errno != EINTR)
			return err_sys(err, "cannot write to QEMU's monitor");
		text += n > 0 ? n : 0;
		left -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int send_command(struct qmp *q, const char *command, json_t *take_arguments, struct err *err)
{
	json_t *object = json_pack("{s:s, s:o*}", "execute", command, "arguments", take_arguments);
	AUTO_FREE char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (text == NULL)
		return err_oom(err);
	size_t len = strlen(text);
	text[len] = '\n'; /* in the place of the NUL */
	return send_all(q, text, len + 1, err);
}

/* Takes the answer apart and over. */
static int take_answer(const char *command, json_t *take_answer, json_t **ret, struct err *err)
{
	json_t *value = json_object_get(take_answer, "return");
	const json_t *failure = json_object_get(take_answer, "error");
	int r = 0;
	if (value == NULL && failure == NULL)
		r = err_raise(err, ERR_CORRUPT,
			"QEMU's monitor answers '%s' with neither result nor error", command);
	else if (value == NULL) {
		const char *class = json_string_value(json_object_get(failure, "class"));
		const char *text = json_string_value(json_object_get(failure, "desc"));
		r = err_raise(err, ERR_IO, "QEMU refuses '%s': %s: %s", command,
			class != NULL ? class : "no class", text != NULL ? text : "no description");
	} else if (ret != NULL) {
		*ret = json_incref(value);
	}
	json_decref(take_answer);
	return r;
}

int qmp_execute(struct qmp *q, const char *command, json_t *take_arguments, unsigned timeout_ms,
	json_t **ret, struct err *err)
{
	json_t *answer;
	if (send_command(q, command, take_arguments, err) < 0 ||
		read_answer(q, deadline_in(timeout_ms), &answer, err) < 0)
		return err_prefix(err, "command '%s'", command);
	return take_answer(command, answer, ret, err);
}

/* Drops kept events up to the first of that name: true and *ret when there is one. */
static bool find_event(struct qmp *q, const char *name, json_t **ret)
{
	while (json_array_size(q->events) > 0) {
		json_t *event = json_incref(json_array_get(q->events, 0));
		json_array_remove(q->events, 0);
		const char *its_name = json_string_value(json_object_get(event, "event"));
		bool found = its_name != NULL && strcmp(its_name, name) == 0;
		if (found && ret != NULL)
			*ret = json_incref(event);
		json_decref(event);
		if (found)
			return true;
	}
	return false;
}

int qmp_wait_event(
	struct qmp *q, const char *name, unsigned timeout_ms, json_t **ret, struct err *err)
{
	uint64_t deadline = deadline_in(timeout_ms);
	while (!find_event(q, name, ret)) {
		json_t *object;
		if (read_object(q, deadline, &object, err) < 0)
			return err_prefix(err, "waiting for event '%s'", name);
		/* An answer nobody waits for is late; it belongs to a command given up. */
		int r = json_object_get(object, "event") != NULL
			? json_array_append(q->events, object)
			: 0;
		json_decref(object);
		if (r < 0)
			return err_oom(err);
	}
	return 0;
}
