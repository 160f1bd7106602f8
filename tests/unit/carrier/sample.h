/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_CARRIER_SAMPLE_H
#define TESTS_UNIT_CARRIER_SAMPLE_H

#include "../pool/sandbox.h"

#include "system/system.h"

#define SYSTEM "/nix/store/sys"

/*
 * A store with a system: a kernel, an initrd that starts with microcode, two compressed modules and
 * the firmware one of them names. And the two static programs of an initramfs.
 */
static inline void sample_init(struct sandbox *s, struct system *system)
{
	struct err err = ERR_INIT;
	sandbox_init(s);
	test_shell("cd '%s' && mkdir nix && mv store nix/store", s->dir);
	free(s->store);
	free(s->closure.real_dir);
	s->store = path_printf(&err, "%s/nix/store", s->dir);
	s->closure.real_dir = strdup(s->store);
	test_shell(
		"cd '%s' && mkdir -p sys linux initrd fw/lib/firmware/r "
		"k/lib/modules/6.1.0/kernel/fs && "
		"echo kernel >linux/bzImage && mkdir -p ../e/kernel/x86/microcode && "
		"echo code >../e/kernel/x86/microcode/GenuineIntel.bin && "
		"(cd ../e && find kernel | cpio -o -H newc --quiet) >initrd/initrd && "
		"echo own | zstd -q >>initrd/initrd && echo firmware >fw/lib/firmware/r/one.fw && "
		"cd k/lib/modules/6.1.0 && "
		"for m in squashfs overlay; do printf 'const char a[] __attribute__((section("
		"\".modinfo\"))) = \"firmware=r/one.fw\\\\0firmware=r/two.fw\"; int %%s;' $m | "
		"cc -g -c -x c -o kernel/fs/$m.ko - && xz kernel/fs/$m.ko; done && "
		"printf 'kernel/fs/squashfs.ko.xz:\\nkernel/fs/overlay.ko.xz:\\n' >modules.dep && "
		"echo kernel/drivers/block/loop.ko >modules.builtin && "
		"cd '%s' && echo 'int main(void){return 0;}' | cc -x c -static -o static - && "
		"echo 'int main(void){return 0;}' | cc -x c -o dynamic -",
		s->store, s->dir);
	sandbox_register(s, "linux");
	sandbox_register(s, "sys");
	AUTO_FREE char *program = path_printf(&err, "%s/static", s->dir);
	setenv("SNOWBOOT_STAGE1", program, 1);
	setenv("SNOWBOOT_BUSYBOX", program, 1);
	*system = (struct system){.path = strdup(SYSTEM),
		.kind = SYSTEM_SCRIPTED,
		.kernel = strdup("/nix/store/linux/bzImage"),
		.initrd = strdup("/nix/store/initrd/initrd"),
		.init = strdup(SYSTEM "/init"),
		.kernel_modules = strdup("/nix/store/k"),
		.kernel_release = strdup("6.1.0"),
		.firmware = strdup("/nix/store/fw/lib/firmware")};
	assert_ok(strvec_push(&system->params, "console=ttyS0", &err));
	assert_ok(strvec_push(&system->params, "quiet", &err));
}

#endif
