/* SPDX-License-Identifier: MIT */
/*
 * Writes the corpus of the target `message`, one frame of each kind, as the encoder has them. Run
 * it after a change of the layout: build/tests/fuzz/message-seeds tests/fuzz/corpus/message
 */
#include "swarm/message.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static char system_path[] = "/nix/store/x", version[] = "1", step[] = "trees";

static const struct member ipv4 = {
	.id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
	.address = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 80},
	.site = "lab",
};
static const struct member ipv6 = {
	.id = {{16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
	.address = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = 8080},
	.inventory = {1, [127] = 0x80},
};
static struct member members_list[2];
static struct node_id id = {{7}};
static struct chunk places[] = {
	{.digest = {{1}}, .len = 1000, .object = {{9}}, .off = 4096},
	{.digest = {{2}}, .len = CHUNK_MAX, .object = {{9}}, .off = 5096, .is_private = true},
	{.digest = {{3}}, .len = 1, .object = {{8}}},
};

static const struct {
	const char *name;
	struct message message;
} seeds[] = {
	{"join",
		{.type = MESSAGE_JOIN,
			.join = {.member = ipv4,
				.mac = {0x52, 0x54, 0, 1, 2, 3},
				.tracker = 1,
				.epoch = 2,
				.serial = 3,
				.system = system_path,
				.version = version}}},
	{"join-bare", {.type = MESSAGE_JOIN, .join = {.member = ipv6}}},
	{"heartbeat",
		{.type = MESSAGE_HEARTBEAT,
			.heartbeat = {.epoch = 1,
				.step = step,
				.percent = 40,
				.counters = {1, 2, 3},
				.inventory = {1},
				.suspects = {&id, 1, 1}}}},
	{"touches",
		{.type = MESSAGE_TOUCHES,
			.touches = {places, ARRAY_LEN(places), ARRAY_LEN(places)}}},
	{"leave", {.type = MESSAGE_LEAVE}},
	{"welcome",
		{.type = MESSAGE_WELCOME,
			.welcome =
				{.token = {5}, .tracker = 7, .heartbeat_ms = 5000, .all = true}}},
	{"members",
		{.type = MESSAGE_MEMBERS,
			.members = {.from = 1,
				.to = 3,
				.came = {members_list, ARRAY_LEN(members_list),
					ARRAY_LEN(members_list)},
				.gone = {&id, 1, 1}}}},
	{"hello", {.type = MESSAGE_HELLO, .hello = {.token = {5}, .member = ipv6}}},
	{"request",
		{.type = MESSAGE_REQUEST,
			.request = {.first = 1,
				.epoch = 3,
				.flags = REQUEST_DEMAND | REQUEST_FORCE,
				.items = {places, ARRAY_LEN(places), ARRAY_LEN(places)}}}},
	{"request-held",
		{.type = MESSAGE_REQUEST,
			.request = {.first = 1,
				.epoch = 3,
				.flags = REQUEST_ONLY_HELD | REQUEST_NAMED,
				.items = {places, ARRAY_LEN(places), ARRAY_LEN(places)}}}},
	{"part", {.type = MESSAGE_PART, .part = {.id = 1, .off = 16384, .len = 3, .bytes = "abc"}}},
	{"ask",
		{.type = MESSAGE_ASK,
			.ask = {.id = 1,
				.node = {{4}},
				.address = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, 4}, .port = 80}}}},
	{"fail", {.type = MESSAGE_FAIL, .fail = {.id = 1, .reason = FAIL_BUSY, .retry_ms = 200}}},
	{"cancel", {.type = MESSAGE_CANCEL, .cancel = {.id = 1}}},
	{"bad", {.type = MESSAGE_BAD, .bad = {{0xab}}}},
	{"probe", {.type = MESSAGE_PROBE, .probe = {.id = 5, .node = {{6}}, .hops = 64}}},
};

int main(int argc, char **argv)
{
	members_list[0] = ipv4;
	members_list[1] = ipv6;
	for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
		struct err err = ERR_INIT;
		AUTO_BUF frame = {0};
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", argc == 2 ? argv[1] : ".", seeds[i].name);
		FILE *file = fopen(path, "wb");
		if (file == NULL || message_encode(&seeds[i].message, &frame, &err) < 0 ||
			fwrite(frame.data, 1, frame.len, file) != frame.len || fclose(file) != 0) {
			fprintf(stderr, "cannot write '%s'%s%s\n", path,
				err_clean(&err) ? "" : ": ", err.msg);
			return 1;
		}
	}
	return 0;
}
