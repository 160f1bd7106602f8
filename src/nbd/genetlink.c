/* SPDX-License-Identifier: MIT */
/*
 * Generic netlink by hand: libmnl has no static library in Debian, and this is all that is needed.
 * Netlink speaks the machine's own byte order, and pads attributes to 4 bytes.
 */
#include "nbd/genetlink.h"

#include "base/fd.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

int genetlink_open(int *ret_fd, struct err *err)
{
	AUTO_FD int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	const struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(err, "cannot open a generic netlink socket");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Room for `size` bytes, zeroed; past the end the length grows on, and the call fails by it. */
static uint8_t *reserve(struct genetlink_request *request, size_t size)
{
	static uint8_t spill[sizeof(request->data)];
	size_t at = request->len;
	request->len += NLMSG_ALIGN(size);
	return request->len <= sizeof(request->data) ? request->data + at : spill;
}

void genetlink_begin(
	struct genetlink_request *request, uint16_t family, uint8_t command, uint8_t version)
{
	*request = (struct genetlink_request){0};
	const struct nlmsghdr head = {
		.nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK};
	const struct genlmsghdr generic = {.cmd = command, .version = version};
	memcpy(reserve(request, NLMSG_HDRLEN), &head, sizeof(head));
	memcpy(reserve(request, GENL_HDRLEN), &generic, sizeof(generic));
}

void genetlink_put(struct genetlink_request *request, uint16_t type, const void *value, size_t len)
{
	if (len > sizeof(request->data) - NLA_HDRLEN) {
		request->len = sizeof(request->data) + 1;
		return;
	}
	const struct nlattr attr = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};
	uint8_t *p = reserve(request, NLA_HDRLEN + len);
	memcpy(p, &attr, sizeof(attr));
	memcpy(p + NLA_HDRLEN, value, len);
}

void genetlink_put_str(struct genetlink_request *request, uint16_t type, const char *str)
{
	genetlink_put(request, type, str, strlen(str) + 1);
}

void genetlink_put_u32(struct genetlink_request *request, uint16_t type, uint32_t value)
{
	genetlink_put(request, type, &value, sizeof(value));
}

void genetlink_put_u64(struct genetlink_request *request, uint16_t type, uint64_t value)
{
	genetlink_put(request, type, &value, sizeof(value));
}

size_t genetlink_nest(struct genetlink_request *request, uint16_t type)
{
	size_t mark = request->len;
	genetlink_put(request, (uint16_t)(type | NLA_F_NESTED), "", 0);
	return mark;
}

void genetlink_unnest(struct genetlink_request *request, size_t mark)
{
	if (request->len > sizeof(request->data))
		return;
	uint16_t len = (uint16_t)(request->len - mark);
	memcpy(request->data + mark + offsetof(struct nlattr, nla_len), &len, sizeof(len));
}

static int send_request(int fd, struct genetlink_request *request, struct err *err)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	uint32_t len = (uint32_t)request->len;
	if (request->len > sizeof(request->data))
		return err_raise(err, ERR_BUG, "a netlink request of %zu bytes > max %zu",
			request->len, sizeof(request->data));
	memcpy(request->data + offsetof(struct nlmsghdr, nlmsg_len), &len, sizeof(len));
	if (sendto(fd, request->data, request->len, 0, (const struct sockaddr *)&kernel,
		    sizeof(kernel)) < 0)
		return err_sys(err, "cannot send");
	return 0;
}

/*
 * Reads messages until the acknowledgement: 0, or the kernel's negative errno in *ret_errnum.
 * Others are given to `see`, if there is one.
 */
static int receive(int fd, void (*see)(const uint8_t *data, size_t len, void *arg), void *arg,
	int *ret_errnum, struct err *err)
{
	_Alignas(4) uint8_t data[8192];
	for (;;) {
		ssize_t n = recv(fd, data, sizeof(data), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "cannot receive");
		size_t left = (size_t)n;
		for (const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)data;
			NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			const uint8_t *body = NLMSG_DATA(head);
			size_t len = head->nlmsg_len - NLMSG_HDRLEN;
			if (head->nlmsg_type == NLMSG_ERROR && len >= sizeof(int)) {
				memcpy(ret_errnum, body, sizeof(int));
				return 0;
			}
			if (see != NULL)
				see(body, len, arg);
		}
	}
}

int genetlink_call(int fd, struct genetlink_request *request, const char *what, struct err *err)
{
	int errnum = 0;
	if (send_request(fd, request, err) < 0 || receive(fd, NULL, NULL, &errnum, err) < 0)
		return err_prefix(err, "%s", what);
	return errnum == 0 ? 0 : err_errno(err, -errnum, "%s", what);
}

/* Finds the family's number among the attributes of CTRL_CMD_NEWFAMILY. */
static void see_family(const uint8_t *data, size_t len, void *arg)
{
	struct nlattr attr;
	for (size_t at = GENL_HDRLEN; at + sizeof(attr) <= len; at += NLA_ALIGN(attr.nla_len)) {
		memcpy(&attr, data + at, sizeof(attr));
		if (attr.nla_len < NLA_HDRLEN || attr.nla_len > len - at)
			return;
		if (attr.nla_type == CTRL_ATTR_FAMILY_ID && attr.nla_len >= NLA_HDRLEN + 2)
			memcpy(arg, data + at + NLA_HDRLEN, 2);
	}
}

int genetlink_family(int fd, const char *name, uint16_t *ret, struct err *err)
{
	struct genetlink_request request;
	uint16_t family = 0;
	int errnum = 0;
	genetlink_begin(&request, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	genetlink_put_str(&request, CTRL_ATTR_FAMILY_NAME, name);
	if (send_request(fd, &request, err) < 0 ||
		receive(fd, see_family, &family, &errnum, err) < 0)
		return err_prefix(err, "generic netlink family '%s'", name);
	if (errnum == -ENOENT || (errnum == 0 && family == 0))
		return err_raise(err, ERR_UNSUPPORTED,
			"this kernel has no generic netlink family '%s'", name);
	if (errnum != 0)
		return err_errno(err, -errnum, "generic netlink family '%s'", name);
	*ret = family;
	return 0;
}
