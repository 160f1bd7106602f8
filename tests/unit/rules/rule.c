/* SPDX-License-Identifier: MIT */
#include "rules/rule.h"

#include "test.h"

#include <string.h>

static void assert_refused(const char *text, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	AUTO_RULE rule = {0};
	assert_int_equal(rule_parse(text, strlen(text), &rule, &err), -1);
	assert_err(&err, kind, message);
}

static void all_keys(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_RULE rule = {0};
	static const char text[] = "{\"system\": \"/x\", \"specialisation\": \"rescue\",\n"
				   "\"kernel-params\": [\"a=1\", \"b\"], \"once\": true, "
				   "\"device-tree\": \"a/b.dtb\",\n"
				   "\"comment\": \"hall\"}";
	assert_ok(rule_parse(text, strlen(text), &rule, &err));
	assert_string_equal(rule.system, "/x");
	assert_string_equal(rule.specialisation, "rescue");
	assert_string_equal(rule.params, "a=1 b");
	assert_string_equal(rule.device_tree, "a/b.dtb");
	assert_true(rule.once);
}

static void only_a_system(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_RULE rule = {0};
	static const char text[] = "{\"system\": \"x\", \"kernel-params\": []}";
	assert_ok(rule_parse(text, strlen(text), &rule, &err));
	assert_null(rule.specialisation);
	assert_null(rule.params);
	assert_null(rule.device_tree);
	assert_false(rule.once);
}

static void broken_syntax(void **state)
{
	(void)state;
	assert_refused("", ERR_CORRUPT, "line 1: '[' or '{' expected near end of file");
	assert_refused("{\n\"system\": \"/x\",\n}", ERR_CORRUPT,
		"line 3: string or '}' expected near '}'");
	assert_refused("{\"system\": \"/x\"} more", ERR_CORRUPT,
		"line 1: end of file expected near 'more'");
	assert_refused("{\"system\": \"/x\",\n\"system\": \"/y\"}", ERR_CORRUPT,
		"line 2: duplicate object key near '\"system\"'");
	assert_refused("[1]", ERR_CORRUPT, "line 1: this is not an object {…}");
}

static void wrong_values(void **state)
{
	(void)state;
	assert_refused("{}", ERR_CORRUPT, "line 1: the object lacks 'system'");
	assert_refused("{\n\n\"system\": 1}", ERR_CORRUPT, "line 3: 'system' is not a string");
	assert_refused("{\"system\": \"\"}", ERR_CORRUPT,
		"line 1: 'system' is empty or has a control character");
	assert_refused("{\"system\": \"/x\\n\"}", ERR_CORRUPT,
		"line 1: 'system' is empty or has a control character");
	assert_refused("{\"system\": \"/x\",\n\"specialisation\": \"../y\"}", ERR_CORRUPT,
		"line 2: '../y' is no name of a specialisation");
	assert_refused("{\"system\": \"/x\",\n\"kernel-params\": \"quiet\"}", ERR_CORRUPT,
		"line 2: 'kernel-params' is not an array of words");
	assert_refused("{\"system\": \"/x\",\n\"kernel-params\":\n[\"a\", \"b c\"]}", ERR_CORRUPT,
		"line 2: 'kernel-params' has at 1 what is no word");
	assert_refused("{\"system\": \"/x\",\n\"kernel-params\": [\"init=/bin/sh\"]}", ERR_CORRUPT,
		"line 2: 'kernel-params' has 'init=', which the system decides");
	assert_refused("{\"system\": \"/x\",\n\"once\": \"yes\"}", ERR_CORRUPT,
		"line 2: 'once' is not true or false");
	assert_refused("{\"system\": \"/x\",\n\"device-tree\": 1}", ERR_CORRUPT,
		"line 2: 'device-tree' is not a string");
	assert_refused("{\"system\": \"/x\",\n\"device-tree\": \"/a.dtb\"}", ERR_CORRUPT,
		"line 2: '/a.dtb' is no name of a device tree");
	assert_refused("{\"system\": \"/x\",\n\"device-tree\": \"a/../../b\"}", ERR_CORRUPT,
		"line 2: 'a/../../b' is no name of a device tree");
	assert_refused("{\"system\": \"/x\",\n\"comment\": 7}", ERR_CORRUPT,
		"line 2: 'comment' is not a string");
	assert_refused("{\"system\": \"/x\",\n\"sistem\": \"/y\"}", ERR_CORRUPT,
		"line 2: 'sistem' is no key of a machine file");
}

static void limits(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_RULE rule = {0};
	static char text[RULE_FILE_MAX + 1];
	memset(text, ' ', sizeof(text));
	assert_int_equal(rule_parse(text, sizeof(text), &rule, &err), -1);
	assert_err(&err, ERR_LIMIT, "a machine file has 65537 bytes > max 65536");
	static const char head[] = "{\"system\": \"/x\", \"kernel-params\": [\"";
	memcpy(text, head, sizeof(head) - 1);
	memset(text + sizeof(head) - 1, 'w', RULE_PARAMS_MAX + 1);
	memcpy(text + sizeof(head) + RULE_PARAMS_MAX, "\"]}", 3);
	assert_int_equal(rule_parse(text, sizeof(head) + RULE_PARAMS_MAX + 3, &rule, &err), -1);
	assert_err(&err, ERR_LIMIT, "line 1: 'kernel-params' has 1025 bytes > max 1024");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_keys),
		cmocka_unit_test(only_a_system),
		cmocka_unit_test(broken_syntax),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(limits),
	};
	return TEST_MAIN(tests);
}
