/* SPDX-License-Identifier: MIT */
/*
 * A store path of 20 files is added to the pool, from the disk and from a binary cache, and written
 * to one; each allocation of ours and each write, sync and rename fails once, in turn. Each time
 * the failure is told in whole words, nothing is lost that was there, and the next run completes.
 */
#include "fault.h"

#include "../pool/sandbox.h"

#include "source/cache_writer.h"
#include "source/caches.h"

#include <ctype.h>
#include <sys/wait.h>

#define OLD "0c0v5k3dmhqjfq4m3hv3l2a2rlf4wxyb-old"
#define NEW_HASH "9y8pmvk8gdwwznmkzxa6pwyah52xy3nk"
#define NEW NEW_HASH "-new"

/* Its pool is the one in use; beside it are "old-pool" and "old-cache" with the old path alone,
 * "full-pool" and "full-cache" with both, and "written", a cache that is written. */
struct scene {
	struct sandbox sandbox;
	char *cache, *written;
};

struct act {
	int (*run)(const struct scene *scene, struct err *err);
	const char *before; /* what there is, by a shell in the sandbox's directory */
	const char *failed; /* holds afterwards, if it failed */
	const char *done;   /* and if it did not */
	bool fills;         /* the pool, which has the old path alone before */
	unsigned least[2];  /* so many allocations, and outputs, there are at least */
};

static int with_pool(const struct scene *s,
	int (*use)(const struct scene *s, struct pool *pool, struct err *err), struct err *err)
{
	struct pool *pool;
	if (pool_open(s->sandbox.pool, 0, &pool, err) < 0)
		return -1;
	int r = use(s, pool, err);
	pool_close(pool);
	return r;
}

static int add_from_disk(const struct scene *s, struct pool *pool, struct err *err)
{
	return pool_add(pool, &s->sandbox.closure, &sandbox_params, NULL, err);
}

static int from_disk(const struct scene *s, struct err *err)
{
	return with_pool(s, add_from_disk, err);
}

static void free_cached(struct cached_closure **cached)
{
	*cached = cached_closure_free(*cached);
}

static void close_caches(struct caches **caches)
{
	*caches = caches_close(*caches);
}

static int add_from_cache(const struct scene *s, struct pool *pool, struct err *err)
{
	const struct trust trust = {.anything = true};
	AUTO_STRVEC urls = {0};
	AUTO(close_caches) struct caches *caches = NULL;
	AUTO(free_cached) struct cached_closure *cached = NULL;
	AUTO(caches_supply_done) struct pool_supply supply = {0};
	AUTO_FREE char *url = path_printf(err, "file://%s", s->cache);
	AUTO_FREE char *path = NULL;
	const struct caches_params params = {.urls = &urls, .trust = &trust, .stall_s = 1};
	if (url == NULL || strvec_push(&urls, url, err) < 0 ||
		caches_open(&params, &caches, err) < 0 ||
		caches_closure(caches, NEW, NULL, &cached, &path, err) < 0 ||
		caches_supply(caches, cached, &supply, err) < 0)
		return -1;
	return pool_add_from(pool, cached_closure_get(cached), &supply, &sandbox_params, NULL, err);
}

static int from_cache(const struct scene *s, struct err *err)
{
	return with_pool(s, add_from_cache, err);
}

static int write_cache(const struct scene *s, struct pool *pool, struct err *err)
{
	const struct cache_writer writer = {
		.dir = s->written, .compression = NAR_COMPRESSION_ZSTD, .jobs = 1};
	struct cache_written written;
	return cache_write(
		&writer, pool, &s->sandbox.closure, &sandbox_params, NULL, &written, err);
}

static int to_cache(const struct scene *s, struct err *err)
{
	return with_pool(s, write_cache, err);
}

/* Adds everything to the pool, writes it all as a cache, and keeps both. */
static void keep_as(const struct scene *s, const char *name)
{
	struct err err = ERR_INIT;
	assert_ok(from_disk(s, &err));
	assert_ok(to_cache(s, &err));
	test_shell("cd '%s' && cp -r pool %s-pool && cp -r written %s-cache", s->sandbox.dir, name,
		name);
}

static void scene_init(struct scene *s)
{
	struct err err = ERR_INIT;
	*s = (struct scene){0};
	struct sandbox *box = &s->sandbox;
	sandbox_init(box);
	s->cache = path_printf(&err, "%s/full-cache", box->dir);
	s->written = path_printf(&err, "%s/written", box->dir);
	test_shell("cd '%s' && mkdir -p " OLD " " NEW "/sub && seq 3000 >" OLD "/text && cd " NEW
		   " && for i in $(seq 15); do seq $i $((i * 100)) >f$i; done && "
		   "head -c 300000 /dev/urandom >large && cp large twin && "
		   "truncate -s 200000 hole && ln -s f1 link && printf x >sub/tool && "
		   "chmod +x sub/tool",
		box->store);
	sandbox_register(box, OLD);
	keep_as(s, "old");
	sandbox_register(box, NEW);
	keep_as(s, "full");
}

static void scene_done(struct scene *s)
{
	sandbox_done(&s->sandbox);
	free(s->cache);
	free(s->written);
}

/* How an attempt ended. */
struct outcome {
	bool struck;
	int result;
	struct err err;
};

/* In a process of its own, as an out-of-memory of ours must not leave anything behind. */
static struct outcome attempt(
	const struct scene *s, const struct act *act, enum fault fault, unsigned at)
{
	int ends[2];
	struct outcome outcome = {.err = ERR_INIT};
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		fault_arm(fault, at);
		outcome.result = act->run(s, &outcome.err);
		outcome.struck = fault_disarm();
		_exit(write(ends[1], &outcome, sizeof(outcome)) == sizeof(outcome) ? 0 : 1);
	}
	int status;
	close(ends[1]);
	ssize_t got = read(ends[0], &outcome, sizeof(outcome));
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || got != (ssize_t)sizeof(outcome))
		fail_msg("fault %u at call %u: ended with status %#x", fault, at, status);
	return outcome;
}

/* All that may be said. DIR is the sandbox's, # a name that is made up anew each time, ! the cause.
 */
static const char *const told[] = {
	"!",
	"store path '/nix/store/" NEW "': !",
	"'file://DIR/full-cache/nar/#.nar.zst': !",
	"'file://DIR/full-cache/nix-cache-info': !",
	"narinfo 'file://DIR/full-cache/" NEW_HASH ".narinfo': !",
	"cannot rename to 'DIR/pool/objects/#/#': !",
	"cannot write 'DIR/pool/objects': !",
	"cannot write 'DIR/pool/objects/#': !",
	"cannot write 'DIR/pool/sessions/#/#': !",
	"cannot write 'DIR/pool': !",
	"store path '/nix/store/" NEW "': cannot write 'DIR/pool': !",
	"'file://DIR/full-cache/nar/#.nar.zst': cannot write 'DIR/pool': !",
	"cannot write 'DIR/written/nar/#.nar.zst': !",
	"cannot write 'DIR/written/" NEW_HASH ".narinfo': !",
	"cannot create 'DIR/written/nar/#.nar.zst': !",
	"cannot create 'DIR/written/" NEW_HASH ".narinfo': !",
	"cannot sync the directory of 'DIR/written/nar/#.nar.zst': !",
	"cannot sync the directory of 'DIR/written/" NEW_HASH ".narinfo': !",
	"index 'DIR/pool/index.sqlite': disk I/O error: !",
	"index 'DIR/pool/index.sqlite': disk I/O error", /* SQLite did not look why */
	"index 'DIR/pool/index.sqlite': database or disk is full",
};

static bool is_digit(char c)
{
	return isdigit((unsigned char)c) || islower((unsigned char)c);
}

/* Whether the name that begins here, between slashes, is made up: of a session and the files in it,
 * of objects and NARs. */
static bool is_made_up(size_t len)
{
	return len == 1 || len == 2 || len == 16 || len == 52 || len == 64;
}

/* `msg` with what differs each time replaced; the caller owns it. */
static char *general(const struct scene *s, const char *msg, const char *cause)
{
	struct err err = ERR_INIT;
	AUTO_BUF out = {0};
	size_t dir_len = strlen(s->sandbox.dir), cause_len = strlen(cause);
	for (const char *p = msg; *p != '\0';) {
		size_t len = 0;
		while (p > msg && p[-1] == '/' && is_digit(p[len]))
			len++;
		const char *put = strncmp(p, s->sandbox.dir, dir_len) == 0 ? "DIR"
			: strcmp(p, cause) == 0                            ? "!"
			: is_made_up(len)                                  ? "#"
									   : NULL;
		assert_ok(put != NULL ? buf_put_str(&out, put, &err) : buf_put(&out, p, 1, &err));
		p += put == NULL ? 1 : put[0] == 'D' ? dir_len : put[0] == '!' ? cause_len : len;
	}
	return buf_take_str(&out, &err);
}

static void assert_told(const struct scene *s, const struct outcome *outcome, enum fault fault)
{
	static const char *const causes[] = {[FAULT_ALLOCATION] = "out of memory",
		[FAULT_OUTPUT] = "Input/output error",
		[FAULT_SPACE] = "No space left on device"};
	AUTO_FREE char *msg = general(s, outcome->err.msg, causes[fault]);
	size_t i = 0;
	while (i < ARRAY_LEN(told) && strcmp(told[i], msg) != 0)
		i++;
	if (i == ARRAY_LEN(told))
		fail_msg("it said: %s", msg);
	assert_int_equal(outcome->err.kind == ERR_NOMEM, fault == FAULT_ALLOCATION);
}

static void assert_whole(const struct scene *s, size_t paths)
{
	struct err err = ERR_INIT;
	struct pool *pool = NULL;
	struct pool_segment segment;
	struct pool_check check = {.jobs = 1};
	uint64_t problems;
	assert_ok(pool_open(s->sandbox.pool, 0, &pool, &err));
	assert_ok(pool_verify(pool, &check, NULL, &problems, &err));
	assert_int_equal(problems, 0);
	for (size_t i = 0; i < paths; i++)
		assert_int_equal(pool_find(pool, &s->sandbox.closure.items[i].nar_hash,
					 &sandbox_params, &segment, &err),
			1);
	pool_close(pool);
	test_shell("[ -z \"$(ls '%s/sessions')\" ]", s->sandbox.pool);
}

static void check(const struct scene *s, const char *script)
{
	test_shell("cd '%s' && %s", s->sandbox.dir, script);
}

/* Each call in turn, until there is none left to fail. Returns how many there were. */
static unsigned all_faults(struct scene *s, const struct act *act, enum fault fault)
{
	for (unsigned at = 0;; at++) {
		struct err err = ERR_INIT;
		check(s, act->before);
		struct outcome outcome = attempt(s, act, fault, at);
		bool failed = outcome.result < 0;
		if (!outcome.struck) {
			if (failed)
				fail_msg("without a fault: %s", outcome.err.msg);
			return at;
		}
		if (failed)
			assert_told(s, &outcome, fault);
		assert_whole(s, failed && act->fills ? 1 : 2);
		check(s, failed ? act->failed : act->done);
		assert_ok(act->run(s, &err));
		assert_whole(s, 2);
		check(s, act->done);
	}
}

static void run_faults(const struct act *act)
{
	struct scene s;
	scene_init(&s);
	unsigned allocations = all_faults(&s, act, FAULT_ALLOCATION);
	unsigned outputs = all_faults(&s, act, FAULT_OUTPUT);
	unsigned spaces = all_faults(&s, act, FAULT_SPACE);
	printf("%u allocations, %u outputs, %u of them need space\n", allocations, outputs, spaces);
	assert_in_range(allocations, act->least[0], 100000);
	assert_in_range(outputs, act->least[1], 100000);
	assert_in_range(spaces, 1, outputs);
	scene_done(&s);
}

#define NEW_POOL "rm -rf pool && cp -r old-pool pool"
static void adding_from_the_disk(void **state)
{
	(void)state;
	const struct act act = {from_disk, NEW_POOL, "true", "true", true, {50, 15}};
	run_faults(&act);
}

static void adding_from_a_cache(void **state)
{
	(void)state;
	const struct act act = {from_cache, NEW_POOL, "true", "true", true, {100, 15}};
	run_faults(&act);
}

/* What is in the cache is whole: each narinfo's NAR is there, and is the one it should be. */
static void writing_a_cache(void **state)
{
	(void)state;
	const struct act act = {to_cache,
		"rm -rf pool written && cp -r full-pool pool && cp -r old-cache written",
		"for f in written/*.narinfo; do cmp $f full-cache/${f#*/} && "
		"n=$(sed -n 's/^URL: //p' $f) && cmp written/$n full-cache/$n || exit; done",
		"diff -r written full-cache", false, {50, 8}};
	run_faults(&act);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adding_from_the_disk),
		cmocka_unit_test(adding_from_a_cache),
		cmocka_unit_test(writing_a_cache),
	};
	/* No disk is needed to see what fails, and a thousand pools are copied. */
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	return TEST_MAIN(tests);
}
