/* SPDX-License-Identifier: MIT */
#include "nix/narinfo.h"
#include "nix/hash_text.h"
#include "test.h"

#include "base/path.h"

#include <string.h>

#define HASH "0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb"
#define NAME HASH "-hello-2.12.1"
#define OTHER "9y8pmvk8gdwwznmkzxa6pwyah52xy3nk-glibc-2.38-27"
#define NAR_HASH "sha256:0a5bvw9cxl1qmd0ph2jmvk0xnbdlgaxspqzc9vm90hgf1mq4fkbl"
#define PATH_LINE "StorePath: /nix/store/" NAME "\n"
#define URL_LINE "URL: nar/x.nar.xz\n"
#define NAR_LINES "NarHash: " NAR_HASH "\nNarSize: 226560\n"

static int parse(const char *text, struct narinfo *ret, struct err *err)
{
	return narinfo_parse(text, strlen(text), HASH, "/nix/store", ret, err);
}

static void a_whole_one(void **state)
{
	(void)state;
	static const char text[] = PATH_LINE URL_LINE
		"Compression: xz\nFileHash: " NAR_HASH "\nFileSize: 50096\n" NAR_LINES
		"References: " NAME " " OTHER "\n"
		"Deriver: 3aqhyjdyxg3hdsrfx0vv7sgnd3nyikzm-hello-2.12.1.drv\n"
		"Sig: a:1\nSig: b:2\nCA: fixed:sha256:x\n";
	struct err err = ERR_INIT;
	AUTO_NARINFO info = {0};
	AUTO_BUF again = {0}, print = {0};
	assert_ok(parse(text, &info, &err));
	assert_string_equal(info.path, "/nix/store/" NAME);
	assert_string_equal(info.url, "nar/x.nar.xz");
	assert_int_equal(info.compression, NAR_COMPRESSION_XZ);
	assert_true(info.has_file_hash);
	assert_int_equal(info.file_size, 50096);
	assert_int_equal(info.nar_size, 226560);
	assert_int_equal(info.refs.len, 2);
	assert_string_equal(info.refs.items[1], "/nix/store/" OTHER);
	assert_string_equal(
		info.deriver, "/nix/store/3aqhyjdyxg3hdsrfx0vv7sgnd3nyikzm-hello-2.12.1.drv");
	assert_int_equal(info.sigs.len, 2);
	assert_string_equal(info.ca, "fixed:sha256:x");
	assert_ok(narinfo_format(&info, &again, &err));
	assert_string_equal(buf_str(&again, &err), text);
	assert_ok(narinfo_fingerprint(&info, &print, &err));
	assert_string_equal(buf_str(&print, &err),
		"1;/nix/store/" NAME ";" NAR_HASH ";226560;/nix/store/" NAME ",/nix/store/" OTHER);
}

/* What may be left out, what nobody asked for, other spellings, no newline at the end. */
static void a_loose_one(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NARINFO info = {0};
	struct digest hash;
	assert_true(hash_text_parse(NAR_HASH, strlen(NAR_HASH), &hash));
	char hex[DIGEST_HEX_SIZE];
	AUTO_FREE char *text = path_printf(&err,
		PATH_LINE URL_LINE "Something-long-to-ignore: 1\nDeriver: unknown-deriver\n"
				   "References:   " OTHER "  " NAME "   " OTHER " \n"
				   "NarSize: 5\nNarHash: sha256:%s",
		digest_hex(&hash, hex));
	assert_ok(parse(text, &info, &err));
	assert_int_equal(info.compression, NAR_COMPRESSION_BZIP2);
	assert_true(digest_equal(&info.nar_hash, &hash));
	assert_int_equal(info.refs.len, 2);
	assert_string_equal(info.refs.items[0], "/nix/store/" NAME);
	assert_null(info.deriver);
	assert_false(info.has_file_hash);
}

static void what_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *message;
	} cases[] = {
		{"", ERR_CORRUPT, "it has no StorePath"},
		{PATH_LINE, ERR_CORRUPT, "it has no URL"},
		{PATH_LINE URL_LINE, ERR_CORRUPT, "it has no NarHash"},
		{PATH_LINE URL_LINE "NarHash: " NAR_HASH "\n", ERR_CORRUPT, "it has no NarSize"},
		{PATH_LINE URL_LINE "NarHash: " NAR_HASH "\nNarSize: 0\n", ERR_CORRUPT,
			"it has no NarSize"},
		{"<html>\n", ERR_CORRUPT, "it has a line without a colon"},
		{"Sig: a\tb\n", ERR_CORRUPT, "it contains a control character"},
		{PATH_LINE PATH_LINE, ERR_CORRUPT, "StorePath stands there twice"},
		{"NarHash: " NAR_HASH "\nNarHash: " NAR_HASH "\n", ERR_CORRUPT,
			"NarHash stands there twice"},
		{"NarSize: 1\nNarSize: 2\n", ERR_CORRUPT, "NarSize stands there twice"},
		{"StorePath: /nix/store/" OTHER "\n" URL_LINE NAR_LINES, ERR_CORRUPT,
			"it is of '/nix/store/" OTHER "', another store path"},
		{"StorePath: /gnu/store/" NAME "\n", ERR_CORRUPT,
			"StorePath: '/gnu/store/" NAME "' is not a store path"},
		{"StorePath: /nix/store/../etc/passwd\n", ERR_CORRUPT,
			"StorePath: '/nix/store/../etc/passwd' is not a store path"},
		{"StorePath: /nix/store/" NAME "/bin\n", ERR_CORRUPT,
			"StorePath: '/nix/store/" NAME "/bin' is not a store path"},
		{"URL: ../../etc/passwd\n", ERR_CORRUPT,
			"URL '../../etc/passwd' is not a name within the cache"},
		{"URL: nar/..\n", ERR_CORRUPT, "URL 'nar/..' is not a name within the cache"},
		{"URL: /nar/x\n", ERR_CORRUPT, "URL '/nar/x' is not a name within the cache"},
		{"URL: nar/%2E%2e/x\n", ERR_CORRUPT,
			"URL 'nar/%2E%2e/x' is not a name within the cache"},
		{"URL: file:///etc/passwd\n", ERR_CORRUPT,
			"URL 'file:///etc/passwd' is not a name within the cache"},
		{"Compression: lzma\n", ERR_UNSUPPORTED, "Compression 'lzma' is none of ours"},
		{"NarHash: sha256:abc\n", ERR_CORRUPT,
			"NarHash 'sha256:abc' is not a SHA-256 as Nix writes it"},
		{"FileHash: md5:abc\n", ERR_CORRUPT,
			"FileHash 'md5:abc' is not a SHA-256 as Nix writes it"},
		{"NarSize: -5\n", ERR_CORRUPT, "NarSize '-5' is not a number of bytes"},
		{"NarSize: \n", ERR_CORRUPT, "NarSize '' is not a number of bytes"},
		{"NarSize: 5 \n", ERR_CORRUPT, "NarSize '5 ' is not a number of bytes"},
		{"FileSize: 99999999999999999999999\n", ERR_LIMIT,
			"FileSize 99999999999999999999999 > max 17592186044416"},
		{"NarSize: 17592186044417\n", ERR_LIMIT,
			"NarSize 17592186044417 > max 17592186044416"},
		{"References: " OTHER " ../x\n", ERR_CORRUPT,
			"References: '/nix/store/../x' is not a store path"},
		{"References: /nix/store/" OTHER "\n", ERR_CORRUPT,
			"References: '/nix/store//nix/store/" OTHER "' is not a store path"},
		{"Deriver: x\n", ERR_CORRUPT, "Deriver: '/nix/store/x' is not a store path"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO_NARINFO info = {0};
		assert_int_equal(parse(cases[i].text, &info, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].message);
	}
}

static void ten_megabytes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NARINFO info = {0};
	AUTO_BUF text = {0};
	assert_ok(buf_put_str(&text, PATH_LINE "References:", &err));
	while (text.len < 10 << 20)
		assert_ok(buf_put_str(&text, " " OTHER, &err));
	AUTO_FREE char *message = path_printf(&err, "it has %zu bytes > max 1048576", text.len);
	assert_int_equal(
		narinfo_parse((const char *)text.data, text.len, HASH, "/nix/store", &info, &err),
		-1);
	assert_err(&err, ERR_LIMIT, message);
}

/* Each one may be by a trusted key, and checking it takes a while. */
static void many_signatures(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_NARINFO info = {0};
	AUTO_BUF text = {0};
	assert_ok(buf_put_str(&text, PATH_LINE URL_LINE NAR_LINES, &err));
	for (int i = 0; i < 64; i++)
		assert_ok(buf_put_str(&text, "Sig: a:1\n", &err));
	assert_ok(parse(buf_str(&text, &err), &info, &err));
	narinfo_done(&info);
	assert_ok(buf_put_str(&text, "Sig: a:1\n", &err));
	assert_int_equal(parse(buf_str(&text, &err), &info, &err), -1);
	assert_err(&err, ERR_LIMIT, "it has more than 64 signatures");
}

static void hashes(void **state)
{
	(void)state;
	/* echo -n | sha256sum, and Nix's other spellings of it (nix hash to-base32, to-sri). */
	static const char *const same[] = {
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
		"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="};
	struct digest empty = digest_of("", 0), digest;
	char text[HASH_TEXT_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_true(hash_text_parse(same[i], strlen(same[i]), &digest));
		assert_true(digest_equal(&digest, &empty));
	}
	assert_string_equal(hash_text_format(&empty, text), same[1]);
	assert_false(hash_text_parse(same[2], strlen(same[2]) - 1, &digest));
	assert_false(hash_text_parse(same[1], strlen(same[1]) - 1, &digest));
	assert_false(hash_text_parse("sha256:", 7, &digest));
	assert_false(hash_text_parse("sha512:", 7, &digest));
	assert_false(hash_text_parse("", 0, &digest));
}

static void cache_infos(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t priority;
		const char *message;
	} cases[] = {
		{"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n", 40, NULL},
		{"StoreDir: /nix/store\n", CACHE_INFO_PRIORITY, NULL},
		{"", CACHE_INFO_PRIORITY, NULL},
		{"Priority: 9999999999\n", UINT32_MAX, NULL},
		{"StoreDir: /gnu/store\n", 0,
			"it is of the store '/gnu/store', not of '/nix/store'"},
		{"Priority: high\n", 0, "Priority 'high' is not a number of bytes"},
		{"<html>", 0, "it has a line without a colon"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		uint32_t priority;
		int r = cache_info_parse(
			cases[i].text, strlen(cases[i].text), "/nix/store", &priority, &err);
		if (cases[i].message != NULL) {
			assert_int_equal(r, -1);
			assert_string_equal(err.msg, cases[i].message);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(priority, cases[i].priority);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_one),
		cmocka_unit_test(a_loose_one),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(ten_megabytes),
		cmocka_unit_test(many_signatures),
		cmocka_unit_test(hashes),
		cmocka_unit_test(cache_infos),
	};
	return TEST_MAIN(tests);
}
