/* SPDX-License-Identifier: MIT */
#include "swarm/mdns_message.h"

#include "test.h"

#include <string.h>

static const struct node_id self = {{1, 2, 3}};

static struct mdns_service sample(void)
{
	struct mdns_service s = {.id = {{0xab, 0xcd}}, .port = 7777, .ttl_s = 120};
	const uint8_t key[32] = {5}, other[32] = {6};
	s.swarms[0] = mdns_swarm_of(key, "");
	s.swarms[1] = mdns_swarm_of(other, "");
	s.swarm_count = 2;
	memcpy(s.ips[0], "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x05", 16);
	memcpy(s.ips[1], "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05", 16);
	s.ip_count = 2;
	return s;
}

static int read_buf(const struct buf *b, struct mdns_packet *packet, struct err *err)
{
	return mdns_packet_read(b->data, b->len, &self, packet, err);
}

static void announced(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mdns_service s = sample();
	struct mdns_packet packet;
	AUTO_BUF out = {0};
	assert_ok(mdns_put_answer(&s, NULL, &out, &err));
	assert_true(out.len < 1200); /* one packet on any network */
	assert_ok(read_buf(&out, &packet, &err));
	assert_true(packet.answer);
	assert_int_equal(packet.service_count, 1);
	assert_memory_equal(&packet.services[0].id, &s.id, sizeof(s.id));
	assert_int_equal(packet.services[0].port, 7777);
	assert_int_equal(packet.services[0].ttl_s, 120);
	assert_int_equal(packet.services[0].swarm_count, 2);
	assert_memory_equal(packet.services[0].swarms, s.swarms, 32);
	assert_int_equal(packet.services[0].ip_count, 2);
	assert_memory_equal(packet.services[0].ips, s.ips, 32);
	/* Every part of it but the last addresses is needed; none of them is read beyond its end.
	 */
	for (size_t len = 0; len < out.len; len++) {
		uint8_t *copy = malloc(len + 1);
		memcpy(copy, out.data, len);
		assert_int_equal(mdns_packet_read(copy, len, &self, &packet, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
		free(copy);
	}
}

static void good_bye(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mdns_service s = sample();
	struct mdns_packet packet;
	AUTO_BUF out = {0};
	s.ttl_s = 0;
	s.ip_count = 0;
	assert_ok(mdns_put_answer(&s, NULL, &out, &err));
	assert_ok(read_buf(&out, &packet, &err));
	assert_int_equal(packet.service_count, 1);
	assert_int_equal(packet.services[0].ttl_s, 0);
}

static void asked(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mdns_packet packet;
	AUTO_BUF out = {0};
	assert_ok(mdns_put_question(&out, &err));
	assert_ok(read_buf(&out, &packet, &err));
	assert_false(packet.answer);
	assert_true(packet.asks_service);
	assert_false(packet.asks_self);
	assert_false(packet.known);
	/* With a known answer: a PTR that leads to us, by pointers to the question's name. */
	static const char id[] = "01020300000000000000000000000000";
	out.data[7] = 1;
	assert_ok(buf_put(&out, "\xc0\x0c\0\x0c\0\x01\0\0\0\x3c\0\x23\x20", 13, &err));
	assert_ok(buf_put(&out, id, 32, &err));
	assert_ok(buf_put(&out, "\xc0\x0c", 2, &err));
	assert_ok(read_buf(&out, &packet, &err));
	assert_true(packet.known);
	assert_int_equal(packet.service_count, 0);
	out.data[out.len - 38] = 59; /* about to expire: it wants to hear of us again */
	assert_ok(read_buf(&out, &packet, &err));
	assert_false(packet.known);
}

/* What other programs ask: for types of service, and for a host by name in capitals. */
static void asked_by_others(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mdns_packet packet;
	static const char types[] =
		"\0\0\0\0\0\x01\0\0\0\0\0\0\x09_services\x07_dns-sd\x04_udp\x05local"
		"\0\0\x0c\0\x01";
	assert_ok(
		mdns_packet_read((const uint8_t *)types, sizeof(types) - 1, &self, &packet, &err));
	assert_true(packet.asks_self);
	static const char host[] = "\0\0\0\0\0\x01\0\0\0\0\0\0\x29SnowBoot-"
				   "01020300000000000000000000000000\x05LOCAL\0\0\x01\0\x01";
	assert_ok(mdns_packet_read((const uint8_t *)host, sizeof(host) - 1, &self, &packet, &err));
	assert_true(packet.asks_self);
	assert_false(packet.asks_service);
}

static void legacy(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct mdns_service s = sample();
	struct mdns_packet packet = {.id = 0x1234}, read;
	AUTO_BUF out = {0};
	assert_ok(mdns_put_answer(&s, &packet, &out, &err));
	assert_ok(read_buf(&out, &read, &err));
	assert_int_equal(read.id, 0x1234);
	assert_true(read.asks_service); /* the question is repeated */
	assert_int_equal(read.services[0].ttl_s, 10);
}

static void malformed(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		size_t len;
		const char *msg;
	} cases[] = {
		{"", 0, "no packet of 12 to 9000 bytes"},
		{"\0\0\x84\0\xff\xff\0\0\0\0\0\0", 12, "more than 512 questions and records"},
		{"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x0c\0\x01", 18,
			"a name that points forward"},
		{"\0\0\0\0\0\x01\0\0\0\0\0\0\x01"
		 "a\xc0\x0c\0\x0c\0\x01",
			20, "a name that points forward"},
		{"\0\0\0\0\0\x01\0\0\0\0\0\0\x40", 13, "a label of an unknown kind"},
		{"\0\0\0\0\0\x01\0\0\0\0\0\0\x05"
		 "abc",
			16, "a name is too long"},
		{"\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x0c", 15, "a question goes beyond the end"},
		{"\0\0\x84\0\0\0\0\x01\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\x04"
		 "abc",
			26, "a record goes beyond the end"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct mdns_packet packet;
		char msg[128];
		snprintf(msg, sizeof(msg), "malformed multicast DNS: %s", cases[i].msg);
		assert_int_equal(mdns_packet_read((const uint8_t *)cases[i].data, cases[i].len,
					 &self, &packet, &err),
			-1);
		assert_err(&err, ERR_CORRUPT, msg);
	}
}

static void swarms(void **state)
{
	(void)state;
	const uint8_t a[32] = {1}, b[32] = {2};
	struct mdns_swarm s = mdns_swarm_of(a, ""), t = mdns_swarm_of(b, ""),
			  u = mdns_swarm_of(a, "x"), again = mdns_swarm_of(a, "");
	assert_memory_equal(&s, &again, sizeof(s));
	assert_memory_not_equal(&s, &t, sizeof(s));
	assert_memory_not_equal(&s, &u, sizeof(s));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(announced),
		cmocka_unit_test(good_bye),
		cmocka_unit_test(asked),
		cmocka_unit_test(asked_by_others),
		cmocka_unit_test(legacy),
		cmocka_unit_test(malformed),
		cmocka_unit_test(swarms),
	};
	return TEST_MAIN(tests);
}
