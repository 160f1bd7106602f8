/* SPDX-License-Identifier: MIT */
/*
 * The client's books: which hosts there are, who waits for a connection to each, and their
 * addresses. Connections look after themselves (channel.c). Callbacks of requests run from the
 * loop only, each as the last thing that a function here does, so that they may do what they like.
 */
#include "http/client.h"

#include "http/channel.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#define NAME_AGE_S 60 /* evdns does not say how long an answer holds */
#define RETRY_MS 1000 /* after memory ran out */

struct http_client {
	struct event_base *base;
	struct evdns_base *dns; /* made for the first name */
	struct http_client_limits limits;
	struct http_hosts hosts;
	uint64_t tickets;
	uint8_t scratch[HTTP_SCRATCH];
};

/*
 * A look-up outlives the host that began it: evdns calls back even for what was cancelled, later.
 * What is under way when the client goes is not called back any more, and stays unfreed.
 */
struct http_lookup {
	struct http_host *host; /* NULL: nobody waits any more */
};

uint8_t *http_client_scratch(struct http_client *client)
{
	return client->scratch;
}

const struct http_client_limits *http_client_limits(const struct http_client *client)
{
	return &client->limits;
}

static int64_t now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

static void get_free(struct http_get *get)
{
	if (get == NULL)
		return;
	http_url_done(&get->url);
	free(get->name);
	free(get->if_none_match);
	free(get);
}

static void host_free(struct http_host *host)
{
	if (host->lookup != NULL)
		host->lookup->host = NULL;
	if (host->kick != NULL)
		event_free(host->kick);
	free(host->name);
	free(host);
}

static struct http_get *first_waiting(const struct http_host *host)
{
	struct http_get *get = TAILQ_FIRST(&host->urgent);
	return get != NULL ? get : TAILQ_FIRST(&host->others);
}

static void unqueue(struct http_get *get)
{
	struct http_host *host = get->host;
	TAILQ_REMOVE(get->urgent ? &host->urgent : &host->others, get, entry);
}

void http_client_queue(struct http_get *get, bool front)
{
	struct http_gets *queue = get->urgent ? &get->host->urgent : &get->host->others;
	get->ticket = ++get->client->tickets;
	get->channel = NULL;
	if (front)
		TAILQ_INSERT_HEAD(queue, get, entry);
	else
		TAILQ_INSERT_TAIL(queue, get, entry);
}

void http_client_finish(struct http_get *get, struct err *failure)
{
	get->ended = true;
	if (failure != NULL)
		err_prefix(failure, "cannot get '%s'", get->name);
	get->ops->done(get, failure, get->data);
	get_free(get);
}

static int lookup_failure(const struct http_host *host, struct err *err)
{
	bool absent =
		host->lookup_error == EVUTIL_EAI_NONAME || host->lookup_error == EVUTIL_EAI_NODATA;
	return err_raise(err, absent ? ERR_NOT_FOUND : ERR_AGAIN, "cannot resolve '%s': %s",
		host->name, evutil_gai_strerror(host->lookup_error));
}

/* From the loop: one request fails with the look-up it waited for, or the rest goes on. */
static void on_kick(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	struct http_host *host = data;
	struct http_get *get = first_waiting(host);
	if (get == NULL || get->ticket > host->failed_ticket) {
		http_client_dispatch(host);
		return;
	}
	struct err err = ERR_INIT;
	lookup_failure(host, &err);
	unqueue(get);
	event_active(host->kick, EV_TIMEOUT, 0);
	http_client_finish(get, &err);
}

/* Copies what was found; how many addresses. */
static unsigned take_addresses(struct http_host *host, const struct evutil_addrinfo *list)
{
	unsigned count = 0;
	for (const struct evutil_addrinfo *i = list; i != NULL && count < HTTP_ADDRESSES_MAX;
		i = i->ai_next) {
		if (i->ai_addrlen > sizeof(host->addresses[0].addr))
			continue;
		memcpy(&host->addresses[count].addr, i->ai_addr, i->ai_addrlen);
		host->addresses[count++].len = (socklen_t)i->ai_addrlen;
	}
	return count;
}

static void on_resolved(int error, struct evutil_addrinfo *list, void *data)
{
	struct http_lookup *lookup = data;
	struct http_host *host = lookup->host;
	free(lookup);
	if (host != NULL) {
		host->lookup = NULL;
		host->address_count = take_addresses(host, list);
		host->resolved_s = now_s();
		if (host->address_count == 0) {
			host->lookup_error = error != 0 ? error : EVUTIL_EAI_NONAME;
			host->failed_ticket = host->client->tickets;
		}
		event_active(host->kick, EV_TIMEOUT, 0);
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
}

static struct evdns_base *resolver(struct http_client *client)
{
	/* Late, because a machine that boots learns its name servers after this client was made. A
	 * missing resolv.conf leaves a resolver without servers, which says so at the look-up. */
	if (client->dns == NULL) {
		client->dns = evdns_base_new(client->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
		if (client->dns != NULL) {
			(void)evdns_base_resolv_conf_parse(
				client->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
			evdns_base_set_option(client->dns, "timeout:", "2");
			evdns_base_set_option(client->dns, "attempts:", "2");
		}
	}
	return client->dns;
}

static void look_up(struct http_host *host)
{
	if (host->lookup != NULL)
		return;
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	char port[8];
	evutil_snprintf(port, sizeof(port), "%u", host->port);
	struct evdns_base *dns = resolver(host->client);
	struct http_lookup *lookup = calloc(1, sizeof(*lookup));
	if (dns == NULL || lookup == NULL) {
		struct timeval tv = {.tv_sec = RETRY_MS / 1000};
		free(lookup);
		event_add(host->kick, &tv);
		return;
	}
	lookup->host = host;
	host->lookup = lookup; /* before: it may be answered at once */
	(void)evdns_getaddrinfo(dns, host->name, port, &hints, on_resolved, lookup); /* never
		cancelled */
}

static bool resolved(const struct http_host *host)
{
	return host->address_count > 0 &&
		(host->numeric || now_s() - host->resolved_s < NAME_AGE_S);
}

static struct http_channel *idle_channel(struct http_host *host)
{
	/* The last one to become idle is the least likely to be stale. */
	struct http_channel *c;
	TAILQ_FOREACH(c, &host->channels, entry)
		if (c->state == HTTP_CHANNEL_IDLE)
			return c;
	return NULL;
}

static unsigned places(const struct http_host *host, bool urgent)
{
	unsigned max = host->client->limits.per_host;
	return urgent || max == 1 ? max : max - 1;
}

static unsigned busy_channels(const struct http_host *host)
{
	unsigned busy = 0;
	struct http_channel *c;
	TAILQ_FOREACH(c, &host->channels, entry)
		busy += c->state != HTTP_CHANNEL_IDLE;
	return busy;
}

static bool is_needed(const struct http_host *host)
{
	return first_waiting(host) != NULL || host->channel_count > 0;
}

void http_client_dispatch(struct http_host *host)
{
	struct http_get *get;
	while ((get = first_waiting(host)) != NULL &&
		busy_channels(host) < places(host, get->urgent)) {
		struct http_channel *idle = idle_channel(host);
		struct err err = ERR_INIT;
		if (idle == NULL && !resolved(host)) {
			look_up(host);
			return;
		}
		unqueue(get);
		if (idle != NULL) {
			http_channel_use(idle, get);
		} else if (http_channel_new(host, get, &err) < 0) {
			struct timeval tv = {.tv_sec = RETRY_MS / 1000};
			http_client_queue(get, true);
			event_add(host->kick, &tv);
			return;
		}
	}
	if (!is_needed(host)) {
		TAILQ_REMOVE(&host->client->hosts, host, entry);
		host_free(host);
	}
}

static bool parse_numeric(struct http_host *host)
{
	struct http_address *a = &host->addresses[0];
	struct sockaddr_in *in = (struct sockaddr_in *)&a->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->addr;
	if (evutil_inet_pton(AF_INET, host->name, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(host->port);
		a->len = sizeof(*in);
	} else if (evutil_inet_pton(AF_INET6, host->name, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(host->port);
		a->len = sizeof(*in6);
	} else {
		return false;
	}
	host->address_count = 1;
	return true;
}

/* The host of a URL, made when it is the first request to it. */
static struct http_host *find_host(
	struct http_client *client, const struct http_url *url, struct err *err)
{
	struct http_host *host;
	TAILQ_FOREACH(host, &client->hosts, entry)
		if (host->port == url->port && strcasecmp(host->name, url->host) == 0)
			return host;
	host = calloc(1, sizeof(*host));
	if (host == NULL) {
		err_oom(err);
		return NULL;
	}
	host->client = client;
	host->port = url->port;
	host->name = strdup(url->host);
	host->kick = event_new(client->base, -1, 0, on_kick, host);
	TAILQ_INIT(&host->urgent);
	TAILQ_INIT(&host->others);
	TAILQ_INIT(&host->channels);
	if (host->name == NULL || host->kick == NULL) {
		host_free(host);
		err_oom(err);
		return NULL;
	}
	host->numeric = parse_numeric(host);
	TAILQ_INSERT_TAIL(&client->hosts, host, entry);
	return host;
}

int http_client_aim(struct http_get *get, struct http_url *take_url, struct err *err)
{
	struct http_host *host = find_host(get->client, take_url, err);
	if (host == NULL)
		return -1;
	http_url_done(&get->url);
	get->url = *take_url;
	*take_url = (struct http_url){0};
	get->host = host;
	return 0;
}

int http_client_new(struct event_base *base, const struct http_client_limits *limits,
	struct http_client **ret, struct err *err)
{
	struct http_client *client = calloc(1, sizeof(*client));
	if (client == NULL)
		return err_oom(err);
	client->base = base;
	client->limits = *limits;
	TAILQ_INIT(&client->hosts);
	*ret = client;
	return 0;
}

struct http_client *http_client_free(struct http_client *client)
{
	if (client == NULL)
		return NULL;
	for (struct http_host *host; (host = TAILQ_FIRST(&client->hosts)) != NULL;) {
		for (struct http_channel *c; (c = TAILQ_FIRST(&host->channels)) != NULL;) {
			struct http_get *get = c->get;
			http_channel_free(c);
			get_free(get);
		}
		for (struct http_get *get; (get = first_waiting(host)) != NULL;) {
			unqueue(get);
			get_free(get);
		}
		TAILQ_REMOVE(&client->hosts, host, entry);
		host_free(host);
	}
	if (client->dns != NULL)
		evdns_base_free(client->dns, 0);
	free(client);
	return NULL;
}

int http_client_get(struct http_client *client, const struct http_get_params *params,
	const struct http_get_ops *ops, void *data, struct http_get **ret, struct err *err)
{
	AUTO_HTTP_URL url = {0};
	if (http_url_parse(params->url, &url, err) < 0)
		return -1;
	struct http_get *get = calloc(1, sizeof(*get));
	if (get == NULL)
		return err_oom(err);
	get->client = client;
	get->off = params->off;
	get->len = params->len;
	get->urgent = params->urgent;
	get->first_byte_ms =
		params->first_byte_ms != 0 ? params->first_byte_ms : client->limits.first_byte_ms;
	get->ops = ops;
	get->data = data;
	get->name = strdup(params->url);
	bool conditional = params->if_none_match != NULL;
	if (conditional)
		get->if_none_match = strdup(params->if_none_match);
	if (get->name == NULL || (conditional && get->if_none_match == NULL)) {
		get_free(get);
		return err_oom(err);
	}
	if (http_client_aim(get, &url, err) < 0) {
		get_free(get);
		return -1;
	}
	http_client_queue(get, false);
	http_client_dispatch(get->host);
	*ret = get;
	return 0;
}

void http_get_cancel(struct http_get *get)
{
	if (get == NULL || get->ended)
		return;
	struct http_host *host = get->host;
	if (get->channel != NULL)
		http_channel_free(get->channel);
	else
		unqueue(get);
	get_free(get);
	http_client_dispatch(host);
}
