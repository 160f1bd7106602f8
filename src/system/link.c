/* SPDX-License-Identifier: MIT */
/*
 * realpath() with one more rule: "<store dir>/…" is looked up below the real directory, wherever it
 * appears. Like that, links inside a store under /mnt lead to that store and not to this machine's.
 */
#include "system/link.h"

#include "base/buf.h"
#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* as Linux */

static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

int store_bring(
	const struct store_supply *supply, const char *path, enum bring what, struct err *err)
{
	return supply != NULL ? supply->bring(supply->data, path, what, err) : 0;
}

static char *find_real(
	const struct store_view *view, const char *path, enum bring what, struct err *err)
{
	if (!is_below(path, view->dir))
		return path_printf(err, "%s", path);
	if (store_bring(view->supply, path, what, err) < 0)
		return NULL;
	return path_printf(err, "%s%s", view->real_dir, path + strlen(view->dir));
}

char *link_real(const struct store_view *view, const char *path, struct err *err)
{
	return find_real(view, path, BRING_NAMES, err);
}

char *link_file(const struct store_view *view, const char *path, struct err *err)
{
	return find_real(view, path, BRING_FILE, err);
}

struct walk {
	const struct store_view *view;
	struct buf done; /* resolved so far, without a slash at the end; empty: "/" */
	struct buf rest; /* still to be resolved */
	unsigned links;
};

static void walk_done(struct walk *w)
{
	buf_done(&w->done);
	buf_done(&w->rest);
}

/* Names the store's directory, reached step by step, as paths in it are named. */
static int enter_store(struct walk *w, struct err *err)
{
	buf_clear(&w->done);
	return buf_put_str(&w->done, w->view->dir, err);
}

/* Starts over at the root with an absolute path, whose store directory counts as resolved. */
static int restart(struct walk *w, const char *path, struct err *err)
{
	const struct store_view *view = w->view;
	size_t skip = 0;
	buf_clear(&w->done);
	if (is_below(path, view->dir))
		skip = strlen(view->dir);
	else if (is_below(path, view->real_dir))
		skip = strlen(view->real_dir);
	if (skip > 0 && enter_store(w, err) < 0)
		return -1;
	buf_clear(&w->rest);
	return buf_put_str(&w->rest, path + skip, err);
}

/* Replaces the symlink at the end of `done`, which reads as `real`, by what it points to. */
static int enter_link(struct walk *w, size_t parent_len, const char *real, struct err *err)
{
	char target[PATH_MAX + 1];
	ssize_t len = readlink(real, target, PATH_MAX);
	if (len < 0)
		return err_sys(err, "cannot read symlink '%s'", real);
	target[len] = '\0';
	const char *rest = buf_str(&w->rest, err);
	if (rest == NULL)
		return -1;
	AUTO_FREE char *next = path_printf(err, "%s/%s", target, rest);
	if (next == NULL)
		return -1;
	w->done.len = parent_len;
	if (target[0] == '/')
		return restart(w, next, err);
	buf_clear(&w->rest);
	return buf_put_str(&w->rest, next, err);
}

/* Takes the first name off `rest` into `ret`; 0 when there is none. */
static int next_name(struct walk *w, char **ret, struct err *err)
{
	const char *rest = buf_str(&w->rest, err);
	if (rest == NULL)
		return -1;
	size_t skip = strspn(rest, "/"), len = strcspn(rest + skip, "/");
	if (len == 0)
		return 0;
	*ret = strndup(rest + skip, len);
	if (*ret == NULL)
		return err_oom(err);
	memmove(w->rest.data, rest + skip + len, w->rest.len - skip - len);
	w->rest.len -= skip + len;
	return 1;
}

static int not_there(const struct walk *w, const char *name, struct err *err)
{
	const char *done = (const char *)w->done.data;
	if (errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, "cannot look at '%s'", done);
	if (w->links == 0)
		return err_raise(err, ERR_NOT_FOUND, "'%s' does not exist", name);
	return err_raise(
		err, ERR_NOT_FOUND, "'%s' leads to '%s', which does not exist", name, done);
}

static int step(struct walk *w, const char *part, const char *name, struct err *err)
{
	size_t parent_len = w->done.len;
	struct stat st;
	if (strcmp(part, ".") == 0)
		return 0;
	if (strcmp(part, "..") == 0) {
		while (w->done.len > 0 && w->done.data[--w->done.len] != '/')
			;
		return 0;
	}
	if (buf_printf(&w->done, err, "/%s", part) < 0)
		return -1;
	const char *done = buf_str(&w->done, err);
	AUTO_FREE char *real = done != NULL ? link_real(w->view, done, err) : NULL;
	if (real == NULL)
		return -1;
	if (lstat(real, &st) < 0)
		return not_there(w, name, err);
	if (!S_ISLNK(st.st_mode))
		return strcmp(done, w->view->real_dir) == 0 ? enter_store(w, err) : 0;
	if (++w->links > LINKS_MAX)
		return err_raise(err, ERR_USAGE, "'%s' leads through more than %d symlinks", name,
			LINKS_MAX);
	return enter_link(w, parent_len, real, err);
}

static int start(struct walk *w, const char *name, struct err *err)
{
	if (name[0] == '/')
		return restart(w, name, err);
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	if (cwd == NULL)
		return err_sys(err, "cannot tell the current directory");
	AUTO_FREE char *path = path_printf(err, "%s/%s", cwd, name);
	return path != NULL ? restart(w, path, err) : -1;
}

int link_follow(const struct store_view *view, const char *name, char **ret, struct err *err)
{
	AUTO(walk_done) struct walk w = {.view = view};
	if (start(&w, name, err) < 0)
		return -1;
	for (;;) {
		AUTO_FREE char *part = NULL;
		int more = next_name(&w, &part, err);
		if (more < 0 || (more && step(&w, part, name, err) < 0))
			return -1;
		if (!more)
			break;
	}
	if (w.done.len == 0 && buf_put_str(&w.done, "/", err) < 0)
		return -1;
	char *path = buf_take_str(&w.done, err);
	if (path == NULL)
		return -1;
	*ret = path;
	return 0;
}

int link_bring(const struct store_view *view, const char *name, struct err *err)
{
	AUTO_FREE char *path = NULL;
	struct err absent = ERR_INIT;
	if (view->supply == NULL)
		return 0;
	if (link_follow(view, name, &path, &absent) == 0)
		return store_bring(view->supply, path, BRING_FILE, err);
	if (absent.kind == ERR_NOT_FOUND)
		return 0;
	*err = absent;
	return -1;
}
