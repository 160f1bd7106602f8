/* SPDX-License-Identifier: MIT */
/*
 * Transfers against a client that does what RFC 1350 and RFC 7440 ask of one, over a network that
 * loses, doubles and reorders as it is told. Time and chance are the test's own.
 */
#include "tftp/transfer.h"

#include "base/mem.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define SECOND ((uint64_t)1000000)

/* --- Single steps -------------------------------------------------------------------------- */

static struct tftp_transfer begin(uint64_t size, const struct tftp_request *request)
{
	struct tftp_transfer t;
	tftp_transfer_init(&t, request, size, 1468, 0);
	return t;
}

/* Sends what is due; "o" for options, numbers for blocks: "1 2 3". */
static const char *send_all(struct tftp_transfer *t, uint64_t now_us)
{
	static char text[512];
	struct tftp_due due;
	size_t len = 0;
	text[0] = '\0';
	while (tftp_transfer_due(t, &due)) {
		assert_true(len < sizeof(text) - 16);
		len += due.options
			? (size_t)snprintf(text + len, 16, "%so", len > 0 ? " " : "")
			: (size_t)snprintf(text + len, 16, "%s%u", len > 0 ? " " : "", due.number);
		tftp_transfer_sent(t, now_us);
	}
	return text;
}

static void without_options(void **state)
{
	(void)state;
	struct tftp_request request = {0};
	struct tftp_transfer t = begin(1000, &request);
	struct tftp_due due;
	assert_true(tftp_transfer_due(&t, &due));
	assert_int_equal(due.number, 1);
	assert_int_equal(due.off, 0);
	assert_int_equal(due.len, 512);
	assert_string_equal(send_all(&t, 0), "1");
	tftp_transfer_ack(&t, 1, 1000);
	assert_true(tftp_transfer_due(&t, &due));
	assert_int_equal(due.off, 512);
	assert_int_equal(due.len, 488);
	assert_string_equal(send_all(&t, 1000), "2");
	assert_int_equal(tftp_transfer_done(&t), 512);
	assert_true(tftp_transfer_all_sent(&t));
	tftp_transfer_ack(&t, 2, 2000);
	assert_int_equal(t.state, TFTP_ENDED);
	assert_int_equal(tftp_transfer_done(&t), 1000);
}

/* Size 0, and sizes that are whole blocks, end with an empty block. */
static void empty_last_block(void **state)
{
	(void)state;
	struct tftp_request request = {0};
	struct tftp_transfer t = begin(0, &request);
	struct tftp_due due;
	assert_true(tftp_transfer_due(&t, &due));
	assert_int_equal(due.len, 0);
	assert_string_equal(send_all(&t, 0), "1");
	tftp_transfer_ack(&t, 1, 0);
	assert_int_equal(t.state, TFTP_ENDED);
	t = begin(512, &request);
	send_all(&t, 0);
	tftp_transfer_ack(&t, 1, 0);
	assert_true(tftp_transfer_due(&t, &due));
	assert_int_equal(due.len, 0);
	assert_int_equal(due.off, 512);
}

static void agreed_options(void **state)
{
	(void)state;
	const struct tftp_request all = {
		.block_size = 65464, .window = 1000, .timeout_s = 3, .wants_size = true};
	struct tftp_transfer t = begin(5000000000, &all);
	assert_int_equal(t.options.block_size, 1468);
	assert_int_equal(t.options.window, TFTP_WINDOW_MAX);
	assert_int_equal(t.options.timeout_s, 3);
	assert_true(t.options.has_size);
	assert_int_equal(t.options.size, 5000000000);
	assert_string_equal(send_all(&t, 0), "o");
	assert_int_equal(t.deadline_us, 3 * SECOND);
	const struct tftp_request small = {.block_size = 8, .window = 2, .timeout_s = 21};
	t = begin(100, &small);
	assert_int_equal(t.options.block_size, 8);
	assert_int_equal(t.options.window, 2);
	assert_int_equal(t.options.timeout_s, 0); /* longer than we agree to: not mentioned */
	assert_false(t.options.has_size);
	assert_string_equal(send_all(&t, 0), "o");
	assert_int_equal(t.deadline_us, 1 * SECOND);
	tftp_transfer_ack(&t, 0, 0);
	assert_string_equal(send_all(&t, 0), "1 2");
}

/* RFC 1123, 4.2.3.1: what is acknowledged twice is not answered twice. */
static void no_apprentice(void **state)
{
	(void)state;
	struct tftp_request request = {0};
	struct tftp_transfer t = begin(10000, &request);
	assert_string_equal(send_all(&t, 0), "1");
	tftp_transfer_ack(&t, 0, 0); /* of nothing */
	assert_string_equal(send_all(&t, 0), "");
	tftp_transfer_ack(&t, 1, 0);
	assert_string_equal(send_all(&t, 0), "2");
	tftp_transfer_ack(&t, 1, 0);
	tftp_transfer_ack(&t, 1, 0);
	assert_string_equal(send_all(&t, 0), "");
	/* From before, and from the future. */
	tftp_transfer_ack(&t, 0, 0);
	tftp_transfer_ack(&t, 3, 0);
	tftp_transfer_ack(&t, 40000, 0);
	assert_string_equal(send_all(&t, 0), "");
	tftp_transfer_ack(&t, 2, 0);
	assert_string_equal(send_all(&t, 0), "3");
}

/* RFC 7440, section 4: an acknowledgement in the middle of a window asks for the rest again. */
static void windows(void **state)
{
	(void)state;
	const struct tftp_request request = {.window = 4};
	struct tftp_transfer t = begin(512 * 100, &request);
	send_all(&t, 0);
	tftp_transfer_ack(&t, 0, 0);
	assert_string_equal(send_all(&t, 0), "1 2 3 4");
	tftp_transfer_ack(&t, 2, 0);
	assert_string_equal(send_all(&t, 0), "3 4 5 6");
	tftp_transfer_ack(&t, 2, 0); /* what else came out of order says so, too */
	tftp_transfer_ack(&t, 2, 0);
	assert_string_equal(send_all(&t, 0), "");
	tftp_transfer_ack(&t, 6, 0);
	assert_string_equal(send_all(&t, 0), "7 8 9 10");
	/* Again one of before, in the window after a repetition: may be a late one. */
	tftp_transfer_ack(&t, 6, 0);
	assert_string_equal(send_all(&t, 0), "");
	tftp_transfer_ack(&t, 10, 0);
	assert_string_equal(send_all(&t, 0), "11 12 13 14");
	/* Now nothing was sent twice for a while: the first of the window was lost. Once. */
	tftp_transfer_ack(&t, 10, 0);
	assert_string_equal(send_all(&t, 0), "11 12 13 14");
	tftp_transfer_ack(&t, 10, 0);
	assert_string_equal(send_all(&t, 0), "");
	tftp_transfer_ack(&t, 14, 0);
	assert_string_equal(send_all(&t, 0), "15 16 17 18");
}

/* An acknowledgement that comes when the window goes out for the second time. */
static void late_acknowledgement(void **state)
{
	(void)state;
	const struct tftp_request request = {.window = 4};
	struct tftp_transfer t = begin(512 * 100, &request);
	struct tftp_due due;
	send_all(&t, 0);
	tftp_transfer_ack(&t, 0, 0);
	assert_string_equal(send_all(&t, 0), "1 2 3 4");
	tftp_transfer_tick(&t, 1 * SECOND);
	assert_true(tftp_transfer_due(&t, &due));
	assert_int_equal(due.number, 1);
	tftp_transfer_sent(&t, 1 * SECOND);
	tftp_transfer_ack(&t, 4, 1 * SECOND);
	assert_string_equal(send_all(&t, 1 * SECOND), "5 6 7 8");
}

static void back_off(void **state)
{
	(void)state;
	struct tftp_request request = {0};
	struct tftp_transfer t = begin(10000, &request);
	static const uint64_t waits[] = {1, 2, 4, 8, 8, 8, 8};
	uint64_t now_us = 5;
	send_all(&t, now_us);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		assert_int_equal(t.deadline_us, now_us + waits[i] * SECOND);
		tftp_transfer_tick(&t, t.deadline_us - 1);
		assert_string_equal(send_all(&t, 0), "");
		now_us = t.deadline_us;
		tftp_transfer_tick(&t, now_us);
		assert_string_equal(send_all(&t, now_us), i + 1 < ARRAY_LEN(waits) ? "1" : "");
	}
	assert_int_equal(t.state, TFTP_GONE);
	assert_int_equal(tftp_transfer_done(&t), 0);
	tftp_transfer_ack(&t, 1, now_us);
	assert_int_equal(t.state, TFTP_GONE);
	/* An answer begins the count anew. */
	t = begin(10000, &request);
	send_all(&t, 0);
	tftp_transfer_tick(&t, 1 * SECOND);
	send_all(&t, 1 * SECOND);
	tftp_transfer_ack(&t, 1, 2 * SECOND);
	assert_int_equal(t.deadline_us, 3 * SECOND);
	assert_int_equal(t.repetitions, 0);
}

/* What we have not sent yet is not the client's silence. */
static void our_own_delay(void **state)
{
	(void)state;
	struct tftp_request request = {0};
	struct tftp_transfer t = begin(10000, &request);
	for (unsigned i = 0; i < 100; i++)
		tftp_transfer_tick(&t, t.deadline_us);
	assert_int_equal(t.state, TFTP_RUNS);
	assert_int_equal(t.repetitions, 0);
	assert_string_equal(send_all(&t, 0), "1");
}

/* --- Whole transfers ------------------------------------------------------------------------ */

struct flight {
	uint64_t at_us;
	bool options;
	uint16_t number;
	uint64_t off;
	uint32_t len;
};

/* Packets that travel one way. */
struct wire {
	struct flight flights[4096];
	size_t len;
};

struct weather {
	unsigned loss, doubling, reordering; /* per thousand packets */
};

struct world {
	struct tftp_transfer t;
	const struct weather *weather;
	struct wire down, up;
	uint64_t random;
	uint64_t now_us;
	/* The client: */
	uint64_t got;        /* bytes in order */
	uint64_t block;      /* the last one in order; the options' packet is 0 */
	bool started, ended; /* it has the options (or needs none); everything */
	bool nacked;         /* said once that one is missing */
	unsigned unacked;    /* blocks since it acknowledged */
	uint64_t asked_us;   /* when it said something last */
	uint64_t sent;       /* packets with data that went out */
};

static unsigned chance(struct world *w)
{
	w->random = w->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(w->random >> 33) % 1000;
}

static void post(struct world *w, struct wire *wire, struct flight flight)
{
	flight.at_us = w->now_us + 100 + (chance(w) < w->weather->reordering ? 5000 : 0);
	unsigned copies = chance(w) < w->weather->loss ? 0
		: chance(w) < w->weather->doubling     ? 2
						       : 1;
	for (unsigned i = 0; i < copies; i++) {
		assert_true(wire->len < ARRAY_LEN(wire->flights));
		wire->flights[wire->len++] = flight;
	}
}

/* Takes the packet that arrives next, if one has by now. */
static bool arrives(struct world *w, struct wire *wire, struct flight *ret)
{
	size_t first = 0;
	for (size_t i = 1; i < wire->len; i++)
		if (wire->flights[i].at_us < wire->flights[first].at_us)
			first = i;
	if (wire->len == 0 || wire->flights[first].at_us > w->now_us)
		return false;
	*ret = wire->flights[first];
	memmove(&wire->flights[first], &wire->flights[first + 1],
		(wire->len - first - 1) * sizeof(wire->flights[0]));
	wire->len--;
	return true;
}

static void client_acks(struct world *w)
{
	w->unacked = 0;
	w->asked_us = w->now_us;
	post(w, &w->up, (struct flight){.number = (uint16_t)w->block});
}

static void client_hears(struct world *w, const struct flight *flight)
{
	if (flight->options) {
		w->started = true;
		if (w->block == 0)
			client_acks(w);
		return;
	}
	if (!w->started)
		return; /* blocks before the options: not yet ours */
	if (flight->number != (uint16_t)(w->block + 1)) {
		/* The last one twice is acknowledged again; a gap is told once, as U-Boot does. */
		if (w->ended || w->t.window == 1 || !w->nacked)
			client_acks(w);
		w->nacked = true;
		return;
	}
	assert_int_equal(flight->off, w->got);
	w->nacked = false;
	w->block++;
	w->got += flight->len;
	w->unacked++;
	w->ended = flight->len < w->t.block_size;
	if (w->ended || w->unacked >= w->t.window)
		client_acks(w);
}

static void server_sends(struct world *w)
{
	struct tftp_due due;
	while (tftp_transfer_due(&w->t, &due)) {
		post(w, &w->down,
			(struct flight){.options = due.options,
				.number = due.number,
				.off = due.off,
				.len = due.len});
		w->sent += !due.options;
		tftp_transfer_sent(&w->t, w->now_us);
	}
}

/* Runs until the server has ended; returns packets with data. */
static uint64_t run(const struct tftp_request *request, uint64_t size,
	const struct weather *weather, uint64_t seed)
{
	static struct world world;
	struct world *w = &world;
	struct flight flight;
	*w = (struct world){.weather = weather, .random = seed * 7919 + 1};
	tftp_transfer_init(&w->t, request, size, 1468, 0);
	w->started = w->t.base == 1;
	while (w->t.state == TFTP_RUNS) {
		server_sends(w);
		w->now_us += 50;
		while (arrives(w, &w->down, &flight))
			client_hears(w, &flight);
		while (arrives(w, &w->up, &flight))
			tftp_transfer_ack(&w->t, flight.number, w->now_us);
		/* The client's own patience; a request is repeated by the server's options. */
		if (w->started && !w->ended && w->now_us - w->asked_us > 5 * SECOND)
			client_acks(w);
		tftp_transfer_tick(&w->t, w->now_us);
		if (w->down.len == 0 && w->up.len == 0 && w->t.state == TFTP_RUNS &&
			w->now_us < w->t.deadline_us)
			w->now_us = w->t.deadline_us; /* nothing happens until then */
	}
	/* Whoever acknowledged the last block is gone: his word may be lost, the file is not. */
	assert_true(w->ended);
	assert_int_equal(w->got, size);
	assert_true(w->t.state == TFTP_ENDED || tftp_transfer_all_sent(&w->t));
	return w->sent;
}

static void fair_weather(void **state)
{
	(void)state;
	static const struct weather fair = {0};
	static const uint64_t sizes[] = {0, 1, 511, 512, 513, 1467, 1468, 1469, 100000, 1468 * 64};
	static const uint32_t windows_asked[] = {0, 1, 2, 7, 64};
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t j = 0; j < ARRAY_LEN(windows_asked); j++) {
			const struct tftp_request request = {
				.block_size = 1468, .window = windows_asked[j]};
			assert_int_equal(run(&request, sizes[i], &fair, 1), sizes[i] / 1468 + 1);
		}
	}
}

/* Blocks 65535, 0, 1: the number rolls over, several times. */
static void rollover(void **state)
{
	(void)state;
	static const struct weather fair = {0}, lossy = {.loss = 1, .doubling = 1, .reordering = 1};
	static const struct tftp_request one = {.block_size = 8},
					 many = {.block_size = 8, .window = 16};
	assert_int_equal(run(&one, 8 * 65536 * 2 + 5, &fair, 1), 65536 * 2 + 1);
	assert_int_equal(run(&many, 8 * 65535, &fair, 1), 65536);
	assert_int_equal(run(&many, 8 * 65536 * 3 + 8, &fair, 1), 65536 * 3 + 2);
	run(&many, 8 * 65536 * 2 + 5, &lossy, 3);
}

static void foul_weather(void **state)
{
	(void)state;
	static const struct weather weathers[] = {
		{.loss = 50}, {.loss = 200}, {.doubling = 500}, {.reordering = 100}, {50, 50, 50}};
	static const uint32_t windows_asked[] = {0, 1, 4, 32};
	for (size_t i = 0; i < ARRAY_LEN(weathers); i++)
		for (size_t j = 0; j < ARRAY_LEN(windows_asked); j++)
			for (uint64_t seed = 0; seed < 20; seed++) {
				const struct tftp_request request = {
					.block_size = 1024, .window = windows_asked[j]};
				run(&request, 200 * 1024 + seed, &weathers[i], seed);
			}
}

/* Doubled packets must not double the transfer from there on. */
static void doubling_ends(void **state)
{
	(void)state;
	static const struct weather doubling = {.doubling = 10};
	static const uint32_t windows_asked[] = {0, 1, 4, 32};
	for (size_t j = 0; j < ARRAY_LEN(windows_asked); j++) {
		const struct tftp_request request = {.block_size = 512, .window = windows_asked[j]};
		uint64_t blocks = 20000, sent = run(&request, blocks * 512 - 1, &doubling, j);
		uint64_t window = windows_asked[j] > 1 ? windows_asked[j] : 0;
		/* One by one nothing is sent twice; else each double may repeat one window. */
		assert_true(sent <= blocks + window * blocks * 15 / 1000);
		if (window == 0)
			assert_int_equal(sent, blocks);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options),
		cmocka_unit_test(empty_last_block),
		cmocka_unit_test(agreed_options),
		cmocka_unit_test(no_apprentice),
		cmocka_unit_test(windows),
		cmocka_unit_test(late_acknowledgement),
		cmocka_unit_test(back_off),
		cmocka_unit_test(our_own_delay),
		cmocka_unit_test(fair_weather),
		cmocka_unit_test(rollover),
		cmocka_unit_test(foul_weather),
		cmocka_unit_test(doubling_ends),
	};
	return TEST_MAIN(tests);
}
