/* SPDX-License-Identifier: MIT */
/* A store path on the disk again: its names, then the contents of one file, then of all. */
#include "sandbox.h"

struct laid {
	struct sandbox sandbox;
	struct pool *pool;
	struct pool_segment segment;
	char *out;
};

static void make(struct laid *l)
{
	struct err err = ERR_INIT;
	sandbox_init(&l->sandbox);
	test_shell("cd '%s' && mkdir -p p/empty p/a/b && seq 100000 >p/large && echo x >p/a/b/x && "
		   "chmod 755 p/a/b/x && ln -s ../large p/a/link && : >p/a/nothing && "
		   "head -c 300000 /dev/zero >p/hole",
		l->sandbox.store);
	const struct path_info *info = sandbox_register(&l->sandbox, "p");
	l->pool = sandbox_open(&l->sandbox);
	assert_ok(pool_add(l->pool, &l->sandbox.closure, &sandbox_params, NULL, &err));
	assert_int_equal(
		pool_find(l->pool, &info->nar_hash, &sandbox_params, &l->segment, &err), 1);
	l->out = path_printf(&err, "%s/out", l->sandbox.dir);
	assert_ok(pool_lay_out(l->pool, &l->segment, l->out, &err));
}

static void done(struct laid *l)
{
	pool_close(l->pool);
	free(l->out);
	sandbox_done(&l->sandbox);
}

static void names_alone(void **state)
{
	(void)state;
	struct laid l;
	make(&l);
	test_shell("cd '%s' && [ \"$(find . | sort)\" = \"$(cd '%s/p' && find . | sort)\" ] && "
		   "[ \"$(readlink a/link)\" = ../large ] && "
		   "[ \"$(find . -type f -printf '%%s %%m\\n' | sort -u)\" = '0 0' ]",
		l.out, l.sandbox.store);
	done(&l);
}

static void one_file(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct laid l;
	make(&l);
	assert_ok(pool_fill_in(l.pool, &l.segment, l.out, "a/b/x", &err));
	test_shell("cd '%s' && cmp a/b/x '%s/p/a/b/x' && [ -x a/b/x ] && "
		   "[ \"$(stat -c '%%s %%a' large)\" = '0 0' ]",
		l.out, l.sandbox.store);
	assert_int_equal(pool_fill_in(l.pool, &l.segment, l.out, "a/b", &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "there is no file 'a/b'");
	done(&l);
}

static void all_files(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct laid l;
	uint64_t size;
	make(&l);
	assert_ok(pool_fill_in(l.pool, &l.segment, l.out, "large", &err));
	assert_ok(pool_fill_in(l.pool, &l.segment, l.out, NULL, &err));
	struct digest hash = sandbox_nar_hash(l.out, &size);
	assert_true(digest_equal(&hash, &l.sandbox.closure.items[0].nar_hash));
	done(&l);
}

static void a_damaged_segment(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct laid l;
	make(&l);
	AUTO_FREE char *object = pool_object_path(l.pool, &l.segment.data, &err);
	test_shell(
		"chmod u+w '%s' && printf 'X' | dd of='%s' bs=1 seek=50 conv=notrunc 2>/dev/null",
		object, object);
	AUTO_FREE char *message = path_printf(&err, "object '%s' is damaged", object);
	assert_int_equal(pool_fill_in(l.pool, &l.segment, l.out, "large", &err), -1);
	assert_err(&err, ERR_CORRUPT, message);
	test_shell("[ ! -s '%s/large' ]", l.out);
	done(&l);
}

/* A store path may be a file itself. */
static void a_file_alone(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	struct pool_segment segment;
	sandbox_init(&s);
	test_write(s.store, "f", "hello\n", 6);
	const struct path_info *info = sandbox_register(&s, "f");
	struct pool *pool = sandbox_open(&s);
	AUTO_FREE char *out = path_printf(&err, "%s/out", s.dir);
	assert_ok(pool_add(pool, &s.closure, &sandbox_params, NULL, &err));
	assert_int_equal(pool_find(pool, &info->nar_hash, &sandbox_params, &segment, &err), 1);
	assert_ok(pool_lay_out(pool, &segment, out, &err));
	assert_ok(pool_fill_in(pool, &segment, out, "", &err));
	test_shell("[ \"$(cat '%s')\" = hello ]", out);
	pool_close(pool);
	sandbox_done(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_alone),
		cmocka_unit_test(one_file),
		cmocka_unit_test(all_files),
		cmocka_unit_test(a_damaged_segment),
		cmocka_unit_test(a_file_alone),
	};
	return TEST_MAIN(tests);
}
