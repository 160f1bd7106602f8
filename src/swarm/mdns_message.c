/* SPDX-License-Identifier: MIT */
/*
 * A packet is read in one pass into small tables of names and what stood with them, which are
 * joined at the end: an instance with its port, its text and the addresses of its host. Names are
 * kept in wire form in lower case, so that comparing them is memcmp().
 */
#include "swarm/mdns_message.h"

#include "base/bytes.h"
#include "base/hex.h"

#include <nettle/sha2.h>
#include <string.h>

#define NAME_MAX_SIZE 255 /* RFC 1035, section 2.3.4 */
#define RECORDS_MAX 512   /* of one packet */
#define HOSTS_MAX 32
#define LEGACY_TTL_S 10u

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_TXT = 16, TYPE_AAAA = 28, TYPE_SRV = 33, TYPE_ANY = 255 };
#define CLASS_IN 1u
#define CACHE_FLUSH 0x8000u /* RFC 6762, section 10.2 */
#define FLAG_RESPONSE 0x8000u
#define FLAG_AUTHORITATIVE 0x0400u

struct name {
	uint8_t len; /* with the root's zero */
	uint8_t bytes[NAME_MAX_SIZE];
};

/* "\11_snowboot\4_tcp\5local" */
static const uint8_t service_name[] = "\x09_snowboot\x04_tcp\x05local";
/* RFC 6763, section 9: what browsers of everything ask */
static const uint8_t types_name[] = "\x09_services\x07_dns-sd\x04_udp\x05local";

static int corrupt(struct err *err, const char *what)
{
	return err_raise(err, ERR_CORRUPT, "malformed multicast DNS: %s", what);
}

struct mdns_swarm mdns_swarm_of(const uint8_t key[32], const char *site)
{
	static const char domain[] = "snowboot-swarm-1"; /* with its NUL */
	struct sha256_ctx ctx;
	struct mdns_swarm swarm;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(domain), (const uint8_t *)domain);
	sha256_update(&ctx, 32, key);
	sha256_update(&ctx, strlen(site), (const uint8_t *)site);
	struct digest digest = digest_finish(&ctx);
	memcpy(swarm.bytes, digest.bytes, sizeof(swarm.bytes));
	return swarm;
}

static bool name_is(const struct name *name, const uint8_t *wire, size_t size)
{
	return name->len == size && memcmp(name->bytes, wire, size) == 0;
}

static bool name_equal(const struct name *a, const struct name *b)
{
	return name_is(a, b->bytes, b->len);
}

/* The name of a node's instance, or of its host. */
static void instance_name(const struct node_id *id, struct name *ret)
{
	char hex[33];
	hex_encode(id->bytes, sizeof(id->bytes), hex);
	ret->bytes[0] = 32;
	memcpy(ret->bytes + 1, hex, 32);
	memcpy(ret->bytes + 33, service_name, sizeof(service_name));
	ret->len = 33 + sizeof(service_name);
}

static void host_name(const struct node_id *id, struct name *ret)
{
	static const char prefix[] = "snowboot-", suffix[] = "\x05local";
	char hex[33];
	hex_encode(id->bytes, sizeof(id->bytes), hex);
	ret->bytes[0] = 9 + 32;
	memcpy(ret->bytes + 1, prefix, 9);
	memcpy(ret->bytes + 10, hex, 32);
	memcpy(ret->bytes + 42, suffix, sizeof(suffix));
	ret->len = 42 + sizeof(suffix);
}

/* --- reading --- */

struct reader {
	const uint8_t *data;
	size_t len, off;
};

/*
 * Reads a name and moves on behind it. Pointers lead backwards only (RFC 1035, section 4.1.4), each
 * before the one that led there, so that there is no circle.
 */
static int read_name(struct reader *r, struct name *ret, struct err *err)
{
	size_t at = r->off, limit = r->off;
	bool jumped = false;
	ret->len = 0;
	for (;;) {
		if (at >= r->len)
			return corrupt(err, "a name goes beyond the end");
		uint8_t label = r->data[at];
		if ((label & 0xc0) == 0xc0) {
			if (at + 1 >= r->len)
				return corrupt(err, "a name goes beyond the end");
			size_t to = (size_t)(label & 0x3f) << 8 | r->data[at + 1];
			if (!jumped)
				r->off = at + 2;
			jumped = true;
			if (to >= limit)
				return corrupt(err, "a name that points forward");
			at = limit = to;
			continue;
		}
		if (label > 63)
			return corrupt(err, "a label of an unknown kind");
		if (at + 1 + label > r->len || ret->len + 1u + label > NAME_MAX_SIZE)
			return corrupt(err, "a name is too long");
		ret->bytes[ret->len++] = label;
		for (size_t i = 1; i <= label; i++) {
			uint8_t c = r->data[at + i];
			ret->bytes[ret->len++] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
		}
		at += 1u + label;
		if (label == 0)
			break;
	}
	if (!jumped)
		r->off = at;
	return 0;
}

struct record {
	struct name name;
	uint16_t type, class;
	uint32_t ttl;
	struct reader content; /* from off to len, with what is before for names */
};

static int read_record(struct reader *r, struct record *ret, struct err *err)
{
	if (read_name(r, &ret->name, err) < 0)
		return -1;
	if (r->len - r->off < 10)
		return corrupt(err, "a record goes beyond the end");
	const uint8_t *p = r->data + r->off;
	size_t size = get_be16(p + 8);
	ret->type = get_be16(p);
	ret->class = get_be16(p + 2) & (uint16_t)~CACHE_FLUSH;
	ret->ttl = get_be32(p + 4);
	r->off += 10;
	if (r->len - r->off < size)
		return corrupt(err, "a record goes beyond the end");
	ret->content = (struct reader){r->data, r->off + size, r->off};
	r->off += size;
	return 0;
}

/* What stood with an instance. */
struct instance {
	struct name name, host;
	bool pointed, located, described; /* by PTR, SRV, TXT */
	bool left;                        /* one of them says so */
	uint32_t ttl;                     /* the shortest */
	struct mdns_service service;
};

struct host {
	struct name name;
	uint8_t ip[16];
};

struct tables {
	struct instance instances[MDNS_SERVICES_MAX];
	unsigned instance_count;
	struct host hosts[HOSTS_MAX];
	unsigned host_count;
};

/* The instance of that name, new when there is room; NULL when it is none of our service. */
static struct instance *find_instance(struct tables *t, const struct name *name, uint32_t ttl)
{
	size_t label = name->bytes[0] + 1u;
	if (label == 1 || name->len <= label || name->len - label != sizeof(service_name) ||
		memcmp(name->bytes + label, service_name, sizeof(service_name)) != 0)
		return NULL;
	struct instance *i = t->instances;
	while (i < t->instances + t->instance_count && !name_equal(&i->name, name))
		i++;
	if (i == t->instances + MDNS_SERVICES_MAX)
		return NULL;
	if (i == t->instances + t->instance_count) {
		*i = (struct instance){.name = *name, .ttl = ttl};
		t->instance_count++;
	}
	i->ttl = ttl < i->ttl ? ttl : i->ttl;
	return i;
}

static bool take_hex(const char *text, size_t len, uint8_t ret[16])
{
	return hex_decode(text, len, ret, 16);
}

/* "swarm=HEX[,HEX…]": all of them are to be right. */
static bool take_swarms(const char *text, size_t len, struct mdns_service *service)
{
	service->swarm_count = 0;
	for (;;) {
		if (len < 32 || service->swarm_count == MDNS_SWARMS_MAX ||
			!take_hex(text, 32, service->swarms[service->swarm_count].bytes))
			return false;
		service->swarm_count++;
		if (len == 32)
			return true;
		if (text[32] != ',')
			return false;
		text += 33;
		len -= 33;
	}
}

static int read_txt(const struct record *record, struct instance *i, struct err *err)
{
	const struct reader *c = &record->content;
	bool named = false, swarmed = false;
	for (size_t off = c->off; off < c->len;) {
		size_t len = c->data[off++];
		const char *text = (const char *)c->data + off;
		if (len > c->len - off)
			return corrupt(err, "a text goes beyond its record");
		if (len > 3 && memcmp(text, "id=", 3) == 0)
			named = take_hex(text + 3, len - 3, i->service.id.bytes);
		else if (len > 6 && memcmp(text, "swarm=", 6) == 0)
			swarmed = take_swarms(text + 6, len - 6, &i->service);
		off += len;
	}
	i->described = named && swarmed;
	return 0;
}

static int read_srv(const struct record *record, struct instance *i, struct err *err)
{
	struct reader c = record->content;
	if (c.len - c.off < 7)
		return corrupt(err, "a short SRV record");
	i->service.port = get_be16(c.data + c.off + 4);
	c.off += 6;
	i->located = i->service.port != 0;
	return read_name(&c, &i->host, err);
}

static void take_address(const struct record *record, struct tables *t)
{
	const struct reader *c = &record->content;
	const uint8_t *p = c->data + c->off;
	size_t size = record->type == TYPE_A ? 4 : 16;
	if (c->len - c->off != size || t->host_count == HOSTS_MAX)
		return;
	/* fe80::/10 means nothing without the interface that it came by. */
	if (size == 16 && p[0] == 0xfe && (p[1] & 0xc0) == 0x80)
		return;
	struct host *h = &t->hosts[t->host_count++];
	*h = (struct host){.name = record->name};
	if (size == 4)
		h->ip[10] = h->ip[11] = 0xff;
	memcpy(h->ip + 16 - size, p, size);
}

static int take_record(const struct record *record, struct tables *t, struct err *err)
{
	struct reader c = record->content;
	struct instance *i;
	struct name target;
	if (record->class != CLASS_IN)
		return 0;
	switch (record->type) {
	case TYPE_PTR:
		if (!name_is(&record->name, service_name, sizeof(service_name)))
			return 0;
		if (read_name(&c, &target, err) < 0)
			return -1;
		i = find_instance(t, &target, record->ttl);
		if (i != NULL)
			i->pointed = true;
		return 0;
	case TYPE_SRV:
		i = find_instance(t, &record->name, record->ttl);
		return i != NULL ? read_srv(record, i, err) : 0;
	case TYPE_TXT:
		i = find_instance(t, &record->name, record->ttl);
		return i != NULL ? read_txt(record, i, err) : 0;
	case TYPE_A:
	case TYPE_AAAA:
		take_address(record, t);
		return 0;
	default:
		return 0;
	}
}

static int read_question(
	struct reader *r, const struct node_id *self, struct mdns_packet *packet, struct err *err)
{
	struct name name, instance, host;
	if (read_name(r, &name, err) < 0)
		return -1;
	if (r->len - r->off < 4)
		return corrupt(err, "a question goes beyond the end");
	uint16_t type = get_be16(r->data + r->off);
	r->off += 4;
	instance_name(self, &instance);
	host_name(self, &host);
	bool pointer = type == TYPE_PTR || type == TYPE_ANY;
	if (pointer && name_is(&name, service_name, sizeof(service_name)))
		packet->asks_service = true;
	if (name_equal(&name, &instance) || name_equal(&name, &host) ||
		(pointer && name_is(&name, types_name, sizeof(types_name))))
		packet->asks_self = true;
	return 0;
}

/* What the tables have of complete services; of a question, whether it knows us. */
static void join(const struct tables *t, const struct node_id *self, struct mdns_packet *packet)
{
	struct name own;
	instance_name(self, &own);
	for (unsigned n = 0; n < t->instance_count; n++) {
		const struct instance *i = &t->instances[n];
		if (!packet->answer) {
			packet->known |= i->pointed && i->ttl >= MDNS_TTL_S / 2 &&
				name_equal(&i->name, &own);
			continue;
		}
		if (!i->located || !i->described)
			continue;
		struct mdns_service *s = &packet->services[packet->service_count++];
		*s = i->service;
		s->ttl_s = i->ttl;
		for (unsigned h = 0; h < t->host_count && s->ip_count < MDNS_ADDRESSES_MAX; h++)
			if (name_equal(&t->hosts[h].name, &i->host))
				memcpy(s->ips[s->ip_count++], t->hosts[h].ip, 16);
	}
}

int mdns_packet_read(const uint8_t *data, size_t len, const struct node_id *self,
	struct mdns_packet *ret, struct err *err)
{
	struct reader r = {data, len, 12};
	struct tables t;
	if (len < 12 || len > MDNS_PACKET_MAX)
		return corrupt(err, "no packet of 12 to 9000 bytes");
	*ret = (struct mdns_packet){
		.answer = (get_be16(data + 2) & FLAG_RESPONSE) != 0, .id = get_be16(data)};
	t.instance_count = t.host_count = 0;
	if ((get_be16(data + 2) & 0x7800) != 0) /* another opcode: to be ignored, section 18.3 */
		return 0;
	unsigned questions = get_be16(data + 4);
	unsigned records = (unsigned)get_be16(data + 6) + get_be16(data + 8) + get_be16(data + 10);
	if (questions + records > RECORDS_MAX)
		return corrupt(err, "more than 512 questions and records");
	for (unsigned i = 0; i < questions; i++)
		if (read_question(&r, self, ret, err) < 0)
			return -1;
	for (unsigned i = 0; i < records; i++) {
		struct record record;
		if (read_record(&r, &record, err) < 0 || take_record(&record, &t, err) < 0)
			return -1;
	}
	join(&t, self, ret);
	return 0;
}

/* --- writing --- */

static int put_u16(struct buf *out, unsigned v, struct err *err)
{
	uint8_t bytes[2];
	put_be16(bytes, (uint16_t)v);
	return buf_put(out, bytes, sizeof(bytes), err);
}

static int put_header(
	struct buf *out, unsigned id, unsigned flags, const unsigned counts[4], struct err *err)
{
	if (put_u16(out, id, err) < 0 || put_u16(out, flags, err) < 0)
		return -1;
	for (unsigned i = 0; i < 4; i++)
		if (put_u16(out, counts[i], err) < 0)
			return -1;
	return 0;
}

static int put_question(struct buf *out, struct err *err)
{
	return buf_put(out, service_name, sizeof(service_name), err) < 0 ||
			put_u16(out, TYPE_PTR, err) < 0 || put_u16(out, CLASS_IN, err) < 0
		? -1
		: 0;
}

int mdns_put_question(struct buf *out, struct err *err)
{
	static const unsigned counts[] = {1, 0, 0, 0};
	return put_header(out, 0, 0, counts, err) < 0 ? -1 : put_question(out, err);
}

struct record_head {
	const uint8_t *name;
	size_t name_len;
	unsigned type, class;
	uint32_t ttl;
};

static int put_record(struct buf *out, const struct record_head *head, const void *content,
	size_t size, struct err *err)
{
	uint8_t ttl[4];
	put_be32(ttl, head->ttl);
	if (buf_put(out, head->name, head->name_len, err) < 0 ||
		put_u16(out, head->type, err) < 0 || put_u16(out, head->class, err) < 0 ||
		buf_put(out, ttl, sizeof(ttl), err) < 0 || put_u16(out, (unsigned)size, err) < 0)
		return -1;
	return buf_put(out, content, size, err);
}

static int put_txt(const struct mdns_service *s, struct buf *out, struct err *err)
{
	char id[33], text[MDNS_SWARMS_MAX * 33 + 8];
	size_t len = 0;
	hex_encode(s->id.bytes, sizeof(s->id.bytes), id);
	for (unsigned i = 0; i < s->swarm_count; i++) {
		text[len++] = ',';
		hex_encode(s->swarms[i].bytes, sizeof(s->swarms[i].bytes), text + len);
		len += 32;
	}
	if (len > 0) /* behind the first comma */
		len--;
	return buf_printf(out, err, "%ctxtvers=1%cid=%s%cswarm=%.*s", 9, 35, id, (int)(6 + len),
		(int)len, text + 1);
}

static int put_addresses(const struct mdns_service *s, const struct record_head *host,
	struct buf *out, struct err *err)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	for (unsigned i = 0; i < s->ip_count; i++) {
		bool v4 = memcmp(s->ips[i], mapped, sizeof(mapped)) == 0;
		struct record_head head = *host;
		head.type = v4 ? TYPE_A : TYPE_AAAA;
		if (put_record(out, &head, s->ips[i] + (v4 ? 12 : 0), v4 ? 4 : 16, err) < 0)
			return -1;
	}
	return 0;
}

int mdns_put_answer(const struct mdns_service *s, const struct mdns_packet *legacy, struct buf *out,
	struct err *err)
{
	struct name instance, host;
	AUTO_BUF txt = {0};
	AUTO_BUF srv = {0};
	unsigned unique = CLASS_IN | (legacy != NULL ? 0 : CACHE_FLUSH);
	uint32_t ttl = legacy != NULL && s->ttl_s > LEGACY_TTL_S ? LEGACY_TTL_S : s->ttl_s;
	const unsigned counts[] = {legacy != NULL ? 1 : 0, 4 + s->ip_count, 0, 0};
	static const uint8_t priority_weight[4] = {0};
	instance_name(&s->id, &instance);
	host_name(&s->id, &host);
	const struct record_head heads[] = {
		{types_name, sizeof(types_name), TYPE_PTR, CLASS_IN, ttl},
		{service_name, sizeof(service_name), TYPE_PTR, CLASS_IN, ttl},
		{instance.bytes, instance.len, TYPE_SRV, unique, ttl},
		{instance.bytes, instance.len, TYPE_TXT, unique, ttl},
		{host.bytes, host.len, TYPE_A, unique, ttl},
	};
	if (put_txt(s, &txt, err) < 0 || buf_put(&srv, priority_weight, 4, err) < 0 ||
		put_u16(&srv, s->port, err) < 0 || buf_put(&srv, host.bytes, host.len, err) < 0 ||
		put_header(out, legacy != NULL ? legacy->id : 0, FLAG_RESPONSE | FLAG_AUTHORITATIVE,
			counts, err) < 0 ||
		(legacy != NULL && put_question(out, err) < 0) ||
		put_record(out, &heads[0], service_name, sizeof(service_name), err) < 0 ||
		put_record(out, &heads[1], instance.bytes, instance.len, err) < 0 ||
		put_record(out, &heads[2], srv.data, srv.len, err) < 0 ||
		put_record(out, &heads[3], txt.data, txt.len, err) < 0)
		return -1;
	return put_addresses(s, &heads[4], out, err);
}
