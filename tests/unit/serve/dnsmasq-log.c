/* SPDX-License-Identifier: MIT */
/* Lines as dnsmasq 2.90 writes them. */
#include "serve/dnsmasq.h"
#include "test.h"

#include <string.h>

static void assert_step(const char *line, struct dnsmasq_step want)
{
	struct dnsmasq_step got = {0};
	assert_true(dnsmasq_parse(line, &got));
	assert_string_equal(got.client, want.client);
	assert_string_equal(got.mac, want.mac);
	assert_string_equal(got.subject, want.subject);
	assert_string_equal(got.note != NULL ? got.note : "", want.note != NULL ? want.note : "");
}

static void steps(void **state)
{
	(void)state;
	assert_step("2994972804 PXE(v0) 52:54:00:aa:bb:01 proxy",
		(struct dnsmasq_step){"", "52:54:00:aa:bb:01", "", "answered as a proxy"});
	assert_step("2994972804 PXE(v0) 10.55.0.9 52:54:00:aa:bb:01 snponly.efi",
		(struct dnsmasq_step){
			"10.55.0.9", "52:54:00:aa:bb:01", "snponly.efi", "asked the boot server"});
	assert_step("2994972804 bootfile name: undionly.kpxe",
		(struct dnsmasq_step){"", "", "undionly.kpxe", "told to boot"});
	assert_step("1269167297 DHCPOFFER(v0) 10.55.0.55 52:54:00:aa:bb:01 ",
		(struct dnsmasq_step){"10.55.0.55", "52:54:00:aa:bb:01", "", "offered an address"});
	assert_step("1269167297 DHCPACK(v0) 10.55.0.55 52:54:00:aa:bb:01 node-1",
		(struct dnsmasq_step){
			"10.55.0.55", "52:54:00:aa:bb:01", "node-1", "has its address"});
}

static void others(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "12", "1269167297 tags: bios, v0",
		"1269167297 DHCPDISCOVER(v0) 52:54:00:aa:bb:01 ", "DHCPACK(", "PXE()",
		"1269167297 sent size:  4 option: 51 lease-time  12h",
		"exiting on receipt of SIGTERM"};
	struct dnsmasq_step step;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_false(dnsmasq_parse(lines[i], &step));
}

/* A client chooses its own name: what it sends must not grow beyond its place. */
static void long_names(void **state)
{
	(void)state;
	char line[1024] = "1 DHCPACK(v0) 10.55.0.55 52:54:00:aa:bb:01 ";
	memset(line + strlen(line), 'x', 900);
	struct dnsmasq_step step;
	assert_true(dnsmasq_parse(line, &step));
	assert_int_equal(strlen(step.subject), sizeof(step.subject) - 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps),
		cmocka_unit_test(others),
		cmocka_unit_test(long_names),
	};
	return TEST_MAIN(tests);
}
