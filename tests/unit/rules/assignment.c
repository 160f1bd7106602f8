/* SPDX-License-Identifier: MIT */
/* Directories made by hand beside a store with two systems, one of which has a specialisation. */
#include "rules/assignment.h"

#include "base/path.h"
#include "rules/once.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define STORE "/nix/store/" HASH
#define ONE STORE "-one"
#define TWO STORE "-two"
#define MAC "aa:bb:cc:dd:ee:01"

static const struct identity machine = {.text = {[IDENTITY_MAC] = MAC, [IDENTITY_SERIAL] = "S7"}};

/* The directory, below a root with its store; `commands` fill it. */
static struct rules make(const char *commands)
{
	static char dir[2][4096], real[2][4096], state_dir[2][4096];
	static int turn;
	const char *root = test_tmpdir();
	turn = !turn;
	snprintf(dir[turn], sizeof(dir[turn]), "%s/machines", root);
	snprintf(real[turn], sizeof(real[turn]), "%s/store", root);
	snprintf(state_dir[turn], sizeof(state_dir[turn]), "%s/state", root);
	test_shell("set -e; cd '%s'; mkdir -p store/" HASH "-one/specialisation store/" HASH
		   "-two store/" HASH "-special machines state;"
		   "ln -s " STORE "-special store/" HASH "-one/specialisation/rescue;"
		   "cd machines; %s",
		root, commands);
	return (struct rules){
		.dir = dir[turn], .real_store = real[turn], .state_dir = state_dir[turn]};
}

static void assert_candidate(
	const struct assignment *a, size_t i, enum standing standing, const char *why)
{
	assert_true(i < a->candidates.len);
	assert_string_equal(a->candidates.items[i].why, why);
	assert_int_equal(a->candidates.items[i].standing, standing);
}

static void the_address_comes_first(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_ASSIGNMENT a = {0};
	struct rules rules = make("ln -s " ONE " " MAC "; ln -s " TWO " serial-s7;"
				  "ln -s " TWO " default");
	rules.fallback = TWO;
	assert_ok(assignment_decide(&rules, &machine, &a, &err));
	assert_true(a.found);
	assert_string_equal(a.entry, MAC);
	assert_string_equal(a.toplevel, ONE);
	assert_int_equal(a.candidates.len, 4);
	assert_candidate(&a, 0, STANDING_WINS, "the machine's mac is '" MAC "'");
	assert_candidate(&a, 1, STANDING_BEATEN, "'" MAC "' comes before it");
	assert_candidate(&a, 2, STANDING_BEATEN, "'" MAC "' comes before it");
	assert_candidate(&a, 3, STANDING_BEATEN, "'" MAC "' comes before it");
	assert_null(a.candidates.items[3].entry);
}

static void who_has_none_gets_the_default(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct rules rules = make("ln -s " ONE " aa:bb:cc:dd:ee:02; ln -s " TWO " default");
	AUTO_ASSIGNMENT a = {0}, b = {0}, c = {0};
	assert_ok(assignment_decide(&rules, &machine, &a, &err));
	assert_string_equal(a.toplevel, TWO);
	assert_candidate(
		&a, 0, STANDING_WINS, "it is for every machine without an entry of its own");
	rules = make("true");
	assert_ok(assignment_decide(&rules, &machine, &b, &err));
	assert_false(b.found);
	assert_int_equal(b.candidates.len, 0);
	rules.dir = NULL;
	rules.fallback = ONE;
	assert_ok(assignment_decide(&rules, &machine, &c, &err));
	assert_string_equal(c.toplevel, ONE);
	assert_null(c.entry);
	assert_candidate(&c, 0, STANDING_WINS, "it is the server's first SYSTEM");
}

static void files_and_specialisations(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_ASSIGNMENT a = {0};
	const struct rules rules = make(
		"ln -s " ONE " ../profile; echo '{\"system\": \"../profile\", \"specialisation\": "
		"\"rescue\", \"kernel-params\": [\"quiet\"]}' >" MAC ".json");
	assert_ok(assignment_decide(&rules, &machine, &a, &err));
	assert_string_equal(a.failure.msg, "");
	assert_string_equal(a.toplevel, STORE "-special");
	assert_string_equal(a.rule.params, "quiet");
}

/* What is broken is told, and nothing else is booted instead. */
static void broken_entries_win(void **state)
{
	(void)state;
	static const struct {
		const char *commands, *message;
		enum err_kind kind;
	} rows[] = {
		{"printf '{\\n\"system\":\\n}' >" MAC,
			"machine file '%s/" MAC "': line 3: unexpected token near '}'",
			ERR_CORRUPT},
		{"ln -s " STORE "-gone " MAC,
			"machine entry '%s/" MAC "': '%1$s/" MAC "' leads to '" STORE
			"-gone', which does not exist",
			ERR_NOT_FOUND},
		{"echo '{\"system\": \"" TWO "\", \"specialisation\": \"x\"}' >" MAC,
			"machine entry '%s/" MAC "': the system '" TWO
			"' has no specialisation 'x'",
			ERR_NOT_FOUND},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		AUTO_ASSIGNMENT a = {0};
		char commands[512], want[8192] = "";
		snprintf(commands, sizeof(commands), "%s; ln -s " TWO " default", rows[i].commands);
		struct rules rules = make(commands);
		const char *rest = rows[i].message;
		for (const char *p; (p = strchr(rest, '%')) != NULL; rest = strchr(p, 's') + 1)
			snprintf(want + strlen(want), sizeof(want) - strlen(want), "%.*s%s",
				(int)(p - rest), rest, rules.dir);
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s", rest);
		assert_ok(assignment_decide(&rules, &machine, &a, &err));
		assert_string_equal(a.entry, MAC);
		assert_null(a.toplevel);
		assert_err(&a.failure, rows[i].kind, want);
		assert_int_equal(a.candidates.items[1].standing, STANDING_BEATEN);
	}
}

static void once_until_it_came_up(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct rules rules =
		make("echo '{\"system\": \"" ONE "\", \"once\": true}' >" MAC ".json;"
		     "touch -d @1000 " MAC ".json; ln -s " TWO " default");
	AUTO_ASSIGNMENT a = {0}, b = {0}, c = {0}, d = {0};
	size_t count;
	assert_ok(assignment_decide(&rules, &machine, &a, &err));
	assert_string_equal(a.toplevel, ONE);
	assert_ok(assignment_give(&rules, &a, &err));
	assert_ok(assignment_decide(&rules, &machine, &b, &err));
	assert_string_equal(b.toplevel, ONE);
	assert_ok(once_came_up(rules.state_dir, MAC, HASH "-one", 0, &count, &err));
	assert_int_equal(count, 1);
	assert_ok(assignment_decide(&rules, &machine, &c, &err));
	assert_string_equal(c.toplevel, TWO);
	assert_candidate(
		&c, 0, STANDING_USED_UP, "the machine came up with it on 1970-01-01 00:00:00 UTC");
	test_shell("touch -d @1001 '%s/" MAC ".json'", rules.dir);
	assert_ok(assignment_decide(&rules, &machine, &d, &err));
	assert_string_equal(d.toplevel, ONE);
}

static void once_for_nobody(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_ASSIGNMENT a = {0};
	const struct identity nobody = {0};
	struct rules rules = make("echo '{\"system\": \"" ONE "\", \"once\": true}' >default");
	rules.fallback = TWO;
	assert_ok(assignment_decide(&rules, &nobody, &a, &err));
	assert_string_equal(a.toplevel, TWO);
	assert_candidate(&a, 0, STANDING_UNKNOWN,
		"it is for once, and nothing is known of the machine that it could be remembered "
		"by");
}

static int collect(const struct assignment *a, void *data, struct err *err)
{
	struct strvec *lines = data;
	AUTO_FREE char *line = path_printf(err, "%s %s", a->entry,
		a->toplevel != NULL                  ? a->toplevel
			: a->elsewhere               ? a->rule.system
			: a->failure.hint[0] != '\0' ? "hint"
						     : "-");
	return line == NULL ? -1 : strvec_push(lines, line, err);
}

static void all_entries(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_STRVEC lines = {0};
	const struct rules rules =
		make("ln -s " ONE " " MAC "; ln -s " TWO " default; touch README;"
		     "ln -s /gone serial-7; echo '{\"system\": \"" ONE
		     "\", \"specialisation\": \"rescue\"}' >asset-9.json");
	assert_ok(assignment_each(&rules, collect, &lines, &err));
	strvec_sort(&lines);
	assert_int_equal(lines.len, 4);
	assert_string_equal(lines.items[0], MAC " " ONE);
	assert_string_equal(lines.items[1], "asset-9.json " STORE "-special");
	assert_string_equal(lines.items[2], "default " TWO);
	assert_string_equal(lines.items[3], "serial-7 -");
}

/* "URL…" lies elsewhere, "kiosk" is a profile's name; all else is a path. */
static int find_link(void *data, const char *system, char **ret_path, struct err *err)
{
	(void)err;
	if (strncmp(system, "https://", 8) == 0)
		return 0;
	*ret_path = strdup(strcmp(system, "kiosk") == 0 ? data : system);
	return 1;
}

static void systems_elsewhere(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_ASSIGNMENT a = {0}, again = {0}, named = {0}, beside = {0};
	static const char text[] = "{\"system\": \"https://c/x\", \"specialisation\": \"rescue\"}";
	struct rules rules = make("ln -s " TWO " two; echo '{\"system\": \"kiosk\"}' >serial-s7;"
				  "echo '{\"system\": \"two\"}' >serial-s8");
	rules.find_link = find_link;
	rules.data = (void *)ONE;
	rules.fallback = "https://c/y";
	test_write(rules.dir, MAC ".json", text, strlen(text));
	assert_ok(assignment_decide(&rules, &machine, &a, &err));
	assert_true(a.found && a.elsewhere && err_clean(&a.failure));
	assert_string_equal(a.rule.system, "https://c/x");
	assert_string_equal(a.rule.specialisation, "rescue");
	assert_null(a.toplevel);
	assert_ok(assignment_fetched(&a, STORE "-special", &err));
	assert_string_equal(a.toplevel, STORE "-special");

	const struct identity other = {.text = {[IDENTITY_MAC] = "aa:bb:cc:dd:ee:02"}};
	assert_ok(assignment_decide(&rules, &other, &again, &err));
	assert_true(again.found && again.elsewhere);
	assert_string_equal(again.rule.system, "https://c/y");

	const struct identity by_name = {.text = {[IDENTITY_SERIAL] = "S7"}};
	assert_ok(assignment_decide(&rules, &by_name, &named, &err));
	assert_true(err_clean(&named.failure));
	assert_false(named.elsewhere);
	assert_string_equal(named.toplevel, ONE);

	const struct identity by_path = {.text = {[IDENTITY_SERIAL] = "S8"}};
	assert_ok(assignment_decide(&rules, &by_path, &beside, &err));
	assert_true(err_clean(&beside.failure));
	assert_string_equal(beside.toplevel, TWO);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_address_comes_first),
		cmocka_unit_test(who_has_none_gets_the_default),
		cmocka_unit_test(files_and_specialisations),
		cmocka_unit_test(broken_entries_win),
		cmocka_unit_test(once_until_it_came_up),
		cmocka_unit_test(once_for_nobody),
		cmocka_unit_test(all_entries),
		cmocka_unit_test(systems_elsewhere),
	};
	return TEST_MAIN(tests);
}
