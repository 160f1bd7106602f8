/* SPDX-License-Identifier: MIT */
/*
 * libcurl's easy interface. A body is given to it whole, in memory that may be a mapped file, since
 * only then does it sign the body's hash. What a status means is the caller's business.
 */
#include "publish/transfer.h"

#include "base/digest.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TRIES 5
#define PAUSE_MS 200 /* before the second try; doubles each time */
#define CONNECT_TIMEOUT_S 20L
#define STALL_S 60L /* without a byte */

struct transfer {
	CURL *curl;
	const struct transfer_auth *auth;
	char error[CURL_ERROR_SIZE];
};

void transfer_answer_done(struct transfer_answer *answer)
{
	buf_done(&answer->body);
	*answer = (struct transfer_answer){0};
}

int transfer_new(const struct transfer_auth *auth, struct transfer **ret, struct err *err)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));
	if (transfer == NULL)
		return err_oom(err);
	transfer->auth = auth;
	transfer->curl = curl_easy_init();
	if (transfer->curl == NULL) {
		free(transfer);
		return err_oom(err);
	}
	*ret = transfer;
	return 0;
}

struct transfer *transfer_free(struct transfer *transfer)
{
	if (transfer == NULL)
		return NULL;
	curl_easy_cleanup(transfer->curl);
	free(transfer);
	return NULL;
}

/* What curl's callbacks write to. */
struct sink {
	struct transfer_answer *answer;
	struct err err; /* why it stopped taking bytes */
};

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct sink *sink = user;
	return buf_put(&sink->answer->body, data, size * count, &sink->err) < 0 ? 0 : size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct sink *sink = user;
	size_t len = size * count;
	char date[64] = {0};
	if (len > 5 && len < sizeof(date) && strncasecmp(data, "date:", 5) == 0) {
		memcpy(date, data + 5, len - 5);
		time_t t = curl_getdate(date, NULL);
		sink->answer->date = t > 0 ? (int64_t)t : 0;
	}
	return len;
}

static void free_list(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

/* Appends "NAME: value"; a NULL value adds nothing. */
static int add_header(
	struct curl_slist **list, const char *name, const char *value, struct err *err)
{
	AUTO_BUF line = {0};
	if (value == NULL)
		return 0;
	if (buf_printf(&line, err, "%s: %s", name, value) < 0)
		return -1;
	const char *text = buf_str(&line, err);
	struct curl_slist *more = text != NULL ? curl_slist_append(*list, text) : NULL;
	if (more == NULL)
		return err_clean(err) ? err_oom(err) : -1;
	*list = more;
	return 0;
}

/* S3 wants to be told the body's hash that is signed; libcurl does not say it by itself before 8.1,
 * but signs the one that it finds among the headers. */
static int set_auth(struct transfer *transfer, const struct transfer_request *request,
	struct curl_slist **headers, struct err *err)
{
	const struct transfer_auth *auth = transfer->auth;
	AUTO_BUF scope = {0}, user = {0};
	char hex[DIGEST_HEX_SIZE];
	if (auth == NULL)
		return 0;
	struct digest digest = digest_of(request->body, request->body_size);
	if (add_header(headers, "x-amz-content-sha256", digest_hex(&digest, hex), err) < 0)
		return -1;
	if (buf_printf(&scope, err, "aws:amz:%s:s3", auth->region) < 0 ||
		buf_printf(&user, err, "%s:%s", auth->key_id, auth->secret) < 0 ||
		buf_str(&scope, err) == NULL || buf_str(&user, err) == NULL)
		return -1;
	curl_easy_setopt(transfer->curl, CURLOPT_AWS_SIGV4, (char *)scope.data);
	curl_easy_setopt(transfer->curl, CURLOPT_USERPWD, (char *)user.data);
	explicit_bzero(user.data, user.len);
	return add_header(headers, "X-Amz-Security-Token", auth->token, err);
}

static int set_up(struct transfer *transfer, const struct transfer_request *request,
	struct curl_slist **headers, struct sink *sink, struct err *err)
{
	CURL *curl = transfer->curl;
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, transfer->auth == NULL ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "snowboot/" SNOWBOOT_VERSION);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, sink);
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (strcmp(request->method, "PUT") == 0) {
		/* Does not wait for a 100 that many servers never send. An empty Expect header
		 * would say so, too, but libcurl 7.88 signs it without sending it. */
		curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
		curl_easy_setopt(
			curl, CURLOPT_POSTFIELDS, request->body_size > 0 ? request->body : "");
		if (add_header(headers, "Content-Type",
			    request->content_type != NULL ? request->content_type
							  : "application/octet-stream",
			    err) < 0 ||
			add_header(headers, "Cache-Control", request->cache_control, err) < 0)
			return -1;
	}
	if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	if (set_auth(transfer, request, headers, err) < 0)
		return -1;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
	return 0;
}

static int explain(const struct transfer *transfer, const struct transfer_request *request,
	CURLcode code, struct err *err)
{
	const char *why = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
	enum err_kind kind = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL
		? ERR_USAGE
		: code == CURLE_OUT_OF_MEMORY ? ERR_NOMEM
					      : ERR_IO;
	return err_raise(err, kind, "cannot %s '%s': %s", request->method, request->url, why);
}

/* 1: try again. */
static int run_once(struct transfer *transfer, const struct transfer_request *request,
	struct transfer_answer *answer, struct err *err)
{
	AUTO(free_list) struct curl_slist *headers = NULL;
	struct sink sink = {.answer = answer};
	transfer->error[0] = '\0';
	transfer_answer_done(answer);
	answer->body.max = request->max;
	if (set_up(transfer, request, &headers, &sink, err) < 0)
		return -1;
	CURLcode code = curl_easy_perform(transfer->curl);
	if (!err_clean(&sink.err)) {
		*err = sink.err;
		return err_prefix(err, "'%s'", request->url);
	}
	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &answer->status);
	if (code == CURLE_OK)
		return answer->status == 429 || answer->status >= 500;
	explain(transfer, request, code, err);
	return err->kind == ERR_IO ? 1 : -1;
}

static void pause_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&pause, NULL);
}

int transfer_run(struct transfer *transfer, const struct transfer_request *request,
	struct transfer_answer *ret, struct err *err)
{
	AUTO_TRANSFER_ANSWER answer = {0};
	for (int try = 0;; try++) {
		struct err local = ERR_INIT;
		int r = run_once(transfer, request, &answer, &local);
		bool last = try + 1 == TRIES;
		if (r < 0 || (last && !err_clean(&local))) {
			*err = local;
			return -1;
		}
		if (r == 0 || last)
			break;
		pause_ms(PAUSE_MS << try);
	}
	*ret = answer;
	answer = (struct transfer_answer){0};
	return 0;
}

static void free_transfer(struct transfer **transfer)
{
	transfer_free(*transfer);
}

int transfer_get(const char *url, size_t max, struct buf *out, int64_t *ret_date, struct err *err)
{
	AUTO(free_transfer) struct transfer *transfer = NULL;
	AUTO_TRANSFER_ANSWER answer = {0};
	const struct transfer_request request = {.method = "GET", .url = url, .max = max};
	if (transfer_new(NULL, &transfer, err) < 0 ||
		transfer_run(transfer, &request, &answer, err) < 0)
		return -1;
	if (answer.status != 200)
		return err_raise(err,
			answer.status == 404 || answer.status == 410 ? ERR_NOT_FOUND : ERR_IO,
			"cannot GET '%s': the server answers %ld", url, answer.status);
	if (ret_date != NULL)
		*ret_date = answer.date;
	return buf_put(out, answer.body.data, answer.body.len, err);
}
