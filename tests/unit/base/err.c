/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

static void chain(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	errno = ENOENT;
	assert_int_equal(err_sys(&err, "cannot open '%s'", "a"), -1);
	err_prefix(&err, "closure of '%s'", "b");
	err_hint(&err, "first");
	err_hint(&err, "second");
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err.hint, "first");
	assert_err(
		&err, ERR_NOT_FOUND, "closure of 'b': cannot open 'a': No such file or directory");
}

static void long_messages_lose_their_middle(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	err_raise(&err, ERR_CORRUPT, "the last cause");
	for (int i = 0; i < 200; i++)
		err_prefix(&err, "step %d", i);
	err_prefix(&err, "first subject");
	assert_memory_equal(err.msg, "first subject: …", 18);
	size_t len = strlen(err.msg);
	assert_true(len < sizeof(err.msg));
	assert_string_equal(err.msg + len - 14, "the last cause");
}

static int fails_in_scope(struct err *err)
{
	ERR_SCOPE(err, "reading '%s'", "x");
	return err_raise(err, ERR_LIMIT, "5 > max 4");
}

static int succeeds_in_scope(struct err *err)
{
	ERR_SCOPE(err, "reading '%s'", "x");
	return 0;
}

static void scope(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(succeeds_in_scope(&err), 0);
	assert_true(err_clean(&err));
	assert_int_equal(fails_in_scope(&err), -1);
	assert_err(&err, ERR_LIMIT, "reading 'x': 5 > max 4");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain),
		cmocka_unit_test(long_messages_lose_their_middle),
		cmocka_unit_test(scope),
	};
	return TEST_MAIN(tests);
}
