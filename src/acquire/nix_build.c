/* SPDX-License-Identifier: MIT */
/* Nix as a child: it evaluates and builds, we take the path that it prints. */
#include "acquire/nix_build.h"

#include "base/buf.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OUTPUT_MAX = 64 << 10 };

/* Starts `argv` with its standard output in *ret_fd. */
static int spawn(const char *const *argv, pid_t *ret_pid, int *ret_fd, struct err *err)
{
	int ends[2];
	posix_spawn_file_actions_t actions;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	AUTO_FD int read_end = ends[0];
	AUTO_FD int write_end = ends[1];
	int errnum = posix_spawn_file_actions_init(&actions);
	if (errnum == 0) {
		errnum = posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
		if (errnum == 0)
			errnum = posix_spawnp(
				ret_pid, argv[0], &actions, NULL, (char *const *)argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	if (errnum == ENOENT) {
		err_raise(err, ERR_UNSUPPORTED, "'%s' is not installed", argv[0]);
		return err_hint(err,
			"Nix builds flakes and expressions; what is built already can be named by "
			"its "
			"store path, or taken from a binary cache");
	}
	if (errnum != 0)
		return err_errno(err, errnum, "cannot start '%s'", argv[0]);
	*ret_fd = TAKE_FD(read_end);
	return 0;
}

static int run(const char *const *argv, struct buf *output, struct err *err)
{
	AUTO_FD int fd = -1;
	pid_t pid;
	size_t len = 0;
	int status;
	if (spawn(argv, &pid, &fd, err) < 0)
		return -1;
	uint8_t *at = buf_reserve(output, OUTPUT_MAX, err);
	int r = at != NULL ? fd_read_full(fd, at, OUTPUT_MAX, argv[0], &len, err) : -1;
	output->len += len;
	fd_close_ptr(&fd);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return r < 0 ? -1 : err_sys(err, "cannot wait for '%s'", argv[0]);
	if (r < 0)
		return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_raise(err, ERR_IO, "'%s' failed", argv[0]);
	return 0;
}

/* "[{"outputs": {"out": PATH}}]", as `nix build --json` prints it since Nix 2.4. */
static int read_flake_output(const char *text, char **ret_path, struct err *err)
{
	json_t *results = json_loads(text, 0, NULL);
	json_t *outputs = json_object_get(json_array_get(results, 0), "outputs");
	const char *out = json_string_value(json_object_get(outputs, "out"));
	int r = 0;
	if (json_array_size(results) > 1)
		r = err_raise(err, ERR_USAGE, "that makes several store paths, not one system");
	else if (out == NULL)
		r = err_raise(err, ERR_IO, "Nix names no store path");
	else if ((*ret_path = strdup(out)) == NULL)
		r = err_oom(err);
	json_decref(results);
	return r;
}

static int read_line(const char *text, char **ret_path, struct err *err)
{
	size_t len = strcspn(text, "\n");
	if (len == 0)
		return err_raise(err, ERR_IO, "Nix names no store path");
	if (text[len] != '\0' && text[len + 1] != '\0')
		return err_raise(err, ERR_USAGE, "that makes several store paths, not one system");
	*ret_path = strndup(text, len);
	return *ret_path != NULL ? 0 : err_oom(err);
}

int nix_build(const struct name *name, char **ret_path, struct err *err)
{
	ERR_SCOPE(err, "building '%s'", name->text);
	const char *const flake[] = {"nix", "--extra-experimental-features", "nix-command flakes",
		"build", "--no-link", "--json", name->text, NULL};
	const char *const expression[] = {"nix-build", "--no-out-link", name->text, NULL};
	bool is_flake = name->kind == NAME_FLAKE;
	AUTO_BUF output = {0};
	if (name->text[0] == '-') {
		err_raise(err, ERR_USAGE, "Nix would take that for an option");
		return err_hint(
			err, "what lies in this directory is also called './%s'", name->text);
	}
	if (run(is_flake ? flake : expression, &output, err) < 0)
		return -1;
	const char *text = buf_str(&output, err);
	if (text == NULL)
		return -1;
	return is_flake ? read_flake_output(text, ret_path, err) : read_line(text, ret_path, err);
}
