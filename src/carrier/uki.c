/* SPDX-License-Identifier: MIT */
/*
 * The image's layout: the stub as it is, with headers that name some sections more, and behind it
 * those sections, each at the next free place of file and memory. The kernel comes last, as
 * systemd's ukify has it: kernels without relocation unpack themselves over what follows.
 */
#include "carrier/uki.h"

#include "base/bytes.h"
#include "base/fd.h"
#include "base/path.h"
#include "carrier/in_root.h"
#include "carrier/pe_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define KERNEL_HEADERS ((size_t)64 << 10) /* of a kernel, looked for its headers */
#define OS_RELEASE_MAX ((size_t)64 << 10)
#define PAGE 4096u

/* PE Format, "Section Flags": contents, and what may be done with them. */
#define FLAGS_DATA 0x40000040u /* initialized data, read */
#define FLAGS_CODE 0x60000020u /* code, execute, read: kernels before 5.8 start in place */

enum { OSREL, CMDLINE, UNAME, INITRD, LINUX, SECTIONS };
static const char names[SECTIONS][9] = {
	[OSREL] = ".osrel",
	[CMDLINE] = ".cmdline",
	[UNAME] = ".uname",
	[INITRD] = ".initrd",
	[LINUX] = ".linux",
};

void uki_done(struct uki *uki)
{
	free(TAKE_PTR(uki->stub_path));
	free(TAKE_PTR(uki->os_release));
	free(TAKE_PTR(uki->release));
	buf_done(&uki->headers);
	image_done(&uki->stub);
}

/*
 * EDK2 wants room for one header more than there are sections (BasePeCoff.c,
 * PeCoffLoaderGetPeHeader()).
 */
static int check_room(const struct pe_file *pe, struct err *err)
{
	unsigned room = (pe->headers_size - pe->sections_off) / PE_SECTION_HEADER_SIZE;
	unsigned needed = pe->section_count + SECTIONS + 1u;
	if (room < needed)
		return err_raise(err, ERR_UNSUPPORTED,
			"its headers have room for %u sections, and %u are needed", room, needed);
	for (unsigned i = 0; i < pe->section_count; i++) {
		struct pe_section s = pe_section_at(pe, i);
		if (s.raw_size > 0 && s.raw_off < pe->headers_size)
			return err_raise(err, ERR_UNSUPPORTED,
				"its section '%s' lies within its headers", s.name);
		for (size_t j = 0; j < SECTIONS; j++)
			if (strcmp(s.name, names[j]) == 0)
				return err_raise(err, ERR_UNSUPPORTED,
					"it has a section '%s' already", s.name);
	}
	return 0;
}

int uki_set_stub(struct uki *uki, struct buf *take_stub, uint16_t machine, struct err *err)
{
	struct pe_file pe;
	if (pe_open(take_stub->data, take_stub->len, take_stub->len, &pe, err) < 0 ||
		check_room(&pe, err) < 0)
		return err_prefix(err, "stub '%s'", uki->stub_path);
	if (pe.machine != machine)
		return err_raise(
			err, ERR_UNSUPPORTED, "stub '%s' is for another processor", uki->stub_path);
	if (buf_put(&uki->headers, take_stub->data, pe.headers_size, err) < 0)
		return -1;
	return image_append_take(&uki->stub, take_stub, err);
}

/* The kernel must be an EFI program; what it takes of memory stands in its headers. */
static int read_kernel(
	struct uki *uki, const struct uki_params *params, uint16_t machine, struct err *err)
{
	AUTO_FD int fd = -1;
	AUTO_BUF head = {0};
	struct pe_file pe;
	size_t len = 0;
	uint8_t *data = buf_reserve(&head, KERNEL_HEADERS, err);
	if (data == NULL || fd_open(AT_FDCWD, params->kernel, O_RDONLY, &fd, err) < 0 ||
		fd_read_full(fd, data, KERNEL_HEADERS, params->kernel, &len, err) < 0)
		return -1;
	if (pe_open(data, len, params->kernel_size, &pe, err) < 0) {
		err_prefix(err, "kernel '%s' cannot be started by EFI", params->kernel);
		return err_hint(err, "it needs CONFIG_EFI_STUB, and must not be packed by gzip");
	}
	if (pe.machine != machine)
		return err_raise(err, ERR_UNSUPPORTED, "kernel '%s' is for another processor",
			params->kernel);
	uki->kernel_memory = pe.image_size;
	return 0;
}

struct store_view uki_view(const struct uki_params *params)
{
	return (struct store_view){.dir = params->closure->store_dir,
		.real_dir = params->closure->real_dir,
		.supply = params->supply};
}

static int read_os_release(struct uki *uki, const struct uki_params *params, struct err *err)
{
	AUTO_FD int root = -1;
	AUTO_BUF text = {0};
	const struct system *system = params->system;
	AUTO_FREE char *path = path_printf(err, "%s/etc/os-release", system->path);
	const struct store_view view = uki_view(params);
	if (path == NULL || link_bring(&view, path, err) < 0 ||
		in_root_open_root(
			params->closure->store_dir, params->closure->real_dir, &root, err) < 0)
		return -1;
	int r = in_root_try_read(root, path, OS_RELEASE_MAX, &text, err);
	if (r == 0)
		r = buf_printf(&text, err, "ID=nixos\nPRETTY_NAME=\"%s\"\n",
			system->label != NULL ? system->label : "NixOS");
	uki->os_release = r < 0 ? NULL : buf_take_str(&text, err);
	if (uki->os_release != NULL && system->kernel_release != NULL)
		uki->release = path_printf(err, "%s", system->kernel_release);
	return uki->os_release == NULL || (uki->release == NULL && system->kernel_release != NULL)
		? -1
		: 0;
}

static void set_id(struct uki *uki, const struct buf *stub)
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, stub->len, stub->data);
	const char *texts[] = {uki->os_release, uki->release != NULL ? uki->release : ""};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		sha256_update(&ctx, strlen(texts[i]) + 1, (const uint8_t *)texts[i]);
	uki->id = digest_finish(&ctx);
}

int uki_prepare(const struct uki_params *params, struct uki *ret, struct err *err)
{
	AUTO_UKI uki = {0};
	AUTO_BUF stub = {0};
	uint16_t machine;
	if (uki_machine(params->system->double_, &machine, err) < 0 ||
		uki_stub_read(params, machine, &uki.stub_path, &stub, err) < 0 ||
		read_kernel(&uki, params, machine, err) < 0 ||
		read_os_release(&uki, params, err) < 0)
		return -1;
	set_id(&uki, &stub);
	if (uki_set_stub(&uki, &stub, machine, err) < 0)
		return -1;
	*ret = uki;
	uki = (struct uki){0};
	return 0;
}

/* Where things go: the headers that are patched, and the next free places. */
struct layout {
	struct pe_file pe;
	uint8_t *headers;
	uint64_t address, raw_off;
	unsigned count; /* of sections so far */
};

static uint32_t alignment(const struct pe_file *pe)
{
	return pe->section_alignment > PAGE ? pe->section_alignment : PAGE;
}

/* Writes a section's header, and goes on behind it. */
static int put_header(
	struct layout *l, const char *name, uint64_t size, uint64_t memory, struct err *err)
{
	uint8_t *p = l->headers + l->pe.sections_off + (size_t)l->count * PE_SECTION_HEADER_SIZE;
	uint64_t raw = mem_align(size, l->pe.file_alignment);
	if (size > UINT32_MAX || memory > UINT32_MAX || l->raw_off + raw > UINT32_MAX ||
		l->address + memory > UINT32_MAX - alignment(&l->pe))
		return err_raise(err, ERR_LIMIT,
			"an EFI program with a section '%s' of %" PRIu64
			" MiB is larger than 4 GiB",
			name, size >> 20);
	memset(p, 0, PE_SECTION_HEADER_SIZE);
	memcpy(p, name, strlen(name));
	put_le32(p + 8, (uint32_t)memory);
	put_le32(p + 12, (uint32_t)l->address);
	put_le32(p + 16, (uint32_t)raw);
	put_le32(p + 20, (uint32_t)l->raw_off);
	put_le32(p + 36, strcmp(name, names[LINUX]) == 0 ? FLAGS_CODE : FLAGS_DATA);
	l->count++;
	l->raw_off += raw;
	l->address = mem_align(l->address + memory, alignment(&l->pe));
	return 0;
}

/* A signature of the stub is not one of the image, and the checksum is nobody's to check. */
static void finish_headers(const struct layout *l)
{
	uint8_t *optional = l->headers + l->pe.optional_off;
	put_le16(l->headers + l->pe.header_off + PE_COFF_SECTIONS, (uint16_t)l->count);
	put_le32(optional + PE_OPTIONAL_IMAGE_SIZE, (uint32_t)l->address);
	put_le32(optional + PE_OPTIONAL_CHECKSUM, 0);
	if (l->pe.directories > PE_DIRECTORY_CERTIFICATES)
		memset(optional + PE_OPTIONAL_DIRECTORIES + 8 * PE_DIRECTORY_CERTIFICATES, 0, 8);
}

/* What goes into a section, and the memory that it takes there. */
static int fill(const struct uki *uki, const struct uki_contents *contents, unsigned section,
	struct image *out, struct err *err)
{
	const char *texts[SECTIONS] = {
		[OSREL] = uki->os_release, [CMDLINE] = contents->cmdline, [UNAME] = uki->release};
	const struct image *images[SECTIONS] = {
		[INITRD] = contents->initrd, [LINUX] = contents->kernel};
	if (images[section] != NULL)
		return image_append_view(out, images[section], 0, images[section]->size, err);
	return texts[section] == NULL
		? 0
		: image_append_copy(out, texts[section], strlen(texts[section]), err);
}

static int put_sections(const struct uki *uki, const struct uki_contents *contents,
	struct layout *l, struct image *out, struct err *err)
{
	for (unsigned i = 0; i < SECTIONS; i++) {
		uint64_t begin = out->size;
		if (fill(uki, contents, i, out, err) < 0)
			return -1;
		uint64_t size = out->size - begin, memory = size;
		if (size == 0)
			continue;
		if (i == LINUX && uki->kernel_memory > size)
			memory = uki->kernel_memory;
		uint64_t pad = mem_align(size, l->pe.file_alignment) - size;
		if (put_header(l, names[i], size, memory, err) < 0 ||
			image_append_zero(out, pad, err) < 0)
			return -1;
	}
	return 0;
}

int uki_compose(const struct uki *uki, const struct uki_contents *contents, struct image *ret,
	struct err *err)
{
	AUTO_IMAGE rest = {0};
	AUTO_BUF headers = {0};
	struct layout l;
	uint64_t headers_size = uki->headers.len, stub_size = uki->stub.size;
	if (buf_put(&headers, uki->headers.data, headers_size, err) < 0 ||
		pe_open(headers.data, headers_size, stub_size, &l.pe, err) < 0)
		return -1;
	l.headers = headers.data;
	l.count = l.pe.section_count;
	l.address = mem_align(l.pe.image_size, alignment(&l.pe));
	l.raw_off = mem_align(stub_size, l.pe.file_alignment);
	if (image_append_view(&rest, &uki->stub, headers_size, stub_size - headers_size, err) < 0 ||
		image_append_zero(&rest, l.raw_off - stub_size, err) < 0 ||
		put_sections(uki, contents, &l, &rest, err) < 0)
		return -1;
	finish_headers(&l); /* they come first, and are known last */
	return image_append_take(ret, &headers, err) < 0 || image_append_image(ret, &rest, err) < 0
		? -1
		: 0;
}
