/* SPDX-License-Identifier: MIT */
#ifndef SWARM_SAY_H
#define SWARM_SAY_H

/* What a double was told is kept as text, which a test compares and empties. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SAID_SIZE 1024

__attribute__((format(printf, 2, 3))) static inline void say(
	char said[SAID_SIZE], const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t len = strlen(said);
	(void)vsnprintf(said + len, SAID_SIZE - len, fmt, ap);
	va_end(ap);
}

#endif
