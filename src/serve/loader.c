/* SPDX-License-Identifier: MIT */
/*
 * What boot loaders fetch by TFTP: iPXE's programs out of their folder, and kernel and initrd under
 * the names that HTTP has for them. A request for a boot that is still being made waits, as it does
 * by HTTP; the client asks again in the meantime, and is one request all the same.
 */
#include "base/fd.h"
#include "base/path.h"
#include "serve/parts.h"
#include "tftp/server.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct loading {
	TAILQ_ENTRY(loading) entry;
	struct tftp_exchange *exchange;
	const char *step;    /* what it is called in journal and timeline */
	enum boot_file file; /* of the boot that it waits for or gets */
	char *toplevel;      /* waits for this boot; NULL: does not */
	char system[256];    /* file name of the toplevel, or "" */
};

struct file_body {
	struct http_body body;
	char path[];
};

static void file_piece_at(const struct http_body *body, uint64_t off, struct http_piece *ret)
{
	*ret = (struct http_piece){
		.kind = HTTP_PIECE_FILE,
		.len = body->size - off,
		.path = ((const struct file_body *)body)->path,
		.file_off = off,
	};
}

static void file_release(struct http_body *body)
{
	free(body);
}

static const struct http_body_ops file_ops = {
	.piece_at = file_piece_at,
	.release = file_release,
};

/* A regular file as a body. ERR_NOT_FOUND when it is none, ERR_IO, ERR_NOMEM. */
static struct http_body *file_body(const char *path, struct err *err)
{
	struct stat st;
	AUTO_FD int fd = -1;
	/* Not to wait for who writes to a FIFO. */
	if (fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err) < 0)
		return NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		err_raise(err, ERR_NOT_FOUND, "'%s' is no file", path);
		return NULL;
	}
	struct file_body *body = malloc(sizeof(*body) + strlen(path) + 1);
	if (body == NULL) {
		err_oom(err);
		return NULL;
	}
	body->body = (struct http_body){.ops = &file_ops, .size = (uint64_t)st.st_size};
	memcpy(body->path, path, strlen(path) + 1);
	return &body->body;
}

static void loading_free(struct origin *o, struct loading *l)
{
	TAILQ_REMOVE(&o->loadings, l, entry);
	tftp_exchange_set_tag(l->exchange, NULL);
	free(l->toplevel);
	free(l);
}

/* A file of the folder; as in lower case if there is none so, since some ROMs know capitals only.
 */
static void load_file(struct origin *o, struct tftp_exchange *x)
{
	struct err err = ERR_INIT;
	struct http_body *body = NULL;
	const char *dir = o->options.ipxe_dir;
	AUTO_FREE char *path =
		dir == NULL ? NULL : path_printf(&err, "%s/%s", dir, tftp_exchange_path(x));
	if (path != NULL)
		body = file_body(path, &err);
	if (path != NULL && body == NULL && err.kind == ERR_NOT_FOUND) {
		err_reset(&err);
		for (char *p = path + strlen(dir); *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		body = file_body(path, &err);
	}
	if (body != NULL)
		tftp_exchange_reply(x, body);
	else if (err_clean(&err) || err.kind == ERR_NOT_FOUND)
		tftp_exchange_refuse(x, TFTP_CODE_NOT_FOUND, "there is no such file");
	else
		tftp_exchange_refuse(x, TFTP_CODE_ACCESS, "%s", err.msg);
}

static void load_boot(struct loading *l, struct boot *boot)
{
	struct err err = ERR_INIT;
	struct http_body *body = l->file == BOOT_KERNEL ? boot_kernel_body(boot, &err)
							: boot_initrd_body(boot, &err);
	if (body != NULL)
		tftp_exchange_reply(l->exchange, body);
	else
		tftp_exchange_refuse(l->exchange, TFTP_CODE_OTHER, "%s", err.msg);
}

/* Kernel or initrd of a system. */
static void find_boot(struct origin *o, struct loading *l, const struct route *route)
{
	struct version *v = systems_find(o->systems, route->name, route->name_len);
	l->file = route->file;
	l->step = boot_file_step(route->file);
	if (v == NULL || route->file == BOOT_SCRIPT) {
		tftp_exchange_refuse(l->exchange, TFTP_CODE_NOT_FOUND, "there is no such file");
		return;
	}
	snprintf(l->system, sizeof(l->system), "%s", path_basename(v->toplevel));
	if (v->boot != NULL) {
		load_boot(l, v->boot);
		return;
	}
	if (!err_clean(&v->failure)) {
		tftp_exchange_refuse(l->exchange, TFTP_CODE_OTHER, "%s", v->failure.msg);
		return;
	}
	l->toplevel = strdup(v->toplevel);
	if (l->toplevel == NULL)
		tftp_exchange_refuse(l->exchange, TFTP_CODE_OTHER, "out of memory");
}

void origin_load(struct tftp_exchange *x, void *data)
{
	struct origin *o = data;
	struct loading *l = calloc(1, sizeof(*l));
	if (l == NULL) {
		tftp_exchange_refuse(x, TFTP_CODE_OTHER, "out of memory");
		return;
	}
	l->exchange = x;
	l->step = "tftp";
	tftp_exchange_set_tag(x, l);
	TAILQ_INSERT_TAIL(&o->loadings, l, entry);
	char path[TFTP_NAME_MAX + 2];
	snprintf(path, sizeof(path), "/%s", tftp_exchange_path(x));
	struct route route = route_parse(path);
	if (route.kind == ROUTE_BOOT)
		find_boot(o, l, &route);
	else
		load_file(o, x);
}

void loader_made(
	struct origin *o, const char *toplevel, struct boot *boot, const struct err *failure)
{
	struct loading *l = TAILQ_FIRST(&o->loadings);
	while (l != NULL) {
		struct loading *next = TAILQ_NEXT(l, entry);
		if (l->toplevel != NULL && strcmp(l->toplevel, toplevel) == 0) {
			free(TAKE_PTR(l->toplevel));
			if (boot != NULL)
				load_boot(l, boot);
			else
				tftp_exchange_refuse(
					l->exchange, TFTP_CODE_OTHER, "%s", failure->msg);
		}
		l = next;
	}
}

void loader_look(struct origin *o)
{
	struct loading *l;
	TAILQ_FOREACH(l, &o->loadings, entry) {
		char mac[18];
		const char *peer = tftp_exchange_peer(l->exchange);
		uint64_t sent, len;
		tftp_exchange_progress(l->exchange, &sent, &len);
		struct machine *m = len == 0
			? NULL
			: machines_get(&o->machines, journal_find_mac(peer, mac) ? mac : NULL, peer,
				  hub_now_us());
		if (m != NULL)
			machine_transfers(m, l->step, (unsigned)(100 * sent / len));
	}
}

void origin_loaded(struct tftp_exchange *x, const struct tftp_outcome *outcome, void *data)
{
	struct origin *o = data;
	struct loading *l = tftp_exchange_tag(x); /* NULL: refused before it came to us */
	char mac[18], system[sizeof(l->system)] = "";
	const char *name = tftp_exchange_request(x)->name;
	const struct journal_step step = {
		.step = l != NULL ? l->step : "tftp",
		.client = tftp_exchange_peer(x),
		.mac = journal_find_mac(tftp_exchange_peer(x), mac) ? mac : NULL,
		.subject = name[0] != '\0' ? name : NULL,
		.bytes = outcome->sent,
		.total_bytes = outcome->len,
		.elapsed_us = outcome->len > 0 ? outcome->elapsed_us : 0,
		.note = outcome->failure,
	};
	o->loaded.requests++;
	o->loaded.bytes += outcome->sent;
	if (l != NULL)
		memcpy(system, l->system, sizeof(system));
	if (l != NULL)
		loading_free(o, l);
	origin_saw(o, &step, true);
	struct machine *m = machines_find(&o->machines, step.client, strlen(step.client));
	if (m != NULL && system[0] != '\0')
		machine_set_system(m, system);
}
