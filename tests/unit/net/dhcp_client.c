/* SPDX-License-Identifier: MIT */
/* The states, with a clock of the test's own. */
#include "net/dhcp_client.h"

#include "test.h"

#include <string.h>

#define T0 1000000

static const struct dhcp_identity who = {.mac = {2, 0, 0, 0, 0, 1}};
static const struct in_addr server = {0x0100000a}, other = {0x0200000a};

static struct dhcp_client fresh(struct in_addr wanted)
{
	struct dhcp_client c;
	dhcp_client_init(&c, &who, 7, wanted, T0);
	return c;
}

static struct dhcp_send must_send(struct dhcp_client *c, int64_t now, enum dhcp_type type)
{
	struct dhcp_send send;
	assert_true(dhcp_client_tick(c, now, &send));
	assert_int_equal(send.query.type, type);
	return send;
}

static struct dhcp_reply answer(const struct dhcp_client *c, enum dhcp_type type, uint32_t address)
{
	return (struct dhcp_reply){.type = type,
		.xid = c->xid,
		.address = {address},
		.server = server,
		.prefix_len = 24,
		.lease_s = 1000,
		.renew_s = 500,
		.rebind_s = 875};
}

static enum dhcp_news hear(
	struct dhcp_client *c, enum dhcp_type type, uint32_t address, int64_t now)
{
	const struct dhcp_reply reply = answer(c, type, address);
	return dhcp_client_receive(c, &reply, now);
}

/* Discover to bound at T0 + 20. */
static struct dhcp_client bound(void)
{
	struct dhcp_client c = fresh((struct in_addr){0});
	must_send(&c, T0, DHCP_DISCOVER);
	assert_int_equal(hear(&c, DHCP_OFFER, 9, T0 + 10), DHCP_NEWS_NONE);
	struct dhcp_send send = must_send(&c, T0 + 10, DHCP_REQUEST);
	assert_int_equal(send.query.requested.s_addr, 9);
	assert_int_equal(send.query.server.s_addr, server.s_addr);
	assert_int_equal(send.to.s_addr, 0);
	assert_int_equal(hear(&c, DHCP_ACK, 9, T0 + 20), DHCP_NEWS_LEASE);
	assert_int_equal(c.state, DHCP_BOUND);
	assert_int_equal(dhcp_client_next(&c), T0 + 20 + 500000);
	return c;
}

static void to_bound(void **state)
{
	(void)state;
	struct dhcp_client c = bound();
	struct dhcp_send send;
	assert_false(dhcp_client_tick(&c, T0 + 500019, &send));
	assert_int_equal(hear(&c, DHCP_NAK, 9, T0 + 30), DHCP_NEWS_NONE); /* nobody asked */
}

/* For ever, and at most every 36 s. */
static void back_off(void **state)
{
	(void)state;
	struct dhcp_client c = fresh((struct in_addr){0});
	int64_t now = T0, last = 0;
	for (int i = 0; i < 200; i++) {
		must_send(&c, now, DHCP_DISCOVER);
		int64_t wait = dhcp_client_next(&c) - now;
		int64_t nominal = i < 5 ? 1000 << i : 32000;
		assert_in_range(wait, nominal - nominal / 8, nominal + nominal / 8);
		last = wait;
		now += wait;
	}
	assert_true(last > 20000);
}

static void renews(void **state)
{
	(void)state;
	struct dhcp_client c = bound();
	int64_t now = dhcp_client_next(&c);
	struct dhcp_send send = must_send(&c, now, DHCP_REQUEST);
	assert_int_equal(send.query.client.s_addr, 9);
	assert_int_equal(send.query.requested.s_addr, 0);
	assert_int_equal(send.to.s_addr, server.s_addr);
	assert_int_equal(send.from.s_addr, 9);
	assert_int_equal(hear(&c, DHCP_ACK, 9, now + 5), DHCP_NEWS_LEASE);
	assert_int_equal(c.state, DHCP_BOUND);
	assert_int_equal(c.lease.end_ms, now + 5 + 1000000);
}

/* No answer to unicast: broadcast; no answer at all: the address stays, and it begins anew. */
static void outlives_its_lease(void **state)
{
	(void)state;
	struct dhcp_client c = bound();
	unsigned unicast = 0, rebinds = 0, discovers = 0;
	for (int64_t now = T0 + 500020; now < T0 + 1100020; now = dhcp_client_next(&c)) {
		struct dhcp_send send;
		assert_true(dhcp_client_tick(&c, now, &send));
		if (send.query.type == DHCP_DISCOVER) {
			discovers++;
			assert_true(now >= T0 + 1000020);
			assert_int_equal(send.query.requested.s_addr, 9);
		} else if (send.to.s_addr != 0) {
			unicast++;
			assert_true(now < T0 + 875020);
		} else {
			rebinds++;
			assert_int_equal(send.from.s_addr, 9);
			assert_true(now >= T0 + 875020);
		}
		assert_true(dhcp_client_next(&c) - now >= 800);
	}
	assert_true(unicast >= 3 && rebinds >= 2 && discovers >= 3);
	assert_true(c.has_lease);
	/* The server is back and gives another one. */
	int64_t now = dhcp_client_next(&c);
	must_send(&c, now, DHCP_DISCOVER);
	assert_int_equal(hear(&c, DHCP_OFFER, 10, now), DHCP_NEWS_NONE);
	must_send(&c, now, DHCP_REQUEST);
	assert_int_equal(hear(&c, DHCP_ACK, 10, now), DHCP_NEWS_LEASE);
	assert_int_equal(c.lease.reply.address.s_addr, 10);
}

static void refused(void **state)
{
	(void)state;
	struct dhcp_client c = bound();
	int64_t now = dhcp_client_next(&c);
	must_send(&c, now, DHCP_REQUEST);
	assert_int_equal(hear(&c, DHCP_NAK, 0, now + 5), DHCP_NEWS_REFUSED);
	assert_false(c.has_lease);
	must_send(&c, now + 5, DHCP_DISCOVER);
	hear(&c, DHCP_OFFER, 11, now + 6);
	must_send(&c, now + 6, DHCP_REQUEST);
	/* Again and again: not as fast as the server can say no. */
	assert_int_equal(hear(&c, DHCP_NAK, 0, now + 7), DHCP_NEWS_REFUSED);
	assert_int_equal(dhcp_client_next(&c), now + 7 + 2000);
}

static void only_the_chosen_server(void **state)
{
	(void)state;
	struct dhcp_client c = fresh((struct in_addr){0});
	must_send(&c, T0, DHCP_DISCOVER);
	struct dhcp_reply reply = answer(&c, DHCP_OFFER, 9);
	reply.xid++;
	assert_int_equal(dhcp_client_receive(&c, &reply, T0), DHCP_NEWS_NONE);
	assert_int_equal(c.state, DHCP_SELECTING);
	hear(&c, DHCP_OFFER, 9, T0);
	must_send(&c, T0, DHCP_REQUEST);
	reply = answer(&c, DHCP_NAK, 0);
	reply.server = other;
	assert_int_equal(dhcp_client_receive(&c, &reply, T0), DHCP_NEWS_NONE);
	assert_int_equal(hear(&c, DHCP_ACK, 9, T0), DHCP_NEWS_LEASE);
}

/* An offer that its server forgot: asks four times, then everybody again. */
static void forgotten_offer(void **state)
{
	(void)state;
	struct dhcp_client c = fresh((struct in_addr){0});
	must_send(&c, T0, DHCP_DISCOVER);
	hear(&c, DHCP_OFFER, 9, T0);
	for (int i = 0; i < 4; i++)
		must_send(&c, dhcp_client_next(&c), DHCP_REQUEST);
	must_send(&c, dhcp_client_next(&c), DHCP_DISCOVER);
}

static void starts_again(void **state)
{
	(void)state;
	struct dhcp_client c = fresh((struct in_addr){9});
	struct dhcp_send send = must_send(&c, T0, DHCP_REQUEST);
	assert_int_equal(send.query.requested.s_addr, 9);
	assert_int_equal(send.query.server.s_addr, 0);
	assert_int_equal(send.query.client.s_addr, 0);
	assert_int_equal(hear(&c, DHCP_ACK, 9, T0 + 1), DHCP_NEWS_LEASE);
	c = fresh((struct in_addr){9});
	for (int i = 0; i < 3; i++)
		must_send(&c, dhcp_client_next(&c), DHCP_REQUEST);
	must_send(&c, dhcp_client_next(&c), DHCP_DISCOVER);
}

static void link_back(void **state)
{
	(void)state;
	struct dhcp_client c = bound();
	dhcp_client_link_back(&c, T0 + 60000);
	assert_true(c.has_lease);
	for (int i = 0; i < 3; i++) {
		struct dhcp_send send = must_send(&c, dhcp_client_next(&c), DHCP_REQUEST);
		assert_int_equal(send.query.requested.s_addr, 9);
	}
	/* Nobody answers, but the lease runs: it goes on asking whoever is there. */
	struct dhcp_send send = must_send(&c, dhcp_client_next(&c), DHCP_REQUEST);
	assert_int_equal(send.query.client.s_addr, 9);
	assert_int_equal(c.state, DHCP_REBINDING);
	assert_int_equal(
		hear(&c, DHCP_ACK, 12, dhcp_client_next(&c)), DHCP_NEWS_LEASE); /* elsewhere */
}

static void for_ever(void **state)
{
	(void)state;
	struct dhcp_client c = fresh((struct in_addr){0});
	must_send(&c, T0, DHCP_DISCOVER);
	hear(&c, DHCP_OFFER, 9, T0);
	must_send(&c, T0, DHCP_REQUEST);
	struct dhcp_reply reply = answer(&c, DHCP_ACK, 9);
	reply.lease_s = UINT32_MAX;
	assert_int_equal(dhcp_client_receive(&c, &reply, T0), DHCP_NEWS_LEASE);
	assert_int_equal(dhcp_client_next(&c), INT64_MAX);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_bound),
		cmocka_unit_test(back_off),
		cmocka_unit_test(renews),
		cmocka_unit_test(outlives_its_lease),
		cmocka_unit_test(refused),
		cmocka_unit_test(only_the_chosen_server),
		cmocka_unit_test(forgotten_offer),
		cmocka_unit_test(starts_again),
		cmocka_unit_test(link_back),
		cmocka_unit_test(for_ever),
	};
	return TEST_MAIN(tests);
}
