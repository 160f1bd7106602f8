/* SPDX-License-Identifier: MIT */
/* What the files of a toplevel say by themselves, without boot.json. */
#include "system/toplevel.h"

#include "base/fd.h"
#include "base/path.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where an entry can be read; caller owns; NULL with ERR_NOMEM. */
static char *entry_real(const struct toplevel *top, const char *name, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%s", top->path, name);
	return path != NULL ? link_real(top->view, path, err) : NULL;
}

bool toplevel_has(const struct toplevel *top, const char *name)
{
	struct err ignored = ERR_INIT;
	struct stat st;
	AUTO_FREE char *real = entry_real(top, name, &ignored);
	return real != NULL && lstat(real, &st) == 0;
}

int toplevel_link(const struct toplevel *top, const char *name, char **ret, struct err *err)
{
	if (!toplevel_has(top, name))
		return 0;
	AUTO_FREE char *path = path_printf(err, "%s/%s", top->path, name);
	if (path == NULL || link_follow(top->view, path, ret, err) < 0)
		return -1;
	return 1;
}

int toplevel_text(const struct toplevel *top, const char *name, char **ret, struct err *err)
{
	AUTO_FREE char *path = NULL;
	int found = toplevel_link(top, name, &path, err);
	if (found <= 0)
		return found;
	AUTO_FREE char *real = link_file(top->view, path, err);
	if (real == NULL || fd_read_line_file(AT_FDCWD, real, ret, err) < 0)
		return -1;
	return 1;
}

/* As toplevel_text(), for a file that every system has. */
static int required_text(const struct toplevel *top, const char *name, char **ret, struct err *err)
{
	int found = toplevel_text(top, name, ret, err);
	if (found == 0)
		return err_raise(err, ERR_USAGE, "'%s' is not a system package: it has no '%s'",
			top->path, name);
	return found < 0 ? -1 : 0;
}

static int read_magic(const struct toplevel *top, uint8_t magic[4], struct err *err)
{
	AUTO_FREE char *init = NULL;
	size_t len;
	int found = toplevel_link(top, "init", &init, err);
	if (found < 0)
		return -1;
	if (found == 0) {
		err_raise(err, ERR_USAGE, "'%s' is not a system package: it has no 'init'",
			top->path);
		return err_hint(err,
			"name a toplevel, like /run/current-system or what nixos-rebuild build "
			"leaves in ./result");
	}
	AUTO_FREE char *real = link_file(top->view, init, err);
	AUTO_FD int fd = -1;
	if (real == NULL || fd_open(AT_FDCWD, real, O_RDONLY, &fd, err) < 0)
		return -1;
	memset(magic, 0, 4);
	return fd_read_full(fd, magic, 4, real, &len, err);
}

static bool is_executable(const struct toplevel *top, const char *name)
{
	struct err ignored = ERR_INIT;
	AUTO_FREE char *path = NULL;
	struct stat st;
	if (toplevel_link(top, name, &path, &ignored) != 1)
		return false;
	AUTO_FREE char *real = link_file(top->view, path, &ignored);
	return real != NULL && stat(real, &st) == 0 && S_ISREG(st.st_mode) &&
		(st.st_mode & S_IXUSR) != 0;
}

int toplevel_kind(const struct toplevel *top, enum system_kind *ret, struct err *err)
{
	uint8_t magic[4];
	if (read_magic(top, magic, err) < 0)
		return -1;
	if (is_executable(top, "prepare-root"))
		*ret = SYSTEM_SYSTEMD;
	else if (memcmp(magic, "\177ELF", 4) == 0)
		*ret = SYSTEM_NIXOS_INIT;
	else if (memcmp(magic, "#!", 2) == 0)
		*ret = SYSTEM_SCRIPTED;
	else
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s/init' is of unknown kind: neither a script nor an ELF program",
			top->path);
	return 0;
}

/* Names in a directory, sorted, without hidden ones. 0 when it is not there. */
static int list(const struct toplevel *top, const char *path, struct strvec *names, struct err *err)
{
	AUTO_FREE char *real = link_real(top->view, path, err);
	if (real == NULL)
		return -1;
	AUTO_DIR *dir = fd_opendir(AT_FDCWD, real);
	if (dir == NULL && errno == ENOENT)
		return 0;
	if (dir == NULL)
		return err_sys(err, "cannot open '%s'", path);
	errno = 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL; errno = 0)
		if (entry->d_name[0] != '.' && strvec_push(names, entry->d_name, err) < 0)
			return -1;
	if (errno != 0)
		return err_sys(err, "cannot read directory '%s'", path);
	strvec_sort(names);
	return 0;
}

int toplevel_release(const struct toplevel *top, const char *modules, char **ret, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/lib/modules", modules);
	AUTO_FREE char *dir = NULL;
	AUTO_STRVEC names = {0};
	if (path == NULL || link_follow(top->view, path, &dir, err) < 0 ||
		list(top, dir, &names, err) < 0)
		return -1;
	if (names.len != 1)
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s' has the modules of %zu kernels, not of one", path, names.len);
	*ret = TAKE_PTR(names.items[0]);
	names.len = 0;
	return 0;
}

/*
 * Words are separated by spaces. What stands in quotes and has spaces is split too, and whole again
 * when the words are joined.
 */
static int split_params(char *text, struct strvec *params, struct err *err)
{
	for (char *save = NULL, *word = strtok_r(text, " \t\n", &save); word != NULL;
		word = strtok_r(NULL, " \t\n", &save)) {
		for (const char *p = word; *p != '\0'; p++)
			if (iscntrl((unsigned char)*p))
				return err_raise(err, ERR_CORRUPT,
					"'kernel-params' contains a control character");
		if (strvec_push(params, word, err) < 0)
			return -1;
	}
	return 0;
}

static int synthesize_label(const struct toplevel *top, struct bootspec *spec, struct err *err)
{
	AUTO_FREE char *version = NULL, *modules = NULL, *release = NULL;
	if (required_text(top, "nixos-version", &version, err) < 0)
		return -1;
	int found = toplevel_link(top, "kernel-modules", &modules, err);
	if (found < 0 || (found && toplevel_release(top, modules, &release, err) < 0))
		return -1;
	spec->label = path_printf(
		err, "NixOS %s (Linux %s)", version, release != NULL ? release : "unknown");
	return spec->label != NULL ? 0 : -1;
}

/* "specialisation" since 20.03, "fine-tune" before. */
static int synthesize_specialisations(
	const struct toplevel *top, struct bootspec *spec, struct err *err)
{
	const char *folder = toplevel_has(top, "specialisation") ? "specialisation" : "fine-tune";
	AUTO_FREE char *dir = path_printf(err, "%s/%s", top->path, folder);
	if (dir == NULL || list(top, dir, &spec->specialisations, err) < 0)
		return -1;
	for (size_t i = 0; i < spec->specialisations.len; i++) {
		AUTO_FREE char *link =
			path_printf(err, "%s/%s", dir, spec->specialisations.items[i]);
		char *path = NULL;
		if (link == NULL || link_follow(top->view, link, &path, err) < 0 ||
			strvec_push_take(&spec->specialisation_paths, path, err) < 0)
			return -1;
	}
	return 0;
}

static int synthesize(const struct toplevel *top, struct bootspec *spec, struct err *err)
{
	AUTO_FREE char *params = NULL;
	int found = toplevel_link(top, "kernel", &spec->kernel, err);
	if (found < 0)
		return err_prefix(err, "kernel");
	if (found == 0) {
		err_raise(err, ERR_UNSUPPORTED,
			"'%s' has no 'kernel', so it is the system of a container", top->path);
		return err_hint(err,
			"containers run on their host's kernel; build the system of a "
			"machine, without boot.isContainer");
	}
	if (toplevel_link(top, "initrd", &spec->initrd, err) < 0)
		return err_prefix(err, "initrd");
	if (required_text(top, "system", &spec->system, err) < 0 ||
		required_text(top, "kernel-params", &params, err) < 0 ||
		split_params(params, &spec->params, err) < 0 ||
		synthesize_label(top, spec, err) < 0 ||
		synthesize_specialisations(top, spec, err) < 0)
		return -1;
	if (toplevel_has(top, "append-initrd-secrets") &&
		(spec->initrd_secrets = path_printf(err, "%s/append-initrd-secrets", top->path)) ==
			NULL)
		return -1;
	spec->toplevel = strdup(top->path);
	spec->init = path_printf(err, "%s/init", top->path);
	return spec->toplevel != NULL && spec->init != NULL ? 0
		: err_clean(err)                            ? err_oom(err)
							    : -1;
}

int toplevel_synthesize(const struct toplevel *top, struct bootspec *ret, struct err *err)
{
	AUTO_BOOTSPEC spec = {0};
	if (synthesize(top, &spec, err) < 0)
		return -1;
	*ret = spec;
	spec = (struct bootspec){0};
	return 0;
}
