/* SPDX-License-Identifier: MIT */
/*
 * A node's configuration as text: lines of `key value`, as they lie in an initramfs and as a user
 * writes them. One table says what keys there are; what they do is not known here.
 */
#include "node/node.h"

#include "base/hex.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define CONFIG_MAX ((size_t)64 << 10) /* bytes */
#define CONFIG_LIST_MAX 64            /* origins, keys */

enum value_kind { VALUE_STRING, VALUE_SITE, VALUE_SIZE, VALUE_PORT, VALUE_FLAG, VALUE_MACHINE };

static const struct key {
	const char *name;
	enum value_kind kind;
	size_t off;
} keys[] = {
	{"name", VALUE_STRING, offsetof(struct node_config, name)},
	{"memory", VALUE_SIZE, offsetof(struct node_config, cache.memory_max)},
	{"cache", VALUE_STRING, offsetof(struct node_config, cache.disk)},
	{"cache-size", VALUE_SIZE, offsetof(struct node_config, cache.disk_max)},
	{"site", VALUE_SITE, offsetof(struct node_config, site)},
	{"machine-id", VALUE_MACHINE, offsetof(struct node_config, machine_id)},
	{"peers", VALUE_FLAG, offsetof(struct node_config, peers)},
	{"complete", VALUE_FLAG, offsetof(struct node_config, complete)},
	{"uplink", VALUE_SIZE, offsetof(struct node_config, uplink)},
	{"port", VALUE_PORT, offsetof(struct node_config, port)},
	{"state-dir", VALUE_STRING, offsetof(struct node_config, state_dir)},
	{"nbd-socket", VALUE_STRING, offsetof(struct node_config, nbd_socket)},
	{"boot-files", VALUE_FLAG, offsetof(struct node_config, boot_files)},
	{"pool", VALUE_STRING, offsetof(struct node_config, pool)},
	{"trace", VALUE_STRING, offsetof(struct node_config, trace)},
};

void node_config_done(struct node_config *config)
{
	strvec_done(&config->origins);
	VEC_FOREACH(key, &config->keys)
		public_key_done(key);
	vec_done(&config->keys);
	free(config->name);
	free((void *)config->cache.disk);
	free(config->state_dir);
	free(config->nbd_socket);
	free(config->pool);
	free(config->trace);
	*config = (struct node_config){0};
}

static int read_number(const char *value, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t number = 0;
	if (value[0] == '\0')
		return err_raise(err, ERR_CORRUPT, "'%s' is no number", value);
	for (const char *p = value; *p != '\0'; p++)
		if (*p < '0' || *p > '9' || !mem_mul(number, 10, &number) ||
			!mem_add(number, (uint64_t)(*p - '0'), &number))
			return err_raise(err, ERR_CORRUPT, "'%s' is no number", value);
	if (number > max)
		return err_raise(err, ERR_CORRUPT, "%s > max %" PRIu64, value, max);
	*ret = number;
	return 0;
}

static int read_flag(const char *value, bool *ret, struct err *err)
{
	if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
		return err_raise(err, ERR_CORRUPT, "'%s' is neither 'yes' nor 'no'", value);
	*ret = strcmp(value, "yes") == 0;
	return 0;
}

static int read_value(
	const struct key *key, const char *value, struct node_config *config, struct err *err)
{
	void *field = (char *)config + key->off;
	uint64_t number;
	switch (key->kind) {
	case VALUE_STRING:
		free(*(char **)field);
		*(char **)field = strdup(value);
		return *(char **)field != NULL ? 0 : err_oom(err);
	case VALUE_SITE:
		if (strlen(value) >= sizeof(config->site))
			return err_raise(err, ERR_CORRUPT, "'%s' has %zu bytes > max %zu", value,
				strlen(value), sizeof(config->site) - 1);
		memcpy(field, value, strlen(value) + 1);
		return 0;
	case VALUE_SIZE:
		return read_number(value, INT64_MAX, field, err);
	case VALUE_PORT:
		if (read_number(value, UINT16_MAX, &number, err) < 0)
			return -1;
		*(uint16_t *)field = (uint16_t)number;
		return 0;
	case VALUE_FLAG:
		return read_flag(value, field, err);
	case VALUE_MACHINE:
		if (!hex_decode(value, strlen(value), field, sizeof(config->machine_id)))
			return err_raise(err, ERR_CORRUPT, "'%s' is not 32 hex digits", value);
		return 0;
	}
	return err_raise(err, ERR_BUG, "configuration value of no kind");
}

static int read_key(const char *value, struct node_config *config, struct err *err)
{
	struct public_key key = {0};
	if (config->keys.len == CONFIG_LIST_MAX)
		return err_raise(err, ERR_CORRUPT, "more than %d keys", CONFIG_LIST_MAX);
	if (public_key_parse(value, &key, err) < 0)
		return -1;
	if (vec_push(&config->keys, key, err) == 0)
		return 0;
	public_key_done(&key);
	return -1;
}

static int read_line(const char *line, struct node_config *config, uint32_t *seen, struct err *err)
{
	const char *blank = strchr(line, ' ');
	if (blank == NULL || blank[1] == '\0')
		return err_raise(err, ERR_CORRUPT, "'%s' is not 'KEY VALUE'", line);
	size_t len = (size_t)(blank - line);
	const char *value = blank + 1;
	if (len == 6 && memcmp(line, "origin", 6) == 0)
		return config->origins.len < CONFIG_LIST_MAX
			? strvec_push(&config->origins, value, err)
			: err_raise(err, ERR_CORRUPT, "more than %d origins", CONFIG_LIST_MAX);
	if (len == 3 && memcmp(line, "key", 3) == 0)
		return read_key(value, config, err);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strlen(keys[i].name) != len || memcmp(line, keys[i].name, len) != 0)
			continue;
		if ((*seen & 1u << i) != 0)
			return err_raise(err, ERR_CORRUPT, "'%s' stands twice", keys[i].name);
		*seen |= 1u << i;
		return read_value(&keys[i], value, config, err);
	}
	return err_raise(err, ERR_CORRUPT, "'%.*s' is no key", (int)len, line);
}

int node_config_decode(const char *text, size_t len, struct node_config *ret, struct err *err)
{
	AUTO_NODE_CONFIG config = {.peers = true};
	AUTO_FREE char *copy = NULL;
	uint32_t seen = 0;
	size_t number = 0;
	if (len > CONFIG_MAX)
		return err_raise(err, ERR_CORRUPT, "node configuration: %zu bytes > max %zu", len,
			CONFIG_MAX);
	if (memchr(text, '\0', len) != NULL)
		return err_raise(err, ERR_CORRUPT, "node configuration: it has a NUL byte");
	if ((copy = strndup(text, len)) == NULL)
		return err_oom(err);
	for (char *rest = copy, *line; (line = strsep(&rest, "\n")) != NULL;) {
		number++;
		line += strspn(line, " \t");
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (read_line(line, &config, &seen, err) < 0)
			return err_prefix(err, "node configuration: line %zu", number);
	}
	*ret = config;
	config = (struct node_config){0};
	return 0;
}

static int put_line(struct buf *out, const char *key, const char *value, struct err *err)
{
	if (value[0] == '\0' || value[0] == ' ' || strchr(value, '\n') != NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"node configuration: '%s' cannot be '%s': empty, or with a line break or a "
			"blank in front",
			key, value);
	return buf_printf(out, err, "%s %s\n", key, value);
}

static int put_value(
	struct buf *out, const struct key *key, const struct node_config *config, struct err *err)
{
	const void *field = (const char *)config + key->off;
	static const uint8_t no_machine[16];
	char hex[2 * sizeof(config->machine_id) + 1];
	switch (key->kind) {
	case VALUE_STRING:
		return *(char *const *)field != NULL
			? put_line(out, key->name, *(char *const *)field, err)
			: 0;
	case VALUE_SITE:
		return *(const char *)field != '\0' ? put_line(out, key->name, field, err) : 0;
	case VALUE_SIZE:
		return *(const uint64_t *)field != 0 ? buf_printf(out, err, "%s %" PRIu64 "\n",
							       key->name, *(const uint64_t *)field)
						     : 0;
	case VALUE_PORT:
		return *(const uint16_t *)field != 0
			? buf_printf(out, err, "%s %u\n", key->name, *(const uint16_t *)field)
			: 0;
	case VALUE_FLAG:
		return buf_printf(
			out, err, "%s %s\n", key->name, *(const bool *)field ? "yes" : "no");
	case VALUE_MACHINE:
		if (memcmp(field, no_machine, sizeof(no_machine)) == 0)
			return 0;
		hex_encode(field, sizeof(config->machine_id), hex);
		return put_line(out, key->name, hex, err);
	}
	return err_raise(err, ERR_BUG, "configuration value of no kind");
}

int node_config_encode(const struct node_config *config, struct buf *out, struct err *err)
{
	VEC_FOREACH(origin, &config->origins)
		if (put_line(out, "origin", *origin, err) < 0)
			return -1;
	VEC_FOREACH(key, &config->keys) {
		AUTO_FREE char *text = public_key_format(key, err);
		if (text == NULL || put_line(out, "key", text, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (put_value(out, &keys[i], config, err) < 0)
			return -1;
	return 0;
}

/* The URL of "SITE=URL" or "URL". */
static const char *origin_url(const char *origin)
{
	const char *equals = strstr(origin, "=http");
	return equals != NULL && memchr(origin, '/', (size_t)(equals - origin)) == NULL ? equals + 1
											: origin;
}

/* 0: of our site, 1: of none, 2: of another. */
static int origin_rank(const char *origin, const char *site)
{
	const char *url = origin_url(origin);
	size_t len = (size_t)(url - origin);
	if (len == 0)
		return 1;
	return len - 1 == strlen(site) && memcmp(origin, site, len - 1) == 0 ? 0 : 2;
}

int node_config_rank_origins(struct node_config *config, struct err *err)
{
	AUTO_STRVEC ranked = {0};
	for (int rank = 0; rank <= 2; rank++) {
		for (size_t i = 0; i < config->origins.len; i++) {
			const char *origin = config->origins.items[i];
			if (origin_rank(origin, config->site) == rank &&
				strvec_push(&ranked, origin_url(origin), err) < 0)
				return -1;
		}
	}
	strvec_done(&config->origins);
	config->origins = ranked;
	ranked = (struct strvec){0};
	return 0;
}
