/* SPDX-License-Identifier: MIT */
/* A node from its configuration to reads of its image, with an origin that comes and goes. */
#include "fixture.h"

#include "base/log.h"
#include "node/parts.h"

#include <fnmatch.h>

static void check_state(const char *name, const char *text)
{
	AUTO_FREE char *path = path_printf(&fixture_err, "%s/state/%s", origin.dir, name);
	AUTO_BUF bytes = {0};
	must(fd_read_file(AT_FDCWD, path, 1 << 20, &bytes, &fixture_err));
	assert_string_equal(buf_str(&bytes, &fixture_err), text);
}

static void serves_the_image(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	client_boot(&c);
	assert_int_equal(node_image_size(c.node), origin.image.len);
	char hex[DIGEST_HEX_SIZE];
	assert_string_equal(
		node_identifier(c.node), digest_hex(&origin.manifest.catalog.digest, hex));
	check_state("plan", "a plan\n");
	check_state("db/db.sqlite", "a database");
	check_state("db/schema", "10");
	check_state("db/registration", "paths");
	client_connect(&c);
	/* Whole, by steps that lie across all borders, and again out of memory. */
	for (uint64_t off = 0; off < origin.image.len; off += 200000)
		client_check(&c, off,
			(uint32_t)(origin.image.len - off < 200000 ? origin.image.len - off
								   : 200000));
	unsigned before = origin.object_requests;
	client_check_all(&c);
	assert_int_equal(origin.object_requests, before);
	assert_int_equal(fake_swarm_log.serial, 7);
	assert_true(fake_swarm_log.touches >= 10);
	/* Tree, chunk table and chunks of the private one are wanted as such. */
	assert_int_equal(fake_swarm_log.wants_private, 2 + 4);
	assert_int_equal(fake_swarm_log.hidden, 2 + 4);
	client_done(&c);
}

static void answers_out_of_order(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	client_boot(&c);
	client_connect(&c);
	client_check(&c, 4096, 4096);
	origin.refuse = 503;
	client_ask(&c, 1, 512 * 1024, 4096); /* nobody has it now */
	client_ask(&c, 2, 4096, 4096);
	uint8_t data[4096];
	assert_int_equal(client_answer(&c), 2);
	client_receive(&c, data, sizeof(data));
	origin.refuse = 0;
	assert_int_equal(client_answer(&c), 1);
	client_receive(&c, data, sizeof(data));
	assert_memory_equal(data, origin.image.data + 512 * 1024, sizeof(data));
	client_done(&c);
}

static void keep_line(enum log_level level, const char *line, void *data)
{
	(void)level;
	if (strstr(line, "read") != NULL)
		snprintf(data, 256, "%s", line);
}

/* It works on without an origin, and says what it could not get. */
static void says_what_nobody_gives(void **state)
{
	struct client c;
	char line[256] = "", want[256], hex[DIGEST_HEX_SIZE];
	uint8_t data[4096];
	(void)state;
	client_init(&c, &origin);
	client_boot(&c);
	client_connect(&c);
	client_check(&c, 4096, 4096);
	origin.refuse = 503;
	client_ask(&c, 1, 512 * 1024, 4096);
	run_for(&origin, 100);
	struct node_reader *reader = c.node->reader;
	log_setup(LOG_LEVEL_INFO, keep_line, line);
	uint64_t now_us = node_clock_us();
	node_reader_check(reader, now_us + 9000000);
	assert_string_equal(line, "");
	node_reader_check(reader, now_us + 10000000);
	const struct node_system *system = &c.node->system;
	const struct extent *extent = image_extent_at(&system->image, 512 * 1024);
	uint32_t at = system->extent_segments[extent - system->image.extents.items];
	const struct node_place place = {.segment = at,
		.chunk = (uint32_t)chunk_table_find(&system->segments.items[at].table,
			extent->file_off + 512 * 1024 - extent->off)};
	struct chunk chunk = node_system_chunk(system, place);
	snprintf(want, sizeof(want),
		"1 reads wait, the first for 10 s: nobody gives chunk '%s' of "
		"'path-0'",
		digest_hex(&chunk.digest, hex));
	assert_string_equal(line, want);
	line[0] = '\0';
	node_reader_check(reader, now_us + 19000000);
	assert_string_equal(line, "");
	node_reader_check(reader, now_us + 21000000);
	assert_memory_equal(line, "1 reads wait, the first for 21 s: ", 34);
	origin.refuse = 0;
	assert_int_equal(client_answer(&c), 1);
	client_receive(&c, data, sizeof(data));
	node_reader_check(reader, now_us + 22000000);
	assert_string_equal(line, "reads are answered again");
	log_setup(LOG_LEVEL_INFO, NULL, NULL);
	client_done(&c);
}

static void forgets_reads_of_a_dead_connection(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	client_boot(&c);
	client_connect(&c);
	origin.refuse = 503;
	client_ask(&c, 1, 512 * 1024, 4096);
	run_for(&origin, 50);
	close(c.socket);
	run_for(&origin, 50);
	origin.refuse = 0;
	client_connect(&c);
	client_check(&c, 512 * 1024, 4096);
	client_done(&c);
}

/* It neither becomes ready nor gives up. */
static void check_waits(struct client *c)
{
	client_start(c);
	run_for(&origin, 600);
	assert_false(c->ready || c->failed);
}

static void waits_for_its_origin(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	origin_down(&origin);
	check_waits(&c);
	assert_memory_equal(c.progress, "no origin answers: cannot get 'http://", 38);
	origin_up(&origin);
	wait_ready(&c);
	client_done(&c);
}

static void waits_for_an_origin_in_trouble(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	origin.refuse = 503;
	check_waits(&c);
	origin.refuse = 0;
	wait_ready(&c);
	client_done(&c);
}

static void check_fails(struct client *c, enum err_kind kind, const char *message, const char *hint)
{
	client_start(c);
	assert_true(wait_for(&origin, &c->failed, PATIENCE_S));
	char text[1024];
	snprintf(text, sizeof(text), message, origin.url);
	assert_string_equal(c->failure.hint, hint);
	assert_err(&c->failure, kind, text);
	client_stop(c);
}

/* Puts the manifest, as it is, below another URL: a mirror of its own. */
static char *mirror(const char *name)
{
	test_shell("mkdir -p '%s/%s/v1' && cp -r '%s/v1/manifests' '%s/%s/v1'", origin.dir, name,
		origin.dir, origin.dir, name);
	return path_printf(&fixture_err, "%s/%s", origin.url, name);
}

/* A mirror that has nothing, one that is stale, one with rubbish, and then one that is right. */
static void passes_bad_origins_over(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	strvec_done(&c.config.origins);
	origin_issue(&origin, 6, time(NULL) - 7200, 3600);
	AUTO_FREE char *stale = mirror("stale"), *rubbish = mirror("rubbish");
	AUTO_FREE char *none = path_printf(&fixture_err, "%s/none", origin.url);
	test_write(origin.dir, "rubbish/v1/manifests/demo", "rubbish\n", 8);
	origin_issue(&origin, 7, time(NULL), 3600);
	const char *const origins[] = {none, stale, rubbish, origin.url};
	for (size_t i = 0; i < ARRAY_LEN(origins); i++)
		must(strvec_push(&c.config.origins, origins[i], &fixture_err));
	client_boot(&c);
	assert_int_equal(fake_swarm_log.serial, 7);
	client_done(&c);
}

/* While one of them is away it may be the one that is right. */
static void waits_while_the_good_origin_may_come(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	AUTO_FREE char *away = strdup("http://127.0.0.1:1");
	must(strvec_push(&c.config.origins, away, &fixture_err));
	origin_issue(&origin, 7, time(NULL) - 7200, 3600);
	check_waits(&c);
	client_done(&c);
}

static void says_what_waiting_does_not_mend(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	/* The origin's clock says the same as ours. */
	static const char date[] = "20[0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:"
				   "[0-6][0-9] UTC";
	char pattern[512];
	origin_issue(&origin, 7, 1000, 1000);
	client_start(&c);
	assert_true(wait_for(&origin, &c.failed, PATIENCE_S));
	assert_int_equal(c.failure.kind, ERR_UNTRUSTED);
	snprintf(pattern, sizeof(pattern),
		"origin '%s': manifest 'demo' expired at 1970-01-01 00:33:20 UTC: here it is %s, "
		"at the origin %s",
		origin.url, date, date);
	if (fnmatch(pattern, c.failure.msg, 0) != 0)
		fail_msg("'%s'", c.failure.msg);
	assert_string_equal(c.failure.hint,
		"the origin issues a new one when it is asked; if it did, set the clock");
	client_stop(&c);

	origin_unsign(&origin);
	origin_publish(&origin);
	client_start(&c);
	assert_true(wait_for(&origin, &c.failed, PATIENCE_S));
	snprintf(pattern, sizeof(pattern), "origin '%s': manifest 'demo' has no signature",
		origin.url);
	assert_err(&c.failure, ERR_UNTRUSTED, pattern);
	client_stop(&c);

	origin_issue(&origin, 7, time(NULL), 3600);
	free(c.config.name);
	c.config.name = strdup("other");
	check_fails(&c, ERR_NOT_FOUND, "cannot get '%s/v1/manifests/other': there is none",
		"the origin must serve a system by the name 'other'");
	client_done(&c);
}

static void refuses_another_key(void **state)
{
	struct client c;
	struct secret_key other = {0};
	(void)state;
	client_init(&c, &origin);
	must(secret_key_generate("test-1", &other, &fixture_err));
	public_key_done(&c.config.keys.items[0]);
	must(secret_key_public(&other, &c.config.keys.items[0], &fixture_err));
	client_start(&c);
	assert_true(wait_for(&origin, &c.failed, PATIENCE_S));
	assert_int_equal(c.failure.kind, ERR_UNTRUSTED);
	char text[256];
	snprintf(text, sizeof(text),
		"origin '%s': manifest 'demo' has a wrong signature by the trusted key 'test-1'",
		origin.url);
	assert_string_equal(c.failure.msg, text);
	client_done(&c);
	secret_key_done(&other);
}

static void refuses_what_composes_to_something_else(void **state)
{
	struct client c;
	(void)state;
	client_init(&c, &origin);
	origin.catalog.metadata.bytes[0] ^= 1;
	origin_catalog(&origin);
	origin_issue(&origin, 8, time(NULL), 3600);
	check_fails(&c, ERR_CORRUPT,
		"system '/nix/store/demo': the composed image is not the one that was signed",
		"origin and node must be of versions that compose alike");
	client_done(&c);
}

static void goes_on_with_the_manifest_of_a_dead_node(void **state)
{
	struct client c;
	char hex[DIGEST_HEX_SIZE];
	(void)state;
	client_init(&c, &origin);
	client_boot(&c);
	digest_hex(&origin.manifest.catalog.digest, hex);
	client_stop(&c);
	/* Ours has expired, and another generation is there by now. */
	origin_issue(&origin, 7, time(NULL) - 7200, 3600);
	test_shell("cp '%s/v1/manifests/demo' '%s/manifest'", origin.dir, c.config.state_dir);
	origin_file(&origin, "zz", "more");
	origin_catalog(&origin);
	origin_issue(&origin, 8, time(NULL), 3600);
	c.config.resume = true;
	client_boot(&c);
	assert_string_equal(node_identifier(c.node), hex);
	assert_int_equal(fake_swarm_log.serial, 7);
	client_stop(&c);
	c.config.resume = false;
	client_boot(&c);
	assert_string_not_equal(node_identifier(c.node), hex);
	client_done(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		ORIGIN_CASE(serves_the_image),
		ORIGIN_CASE(answers_out_of_order),
		ORIGIN_CASE(says_what_nobody_gives),
		ORIGIN_CASE(forgets_reads_of_a_dead_connection),
		ORIGIN_CASE(waits_for_its_origin),
		ORIGIN_CASE(waits_for_an_origin_in_trouble),
		ORIGIN_CASE(passes_bad_origins_over),
		ORIGIN_CASE(waits_while_the_good_origin_may_come),
		ORIGIN_CASE(says_what_waiting_does_not_mend),
		ORIGIN_CASE(refuses_another_key),
		ORIGIN_CASE(refuses_what_composes_to_something_else),
		ORIGIN_CASE(goes_on_with_the_manifest_of_a_dead_node),
	};
	return TEST_MAIN(tests);
}
