/* SPDX-License-Identifier: MIT */
#include "serve/profiles.h"

#include "base/path.h"

#include "test.h"

#include <string.h>

#define CHUNKS 32

/* A set in which chunk "n" is chunk n of member 0. */
static struct object_set sample_set(unsigned from, unsigned to)
{
	struct err err = ERR_INIT;
	struct object_set set = {0};
	for (unsigned i = from; i < to; i++) {
		uint8_t name = (uint8_t)i;
		const struct chunk_place place = {
			.digest = digest_of(&name, 1), .member = 0, .index = i};
		assert_ok(vec_push(&set.chunks, place, &err));
	}
	for (size_t i = 1; i < set.chunks.len; i++) /* sorted by digest, as objects.c has it */
		for (size_t n = i; n > 0 &&
			digest_compare(
				&set.chunks.items[n].digest, &set.chunks.items[n - 1].digest) < 0;
			n--) {
			struct chunk_place swap = set.chunks.items[n];
			set.chunks.items[n] = set.chunks.items[n - 1];
			set.chunks.items[n - 1] = swap;
		}
	return set;
}

static const struct digest catalog = {{1}}, other = {{2}};

static struct profile_run *begin_as(struct profiles *p, const struct digest *system, uint8_t node,
	bool again, const char *touches)
{
	struct err err = ERR_INIT;
	struct profile_run *run;
	const struct node_id id = {{node}};
	assert_ok(profile_run_begin(p, system, &id, again, &run, &err));
	for (; *touches != '\0'; touches++) {
		uint8_t name = (uint8_t)(*touches - 'a');
		struct digest chunk = digest_of(&name, 1);
		assert_ok(profile_run_touch(run, &chunk, &err));
	}
	return run;
}

static struct profile_run *begin(
	struct profiles *p, const struct digest *system, const char *touches)
{
	return begin_as(p, system, 1, false, touches);
}

/* A whole boot. */
static void report(struct profiles *p, const struct digest *system, const char *touches)
{
	profile_run_end(begin(p, system, touches), true);
}

/* The profile as letters. */
static void assert_profile(struct profiles *p, const struct digest *system,
	const struct object_set *set, const char *want)
{
	struct err err = ERR_INIT;
	AUTO_PROFILE profile = {0};
	char got[CHUNKS + 1] = "";
	int r = profiles_get(p, system, set, &profile, &err);
	assert_int_equal(r, want[0] != '\0');
	for (size_t i = 0; i < profile.entries.len && i < CHUNKS; i++) {
		assert_int_equal(profile.entries.items[i].member, 0);
		got[i] = (char)('a' + profile.entries.items[i].chunk);
		got[i + 1] = '\0';
	}
	assert_string_equal(got, want);
	if (r == 1)
		assert_memory_equal(&profile.catalog, system, sizeof(*system));
}

static struct profiles *open_in(const char *dir)
{
	struct err err = ERR_INIT;
	struct profiles *p;
	assert_ok(profiles_open(dir, &p, &err));
	return p;
}

static void medians(void **state)
{
	(void)state;
	struct object_set set = sample_set(0, CHUNKS);
	struct profiles *p = open_in(test_tmpdir());
	assert_profile(p, &catalog, &set, "");
	report(p, &catalog, "abc");
	assert_profile(p, &catalog, &set, "abc");
	assert_profile(p, &catalog, &set, "abc"); /* kept, until a report changes it */
	report(p, &catalog, "acb");
	report(p, &catalog, "acbx"); /* x: one of three */
	assert_profile(p, &catalog, &set, "acb");
	report(p, &catalog, "acab"); /* twice the same */
	assert_profile(p, &catalog, &set, "acb");
	for (unsigned i = 0; i < PROFILE_REPORTS; i++)
		report(p, &catalog, "zy");
	assert_profile(p, &catalog, &set, "zy");
	profiles_close(p);
	object_set_done(&set);
}

/* A storm: many that touched little as yet take nothing away from what is known. */
static void only_whole_boots_count(void **state)
{
	(void)state;
	struct profile_run *runs[PROFILE_RUNS];
	struct err err = ERR_INIT;
	struct object_set set = sample_set(0, CHUNKS);
	struct profiles *p = open_in(test_tmpdir());
	report(p, &catalog, "abcdef");
	for (unsigned i = 0; i < PROFILE_RUNS; i++)
		runs[i] = begin_as(p, &catalog, (uint8_t)i, false, i % 2 != 0 ? "a" : "");
	assert_profile(p, &catalog, &set, "abcdef");
	struct profile_run *more;
	const struct node_id another = {{1, 1}};
	assert_int_equal(profile_run_begin(p, &catalog, &another, false, &more, &err), -1);
	assert_err(&err, ERR_LIMIT, "more than 256 boots at a time");
	for (unsigned i = 0; i < PROFILE_RUNS; i++)
		profile_run_end(runs[i], i % 3 != 0); /* some joined late, others went away */
	assert_profile(p, &catalog, &set, "abcdef");
	/* Those that were cut off make room. */
	profile_run_end(begin(p, &catalog, "xyzuvw"), false);
	assert_profile(p, &catalog, &set, "abcdef");
	profiles_close(p);
	object_set_done(&set);
}

/* As long as no boot of a system came up. */
static void foremost_run(void **state)
{
	(void)state;
	struct object_set set = sample_set(0, CHUNKS), some = sample_set(0, 2);
	struct profiles *p = open_in(test_tmpdir());
	struct profile_run *first = begin(p, &catalog, "abc");
	struct profile_run *second = begin_as(p, &catalog, 2, false, "a");
	assert_profile(p, &catalog, &set, "abc");
	assert_profile(p, &other, &set, "");
	profile_run_end(first, false);
	assert_profile(p, &catalog, &set, "abc");
	report(p, &other, "cdab");
	assert_profile(p, &catalog, &set, "cdab"); /* inherited, and longer */
	profile_run_end(second, true);
	assert_profile(p, &catalog, &set, "a");
	assert_profile(p, &other, &some, "ab");
	profiles_close(p);
	object_set_done(&set);
	object_set_done(&some);
}

/* Whose link was cut in the middle of its boot goes on where it was. */
static void a_boot_over_two_links(void **state)
{
	(void)state;
	struct object_set set = sample_set(0, CHUNKS);
	struct profiles *p = open_in(test_tmpdir());
	profile_run_end(begin(p, &catalog, "ab"), false);
	profile_run_end(begin_as(p, &catalog, 1, true, "cd"), true);
	assert_profile(p, &catalog, &set, "abcd");
	profile_run_end(begin_as(p, &other, 2, true, "ba"), true); /* another server's before */
	assert_profile(p, &other, &set, "ba");
	profile_run_end(begin(p, &catalog, "xy"), false);
	profile_run_end(begin(p, &catalog, "dcba"), true); /* it boots anew, not again */
	profile_run_end(begin(p, &catalog, "dcba"), true);
	assert_profile(p, &catalog, &set, "dcba");
	profiles_close(p);
	object_set_done(&set);
}

static void inherited_and_kept(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	struct object_set all = sample_set(0, CHUNKS), some = sample_set(1, 3);
	struct object_set none = sample_set(20, 22);
	struct profiles *p = open_in(dir);
	report(p, &catalog, "abcd");
	assert_profile(p, &other, &some, "bc");
	assert_profile(p, &other, &none, "");
	profiles_close(p);
	test_write(dir, "0000000000000000000000000000000000000000000000000000000000000003", "x", 1);
	p = open_in(dir);
	assert_profile(p, &catalog, &all, "abcd");
	assert_profile(p, &other, &some, "bc");
	report(p, &other, "cb");
	assert_profile(p, &other, &some, "cb");
	profiles_close(p);
	object_set_done(&all);
	object_set_done(&some);
	object_set_done(&none);
}

static void few_systems_are_kept(void **state)
{
	(void)state;
	const char *dir = test_tmpdir();
	struct object_set set = sample_set(0, CHUNKS);
	struct profiles *p = open_in(dir);
	for (unsigned i = 0; i < PROFILE_SYSTEMS + 5; i++) {
		struct digest system = {{9, (uint8_t)i}};
		report(p, &system, "ab");
		profiles_save(p);
	}
	profiles_close(p);
	AUTO_FREE char *count = test_shell_output("ls %s | wc -l", dir);
	assert_string_equal(count, "64");
	object_set_done(&set);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(medians),
		cmocka_unit_test(only_whole_boots_count),
		cmocka_unit_test(foremost_run),
		cmocka_unit_test(a_boot_over_two_links),
		cmocka_unit_test(inherited_and_kept),
		cmocka_unit_test(few_systems_are_kept),
	};
	return TEST_MAIN(tests);
}
