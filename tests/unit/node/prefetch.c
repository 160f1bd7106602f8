/* SPDX-License-Identifier: MIT */
/* What a node fetches ahead, and what it keeps for the next boot on its disk. */
#include "fixture.h"

#include "base/log.h"
#include "cache/layout.h"
#include "node/parts.h"

#include <fnmatch.h>

static void with_disk_at(struct client *c, const char *name)
{
	client_init(c, &origin);
	AUTO_FREE char *disk = fixture_path(origin.dir, name);
	must(path_mkdirs(disk, &fixture_err));
	c->config.cache.disk = TAKE_PTR(disk);
	c->config.cache.disk_max = 32 << 20;
}

static void with_disk(struct client *c)
{
	with_disk_at(c, "cache");
}

/* A profile of two chunks of the first path, and of three that are not there. */
static void put_profile(void)
{
	AUTO_PROFILE profile = {.catalog = origin.manifest.catalog.digest};
	static const struct profile_entry entries[] = {{0, 3}, {0, 1}, {9, 0}, {0, 99}, {2, 0}};
	AUTO_BUF bytes = {0};
	char hex[DIGEST_HEX_SIZE];
	for (size_t i = 0; i < ARRAY_LEN(entries); i++)
		must(vec_push(&profile.entries, entries[i], &fixture_err));
	must(profile_encode(&profile, &bytes, &fixture_err));
	AUTO_FREE char *dir = fixture_path(origin.dir, "v1/profiles");
	must(path_mkdirs(dir, &fixture_err));
	test_write(dir, digest_hex(&profile.catalog, hex), bytes.data, bytes.len);
}

static void wait_complete(void)
{
	for (int i = 0; i < 100 && strcmp(fake_swarm_log.step, "complete") != 0; i++)
		run_for(&origin, 50);
	assert_string_equal(fake_swarm_log.step, "complete");
}

/* What the node says of itself has these words. */
static void check_status(const struct client *c, const char *words)
{
	AUTO_BUF text = {0};
	must(node_status_json(c->node, &text, &fixture_err));
	assert_non_null(strstr(buf_str(&text, &fixture_err), words));
}

static void fetches_the_profile(void **state)
{
	struct client c;
	(void)state;
	put_profile();
	client_init(&c, &origin);
	client_boot(&c);
	run_for(&origin, 300);
	assert_int_equal(fake_swarm_log.wants[SWARM_PREFETCH], 2);
	assert_int_equal(fake_swarm_log.wants[SWARM_BULK], 0);
	client_done(&c);
}

/* Everything is held: then the origin may go, and every byte can be read. */
static void completes(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	c.config.complete = true;
	client_boot(&c);
	wait_complete();
	origin_down(&origin);
	client_connect(&c);
	client_check_all(&c);
	client_done(&c);
	origin_up(&origin);
}

/* The origin's objects lie as those of a pool do: then nobody is asked for them, but for the one
 * that is rotten. */
static void shares_a_pool(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	c.config.complete = true;
	c.config.pool = fixture_path(origin.dir, "pool");
	test_shell("mkdir '%s' && cp -r '%s/v1/objects' '%s'", c.config.pool, origin.dir,
		c.config.pool);
	test_shell("f=$(find '%s/objects' -size +500k | head -n 1) && printf x | dd of=\"$f\" "
		   "bs=1 seek=300000 conv=notrunc status=none",
		c.config.pool);
	client_boot(&c);
	wait_complete();
	assert_int_equal(origin.object_requests, 1);
	client_connect(&c);
	client_check_all(&c);
	client_done(&c);
}

static void stops_when_the_cache_is_full(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	c.config.complete = true;
	c.config.cache.memory_max = 1 << 20;
	client_boot(&c);
	run_for(&origin, 500);
	check_status(&c, "\"complete\":0,\"full\":1");
	client_done(&c);
}

/* A warm cache boots without a byte from the origin but the manifest. */
static void boots_from_its_disk(void **state)
{
	struct client c;
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_connect(&c);
	client_check_all(&c);
	client_stop(&c);
	unsigned before = origin.object_requests;
	client_boot(&c);
	client_connect(&c);
	client_check_all(&c);
	assert_int_equal(origin.object_requests, before);
	client_done(&c);
}

/* What a disk lost is fetched again, and the reader does not see it. */
static void fetches_what_is_rotten(void **state)
{
	struct client c;
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_connect(&c);
	client_check_all(&c);
	client_stop(&c);
	test_shell("printf 12345678 | dd of='%s/cache/chunks' bs=1 seek=%u conv=notrunc "
		   "status=none",
		origin.dir, LAYOUT_ZONES_OFF + 500000);
	unsigned before = origin.object_requests;
	client_boot(&c);
	client_connect(&c);
	client_check_all(&c);
	assert_int_equal(origin.object_requests, before + 1);
	check_status(&c, "\"rotten\":1,");
	/* And kept: the next boot asks nobody. */
	client_stop(&c);
	client_boot(&c);
	client_connect(&c);
	client_check_all(&c);
	assert_int_equal(origin.object_requests, before + 1);
	client_done(&c);
}

/* A node without a system knows from the note what of its disk is private. */
static void remembers_what_is_private(void **state)
{
	struct client c;
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_stop(&c);
	free(TAKE_PTR(c.config.name));
	client_boot(&c);
	assert_true(fake_swarm_log.told_hidden);
	assert_int_equal(fake_swarm_log.hidden, 2 + 4);
	client_done(&c);
}

static void boots_without_its_origin(void **state)
{
	struct client c;
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_connect(&c);
	client_check_all(&c);
	client_stop(&c);
	origin_down(&origin);
	client_start(&c);
	run_for(&origin, 2000);
	assert_false(c.ready || c.failed); /* an origin that comes back has its chance first */
	wait_ready(&c);
	client_connect(&c);
	client_check_all(&c);
	client_done(&c);
	origin_up(&origin);
}

static void keep_refusal(enum log_level level, const char *line, void *data)
{
	(void)level;
	if (strncmp(line, "the last good manifest: ", 24) == 0)
		snprintf(data, 256, "%s", line + 24);
}

/* Without an origin the disk's manifest is held against keys and clock like any other; what fails
 * is waited with, not used. Returns what was said of it. */
static const char *check_not_used(struct client *c)
{
	static char line[256];
	line[0] = '\0';
	log_setup(LOG_LEVEL_INFO, keep_refusal, line);
	client_start(c);
	for (int i = 0; i < 200 && line[0] == '\0'; i++)
		run_for(&origin, 100);
	run_for(&origin, 500);
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
	assert_false(c->ready || c->failed);
	client_done(c);
	return line;
}

static void a_disk_is_no_way_around_trust(void **state)
{
	struct client c;
	struct secret_key other = {0};
	AUTO_BUF text = {0};
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_stop(&c);
	test_shell("cp -r '%s/cache' '%s/old'", origin.dir, origin.dir);
	origin_down(&origin);
	/* Another key by the same name. */
	must(secret_key_generate("test-1", &other, &fixture_err));
	public_key_done(&c.config.keys.items[0]);
	must(secret_key_public(&other, &c.config.keys.items[0], &fixture_err));
	assert_string_equal(check_not_used(&c),
		"manifest 'demo' has a wrong signature by the trusted key 'test-1', ignoring");
	secret_key_done(&other);
	/* One that has expired since. */
	origin_up(&origin);
	with_disk_at(&c, "old");
	client_boot(&c);
	origin_issue(&origin, 7, 1000, 1000);
	must(manifest_encode(&origin.manifest, &text, &fixture_err));
	node_search_remember(c.node->sources.cache, &origin.manifest, &text);
	client_stop(&c);
	origin_down(&origin);
	const char *said = check_not_used(&c);
	if (fnmatch("manifest 'demo' expired at 1970-01-01 00:33:20 UTC: here it is 20[0-9][0-9]-"
		    "[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9] UTC, ignoring",
		    said, 0) != 0)
		fail_msg("'%s'", said);
	origin_up(&origin);
}

static void refuses_a_replay(void **state)
{
	struct client c;
	char text[256];
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_stop(&c);
	origin_issue(&origin, 6, time(NULL), 3600);
	client_start(&c);
	assert_true(wait_for(&origin, &c.failed, PATIENCE_S));
	snprintf(text, sizeof(text), "origin '%s': ", origin.url);
	assert_memory_equal(c.failure.msg, text, strlen(text));
	assert_string_equal(c.failure.msg + strlen(text),
		"manifest 'demo' has serial 6, but this machine has seen 7");
	assert_int_equal(c.failure.kind, ERR_UNTRUSTED);
	assert_string_equal(c.failure.hint,
		"an old one was sent again, or two origins count apart: they must share --state; "
		"to go back to an old system, issue it anew");
	client_stop(&c);
	origin_issue(&origin, 8, time(NULL), 3600);
	client_boot(&c);
	client_done(&c);
}

/* What this boot read is fetched ahead by the next one when no origin has a profile. */
static void keeps_its_own_profile(void **state)
{
	struct client c;
	(void)state;
	with_disk(&c);
	client_boot(&c);
	client_connect(&c);
	client_check(&c, 0, 200 * 1024);
	client_stop(&c);
	client_boot(&c);
	run_for(&origin, 200);
	check_status(&c, "\"profile_entries\":2,");
	client_done(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		ORIGIN_CASE(fetches_the_profile),
		ORIGIN_CASE(completes),
		ORIGIN_CASE(shares_a_pool),
		ORIGIN_CASE(stops_when_the_cache_is_full),
		ORIGIN_CASE(boots_from_its_disk),
		ORIGIN_CASE(fetches_what_is_rotten),
		ORIGIN_CASE(remembers_what_is_private),
		ORIGIN_CASE(boots_without_its_origin),
		ORIGIN_CASE(a_disk_is_no_way_around_trust),
		ORIGIN_CASE(refuses_a_replay),
		ORIGIN_CASE(keeps_its_own_profile),
	};
	return TEST_MAIN(tests);
}
