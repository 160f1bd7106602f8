/* SPDX-License-Identifier: MIT */
/* snowboot serve: options to a struct, and the server runs. */
#include "base/log.h"
#include "cli/command.h"
#include "pool/pool.h"
#include "serve/serve.h"

#include <stdio.h>

static const struct cli_option options[] = {
	{0, "dhcp", "MODE", "proxy (beside another server), full (on a network of our own), off",
		"proxy full off"},
	{'i', "interface", "IF", "the network interface that clients are on", NULL},
	{'l', "listen", "ADDR[:PORT]", "where HTTP listens (the interface's address, port 8080)",
		NULL},
	{0, "pool", "DIR", "the pool's directory", "@dir"},
	{0, "modules", "SET", "kernel modules for stage 1: minimal, netboot, all, or names",
		"minimal netboot all"},
	{0, "append", "ARGS", "words for the end of the kernel command line", NULL},
	{0, "level", "N", "zstd level of what is not in the pool yet, 1 to 19", NULL},
	{0, "ipxe-dir", "DIR", "where undionly.kpxe and snponly.efi are", "@dir"},
	{0},
};

static int run(const struct cli_args *args, struct err *err)
{
	long long level;
	if (cli_number(args, "level", 1, 19, POOL_LEVEL_DEFAULT, &level, err) < 0)
		return -1;
	struct serve_options serve = {
		.systems = args->operands, /* borrowed */
		.boot = {.pool_dir = cli_option(args, "pool", NULL),
			.modules = cli_option(args, "modules", "netboot"),
			.append = cli_option(args, "append", NULL),
			.level = (int)level},
		.interface = cli_option(args, "interface", NULL),
		.listen = cli_option(args, "listen", NULL),
		.ipxe_dir = cli_option(args, "ipxe-dir", NULL),
		.journal = {.out = stdout, .json = args->json},
	};
	if (dhcp_mode_parse(cli_option(args, "dhcp", "proxy"), &serve.dhcp, err) < 0)
		return -1;
	return serve_run(&serve, err);
}

const struct command cmd_serve = {
	.name = "serve",
	.synopsis = "SYSTEM...",
	.summary = "serve systems to machines that boot over the network",
	.description =
		"Serves kernel, initramfs and iPXE script of each SYSTEM over HTTP, and tells "
		"machines that boot over the network (BIOS and UEFI) where they are, by DHCP "
		"and TFTP. They boot the first SYSTEM. A SYSTEM that is a symlink is looked up "
		"again for each client.",
	.min_operands = 1,
	.max_operands = -1,
	.options = options,
	.operand_values = "@system",
	.run = run,
};
