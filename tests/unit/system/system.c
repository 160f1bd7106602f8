/* SPDX-License-Identifier: MIT */
/* Toplevels made by hand under another root, one for each way to be right or wrong. */
#include "system/system.h"
#include "test.h"

#include "base/path.h"

#include <string.h>
#include <unistd.h>

#define STORE "/nix/store"
#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TOP STORE "/" HASH "-nixos-system-test"
#define LINUX STORE "/" HASH "-linux"

/* A scripted system without boot.json, below a new root; `more` changes it, in the toplevel. */
static const char *make(const char *more)
{
	const char *root = test_tmpdir();
	test_shell("set -e; cd '%s'; mkdir -p .%s/lib/modules/6.1.0-test .%s .%s/specialisation;"
		   "echo kernel > .%s/bzImage; echo initrd > .%s-initrd; mkdir .%s-fw .%s-sw;"
		   "cd .%s; printf '#!/bin/sh\\n' > init; chmod +x init;"
		   "ln -s %s/bzImage kernel; ln -s %s kernel-modules; ln -s %s-initrd initrd;"
		   "ln -s %s-fw firmware; ln -s %s-sw sw;"
		   "printf 'quiet  a=\"b c\" loglevel=4' > kernel-params; printf 26.05 > "
		   "nixos-version;"
		   "printf x86_64-linux > system;"
		   "%s",
		root, LINUX, TOP, TOP, LINUX, LINUX, LINUX, LINUX, TOP, LINUX, LINUX, LINUX, LINUX,
		LINUX, more);
	return root;
}

static int read_system(const char *root, struct system *ret, struct err *err)
{
	AUTO_FREE char *real = path_printf(err, "%s%s", root, STORE);
	return system_read(TOP, STORE, real, ret, err);
}

static void assert_refused(const char *more, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	struct system system;
	assert_int_equal(read_system(make(more), &system, &err), -1);
	assert_err(&err, kind, message);
}

#define BOOT_JSON(kernel, more) \
	"cat > boot.json <<'E'\n{\"org.nixos.bootspec.v1\": {\"system\": \"aarch64-linux\"," \
	"\"init\": \"" TOP "/init\", \"kernel\": \"" kernel "\", \"kernelParams\": [\"x y\"]," \
	"\"label\": \"From JSON\", \"toplevel\": \"" TOP "\"}" more "}\nE\n"

static void without_boot_json(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM s = {0};
	assert_ok(read_system(make("ln -s " LINUX " specialisation/b; ln -s " LINUX
				   " specialisation/a; touch append-initrd-secrets"),
		&s, &err));
	assert_true(s.synthesized);
	assert_int_equal(s.kind, SYSTEM_SCRIPTED);
	assert_string_equal(s.path, TOP);
	assert_string_equal(s.kernel, LINUX "/bzImage");
	assert_string_equal(s.initrd, LINUX "-initrd");
	assert_string_equal(s.init, TOP "/init");
	assert_string_equal(s.label, "NixOS 26.05 (Linux 6.1.0-test)");
	assert_string_equal(s.double_, "x86_64-linux");
	assert_string_equal(s.nixos_version, "26.05");
	AUTO_FREE char *params = strvec_join(&s.params, "|", &err);
	assert_string_equal(params, "quiet|a=\"b|c\"|loglevel=4");
	assert_string_equal(s.kernel_modules, LINUX);
	assert_string_equal(s.kernel_release, "6.1.0-test");
	assert_string_equal(s.firmware, LINUX "-fw");
	assert_string_equal(s.initrd_secrets, TOP "/append-initrd-secrets");
	assert_int_equal(s.specialisations.len, 2);
	assert_string_equal(s.specialisations.items[0], "a");
	assert_string_equal(s.specialisation_paths.items[1], LINUX);
	assert_null(s.etc_basedir);
}

static void with_boot_json(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM s = {0};
	assert_ok(read_system(make(BOOT_JSON(LINUX "/bzImage", "")), &s, &err));
	assert_false(s.synthesized);
	assert_string_equal(s.label, "From JSON");
	assert_string_equal(s.double_, "aarch64-linux");
	assert_int_equal(s.params.len, 1);
	assert_string_equal(s.params.items[0], "x y");
	assert_null(s.initrd);
	assert_string_equal(s.kernel_release, "6.1.0-test");
}

/* hardware.deviceTree: all of them, and the one that the system asks for. */
static void device_trees(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM s = {0};
	assert_ok(read_system(make("ln -s " LINUX " dtbs;" BOOT_JSON(LINUX "/bzImage",
				      ", \"org.nixos.systemd-boot\": {\"sortKey\": \"nixos\", "
				      "\"devicetree\": \"" LINUX "/a/b.dtb\"}")),
		&s, &err));
	assert_string_equal(s.device_trees, LINUX);
	assert_string_equal(s.device_tree, LINUX "/a/b.dtb");
}

static void the_least(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM s = {0};
	assert_ok(
		read_system(make("rm -r initrd kernel-modules firmware specialisation"), &s, &err));
	assert_null(s.initrd);
	assert_null(s.kernel_modules);
	assert_null(s.device_trees);
	assert_null(s.device_tree);
	assert_null(s.kernel_release);
	assert_null(s.firmware);
	assert_null(s.initrd_secrets);
	assert_string_equal(s.label, "NixOS 26.05 (Linux unknown)");
}

static void kinds(void **state)
{
	(void)state;
	static const char elf[] = "printf '\\177ELFx' > init;";
	struct err err = ERR_INIT;
	AUTO_FREE char *with_script =
		path_printf(&err, "%s touch prepare-root; chmod +x prepare-root", elf);
	AUTO_FREE char *not_executable = path_printf(&err, "%s touch prepare-root", elf);
	AUTO_SYSTEM systemd = {0}, init = {0}, odd = {0};
	assert_ok(read_system(make(with_script), &systemd, &err));
	assert_int_equal(systemd.kind, SYSTEM_SYSTEMD);
	assert_ok(read_system(make(elf), &init, &err));
	assert_int_equal(init.kind, SYSTEM_NIXOS_INIT);
	assert_ok(read_system(make(not_executable), &odd, &err));
	assert_int_equal(odd.kind, SYSTEM_NIXOS_INIT);
}

static void nixos_init_from_boot_json(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM s = {0};
	assert_ok(read_system(
		make("printf '\\177ELF' > init; ln -s " LINUX
		     " etc-basedir;" BOOT_JSON(LINUX "/bzImage",
			     ",\"org.nixos.nixos-init.v1\": {\"nix_store_mount_opts\": [\"ro\"], "
			     "\"sh_binary\": \"/sh\", \"etc_basedir\": \"/base\"}")),
		&s, &err));
	assert_int_equal(s.store_mount_opts.len, 1);
	assert_string_equal(s.sh_binary, "/sh");
	assert_string_equal(s.etc_basedir, "/base");
	assert_null(s.env_binary);
	assert_null(s.etc_metadata_image);
}

/* The etc overlay of a system that prepare-root activates: by links, later by boot.json. */
static void etc_overlay_with_prepare_root(void **state)
{
	(void)state;
	static const char systemd[] =
		"printf '\\177ELF' > init; touch prepare-root; chmod +x prepare-root;";
	static const char links[] =
		"ln -s " LINUX " etc-basedir; ln -s " LINUX "-initrd etc-metadata-image;";
	struct err err = ERR_INIT;
	AUTO_FREE char *linked = path_printf(&err, "%s%s", systemd, links);
	AUTO_FREE char *told = path_printf(&err, "%s%s%s", systemd, links,
		BOOT_JSON(LINUX "/bzImage",
			",\"org.nixos.nixos-init.v1\": {\"nix_store_mount_opts\": [\"ro\"], "
			"\"etc_metadata_image\": \"/image\", \"etc_basedir\": \"/base\"}"));
	AUTO_SYSTEM by_links = {0}, by_json = {0}, scripted = {0};
	assert_ok(read_system(make(linked), &by_links, &err));
	assert_int_equal(by_links.kind, SYSTEM_SYSTEMD);
	assert_string_equal(by_links.etc_basedir, LINUX);
	assert_string_equal(by_links.etc_metadata_image, LINUX "-initrd");
	assert_int_equal(by_links.store_mount_opts.len, 0);
	assert_ok(read_system(make(told), &by_json, &err));
	assert_string_equal(by_json.etc_basedir, "/base");
	assert_string_equal(by_json.etc_metadata_image, "/image");
	assert_int_equal(by_json.store_mount_opts.len, 0);
	assert_ok(read_system(make(links), &scripted, &err));
	assert_int_equal(scripted.kind, SYSTEM_SCRIPTED);
	assert_null(scripted.etc_basedir);
}

/* The extension is newer than nixos-init. */
static void nixos_init_from_files(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM s = {0};
	assert_ok(read_system(
		make("printf '\\177ELF' > init; ln -s " LINUX " etc-basedir;"
		     "ln -s " LINUX "-initrd etc-metadata-image; rm sw; mkdir -p sw/bin;"
		     "ln -s " LINUX "/bzImage sw/bin/sh; ln -s " STORE "/gone sw/bin/env"),
		&s, &err));
	AUTO_FREE char *options = strvec_join(&s.store_mount_opts, ",", &err);
	assert_string_equal(options, "ro,nodev,nosuid");
	assert_string_equal(s.etc_basedir, LINUX);
	assert_string_equal(s.etc_metadata_image, LINUX "-initrd");
	assert_string_equal(s.init_firmware, LINUX "-fw");
	assert_string_equal(s.sh_binary, LINUX "/bzImage");
	assert_null(s.env_binary);
	assert_null(s.modprobe_binary);
}

static void not_a_system(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct system system;
	const char *root = make("");
	AUTO_FREE char *real = path_printf(&err, "%s%s", root, STORE);
	assert_int_equal(system_read(LINUX "-sw", STORE, real, &system, &err), -1);
	assert_string_equal(err.hint,
		"name a toplevel, like /run/current-system or what "
		"nixos-rebuild build leaves in ./result");
	assert_err(&err, ERR_USAGE, "'" LINUX "-sw' is not a system package: it has no 'init'");
	assert_int_equal(system_read(LINUX "-initrd", STORE, real, &system, &err), -1);
	assert_err(&err, ERR_USAGE,
		"'" LINUX "-initrd' is not a system package: it is not a directory");
	assert_int_equal(system_read(LINUX "-none", STORE, real, &system, &err), -1);
	assert_err(&err, ERR_NOT_FOUND, "'" LINUX "-none' does not exist");
	assert_refused(
		"rm system", ERR_USAGE, "'" TOP "' is not a system package: it has no 'system'");
	assert_refused("rm kernel-params", ERR_USAGE,
		"'" TOP "' is not a system package: it has no 'kernel-params'");
	assert_refused("rm nixos-version", ERR_USAGE,
		"'" TOP "' is not a system package: it has no 'nixos-version'");
}

static void bad_init(void **state)
{
	(void)state;
	assert_refused("echo garbage > init", ERR_UNSUPPORTED,
		"'" TOP "/init' is of unknown kind: neither a script nor an ELF program");
	assert_refused("> init", ERR_UNSUPPORTED,
		"'" TOP "/init' is of unknown kind: neither a script nor an ELF program");
	assert_refused("ln -sf " STORE "/gone/init init", ERR_NOT_FOUND,
		"'" TOP "/init' leads to '" STORE "/gone', which does not exist");
}

static void bad_kernel(void **state)
{
	(void)state;
	assert_refused("rm kernel", ERR_UNSUPPORTED,
		"'" TOP "' has no 'kernel', so it is the system of a container");
	assert_refused("ln -sfn " STORE "/gone/bzImage kernel", ERR_NOT_FOUND,
		"kernel: '" TOP "/kernel' leads to '" STORE "/gone', which does not exist");
	assert_refused(BOOT_JSON(LINUX "/vmlinux", ""), ERR_NOT_FOUND,
		"kernel of '" TOP "': '" LINUX "/vmlinux' does not exist");
	assert_refused(BOOT_JSON(LINUX, ""), ERR_UNSUPPORTED,
		"kernel of '" TOP "': '" LINUX "' is not a file");
	assert_refused(BOOT_JSON("/dev/null", ""), ERR_UNSUPPORTED,
		"kernel of '" TOP "': '/dev/null' is not in the store '" STORE "'");
	assert_refused("mkdir ../" HASH "-linux/lib/modules/6.2", ERR_UNSUPPORTED,
		"'" LINUX "/lib/modules' has the modules of 2 kernels, not of one");
	assert_refused("ln -sfn " STORE "/gone initrd", ERR_NOT_FOUND,
		"initrd: '" TOP "/initrd' leads to '" STORE "/gone', which does not exist");
	assert_refused("ln -s " STORE "/gone specialisation/x", ERR_NOT_FOUND,
		"'" TOP "/specialisation/x' leads to '" STORE "/gone', which does not exist");
	assert_refused("printf 'a\\033b' > kernel-params", ERR_CORRUPT,
		"'kernel-params' contains a control character");
}

static void bad_boot_json(void **state)
{
	(void)state;
	assert_refused("echo nonsense > boot.json", ERR_CORRUPT,
		"'" TOP "/boot.json': not JSON: line 1, column 8: '[' or '{' expected near "
		"'nonsense'");
	assert_refused("echo '{}' > boot.json", ERR_CORRUPT,
		"'" TOP "/boot.json': 'the document' lacks 'org.nixos.bootspec.v1'");
	struct err err = ERR_INIT;
	struct system system;
	const char *root = make("truncate -s 20M boot.json");
	AUTO_FREE char *want =
		path_printf(&err, "'%s" TOP "/boot.json' is larger than 16777216 bytes", root);
	assert_int_equal(read_system(root, &system, &err), -1);
	assert_err(&err, ERR_LIMIT, want);
}

static void resolves(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = make("ln -s " TOP " specialisation/self");
	AUTO_FREE char *real = path_printf(&err, "%s%s", root, STORE);
	test_shell("cd '%s' && mkdir -p nix/var/nix/profiles && cd nix/var/nix/profiles && "
		   "ln -s system-3-link system && ln -s %s system-3-link && "
		   "ln -s %s-gone system-4-link && ln -s loop2 loop && ln -s loop loop2 && "
		   "ln -s %s/init file && ln -s ../../../../nix/store/./%s-nixos-system-test/ rel",
		root, TOP, TOP, TOP, HASH);
	static const char *const good[] = {"nix/var/nix/profiles/system",
		"nix/var/nix/profiles/system-3-link", "nix/var/nix/profiles/rel",
		"nix/var/nix/profiles/system/specialisation/self",
		"nix/store/" HASH "-nixos-system-test", "nix/store/" HASH "-nixos-system-test//"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		AUTO_FREE char *name = path_printf(&err, "%s/%s", root, good[i]), *path = NULL;
		assert_ok(system_resolve_in(name, STORE, real, &path, &err));
		assert_string_equal(path, TOP);
	}
	AUTO_FREE char *direct = NULL;
	assert_ok(system_resolve_in(TOP, STORE, real, &direct, &err));
	assert_string_equal(direct, TOP);
}

static void assert_unresolved(
	const char *root, const char *name, enum err_kind kind, const char *format)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *real = path_printf(&err, "%s%s", root, STORE);
	AUTO_FREE char *path = path_printf(&err, "%s/%s", root, name);
	AUTO_FREE char *want = path_printf(&err, format, path, root);
	char *ret = NULL;
	assert_int_equal(system_resolve_in(path, STORE, real, &ret, &err), -1);
	assert_err(&err, kind, want);
}

static void does_not_resolve(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	char *ret = NULL;
	const char *root = make("");
	test_shell("cd '%s' && mkdir p && ln -s %s-gone p/gone && ln -s b p/a && ln -s a p/b && "
		   "ln -s %s/init p/file && ln -s %s/p p/out",
		root, TOP, TOP, root);
	assert_unresolved(root, "p/none", ERR_NOT_FOUND, "'%s' does not exist");
	assert_unresolved(root, "p/gone", ERR_NOT_FOUND,
		"'%s' leads to '" TOP "-gone', which does not exist");
	assert_unresolved(root, "p/a", ERR_USAGE, "'%s' leads through more than 40 symlinks");
	assert_unresolved(root, "p/file", ERR_USAGE,
		"'%s' leads to '" TOP "/init', which is inside of a store path and not one");
	assert_unresolved(root, "p/out", ERR_USAGE,
		"'%s' leads to '%s/p', which is not in the store '%2$s/nix/store'");
	assert_int_equal(system_resolve("", STORE, &ret, &err), -1);
	assert_err(&err, ERR_USAGE, "the name of the system is empty");
}

static void relative_names(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = make("");
	AUTO_FREE char *real = path_printf(&err, "%s%s", root, STORE), *path = NULL;
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	test_shell("ln -s %s '%s/result'", TOP, root);
	assert_int_equal(chdir(root), 0);
	int r = system_resolve_in("./result", STORE, real, &path, &err);
	assert_int_equal(chdir(cwd), 0);
	assert_ok(r);
	assert_string_equal(path, TOP);
}

/* The three kinds as Nix built them. */
static void fixtures(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum system_kind kind;
	} all[] = {{"scripted", SYSTEM_SCRIPTED}, {"systemd", SYSTEM_SYSTEMD},
		{"nixos-init", SYSTEM_NIXOS_INIT}};
	struct err err = ERR_INIT;
	if (access("/var/lib/snowboot/fixtures/nixos-init", F_OK) != 0)
		test_skip(
			"no fixtures under /var/lib/snowboot/fixtures; fixtures/build makes them");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		AUTO_SYSTEM s = {0};
		AUTO_FREE char *path = NULL;
		AUTO_FREE char *name =
			path_printf(&err, "/var/lib/snowboot/fixtures/%s", all[i].name);
		assert_ok(system_resolve(name, STORE, &path, &err));
		assert_ok(system_read(path, STORE, STORE, &s, &err));
		assert_int_equal(s.kind, all[i].kind);
		assert_false(s.synthesized);
		AUTO_FREE char *params = strvec_join(&s.params, " ", &err);
		AUTO_FREE char *want = test_shell_output("cat %s/kernel-params", name);
		assert_string_equal(params, want);
		AUTO_FREE char *kernel = test_shell_output("readlink -f %s/kernel", name);
		assert_string_equal(s.kernel, kernel);
		AUTO_FREE char *release =
			test_shell_output("ls %s/kernel-modules/lib/modules", name);
		assert_string_equal(s.kernel_release, release);
		assert_int_equal(s.specialisations.len, 1);
		assert_string_equal(s.specialisations.items[0], "quiet");
		assert_int_equal(s.etc_basedir != NULL, all[i].kind == SYSTEM_NIXOS_INIT);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_boot_json),
		cmocka_unit_test(with_boot_json),
		cmocka_unit_test(device_trees),
		cmocka_unit_test(the_least),
		cmocka_unit_test(kinds),
		cmocka_unit_test(nixos_init_from_boot_json),
		cmocka_unit_test(etc_overlay_with_prepare_root),
		cmocka_unit_test(nixos_init_from_files),
		cmocka_unit_test(not_a_system),
		cmocka_unit_test(bad_init),
		cmocka_unit_test(bad_kernel),
		cmocka_unit_test(bad_boot_json),
		cmocka_unit_test(resolves),
		cmocka_unit_test(does_not_resolve),
		cmocka_unit_test(relative_names),
		cmocka_unit_test(fixtures),
	};
	return TEST_MAIN(tests);
}
