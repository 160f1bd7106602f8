/* SPDX-License-Identifier: MIT */
#include "serve/hydra.h"

#include "base/mem.h"
#include "test.h"

#include <string.h>

#define PATH "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-nixos-system-x"

static void assert_refused(const char *json, const char *message)
{
	struct err err = ERR_INIT;
	char *path = NULL;
	assert_int_equal(hydra_parse(json, strlen(json), &path, &err), -1);
	assert_err(&err, ERR_CORRUPT, message);
	assert_null(path);
}

static void an_answer(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_FREE char *path = NULL;
	static const char json[] =
		"{\"id\": 7, \"buildoutputs\": {\"out\": {\"path\": \"" PATH "\"}}}";
	assert_ok(hydra_parse(json, strlen(json), &path, &err));
	assert_string_equal(path, PATH);
}

static void other_answers(void **state)
{
	(void)state;
	assert_refused("<html>", "the answer is no JSON: line 1");
	assert_refused("{}", "the build has no output 'out'");
	assert_refused(
		"{\"buildoutputs\": {\"out\": {\"path\": 1}}}", "the build has no output 'out'");
	assert_refused("{\"buildoutputs\": {\"out\": {\"path\": \"/etc/passwd\"}}}",
		"'/etc/passwd' is not a store path");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer),
		cmocka_unit_test(other_answers),
	};
	return TEST_MAIN(tests);
}
