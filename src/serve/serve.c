/* SPDX-License-Identifier: MIT */
/*
 * Start: systems, HTTP, TFTP, then DHCP, so that nobody is told of a server that is not there yet.
 * Stop: DHCP first, then the others when the last transfer ended.
 */
#include "serve/serve.h"

#include "base/log.h"
#include "base/path.h"
#include "http/pacer.h"
#include "pool/pool.h"
#include "serve/dnsmasq.h"
#include "serve/manager.h"
#include "serve/norouter.h"
#include "serve/origin.h"
#include "serve/user.h"
#include "tftp/server.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/util.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DRAIN_SECONDS 10
#define LINKS_MAX 16384u

struct serve {
	const struct serve_options *options;
	struct signer signer;
	char *state_dir, *pool_dir;
	struct event_base *base;
	struct event *signals[3];
	struct origin *origin;
	struct http_server *server;
	struct pacer *pacer;      /* or NULL: no limit of the uplink */
	struct tftp_server *tftp; /* or NULL */
	struct dnsmasq *dnsmasq;
	struct norouter *norouter;
	struct interface interface; /* unset with DHCP_OFF */
	char *script_url, *uki_url;
	struct dnsmasq_step last_dhcp; /* whose offer the next lines are about */
	struct dhcp_config dhcp;       /* with DHCP */
	char *ipxe_dir;                /* or NULL: TFTP without it */
	unsigned links_max;            /* of nodes, at once */
	bool stopping;
	unsigned draining;  /* servers that have transfers to end */
	struct err failure; /* what ended us, if it was not a signal */
};

static void leave(void *data)
{
	struct serve *s = data;
	event_base_loopbreak(s->base);
}

static void on_drained(void *data)
{
	struct serve *s = data;
	if (--s->draining == 0)
		leave(s);
}

static void begin_stop(struct serve *s)
{
	if (s->stopping) {
		leave(s);
		return;
	}
	s->stopping = true;
	manager_tell("STOPPING=1");
	s->dnsmasq = dnsmasq_stop(s->dnsmasq);
	origin_stop(s->origin);
	struct timeval limit = {.tv_sec = DRAIN_SECONDS};
	event_base_loopexit(s->base, &limit);
	unsigned clients = http_server_clients(s->server);
	clients += s->tftp != NULL ? tftp_server_clients(s->tftp) : 0;
	s->draining = s->tftp != NULL ? 2 : 1;
	http_server_drain(s->server, on_drained, s);
	if (s->tftp != NULL)
		tftp_server_drain(s->tftp, on_drained, s);
	if (clients > 0)
		log_info("stopping; %u clients have %d s to finish", clients, DRAIN_SECONDS);
}

static void on_signal(evutil_socket_t number, short what, void *data)
{
	(void)what;
	struct serve *s = data;
	if (number != SIGHUP) {
		begin_stop(s);
		return;
	}
	manager_tell_reloading();
	origin_refresh(s->origin);
	manager_tell("READY=1");
}

static int catch_signals(struct serve *s, struct err *err)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		s->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
		if (s->signals[i] == NULL || event_add(s->signals[i], NULL) < 0)
			return err_raise(err, ERR_NOMEM, "cannot catch signal %d", numbers[i]);
	}
	return 0;
}

static void on_dnsmasq_line(const char *line, void *data)
{
	struct serve *s = data;
	struct dnsmasq_step step;
	char mac[18];
	log_debug("dnsmasq: %s", line);
	if (!dnsmasq_parse(line, &step))
		return;
	if (step.mac[0] == '\0') {
		memcpy(step.client, s->last_dhcp.client, sizeof(step.client));
		memcpy(step.mac, s->last_dhcp.mac, sizeof(step.mac));
	}
	s->last_dhcp = step;
	if (step.note != NULL && strcmp(step.note, "has its address") == 0)
		origin_leased(s->origin, step.mac, step.client);
	bool neighbour = step.mac[0] == '\0' && journal_find_mac(step.client, mac);
	const struct journal_step out = {
		.step = "dhcp",
		.client = step.client[0] != '\0' ? step.client : NULL,
		.mac = neighbour              ? mac
			: step.mac[0] != '\0' ? step.mac
					      : NULL,
		.subject = step.subject[0] != '\0' ? step.subject : NULL,
		.note = step.note,
	};
	/* Any DHCP client gets offers and addresses; this one is for boot loaders. */
	origin_saw(s->origin, &out, step.note != NULL && strcmp(step.note, "told to boot") == 0);
}

static void on_dnsmasq_end(const struct err *failure, void *data)
{
	struct serve *s = data;
	s->failure = *failure;
	begin_stop(s);
}

/* The address to listen on: --listen, else the interface's, else any. */
static int listen_address(
	const struct serve *s, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *err)
{
	const char *text = s->options->listen;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	*ret = (struct sockaddr_storage){0};
	if (text == NULL) {
		in->sin_family = AF_INET;
		in->sin_addr = s->interface.addr; /* all zero, any, when DHCP is off */
		in->sin_port = htons(SERVE_PORT_DEFAULT);
		*ret_len = sizeof(*in);
		return 0;
	}
	/* libevent's parser refuses port 0, which asks for any that is free. */
	size_t text_len = strlen(text);
	bool any_port = text_len > 2 && strcmp(text + text_len - 2, ":0") == 0;
	AUTO_FREE char *host = path_printf(err, "%.*s", (int)(text_len - (any_port ? 2 : 0)), text);
	if (host == NULL)
		return -1;
	int len = sizeof(*ret);
	if (evutil_parse_sockaddr_port(host, (struct sockaddr *)ret, &len) < 0)
		return err_raise(err, ERR_USAGE,
			"--listen takes an address like 10.0.0.1:8080 or [fd00::1]:8080, not '%s'",
			text);
	if (in->sin_port == 0 && !any_port) /* at the same place in sockaddr_in6 */
		in->sin_port = htons(SERVE_PORT_DEFAULT);
	*ret_len = (socklen_t)len;
	return 0;
}

/* "http://ADDR:PORT" as clients reach it. */
static char *own_url(const struct serve *s, const struct sockaddr_storage *addr, struct err *err)
{
	char host[INET6_ADDRSTRLEN];
	unsigned port = http_server_port(s->server);
	struct in_addr in = ((const struct sockaddr_in *)addr)->sin_addr;
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;
	if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(in6) && s->interface.has_addr)
		in = s->interface.addr; /* any means IPv4 too */
	else if (addr->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, in6, host, sizeof(host));
		return path_printf(err, "http://[%s]:%u", host, port);
	}
	if (in.s_addr == INADDR_ANY)
		in = s->interface.addr;
	inet_ntop(AF_INET, &in, host, sizeof(host));
	return path_printf(err, "http://%s:%u", host, port);
}

/*
 * A client takes two descriptors, its socket and the file it is sent, by HTTP as by TFTP; a part of
 * them is for the latter, and a node's link takes one. What is left of many is for links.
 */
static void share_descriptors(struct http_limits *http, struct tftp_limits *tftp, unsigned *links)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files); /* raising to the hard limit is allowed */
	rlim_t room = files.rlim_cur > 192 ? files.rlim_cur - 64 : 128;
	rlim_t clients = (room - room / 4) / 2;
	if (tftp->transfers > clients / 4)
		tftp->transfers = (unsigned)(clients / 4);
	clients -= tftp->transfers;
	if (clients < http->clients)
		http->clients = (unsigned)clients;
	room -= 2 * (rlim_t)(http->clients + tftp->transfers);
	*links = room < LINKS_MAX ? (unsigned)room : LINKS_MAX;
}

/* On the socket of the service manager, whose address is asked for, or on one of our own. */
static int start_listening(struct serve *s, const struct http_server_config *config,
	struct sockaddr_storage *addr, socklen_t *len, struct err *err)
{
	int fd = -1;
	int given = manager_socket(&fd, err);
	if (given < 0 || (given == 0 && listen_address(s, addr, len, err) < 0))
		return -1;
	if (given == 0)
		return http_server_new(
			s->base, (struct sockaddr *)addr, *len, config, &s->server, err);
	if (s->options->listen != NULL)
		return err_raise(err, ERR_USAGE,
			"--listen and a socket of the service manager exclude each other");
	*len = sizeof(*addr);
	if (getsockname(fd, (struct sockaddr *)addr, len) < 0)
		return err_sys(err, "cannot ask where the service manager listens");
	if (addr->ss_family != AF_INET && addr->ss_family != AF_INET6)
		return err_raise(err, ERR_USAGE,
			"the socket of the service manager is neither of IPv4 nor of IPv6");
	return http_server_adopt(s->base, fd, config, &s->server, err);
}

static int start_http(struct serve *s, const struct http_limits *limits, struct err *err)
{
	struct sockaddr_storage addr;
	socklen_t len = 0;
	const struct http_server_config config = {
		.limits = *limits,
		.handle = origin_handle,
		.done = origin_done,
		.data = s->origin,
		.pacer = s->pacer,
	};
	if (start_listening(s, &config, &addr, &len, err) < 0)
		return -1;
	AUTO_FREE char *url = own_url(s, &addr, err);
	if (url == NULL)
		return -1;
	s->script_url = path_printf(err, "%s/boot/default/netboot.ipxe", url);
	s->uki_url = path_printf(err, "%s/boot/default/uki.efi", url);
	origin_set_url(s->origin, url);
	log_info("serving at %s/", url);
	return s->script_url != NULL && s->uki_url != NULL ? 0 : -1;
}

/* Where DHCP sends clients: the interface's address. Without it, where HTTP is. */
static int start_tftp(struct serve *s, const struct tftp_limits *limits, struct err *err)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(struct sockaddr_in);
	struct sockaddr_in *in = (struct sockaddr_in *)&addr;
	const struct tftp_server_config config = {
		.limits = *limits,
		.handle = origin_load,
		.done = origin_loaded,
		.data = s->origin,
		.pacer = s->pacer,
	};
	if (s->options->dhcp == DHCP_OFF) {
		if (listen_address(s, &addr, &len, err) < 0)
			return -1;
	} else {
		in->sin_family = AF_INET;
		in->sin_addr = s->interface.addr;
	}
	in->sin_port = htons((uint16_t)s->options->tftp_port); /* as in sockaddr_in6 */
	if (tftp_server_new(s->base, (struct sockaddr *)&addr, len, &config, &s->tftp, err) < 0)
		return -1;
	if (s->options->dhcp == DHCP_OFF)
		log_info("TFTP at UDP port %u%s%s%s", tftp_server_port(s->tftp),
			s->ipxe_dir != NULL ? ", with the files of '" : "",
			s->ipxe_dir != NULL ? s->ipxe_dir : "", s->ipxe_dir != NULL ? "'" : "");
	return 0;
}

static int choose_interface(struct serve *s, struct err *err)
{
	struct interface_list list = {0};
	int r = interface_read(&list, err);
	if (r == 0)
		r = interface_choose(&list, s->options->interface, &s->interface, err);
	vec_done(&list);
	return r;
}

/* DHCP names iPXE's files; without it they are served when they are there. */
static int find_ipxe(struct serve *s, struct err *err)
{
	const struct serve_options *o = s->options;
	const char *dir = NULL;
	if (o->tftp_port < 0)
		return 0;
	if (dhcp_find_ipxe(o->ipxe_dir, &dir, &s->dhcp.bios_file, &s->dhcp.efi_file, err) < 0) {
		if (o->dhcp != DHCP_OFF || o->ipxe_dir != NULL)
			return -1;
		err_reset(err);
		return 0;
	}
	s->ipxe_dir = realpath(dir, NULL);
	return s->ipxe_dir != NULL ? 0 : err_sys(err, "cannot find '%s'", dir);
}

static int start_dhcp(struct serve *s, struct err *err)
{
	const struct dnsmasq_callbacks callbacks = {
		.line = on_dnsmasq_line, .ended = on_dnsmasq_end, .data = s};
	if (dnsmasq_start(s->base, &s->dhcp, &callbacks, &s->dnsmasq, err) < 0)
		return -1;
	log_info("%s on '%s', TFTP from '%s'", s->dhcp.mode == DHCP_FULL ? "DHCP" : "proxy DHCP",
		s->interface.name, s->ipxe_dir);
	return 0;
}

/* Saves iPXE a wait; without it, it waits. */
static void start_norouter(struct serve *s)
{
	struct err err = ERR_INIT;
	if (norouter_start(s->base, s->interface.name, &s->norouter, &err) < 0)
		log_debug("%s, ignoring", err.msg);
}

/* Keys, which only network roots need, and state, which one-shot assignments and builds need, too.
 */
static int open_state(struct serve *s, struct serve_options *o, struct err *err)
{
	bool signs = o->boot.root != ROOT_RAM;
	bool builds = o->dispatch.configurations != NULL || o->dispatch.hydra.len > 0;
	if (!signs && o->machines == NULL && !builds)
		return 0;
	if (s->state_dir == NULL)
		s->state_dir = o->state_dir != NULL ? path_printf(err, "%s", o->state_dir)
						    : signer_default_dir(err);
	o->dispatch.state_dir = s->state_dir;
	if (s->state_dir == NULL || !signs)
		return s->state_dir == NULL ? -1 : 0;
	if (signer_open(&o->keys, s->state_dir, &s->signer, err) < 0)
		return -1;
	o->boot.state_dir = s->state_dir;
	o->boot.signer = &s->signer;
	return 0;
}

/*
 * Root makes the folders for the user, and opens what only root may open; all else is done by the
 * user.
 */
static int prepare_for(
	struct serve *s, struct serve_options *o, const struct user *user, struct err *err)
{
	s->state_dir = o->state_dir != NULL ? path_printf(err, "%s", o->state_dir)
					    : signer_default_dir(err);
	s->pool_dir = o->boot.pool_dir != NULL ? path_printf(err, "%s", o->boot.pool_dir)
					       : pool_default_dir(err);
	if (s->state_dir == NULL || s->pool_dir == NULL ||
		user_make_dir(user, s->state_dir, err) < 0 ||
		(!o->boot.read_only && user_make_dir(user, s->pool_dir, err) < 0) ||
		acquirer_prepare(o->boot.acquirer, err) < 0)
		return -1;
	o->boot.pool_dir = s->pool_dir;
	return 0;
}

static int become_user(struct serve *s, struct serve_options *o, struct err *err)
{
	struct user user;
	if (o->user == NULL)
		return 0;
	if (user_find(o->user, &user, err) < 0 ||
		(geteuid() == 0 && prepare_for(s, o, &user, err) < 0))
		return -1;
	return user_become(&user, err);
}

static int open_base(struct serve *s, struct err *err)
{
	s->base = event_base_new();
	if (s->base == NULL)
		return err_oom(err);
	return s->options->uplink == 0 ? 0 : pacer_new(s->base, s->options->uplink, &s->pacer, err);
}

static int start_origin(struct serve *s, struct err *err)
{
	const struct serve_options *o = s->options;
	const struct origin_options origin = {
		.systems = &o->systems,
		.boot = &o->boot,
		.journal = &o->journal,
		.cache_control = o->cache_control,
		.pacer = s->pacer,
		.links_max = s->links_max,
		.boot_from_peers = o->boot_from_peers,
		.any_system = o->any_system,
		.ipxe_dir = s->ipxe_dir,
		.machines = o->machines,
		.state_dir = s->state_dir,
		.dispatch = o->dispatch,
	};
	return origin_new(s->base, &origin, &s->origin, err);
}

static int start(struct serve *s, struct err *err)
{
	const struct serve_options *o = s->options;
	bool dhcp = o->dhcp != DHCP_OFF;
	struct http_limits http = HTTP_LIMITS_DEFAULT;
	struct tftp_limits tftp = TFTP_LIMITS_DEFAULT;
	share_descriptors(&http, &tftp, &s->links_max);
	if (open_base(s, err) < 0 ||
		((dhcp || o->interface != NULL) && choose_interface(s, err) < 0) ||
		find_ipxe(s, err) < 0 || start_origin(s, err) < 0 || start_http(s, &http, err) < 0)
		return -1;
	s->dhcp.mode = o->dhcp;
	s->dhcp.interface = &s->interface;
	s->dhcp.script_url = s->script_url;
	s->dhcp.uki_url = s->uki_url;
	if ((dhcp && dnsmasq_permitted(&s->dhcp, err) < 0) ||
		(o->tftp_port >= 0 && start_tftp(s, &tftp, err) < 0))
		return -1;
	/* Before DHCP, whose files would stay behind: a signal waits for the loop from here on. */
	if (catch_signals(s, err) < 0)
		return -1;
	if (o->dhcp == DHCP_FULL)
		start_norouter(s);
	return dhcp ? start_dhcp(s, err) : 0;
}

int serve_run(struct serve_options *options, bool *ret_busy, struct err *err)
{
	struct serve s = {.options = options, .failure = ERR_INIT, .links_max = LINKS_MAX};
	int r = become_user(&s, options, err);
	if (r == 0)
		r = open_state(&s, options, err);
	if (r == 0)
		r = start(&s, err);
	if (r == 0)
		r = user_drop_privileges(err);
	if (r == 0) {
		manager_tell("READY=1");
		event_base_dispatch(s.base);
		if (!err_clean(&s.failure)) {
			*err = s.failure;
			r = -1;
		}
	}
	dnsmasq_stop(s.dnsmasq);
	norouter_stop(s.norouter);
	http_server_free(s.server);
	tftp_server_free(s.tftp);
	bool busy = origin_is_busy(s.origin); /* then the builder's thread still uses these */
	*ret_busy = busy;
	origin_free(s.origin);
	for (size_t i = 0; i < ARRAY_LEN(s.signals); i++)
		if (s.signals[i] != NULL)
			event_free(s.signals[i]);
	pacer_free(s.pacer);
	if (s.base != NULL)
		event_base_free(s.base);
	free(s.script_url);
	free(s.uki_url);
	free(s.ipxe_dir);
	if (!busy) {
		free(s.state_dir);
		free(s.pool_dir);
		signer_done(&s.signer);
	}
	return r;
}
