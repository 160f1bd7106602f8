/* SPDX-License-Identifier: MIT */
/* A node configuration that decodes can be encoded, and what was encoded decodes to the same. */
#include "target.h"

#include "node/node.h"

#include <string.h>

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	AUTO_NODE_CONFIG config = {0};
	if (node_config_decode((const char *)data, size, &config, &err) < 0) {
		expect(err.msg[0] != '\0');
		return false;
	}
	AUTO_BUF text = {0}, twice = {0};
	if (node_config_encode(&config, &text, &err) < 0) {
		expect(err.kind == ERR_UNSUPPORTED); /* a value that begins with a blank */
		return false;
	}
	AUTO_NODE_CONFIG again = {0};
	expect(node_config_decode((const char *)text.data, text.len, &again, &err) == 0);
	expect(node_config_encode(&again, &twice, &err) == 0);
	expect(twice.len == text.len && memcmp(twice.data, text.data, text.len) == 0);
	return true;
}
