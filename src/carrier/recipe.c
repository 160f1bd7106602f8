/* SPDX-License-Identifier: MIT */
/*
 * A composed image needs no copy of itself to be made again: its parts are objects of the pool, and
 * between them there is nothing but zeros. Only the superblock is too small to be an object of its
 * own.
 */
#include "carrier/recipe.h"

#include "base/bytes.h"

#include <string.h>

#define SUPERBLOCK_SIZE 96u
#define HEADER_SIZE (8 + 8 + 4 + SUPERBLOCK_SIZE)
#define PART_SIZE (8 + 8 + DIGEST_SIZE + 2)

static const uint8_t magic[8] = "SBROOT\0\1";

int recipe_encode(const struct root *root, struct buf *out, struct err *err)
{
	uint8_t header[HEADER_SIZE];
	memcpy(header, magic, sizeof(magic));
	put_le64(header + 8, root->image.size);
	put_le32(header + 16, (uint32_t)root->layout.parts.len);
	if (image_read(&root->image, 0, header + 20, SUPERBLOCK_SIZE, err) < 0 ||
		buf_put(out, header, sizeof(header), err) < 0)
		return -1;
	VEC_FOREACH(part, &root->layout.parts) {
		uint8_t row[PART_SIZE];
		const char *name = part->name != NULL ? part->name : "";
		put_le64(row, part->off);
		put_le64(row + 8, part->len);
		memcpy(row + 16, part->digest.bytes, DIGEST_SIZE);
		put_le16(row + 16 + DIGEST_SIZE, (uint16_t)strlen(name));
		if (buf_put(out, row, sizeof(row), err) < 0 || buf_put_str(out, name, err) < 0)
			return -1;
	}
	return 0;
}

static int corrupt(struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "this is not a complete recipe of an image");
}

/* The extents of one part: zeros up to it, then the superblock's bytes or an object. */
static int append_part(struct root *root, const struct squashfs_part *part,
	const uint8_t *superblock, struct pool *pool, struct err *err)
{
	struct image *image = &root->image;
	if (part->off < image->size || part->len == 0)
		return corrupt(err);
	if (image_append_zero(image, part->off - image->size, err) < 0)
		return -1;
	if (part->off == 0 && part->len == SUPERBLOCK_SIZE)
		return image_append_copy(image, superblock, SUPERBLOCK_SIZE, err);
	AUTO_FREE char *path = pool_object_path(pool, &part->digest, err);
	if (path == NULL)
		return -1;
	return image_append_file(image, path, 0, part->len, err);
}

/* Reads the part at *p and steps behind it. */
static int decode_part(struct root *root, const uint8_t **p, const uint8_t *end,
	struct squashfs_part *ret, struct err *err)
{
	if ((size_t)(end - *p) < PART_SIZE)
		return corrupt(err);
	struct squashfs_part part = {.off = get_le64(*p), .len = get_le64(*p + 8)};
	memcpy(part.digest.bytes, *p + 16, DIGEST_SIZE);
	size_t name_len = get_le16(*p + 16 + DIGEST_SIZE);
	*p += PART_SIZE;
	if ((size_t)(end - *p) < name_len)
		return corrupt(err);
	if (name_len > 0) {
		if (strvec_push_n(&root->names, (const char *)*p, name_len, err) < 0)
			return -1;
		part.name = root->names.items[root->names.len - 1];
	}
	*p += name_len;
	*ret = part;
	return 0;
}

static int decode(const struct buf *recipe, struct pool *pool, struct root *root, struct err *err)
{
	if (recipe->len < HEADER_SIZE || memcmp(recipe->data, magic, sizeof(magic)) != 0)
		return corrupt(err);
	const uint8_t *p = recipe->data + HEADER_SIZE, *end = recipe->data + recipe->len;
	uint64_t size = get_le64(recipe->data + 8);
	for (uint32_t left = get_le32(recipe->data + 16); left > 0; left--) {
		struct squashfs_part part;
		if (decode_part(root, &p, end, &part, err) < 0 ||
			append_part(root, &part, recipe->data + 20, pool, err) < 0 ||
			vec_push(&root->layout.parts, part, err) < 0)
			return -1;
	}
	if (p != end || size < root->image.size)
		return corrupt(err);
	return image_append_zero(&root->image, size - root->image.size, err);
}

int recipe_decode(const struct buf *recipe, struct pool *pool, struct root *ret, struct err *err)
{
	AUTO_ROOT root = {0};
	if (decode(recipe, pool, &root, err) < 0)
		return -1;
	root.id = digest_of(recipe->data, recipe->len);
	root.remembered = true;
	*ret = root;
	root = (struct root){0};
	return 0;
}
