/* SPDX-License-Identifier: MIT */
/* snowboot status: asks an origin or a node and shows what it answers. */
#include "base/outfile.h"
#include "base/path.h"
#include "cli/command.h"
#include "status/chart.h"
#include "status/fetch.h"
#include "status/page.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define URL_DEFAULT "http://127.0.0.1:8080"
#define NODE_SOCKET "/run/snowboot/node.sock"
#define WATCH_MS 1000
#define COLUMNS_DEFAULT 100

static const struct cli_option options[] = {
	{0, "socket", "FILE", "ask the node that listens on this unix socket", "@file"},
	{0, "watch", NULL, "show it again each second, until interrupted", NULL},
	{0, "timeline", "MACHINE", "the last boot of a machine (address or id) as a chart", NULL},
	{0, "svg", "FILE", "draw the timeline into this file", "@file"},
	{0},
};

/* The one that is named; else the node of this machine, if it has one; else an origin on it. */
static int choose_source(const struct cli_args *args, struct status_source *ret, struct err *err)
{
	const char *url = args->operands.len > 0 ? args->operands.items[0] : NULL;
	const char *socket = cli_option(args, "socket", NULL);
	if (url != NULL && socket != NULL)
		return err_raise(err, ERR_USAGE, "a URL and --socket exclude each other");
	*ret = (struct status_source){.url = url, .socket = socket};
	bool timeline = cli_flag(args, "timeline"); /* which only origins have */
	if (url == NULL && socket == NULL && !timeline && access(NODE_SOCKET, F_OK) == 0)
		ret->socket = NODE_SOCKET;
	else if (url == NULL && socket == NULL)
		ret->url = URL_DEFAULT;
	return 0;
}

static unsigned terminal_columns(void)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return COLUMNS_DEFAULT;
}

static int fetch(
	const struct status_source *source, const char *path, struct buf *out, struct err *err)
{
	if (status_fetch(source, path, out, err) == 0)
		return 0;
	if (err->kind == ERR_AGAIN && source->socket == NULL)
		return err_hint(err, "name the server: snowboot status http://HOST:PORT");
	return -1;
}

static void print(const struct buf *text)
{
	fwrite(text->data, 1, text->len, stdout);
	fflush(stdout);
}

static int show_status(
	const struct cli_args *args, const struct status_source *source, struct err *err)
{
	AUTO_BUF json = {0}, page = {0};
	if (fetch(source, "/v1/status", &json, err) < 0)
		return -1;
	if (args->json) {
		print(&json);
		return 0;
	}
	const char *name = source->socket != NULL ? source->socket : source->url;
	bool clear = cli_flag(args, "watch") && isatty(STDOUT_FILENO);
	/* ECMA-48: cursor home, then erase what is below, so that nothing flickers */
	if ((clear && buf_put_str(&page, "\033[H\033[J", err) < 0) ||
		status_page(name, json.data, json.len, &page, err) < 0)
		return -1;
	print(&page);
	return 0;
}

static int show_timeline(
	const struct cli_args *args, const struct status_source *source, struct err *err)
{
	const char *machine = cli_option(args, "timeline", NULL),
		   *svg = cli_option(args, "svg", NULL);
	if (machine[0] == '\0' || strpbrk(machine, "/?# %") != NULL)
		return err_raise(
			err, ERR_USAGE, "--timeline takes an address or an id, not '%s'", machine);
	AUTO_FREE char *path = path_printf(err, "/v1/machines/%s", machine);
	AUTO_BUF json = {0}, text = {0};
	AUTO_CHART chart = {0};
	if (path == NULL || fetch(source, path, &json, err) < 0)
		return -1;
	if (args->json) {
		print(&json);
		return 0;
	}
	if (chart_decode(json.data, json.len, &chart, err) < 0)
		return -1;
	if (svg != NULL)
		return chart_draw(&chart, &text, err) < 0
			? -1
			: outfile_write(svg, text.data, text.len, err);
	if (chart_plot(&chart, terminal_columns(), &text, err) < 0)
		return -1;
	print(&text);
	return 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	struct status_source source;
	bool timeline = cli_flag(args, "timeline"), watch = cli_flag(args, "watch");
	if (cli_flag(args, "svg") && !timeline)
		return err_raise(err, ERR_USAGE, "--svg needs --timeline MACHINE");
	if (cli_flag(args, "svg") && (watch || args->json))
		return err_raise(
			err, ERR_USAGE, "--svg writes one drawing: without --watch and --json");
	if (choose_source(args, &source, err) < 0)
		return -1;
	for (;;) {
		int r = timeline ? show_timeline(args, &source, err)
				 : show_status(args, &source, err);
		if (r < 0 || !watch)
			return r;
		(void)poll(NULL, 0, WATCH_MS); /* a signal ends the process */
	}
}

const struct command cmd_status = {
	.name = "status",
	.synopsis = "[URL]",
	.summary = "show what an origin or a node is doing",
	.description =
		"Asks the origin or node at URL, or the node of this machine, and shows systems, "
		"machines, how far each one's boot is, and where its bytes came from. "
		"--timeline shows a boot step by step.",
	.min_operands = 0,
	.max_operands = 1,
	.options = options,
	.run = run,
};
