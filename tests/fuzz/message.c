/* SPDX-License-Identifier: MIT */
/* A frame of the link protocol that is read encodes to the same bytes, and keeps its bounds. */
#include "target.h"

#include "swarm/message.h"

#include "base/bytes.h"

#include <string.h>

size_t target_mend(uint8_t *data, size_t size)
{
	if (size >= 4)
		put_le32(data, (uint32_t)size - 4);
	return size;
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	size_t frame = 0;
	if (message_frame(data, size, &frame, &err) < 0) {
		expect(err.kind == ERR_CORRUPT);
		err_reset(&err);
	}
	AUTO_MESSAGE message = {.type = MESSAGE_LEAVE};
	if (message_decode(data, size, &message, &err) < 0) {
		expect(err.kind == ERR_CORRUPT || err.kind == ERR_NOMEM);
		expect(err.msg[0] != '\0');
		return false;
	}
	expect(frame == size && message_size(&message) == size);
	AUTO_BUF again = {0};
	expect(message_encode(&message, &again, &err) == 0);
	expect(again.len == size && memcmp(again.data, data, size) == 0);
	return true;
}
