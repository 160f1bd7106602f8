/* SPDX-License-Identifier: MIT */
/* What we write, real Nix takes for its own. */
#include "source/database.h"
#include "test.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/vec.h"
#include "nix/registration.h"
#include "source/store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

/* A store of a file and a directory that Nix added; their paths are the lines of <root>/names. */
static const char *make_store(void)
{
	const char *root = test_tmpdir();
	test_shell("cd '%s' && mkdir dir && echo one > one && echo two > dir/two && "
		   "for f in one dir; do nix-store --store $PWD --add $f >> names 2>> log || "
		   "{ cat log; exit 1; }; done",
		root);
	return root;
}

static void read_closure(const char *root, const char *path, struct closure *ret)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	assert_ok(store_open(root, &store, &err));
	assert_ok(store_closure(store, path, ret, &err));
	store_close(store);
}

/* A root with our database of `closure`, and names in its store as Nix expects them. */
static const char *install(const struct closure *closure)
{
	struct err err = ERR_INIT;
	AUTO_BUF db = {0};
	const char *root = test_tmpdir();
	assert_ok(database_build(closure, &db, &err));
	test_shell("mkdir -p '%s'/nix/store '%s'/nix/var/nix/db", root, root);
	test_write(root, "nix/var/nix/db/db.sqlite", db.data, db.len);
	test_write(root, "nix/var/nix/db/schema", DATABASE_SCHEMA, strlen(DATABASE_SCHEMA));
	for (size_t i = 0; i < closure->len; i++) {
		AUTO_FREE char *name =
			path_printf(&err, "nix/store/%s", path_basename(closure->items[i].path));
		test_write(root, name, "", 0);
	}
	return root;
}

/* A system that Nix built, when the fixtures are there, else files that it added. */
static void some_closure(struct closure *ret)
{
	AUTO_FREE char *system =
		test_shell_output("readlink -f /var/lib/snowboot/fixtures/scripted || true");
	if (strncmp(system, "/nix/store/", 11) == 0) {
		read_closure("", system, ret);
		return;
	}
	const char *root = make_store();
	AUTO_FREE char *path = test_shell_output("head -1 '%s/names'", root);
	read_closure(root, path, ret);
}

static void nix_accepts_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	some_closure(&closure);
	const char *root = install(&closure);
	const char *top = closure.items[closure.len - 1].path;
	test_shell("nix-store --store '%s' --verify > '%s/log' 2>&1 || { cat '%s/log'; exit 1; }",
		root, root, root);
	AUTO_FREE char *complaints = test_shell_output(
		"grep -vE \"^(warning: the group 'nixbld'|reading the Nix store|checking path "
		"existence)\" '%s/log' || true",
		root);
	assert_string_equal(complaints, "");
	AUTO_STRVEC paths = {0};
	for (size_t i = 0; i < closure.len; i++)
		assert_ok(strvec_push(&paths, closure.items[i].path, &err));
	strvec_sort(&paths);
	AUTO_FREE char *want = strvec_join(&paths, "\n", &err);
	AUTO_FREE char *got = test_shell_output(
		"nix-store --store '%s' -qR '%s' 2>/dev/null | LC_ALL=C sort", root, top);
	assert_string_equal(got, want);
	for (size_t i = 0; i < closure.len; i += closure.len / 8 + 1) {
		AUTO_FREE char *hash =
			test_shell_output("nix-hash --type sha256 --to-base16 \"$(nix-store "
					  "--store '%s' -q --hash '%s' "
					  "2>/dev/null | sed s/sha256://)\"",
				root, closure.items[i].path);
		char hex[DIGEST_HEX_SIZE];
		assert_string_equal(hash, digest_hex(&closure.items[i].nar_hash, hex));
	}
}

/* Nix's schema, statement for statement. */
static char *schema_of(const char *root)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/nix/var/nix/db/db.sqlite", root);
	AUTO_BUF text = {0};
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(db,
			"select type, name, tbl_name, sql from sqlite_master order by name", -1,
			&stmt, NULL),
		SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW)
		for (int i = 0; i < 4; i++)
			assert_ok(buf_printf(&text, &err, "%s\n",
				(const char *)sqlite3_column_text(stmt, i) ?: "-"));
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return buf_take_str(&text, &err);
}

static void schema_is_nix_own(void **state)
{
	(void)state;
	const char *theirs = make_store();
	AUTO_FREE char *path = test_shell_output("head -1 '%s/names'", theirs);
	AUTO_CLOSURE closure = {0};
	read_closure(theirs, path, &closure);
	const char *ours = install(&closure);
	AUTO_FREE char *want = schema_of(theirs);
	AUTO_FREE char *got = schema_of(ours);
	assert_string_equal(got, want);
}

/* Nix can work on: verify contents, add, and collect everything, self-references included. */
static void nix_works_on_it(void **state)
{
	(void)state;
	const char *from = make_store();
	AUTO_FREE char *path = test_shell_output("sed -n 2p '%s/names'", from);
	AUTO_CLOSURE closure = {0};
	read_closure(from, path, &closure);
	closure.items[0].refs = calloc(1, sizeof(size_t));
	closure.items[0].ref_count = 1;
	const char *root = install(&closure);
	test_shell("cd '%s' && rm -r nix/store && cp -a '%s/nix/store' nix/ && "
		   "nix-store --store $PWD --verify --check-contents 2> log && "
		   "! grep -i -E 'error|modified|disappeared' log && "
		   "nix-store --store $PWD -q --references '%s' > refs 2>> log && "
		   "echo '%s' | cmp - refs && "
		   "echo new > new && nix-store --store $PWD --add new > added 2>> log && "
		   "nix-store --store $PWD --gc > gc 2>> log && "
		   "nix-store --store $PWD --dump-db > left 2>> log && test ! -s left && "
		   "test ! -e '%s%s'",
		root, from, path, path, root, path);
}

static void same_bytes_every_time(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	some_closure(&closure);
	AUTO_BUF one = {0}, two = {0};
	assert_ok(database_build(&closure, &one, &err));
	for (size_t i = 0; i < closure.len; i++) {
		closure.items[i].registration_time += 1000;
		closure.items[i].ultimate = !closure.items[i].ultimate;
	}
	assert_ok(database_build(&closure, &two, &err));
	assert_int_equal(one.len, two.len);
	assert_memory_equal(one.data, two.data, one.len);
}

/* What we write, we read: signatures, derivers and content addresses survive. */
static void comes_back(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0}, back = {0};
	some_closure(&closure);
	struct path_info *last = &closure.items[closure.len - 1];
	free(last->sigs);
	last->sigs = strdup("key-1:AAAA key-2:BBBB");
	free(last->ca);
	last->ca = strdup("fixed:r:sha256:abc");
	free(last->deriver);
	last->deriver = strdup("/nix/store/dddddddddddddddddddddddddddddddd-x.drv");
	read_closure(install(&closure), last->path, &back);
	assert_int_equal(back.len, closure.len);
	AUTO_BUF one = {0}, two = {0};
	assert_ok(registration_encode(&closure, &one, &err));
	assert_ok(registration_encode(&back, &two, &err));
	assert_string_equal(buf_str(&one, &err), buf_str(&two, &err));
	assert_string_equal(back.items[back.len - 1].sigs, "key-1:AAAA key-2:BBBB");
	assert_string_equal(back.items[back.len - 1].ca, "fixed:r:sha256:abc");
	assert_int_equal(back.items[0].registration_time, 1);
	assert_false(back.items[0].ultimate);
}

/* The registration text is what Nix dumps and what it loads. */
static void registration(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	AUTO_BUF text = {0};
	some_closure(&closure);
	assert_ok(registration_encode(&closure, &text, &err));
	const char *ours = install(&closure), *loaded = test_tmpdir();
	test_write(loaded, "registration", text.data, text.len);
	test_shell("cd '%s' && nix-store --store $PWD --load-db < registration 2> log && "
		   "nix-store --store $PWD --dump-db > from-text 2> log && "
		   "nix-store --store '%s' --dump-db > from-database 2> log && "
		   "cmp from-text from-database && test -s from-text && "
		   "test $(wc -c < from-text) = $(wc -c < registration) && "
		   "sort registration > a && sort from-text > b && cmp a b",
		loaded, ours);
}

int main(int argc, char **argv)
{
	if (system("nix-store --version > /dev/null 2>&1") != 0)
		test_skip("nix-store is not installed (package nix-bin)");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nix_accepts_it),
		cmocka_unit_test(schema_is_nix_own),
		cmocka_unit_test(nix_works_on_it),
		cmocka_unit_test(same_bytes_every_time),
		cmocka_unit_test(comes_back),
		cmocka_unit_test(registration),
	};
	return TEST_MAIN(tests);
}
