/* SPDX-License-Identifier: MIT */
#include "system/generations.h"
#include "test.h"

#include "base/path.h"

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* A root with a profile of three generations, the second current, the first collected. */
static const char *make(void)
{
	const char *root = test_tmpdir();
	test_shell("cd '%s' && mkdir -p nix/store/" HASH "-two nix/store/" HASH "-ten p && cd p && "
		   "for g in 1-one 2-two 10-ten; do "
		   "ln -s /nix/store/" HASH "-${g#*-} system-${g%%-*}-link; done && "
		   "touch -h -d @1700000000 system-2-link && ln -s system-2-link system && "
		   "ln -s nowhere system-x-link && ln -s nowhere system-link && touch "
		   "system--1-link && "
		   "ln -s nowhere system-99999999999999999999-link && ln -s x other-3-link && "
		   "ln -s /nix/store/" HASH "-two result && touch file",
		root);
	return root;
}

static int list(const char *root, const char *name, struct generations *ret, struct err *err)
{
	AUTO_FREE char *real = path_printf(err, "%s/nix/store", root);
	AUTO_FREE char *path = path_printf(err, "%s/%s", root, name);
	const struct store_view view = {.dir = "/nix/store", .real_dir = real};
	return generations_list(&view, path, ret, err);
}

static void assert_profile(const char *name)
{
	struct err err = ERR_INIT;
	AUTO_GENERATIONS g = {0};
	const char *root = make();
	AUTO_FREE char *profile = path_printf(&err, "%s/p/system", root);
	AUTO_FREE char *link = path_printf(&err, "%s/p/system-2-link", root);
	assert_int_equal(list(root, name, &g, &err), 1);
	assert_string_equal(g.profile, profile);
	assert_int_equal(g.len, 3);
	assert_int_equal(g.items[0].number, 1);
	assert_null(g.items[0].path);
	assert_false(g.items[0].current);
	assert_int_equal(g.items[1].number, 2);
	assert_string_equal(g.items[1].link, link);
	assert_string_equal(g.items[1].path, "/nix/store/" HASH "-two");
	assert_int_equal(g.items[1].time, 1700000000);
	assert_true(g.items[1].current);
	assert_int_equal(g.items[2].number, 10);
	assert_string_equal(g.items[2].path, "/nix/store/" HASH "-ten");
}

static void of_a_profile(void **state)
{
	(void)state;
	assert_profile("p/system");
}

static void of_a_generation(void **state)
{
	(void)state;
	assert_profile("p/system-10-link");
	assert_profile("p/system-1-link");
}

static void of_other_things(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct generations g;
	const char *root = make();
	assert_int_equal(list(root, "p/result", &g, &err), 0);
	assert_int_equal(list(root, "p/file", &g, &err), 0);
	assert_int_equal(list(root, "p/none", &g, &err), 0);
	assert_int_equal(list(root, "nix/store/" HASH "-two", &g, &err), 0);
}

static void only_its_own(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_GENERATIONS g = {0};
	assert_int_equal(list(make(), "p/other-3-link", &g, &err), 1);
	assert_int_equal(g.len, 1);
	assert_int_equal(g.items[0].number, 3);
	assert_false(g.items[0].current);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_profile),
		cmocka_unit_test(of_a_generation),
		cmocka_unit_test(of_other_things),
		cmocka_unit_test(only_its_own),
	};
	return TEST_MAIN(tests);
}
