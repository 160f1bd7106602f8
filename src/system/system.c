/* SPDX-License-Identifier: MIT */
/*
 * A system package as one struct, whatever it was read from: boot.json where there is one, its
 * files where there is none, and for nixos-init systems the data that makes its activation
 * possible. Everything that a boot needs is checked to exist, so that a failure is one of building
 * and not of booting.
 */
#include "system/system.h"

#include "base/fd.h"
#include "base/path.h"
#include "nix/store_path.h"
#include "system/toplevel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void system_done(struct system *system)
{
	free(system->path);
	free(system->kernel);
	free(system->initrd);
	free(system->init);
	free(system->label);
	free(system->double_);
	free(system->nixos_version);
	strvec_done(&system->params);
	free(system->kernel_modules);
	free(system->kernel_release);
	free(system->firmware);
	free(system->device_trees);
	free(system->device_tree);
	free(system->initrd_secrets);
	strvec_done(&system->specialisations);
	strvec_done(&system->specialisation_paths);
	strvec_done(&system->store_mount_opts);
	free(system->init_firmware);
	free(system->modprobe_binary);
	free(system->sh_binary);
	free(system->env_binary);
	free(system->etc_metadata_image);
	free(system->etc_basedir);
	*system = (struct system){0};
}

int system_resolve_in(const char *name, const char *store_dir, const char *real_dir,
	char **ret_path, struct err *err)
{
	const struct store_view view = {.dir = store_dir, .real_dir = real_dir};
	AUTO_FREE char *path = NULL;
	if (name[0] == '\0')
		return err_raise(err, ERR_USAGE, "the name of the system is empty");
	if (link_follow(&view, name, &path, err) < 0)
		return -1;
	size_t len = store_path_len(path, store_dir);
	if (len == 0) {
		if (strcmp(name, path) == 0)
			err_raise(err, ERR_USAGE, "'%s' is not in the store '%s'", name, real_dir);
		else
			err_raise(err, ERR_USAGE,
				"'%s' leads to '%s', which is not in the store '%s'", name, path,
				real_dir);
		return err_hint(err,
			"name a store path of a system package or a symlink to one, "
			"like /run/current-system");
	}
	if (path[len] != '\0')
		return err_raise(err, ERR_USAGE,
			"'%s' leads to '%s', which is inside of a store path and not one", name,
			path);
	*ret_path = TAKE_PTR(path);
	return 0;
}

int system_resolve(const char *name, const char *store_dir, char **ret_path, struct err *err)
{
	return system_resolve_in(name, store_dir, store_dir, ret_path, err);
}

static int check_directory(const struct toplevel *top, struct err *err)
{
	struct stat st;
	AUTO_FREE char *real = link_real(top->view, top->path, err);
	if (real == NULL)
		return -1;
	if (lstat(real, &st) < 0)
		return errno == ENOENT
			? err_raise(err, ERR_NOT_FOUND, "'%s' does not exist", top->path)
			: err_sys(err, "cannot look at '%s'", top->path);
	if (!S_ISDIR(st.st_mode))
		return err_raise(err, ERR_USAGE,
			"'%s' is not a system package: it is not a directory", top->path);
	return 0;
}

static int read_bootspec(
	const struct toplevel *top, struct bootspec *ret, bool *ret_synthesized, struct err *err)
{
	AUTO_FREE char *path = NULL;
	AUTO_BUF text = {0};
	int found = toplevel_link(top, "boot.json", &path, err);
	if (found < 0)
		return -1;
	*ret_synthesized = !found;
	if (!found)
		return toplevel_synthesize(top, ret, err);
	AUTO_FREE char *real = link_file(top->view, path, err);
	if (real == NULL || fd_read_file(AT_FDCWD, real, BOOTSPEC_MAX, &text, err) < 0)
		return -1;
	if (bootspec_parse((const char *)text.data, text.len, ret, err) < 0)
		return err_prefix(err, "'%s/boot.json'", top->path);
	return 0;
}

/* Follows `*path`, which has to be a file in the store; `what` names it in messages. */
static int check_file(const struct toplevel *top, const char *what, char **path, struct err *err)
{
	struct stat st;
	AUTO_FREE char *found = NULL;
	if (link_follow(top->view, *path, &found, err) < 0)
		return err_prefix(err, "%s of '%s'", what, top->path);
	if (store_path_len(found, top->view->dir) == 0)
		return err_raise(err, ERR_UNSUPPORTED, "%s of '%s': '%s' is not in the store '%s'",
			what, top->path, found, top->view->dir);
	AUTO_FREE char *real = link_real(top->view, found, err);
	if (real == NULL)
		return -1;
	if (stat(real, &st) < 0)
		return err_sys(err, "cannot look at '%s'", found);
	if (!S_ISREG(st.st_mode))
		return err_raise(err, ERR_UNSUPPORTED, "%s of '%s': '%s' is not a file", what,
			top->path, found);
	free(*path);
	*path = TAKE_PTR(found);
	return 0;
}

/* Moves what boot.json said into the system. */
static void adopt(struct system *s, struct bootspec *spec)
{
	s->kernel = TAKE_PTR(spec->kernel);
	s->initrd = TAKE_PTR(spec->initrd);
	s->initrd_secrets = TAKE_PTR(spec->initrd_secrets);
	s->device_tree = TAKE_PTR(spec->device_tree);
	s->label = TAKE_PTR(spec->label);
	s->double_ = TAKE_PTR(spec->system);
	s->params = spec->params;
	s->specialisations = spec->specialisations;
	s->specialisation_paths = spec->specialisation_paths;
	spec->params = spec->specialisations = spec->specialisation_paths = (struct strvec){0};
	struct nixos_init *init = &spec->nixos_init;
	/* Every system with an etc overlay has these two, whoever activates it (nixos-init.nix). */
	if (s->kind != SYSTEM_SCRIPTED) {
		s->etc_metadata_image = TAKE_PTR(init->etc_metadata_image);
		s->etc_basedir = TAKE_PTR(init->etc_basedir);
	}
	if (s->kind != SYSTEM_NIXOS_INIT)
		return;
	s->store_mount_opts = init->store_mount_opts;
	init->store_mount_opts = (struct strvec){0};
	s->init_firmware = TAKE_PTR(init->firmware);
	s->modprobe_binary = TAKE_PTR(init->modprobe_binary);
	s->sh_binary = TAKE_PTR(init->sh_binary);
	s->env_binary = TAKE_PTR(init->env_binary);
}

/* Follows a link of the toplevel; what is not there is something that this system does without. */
static int follow_optional(
	const struct toplevel *top, const char *name, char **field, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%s", top->path, name);
	struct err absent = ERR_INIT;
	if (path == NULL)
		return -1;
	if (link_follow(top->view, path, field, &absent) < 0 && absent.kind != ERR_NOT_FOUND) {
		*err = absent;
		return -1;
	}
	return 0;
}

/*
 * The etc overlay (system.etc.overlay.enable, nixpkgs from 24.05), which units of the initrd mount
 * by these links before prepare-root or nixos-init; newer ones by boot.json.
 */
static int follow_etc(const struct toplevel *top, struct system *s, struct err *err)
{
	return follow_optional(top, "etc-metadata-image", &s->etc_metadata_image, err) < 0 ||
			follow_optional(top, "etc-basedir", &s->etc_basedir, err) < 0
		? -1
		: 0;
}

/*
 * The first nixos-init (nixpkgs 25.11, config.rs) had its data in the environment of a wrapper
 * inside the initrd, out of our reach. Without the extension, the toplevel's own links and programs
 * stand for the same things, and the mount options are the default of boot.nixStoreMountOpts.
 */
static int guess_nixos_init(const struct toplevel *top, struct system *s, struct err *err)
{
	static const char *const options[] = {"ro", "nodev", "nosuid"};
	const struct {
		const char *name;
		char **field;
	} links[] = {
		{"firmware", &s->init_firmware},
		{"sw/bin/modprobe", &s->modprobe_binary},
		{"sw/bin/sh", &s->sh_binary},
		{"sw/bin/env", &s->env_binary},
	};
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strvec_push(&s->store_mount_opts, options[i], err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (follow_optional(top, links[i].name, links[i].field, err) < 0)
			return -1;
	return follow_etc(top, s, err);
}

static int read_rest(const struct toplevel *top, struct system *s, struct err *err)
{
	if (check_file(top, "kernel", &s->kernel, err) < 0 ||
		(s->initrd != NULL && check_file(top, "initrd", &s->initrd, err) < 0))
		return -1;
	if (toplevel_link(top, "kernel-modules", &s->kernel_modules, err) < 0 ||
		toplevel_link(top, "firmware", &s->firmware, err) < 0 ||
		follow_optional(top, "dtbs", &s->device_trees, err) < 0 ||
		toplevel_text(top, "nixos-version", &s->nixos_version, err) < 0)
		return -1;
	if (s->kernel_modules != NULL &&
		toplevel_release(top, s->kernel_modules, &s->kernel_release, err) < 0)
		return -1;
	s->init = path_printf(err, "%s/init", top->path);
	return s->init != NULL ? 0 : -1;
}

static int read_all(const struct toplevel *top, struct system *s, struct err *err)
{
	AUTO_BOOTSPEC spec = {0};
	if (check_directory(top, err) < 0 || toplevel_kind(top, &s->kind, err) < 0 ||
		read_bootspec(top, &spec, &s->synthesized, err) < 0)
		return -1;
	s->path = strdup(top->path);
	if (s->path == NULL)
		return err_oom(err);
	adopt(s, &spec);
	if (s->kind == SYSTEM_NIXOS_INIT && !spec.has_nixos_init &&
		guess_nixos_init(top, s, err) < 0)
		return -1;
	if (s->kind == SYSTEM_SYSTEMD && !spec.has_nixos_init && follow_etc(top, s, err) < 0)
		return -1;
	return read_rest(top, s, err);
}

int system_read_by(
	const char *path, const struct store_view *view, struct system *ret, struct err *err)
{
	const struct toplevel top = {view, path};
	AUTO_SYSTEM system = {0};
	if (read_all(&top, &system, err) < 0)
		return -1;
	*ret = system;
	system = (struct system){0};
	return 0;
}

int system_read(const char *path, const char *store_dir, const char *real_dir, struct system *ret,
	struct err *err)
{
	const struct store_view view = {.dir = store_dir, .real_dir = real_dir};
	return system_read_by(path, &view, ret, err);
}
