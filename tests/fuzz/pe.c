/* SPDX-License-Identifier: MIT */
/*
 * An EFI program as a stub. One that is taken makes an image that is an EFI program in turn, with
 * the stub's own sections as they were and ours behind them, in file and memory.
 */
#include "target.h"

#include "carrier/pe_file.h"
#include "carrier/uki.h"

#include <string.h>

#define MINE 5

static void check_image(const struct uki *uki, const struct image *image)
{
	struct err err = ERR_INIT;
	struct pe_file before, after;
	AUTO_FREE uint8_t *data = malloc(image->size);
	expect(data != NULL && image_read(image, 0, data, image->size, &err) == 0);
	expect(pe_open(uki->headers.data, uki->headers.len, uki->stub.size, &before, &err) == 0);
	expect(pe_open(data, image->size, image->size, &after, &err) == 0);
	expect(after.section_count == before.section_count + MINE);
	expect(after.machine == before.machine && after.headers_size == before.headers_size);
	expect(memcmp(data + before.sections_off, before.data + before.sections_off,
		       (size_t)before.section_count * PE_SECTION_HEADER_SIZE) == 0);
	uint64_t raw_end = uki->stub.size, end = before.image_size;
	for (unsigned i = 0; i < after.section_count; i++) {
		struct pe_section s = pe_section_at(&after, i);
		if (i < before.section_count) {
			continue;
		}
		expect(s.raw_off >= raw_end && s.address >= end && s.raw_size >= 1);
		raw_end = (uint64_t)s.raw_off + s.raw_size;
		end = (uint64_t)s.address + s.virtual_size;
	}
	expect(raw_end == image->size && end <= after.image_size);
}

bool target_run(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct pe_file pe;
	if (pe_open(data, size, size, &pe, &err) < 0) {
		expect(err.msg[0] != '\0');
		return false;
	}
	AUTO_UKI uki = {.stub_path = strdup("x"),
		.os_release = strdup("ID=nixos\n"),
		.release = strdup("6.1.0"),
		.kernel_memory = 10000};
	AUTO_BUF stub = {0};
	AUTO_IMAGE kernel = {0}, initrd = {0}, image = {0};
	expect(buf_put(&stub, data, size, &err) == 0);
	if (uki_set_stub(&uki, &stub, pe.machine, &err) < 0)
		return false;
	expect(image_append_copy(&kernel, "kernel", 6, &err) == 0);
	expect(image_append_zero(&initrd, 5000, &err) == 0);
	const struct uki_contents contents = {
		.cmdline = "init=/x", .kernel = &kernel, .initrd = &initrd};
	if (uki_compose(&uki, &contents, &image, &err) < 0) {
		expect(err.kind == ERR_LIMIT);
		return false;
	}
	check_image(&uki, &image);
	return true;
}
