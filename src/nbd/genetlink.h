/* SPDX-License-Identifier: MIT */
#ifndef NBD_GENETLINK_H
#define NBD_GENETLINK_H

/* As much of generic netlink as one family with plain requests needs (linux/genetlink.h). */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* One request in the making. Attributes beyond the space are a mistake of ours: ERR_BUG on send. */
struct genetlink_request {
	_Alignas(4) uint8_t data[1024];
	size_t len;
};

/* Opens a socket; ERR_IO. The caller owns the descriptor. */
int genetlink_open(int *ret_fd, struct err *err);
/* The number of the family `name`; ERR_UNSUPPORTED when this kernel has none. */
int genetlink_family(int fd, const char *name, uint16_t *ret, struct err *err);

void genetlink_begin(
	struct genetlink_request *request, uint16_t family, uint8_t command, uint8_t version);
void genetlink_put(struct genetlink_request *request, uint16_t type, const void *value, size_t len);
void genetlink_put_str(struct genetlink_request *request, uint16_t type, const char *str);
void genetlink_put_u32(struct genetlink_request *request, uint16_t type, uint32_t value);
void genetlink_put_u64(struct genetlink_request *request, uint16_t type, uint64_t value);
/* An attribute of attributes: what is put until _unnest(request, mark) lies in it. */
size_t genetlink_nest(struct genetlink_request *request, uint16_t type);
void genetlink_unnest(struct genetlink_request *request, size_t mark);

/*
 * Sends the request and waits for the kernel's acknowledgement, which it sends before it returns
 * from sendmsg(). `what` begins the message of a failure, whose sys is what the kernel answered.
 */
int genetlink_call(int fd, struct genetlink_request *request, const char *what, struct err *err);

#endif
