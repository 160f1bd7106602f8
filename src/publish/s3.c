/* SPDX-License-Identifier: MIT */
/*
 * Publishing to an object store that speaks S3. A PUT is atomic there, and durable when it is
 * answered. Buckets are named in the path, which every make of store understands.
 */
#include "publish/s3.h"

#include "base/path.h"
#include "publish/transfer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define JOBS 8                      /* puts at once: latency is what they wait for */
#define PAGE_MAX ((size_t)16 << 20) /* a page of 1000 keys of 1 KiB, with their XML */
#define ERROR_MAX ((size_t)1 << 20)
#define PUT_MAX ((uint64_t)5 << 30) /* bytes of one PUT (Amazon S3, "Uploading objects") */

struct s3 {
	struct target base;
	struct transfer_auth auth;
	char *bucket_url; /* "https://HOST/BUCKET" */
	char *prefix;     /* "" or "…/" */
	pthread_mutex_t mutex;
	VEC(struct transfer *) idle; /* connections */
};

static void close_s3(struct target *target)
{
	struct s3 *s3 = (struct s3 *)target;
	VEC_FOREACH(transfer, &s3->idle)
		transfer_free(*transfer);
	vec_done(&s3->idle);
	pthread_mutex_destroy(&s3->mutex);
	free(s3->auth.key_id);
	if (s3->auth.secret != NULL)
		explicit_bzero(s3->auth.secret, strlen(s3->auth.secret));
	free(s3->auth.secret);
	free(s3->auth.token);
	free(s3->auth.region);
	free(s3->bucket_url);
	free(s3->prefix);
	free(s3->base.name);
	free(s3);
}

static int borrow(struct s3 *s3, struct transfer **ret, struct err *err)
{
	pthread_mutex_lock(&s3->mutex);
	*ret = s3->idle.len > 0 ? s3->idle.items[--s3->idle.len] : NULL;
	pthread_mutex_unlock(&s3->mutex);
	return *ret != NULL ? 0 : transfer_new(&s3->auth, ret, err);
}

static void give_back(struct s3 *s3, struct transfer *transfer)
{
	struct err ignored = ERR_INIT;
	pthread_mutex_lock(&s3->mutex);
	if (vec_push(&s3->idle, transfer, &ignored) < 0)
		transfer_free(transfer);
	pthread_mutex_unlock(&s3->mutex);
}

static int run(struct s3 *s3, const struct transfer_request *request,
	struct transfer_answer *answer, struct err *err)
{
	struct transfer *transfer;
	if (borrow(s3, &transfer, err) < 0)
		return -1;
	int r = transfer_run(transfer, request, answer, err);
	give_back(s3, transfer);
	return r;
}

static int refuse(struct s3 *s3, const char *verb, const char *name, struct transfer_answer *answer,
	struct err *err)
{
	struct err ignored = ERR_INIT;
	const char *xml = buf_str(&answer->body, &ignored);
	AUTO_FREE char *why = xml != NULL ? s3_error_text(xml) : NULL;
	err_raise(err, answer->status == 403 ? ERR_UNTRUSTED : ERR_IO,
		"cannot %s '%s' at '%s': the store answers %ld%s%s", verb, name, s3->base.name,
		answer->status, why != NULL ? ", " : "", why != NULL ? why : "");
	if (answer->status == 403)
		err_hint(err,
			"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be allowed to "
			"list, read, write and remove there");
	if (answer->status == 404)
		err_hint(err, "the bucket must exist: make it first");
	return -1;
}

static char *url_of(struct s3 *s3, const char *name, struct err *err)
{
	AUTO_BUF url = {0};
	if (buf_printf(&url, err, "%s/", s3->bucket_url) < 0 ||
		s3_escape(s3->prefix, true, &url, err) < 0 || s3_escape(name, true, &url, err) < 0)
		return NULL;
	return buf_take_str(&url, err);
}

/* The query's words stand in alphabetical order, as SigV4 signs them. */
static char *list_url(struct s3 *s3, const char *prefix, const char *token, struct err *err)
{
	AUTO_BUF url = {0};
	if (buf_printf(&url, err, "%s?", s3->bucket_url) < 0)
		return NULL;
	if (token != NULL &&
		(buf_put_str(&url, "continuation-token=", err) < 0 ||
			s3_escape(token, false, &url, err) < 0 || buf_put_str(&url, "&", err) < 0))
		return NULL;
	if (buf_put_str(&url, "list-type=2&prefix=", err) < 0 ||
		s3_escape(s3->prefix, false, &url, err) < 0 ||
		s3_escape(prefix, false, &url, err) < 0)
		return NULL;
	return buf_take_str(&url, err);
}

static int list_pages(struct s3 *s3, const char *prefix, struct target_list *list, struct err *err)
{
	AUTO_FREE char *token = NULL;
	int more;
	do {
		AUTO_FREE char *url = list_url(s3, prefix, token, err);
		AUTO_TRANSFER_ANSWER answer = {0};
		if (url == NULL)
			return -1;
		const struct transfer_request request = {
			.method = "GET", .url = url, .max = PAGE_MAX};
		if (run(s3, &request, &answer, err) < 0)
			return -1;
		if (answer.status != 200)
			return refuse(s3, "list", prefix, &answer, err);
		const char *xml = buf_str(&answer.body, err);
		free(TAKE_PTR(token));
		more = xml != NULL ? s3_list_page(xml, s3->prefix, list, &token, err) : -1;
		if (more < 0)
			return err_prefix(err, "'%s'", s3->base.name);
	} while (more > 0);
	return more;
}

static int list(struct target *target, const char *prefix, struct target_list *ret, struct err *err)
{
	AUTO_TARGET_LIST found = {0};
	if (list_pages((struct s3 *)target, prefix, &found, err) < 0)
		return -1;
	target_list_sort(&found);
	*ret = found;
	found = (struct target_list){0};
	return 0;
}

static int get(
	struct target *target, const char *name, size_t max, struct buf *out, struct err *err)
{
	struct s3 *s3 = (struct s3 *)target;
	AUTO_FREE char *url = url_of(s3, name, err);
	AUTO_TRANSFER_ANSWER answer = {0};
	const struct transfer_request request = {.method = "GET", .url = url, .max = max};
	if (url == NULL || run(s3, &request, &answer, err) < 0)
		return -1;
	if (answer.status == 404)
		return 0;
	if (answer.status != 200)
		return refuse(s3, "read", name, &answer, err);
	return buf_put(out, answer.body.data, answer.body.len, err) < 0 ? -1 : 1;
}

static int put(struct target *target, const struct target_file *file, struct err *err)
{
	struct s3 *s3 = (struct s3 *)target;
	if (file->size > PUT_MAX)
		return err_raise(err, ERR_LIMIT, "'%s' has %ju bytes, and a PUT at most %ju",
			file->name, (uintmax_t)file->size, (uintmax_t)PUT_MAX);
	AUTO_FREE char *url = url_of(s3, file->name, err);
	AUTO_TRANSFER_ANSWER answer = {0};
	const struct transfer_request request = {.method = "PUT",
		.url = url,
		.body = file->data,
		.body_size = file->size,
		.content_type = file->type,
		.cache_control =
			file->is_immutable ? "public, max-age=31536000, immutable" : "no-cache",
		.max = ERROR_MAX};
	if (url == NULL || run(s3, &request, &answer, err) < 0)
		return -1;
	return answer.status / 100 == 2 ? 0 : refuse(s3, "write", file->name, &answer, err);
}

static int flush(struct target *target, struct err *err)
{
	(void)target;
	(void)err;
	return 0;
}

static int remove_key(struct target *target, const char *name, struct err *err)
{
	struct s3 *s3 = (struct s3 *)target;
	AUTO_FREE char *url = url_of(s3, name, err);
	AUTO_TRANSFER_ANSWER answer = {0};
	const struct transfer_request request = {.method = "DELETE", .url = url, .max = ERROR_MAX};
	if (url == NULL || run(s3, &request, &answer, err) < 0)
		return -1;
	if (answer.status / 100 == 2 || answer.status == 404)
		return 0;
	return refuse(s3, "remove", name, &answer, err);
}

static const struct target_ops s3_ops = {
	.list = list,
	.get = get,
	.put = put,
	.flush = flush,
	.remove = remove_key,
	.close = close_s3,
};

/* The first of the variables that is set and not empty. */
static const char *environment(const char *first, const char *second)
{
	const char *value = getenv(first);
	if ((value == NULL || value[0] == '\0') && second != NULL)
		value = getenv(second);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static int read_keys(struct s3 *s3, const struct target_s3 *options, struct err *err)
{
	const char *id = environment("AWS_ACCESS_KEY_ID", NULL);
	const char *secret = environment("AWS_SECRET_ACCESS_KEY", NULL);
	const char *token = environment("AWS_SESSION_TOKEN", NULL);
	const char *region = options->region != NULL
		? options->region
		: environment("AWS_REGION", "AWS_DEFAULT_REGION");
	if (id == NULL || secret == NULL) {
		err_raise(err, ERR_USAGE, "there are no keys to sign requests to '%s' with",
			s3->base.name);
		return err_hint(err, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	}
	s3->auth.key_id = strdup(id);
	s3->auth.secret = strdup(secret);
	s3->auth.token = token != NULL ? strdup(token) : NULL;
	s3->auth.region = strdup(region != NULL ? region : "us-east-1");
	bool good = s3->auth.key_id != NULL && s3->auth.secret != NULL && s3->auth.region != NULL &&
		(token == NULL || s3->auth.token != NULL);
	return good ? 0 : err_oom(err);
}

/* Takes "s3://BUCKET/PREFIX" apart. */
static int read_place(
	struct s3 *s3, const char *url, const struct target_s3 *options, struct err *err)
{
	const char *bucket = url + strlen("s3://"), *slash = strchr(bucket, '/');
	size_t len = slash != NULL ? (size_t)(slash - bucket) : strlen(bucket);
	const char *prefix = slash != NULL ? slash + 1 : "";
	if (len == 0) {
		err_raise(err, ERR_USAGE, "'%s' names no bucket", url);
		return err_hint(err, "it looks like s3://BUCKET/PREFIX");
	}
	const char *endpoint = options->endpoint != NULL
		? options->endpoint
		: environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
	AUTO_FREE char *usual = path_printf(err, "https://s3.%s.amazonaws.com", s3->auth.region);
	if (usual == NULL)
		return -1;
	if (endpoint == NULL)
		endpoint = usual;
	size_t host = strlen(endpoint), tail = strlen(prefix);
	while (host > 0 && endpoint[host - 1] == '/')
		host--;
	while (tail > 0 && prefix[tail - 1] == '/')
		tail--;
	s3->bucket_url = path_printf(err, "%.*s/%.*s", (int)host, endpoint, (int)len, bucket);
	s3->prefix = path_printf(err, "%.*s%s", (int)tail, prefix, tail > 0 ? "/" : "");
	return s3->bucket_url != NULL && s3->prefix != NULL ? 0 : -1;
}

int s3_open(const char *url, const struct target_s3 *options, struct target **ret, struct err *err)
{
	struct s3 *s3 = calloc(1, sizeof(*s3));
	if (s3 == NULL)
		return err_oom(err);
	s3->base = (struct target){.ops = &s3_ops, .jobs = JOBS, .name = strdup(url)};
	pthread_mutex_init(&s3->mutex, NULL);
	int r = s3->base.name != NULL ? read_keys(s3, options, err) : err_oom(err);
	if (r == 0)
		r = read_place(s3, url, options, err);
	if (r < 0) {
		close_s3(&s3->base);
		return -1;
	}
	*ret = &s3->base;
	return 0;
}
