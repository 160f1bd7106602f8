/* SPDX-License-Identifier: MIT */
/*
 * Just enough XML for the two answers of S3 that matter. Elements have no attributes that we need
 * and do not nest within those we read, so looking for tags is enough; anything odd is an error,
 * since a list that is misread would have us skip or remove the wrong files.
 */
#include "publish/s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A part of the text, not terminated. */
struct span {
	const char *at;
	size_t len;
};

/* The contents of the first <tag> within `in`; *ret_rest is what follows it. */
static bool find_element(struct span in, const char *tag, struct span *ret, struct span *ret_rest)
{
	size_t tag_len = strlen(tag);
	const char *end = in.at + in.len, *p = in.at;
	while ((p = memmem(p, (size_t)(end - p), tag, tag_len)) != NULL) {
		const char *open = p;
		p += tag_len;
		if (open == in.at || open[-1] != '<' || p >= end || *p != '>')
			continue;
		const char *begin = p + 1;
		for (const char *q = begin; (q = memmem(q, (size_t)(end - q), "</", 2)) != NULL;
			q += 2) {
			if ((size_t)(end - q) < tag_len + 3 || memcmp(q + 2, tag, tag_len) != 0 ||
				q[2 + tag_len] != '>')
				continue;
			*ret = (struct span){begin, (size_t)(q - begin)};
			const char *rest = q + tag_len + 3;
			if (ret_rest != NULL)
				*ret_rest = (struct span){rest, (size_t)(end - rest)};
			return true;
		}
		return false;
	}
	return false;
}

/* Contents as text, with the five entities of XML replaced; caller owns. */
static char *unescape(struct span text, struct err *err)
{
	static const struct {
		const char *name;
		char c;
	} entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'},
		{"&apos;", '\''}, {"&#39;", '\''}};
	char *out = malloc(text.len + 1), *to = out;
	if (out == NULL) {
		err_oom(err);
		return NULL;
	}
	for (size_t i = 0; i < text.len;) {
		size_t used = 1;
		char c = text.at[i];
		for (size_t e = 0; c == '&' && used == 1 && e < ARRAY_LEN(entities); e++) {
			size_t len = strlen(entities[e].name);
			if (text.len - i >= len &&
				memcmp(text.at + i, entities[e].name, len) == 0) {
				c = entities[e].c;
				used = len;
				break;
			}
		}
		*to++ = c;
		i += used;
	}
	*to = '\0';
	return out;
}

static int bad(const char *what, struct err *err)
{
	return err_raise(err, ERR_CORRUPT, "the list of the bucket %s", what);
}

static int read_contents(
	struct span contents, const char *prefix, struct target_list *list, struct err *err)
{
	struct span key, size;
	if (!find_element(contents, "Key", &key, NULL) ||
		!find_element(contents, "Size", &size, NULL))
		return bad("has an entry without a key or a size", err);
	AUTO_FREE char *name = unescape(key, err);
	AUTO_FREE char *number = unescape(size, err);
	if (name == NULL || number == NULL)
		return -1;
	char *end;
	errno = 0;
	unsigned long long bytes = strtoull(number, &end, 10);
	if (errno != 0 || end == number || *end != '\0')
		return bad("has an entry without a valid size", err);
	size_t skip = strlen(prefix);
	if (strncmp(name, prefix, skip) != 0)
		return bad("has a key that was not asked for", err);
	return target_list_add(list, name + skip, strlen(name + skip), bytes, err);
}

int s3_list_page(const char *xml, const char *prefix, struct target_list *list, char **ret_token,
	struct err *err)
{
	struct span all = {xml, strlen(xml)}, contents, truncated, token;
	if (strstr(xml, "<ListBucketResult") == NULL || strstr(xml, "</ListBucketResult>") == NULL)
		return bad("is none, or is cut off", err);
	struct span rest = all;
	while (find_element(rest, "Contents", &contents, &rest))
		if (read_contents(contents, prefix, list, err) < 0)
			return -1;
	if (!find_element(all, "IsTruncated", &truncated, NULL))
		return bad("does not say whether there is more", err);
	if (truncated.len != 4 || memcmp(truncated.at, "true", 4) != 0)
		return 0;
	if (!find_element(all, "NextContinuationToken", &token, NULL))
		return bad("does not say how to go on", err);
	*ret_token = unescape(token, err);
	return *ret_token != NULL ? 1 : -1;
}

char *s3_error_text(const char *xml)
{
	struct err ignored = ERR_INIT;
	struct span all = {xml, strlen(xml)}, code, message = {"", 0};
	if (!find_element(all, "Code", &code, NULL))
		return NULL;
	(void)find_element(all, "Message", &message, NULL);
	AUTO_BUF out = {0};
	if (buf_printf(&out, &ignored, "%.*s%s%.*s", (int)code.len, code.at,
		    message.len > 0 ? ": " : "", (int)message.len, message.at) < 0)
		return NULL;
	return buf_take_str(&out, &ignored);
}

int s3_escape(const char *text, bool slashes, struct buf *out, struct err *err)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	for (; *text != '\0'; text++) {
		bool keep = strchr(plain, *text) != NULL || (slashes && *text == '/');
		int r = keep ? buf_put(out, text, 1, err)
			     : buf_printf(out, err, "%%%02X", (unsigned char)*text);
		if (r < 0)
			return -1;
	}
	return 0;
}
