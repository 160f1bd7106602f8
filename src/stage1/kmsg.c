/* SPDX-License-Identifier: MIT */
/*
 * Log lines to the kernel log, where they get their time and end up in the journal. /dev/kmsg is
 * opened for each line: the kernel limits lines per open file (10 in 5 s, kernel/printk/printk.c
 * devkmsg_write), and drops what is more without a word.
 */
#include "stage1/kmsg.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static int syslog_level(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return 3;
	case LOG_LEVEL_WARNING:
		return 4;
	case LOG_LEVEL_INFO:
		return 6;
	case LOG_LEVEL_DEBUG:
		return 7;
	}
	return 6;
}

void kmsg_sink(enum log_level level, const char *line, void *data)
{
	(void)data;
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		fprintf(stderr, "snowboot: %s\n", line);
		return;
	}
	/* One write is one record, of about 1 KiB at most; dprintf() would seek first, which
	 * /dev/kmsg refuses. */
	char record[960];
	int len = snprintf(record, sizeof(record), "<%d>snowboot: %s", syslog_level(level), line);
	size_t size = len < (int)sizeof(record) ? (size_t)len : sizeof(record) - 1;
	(void)!write(fd, record, size); /* a log that does not work has nobody to tell */
	close(fd);
}
