/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char full[] = "snowboot-plan 1\n"
			   "kind nixos-init\n"
			   "system /nix/store/aaaa-nixos-system-x\n"
			   "image /image.squashfs\n"
			   "image-size 8192\n"
			   "database /snowboot/db\n"
			   "store-mount-opt ro\n"
			   "store-mount-opt nosuid\n"
			   "firmware /nix/store/f/lib/firmware\n"
			   "modprobe-binary /nix/store/k/bin/modprobe\n"
			   "sh-binary /nix/store/b/bin/sh\n"
			   "env-binary /nix/store/c/bin/env\n"
			   "etc-metadata-image /nix/store/e/image\n"
			   "etc-basedir /nix/store/e/dir\n"
			   "part 0 96 " HEX "\n"
			   "part 96 4000 " HEX " bbbb-name with blank\n"
			   "part 4096 4096 " HEX "\n"
			   "end\n";

static void reads_back_what_it_writes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_PLAN plan = {0};
	assert_ok(plan_decode(full, strlen(full), &plan, &err));
	assert_int_equal(plan.kind, SYSTEM_NIXOS_INIT);
	assert_string_equal(plan.system, "/nix/store/aaaa-nixos-system-x");
	assert_int_equal(plan.image_size, 8192);
	assert_int_equal(plan.parts.len, 3);
	assert_null(plan.parts.items[0].name);
	assert_string_equal(plan.parts.items[1].name, "bbbb-name with blank");
	assert_int_equal(plan.parts.items[1].off, 96);
	assert_int_equal(plan.store_mount_opts.len, 2);
	assert_string_equal(plan.etc_basedir, "/nix/store/e/dir");
	AUTO_BUF text = {0};
	assert_ok(plan_encode(&plan, &text, &err));
	assert_string_equal(buf_str(&text, &err), full);
}

static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(full); len++) {
		struct err err = ERR_INIT;
		struct plan plan;
		/* A copy of that very size, so that a sanitizer sees a read beyond it. */
		AUTO_FREE char *cut = malloc(len + 1);
		memcpy(cut, full, len);
		assert_int_equal(plan_decode(cut, len, &plan, &err), -1);
		if (err.kind != ERR_CORRUPT)
			fail_msg("%zu bytes: %s", len, err.msg);
	}
}

static void names_the_line(void **state)
{
	(void)state;
#define HEAD "snowboot-plan 1\nkind scripted\nsystem /s\nimage /i\nimage-size 10\n"
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{"", ERR_CORRUPT, "plan: line 1 is cut off"},
		{"hello\n", ERR_CORRUPT, "plan: does not begin with 'snowboot-plan 1'"},
		{"snowboot-plan 2\nend\n", ERR_UNSUPPORTED,
			"plan: version '2' is not one that this stage 1 knows (1)"},
		{"snowboot-plan 1\nend\n", ERR_CORRUPT, "plan: has no 'kind'"},
		{"snowboot-plan 1\nkind warm\nend\n", ERR_UNSUPPORTED,
			"plan: line 2 names an unknown kind 'warm'"},
		{HEAD "end\n", ERR_CORRUPT, "plan: has no 'part'"},
		{HEAD "kind scripted\nend\n", ERR_CORRUPT, "plan: line 6 repeats a key"},
		{HEAD "image /i\nend\n", ERR_CORRUPT, "plan: line 6 repeats a key"},
		{HEAD "colour red\nend\n", ERR_CORRUPT, "plan: line 6 has an unknown key 'colour'"},
		{HEAD "\nend\n", ERR_CORRUPT, "plan: line 6 is empty"},
		{HEAD "database db\nend\n", ERR_CORRUPT,
			"plan: line 6 has a path that is not absolute"},
		{HEAD "database \nend\n", ERR_CORRUPT, "plan: line 6 has no value"},
		{HEAD "store-mount-opt\nend\n", ERR_CORRUPT, "plan: line 6 has no value"},
		{HEAD "part 0 11 " HEX "\nend\n", ERR_CORRUPT,
			"plan: line 6 has a part out of order or beyond the image"},
		{HEAD "part 4 4 " HEX "\npart 7 1 " HEX "\nend\n", ERR_CORRUPT,
			"plan: line 7 has a part out of order or beyond the image"},
		{HEAD "part 18446744073709551615 2 " HEX "\nend\n", ERR_CORRUPT,
			"plan: line 6 has a part out of order or beyond the image"},
		{HEAD "part 18446744073709551616 2 " HEX "\nend\n", ERR_CORRUPT,
			"plan: line 6 is not a valid part"},
		{HEAD "part 01 2 " HEX "\nend\n", ERR_CORRUPT, "plan: line 6 is not a valid part"},
		{HEAD "part 0 0 " HEX "\nend\n", ERR_CORRUPT, "plan: line 6 is not a valid part"},
		{HEAD "part 0 1 abc\nend\n", ERR_CORRUPT, "plan: line 6 is not a valid part"},
		{HEAD "part 0 1 " HEX "\nend\nmore\n", ERR_CORRUPT,
			"plan: 5 bytes follow the last line"},
		{"snowboot-plan 1\nimage-size 0\nend\n", ERR_CORRUPT,
			"plan: line 2 has no valid size"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct plan plan;
		assert_int_equal(
			plan_decode(cases[i].text, strlen(cases[i].text), &plan, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].msg);
	}
}

static void keeps_its_bounds(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct plan plan;
	AUTO_BUF text = {0};
	assert_ok(buf_put_str(&text, "snowboot-plan 1\nsystem /", &err));
	for (int i = 0; i < 5000; i++)
		assert_ok(buf_put_str(&text, "x", &err));
	assert_ok(buf_put_str(&text, "\nend\n", &err));
	assert_int_equal(plan_decode((char *)text.data, text.len, &plan, &err), -1);
	assert_err(&err, ERR_CORRUPT, "plan: line 2 is too long");
	assert_int_equal(plan_decode("snowboot-plan 1\0\n", 17, &plan, &err), -1);
	assert_err(&err, ERR_CORRUPT, "plan: has a NUL at byte 15");
}

static void refuses_to_write_a_line_break(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char system[] = "/s", image[] = "/i", evil[] = "/d\nend";
	struct plan plan = {.system = system, .image = image, .image_size = 1, .database = evil};
	AUTO_BUF text = {0};
	assert_int_equal(plan_encode(&plan, &text, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED,
		"plan: the value of 'database' is empty or has a line break: '/d\nend'");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_it_writes),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(names_the_line),
		cmocka_unit_test(keeps_its_bounds),
		cmocka_unit_test(refuses_to_write_a_line_break),
	};
	return TEST_MAIN(tests);
}
