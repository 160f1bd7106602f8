/* SPDX-License-Identifier: MIT */
/* Log lines and their one sink: besides main() the only place with mutable globals. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static enum log_level log_max = LOG_LEVEL_INFO;
static log_sink_fn *log_sink;
static void *log_sink_data;

void log_setup(enum log_level max_level, log_sink_fn *sink, void *data)
{
	log_max = max_level;
	log_sink = sink;
	log_sink_data = data;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	if (level > log_max)
		return;
	char line[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (log_sink != NULL)
		log_sink(level, line, log_sink_data);
	else
		fprintf(stderr, "%s\n", line);
}

void log_ignored(struct err *err)
{
	log_warning("%s, ignoring", err->msg);
	err_reset(err);
}
