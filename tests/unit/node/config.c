/* SPDX-License-Identifier: MIT */
/* A node's configuration: every key there and back, and what is refused. */
#include "node/node.h"

#include "test.h"

#include <string.h>

static struct err err = ERR_INIT;

static const char full[] = "origin http://10.0.0.1:8080\n"
			   "origin http://[fd00::1]:8080\n"
			   "key site-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
			   "name default\n"
			   "memory 268435456\n"
			   "cache /var/cache/snowboot node\n"
			   "cache-size 10737418240\n"
			   "site hall-2\n"
			   "machine-id 00112233445566778899aabbccddeeff\n"
			   "peers no\n"
			   "complete yes\n"
			   "uplink 25000000\n"
			   "port 7411\n"
			   "state-dir /run/snowboot\n"
			   "nbd-socket /run/nbd.sock\n"
			   "boot-files yes\n"
			   "pool /var/cache/snowboot\n"
			   "trace /run/reads\n";

static void there_and_back(void **state)
{
	(void)state;
	AUTO_NODE_CONFIG config = {0};
	AUTO_BUF out = {0};
	assert_ok(node_config_decode(full, strlen(full), &config, &err));
	assert_int_equal(config.origins.len, 2);
	assert_string_equal(config.origins.items[1], "http://[fd00::1]:8080");
	assert_int_equal(config.keys.len, 1);
	assert_string_equal(config.name, "default");
	assert_int_equal(config.cache.memory_max, 268435456);
	assert_string_equal(config.cache.disk, "/var/cache/snowboot node");
	assert_int_equal(config.cache.disk_max, 10737418240);
	assert_string_equal(config.site, "hall-2");
	assert_int_equal(config.machine_id[15], 0xff);
	assert_false(config.peers);
	assert_true(config.complete);
	assert_int_equal(config.uplink, 25000000);
	assert_int_equal(config.port, 7411);
	assert_true(config.boot_files);
	assert_ok(node_config_encode(&config, &out, &err));
	assert_string_equal(buf_str(&out, &err), full);
}

static void origins_by_site(void **state)
{
	(void)state;
	static const char text[] = "origin far=http://10.9.0.1\norigin http://10.0.0.1/a=http://x\n"
				   "origin hall-2=http://10.2.0.1\norigin hall-2=http://10.2.0.2\n"
				   "site hall-2\n";
	static const char *const ranked[] = {"http://10.2.0.1", "http://10.2.0.2",
		"http://10.0.0.1/a=http://x", "http://10.9.0.1"};
	AUTO_NODE_CONFIG config = {0};
	assert_ok(node_config_decode(text, strlen(text), &config, &err));
	assert_ok(node_config_rank_origins(&config, &err));
	assert_int_equal(config.origins.len, ARRAY_LEN(ranked));
	for (size_t i = 0; i < ARRAY_LEN(ranked); i++)
		assert_string_equal(config.origins.items[i], ranked[i]);
	/* Without a site of our own, those of none come first. */
	strvec_done(&config.origins);
	config.site[0] = '\0';
	assert_ok(strvec_push(&config.origins, "far=http://10.9.0.1", &err));
	assert_ok(strvec_push(&config.origins, "http://10.0.0.1", &err));
	assert_ok(node_config_rank_origins(&config, &err));
	assert_string_equal(config.origins.items[0], "http://10.0.0.1");
}

static void nothing_is_the_default(void **state)
{
	(void)state;
	AUTO_NODE_CONFIG config = {0};
	static const char text[] = "# nothing\n\n";
	assert_ok(node_config_decode(text, strlen(text), &config, &err));
	assert_true(config.peers);
	assert_false(config.complete);
	assert_null(config.name);
	assert_int_equal(config.port, 0);
}

static void wrong_lines_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"name", "line 1: 'name' is not 'KEY VALUE'"},
		{"\nname \n", "line 2: 'name ' is not 'KEY VALUE'"},
		{"colour red", "line 1: 'colour' is no key"},
		{"name a\nname b", "line 2: 'name' stands twice"},
		{"port 65536", "line 1: 65536 > max 65535"},
		{"port -1", "line 1: '-1' is no number"},
		{"memory 99999999999999999999", "line 1: '99999999999999999999' is no number"},
		{"peers maybe", "line 1: 'maybe' is neither 'yes' nor 'no'"},
		{"machine-id 12", "line 1: '12' is not 32 hex digits"},
		{"site 01234567890123456789012345678901",
			"line 1: '01234567890123456789012345678901' has 32 bytes > max 31"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node_config none = {0};
		char message[256];
		snprintf(message, sizeof(message), "node configuration: %s", cases[i].message);
		assert_int_equal(
			node_config_decode(cases[i].text, strlen(cases[i].text), &none, &err), -1);
		assert_err(&err, ERR_CORRUPT, message);
	}
	struct node_config none = {0};
	assert_int_equal(node_config_decode("name a\0b", 8, &none, &err), -1);
	assert_err(&err, ERR_CORRUPT, "node configuration: it has a NUL byte");
}

static void what_would_read_back_differently_is_not_written(void **state)
{
	(void)state;
	AUTO_NODE_CONFIG config = {.name = strdup("two\nlines")};
	AUTO_BUF out = {0};
	assert_int_equal(node_config_encode(&config, &out, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED,
		"node configuration: 'name' cannot be 'two\nlines': empty, or with a line break or "
		"a blank in front");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(origins_by_site),
		cmocka_unit_test(nothing_is_the_default),
		cmocka_unit_test(wrong_lines_are_named),
		cmocka_unit_test(what_would_read_back_differently_is_not_written),
	};
	return TEST_MAIN(tests);
}
