/* SPDX-License-Identifier: MIT */
/* snowboot explain: asks a server what a machine boots, and why. */
#include "base/path.h"
#include "cli/command.h"
#include "rules/identity.h"
#include "status/explanation.h"
#include "status/fetch.h"

#include <stdio.h>
#include <string.h>

#define URL_DEFAULT "http://127.0.0.1:8080"

static const struct cli_option options[] = {
	{'s', "server", "URL", "the server to ask (http://127.0.0.1:8080)", NULL},
	{0},
};

/* Anything but letters and digits escaped: the text came from a user. */
static int put_escaped(const char *text, struct buf *out, struct err *err)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:";
	for (const char *p = text; *p != '\0'; p++)
		if (buf_printf(out, err, strchr(plain, *p) != NULL ? "%c" : "%%%02X",
			    (unsigned char)*p) < 0)
			return -1;
	return 0;
}

static int put_name(const char *name, struct buf *out, struct err *err)
{
	enum identity_kind kind;
	char text[IDENTITY_TEXT_SIZE];
	if (strcmp(name, "default") == 0)
		return 0;
	if (!identity_parse(name, &kind, text)) {
		err_raise(err, ERR_USAGE, "'%s' is no name of a machine", name);
		return err_hint(
			err, "a hardware address, a UUID, serial-NUMBER, asset-TAG, or default");
	}
	if (buf_printf(out, err, "&%s=", identity_kind_name(kind)) < 0)
		return -1;
	return put_escaped(text, out, err);
}

static int run(const struct cli_args *args, struct err *err)
{
	AUTO_BUF path = {0}, json = {0}, text = {0};
	struct err failure = ERR_INIT;
	const struct status_source source = {.url = cli_option(args, "server", URL_DEFAULT)};
	if (buf_put_str(&path, "/v1/explain?", err) < 0)
		return -1;
	for (size_t i = 0; i < args->operands.len; i++)
		if (put_name(args->operands.items[i], &path, err) < 0)
			return -1;
	const char *where = buf_str(&path, err);
	if (where == NULL)
		return -1;
	if (status_fetch(&source, where, &json, err) < 0)
		return err->kind != ERR_AGAIN
			? -1
			: err_hint(err, "name the server: --server http://HOST:PORT");
	int r = explanation_put(json.data, json.len, &text, &failure, err);
	if (r < 0)
		return -1;
	const struct buf *shown = args->json ? &json : &text;
	fwrite(shown->data, 1, shown->len, stdout);
	if (r == 1)
		return 0;
	*err = failure;
	return -1;
}

const struct command cmd_explain = {
	.name = "explain",
	.synopsis = "MACHINE...",
	.summary = "show what a machine boots, and why",
	.description =
		"Asks a server which of its rules (snowboot serve --machines) are about the "
		"MACHINE, which one wins, why the others do not, and what the machine would boot. "
		"MACHINE is a hardware address, a UUID, serial-NUMBER, asset-TAG, or default for "
		"one that has no entry; several are names of one machine.",
	.min_operands = 1,
	.max_operands = 4,
	.options = options,
	.run = run,
};
