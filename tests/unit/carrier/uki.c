/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "sample.h"

#include "base/bytes.h"
#include "carrier/pe_file.h"
#include "carrier/uki.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COFF_OFF 68
#define OPTIONAL_OFF 88
#define SECTIONS_OFF (OPTIONAL_OFF + 112 + 16 * 8)
#define TEXT "text of the stub"

/* An EFI program of one section, with `headers_size` bytes of headers. */
static void make_pe(uint16_t machine, uint32_t headers_size, struct buf *out)
{
	struct err err = ERR_INIT;
	buf_clear(out);
	assert_ok(buf_put_zero(out, headers_size + 512, &err));
	uint8_t *p = out->data, *optional = p + OPTIONAL_OFF, *section = p + SECTIONS_OFF;
	memcpy(p, "MZ", 2);
	put_le32(p + 60, COFF_OFF - 4);
	memcpy(p + COFF_OFF - 4, "PE\0\0", 4);
	put_le16(p + COFF_OFF, machine);
	put_le16(p + COFF_OFF + 2, 1);
	put_le16(p + COFF_OFF + 16, SECTIONS_OFF - OPTIONAL_OFF);
	put_le16(p + COFF_OFF + 18, 0x206);
	put_le16(optional, 0x20b);
	put_le32(optional + 32, 4096);
	put_le32(optional + 36, 512);
	put_le32(optional + 56, 8192);
	put_le32(optional + 60, headers_size);
	put_le32(optional + 64, 0x1234);     /* a checksum */
	put_le16(optional + 68, 10);         /* EFI application */
	put_le32(optional + 108, 16);        /* directories */
	put_le32(optional + 112 + 32, 0x77); /* of certificates */
	memcpy(section, ".text", 5);
	put_le32(section + 8, strlen(TEXT));
	put_le32(section + 12, 4096);
	put_le32(section + 16, 512);
	put_le32(section + 20, headers_size);
	memcpy(p + headers_size, TEXT, strlen(TEXT));
}

static void set_stub(struct uki *uki, struct buf *stub)
{
	struct err err = ERR_INIT;
	uki->stub_path = strdup("STUB");
	uki->os_release = strdup("ID=nixos\n");
	uki->release = strdup("6.1.0");
	uki->kernel_memory = 70000;
	assert_ok(uki_set_stub(uki, stub, PE_MACHINE_X86_64, &err));
}

static void assert_section(const struct image *image, const struct pe_file *pe, unsigned i,
	const char *name, const char *text)
{
	struct err err = ERR_INIT;
	struct pe_section s = pe_section_at(pe, i);
	char got[64] = "";
	assert_string_equal(s.name, name);
	assert_int_equal(s.address % 4096, 0);
	assert_int_equal(s.raw_off % 512, 0);
	assert_int_equal(s.raw_size, 512);
	assert_ok(image_read(image, s.raw_off, got, strlen(text) + 1, &err));
	assert_string_equal(got, text);
	if (strcmp(name, ".linux") != 0)
		assert_int_equal(s.virtual_size, strlen(text));
}

static void has_everything_in_its_place(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const char *const names[] = {
		".text", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"};
	static const char *const texts[] = {
		TEXT, "ID=nixos\n", "init=/x quiet", "6.1.0", "initrd!", "kernel"};
	AUTO_UKI uki = {0};
	AUTO_BUF stub = {0};
	AUTO_IMAGE kernel = {0}, initrd = {0}, image = {0};
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	assert_ok(buf_put_str(&stub, "symbols", &err)); /* behind all sections, as ld leaves them */
	set_stub(&uki, &stub);
	assert_ok(image_append_copy(&kernel, "kernel", 6, &err));
	assert_ok(image_append_copy(&initrd, "init", 4, &err));
	assert_ok(image_append_copy(&initrd, "rd!", 3, &err));
	const struct uki_contents contents = {
		.cmdline = "init=/x quiet", .kernel = &kernel, .initrd = &initrd};
	assert_ok(uki_compose(&uki, &contents, &image, &err));
	AUTO_FREE uint8_t *data = malloc(image.size);
	assert_ok(image_read(&image, 0, data, image.size, &err));
	struct pe_file pe;
	assert_ok(pe_open(data, image.size, image.size, &pe, &err));
	assert_int_equal(pe.section_count, 6);
	uint64_t address = 0;
	for (unsigned i = 0; i < 6; i++) {
		assert_section(&image, &pe, i, names[i], texts[i]);
		assert_true(pe_section_at(&pe, i).address > address);
		address = pe_section_at(&pe, i).address;
	}
	/* The kernel's room, the end of the image, what named the stub's own bytes. */
	assert_int_equal(pe_section_at(&pe, 5).virtual_size, 70000);
	assert_int_equal(pe.image_size, mem_align(address + 70000, 4096));
	assert_memory_equal(data + 1024 + 512, "symbols", 7);
	assert_int_equal(get_le32(data + OPTIONAL_OFF + 64), 0);
	assert_int_equal(get_le32(data + OPTIONAL_OFF + 112 + 32), 0);
	/* Contents are shown, not copied. */
	const struct extent *e = image_extent_at(&image, pe_section_at(&pe, 5).raw_off);
	assert_ptr_equal(e->data, kernel.extents.items[0].data);
}

static void refuses(const struct buf *stub, enum err_kind kind, const char *msg)
{
	struct err err = ERR_INIT;
	AUTO_UKI uki = {.stub_path = strdup("STUB")};
	AUTO_BUF copy = {0};
	assert_ok(buf_put(&copy, stub->data, stub->len, &err));
	assert_int_equal(uki_set_stub(&uki, &copy, PE_MACHINE_X86_64, &err), -1);
	assert_err(&err, kind, msg);
}

static void bad_stubs(void **state)
{
	(void)state;
	AUTO_BUF stub = {0};
	struct err err = ERR_INIT;
	assert_ok(buf_put_str(&stub, "#!/bin/sh", &err));
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': not an EFI program");
	make_pe(PE_MACHINE_AARCH64, 1024, &stub);
	refuses(&stub, ERR_UNSUPPORTED, "stub 'STUB' is for another processor");
	make_pe(PE_MACHINE_X86_64, 512, &stub);
	refuses(&stub, ERR_UNSUPPORTED,
		"stub 'STUB': its headers have room for 4 sections, and 7 are needed");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le32(stub.data + 60, 0xfffffff0);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': the PE header lies outside the file");
	put_le32(stub.data + 60, 32);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': not an EFI program");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le16(stub.data + COFF_OFF + 2, 60000);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': the PE headers are cut off");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le32(stub.data + OPTIONAL_OFF + 108, 17);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': the PE headers are cut off");
	put_le16(stub.data + OPTIONAL_OFF, 0x10b);
	refuses(&stub, ERR_UNSUPPORTED, "stub 'STUB': an EFI program of 32 bits");
	put_le16(stub.data + OPTIONAL_OFF, 0);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': a PE file without optional header");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le16(stub.data + OPTIONAL_OFF + 68, 11);
	refuses(&stub, ERR_UNSUPPORTED, "stub 'STUB': a PE file that is no EFI application");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le32(stub.data + OPTIONAL_OFF + 36, 513);
	refuses(&stub, ERR_CORRUPT,
		"stub 'STUB': a PE file with sections aligned to 4096 bytes in memory and 513 in "
		"the file");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le32(stub.data + OPTIONAL_OFF + 60, 100000);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': a PE file with headers of 100000 bytes");
}

static void bad_sections(void **state)
{
	(void)state;
	AUTO_BUF stub = {0};
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le32(stub.data + SECTIONS_OFF + 20, 1025);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': PE section 0 lies outside the file");
	put_le32(stub.data + SECTIONS_OFF + 20, 512);
	refuses(&stub, ERR_UNSUPPORTED, "stub 'STUB': its section '.text' lies within its headers");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	put_le32(stub.data + SECTIONS_OFF + 8, 0xfffffff0);
	refuses(&stub, ERR_CORRUPT, "stub 'STUB': PE section 0 lies outside the image");
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	memcpy(stub.data + SECTIONS_OFF, ".initrd", 7);
	refuses(&stub, ERR_UNSUPPORTED, "stub 'STUB': it has a section '.initrd' already");
}

static void every_truncation_fails_cleanly(void **state)
{
	(void)state;
	AUTO_BUF stub = {0};
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	for (size_t len = 0; len < stub.len; len++) {
		struct err err = ERR_INIT;
		struct pe_file pe;
		AUTO_FREE uint8_t *copy = malloc(len + (len == 0));
		memcpy(copy, stub.data, len);
		assert_int_equal(pe_open(copy, len, len, &pe, &err), -1);
		assert_int_equal(err.kind, ERR_CORRUPT);
	}
}

static void has_a_limit(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_UKI uki = {0};
	AUTO_BUF stub = {0};
	AUTO_IMAGE kernel = {0}, initrd = {0}, image = {0};
	make_pe(PE_MACHINE_X86_64, 1024, &stub);
	set_stub(&uki, &stub);
	assert_ok(image_append_copy(&kernel, "kernel", 6, &err));
	assert_ok(image_append_zero(&initrd, (uint64_t)4095 << 20, &err));
	const struct uki_contents contents = {.cmdline = "x", .kernel = &kernel, .initrd = &initrd};
	assert_ok(uki_compose(&uki, &contents, &image, &err));
	assert_ok(image_append_zero(&initrd, (uint64_t)1 << 20, &err));
	image_done(&image);
	assert_int_equal(uki_compose(&uki, &contents, &image, &err), -1);
	assert_err(&err, ERR_LIMIT,
		"an EFI program with a section '.initrd' of 4096 MiB is larger than 4 GiB");
	assert_int_equal(image.size, 0);
}

/* A system of the sandbox whose kernel is an EFI program. */
struct world {
	struct sandbox sandbox;
	struct system system;
	char kernel[512], stub[512];
	struct uki_params params;
};

static void write_pe(const char *path, uint16_t machine)
{
	AUTO_BUF pe = {0};
	make_pe(machine, 1024, &pe);
	test_write("", path, pe.data, pe.len);
}

static void world_init(struct world *w, uint16_t machine, const char *platform)
{
	*w = (struct world){0};
	sample_init(&w->sandbox, &w->system);
	w->system.double_ = strdup(platform);
	snprintf(w->kernel, sizeof(w->kernel), "%s/efi-kernel", w->sandbox.dir);
	snprintf(w->stub, sizeof(w->stub), "%s/a.stub", w->sandbox.dir);
	write_pe(w->kernel, machine);
	write_pe(w->stub, machine);
	w->params = (struct uki_params){.system = &w->system,
		.closure = &w->sandbox.closure,
		.kernel = w->kernel,
		.kernel_size = 1536};
}

static void world_done(struct world *w)
{
	system_done(&w->system);
	sandbox_done(&w->sandbox);
}

static void finds_a_stub(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	AUTO_STRVEC stubs = {0};
	world_init(&w, PE_MACHINE_RISCV64, "riscv64-linux");
	AUTO_UKI uki = {0};
	assert_int_equal(uki_prepare(&w.params, &uki, &err), -1);
	assert_string_equal(
		err.hint, "install it (Debian: systemd-boot-efi) or name it with --stub FILE");
	assert_err(&err, ERR_NOT_FOUND, "systemd's 'linuxriscv64.efi.stub' is not installed");
	/* The system's own; a link of the store is followed below its root. */
	test_shell("cd '%s' && mkdir -p sd/lib/systemd/boot/efi && chmod u+w sys && "
		   "ln -s /nix/store/sd sys/systemd && "
		   "cp ../../a.stub sd/lib/systemd/boot/efi/linuxriscv64.efi.stub",
		w.sandbox.store);
	assert_ok(uki_prepare(&w.params, &uki, &err));
	assert_string_equal(
		uki.stub_path, SYSTEM "/systemd/lib/systemd/boot/efi/linuxriscv64.efi.stub");
	assert_string_equal(uki.release, "6.1.0");
	assert_string_equal(uki.os_release, "ID=nixos\nPRETTY_NAME=\"NixOS\"\n");
	uki_done(&uki);
	/* The user's goes before it, if it is for that processor. */
	AUTO_FREE char *other = path_printf(&err, "%s/other.stub", w.sandbox.dir);
	write_pe(other, PE_MACHINE_X86_64);
	assert_ok(strvec_push(&stubs, other, &err));
	w.params.stubs = &stubs;
	test_shell("cd '%s' && mkdir sys/etc && echo ID=mine >sys/etc/os-release", w.sandbox.store);
	assert_ok(uki_prepare(&w.params, &uki, &err));
	assert_string_equal(
		uki.stub_path, SYSTEM "/systemd/lib/systemd/boot/efi/linuxriscv64.efi.stub");
	assert_string_equal(uki.os_release, "ID=mine\n");
	uki_done(&uki);
	assert_ok(strvec_push(&stubs, w.stub, &err));
	assert_ok(uki_prepare(&w.params, &uki, &err));
	assert_string_equal(uki.stub_path, w.stub);
	world_done(&w);
}

static void bad_kernels(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct world w;
	char msg[700];
	AUTO_STRVEC stubs = {0};
	AUTO_UKI uki = {0};
	world_init(&w, PE_MACHINE_X86_64, "x86_64-linux");
	assert_ok(strvec_push(&stubs, w.stub, &err));
	w.params.stubs = &stubs;
	write_pe(w.kernel, PE_MACHINE_AARCH64);
	snprintf(msg, sizeof(msg), "kernel '%s' is for another processor", w.kernel);
	assert_int_equal(uki_prepare(&w.params, &uki, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, msg);
	test_write("", w.kernel, "\x1f\x8b\b", 3);
	snprintf(msg, sizeof(msg), "kernel '%s' cannot be started by EFI: not an EFI program",
		w.kernel);
	assert_int_equal(uki_prepare(&w.params, &uki, &err), -1);
	assert_string_equal(err.hint, "it needs CONFIG_EFI_STUB, and must not be packed by gzip");
	assert_err(&err, ERR_CORRUPT, msg);
	free(w.system.double_);
	w.system.double_ = strdup("i686-linux");
	assert_int_equal(uki_prepare(&w.params, &uki, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, "there are no unified kernel images for 'i686-linux'");
	world_done(&w);
}

/* systemd's own stub, and what others read in the image. */
static void tools_read_it(void **state)
{
	(void)state;
	static const char stub[] = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
	struct err err = ERR_INIT;
	struct world w;
	AUTO_STRVEC stubs = {0};
	AUTO_UKI uki = {0};
	AUTO_IMAGE kernel = {0}, initrd = {0}, image = {0};
	if (access(stub, R_OK) < 0)
		test_skip("needs systemd's EFI stub (Debian: systemd-boot-efi)");
	world_init(&w, PE_MACHINE_X86_64, "x86_64-linux");
	assert_ok(strvec_push(&stubs, stub, &err));
	w.params.stubs = &stubs;
	assert_ok(uki_prepare(&w.params, &uki, &err));
	assert_ok(image_append_file(&kernel, w.kernel, 0, 1536, &err));
	assert_ok(image_append_zero(&initrd, 12345, &err));
	const struct uki_contents contents = {
		.cmdline = "init=/x quiet", .kernel = &kernel, .initrd = &initrd};
	assert_ok(uki_compose(&uki, &contents, &image, &err));
	AUTO_FREE uint8_t *data = malloc(image.size);
	assert_ok(image_read(&image, 0, data, image.size, &err));
	test_write(w.sandbox.dir, "uki.efi", data, image.size);
	AUTO_FREE char *output =
		test_shell_output("cd '%s' && objdump -h uki.efi | awk '$2 ~ /^\\.(osrel|cmdline|"
				  "uname|initrd|linux)$/ { print $2, $3 }' && "
				  "objcopy -O binary -j .cmdline uki.efi cmdline && cat cmdline && "
				  "objcopy -O binary -j .linux uki.efi linux && "
				  "head -c 1536 linux | cmp - efi-kernel",
			w.sandbox.dir);
	assert_string_equal(output,
		".osrel 0000001d\n.cmdline 0000000d\n.uname 00000005\n.initrd 00003039\n"
		".linux 00000600\ninit=/x quiet");
	/* Every warning of pefile's is about a field that a loader may stumble over. */
	AUTO_FREE char *warnings = test_shell_output(
		"cd '%s' && /usr/bin/python3 -c 'import pefile\n"
		"old, new = pefile.PE(\"%s\"), pefile.PE(\"uki.efi\")\n"
		"print([w for w in new.get_warnings() if w not in old.get_warnings()],"
		" len(new.sections) - len(old.sections), new.sections[-1].Name[:6].decode())'",
		w.sandbox.dir, stub);
	assert_string_equal(warnings, "[] 5 .linux");
	world_done(&w);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_everything_in_its_place),
		cmocka_unit_test(bad_stubs),
		cmocka_unit_test(bad_sections),
		cmocka_unit_test(every_truncation_fails_cleanly),
		cmocka_unit_test(has_a_limit),
		cmocka_unit_test(finds_a_stub),
		cmocka_unit_test(bad_kernels),
		cmocka_unit_test(tools_read_it),
	};
	return TEST_MAIN(tests);
}
