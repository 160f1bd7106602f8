/* SPDX-License-Identifier: MIT */
/*
 * init=: everybody after us reads it from /proc/cmdline as well, so stage 1 obeys it too instead of
 * knowing better; what it points to is checked before anything is given up for it.
 */
#include "stage1/init.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void init_done(struct init *init)
{
	free(init->path);
	free(init->system);
	*init = (struct init){0};
}

/* Opens below root, where absolute symlinks and ".." stay inside (openat2, Linux 5.6). */
static int open_in_root(const char *root, const char *path, int flags, int *ret_fd, struct err *err)
{
	AUTO_FD int rootfd = -1;
	if (fd_open(AT_FDCWD, root, O_PATH | O_DIRECTORY, &rootfd, err) < 0)
		return -1;
	struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int fd = (int)syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
	if (fd < 0)
		return err_sys(err, "cannot open '%s'", path);
	*ret_fd = fd;
	return 0;
}

int init_resolve(const char *root, const char *path, char **ret_path, struct err *err)
{
	AUTO_FD int fd = -1;
	if (open_in_root(root, path, O_PATH, &fd, err) < 0)
		return -1;
	AUTO_FREE char *link = path_printf(err, "/proc/self/fd/%d", fd);
	AUTO_FREE char *target = calloc(1, PATH_MAX);
	AUTO_FREE char *real_root = realpath(root, NULL);
	if (link == NULL || target == NULL || real_root == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	if (readlink(link, target, PATH_MAX - 1) < 0)
		return err_sys(err, "cannot resolve '%s'", path);
	size_t skip = strcmp(real_root, "/") == 0 ? 0 : strlen(real_root);
	*ret_path = path_printf(err, "%s", target + skip);
	return *ret_path != NULL ? 0 : -1;
}

/* "#!/nix/store/…-bash/bin/bash -e" → the interpreter, or "" when it is not a script. */
static int read_interpreter(int fd, const char *path, char *line, size_t size, struct err *err)
{
	size_t len;
	if (fd_pread_full(fd, line, size - 1, 0, path, &len, err) < 0)
		return -1;
	line[len] = '\0';
	if (strncmp(line, "#!", 2) != 0) {
		line[0] = '\0';
		return 0;
	}
	size_t blanks = strspn(line + 2, " \t");
	size_t name = strcspn(line + 2 + blanks, " \t\n");
	memmove(line, line + 2 + blanks, name);
	line[name] = '\0';
	return 0;
}

int init_check_program(const char *root, const char *path, struct err *err)
{
	AUTO_FD int fd = -1;
	if (open_in_root(root, path, O_RDONLY, &fd, err) < 0) {
		if (err->kind != ERR_NOT_FOUND)
			return -1;
		err_reset(err);
		return err_raise(err, ERR_NOT_FOUND, "'%s' does not exist in the image", path);
	}
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
		return err_raise(err, ERR_IO, "'%s' is not an executable file", path);
	char line[256]; /* the kernel looks at as many bytes: BINPRM_BUF_SIZE */
	if (read_interpreter(fd, path, line, sizeof(line), err) < 0)
		return -1;
	if (line[0] == '\0')
		return 0;
	AUTO_FD int interpreter = -1;
	if (open_in_root(root, line, O_PATH, &interpreter, err) < 0)
		return err_prefix(err, "the interpreter of '%s'", path);
	return 0;
}

/* Is `system` what one of the plan's specialisations points to? */
static bool is_specialisation(const char *root, const char *plan_system, const char *system)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *folder = path_printf(&err, "%s%s/specialisation", root, plan_system);
	DIR *dir = folder != NULL ? opendir(folder) : NULL;
	if (dir == NULL)
		return false;
	bool found = false;
	const struct dirent *entry;
	while (!found && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		struct err ignored = ERR_INIT;
		AUTO_FREE char *path =
			path_printf(&ignored, "%s/specialisation/%s", plan_system, entry->d_name);
		AUTO_FREE char *real = NULL;
		if (path != NULL && init_resolve(root, path, &real, &ignored) == 0)
			found = strcmp(real, system) == 0;
	}
	closedir(dir);
	return found;
}

/* The toplevel of an init path: what its directory is, once links are followed. */
static int find_system(const char *root, const char *init, char **ret, struct err *err)
{
	const char *slash = strrchr(init, '/');
	AUTO_FREE char *folder = path_printf(err, "%.*s", (int)(slash - init), init);
	return folder != NULL ? init_resolve(root, folder, ret, err) : -1;
}

/* The kind of a system in the image, told as the composer tells it (system/system.c). */
static int find_kind(
	const char *root, const struct init *init, enum system_kind *ret, struct err *err)
{
	AUTO_FREE char *prepare = path_printf(err, "%s/prepare-root", init->system);
	AUTO_FD int program = -1, fd = -1;
	struct err absent = ERR_INIT;
	char line[256];
	if (prepare == NULL || open_in_root(root, init->path, O_RDONLY, &program, err) < 0 ||
		read_interpreter(program, init->path, line, sizeof(line), err) < 0)
		return -1;
	*ret = open_in_root(root, prepare, O_PATH, &fd, &absent) == 0 ? SYSTEM_SYSTEMD
		: line[0] != '\0'                                     ? SYSTEM_SCRIPTED
								      : SYSTEM_NIXOS_INIT;
	return 0;
}

/*
 * A specialisation may be handed over to only as the plan says: of another kind it would start
 * without its activation, and the etc overlay and what else the plan says of a system is that
 * system's own.
 */
static int check_specialisation(
	const struct plan *plan, const char *root, const struct init *init, struct err *err)
{
	enum system_kind kind;
	if (plan->kind == SYSTEM_NIXOS_INIT || plan->etc_metadata_image != NULL) {
		err_raise(err, ERR_UNSUPPORTED,
			"'init=%s' is a specialisation, and the plan describes '%s'", init->path,
			plan->system);
		return err_hint(err, "serve the specialisation as a system of its own");
	}
	if (find_kind(root, init, &kind, err) < 0)
		return -1;
	if (kind == plan->kind)
		return 0;
	err_raise(err, ERR_UNSUPPORTED,
		"'init=%s' is a specialisation of kind %s, and the plan is for kind %s", init->path,
		system_kind_name(kind), system_kind_name(plan->kind));
	return err_hint(err, "serve the specialisation as a system of its own");
}

int init_find(const struct plan *plan, const struct cmdline *cmdline, const char *root,
	struct init *ret, struct err *err)
{
	size_t count = cmdline_count(cmdline, "init");
	const char *path = cmdline_get(cmdline, "init");
	if (count != 1) {
		err_raise(
			err, ERR_USAGE, "the kernel command line has %zu 'init=', not one", count);
		return err_hint(err, "boot with init=%s/init", plan->system);
	}
	if (path[0] != '/' || strlen(path) < 2)
		return err_raise(err, ERR_USAGE, "'init=%s' is not an absolute path", path);
	if (init_check_program(root, path, err) < 0) {
		err_prefix(err, "cannot hand over to init");
		return err_hint(err, "the plan is for init=%s/init", plan->system);
	}
	AUTO(init_done) struct init init = {.path = strdup(path)};
	if (init.path == NULL)
		return err_oom(err);
	if (find_system(root, path, &init.system, err) < 0)
		return -1;
	bool same = strcmp(init.system, plan->system) == 0;
	if (!same && !is_specialisation(root, plan->system, init.system)) {
		err_raise(err, ERR_USAGE,
			"'init=%s' belongs neither to '%s' nor to one of its specialisations", path,
			plan->system);
		return err_hint(err, "boot with init=%s/init", plan->system);
	}
	if (!same && check_specialisation(plan, root, &init, err) < 0)
		return -1;
	*ret = init;
	init = (struct init){0};
	return 0;
}
