/* SPDX-License-Identifier: MIT */
/*
 * snowboot key: signing keys by hand, in Nix's format. A secret goes to a file that only its owner
 * may read, or where the user sends it; never into a message.
 */
#include "base/fd.h"
#include "cli/command.h"
#include "cli/pool_options.h"
#include "manifest/key.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY_FILE_MAX 4096 /* bytes */

static void wipe(char **text)
{
	if (*text != NULL)
		explicit_bzero(*text, strlen(*text));
	free(*text);
}

/* A key is not made again, so an existing file is never replaced. */
static int write_secret(const char *path, const char *text, struct err *err)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST) {
		err_raise(err, ERR_USAGE, "'%s' is there already", path);
		return err_hint(err, "a key that is replaced is lost; name another file");
	}
	if (fd < 0)
		return err_sys(err, "cannot create '%s'", path);
	if (fd_write_full(fd, text, strlen(text), path, err) < 0 ||
		fd_write_full(fd, "\n", 1, path, err) < 0)
		return -1;
	return fsync(fd) == 0 ? 0 : err_sys(err, "cannot write '%s'", path);
}

static int print_public(
	const struct cli_args *args, const struct secret_key *secret, struct err *err)
{
	AUTO(public_key_done) struct public_key public = {0};
	if (secret_key_public(secret, &public, err) < 0)
		return -1;
	AUTO_FREE char *text = public_key_format(&public, err);
	if (text == NULL)
		return -1;
	if (args->json)
		return cli_put_json(
			json_pack("{s:s, s:s}", "name", public.name, "public_key", text), err);
	printf("%s\n", text);
	return 0;
}

static int run_generate(const struct cli_args *args, struct err *err)
{
	const char *output = cli_option(args, "output", NULL);
	AUTO(secret_key_done) struct secret_key secret = {0};
	if (secret_key_generate(args->operands.items[0], &secret, err) < 0)
		return -1;
	AUTO(wipe) char *text = secret_key_format(&secret, err);
	if (text == NULL)
		return -1;
	if (output == NULL && args->json)
		return cli_put_json(
			json_pack("{s:s, s:s}", "name", secret.name, "secret_key", text), err);
	if (output == NULL) {
		printf("%s\n", text);
		return 0;
	}
	if (write_secret(output, text, err) < 0)
		return -1;
	return print_public(args, &secret, err);
}

static int run_public(const struct cli_args *args, struct err *err)
{
	const char *path = args->operands.len > 0 ? args->operands.items[0] : "-";
	AUTO_BUF text = {0};
	AUTO(secret_key_done) struct secret_key secret = {0};
	if (strcmp(path, "-") == 0)
		path = "/dev/stdin";
	if (fd_read_file(AT_FDCWD, path, KEY_FILE_MAX, &text, err) < 0)
		return -1;
	const char *str = buf_str(&text, err);
	int r = str != NULL ? secret_key_parse(str, &secret, err) : -1;
	explicit_bzero(text.data, text.len);
	return r < 0 ? err_prefix(err, "'%s'", path) : print_public(args, &secret, err);
}

const struct command cmd_key_generate = {
	.name = "key generate",
	.synopsis = "NAME",
	.summary = "make a key that signs manifests",
	.description = "Makes an Ed25519 key called NAME (like example.org-1) in Nix's format. The "
		       "secret key goes to FILE, which only you may read, and the public key is "
		       "printed; without -o the secret key is printed.",
	.min_operands = 1,
	.max_operands = 1,
	.options =
		(const struct cli_option[]){
			{'o', "output", "FILE", "write the secret key there, with mode 0600",
				"@file"},
			{0},
		},
	.run = run_generate,
};

const struct command cmd_key_public = {
	.name = "key public",
	.synopsis = "[FILE]",
	.summary = "print the public key of a secret key",
	.description =
		"Reads a secret key from FILE, or from standard input, and prints the public "
		"key that belongs to it.",
	.max_operands = 1,
	.options = (const struct cli_option[]){{0}},
	.operand_values = "@file",
	.run = run_public,
};
