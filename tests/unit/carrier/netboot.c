/* SPDX-License-Identifier: MIT */
#include "sample.h"

#include "carrier/netboot.h"
#include "carrier/programs.h"

#include <elf.h>

static int compose(struct sandbox *s, const struct system *system, struct netboot *ret,
	struct pool **ret_pool, struct err *err)
{
	struct pool *pool = *ret_pool = sandbox_open(s);
	const struct netboot_params params = {.system = system,
		.closure = &s->closure,
		.pool = &sandbox_params,
		.modules = "minimal",
		.append = "debug"};
	if (pool_add(pool, &s->closure, &sandbox_params, NULL, err) < 0)
		return -1;
	return netboot_compose(pool, &params, NULL, ret, err);
}

static void write_initrd(const struct sandbox *s, const char *name, const struct image *image)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/%s", s->dir, name);
	AUTO_FD int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	assert_ok(image_write(image, fd, NULL, &err));
}

/* The initrd taken apart by cpio and zstd, and each member looked at. */
static void holds_what_the_contract_says(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	AUTO_SYSTEM system = {0};
	sample_init(&s, &system);
	AUTO_NETBOOT netboot = {0};
	struct pool *pool;
	assert_ok(compose(&s, &system, &netboot, &pool, &err));
	assert_string_equal(netboot.cmdline,
		"console=ttyS0 quiet init=" SYSTEM "/init fstab=no rootfstype=ramfs debug");
	assert_int_equal(netboot.kernel_size, 7);
	const struct initramfs *initrd = &netboot.initrd;
	write_initrd(&s, "initrd", &initrd->image);
	test_shell("cd '%s' && head -c %ju initrd | cpio -it --quiet >early && "
		   "grep -qx kernel/x86/microcode/GenuineIntel.bin early && "
		   "tail -c +%ju initrd >rest && head -c %ju rest | zstd -qdc >base && "
		   "mkdir b o && (cd b && cpio -idm --quiet <../base) && "
		   "tail -c +%ju rest >own && (cd o && cpio -idm --quiet <../own)",
		s.dir, (uintmax_t)initrd->microcode_size, (uintmax_t)initrd->microcode_size + 1,
		(uintmax_t)initrd->base_size, (uintmax_t)(initrd->base_size + 3) / 4 * 4 + 1);
	test_shell("cd '%s/b' && cmp init ../static && cmp bin/busybox ../static && "
		   "test -x init && test \"$(readlink sbin/modprobe)\" = ../init && "
		   "echo firmware | cmp - lib/firmware/r/one.fw && "
		   "test -d proc -a -d sys -a -d run -a -d tmp && test -c dev/console && "
		   "cd lib/modules/6.1.0 && nm kernel/fs/squashfs.ko | grep -q squashfs && "
		   "test \"$(wc -l <modules.dep)\" = 2 && grep -q loop modules.builtin",
		s.dir);
	test_shell("cd '%s/o' && test \"$(find . -type f | sort | tr '\\n' ' ')\" = "
		   "'./image.squashfs ./snowboot/db/db.sqlite ./snowboot/db/registration "
		   "./snowboot/db/schema ./snowboot/plan ' && "
		   "unsquashfs -n -q -d sq image.squashfs >/dev/null 2>&1 && cmp sq/linux/bzImage "
		   "../nix/store/linux/bzImage && test \"$(cat snowboot/db/schema)\" = 10 && "
		   "test \"$(tail -c 124 ../own | tr -d '\\0' | tail -c 10)\" = 'TRAILER!!!'",
		s.dir);
	AUTO_BUF text = {0};
	AUTO_FREE char *plan_path = path_printf(&err, "%s/o/snowboot/plan", s.dir);
	assert_ok(fd_read_file(AT_FDCWD, plan_path, 1 << 20, &text, &err));
	AUTO_PLAN plan = {0};
	assert_ok(plan_decode((char *)text.data, text.len, &plan, &err));
	assert_string_equal(plan.system, SYSTEM);
	assert_string_equal(plan.image, "/image.squashfs");
	assert_string_equal(plan.database, "/snowboot/db");
	assert_int_equal(plan.image_size, initrd->root_size);
	assert_true(plan.parts.len >= 2);
	pool_close(pool);
	sandbox_done(&s);
}

static void same_bytes_twice(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	AUTO_SYSTEM system = {0};
	sample_init(&s, &system);
	AUTO_NETBOOT first = {0}, second = {0}, third = {0};
	struct pool *pool;
	assert_ok(compose(&s, &system, &first, &pool, &err));
	write_initrd(&s, "first", &first.initrd.image);
	pool_close(pool);
	/* Another pool: nothing is remembered, all is made again. */
	test_shell("rm -r '%s'", s.pool);
	assert_ok(compose(&s, &system, &second, &pool, &err));
	write_initrd(&s, "second", &second.initrd.image);
	test_shell("cd '%s' && cmp first second", s.dir);
	assert_true(digest_equal(&first.id, &second.id));
	pool_close(pool);
	/* Another parameter, another name. */
	assert_ok(strvec_push(&system.params, "lockdown=integrity", &err));
	assert_ok(compose(&s, &system, &third, &pool, &err));
	assert_false(digest_equal(&first.id, &third.id));
	assert_false(digest_equal(&first.initrd.base, &third.initrd.base));
	pool_close(pool);
	sandbox_done(&s);
}

static void fails(
	struct sandbox *s, const struct system *system, enum err_kind kind, const char *msg)
{
	struct err err = ERR_INIT;
	AUTO_NETBOOT netboot = {0};
	struct pool *pool;
	assert_int_equal(compose(s, system, &netboot, &pool, &err), -1);
	assert_err(&err, kind, msg);
	pool_close(pool);
}

static void set(char **field, const char *value)
{
	free(*field);
	*field = value != NULL ? strdup(value) : NULL;
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	struct sandbox s;
	AUTO_SYSTEM system = {0};
	sample_init(&s, &system);
	set(&system.kernel, "/nix/store/linux/gone");
	fails(&s, &system, ERR_NOT_FOUND,
		"kernel of '" SYSTEM "': cannot open '/nix/store/linux/gone': No such file or "
		"directory");
	set(&system.kernel, "/nix/store/linux");
	fails(&s, &system, ERR_CORRUPT, "kernel '/nix/store/linux' is not a file");
	set(&system.kernel, "/nix/store/linux/bzImage");
	set(&system.initrd, "/nix/store/initrd/gone");
	fails(&s, &system, ERR_NOT_FOUND,
		"cannot open '/nix/store/initrd/gone': No such file or directory");
	set(&system.initrd, NULL);
	test_shell("echo >'%s/k/lib/modules/6.1.0/modules.builtin'", s.store);
	fails(&s, &system, ERR_UNSUPPORTED,
		"initramfs: kernel '6.1.0' has no 'loop', neither as a module nor built in, so it "
		"cannot mount an image");
	test_shell("cd '%s/k/lib/modules/6.1.0' && echo x/loop.ko >modules.builtin && "
		   "echo broken | xz --check=crc32 >kernel/fs/overlay.ko.xz",
		s.store);
	fails(&s, &system, ERR_CORRUPT,
		"initramfs: module 'kernel/fs/overlay.ko.xz': not an ELF file");
	test_shell("rm '%s/k/lib/modules/6.1.0/kernel/fs/overlay.ko.xz'", s.store);
	fails(&s, &system, ERR_NOT_FOUND,
		"initramfs: module 'kernel/fs/overlay.ko.xz': cannot open "
		"'/nix/store/k/lib/modules/6.1.0/kernel/fs/overlay.ko.xz': No such file or "
		"directory");
	set(&system.kernel_release, "5.4.250");
	fails(&s, &system, ERR_UNSUPPORTED,
		"initramfs: kernel '5.4.250' cannot unpack zstd, which kernels from 5.9 on can");
	set(&system.kernel_modules, NULL);
	fails(&s, &system, ERR_UNSUPPORTED,
		"system '" SYSTEM "' has no kernel modules, so nothing says what its kernel can "
		"mount");
	sandbox_done(&s);
}

static void refuses_a_large_image(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct system system = {.path = (char *)(uintptr_t)SYSTEM};
	const struct initramfs_params params = {.system = &system};
	AUTO_ROOT root = {0};
	AUTO_INITRAMFS initramfs = {0};
	assert_ok(image_append_zero(&root.image, (uint64_t)2560 << 20, &err));
	assert_int_equal(initramfs_compose(NULL, &params, &root, NULL, &initramfs, &err), -1);
	assert_string_equal(err.hint, "a network root has no such limit: it fetches what is read");
	assert_err(&err, ERR_LIMIT,
		"the image of '" SYSTEM
		"' has 2560 MiB, more than the 1024 MiB that an initramfs may "
		"carry: firmware and kernel hold it twice while they unpack it");
}

static void command_line(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_SYSTEM system = {.path = strdup(SYSTEM), .init = strdup(SYSTEM "/init")};
	AUTO_FREE char *bare = netboot_cmdline(&system, NULL, &err);
	assert_string_equal(bare, "init=" SYSTEM "/init fstab=no rootfstype=ramfs");
	AUTO_FREE char *rooted = netboot_cmdline(&system, "root=fstab", &err);
	assert_string_equal(rooted, "init=" SYSTEM "/init fstab=no root=fstab");
	assert_ok(strvec_push(&system.params, "rdinit=/x", &err));
	assert_ok(strvec_push(&system.params, "dyndbg=\"file a +p\"", &err));
	AUTO_FREE char *line = netboot_cmdline(&system, "a=1 b", &err);
	assert_string_equal(line,
		"rdinit=/x dyndbg=\"file a +p\" init=" SYSTEM
		"/init fstab=no rootfstype=ramfs a=1 b");
	assert_null(netboot_cmdline(&system, "x init=/bin/sh y", &err));
	assert_err(&err, ERR_USAGE,
		"the words to append contain 'init=/bin/sh', but init= names the system");
	assert_null(netboot_cmdline(&system, "a -- b", &err));
	assert_err(&err, ERR_UNSUPPORTED,
		"the kernel parameters 'a -- b' contain '--', which ends them");
	char *longer = calloc(1, 2001);
	memset(longer, 'x', 2000);
	assert_null(netboot_cmdline(&system, longer, &err));
	assert_err(&err, ERR_LIMIT,
		"the command line of '" SYSTEM
		"' has 2080 bytes, more than the 2047 that the kernel "
		"keeps");
	free(longer);
	assert_ok(strvec_push(&system.params, "init=/nix/store/other/init", &err));
	assert_null(netboot_cmdline(&system, NULL, &err));
	assert_err(&err, ERR_UNSUPPORTED,
		"the kernel-params of '" SYSTEM
		"' contain 'init=/nix/store/other/init', and init= may "
		"stand on the command line only once");
}

static void programs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct sandbox s;
	AUTO_SYSTEM system = {0};
	sample_init(&s, &system);
	AUTO_FREE char *dynamic = path_printf(&err, "%s/dynamic", s.dir);
	setenv("SNOWBOOT_BUSYBOX", dynamic, 1);
	AUTO_BUF out = {0};
	assert_int_equal(programs_busybox(NULL, &out, &err), -1);
	assert_string_equal(err.hint,
		"install the Debian package busybox-static, or set "
		"SNOWBOOT_BUSYBOX to a static busybox");
	AUTO_FREE char *want = path_printf(&(struct err){0},
		"'%s' is linked dynamically, and an initramfs has no libraries", dynamic);
	assert_err(&err, ERR_UNSUPPORTED, want);
	setenv("SNOWBOOT_STAGE1", "/nonexistent/stage1", 1);
	assert_int_equal(programs_stage1("x86_64-linux", &out, &err), -1);
	assert_err(&err, ERR_NOT_FOUND,
		"cannot open '/nonexistent/stage1': No such file or directory");
	sandbox_done(&s);
}

/* A program for another processor is refused: the machine would only say "Exec format error". */
static void foreign_programs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF out = {0}, program = {0};
	char msg[512];
	const char *dir = test_tmpdir();
	assert_ok(fd_read_file(AT_FDCWD, "/bin/busybox", 64 << 20, &program, &err));
	program.data[18] = EM_X86_64; /* e_machine, System V gABI chapter 4 */
	test_write(dir, "x86", program.data, program.len);
	program.data[18] = EM_AARCH64;
	test_write(dir, "arm", program.data, program.len);
	program.data[18] = EM_MIPS;
	test_write(dir, "mips", program.data, program.len);
	AUTO_FREE char *x86 = path_printf(&err, "%s/x86", dir);
	AUTO_FREE char *arm = path_printf(&err, "%s/arm", dir);
	AUTO_FREE char *mips = path_printf(&err, "%s/mips", dir);
	setenv("SNOWBOOT_STAGE1", x86, 1);
	assert_ok(programs_stage1("x86_64-linux", &out, &err));
	assert_int_equal(programs_stage1("aarch64-linux", &out, &err), -1);
	snprintf(msg, sizeof(msg), "'%s' is a program for x86_64, and the system is for aarch64",
		x86);
	assert_err(&err, ERR_UNSUPPORTED, msg);
	setenv("SNOWBOOT_STAGE1", arm, 1);
	assert_ok(programs_stage1("aarch64-linux", &out, &err));
	setenv("SNOWBOOT_BUSYBOX", mips, 1);
	assert_int_equal(programs_busybox("aarch64-linux", &out, &err), -1);
	snprintf(msg, sizeof(msg),
		"'%s' is a program for another processor, and the system is for aarch64", mips);
	assert_string_equal(err.hint,
		"install a static busybox for aarch64 there, or set SNOWBOOT_BUSYBOX to one");
	assert_err(&err, ERR_UNSUPPORTED, msg);
	assert_int_equal(programs_stage1("mips64el-linux", &out, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, "there is no stage 1 for 'mips64el-linux'");
	/* Where they are looked for: nobody installed them here. */
	unsetenv("SNOWBOOT_STAGE1");
	assert_int_equal(programs_stage1("riscv64-linux", &out, &err), -1);
	assert_string_equal(err.hint,
		"build snowboot for riscv64, and install its program 'stage1' there or set "
		"SNOWBOOT_STAGE1 to it");
	assert_err(&err, ERR_NOT_FOUND,
		"cannot open '" SNOWBOOT_LIBEXECDIR "/riscv64/stage1': No such file or directory");
}

static void memory(void **state)
{
	(void)state;
	const uint64_t mib = 1 << 20;
	struct netboot netboot = {.kernel_size = 8 * mib,
		.initrd = {.image = {.size = 300 * mib},
			.microcode_size = 4 * mib,
			.base_size = 8 * mib,
			.root_size = 280 * mib}};
	/* unpacked: 300 - 4 + 4 × 8 */
	assert_int_equal(netboot_memory(&netboot) / mib, 8 + 300 + 328 + 96);
	netboot.initrd.image.size = 20 * mib;
	netboot.initrd.root_size = 2 * mib;
	assert_int_equal(netboot_memory(&netboot) / mib, 2 + 384);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_the_contract_says),
		cmocka_unit_test(same_bytes_twice),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(refuses_a_large_image),
		cmocka_unit_test(command_line),
		cmocka_unit_test(programs),
		cmocka_unit_test(foreign_programs),
		cmocka_unit_test(memory),
	};
	return TEST_MAIN(tests);
}
