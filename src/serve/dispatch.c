/* SPDX-License-Identifier: MIT */
/*
 * A name has one job at most that runs; who asks meanwhile waits for it with the others, and after
 * some seconds is told to come again. Whoever was told gets that result, once; the next question
 * begins a new job, since what the name stands for may have changed. Each result has a link of its
 * own that keeps it from the garbage collector until the next one is there.
 */
#include "serve/dispatch.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "serve/build.h"
#include "serve/dispatch_name.h"
#include "serve/hydra.h"
#include "serve/parts.h"
#include "serve/script.h"
#include "system/system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MAX 256
#define JOBS_RUNNING_MAX 4
#define TOLD_MAX 256
#define LOG_MAX ((size_t)4 << 20)
#define STORE_DIR "/nix/store"

struct dispatch_job {
	TAILQ_ENTRY(dispatch_job) entry;
	struct origin *origin;
	char *path; /* of the request */
	bool running;
	struct hydra_query *query;
	struct build *build;
	char *link, *log, *old_link; /* files in the state directory */
	char *toplevel;              /* when it is done; NULL: it failed */
	struct err failure;
	struct strvec told; /* clients that come again for the result */
};

struct dispatch {
	struct dispatch_options options;
	char *dir;                               /* of links and logs */
	TAILQ_HEAD(job_list, dispatch_job) jobs; /* the one begun last first */
	size_t len, running;
	unsigned count; /* of all that were begun */
};

static void job_free(struct dispatch *d, struct dispatch_job *job)
{
	TAILQ_REMOVE(&d->jobs, job, entry);
	d->len--;
	d->running -= job->running;
	hydra_free(job->query);
	build_free(job->build);
	char *links[] = {job->link, job->old_link};
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (links[i] != NULL)
			(void)unlink(links[i]); /* what is served is held otherwise */
	free(job->path);
	free(job->link);
	free(job->old_link);
	free(job->log);
	free(job->toplevel);
	strvec_done(&job->told);
	free(job);
}

static bool is_ipxe(const struct http_exchange *x)
{
	const char *agent = http_request_header(http_exchange_request(x), "user-agent");
	return agent != NULL && strncmp(agent, "iPXE", 4) == 0;
}

void dispatch_answer(struct http_exchange *x, int status, const char *text, unsigned seconds)
{
	const struct http_request *request = http_exchange_request(x);
	struct err err = ERR_INIT;
	AUTO_BUF script = {0};
	bool query = request->query != NULL;
	AUTO_FREE char *again = path_printf(
		&err, "%s%s%s", request->path, query ? "?" : "", query ? request->query : "");
	if (is_ipxe(x) && again != NULL &&
		script_put_wait(text, again, seconds, &script, &err) == 0) {
		origin_reply_fresh(x, &script, "text/plain; charset=utf-8");
		return;
	}
	if (status == 503)
		http_exchange_reply_later(x, seconds, "%s", text);
	else
		http_exchange_reply_text(x, status, "%s", text);
}

static void answer_failure(struct http_exchange *x, const struct err *failure, const char *log)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *text = path_printf(&err, "snowboot: %s%s%s%s%s%s", failure->msg,
		failure->hint[0] != '\0' ? "\nhint: " : "", failure->hint,
		log != NULL ? "\nthe log: " : "", log != NULL ? log : "",
		log != NULL ? "/log" : "");
	dispatch_answer(x, failure->kind == ERR_NOT_FOUND ? 404 : 500,
		text != NULL ? text : failure->msg, 2 * DISPATCH_AGAIN_SECONDS);
}

/* The query goes with it: cmdline_prefix_args and cmdline_suffix_args are the script's. */
static void answer_system(struct origin *o, struct http_exchange *x, const char *toplevel)
{
	static const char page[] = "see Location\n";
	struct err err = ERR_INIT;
	struct version *v = NULL;
	const char *query = http_exchange_request(x)->query;
	const struct demand demand = {.system = toplevel};
	if (systems_demand(o->systems, &demand, &v, &err) < 0) {
		answer_failure(x, &err, NULL);
		return;
	}
	AUTO_FREE char *location = path_printf(&err, "/boot/%s/netboot.ipxe%s%s",
		path_basename(toplevel), query != NULL ? "?" : "", query != NULL ? query : "");
	struct http_body *body = location == NULL
		? NULL
		: http_body_copy(page, sizeof(page) - 1, "text/plain; charset=utf-8", &err);
	if (body == NULL) {
		http_exchange_reply_text(x, 500, "out of memory");
		return;
	}
	body->location = location;
	http_exchange_reply(x, 302, body);
}

static void answer_result(struct origin *o, struct http_exchange *x, const struct dispatch_job *job)
{
	if (job->toplevel != NULL)
		answer_system(o, x, job->toplevel);
	else
		answer_failure(x, &job->failure, job->path);
}

void dispatch_tell(struct request *r)
{
	struct http_exchange *x = r->exchange;
	struct dispatch_job *job = TAKE_PTR(r->job);
	struct err err = ERR_INIT;
	const char *peer = http_exchange_peer(x);
	if (job->told.len < TOLD_MAX && !strvec_has(&job->told, peer) &&
		strvec_push(&job->told, peer, &err) < 0)
		log_ignored(&err);
	AUTO_FREE char *text = path_printf(
		&err, "snowboot: the system is being built\nthe log: %s/log", job->path);
	dispatch_answer(
		x, 503, text != NULL ? text : "the system is being built", DISPATCH_AGAIN_SECONDS);
}

static void finish(struct dispatch_job *job, const struct err *failure)
{
	struct origin *o = job->origin;
	job->running = false;
	o->dispatch->running--;
	job->failure = *failure;
	if (err_clean(failure) &&
		system_resolve(job->link, STORE_DIR, &job->toplevel, &job->failure) < 0)
		job->toplevel = NULL;
	if (job->toplevel != NULL) {
		log_info("'%s' is '%s'", job->path, job->toplevel);
		if (job->old_link != NULL)
			(void)unlink(job->old_link); /* replaced by the new one */
		free(TAKE_PTR(job->old_link));
	} else {
		log_error("cannot make '%s': %s", job->path, job->failure.msg);
	}
	struct request *r = TAILQ_FIRST(&o->requests);
	while (r != NULL) {
		struct request *next = TAILQ_NEXT(r, entry);
		if (r->job == job) {
			r->job = NULL;
			answer_result(o, r->exchange, job);
		}
		r = next;
	}
}

static void on_built(const struct err *failure, void *data)
{
	struct dispatch_job *job = data;
	struct err copy = *failure;
	job->build = build_free(job->build);
	finish(job, &copy);
}

static int build(struct dispatch_job *job, const char *const argv[], struct err *err)
{
	int r = build_start(job->origin->base, argv, job->log, on_built, job, &job->build, err);
	if (r < 0 && err->kind == ERR_NOT_FOUND)
		return err_hint(err, "this needs Nix on the server");
	return r;
}

static void on_asked(const char *path, const struct err *failure, void *data)
{
	struct dispatch_job *job = data;
	struct err err = *failure;
	if (path != NULL) {
		const char *const argv[] = {"nix-store", "--realise", path, "--add-root", job->link,
			"--indirect", NULL};
		if (build(job, argv, &err) == 0) {
			job->query = hydra_free(job->query);
			return;
		}
	}
	job->query = hydra_free(job->query);
	finish(job, &err);
}

static int start_configuration(struct dispatch *d, struct dispatch_job *job,
	const struct dispatch_name *name, struct err *err)
{
	AUTO_FREE char *file =
		path_printf(err, "%s/%s/default.nix", d->options.configurations, name->parts[0]);
	if (file == NULL)
		return -1;
	if (access(file, R_OK) < 0)
		return err_sys(err, "cannot read '%s'", file);
	const char *const argv[] = {"nix-build", file, "--out-link", job->link, NULL};
	return build(job, argv, err);
}

/* The host of "HOST", "https://HOST" or "http://HOST"; the last one is asked without TLS. */
static const char *host_of(const char *server, bool *ret_plain)
{
	static const char plain[] = "http://", tls[] = "https://";
	*ret_plain = strncmp(server, plain, strlen(plain)) == 0;
	if (*ret_plain)
		return server + strlen(plain);
	return strncmp(server, tls, strlen(tls)) == 0 ? server + strlen(tls) : server;
}

/* How a server may be asked; NULL: not at all. */
static const char *scheme_of(const struct dispatch *d, const char *host)
{
	for (size_t i = 0; i < d->options.hydra.len; i++) {
		bool plain;
		if (strcmp(host_of(d->options.hydra.items[i], &plain), host) == 0)
			return plain ? "http" : "https";
	}
	return NULL;
}

static int start_hydra(struct dispatch *d, struct dispatch_job *job,
	const struct dispatch_name *name, struct err *err)
{
	char *const *p = name->parts;
	const char *scheme = scheme_of(d, p[0]);
	if (scheme == NULL) {
		err_raise(err, ERR_NOT_FOUND, "the server may not ask '%s'", p[0]);
		return err_hint(err, "allow it with --hydra %s", p[0]);
	}
	AUTO_FREE char *url =
		path_printf(err, "%s://%s/job/%s/%s/%s/latest", scheme, p[0], p[1], p[2], p[3]);
	return url == NULL ? -1
			   : hydra_ask(job->origin->base, url, on_asked, job, &job->query, err);
}

static struct dispatch_job *find_job(struct dispatch *d, const char *path)
{
	struct dispatch_job *job;
	TAILQ_FOREACH(job, &d->jobs, entry)
		if (strcmp(job->path, path) == 0)
			return job;
	return NULL;
}

/* Files are named by a digest: the path may be longer than a file name. */
static int name_files(struct dispatch *d, struct dispatch_job *job, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	const struct digest digest = digest_of(job->path, strlen(job->path));
	digest_hex(&digest, hex);
	job->log = path_printf(err, "%s/%.32s.log", d->dir, hex);
	job->link = path_printf(err, "%s/%.32s-%ld-%u", d->dir, hex, (long)getpid(), ++d->count);
	return job->log == NULL || job->link == NULL ? -1 : 0;
}

static struct dispatch_job *add_job(struct origin *o, const char *path, struct err *err)
{
	struct dispatch *d = o->dispatch;
	struct dispatch_job *job = calloc(1, sizeof(*job)), *oldest;
	if (job == NULL) {
		err_oom(err);
		return NULL;
	}
	TAILQ_INSERT_HEAD(&d->jobs, job, entry);
	d->len++;
	job->origin = o;
	job->failure = ERR_INIT;
	job->path = path_printf(err, "%s", path);
	if (job->path == NULL || name_files(d, job, err) < 0) {
		job_free(d, job);
		return NULL;
	}
	oldest = TAILQ_LAST(&d->jobs, job_list);
	if (d->len > JOBS_MAX && !oldest->running)
		job_free(d, oldest);
	return job;
}

/* A new job in place of an old one, whose result stays held until there is another. */
static struct dispatch_job *begin(struct origin *o, const struct dispatch_name *name,
	struct dispatch_job *old, struct err *err)
{
	struct dispatch *d = o->dispatch;
	if (d->running >= JOBS_RUNNING_MAX) {
		err_raise(err, ERR_AGAIN, "%zu systems are being built already", d->running);
		return NULL;
	}
	struct dispatch_job *job = add_job(o, name->path, err);
	if (job == NULL)
		return NULL;
	if (old != NULL) {
		char **held = old->toplevel != NULL ? &old->link : &old->old_link;
		job->old_link = TAKE_PTR(*held);
		job_free(d, old);
	}
	job->running = true;
	d->running++;
	int r = name->kind == DISPATCH_HYDRA ? start_hydra(d, job, name, err)
					     : start_configuration(d, job, name, err);
	if (r == 0)
		return job;
	job_free(d, job);
	return NULL;
}

static bool take_told(struct dispatch_job *job, const char *peer)
{
	for (size_t i = 0; i < job->told.len; i++) {
		if (strcmp(job->told.items[i], peer) != 0)
			continue;
		free(job->told.items[i]);
		job->told.items[i] = job->told.items[--job->told.len];
		return true;
	}
	return false;
}

static void reply_job(struct origin *o, struct http_exchange *x, const struct dispatch_name *name)
{
	struct err err = ERR_INIT;
	struct dispatch_job *job = find_job(o->dispatch, name->path);
	if (job != NULL && !job->running && take_told(job, http_exchange_peer(x))) {
		answer_result(o, x, job);
		return;
	}
	if (job == NULL || !job->running)
		job = begin(o, name, job, &err);
	if (job == NULL && err.kind == ERR_AGAIN) {
		dispatch_answer(x, 503, err.msg, DISPATCH_AGAIN_SECONDS);
		return;
	}
	if (job == NULL) {
		answer_failure(x, &err, NULL);
		return;
	}
	struct request *r = origin_request(o, x);
	if (r == NULL)
		return;
	r->job = job;
	r->deadline_us = hub_now_us() + (o->stopping ? 0 : DISPATCH_HOLD_US);
}

static void reply_profile(
	struct origin *o, struct http_exchange *x, const struct dispatch_name *name)
{
	struct err err = ERR_INIT;
	char *toplevel = NULL;
	AUTO_FREE char *link =
		path_printf(&err, "%s/%s", o->dispatch->options.profiles, name->parts[0]);
	if (link == NULL || system_resolve(link, STORE_DIR, &toplevel, &err) < 0)
		answer_failure(x, &err, NULL);
	else
		answer_system(o, x, toplevel);
	free(toplevel);
}

static void reply_log(struct origin *o, struct http_exchange *x, const struct dispatch_name *name)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	const struct dispatch_job *job = find_job(o->dispatch, name->path);
	if (job == NULL || fd_read_file(AT_FDCWD, job->log, LOG_MAX, &text, &err) < 0)
		http_exchange_reply_text(x, 404, "there is no log of '%s'", name->path);
	else
		origin_reply_fresh(x, &text, "text/plain; charset=utf-8");
}

static bool is_allowed(const struct dispatch_options *options, enum dispatch_kind kind)
{
	switch (kind) {
	case DISPATCH_PROFILE:
		return options->profiles != NULL;
	case DISPATCH_CONFIGURATION:
		return options->configurations != NULL;
	case DISPATCH_HYDRA:
		return options->hydra.len > 0;
	}
	return false;
}

void dispatch_reply(struct origin *o, struct http_exchange *x, const struct route *route)
{
	struct err err = ERR_INIT;
	AUTO_DISPATCH_NAME name = {0};
	int r = dispatch_name_parse(route->name, &name, &err);
	if (r < 0)
		http_exchange_reply_text(x, 500, "%s", err.msg);
	else if (r == 0 || !is_allowed(&o->dispatch->options, name.kind))
		http_exchange_reply_text(
			x, 404, "there is nothing at '%s'", http_exchange_request(x)->path);
	else if (name.kind == DISPATCH_PROFILE)
		reply_profile(o, x, &name);
	else if (name.log)
		reply_log(o, x, &name);
	else
		reply_job(o, x, &name);
}

/* Links of servers that were killed: HEX-PID-N. */
static int sweep(const char *dir, struct err *err)
{
	AUTO_DIR *d = fd_opendir(AT_FDCWD, dir);
	if (d == NULL)
		return err_sys(err, "cannot read '%s'", dir);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		long pid;
		unsigned number;
		if (sscanf(e->d_name, "%*32[0-9a-f]-%ld-%u", &pid, &number) == 2 && pid > 0 &&
			kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			(void)unlinkat(dirfd(d), e->d_name, 0); /* the next one tries again */
	}
	return 0;
}

static int check_directory(const char *dir, const char *whose, struct err *err)
{
	AUTO_DIR *d = dir != NULL ? fd_opendir(AT_FDCWD, dir) : NULL;
	if (dir != NULL && d == NULL)
		return err_sys(err, "cannot read the %s' directory '%s'", whose, dir);
	return 0;
}

/* What is written wrong would only be seen by clients, as a name that is not there. */
static int check(const struct dispatch_options *options, struct err *err)
{
	for (size_t i = 0; i < options->hydra.len; i++) {
		bool plain;
		const char *server = options->hydra.items[i];
		if (!dispatch_name_is_part(host_of(server, &plain)))
			return err_raise(err, ERR_USAGE,
				"--hydra takes HOST, HOST:PORT or http://HOST, not '%s'", server);
	}
	return check_directory(options->profiles, "profiles", err) < 0 ||
			check_directory(options->configurations, "configurations", err) < 0
		? -1
		: 0;
}

int dispatch_new(const struct dispatch_options *options, struct dispatch **ret, struct err *err)
{
	struct dispatch *d = calloc(1, sizeof(*d));
	bool builds = options->configurations != NULL || options->hydra.len > 0;
	if (d == NULL)
		return err_oom(err);
	TAILQ_INIT(&d->jobs);
	d->options = *options;
	int r = check(options, err);
	if (r == 0 && builds) {
		d->dir = path_printf(err, "%s/builds", options->state_dir);
		r = d->dir == NULL || path_mkdirs(d->dir, err) < 0 ? -1 : sweep(d->dir, err);
	}
	if (r < 0)
		dispatch_free(d);
	else
		*ret = d;
	return r;
}

struct dispatch *dispatch_free(struct dispatch *d)
{
	if (d == NULL)
		return NULL;
	for (struct dispatch_job *job; (job = TAILQ_FIRST(&d->jobs)) != NULL;)
		job_free(d, job);
	free(d->dir);
	free(d);
	return NULL;
}
