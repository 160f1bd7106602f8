/* SPDX-License-Identifier: MIT */
#include "stage1/netconf.h"

#include "test.h"

#include <string.h>

static const uint8_t mac[6] = {0x52, 0x54, 0, 0xab, 0xcd, 0xef};

static int apply(const char *words, struct netconf *conf, struct err *err)
{
	AUTO(cmdline_done) struct cmdline cmdline = {0};
	assert_int_equal(cmdline_parse(words, &cmdline, err), 0);
	return netconf_apply(conf, &cmdline, err);
}

static void macs(void **state)
{
	(void)state;
	static const char *const good[] = {
		"01-52-54-00-ab-cd-ef", "52:54:00:ab:cd:ef", "52-54-00-AB-CD-EF"};
	static const char *const bad[] = {"", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:00",
		"01-52-54-00-ab-cd-e", "01-52-54-00-ab-cd-eg", "52:54-00:ab:cd:ef",
		"${netX/mac:hexhyp}"};
	uint8_t got[6];
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(netconf_parse_mac(good[i], got));
		assert_memory_equal(got, mac, 6);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(netconf_parse_mac(bad[i], got));
}

static void everything(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NETCONF conf = {.node = {.peers = true}};
	assert_ok(strvec_push(&conf.node.origins, "http://10.0.0.1:8080", &err));
	assert_ok(apply(
		"BOOTIF=01-52-54-00-ab-cd-ef snowboot.vlan=7 snowboot.net=shared "
		"snowboot.origin=http://10.0.0.2,http://10.0.0.3:81 snowboot.site=lab "
		"snowboot.origin=http://10.0.0.1:8080 snowboot.peers=no snowboot.complete=yes",
		&conf, &err));
	assert_memory_equal(conf.net.first_mac, mac, 6);
	assert_int_equal(conf.net.vlan, 7);
	assert_int_equal(conf.net.mode, NET_SHARED);
	assert_int_equal(conf.node.origins.len, 3);
	assert_string_equal(conf.node.origins.items[0], "http://10.0.0.2");
	assert_string_equal(conf.node.origins.items[1], "http://10.0.0.3:81");
	assert_string_equal(conf.node.origins.items[2], "http://10.0.0.1:8080");
	assert_string_equal(conf.node.site, "lab");
	assert_false(conf.node.peers);
	assert_true(conf.node.complete);
}

/* What is not said leaves what came with the initramfs. */
static void nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NETCONF conf = {.node = {.peers = true, .site = "here"}};
	assert_ok(strvec_push(&conf.node.origins, "http://10.0.0.1", &err));
	assert_ok(apply("BOOTIF=nonsense", &conf, &err));
	assert_int_equal(conf.net.mode, NET_OWN);
	assert_int_equal(conf.net.first_mac[0], 0);
	assert_true(conf.node.peers);
	assert_string_equal(conf.node.site, "here");
	assert_int_equal(conf.node.origins.len, 1);
}

static void assert_usage(const char *words, const char *message)
{
	struct err err = ERR_INIT;
	AUTO_NETCONF conf = {0};
	assert_int_equal(apply(words, &conf, &err), -1);
	assert_err(&err, ERR_USAGE, message);
}

static void failures(void **state)
{
	(void)state;
	assert_usage("snowboot.vlan=0", "snowboot.vlan takes 1 to 4094, not '0'");
	assert_usage("snowboot.vlan=7x", "snowboot.vlan takes 1 to 4094, not '7x'");
	assert_usage("snowboot.net=both", "snowboot.net takes own or shared, not 'both'");
	assert_usage("snowboot.origin=ftp://x",
		"snowboot.origin takes [SITE=]http://ADDRESS[:PORT], not 'ftp://x'");
	assert_usage("snowboot.site=0123456789012345678901234567890123",
		"snowboot.site takes at most 31 bytes, not '0123456789012345678901234567890123'");
	struct err err = ERR_INIT;
	AUTO_NETCONF conf = {.node = {.name = strdup("default")}};
	assert_int_equal(apply("", &conf, &err), -1);
	assert_string_equal(err.hint, "boot with snowboot.origin=http://ADDRESS:PORT");
	assert_err(&err, ERR_USAGE, "nothing says where the system comes from");
}

static void round_trip(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NETCONF conf = {.net = {.vlan = 9, .mode = NET_SHARED}, .node = {.site = "lab"}};
	AUTO_NETCONF again = {0};
	AUTO_BUF text = {0};
	memcpy(conf.net.first_mac, mac, 6);
	assert_ok(strvec_push(&conf.node.origins, "http://10.0.0.1:8080", &err));
	assert_ok(netconf_encode(&conf, &text, &err));
	assert_ok(netconf_decode((const char *)text.data, text.len, &again, &err));
	assert_int_equal(again.net.vlan, 9);
	assert_int_equal(again.net.mode, NET_SHARED);
	assert_memory_equal(again.net.first_mac, mac, 6);
	assert_string_equal(again.node.site, "lab");
	assert_string_equal(again.node.origins.items[0], "http://10.0.0.1:8080");
	static const char bad[] = "mode sideways\n\n";
	assert_int_equal(netconf_decode(bad, strlen(bad), &again, &err), -1);
	assert_err(&err, ERR_CORRUPT, "configuration line 'mode sideways'");
	assert_int_equal(netconf_decode("mode own\n", 9, &again, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the configuration has no part for the node");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(macs),
		cmocka_unit_test(everything),
		cmocka_unit_test(nothing),
		cmocka_unit_test(failures),
		cmocka_unit_test(round_trip),
	};
	return TEST_MAIN(tests);
}
