/* SPDX-License-Identifier: MIT */
#include "serve/route.h"

#include "test.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void boot_files(void **state)
{
	(void)state;
	struct route r = route_parse("/boot/abc-system/initrd");
	assert_int_equal(r.kind, ROUTE_BOOT);
	assert_int_equal(r.file, BOOT_INITRD);
	assert_int_equal(r.name_len, 10);
	assert_memory_equal(r.name, "abc-system", 10);
	assert_string_equal(boot_file_step(BOOT_KERNEL), "kernel");
	r = route_parse("/boot/default/uki.efi");
	assert_int_equal(r.kind, ROUTE_BOOT);
	assert_int_equal(r.file, BOOT_UKI);
	assert_string_equal(boot_file_step(BOOT_UKI), "uki");
	assert_int_equal(route_parse("/boot/abc/vmlinuz").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/boot//initrd").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/boot/initrd").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/boot/a/b/initrd").kind, ROUTE_NONE);
}

static void objects(void **state)
{
	(void)state;
	struct route r = route_parse("/v1/objects/01/" HEX);
	assert_int_equal(r.kind, ROUTE_OBJECT);
	assert_int_equal(r.digest.bytes[1], 0x23);
	assert_int_equal(route_parse("/v1/objects/02/" HEX).kind, ROUTE_NONE);
	assert_int_equal(route_parse("/v1/objects/01/" HEX "0").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/v1/objects/01/../../etc/passwd").kind, ROUTE_NONE);
	assert_int_equal(
		route_parse("/v1/objects/AB/ABCDEF6789abcdef0123456789abcdef0123456789abcdef0123456"
			    "789abcdef")
			.kind,
		ROUTE_NONE);
}

static void the_others(void **state)
{
	(void)state;
	assert_int_equal(route_parse("/").kind, ROUTE_INDEX);
	assert_int_equal(route_parse("/metrics").kind, ROUTE_METRICS);
	assert_int_equal(route_parse("/v1/link").kind, ROUTE_LINK);
	assert_int_equal(route_parse("/v1/up").kind, ROUTE_UP);
	assert_int_equal(route_parse("/v1/failed").kind, ROUTE_FAILED);
	assert_int_equal(route_parse("/v1/explain").kind, ROUTE_EXPLAIN);
	assert_int_equal(route_parse("/v1/link/").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/v1/manifests/default").kind, ROUTE_MANIFEST);
	assert_int_equal(route_parse("/v1/manifests/").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/v1/manifests/a/b").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/v1/profiles/" HEX).kind, ROUTE_PROFILE);
	assert_int_equal(route_parse("/v1/profiles/12").kind, ROUTE_NONE);
	assert_int_equal(route_parse("/v1/machines").name_len, 0);
	assert_int_equal(route_parse("/v1/machines/10.0.0.7").name_len, 8);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_files),
		cmocka_unit_test(objects),
		cmocka_unit_test(the_others),
	};
	return TEST_MAIN(tests);
}
