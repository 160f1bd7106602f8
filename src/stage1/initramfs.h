/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_INITRAMFS_H
#define STAGE1_INITRAMFS_H

#include "base/err.h"

/*
 * Frees the memory of the initramfs once PID 1 has left it: starts a process that waits until exec
 * succeeded (then its end of the pipe is closed) and removes every file below rootfd that lies on
 * the same file system. The image's name goes too; its loop device keeps its only copy. When the
 * pipe carries a byte instead, nothing is removed. *ret_pipe is close-on-exec and the caller's.
 */
int initramfs_free_after_exec(int rootfd, int *ret_pipe, struct err *err);

#endif
