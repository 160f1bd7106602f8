/* SPDX-License-Identifier: MIT */
/* What is told; how it is asked again until somebody takes it, the reporter's test says. */
#include "stage1/teller.h"

#include "base/mem.h"
#include "http/url.h"
#include "test.h"

#include <string.h>
#include <unistd.h>

static void assert_urls(const char *cmdline_text, const char *what, const char *why,
	const char *const *want, size_t count)
{
	struct err err = ERR_INIT;
	struct cmdline cmdline = {0};
	AUTO_NETCONF conf = {0};
	AUTO_STRVEC urls = {0};
	int fd = -1;
	assert_ok(cmdline_parse(cmdline_text, &cmdline, &err));
	assert_ok(netconf_apply(&conf, &cmdline, &err));
	assert_ok(teller_keep_urls(&conf, what, why, &fd, &err));
	assert_ok(teller_read_urls(fd, &urls, &err));
	assert_int_equal(urls.len, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(urls.items[i], want[i]);
	close(fd);
	cmdline_done(&cmdline);
}

static void urls(void **state)
{
	(void)state;
	static const char *const up[] = {"http://10.0.0.1:8080/v1/up?mac=52-54-00-00-00-01"};
	assert_urls("snowboot.origin=http://10.0.0.1:8080 BOOTIF=01-52-54-00-00-00-01", "up", NULL,
		up, 1);
	static const char *const failed[] = {
		"http://10.0.0.1/v1/failed?mac=52-54-00-00-00-01&why=cannot%20read%20%27%2Fx%27%3A%"
		"20a%26b",
		"http://lab:8080/v1/failed?mac=52-54-00-00-00-01&why=cannot%20read%20%27%2Fx%27%3A%"
		"20a%26b"};
	assert_urls("snowboot.origin=http://10.0.0.1,http://lab:8080 BOOTIF=01-52-54-00-00-00-01",
		"failed", "cannot read '/x': a&b", failed, 2);
	static const char *const nameless[] = {"http://10.0.0.1/v1/failed?why=x"};
	assert_urls("snowboot.origin=http://10.0.0.1", "failed", "x", nameless, 1);
	assert_urls("quiet", "failed", "x", NULL, 0);
}

/* As much as a message can have, in bytes that are all written as three, for each of many. */
static void longest(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NETCONF conf = {0};
	AUTO_STRVEC urls = {0};
	char why[sizeof(err.msg)];
	int fd = -1;
	memset(why, '\'', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	for (unsigned i = 0; i < 40; i++)
		assert_ok(strvec_push(&conf.node.origins, "http://10.0.0.1:8080", &err));
	assert_ok(teller_keep_urls(&conf, "failed", why, &fd, &err));
	assert_ok(teller_read_urls(fd, &urls, &err));
	assert_int_equal(urls.len, 40);
	for (size_t i = 0; i < urls.len; i++) {
		AUTO_HTTP_URL url = {0};
		assert_ok(http_url_parse(urls.items[i], &url, &err));
		assert_int_equal(strlen(urls.items[i]),
			strlen("http://10.0.0.1:8080/v1/failed?why=") + 3 * strlen(why));
	}
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(longest),
	};
	return TEST_MAIN(tests);
}
