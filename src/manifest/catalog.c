/* SPDX-License-Identifier: MIT */
/*
 * The catalog's bytes. Members and files are sorted and named once, so one catalog has one
 * encoding, and a node needs no second look at what decoded. It knows the names of objects, not
 * what is in them.
 */
#include "manifest/catalog.h"

#include "manifest/wire.h"

#define CATALOG_MAGIC "SBCATL\0\1" /* the last byte is the version */
#define CATALOG_MAGIC_SIZE 8
#define CATALOG_NAME_MAX 255 /* bytes: a file name */
#define CATALOG_PRIVATE 0x01 /* in a member's flags */

void catalog_done(struct catalog *catalog)
{
	VEC_FOREACH(member, &catalog->members) {
		free(member->name);
		blob_done(&member->tree);
		blob_done(&member->chunks);
	}
	vec_done(&catalog->members);
	VEC_FOREACH(file, &catalog->files) {
		free(file->name);
		blob_done(&file->blob);
	}
	vec_done(&catalog->files);
	*catalog = (struct catalog){0};
}

const struct catalog_file *catalog_file(const struct catalog *catalog, const char *name)
{
	VEC_FOREACH(file, &catalog->files)
		if (strcmp(file->name, name) == 0)
			return file;
	return NULL;
}

/* What can be a file name everywhere, also in a message: no '/', nothing that a terminal obeys. */
static bool is_name(const char *name, size_t len)
{
	if (len == 0 || len > CATALOG_NAME_MAX || name[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == '/')
			return false;
	return true;
}

/* Names ascend by bytes, so none stands twice. */
static int check_name(const char *name, size_t len, const char *last, struct err *err)
{
	if (!is_name(name, len))
		return err_raise(
			err, ERR_CORRUPT, "catalog: a name of %zu bytes is not valid", len);
	if (last != NULL && strcmp(last, name) >= 0)
		return err_raise(err, ERR_CORRUPT, "catalog: '%s' behind '%s'", name, last);
	return 0;
}

static int put_name(struct buf *out, const char *name, const char *last, struct err *err)
{
	size_t len = strlen(name);
	if (check_name(name, len, last, err) < 0)
		return -1;
	uint8_t byte = (uint8_t)len;
	return buf_put(out, &byte, 1, err) < 0 ? -1 : buf_put(out, name, len, err);
}

static int check_member(const struct catalog_member *member, struct err *err)
{
	if (member->tree.size == 0)
		return err_raise(err, ERR_CORRUPT, "catalog: '%s' has no tree", member->name);
	return 0;
}

static int check_image(const struct catalog *catalog, struct err *err)
{
	if (catalog->image_size == 0 || catalog->image_size > INT64_MAX ||
		catalog->image_size % 4096 != 0)
		return err_raise(err, ERR_CORRUPT, "catalog: an image of %ju bytes",
			(uintmax_t)catalog->image_size);
	return 0;
}

static int put_member(
	struct buf *out, const struct catalog_member *member, const char *last, struct err *err)
{
	uint8_t flags = member->is_private ? CATALOG_PRIVATE : 0;
	if (check_member(member, err) < 0 || put_name(out, member->name, last, err) < 0 ||
		buf_put(out, &flags, 1, err) < 0)
		return -1;
	return blob_put(out, &member->tree, err) < 0 ? -1 : blob_put(out, &member->chunks, err);
}

int catalog_encode(const struct catalog *catalog, struct buf *out, struct err *err)
{
	AUTO_BUF bytes = {.max = CATALOG_MAX};
	if (check_image(catalog, err) < 0 ||
		buf_put(&bytes, CATALOG_MAGIC, CATALOG_MAGIC_SIZE, err) < 0 ||
		wire_put_u64(&bytes, catalog->image_size, err) < 0 ||
		buf_put(&bytes, catalog->metadata.bytes, DIGEST_SIZE, err) < 0 ||
		wire_put_u32(&bytes, (uint32_t)catalog->members.len, err) < 0 ||
		wire_put_u32(&bytes, (uint32_t)catalog->files.len, err) < 0)
		return -1;
	const char *last = NULL;
	VEC_FOREACH(member, &catalog->members) {
		if (put_member(&bytes, member, last, err) < 0)
			return -1;
		last = member->name;
	}
	last = NULL;
	VEC_FOREACH(file, &catalog->files) {
		if (put_name(&bytes, file->name, last, err) < 0 ||
			blob_put(&bytes, &file->blob, err) < 0)
			return -1;
		last = file->name;
	}
	return buf_put(out, bytes.data, bytes.len, err);
}

static int cut_off(struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "catalog is cut off");
}

static int get_name(struct wire *wire, const char *last, char **ret, struct err *err)
{
	const uint8_t *len = wire_take(wire, 1);
	const uint8_t *bytes = len != NULL ? wire_take(wire, *len) : NULL;
	if (bytes == NULL)
		return cut_off(err);
	AUTO_FREE char *name = strndup((const char *)bytes, *len);
	if (name == NULL)
		return err_oom(err);
	if (check_name(name, *len, last, err) < 0)
		return -1;
	*ret = TAKE_PTR(name);
	return 0;
}

static int get_blob(struct wire *wire, struct blob *ret, struct err *err)
{
	int r = blob_get(wire, ret, err);
	return r > 0 ? 0 : r < 0 ? -1 : cut_off(err);
}

static int get_member(struct wire *wire, struct catalog *catalog, struct err *err)
{
	size_t len = catalog->members.len;
	const char *last = len > 0 ? catalog->members.items[len - 1].name : NULL;
	if (vec_push(&catalog->members, (struct catalog_member){0}, err) < 0)
		return -1;
	struct catalog_member *member = &catalog->members.items[len];
	if (get_name(wire, last, &member->name, err) < 0)
		return -1;
	const uint8_t *flags = wire_take(wire, 1);
	if (flags == NULL)
		return cut_off(err);
	if ((*flags & ~CATALOG_PRIVATE) != 0)
		return err_raise(err, ERR_CORRUPT, "catalog: '%s' has unknown flags 0x%02x",
			member->name, *flags);
	member->is_private = *flags == CATALOG_PRIVATE;
	if (get_blob(wire, &member->tree, err) < 0 || get_blob(wire, &member->chunks, err) < 0)
		return -1;
	return check_member(member, err);
}

static int get_file(struct wire *wire, struct catalog *catalog, struct err *err)
{
	size_t len = catalog->files.len;
	const char *last = len > 0 ? catalog->files.items[len - 1].name : NULL;
	if (vec_push(&catalog->files, (struct catalog_file){0}, err) < 0)
		return -1;
	struct catalog_file *file = &catalog->files.items[len];
	if (get_name(wire, last, &file->name, err) < 0)
		return -1;
	return get_blob(wire, &file->blob, err);
}

static int read_magic(struct wire *wire, struct err *err)
{
	const uint8_t *magic = wire_take(wire, CATALOG_MAGIC_SIZE);
	if (magic == NULL || memcmp(magic, CATALOG_MAGIC, CATALOG_MAGIC_SIZE - 1) != 0)
		return err_raise(err, ERR_CORRUPT, "not a catalog");
	uint8_t version = magic[CATALOG_MAGIC_SIZE - 1];
	uint8_t known = CATALOG_MAGIC[CATALOG_MAGIC_SIZE - 1];
	if (version != known)
		return err_raise(err, ERR_UNSUPPORTED,
			"catalog of version %u, this program reads %u", version, known);
	return 0;
}

int catalog_decode(const void *data, size_t size, struct catalog *ret, struct err *err)
{
	if (size > CATALOG_MAX)
		return err_raise(
			err, ERR_CORRUPT, "catalog: %zu bytes > max %zu", size, CATALOG_MAX);
	struct wire wire = {data, (const uint8_t *)data + size};
	AUTO_CATALOG catalog = {0};
	uint32_t members, files;
	if (read_magic(&wire, err) < 0)
		return -1;
	if (!wire_u64(&wire, &catalog.image_size) || !wire_digest(&wire, &catalog.metadata) ||
		!wire_u32(&wire, &members) || !wire_u32(&wire, &files))
		return cut_off(err);
	if (check_image(&catalog, err) < 0)
		return -1;
	for (uint32_t i = 0; i < members; i++)
		if (get_member(&wire, &catalog, err) < 0)
			return -1;
	for (uint32_t i = 0; i < files; i++)
		if (get_file(&wire, &catalog, err) < 0)
			return -1;
	if (wire.at != wire.end)
		return err_raise(err, ERR_CORRUPT, "catalog: %zu bytes follow its end",
			(size_t)(wire.end - wire.at));
	*ret = catalog;
	catalog = (struct catalog){0};
	return 0;
}
