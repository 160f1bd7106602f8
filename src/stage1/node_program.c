/* SPDX-License-Identifier: MIT */
/*
 * A node on a machine whose root it is. It comes into being with the first address: in the network
 * namespace where that was got. What it hears of the supervisor before that waits in the socket.
 */
#include "stage1/node_program.h"

#include "base/fd.h"
#include "base/log.h"
#include "net/net.h"
#include "node/node.h"
#include "stage1/control.h"
#include "stage1/guard.h"
#include "stage1/kmsg.h"
#include "stage1/netconf.h"
#include "stage1/resolver.h"
#include "stage1/supervisor.h"
#include "stage1/sysfile.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATE_DIR "/run/snowboot"
#define BLOCK_SIZE 4096 /* squashfs reads whole pages: docs/design, a trial with 512 and 1024 */
#define PATIENCE_S 10   /* until somebody in front of the machine is told what is missing */

struct program {
	struct event_base *base;
	struct event *control, *patience;
	struct netconf conf;
	struct net *net;
	struct node *node;
	struct node_address listen;
};

/* What it cannot tell now is lost: the supervisor is told again, or does not listen any more. */
static void tell(const char *word, const char *text)
{
	struct err err = ERR_INIT;
	if (control_send(SUPERVISOR_CONTROL_FD, word, -1, &err, "%s", text) < 0 &&
		err.kind != ERR_AGAIN)
		log_debug("%s, going on", err.msg);
}

static void fail(const struct err *failure)
{
	struct err err = ERR_INIT;
	log_error("%s", failure->msg);
	if (control_send_failure(SUPERVISOR_CONTROL_FD, failure, &err) < 0)
		log_ignored(&err);
}

static void on_node(enum node_event event, const char *text, const struct err *failure, void *data)
{
	struct program *program = data;
	char ready[256];
	switch (event) {
	case NODE_PROGRESS:
		tell("progress", text);
		return;
	case NODE_READY:
		snprintf(ready, sizeof(ready), "%llu %u %s",
			(unsigned long long)node_image_size(program->node), BLOCK_SIZE,
			node_identifier(program->node));
		tell("ready", ready);
		return;
	case NODE_FAILED:
		fail(failure);
		return;
	}
}

static void on_control(evutil_socket_t fd, short what, void *data)
{
	(void)what;
	struct program *program = data;
	struct control_message message;
	struct err err = ERR_INIT;
	int r = control_receive((int)fd, &message, &err);
	if (r == 0)
		return;
	if (r < 0) {
		/* The kernel's socket is ours, and somebody's root is behind it. */
		log_warning("the supervisor is gone, serving on without it");
		event_del(program->control);
		return;
	}
	AUTO_FD int passed = message.fd;
	if (strcmp(message.word, "quit") == 0)
		event_base_loopbreak(program->base);
	if (strcmp(message.word, "serve") == 0 && passed >= 0 && program->node != NULL &&
		node_serve_kernel(program->node, TAKE_FD(passed), &err) < 0)
		log_error("%s", err.msg);
}

/* "IP/LEN ROUTER MODE LINK INTERFACE": stage 1 shows it, and tells stage 2's services of MODE. */
static void tell_address(const struct net_state *state)
{
	char address[INET6_ADDRSTRLEN], router[INET_ADDRSTRLEN], text[256];
	bool v4 = state->address.s_addr != 0;
	inet_ntop(v4 ? AF_INET : AF_INET6,
		v4 ? (const void *)&state->address : (const void *)&state->address6, address,
		sizeof(address));
	inet_ntop(AF_INET, &state->router, router, sizeof(router));
	snprintf(text, sizeof(text), "%s/%u %s %s %s %s", address, v4 ? state->prefix_len : 64,
		router, state->mode == NET_OWN ? "own" : "shared", state->link, state->interface);
	tell("address", text);
}

static struct node_address listen_address(
	const struct program *program, const struct net_state *state)
{
	struct node_address listen = {.port = program->conf.node.port};
	if (state->address.s_addr != 0) {
		listen.ip[10] = listen.ip[11] = 0xff;
		memcpy(listen.ip + 12, &state->address, 4);
	} else {
		memcpy(listen.ip, &state->address6, 16);
	}
	return listen;
}

static void on_net(const struct net_state *state, void *data)
{
	struct program *program = data;
	struct err err = ERR_INIT;
	if (state->address.s_addr == 0 && IN6_IS_ADDR_UNSPECIFIED(&state->address6)) {
		log_warning("the network is away, waiting for it");
		return;
	}
	tell_address(state);
	program->listen = listen_address(program, state);
	if (program->node == NULL) {
		event_del(program->patience);
		resolver_write(state);
		const struct node_ops ops = {.event = on_node, .data = program};
		if (node_new(program->base, &program->conf.node, &ops, &program->node, &err) < 0) {
			fail(&err);
			event_base_loopbreak(program->base);
			return;
		}
	}
	node_readdress(program->node, &program->listen);
}

static void on_patience(evutil_socket_t fd, short what, void *data)
{
	(void)fd, (void)what, (void)data;
	tell("progress", "still no address: is a cable plugged in, and does a DHCP server answer?");
}

static int read_config(struct netconf *ret, struct err *err)
{
	AUTO_FREE char *text = malloc(NETCONF_MAX);
	size_t len;
	if (text == NULL)
		return err_oom(err);
	if (fd_pread_full(
		    SUPERVISOR_CONFIG_FD, text, NETCONF_MAX, 0, "the configuration", &len, err) < 0)
		return -1;
	return netconf_decode(text, len, ret, err);
}

/* A node that died left the manifest of what is mounted: with another one nothing would fit. */
static bool is_attached(void)
{
	return sysfile_exists("/sys/block/nbd0/pid");
}

static int begin(struct program *program, struct err *err)
{
	struct netconf *conf = &program->conf;
	const struct timeval patience = {PATIENCE_S, 0};
	if (read_config(conf, err) < 0)
		return -1;
	if (conf->node.state_dir == NULL && (conf->node.state_dir = strdup(STATE_DIR)) == NULL)
		return err_oom(err);
	conf->node.resume = is_attached();
	memcpy(conf->net.machine_id, conf->node.machine_id, sizeof(conf->net.machine_id));
	conf->net.namespace_fd =
		fcntl(SUPERVISOR_NAMESPACE_FD, F_GETFD) >= 0 ? SUPERVISOR_NAMESPACE_FD : 0;
	program->base = event_base_new();
	if (program->base == NULL)
		return err_oom(err);
	program->control = event_new(
		program->base, SUPERVISOR_CONTROL_FD, EV_READ | EV_PERSIST, on_control, program);
	program->patience = event_new(program->base, -1, EV_PERSIST, on_patience, program);
	if (program->control == NULL || program->patience == NULL ||
		event_add(program->control, NULL) < 0 ||
		event_add(program->patience, &patience) < 0)
		return err_oom(err);
	tell("progress", "looking for a network");
	return net_new(program->base, &conf->net, on_net, program, &program->net, err);
}

int node_program_main(void)
{
	struct program program = {0};
	struct err err = ERR_INIT;
	log_setup(LOG_LEVEL_INFO, kmsg_sink, NULL);
	guard_process("snowboot-node");
	if (begin(&program, &err) < 0) {
		fail(&err);
		return 1;
	}
	event_base_dispatch(program.base);
	node_free(program.node);
	net_free(program.net);
	return 0;
}
