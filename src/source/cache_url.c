/* SPDX-License-Identifier: MIT */
/*
 * URLs of binary caches as Nix writes them: "https://HOST/DIR?priority=10", "file:///DIR",
 * "s3://BUCKET?region=R&endpoint=HOST&scheme=http" (Nix, src/libstore/s3-binary-cache-store.cc).
 */
#include "base/buf.h"
#include "base/path.h"
#include "source/caches_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What may stand behind the '?'; the values are the caller's. */
struct query {
	char *priority, *region, *endpoint, *scheme;
};

static void query_done(struct query *query)
{
	free(query->priority);
	free(query->region);
	free(query->endpoint);
	free(query->scheme);
}

/* Words that are not for us (compression, secret-key) are passed over, as they are for writing. */
static int read_query(const char *text, struct query *ret, struct err *err)
{
	const struct {
		const char *name;
		char **value;
	} known[] = {{"priority=", &ret->priority}, {"region=", &ret->region},
		{"endpoint=", &ret->endpoint}, {"scheme=", &ret->scheme}};
	while (*text != '\0') {
		size_t len = strcspn(text, "&");
		for (size_t i = 0; i < ARRAY_LEN(known); i++) {
			size_t skip = strlen(known[i].name);
			if (len < skip || strncmp(text, known[i].name, skip) != 0 ||
				*known[i].value != NULL)
				continue;
			*known[i].value = strndup(text + skip, len - skip);
			if (*known[i].value == NULL)
				return err_oom(err);
		}
		text += len;
		text += *text == '&';
	}
	return 0;
}

static int copy_env(const char *name, char **ret, struct err *err)
{
	const char *value = getenv(name);
	if (value == NULL || value[0] == '\0')
		return 0;
	*ret = strdup(value);
	return *ret != NULL ? 0 : err_oom(err);
}

/* A bucket without keys in the environment is asked as anybody may. */
static int read_auth(struct cache *cache, const struct query *query, struct err *err)
{
	struct download_auth *auth = &cache->auth;
	if (copy_env("AWS_ACCESS_KEY_ID", &auth->key_id, err) < 0 ||
		copy_env("AWS_SECRET_ACCESS_KEY", &auth->secret, err) < 0 ||
		copy_env("AWS_SESSION_TOKEN", &auth->token, err) < 0)
		return -1;
	auth->region = strdup(query->region != NULL ? query->region : "us-east-1");
	if (auth->region == NULL)
		return err_oom(err);
	cache->has_auth = auth->key_id != NULL && auth->secret != NULL;
	return 0;
}

/* `bucket` is what stands behind "s3://". The bucket is named in the path, which all makes of
 * stores understand. */
static char *s3_url(
	const struct cache *cache, const char *bucket, const struct query *query, struct err *err)
{
	const char *scheme = query->scheme != NULL ? query->scheme : "https";
	if (query->endpoint == NULL)
		return path_printf(
			err, "%s://s3.%s.amazonaws.com/%s/", scheme, cache->auth.region, bucket);
	if (strstr(query->endpoint, "://") != NULL)
		return path_printf(err, "%s/%s/", query->endpoint, bucket);
	return path_printf(err, "%s://%s/%s/", scheme, query->endpoint, bucket);
}

static int read_priority(
	struct cache *cache, const struct query *query, const char *text, struct err *err)
{
	if (query->priority == NULL)
		return 0;
	char *end;
	errno = 0;
	unsigned long v = strtoul(query->priority, &end, 10);
	if (errno != 0 || end == query->priority || *end != '\0' || v > UINT32_MAX ||
		query->priority[0] == '-')
		return err_raise(err, ERR_USAGE, "cache '%s' has the priority '%s', not a number",
			text, query->priority);
	cache->has_priority = true;
	cache->priority = (uint32_t)v;
	return 0;
}

static int parse(const char *text, struct cache *cache, struct err *err)
{
	AUTO(query_done) struct query query = {0};
	size_t len = strcspn(text, "?");
	const char *rest = text[len] == '?' ? text + len + 1 : text + len;
	while (len > 0 && text[len - 1] == '/')
		len--;
	cache->name = strndup(text, len);
	if (cache->name == NULL)
		return err_oom(err);
	if (read_query(rest, &query, err) < 0 || read_priority(cache, &query, text, err) < 0)
		return -1;
	if (strncmp(text, "s3://", 5) == 0) {
		if (read_auth(cache, &query, err) < 0)
			return -1;
		cache->url = s3_url(cache, cache->name + 5, &query, err);
	} else if (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0 ||
		strncmp(text, "file:///", 8) == 0) {
		cache->url = path_printf(err, "%s/", cache->name);
	} else {
		err_raise(err, ERR_USAGE, "'%s' is no URL of a binary cache", text);
		if (text[0] == '/')
			return err_hint(err, "a directory is named as file://%s", text);
		return err_hint(err,
			"it begins with https://, http://, file:/// or s3://, like "
			"https://cache.example.org");
	}
	return cache->url != NULL ? 0 : -1;
}

int cache_parse(const char *text, struct cache *ret, struct err *err)
{
	struct cache cache = {0};
	if (parse(text, &cache, err) < 0) {
		cache_done(&cache);
		return -1;
	}
	*ret = cache;
	return 0;
}
