/* SPDX-License-Identifier: MIT */
#include "rules/identity.h"

#include "test.h"

#include <string.h>

static void assert_read(enum identity_kind kind, const char *text, const char *want)
{
	char got[IDENTITY_TEXT_SIZE];
	if (!identity_read(kind, text, got))
		fail_msg("'%s' was refused", text);
	assert_string_equal(got, want);
}

static void assert_none(enum identity_kind kind, const char *text)
{
	char got[IDENTITY_TEXT_SIZE] = "untouched";
	if (identity_read(kind, text, got))
		fail_msg("'%s' was taken", text);
	assert_string_equal(got, "untouched");
}

static void hardware_addresses(void **state)
{
	(void)state;
	static const char want[] = "52:54:00:ab:cd:ef";
	assert_read(IDENTITY_MAC, "52:54:00:ab:cd:ef", want);
	assert_read(IDENTITY_MAC, "52-54-00-AB-CD-EF", want);
	assert_read(IDENTITY_MAC, "525400abcdef", want);
	assert_read(IDENTITY_MAC, "01-52-54-00-ab-cd-ef", want);
	assert_none(IDENTITY_MAC, "");
	assert_none(IDENTITY_MAC, "5");
	assert_none(IDENTITY_MAC, "52:54:00:ab:cd");
	assert_none(IDENTITY_MAC, "52:54:00:ab:cd:");
	assert_none(IDENTITY_MAC, "52:54:00:ab:cd:ef:");
	assert_none(IDENTITY_MAC, "52:54-00:ab:cd:ef");
	assert_none(IDENTITY_MAC, "02-52-54-00-ab-cd-ef");
	assert_none(IDENTITY_MAC, "52:54:00:ab:cd:ef:01:02");
	assert_none(IDENTITY_MAC, "52:54:00:ab:cd:eg");
	assert_none(IDENTITY_MAC, "00:00:00:00:00:00");
	assert_none(IDENTITY_MAC, "ff:ff:ff:ff:ff:ff");
}

static void uuids(void **state)
{
	(void)state;
	assert_read(IDENTITY_UUID, "4C4C4544-0043-3510-8052-B9C04F4D3032",
		"4c4c4544-0043-3510-8052-b9c04f4d3032");
	assert_none(IDENTITY_UUID, "4c4c454400433510-8052-b9c04f4d3032");
	assert_none(IDENTITY_UUID, "4c4c4544-0043-3510-8052-b9c04f4d303");
	assert_none(IDENTITY_UUID, "4c4c4544-0043-3510-8052-b9c04f4d30322");
	assert_none(IDENTITY_UUID, "4c4c4544-0043-3510-8052-b9c04f4d303g");
	assert_none(IDENTITY_UUID, "00000000-0000-0000-0000-000000000000");
	assert_none(IDENTITY_UUID, "ffffffff-ffff-ffff-ffff-ffffffffffff");
}

static void tags(void **state)
{
	(void)state;
	char text[IDENTITY_TEXT_SIZE + 1];
	assert_read(IDENTITY_SERIAL, "  CZC 1234 ", "CZC 1234");
	assert_none(IDENTITY_SERIAL, "   ");
	assert_none(IDENTITY_SERIAL, "To Be Filled By O.E.M.");
	assert_none(IDENTITY_SERIAL, "Default string");
	assert_none(IDENTITY_ASSET, "0000000");
	assert_none(IDENTITY_ASSET, "a\nb");
	memset(text, 'x', sizeof(text));
	text[IDENTITY_TEXT_SIZE - 1] = '\0';
	assert_read(IDENTITY_ASSET, "x1", "x1");
	char got[IDENTITY_TEXT_SIZE];
	text[0] = 'a';
	assert_true(identity_read(IDENTITY_ASSET, text, got));
	text[IDENTITY_TEXT_SIZE - 1] = 'x';
	text[IDENTITY_TEXT_SIZE] = '\0';
	assert_none(IDENTITY_ASSET, text);
}

static void assert_parsed(const char *name, enum identity_kind want_kind, const char *want)
{
	enum identity_kind kind;
	char got[IDENTITY_TEXT_SIZE];
	if (!identity_parse(name, &kind, got))
		fail_msg("'%s' is no name", name);
	assert_int_equal(kind, want_kind);
	assert_string_equal(got, want);
}

static void names(void **state)
{
	(void)state;
	enum identity_kind kind;
	char got[IDENTITY_TEXT_SIZE], name[IDENTITY_NAME_SIZE];
	assert_parsed("AA-bb-cc-dd-ee-ff", IDENTITY_MAC, "aa:bb:cc:dd:ee:ff");
	assert_parsed("mac-aabbccddeeff", IDENTITY_MAC, "aa:bb:cc:dd:ee:ff");
	assert_parsed("4C4C4544-0043-3510-8052-B9C04F4D3032", IDENTITY_UUID,
		"4c4c4544-0043-3510-8052-b9c04f4d3032");
	assert_parsed("serial-AB%2FCD", IDENTITY_SERIAL, "AB/CD");
	assert_parsed("asset-hall 3", IDENTITY_ASSET, "hall 3");
	assert_false(identity_parse("README", &kind, got));
	assert_false(identity_parse("serial-", &kind, got));
	assert_false(identity_parse("serial-%00", &kind, got));
	assert_false(identity_parse("serial-%2", &kind, got));
	assert_false(identity_parse("serial-%zz", &kind, got));
	identity_name(IDENTITY_SERIAL, "A /%", name);
	assert_string_equal(name, "serial-A%20%2F%25");
	assert_parsed(name, IDENTITY_SERIAL, "A /%");
	identity_name(IDENTITY_MAC, "aa:bb:cc:dd:ee:ff", name);
	assert_string_equal(name, "aa:bb:cc:dd:ee:ff");
}

static void the_first_that_is_known(void **state)
{
	(void)state;
	struct identity who = {0};
	char name[IDENTITY_NAME_SIZE];
	assert_false(identity_first(&who, name));
	strcpy(who.text[IDENTITY_ASSET], "7");
	assert_true(identity_first(&who, name));
	assert_string_equal(name, "asset-7");
	strcpy(who.text[IDENTITY_MAC], "aa:bb:cc:dd:ee:ff");
	assert_true(identity_first(&who, name));
	assert_string_equal(name, "aa:bb:cc:dd:ee:ff");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hardware_addresses),
		cmocka_unit_test(uuids),
		cmocka_unit_test(tags),
		cmocka_unit_test(names),
		cmocka_unit_test(the_first_that_is_known),
	};
	return TEST_MAIN(tests);
}
