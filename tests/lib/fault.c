/* SPDX-License-Identifier: MIT */
/* The functions stand in for libc's, for the executable by --wrap and for libraries by their names,
 * which the executable exports. */
#include "fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static enum fault armed;
static int left = -1; /* calls before it; below 0: none to come, or it was */

void fault_arm(enum fault fault, unsigned at)
{
	armed = fault;
	__atomic_store_n(&left, (int)at + 1, __ATOMIC_SEQ_CST);
}

bool fault_disarm(void)
{
	return __atomic_exchange_n(&left, -1, __ATOMIC_SEQ_CST) <= 0;
}

/* Whether this call is the one. */
static bool strikes(enum fault fault)
{
	if (armed != fault || __atomic_load_n(&left, __ATOMIC_RELAXED) <= 0)
		return false;
	return __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST) == 0;
}

static bool no_memory(void)
{
	if (!strikes(FAULT_ALLOCATION))
		return false;
	errno = ENOMEM;
	return true;
}

static bool no_output(void)
{
	bool space = strikes(FAULT_SPACE);
	if (!space && !strikes(FAULT_OUTPUT))
		return false;
	errno = space ? ENOSPC : EIO;
	return true;
}

static bool no_rename(void)
{
	if (!strikes(FAULT_OUTPUT))
		return false;
	errno = EIO;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
char *__real_strdup(const char *str);
char *__real_strndup(const char *str, size_t len);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);

void *__wrap_malloc(size_t size)
{
	return no_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return no_memory() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return no_memory() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return no_memory() ? NULL : __real_reallocarray(old, count, size);
}

char *__wrap_strdup(const char *str)
{
	return no_memory() ? NULL : __real_strdup(str);
}

char *__wrap_strndup(const char *str, size_t len)
{
	return no_memory() ? NULL : __real_strndup(str, len);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	return no_memory() ? -1 : __real_vasprintf(ret, fmt, ap);
}

/* By the kernel's own entries, as the names of libc are ours. */
ssize_t write(int fd, const void *data, size_t size)
{
	if (!no_output())
		return syscall(SYS_write, fd, data, size);
	int errnum = errno;
	(void)!syscall(SYS_write, fd, data, size / 2);
	errno = errnum;
	return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t off)
{
	if (!no_output())
		return syscall(SYS_pwrite64, fd, data, size, off);
	int errnum = errno;
	(void)!syscall(SYS_pwrite64, fd, data, size / 2, off);
	errno = errnum;
	return -1;
}

int fsync(int fd)
{
	return no_output() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return no_output() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	return no_output() ? -1 : (int)syscall(SYS_syncfs, fd);
}

int ftruncate64(int fd, off64_t size)
{
	return no_output() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int rename(const char *from, const char *to)
{
	return no_rename() ? -1 : (int)syscall(SYS_rename, from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return no_rename() ? -1 : (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return no_rename() ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}
