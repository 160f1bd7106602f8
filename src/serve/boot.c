/* SPDX-License-Identifier: MIT */
/* A boot's lifetime, and its images as bodies: the glue between image/ and http/. */
#include "serve/boot.h"

#include <stdio.h>
#include <stdlib.h>

struct object_body {
	struct http_body body;
	struct boot *boot;
	const struct object *object;
	char etag[DIGEST_HEX_SIZE + 2];
};

struct image_body {
	struct http_body body;
	struct boot *boot;
	const struct image *image;
};

struct boot *boot_ref(struct boot *boot)
{
	boot->references++;
	return boot;
}

struct boot *boot_unref(struct boot *boot)
{
	if (boot == NULL || --boot->references > 0)
		return NULL;
	free(boot->name);
	free(boot->cmdline);
	free(boot->system);
	free(boot->device_trees);
	free(boot->device_tree);
	image_done(&boot->kernel);
	image_done(&boot->initrd);
	catalog_done(&boot->catalog);
	object_set_done(&boot->objects);
	free(boot->own.text);
	free(boot->as_default.text);
	free(boot);
	return NULL;
}

static void image_piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	static const enum http_piece_kind kinds[] = {
		[EXTENT_MEMORY] = HTTP_PIECE_MEMORY,
		[EXTENT_FILE] = HTTP_PIECE_FILE,
		[EXTENT_ZERO] = HTTP_PIECE_ZERO,
	};
	const struct extent *e = image_extent_at(((const struct image_body *)body)->image, off);
	uint64_t skip = off - e->off;
	*ret = (struct http_piece){
		.kind = kinds[e->kind],
		.len = e->len - skip,
		.data = e->kind == EXTENT_MEMORY ? e->data + skip : NULL,
		.path = e->path,
		.file_off = e->file_off + skip,
	};
}

static void image_release(struct http_body *body)
{
	boot_unref(((struct image_body *)body)->boot);
	free(body);
}

static const struct http_body_ops image_ops = {
	.piece_at = image_piece_at,
	.release = image_release,
};

static struct http_body *body_of(
	struct boot *boot, const struct image *image, const char *etag, struct err *err)
{
	struct image_body *body = malloc(sizeof(*body));
	if (body == NULL) {
		err_oom(err);
		return NULL;
	}
	*body = (struct image_body){
		.body = {.ops = &image_ops, .size = image->size, .etag = etag},
		.boot = boot_ref(boot),
		.image = image,
	};
	return &body->body;
}

struct http_body *boot_kernel_body(struct boot *boot, struct err *err)
{
	return body_of(boot, &boot->kernel, boot->kernel_etag, err);
}

struct http_body *boot_initrd_body(struct boot *boot, struct err *err)
{
	return body_of(boot, &boot->initrd, boot->initrd_etag, err);
}

static void object_piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	const struct object *object = ((const struct object_body *)body)->object;
	*ret = (struct http_piece){
		.kind = HTTP_PIECE_FILE,
		.len = object->size - off,
		.path = object->path,
		.file_off = off,
	};
}

static void object_release(struct http_body *body)
{
	boot_unref(((struct object_body *)body)->boot);
	free(body);
}

static const struct http_body_ops object_ops = {
	.piece_at = object_piece_at,
	.release = object_release,
};

struct http_body *boot_object_body(
	struct boot *boot, const struct object *object, const char *cache_control, struct err *err)
{
	struct object_body *body = malloc(sizeof(*body));
	if (body == NULL) {
		err_oom(err);
		return NULL;
	}
	*body = (struct object_body){.boot = boot_ref(boot), .object = object};
	char hex[DIGEST_HEX_SIZE];
	snprintf(body->etag, sizeof(body->etag), "\"%s\"", digest_hex(&object->digest, hex));
	body->body = (struct http_body){
		.ops = &object_ops,
		.size = object->size,
		.etag = body->etag,
		.cache_control = cache_control,
	};
	return &body->body;
}
