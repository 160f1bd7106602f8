/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "publish/s3.h"

#include <string.h>

#define HEAD \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
	"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>" \
	"<Prefix>p/v1/</Prefix><KeyCount>2</KeyCount>"
#define ENTRY(key, size) \
	"<Contents><Key>" key "</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>" \
	"<ETag>&quot;e&quot;</ETag><Size>" size "</Size><StorageClass>S</StorageClass></Contents>"
#define LAST "<IsTruncated>false</IsTruncated>"
#define TAIL "</ListBucketResult>"

static void reads_pages(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_TARGET_LIST list = {0};
	AUTO_FREE char *token = NULL;
	assert_int_equal(
		s3_list_page(HEAD "<IsTruncated>true</IsTruncated>"
				  "<NextContinuationToken>a&amp;b=/</NextContinuationToken>" ENTRY(
					  "p/v1/b&amp;c", "12") ENTRY("p/v1/a", "0") TAIL,
			"p/", &list, &token, &err),
		1);
	assert_string_equal(token, "a&b=/");
	free(TAKE_PTR(token));
	assert_int_equal(s3_list_page(HEAD LAST ENTRY("p/v1/A", "5368709120") TAIL, "p/", &list,
				 &token, &err),
		0);
	assert_null(token);
	assert_int_equal(s3_list_page(HEAD LAST TAIL, "p/", &list, &token, &err), 0);
	target_list_sort(&list);
	assert_int_equal(list.entries.len, 3);
	assert_int_equal(target_list_find(&list, "v1/b&c")->size, 12);
	assert_int_equal(target_list_find(&list, "v1/a")->size, 0);
	assert_int_equal(target_list_find(&list, "v1/A")->size, 5368709120);
	assert_null(target_list_find(&list, "v1"));
}

static void refuses_what_it_does_not_understand(void **state)
{
	(void)state;
	static const struct {
		const char *xml, *msg;
	} cases[] = {
		{"", "the list of the bucket is none, or is cut off"},
		{"<html>hello</html>", "the list of the bucket is none, or is cut off"},
		{HEAD LAST, "the list of the bucket is none, or is cut off"},
		{HEAD TAIL, "the list of the bucket does not say whether there is more"},
		{HEAD "<IsTruncated>true</IsTruncated>" TAIL,
			"the list of the bucket does not say how to go on"},
		{HEAD LAST "<Contents><Key>p/a</Key></Contents>" TAIL,
			"the list of the bucket has an entry without a key or a size"},
		{HEAD LAST ENTRY("p/a", "") TAIL,
			"the list of the bucket has an entry without a valid size"},
		{HEAD LAST ENTRY("p/a", "12x") TAIL,
			"the list of the bucket has an entry without a valid size"},
		{HEAD LAST ENTRY("other/a", "1") TAIL,
			"the list of the bucket has a key that was not asked for"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO_TARGET_LIST list = {0};
		char *token;
		assert_int_equal(s3_list_page(cases[i].xml, "p/", &list, &token, &err), -1);
		assert_err(&err, ERR_CORRUPT, cases[i].msg);
	}
}

static void every_truncation_fails(void **state)
{
	(void)state;
	static const char full[] = HEAD LAST ENTRY("p/v1/a", "10") TAIL;
	for (size_t len = 0; len + 1 < sizeof(full); len++) {
		struct err err = ERR_INIT;
		AUTO_TARGET_LIST list = {0};
		AUTO_FREE char *cut = strndup(full, len);
		char *token;
		assert_int_equal(s3_list_page(cut, "p/", &list, &token, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
	}
}

static void says_what_the_store_said(void **state)
{
	(void)state;
	AUTO_FREE char *text =
		s3_error_text("<Error><Code>AccessDenied</Code><Message>Access Denied"
			      "</Message></Error>");
	assert_string_equal(text, "AccessDenied: Access Denied");
	AUTO_FREE char *code = s3_error_text("<Error><Code>NoSuchBucket</Code></Error>");
	assert_string_equal(code, "NoSuchBucket");
	assert_null(s3_error_text("<html>502</html>"));
	assert_null(s3_error_text(""));
}

static void escapes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF path = {0}, query = {0};
	assert_ok(s3_escape("v1/a+b=?c d~.-_é", true, &path, &err));
	assert_string_equal(buf_str(&path, &err), "v1/a%2Bb%3D%3Fc%20d~.-_%C3%A9");
	assert_ok(s3_escape("a/b", false, &query, &err));
	assert_string_equal(buf_str(&query, &err), "a%2Fb");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_pages),
		cmocka_unit_test(refuses_what_it_does_not_understand),
		cmocka_unit_test(every_truncation_fails),
		cmocka_unit_test(says_what_the_store_said),
		cmocka_unit_test(escapes),
	};
	return TEST_MAIN(tests);
}
