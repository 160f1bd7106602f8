/* SPDX-License-Identifier: MIT */
#include "nbd/genetlink.h"

#include "base/fd.h"
#include "nbd/device.h"
#include "test.h"

#include <linux/genetlink.h>
#include <string.h>

/* The controller is a family of its own, with a number that never changes. */
static void families(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	uint16_t family = 0;
	AUTO_FD int fd = -1;
	assert_ok(genetlink_open(&fd, &err));
	assert_ok(genetlink_family(fd, "nlctrl", &family, &err));
	assert_int_equal(family, GENL_ID_CTRL);
	assert_int_equal(genetlink_family(fd, "snowboot", &family, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, "this kernel has no generic netlink family 'snowboot'");
	/* The socket is as good as new. */
	assert_ok(genetlink_family(fd, "nlctrl", &family, &err));
}

static void layout(void **state)
{
	(void)state;
	static const uint8_t want[] = {
		8, 0, 1, 0, 1, 0, 0, 0,              /* u32, type 1 */
		12, 0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, /* u64, type 2 */
		7, 0, 3, 0, 'a', 'b', 0, 0,          /* string with its NUL, padded */
		16, 0, 4, 0x80, 12, 0, 5, 0x80, 8, 0, 6, 0, 7, 0, 0, 0, /* nested twice */
	};
	struct genetlink_request request;
	genetlink_begin(&request, 16, 3, 1);
	size_t head = request.len;
	assert_int_equal(head, 20);
	genetlink_put_u32(&request, 1, 1);
	genetlink_put_u64(&request, 2, 2);
	genetlink_put_str(&request, 3, "ab");
	size_t outer = genetlink_nest(&request, 4), inner = genetlink_nest(&request, 5);
	genetlink_put_u32(&request, 6, 7);
	genetlink_unnest(&request, inner);
	genetlink_unnest(&request, outer);
	assert_int_equal(request.len - head, sizeof(want));
	assert_memory_equal(request.data + head, want, sizeof(want));
}

/* What does not fit is never written past the end, and never sent. */
static void too_large(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct genetlink_request request;
	uint8_t large[2000] = {0};
	AUTO_FD int fd = -1;
	assert_ok(genetlink_open(&fd, &err));
	genetlink_begin(&request, 16, 3, 1);
	for (int i = 0; i < 200; i++)
		genetlink_put_u64(&request, 1, 1);
	size_t nest = genetlink_nest(&request, 2);
	genetlink_unnest(&request, nest);
	assert_int_equal(genetlink_call(fd, &request, "call", &err), -1);
	assert_err(&err, ERR_BUG, "call: a netlink request of 2424 bytes > max 1024");
	genetlink_begin(&request, 16, 3, 1);
	genetlink_put(&request, 1, large, sizeof(large));
	assert_int_equal(genetlink_call(fd, &request, "call", &err), -1);
	assert_err(&err, ERR_BUG, "call: a netlink request of 1025 bytes > max 1024");
}

/* What the kernel refuses is told with its reason. */
static void refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct genetlink_request request;
	AUTO_FD int fd = -1;
	assert_ok(genetlink_open(&fd, &err));
	genetlink_begin(&request, GENL_ID_CTRL, 99, 1);
	assert_int_equal(genetlink_call(fd, &request, "command 99", &err), -1);
	assert_int_equal(err.kind, ERR_IO);
	assert_memory_equal(err.msg, "command 99: ", 12);
	err_reset(&err);

	struct nbd_device device = NBD_DEVICE_INIT;
	const struct nbd_device_params params = {
		.index = 3, .size = 4097, .block_size = 4096, .identifier = "a"};
	assert_int_equal(nbd_device_connect(&device, &params, -1, 100, &err), -1);
	assert_err(&err, ERR_USAGE,
		"cannot attach '/dev/nbd3': size 4097 is no multiple of block size 4096");
	nbd_device_done(&device);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families),
		cmocka_unit_test(layout),
		cmocka_unit_test(too_large),
		cmocka_unit_test(refused),
	};
	return TEST_MAIN(tests);
}
