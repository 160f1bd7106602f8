/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_CONTROL_H
#define STAGE1_CONTROL_H

/*
 * Messages between the processes of a network root: a line of text, and at most one descriptor,
 * over a SOCK_SEQPACKET pair. docs/internals/netroot-processes.md lists the words.
 */

#include "base/err.h"

#include <stdbool.h>

#define CONTROL_MAX 2048 /* bytes of one message */

struct control_message {
	char word[16];
	char text[CONTROL_MAX]; /* what follows the word and a blank */
	int fd;                 /* that came with it, which the receiver owns; or -1 */
};

/* A connected pair, close-on-exec. ERR_IO. */
int control_pair(int ret_fds[2], struct err *err);
/*
 * Sends "WORD TEXT", and pass_fd unless it is -1. Never blocks: ERR_AGAIN when the other side does
 * not read, ERR_IO when it is gone. A text that is too long is cut.
 */
int control_send(int fd, const char *word, int pass_fd, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* The next message: 1; 0 when none waits; -1 with ERR_NOT_FOUND when the other side is gone. */
int control_receive(int fd, struct control_message *ret, struct err *err);

/* A failure as one message: "failed KIND MESSAGE\nHINT". */
int control_send_failure(int fd, const struct err *failure, struct err *err);
/* What its text says; an unknown kind is ERR_IO. */
void control_failure(const char *text, struct err *ret);

#endif
