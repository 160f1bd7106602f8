/* SPDX-License-Identifier: MIT */
/*
 * The program `snowboot`: finds the command, runs it, renders its failure. Exit status 0: success,
 * 1: failure, 2: wrong usage, as git and systemd have it.
 */
#include "base/log.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/progress.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void render_json(const struct err *err)
{
	json_t *object = json_pack("{s:s, s:s, s:s}", "error", err->msg, "kind",
		err_kind_name(err->kind), "hint", err->hint);
	if (object != NULL)
		json_dumpf(object, stderr, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(object);
	fputc('\n', stderr);
}

static void render(const struct err *err, bool json)
{
	if (json) {
		render_json(err);
		return;
	}
	fprintf(stderr, "snowboot: %s\n", err->msg);
	if (err->hint[0] != '\0')
		fprintf(stderr, "hint: %s\n", err->hint);
}

/* Asked before anything is parsed, since parsing is what may fail. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--json") == 0)
			return true;
	return false;
}

/* Matches "pool add" against two words; sets how many words the name took. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
	for (const struct command *const *c = commands; *c != NULL; c++) {
		const char *space = strchr((*c)->name, ' ');
		if (space == NULL && strcmp((*c)->name, argv[0]) == 0)
			return *ret_words = 1, *c;
		if (space == NULL || argc < 2)
			continue;
		size_t len = (size_t)(space - (*c)->name);
		if (strlen(argv[0]) == len && strncmp((*c)->name, argv[0], len) == 0 &&
			strcmp(space + 1, argv[1]) == 0)
			return *ret_words = 2, *c;
	}
	return NULL;
}

/* "snowboot pool --help" */
static bool wants_group(int argc, char **argv)
{
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

static int run(int argc, char **argv, struct err *err)
{
	if (argc == 0) {
		help_all(stderr);
		err_raise(err, ERR_USAGE, "no command given");
		return err_hint(err, "see 'snowboot --help'");
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
		return help_all(stdout), 0;
	if (strcmp(argv[0], "--version") == 0)
		return printf("snowboot %s\n", SNOWBOOT_VERSION), 0;
	int words;
	const struct command *command = find_command(argc, argv, &words);
	if (command == NULL)
		return wants_group(argc, argv) && help_group(stdout, argv[0])
			? 0
			: help_unknown(argc, argv, err);
	AUTO(cli_args_done) struct cli_args args = {0};
	if (cli_parse(command, argc - words, argv + words, &args, err) < 0)
		return -1;
	if (cli_flag(&args, "help"))
		return help_command(stdout, command), 0;
	log_setup(args.quiet           ? LOG_LEVEL_WARNING
			: args.verbose ? LOG_LEVEL_DEBUG
				       : LOG_LEVEL_INFO,
		NULL, NULL);
	struct progress_view view;
	progress_view_init(&view, progress_style_for(stderr, args.quiet, args.json), stderr);
	args.progress = &view.base;
	return command->run(&args, err);
}

int main(int argc, char **argv)
{
	/* A reader that goes away is a failed write, reported as such, not a silent death. */
	signal(SIGPIPE, SIG_IGN);
	struct err err = ERR_INIT;
	int r = run(argc - 1, argv + 1, &err);
	if (fflush(stdout) != 0 && r == 0)
		r = err_sys(&err, "cannot write to standard output");
	if (r == 0)
		return 0;
	render(&err, wants_json(argc, argv));
	return err.kind == ERR_USAGE ? 2 : 1;
}
