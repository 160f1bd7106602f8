/* SPDX-License-Identifier: MIT */
#include "../pool/sandbox.h"

#include "carrier/nix_database.h"
#include "carrier/root.h"

/* Three store paths: a directory, a file, a symlink. */
static void fill(struct sandbox *s)
{
	sandbox_init(s);
	test_shell("cd '%s' && mkdir -p bbb-dir/sub && seq 100000 >bbb-dir/sub/numbers && "
		   "echo hello >aaa-file && ln -s aaa-file ccc-link",
		s->store);
	sandbox_register(s, "bbb-dir");
	sandbox_register(s, "aaa-file");
	sandbox_register(s, "ccc-link");
}

static char *written(const struct sandbox *s, const char *name, const struct image *image)
{
	struct err err = ERR_INIT;
	char *path = path_printf(&err, "%s/%s", s->dir, name);
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	assert_ok(image_write(image, fd, NULL, &err));
	return path;
}

static void composes_once_and_remembers(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	fill(&s);
	struct pool *pool = sandbox_open(&s);
	assert_ok(pool_add(pool, &s.closure, &sandbox_params, NULL, &err));

	AUTO_ROOT first = {0}, second = {0}, third = {0};
	assert_ok(root_compose(pool, &s.closure, &sandbox_params, &first, &err));
	assert_false(first.remembered);
	AUTO_FREE char *a = written(&s, "first", &first.image);
	test_shell("cd '%s' && unsquashfs -n -q -d out first >log 2>&1 && "
		   "diff -r --no-dereference store out",
		s.dir);

	assert_ok(root_remember(pool, &first, &err));
	assert_true(first.remembered);
	AUTO_FREE char *b = written(&s, "again", &first.image);
	assert_ok(root_compose(pool, &s.closure, &sandbox_params, &second, &err));
	assert_true(second.remembered);
	assert_true(digest_equal(&first.id, &second.id));
	assert_int_equal(first.layout.parts.len, second.layout.parts.len);
	AUTO_FREE char *c = written(&s, "second", &second.image);
	test_shell("cmp '%s' '%s' && cmp '%s' '%s'", a, b, a, c);

	/* The metadata are gone: they are made again. */
	const struct squashfs_part *last = &second.layout.parts.items[second.layout.parts.len - 1];
	AUTO_FREE char *object = pool_object_path(pool, &last->digest, &err);
	assert_int_equal(unlink(object), 0);
	assert_ok(root_compose(pool, &s.closure, &sandbox_params, &third, &err));
	assert_false(third.remembered);
	assert_true(digest_equal(&first.id, &third.id));
	pool_close(pool);
	sandbox_done(&s);
}

static void order_does_not_matter(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	fill(&s);
	struct pool *pool = sandbox_open(&s);
	assert_ok(pool_add(pool, &s.closure, &sandbox_params, NULL, &err));
	AUTO_ROOT first = {0}, second = {0};
	assert_ok(root_compose(pool, &s.closure, &sandbox_params, &first, &err));
	struct path_info moved = s.closure.items[0];
	s.closure.items[0] = s.closure.items[2];
	s.closure.items[2] = moved;
	assert_ok(root_compose(pool, &s.closure, &sandbox_params, &second, &err));
	assert_true(digest_equal(&first.id, &second.id));
	assert_true(digest_equal(&first.key, &second.key));
	pool_close(pool);
	sandbox_done(&s);
}

static void names_what_is_missing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	fill(&s);
	struct pool *pool = sandbox_open(&s);
	AUTO_ROOT root = {0};
	assert_int_equal(root_compose(pool, &s.closure, &sandbox_params, &root, &err), -1);
	AUTO_FREE char *want = path_printf(&(struct err){0},
		"root image of 3 store paths: '/nix/store/bbb-dir' is not in the pool '%s'",
		s.pool);
	assert_string_equal(err.hint, "add it with 'snowboot pool add'");
	assert_err(&err, ERR_NOT_FOUND, want);
	pool_close(pool);
	sandbox_done(&s);
}

static void database_is_kept(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	fill(&s);
	struct pool *pool = sandbox_open(&s);
	AUTO_NIX_DATABASE first = {0}, second = {0};
	assert_ok(nix_database_make(pool, &s.closure, &first, &err));
	assert_ok(nix_database_make(pool, &s.closure, &second, &err));
	assert_string_equal(
		first.sqlite.extents.items[0].path, second.sqlite.extents.items[0].path);
	AUTO_FREE char *count = test_shell_output("sqlite3 '%s' 'select count(*) from ValidPaths'",
		first.sqlite.extents.items[0].path);
	assert_string_equal(count, "3");
	AUTO_FREE char *text = written(&s, "registration", &first.registration);
	AUTO_FREE char *line = test_shell_output("head -n 1 '%s'", text);
	assert_string_equal(line, "/nix/store/bbb-dir");
	/* Other facts, another database. */
	s.closure.items[0].sigs = strdup("key:c2ln");
	AUTO_NIX_DATABASE third = {0};
	assert_ok(nix_database_make(pool, &s.closure, &third, &err));
	assert_string_not_equal(
		first.sqlite.extents.items[0].path, third.sqlite.extents.items[0].path);
	pool_close(pool);
	sandbox_done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(composes_once_and_remembers),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(names_what_is_missing),
		cmocka_unit_test(database_is_kept),
	};
	return TEST_MAIN(tests);
}
