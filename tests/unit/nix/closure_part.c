/* SPDX-License-Identifier: MIT */
/* A part of a closure: what stays, in which order, and what its references are then. */
#include "nix/closure_part.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

/* "a" <- "b" <- "d", "c" <- "d", and "b" refers to itself. */
static struct closure make(void)
{
	static const char *const names[] = {
		"/nix/store/a", "/nix/store/c", "/nix/store/b", "/nix/store/d", "/nix/store/e"};
	static const struct {
		size_t count, refs[3];
	} refs[] = {{0, {0}}, {0, {0}}, {2, {0, 2}}, {2, {1, 2}}, {1, {0}}};
	struct closure closure = {.items = calloc(5, sizeof(*closure.items)), .len = 5};
	for (size_t i = 0; i < 5; i++) {
		struct path_info *item = &closure.items[i];
		item->path = strdup(names[i]);
		item->refs = malloc(sizeof(refs[i].refs));
		memcpy(item->refs, refs[i].refs, sizeof(refs[i].refs));
		item->ref_count = refs[i].count;
	}
	return closure;
}

static void keeps_what_is_referred_to(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = make();
	assert_ok(closure_keep_part(&closure, "/nix/store/b", &err));
	assert_int_equal(closure.len, 2);
	assert_string_equal(closure.items[0].path, "/nix/store/a");
	assert_string_equal(closure.items[1].path, "/nix/store/b");
	assert_int_equal(closure.items[1].ref_count, 2);
	assert_int_equal(closure.items[1].refs[0], 0);
	assert_int_equal(closure.items[1].refs[1], 1);
}

static void keeps_all_but_one(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = make();
	assert_ok(closure_keep_part(&closure, "/nix/store/d", &err));
	assert_int_equal(closure.len, 4);
	assert_string_equal(closure.items[3].path, "/nix/store/d");
	assert_int_equal(closure.items[3].refs[0], 1);
	assert_int_equal(closure.items[3].refs[1], 2);
}

static void refuses_a_stranger(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = make();
	assert_int_equal(closure_keep_part(&closure, "/nix/store/x", &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "'/nix/store/x' is not in the closure");
	assert_int_equal(closure.len, 5);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_is_referred_to),
		cmocka_unit_test(keeps_all_but_one),
		cmocka_unit_test(refuses_a_stranger),
	};
	return TEST_MAIN(tests);
}
