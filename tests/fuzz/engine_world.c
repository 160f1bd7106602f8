/* SPDX-License-Identifier: MIT */
/* The operations of the engine's world. */
#include "engine_world.h"

#include <string.h>

static const uint32_t lens[CHUNKS] = {100, 2 * LINK_PART_SIZE + 5, LINK_PART_SIZE, 5000};

struct chunk world_chunk(unsigned i)
{
	return (struct chunk){.digest = {{(uint8_t)(i % 8 + 1), 7}},
		.object = {{1}},
		.off = 4096,
		.len = lens[i % CHUNKS],
		.is_private = i == PRIVATE};
}

static struct wire *wire_of(struct engine_link *link)
{
	struct wire *wire = engine_link_user(link);
	expect(wire != NULL);
	if (wire->fresh)
		wire->link = link;
	wire->fresh = false;
	expect(wire->link == link);
	return wire;
}

struct wire *world_free_wire(struct world *w)
{
	for (unsigned i = 0; i < WIRES; i++)
		if (w->wires[i].link == NULL)
			return &w->wires[i];
	return NULL;
}

/* Too many links at once are another test's business. */
static void open_wire(struct world *w, struct engine_link *link, bool origin)
{
	struct wire *wire = world_free_wire(w);
	expect(wire != NULL);
	*wire = (struct wire){.link = link, .origin = origin};
	engine_link_set_user(link, wire);
}

void world_forget_ask(struct wire *wire, uint32_t id)
{
	for (unsigned i = 0; i < wire->asks_len; i++)
		if (wire->asks[i].id == id)
			wire->asks[i--] = wire->asks[--wire->asks_len];
}

static void add_ask(struct wire *wire, uint32_t id, const struct chunk *chunk)
{
	world_forget_ask(wire, id);
	if (wire->asks_len < ASKS)
		wire->asks[wire->asks_len++] = (struct ask){.id = id, .chunk = *chunk};
}

bool world_wants(const struct world *w, unsigned chunk)
{
	for (unsigned i = 0; i < WANTS; i++)
		if (w->wants[i].want != NULL && w->wants[i].chunk == chunk)
			return true;
	return false;
}

/* What the engine does. */

static void op_dial(
	struct engine_link *link, const struct node_address *address, unsigned ms, void *data)
{
	expect(address->port != 0 && ms > 0);
	open_wire(data, link, false);
}

static void op_dial_origin(struct engine_link *link, unsigned origin, void *data)
{
	expect(origin < ORIGINS);
	open_wire(data, link, true);
}

static void op_hang_up(struct engine_link *link, void *data)
{
	(void)data;
	*wire_of(link) = (struct wire){0};
}

static bool op_hides(const struct digest *chunk, void *data)
{
	return ((const struct world *)data)->hides && chunk->bytes[0] == PRIVATE + 1;
}

static void op_send(struct engine_link *link, const struct message *m, void *data)
{
	struct err err = ERR_INIT;
	struct wire *wire = wire_of(link);
	AUTO_BUF frame = {0};
	expect(wire->up && !wire->mirror);
	expect(m->type != MESSAGE_PART || m->part.len == 0); /* the answer to a probe */
	expect(message_encode(m, &frame, &err) == 0);
	if (m->type == MESSAGE_CANCEL)
		world_forget_ask(wire, m->cancel.id);
	if (m->type != MESSAGE_REQUEST)
		return;
	for (size_t i = 0; i < m->request.items.len; i++) {
		const struct chunk *item = &m->request.items.items[i];
		bool is_private = item->is_private || op_hides(&item->digest, data) ||
			(item->digest.bytes[0] == PRIVATE + 1 && world_wants(data, PRIVATE));
		expect(wire->origin || !is_private);
		add_ask(wire, m->request.first + (uint32_t)i, item);
	}
}

static bool op_has_room(struct engine_link *link, void *data)
{
	expect(wire_of(link)->up);
	return !((struct world *)data)->full;
}

static void op_part(struct engine_link *link, uint32_t id, struct engine_body *body, uint32_t off,
	uint32_t len, void *data)
{
	(void)id;
	uint32_t whole = body->chunk.len;
	expect(wire_of(link)->up && body->references > 0 && !body->chunk.is_private);
	expect(!op_hides(&body->chunk.digest, data));
	expect(len > 0 && len <= LINK_PART_SIZE && off <= whole && len <= whole - off);
	expect(off + len <= body->written);
	expect(off + len < whole || !body->wrong); /* its end only when it is verified */
}

static void op_mirror_get(struct engine_link *link, uint32_t id, const struct chunk *chunk,
	enum swarm_priority priority, void *data)
{
	(void)priority;
	(void)data;
	expect(wire_of(link)->mirror);
	add_ask(wire_of(link), id, chunk);
}

static void op_mirror_cancel(struct engine_link *link, uint32_t id, void *data)
{
	(void)data;
	expect(wire_of(link)->mirror);
	world_forget_ask(wire_of(link), id);
}

static void op_mirror_distrust(struct engine_link *link, const struct chunk *chunk, void *data)
{
	(void)chunk;
	(void)data;
	expect(wire_of(link)->mirror);
}

struct engine_body *world_body(struct world *w, const struct chunk *chunk)
{
	struct engine_body *body = calloc(1, sizeof(*body));
	expect(body != NULL);
	*body = (struct engine_body){.references = 1, .chunk = *chunk};
	w->bodies++;
	return body;
}

static struct engine_body *op_body_new(const struct chunk *chunk, void *data)
{
	struct world *w = data;
	return w->short_of_memory ? NULL : world_body(w, chunk);
}

static void op_body_write(
	struct engine_body *body, uint32_t off, const void *bytes, uint32_t len, void *data)
{
	(void)data;
	expect(off == body->written && len > 0 && len <= body->chunk.len - off);
	body->written += len;
	for (uint32_t i = 0; i < len; i++)
		body->wrong |= ((const uint8_t *)bytes)[i] != GOOD;
}

static bool is_good(const struct engine_body *body)
{
	return body->written == body->chunk.len && !body->wrong;
}

static bool op_body_verify(struct engine_body *body, void *data)
{
	(void)data;
	expect(body->written == body->chunk.len);
	return is_good(body);
}

static struct engine_body *op_body_ref(struct engine_body *body, void *data)
{
	(void)data;
	expect(body->references > 0);
	body->references++;
	return body;
}

static void op_body_unref(struct engine_body *body, void *data)
{
	expect(body->references > 0);
	if (--body->references > 0)
		return;
	((struct world *)data)->bodies--;
	free(body);
}

static bool op_has(const struct digest *chunk, void *data)
{
	const struct world *w = data;
	return chunk->bytes[0] <= CHUNKS && w->held[chunk->bytes[0] - 1];
}

static void op_load(const struct digest *chunk, uint32_t len, uint64_t ticket, void *data)
{
	struct world *w = data;
	if (w->loads_len == LOADS)
		return; /* never answered: a disk that hangs */
	w->load_chunks[w->loads_len] = (struct chunk){.digest = *chunk, .len = len};
	w->loads[w->loads_len++] = ticket;
}

static void op_recheck(const struct digest *chunk, void *data)
{
	(void)chunk;
	(void)data;
}

static void op_inventory(uint8_t ret[INVENTORY_SIZE], void *data)
{
	const struct world *w = data;
	memset(ret, w->held[0] ? 1 : 0, INVENTORY_SIZE);
}

static void op_store(const struct chunk *chunk, struct engine_body *body, void *data)
{
	struct world *w = data;
	expect(is_good(body) && digest_equal(&chunk->digest, &body->chunk.digest));
	if (chunk->digest.bytes[0] <= CHUNKS)
		w->held[chunk->digest.bytes[0] - 1] = true;
}

static void op_got(void *user, struct engine_body *body, enum swarm_source source, void *data)
{
	struct want *want = user;
	struct world *w = data;
	expect(want->want != NULL && is_good(body));
	expect(body->chunk.digest.bytes[0] == want->chunk + 1);
	expect(body->chunk.len == lens[want->chunk]);
	expect(want->chunk != PRIVATE || source == SWARM_ORIGIN);
	want->want = NULL;
	w->got++;
}

const struct engine_ops world_ops = ENGINE_OPS(op_);
