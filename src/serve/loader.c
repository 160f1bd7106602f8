/* SPDX-License-Identifier: MIT */
/*
 * What boot loaders fetch by TFTP: iPXE's programs out of their folder, kernel and initrd under the
 * names that HTTP has for them, and what those need that read extlinux.conf. A request for a boot
 * that is still being made waits, as it does by HTTP; the client asks again in the meantime, and is
 * one request all the same.
 */
#include "base/fd.h"
#include "base/path.h"
#include "serve/parts.h"
#include "serve/script.h"
#include "tftp/server.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TREES "/dtbs/" /* behind a system's name */

struct loading {
	TAILQ_ENTRY(loading) entry;
	struct tftp_exchange *exchange;
	const char *step; /* what it is called in journal and timeline */
	/* Answers when the boot is made. */
	void (*give)(struct loading *l, struct boot *boot);
	struct origin *origin;
	struct extlinux_who who; /* of give_config() */
	char *toplevel;          /* waits for this boot; NULL: does not */
	char system[256];        /* file name of the toplevel, or "" */
	unsigned told;           /* tenths of its way that were events */
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

static void refuse_missing(struct tftp_exchange *x)
{
	tftp_exchange_refuse(x, TFTP_CODE_NOT_FOUND, "there is no such file");
}

/* Answers with a body, or with why there is none. */
static void reply(struct tftp_exchange *x, struct http_body *body, const struct err *err)
{
	if (body != NULL)
		tftp_exchange_reply(x, body);
	else
		tftp_exchange_refuse(x, TFTP_CODE_OTHER, "%s", err->msg);
}

static void reply_text(struct tftp_exchange *x, const struct buf *text)
{
	struct err err = ERR_INIT;
	reply(x, http_body_copy(text->data, text->len, NULL, &err), &err);
}

/* The script that U-Boot's default boot command asks for (boot_script_dhcp in its environment). */
static void load_script(struct tftp_exchange *x)
{
	struct err err = ERR_INIT;
	AUTO_BUF script = {0};
	if (extlinux_put_script(&script, &err) < 0)
		reply(x, NULL, &err);
	else
		reply_text(x, &script);
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
	else if (strcmp(path_basename(tftp_exchange_path(x)), "boot.scr.uimg") == 0)
		load_script(x);
	else if (err_clean(&err) || err.kind == ERR_NOT_FOUND)
		refuse_missing(x);
	else
		tftp_exchange_refuse(x, TFTP_CODE_ACCESS, "%s", err.msg);
}

static void give_kernel(struct loading *l, struct boot *boot)
{
	struct err err = ERR_INIT;
	reply(l->exchange, boot_kernel_body(boot, &err), &err);
}

static void give_initrd(struct loading *l, struct boot *boot)
{
	struct err err = ERR_INIT;
	reply(l->exchange, boot_initrd_body(boot, &err), &err);
}

/* A file of the system's device trees; boards ask for several names. */
static void give_device_tree(struct loading *l, struct boot *boot)
{
	struct err err = ERR_INIT;
	const char *name = strstr(tftp_exchange_path(l->exchange), TREES) + strlen(TREES);
	AUTO_FREE char *path = boot->device_trees == NULL
		? NULL
		: path_printf(&err, "%s/%s", boot->device_trees, name);
	struct http_body *body = path != NULL ? file_body(path, &err) : NULL;
	if (body != NULL)
		tftp_exchange_reply(l->exchange, body);
	else
		refuse_missing(l->exchange);
}

/*
 * How this client reaches our HTTP: at the address that it asked by TFTP, when HTTP listens on all
 * of them.
 */
static char *http_url(const struct origin *o, const struct tftp_exchange *x, struct err *err)
{
	const char *own = tftp_exchange_own(x), *port = strrchr(o->url, ':');
	bool any = strncmp(o->url, "http://0.0.0.0:", 15) == 0 ||
		strncmp(o->url, "http://[::]:", 12) == 0;
	if (!any)
		return path_printf(err, "%s", o->url);
	return strchr(own, ':') != NULL ? path_printf(err, "http://[%s]%s", own, port)
					: path_printf(err, "http://%s%s", own, port);
}

/* Asked anew when a boot was made: the rules may say something else by then. */
static void give_config(struct loading *l, struct boot *boot)
{
	(void)boot;
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	AUTO_FREE char *toplevel = NULL;
	AUTO_FREE char *url = http_url(l->origin, l->exchange, &err);
	const struct pxelinux_question q = {
		.who = l->who, .client = tftp_exchange_peer(l->exchange), .url = url};
	int ready = url == NULL ? -1 : pxelinux_answer(l->origin, &q, &text, &toplevel, &err);
	if (ready < 0) {
		tftp_exchange_refuse(l->exchange,
			err.kind == ERR_NOT_FOUND ? TFTP_CODE_NOT_FOUND : TFTP_CODE_OTHER, "%s",
			err.msg);
		return;
	}
	snprintf(l->system, sizeof(l->system), "%s", path_basename(toplevel));
	if (ready == 1)
		reply_text(l->exchange, &text);
	else
		l->toplevel = TAKE_PTR(toplevel);
}

/* Gives what it asks for out of a boot, or lets it wait until that is made. */
static void load_of(struct loading *l, const struct version *v)
{
	snprintf(l->system, sizeof(l->system), "%s", path_basename(v->toplevel));
	if (v->boot != NULL) {
		l->give(l, v->boot);
		return;
	}
	if (!err_clean(&v->failure)) {
		reply(l->exchange, NULL, &v->failure);
		return;
	}
	l->toplevel = strdup(v->toplevel);
	if (l->toplevel == NULL)
		tftp_exchange_refuse(l->exchange, TFTP_CODE_OTHER, "out of memory");
}

/* iPXE that begins by TFTP goes on by HTTP, where the script is what its machine boots. */
static void give_script(struct loading *l, const char *path)
{
	struct err err = ERR_INIT;
	AUTO_BUF text = {0};
	AUTO_FREE char *own = http_url(l->origin, l->exchange, &err);
	AUTO_FREE char *url = own != NULL ? path_printf(&err, "%s%s", own, path) : NULL;
	if (url == NULL || script_put_ask(url, NULL, &text, &err) < 0)
		reply(l->exchange, NULL, &err);
	else
		reply_text(l->exchange, &text);
}

/* What is below /boot/NAME/: false when it is nothing of a system. */
static bool load_boot(struct loading *l, const char *path)
{
	struct origin *o = l->origin;
	struct route route = route_parse(path);
	const char *trees = strstr(path, TREES);
	const struct version *v = NULL;
	if (route.kind == ROUTE_BOOT && (route.file == BOOT_KERNEL || route.file == BOOT_INITRD)) {
		v = origin_system(o, route.name, route.name_len);
		l->give = route.file == BOOT_KERNEL ? give_kernel : give_initrd;
		l->step = boot_file_step(route.file);
	} else if (strncmp(path, "/boot/", 6) == 0 && trees != NULL && trees > path + 6) {
		v = origin_system(o, path + 6, (size_t)(trees - path) - 6);
		l->give = give_device_tree;
		l->step = "device tree";
	}
	if (v != NULL)
		load_of(l, v);
	if (v != NULL || route.kind != ROUTE_BOOT || route.file != BOOT_SCRIPT)
		return v != NULL;
	bool known =
		choice_is_asked(o, &route) || origin_system(o, route.name, route.name_len) != NULL;
	if (known)
		give_script(l, path);
	return known;
}

static void load_config(struct loading *l, const char *name)
{
	if (!extlinux_name_read(name, strlen(name), &l->who)) {
		refuse_missing(l->exchange);
		return;
	}
	l->step = boot_file_step(BOOT_SCRIPT);
	l->give = give_config;
	give_config(l, NULL);
}

void origin_load(struct tftp_exchange *x, void *data)
{
	struct origin *o = data;
	struct loading *l = calloc(1, sizeof(*l));
	if (l == NULL) {
		tftp_exchange_refuse(x, TFTP_CODE_OTHER, "out of memory");
		return;
	}
	*l = (struct loading){.origin = o, .exchange = x, .step = "tftp"};
	tftp_exchange_set_tag(x, l);
	TAILQ_INSERT_TAIL(&o->loadings, l, entry);
	char path[TFTP_NAME_MAX + 2];
	snprintf(path, sizeof(path), "/%s", tftp_exchange_path(x));
	const char *name = extlinux_path_name(path);
	if (name != NULL)
		load_config(l, name);
	else if (!load_boot(l, path))
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
				l->give(l, boot);
			else
				reply(l->exchange, NULL, failure);
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

bool loader_loads(const struct origin *o, const char *client)
{
	const struct loading *l;
	TAILQ_FOREACH(l, &o->loadings, entry)
		if (strcmp(tftp_exchange_peer(l->exchange), client) == 0)
			return true;
	return false;
}

void loader_tell(struct origin *o)
{
	struct loading *l;
	TAILQ_FOREACH(l, &o->loadings, entry) {
		struct journal_step step = {
			.step = l->step,
			.client = tftp_exchange_peer(l->exchange),
			.subject = tftp_exchange_request(l->exchange)->name,
		};
		tftp_exchange_progress(l->exchange, &step.bytes, &step.total_bytes);
		news_of_transfer(o, &step, &l->told);
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
