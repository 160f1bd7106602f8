/* SPDX-License-Identifier: MIT */
/* Help texts from the command table, and "did you mean". */
#include "cli/help.h"

#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

#define COLUMNS 80
#define LEFT 31 /* where what an option does stands */

/* What every command that takes a SYSTEM takes for one. */
static void put_system(FILE *out)
{
	fputs("\nSYSTEM is a system package:\n"
	      "  /nix/store/HASH-NAME     a store path, or a link to one: result, a profile,\n"
	      "                           a generation link, /run/current-system\n"
	      "  NAME                     a profile in /nix/var/nix/profiles\n"
	      "  HASH, HASH-NAME          a store path here, or in a binary cache (--cache)\n"
	      "  URL/HASH                 in that cache: https, http, file:///DIR, s3://BUCKET\n"
	      "  FLAKE#ATTR, DIR          built by Nix; DIR has a default.nix\n"
	      "snowboot-sources(7) says more.\n",
		out);
}

void help_all(FILE *out)
{
	fputs("snowboot: boot a NixOS system package any way there is\n\n"
	      "Usage: snowboot COMMAND [ARGUMENTS...]\n\nCommands:\n",
		out);
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(out, "  %-16s %s\n", (*c)->name, (*c)->summary);
	put_system(out);
	fputs("\nSee 'snowboot COMMAND --help' and the man page snowboot-COMMAND(1).\n", out);
}

/* Text in lines of 80 columns that begin behind `indent` blanks; the first one begins where we are.
 */
static void put_text(FILE *out, const char *text, size_t indent)
{
	size_t column = indent;
	for (const char *word = text; *word != '\0';) {
		size_t len = strcspn(word, " \n");
		if (column > indent && column + 1 + len > COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)len, word);
		column += len;
		word += len;
		word += strspn(word, " \n");
	}
	fputc('\n', out);
}

static void put_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *o = options; o != NULL && o->long_name != NULL; o++) {
		char left[64];
		int len = snprintf(left, sizeof(left), "%c%c%c --%s%s%s",
			o->short_name != 0 ? '-' : ' ', o->short_name != 0 ? o->short_name : ' ',
			o->short_name != 0 ? ',' : ' ', o->long_name, o->arg != NULL ? " " : "",
			o->arg != NULL ? o->arg : "");
		if (len > LEFT - 3)
			fprintf(out, "  %s\n%*s", left, LEFT, "");
		else
			fprintf(out, "  %-*s ", LEFT - 3, left);
		put_text(out, o->help, LEFT);
	}
}

void help_command(FILE *out, const struct command *command)
{
	fprintf(out, "Usage: snowboot %s [OPTIONS]%s%s\n\n", command->name,
		command->synopsis[0] != '\0' ? " " : "", command->synopsis);
	put_text(out, command->description, 0);
	fputs("\nOptions:\n", out);
	put_options(out, command->options);
	put_options(out, cli_common_options);
	if (strstr(command->synopsis, "SYSTEM") != NULL)
		put_system(out);
}

/* Levenshtein distance, good for the short words that commands are. */
static size_t distance(const char *a, const char *b)
{
	size_t len = strlen(b), row[64];
	if (len >= ARRAY_LEN(row))
		return len;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		size_t corner = row[0];
		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t best = corner + (a[i - 1] != b[j - 1]);
			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[len];
}

/* What stands behind `group` in a command's name; NULL: it is not of that group. */
static const char *in_group(const struct command *command, const char *group)
{
	size_t len = strlen(group);
	bool is = strncmp(command->name, group, len) == 0 && command->name[len] == ' ';
	return is ? command->name + len + 1 : NULL;
}

static bool is_group(const char *word)
{
	for (const struct command *const *c = commands; *c != NULL; c++)
		if (in_group(*c, word) != NULL)
			return true;
	return false;
}

bool help_group(FILE *out, const char *group)
{
	if (!is_group(group))
		return false;
	fprintf(out, "Usage: snowboot %s COMMAND [ARGUMENTS...]\n\nCommands:\n", group);
	for (const struct command *const *c = commands; *c != NULL; c++)
		if (in_group(*c, group) != NULL)
			fprintf(out, "  %-16s %s\n", (*c)->name, (*c)->summary);
	fprintf(out, "\nSee 'snowboot %s COMMAND --help'.\n", group);
	return true;
}

/* "'snowboot pool' has add, stat, verify, gc" */
static int hint_group(const char *group, struct err *err)
{
	char list[128] = "";
	for (const struct command *const *c = commands; *c != NULL; c++) {
		const char *word = in_group(*c, group);
		size_t len = strlen(list);
		if (word != NULL)
			snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? ", " : "", word);
	}
	return err_hint(err, "'snowboot %s' has %s", group, list);
}

int help_unknown(int argc, char **argv, struct err *err)
{
	char name[128];
	bool group = is_group(argv[0]);
	if (group && argc < 2) {
		err_raise(err, ERR_USAGE, "'snowboot %s' needs a command of its group", argv[0]);
		return hint_group(argv[0], err);
	}
	if (group)
		snprintf(name, sizeof(name), "%s %s", argv[0], argv[1]);
	else
		snprintf(name, sizeof(name), "%s", argv[0]);
	err_raise(err, ERR_USAGE, "unknown command '%s'", name);
	if (group)
		return hint_group(argv[0], err);
	const struct command *nearest = NULL;
	size_t best = 4;
	for (const struct command *const *c = commands; *c != NULL; c++) {
		size_t d = distance(name, (*c)->name);
		if (d < best) {
			best = d;
			nearest = *c;
		}
	}
	if (nearest != NULL)
		return err_hint(err, "did you mean 'snowboot %s'?", nearest->name);
	return err_hint(err, "see 'snowboot --help'");
}
