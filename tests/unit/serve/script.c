/* SPDX-License-Identifier: MIT */
#include "serve/script.h"

#include "test.h"

static void exact_text(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_ok(script_put("abc-nixos-system", "/boot/abc-nixos-system/",
		"console=ttyS0 init=/x/init", &out, &err));
	assert_string_equal(buf_str(&out, &err),
		"#!ipxe\n"
		"echo snowboot: abc-nixos-system\n"
		":start\n"
		"kernel /boot/abc-nixos-system/bzImage initrd=initrd console=ttyS0 init=/x/init || "
		"goto failed\n"
		"initrd /boot/abc-nixos-system/initrd || goto failed\n"
		"boot || goto failed\n"
		":failed\n"
		"imgfree\n"
		"echo snowboot: that did not work, trying again in 10 seconds\n"
		"sleep 10\n"
		"goto start\n");
}

static void what_ipxe_would_change(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_int_equal(script_put("n", "", "a=${b}", &out, &err), -1);
	assert_err(
		&err, ERR_UNSUPPORTED, "the kernel command line has '${', which iPXE would expand");
	assert_int_equal(script_put("n", "", "a && b", &out, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED,
		"the kernel command line has the word '&&', which iPXE takes for the end of its "
		"own command");
	assert_int_equal(script_put("n", "", "a\nb", &out, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, "the kernel command line has a line break");
	assert_ok(script_put("n", "", "dyndbg=\"x;y\" a&&b $c", &out, &err));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_text),
		cmocka_unit_test(what_ipxe_would_change),
	};
	return TEST_MAIN(tests);
}
