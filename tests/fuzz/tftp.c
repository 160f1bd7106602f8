/* SPDX-License-Identifier: MIT */
/*
 * What a TFTP client sends. A request that is read has a name and options within their bounds, and
 * a path that leads nowhere but down; a transfer for it then hears acknowledgements, made of the
 * same bytes, and never sends what the file does not have.
 */
#include "target.h"

#include "tftp/packet.h"
#include "tftp/transfer.h"

#include <string.h>

#define FILE_SIZE 70000u
#define BLOCK_MAX 1468u

static void check_path(const char *path)
{
	expect(path[0] != '\0' && path[0] != '/' && strlen(path) <= TFTP_NAME_MAX);
	expect(strchr(path, '\\') == NULL && strstr(path, "//") == NULL);
	for (const char *part = path; part != NULL; part = strchr(part, '/')) {
		part += part[0] == '/';
		size_t len = strcspn(part, "/");
		expect(!(len == 1 && part[0] == '.') && !(len == 2 && memcmp(part, "..", 2) == 0));
	}
}

static void send_due(struct tftp_transfer *t, uint64_t now_us)
{
	struct tftp_due due;
	unsigned sent = 0;
	while (tftp_transfer_due(t, &due)) {
		expect(due.options || (due.off + due.len <= FILE_SIZE && due.len <= BLOCK_MAX));
		tftp_transfer_sent(t, now_us);
		expect(++sent <= TFTP_WINDOW_MAX);
	}
}

static void transfer(const struct tftp_request *request, const uint8_t *data, size_t size)
{
	struct tftp_transfer t;
	uint64_t now_us = 0, done = 0;
	uint8_t packet[TFTP_OPTIONS_MAX];
	tftp_transfer_init(&t, request, FILE_SIZE, BLOCK_MAX, now_us);
	expect(t.block_size >= 8 && t.block_size <= BLOCK_MAX);
	expect(tftp_put_options(packet, &t.options) <= sizeof(packet));
	for (size_t i = 0; i < size && t.state == TFTP_RUNS; i++) {
		send_due(&t, now_us);
		/* Near the truth for most bytes, anything for some, silence for others. */
		if (data[i] == 0xff)
			now_us = t.deadline_us;
		else if (data[i] == 0xfe)
			tftp_transfer_ack(&t, (uint16_t)(i * 257), now_us);
		else
			tftp_transfer_ack(&t, (uint16_t)(t.base + data[i] % 8 - 2), now_us);
		tftp_transfer_tick(&t, now_us);
		expect(tftp_transfer_done(&t) >= done);
		done = tftp_transfer_done(&t);
	}
	expect(done <= FILE_SIZE && (t.state != TFTP_ENDED || done == FILE_SIZE));
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct tftp_reply reply;
	struct tftp_request request;
	char path[TFTP_NAME_MAX + 1];
	if (tftp_reply_decode(data, size, &reply)) {
		expect(reply.opcode == TFTP_ACK || reply.opcode == TFTP_ERROR);
		expect(strnlen(reply.text, sizeof(reply.text)) <= TFTP_TEXT_MAX);
		return true;
	}
	int r = tftp_request_decode(data, size, &request, &err);
	if (r < 0)
		expect(err.msg[0] != '\0');
	if (r <= 0)
		return false;
	expect(strnlen(request.name, sizeof(request.name)) <= TFTP_NAME_MAX);
	expect(request.block_size == 0 || (request.block_size >= 8 && request.block_size <= 65464));
	expect(request.window <= 65535 && request.timeout_s <= 255);
	transfer(&request, data, size);
	if (tftp_request_path(&request, path, &err) < 0)
		return false;
	check_path(path);
	return true;
}
