/* SPDX-License-Identifier: MIT */
/* Netlink as bytes on a socket: no names of links, addresses or routes are known here. */
#include "net/netlink.h"

#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RECEIVE_MAX 65536 /* the kernel's messages of a dump are at most 32 KiB */
#define ANSWER_S 10       /* the kernel answers at once; this is against our waiting for ever */

int netlink_open(uint32_t groups, int *ret_fd, struct err *err)
{
	int flags = SOCK_RAW | SOCK_CLOEXEC | (groups != 0 ? SOCK_NONBLOCK : 0);
	AUTO_FD int fd = socket(AF_NETLINK, flags, NETLINK_ROUTE);
	if (fd < 0)
		return err_sys(err, "cannot open the kernel's routing netlink");
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
	const struct timeval timeout = {.tv_sec = ANSWER_S};
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return err_sys(err, "cannot listen to the kernel's routing netlink");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void append(struct netlink_request *request, const void *data, size_t size)
{
	assert(request->len + NLMSG_ALIGN(size) <= sizeof(request->data));
	if (size > 0)
		memcpy(request->data + request->len, data, size);
	request->len += NLMSG_ALIGN(size);
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *head,
	size_t size)
{
	*request = (struct netlink_request){0};
	const struct nlmsghdr header = {
		.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
	append(request, &header, sizeof(header));
	append(request, head, size);
}

void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t size)
{
	const struct rtattr attribute = {
		.rta_type = type, .rta_len = (uint16_t)(sizeof(attribute) + size)};
	append(request, &attribute, sizeof(attribute));
	append(request, data, size);
}

void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

size_t netlink_nest(struct netlink_request *request, uint16_t type)
{
	size_t nest = request->len;
	netlink_put(request, type, NULL, 0);
	return nest;
}

void netlink_nest_end(struct netlink_request *request, size_t nest)
{
	struct rtattr attribute;
	memcpy(&attribute, request->data + nest, sizeof(attribute));
	attribute.rta_len = (uint16_t)(request->len - nest);
	memcpy(request->data + nest, &attribute, sizeof(attribute));
}

static int send_request(int fd, struct netlink_request *request, const char *what, struct err *err)
{
	struct nlmsghdr header;
	memcpy(&header, request->data, sizeof(header));
	header.nlmsg_len = (uint32_t)request->len;
	memcpy(request->data, &header, sizeof(header));
	if (send(fd, request->data, request->len, 0) < 0)
		return err_sys(err, "cannot %s", what);
	return 0;
}

/* A message of the kernel, aligned as its structs want it. */
struct answer {
	union {
		struct nlmsghdr header;
		uint8_t bytes[RECEIVE_MAX];
	} data;
	size_t len;
};

static int receive(int fd, struct answer *ret, const char *what, struct err *err)
{
	for (;;) {
		ssize_t n = recv(fd, ret->data.bytes, sizeof(ret->data), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot %s", what);
		ret->len = (size_t)n;
		return 0;
	}
}

/* NLMSG_ERROR is also how the kernel says "done": with the number 0. */
static int read_verdict(const struct nlmsghdr *message, const char *what, struct err *err)
{
	struct nlmsgerr verdict;
	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(verdict)))
		return err_raise(
			err, ERR_CORRUPT, "cannot %s: the kernel's answer is cut off", what);
	memcpy(&verdict, NLMSG_DATA(message), sizeof(verdict));
	if (verdict.error != 0)
		return err_errno(err, -verdict.error, "cannot %s", what);
	return 0;
}

int netlink_talk(int fd, struct netlink_request *request, const char *what, struct err *err)
{
	struct nlmsghdr header;
	memcpy(&header, request->data, sizeof(header));
	header.nlmsg_flags |= NLM_F_ACK;
	memcpy(request->data, &header, sizeof(header));
	if (send_request(fd, request, what, err) < 0)
		return -1;
	struct answer *answer = malloc(sizeof(*answer));
	if (answer == NULL)
		return err_oom(err);
	int r = receive(fd, answer, what, err);
	if (r == 0 &&
		(!NLMSG_OK(&answer->data.header, answer->len) ||
			answer->data.header.nlmsg_type != NLMSG_ERROR))
		r = err_raise(
			err, ERR_CORRUPT, "cannot %s: the kernel's answer is no verdict", what);
	if (r == 0)
		r = read_verdict(&answer->data.header, what, err);
	free(answer);
	return r;
}

/* Passes one datagram on. 1 when it says that a dump is over. */
static int visit_all(const struct answer *answer, netlink_visit_fn *visit, void *data,
	const char *what, struct err *err)
{
	int len = (int)answer->len;
	for (const struct nlmsghdr *m = &answer->data.header; NLMSG_OK(m, (unsigned)len);
		m = NLMSG_NEXT(m, len)) {
		if (m->nlmsg_type == NLMSG_DONE)
			return 1;
		if (m->nlmsg_type == NLMSG_ERROR && read_verdict(m, what, err) < 0)
			return -1;
		if (m->nlmsg_type >= NLMSG_MIN_TYPE)
			visit(m, data);
	}
	return 0;
}

int netlink_dump(int fd, uint16_t type, netlink_visit_fn *visit, void *data, struct err *err)
{
	static const char what[] = "list what the network has";
	const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
	struct netlink_request request;
	netlink_begin(&request, type, NLM_F_DUMP, &head, sizeof(head));
	if (send_request(fd, &request, what, err) < 0)
		return -1;
	struct answer *answer = malloc(sizeof(*answer));
	if (answer == NULL)
		return err_oom(err);
	int r = 0;
	while (r == 0) {
		r = receive(fd, answer, what, err);
		if (r == 0)
			r = visit_all(answer, visit, data, what, err);
	}
	free(answer);
	return r < 0 ? -1 : 0;
}

int netlink_drain(int fd, netlink_visit_fn *visit, void *data, struct err *err)
{
	struct answer *answer = malloc(sizeof(*answer));
	if (answer == NULL)
		return err_oom(err);
	int r = 0;
	while (r == 0) {
		r = receive(fd, answer, "hear of changes in the network", err);
		if (r == 0)
			r = visit_all(answer, visit, data, "hear of changes in the network", err);
	}
	free(answer);
	if (r < 0 && err->kind == ERR_AGAIN) {
		err_reset(err);
		return 0;
	}
	if (r < 0 && err->sys == ENOBUFS) {
		err_reset(err);
		return 1;
	}
	return r;
}

const void *netlink_attribute(const struct nlmsghdr *message, size_t head_size, uint16_t type,
	size_t min_size, size_t *ret_size)
{
	size_t skip = NLMSG_LENGTH(NLMSG_ALIGN(head_size));
	if (message->nlmsg_len < skip)
		return NULL;
	const struct rtattr *a = (const struct rtattr *)((const uint8_t *)message + skip);
	int len = (int)(message->nlmsg_len - skip);
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if ((a->rta_type & NLA_TYPE_MASK) != type || RTA_PAYLOAD(a) < min_size)
			continue;
		if (ret_size != NULL)
			*ret_size = RTA_PAYLOAD(a);
		return RTA_DATA(a);
	}
	return NULL;
}
