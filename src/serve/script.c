/* SPDX-License-Identifier: MIT */
/*
 * Works with any iPXE since 1.0: no command that a BIOS build may lack. `initrd=initrd` names the
 * file for EFI kernels before 5.8, which find it by name; others ignore it.
 */
#include "serve/script.h"

#include "serve/client.h"

#include <string.h>

/*
 * Milliseconds in which a peer's transfer must go on (ipxe.org/cmd/kernel). Without it iPXE waits
 * for ever for a machine that was switched off in the middle.
 */
#define PEER_PROGRESS_MS "5000"

/* iPXE expands ${…} and ends a command at the words ; && and ||. It has no quoting. */
static int check(const char *cmdline, struct err *err)
{
	if (strstr(cmdline, "${") != NULL)
		return err_raise(err, ERR_UNSUPPORTED,
			"the kernel command line has '${', which iPXE would expand");
	static const char *const words[] = {";", "&&", "||"};
	for (const char *p = cmdline; *p != '\0';) {
		p += strspn(p, " \t\n");
		size_t len = strcspn(p, " \t\n");
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (len == strlen(words[i]) && strncmp(p, words[i], len) == 0)
				return err_raise(err, ERR_UNSUPPORTED,
					"the kernel command line has the word '%s', which iPXE "
					"takes for the end of its own command",
					words[i]);
		p += len;
	}
	if (strchr(cmdline, '\n') != NULL)
		return err_raise(err, ERR_UNSUPPORTED, "the kernel command line has a line break");
	return 0;
}

/* The lines that load; `extra` is ours and may have what iPXE expands. */
struct loads {
	const char *dir, *peer, *cmdline, *extra;
	const char *kernel, *initrd; /* URLs instead of dir, or NULL */
};

static int put_loads(const struct loads *l, struct buf *out, struct err *err)
{
	/* iPXE: "a || b || c" runs b when a failed, c when that failed, too. */
	if (buf_put_str(out, ":start\n", err) < 0)
		return -1;
	if (l->kernel != NULL)
		return buf_printf(out, err,
			"kernel --name bzImage %s initrd=initrd %s%s || goto failed\n"
			"initrd --name initrd %s || goto failed\n",
			l->kernel, l->cmdline, l->extra, l->initrd);
	if (l->peer != NULL &&
		buf_printf(out, err,
			"kernel --timeout " PEER_PROGRESS_MS " %s%sbzImage initrd=initrd %s%s || ",
			l->peer, l->dir, l->cmdline, l->extra) < 0)
		return -1;
	if (buf_printf(out, err, "kernel %sbzImage initrd=initrd %s%s || goto failed\n", l->dir,
		    l->cmdline, l->extra) < 0)
		return -1;
	if (l->peer != NULL &&
		buf_printf(out, err, "initrd --timeout " PEER_PROGRESS_MS " %s%sinitrd || ",
			l->peer, l->dir) < 0)
		return -1;
	return buf_printf(out, err, "initrd %sinitrd || goto failed\n", l->dir);
}

static int put(const char *name, const struct loads *loads, struct buf *out, struct err *err)
{
	if (check(loads->cmdline, err) < 0 ||
		buf_printf(out, err, "#!ipxe\necho snowboot: %s\n", name) < 0 ||
		put_loads(loads, out, err) < 0)
		return -1;
	return buf_put_str(out,
		"boot || goto failed\n"
		":failed\n"
		"imgfree\n"
		"echo snowboot: that did not work, trying again in 10 seconds\n"
		"sleep 10\n"
		"goto start\n",
		err);
}

int script_put(
	const char *name, const char *dir, const char *cmdline, struct buf *out, struct err *err)
{
	const struct loads loads = {.dir = dir, .cmdline = cmdline, .extra = ""};
	return put(name, &loads, out, err);
}

/*
 * netX is the card that iPXE used last, hexhyp writes its address as PXELINUX does: BOOTIF=01-aa-…,
 * 01 being Ethernet (RFC 1700).
 */
int script_put_net(const struct script_net *script, struct buf *out, struct err *err)
{
	AUTO_BUF extra = {0};
	if (buf_printf(&extra, err, " snowboot.origin=%s BOOTIF=01-${netX/mac:hexhyp}",
		    script->origin) < 0)
		return -1;
	const struct loads loads = {
		.dir = script->dir,
		.peer = script->peer,
		.cmdline = script->cmdline,
		.kernel = script->kernel,
		.initrd = script->initrd,
		.extra = buf_str(&extra, err),
	};
	return loads.extra == NULL ? -1 : put(script->name, &loads, out, err);
}

/* A URL as it came, put into a script: nothing in it may be iPXE's. */
static int check_url(const char *url, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"
				      "89-._~%+=&:/,@?!*'()[]";
	if (url[strspn(url, allowed)] != '\0')
		return err_raise(err, ERR_USAGE,
			"the URL has '%.1s', which has to be written as %%%02X",
			url + strspn(url, allowed), (unsigned char)url[strspn(url, allowed)]);
	return 0;
}

int script_put_ask(const char *path, const char *more, struct buf *out, struct err *err)
{
	if (check_url(path, err) < 0 || (more != NULL && check_url(more, err) < 0))
		return -1;
	/* --replace: a script that chains for days would end up without stack. */
	return buf_printf(out, err,
		"#!ipxe\n"
		":start\n"
		"chain --replace %s?" CLIENT_QUERY_IPXE "%s%s || goto failed\n"
		":failed\n"
		"echo snowboot: that did not work, trying again in 10 seconds\n"
		"sleep 10\n"
		"goto start\n",
		path, more != NULL && more[0] != '\0' ? "&" : "", more != NULL ? more : "");
}

/* iPXE has no quoting: what it would expand, or take for the end of a command, cannot be shown. */
static int put_line(const char *line, size_t len, struct buf *out, struct err *err)
{
	if (buf_put_str(out, "echo ", err) < 0)
		return -1;
	for (size_t i = 0; i < len; i++) {
		char c = line[i];
		if (strchr("$;&|#", c) != NULL || (unsigned char)c < ' ')
			c = '?';
		if (buf_put(out, &c, 1, err) < 0)
			return -1;
	}
	return buf_put_str(out, "\n", err);
}

int script_put_wait(
	const char *lines, const char *path, unsigned seconds, struct buf *out, struct err *err)
{
	if (check_url(path, err) < 0 || buf_put_str(out, "#!ipxe\nimgfree\n", err) < 0)
		return -1;
	for (const char *line = lines; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		if (put_line(line, len, out, err) < 0)
			return -1;
		line += len + (line[len] == '\n');
	}
	return buf_printf(out, err,
		"echo snowboot: asking again in %u seconds\n"
		":again\n"
		"sleep %u\n"
		"chain --replace %s || goto again\n",
		seconds, seconds, path);
}
