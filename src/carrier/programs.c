/* SPDX-License-Identifier: MIT */
/*
 * Finds and reads the programs that run before any library is there. A dynamic one, or one for
 * another processor, would fail on the booted machine with nothing but "No such file or directory"
 * or "Exec format error", so both are refused here.
 */
#include "carrier/programs.h"

#include "base/fd.h"
#include "base/path.h"
#include "carrier/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_MAX ((size_t)64 << 20)

struct architecture {
	const char *name; /* the first part of a Nix platform */
	uint16_t machine; /* of its ELF files */
};

static const struct architecture architectures[] = {
	{"x86_64", EM_X86_64},
	{"aarch64", EM_AARCH64},
	{"riscv64", EM_RISCV},
};

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_RISCV
#endif

/* NULL: another one. */
static const struct architecture *architecture_of(uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_LEN(architectures); i++)
		if (architectures[i].machine == machine)
			return &architectures[i];
	return NULL;
}

/* The one of a platform such as "x86_64-linux"; NULL: our own. */
static int find_architecture(const char *platform, const struct architecture **ret, struct err *err)
{
	size_t len = platform != NULL ? strcspn(platform, "-") : 0;
	if (platform == NULL) {
		*ret = architecture_of(OWN_MACHINE);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(architectures); i++) {
		const char *name = architectures[i].name;
		if (strlen(name) != len || memcmp(name, platform, len) != 0)
			continue;
		*ret = &architectures[i];
		return 0;
	}
	return err_raise(err, ERR_UNSUPPORTED, "there is no stage 1 for '%s'", platform);
}

/* A static program for `arch`. */
static int read_static(
	const char *path, const struct architecture *arch, struct buf *out, struct err *err)
{
	size_t start = out->len;
	if (fd_read_file(AT_FDCWD, path, PROGRAM_MAX, out, err) < 0)
		return -1;
	struct elf_file elf;
	if (elf_open(out->data + start, out->len - start, &elf, err) < 0)
		return err_prefix(err, "program '%s'", path);
	int dynamic = elf_is_dynamic(&elf, err);
	if (dynamic < 0)
		return err_prefix(err, "program '%s'", path);
	if (dynamic)
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s' is linked dynamically, and an initramfs has no libraries", path);
	const struct architecture *its = architecture_of(elf.machine);
	if (its != arch)
		return err_raise(err, ERR_UNSUPPORTED,
			"'%s' is a program for %s, and the system is for %s", path,
			its != NULL ? its->name : "another processor", arch->name);
	return 0;
}

/* The program in the build tree that this one runs from (build/src/cli/snowboot); NULL: there is
 * none, or this is installed. */
static char *find_built(const struct architecture *arch, const char *name, struct err *err)
{
	static const char place[] = "/src/cli/snowboot";
	const size_t skip = sizeof(place) - 1;
	bool own = arch->machine == OWN_MACHINE;
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self));
	if (len < (ssize_t)skip || memcmp(self + len - skip, place, skip) != 0)
		return NULL;
	AUTO_FREE char *path = path_printf(err, "%.*s/src/stage1/%s%s%s",
		(int)(len - (ssize_t)skip), self, own ? "" : arch->name, own ? "" : "/", name);
	/* For other processors it is built only where there is a compiler for them. */
	return path != NULL && (own || access(path, F_OK) == 0) ? TAKE_PTR(path) : NULL;
}

/* Where a program of ours is; those for another processor have a folder of their own. NULL:
 * ERR_NOMEM. */
static char *find(const struct architecture *arch, const char *name, struct err *err)
{
	bool own = arch->machine == OWN_MACHINE;
	char *built = find_built(arch, name, err);
	if (built != NULL || !err_clean(err))
		return built;
	return path_printf(
		err, "%s/%s%s%s", SNOWBOOT_LIBEXECDIR, own ? "" : arch->name, own ? "" : "/", name);
}

int programs_stage1(const char *platform, struct buf *out, struct err *err)
{
	const struct architecture *arch = NULL;
	if (find_architecture(platform, &arch, err) < 0)
		return -1;
	const char *given = getenv("SNOWBOOT_STAGE1");
	if (given != NULL)
		return read_static(given, arch, out, err);
	AUTO_FREE char *path = find(arch, "stage1", err);
	if (path == NULL)
		return -1;
	if (read_static(path, arch, out, err) == 0)
		return 0;
	if (arch->machine != OWN_MACHINE)
		return err_hint(err,
			"build snowboot for %s, and install its program 'stage1' there or "
			"set SNOWBOOT_STAGE1 to it",
			arch->name);
	return err_hint(err,
		"set SNOWBOOT_STAGE1 to the program 'stage1' that was built with this "
		"one");
}

int programs_busybox(const char *platform, struct buf *out, struct err *err)
{
	const struct architecture *arch = NULL;
	if (find_architecture(platform, &arch, err) < 0)
		return -1;
	AUTO_FREE char *found = arch->machine == OWN_MACHINE ? NULL : find(arch, "busybox", err);
	if (found == NULL && !err_clean(err))
		return -1;
	const char *given = getenv("SNOWBOOT_BUSYBOX");
	const char *usual = found != NULL ? found : "/bin/busybox";
	if (read_static(given != NULL ? given : usual, arch, out, err) == 0)
		return 0;
	if (arch->machine != OWN_MACHINE)
		return err_hint(err,
			"install a static busybox for %s there, or set SNOWBOOT_BUSYBOX to one",
			arch->name);
	return err_hint(err,
		"install the Debian package busybox-static, or set SNOWBOOT_BUSYBOX to "
		"a static busybox");
}
