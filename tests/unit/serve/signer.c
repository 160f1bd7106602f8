/* SPDX-License-Identifier: MIT */
#include "serve/signer.h"

#include "base/path.h"

#include "test.h"

#include <string.h>
#include <sys/stat.h>

static void made_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct strvec none = {0};
	AUTO_FREE char *dir = path_printf(&err, "%s/a/b", test_tmpdir());
	AUTO_FREE char *key = path_printf(&err, "%s/key", dir);
	AUTO_SIGNER first = {0}, second = {0};
	struct stat st;
	assert_ok(signer_open(&none, dir, &first, &err));
	assert_int_equal(first.keys.len, 1);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_ok(signer_open(&none, dir, &second, &err));
	assert_memory_equal(first.keys.items[0].seed, second.keys.items[0].seed, 32);
	AUTO_FREE char *line = public_key_format(&first.trusted.items[0], &err);
	AUTO_FREE char *written = test_shell_output("cat %s.pub", key);
	assert_string_equal(line, written);
}

static void what_is_refused(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	AUTO_SIGNER signer = {0};
	AUTO_STRVEC files = {0};
	char want[512];
	test_write(dir, "bad", "nonsense\n", 9);
	AUTO_FREE char *bad = path_printf(&err, "%s/bad", dir);
	assert_ok(strvec_push(&files, bad, &err));
	assert_int_equal(signer_open(&files, dir, &signer, &err), -1);
	assert_int_equal(err.kind, ERR_CORRUPT);
	assert_null(strstr(err.msg, "nonsense")); /* what may be a secret is not repeated */
	snprintf(want, sizeof(want), "key '%s': ", bad);
	assert_memory_equal(err.msg, want, strlen(want));
	err_reset(&err);
	for (int i = 0; i < 8; i++)
		assert_ok(strvec_push(&files, bad, &err));
	assert_int_equal(signer_open(&files, dir, &signer, &err), -1);
	assert_err(&err, ERR_USAGE, "9 keys > max 8");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_once),
		cmocka_unit_test(what_is_refused),
	};
	return TEST_MAIN(tests);
}
