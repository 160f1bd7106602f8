/* SPDX-License-Identifier: MIT */
/* Text, so that a log of it can be read; packets, so that nobody has to find its ends. */
#include "stage1/control.h"

#include "base/fd.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

int control_pair(int ret_fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_sys(err, "cannot make a control socket");
	return 0;
}

static int send_text(int fd, const char *text, size_t len, int pass_fd, struct err *err)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {.iov_base = (char *)text, .iov_len = len};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	if (pass_fd >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &pass_fd, sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return err_sys(err, "cannot send '%.*s'", (int)strcspn(text, " "), text);
	return 0;
}

int control_send(int fd, const char *word, int pass_fd, struct err *err, const char *fmt, ...)
{
	char text[CONTROL_MAX];
	int at = snprintf(text, sizeof(text), "%s ", word);
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(text + at, sizeof(text) - (size_t)at, fmt, ap);
	va_end(ap);
	size_t all = (size_t)at + (size_t)(len > 0 ? len : 0);
	return send_text(fd, text, all < sizeof(text) ? all : sizeof(text) - 1, pass_fd, err);
}

/* The descriptor that came along; further ones, which nobody sends, are closed. */
static int take_fd(struct msghdr *msg)
{
	AUTO_FD int fd = -1;
	for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head != NULL;
		head = CMSG_NXTHDR(msg, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= head->cmsg_len - CMSG_LEN(0);
			at += sizeof(int)) {
			fd_close_ptr(&fd);
			memcpy(&fd, CMSG_DATA(head) + at, sizeof(int));
		}
	}
	return TAKE_FD(fd);
}

int control_receive(int fd, struct control_message *ret, struct err *err)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
	char data[CONTROL_MAX];
	struct iovec part = {.iov_base = data, .iov_len = sizeof(data) - 1};
	struct msghdr msg = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return err_sys(err, "cannot receive");
	if (n <= 0)
		return err_raise(err, ERR_NOT_FOUND, "the other side is gone");
	data[n] = '\0';
	size_t word = strcspn(data, " ");
	size_t text = word + (data[word] == ' ');
	*ret = (struct control_message){.fd = take_fd(&msg)};
	memcpy(ret->word, data, word < sizeof(ret->word) ? word : sizeof(ret->word) - 1);
	memcpy(ret->text, data + text, (size_t)n - text);
	return 1;
}

int control_send_failure(int fd, const struct err *failure, struct err *err)
{
	return control_send(fd, "failed", -1, err, "%s %s\n%s", err_kind_name(failure->kind),
		failure->msg, failure->hint);
}

void control_failure(const char *text, struct err *ret)
{
	size_t word = strcspn(text, " ");
	size_t text_at = word + (text[word] == ' ');
	size_t len = strcspn(text + text_at, "\n");
	enum err_kind found = ERR_IO;
	for (enum err_kind kind = ERR_USAGE; kind <= ERR_BUG; kind++)
		if (strlen(err_kind_name(kind)) == word &&
			strncmp(text, err_kind_name(kind), word) == 0)
			found = kind;
	err_raise(ret, found, "%.*s", (int)len, text + text_at);
	const char *hint = text + text_at + len;
	if (hint[0] == '\n' && hint[1] != '\0')
		err_hint(ret, "%s", hint + 1);
}
