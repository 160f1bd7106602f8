/* SPDX-License-Identifier: MIT */
/*
 * From files to blocks. Every byte of a store path is read in the order of its NAR, goes through
 * the NAR's hash, and into a block; so what is packed is what was hashed, whatever happens on the
 * disk meanwhile. Only a file that may have a twin is hashed before it is known whether its blocks
 * are needed.
 */
#include "pool/pack.h"

#include "pool/packer.h"

#include "base/fd.h"
#include "nix/nar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A store path that is read from the disk. */
struct reading {
	struct packer packer;
	const struct pack_job *job;
	struct walk *walk;
	struct stroll stroll;
	struct nar_hasher hasher;
	struct nar_sink nar;
};

static int changed(
	const struct reading *p, const struct node *node, const char *how, struct err *err)
{
	AUTO_FREE char *path = walk_path(p->walk, node, err);
	if (path == NULL)
		return -1;
	return err_raise(err, ERR_CORRUPT, "'%s' %s its %llu bytes while it was read", path, how,
		(unsigned long long)node->size);
}

/* Reads exactly `size` bytes. */
static int read_exactly(struct reading *p, const struct node *node, int fd, void *data, size_t size,
	struct err *err)
{
	size_t len = 0;
	while (len < size) {
		ssize_t n = read(fd, (uint8_t *)data + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return walk_sys(p->walk, node, "read", err);
		if (n == 0)
			return changed(p, node, "ended before", err);
		len += (size_t)n;
	}
	packer_report(&p->packer, size);
	return 0;
}

static int expect_end(struct reading *p, const struct node *node, int fd, struct err *err)
{
	uint8_t byte;
	ssize_t n;
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return walk_sys(p->walk, node, "read", err);
	return n == 0 ? 0 : changed(p, node, "grew beyond", err);
}

static int put_nar(struct reading *p, const void *data, size_t size, struct err *err)
{
	return p->nar.write(p->nar.data, data, size, err);
}

/* A file below the size of a block, which is all tail. */
static int pack_small(struct reading *p, struct node *node, int fd, struct err *err)
{
	if (read_exactly(p, node, fd, p->packer.file, node->size, err) < 0 ||
		put_nar(p, p->packer.file, node->size, err) < 0)
		return -1;
	if (node->twin_class != 0) {
		twins_hash_update(&p->packer.twins, p->packer.file, node->size);
		int r = packer_find_twin(&p->packer, node, err);
		if (r != 0)
			return r < 0 ? -1 : 0;
	}
	return packer_add_tail(&p->packer, node, p->packer.file, (uint32_t)node->size, err);
}

/* Where the next data of a file begin at or behind `off`. */
static uint64_t next_data(const struct node *node, int fd, uint64_t off)
{
	if (!node->sparse)
		return off;
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);
	if (data < 0)
		/* ENXIO: nothing but a hole up to the end; anything else: read it all. */
		return errno == ENXIO ? node->size : off;
	return (uint64_t)data;
}

static int put_hole(struct reading *p, struct twins *twins, struct err *err)
{
	static const uint8_t zeros[TREE_BLOCK_SIZE];
	if (twins != NULL)
		twins_hash_update(twins, zeros, TREE_BLOCK_SIZE);
	return put_nar(p, zeros, TREE_BLOCK_SIZE, err);
}

/* One full block at `off` of a file, through the NAR, the hash of `twins` (unless NULL) and the
 * output. */
static int pack_block(struct reading *p, const struct node *node, int fd, uint64_t off,
	struct twins *twins, struct err *err)
{
	uint32_t block;
	if (next_data(node, fd, off) >= off + TREE_BLOCK_SIZE) {
		if (put_hole(p, twins, err) < 0)
			return -1;
		return output_hole(&p->packer.output, &block, err);
	}
	if (node->sparse && lseek(fd, (off_t)off, SEEK_SET) < 0)
		return walk_sys(p->walk, node, "read", err);
	struct slot *slot = output_slot(&p->packer.output, err);
	if (slot == NULL)
		return -1;
	slot->in_len = TREE_BLOCK_SIZE;
	if (read_exactly(p, node, fd, slot->in, TREE_BLOCK_SIZE, err) < 0 ||
		put_nar(p, slot->in, TREE_BLOCK_SIZE, err) < 0) {
		crew_release(p->packer.output.hand, slot);
		return -1;
	}
	if (twins != NULL)
		twins_hash_update(twins, slot->in, TREE_BLOCK_SIZE);
	return output_file_block(&p->packer.output, slot, &block, err);
}

/* Reads the last, short part of a file into p->packer.file. */
static int read_rest(
	struct reading *p, const struct node *node, int fd, struct twins *twins, struct err *err)
{
	size_t size = node->size % TREE_BLOCK_SIZE;
	if (node->sparse && lseek(fd, (off_t)(node->size - size), SEEK_SET) < 0)
		return walk_sys(p->walk, node, "read", err);
	if (read_exactly(p, node, fd, p->packer.file, size, err) < 0)
		return -1;
	if (twins != NULL)
		twins_hash_update(twins, p->packer.file, size);
	return put_nar(p, p->packer.file, size, err);
}

/* Hashes a large file without storing it: 1 when it has a twin, 0 when it must be read again. */
static int hash_first(struct reading *p, struct node *node, int fd, struct err *err)
{
	struct nar_hasher before = p->hasher;
	struct twins *twins = &p->packer.twins;
	for (uint64_t off = 0; off + TREE_BLOCK_SIZE <= node->size; off += TREE_BLOCK_SIZE) {
		if (crew_stopped(p->packer.output.hand))
			return err_raise(err, ERR_AGAIN, "stopped by another failure");
		if (next_data(node, fd, off) >= off + TREE_BLOCK_SIZE) {
			if (put_hole(p, twins, err) < 0)
				return -1;
			continue;
		}
		if (node->sparse && lseek(fd, (off_t)off, SEEK_SET) < 0)
			return walk_sys(p->walk, node, "read", err);
		if (read_exactly(p, node, fd, p->packer.file, TREE_BLOCK_SIZE, err) < 0 ||
			put_nar(p, p->packer.file, TREE_BLOCK_SIZE, err) < 0)
			return -1;
		twins_hash_update(twins, p->packer.file, TREE_BLOCK_SIZE);
	}
	if (read_rest(p, node, fd, twins, err) < 0)
		return -1;
	int r = packer_find_twin(&p->packer, node, err);
	if (r != 0)
		return r;
	p->hasher = before;
	return lseek(fd, 0, SEEK_SET) == 0 ? 0 : walk_sys(p->walk, node, "read", err);
}

static int pack_large(struct reading *p, struct node *node, int fd, struct err *err)
{
	struct twins *wanted = NULL;
	if (node->twin_class != 0 && twins_expected(&p->packer.twins, node->twin_class)) {
		int r = hash_first(p, node, fd, err);
		if (r != 0)
			return r < 0 ? -1 : 0;
	} else if (node->twin_class != 0) {
		wanted = &p->packer.twins;
	}
	node->block = output_block_count(&p->packer.output);
	for (uint64_t off = 0; off + TREE_BLOCK_SIZE <= node->size; off += TREE_BLOCK_SIZE)
		if (pack_block(p, node, fd, off, wanted, err) < 0)
			return -1;
	if (read_rest(p, node, fd, wanted, err) < 0)
		return -1;
	uint32_t rest = (uint32_t)(node->size % TREE_BLOCK_SIZE);
	if (rest > 0 && packer_add_tail(&p->packer, node, p->packer.file, rest, err) < 0)
		return -1;
	if (wanted == NULL)
		return 0;
	return packer_find_twin(&p->packer, node, err) < 0 ? -1 : 0;
}

static int pack_file(struct reading *p, struct node *node, struct err *err)
{
	AUTO_FD int fd = -1;
	node->fragment = TREE_NO_FRAGMENT;
	twins_hash_begin(&p->packer.twins);
	if (stroll_open(&p->stroll, node, &fd, err) < 0)
		return -1;
	if (nar_file(&p->nar, node->size, node->type == TREE_EXECUTABLE, err) < 0)
		return -1;
	int r = 0;
	if (node->size >= TREE_BLOCK_SIZE)
		r = pack_large(p, node, fd, err);
	else if (node->size > 0)
		r = pack_small(p, node, fd, err);
	if (r < 0 || expect_end(p, node, fd, err) < 0)
		return -1;
	return nar_file_end(&p->nar, node->size, err);
}

/* Packs a node that is no directory. */
static int pack_node(struct reading *p, struct node *node, struct err *err)
{
	if (node->type != TREE_SYMLINK)
		return pack_file(p, node, err);
	const char *target = (const char *)p->walk->names.data + node->target;
	return nar_symlink(&p->nar, target, node->target_len, err);
}

/* Packs the entries of the current directory up to the next subdirectory: 1 and that, or 0. */
static int pack_entries(struct reading *p, uint32_t *ret_directory, struct err *err)
{
	struct node *dir = &p->walk->nodes.items[p->stroll.at];
	while (dir->resume < dir->count) {
		uint32_t number = dir->first + dir->resume++;
		struct node *node = &p->walk->nodes.items[number];
		if (crew_stopped(p->packer.output.hand))
			return err_raise(err, ERR_AGAIN, "stopped by another failure");
		if (nar_entry(&p->nar, walk_name(p->walk, node), node->name_len, err) < 0)
			return -1;
		if (node->type == TREE_DIRECTORY) {
			*ret_directory = number;
			return 1;
		}
		if (pack_node(p, node, err) < 0 || nar_entry_end(&p->nar, err) < 0)
			return -1;
	}
	return 0;
}

static int pack_directories(struct reading *p, struct err *err)
{
	if (stroll_begin(&p->stroll, p->walk, err) < 0 || nar_directory(&p->nar, err) < 0)
		return -1;
	for (;;) {
		uint32_t child = 0;
		int r = pack_entries(p, &child, err);
		if (r < 0)
			return -1;
		if (r > 0) {
			if (stroll_enter(&p->stroll, child, err) < 0 ||
				nar_directory(&p->nar, err) < 0)
				return -1;
			continue;
		}
		if (nar_directory_end(&p->nar, err) < 0)
			return -1;
		if (p->stroll.at == 0)
			return 0;
		if (nar_entry_end(&p->nar, err) < 0 || stroll_leave(&p->stroll, err) < 0)
			return -1;
	}
}

static int check_hash(struct reading *p, struct err *err)
{
	struct digest found = nar_hasher_finish(&p->hasher);
	if (digest_equal(&found, &p->job->nar_hash))
		return 0;
	char a[DIGEST_HEX_SIZE], b[DIGEST_HEX_SIZE];
	err_raise(err, ERR_CORRUPT,
		"its contents have the hash sha256:%s, the store recorded sha256:%s",
		digest_hex(&found, a), digest_hex(&p->job->nar_hash, b));
	return err_hint(
		err, "'nix-store --repair-path %s' fetches or builds it again", p->job->path);
}

static int pack(struct reading *p, struct packed *ret, struct err *err)
{
	if (walk_scan(p->walk, p->job->real_path, err) < 0 ||
		twins_init(&p->packer.twins, p->walk, err) < 0 || nar_begin(&p->nar, err) < 0)
		return -1;
	bool is_directory = p->walk->nodes.items[0].type == TREE_DIRECTORY;
	int r = is_directory ? pack_directories(p, err)
			     : pack_node(p, &p->walk->nodes.items[0], err);
	if (r < 0 || packer_flush_tails(&p->packer, err) < 0 || check_hash(p, err) < 0)
		return -1;
	return assembly_finish(&p->packer.assembly, p->walk, &p->packer.output, ret, err);
}

int pack_path(const struct pack_job *job, struct hand *hand, struct packed *ret, struct err *err)
{
	ERR_SCOPE(err, "store path '%s'", job->path);
	AUTO_WALK walk = {0};
	struct reading p = {.job = job, .walk = &walk, .stroll = {.walk = &walk, .fd = AT_FDCWD}};
	packer_init(&p.packer, job->pool, hand, &walk);
	p.packer.progress = job->progress;
	p.packer.data = job->data;
	nar_hasher_init(&p.hasher);
	p.nar = nar_hasher_sink(&p.hasher);
	int r = pack(&p, ret, err);
	stroll_done(&p.stroll);
	packer_done(&p.packer);
	return r;
}
