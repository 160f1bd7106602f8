/* SPDX-License-Identifier: MIT */
/* curl's options, and the words for what went wrong. */
#include "source/download_request.h"

#include "base/buf.h"
#include "base/digest.h"

#include <stdio.h>
#include <string.h>

#define CONNECT_TIMEOUT_S 15L
#define REDIRECTS 5L
#define HEADERS_MAX (256U << 10)
#define BUFFER_BYTES (128L << 10)

void download_auth_done(struct download_auth *auth)
{
	free(auth->key_id);
	if (auth->secret != NULL)
		explicit_bzero(auth->secret, strlen(auth->secret));
	free(auth->secret);
	free(auth->token);
	free(auth->region);
	*auth = (struct download_auth){0};
}

static int add_header(
	struct download_request *r, const char *name, const char *value, struct err *err)
{
	AUTO_BUF line = {0};
	if (value == NULL)
		return 0;
	if (buf_printf(&line, err, "%s: %s", name, value) < 0 || buf_str(&line, err) == NULL)
		return -1;
	struct curl_slist *more = curl_slist_append(r->headers, (char *)line.data);
	if (more == NULL)
		return err_oom(err);
	r->headers = more;
	return 0;
}

static int sign(struct download_request *r, const struct download_auth *auth, struct err *err)
{
	AUTO_BUF scope = {0}, user = {0};
	char hex[DIGEST_HEX_SIZE];
	if (auth == NULL)
		return 0;
	struct digest empty = digest_of("", 0);
	if (add_header(r, "x-amz-content-sha256", digest_hex(&empty, hex), err) < 0 ||
		add_header(r, "X-Amz-Security-Token", auth->token, err) < 0 ||
		buf_printf(&scope, err, "aws:amz:%s:s3", auth->region) < 0 ||
		buf_printf(&user, err, "%s:%s", auth->key_id, auth->secret) < 0 ||
		buf_str(&scope, err) == NULL || buf_str(&user, err) == NULL)
		return -1;
	curl_easy_setopt(r->curl, CURLOPT_AWS_SIGV4, (char *)scope.data);
	curl_easy_setopt(r->curl, CURLOPT_USERPWD, (char *)user.data);
	explicit_bzero(user.data, user.len);
	return 0;
}

/* Called by curl, which itself has no bound for all of them together. */
static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
	struct download_request *r = user;
	(void)bytes;
	r->header_bytes += size * count;
	return r->header_bytes <= HEADERS_MAX ? size * count : 0;
}

static int set_up(struct download_request *r, const struct download_ask *ask, struct err *err)
{
	CURL *curl = r->curl;
	curl_easy_setopt(curl, CURLOPT_URL, ask->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)DOWNLOAD_SLOWEST);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)ask->stall_s);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "snowboot/" SNOWBOOT_VERSION);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ask->on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, ask->user);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, ask->user);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	if (ask->netrc != NULL)
		curl_easy_setopt(curl, CURLOPT_NETRC_FILE, ask->netrc);
	if (ask->tls_trust != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, ask->tls_trust);
	/* CURLOPT_RESUME_FROM would fail with a server that has no ranges. */
	char range[32];
	snprintf(range, sizeof(range), "%llu-", (unsigned long long)ask->from);
	if (ask->from > 0)
		curl_easy_setopt(curl, CURLOPT_RANGE, range);
	if (sign(r, ask->auth, err) < 0)
		return -1;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, r->headers);
	return 0;
}

int download_request_begin(
	struct download_request *r, const struct download_ask *ask, CURLM *multi, struct err *err)
{
	*r = (struct download_request){.curl = curl_easy_init(), .url = ask->url};
	if (r->curl == NULL)
		return err_oom(err);
	if (set_up(r, ask, err) == 0 && curl_multi_add_handle(multi, r->curl) == CURLM_OK)
		return 0;
	if (err_clean(err))
		err_oom(err);
	curl_easy_cleanup(TAKE_PTR(r->curl));
	curl_slist_free_all(TAKE_PTR(r->headers));
	return -1;
}

void download_request_drop(struct download_request *r, CURLM *multi)
{
	if (r->curl == NULL)
		return;
	(void)curl_multi_remove_handle(multi, r->curl); /* it is there */
	curl_easy_cleanup(TAKE_PTR(r->curl));
	curl_slist_free_all(TAKE_PTR(r->headers));
}

static long status_of(const struct download_request *r)
{
	long status = 0;
	(void)curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

bool download_request_refused(const struct download_request *r)
{
	return status_of(r) >= 300;
}

bool download_request_resumed(const struct download_request *r)
{
	return status_of(r) == 206;
}

static bool is_passing(CURLcode code)
{
	switch ((int)code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_SSL_CONNECT_ERROR:
		return true;
	default:
		return false;
	}
}

static int explain(const struct download_request *r, CURLcode code, struct err *err)
{
	const char *why = r->error[0] != '\0' ? r->error : curl_easy_strerror(code);
	enum err_kind kind = code == CURLE_URL_MALFORMAT ? ERR_USAGE
		: code == CURLE_OUT_OF_MEMORY            ? ERR_NOMEM
							 : ERR_IO;
	if (r->header_bytes > HEADERS_MAX)
		return err_raise(err, ERR_LIMIT,
			"cannot fetch '%s': it has more than %u bytes of headers", r->url,
			HEADERS_MAX);
	err_raise(err, kind, "cannot fetch '%s': %s", r->url, why);
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		err_hint(err,
			"certificates to trust are in the file that $NIX_SSL_CERT_FILE or "
			"ssl-cert-file in nix.conf names, else the system's");
	return is_passing(code) ? 1 : -1;
}

/* What a status says when curl itself is content. */
static int explain_status(const struct download_request *r, long status, struct err *err)
{
	if (status == 200 || status == 206)
		return 0;
	if (status == 403 || status == 404 || status == 410)
		return err_raise(err, ERR_NOT_FOUND, "cannot fetch '%s': the cache answers %ld",
			r->url, status);
	err_raise(err, status == 401 || status == 407 ? ERR_UNTRUSTED : ERR_IO,
		"cannot fetch '%s': the cache answers %ld", r->url, status);
	if (status == 401)
		err_hint(err, "name and password are taken from a netrc file");
	return status == 429 || status >= 500 ? 1 : -1;
}

int download_request_end(struct download_request *r, CURLM *multi, CURLcode code, struct err *err)
{
	/* The page of an error may be longer than anybody reads. */
	bool answered = code == CURLE_OK ||
		(code == CURLE_WRITE_ERROR && download_request_refused(r) &&
			r->header_bytes <= HEADERS_MAX);
	int result = answered ? explain_status(r, status_of(r), err) : explain(r, code, err);
	download_request_drop(r, multi);
	return result;
}
