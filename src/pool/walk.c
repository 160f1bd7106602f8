/* SPDX-License-Identifier: MIT */
/*
 * Looking at a store path. Sizes are known before anything is read, since only files that share
 * theirs with another can be identical.
 */
#include "pool/walk.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void walk_done(struct walk *walk)
{
	vec_done(&walk->nodes);
	buf_done(&walk->names);
}

const char *walk_name(const struct walk *walk, const struct node *node)
{
	return (const char *)walk->names.data + node->name;
}

char *walk_path(const struct walk *walk, const struct node *node, struct err *err)
{
	AUTO_FREE char *path = strdup("");
	while (path != NULL && node != walk->nodes.items) {
		char *longer = path_printf(err, "/%s%s", walk_name(walk, node), path);
		free(path);
		path = longer;
		node = &walk->nodes.items[node->parent];
	}
	if (path == NULL) {
		if (err_clean(err))
			err_oom(err);
		return NULL;
	}
	return path_printf(err, "%s%s", walk->path, path);
}

int walk_sys(const struct walk *walk, const struct node *node, const char *verb, struct err *err)
{
	int errnum = errno;
	AUTO_FREE char *path = walk_path(walk, node, err);
	if (path == NULL)
		return -1;
	return err_errno(err, errnum, "cannot %s '%s'", verb, path);
}

/* What openat() and the like take, with AT_FDCWD for the root. */
static const char *name_at(const struct walk *walk, const struct node *node)
{
	return node == walk->nodes.items ? walk->path : walk_name(walk, node);
}

int stroll_begin(struct stroll *stroll, struct walk *walk, struct err *err)
{
	int fd = open(walk->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return walk_sys(walk, walk->nodes.items, "open", err);
	walk->nodes.items[0].resume = 0;
	*stroll = (struct stroll){.walk = walk, .at = 0, .fd = fd};
	return 0;
}

static int move(struct stroll *stroll, uint32_t to, const char *name, struct err *err)
{
	int fd = openat(stroll->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return walk_sys(stroll->walk, &stroll->walk->nodes.items[to], "open", err);
	close(stroll->fd);
	stroll->fd = fd;
	stroll->at = to;
	return 0;
}

int stroll_enter(struct stroll *stroll, uint32_t node, struct err *err)
{
	struct node *to = &stroll->walk->nodes.items[node];
	to->resume = 0;
	return move(stroll, node, walk_name(stroll->walk, to), err);
}

int stroll_leave(struct stroll *stroll, struct err *err)
{
	return move(stroll, stroll->walk->nodes.items[stroll->at].parent, "..", err);
}

void stroll_done(struct stroll *stroll)
{
	fd_close_ptr(&stroll->fd);
}

int stroll_open(const struct stroll *stroll, const struct node *node, int *ret_fd, struct err *err)
{
	/* Neither a symlink nor a fifo that has just taken the file's place may fool or block us.
	 */
	int fd = openat(stroll->fd, name_at(stroll->walk, node),
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return walk_sys(stroll->walk, node, "open", err);
	*ret_fd = fd;
	return 0;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFIFO:
		return "a fifo";
	case S_IFSOCK:
		return "a socket";
	case S_IFBLK:
	case S_IFCHR:
		return "a device";
	default:
		return "of unknown type";
	}
}

static int read_target(struct walk *walk, struct node *node, int dirfd, struct err *err)
{
	uint8_t *target = buf_reserve(&walk->names, TREE_TARGET_MAX + 1, err);
	if (target == NULL)
		return -1;
	ssize_t len = readlinkat(dirfd, name_at(walk, node), (char *)target, TREE_TARGET_MAX + 1);
	if (len < 0)
		return walk_sys(walk, node, "read", err);
	if (len > TREE_TARGET_MAX)
		return err_raise(err, ERR_UNSUPPORTED, "symlink in '%s' has a target over %d bytes",
			walk->path, TREE_TARGET_MAX);
	node->target = walk->names.len;
	node->target_len = (uint32_t)len;
	walk->names.len += (size_t)len;
	return 0;
}

/* Fills in what lstat() says. */
static int look(struct walk *walk, struct node *node, int dirfd, struct err *err)
{
	struct stat st;
	if (fstatat(dirfd, name_at(walk, node), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return walk_sys(walk, node, "read", err);
	if (S_ISDIR(st.st_mode)) {
		node->type = TREE_DIRECTORY;
		return 0;
	}
	if (S_ISLNK(st.st_mode)) {
		node->type = TREE_SYMLINK;
		return read_target(walk, node, dirfd, err);
	}
	if (!S_ISREG(st.st_mode)) {
		AUTO_FREE char *path = walk_path(walk, node, err);
		if (path == NULL)
			return -1;
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s' is %s, and a store path has only directories, files and symlinks",
			path, type_name(st.st_mode));
	}
	node->type = (st.st_mode & S_IXUSR) != 0 ? TREE_EXECUTABLE : TREE_FILE;
	node->size = (uint64_t)st.st_size;
	node->sparse = (uint64_t)st.st_blocks * 512 < node->size;
	return 0;
}

static int add_child(
	struct walk *walk, uint32_t parent, const struct dirent *entry, struct err *err)
{
	size_t len = strlen(entry->d_name);
	struct node node = {.name = walk->names.len, .name_len = (uint32_t)len, .parent = parent};
	/* Saves an lstat() where the file system tells the type here. */
	if (entry->d_type == DT_DIR)
		node.type = TREE_DIRECTORY;
	if (entry->d_type == DT_LNK)
		node.type = TREE_SYMLINK;
	if (walk->nodes.len == UINT32_MAX - 1)
		return err_raise(err, ERR_LIMIT, "'%s' has too many files", walk->path);
	if (buf_put(&walk->names, entry->d_name, len + 1, err) < 0)
		return -1;
	return vec_push(&walk->nodes, node, err);
}

static int compare_names(const void *a, const void *b, void *data)
{
	const struct walk *walk = data;
	return strcmp(walk_name(walk, a), walk_name(walk, b));
}

static int read_names(struct walk *walk, const struct stroll *stroll, struct err *err)
{
	/* "." instead of dup(), so that the directory is read from its start. */
	AUTO_DIR *dir = fd_opendir(stroll->fd, ".");
	if (dir == NULL)
		return walk_sys(walk, &walk->nodes.items[stroll->at], "read", err);
	struct dirent *entry;
	int r = 0;
	while (errno = 0, r == 0 && (entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = add_child(walk, stroll->at, entry, err);
	if (r == 0 && errno != 0)
		r = walk_sys(walk, &walk->nodes.items[stroll->at], "read", err);
	return r;
}

/* Lists the directory we are in. */
static int list(struct walk *walk, const struct stroll *stroll, struct err *err)
{
	size_t first = walk->nodes.len;
	if (read_names(walk, stroll, err) < 0)
		return -1;
	size_t count = walk->nodes.len - first;
	walk->nodes.items[stroll->at].first = (uint32_t)first;
	walk->nodes.items[stroll->at].count = (uint32_t)count;
	if (count > 0)
		qsort_r(walk->nodes.items + first, count, sizeof(struct node), compare_names, walk);
	for (size_t i = first; i < first + count; i++) {
		struct node *node = &walk->nodes.items[i];
		int r = 0;
		if (node->type == TREE_SYMLINK)
			r = read_target(walk, node, stroll->fd, err);
		else if (node->type != TREE_DIRECTORY)
			r = look(walk, node, stroll->fd, err);
		if (r < 0)
			return -1;
	}
	return 0;
}

static int scan_directories(struct walk *walk, struct err *err)
{
	AUTO_STROLL stroll = {.fd = -1};
	if (stroll_begin(&stroll, walk, err) < 0 || list(walk, &stroll, err) < 0)
		return -1;
	for (;;) {
		struct node *dir = &walk->nodes.items[stroll.at];
		while (dir->resume < dir->count &&
			walk->nodes.items[dir->first + dir->resume].type != TREE_DIRECTORY)
			dir->resume++;
		if (dir->resume < dir->count) {
			uint32_t child = dir->first + dir->resume++;
			if (stroll_enter(&stroll, child, err) < 0 || list(walk, &stroll, err) < 0)
				return -1;
		} else if (stroll.at == 0) {
			return 0;
		} else if (stroll_leave(&stroll, err) < 0) {
			return -1;
		}
	}
}

static int compare_sizes(const void *a, const void *b, void *data)
{
	const struct walk *walk = data;
	uint64_t x = walk->nodes.items[*(const uint32_t *)a].size;
	uint64_t y = walk->nodes.items[*(const uint32_t *)b].size;
	return x < y ? -1 : x > y;
}

static bool has_contents(const struct node *node)
{
	return (node->type == TREE_FILE || node->type == TREE_EXECUTABLE) && node->size > 0;
}

/* Numbers the groups of files that have the same size. */
static int find_twins(struct walk *walk, struct err *err)
{
	AUTO_FREE uint32_t *files = calloc(walk->nodes.len, sizeof(*files));
	if (files == NULL)
		return err_oom(err);
	size_t count = 0;
	for (uint32_t i = 0; i < walk->nodes.len; i++)
		if (has_contents(&walk->nodes.items[i]))
			files[count++] = i;
	qsort_r(files, count, sizeof(*files), compare_sizes, walk);
	for (size_t i = 1; i < count; i++) {
		struct node *a = &walk->nodes.items[files[i - 1]];
		struct node *b = &walk->nodes.items[files[i]];
		if (a->size != b->size)
			continue;
		if (a->twin_class == 0)
			a->twin_class = ++walk->twin_classes;
		b->twin_class = a->twin_class;
	}
	return 0;
}

int walk_scan(struct walk *walk, const char *path, struct err *err)
{
	struct node root = {0};
	*walk = (struct walk){.path = path, .names.max = SIZE_MAX / 2};
	if (buf_put_zero(&walk->names, 1, err) < 0 || vec_push(&walk->nodes, root, err) < 0)
		return -1;
	if (look(walk, &walk->nodes.items[0], AT_FDCWD, err) < 0)
		return -1;
	if (walk->nodes.items[0].type != TREE_DIRECTORY)
		return 0;
	return scan_directories(walk, err) < 0 ? -1 : find_twins(walk, err);
}

int walk_regroup(struct walk *walk, struct err *err)
{
	size_t count = walk->nodes.len;
	AUTO_FREE uint32_t *place = calloc(count, sizeof(*place));
	AUTO_FREE struct node *nodes = calloc(count, sizeof(*nodes));
	if (place == NULL || nodes == NULL)
		return err_oom(err);
	for (size_t i = 1; i < count; i++)
		walk->nodes.items[walk->nodes.items[i].parent].count++;
	uint32_t next = 1;
	for (size_t i = 0; i < count; i++) {
		struct node *node = &walk->nodes.items[i];
		node->first = next;
		node->resume = next; /* where its next entry goes */
		next += node->count;
	}
	/* Parents stand before their entries, so their own places are known. */
	for (size_t i = 1; i < count; i++)
		place[i] = walk->nodes.items[walk->nodes.items[i].parent].resume++;
	for (size_t i = 0; i < count; i++) {
		struct node *node = &nodes[place[i]];
		*node = walk->nodes.items[i];
		node->parent = place[node->parent];
		node->resume = 0;
	}
	free(walk->nodes.items);
	walk->nodes.items = TAKE_PTR(nodes);
	walk->nodes.cap = count;
	return 0;
}
