/* SPDX-License-Identifier: MIT */
/* Every store path of the fixtures, written as a NAR by us, is what Nix registered when it built
 * it. */
#include "nix/nar.h"
#include "source/store.h"
#include "test.h"

#include "base/mem.h"
#include "base/path.h"

#include <unistd.h>

#define FIXTURES "/var/lib/snowboot/fixtures/"

static void assert_contents(const struct closure *closure, size_t i)
{
	struct err err = ERR_INIT;
	struct nar_hasher hasher;
	nar_hasher_init(&hasher);
	const struct nar_sink sink = nar_hasher_sink(&hasher);
	AUTO_FREE char *path = closure_real_path(closure, i, &err);
	assert_non_null(path);
	assert_ok(nar_write_path(path, &sink, &err));
	struct digest got = nar_hasher_finish(&hasher);
	if (hasher.size != closure->items[i].nar_size ||
		!digest_equal(&got, &closure->items[i].nar_hash))
		fail_msg("the NAR of %s differs", path);
}

static void assert_fixture(const char *name)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	AUTO_CLOSURE closure = {0};
	AUTO_FREE char *link = path_printf(&err, FIXTURES "%s", name);
	char target[4096] = "";
	if (readlink(link, target, sizeof(target) - 1) < 0)
		test_skip("no fixtures under " FIXTURES "; fixtures/build makes them");
	assert_ok(store_open("", &store, &err));
	assert_ok(store_closure(store, target, &closure, &err));
	store_close(store);
	for (size_t i = 0; i < closure.len; i++)
		assert_contents(&closure, i);
}

static void systems(void **state)
{
	(void)state;
	assert_fixture("scripted");
	assert_fixture("nixos-init");
}

static void odd(void **state)
{
	(void)state;
	assert_fixture("odd");
	assert_fixture("odd-many");
}

/* 5 GiB in one file. */
static void large(void **state)
{
	(void)state;
	assert_fixture("odd-big");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(systems),
		cmocka_unit_test(odd),
		cmocka_unit_test(large),
	};
	return TEST_MAIN(tests);
}
