/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/path.h"
#include "publish/target.h"

#include <string.h>

static const struct target_s3 no_s3;

static struct target *open_at(const char *path)
{
	struct err err = ERR_INIT;
	struct target *target;
	assert_ok(target_open(path, &no_s3, &target, &err));
	return target;
}

static void put(struct target *target, const char *name, const char *text)
{
	struct err err = ERR_INIT;
	const struct target_file file = {.name = name, .data = text, .size = strlen(text)};
	assert_ok(target->ops->put(target, &file, &err));
}

/* Nothing is there before a flush, and all of it after. */
static void appears_with_the_flush(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/a/b", test_tmpdir());
	struct target *target = open_at(path);
	AUTO_TARGET_LIST before = {0}, after = {0}, none = {0};
	AUTO_BUF text = {0};
	put(target, "v1/objects/ab/abc", "one");
	put(target, "v1/objects/cd/cde", "three");
	put(target, "v1/manifests/default", "old");
	assert_ok(target->ops->list(target, "v1/", &before, &err));
	assert_int_equal(before.entries.len, 0);
	assert_int_equal(target->ops->get(target, "v1/manifests/default", 100, &text, &err), 0);
	assert_ok(target->ops->flush(target, &err));
	put(target, "v1/manifests/default", "new one");
	assert_ok(target->ops->flush(target, &err));
	assert_ok(target->ops->list(target, "v1/objects/", &after, &err));
	assert_int_equal(after.entries.len, 2);
	assert_string_equal(after.entries.items[0].name, "v1/objects/ab/abc");
	assert_int_equal(target_list_find(&after, "v1/objects/cd/cde")->size, 5);
	assert_int_equal(target->ops->get(target, "v1/manifests/default", 100, &text, &err), 1);
	assert_string_equal(buf_str(&text, &err), "new one");
	assert_ok(target->ops->remove(target, "v1/objects/ab/abc", &err));
	assert_ok(target->ops->remove(target, "v1/objects/ab/abc", &err));
	assert_ok(target->ops->list(target, "v1/objects/ab/", &none, &err));
	assert_int_equal(none.entries.len, 0);
	target_close(target);
	test_shell("test \"$(find '%s' -type f | sort | tr '\\n' ' ')\" = "
		   "'%s/.publish/.lock %s/v1/manifests/default %s/v1/objects/cd/cde '",
		path, path, path, path);
}

static void what_was_not_flushed_is_gone(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *path = test_tmpdir();
	struct target *target = open_at(path);
	put(target, "a", "one");
	target_close(target);
	test_shell("test ! -e '%s/a' && test \"$(ls '%s/.publish')\" = '' && "
		   "echo left >'%s/.publish/7'",
		path, path, path);
	/* What a killed process left. */
	target = open_at(path);
	test_shell("test \"$(ls '%s/.publish')\" = ''", path);
	/* And two at once would remove each other's. */
	struct target *other;
	AUTO_FREE char *want =
		path_printf(&(struct err){0}, "another process is publishing to '%s'", path);
	assert_int_equal(target_open(path, &no_s3, &other, &err), -1);
	assert_err(&err, ERR_AGAIN, want);
	target_close(target);
}

static void says_what_is_no_target(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct target *target;
	assert_int_equal(target_open("ftp://x/y", &no_s3, &target, &err), -1);
	assert_string_equal(err.hint, "name a directory, or a bucket like s3://BUCKET/PREFIX");
	assert_err(&err, ERR_USAGE, "cannot publish to 'ftp://x/y'");
	unsetenv("AWS_ACCESS_KEY_ID");
	assert_int_equal(target_open("s3://b/p", &no_s3, &target, &err), -1);
	assert_string_equal(err.hint, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	assert_err(&err, ERR_USAGE, "there are no keys to sign requests to 's3://b/p' with");
	setenv("AWS_ACCESS_KEY_ID", "id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	assert_int_equal(target_open("s3:///p", &no_s3, &target, &err), -1);
	assert_string_equal(err.hint, "it looks like s3://BUCKET/PREFIX");
	assert_err(&err, ERR_USAGE, "'s3:///p' names no bucket");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appears_with_the_flush),
		cmocka_unit_test(what_was_not_flushed_is_gone),
		cmocka_unit_test(says_what_is_no_target),
	};
	return TEST_MAIN(tests);
}
