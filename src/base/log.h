/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * Log lines for long-running programs (serve, stage 1, vm). Library code that merely fails raises
 * an error instead. The sink is set once by main(); before that lines go to stderr.
 */

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Receives each line, without a newline. */
typedef void log_sink_fn(enum log_level level, const char *line, void *data);

/* Sets the most talkative level that is kept, and where lines go (NULL: to stderr, as they are). */
void log_setup(enum log_level max_level, log_sink_fn *sink, void *data);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Logs a failure that does not stop us, as "<message>, ignoring", and resets it. */
void log_ignored(struct err *err);

#endif
