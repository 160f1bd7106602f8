/* SPDX-License-Identifier: MIT */
/* A closure that caches once had, as text: whole again, in pieces, and judged by who is trusted. */
#include "source/caches_parts.h"

#include "test.h"

#include <string.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b"
#define HASH "sha256:0000000000000000000000000000000000000000000000000000"
#define INFO(path, refs) \
	"StorePath: /nix/store/" path "\nURL: nar/x.nar\nCompression: none\nNarHash: " HASH \
	"\nNarSize: 120\nReferences: " refs "\n"
/* What refers to the other stands first, as it is saved. */
#define TEXT INFO(B, A " " B) "\n" INFO(A, "")

static const struct trust anybody = {.anything = true};

static void saved_and_loaded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct cached_closure *cached = NULL, *again = NULL;
	AUTO_BUF text = {0};
	char *path = NULL, *path_again = NULL;
	assert_ok(cached_closure_load(&anybody, TEXT, &cached, &path, &err));
	assert_string_equal(path, "/nix/store/" B);
	const struct closure *closure = cached_closure_get(cached);
	assert_int_equal(closure->len, 2);
	assert_string_equal(closure->items[0].path, "/nix/store/" A);
	assert_int_equal(closure->items[1].ref_count, 2);
	assert_ok(cached_closure_save(cached, path, &text, &err));
	assert_ok(cached_closure_load(&anybody, buf_str(&text, &err), &again, &path_again, &err));
	assert_string_equal(path_again, path);
	assert_int_equal(cached_closure_get(again)->len, 2);
	cached_closure_free(cached);
	cached_closure_free(again);
	free(path);
	free(path_again);
}

static void nobody_is_trusted(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct trust nobody = {0};
	struct cached_closure *cached = NULL;
	char *path = NULL;
	assert_int_equal(cached_closure_load(&nobody, TEXT, &cached, &path, &err), -1);
	assert_err(&err, ERR_UNTRUSTED, "narinfo 'saved': it has no signature");
}

static void what_is_no_closure(void **state)
{
	(void)state;
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"", "a saved closure is empty"},
		{"nonsense", "a saved closure has what is no narinfo"},
		{INFO(A, "") "\n\n", "a saved closure has what is no narinfo"},
		{INFO(B, A),
			"'/nix/store/" B "' refers to '/nix/store/" A
			"', whose hash belongs to another path"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = ERR_INIT;
		struct cached_closure *cached = NULL;
		char *path = NULL;
		assert_int_equal(
			cached_closure_load(&anybody, cases[i].text, &cached, &path, &err), -1);
		assert_err(&err, ERR_CORRUPT, cases[i].message);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saved_and_loaded),
		cmocka_unit_test(nobody_is_trusted),
		cmocka_unit_test(what_is_no_closure),
	};
	return TEST_MAIN(tests);
}
