/* SPDX-License-Identifier: MIT */
/*
 * A network of its own, as a node would get it, then one request. In a namespace of its own where
 * that can be had, so that nothing of it is left when the next attempt begins.
 */
#include "stage1/failure.h"

#include "base/fd.h"
#include "base/log.h"
#include "net/net.h"
#include "stage1/kmsg.h"
#include "stage1/machine_id.h"
#include "stage1/netconf.h"
#include "stage1/netroot.h"
#include "stage1/program.h"
#include "stage1/resolver.h"
#include "stage1/sysfile.h"
#include "stage1/teller.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_FD 3
#define URLS_FD 4
#define PAUSE_MS 1000
#define PATIENCE_MS 600000 /* from the first address */
#define WAIT_MS 20000      /* for an address and an answer, before a machine that panics goes */
#define WAIT_STEP_MS 50

struct program {
	struct event_base *base;
	struct netconf conf;
	struct strvec urls;
	struct net *net;
	struct teller *teller;
	struct err failure;
	bool told;
};

/* What came with the initramfs, if something did, and the command line. */
static int read_config(const struct cmdline *cmdline, struct netconf *ret, struct err *err)
{
	AUTO_NETCONF conf = {0};
	AUTO_BUF text = {0};
	if (sysfile_exists(NETCONF_FILE) &&
		(fd_read_file(AT_FDCWD, NETCONF_FILE, NETCONF_MAX, &text, err) < 0 ||
			node_config_decode((const char *)text.data, text.len, &conf.node, err) < 0))
		return -1;
	if (netconf_apply(&conf, cmdline, err) < 0)
		return -1;
	/* The lease of the node is ours, too. Without a name the card's is good enough. */
	struct err nameless = ERR_INIT;
	if (machine_id_find("/sys", cmdline, conf.net.first_mac, conf.node.machine_id, &nameless) <
		0)
		log_debug("%s, going on", nameless.msg);
	*ret = conf;
	conf = (struct netconf){0};
	return 0;
}

/* The network's part of the configuration, which has no secrets and is all that is needed. */
static int keep_config(const struct netconf *conf, int *ret_fd, struct err *err)
{
	AUTO_BUF text = {0};
	AUTO_FD int fd = memfd_create("failure.conf", MFD_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "cannot keep the network's configuration");
	if (netconf_encode(conf, &text, err) < 0 ||
		fd_write_full(fd, text.data, text.len, "the network's configuration", err) < 0)
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int failure_start(const struct err *cause, const struct cmdline *cmdline, struct modules *modules,
	pid_t *ret_pid, struct err *err)
{
	AUTO_NETCONF conf = {0};
	AUTO_FD int config = -1, urls = -1;
	char why[sizeof(cause->msg)];
	*ret_pid = 0;
	ERR_SCOPE(err, "cannot start who tells the server that the boot failed");
	if (read_config(cmdline, &conf, err) < 0)
		return -1;
	if (conf.node.origins.len == 0)
		return 0;
	/* One line, as a server wants it. */
	memcpy(why, cause->msg, sizeof(why));
	for (char *p = why; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	netroot_load_network(cmdline, modules);
	if (keep_config(&conf, &config, err) < 0 ||
		teller_keep_urls(&conf, "failed", why, &urls, err) < 0)
		return -1;
	const int fds[PROGRAM_FDS] = {config, urls, -1};
	return program_start(FAILURE_NAME, fds, ret_pid, err);
}

void failure_wait(pid_t *pid)
{
	for (int waited_ms = 0; *pid > 0 && waited_ms < WAIT_MS; waited_ms += WAIT_STEP_MS) {
		if (waitpid(*pid, NULL, WNOHANG) == *pid)
			*pid = 0;
		else
			poll(NULL, 0, WAIT_STEP_MS);
	}
}

void failure_stop(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
}

static void on_told(const struct err *failure, void *data)
{
	struct program *p = data;
	p->told = failure == NULL;
	if (failure != NULL)
		p->failure = *failure;
	event_base_loopbreak(p->base);
}

static void on_net(const struct net_state *state, void *data)
{
	struct program *p = data;
	const struct teller_params params = {
		.urls = &p->urls, .pause_ms = PAUSE_MS, .patience_ms = PATIENCE_MS};
	bool none = state->address.s_addr == 0 && IN6_IS_ADDR_UNSPECIFIED(&state->address6);
	if (none || p->teller != NULL)
		return;
	resolver_write(state);
	if (teller_new(p->base, &params, on_told, p, &p->teller, &p->failure) < 0)
		event_base_loopbreak(p->base);
}

static int run(struct program *p, struct err *err)
{
	AUTO_FREE char *text = malloc(NETCONF_MAX);
	size_t len;
	p->base = event_base_new();
	if (text == NULL || p->base == NULL)
		return err_oom(err);
	if (fd_pread_full(CONFIG_FD, text, NETCONF_MAX, 0, "the configuration", &len, err) < 0 ||
		netconf_decode(text, len, &p->conf, err) < 0 ||
		teller_read_urls(URLS_FD, &p->urls, err) < 0)
		return -1;
	memcpy(p->conf.net.machine_id, p->conf.node.machine_id, sizeof(p->conf.net.machine_id));
	if (net_new(p->base, &p->conf.net, on_net, p, &p->net, err) < 0)
		return -1;
	event_base_dispatch(p->base);
	if (p->told)
		return 0;
	*err = p->failure;
	return -1;
}

int failure_main(void)
{
	struct program program = {0};
	struct err err = ERR_INIT;
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	if (run(&program, &err) < 0) {
		log_warning("cannot tell the server that the boot failed: %s", err.msg);
		return 1;
	}
	log_info("the server knows that the boot failed");
	return 0; /* whatever it has goes with it */
}
