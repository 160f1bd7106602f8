/* SPDX-License-Identifier: MIT */
/*
 * The bytes of DHCP. An option may stand several times and is then one value in pieces (RFC 3396),
 * and may overflow into the fields `file` and `sname` (option 52); so options are collected first
 * and read afterwards. What a reply means for the client is dhcp_client.c's.
 */
#include "net/dhcp_message.h"

#include "base/bytes.h"
#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

/* RFC 2131 figure 1 */
#define AT_HTYPE 1
#define AT_HLEN 2
#define AT_XID 4
#define AT_SECS 8
#define AT_CIADDR 12
#define AT_YIADDR 16
#define AT_CHADDR 28
#define AT_SNAME 44
#define AT_FILE 108
#define AT_COOKIE 236
#define AT_OPTIONS 240
#define COOKIE 0x63825363
#define BOOTREQUEST 1
#define BOOTREPLY 2

enum {
	OPT_PAD = 0,
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_MTU = 26,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_OVERLOAD = 52,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_PARAMETERS = 55,
	OPT_MAX_SIZE = 57,
	OPT_RENEW = 58,
	OPT_REBIND = 59,
	OPT_CLIENT_ID = 61,
	OPT_ROUTES = 121,
	OPT_END = 255,
};

static uint8_t *put_option(uint8_t *p, uint8_t code, const void *value, uint8_t len)
{
	p[0] = code;
	p[1] = len;
	memcpy(p + 2, value, len);
	return p + 2 + len;
}

static uint8_t *put_address(uint8_t *p, uint8_t code, struct in_addr value)
{
	return value.s_addr != 0 ? put_option(p, code, &value, sizeof(value)) : p;
}

size_t dhcp_encode(const struct dhcp_identity *who, const struct dhcp_query *query,
	uint8_t ret[static DHCP_QUERY_MAX])
{
	static const uint8_t parameters[] = {OPT_MASK, OPT_ROUTES, OPT_ROUTER, OPT_DNS, OPT_MTU,
		OPT_LEASE, OPT_RENEW, OPT_REBIND};
	memset(ret, 0, DHCP_QUERY_MAX);
	ret[0] = BOOTREQUEST;
	ret[AT_HTYPE] = 1; /* Ethernet */
	ret[AT_HLEN] = 6;
	put_be32(ret + AT_XID, query->xid);
	put_be16(ret + AT_SECS, query->seconds);
	memcpy(ret + AT_CIADDR, &query->client, 4);
	memcpy(ret + AT_CHADDR, who->mac, 6);
	put_be32(ret + AT_COOKIE, COOKIE);

	uint8_t id[1 + 4 + 2 + 16], size[2], type = (uint8_t)query->type;
	id[0] = 255; /* RFC 4361: what follows is IAID and DUID */
	memcpy(id + 1, who->iaid, 4);
	put_be16(id + 5, 4); /* DUID-UUID */
	memcpy(id + 7, who->uuid, 16);
	put_be16(size, DHCP_MESSAGE_MAX + 28); /* with the headers of IP and UDP */

	uint8_t *p = put_option(ret + AT_OPTIONS, OPT_TYPE, &type, 1);
	p = put_option(p, OPT_CLIENT_ID, id, sizeof(id));
	p = put_address(p, OPT_REQUESTED, query->requested);
	p = put_address(p, OPT_SERVER, query->server);
	p = put_option(p, OPT_MAX_SIZE, size, sizeof(size));
	p = put_option(p, OPT_PARAMETERS, parameters, sizeof(parameters));
	*p++ = OPT_END;
	/* Some relays drop what is shorter than a BOOTP message: RFC 1542 §2.1. */
	size_t len = (size_t)(p - ret);
	return len < 300 ? 300 : len;
}

/* The options we read, each in one piece. */
struct value {
	uint8_t data[DHCP_MESSAGE_MAX];
	size_t len;
};

struct options {
	struct value mask, router, dns, mtu, lease, overload, type, server, renew, rebind, routes;
};

static struct value *find_value(struct options *options, uint8_t code)
{
	switch (code) {
	case OPT_MASK:
		return &options->mask;
	case OPT_ROUTER:
		return &options->router;
	case OPT_DNS:
		return &options->dns;
	case OPT_MTU:
		return &options->mtu;
	case OPT_LEASE:
		return &options->lease;
	case OPT_OVERLOAD:
		return &options->overload;
	case OPT_TYPE:
		return &options->type;
	case OPT_SERVER:
		return &options->server;
	case OPT_RENEW:
		return &options->renew;
	case OPT_REBIND:
		return &options->rebind;
	case OPT_ROUTES:
		return &options->routes;
	default:
		return NULL; /* a number from outside: most are not for us */
	}
}

static int collect(const uint8_t *p, size_t len, struct options *options, struct err *err)
{
	const uint8_t *end = p + len;
	while (p < end && *p != OPT_END) {
		if (*p == OPT_PAD) {
			p++;
			continue;
		}
		if (end - p < 2 || end - p - 2 < p[1])
			return err_raise(err, ERR_CORRUPT,
				"option %u of a DHCP message runs over its end", p[0]);
		struct value *value = find_value(options, p[0]);
		/* All together lie in one message, so this never overflows by honest means. */
		if (value != NULL && value->len + p[1] <= sizeof(value->data)) {
			memcpy(value->data + value->len, p + 2, p[1]);
			value->len += p[1];
		}
		p += 2 + p[1];
	}
	return 0;
}

static int collect_all(const uint8_t *data, size_t len, struct options *options, struct err *err)
{
	if (collect(data + AT_OPTIONS, len - AT_OPTIONS, options, err) < 0)
		return -1;
	uint8_t overload = options->overload.len > 0 ? options->overload.data[0] : 0;
	if ((overload & 1) != 0 && collect(data + AT_FILE, 128, options, err) < 0)
		return -1;
	return (overload & 2) != 0 ? collect(data + AT_SNAME, 64, options, err) : 0;
}

static struct in_addr get_address(const uint8_t *p)
{
	struct in_addr address;
	memcpy(&address, p, sizeof(address));
	return address;
}

static struct in_addr first_address(const struct value *value)
{
	return value->len >= 4 ? get_address(value->data) : (struct in_addr){0};
}

static uint32_t get_seconds(const struct value *value)
{
	return value->len >= 4 ? get_be32(value->data) : 0;
}

/* A mask with holes is none. Without one: by class, RFC 950. */
static uint8_t prefix_length(const struct value *mask, struct in_addr address)
{
	uint32_t bits = mask->len == 4 ? get_be32(mask->data) : 0;
	if (bits != 0 && (~bits & (~bits + 1)) == 0)
		return (uint8_t)__builtin_popcount(bits);
	uint32_t host = ntohl(address.s_addr);
	return host >> 31 == 0 ? 8 : host >> 30 == 2 ? 16 : 24;
}

/* RFC 3442: length, as many bytes of the destination as it needs, router. */
static int read_routes(const struct value *value, struct dhcp_reply *reply, struct err *err)
{
	const uint8_t *p = value->data, *end = p + value->len;
	while (p < end) {
		uint8_t prefix_len = *p++, bytes = (uint8_t)((prefix_len + 7) / 8);
		if (prefix_len > 32 || end - p < bytes + 4)
			return err_raise(
				err, ERR_CORRUPT, "the routes of a DHCP message are cut off");
		struct dhcp_route route = {.prefix_len = prefix_len};
		memcpy(&route.to, p, bytes);
		route.to.s_addr &= prefix_len > 0 ? htonl(~0u << (32 - prefix_len)) : 0;
		route.via = get_address(p + bytes);
		p += bytes + 4;
		if (prefix_len == 0)
			reply->router = route.via;
		else if (reply->route_count < DHCP_ROUTES_MAX)
			reply->routes[reply->route_count++] = route;
	}
	return 0;
}

/* RFC 2131 §4.4.5: half, and seven eighths, of the lease. Values that make no sense are replaced.
 */
static void read_times(const struct options *options, struct dhcp_reply *reply)
{
	uint32_t lease = get_seconds(&options->lease);
	uint32_t renew = get_seconds(&options->renew), rebind = get_seconds(&options->rebind);
	if (rebind == 0 || rebind >= lease)
		rebind = (uint32_t)((uint64_t)lease * 7 / 8);
	if (renew == 0 || renew >= rebind)
		renew = lease / 2 < rebind ? lease / 2 : rebind;
	reply->lease_s = lease;
	reply->renew_s = renew;
	reply->rebind_s = rebind;
}

static bool is_unicast(struct in_addr address)
{
	uint32_t host = ntohl(address.s_addr);
	return host >> 24 != 0 && host >> 24 != 127 && host >> 28 < 0xe;
}

static int read_reply(
	const uint8_t *data, const struct options *options, struct dhcp_reply *ret, struct err *err)
{
	uint8_t type = options->type.len == 1 ? options->type.data[0] : 0;
	if (type != DHCP_OFFER && type != DHCP_ACK && type != DHCP_NAK)
		return err_raise(err, ERR_CORRUPT, "a DHCP reply has type %u", type);
	struct dhcp_reply reply = {.type = (enum dhcp_type)type, .xid = get_be32(data + AT_XID)};
	reply.server = first_address(&options->server);
	reply.address = get_address(data + AT_YIADDR);
	if (type == DHCP_NAK) {
		reply.address.s_addr = 0;
		*ret = reply;
		return 0;
	}
	if (!is_unicast(reply.address))
		return err_raise(err, ERR_CORRUPT, "a DHCP reply gives no address");
	if (get_seconds(&options->lease) == 0)
		return err_raise(err, ERR_CORRUPT, "a DHCP reply gives no time of lease");
	reply.prefix_len = prefix_length(&options->mask, reply.address);
	for (size_t i = 0; i < DHCP_DNS_MAX && (i + 1) * 4 <= options->dns.len; i++)
		reply.dns[i] = get_address(options->dns.data + i * 4);
	if (options->mtu.len == 2 && get_be16(options->mtu.data) >= 576) /* RFC 2132 §5.1: 68 */
		reply.mtu = get_be16(options->mtu.data);
	read_times(options, &reply);
	/* RFC 3442: with classless routes the router option must be ignored. */
	if (options->routes.len == 0)
		reply.router = first_address(&options->router);
	else if (read_routes(&options->routes, &reply, err) < 0)
		return -1;
	*ret = reply;
	return 0;
}

int dhcp_decode(const uint8_t *data, size_t len, const uint8_t mac[static 6],
	struct dhcp_reply *ret, struct err *err)
{
	if (len < AT_OPTIONS || len > DHCP_MESSAGE_MAX)
		return err_raise(err, ERR_CORRUPT, "a DHCP message has %zu bytes", len);
	if (data[0] != BOOTREPLY || get_be32(data + AT_COOKIE) != COOKIE)
		return err_raise(err, ERR_CORRUPT, "not a reply by DHCP");
	if (data[AT_HLEN] != 6 || memcmp(data + AT_CHADDR, mac, 6) != 0)
		return err_raise(err, ERR_NOT_FOUND, "a DHCP reply for another client");
	struct options *options = calloc(1, sizeof(*options));
	if (options == NULL)
		return err_oom(err);
	int r = collect_all(data, len, options, err);
	if (r == 0)
		r = read_reply(data, options, ret, err);
	free(options);
	return r;
}
