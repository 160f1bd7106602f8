/* SPDX-License-Identifier: MIT */
#include "serve/dhcp.h"

#include "test.h"

#include <arpa/inet.h>
#include <string.h>

static struct interface on(const char *addr, unsigned prefix)
{
	struct interface i = {.name = "br0", .up = true, .has_addr = true, .prefix = prefix};
	assert_int_equal(inet_pton(AF_INET, addr, &i.addr), 1);
	return i;
}

static void assert_range(const char *addr, unsigned prefix, const char *first, const char *last)
{
	struct err err = ERR_INIT;
	struct interface i = on(addr, prefix);
	struct in_addr a, b;
	char text[INET_ADDRSTRLEN];
	assert_ok(dhcp_range(&i, &a, &b, &err));
	assert_string_equal(inet_ntop(AF_INET, &a, text, sizeof(text)), first);
	assert_string_equal(inet_ntop(AF_INET, &b, text, sizeof(text)), last);
}

static void ranges(void **state)
{
	(void)state;
	assert_range("10.55.0.1", 24, "10.55.0.2", "10.55.0.254");
	assert_range("10.55.0.254", 24, "10.55.0.1", "10.55.0.253");
	assert_range("192.168.7.100", 24, "192.168.7.101", "192.168.7.254");
	assert_range("192.168.7.200", 24, "192.168.7.1", "192.168.7.199");
	assert_range("172.16.0.1", 16, "172.16.0.2", "172.16.255.254");
	assert_range("10.0.0.1", 30, "10.0.0.2", "10.0.0.2");
	assert_range("10.0.0.2", 30, "10.0.0.1", "10.0.0.1");
}

static void no_range(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct interface i = on("10.0.0.1", 31);
	struct in_addr a, b;
	assert_int_equal(dhcp_range(&i, &a, &b, &err), -1);
	assert_string_equal(err.hint, "give 'br0' an address like 10.55.0.1/24");
	assert_err(&err, ERR_UNSUPPORTED,
		"network 10.0.0.1/31 of 'br0' has no addresses to give away");
}

static void assert_config(enum dhcp_mode mode, const char *want)
{
	struct err err = ERR_INIT;
	struct interface i = on("10.55.0.1", 24);
	const struct dhcp_config config = {
		.mode = mode,
		.interface = &i,
		.dir = "/tmp/d",
		.bios_file = "undionly.kpxe",
		.efi_file = "snponly.efi",
		.script_url = "http://10.55.0.1:8080/boot/default/netboot.ipxe",
		.uki_url = "http://10.55.0.1:8080/boot/default/uki.efi",
	};
	AUTO_BUF out = {0};
	assert_ok(dhcp_config_text(&config, &out, &err));
	assert_string_equal(buf_str(&out, &err), want);
}

#define BEGIN \
	"# written by snowboot serve\n" \
	"port=0\n" \
	"except-interface=lo\n" \
	"bind-interfaces\n" \
	"log-facility=-\n" \
	"log-dhcp\n" \
	"dhcp-no-override\n" \
	"dhcp-leasefile=/tmp/d/leases\n" \
	"interface=\"br0\"\n"
#define MATCHES \
	"dhcp-match=set:ipxe,175\n" \
	"dhcp-match=set:ipxe-http,175,19\n" \
	"dhcp-match=set:bios,option:client-arch,0\n" \
	"dhcp-match=set:efi,option:client-arch,7\n" \
	"dhcp-match=set:efi,option:client-arch,9\n" \
	"dhcp-match=set:uboot,option:client-arch,21\n" \
	"dhcp-match=set:uboot,option:client-arch,22\n" \
	"dhcp-match=set:uboot,option:client-arch,256\n" \
	"dhcp-boot=tag:ipxe-http,http://10.55.0.1:8080/boot/default/netboot.ipxe,,10.55.0.1\n" \
	"dhcp-boot=tag:!ipxe-http,tag:bios,undionly.kpxe,,10.55.0.1\n" \
	"dhcp-match=set:http-x86_64,option:client-arch,16\n" \
	"dhcp-match=set:http-arm64,option:client-arch,19\n" \
	"dhcp-boot=tag:!ipxe-http,tag:http-x86_64," \
	"http://10.55.0.1:8080/boot/default/uki.efi?arch=x86_64,,10.55.0.1\n" \
	"dhcp-boot=tag:!ipxe-http,tag:http-arm64," \
	"http://10.55.0.1:8080/boot/default/uki.efi?arch=arm64,,10.55.0.1\n"

static void proxy(void **state)
{
	(void)state;
	assert_config(DHCP_PROXY,
		BEGIN "dhcp-range=10.55.0.0,proxy,255.255.255.0\n" MATCHES
		      "dhcp-pxe-vendor=PXEClient,HTTPClient\n"
		      "pxe-service=tag:!ipxe-http,7,\"snowboot\",snponly.efi\n"
		      "pxe-service=tag:!ipxe-http,9,\"snowboot\",snponly.efi\n");
}

static void full(void **state)
{
	(void)state;
	assert_config(DHCP_FULL,
		BEGIN "dhcp-range=10.55.0.2,10.55.0.254,255.255.255.0,12h\n"
		      "dhcp-authoritative\n"
		      "dhcp-option=option:router\n"
		      "dhcp-option-force=tag:ipxe,encap:175,176,1b\n" MATCHES
		      "dhcp-option-force=tag:http-x86_64,60,HTTPClient\n"
		      "dhcp-option-force=tag:http-arm64,60,HTTPClient\n"
		      "dhcp-boot=tag:!ipxe-http,tag:efi,snponly.efi,,10.55.0.1\n"
		      "dhcp-boot=tag:uboot,boot.scr.uimg,,10.55.0.1\n");
}

/* Names from outside stay values: they begin no other list item, comment or line. */
static void odd_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct interface i = on("10.55.0.1", 24);
	snprintf(i.name, sizeof(i.name), "a,\"b\" #\\\nc");
	const struct dhcp_config config = {
		.mode = DHCP_PROXY,
		.interface = &i,
		.dir = "/tmp/d",
		.bios_file = "undionly.kpxe",
		.efi_file = "snponly.efi",
		.script_url = "http://10.55.0.1:8080/boot/default/netboot.ipxe",
	};
	AUTO_BUF out = {0};
	assert_ok(dhcp_config_text(&config, &out, &err));
	const char *text = buf_str(&out, &err);
	assert_non_null(strstr(text, "\ninterface=\"a,\\\"b\\\" #\\\\\\nc\"\n"));
}

static void modes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	enum dhcp_mode mode = DHCP_PROXY;
	assert_ok(dhcp_mode_parse("off", &mode, &err));
	assert_int_equal(mode, DHCP_OFF);
	assert_int_equal(dhcp_mode_parse("Full", &mode, &err), -1);
	assert_err(&err, ERR_USAGE, "--dhcp takes proxy, full or off, not 'Full'");
}

static void ipxe_folders(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir(), *got_dir, *bios, *efi;
	char msg[300];
	test_write(dir, "undionly.kpxe", "x", 1);
	assert_int_equal(dhcp_find_ipxe(dir, &got_dir, &bios, &efi, &err), -1);
	snprintf(msg, sizeof(msg),
		"'%s' does not have 'undionly.kpxe' and 'snponly.efi' or 'ipxe.efi'", dir);
	assert_string_equal(err.hint,
		"install the package 'ipxe' (Debian: ipxe, NixOS: pkgs.ipxe) and name its folder "
		"with --ipxe-dir DIR, or pass --dhcp off");
	assert_err(&err, ERR_NOT_FOUND, msg);
	test_write(dir, "ipxe.efi", "x", 1);
	assert_ok(dhcp_find_ipxe(dir, &got_dir, &bios, &efi, &err));
	assert_string_equal(efi, "ipxe.efi");
	test_write(dir, "snponly.efi", "x", 1);
	assert_ok(dhcp_find_ipxe(dir, &got_dir, &bios, &efi, &err));
	assert_string_equal(efi, "snponly.efi");
	assert_string_equal(bios, "undionly.kpxe");
	assert_string_equal(got_dir, dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(no_range),
		cmocka_unit_test(proxy),
		cmocka_unit_test(full),
		cmocka_unit_test(odd_names),
		cmocka_unit_test(modes),
		cmocka_unit_test(ipxe_folders),
	};
	return TEST_MAIN(tests);
}
