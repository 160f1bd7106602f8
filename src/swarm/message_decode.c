/* SPDX-License-Identifier: MIT */
/*
 * Reading the link protocol. What is read is canonical: a frame that decodes encodes to the same
 * bytes, and every list, text and number is within its bounds before anybody sees it.
 */
#include "swarm/frame.h"

#include "base/bytes.h"

#include <string.h>

static const uint8_t inventory_none[INVENTORY_SIZE];

/* After the first failure, reads give zeros, and the failure stays. */
struct reader {
	const uint8_t *p, *end;
	struct err *err; /* clean while all is well */
};

static void r_corrupt(struct reader *r, const char *what)
{
	if (err_clean(r->err))
		(void)err_raise(r->err, ERR_CORRUPT, "link: %s", what);
	r->p = r->end;
}

static const uint8_t *r_take(struct reader *r, size_t size)
{
	static const uint8_t zeros[INVENTORY_SIZE];
	if ((size_t)(r->end - r->p) < size) {
		r_corrupt(r, "frame ends too early");
		return zeros;
	}
	const uint8_t *p = r->p;
	r->p += size;
	return p;
}

static void r_bytes(struct reader *r, void *data, size_t size)
{
	memcpy(data, r_take(r, size), size);
}

static uint8_t r_u8(struct reader *r)
{
	return *r_take(r, 1);
}

static uint16_t r_u16(struct reader *r)
{
	return get_le16(r_take(r, 2));
}

static uint32_t r_u32(struct reader *r)
{
	return get_le32(r_take(r, 4));
}

static uint64_t r_u64(struct reader *r)
{
	return get_le64(r_take(r, 8));
}

/* Into memory of `size` bytes, with a NUL. Printable ASCII only: it is shown to people. */
static void r_text(struct reader *r, char *out, size_t size)
{
	size_t len = r_u8(r);
	out[0] = '\0';
	if (len >= size) {
		r_corrupt(r, "text is too long");
		return;
	}
	if ((size_t)(r->end - r->p) < len) {
		r_corrupt(r, "frame ends too early");
		return;
	}
	for (size_t i = 0; i < len; i++)
		if (r->p[i] < 0x20 || r->p[i] > 0x7e) {
			r_corrupt(r, "text with a character that is not printable ASCII");
			return;
		}
	memcpy(out, r->p, len);
	out[len] = '\0';
	r->p += len;
}

static char *r_text_new(struct reader *r)
{
	char text[LINK_TEXT_MAX + 1];
	r_text(r, text, sizeof(text));
	char *copy = strdup(text);
	if (copy == NULL && err_clean(r->err))
		(void)err_oom(r->err);
	return copy;
}

static size_t r_count(struct reader *r, size_t max)
{
	size_t count = r_u16(r);
	if (count > max) {
		r_corrupt(r, "list is too long");
		return 0;
	}
	return count;
}

static void r_address(struct reader *r, bool ipv4, struct node_address *ret)
{
	if (ipv4)
		memcpy(ret->ip, frame_ipv4_prefix, sizeof(frame_ipv4_prefix));
	r_bytes(r, ret->ip + (ipv4 ? 12 : 0), ipv4 ? 4 : 16);
	if (!ipv4 && memcmp(ret->ip, frame_ipv4_prefix, sizeof(frame_ipv4_prefix)) == 0)
		r_corrupt(r, "IPv4 address in the long form");
	ret->port = r_u16(r);
}

static void r_member(struct reader *r, struct member *ret)
{
	*ret = (struct member){0};
	r_bytes(r, ret->id.bytes, sizeof(ret->id.bytes));
	uint8_t flags = r_u8(r);
	if (flags & ~(MEMBER_IPV4 | MEMBER_INVENTORY))
		r_corrupt(r, "member with unknown flags");
	bool ipv4 = flags & MEMBER_IPV4;
	r_address(r, ipv4, &ret->address);
	r_text(r, ret->site, sizeof(ret->site));
	if (!(flags & MEMBER_INVENTORY))
		return;
	r_bytes(r, ret->inventory, INVENTORY_SIZE);
	if (memcmp(ret->inventory, inventory_none, INVENTORY_SIZE) == 0)
		r_corrupt(r, "inventory that is announced and empty");
}

static void r_item(struct reader *r, struct chunk *ret, const struct chunk *before, bool place)
{
	*ret = (struct chunk){0};
	r_bytes(r, ret->digest.bytes, DIGEST_SIZE);
	uint32_t len = r_u32(r);
	ret->is_private = len & ITEM_PRIVATE;
	ret->len = len & ~(ITEM_PRIVATE | ITEM_SAME);
	bool same = len & ITEM_SAME;
	if (same && (!place || before == NULL))
		r_corrupt(r, "chunk of no object");
	if (ret->len == 0 || ret->len > CHUNK_MAX)
		r_corrupt(r, "chunk of an impossible size");
	if (!place)
		return;
	if (same && before != NULL)
		ret->object = before->object;
	else
		r_bytes(r, ret->object.bytes, DIGEST_SIZE);
	if (!same && before != NULL && digest_equal(&ret->object, &before->object))
		r_corrupt(r, "object that is said twice");
	ret->off = r_u64(r);
	uint64_t end;
	if (!mem_add(ret->off, ret->len, &end) || end > INT64_MAX)
		r_corrupt(r, "chunk beyond the end of any object");
}

static void r_items(struct reader *r, chunks *ret, bool place)
{
	size_t count = r_count(r, LINK_ITEMS_MAX);
	for (size_t i = 0; i < count && err_clean(r->err); i++) {
		struct chunk item;
		r_item(r, &item, i > 0 ? &ret->items[i - 1] : NULL, place);
		if (err_clean(r->err))
			(void)vec_push(ret, item, r->err);
	}
}

static void r_ids(struct reader *r, node_ids *ret, size_t max)
{
	size_t count = r_count(r, max);
	for (size_t i = 0; i < count && err_clean(r->err); i++) {
		struct node_id id;
		r_bytes(r, id.bytes, sizeof(id.bytes));
		if (err_clean(r->err))
			(void)vec_push(ret, id, r->err);
	}
}

static void r_heartbeat(struct reader *r, struct message *ret)
{
	ret->heartbeat.epoch = r_u64(r);
	ret->heartbeat.step = r_text_new(r);
	ret->heartbeat.percent = r_u8(r);
	if (ret->heartbeat.percent > 100)
		r_corrupt(r, "more than 100 percent");
	for (size_t i = 0; i < LINK_COUNTERS; i++)
		ret->heartbeat.counters[i] = r_u64(r);
	r_bytes(r, ret->heartbeat.inventory, INVENTORY_SIZE);
	r_ids(r, &ret->heartbeat.suspects, LINK_SUSPECTS_MAX);
}

static void r_join(struct reader *r, struct message *ret)
{
	r_member(r, &ret->join.member);
	r_bytes(r, ret->join.mac, sizeof(ret->join.mac));
	ret->join.tracker = r_u64(r);
	ret->join.epoch = r_u64(r);
	ret->join.serial = r_u64(r);
	ret->join.system = r_text_new(r);
	ret->join.version = r_text_new(r);
}

static void r_welcome(struct reader *r, struct message *ret)
{
	r_bytes(r, ret->welcome.token, sizeof(ret->welcome.token));
	ret->welcome.tracker = r_u64(r);
	ret->welcome.heartbeat_ms = r_u32(r);
	uint8_t all = r_u8(r);
	if (all > 1)
		r_corrupt(r, "welcome with unknown flags");
	ret->welcome.all = all;
}

static void r_members(struct reader *r, struct message *ret)
{
	ret->members.from = r_u64(r);
	ret->members.to = r_u64(r);
	size_t count = r_count(r, LINK_MEMBERS_MAX);
	for (size_t i = 0; i < count && err_clean(r->err); i++) {
		struct member member;
		r_member(r, &member);
		if (err_clean(r->err))
			(void)vec_push(&ret->members.came, member, r->err);
	}
	r_ids(r, &ret->members.gone, LINK_MEMBERS_MAX);
}

static void r_request(struct reader *r, struct message *ret)
{
	ret->request.first = r_u32(r);
	ret->request.epoch = r_u32(r);
	ret->request.flags = r_u8(r);
	if (ret->request.flags >
		(REQUEST_DEMAND | REQUEST_ONLY_HELD | REQUEST_FORCE | REQUEST_BULK | REQUEST_NAMED))
		r_corrupt(r, "request with unknown flags");
	r_items(r, &ret->request.items, !(ret->request.flags & REQUEST_ONLY_HELD));
}

static void r_part(struct reader *r, struct message *ret)
{
	ret->part.id = r_u32(r);
	ret->part.off = r_u32(r);
	size_t len = (size_t)(r->end - r->p);
	if (len > LINK_PART_SIZE || ret->part.off > CHUNK_MAX || ret->part.off + len > CHUNK_MAX) {
		r_corrupt(r, "part of an impossible size");
		return;
	}
	ret->part.len = (uint32_t)len;
	ret->part.bytes = r_take(r, len);
}

static void r_fail(struct reader *r, struct message *ret)
{
	ret->fail.id = r_u32(r);
	uint8_t reason = r_u8(r);
	if (reason < FAIL_NOT_HELD || reason > FAIL_BROKEN)
		r_corrupt(r, "unknown reason of a failure");
	ret->fail.reason = reason;
	ret->fail.retry_ms = r_u32(r);
}

static void r_fields(struct reader *r, struct message *ret)
{
	uint8_t flags;
	switch (ret->type) {
	case MESSAGE_JOIN:
		r_join(r, ret);
		return;
	case MESSAGE_HEARTBEAT:
		r_heartbeat(r, ret);
		return;
	case MESSAGE_TOUCHES:
		r_items(r, &ret->touches, true);
		return;
	case MESSAGE_LEAVE:
		return;
	case MESSAGE_WELCOME:
		r_welcome(r, ret);
		return;
	case MESSAGE_MEMBERS:
		r_members(r, ret);
		return;
	case MESSAGE_HELLO:
		r_bytes(r, ret->hello.token, sizeof(ret->hello.token));
		r_member(r, &ret->hello.member);
		return;
	case MESSAGE_REQUEST:
		r_request(r, ret);
		return;
	case MESSAGE_PART:
		r_part(r, ret);
		return;
	case MESSAGE_ASK:
		ret->ask.id = r_u32(r);
		r_bytes(r, ret->ask.node.bytes, sizeof(ret->ask.node.bytes));
		flags = r_u8(r);
		if (flags & ~MEMBER_IPV4)
			r_corrupt(r, "address with unknown flags");
		r_address(r, flags & MEMBER_IPV4, &ret->ask.address);
		return;
	case MESSAGE_FAIL:
		r_fail(r, ret);
		return;
	case MESSAGE_CANCEL:
		ret->cancel.id = r_u32(r);
		return;
	case MESSAGE_BAD:
		r_bytes(r, ret->bad.bytes, DIGEST_SIZE);
		return;
	case MESSAGE_PROBE:
		ret->probe.id = r_u32(r);
		r_bytes(r, ret->probe.node.bytes, sizeof(ret->probe.node.bytes));
		ret->probe.hops = r_u8(r);
		return;
	}
	(void)err_raise(r->err, ERR_CORRUPT, "link: unknown message %d", (int)ret->type);
}

int message_frame(const void *data, size_t len, size_t *ret_size, struct err *err)
{
	if (len < 4)
		return 0;
	uint32_t rest = get_le32(data);
	if (rest < FRAME_HEAD - 4 || rest > LINK_FRAME_MAX - 4)
		return err_raise(err, ERR_CORRUPT, "link: frame of %u bytes, min %u, max %u", rest,
			FRAME_HEAD - 4, LINK_FRAME_MAX - 4);
	*ret_size = (size_t)rest + 4;
	return 1;
}

int message_decode(const void *frame, size_t size, struct message *ret, struct err *err)
{
	size_t whole;
	int r = message_frame(frame, size, &whole, err);
	if (r < 0)
		return -1;
	if (r == 0 || whole != size)
		return err_raise(err, ERR_CORRUPT, "link: frame ends too early");
	const uint8_t *bytes = frame;
	AUTO_MESSAGE message = {.type = bytes[4]};
	struct reader reader = {bytes + FRAME_HEAD, bytes + size, err};
	r_fields(&reader, &message);
	if (err_clean(err) && reader.p != reader.end)
		r_corrupt(&reader, "frame goes on behind its end");
	if (!err_clean(err))
		return -1;
	*ret = message;
	message = (struct message){.type = MESSAGE_LEAVE};
	return 0;
}
