/* SPDX-License-Identifier: MIT */
/* A boot's lifetime, and its images as bodies: the glue between image/ and http/. */
#include "serve/boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct object_body {
	struct http_body body;
	struct boot *boot;
	const struct object *object;
	char etag[DIGEST_HEX_SIZE + 2];
};

struct image_body {
	struct http_body body;
	struct boot *boot;
	const struct image *image; /* one of the boot's, or: */
	struct image own;
	char own_etag[72];
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
	free(boot->kernel_path);
	free(boot->cmdline);
	free(boot->system);
	free(boot->device_trees);
	free(boot->device_tree);
	image_done(&boot->kernel);
	image_done(&boot->initrd);
	uki_done(&boot->uki);
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
	struct image_body *b = (struct image_body *)body;
	image_done(&b->own);
	boot_unref(b->boot);
	free(body);
}

static const struct http_body_ops image_ops = {
	.piece_at = image_piece_at,
	.release = image_release,
};

static struct image_body *body_of(
	struct boot *boot, const struct image *image, const char *etag, struct err *err)
{
	struct image_body *body = malloc(sizeof(*body));
	if (body == NULL) {
		err_oom(err);
		return NULL;
	}
	*body = (struct image_body){
		.body = {.ops = &image_ops, .size = image != NULL ? image->size : 0, .etag = etag},
		.boot = boot_ref(boot),
		.image = image,
	};
	return body;
}

struct http_body *boot_kernel_body(struct boot *boot, struct err *err)
{
	struct image_body *body = body_of(boot, &boot->kernel, boot->kernel_etag, err);
	return body != NULL ? &body->body : NULL;
}

struct http_body *boot_initrd_body(struct boot *boot, struct err *err)
{
	struct image_body *body = body_of(boot, &boot->initrd, boot->initrd_etag, err);
	return body != NULL ? &body->body : NULL;
}

/* Named by what it is made from: a transfer that goes on never mixes two. */
static void set_uki_etag(struct image_body *body, const char *cmdline)
{
	struct sha256_ctx ctx;
	char hex[DIGEST_HEX_SIZE];
	const char *texts[] = {body->boot->kernel_etag, cmdline};
	sha256_init(&ctx);
	sha256_update(&ctx, DIGEST_SIZE, body->boot->uki.id.bytes);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		sha256_update(&ctx, strlen(texts[i]) + 1, (const uint8_t *)texts[i]);
	const struct digest digest = digest_finish(&ctx);
	snprintf(body->own_etag, sizeof(body->own_etag), "\"%.40s-uki\"", digest_hex(&digest, hex));
	body->body.etag = body->own_etag;
}

struct http_body *boot_uki_body(struct boot *boot, const char *cmdline, struct err *err)
{
	if (!err_clean(&boot->uki_failure)) {
		*err = boot->uki_failure;
		return NULL;
	}
	struct image_body *body = body_of(boot, NULL, NULL, err);
	if (body == NULL)
		return NULL;
	const struct uki_contents contents = {
		.cmdline = cmdline, .kernel = &boot->kernel, .initrd = &boot->initrd};
	if (uki_compose(&boot->uki, &contents, &body->own, err) < 0) {
		image_release(&body->body);
		return NULL;
	}
	body->image = &body->own;
	body->body.size = body->own.size;
	body->body.content_type = "application/efi";
	body->body.cache_control = "no-cache"; /* it is for who asked */
	set_uki_etag(body, cmdline);
	return &body->body;
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
