/* SPDX-License-Identifier: MIT */
/*
 * A packed NAR: behind a byte that says by what, the stream, in pieces whose size the byte says as
 * well. What unpacks to its end is the same when it comes at once, and never more than asked for.
 */
#include "target.h"

#include "source/decompress.h"

#include <string.h>

#define UNPACKED_MAX (256u * 1024) /* enough of a bomb */

struct input {
	const uint8_t *at, *end;
	size_t piece;
};

static int read_input(void *data, void *bytes, size_t max, size_t *ret_len, struct err *err)
{
	(void)err;
	struct input *in = data;
	size_t len = (size_t)(in->end - in->at);
	len = len < max ? len : max;
	*ret_len = len < in->piece ? len : in->piece;
	memcpy(bytes, in->at, *ret_len);
	in->at += *ret_len;
	return 0;
}

/* How much came, and its hash: 1 when that was all, 0 when there is too much. */
static int unpack(enum nar_compression compression, struct input in, uint64_t *ret_size,
	struct digest *ret, struct err *err)
{
	struct decompressor *d;
	const struct nar_input input = {.read = read_input, .data = &in};
	uint8_t bytes[5000];
	struct sha256_ctx hash;
	size_t len = 1;
	int r = 0;
	sha256_init(&hash);
	*ret_size = 0;
	expect(decompressor_new(compression, &input, &d, err) == 0);
	const struct nar_input out = decompressor_input(d);
	while (len > 0 && *ret_size < UNPACKED_MAX && r == 0) {
		len = 0;
		r = out.read(out.data, bytes, sizeof(bytes), &len, err);
		expect(len <= sizeof(bytes));
		*ret_size += r == 0 ? len : 0;
		sha256_update(&hash, r == 0 ? len : 0, bytes);
	}
	*ret = digest_finish(&hash);
	expect(r < 0 || len > 0 || in.at == in.end); /* the input was read to its end */
	decompressor_free(d);
	return r < 0 ? -1 : len == 0;
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT, again_err = ERR_INIT;
	uint64_t len, again_len;
	struct digest digest, again;
	if (size == 0)
		return false;
	enum nar_compression compression = data[0] % (NAR_COMPRESSION_BROTLI + 1);
	struct input in = {data + 1, data + size, 1 + data[0] / 8};
	int r = unpack(compression, in, &len, &digest, &err);
	in.piece = size;
	int r_again = unpack(compression, in, &again_len, &again, &again_err);
	expect(r == r_again && err.kind == again_err.kind);
	if (r < 0)
		expect(err.kind == ERR_CORRUPT && err.msg[0] != '\0');
	if (r == 1)
		expect(len == again_len && digest_equal(&digest, &again));
	return r == 1;
}
