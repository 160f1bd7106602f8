/* SPDX-License-Identifier: MIT */
/* What is read of a packet is within its bounds, and a service that was read can be announced. */
#include "target.h"

#include "swarm/mdns_message.h"

bool target_run(const uint8_t *data, size_t size)
{
	static const struct node_id self = {{1, 2, 3}};
	struct err err = ERR_INIT;
	struct mdns_packet packet, again;
	if (mdns_packet_read(data, size, &self, &packet, &err) < 0) {
		expect(err.kind == ERR_CORRUPT && err.msg[0] != '\0');
		return false;
	}
	expect(packet.service_count <= MDNS_SERVICES_MAX);
	expect(packet.answer || packet.service_count == 0);
	for (unsigned i = 0; i < packet.service_count; i++) {
		const struct mdns_service *s = &packet.services[i];
		AUTO_BUF out = {0};
		expect(s->port != 0 && s->swarm_count > 0 && s->swarm_count <= MDNS_SWARMS_MAX);
		expect(s->ip_count <= MDNS_ADDRESSES_MAX);
		expect(mdns_put_answer(s, NULL, &out, &err) == 0);
		expect(mdns_packet_read(out.data, out.len, &self, &again, &err) == 0);
		expect(again.service_count == 1 && again.services[0].port == s->port);
	}
	return true;
}
