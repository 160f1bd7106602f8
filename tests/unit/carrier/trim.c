/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/fd.h"
#include "carrier/modinfo.h"
#include "carrier/trim.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char *make_module(struct buf *out)
{
	struct err err = ERR_INIT;
	const char *dir = test_tmpdir();
	static const char source[] =
		"__asm__(\".section .orc_unwind_ip,\\\"a\\\"\\n.long work - .\\n\"\n"
		"\".section .BTF,\\\"\\\"\\n.zero 4096\\n.text\");\n"
		"static const char a[] __attribute__((section(\".modinfo\"), used)) = "
		"\"license=GPL\";\n"
		"extern int printk(const char *, ...);\n"
		"static int counter __attribute__((aligned(64))) = 3;\n"
		"static char zeros[5000];\n"
		"int work(int x) { zeros[x]++; return printk(\"%d\", counter + zeros[0]); }\n";
	test_write(dir, "m.c", source, strlen(source));
	test_shell("cd %s && cc -g -O2 -fno-pic -c -o m.ko m.c && "
		   "printf '~Module signature appended~\\n' >>m.ko",
		dir);
	char path[512];
	snprintf(path, sizeof(path), "%s/m.ko", dir);
	assert_ok(fd_read_file(AT_FDCWD, path, 1 << 20, out, &err));
	return dir;
}

/* binutils judge: sections that matter, symbols and relocations are the same as before. */
static void keeps_what_runs(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF module = {0}, out = {0};
	const char *dir = make_module(&module);
	assert_ok(buf_put_str(&out, "before", &err));
	assert_ok(trim_module(module.data, module.len, &out, &err));
	test_write(dir, "t.ko", out.data + 6, out.len - 6);
	assert_true(out.len + 4096 + 28 < module.len);
	test_shell(
		"cd %s && for f in m t; do for s in .text .data .modinfo .rodata.str1.1; do "
		"objcopy -O binary --set-section-flags $s=alloc,contents -j $s $f.ko $f$s; done; "
		"readelf -sW $f.ko >$f.symbols; readelf -rW $f.ko | "
		"sed -n \"/'.rela.text'/,/^$/p\" | sed 's/at offset.*contains/contains/' "
		">$f.relocations; "
		"done; cmp m.text t.text && cmp m.data t.data && cmp m.modinfo t.modinfo && "
		"cmp m.rodata.str1.1 t.rodata.str1.1 && test -s t.text && test -s t.relocations && "
		"diff m.relocations t.relocations && grep -q printk t.symbols && "
		"! readelf -SW t.ko | grep -E '\\.(BTF|debug_|orc_)' && "
		"! grep -q 'Module signature' t.ko && ! readelf -aW t.ko 2>&1 | grep -i warning",
		dir);
	struct modinfo info;
	assert_ok(modinfo_read(out.data + 6, out.len - 6, &info, &err));
	assert_string_equal(modinfo_value(&info, "license", NULL), "GPL");
}

static void twice_changes_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_BUF module = {0}, once = {0}, twice = {0};
	make_module(&module);
	assert_ok(trim_module(module.data, module.len, &once, &err));
	assert_ok(trim_module(once.data, once.len, &twice, &err));
	assert_int_equal(once.len, twice.len);
	assert_memory_equal(once.data, twice.data, once.len);
}

static void damage_fails_cleanly(void **state)
{
	(void)state;
	AUTO_BUF module = {0};
	make_module(&module);
	module.len -= 28;
	for (size_t len = 0; len < module.len; len++) {
		struct err err = ERR_INIT;
		AUTO_BUF out = {0};
		AUTO_FREE uint8_t *copy = malloc(len + (len == 0));
		assert_non_null(copy);
		memcpy(copy, module.data, len);
		assert_int_equal(trim_module(copy, len, &out, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
	}
	for (size_t i = 0; i < module.len; i++) {
		struct err err = ERR_INIT;
		AUTO_BUF out = {.max = 4 * module.len};
		module.data[i] ^= 0xff;
		if (trim_module(module.data, module.len, &out, &err) < 0)
			assert_true(err.kind == ERR_CORRUPT || err.kind == ERR_LIMIT);
		module.data[i] ^= 0xff;
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_what_runs),
		cmocka_unit_test(twice_changes_nothing),
		cmocka_unit_test(damage_fails_cleanly),
	};
	return TEST_MAIN(tests);
}
