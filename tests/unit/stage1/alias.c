/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/alias.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static const char *const table[][2] = {
	{"pci:v00001AF4d00001000sv*sd*bc*sc*i*", "virtio_pci"},
	{"pci:v00008086d*sv*sd*bc02sc00i*", "intel"},
	{"pci:v*d*sv*sd*bc0Csc03i30*", "xhci_pci"},
	{"usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*", "usb_storage"},
	{"usb:v0000p0001d01[0-2][0-9]dc*dsc*dp*ic*isc*ip*in*", "bracket"},
	{"fs-ext4", "ext4"},
	{"*", "any"},
	{"virtio:d00000002v*", "virtio_blk"},
};

static void fill(struct alias_index *index, char (*patterns)[64])
{
	struct err err = ERR_INIT;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		snprintf(patterns[i], 64, "%s", table[i][0]);
		assert_ok(alias_index_add(index, patterns[i], table[i][1], &err));
	}
}

static void assert_match(const char *name, const char *expected)
{
	struct err err = ERR_INIT;
	char patterns[ARRAY_LEN(table)][64];
	AUTO(alias_index_done) struct alias_index index = {0};
	fill(&index, patterns);
	AUTO_STRVEC modules = {0};
	assert_ok(alias_index_match(&index, name, &modules, &err));
	AUTO_FREE char *joined = strvec_join(&modules, " ", &err);
	assert_string_equal(joined, expected);
}

static void matches(void **state)
{
	(void)state;
	assert_match("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", "any virtio_pci");
	assert_match("pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00", "any intel");
	assert_match("pci:v00001033d00000194sv*sd*bc0Csc03i30", "any xhci_pci");
	assert_match(
		"usb:v0000p0001d0115dc00dsc00dp00ic08isc06ip50in00", "any usb_storage bracket");
	assert_match("fs_ext4", "any ext4");
	assert_match("fs-ext4", "any ext4");
	assert_match("virtio:d00000002v00001AF4", "any virtio_blk");
	assert_match("pci:", "any");
	assert_match("", "any");
}

/* The index finds what a plain search through all patterns finds. */
static void agrees_with_a_plain_search(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static char patterns[4096][16];
	AUTO(alias_index_done) struct alias_index index = {0};
	uint32_t random = 1;
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		size_t len = 1 + i % 8;
		for (size_t k = 0; k < len; k++) {
			random = random * 1103515245 + 12345;
			patterns[i][k] = "aab*?"[(random >> 16) % 5];
		}
		assert_ok(alias_index_add(&index, patterns[i], patterns[i], &err));
	}
	for (int name = 0; name < 256; name++) {
		char text[9] = "";
		for (int bit = 0; bit < 8; bit++)
			text[bit] = name >> bit & 1 ? 'a' : 'b';
		text[name % 9] = '\0';
		AUTO_STRVEC found = {0};
		assert_ok(alias_index_match(&index, text, &found, &err));
		AUTO_STRVEC plain = {0};
		for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
			if (fnmatch(patterns[i], text, 0) == 0 && !strvec_has(&plain, patterns[i]))
				assert_ok(strvec_push(&plain, patterns[i], &err));
		assert_int_equal(found.len, plain.len);
		for (size_t i = 0; i < plain.len; i++)
			assert_true(strvec_has(&found, plain.items[i]));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches),
		cmocka_unit_test(agrees_with_a_plain_search),
	};
	return TEST_MAIN(tests);
}
