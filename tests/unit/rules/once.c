/* SPDX-License-Identifier: MIT */
#include "rules/once.h"

#include "base/mem.h"
#include "base/path.h"
#include "test.h"

#include <string.h>

#define WHO "aa:bb:cc:dd:ee:01"
#define SYSTEM "hash-nixos-system-x"

static const struct once_key key = {.entry = WHO, .who = WHO, .mark = {.bytes = {1}}};

static enum once_state look(const char *dir, const struct once_key *k)
{
	struct err err = ERR_INIT;
	enum once_state state;
	int64_t at;
	assert_ok(once_look(dir, k, &state, &at, &err));
	return state;
}

static size_t came_up(const char *dir, const char *who, const char *system)
{
	struct err err = ERR_INIT;
	size_t count;
	assert_ok(once_came_up(dir, who, system, 2000, &count, &err));
	return count;
}

static void used_up_by_coming_up(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	assert_int_equal(look(dir, &key), ONCE_NEW);
	assert_int_equal(came_up(dir, WHO, SYSTEM), 0);
	assert_ok(once_give(dir, &key, SYSTEM, 1000, &err));
	assert_ok(once_give(dir, &key, SYSTEM, 1001, &err));
	assert_int_equal(look(dir, &key), ONCE_GIVEN);
	assert_int_equal(came_up(dir, WHO, "another-system"), 0);
	assert_int_equal(came_up(dir, "aa:bb:cc:dd:ee:02", SYSTEM), 0);
	assert_int_equal(look(dir, &key), ONCE_GIVEN);
	assert_int_equal(came_up(dir, WHO, SYSTEM), 1);
	assert_int_equal(look(dir, &key), ONCE_USED);
	assert_int_equal(came_up(dir, WHO, SYSTEM), 0);
	enum once_state how;
	int64_t at;
	assert_ok(once_look(dir, &key, &how, &at, &err));
	assert_int_equal(at, 2000);
	/* Given again by a request that was late: it stays used up. */
	assert_ok(once_give(dir, &key, SYSTEM, 1002, &err));
	assert_int_equal(look(dir, &key), ONCE_USED);
}

static void written_again_it_is_new(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	struct once_key other = key;
	other.mark.bytes[0] = 2;
	assert_ok(once_give(dir, &key, SYSTEM, 1000, &err));
	assert_int_equal(came_up(dir, WHO, SYSTEM), 1);
	assert_int_equal(look(dir, &other), ONCE_NEW);
	assert_ok(once_give(dir, &other, SYSTEM, 1000, &err));
	assert_int_equal(look(dir, &other), ONCE_GIVEN);
	assert_int_equal(look(dir, &key), ONCE_NEW);
}

static void each_machine_of_its_own(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	struct once_key one = key, two = key;
	one.entry = two.entry = "default";
	two.who = "aa:bb:cc:dd:ee:02";
	assert_ok(once_give(dir, &one, SYSTEM, 1000, &err));
	assert_ok(once_give(dir, &two, SYSTEM, 1000, &err));
	assert_int_equal(came_up(dir, WHO, SYSTEM), 1);
	assert_int_equal(look(dir, &one), ONCE_USED);
	assert_int_equal(look(dir, &two), ONCE_GIVEN);
}

static void damaged(void **state)
{
	(void)state;
	static const char *const texts[] = {"x\n", "snowboot-once 1", "snowboot-once 1\ngiven\n",
		"snowboot-once 1\nlent "
		"0000000000000000000000000000000000000000000000000000000000000000 a b c 1\n",
		"snowboot-once 1\ngiven 00 a b c 1\n",
		"snowboot-once 1\nused "
		"0000000000000000000000000000000000000000000000000000000000000000 a b c 1x\n",
		"snowboot-once 1\nused "
		"0000000000000000000000000000000000000000000000000000000000000000 a b c 1 2\n"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct err err = ERR_INIT;
		enum once_state how;
		int64_t at;
		const char *dir = test_tmpdir();
		test_write(dir, "once", texts[i], strlen(texts[i]));
		AUTO_FREE char *want =
			path_printf(&err, "'%s/once' line %d is damaged", dir, i < 2 ? 1 : 2);
		assert_int_equal(once_look(dir, &key, &how, &at, &err), -1);
		assert_err(&err, ERR_CORRUPT, want);
	}
}

static void the_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	assert_ok(once_give(dir, &key, SYSTEM, 1000, &err));
	AUTO_FREE char *text = test_shell_output("cat '%s/once'", dir);
	assert_string_equal(text,
		"snowboot-once 1\n"
		"given 0100000000000000000000000000000000000000000000000000000000000000 " WHO
		" " WHO " " SYSTEM " 1000");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(used_up_by_coming_up),
		cmocka_unit_test(written_again_it_is_new),
		cmocka_unit_test(each_machine_of_its_own),
		cmocka_unit_test(damaged),
		cmocka_unit_test(the_file),
	};
	return TEST_MAIN(tests);
}
