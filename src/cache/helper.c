/* SPDX-License-Identifier: MIT */
/*
 * Both ends of the disk helper: starting it and talking to it, and its own loop, which is a plain
 * sequence of blocking calls. It holds no state but the open volume, so it can be killed at any
 * instant.
 */
#include "cache/helper.h"

#include "base/fd.h"
#include "base/mem.h"
#include "cache/volume.h"

#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* How long a helper waits for the one before it to let go of the disk. */
#define LOCK_WAIT_MS 1000
#define LOCK_POLL_MS 20
#define SOCKET_BUFFER (4 * (int)HELPER_PAYLOAD_MAX)

struct helper {
	int socket;
	struct volume volume;
	uint8_t payload[HELPER_PAYLOAD_MAX];
	/* While a zone is told: */
	struct helper_answer zone;
	struct helper_entry entries[HELPER_ENTRIES_MAX];
};

static ssize_t send_both(
	int socket, const void *head, size_t head_size, const void *payload, size_t size, int flags)
{
	struct iovec iov[2] = {{(void *)head, head_size}, {(void *)payload, size}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = size > 0 ? 2 : 1};
	ssize_t n;
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Receives a packet: bytes, 0 at the end, -1 with errno. */
static ssize_t receive_both(int socket, void *head, size_t head_size, void *payload, int flags)
{
	struct iovec iov[2] = {{head, head_size}, {payload, HELPER_PAYLOAD_MAX}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;
	do
		n = recvmsg(socket, &message, flags);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Tells the node; without one there is nothing left to do. */
static void reply(struct helper *helper, struct helper_answer *answer, const void *payload)
{
	if (send_both(helper->socket, answer, sizeof(*answer), payload, answer->size, 0) < 0)
		_exit(0);
}

static int errnum_of(const struct err *err)
{
	return err->sys != 0 ? err->sys : EIO;
}

/* Sends the entries gathered so far. */
static void flush_zone(struct helper *helper)
{
	reply(helper, &helper->zone, helper->entries);
	helper->zone.size = 0;
}

static int gather(const uint8_t *key, uint32_t block, uint32_t len, void *data, struct err *err)
{
	(void)err;
	struct helper *helper = data;
	struct helper_entry *entry =
		&helper->entries[helper->zone.size / sizeof(struct helper_entry)];
	memcpy(entry->key, key, sizeof(entry->key));
	entry->block = block;
	entry->len = len;
	helper->zone.size += (uint32_t)sizeof(*entry);
	if (helper->zone.size + sizeof(*entry) > sizeof(helper->entries))
		flush_zone(helper);
	return 0;
}

static int tell_notes(struct helper *helper, struct err *err)
{
	for (uint32_t slot = 0; slot < LAYOUT_NOTE_SLOTS; slot++) {
		struct helper_answer note = {.fact = HELPER_FACT_NOTE, .zone = slot};
		int r = volume_note(&helper->volume, slot, &note.note, err);
		if (r < 0)
			return -1;
		note.size = note.note.len;
		if (r == 1)
			reply(helper, &note, helper->volume.buffer + LAYOUT_BLOCK);
	}
	return 0;
}

/* A zone that cannot be read is one that holds nothing; the rest may be fine. */
static void tell_zones(struct helper *helper)
{
	for (uint32_t zone = 0; zone < helper->volume.zone_count; zone++) {
		struct err err = ERR_INIT;
		struct volume_zone found = {0};
		helper->zone = (struct helper_answer){.fact = HELPER_FACT_ZONE, .zone = zone};
		int r = volume_scan(&helper->volume, zone, gather, helper, &found, &err);
		helper->zone.errnum = r < 0 ? errnum_of(&err) : 0;
		helper->zone.used = found.used;
		helper->zone.count = found.count;
		helper->zone.sequence = found.sequence;
		if (found.sequence != 0 || r < 0)
			flush_zone(helper);
	}
}

/* Opens; waits a moment for a lock, since the helper of a node that was killed ends just then. */
static int open_volume(struct helper *helper, const char *path, uint64_t max, struct err *err)
{
	struct pollfd hangup = {.fd = helper->socket};
	for (unsigned waited = 0;; waited += LOCK_POLL_MS) {
		err_reset(err);
		if (volume_open(path, max, &helper->volume, err) == 0)
			return 0;
		if (err->kind != ERR_AGAIN || waited >= LOCK_WAIT_MS)
			return -1;
		if (poll(&hangup, 1, LOCK_POLL_MS) > 0)
			_exit(0);
	}
}

static void open_and_tell(struct helper *helper, const char *path, uint64_t max)
{
	struct err err = ERR_INIT;
	struct helper_answer end = {.op = HELPER_OPEN, .last = true};
	if (open_volume(helper, path, max, &err) == 0) {
		struct helper_answer volume = {.fact = HELPER_FACT_VOLUME,
			.zone_bytes = helper->volume.zone_bytes,
			.zone_count = helper->volume.zone_count,
			.read_only = helper->volume.read_only};
		reply(helper, &volume, NULL);
		if (tell_notes(helper, &err) == 0)
			tell_zones(helper);
	}
	if (err_clean(&err)) {
		reply(helper, &end, NULL);
		return;
	}
	/* The message, with its hint, is the payload. */
	int n = snprintf((char *)helper->payload, sizeof(helper->payload), "%s%s%s", err.msg,
		err.hint[0] != '\0' ? "; " : "", err.hint);
	end.errnum = errnum_of(&err);
	end.locked = err.kind == ERR_AGAIN;
	end.size = (uint32_t)n;
	reply(helper, &end, helper->payload);
	_exit(0);
}

/* Does one job: 0 done, 1 rotten, -1. *ret_bytes is the answer's payload. */
static int do_job(struct helper *helper, const struct helper_job *job, size_t size,
	const uint8_t **ret_bytes, struct err *err)
{
	struct volume *volume = &helper->volume;
	const struct layout_record *record = &job->record;
	switch (job->op) {
	case HELPER_READ:
		return volume_read(volume, job->block, record, ret_bytes, err);
	case HELPER_WRITE:
		return volume_write(volume, job->block, record, helper->payload, err);
	case HELPER_COPY:
		return volume_copy(volume, job->block, job->to, record, err);
	case HELPER_BEGIN_ZONE:
		return volume_begin_zone(volume, (uint32_t)job->block, err);
	case HELPER_SEAL_ZONE: {
		struct layout_trailer trailer = {.count = (uint32_t)(size / LAYOUT_ENTRY),
			.used = (uint32_t)job->to,
			.sequence = record->sequence};
		return volume_seal_zone(
			volume, (uint32_t)job->block, &trailer, helper->payload, err);
	}
	case HELPER_NOTE: {
		struct layout_note note = {.len = (uint32_t)size, .sequence = record->sequence};
		memcpy(note.name, job->name, sizeof(note.name));
		return volume_write_note(volume, (uint32_t)job->block, &note, helper->payload, err);
	}
	case HELPER_SYNC:
		return volume_sync(volume, err);
	case HELPER_OPEN:
		break;
	}
	return err_raise(err, ERR_BUG, "no such job");
}

/* Nothing of the node's may stay open here: a socket that the node's death is to close. */
static void leave_the_node(int socket)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "snowboot-disk");
	for (int fd = 3; fd < socket; fd++)
		close(fd);
	close_range((unsigned)socket + 1, ~0u, 0);
	for (int signo = 1; signo < 32; signo++) {
		if (signo != SIGKILL && signo != SIGSTOP && signo != SIGSEGV && signo != SIGBUS)
			signal(signo, signo == SIGABRT || signo == SIGILL ? SIG_DFL : SIG_IGN);
	}
}

static _Noreturn void run(struct helper *helper, const char *path, uint64_t max)
{
	leave_the_node(helper->socket);
	open_and_tell(helper, path, max);
	for (;;) {
		struct err err = ERR_INIT;
		struct helper_job job;
		const uint8_t *bytes = NULL;
		ssize_t n = receive_both(helper->socket, &job, sizeof(job), helper->payload, 0);
		if (n < (ssize_t)sizeof(job))
			_exit(0);
		int r = do_job(helper, &job, (size_t)n - sizeof(job), &bytes, &err);
		struct helper_answer done = {.op = job.op,
			.id = job.id,
			.last = true,
			.rotten = r == 1,
			.errnum = r < 0 ? errnum_of(&err) : 0,
			.size = bytes != NULL ? job.record.len : 0};
		reply(helper, &done, bytes);
	}
}

int helper_start(const char *path, uint64_t max, pid_t *ret_pid, int *ret_socket, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, "cannot make a socket for the disk helper");
	AUTO_FD int ours = pair[0];
	AUTO_FD int its = pair[1];
	AUTO_FREE struct helper *helper = malloc(sizeof(*helper));
	if (helper == NULL)
		return err_oom(err);
	helper->socket = its;
	for (size_t i = 0; i < 2; i++) {
		int size = SOCKET_BUFFER; /* as far as the system allows */
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	}
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, "cannot start the disk helper");
	if (pid == 0)
		run(helper, path, max);
	*ret_pid = pid;
	*ret_socket = TAKE_FD(ours);
	return 0;
}

int helper_send(
	int socket, const struct helper_job *job, const void *payload, size_t size, struct err *err)
{
	if (send_both(socket, job, sizeof(*job), payload, size, MSG_DONTWAIT) >= 0)
		return 0;
	return errno == EAGAIN ? 1 : err_sys(err, "the disk helper is gone");
}

int helper_receive(int socket, struct helper_answer *ret, void *payload, struct err *err)
{
	ssize_t n = receive_both(socket, ret, sizeof(*ret), payload, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN ? 0 : err_sys(err, "the disk helper is gone");
	if ((size_t)n < sizeof(*ret) || (size_t)n != sizeof(*ret) + ret->size)
		return err_raise(err, ERR_IO, "the disk helper ended");
	return 1;
}
