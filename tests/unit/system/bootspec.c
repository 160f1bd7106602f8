/* SPDX-License-Identifier: MIT */
#include "system/bootspec.h"
#include "test.h"

#include "base/path.h"

#include <string.h>

/* The required keys, each on its own so that tests can leave one out or change it. */
#define SYSTEM "\"system\": \"x86_64-linux\""
#define INIT "\"init\": \"/nix/store/top/init\""
#define KERNEL "\"kernel\": \"/nix/store/linux/bzImage\""
#define PARAMS "\"kernelParams\": [\"quiet\", \"a=\\\"b c\\\"\"]"
#define LABEL "\"label\": \"NixOS\""
#define TOPLEVEL "\"toplevel\": \"/nix/store/top\""
#define FIELDS SYSTEM "," INIT "," KERNEL "," PARAMS "," LABEL "," TOPLEVEL
#define V1 "\"org.nixos.bootspec.v1\": {" FIELDS "}"
#define V1_WITH(more) "\"org.nixos.bootspec.v1\": {" FIELDS "," more "}"

static int parse(const char *text, struct bootspec *ret, struct err *err)
{
	return bootspec_parse(text, strlen(text), ret, err);
}

static void assert_refused(const char *text, const char *message)
{
	struct err err = ERR_INIT;
	struct bootspec spec;
	assert_int_equal(parse(text, &spec, &err), -1);
	assert_err(&err, ERR_CORRUPT, message);
}

static void the_least(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BOOTSPEC spec = {0};
	assert_ok(parse("{" V1 "}", &spec, &err));
	assert_string_equal(spec.system, "x86_64-linux");
	assert_string_equal(spec.init, "/nix/store/top/init");
	assert_string_equal(spec.kernel, "/nix/store/linux/bzImage");
	assert_string_equal(spec.label, "NixOS");
	assert_string_equal(spec.toplevel, "/nix/store/top");
	assert_int_equal(spec.params.len, 2);
	assert_string_equal(spec.params.items[1], "a=\"b c\"");
	assert_null(spec.initrd);
	assert_null(spec.initrd_secrets);
	assert_int_equal(spec.specialisations.len, 0);
	assert_false(spec.has_nixos_init);
}

static const char everything[] =
	"{" V1_WITH("\"initrd\": \"/nix/store/i/initrd\", \"initrdSecrets\": "
		    "\"/nix/store/top/s\"") ", \"org.nixos.specialisation.v1\": {"
					    "\"z\": {" V1 ", \"org.nixos.specialisation.v1\": {}},"
					    "\"a\": {" V1 ", \"other.extension\": 7}},"
					    "\"org.nixos.nixos-init.v1\": "
					    "{\"nix_store_mount_opts\": [\"ro\", \"nosuid\"],"
					    "\"firmware\": \"/f\", \"modprobe_binary\": "
					    "\"/m\", \"sh_binary\": \"/s\","
					    "\"env_binary\": \"/e\", \"etc_metadata_image\": "
					    "\"/i\", \"etc_basedir\": \"/b\"},"
					    "\"org.nixos.systemd-boot\": {\"sortKey\": "
					    "\"nixos\", \"devicetree\": null}}";

static void assert_everything(const struct bootspec *spec)
{
	assert_string_equal(spec->initrd, "/nix/store/i/initrd");
	assert_string_equal(spec->initrd_secrets, "/nix/store/top/s");
	assert_int_equal(spec->specialisations.len, 2);
	assert_string_equal(spec->specialisations.items[0], "a");
	assert_string_equal(spec->specialisations.items[1], "z");
	assert_string_equal(spec->specialisation_paths.items[0], "/nix/store/top");
	assert_null(spec->device_tree);
	assert_true(spec->has_nixos_init);
	assert_int_equal(spec->nixos_init.store_mount_opts.len, 2);
	assert_string_equal(spec->nixos_init.store_mount_opts.items[1], "nosuid");
	assert_string_equal(spec->nixos_init.firmware, "/f");
	assert_string_equal(spec->nixos_init.modprobe_binary, "/m");
	assert_string_equal(spec->nixos_init.sh_binary, "/s");
	assert_string_equal(spec->nixos_init.env_binary, "/e");
	assert_string_equal(spec->nixos_init.etc_metadata_image, "/i");
	assert_string_equal(spec->nixos_init.etc_basedir, "/b");
}

static void everything_there_is(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BOOTSPEC spec = {0};
	assert_ok(parse(everything, &spec, &err));
	assert_everything(&spec);
}

static void before_the_rfc(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BOOTSPEC spec = {0};
	assert_ok(parse("{\"v1\": {" FIELDS ", \"extensions\": {}, \"specialisation\": "
			"{\"child\": {" FIELDS "}}}}",
		&spec, &err));
	assert_string_equal(spec.kernel, "/nix/store/linux/bzImage");
	assert_int_equal(spec.specialisations.len, 1);
	assert_string_equal(spec.specialisations.items[0], "child");
	assert_string_equal(spec.specialisation_paths.items[0], "/nix/store/top");
	assert_refused("{\"v1\": {" FIELDS ", \"specialisation\": {\"child\": {" SYSTEM "}}}}",
		"specialisation 'child': 'child' lacks 'init'");
}

static void not_json(void **state)
{
	(void)state;
	assert_refused("", "not JSON: line 1, column 0: '[' or '{' expected near end of file");
	assert_refused("hello", "not JSON: line 1, column 5: '[' or '{' expected near 'hello'");
	assert_refused("{\n\"a\": tru}", "not JSON: line 2, column 8: invalid token near 'tru'");
	assert_refused("{\"a\": 1, \"a\": 2}",
		"not JSON: line 1, column 12: duplicate object key near '\"a\"'");
	assert_refused("{} x", "not JSON: line 1, column 4: end of file expected near 'x'");
	assert_refused("[]", "the document is an array, not an object");
	assert_refused("{\"a\": \"x\\u0000y\"}",
		"not JSON: line 1, column 16: \\u0000 is not allowed without JSON_ALLOW_NUL near "
		"'\"x\\u0000y\"'");
}

static void lacks_a_key(void **state)
{
	(void)state;
	static const char *const fields[] = {SYSTEM, INIT, KERNEL, PARAMS, LABEL, TOPLEVEL};
	static const char *const names[] = {
		"system", "init", "kernel", "kernelParams", "label", "toplevel"};
	struct err err = ERR_INIT;
	assert_refused("{}", "'the document' lacks 'org.nixos.bootspec.v1'");
	for (size_t skip = 0; skip < 6; skip++) {
		AUTO_STRVEC left = {0};
		for (size_t i = 0; i < 6; i++)
			if (i != skip)
				assert_ok(strvec_push(&left, fields[i], &err));
		AUTO_FREE char *joined = strvec_join(&left, ",", &err);
		AUTO_FREE char *text =
			path_printf(&err, "{\"org.nixos.bootspec.v1\": {%s}}", joined);
		AUTO_FREE char *want =
			path_printf(&err, "'org.nixos.bootspec.v1' lacks '%s'", names[skip]);
		assert_refused(text, want);
	}
	assert_refused("{" V1 ", \"org.nixos.specialisation.v1\": {\"x\": {}}}",
		"specialisation 'x': 'x' lacks 'org.nixos.bootspec.v1'");
}

static void wrong_types(void **state)
{
	(void)state;
	assert_refused("{\"org.nixos.bootspec.v1\": 1}",
		"'org.nixos.bootspec.v1' in 'the document' is a number, not an object");
	assert_refused("{\"org.nixos.bootspec.v1\": null}",
		"'org.nixos.bootspec.v1' in 'the document' is null, not an object");
	assert_refused("{" V1_WITH("\"initrd\": null") "}",
		"'initrd' in 'org.nixos.bootspec.v1' is null, not a string");
	assert_refused("{" V1_WITH("\"initrdSecrets\": true") "}",
		"'initrdSecrets' in 'org.nixos.bootspec.v1' is a boolean, not a string");
	assert_refused("{\"org.nixos.bootspec.v1\": {" SYSTEM "," INIT ", \"kernel\": 1.5}}",
		"'kernel' in 'org.nixos.bootspec.v1' is a number, not a string");
	assert_refused("{\"org.nixos.bootspec.v1\": {" SYSTEM "," INIT "," KERNEL
		       ", \"kernelParams\": \"quiet\"}}",
		"'kernelParams' in 'org.nixos.bootspec.v1' is a string, not an array");
	assert_refused("{\"org.nixos.bootspec.v1\": {" SYSTEM "," INIT "," KERNEL
		       ", \"kernelParams\": [\"quiet\", 4]}}",
		"'kernelParams[1]' in 'org.nixos.bootspec.v1' is a number, not a string");
	assert_refused("{" V1 ", \"org.nixos.specialisation.v1\": []}",
		"'org.nixos.specialisation.v1' in 'the document' is an array, not an object");
	assert_refused("{" V1 ", \"org.nixos.specialisation.v1\": {\"x\": \"/nix/store/x\"}}",
		"specialisation 'x': it is a string, not an object");
	assert_refused("{" V1 ", \"org.nixos.nixos-init.v1\": null}",
		"'org.nixos.nixos-init.v1' in 'the document' is null, not an object");
	assert_refused("{" V1 ", \"org.nixos.nixos-init.v1\": {\"sh_binary\": {}}}",
		"'sh_binary' in 'org.nixos.nixos-init.v1' is an object, not a string");
	assert_refused("{" V1 ", \"org.nixos.nixos-init.v1\": {\"nix_store_mount_opts\": [[]]}}",
		"'nix_store_mount_opts[0]' in 'org.nixos.nixos-init.v1' is an array, not a string");
}

static void control_characters(void **state)
{
	(void)state;
	assert_refused("{\"org.nixos.bootspec.v1\": {\"system\": \"x\\ny\"}}",
		"'system' in 'org.nixos.bootspec.v1' contains a control character");
	assert_refused("{\"org.nixos.bootspec.v1\": {" SYSTEM "," INIT "," KERNEL
		       ", \"kernelParams\": [\"quiet\\ninitrd http://evil\"]}}",
		"'kernelParams[0]' in 'org.nixos.bootspec.v1' contains a control character");
	assert_refused("{" V1 ", \"org.nixos.specialisation.v1\": {\"x\\ny\": {" V1 "}}}",
		"the name of a specialisation contains a control character");
}

static void every_truncation(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (size_t len = 0; len < sizeof(everything) - 1; len++) {
		struct bootspec spec;
		/* A copy of exactly that size, so that reading beyond it is noticed. */
		AUTO_FREE char *text = malloc(len + 1);
		memcpy(text, everything, len);
		text = realloc(text, len > 0 ? len : 1);
		assert_int_equal(bootspec_parse(text, len, &spec, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		assert_memory_equal(err.msg, "not JSON: line ", 15);
		err_reset(&err);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least),
		cmocka_unit_test(everything_there_is),
		cmocka_unit_test(before_the_rfc),
		cmocka_unit_test(not_json),
		cmocka_unit_test(lacks_a_key),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(control_characters),
		cmocka_unit_test(every_truncation),
	};
	return TEST_MAIN(tests);
}
