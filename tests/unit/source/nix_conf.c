/* SPDX-License-Identifier: MIT */
#include "source/nix_conf.h"
#include "test.h"

#include "base/mem.h"
#include "base/path.h"

#include <string.h>

static void assert_words(const struct strvec *vec, const char *words)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *joined = strvec_join(vec, " ", &err);
	assert_string_equal(joined, words);
}

static void what_concerns_caches(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NIX_CONF conf = {0};
	const char *dir = test_tmpdir();
	static const char text[] = "# a comment\n"
				   "substituters = https://a https://b   # and why\n"
				   "\tsubstituters=https://c\n"
				   "extra-substituters = https://d\n"
				   "cores = 4\n"
				   "nonsense\n"
				   "include more.conf\n"
				   "!include none.conf\n"
				   "netrc-file = /etc/nix/netrc\n"
				   "narinfo-cache-negative-ttl = 90\n"
				   "ssl-cert-file = /etc/nix/ca.pem\n";
	static const char more[] = "trusted-public-keys = k-1:a k-2:b\n"
				   "extra-trusted-public-keys = k-3:c";
	test_write(dir, "nix.conf", text, strlen(text));
	test_write(dir, "more.conf", more, strlen(more));
	assert_int_equal(setenv("NIX_CONF_DIR", dir, 1), 0);
	assert_ok(nix_conf_read(&conf, &err));
	assert_words(&conf.substituters, "https://c https://d");
	assert_words(&conf.trusted_keys, "k-1:a k-2:b k-3:c");
	assert_string_equal(conf.netrc_file, "/etc/nix/netrc");
	assert_string_equal(conf.ssl_cert_file, "/etc/nix/ca.pem");
	assert_int_equal(conf.negative_ttl_s, 90);
}

static void nothing_there(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NIX_CONF conf = {0};
	assert_int_equal(setenv("NIX_CONF_DIR", test_tmpdir(), 1), 0);
	assert_ok(nix_conf_read(&conf, &err));
	assert_int_equal(conf.substituters.len, 0);
	assert_null(conf.netrc_file);
	assert_int_equal(conf.negative_ttl_s, 3600);
}

static void no_number(void **state)
{
	(void)state;
	static const char *const values[] = {"", "soon", "-1", "1h", "99999999999"};
	const char *dir = test_tmpdir();
	assert_int_equal(setenv("NIX_CONF_DIR", dir, 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct err err = ERR_INIT, ignored = ERR_INIT;
		AUTO_NIX_CONF conf = {0};
		AUTO_FREE char *line =
			path_printf(&ignored, "narinfo-cache-negative-ttl = %s\n", values[i]);
		AUTO_FREE char *message = path_printf(&ignored,
			"narinfo-cache-negative-ttl in nix.conf is '%s', not a number of seconds",
			values[i]);
		test_write(dir, "nix.conf", line, strlen(line));
		assert_int_equal(nix_conf_read(&conf, &err), -1);
		assert_err(&err, ERR_USAGE, message);
	}
}

static void certificates_by_the_environment(void **state)
{
	(void)state;
	static const struct {
		const char *nix, *ssl, *want;
	} cases[] = {{NULL, NULL, NULL}, {"", "", NULL}, {NULL, "/s", "/s"}, {"/n", "/s", "/n"},
		{"", "/s", "/s"}};
	assert_int_equal(setenv("NIX_CONF_DIR", test_tmpdir(), 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO_NIX_CONF conf = {0};
		assert_int_equal(unsetenv("NIX_SSL_CERT_FILE") | unsetenv("SSL_CERT_FILE"), 0);
		if (cases[i].nix != NULL)
			assert_int_equal(setenv("NIX_SSL_CERT_FILE", cases[i].nix, 1), 0);
		if (cases[i].ssl != NULL)
			assert_int_equal(setenv("SSL_CERT_FILE", cases[i].ssl, 1), 0);
		assert_ok(nix_conf_read(&conf, &err));
		if (cases[i].want != NULL)
			assert_string_equal(conf.ssl_cert_file, cases[i].want);
		else
			assert_null(conf.ssl_cert_file);
	}
}

static void includes_that_fail(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NIX_CONF conf = {0};
	const char *dir = test_tmpdir();
	AUTO_FREE char *circle =
		path_printf(&err, "'%s/nix.conf' is included from more than 8 files", dir);
	AUTO_FREE char *none =
		path_printf(&err, "cannot open '%s/none': No such file or directory", dir);
	assert_int_equal(setenv("NIX_CONF_DIR", dir, 1), 0);
	test_write(dir, "nix.conf", "include nix.conf\n", 17);
	assert_int_equal(nix_conf_read(&conf, &err), -1);
	assert_err(&err, ERR_LIMIT, circle);
	test_write(dir, "nix.conf", "include none\n", 13);
	assert_int_equal(nix_conf_read(&conf, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, none);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_concerns_caches),
		cmocka_unit_test(nothing_there),
		cmocka_unit_test(certificates_by_the_environment),
		cmocka_unit_test(no_number),
		cmocka_unit_test(includes_that_fail),
	};
	return TEST_MAIN(tests);
}
