/* SPDX-License-Identifier: MIT */
#include "acquire/name.h"
#include "test.h"

#include "base/path.h"

#define HASH "0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb"

static const struct name_places nowhere = {.store_root = "/nowhere"};

static void what_a_name_is(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum name_kind kind;
		const char *looked_up, *cache_url;
	} cases[] = {
		{"/nix/store/" HASH "-x", NAME_STORE, HASH "-x", NULL},
		{"/nix/store/" HASH "-x/bin", NAME_FILE, "/nix/store/" HASH "-x/bin", NULL},
		{HASH, NAME_HASH, HASH, NULL},
		{HASH "-nixos-system-a-26.05", NAME_HASH, HASH "-nixos-system-a-26.05", NULL},
		{HASH "x", NAME_FILE, HASH "x", NULL},
		{"e" HASH, NAME_FILE, "e" HASH, NULL},
		{"https://c.example.org/" HASH, NAME_CACHE, HASH, "https://c.example.org/"},
		{"https://c.example.org/a/" HASH ".narinfo", NAME_CACHE, HASH,
			"https://c.example.org/a/"},
		{"file:///srv/cache/" HASH "-x", NAME_CACHE, HASH "-x", "file:///srv/cache/"},
		{"s3://bucket/" HASH "?region=eu-1", NAME_CACHE, HASH, "s3://bucket/?region=eu-1"},
		{".#nixosConfigurations.a", NAME_FLAKE, ".#nixosConfigurations.a", NULL},
		{"none", NAME_FILE, "none", NULL},
		{"./none", NAME_FILE, "./none", NULL},
		{"", NAME_FILE, "", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO_NAME name = {0};
		assert_ok(name_parse(cases[i].text, &nowhere, &name, &err));
		assert_int_equal(name.kind, cases[i].kind);
		assert_string_equal(name.text, cases[i].looked_up);
		if (cases[i].cache_url != NULL)
			assert_string_equal(name.cache_url, cases[i].cache_url);
		else
			assert_null(name.cache_url);
	}
}

static void files_go_first(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_shell("cd '%s' && mkdir expression plain && touch expression/default.nix 'a#b' && "
		   "ln -s expression link && mkdir -p nix/var/nix/profiles/system-profiles && "
		   "ln -s x nix/var/nix/profiles/system && "
		   "ln -s x nix/var/nix/profiles/system-profiles/lab && mkdir own && "
		   "ln -s x own/kiosk && ln -s x own/lab && touch own/system",
		dir);
	AUTO_FREE char *own = path_printf(&err, "%s/own", dir);
	const struct name_places places = {.store_root = dir};
	const struct name_places own_places = {.own = own, .store_root = dir};
	const struct {
		const char *text;
		enum name_kind kind;
	} files[] = {{"expression", NAME_NIX}, {"plain", NAME_FILE}, {"link", NAME_FILE},
		{"a#b", NAME_FILE}};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_NAME name = {0};
		AUTO_FREE char *path = path_printf(&err, "%s/%s", dir, files[i].text);
		assert_ok(name_parse(path, &places, &name, &err));
		assert_int_equal(name.kind, files[i].kind);
		assert_string_equal(name.text, path);
	}
	const struct {
		const struct name_places *places;
		const char *text, *link;
	} profiles[] = {{&places, "system", "nix/var/nix/profiles/system"},
		{&places, "lab", "nix/var/nix/profiles/system-profiles/lab"},
		{&own_places, "kiosk", "own/kiosk"}, {&own_places, "lab", "own/lab"},
		{&own_places, "system", "nix/var/nix/profiles/system"}};
	for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
		AUTO_NAME name = {0};
		AUTO_FREE char *path = path_printf(&err, "%s/%s", dir, profiles[i].link);
		assert_ok(name_parse(profiles[i].text, profiles[i].places, &name, &err));
		assert_int_equal(name.kind, NAME_PROFILE);
		assert_string_equal(name.text, path);
	}
	AUTO_NAME name = {0};
	assert_ok(name_parse("kiosk", &places, &name, &err));
	assert_int_equal(name.kind, NAME_FILE);
}

static void urls_without_a_hash(void **state)
{
	(void)state;
	static const char *const urls[] = {"https://c.example.org", "https://c.example.org/",
		"file:///srv/cache/short", "s3://bucket?region=" HASH};
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct err err = ERR_INIT;
		AUTO_NAME name = {0};
		AUTO_FREE char *message =
			path_printf(&err, "'%s' names no system in a binary cache", urls[i]);
		assert_int_equal(name_parse(urls[i], &nowhere, &name, &err), -1);
		assert_err(&err, ERR_USAGE, message);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_name_is),
		cmocka_unit_test(files_go_first),
		cmocka_unit_test(urls_without_a_hash),
	};
	return TEST_MAIN(tests);
}
