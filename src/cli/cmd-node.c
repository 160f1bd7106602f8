/* SPDX-License-Identifier: MIT */
/*
 * snowboot node: the node of a diskless machine, on a host: to serve its image to a VM, to share
 * what it has with a site, or both. Options and a file become one configuration; the rest is
 * src/node's business.
 */
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/command.h"
#include "cli/pool_options.h"
#include "node/node.h"

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_FILE_MAX ((size_t)64 << 10) /* bytes */
#define KEY_FILE_MAX ((size_t)4096)        /* bytes */
#define MEMORY_DEFAULT (256ull << 20)      /* bytes */

static const struct cli_option options[] = {
	{0, "origin", "[SITE=]URL",
		"where the system comes from; may be repeated, in order of preference", NULL},
	{0, "name", "NAME", "the system to serve, as the origin calls it (none: only share)", NULL},
	{0, "key", "KEY", "public key that its manifest must be signed by, or a file with it",
		"@file"},
	{0, "config", "FILE", "read a configuration; options go before it", "@file"},
	{0, "cache", "PATH", "keep chunks in this directory, or on this partition", "@file"},
	{0, "cache-size", "SIZE", "bytes of it that may be used (a tenth of a directory's disk)",
		NULL},
	{0, "memory", "SIZE", "bytes of chunks in memory (256M)", NULL},
	{0, "pool", "DIR", "a pool on this machine, looked in before the network", "@dir"},
	{0, "nbd-socket", "PATH", "serve the image by NBD on this unix socket", "@file"},
	{0, "state-dir", "DIR", "write the plan and the Nix database there, and node.sock", "@dir"},
	{0, "port", "PORT", "TCP port for peers and metrics (none)", NULL},
	{0, "site", "SITE", "where this machine stands: peers of the same site come first", NULL},
	{0, "uplink", "RATE", "what peers may take, like 200Mbit or 25MB a second (no limit)",
		NULL},
	{0, "no-peers", NULL, "neither ask peers nor give to them", NULL},
	{0, "complete", NULL, "fetch the whole system in the background", NULL},
	{0, "boot-files", NULL, "give kernel and initramfs to neighbours that boot by PXE", NULL},
	{0, "trace", "FILE", "write a line for each read: microseconds, offset, length", "@file"},
	{0},
};

struct session {
	const struct cli_args *args;
	struct node_config config;
	struct event_base *base;
	struct event *signals[2];
	struct node *node;
	struct err failure;
};

static int set_string(const struct cli_args *args, const char *name, char **field, struct err *err)
{
	const char *value = cli_option(args, name, NULL);
	if (value == NULL)
		return 0;
	free(*field);
	*field = strdup(value);
	return *field != NULL ? 0 : err_oom(err);
}

/* `text` is a key, or names a file that has one. */
static int add_key(struct node_config *config, const char *text, struct err *err)
{
	AUTO_BUF file = {0};
	AUTO(public_key_done) struct public_key key = {0};
	bool is_file = access(text, F_OK) == 0;
	if (is_file) {
		if (fd_read_file(AT_FDCWD, text, KEY_FILE_MAX, &file, err) < 0)
			return -1;
		char *line = buf_str(&file, err);
		if (line == NULL || public_key_parse(line, &key, err) < 0)
			return err_prefix(err, "'%s'", text);
	} else if (public_key_parse(text, &key, err) < 0) {
		err->kind = ERR_USAGE;
		return err_prefix(err, "--key: neither a file nor a key");
	}
	if (vec_push(&config->keys, key, err) < 0)
		return -1;
	key = (struct public_key){0};
	return 0;
}

/* What may stand several times; given as an option it replaces what the file has. */
static int set_lists(const struct cli_args *args, struct node_config *config, struct err *err)
{
	if (cli_option(args, "origin", NULL) != NULL)
		strvec_done(&config->origins);
	if (cli_option(args, "key", NULL) != NULL) {
		VEC_FOREACH(key, &config->keys)
			public_key_done(key);
		config->keys.len = 0;
	}
	for (size_t i = 0; i < args->option_names.len; i++) {
		const char *name = args->option_names.items[i],
			   *value = args->option_values.items[i];
		if (strcmp(name, "origin") == 0 && strvec_push(&config->origins, value, err) < 0)
			return -1;
		if (strcmp(name, "key") == 0 && add_key(config, value, err) < 0)
			return -1;
	}
	return 0;
}

static int set_numbers(const struct cli_args *args, struct node_config *config, struct err *err)
{
	unsigned long long memory = config->cache.memory_max, disk = config->cache.disk_max;
	uint64_t uplink;
	long long port;
	if (memory == 0)
		memory = MEMORY_DEFAULT;
	if (cli_size(args, "memory", memory, &memory, err) < 0 ||
		cli_size(args, "cache-size", disk, &disk, err) < 0 ||
		cli_rate(args, "uplink", &uplink, err) < 0 ||
		cli_number(args, "port", 1, UINT16_MAX, config->port, &port, err) < 0)
		return -1;
	config->cache.memory_max = memory;
	config->cache.disk_max = disk;
	if (uplink != 0)
		config->uplink = uplink;
	config->port = (uint16_t)port;
	return 0;
}

/*
 * What the swarm knows this node by: derived from the machine and from what tells its nodes apart,
 * so that a restart is the same member. Random where a machine has no id.
 */
static int set_machine(struct node_config *config, struct err *err)
{
	static const uint8_t none[sizeof(config->machine_id)];
	struct err no_id = ERR_INIT;
	AUTO_FREE char *id = NULL;
	AUTO_BUF all = {0};
	if (memcmp(config->machine_id, none, sizeof(none)) != 0)
		return 0;
	if (fd_read_line_file(AT_FDCWD, "/etc/machine-id", &id, &no_id) < 0) {
		if (getentropy(config->machine_id, sizeof(config->machine_id)) < 0)
			return err_sys(err, "cannot get random numbers");
		return 0;
	}
	if (buf_printf(&all, err, "%s %u %s %s", id, config->port,
		    config->state_dir != NULL ? config->state_dir : "",
		    config->nbd_socket != NULL ? config->nbd_socket : "") < 0)
		return -1;
	struct digest digest = digest_of(all.data, all.len);
	memcpy(config->machine_id, digest.bytes, sizeof(config->machine_id));
	return 0;
}

static int configure(const struct cli_args *args, struct node_config *config, struct err *err)
{
	const char *file = cli_option(args, "config", NULL);
	AUTO_BUF text = {0};
	config->peers = true;
	if (file != NULL &&
		(fd_read_file(AT_FDCWD, file, CONFIG_FILE_MAX, &text, err) < 0 ||
			node_config_decode((const char *)text.data, text.len, config, err) < 0))
		return err_prefix(err, "'%s'", file);
	AUTO_FREE char *site = NULL;
	if (set_string(args, "name", &config->name, err) < 0 ||
		set_string(args, "cache", (char **)&config->cache.disk, err) < 0 ||
		set_string(args, "state-dir", &config->state_dir, err) < 0 ||
		set_string(args, "nbd-socket", &config->nbd_socket, err) < 0 ||
		set_string(args, "pool", &config->pool, err) < 0 ||
		set_string(args, "trace", &config->trace, err) < 0 ||
		set_string(args, "site", &site, err) < 0 || set_lists(args, config, err) < 0 ||
		set_numbers(args, config, err) < 0 || set_machine(config, err) < 0)
		return -1;
	if (site != NULL && strlen(site) >= sizeof(config->site))
		return err_raise(err, ERR_USAGE, "--site '%s' has %zu bytes > max %zu", site,
			strlen(site), sizeof(config->site) - 1);
	if (site != NULL)
		memcpy(config->site, site, strlen(site) + 1);
	config->peers = config->peers && !cli_flag(args, "no-peers");
	config->complete = config->complete || cli_flag(args, "complete");
	config->boot_files = config->boot_files || cli_flag(args, "boot-files");
	return node_config_rank_origins(config, err);
}

static void print_ready(const struct session *s)
{
	const char *name = s->config.name;
	uint64_t size = node_image_size(s->node);
	struct err err = ERR_INIT;
	if (s->args->json) {
		json_t *line = name == NULL
			? json_pack("{s:s}", "event", "sharing")
			: json_pack("{s:s, s:s, s:I, s:s}", "event", "ready", "name", name, "size",
				  (json_int_t)size, "identifier", node_identifier(s->node));
		if (cli_put_json(line, &err) < 0)
			log_ignored(&err);
	} else if (name == NULL) {
		printf("sharing\n");
	} else {
		printf("ready: '%s', %.1f MiB\n", name, (double)size / (1 << 20));
	}
	fflush(stdout);
}

static void on_event(enum node_event event, const char *text, const struct err *failure, void *data)
{
	struct session *s = data;
	switch (event) {
	case NODE_PROGRESS:
		log_debug("%s", text);
		break;
	case NODE_READY:
		print_ready(s);
		break;
	case NODE_FAILED:
		s->failure = *failure;
		event_base_loopbreak(s->base);
		break;
	}
}

static void on_signal(evutil_socket_t number, short what, void *data)
{
	struct session *s = data;
	(void)number;
	(void)what;
	event_base_loopbreak(s->base);
}

static int run_loop(struct session *s, struct err *err)
{
	static const int numbers[] = {SIGINT, SIGTERM};
	const struct node_ops ops = {.event = on_event, .data = s};
	s->base = event_base_new();
	if (s->base == NULL)
		return err_oom(err);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
		if (s->signals[i] == NULL || event_add(s->signals[i], NULL) < 0)
			return err_oom(err);
	}
	signal(SIGPIPE, SIG_IGN);
	if (node_new(s->base, &s->config, &ops, &s->node, err) < 0)
		return -1;
	if (event_base_dispatch(s->base) < 0)
		return err_raise(err, ERR_IO, "cannot wait for events");
	if (s->failure.kind == ERR_NONE)
		return 0;
	*err = s->failure;
	return -1;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct session s = {.args = args};
	int r = configure(args, &s.config, err) < 0 || run_loop(&s, err) < 0 ? -1 : 0;
	node_free(s.node);
	for (size_t i = 0; i < ARRAY_LEN(s.signals); i++)
		if (s.signals[i] != NULL)
			event_free(s.signals[i]);
	if (s.base != NULL)
		event_base_free(s.base);
	node_config_done(&s.config);
	return r;
}

const struct command cmd_node = {
	.name = "node",
	.synopsis = "",
	.summary = "run the node of a network root on this machine",
	.description =
		"Fetches a system as a diskless machine does: from its cache, then its "
		"neighbours, then the origin, everything verified. Serves the image by NBD, "
		"say to a VM, and what it has to other nodes. Without --name it only shares.",
	.max_operands = 0,
	.options = options,
	.run = run,
};
