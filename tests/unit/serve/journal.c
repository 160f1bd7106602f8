/* SPDX-License-Identifier: MIT */
#include "serve/journal.h"

#include "base/mem.h"

#include "test.h"

#include <string.h>

static const struct journal_step transfer = {
	.step = "initrd",
	.client = "10.55.0.7",
	.mac = "52:54:00:aa:bb:01",
	.subject = "/boot/default/initrd",
	.note = "the client left",
	.status = 206,
	.bytes = 1500000,
	.total_bytes = 3000000000,
	.elapsed_us = 500000,
};

/* What is written for a step, behind the time. */
static void assert_line(bool json, const struct journal_step *step, const char *want)
{
	char *text = NULL;
	size_t len = 0;
	const struct journal journal = {.out = open_memstream(&text, &len), .json = json};
	journal_put(&journal, step);
	fclose(journal.out);
	const char *rest = strchr(text, json ? ',' : ' ');
	assert_non_null(rest);
	assert_string_equal(rest + 1, want);
	free(text);
}

static void for_people(void **state)
{
	(void)state;
	assert_line(false, &transfer,
		"10.55.0.7 52:54:00:aa:bb:01 initrd: /boot/default/initrd 206 1.5 MB of 3.0 GB in "
		"0.500 s (3 MB/s), the client left\n");
	const struct journal_step dhcp = {.step = "dhcp", .mac = "52:54:00:aa:bb:01", .note = "x"};
	assert_line(false, &dhcp, "52:54:00:aa:bb:01 dhcp: x\n");
}

static void for_machines(void **state)
{
	(void)state;
	assert_line(true, &transfer,
		"\"step\":\"initrd\",\"client\":\"10.55.0.7\",\"mac\":\"52:54:00:aa:bb:01\","
		"\"subject\":\"/boot/default/initrd\",\"note\":\"the client left\",\"status\":206,"
		"\"bytes\":1500000,\"total\":3000000000,\"seconds\":0.5}\n");
	const struct journal_step odd = {.step = "http", .subject = "/\"\xff"};
	assert_line(true, &odd, "\"step\":\"http\",\"subject\":\"?\"}\n");
}

static void unknown_neighbour(void **state)
{
	(void)state;
	char mac[18];
	static const char *const nobody[] = {
		"192.0.2.99", "127.0.0.1", "::1", "::ffff:127.0.0.1", "", "not an address"};
	for (size_t i = 0; i < ARRAY_LEN(nobody); i++)
		assert_false(journal_find_mac(nobody[i], mac));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(for_people),
		cmocka_unit_test(for_machines),
		cmocka_unit_test(unknown_neighbour),
	};
	return TEST_MAIN(tests);
}
