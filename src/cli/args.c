/* SPDX-License-Identifier: MIT */
/*
 * Command lines by table: what getopt_long() would do, but with the words of our own tables in
 * every message. Options and operands mix; "--" ends the options.
 */
#include "cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct cli_option cli_common_options[] = {
	{'h', "help", NULL, "show this help"},
	{'q', "quiet", NULL, "no progress, warnings and errors only"},
	{'v', "verbose", NULL, "say more of what is done"},
	{0, "json", NULL, "for machines: results and progress as JSON lines"},
	{0},
};

static const struct cli_option *find_in(
	const struct cli_option *options, const char *name, size_t len, char short_name)
{
	for (const struct cli_option *o = options; o != NULL && o->long_name != NULL; o++) {
		if (name != NULL && strlen(o->long_name) == len &&
			strncmp(o->long_name, name, len) == 0)
			return o;
		if (name == NULL && o->short_name == short_name)
			return o;
	}
	return NULL;
}

static const struct cli_option *find(
	const struct command *command, const char *name, size_t len, char short_name)
{
	const struct cli_option *o = find_in(command->options, name, len, short_name);
	return o != NULL ? o : find_in(cli_common_options, name, len, short_name);
}

static int keep(
	struct cli_args *args, const struct cli_option *o, const char *value, struct err *err)
{
	if (strvec_push(&args->option_names, o->long_name, err) < 0)
		return -1;
	return strvec_push(&args->option_values, value != NULL ? value : "", err);
}

static int usage_hint(const struct command *command, struct err *err)
{
	return err_hint(err, "see 'snowboot %s --help'", command->name);
}

/* Handles argv[*i], which begins with "--". */
static int parse_long(struct cli_args *args, int argc, char **argv, int *i, struct err *err)
{
	const char *name = argv[*i] + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *o = find(args->command, name, len, 0);
	if (o == NULL) {
		err_raise(err, ERR_USAGE, "unknown option '--%.*s'", (int)len, name);
		return usage_hint(args->command, err);
	}
	if (o->arg == NULL && equals != NULL)
		return err_raise(err, ERR_USAGE, "option '--%s' takes no value", o->long_name);
	const char *value = equals != NULL ? equals + 1 : NULL;
	if (o->arg != NULL && value == NULL) {
		if (++*i >= argc)
			return err_raise(err, ERR_USAGE, "option '--%s' needs a value %s",
				o->long_name, o->arg);
		value = argv[*i];
	}
	return keep(args, o, value, err);
}

/* Handles argv[*i], which begins with one dash: flags may be bundled, the last may take a value. */
static int parse_short(struct cli_args *args, int argc, char **argv, int *i, struct err *err)
{
	for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
		const struct cli_option *o = find(args->command, NULL, 0, *p);
		if (o == NULL) {
			err_raise(err, ERR_USAGE, "unknown option '-%c'", *p);
			return usage_hint(args->command, err);
		}
		if (o->arg == NULL) {
			if (keep(args, o, NULL, err) < 0)
				return -1;
			continue;
		}
		if (p[1] != '\0')
			return keep(args, o, p + 1, err);
		if (++*i >= argc)
			return err_raise(
				err, ERR_USAGE, "option '-%c' needs a value %s", *p, o->arg);
		return keep(args, o, argv[*i], err);
	}
	return 0;
}

static int check_arity(const struct cli_args *args, struct err *err)
{
	const struct command *c = args->command;
	int n = (int)args->operands.len;
	if (cli_flag(args, "help"))
		return 0;
	if (n < c->min_operands)
		err_raise(err, ERR_USAGE, "'snowboot %s' needs %s", c->name, c->synopsis);
	else if (c->max_operands >= 0 && n > c->max_operands)
		err_raise(err, ERR_USAGE, "'snowboot %s' does not take '%s'", c->name,
			args->operands.items[c->max_operands]);
	else
		return 0;
	return usage_hint(c, err);
}

static int parse_all(struct cli_args *args, int argc, char **argv, struct err *err)
{
	bool options = true;
	for (int i = 0; i < argc; i++) {
		int r;
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
			continue;
		}
		if (options && strncmp(argv[i], "--", 2) == 0)
			r = parse_long(args, argc, argv, &i, err);
		else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
			r = parse_short(args, argc, argv, &i, err);
		else
			r = strvec_push(&args->operands, argv[i], err);
		if (r < 0)
			return -1;
	}
	return check_arity(args, err);
}

int cli_parse(
	const struct command *command, int argc, char **argv, struct cli_args *ret, struct err *err)
{
	struct cli_args args = {.command = command};
	if (parse_all(&args, argc, argv, err) < 0) {
		cli_args_done(&args);
		return -1;
	}
	args.json = cli_flag(&args, "json");
	args.quiet = cli_flag(&args, "quiet");
	args.verbose = cli_flag(&args, "verbose");
	*ret = args;
	return 0;
}

void cli_args_done(struct cli_args *args)
{
	strvec_done(&args->operands);
	strvec_done(&args->option_names);
	strvec_done(&args->option_values);
}

const char *cli_option(const struct cli_args *args, const char *name, const char *fallback)
{
	for (size_t i = args->option_names.len; i-- > 0;)
		if (strcmp(args->option_names.items[i], name) == 0)
			return args->option_values.items[i];
	return fallback;
}

bool cli_flag(const struct cli_args *args, const char *name)
{
	return cli_option(args, name, NULL) != NULL;
}

int cli_number(const struct cli_args *args, const char *name, long long min, long long max,
	long long fallback, long long *ret, struct err *err)
{
	const char *text = cli_option(args, name, NULL);
	if (text == NULL) {
		*ret = fallback;
		return 0;
	}
	char *end;
	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
		return err_raise(err, ERR_USAGE,
			"--%s takes a whole number from %lld to %lld, not '%s'", name, min, max,
			text);
	*ret = v;
	return 0;
}

int cli_size(const struct cli_args *args, const char *name, unsigned long long fallback,
	unsigned long long *ret, struct err *err)
{
	const char *text = cli_option(args, name, NULL);
	if (text == NULL) {
		*ret = fallback;
		return 0;
	}
	static const char units[] = "KMGT";
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	const char *unit = *end != '\0' ? strchr(units, *end) : NULL;
	unsigned shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
	bool bad = errno != 0 || end == text || text[0] == '-' || v > (~0ULL >> shift);
	if (bad || (*end != '\0' && (unit == NULL || end[1] != '\0')))
		return err_raise(err, ERR_USAGE, "--%s takes a size like '500M' or '20G', not '%s'",
			name, text);
	*ret = v << shift;
	return 0;
}

int cli_rate(const struct cli_args *args, const char *name, uint64_t *ret, struct err *err)
{
	static const char prefixes[] = "kMGT";
	const char *text = cli_option(args, name, NULL);
	*ret = 0;
	if (text == NULL)
		return 0;
	char *end;
	errno = 0;
	uint64_t v = strtoull(text, &end, 10);
	bool good = errno == 0 && end != text && text[0] != '-' && text[0] != '+' && v > 0;
	const char *prefix = *end != '\0' ? strchr(prefixes, *end) : NULL;
	for (const char *p = prefixes; prefix != NULL && p <= prefix; p++)
		good = good && mem_mul(v, 1000, &v);
	const char *unit = prefix != NULL ? end + 1 : end;
	if (!good || (strcmp(unit, "bit") != 0 && strcmp(unit, "B") != 0))
		return err_raise(err, ERR_USAGE,
			"--%s takes a rate a second like '200Mbit' or '25MB', not '%s'", name,
			text);
	*ret = strcmp(unit, "bit") == 0 ? (v + 7) / 8 : v;
	return 0;
}

int cli_values(const struct cli_args *args, const char *name, struct strvec *out, struct err *err)
{
	for (size_t i = 0; i < args->option_names.len; i++)
		if (strcmp(args->option_names.items[i], name) == 0 &&
			strvec_push(out, args->option_values.items[i], err) < 0)
			return -1;
	return 0;
}
