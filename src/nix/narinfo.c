/* SPDX-License-Identifier: MIT */
/*
 * Two texts of "Key: value" lines. Every value is checked when it is read, so that whoever gets a
 * struct narinfo can use its paths and sizes; whether what it says is true is for signatures and
 * hashes to tell.
 */
#include "nix/narinfo.h"

#include "base/path.h"
#include "nix/hash_text.h"
#include "nix/store_path.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name, *suffix;
} compressions[] = {
	[NAR_COMPRESSION_NONE] = {"none", ""},
	[NAR_COMPRESSION_XZ] = {"xz", ".xz"},
	[NAR_COMPRESSION_ZSTD] = {"zstd", ".zst"},
	[NAR_COMPRESSION_BZIP2] = {"bzip2", ".bz2"},
	[NAR_COMPRESSION_GZIP] = {"gzip", ".gz"},
	[NAR_COMPRESSION_BROTLI] = {"br", ".br"},
};

const char *nar_compression_name(enum nar_compression compression)
{
	return compressions[compression].name;
}

const char *nar_compression_suffix(enum nar_compression compression)
{
	return compressions[compression].suffix;
}

void narinfo_done(struct narinfo *info)
{
	free(info->path);
	free(info->url);
	strvec_done(&info->refs);
	free(info->deriver);
	strvec_done(&info->sigs);
	free(info->ca);
	*info = (struct narinfo){0};
}

/* One line. The value is a string of its own while it is looked at. */
struct field {
	char key[16];
	char *value;
};

static void field_done(struct field *field)
{
	free(TAKE_PTR(field->value));
}

/* Takes the next line off the text: 1, or 0 at the end. Keys too long for us are none of ours. */
static int next_field(const char **text, size_t *len, struct field *ret, struct err *err)
{
	if (*len == 0)
		return 0;
	const char *line = *text, *end = memchr(line, '\n', *len);
	size_t line_len = end != NULL ? (size_t)(end - line) : *len;
	size_t whole = end != NULL ? line_len + 1 : line_len;
	*text += whole;
	*len -= whole;
	for (size_t i = 0; i < line_len; i++)
		if (iscntrl((unsigned char)line[i]))
			return err_raise(err, ERR_CORRUPT, "it contains a control character");
	const char *colon = memchr(line, ':', line_len);
	if (colon == NULL)
		return err_raise(err, ERR_CORRUPT, "it has a line without a colon");
	size_t key_len = (size_t)(colon - line), skip = key_len + 1;
	if (skip < line_len && line[skip] == ' ')
		skip++;
	ret->key[0] = '\0';
	if (key_len < sizeof(ret->key)) {
		memcpy(ret->key, line, key_len);
		ret->key[key_len] = '\0';
	}
	ret->value = strndup(line + skip, line_len - skip);
	return ret->value != NULL ? 1 : err_oom(err);
}

static int bad(const struct field *field, const char *what, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "%s '%.200s' is not %s", field->key, field->value, what);
}

static int twice(const struct field *field, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "%s stands there twice", field->key);
}

static int read_size(const struct field *field, uint64_t *ret, struct err *err)
{
	uint64_t v = 0;
	bool fits = true;
	for (const char *p = field->value; *p != '\0'; p++) {
		if (!isdigit((unsigned char)*p))
			return bad(field, "a number of bytes", err);
		fits = fits && mem_mul(v, 10, &v) && mem_add(v, (uint64_t)(*p - '0'), &v);
	}
	if (field->value[0] == '\0')
		return bad(field, "a number of bytes", err);
	if (*ret != 0)
		return twice(field, err);
	if (!fits || v > NARINFO_NAR_MAX)
		return err_raise(err, ERR_LIMIT, "%s %.40s > max %llu", field->key, field->value,
			(unsigned long long)NARINFO_NAR_MAX);
	*ret = v;
	return 0;
}

static int read_hash(const struct field *field, struct digest *ret, struct err *err)
{
	return hash_text_parse(field->value, strlen(field->value), ret)
		? 0
		: bad(field, "a SHA-256 as Nix writes it", err);
}

/* Nix puts it behind the cache's own URL, so it must not lead out of it. */
static bool is_inside(const char *url)
{
	if (url[0] == '\0' || url[0] == '/' || strchr(url, '\\') != NULL)
		return false;
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strncasecmp(p, "%2e", 3) == 0 ||
			strncasecmp(p, "%2f", 3) == 0 || strncasecmp(p, "%5c", 3) == 0 ||
			strncmp(p, "://", 3) == 0)
			return false;
	for (const char *part = url; part != NULL;) {
		const char *slash = strchr(part, '/');
		size_t len = slash != NULL ? (size_t)(slash - part) : strlen(part);
		if ((len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
			return false;
		part = slash != NULL ? slash + 1 : NULL;
	}
	return true;
}

static int read_compression(const struct field *field, enum nar_compression *ret, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(compressions); i++)
		if (strcmp(field->value, compressions[i].name) == 0) {
			*ret = (enum nar_compression)i;
			return 0;
		}
	return err_raise(err, ERR_UNSUPPORTED, "Compression '%.40s' is none of ours", field->value);
}

/* A word of the value, which is the name of a store path, with the store's directory before it. */
static char *full_path(const char *name, size_t len, const char *store_dir, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/%.*s", store_dir, (int)len, name);
	if (path == NULL || len > 300 || store_path_check(path, store_dir, err) < 0)
		return NULL;
	return TAKE_PTR(path);
}

/* Calls for each word of a value. */
typedef int word_fn(
	struct narinfo *info, const char *word, size_t len, const char *store_dir, struct err *err);

static int each_word(struct narinfo *info, const struct field *field, const char *store_dir,
	word_fn *take, struct err *err)
{
	for (const char *p = field->value; *p != '\0';) {
		size_t len = strcspn(p, " ");
		if (len > 0 && take(info, p, len, store_dir, err) < 0)
			return err_clean(err) ? bad(field, "a list of store paths", err) : -1;
		p += len;
		p += strspn(p, " ");
	}
	return 0;
}

static int add_ref(
	struct narinfo *info, const char *word, size_t len, const char *store_dir, struct err *err)
{
	char *path = full_path(word, len, store_dir, err);
	return path != NULL ? strvec_push_take(&info->refs, path, err) : -1;
}

static int read_refs(
	struct narinfo *info, const struct field *field, const char *store_dir, struct err *err)
{
	if (info->refs.len > 0)
		return twice(field, err);
	if (each_word(info, field, store_dir, add_ref, err) < 0)
		return err_prefix(err, "References");
	strvec_sort(&info->refs);
	size_t kept = 0;
	for (size_t i = 0; i < info->refs.len; i++) {
		if (kept > 0 && strcmp(info->refs.items[kept - 1], info->refs.items[i]) == 0)
			free(info->refs.items[i]);
		else
			info->refs.items[kept++] = info->refs.items[i];
	}
	info->refs.len = kept;
	return 0;
}

static int read_deriver(
	struct narinfo *info, const struct field *field, const char *store_dir, struct err *err)
{
	if (info->deriver != NULL)
		return twice(field, err);
	if (field->value[0] == '\0' || strcmp(field->value, "unknown-deriver") == 0)
		return 0;
	info->deriver = full_path(field->value, strlen(field->value), store_dir, err);
	if (info->deriver != NULL)
		return 0;
	return err_clean(err) ? bad(field, "a store path", err) : err_prefix(err, "Deriver");
}

/* Keeps a value that may stand there once. */
static int keep(struct field *field, char **ret, struct err *err)
{
	if (*ret != NULL)
		return twice(field, err);
	*ret = TAKE_PTR(field->value);
	return 0;
}

/* What was seen, where a value alone does not tell. */
enum { SEEN_COMPRESSION = 1, SEEN_NAR_HASH = 2 };

static int read_field(struct narinfo *info, struct field *field, const char *store_dir,
	unsigned *seen, struct err *err)
{
	const char *key = field->key;
	if (strcmp(key, "StorePath") == 0) {
		if (store_path_check(field->value, store_dir, err) < 0)
			return err_prefix(err, "StorePath");
		return keep(field, &info->path, err);
	}
	if (strcmp(key, "URL") == 0) {
		if (!is_inside(field->value))
			return bad(field, "a name within the cache", err);
		return keep(field, &info->url, err);
	}
	if (strcmp(key, "Compression") == 0) {
		if ((*seen & SEEN_COMPRESSION) != 0)
			return twice(field, err);
		*seen |= SEEN_COMPRESSION;
		return read_compression(field, &info->compression, err);
	}
	if (strcmp(key, "FileHash") == 0) {
		if (info->has_file_hash)
			return twice(field, err);
		info->has_file_hash = true;
		return read_hash(field, &info->file_hash, err);
	}
	if (strcmp(key, "FileSize") == 0)
		return read_size(field, &info->file_size, err);
	if (strcmp(key, "NarHash") == 0) {
		if ((*seen & SEEN_NAR_HASH) != 0)
			return twice(field, err);
		*seen |= SEEN_NAR_HASH;
		return read_hash(field, &info->nar_hash, err);
	}
	if (strcmp(key, "NarSize") == 0)
		return read_size(field, &info->nar_size, err);
	if (strcmp(key, "References") == 0)
		return read_refs(info, field, store_dir, err);
	if (strcmp(key, "Deriver") == 0)
		return read_deriver(info, field, store_dir, err);
	if (strcmp(key, "Sig") == 0 && info->sigs.len == NARINFO_SIGS_MAX)
		return err_raise(
			err, ERR_LIMIT, "it has more than %d signatures", NARINFO_SIGS_MAX);
	if (strcmp(key, "Sig") == 0)
		return strvec_push_take(&info->sigs, TAKE_PTR(field->value), err);
	if (strcmp(key, "CA") == 0 && field->value[0] != '\0')
		return keep(field, &info->ca, err);
	return 0;
}

static int check_complete(const struct narinfo *info, const char *hash, const char *store_dir,
	unsigned seen, struct err *err)
{
	const char *missing = info->path == NULL ? "StorePath"
		: info->url == NULL              ? "URL"
		: (seen & SEEN_NAR_HASH) == 0    ? "NarHash"
		: info->nar_size == 0            ? "NarSize"
						 : NULL;
	if (missing != NULL)
		return err_raise(err, ERR_CORRUPT, "it has no %s", missing);
	if (strncmp(info->path + strlen(store_dir) + 1, hash, STORE_PATH_HASH_LEN) != 0)
		return err_raise(err, ERR_CORRUPT, "it is of '%s', another store path", info->path);
	return 0;
}

int narinfo_parse(const char *text, size_t len, const char *hash, const char *store_dir,
	struct narinfo *ret, struct err *err)
{
	AUTO_NARINFO info = {.compression = NAR_COMPRESSION_BZIP2}; /* when none is stated */
	unsigned seen = 0;
	int more;
	if (len > NARINFO_TEXT_MAX)
		return err_raise(
			err, ERR_LIMIT, "it has %zu bytes > max %zu", len, NARINFO_TEXT_MAX);
	do {
		AUTO(field_done) struct field field = {0};
		more = next_field(&text, &len, &field, err);
		if (more < 0 || (more > 0 && read_field(&info, &field, store_dir, &seen, err) < 0))
			return -1;
	} while (more > 0);
	if (check_complete(&info, hash, store_dir, seen, err) < 0)
		return -1;
	*ret = info;
	info = (struct narinfo){0};
	return 0;
}

int narinfo_fingerprint(const struct narinfo *info, struct buf *out, struct err *err)
{
	char hash[HASH_TEXT_SIZE];
	if (buf_printf(out, err, "1;%s;%s;%llu;", info->path,
		    hash_text_format(&info->nar_hash, hash),
		    (unsigned long long)info->nar_size) < 0)
		return -1;
	for (size_t i = 0; i < info->refs.len; i++)
		if (buf_printf(out, err, "%s%s", i > 0 ? "," : "", info->refs.items[i]) < 0)
			return -1;
	return 0;
}

int narinfo_format(const struct narinfo *info, struct buf *out, struct err *err)
{
	char file_hash[HASH_TEXT_SIZE], nar_hash[HASH_TEXT_SIZE];
	if (buf_printf(out, err, "StorePath: %s\nURL: %s\nCompression: %s\n", info->path, info->url,
		    nar_compression_name(info->compression)) < 0)
		return -1;
	if (info->has_file_hash &&
		buf_printf(out, err, "FileHash: %s\nFileSize: %llu\n",
			hash_text_format(&info->file_hash, file_hash),
			(unsigned long long)info->file_size) < 0)
		return -1;
	if (buf_printf(out, err, "NarHash: %s\nNarSize: %llu\nReferences:",
		    hash_text_format(&info->nar_hash, nar_hash),
		    (unsigned long long)info->nar_size) < 0)
		return -1;
	/* Nix 2.8 takes no line without the blank. */
	if (info->refs.len == 0 && buf_put_str(out, " ", err) < 0)
		return -1;
	for (size_t i = 0; i < info->refs.len; i++)
		if (buf_printf(out, err, " %s", path_basename(info->refs.items[i])) < 0)
			return -1;
	if (buf_put_str(out, "\n", err) < 0 ||
		(info->deriver != NULL &&
			buf_printf(out, err, "Deriver: %s\n", path_basename(info->deriver)) < 0))
		return -1;
	for (size_t i = 0; i < info->sigs.len; i++)
		if (buf_printf(out, err, "Sig: %s\n", info->sigs.items[i]) < 0)
			return -1;
	return info->ca != NULL ? buf_printf(out, err, "CA: %s\n", info->ca) : 0;
}

int cache_info_parse(const char *text, size_t len, const char *store_dir, uint32_t *ret_priority,
	struct err *err)
{
	uint64_t priority = CACHE_INFO_PRIORITY;
	int more;
	do {
		AUTO(field_done) struct field field = {0};
		more = next_field(&text, &len, &field, err);
		if (more < 0)
			return -1;
		if (more > 0 && strcmp(field.key, "StoreDir") == 0 &&
			strcmp(field.value, store_dir) != 0)
			return err_raise(err, ERR_UNSUPPORTED,
				"it is of the store '%.200s', not of '%s'", field.value, store_dir);
		if (more > 0 && strcmp(field.key, "Priority") == 0) {
			priority = 0;
			if (read_size(&field, &priority, err) < 0)
				return -1;
		}
	} while (more > 0);
	*ret_priority = priority > UINT32_MAX ? UINT32_MAX : (uint32_t)priority;
	return 0;
}
