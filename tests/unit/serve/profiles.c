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

static void report_from(struct profiles *p, const struct digest *system, uint8_t node, bool again,
	const char *touches)
{
	struct err err = ERR_INIT;
	const struct node_id id = {{node}};
	assert_ok(profiles_begin(p, system, &id, again, &err));
	for (; *touches != '\0'; touches++) {
		uint8_t name = (uint8_t)(*touches - 'a');
		struct digest chunk = digest_of(&name, 1);
		assert_ok(profiles_touch(p, system, &id, &chunk, &err));
	}
}

static void report(
	struct profiles *p, const struct digest *system, uint8_t node, const char *touches)
{
	report_from(p, system, node, false, touches);
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
	report(p, &catalog, 1, "abc");
	assert_profile(p, &catalog, &set, "abc");
	report(p, &catalog, 1, ""); /* it boots again, and gets what it touched the last time */
	assert_profile(p, &catalog, &set, "abc");
	report(p, &catalog, 2, "acb");
	report(p, &catalog, 3, "acbx"); /* x: one of three */
	assert_profile(p, &catalog, &set, "acb");
	report(p, &catalog, 3, "acab"); /* again, and twice the same */
	assert_profile(p, &catalog, &set, "acb");
	for (uint8_t node = 10; node < 10 + PROFILE_REPORTS; node++)
		report(p, &catalog, node, "zy");
	assert_profile(p, &catalog, &set, "zy");
	/* Who boots and touches nothing takes nothing away for good. */
	report(p, &catalog, 99, "");
	report(p, &catalog, 99, "");
	assert_profile(p, &catalog, &set, "zy");
	profiles_close(p);
	object_set_done(&set);
}

/* Whose link was cut in the middle of its boot goes on where it was. */
static void a_boot_over_two_links(void **state)
{
	(void)state;
	struct object_set set = sample_set(0, CHUNKS);
	struct profiles *p = open_in(test_tmpdir());
	report(p, &catalog, 1, "ab");
	report_from(p, &catalog, 1, true, "cd");
	assert_profile(p, &catalog, &set, "abcd"); /* two reports would be merged to "acbd" */
	report_from(p, &other, 2, true, "ba");     /* it was another server's before */
	assert_profile(p, &other, &set, "ba");
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
	report(p, &catalog, 1, "abcd");
	assert_profile(p, &other, &some, "bc");
	assert_profile(p, &other, &none, "");
	profiles_close(p);
	test_write(dir, "0000000000000000000000000000000000000000000000000000000000000003", "x", 1);
	p = open_in(dir);
	assert_profile(p, &catalog, &all, "abcd");
	assert_profile(p, &other, &some, "bc");
	report(p, &other, 1, "cb");
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
		report(p, &system, 1, "ab");
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
		cmocka_unit_test(a_boot_over_two_links),
		cmocka_unit_test(inherited_and_kept),
		cmocka_unit_test(few_systems_are_kept),
	};
	return TEST_MAIN(tests);
}
