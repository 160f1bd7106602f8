/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include "carrier/netroot.h"
#include "image/squashfs/squashfs.h"
#include "plan/plan.h"

#include <time.h>

/* The sample with something to cut into chunks, and a kernel that has nbd. */
static void init(struct sandbox *s, struct system *system)
{
	sample_init(s, system);
	test_shell(
		"cd '%s' && echo kernel/drivers/block/nbd.ko >>k/lib/modules/6.1.0/modules.builtin "
		"&& mkdir aaaa-big bbbb-secret cccc-empty && "
		"head -c 700000 /dev/urandom >aaaa-big/random && "
		"seq 200000 >aaaa-big/text && ln -s text aaaa-big/link && "
		"for i in 1 2 3 4 5; do head -c 9000 /dev/urandom >aaaa-big/small$i; done && "
		"head -c 140000 /dev/urandom >bbbb-secret/key",
		s->store);
	sandbox_register(s, "bbbb-secret");
	sandbox_register(s, "aaaa-big");
	sandbox_register(s, "cccc-empty");
}

static struct strvec excluded;

/* A store, its system and a pool. */
struct lab {
	struct sandbox s;
	struct system system;
	struct pool *pool;
};

static void lab_init(struct lab *lab)
{
	*lab = (struct lab){0};
	init(&lab->s, &lab->system);
	lab->pool = sandbox_open(&lab->s);
}

static void lab_done(struct lab *lab)
{
	pool_close(lab->pool);
	system_done(&lab->system);
	sandbox_done(&lab->s);
}

static int compose(struct lab *lab, struct netroot *ret, struct err *err)
{
	const struct netroot_params params = {.system = &lab->system,
		.closure = &lab->s.closure,
		.pool = &sandbox_params,
		.modules = "minimal",
		.append = "debug",
		.config = "key test-1:AAAA\n",
		.exclude_from_peers = &excluded};
	if (pool_add(lab->pool, &lab->s.closure, &sandbox_params, NULL, err) < 0)
		return -1;
	return netroot_compose(lab->pool, &params, NULL, ret, err);
}

static void must_compose(struct lab *lab, struct netroot *ret)
{
	struct err err = ERR_INIT;
	assert_ok(compose(lab, ret, &err));
}

/* Bytes that came from wherever, believed because the catalog vouches for every piece. */
static void fetch(struct pool *pool, const struct blob *blob, struct buf *out)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = pool_object_path(pool, &blob->digest, &err);
	assert_ok(fd_read_file(AT_FDCWD, path, 1 << 30, out, &err));
	assert_int_equal(out->len, blob->size);
	for (size_t i = 0; i < blob->pieces.len; i++) {
		struct chunk chunk = blob_chunk(blob, i);
		struct digest digest = digest_of(out->data + chunk.off, chunk.len);
		assert_true(digest_equal(&digest, &chunk.digest));
	}
}

/* What a node knows. */
struct node_side {
	struct pool *pool;
	struct catalog catalog;
	struct buf trees[16];
	struct tree tree[16];
	char names[16][DIGEST_HEX_SIZE];
	struct chunk_table tables[16];
	struct image image;
};

static void recompose(struct node_side *n, struct pool *pool, const struct blob *catalog)
{
	struct err err = ERR_INIT;
	AUTO_BUF bytes = {0};
	struct squashfs_member members[16];
	*n = (struct node_side){.pool = pool};
	fetch(pool, catalog, &bytes);
	assert_ok(catalog_decode(bytes.data, bytes.len, &n->catalog, &err));
	size_t count = n->catalog.members.len;
	assert_true(count <= 16);
	for (size_t i = 0; i < count; i++) {
		const struct catalog_member *member = &n->catalog.members.items[i];
		fetch(pool, &member->tree, &n->trees[i]);
		assert_ok(tree_open(n->trees[i].data, n->trees[i].len, &n->tree[i], &err));
		assert_ok(tree_check(&n->tree[i], &err));
		digest_hex(&n->tree[i].segment, n->names[i]);
		members[i] = (struct squashfs_member){
			.name = member->name, .tree = &n->tree[i], .segment_path = n->names[i]};
		assert_int_equal(member->chunks.size == 0, n->tree[i].segment_size == 0);
		if (member->chunks.size == 0)
			continue;
		AUTO_BUF table = {0};
		fetch(pool, &member->chunks, &table);
		assert_ok(chunk_table_decode(table.data, table.len, &n->tables[i], &err));
		assert_true(digest_equal(&n->tables[i].object, &n->tree[i].segment));
		assert_int_equal(n->tables[i].size, n->tree[i].segment_size);
	}
	assert_ok(squashfs_compose(members, count, &n->image, NULL, &err));
	assert_int_equal(n->image.size, n->catalog.image_size);
}

static void node_side_done(struct node_side *n)
{
	for (size_t i = 0; i < 16; i++) {
		buf_done(&n->trees[i]);
		chunk_table_done(&n->tables[i]);
	}
	catalog_done(&n->catalog);
	image_done(&n->image);
}

static struct digest generated(const struct image *image)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	VEC_FOREACH(extent, &image->extents) {
		AUTO_FREE uint8_t *zeros = calloc(1, extent->len);
		if (extent->kind != EXTENT_FILE)
			sha256_update(&ctx, extent->len,
				extent->kind == EXTENT_MEMORY ? extent->data : zeros);
	}
	return digest_finish(&ctx);
}

static void node_makes_the_same_metadata(void **state)
{
	(void)state;
	struct lab lab;
	lab_init(&lab);
	AUTO_NETROOT netroot = {0};
	must_compose(&lab, &netroot);
	AUTO(node_side_done) struct node_side node;
	recompose(&node, lab.pool, &netroot.catalog_blob);
	struct digest metadata = generated(&node.image);
	assert_true(digest_equal(&metadata, &node.catalog.metadata));
	/* Not by looking up what was remembered either. */
	AUTO_NETROOT again = {0};
	must_compose(&lab, &again);
	assert_true(digest_equal(&again.catalog.metadata, &metadata));
	assert_true(digest_equal(&again.id, &netroot.id));
	assert_true(digest_equal(&again.catalog_blob.digest, &netroot.catalog_blob.digest));
	pool_close(lab.pool);
	/* Nothing but the segments is remembered: all is made again. */
	test_shell("sqlite3 '%s/index.sqlite' 'DELETE FROM memos'", lab.s.pool);
	lab.pool = sandbox_open(&lab.s);
	AUTO_NETROOT anew = {0};
	must_compose(&lab, &anew);
	assert_true(digest_equal(&anew.id, &netroot.id));
	lab_done(&lab);
}

static const struct chunk_table *table_of(const struct node_side *n, const char *name)
{
	for (size_t i = 0; i < n->catalog.members.len; i++)
		if (strcmp(n->names[i], name) == 0)
			return &n->tables[i];
	fail_msg("no segment '%s'", name);
	return NULL;
}

/* Every byte of the image by chunks, against the image that squashfs tools understand. */
static void chunks_make_the_whole_image(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	lab_init(&lab);
	AUTO_NETROOT netroot = {0};
	must_compose(&lab, &netroot);
	AUTO(node_side_done) struct node_side n;
	recompose(&n, lab.pool, &netroot.catalog_blob);
	AUTO_FREE uint8_t *image = calloc(1, n.image.size);
	size_t chunks = 0;
	VEC_FOREACH(extent, &n.image.extents) {
		if (extent->kind == EXTENT_MEMORY)
			memcpy(image + extent->off, extent->data, extent->len);
		if (extent->kind != EXTENT_FILE)
			continue;
		const struct chunk_table *table = table_of(&n, extent->path);
		uint64_t end = extent->file_off + extent->len;
		for (uint64_t at = extent->file_off; at < end; chunks++) {
			struct chunk chunk = chunk_table_at(table, chunk_table_find(table, at));
			assert_true(chunk.off <= at && chunk.off + chunk.len > at);
			AUTO_FREE char *path = pool_object_path(lab.pool, &chunk.object, &err);
			AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
			uint8_t bytes[CHUNK_MAX];
			size_t len;
			assert_ok(fd_pread_full(fd, bytes, chunk.len, chunk.off, path, &len, &err));
			struct digest digest = digest_of(bytes, len);
			assert_true(digest_equal(&digest, &chunk.digest));
			uint64_t stop = chunk.off + chunk.len < end ? chunk.off + chunk.len : end;
			memcpy(image + extent->off + (at - extent->file_off),
				bytes + (at - chunk.off), stop - at);
			at = stop;
		}
	}
	assert_true(chunks > 8);
	test_write(lab.s.dir, "image", image, n.image.size);
	test_shell("cd '%s' && unsquashfs -n -q -d sq image >/dev/null 2>&1 && "
		   "diff -r --no-dereference sq/aaaa-big nix/store/aaaa-big && "
		   "cmp sq/bbbb-secret/key nix/store/bbbb-secret/key",
		lab.s.dir);
	lab_done(&lab);
}

static void catalog_has_what_stage_1_wants(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	lab_init(&lab);
	AUTO_NETROOT netroot = {0};
	assert_ok(strvec_push(&excluded, "secret*", &err));
	/* What the store itself hides from others is private, too. */
	test_shell("chmod 750 '%s/cccc-empty'", lab.s.store);
	must_compose(&lab, &netroot);
	strvec_done(&excluded);
	static const char *const files[] = {
		"db.sqlite", "initramfs", "kernel", "plan", "registration", "schema"};
	assert_int_equal(netroot.catalog.files.len, ARRAY_LEN(files));
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		assert_string_equal(netroot.catalog.files.items[i].name, files[i]);
	VEC_FOREACH(member, &netroot.catalog.members)
		assert_int_equal(member->is_private,
			strcmp(member->name, "bbbb-secret") == 0 ||
				strcmp(member->name, "cccc-empty") == 0);
	AUTO_BUF text = {0};
	AUTO_PLAN plan = {0};
	fetch(lab.pool, &catalog_file(&netroot.catalog, "plan")->blob, &text);
	assert_ok(plan_decode((char *)text.data, text.len, &plan, &err));
	assert_string_equal(plan.system, SYSTEM);
	assert_string_equal(plan.image, "/dev/nbd0");
	assert_string_equal(plan.database, "/run/snowboot/db");
	assert_int_equal(plan.image_size, netroot.catalog.image_size);
	VEC_FOREACH(part, &plan.parts)
		assert_null(part->name);
	/* Kernel and initramfs are what a boot loader gets. */
	assert_string_equal(netroot.cmdline,
		"console=ttyS0 quiet init=" SYSTEM
		"/init fstab=no rootfstype=ramfs net.ifnames=0 debug");
	assert_string_equal(netroot.system, SYSTEM);
	test_shell("cmp '%s' '%s/linux/bzImage'", netroot.kernel, lab.s.store);
	assert_int_equal(netroot.initramfs.extents.len, 1);
	test_shell("cp '%s' '%s/initrd'", netroot.initramfs.extents.items[0].path, lab.s.dir);
	test_shell("cd '%s' && tail -c 512 initrd >own && grep -aq snowboot/node.conf own && "
		   "grep -aq 'key test-1:AAAA' own && ! grep -aq squashfs own",
		lab.s.dir);
	lab_done(&lab);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void other_inputs_give_another_catalog(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	lab_init(&lab);
	AUTO_NETROOT first = {0}, second = {0}, third = {0}, fourth = {0};
	must_compose(&lab, &first);
	double begin = seconds();
	must_compose(&lab, &second);
	print_message("composed again in %.1f ms\n", 1e3 * (seconds() - begin));
	assert_true(digest_equal(&first.id, &second.id));
	assert_ok(strvec_push(&excluded, "aaaa-big", &err));
	must_compose(&lab, &third);
	strvec_done(&excluded);
	assert_false(digest_equal(&first.catalog_blob.digest, &third.catalog_blob.digest));
	/* The command line stands in the manifest, not in the catalog. */
	assert_ok(strvec_push(&lab.system.params, "net.ifnames=1", &err));
	must_compose(&lab, &fourth);
	assert_string_equal(fourth.cmdline,
		"console=ttyS0 quiet net.ifnames=1 init=" SYSTEM
		"/init fstab=no rootfstype=ramfs debug");
	assert_true(digest_equal(&first.catalog_blob.digest, &fourth.catalog_blob.digest));
	assert_false(digest_equal(&first.id, &fourth.id));
	lab_done(&lab);
}

/* A segment that rots before its table is made must not be vouched for. */
static void a_damaged_segment_gets_no_table(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab;
	lab_init(&lab);
	struct pool_segment segment;
	assert_ok(pool_add(lab.pool, &lab.s.closure, &sandbox_params, NULL, &err));
	const struct path_info *big = &lab.s.closure.items[lab.s.closure.len - 2];
	assert_int_equal(pool_find(lab.pool, &big->nar_hash, &sandbox_params, &segment, &err), 1);
	AUTO_FREE char *path = pool_object_path(lab.pool, &segment.data, &err);
	test_shell(
		"chmod u+w '%s' && printf x | dd of='%s' bs=1 seek=70000 conv=notrunc status=none",
		path, path);
	AUTO_NETROOT netroot = {0};
	assert_int_equal(compose(&lab, &netroot, &err), -1);
	assert_string_equal(err.hint, "'snowboot pool verify --repair' forgets what is damaged");
	AUTO_FREE char *want = path_printf(&(struct err){0}, "'%s': segment is damaged", path);
	assert_err(&err, ERR_CORRUPT, want);
	test_shell("truncate -s 70000 '%s'", path);
	assert_int_equal(compose(&lab, &netroot, &err), -1);
	AUTO_FREE char *cut = path_printf(&(struct err){0}, "'%s': segment is cut off", path);
	assert_err(&err, ERR_CORRUPT, cut);
	lab_done(&lab);
}

static void needs_nbd(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct lab lab = {0};
	sample_init(&lab.s, &lab.system);
	lab.pool = sandbox_open(&lab.s);
	AUTO_NETROOT netroot = {0};
	assert_int_equal(compose(&lab, &netroot, &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"initramfs: kernel '6.1.0' has no 'nbd', neither as a module nor built in");
	lab_done(&lab);
}

#define DAY ((int64_t)86400)

struct issuer {
	const char *dir;
	struct secret_key keys[2];
	struct netroot netroot;
	struct manifest last; /* that was issued */
};

static void issuer_init(struct issuer *i)
{
	struct err err = ERR_INIT;
	*i = (struct issuer){.dir = test_tmpdir(),
		.netroot = {.system = strdup("/nix/store/one"), .cmdline = strdup("quiet")}};
	assert_ok(blob_of("catalog", 7, &i->netroot.catalog_blob, &err));
	assert_ok(secret_key_generate("old-1", &i->keys[0], &err));
	assert_ok(secret_key_generate("new-1", &i->keys[1], &err));
}

static void issuer_done(struct issuer *i)
{
	secret_key_done(&i->keys[0]);
	secret_key_done(&i->keys[1]);
	netroot_done(&i->netroot);
	manifest_done(&i->last);
}

/* Gives its serial. */
static uint64_t issue(struct issuer *i, size_t keys, int64_t now)
{
	struct err err = ERR_INIT;
	const struct netroot_issue params = {.name = "default",
		.state_dir = i->dir,
		.keys = i->keys,
		.key_count = keys,
		.now = now,
		.lifetime = 30 * DAY};
	manifest_done(&i->last);
	assert_ok(netroot_issue(&i->netroot, &params, &i->last, &err));
	assert_int_equal(i->last.signatures.len, keys);
	return i->last.serial;
}

static void replace(char **text, const char *with)
{
	free(*text);
	*text = strdup(with);
}

static void serials_count_issues(void **state)
{
	(void)state;
	const int64_t now = 1700000000;
	struct issuer i;
	issuer_init(&i);
	assert_int_equal(issue(&i, 1, now), 1);
	assert_int_equal(i.last.expires, now + 30 * DAY);
	/* The same bytes with most of the time left: the same issue, also for another key. */
	assert_int_equal(issue(&i, 2, now + 14 * DAY), 1);
	assert_int_equal(i.last.issued, now);
	assert_string_equal(i.last.signatures.items[1].name, "new-1");
	/* Half of the time is over, or the clock went back. */
	assert_int_equal(issue(&i, 1, now + 16 * DAY), 2);
	assert_int_equal(issue(&i, 1, now), 3);
	/* Another system, and back: a rollback is a new issue. */
	replace(&i.netroot.system, "/nix/store/two");
	assert_int_equal(issue(&i, 1, now), 4);
	replace(&i.netroot.system, "/nix/store/one");
	assert_int_equal(issue(&i, 1, now), 5);
	replace(&i.netroot.cmdline, "loud");
	assert_int_equal(issue(&i, 1, now), 6);
	assert_string_equal(i.last.cmdline, "loud");
	issuer_done(&i);
}

static void issue_fails(struct issuer *i, const char *name, enum err_kind kind, const char *msg)
{
	struct err err = ERR_INIT;
	struct manifest m;
	const struct netroot_issue params = {.name = name,
		.state_dir = i->dir,
		.keys = i->keys,
		.key_count = 1,
		.now = 1700000000,
		.lifetime = name[0] == 'z' ? 0 : DAY};
	assert_int_equal(netroot_issue(&i->netroot, &params, &m, &err), -1);
	assert_err(&err, kind, msg);
}

/* A counter that cannot be read is never started again from 1. */
static void a_lost_serial_is_an_error(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct issuer i;
	issuer_init(&i);
	assert_int_equal(issue(&i, 1, 1700000000), 1);
	AUTO_FREE char *file = path_printf(&err, "%s/serials/default", i.dir);
	AUTO_FREE char *want = path_printf(
		&err, "issuing the manifest 'default': '%s': manifest: line 1 is cut off", file);
	test_shell(": >'%s'", file);
	issue_fails(&i, "default", ERR_CORRUPT, want);
	issue_fails(&i, "../x", ERR_USAGE,
		"issuing the manifest '../x': that cannot be the name of a manifest");
	issue_fails(&i, "z", ERR_USAGE,
		"issuing the manifest 'z': a manifest cannot live for 0 seconds");
	issuer_done(&i);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(node_makes_the_same_metadata),
		cmocka_unit_test(chunks_make_the_whole_image),
		cmocka_unit_test(catalog_has_what_stage_1_wants),
		cmocka_unit_test(other_inputs_give_another_catalog),
		cmocka_unit_test(a_damaged_segment_gets_no_table),
		cmocka_unit_test(needs_nbd),
		cmocka_unit_test(serials_count_issues),
		cmocka_unit_test(a_lost_serial_is_an_error),
	};
	return TEST_MAIN(tests);
}
