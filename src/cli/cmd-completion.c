/* SPDX-License-Identifier: MIT */
/*
 * `snowboot completion`: shell completion generated from the command table, so that it cannot
 * drift. Each shell gets a small fixed function and one generated list: for every command its
 * options, what their values can be, and its operands.
 */
#include "base/mem.h"
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

/* What the word list of a `values` field is in shell code; "@system" are the links users have at
 * hand. */
static void put_values(const char *values)
{
	if (values == NULL)
		return;
	if (strcmp(values, "@system") == 0)
		fputs("@file /run/current-system /nix/var/nix/profiles/system", stdout);
	else
		fputs(values, stdout);
}

static void put_option_list(const struct cli_option *options)
{
	for (const struct cli_option *o = options; o != NULL && o->long_name != NULL; o++)
		printf(" --%s", o->long_name);
}

/* Lines "command|option|values", "command||operands", "command|*|all options" for the shell code to
 * look up. */
static void put_table(void)
{
	for (const struct command *const *c = commands; *c != NULL; c++) {
		printf("%s|*|", (*c)->name);
		put_option_list((*c)->options);
		put_option_list(cli_common_options);
		printf("\n%s||", (*c)->name);
		put_values((*c)->operand_values);
		putchar('\n');
		for (const struct cli_option *o = (*c)->options; o != NULL && o->long_name != NULL;
			o++) {
			if (o->arg == NULL)
				continue;
			printf("%s|--%s|", (*c)->name, o->long_name);
			put_values(o->values);
			putchar('\n');
			if (o->short_name == 0)
				continue;
			printf("%s|-%c|", (*c)->name, o->short_name);
			put_values(o->values);
			putchar('\n');
		}
	}
}

static const char bash_head[] =
	"# bash completion for snowboot: eval \"$(snowboot completion bash)\"\n"
	"_snowboot_table=$(cat <<'TABLE'\n";

static const char bash_tail[] =
	"TABLE\n"
	")\n"
	"_snowboot_lookup() {\n"
	"	local c o v\n"
	"	while IFS='|' read -r c o v; do\n"
	"		[ \"$c\" = \"$1\" ] && [ \"$o\" = \"$2\" ] && printf '%s\\n' \"$v\" && "
	"return 0\n"
	"	done <<<\"$_snowboot_table\"\n"
	"	return 1\n"
	"}\n"
	"_snowboot_names() { local c o v; while IFS='|' read -r c o v; do\n"
	"	[ \"$o\" = '*' ] && printf '%s\\n' \"$c\"; done <<<\"$_snowboot_table\"; }\n"
	"_snowboot() {\n"
	"	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command "
	"values\n"
	"	COMPREPLY=()\n"
	"	command=${COMP_WORDS[1]}\n"
	"	_snowboot_lookup \"$command\" '*' >/dev/null || command=\"$command "
	"${COMP_WORDS[2]}\"\n"
	"	if [ \"$COMP_CWORD\" = 1 ]; then\n"
	"		values=\"$(_snowboot_names | cut -d' ' -f1 | sort -u) --help --version\"\n"
	"	elif [ \"$COMP_CWORD\" = 2 ] && ! _snowboot_lookup \"${COMP_WORDS[1]}\" '*' "
	">/dev/null; then\n"
	"		values=$(_snowboot_names | sed -n \"s/^${COMP_WORDS[1]} //p\")\n"
	"	elif [[ $prev == -* ]] && values=$(_snowboot_lookup \"$command\" \"$prev\"); "
	"then\n"
	"		:\n"
	"	elif [[ $cur == -* ]]; then\n"
	"		values=$(_snowboot_lookup \"$command\" '*')\n"
	"	else\n"
	"		values=$(_snowboot_lookup \"$command\" '')\n"
	"	fi\n"
	"	local word\n"
	"	while read -r word; do COMPREPLY+=(\"$word\"); done < <(\n"
	"		case $values in\n"
	"		*@dir*) compgen -d -- \"$cur\" ;;\n"
	"		*@file*) compgen -f -- \"$cur\" ;;\n"
	"		esac\n"
	"		values=${values//@dir/} values=${values//@file/}\n"
	"		compgen -W \"$values\" -- \"$cur\"\n"
	"	)\n"
	"}\n"
	"complete -o filenames -F _snowboot snowboot\n";

/* zsh runs bash's completion functions itself. */
static const char zsh_head[] =
	"# zsh completion for snowboot: eval \"$(snowboot completion zsh)\"\n"
	"autoload -U +X compinit && compinit\n"
	"autoload -U +X bashcompinit && bashcompinit\n";

static void put_bash(void)
{
	fputs(bash_head, stdout);
	put_table();
	fputs(bash_tail, stdout);
}

/* Text in single quotes, as fish reads it. */
static void put_quoted(const char *text)
{
	putchar('\'');
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\'' || *p == '\\')
			putchar('\\');
		putchar(*p);
	}
	putchar('\'');
}

/* In fish every completion is a command of its own. */
static void put_fish_options(const char *seen, const struct cli_option *options)
{
	for (const struct cli_option *o = options; o != NULL && o->long_name != NULL; o++) {
		printf("complete -c snowboot -n '%s' -l %s", seen, o->long_name);
		if (o->short_name != 0)
			printf(" -s %c", o->short_name);
		bool files = o->values != NULL && o->values[0] == '@';
		if (o->arg != NULL)
			fputs(files ? " -rF" : " -x", stdout);
		if (o->arg != NULL && o->values != NULL && !files)
			printf(" -a '%s'", o->values);
		fputs(" -d ", stdout);
		put_quoted(o->help);
		putchar('\n');
	}
}

static void put_fish(void)
{
	puts("# fish completion for snowboot: snowboot completion fish | source");
	puts("complete -c snowboot -f -n __fish_use_subcommand -l help -l version");
	for (const struct command *const *c = commands; *c != NULL; c++) {
		char first[64], seen[160];
		const char *space = strchr((*c)->name, ' ');
		int len = space != NULL ? (int)(space - (*c)->name) : (int)strlen((*c)->name);
		snprintf(first, sizeof(first), "%.*s", len, (*c)->name);
		snprintf(seen, sizeof(seen), "__fish_seen_subcommand_from %s%s%s", first,
			space != NULL ? "; and __fish_seen_subcommand_from " : "",
			space != NULL ? space + 1 : "");
		printf("complete -c snowboot -f -n __fish_use_subcommand -a %s -d ", first);
		put_quoted(space != NULL ? "" : (*c)->summary);
		if (space != NULL) {
			printf("\ncomplete -c snowboot -f -n '__fish_seen_subcommand_from %s' "
			       "-a %s -d ",
				first, space + 1);
			put_quoted((*c)->summary);
		}
		putchar('\n');
		if ((*c)->operand_values != NULL)
			printf("complete -c snowboot -n '%s' -F\n", seen);
		put_fish_options(seen, (*c)->options);
		put_fish_options(seen, cli_common_options);
	}
}

static int run(const struct cli_args *args, struct err *err)
{
	const char *shell = args->operands.items[0];
	if (strcmp(shell, "bash") == 0) {
		put_bash();
	} else if (strcmp(shell, "zsh") == 0) {
		fputs(zsh_head, stdout);
		put_bash();
	} else if (strcmp(shell, "fish") == 0) {
		put_fish();
	} else {
		err_raise(err, ERR_USAGE, "no completion for the shell '%s'", shell);
		return err_hint(err, "there is one for bash, zsh and fish");
	}
	return 0;
}

const struct command cmd_completion = {
	.name = "completion",
	.synopsis = "SHELL",
	.summary = "print the completion code for a shell",
	.description = "Prints code that makes SHELL (bash, zsh or fish) complete the commands and "
		       "options of snowboot.",
	.min_operands = 1,
	.max_operands = 1,
	.operand_values = "bash zsh fish",
	.run = run,
};
