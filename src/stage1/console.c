/* SPDX-License-Identifier: MIT */
/* The consoles. Lines, not keys: a serial console may be a program that sends lines. */
#include "stage1/console.h"

#include "base/fd.h"
#include "base/path.h"
#include "stage1/sysfile.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static int add_name(struct strvec *names, const char *name, size_t len, struct err *err)
{
	AUTO_FREE char *copy = strndup(name, len);
	if (copy == NULL)
		return err_oom(err);
	if (len == 0 || strvec_has(names, copy))
		return 0;
	return strvec_push(names, copy, err);
}

int console_names(
	const char *active, const struct cmdline *cmdline, struct strvec *names, struct err *err)
{
	for (const char *p = active; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, " \n");
		if (add_name(names, p, len, err) < 0)
			return -1;
		p += len;
		p += strspn(p, " \n");
	}
	for (size_t i = 0; i < cmdline->words.len; i++) {
		const char *value = cmdline_value(cmdline->words.items[i], "console");
		if (value != NULL && add_name(names, value, strcspn(value, ","), err) < 0)
			return -1;
	}
	return 0;
}

void consoles_open(struct consoles *ret, const struct cmdline *cmdline)
{
	*ret = (struct consoles){0};
	struct err err = ERR_INIT;
	AUTO_FREE char *active = sysfile_read("/sys/class/tty/console/active");
	AUTO_STRVEC names = {0};
	(void)console_names(active, cmdline, &names, &err); /* what fits is enough */
	if (names.len == 0)
		(void)strvec_push(&names, "console", &err);
	for (size_t i = 0; i < names.len && ret->len < CONSOLES_MAX; i++) {
		char *path = path_printf(&err, "/dev/%s", names.items[i]);
		int fd = path != NULL ? open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
		if (fd < 0) {
			free(path);
			continue;
		}
		/* Carrier or not, a write must not hang; reads are asked for by poll(). */
		ret->fds[ret->len] = fd;
		ret->paths[ret->len++] = path;
	}
}

void consoles_close(struct consoles *consoles)
{
	for (size_t i = 0; i < consoles->len; i++) {
		close(consoles->fds[i]);
		free(consoles->paths[i]);
	}
	consoles->len = 0;
}

/* A console that is full gets a second to drain, then it loses the rest. */
static void print_on(int fd, const char *text, size_t len)
{
	while (len > 0) {
		struct pollfd ready = {fd, POLLOUT, 0};
		if (poll(&ready, 1, 1000) <= 0)
			return;
		ssize_t n = write(fd, text, len);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

void consoles_print(const struct consoles *consoles, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	size_t size = len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1;
	for (size_t i = 0; i < consoles->len; i++)
		print_on(consoles->fds[i], text, size);
}

char consoles_ask(const struct consoles *consoles, const char *question, size_t *ret_index)
{
	struct pollfd fds[CONSOLES_MAX];
	for (size_t i = 0; i < consoles->len; i++) {
		fds[i] = (struct pollfd){consoles->fds[i], POLLIN, 0};
		(void)tcflush(consoles->fds[i], TCIFLUSH);
	}
	/* Not before: programs answer as soon as they see it. */
	consoles_print(consoles, "%s", question);
	for (;;) {
		if (poll(fds, consoles->len, -1) < 0)
			continue;
		for (size_t i = 0; i < consoles->len; i++) {
			char line[256];
			ssize_t n =
				fds[i].revents & POLLIN ? read(fds[i].fd, line, sizeof(line)) : 0;
			if (n > 0) {
				*ret_index = i;
				return line[0];
			}
			if (fds[i].revents & (POLLERR | POLLHUP | POLLNVAL))
				fds[i].fd = -1; /* gone: poll() skips it */
		}
	}
}
