/* SPDX-License-Identifier: MIT */
/* snowboot serve: options to a struct, and the server runs. */
#include "base/log.h"
#include "cli/source_options.h"
#include "pool/pool.h"
#include "serve/serve.h"
#include "tftp/server.h"

#include <stdio.h>
#include <string.h>

#define SITE_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static const struct cli_option options[] = {
	{0, "dhcp", "MODE", "proxy (beside another server), full (on a network of our own), off",
		"proxy full off"},
	{'i', "interface", "IF", "the network interface that clients are on", NULL},
	{'l', "listen", "ADDR[:PORT]", "where HTTP listens (the interface's address, port 8080)",
		NULL},
	{0, "tftp", "PORT", "with --dhcp off: the UDP port of TFTP (69 with DHCP; else none)",
		NULL},
	{0, "pool", "DIR", "the pool's directory", "@dir"},
	{0, "modules", "SET", "kernel modules for stage 1: minimal, netboot, all, or names",
		"minimal netboot all"},
	{0, "append", "ARGS", "words for the end of the kernel command line", NULL},
	{0, "level", "N", "zstd level of what is not in the pool yet, 1 to 19", NULL},
	SOURCE_OPTIONS,
	{0, "root", "WHERE",
		"net: mounted over the network, fetched as it is touched; ram: all in the "
		"initramfs; copy: all in memory, fetched by stage 1; auto: copy where the memory "
		"suffices, else net",
		"net ram copy auto"},
	{0, "key", "FILE", "a secret key to sign with, repeatable (one made once, in the state)",
		"@file"},
	{0, "state", "DIR", "where key, serials and boot profiles are kept", "@dir"},
	{0, "expiry", "DAYS", "how long after its issue a system may be booted (30)", NULL},
	{0, "exclude-from-peers", "GLOB", "store paths that never leave by a peer, repeatable",
		NULL},
	{0, "site", "NAME", "where the machines stand: peers of the same site come first", NULL},
	{0, "no-peers", NULL, "machines fetch from this server alone", NULL},
	{0, "complete", NULL, "machines fetch the whole system in the background", NULL},
	{0, "uplink", "RATE", "what nodes get at most, like 200Mbit or 25MB a second", NULL},
	{0, "cache-control", "VALUE", "that field of objects, for caches in front of this server",
		NULL},
	{0, "boot-from-peers", NULL, "kernel and initramfs from machines that run: see the manual",
		NULL},
	{'m', "machines", "DIR", "which machine boots what: an entry for each", "@dir"},
	{0, "profiles", "DIR", "its profiles are booted by /dispatch/profile/NAME", "@dir"},
	{0, "configurations", "DIR",
		"/dispatch/configuration/NAME has Nix build NAME/default.nix there", "@dir"},
	{0, "hydra", "HOST",
		"/dispatch/hydra/HOST/PROJECT/JOBSET/JOB may ask that Hydra, repeatable", NULL},
	{0, "any-system", NULL, "/boot/NAME boots any system of this machine's store, too"},
	{0, "stub", "FILE",
		"systemd's EFI stub for UEFI HTTP boot, repeatable (the system's, else ours)",
		"@file"},
	{0, "readonly", NULL, "write nothing to the pool: it must have the systems already", NULL},
	{0, "user", "NAME", "become this user when started by root", NULL},
	{0, "ipxe-dir", "DIR", "where undionly.kpxe and snponly.efi are", "@dir"},
	{0},
};

static int read_root(const struct cli_args *args, enum root_kind *ret, struct err *err)
{
	const char *text = cli_option(args, "root", "net");
	static const char *const names[] = {"net", "ram", "copy", "auto"};
	static const enum root_kind kinds[] = {ROOT_NET, ROOT_RAM, ROOT_COPY, ROOT_AUTO};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*ret = kinds[i];
		return 0;
	}
	return err_raise(err, ERR_USAGE, "--root takes net, ram, copy or auto, not '%s'", text);
}

/* What would do nothing is refused: who asked for it thinks that it does. */
static int check_ram(const struct cli_args *args, struct err *err)
{
	static const char *const net_only[] = {"key", "state", "expiry", "exclude-from-peers",
		"site", "no-peers", "complete", "uplink", "cache-control", "boot-from-peers"};
	for (size_t i = 0; i < ARRAY_LEN(net_only); i++) {
		bool state = strcmp(net_only[i], "state") == 0;
		bool kept = cli_flag(args, "machines") || cli_flag(args, "configurations") ||
			cli_flag(args, "hydra");
		if (cli_flag(args, net_only[i]) && !(state && kept))
			return err_raise(err, ERR_USAGE, "--%s needs --root net", net_only[i]);
	}
	return 0;
}

static int check_site(const char *site, struct err *err)
{
	size_t len = site != NULL ? strlen(site) : 1;
	if (len > 31)
		return err_raise(err, ERR_USAGE, "--site has %zu bytes > max 31", len);
	if (len == 0 || (site != NULL && site[strspn(site, SITE_LETTERS)] != '\0'))
		return err_raise(err, ERR_USAGE,
			"--site takes letters, digits, '.', '_' and '-', not '%s'", site);
	return 0;
}

static int check_peers(const struct cli_args *args, struct err *err)
{
	if (cli_flag(args, "boot-from-peers") && cli_flag(args, "no-peers"))
		return err_raise(
			err, ERR_USAGE, "--boot-from-peers and --no-peers exclude each other");
	const char *value = cli_option(args, "cache-control", "");
	for (const char *p = value; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			return err_raise(err, ERR_USAGE,
				"--cache-control has a character that a header field cannot have");
	return check_site(cli_option(args, "site", NULL), err);
}

/* Clients of PXE ask port 69 of the server that DHCP names. */
static int read_tftp(const struct cli_args *args, enum dhcp_mode dhcp, int *ret, struct err *err)
{
	long long port = dhcp == DHCP_OFF ? -1 : TFTP_PORT;
	if (cli_flag(args, "tftp") && dhcp != DHCP_OFF)
		return err_raise(err, ERR_USAGE, "--tftp needs --dhcp off");
	if (cli_flag(args, "tftp") && cli_number(args, "tftp", 0, 65535, port, &port, err) < 0)
		return -1;
	*ret = (int)port;
	return 0;
}

static int read_boot(const struct cli_args *args, struct boot_options *ret, struct err *err)
{
	long long level, days;
	struct boot_options boot = {
		.pool_dir = cli_option(args, "pool", NULL),
		.modules = cli_option(args, "modules", "netboot"),
		.append = cli_option(args, "append", NULL),
		.read_only = cli_flag(args, "readonly"),
		.node = {.site = cli_option(args, "site", NULL),
			.peers = !cli_flag(args, "no-peers"),
			.complete = cli_flag(args, "complete"),
			.boot_files = cli_flag(args, "boot-from-peers")},
	};
	if (cli_number(args, "level", 1, 19, POOL_LEVEL_DEFAULT, &level, err) < 0 ||
		cli_number(args, "expiry", 1, 3650, 30, &days, err) < 0 ||
		read_root(args, &boot.root, err) < 0 ||
		(boot.root == ROOT_RAM && check_ram(args, err) < 0) || check_peers(args, err) < 0)
		return -1;
	boot.level = (int)level;
	boot.lifetime = days * 86400;
	*ret = boot;
	return 0;
}

/* Something must be there to boot. */
static int check_systems(const struct cli_args *args, struct err *err)
{
	static const char *const sources[] = {
		"machines", "profiles", "configurations", "hydra", "any-system"};
	bool found = args->operands.len > 0;
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		found = found || cli_flag(args, sources[i]);
	if (found)
		return 0;
	err_raise(err, ERR_USAGE, "'snowboot serve' needs SYSTEM... or --machines DIR");
	return err_hint(err, "see 'snowboot serve --help'");
}

static int run(const struct cli_args *args, struct err *err)
{
	AUTO_STRVEC keys = {0}, excluded = {0}, hydra = {0}, stubs = {0};
	AUTO_ACQUIRER *acquirer = NULL;
	struct serve_options serve = {
		.systems = args->operands, /* borrowed */
		.machines = cli_option(args, "machines", NULL),
		.dispatch = {.profiles = cli_option(args, "profiles", NULL),
			.configurations = cli_option(args, "configurations", NULL)},
		.interface = cli_option(args, "interface", NULL),
		.listen = cli_option(args, "listen", NULL),
		.user = cli_option(args, "user", NULL),
		.ipxe_dir = cli_option(args, "ipxe-dir", NULL),
		.journal = {.out = stdout, .json = args->json},
		.state_dir = cli_option(args, "state", NULL),
		.cache_control =
			cli_option(args, "cache-control", "public, max-age=31536000, immutable"),
		.boot_from_peers = cli_flag(args, "boot-from-peers"),
		.any_system = cli_flag(args, "any-system"),
	};
	if (check_systems(args, err) < 0 ||
		dhcp_mode_parse(cli_option(args, "dhcp", "proxy"), &serve.dhcp, err) < 0 ||
		read_tftp(args, serve.dhcp, &serve.tftp_port, err) < 0 ||
		read_boot(args, &serve.boot, err) < 0 ||
		cli_rate(args, "uplink", &serve.uplink, err) < 0 ||
		cli_values(args, "key", &keys, err) < 0 ||
		cli_values(args, "exclude-from-peers", &excluded, err) < 0 ||
		cli_values(args, "hydra", &hydra, err) < 0 ||
		cli_values(args, "stub", &stubs, err) < 0 || cli_acquirer(args, &acquirer, err) < 0)
		return -1;
	serve.boot.acquirer = acquirer;
	serve.dispatch.hydra = hydra;
	serve.keys = keys; /* borrowed, too */
	serve.boot.excluded = &excluded;
	serve.boot.stubs = &stubs;
	bool busy;
	int r = serve_run(&serve, &busy, err);
	if (busy)
		acquirer = NULL; /* the end of the process ends what still uses it */
	return r;
}

const struct command cmd_serve = {
	.name = "serve",
	.synopsis = "[SYSTEM...]",
	.summary = "serve systems to machines that boot over the network",
	.description =
		"Serves kernel, initramfs and iPXE script of each SYSTEM over HTTP, and tells "
		"machines that boot over the network (BIOS and UEFI) where they are, by DHCP "
		"and TFTP. They boot the first SYSTEM, and mount it over the network: each fetches "
		"what it touches, from its cache, its neighbours or this server, and verifies it "
		"against a manifest that this server signs. A SYSTEM that is a symlink is looked "
		"up again for each client. With --machines, machines that have an entry there "
		"boot what it says.",
	.min_operands = 0,
	.max_operands = -1,
	.options = options,
	.operand_values = "@system",
	.run = run,
};
