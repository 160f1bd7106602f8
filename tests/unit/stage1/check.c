/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/path.h"
#include "stage1/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PARTS 40
#define PART 5000

/* An image of equal parts, the first without a name. */
static char *make_image(struct plan *plan)
{
	struct err err = ERR_INIT;
	static uint8_t data[PARTS * PART];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	*plan = (struct plan){.image_size = sizeof(data)};
	for (size_t i = 0; i < PARTS; i++) {
		struct plan_part part = {i * PART, PART, digest_of(data + i * PART, PART), NULL};
		if (i > 0)
			part.name = path_printf(&err, "path-%zu", i);
		assert_ok(vec_push(&plan->parts, part, &err));
	}
	const char *dir = test_tmpdir();
	test_write(dir, "image", data, sizeof(data));
	return path_printf(&err, "%s/image", dir);
}

static void accepts_what_was_planned(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_PLAN plan;
	AUTO_FREE char *image = make_image(&plan);
	assert_ok(check_image(&plan, image, CHECK_FULL, &err));
	assert_ok(check_image(&plan, image, CHECK_METADATA, &err));
	assert_ok(check_image(&plan, image, CHECK_NO, &err));
}

/* Of several damaged parts the first is named, whichever process finds which. */
static void names_the_first_damage(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_PLAN plan;
	AUTO_FREE char *image = make_image(&plan);
	for (int part = 39; part >= 1; part -= 7) {
		test_shell("printf X | dd of=%s bs=1 seek=%d conv=notrunc status=none", image,
			part * PART + 17);
		AUTO_FREE char *expected = path_printf(&err,
			"image '%s': the data of '/nix/store/path-%d' are damaged: bytes %d to %d "
			"have another SHA-256 than planned",
			image, part, part * PART, part * PART + PART - 1);
		assert_int_equal(check_image(&plan, image, CHECK_FULL, &err), -1);
		assert_err(&err, ERR_CORRUPT, expected);
		assert_ok(check_image(&plan, image, CHECK_METADATA, &err));
	}
}

static void tells_a_wrong_size(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_PLAN plan;
	AUTO_FREE char *image = make_image(&plan);
	assert_int_equal(truncate(image, 1000), 0);
	AUTO_FREE char *expected =
		path_printf(&err, "image '%s' has 1000 bytes, 200000 are planned", image);
	assert_int_equal(check_image(&plan, image, CHECK_NO, &err), -1);
	assert_err(&err, ERR_CORRUPT, expected);
	assert_int_equal(check_image(&plan, "/gone", CHECK_FULL, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "image '/gone' is not in the initramfs");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_was_planned),
		cmocka_unit_test(names_the_first_damage),
		cmocka_unit_test(tells_a_wrong_size),
	};
	return TEST_MAIN(tests);
}
