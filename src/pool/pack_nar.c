/* SPDX-License-Identifier: MIT */
/*
 * From a NAR to blocks, in one pass. What is there twice is known only when it comes again: so
 * every file is hashed, and a large one of a size that was there before waits in a temporary file
 * until it is clear whether it is the same.
 */
#include "pool/packer.h"

#include "base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct intake {
	struct packer packer;
	const struct pack_nar_job *job;
	struct nar_reader *reader;
	struct walk *walk;
	uint32_t directory;          /* the one we are in */
	struct sha256_ctx file_hash; /* of the contents of files; only where they are one */
	uint8_t root_type;           /* enum tree_type */
};

/* The next `size` bytes of the file. */
static int get(struct intake *in, void *data, size_t size, struct err *err)
{
	if (nar_reader_contents(in->reader, data, size, err) < 0)
		return -1;
	twins_hash_update(&in->packer.twins, data, size);
	if (in->job->feed->is_file)
		sha256_update(&in->file_hash, size, data);
	packer_report(&in->packer, size);
	return 0;
}

static int pack_small(struct intake *in, struct node *node, struct err *err)
{
	struct packer *p = &in->packer;
	if (get(in, p->file, node->size, err) < 0)
		return -1;
	int r = packer_find_twin(p, node, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	return packer_add_tail(p, node, p->file, (uint32_t)node->size, err);
}

/* Where the bytes of a large file are: still to come, or in a temporary file. */
struct large {
	struct node *node;
	int fd; /* -1: still to come */
};

static int get_large(
	struct intake *in, struct large *large, void *data, size_t size, struct err *err)
{
	size_t len;
	if (large->fd < 0)
		return get(in, data, size, err);
	if (fd_read_full(large->fd, data, size, "temporary file", &len, err) < 0)
		return -1;
	return len == size ? 0 : err_raise(err, ERR_IO, "a temporary file became shorter");
}

static int pack_blocks(struct intake *in, struct large *large, struct err *err)
{
	struct packer *p = &in->packer;
	struct node *node = large->node;
	uint32_t block, rest = (uint32_t)(node->size % TREE_BLOCK_SIZE);
	node->block = output_block_count(&p->output);
	for (uint64_t i = 0; i < node->size / TREE_BLOCK_SIZE; i++) {
		struct slot *slot = output_slot(&p->output, err);
		if (slot == NULL)
			return -1;
		slot->in_len = TREE_BLOCK_SIZE;
		if (get_large(in, large, slot->in, TREE_BLOCK_SIZE, err) < 0) {
			crew_release(p->output.hand, slot);
			return -1;
		}
		if (output_file_block(&p->output, slot, &block, err) < 0)
			return -1;
	}
	if (rest == 0)
		return 0;
	if (get_large(in, large, p->file, rest, err) < 0)
		return -1;
	return packer_add_tail(p, node, p->file, rest, err);
}

/* Puts the file aside, hashing it. */
static int put_aside(struct intake *in, struct large *large, int fd, struct err *err)
{
	uint8_t *data = in->packer.file;
	for (uint64_t left = large->node->size; left > 0;) {
		size_t size = left < TREE_BLOCK_SIZE ? (size_t)left : TREE_BLOCK_SIZE;
		if (crew_stopped(in->packer.output.hand))
			return err_raise(err, ERR_AGAIN, "stopped by another failure");
		if (get(in, data, size, err) < 0 ||
			fd_write_full(fd, data, size, in->job->pool->dir, err) < 0)
			return -1;
		left -= size;
	}
	return 0;
}

/* A file that may be the same as another: packed from where it was put aside, if it is not. */
static int pack_doubtful(struct intake *in, struct large *large, struct err *err)
{
	struct pool *pool = in->job->pool;
	struct pending aside = {0};
	AUTO_FD int write_fd = -1;
	AUTO_FD int read_fd = -1;
	if (session_temp(&pool->session, &aside.temp, &write_fd, err) < 0)
		return -1;
	int r = fd_open(pool->fd, aside.temp, O_RDONLY, &read_fd, err);
	pending_done(pool, &aside); /* its name; open, it stays */
	if (r < 0 || put_aside(in, large, write_fd, err) < 0)
		return -1;
	r = packer_find_twin(&in->packer, large->node, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	large->fd = read_fd;
	return pack_blocks(in, large, err);
}

static int pack_large(struct intake *in, struct node *node, struct err *err)
{
	struct large large = {.node = node, .fd = -1};
	if (twins_expected(&in->packer.twins, node->twin_class))
		return pack_doubtful(in, &large, err);
	if (pack_blocks(in, &large, err) < 0)
		return -1;
	return packer_find_twin(&in->packer, node, err) < 0 ? -1 : 0;
}

static int pack_file(struct intake *in, struct node *node, struct err *err)
{
	node->fragment = TREE_NO_FRAGMENT;
	if (node->size == 0)
		return 0;
	if (twins_class(&in->packer.twins, in->walk, node->size, &node->twin_class, err) < 0)
		return -1;
	twins_hash_begin(&in->packer.twins);
	return node->size < TREE_BLOCK_SIZE ? pack_small(in, node, err) : pack_large(in, node, err);
}

static int put_text(struct walk *walk, const char *text, size_t len, size_t *ret, struct err *err)
{
	*ret = walk->names.len;
	return buf_put(&walk->names, text, len + 1, err);
}

static int add_node(struct intake *in, const struct nar_event *event, struct err *err)
{
	static const uint8_t types[] = {[NAR_FILE] = TREE_FILE,
		[NAR_SYMLINK] = TREE_SYMLINK,
		[NAR_DIRECTORY] = TREE_DIRECTORY};
	struct walk *walk = in->walk;
	struct node node = {.type = types[event->type],
		.size = event->size,
		.parent = in->directory,
		.name_len = (uint32_t)event->name_len,
		.target_len = (uint32_t)event->target_len};
	if (event->executable)
		node.type = TREE_EXECUTABLE;
	if (walk->nodes.len == UINT32_MAX - 1)
		return err_raise(err, ERR_LIMIT, "it has too many files");
	if (put_text(walk, event->name, event->name_len, &node.name, err) < 0)
		return -1;
	if (event->type == NAR_SYMLINK &&
		put_text(walk, event->target, event->target_len, &node.target, err) < 0)
		return -1;
	return vec_push(&walk->nodes, node, err);
}

static int take(struct intake *in, const struct nar_event *event, struct err *err)
{
	struct walk *walk = in->walk;
	if (crew_stopped(in->packer.output.hand))
		return err_raise(err, ERR_AGAIN, "stopped by another failure");
	if (event->type == NAR_DIRECTORY_END) {
		in->directory = walk->nodes.items[in->directory].parent;
		return 0;
	}
	if (add_node(in, event, err) < 0)
		return -1;
	uint32_t number = (uint32_t)walk->nodes.len - 1;
	if (number == 0)
		in->root_type = walk->nodes.items[0].type;
	if (event->type == NAR_DIRECTORY)
		in->directory = number;
	return event->type == NAR_FILE ? pack_file(in, &walk->nodes.items[number], err) : 0;
}

static int check(struct intake *in, struct err *err)
{
	const struct path_info *info = in->job->info;
	const struct pool_feed *feed = in->job->feed;
	char a[DIGEST_HEX_SIZE], b[DIGEST_HEX_SIZE];
	uint64_t size;
	struct digest found = nar_reader_hash(in->reader, &size);
	if (size != info->nar_size)
		return err_raise(err, ERR_CORRUPT, "the NAR has %llu bytes, not the %llu announced",
			(unsigned long long)size, (unsigned long long)info->nar_size);
	if (!digest_equal(&found, &info->nar_hash))
		return err_raise(err, ERR_CORRUPT,
			"the NAR has the hash sha256:%s, not the sha256:%s announced",
			digest_hex(&found, a), digest_hex(&info->nar_hash, b));
	if (!feed->is_file)
		return 0;
	if (in->root_type != TREE_FILE && in->root_type != TREE_EXECUTABLE)
		return err_raise(
			err, ERR_CORRUPT, "its content address is that of a file, which it is not");
	struct digest file = digest_finish(&in->file_hash);
	if (!digest_equal(&file, &feed->file_hash))
		return err_raise(err, ERR_CORRUPT,
			"its file has the hash sha256:%s, its content address says sha256:%s",
			digest_hex(&file, a), digest_hex(&feed->file_hash, b));
	return 0;
}

static int pack(struct intake *in, struct packed *ret, struct err *err)
{
	struct nar_event event;
	int more;
	while ((more = nar_reader_next(in->reader, &event, err)) == 1)
		if (take(in, &event, err) < 0)
			return -1;
	if (more < 0 || check(in, err) < 0 || packer_flush_tails(&in->packer, err) < 0 ||
		walk_regroup(in->walk, err) < 0)
		return -1;
	return assembly_finish(&in->packer.assembly, in->walk, &in->packer.output, ret, err);
}

int pack_nar(const struct pack_nar_job *job, struct hand *hand, struct packed *ret, struct err *err)
{
	AUTO_WALK walk = {.path = job->info->path, .names.max = SIZE_MAX / 2};
	AUTO_NAR_READER *reader = NULL;
	if (nar_reader_new(&job->feed->input, job->info->nar_size, &reader, err) < 0)
		return -1;
	struct intake in = {.job = job, .reader = reader, .walk = &walk};
	packer_init(&in.packer, job->pool, hand, &walk);
	in.packer.progress = job->progress;
	in.packer.data = job->data;
	sha256_init(&in.file_hash);
	int r = twins_init(&in.packer.twins, &walk, err);
	if (r == 0)
		r = pack(&in, ret, err);
	packer_done(&in.packer);
	/* A feed that fails names itself. */
	if (r < 0 && err->kind != ERR_IO && err->kind != ERR_NOT_FOUND)
		err_prefix(err, "'%s'", job->feed->from);
	return r;
}
