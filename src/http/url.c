/* SPDX-License-Identifier: MIT */
/*
 * URLs of plain HTTP. What a URL may hold goes into a request line and a Host field as it is, so
 * blanks and control characters are refused here, once.
 */
#include "http/url.h"

#include "base/buf.h"
#include "http/span.h"

#define DEFAULT_PORT 80

void http_url_done(struct http_url *url)
{
	free(url->host);
	free(url->target);
	*url = (struct http_url){0};
}

static int bad_url(const char *text, const char *what, struct err *err)
{
	return err_raise(err, ERR_USAGE, "'%s' is no URL: %s", text, what);
}

/* Splits HOST[:PORT]; NULL, or what is wrong with it. */
static const char *split_authority(struct span s, struct span *ret_host, struct http_url *url)
{
	struct span port = {NULL, 0};
	if (s.len > 0 && s.p[0] == '[') {
		s = (struct span){s.p + 1, s.len - 1};
		if (!span_next_word(&s, ']', ret_host) ||
			memchr(ret_host->p, ':', ret_host->len) == NULL)
			return "no IPv6 address in the brackets";
		if (s.len > 0 && s.p[0] != ':')
			return "something between address and port";
		url->bracketed = true;
		port = (struct span){s.p + 1, s.len > 0 ? s.len - 1 : 0};
	} else if (span_next_word(&s, ':', ret_host)) {
		port = s;
	} else {
		*ret_host = s;
	}
	for (size_t i = 0; i < ret_host->len; i++) {
		char c = ret_host->p[i];
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
			strchr(url->bracketed ? ":." : "-._", c) == NULL)
			return "the host is neither name nor address";
	}
	uint64_t number = DEFAULT_PORT;
	if (ret_host->len == 0)
		return "no host";
	if (port.len > 0 && (!span_number(port, &number) || number == 0 || number > UINT16_MAX))
		return "the port is not a number from 1 to 65535";
	url->port = (uint16_t)number;
	return NULL;
}

int http_url_parse(const char *text, struct http_url *ret, struct err *err)
{
	AUTO_HTTP_URL url = {0};
	struct span s = {text, strlen(text)}, host;
	if (s.len > HTTP_URL_MAX)
		return err_raise(
			err, ERR_USAGE, "a URL of %zu bytes > max %d", s.len, HTTP_URL_MAX);
	if (span_has_control(s) || strpbrk(text, " \t") != NULL)
		return bad_url("…", "it has blanks or control characters", err);
	if (s.len >= 8 && strncasecmp(text, "https://", 8) == 0)
		return err_raise(
			err, ERR_UNSUPPORTED, "'%s' needs https, which is not spoken", text);
	if (s.len < 7 || strncasecmp(text, "http://", 7) != 0)
		return bad_url(text, "it does not begin with 'http://'", err);
	s = (struct span){s.p + 7, s.len - 7};
	struct span authority = {s.p, strcspn(s.p, "/?#")};
	struct span target = {s.p + authority.len, strcspn(s.p + authority.len, "#")};
	const char *wrong = split_authority(authority, &host, &url);
	if (wrong != NULL)
		return bad_url(text, wrong, err);
	AUTO_BUF path = {0};
	if ((target.len == 0 || target.p[0] != '/') && buf_put_str(&path, "/", err) < 0)
		return -1;
	if (buf_put(&path, target.p, target.len, err) < 0)
		return -1;
	url.target = buf_take_str(&path, err);
	url.host = strndup(host.p, host.len);
	if (url.target == NULL || url.host == NULL)
		return url.target == NULL ? -1 : err_oom(err);
	*ret = url;
	url = (struct http_url){0};
	return 0;
}

int http_url_follow(
	const struct http_url *base, const char *location, struct http_url *ret, struct err *err)
{
	size_t scheme = strcspn(location, ":/?#");
	if (location[scheme] == ':')
		return http_url_parse(location, ret, err);
	AUTO_BUF text = {0};
	if (buf_put_str(&text, "http:", err) < 0)
		return -1;
	if (strncmp(location, "//", 2) != 0) {
		const char *form = base->bracketed ? "//[%s]:%u" : "//%s:%u";
		if (buf_printf(&text, err, form, base->host, base->port) < 0)
			return -1;
		/* relative to the last '/' of the path, RFC 3986, section 5.2.3 */
		size_t path = strcspn(base->target, "?");
		while (location[0] != '/' && path > 0 && base->target[path - 1] != '/')
			path--;
		if (location[0] != '/' && buf_put(&text, base->target, path, err) < 0)
			return -1;
	}
	if (buf_put_str(&text, location, err) < 0)
		return -1;
	const char *whole = buf_str(&text, err);
	return whole != NULL ? http_url_parse(whole, ret, err) : -1;
}
