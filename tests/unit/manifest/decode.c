/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "manifest/manifest.h"

#include <stdio.h>
#include <string.h>

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BODY \
	"snowboot-manifest 1\n" \
	"name default\n" \
	"system /nix/store/aaaa-nixos-system-x\n" \
	"serial 7\n" \
	"issued 1700000000\n" \
	"expires 1700086400\n" \
	"cmdline console=ttyS0 init=/nix/store/aaaa-nixos-system-x/init\n"
#define CATALOG "catalog " HEX " 4000\n"
/* 86 digits A and two signs of padding: 64 zero bytes. */
#define ZEROS \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define SIGNATURE "signature key-1:" ZEROS "\n"

static const char full[] = BODY CATALOG SIGNATURE "signature key-2:" ZEROS "\n";

static void reads_back_what_it_writes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const char *const texts[] = {full, BODY CATALOG,
		BODY "catalog " HEX " 262145\npiece " HEX "\npiece " HEX "\npiece " HEX
		     "\n" SIGNATURE};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		AUTO_MANIFEST manifest = {0};
		AUTO_BUF text = {0};
		assert_ok(manifest_decode(texts[i], strlen(texts[i]), &manifest, &err));
		assert_string_equal(manifest.name, "default");
		assert_string_equal(manifest.system, "/nix/store/aaaa-nixos-system-x");
		assert_int_equal(manifest.serial, 7);
		assert_int_equal(manifest.issued, 1700000000);
		assert_int_equal(manifest.expires, 1700086400);
		assert_int_equal(manifest.catalog.pieces.len, i == 2 ? 3 : 1);
		assert_int_equal(manifest.signatures.len, i == 0 ? 2 : i == 2);
		assert_ok(manifest_encode(&manifest, &text, &err));
		assert_string_equal(buf_str(&text, &err), texts[i]);
	}
}

/* What is left when the cut is behind a whole line of the signatures is good, but not trusted. */
static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (size_t len = 0; len < strlen(full); len++) {
		AUTO_MANIFEST manifest = {0};
		AUTO_FREE char *cut = malloc(len + 1);
		memcpy(cut, full, len);
		bool whole = len >= strlen(BODY CATALOG) && full[len - 1] == '\n';
		int r = manifest_decode(cut, len, &manifest, &err);
		assert_int_equal(r, whole ? 0 : -1);
		if (r < 0)
			assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
	}
}

static void says_what_is_wrong(void **state)
{
	(void)state;
#define TO_SERIAL "snowboot-manifest 1\nname n\nsystem /s\n"
#define TO_TIMES TO_SERIAL "serial 1\n"
#define TO_CATALOG TO_TIMES "issued 1\nexpires 1\ncmdline c\n"
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{"", ERR_CORRUPT, "manifest: line 1 is cut off"},
		{"hello\n", ERR_CORRUPT, "manifest: does not begin with 'snowboot-manifest 1'"},
		{"snowboot-manifest 2\n", ERR_UNSUPPORTED,
			"manifest: version '2' is not one that this program knows (1)"},
		{"snowboot-manifest 1\nsystem /s\n", ERR_CORRUPT,
			"manifest: line 2 is not 'name' with a value"},
		{"snowboot-manifest 1\nname\n", ERR_CORRUPT,
			"manifest: line 2 is not 'name' with a value"},
		{"snowboot-manifest 1\nname \n", ERR_CORRUPT,
			"manifest: line 2 is not 'name' with a value"},
		{"snowboot-manifest 1\nname a/b\n", ERR_CORRUPT,
			"manifest: line 2 has no valid name"},
		{"snowboot-manifest 1\nname .a\n", ERR_CORRUPT,
			"manifest: line 2 has no valid name"},
		{"snowboot-manifest 1\nname a\nsystem s\n", ERR_CORRUPT,
			"manifest: line 3 has a path that is not absolute"},
		{"snowboot-manifest 1\nname a\nsystem /s\x1b[2J\n", ERR_CORRUPT,
			"manifest: line 3 has a control character"},
		{TO_SERIAL "serial 0\n", ERR_CORRUPT, "manifest: line 4 has no valid number"},
		{TO_SERIAL "serial 01\n", ERR_CORRUPT, "manifest: line 4 has no valid number"},
		{TO_SERIAL "serial -1\n", ERR_CORRUPT, "manifest: line 4 has no valid number"},
		{TO_SERIAL "serial 18446744073709551616\n", ERR_CORRUPT,
			"manifest: line 4 has no valid number"},
		{TO_TIMES "issued 253402300800\n", ERR_CORRUPT,
			"manifest: line 5 has no valid number"},
		{TO_TIMES "issued 2\nexpires 1\n", ERR_CORRUPT,
			"manifest: line 6 is before the time of issue"},
		{TO_CATALOG "catalog " HEX "\n", ERR_CORRUPT,
			"manifest: line 8 is not a valid catalog"},
		{TO_CATALOG "catalog " HEX " 0\n", ERR_CORRUPT,
			"manifest: line 8 is not a valid catalog"},
		{TO_CATALOG "catalog " HEX " 67108865\n", ERR_CORRUPT,
			"manifest: line 8 is not a valid catalog"},
		{TO_CATALOG "catalog 123 1\n", ERR_CORRUPT,
			"manifest: line 8 is not a valid catalog"},
		{TO_CATALOG "catalog "
			    "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855 1\n",
			ERR_CORRUPT, "manifest: line 8 is not a valid catalog"},
		{TO_CATALOG "catalog " HEX " 131073\npiece 12\n", ERR_CORRUPT,
			"manifest: line 9 is not a valid piece"},
		{TO_CATALOG "catalog " HEX " 131073\npiece " HEX "\n", ERR_CORRUPT,
			"manifest: line 10 is cut off"},
		{TO_CATALOG CATALOG "more\n", ERR_CORRUPT,
			"manifest: line 9 is not 'signature' with a value"},
		{TO_CATALOG CATALOG "signature key-1:AAAA\n", ERR_CORRUPT,
			"manifest: line 9: not a signature: it looks like NAME:BASE64 with 64 "
			"bytes "
			"behind the colon"},
		{TO_CATALOG CATALOG "signature  key-1:" ZEROS "\n", ERR_CORRUPT,
			"manifest: line 9 is not a valid signature"},
		{TO_CATALOG CATALOG "signature key-1:" ZEROS " \n", ERR_CORRUPT,
			"manifest: line 9 is not a valid signature"},
		{TO_CATALOG CATALOG SIGNATURE SIGNATURE SIGNATURE SIGNATURE SIGNATURE SIGNATURE
				SIGNATURE SIGNATURE SIGNATURE,
			ERR_CORRUPT, "manifest: more than 8 signatures"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct manifest manifest;
		assert_int_equal(
			manifest_decode(cases[i].text, strlen(cases[i].text), &manifest, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].msg);
	}
	struct err err = ERR_INIT;
	struct manifest manifest;
	AUTO_FREE char *large = calloc(1, MANIFEST_MAX + 1);
	assert_int_equal(manifest_decode(large, MANIFEST_MAX + 1, &manifest, &err), -1);
	assert_err(&err, ERR_CORRUPT, "manifest: 65537 bytes > max 65536");
	static const char nul[] = "snowboot-manifest 1\nname a\0b\n";
	assert_int_equal(manifest_decode(nul, sizeof(nul) - 1, &manifest, &err), -1);
	assert_err(&err, ERR_CORRUPT, "manifest: line 2 has a control character");
}

static void writes_only_what_can_be_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_MANIFEST m = {0};
	AUTO_BUF out = {0};
	assert_ok(manifest_decode(full, strlen(full), &m, &err));
	char *name = m.name, *cmdline = m.cmdline;
	m.name = (char *)(uintptr_t) "a b";
	assert_int_equal(manifest_encode(&m, &out, &err), -1);
	assert_err(&err, ERR_USAGE, "'a b' cannot be the name of a manifest");
	m.name = name;
	m.cmdline = (char *)(uintptr_t) "a\nb";
	assert_int_equal(manifest_encode(&m, &out, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, "manifest: 'cmdline' is empty or has a line break");
	m.cmdline = cmdline;
	m.expires = m.issued - 1;
	assert_int_equal(manifest_encode(&m, &out, &err), -1);
	assert_err(&err, ERR_USAGE,
		"a manifest cannot be issued at 1700000000 and expire at 1699999999");
	m.expires = m.issued;
	m.serial = 0;
	assert_int_equal(manifest_encode(&m, &out, &err), -1);
	assert_err(&err, ERR_BUG, "manifest without a serial or a catalog");
	assert_int_equal(out.len, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_back_what_it_writes),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(writes_only_what_can_be_read),
	};
	return TEST_MAIN(tests);
}
