/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "carrier/microcode.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An initrd as initramfs-tools, dracut and NixOS make it; `early` is how its first archive is made.
 */
static void make_initrd(const char *dir, const char *early)
{
	test_shell("cd %s && mkdir -p e/kernel/x86/microcode e/kernel/firmware/acpi m/etc && "
		   "echo code-of-the-processor >e/kernel/x86/microcode/GenuineIntel.bin && "
		   "echo table >e/kernel/firmware/acpi/dsdt.aml && echo host >m/etc/hostname && "
		   "(cd m && find . | cpio -o -H newc --quiet | zstd -q) >main && "
		   "(cd e && %s | cpio -o -H newc --quiet) >early && cat early main >initrd",
		dir, early);
}

static int length_of(const char *dir, const char *name, uint64_t *ret, struct err *err)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	AUTO_FD int fd = -1;
	assert_int_equal(fd_open(AT_FDCWD, path, O_RDONLY, &fd, err), 0);
	return microcode_length(fd, name, ret, err);
}

static uint64_t size_of(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

/* What is cut off is a whole archive: cpio unpacks it to the same files, and no more is needed. */
static void finds_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	make_initrd(dir, "find .");
	uint64_t len;
	assert_ok(length_of(dir, "initrd", &len, &err));
	assert_true(len > 110 * 6 && len <= size_of(dir, "early"));
	assert_int_equal(len % 4, 0);
	test_shell("cd %s && head -c %ju initrd >cut && mkdir out && cd out && "
		   "cpio -i --quiet <../cut && cd .. && diff -r e out",
		dir, (uintmax_t)len);
}

/* ACPI tables in an archive of their own before the microcode come along; the initrd does not. */
static void takes_all_leading_archives(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	make_initrd(dir, "find kernel kernel/x86");
	test_shell(
		"cd %s && (cd e && echo kernel/firmware/acpi/dsdt.aml | cpio -o -H newc --quiet) "
		">acpi && (cd m && find . | cpio -o -H newc --quiet) >main && "
		"cat acpi early main >both && cat main early >none",
		dir);
	uint64_t len;
	assert_ok(length_of(dir, "both", &len, &err));
	assert_in_range(
		len, size_of(dir, "acpi") + 110 * 6, size_of(dir, "acpi") + size_of(dir, "early"));
	assert_ok(length_of(dir, "acpi", &len, &err));
	assert_int_equal(len, 0);
	assert_ok(length_of(dir, "main", &len, &err));
	assert_int_equal(len, 0);
	assert_ok(length_of(dir, "none", &len, &err));
	assert_int_equal(len, 0);
}

static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	make_initrd(dir, "find kernel");
	uint64_t whole, len;
	assert_ok(length_of(dir, "initrd", &whole, &err));
	char path[512];
	snprintf(path, sizeof(path), "%s/initrd", dir);
	/* The last 4 bytes of a trailer are padding that nobody misses. */
	for (uint64_t size = whole - 4; size > 6; size--) {
		assert_int_equal(truncate(path, (off_t)size), 0);
		assert_int_equal(length_of(dir, "initrd", &len, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
		err_reset(&err);
	}
	for (uint64_t size = 6; size-- > 0;) {
		assert_int_equal(truncate(path, (off_t)size), 0);
		assert_ok(length_of(dir, "initrd", &len, &err));
		assert_int_equal(len, 0);
	}
}

static void says_what_is_wrong(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	make_initrd(dir, "find kernel");
	uint64_t len;
	test_shell("cd %s && head -c 300 early >short && cp early bad && "
		   "printf 'x' | dd of=bad bs=1 seek=60 conv=notrunc status=none",
		dir);
	assert_int_equal(length_of(dir, "short", &len, &err), -1);
	assert_err(&err, ERR_CORRUPT,
		"initrd 'short': the archive at its start is cut off at byte 244");
	assert_int_equal(length_of(dir, "bad", &len, &err), -1);
	assert_err(&err, ERR_CORRUPT, "initrd 'bad': damaged archive header at byte 0");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_it),
		cmocka_unit_test(takes_all_leading_archives),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(says_what_is_wrong),
	};
	return TEST_MAIN(tests);
}
