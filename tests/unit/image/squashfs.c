/* SPDX-License-Identifier: MIT */
/* Images as the kernel and unsquashfs read them, compared with the files they were made from. */
#include "pack.h"

#include "image/squashfs/squashfs.h"

/* Some store paths packed, ready to be composed. */
struct packed {
	const char *dir; /* dir/store has the paths, dir/segment.N the segments */
	size_t count;
	struct {
		char *name, *segment_path;
		struct buf bytes;
		struct tree tree;
	} paths[64];
	struct squashfs_member members[64];
};

static void packed_done(struct packed *packed)
{
	for (size_t i = 0; i < packed->count; i++) {
		free(packed->paths[i].name);
		free(packed->paths[i].segment_path);
		buf_done(&packed->paths[i].bytes);
	}
}

#define AUTO_PACKED AUTO(packed_done) struct packed

/* Adds a member whose tree is in paths[count].bytes. */
static void packed_add(struct packed *packed, const char *name)
{
	struct err err = ERR_INIT;
	size_t i = packed->count++;
	assert_true(i < ARRAY_LEN(packed->members));
	assert_ok(tree_open(packed->paths[i].bytes.data, packed->paths[i].bytes.len,
		&packed->paths[i].tree, &err));
	assert_ok(tree_check(&packed->paths[i].tree, &err));
	packed->paths[i].name = strdup(name);
	packed->members[i] = (struct squashfs_member){
		packed->paths[i].name, &packed->paths[i].tree, packed->paths[i].segment_path};
}

static char *segment_path(struct packed *packed)
{
	struct err err = ERR_INIT;
	return packed->paths[packed->count].segment_path =
		       path_printf(&err, "%s/segment.%zu", packed->dir, packed->count);
}

/* Packs everything in dir/store. */
static void pack_store(struct packed *packed, const char *dir)
{
	struct err err = ERR_INIT;
	packed->dir = dir;
	AUTO_FREE char *store = path_printf(&err, "%s/store", dir);
	struct dirent **names;
	int count = scandir(store, &names, pack_no_dots, pack_by_bytes);
	assert_true(count > 0);
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_printf(&err, "%s/%s", store, names[i]->d_name);
		pack(path, segment_path(packed), &packed->paths[packed->count].bytes);
		packed_add(packed, names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

static void save(const char *dir, const struct image *image)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/image", dir);
	AUTO_FD int fd = -1;
	assert_ok(fd_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, &fd, &err));
	assert_ok(image_write(image, fd, NULL, &err));
}

static void compose_and_save(struct packed *packed)
{
	struct err err = ERR_INIT;
	AUTO_IMAGE image = {0};
	assert_ok(squashfs_compose(packed->members, packed->count, &image, NULL, &err));
	assert_int_equal(image.size % 4096, 0);
	save(packed->dir, &image);
}

static void need_root(void)
{
	if (geteuid() != 0 || access("/dev/loop-control", F_OK) != 0)
		test_skip("mounting an image needs root and loop devices");
}

/*
 * Runs a shell command in dir with the image mounted on dir/mnt, in a mount namespace of its own,
 * so that nothing stays mounted whatever happens.
 */
#define with_mount(dir, command) \
	test_shell("mkdir -p '%s/mnt' && cd '%s' && unshare -m bash -euo pipefail -c " \
		   "'mount -t squashfs -o loop,ro image mnt; " command "'", \
		dir, dir)

/* What both sides must agree on: all but inode numbers and the sizes of directories. */
#define LISTING "find . -mindepth 1 -printf \"%%P %%y %%m %%n %%U:%%G %%T@ %%l\\n\" | LC_ALL=C sort"

/* The files as a Nix store has them. */
static void make_canonical(const char *dir)
{
	test_shell("cd '%s/store' && find . -type d -exec chmod 0555 {} + && "
		   "find . -type f -perm /100 -exec chmod 0555 {} + && "
		   "find . -type f ! -perm /100 -exec chmod 0444 {} + && "
		   "find . -depth -exec touch -h -d @1 {} +",
		dir);
}

static void compare_with_kernel(const char *dir)
{
	with_mount(dir,
		"diff -r --no-dereference store mnt; "
		"diff <(cd store; " LISTING ") <(cd mnt; " LISTING "); "
		"test -z \"$(find mnt -printf \"%%i\\n\" | sort | uniq -d)\"; "
		"test \"$(stat -c \"%%a %%h %%u %%Y\" mnt)\" = "
		"\"555 $((2 + $(find store -mindepth 1 -maxdepth 1 -type d | wc -l))) 0 1\"");
}

static void compare_with_unsquashfs(const char *dir)
{
	test_shell("cd '%s' && rm -rf unpacked && unsquashfs -n -q -d unpacked image >messages 2>&1"
		   " || { cat messages; exit 1; }; diff -r --no-dereference store unpacked",
		dir);
	test_shell("cd '%s' && (cd store; " LISTING ") >want && (cd unpacked; " LISTING
		   ") >got && diff want got",
		dir);
}

/* Every type of store path and every size around a block. */
static void make_store(const char *dir)
{
	test_shell(
		"mkdir '%s/store' && cd '%s/store' && mkdir aaa-odd && cd aaa-odd && "
		"mkdir empty 'with space' 'uml\xc3\xa4ut' 'back\\\\slash' && touch empty-file && "
		"echo x >'with space/a b' && echo y >'uml\xc3\xa4ut/\xc3\xbc' && echo z "
		">'back\\\\slash/\\\\' && "
		"printf '#!/bin/sh\\n' >run && chmod +x run && ln -s nowhere broken && ln -s run "
		"link && "
		"ln -s $(printf 'd/%%.0s' $(seq 2000))x long-target && "
		"touch $(printf 'n%%.0s' $(seq 255)) && "
		"p=deep; for i in $(seq 60); do p=$p/d; done; mkdir -p $p && echo deep >$p/file && "
		"cd .. && mkdir bbb-sizes && cd bbb-sizes && "
		"for n in 0 1 4095 131071 131072 131073 262144 300000; do "
		"head -c $n /dev/urandom >s$n; cp s$n same$n; done; "
		"truncate -s 131072 hole; truncate -s 1000000 holes; "
		"(head -c 131072 /dev/urandom; head -c 262144 /dev/zero; echo end) >middle && "
		"cd .. && echo alone >ccc-file && printf '#!' >ddd-executable && chmod +x "
		"ddd-executable && "
		"ln -s /nix/store/ccc-file eee-symlink && mkdir fff-empty && touch ggg-empty-file "
		"&& "
		"mkdir hhh-many && cd hhh-many && for d in $(seq 40); do mkdir $d && "
		"for f in $(seq $d); do echo $d >$d/$(printf \"%%0${d}d\" $f); done; done",
		dir, dir);
	make_canonical(dir);
}

static void kernel_and_unsquashfs_agree(void **state)
{
	(void)state;
	need_root();
	const char *dir = test_tmpdir();
	make_store(dir);
	AUTO_PACKED packed = {0};
	pack_store(&packed, dir);
	compose_and_save(&packed);
	compare_with_kernel(dir);
	compare_with_unsquashfs(dir);
}

/* A directory of empty files: "<prefix>000000", ... */
static void add_wide_member(struct packed *packed, const char *name, const char *prefix, int count)
{
	struct err err = ERR_INIT;
	struct tree_writer writer = {0};
	assert_ok(tree_writer_directory(&writer, (uint32_t)count, &err));
	for (int i = 0; i < count; i++) {
		AUTO_FREE char *file = path_printf(&err, "%s%06d", prefix, i);
		const struct tree_entry entry = {.type = TREE_FILE,
			.name = file,
			.name_len = (uint32_t)strlen(file),
			.fragment = TREE_NO_FRAGMENT};
		assert_ok(tree_writer_entry(&writer, &entry, &err));
	}
	const struct tree_entry root = {.type = TREE_DIRECTORY, .fragment = TREE_NO_FRAGMENT};
	assert_ok(tree_writer_entry(&writer, &root, &err));
	struct digest none = digest_of(NULL, 0);
	segment_path(packed);
	assert_ok(tree_writer_finish(&writer, &none, 0, &packed->paths[packed->count].bytes, &err));
	tree_writer_done(&writer);
	packed_add(packed, name);
}

static void wide_directories(void **state)
{
	(void)state;
	need_root();
	AUTO_PACKED packed = {.dir = test_tmpdir()};
	add_wide_member(&packed, "a", "file-", 100000);
	static char prefix[245];
	memset(prefix, 'p', sizeof(prefix) - 1);
	add_wide_member(&packed, "b", prefix, 3000);
	add_wide_member(&packed, "c", "", 477); /* a little less than a metadata block */
	add_wide_member(&packed, "d", "", 599); /* a little more */
	add_wide_member(&packed, "e", "", 0);
	compose_and_save(&packed);
	test_shell(
		"cd '%s' && { p=%s; printf '%%s\\n' a b c d e; for i in $(seq -f %%06.f 0 99999); "
		"do echo a/file-$i; done; for i in $(seq -f %%06.f 0 2999); do echo b/$p$i; done; "
		"for i in $(seq -f %%06.f 0 476); do echo c/$i; done; "
		"for i in $(seq -f %%06.f 0 598); do echo d/$i; done; } | LC_ALL=C sort >names",
		packed.dir, prefix);
	/* Read each directory, then look each name up, which goes through the index. */
	with_mount(packed.dir,
		"find mnt -mindepth 1 -printf \"%%P\\n\" | LC_ALL=C sort | cmp - names; "
		"(cd mnt; tr \"\\n\" \"\\0\" <../names | "
		"xargs -0 stat -c \"%%n\") | cmp - names; "
		"! stat mnt/a/file-1 mnt/a/zzz mnt/b/p mnt/d/0 2>errors; "
		"test \"$(grep -c \"No such file or directory\" errors)\" = 4; "
		"test -z \"$(find mnt -printf \"%%i\\n\" | sort | uniq -d)\"");
	test_shell("cd '%s' && unsquashfs -l -d '' image | sed -n 's|^/||p' | LC_ALL=C sort | cmp "
		   "- names",
		packed.dir);
}

/* One symlink, so that the root's inode and the table's end move by single bytes. */
static void add_symlink(struct packed *packed, const char *name, size_t target_len)
{
	struct err err = ERR_INIT;
	static char target[4096];
	memset(target, 't', sizeof(target));
	struct tree_writer writer = {0};
	const struct tree_entry root = {.type = TREE_SYMLINK,
		.target = target,
		.target_len = (uint32_t)target_len,
		.fragment = TREE_NO_FRAGMENT};
	assert_ok(tree_writer_entry(&writer, &root, &err));
	struct digest none = digest_of(NULL, 0);
	segment_path(packed);
	assert_ok(tree_writer_finish(&writer, &none, 0, &packed->paths[packed->count].bytes, &err));
	tree_writer_done(&writer);
	packed_add(packed, name);
}

/* Tables that end just before, at and just behind the end of a metadata block. */
static void tables_of_every_length(void **state)
{
	(void)state;
	need_root();
	const char *dir = test_tmpdir();
	for (size_t len = 4040; len < 4095; len += 1) {
		/* Two symlinks of 24 bytes and their targets, then the root of 32: 8192 in all for
		 * targets of 8112 bytes. */
		AUTO_PACKED packed = {.dir = dir};
		add_symlink(&packed, "a", len);
		add_symlink(&packed, "b", 4056);
		compose_and_save(&packed);
		AUTO_FREE char *seen = test_shell_output(
			"mkdir -p '%s/mnt' && cd '%s' && unshare -m sh -ec 'mount -t squashfs -o "
			"loop,ro image mnt; readlink mnt/a mnt/b | wc -c; ls mnt | tr -d \"\\n\"; "
			"stat -c %%h mnt'; unsquashfs -n -q -l image | wc -l",
			dir, dir);
		struct err err = ERR_INIT;
		AUTO_FREE char *want = path_printf(&err, "%zu\nab2\n3", len + 1 + 4057);
		assert_string_equal(seen, want);
	}
}

/* Data beyond 4 GiB, and a file of more than that, which is all holes. */
static void large_offsets(void **state)
{
	(void)state;
	need_root();
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_shell("mkdir '%s/store' && cd '%s/store' && mkdir z-data && "
		   "head -c 500000 /dev/urandom >z-data/file && echo tail >z-data/small",
		dir, dir);
	make_canonical(dir);
	AUTO_PACKED packed = {.dir = dir};

	/* One file of 5 GiB, all of it holes, with a segment of 4.5 GiB before the next one. */
	const uint64_t size = 5ull << 30, segment_size = 9ull << 29;
	AUTO_BUF blocks = {0};
	assert_ok(buf_put_zero(&blocks, (size_t)(size / TREE_BLOCK_SIZE) * 4, &err));
	struct tree_writer writer = {0};
	const struct tree_entry root = {.type = TREE_FILE,
		.size = size,
		.block_count = (uint32_t)(size / TREE_BLOCK_SIZE),
		.blocks = blocks.data,
		.fragment = TREE_NO_FRAGMENT};
	assert_ok(tree_writer_entry(&writer, &root, &err));
	struct digest digest = digest_of("large", 5);
	const char *hollow = segment_path(&packed);
	assert_ok(tree_writer_finish(
		&writer, &digest, segment_size, &packed.paths[packed.count].bytes, &err));
	tree_writer_done(&writer);
	packed_add(&packed, "a-hollow");
	pack_store(&packed, dir);

	AUTO_IMAGE image = {0};
	assert_ok(squashfs_compose(packed.members, packed.count, &image, NULL, &err));
	assert_true(image.size > segment_size);
	/* The large segment is nothing but zeros: no need to have it on disk. */
	VEC_FOREACH(extent, &image.extents)
		if (extent->kind == EXTENT_FILE && strcmp(extent->path, hollow) == 0)
			extent->kind = EXTENT_ZERO;
	save(dir, &image);
	test_shell("truncate -s 5G '%s/store/a-hollow' && chmod 0444 '%s/store/a-hollow' && "
		   "touch -d @1 '%s/store/a-hollow'",
		dir, dir, dir);
	with_mount(dir,
		"diff -r store/z-data mnt/z-data; "
		"diff <(cd store; " LISTING ") <(cd mnt; " LISTING "); "
		"test $(stat -c \"%%s %%b\" mnt/a-hollow | tr \" \" -) = 5368709120-0; "
		"tail -c 1000000 mnt/a-hollow | cmp - <(head -c 1000000 /dev/zero)");
	test_shell("cd '%s' && unsquashfs -n -q -d unpacked image >messages 2>&1 && "
		   "diff -r store/z-data unpacked/z-data && "
		   "test $(stat -c %%s unpacked/a-hollow) = 5368709120",
		dir);
}

static void same_bytes_in_any_order(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	make_store(dir);
	AUTO_PACKED packed = {0};
	pack_store(&packed, dir);
	AUTO_BUF first = {0};
	for (int round = 0; round < 5; round++) {
		AUTO_IMAGE image = {0};
		assert_ok(squashfs_compose(packed.members, packed.count, &image, NULL, &err));
		AUTO_BUF bytes = {0};
		uint8_t *p = buf_reserve(&bytes, image.size, &err);
		assert_non_null(p);
		assert_ok(image_read(&image, 0, p, image.size, &err));
		bytes.len = image.size;
		if (round == 0) {
			first = bytes;
			bytes = (struct buf){0};
		} else {
			assert_int_equal(bytes.len, first.len);
			assert_memory_equal(bytes.data, first.data, first.len);
		}
		/* Rotate, and swap two. */
		struct squashfs_member *m = packed.members, last = m[packed.count - 1];
		memmove(m + 1, m, (packed.count - 1) * sizeof(*m));
		m[0] = m[3];
		m[3] = last;
	}
}

static void shared_segments_lie_once(void **state)
{
	(void)state;
	need_root();
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_shell(
		"mkdir '%s/store' && cd '%s/store' && mkdir b && head -c 300000 /dev/urandom >b/f "
		"&& echo t >b/t && cp -r b a && cp -r b d && echo other >c",
		dir, dir);
	make_canonical(dir);
	AUTO_PACKED packed = {0};
	pack_store(&packed, dir);
	AUTO_IMAGE image = {0};
	struct squashfs_layout layout;
	assert_ok(squashfs_compose(packed.members, packed.count, &image, &layout, &err));
	assert_int_equal(layout.parts.len, 4);
	assert_null(layout.parts.items[0].name);
	assert_string_equal(layout.parts.items[1].name, "a");
	assert_string_equal(layout.parts.items[2].name, "c");
	assert_null(layout.parts.items[3].name);
	squashfs_layout_done(&layout);
	save(dir, &image);
	compare_with_kernel(dir);
	compare_with_unsquashfs(dir);
}

static void layout_names_every_part(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	make_store(dir);
	AUTO_PACKED packed = {0};
	pack_store(&packed, dir);
	AUTO_IMAGE image = {0};
	struct squashfs_layout layout;
	assert_ok(squashfs_compose(packed.members, packed.count, &image, &layout, &err));
	uint64_t end = 0;
	VEC_FOREACH(part, &layout.parts) {
		assert_true(part->off >= end);
		assert_true(part->off - end < 4096);
		AUTO_FREE uint8_t *data = malloc(part->len);
		assert_non_null(data);
		assert_ok(image_read(&image, part->off, data, part->len, &err));
		struct digest digest = digest_of(data, part->len);
		assert_memory_equal(digest.bytes, part->digest.bytes, DIGEST_SIZE);
		end = part->off + part->len;
	}
	assert_true(image.size - end < 4096);
	squashfs_layout_done(&layout);
}

static void empty_image(void **state)
{
	(void)state;
	need_root();
	AUTO_PACKED packed = {.dir = test_tmpdir()};
	compose_and_save(&packed);
	with_mount(packed.dir, "test -z \"$(ls -A mnt)\"; test $(stat -c %%h mnt) = 2");
	test_shell("cd '%s' && test \"$(unsquashfs -n -q -l image)\" = squashfs-root", packed.dir);
}

static void refuses_members(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_PACKED packed = {.dir = test_tmpdir()};
	add_symlink(&packed, "same", 1);
	add_symlink(&packed, "other", 2);
	add_symlink(&packed, "same", 3);
	AUTO_IMAGE image = {0};
	assert_int_equal(squashfs_compose(packed.members, 3, &image, NULL, &err), -1);
	assert_err(&err, ERR_USAGE, "two members of an image are called 'same'");
	const char *const bad[] = {"", "a/b", ".", ".."};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		packed.members[2].name = bad[i];
		AUTO_FREE char *want =
			path_printf(&err, "'%s' cannot be a name in an image", bad[i]);
		assert_int_equal(squashfs_compose(packed.members, 3, &image, NULL, &err), -1);
		assert_err(&err, ERR_USAGE, want);
	}
	struct tree many = packed.paths[0].tree;
	many.entry_count = UINT32_MAX;
	packed.members[2].name = "many";
	packed.members[2].tree = &many;
	assert_int_equal(squashfs_compose(packed.members, 3, &image, NULL, &err), -1);
	assert_err(&err, ERR_LIMIT,
		"too many files for a squashfs image (4294967298 > max 4294967294)");
}

/* A tree that was damaged on its way composes or fails with a cause, and never reads astray. */
static void survives_damaged_trees(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	test_shell("mkdir -p '%s/store/a/b/c' '%s/store/a/d' && cd '%s/store/a' && echo x >b/x && "
		   "echo y >b/c/y && ln -s q d/l && head -c 200000 /dev/urandom >big",
		dir, dir, dir);
	AUTO_PACKED packed = {0};
	pack_store(&packed, dir);
	add_symlink(&packed, "z", 5);
	struct buf *bytes = &packed.paths[0].bytes;
	size_t failed = 0;
	for (size_t bit = 0; bit < bytes->len * 8; bit++) {
		bytes->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		AUTO_IMAGE image = {0};
		struct tree tree;
		struct squashfs_member members[] = {
			packed.members[1], {"a", &tree, packed.members[0].segment_path}};
		if (tree_open(bytes->data, bytes->len, &tree, &err) < 0 ||
			squashfs_compose(members, 2, &image, NULL, &err) < 0) {
			assert_true(err.kind == ERR_CORRUPT || err.kind == ERR_LIMIT ||
				err.kind == ERR_BUG);
			assert_true(err.kind != ERR_BUG);
			err_reset(&err);
			failed++;
		}
		bytes->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(failed > bytes->len);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_and_unsquashfs_agree),
		cmocka_unit_test(wide_directories),
		cmocka_unit_test(tables_of_every_length),
		cmocka_unit_test(large_offsets),
		cmocka_unit_test(same_bytes_in_any_order),
		cmocka_unit_test(shared_segments_lie_once),
		cmocka_unit_test(layout_names_every_part),
		cmocka_unit_test(empty_image),
		cmocka_unit_test(refuses_members),
		cmocka_unit_test(survives_damaged_trees),
	};
	return TEST_MAIN(tests);
}
