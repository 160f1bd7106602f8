/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/mem.h"
#include "stage1/init.h"

/* A root with two systems; links in it are absolute, as they are in a store. */
static const char *make_root(void)
{
	const char *root = test_tmpdir();
	test_shell(
		"cd %s && mkdir -p nix/store/a/specialisation nix/store/b nix/profiles bin && "
		"printf '#! /bin/sh -e\\n' > nix/store/a/init && cp nix/store/a/init nix/store/b/ "
		"&& "
		"printf '#!/gone/sh\\n' > nix/store/b/orphan && touch nix/store/b/data bin/sh && "
		"chmod 755 nix/store/*/init nix/store/b/orphan bin/sh && "
		"ln -s /nix/store/a nix/profiles/system && "
		"ln -s /nix/store/b nix/store/a/specialisation/quiet && mkdir -p nix/store/c && "
		"cp nix/store/a/init nix/store/c/ && mkdir -p nix/store/d nix/store/e && "
		"printf '\\177ELF' > nix/store/d/init && cp nix/store/d/init nix/store/e/ && "
		"cp nix/store/a/init nix/store/e/prepare-root && "
		"chmod 755 nix/store/d/init nix/store/e/init nix/store/e/prepare-root && "
		"ln -s /nix/store/d nix/store/a/specialisation/elf && "
		"ln -s /nix/store/e nix/store/a/specialisation/systemd",
		root);
	return root;
}

static void finds(void **state)
{
	(void)state;
	const char *root = make_root();
	char system[] = "/nix/store/a";
	struct plan plan = {.kind = SYSTEM_SCRIPTED, .system = system};
	static const struct {
		const char *line, *system;
	} cases[] = {
		{"init=/nix/store/a/init", "/nix/store/a"},
		{"init=/nix/profiles/system/init", "/nix/store/a"},
		{"init=/nix/store/b/init", "/nix/store/b"},
		{"init=/nix/store/a/specialisation/quiet/init", "/nix/store/b"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO(cmdline_done) struct cmdline cmdline = {0};
		AUTO(init_done) struct init init = {0};
		assert_ok(cmdline_parse(cases[i].line, &cmdline, &err));
		assert_ok(init_find(&plan, &cmdline, root, &init, &err));
		assert_string_equal(init.system, cases[i].system);
		assert_string_equal(init.path, cases[i].line + 5);
	}
}

static void refuses(void **state)
{
	(void)state;
	const char *root = make_root();
	char system[] = "/nix/store/a";
	struct plan plan = {.kind = SYSTEM_SCRIPTED, .system = system};
	static const struct {
		const char *line;
		enum err_kind kind;
		const char *msg;
	} cases[] = {
		{"quiet", ERR_USAGE, "the kernel command line has 0 'init=', not one"},
		{"init=/a init=/b", ERR_USAGE, "the kernel command line has 2 'init=', not one"},
		{"init=init", ERR_USAGE, "'init=init' is not an absolute path"},
		{"init=/nix/store/a/gone", ERR_NOT_FOUND,
			"cannot hand over to init: '/nix/store/a/gone' does not exist in the "
			"image"},
		{"init=/nix/store/b/data", ERR_IO,
			"cannot hand over to init: '/nix/store/b/data' is not an executable file"},
		{"init=/nix/store/b/orphan", ERR_NOT_FOUND,
			"cannot hand over to init: the interpreter of '/nix/store/b/orphan': "
			"cannot open '/gone/sh': No such file or directory"},
		{"init=/nix/store/c/init", ERR_USAGE,
			"'init=/nix/store/c/init' belongs neither to '/nix/store/a' nor to one of "
			"its specialisations"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		AUTO(cmdline_done) struct cmdline cmdline = {0};
		struct init init;
		assert_ok(cmdline_parse(cases[i].line, &cmdline, &err));
		assert_int_equal(init_find(&plan, &cmdline, root, &init, &err), -1);
		assert_err(&err, cases[i].kind, cases[i].msg);
	}
}

/* Of another kind, a specialisation would run without being activated. */
static void specialisation_of_another_kind(void **state)
{
	(void)state;
	const char *root = make_root();
	char system[] = "/nix/store/a";
	static const struct {
		enum system_kind kind;
		const char *name, *msg; /* NULL: taken */
		bool has_etc;
	} cases[] = {
		{SYSTEM_SCRIPTED, "elf",
			"'init=/nix/store/a/specialisation/elf/init' is a specialisation of kind "
			"nixos-init, and the plan is for kind scripted",
			false},
		{SYSTEM_SCRIPTED, "systemd",
			"'init=/nix/store/a/specialisation/systemd/init' is a specialisation of "
			"kind systemd, and the plan is for kind scripted",
			false},
		{SYSTEM_SYSTEMD, "quiet",
			"'init=/nix/store/a/specialisation/quiet/init' is a specialisation of kind "
			"scripted, and the plan is for kind systemd",
			false},
		{SYSTEM_SYSTEMD, "systemd", NULL, false},
		{SYSTEM_SYSTEMD, "systemd",
			"'init=/nix/store/a/specialisation/systemd/init' is a specialisation, and "
			"the plan describes '/nix/store/a'",
			true},
		{SYSTEM_NIXOS_INIT, "elf",
			"'init=/nix/store/a/specialisation/elf/init' is a specialisation, and the "
			"plan describes '/nix/store/a'",
			false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		char image[] = "/nix/store/e/image";
		struct plan plan = {.kind = cases[i].kind,
			.system = system,
			.etc_metadata_image = cases[i].has_etc ? image : NULL};
		char line[128];
		AUTO(cmdline_done) struct cmdline cmdline = {0};
		AUTO(init_done) struct init init = {0};
		snprintf(line, sizeof(line), "init=/nix/store/a/specialisation/%s/init",
			cases[i].name);
		assert_ok(cmdline_parse(line, &cmdline, &err));
		int r = init_find(&plan, &cmdline, root, &init, &err);
		if (cases[i].msg == NULL) {
			assert_ok(r);
			continue;
		}
		assert_int_equal(r, -1);
		assert_string_equal(err.hint, "serve the specialisation as a system of its own");
		assert_err(&err, ERR_UNSUPPORTED, cases[i].msg);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds),
		cmocka_unit_test(refuses),
		cmocka_unit_test(specialisation_of_another_kind),
	};
	return TEST_MAIN(tests);
}
