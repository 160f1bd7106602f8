/* SPDX-License-Identifier: MIT */
#include "serve/client.h"

#include "base/mem.h"
#include "test.h"

static void all(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLIENT c = {0};
	assert_ok(client_read(
		"mac=52-54-00-AB-CD-01&uuid=4c4c4544-0043-3510-8052-b9c04f4d3032&serial=A%20B%2F1"
		"&asset=42&memory=4096&firmware=efi&arch=x86_64&cmdline_prefix_args=a%3D1+b"
		"&cmdline_suffix_args=quiet",
		&c, &err));
	assert_true(c.said);
	assert_string_equal(c.who.text[IDENTITY_MAC], "52:54:00:ab:cd:01");
	assert_string_equal(c.who.text[IDENTITY_UUID], "4c4c4544-0043-3510-8052-b9c04f4d3032");
	assert_string_equal(c.who.text[IDENTITY_SERIAL], "A B/1");
	assert_string_equal(c.who.text[IDENTITY_ASSET], "42");
	assert_int_equal(c.memory_mib, 4096);
	assert_int_equal(c.firmware, FIRMWARE_EFI);
	assert_string_equal(c.arch, "x86_64");
	assert_string_equal(c.prefix, "a=1 b");
	assert_string_equal(c.suffix, "quiet");
}

/* As a BIOS without tables says it. */
static void little(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLIENT c = {0};
	assert_ok(client_read("mac=52-54-00-ab-cd-01&uuid=&serial=&asset=To%20be%20filled%20by%20"
			      "O.E.M.&memory=&firmware=pcbios&arch=i386",
		&c, &err));
	assert_true(c.said);
	assert_string_equal(c.who.text[IDENTITY_UUID], "");
	assert_string_equal(c.who.text[IDENTITY_SERIAL], "");
	assert_string_equal(c.who.text[IDENTITY_ASSET], "");
	assert_int_equal(c.memory_mib, 0);
	assert_int_equal(c.firmware, FIRMWARE_BIOS);
	assert_null(c.prefix);
}

static void nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLIENT c = {0};
	assert_ok(client_read(NULL, &c, &err));
	assert_false(c.said);
	assert_ok(client_read("memory=-1&firmware=riscv&arch=0123456789abcdef", &c, &err));
	assert_false(c.said);
	assert_int_equal(c.memory_mib, 0);
	assert_int_equal(c.firmware, FIRMWARE_UNKNOWN);
	assert_string_equal(c.arch, "");
	assert_int_equal(client_read("mac=%1", &c, &err), -1);
	assert_err(&err, ERR_CORRUPT, "the value of 'mac' has a '%' without two digits");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all),
		cmocka_unit_test(little),
		cmocka_unit_test(nothing),
	};
	return TEST_MAIN(tests);
}
