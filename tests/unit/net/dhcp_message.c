/* SPDX-License-Identifier: MIT */
#include "net/dhcp_message.h"

#include "test.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <string.h>

static const struct dhcp_identity who = {
	.mac = {0x52, 0x54, 0, 1, 2, 3},
	.iaid = {0xaa, 0xbb, 0xcc, 0xdd},
	.uuid = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};

static struct in_addr ip(const char *text)
{
	struct in_addr address;
	assert_int_equal(inet_pton(AF_INET, text, &address), 1);
	return address;
}

static void assert_ip(struct in_addr got, const char *want)
{
	char text[INET_ADDRSTRLEN];
	assert_string_equal(inet_ntop(AF_INET, &got, text, sizeof(text)), want);
}

/* A message of a server: begin, options, end. */
struct message {
	uint8_t data[DHCP_MESSAGE_MAX];
	size_t len;
};

static void begin(struct message *m, uint8_t type)
{
	*m = (struct message){.len = 240};
	m->data[0] = 2;
	m->data[1] = 1;
	m->data[2] = 6;
	put_be32(m->data + 4, 0x11223344);
	struct in_addr yours = ip("10.1.2.3");
	memcpy(m->data + 16, &yours, 4);
	memcpy(m->data + 28, who.mac, 6);
	put_be32(m->data + 236, 0x63825363);
	const uint8_t option[] = {53, 1, type};
	memcpy(m->data + m->len, option, sizeof(option));
	m->len += sizeof(option);
}

static void option(struct message *m, uint8_t code, const void *data, uint8_t len)
{
	m->data[m->len++] = code;
	m->data[m->len++] = len;
	memcpy(m->data + m->len, data, len);
	m->len += len;
}

#define OPTION(m, code, ...) \
	do { \
		const uint8_t bytes_[] = {__VA_ARGS__}; \
		option((m), (code), bytes_, sizeof(bytes_)); \
	} while (0)

static int decode(const struct message *m, struct dhcp_reply *ret, struct err *err)
{
	return dhcp_decode(m->data, m->len, who.mac, ret, err);
}

static void query(void **state)
{
	(void)state;
	uint8_t data[DHCP_QUERY_MAX];
	const struct dhcp_query q = {.type = DHCP_REQUEST,
		.xid = 0x01020304,
		.seconds = 5,
		.requested = ip("10.0.0.9"),
		.server = ip("10.0.0.1")};
	size_t len = dhcp_encode(&who, &q, data);
	assert_int_equal(len, 300); /* as BOOTP's at least */
	static const uint8_t head[] = {1, 1, 6, 0, 1, 2, 3, 4, 0, 5, 0, 0, 0, 0, 0, 0};
	assert_memory_equal(data, head, sizeof(head));
	assert_memory_equal(data + 28, who.mac, 6);
	static const uint8_t options[] = {0x63, 0x82, 0x53, 0x63, 53, 1, 3, 61, 23, 255, 0xaa, 0xbb,
		0xcc, 0xdd, 0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 50, 4, 10,
		0, 0, 9, 54, 4, 10, 0, 0, 1, 57, 2, 0x05, 0xdc, 55, 8, 1, 121, 3, 6, 26, 51, 58, 59,
		255};
	assert_memory_equal(data + 236, options, sizeof(options));
}

static void reply(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message m;
	begin(&m, DHCP_ACK);
	OPTION(&m, 1, 255, 255, 254, 0);
	OPTION(&m, 3, 10, 1, 2, 1, 10, 1, 2, 2);
	OPTION(&m, 6, 1, 1, 1, 1, 8, 8, 8, 8);
	OPTION(&m, 26, 0x23, 0x28);
	OPTION(&m, 51, 0, 0, 0x0e, 0x10);
	OPTION(&m, 54, 10, 1, 2, 1);
	OPTION(&m, 58, 0, 0, 0, 100);
	m.data[m.len++] = 0; /* padding */
	m.data[m.len++] = 255;
	struct dhcp_reply r;
	assert_ok(decode(&m, &r, &err));
	assert_int_equal(r.type, DHCP_ACK);
	assert_int_equal(r.xid, 0x11223344);
	assert_ip(r.address, "10.1.2.3");
	assert_ip(r.router, "10.1.2.1");
	assert_ip(r.server, "10.1.2.1");
	assert_ip(r.dns[1], "8.8.8.8");
	assert_ip(r.dns[2], "0.0.0.0");
	assert_int_equal(r.prefix_len, 23);
	assert_int_equal(r.mtu, 9000);
	assert_int_equal(r.lease_s, 3600);
	assert_int_equal(r.renew_s, 100);
	assert_int_equal(r.rebind_s, 3150);
}

/* RFC 3442: they replace the router, and may come in pieces (RFC 3396). */
static void routes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message m;
	begin(&m, DHCP_OFFER);
	OPTION(&m, 3, 10, 1, 2, 1);
	OPTION(&m, 51, 0, 0, 0, 120);
	OPTION(&m, 121, 0, 10, 1, 2, 254, 24, 192, 168);
	OPTION(&m, 121, 7, 10, 1, 2, 253, 32, 1, 2, 3, 4, 0, 0, 0, 0);
	struct dhcp_reply r;
	assert_ok(decode(&m, &r, &err));
	assert_ip(r.router, "10.1.2.254");
	assert_int_equal(r.route_count, 2);
	assert_ip(r.routes[0].to, "192.168.7.0");
	assert_ip(r.routes[0].via, "10.1.2.253");
	assert_int_equal(r.routes[0].prefix_len, 24);
	assert_ip(r.routes[1].to, "1.2.3.4");
	assert_ip(r.routes[1].via, "0.0.0.0");
	assert_int_equal(r.prefix_len, 8); /* 10/8, for want of a mask */
}

/* Option 52: more of them in `file` and `sname`. */
static void overload(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message m;
	begin(&m, DHCP_ACK);
	OPTION(&m, 52, 3);
	static const uint8_t in_file[] = {51, 4, 0, 0, 0, 60, 255},
			     in_sname[] = {1, 4, 255, 255, 0, 0, 255};
	memcpy(m.data + 108, in_file, sizeof(in_file));
	memcpy(m.data + 44, in_sname, sizeof(in_sname));
	struct dhcp_reply r;
	assert_ok(decode(&m, &r, &err));
	assert_int_equal(r.lease_s, 60);
	assert_int_equal(r.prefix_len, 16);
}

static void odd_values(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message m;
	begin(&m, DHCP_ACK);
	OPTION(&m, 1, 255, 0, 255, 0); /* holes */
	OPTION(&m, 26, 0, 68);         /* would cripple IPv6 and more */
	OPTION(&m, 51, 0, 0, 0, 80);
	OPTION(&m, 58, 0, 0, 0, 90); /* beyond the end */
	OPTION(&m, 59, 0, 0, 1, 0);
	struct dhcp_reply r;
	assert_ok(decode(&m, &r, &err));
	assert_int_equal(r.prefix_len, 8);
	assert_int_equal(r.mtu, 0);
	assert_int_equal(r.renew_s, 40);
	assert_int_equal(r.rebind_s, 70);
	begin(&m, DHCP_NAK);
	assert_ok(decode(&m, &r, &err));
	assert_int_equal(r.type, DHCP_NAK);
	assert_ip(r.address, "0.0.0.0");
}

static void failures(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct message m;
	struct dhcp_reply r;
	begin(&m, DHCP_ACK);
	OPTION(&m, 51, 0, 0, 0, 80);
	struct message good = m;
	m.len = 239;
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "a DHCP message has 239 bytes");
	m = good;
	m.data[0] = 1;
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "not a reply by DHCP");
	m = good;
	m.data[28] = 0;
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "a DHCP reply for another client");
	m = good;
	m.data[242] = 9;
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "a DHCP reply has type 9");
	m = good;
	m.data[16] = 224;
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "a DHCP reply gives no address");
	begin(&m, DHCP_ACK);
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "a DHCP reply gives no time of lease");
	m = good;
	m.len--;
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "option 51 of a DHCP message runs over its end");
	m = good;
	OPTION(&m, 121, 24, 10, 0);
	assert_int_equal(decode(&m, &r, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the routes of a DHCP message are cut off");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query),
		cmocka_unit_test(reply),
		cmocka_unit_test(routes),
		cmocka_unit_test(overload),
		cmocka_unit_test(odd_values),
		cmocka_unit_test(failures),
	};
	return TEST_MAIN(tests);
}
