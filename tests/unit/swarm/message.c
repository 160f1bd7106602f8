/* SPDX-License-Identifier: MIT */
#include "swarm/message.h"

#include "test.h"

#include <string.h>

static struct member some_member(uint8_t n)
{
	struct member m = {.id = {{n, 2, 3}}, .address = {.ip = {[10] = 0xff, 0xff, 192, 0, 2, n}}};
	m.address.port = 8080;
	strcpy(m.site, "lab");
	return m;
}

static struct chunk some_chunk(uint8_t n)
{
	return (struct chunk){
		.digest = {{n}}, .object = {{n, 1}}, .off = 1024u * n, .len = 1000u + n};
}

/* Encodes, decodes, encodes again: the same bytes. The caller owns what was decoded. */
static void round_trip(const struct message *message, struct message *ret)
{
	struct err err = ERR_INIT;
	AUTO_BUF one = {0};
	AUTO_BUF two = {0};
	assert_ok(message_encode(message, &one, &err));
	assert_int_equal(one.len, message_size(message));
	size_t size;
	assert_int_equal(message_frame(one.data, one.len, &size, &err), 1);
	assert_int_equal(size, one.len);
	assert_ok(message_decode(one.data, one.len, ret, &err));
	assert_int_equal(ret->type, message->type);
	assert_ok(message_encode(ret, &two, &err));
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
	for (size_t len = 0; len < one.len; len++) {
		AUTO_FREE uint8_t *cut = malloc(len + 1);
		memcpy(cut, one.data, len);
		struct message none;
		assert_int_equal(message_decode(cut, len, &none, &err), -1);
		assert_err(&err, ERR_CORRUPT, "link: frame ends too early");
	}
	if (message->type == MESSAGE_PART)
		ret->part.bytes = NULL; /* they were in `one` */
}

static void members_survive(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message sent = {.type = MESSAGE_MEMBERS, .members = {.from = 3, .to = 9}};
	struct member ipv6 = some_member(2);
	memcpy(ipv6.address.ip, "\x20\x01\x0d\xb8", 4);
	ipv6.inventory[127] = 0x80;
	assert_ok(vec_push(&sent.members.came, some_member(1), &err));
	assert_ok(vec_push(&sent.members.came, ipv6, &err));
	assert_ok(vec_push(&sent.members.gone, some_member(3).id, &err));
	AUTO_MESSAGE got = {.type = MESSAGE_LEAVE};
	round_trip(&sent, &got);
	assert_int_equal(got.members.to, 9);
	assert_int_equal(got.members.came.len, 2);
	assert_string_equal(got.members.came.items[0].site, "lab");
	assert_memory_equal(&got.members.came.items[1], &ipv6, sizeof(ipv6));
	char text[NODE_ADDRESS_TEXT_SIZE];
	assert_string_equal(
		node_address_text(&got.members.came.items[0].address, text), "192.0.2.1:8080");
	assert_string_equal(
		node_address_text(&ipv6.address, text), "[2001:db8::ffff:c000:202]:8080");
	message_done(&sent);
}

static void requests_survive(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message sent = {.type = MESSAGE_REQUEST,
		.request = {.first = 7, .epoch = 5, .flags = REQUEST_DEMAND | REQUEST_FORCE}};
	for (uint8_t i = 0; i < 3; i++)
		assert_ok(vec_push(&sent.request.items, some_chunk(i), &err));
	sent.request.items.items[1].is_private = true;
	AUTO_MESSAGE got = {.type = MESSAGE_LEAVE};
	round_trip(&sent, &got);
	assert_int_equal(got.request.items.len, 3);
	assert_true(got.request.items.items[1].is_private);
	assert_int_equal(got.request.items.items[2].off, 2048);

	/* Whoever holds it needs no place. */
	size_t with_places = message_size(&sent);
	sent.request.flags = REQUEST_ONLY_HELD;
	assert_int_equal(message_size(&sent), with_places - 3 * 40);
	message_done(&got);
	round_trip(&sent, &got);
	assert_int_equal(got.request.items.items[2].off, 0);
	assert_int_equal(got.request.items.items[2].len, 1002);
	message_done(&sent);
}

static void others_survive(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	uint8_t bytes[LINK_PART_SIZE] = {1, 2, 3};
	struct message list[] = {
		{.type = MESSAGE_JOIN,
			.join = {.member = some_member(9),
				.epoch = 4,
				.serial = 3,
				.system = strdup("/nix/store/x"),
				.version = strdup("1")}},
		{.type = MESSAGE_HEARTBEAT,
			.heartbeat = {.epoch = 2, .step = strdup("trees"), .percent = 40}},
		{.type = MESSAGE_TOUCHES},
		{.type = MESSAGE_LEAVE},
		{.type = MESSAGE_WELCOME, .welcome = {.heartbeat_ms = 5000, .all = true}},
		{.type = MESSAGE_HELLO, .hello = {.member = some_member(1)}},
		{.type = MESSAGE_PART, .part = {.id = 1, .off = 16384, .len = 3, .bytes = bytes}},
		{.type = MESSAGE_PART, .part = {.len = LINK_PART_SIZE, .bytes = bytes}},
		{.type = MESSAGE_ASK, .ask = {.id = 1, .node = {{1}}, .address = {.port = 3}}},
		{.type = MESSAGE_FAIL, .fail = {.id = 1, .reason = FAIL_BUSY, .retry_ms = 9}},
		{.type = MESSAGE_CANCEL, .cancel = {.id = 77}},
		{.type = MESSAGE_BAD, .bad = {{0xab}}},
		{.type = MESSAGE_PROBE, .probe = {.id = 5, .node = {{1, 2}}, .hops = 64}},
	};
	assert_ok(vec_push(&list[1].heartbeat.suspects, some_member(1).id, &err));
	assert_ok(vec_push(&list[2].touches, some_chunk(1), &err));
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		AUTO_MESSAGE got = {.type = MESSAGE_LEAVE};
		if (list[i].type != MESSAGE_PART) { /* whose truncations are shorter parts */
			round_trip(&list[i], &got);
		} else {
			AUTO_BUF frame = {0};
			assert_ok(message_encode(&list[i], &frame, &err));
			assert_ok(message_decode(frame.data, frame.len, &got, &err));
			assert_int_equal(got.part.len, list[i].part.len);
			assert_int_equal(got.part.off, list[i].part.off);
			assert_memory_equal(got.part.bytes, bytes, got.part.len);
		}
		message_done(&list[i]);
	}
}

static void decode_fails(const char *frame, size_t size, const char *msg)
{
	struct err err = ERR_INIT;
	struct message none;
	assert_int_equal(message_decode(frame, size, &none, &err), -1);
	assert_err(&err, ERR_CORRUPT, msg);
}

static void garbage_is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	size_t size;
	assert_int_equal(message_frame("\1\0\0", 3, &size, &err), 0);
	assert_int_equal(message_frame("\0\0\0\0", 4, &size, &err), -1);
	assert_err(&err, ERR_CORRUPT, "link: frame of 0 bytes, min 1, max 262140");
	assert_int_equal(message_frame("GET ", 4, &size, &err), -1);
	assert_err(&err, ERR_CORRUPT, "link: frame of 542393671 bytes, min 1, max 262140");
	decode_fails("\1\0\0\0\x63", 5, "link: unknown message 99");
	decode_fails("\2\0\0\0\4x", 6, "link: frame goes on behind its end");
	decode_fails("\x0a\0\0\0\x0b\1\0\0\0\x09\0\0\0\0", 14, "link: unknown reason of a failure");
	decode_fails(
		"\x0a\0\0\0\x09\1\0\0\0\0\0\xff\xff\1", 14, "link: part of an impossible size");
	decode_fails("\x0c\0\0\0\x08\1\0\0\0\0\0\0\0\0\1\2", 16, "link: list is too long");
	decode_fails(
		"\x0c\0\0\0\x08\1\0\0\0\0\0\0\0\x20\0\0", 16, "link: request with unknown flags");
	/* One item, no place, length 0. */
	char item[52] = {48, 0, 0, 0, MESSAGE_REQUEST, [13] = REQUEST_ONLY_HELD, 1, 0};
	decode_fails(item, sizeof(item), "link: chunk of an impossible size");
}

static void bounds_are_kept(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	AUTO_MESSAGE many = {.type = MESSAGE_TOUCHES};
	for (size_t i = 0; i <= LINK_ITEMS_MAX; i++)
		assert_ok(vec_push(&many.touches, some_chunk(1), &err));
	assert_int_equal(message_encode(&many, &out, &err), -1);
	assert_err(&err, ERR_LIMIT, "link: the list of chunks of message 3 is too long");

	/* The longest list of members fits into a frame. */
	AUTO_MESSAGE all = {.type = MESSAGE_MEMBERS};
	struct member longest = some_member(1);
	longest.address.ip[0] = 0x20;
	memset(longest.site, 'x', SITE_SIZE - 1);
	longest.inventory[0] = 1;
	for (size_t i = 0; i < LINK_MEMBERS_MAX; i++)
		assert_ok(vec_push(&all.members.came, longest, &err));
	assert_ok(message_encode(&all, &out, &err));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_survive),
		cmocka_unit_test(requests_survive),
		cmocka_unit_test(others_survive),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(bounds_are_kept),
	};
	return TEST_MAIN(tests);
}
