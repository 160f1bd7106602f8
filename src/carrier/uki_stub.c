/* SPDX-License-Identifier: MIT */
/*
 * Where systemd's stub comes from. A NixOS system has its own systemd, which brings one for the
 * system's processor; so a server needs none of its own, whatever it runs on.
 */
#include "base/fd.h"
#include "base/path.h"
#include "carrier/in_root.h"
#include "carrier/pe_file.h"
#include "carrier/uki.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define STUB_MAX ((size_t)16 << 20)
#define SYSTEMD_DIR "lib/systemd/boot/efi"

/* systemd, meson.build: efi_arch; its files are named by the part behind "linux". */
static const struct {
	const char *arch; /* the first part of a Nix platform */
	uint16_t machine;
	const char *file;
} rows[] = {
	{"x86_64", PE_MACHINE_X86_64, "linuxx64.efi.stub"},
	{"aarch64", PE_MACHINE_AARCH64, "linuxaa64.efi.stub"},
	{"riscv64", PE_MACHINE_RISCV64, "linuxriscv64.efi.stub"},
};

#if defined(__x86_64__)
#define OWN_ARCH "x86_64"
#elif defined(__aarch64__)
#define OWN_ARCH "aarch64"
#else
#define OWN_ARCH "riscv64"
#endif

int uki_machine(const char *platform, uint16_t *ret, struct err *err)
{
	const char *name = platform != NULL ? platform : OWN_ARCH;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcspn(name, "-") != strlen(rows[i].arch) ||
			strncmp(name, rows[i].arch, strlen(rows[i].arch)) != 0)
			continue;
		*ret = rows[i].machine;
		return 0;
	}
	return err_raise(err, ERR_UNSUPPORTED, "there are no unified kernel images for '%s'", name);
}

static const char *file_of(uint16_t machine)
{
	size_t i = 0;
	while (i + 1 < ARRAY_LEN(rows) && rows[i].machine != machine)
		i++;
	return rows[i].file;
}

/* The first of the files that the user named that is for that machine: 1, or 0 when none is. */
static int read_given(const struct strvec *files, uint16_t machine, char **ret_path,
	struct buf *out, struct err *err)
{
	for (size_t i = 0; files != NULL && i < files->len; i++) {
		struct pe_file pe;
		const char *file = files->items[i];
		buf_clear(out);
		if (fd_read_file(AT_FDCWD, file, STUB_MAX, out, err) < 0)
			return -1;
		if (pe_open(out->data, out->len, out->len, &pe, err) < 0)
			return err_prefix(err, "stub '%s'", file);
		if (pe.machine != machine)
			continue;
		*ret_path = path_printf(err, "%s", file);
		return *ret_path != NULL ? 1 : -1;
	}
	buf_clear(out);
	return 0;
}

/* The one of the system's own systemd. */
static int read_own(const struct uki_params *params, uint16_t machine, char **ret_path,
	struct buf *out, struct err *err)
{
	AUTO_FD int root = -1;
	AUTO_FREE char *path = path_printf(
		err, "%s/systemd/" SYSTEMD_DIR "/%s", params->system->path, file_of(machine));
	const struct store_view view = uki_view(params);
	if (path == NULL || link_bring(&view, path, err) < 0 ||
		in_root_open_root(
			params->closure->store_dir, params->closure->real_dir, &root, err) < 0)
		return -1;
	int r = in_root_try_read(root, path, STUB_MAX, out, err);
	if (r == 1)
		*ret_path = TAKE_PTR(path);
	return r;
}

/* One of this machine's: Debian, Fedora and Arch; NixOS. */
static int read_usual(uint16_t machine, char **ret_path, struct buf *out, struct err *err)
{
	static const char *const dirs[] = {
		"/usr", "/run/current-system/systemd", "/run/current-system/sw"};
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		AUTO_FREE char *path =
			path_printf(err, "%s/" SYSTEMD_DIR "/%s", dirs[i], file_of(machine));
		if (path == NULL)
			return -1;
		if (access(path, F_OK) < 0)
			continue;
		if (fd_read_file(AT_FDCWD, path, STUB_MAX, out, err) < 0)
			return -1;
		*ret_path = TAKE_PTR(path);
		return 1;
	}
	return 0;
}

int uki_stub_read(const struct uki_params *params, uint16_t machine, char **ret_path,
	struct buf *out, struct err *err)
{
	int r = read_given(params->stubs, machine, ret_path, out, err);
	if (r == 0)
		r = read_own(params, machine, ret_path, out, err);
	if (r == 0)
		r = read_usual(machine, ret_path, out, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	err_raise(err, ERR_NOT_FOUND, "systemd's '%s' is not installed", file_of(machine));
	return err_hint(err, "install it (Debian: systemd-boot-efi) or name it with --stub FILE");
}
