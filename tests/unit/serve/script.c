/* SPDX-License-Identifier: MIT */
#include "serve/script.h"

#include "test.h"

#include <string.h>

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

static void network_root(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	struct script_net script = {
		.name = "n",
		.dir = "/boot/n/",
		.cmdline = "quiet",
		.origin = "http://10.0.0.1:8080",
	};
	assert_ok(script_put_net(&script, &out, &err));
	assert_string_equal(buf_str(&out, &err),
		"#!ipxe\n"
		"echo snowboot: n\n"
		":start\n"
		"kernel /boot/n/bzImage initrd=initrd quiet snowboot.origin=http://10.0.0.1:8080 "
		"BOOTIF=01-${netX/mac:hexhyp} || goto failed\n"
		"initrd /boot/n/initrd || goto failed\n"
		"boot || goto failed\n"
		":failed\n"
		"imgfree\n"
		"echo snowboot: that did not work, trying again in 10 seconds\n"
		"sleep 10\n"
		"goto start\n");
	buf_clear(&out);
	script.peer = "http://10.0.0.9:8470";
	assert_ok(script_put_net(&script, &out, &err));
	const char *text = buf_str(&out, &err);
	assert_non_null(strstr(text,
		"\nkernel --timeout 5000 http://10.0.0.9:8470/boot/n/bzImage initrd=initrd quiet "
		"snowboot.origin=http://10.0.0.1:8080 BOOTIF=01-${netX/mac:hexhyp} || kernel "
		"/boot/n/bzImage initrd=initrd quiet snowboot.origin=http://10.0.0.1:8080 "
		"BOOTIF=01-${netX/mac:hexhyp} || goto failed\n"
		"initrd --timeout 5000 http://10.0.0.9:8470/boot/n/initrd || initrd /boot/n/initrd "
		"|| goto "
		"failed\n"));
	script.cmdline = "a=${b}";
	assert_int_equal(script_put_net(&script, &out, &err), -1);
	assert_err(
		&err, ERR_UNSUPPORTED, "the kernel command line has '${', which iPXE would expand");
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

static void who_are_you(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_ok(script_put_ask("/boot/default/netboot.ipxe", "a=b%20c", &out, &err));
	assert_string_equal(buf_str(&out, &err),
		"#!ipxe\n"
		":start\n"
		"chain --replace /boot/default/netboot.ipxe?mac=${netX/mac:hexhyp}&uuid=${uuid}"
		"&serial=${serial:uristring}&asset=${asset:uristring}&memory=${memsize}"
		"&firmware=${platform}&arch=${buildarch}&a=b%20c || goto failed\n"
		":failed\n"
		"echo snowboot: that did not work, trying again in 10 seconds\n"
		"sleep 10\n"
		"goto start\n");
	assert_int_equal(script_put_ask("/a", "x=${y}", &out, &err), -1);
	assert_err(&err, ERR_USAGE, "the URL has '$', which has to be written as %24");
}

static void wait_a_moment(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	assert_ok(script_put_wait(
		"snowboot: 'a' && ${b}\nsecond", "/boot/x?mac=1&uuid=", 10, &out, &err));
	assert_string_equal(buf_str(&out, &err),
		"#!ipxe\n"
		"imgfree\n"
		"echo snowboot: 'a' ?? ?{b}\n"
		"echo second\n"
		"echo snowboot: asking again in 10 seconds\n"
		":again\n"
		"sleep 10\n"
		"chain --replace /boot/x?mac=1&uuid= || goto again\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_are_you),
		cmocka_unit_test(wait_a_moment),
		cmocka_unit_test(exact_text),
		cmocka_unit_test(network_root),
		cmocka_unit_test(what_ipxe_would_change),
	};
	return TEST_MAIN(tests);
}
