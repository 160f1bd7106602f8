/* SPDX-License-Identifier: MIT */
/* WHATWG URL, "application/x-www-form-urlencoded parsing", less its tolerance. */
#include "http/query.h"

#include "base/hex.h"
#include "base/mem.h"

#include <string.h>

static int decode(const char *p, size_t len, const char *name, char **ret, struct err *err)
{
	AUTO_FREE char *out = malloc(len + 1);
	size_t n = 0;
	if (out == NULL)
		return err_oom(err);
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = p[i] == '+' ? ' ' : (uint8_t)p[i];
		if (p[i] == '%') {
			if (len - i < 3 || !hex_decode(p + i + 1, 2, &byte, 1))
				return err_raise(err, ERR_CORRUPT,
					"the value of '%s' has a '%%' without two digits", name);
			i += 2;
		}
		if (byte < ' ' || byte == 0x7f)
			return err_raise(err, ERR_CORRUPT,
				"the value of '%s' has a control character", name);
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	*ret = TAKE_PTR(out);
	return 1;
}

int http_query_get(const char *query, const char *name, char **ret, struct err *err)
{
	size_t name_len = strlen(name);
	for (const char *p = query; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, "&");
		if (len > name_len && strncmp(p, name, name_len) == 0 && p[name_len] == '=')
			return decode(p + name_len + 1, len - name_len - 1, name, ret, err);
		p += len + (p[len] == '&');
	}
	return 0;
}

int http_query_put(const char *text, struct buf *out, struct err *err)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	while (*text != '\0') {
		size_t len = strspn(text, plain);
		if (buf_put(out, text, len, err) < 0)
			return -1;
		text += len;
		if (*text != '\0' && buf_printf(out, err, "%%%02X", (uint8_t)*text++) < 0)
			return -1;
	}
	return 0;
}
