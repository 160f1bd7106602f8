/* SPDX-License-Identifier: MIT */
/* What a DHCP server sends: a reply that decodes has sane values, whatever the bytes. */
#include "target.h"

#include "net/dhcp_message.h"
#include "net/packet.h"

#include <string.h>

static bool decode(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {0x52, 0x54, 0, 1, 2, 3};
	struct err err = ERR_INIT;
	struct dhcp_reply reply;
	if (dhcp_decode(data, size, mac, &reply, &err) < 0) {
		expect(err.msg[0] != '\0');
		return false;
	}
	expect(reply.type == DHCP_NAK || (reply.lease_s > 0 && reply.address.s_addr != 0));
	expect(reply.type == DHCP_NAK ||
		(reply.renew_s <= reply.rebind_s && reply.rebind_s <= reply.lease_s));
	expect(reply.prefix_len <= 32 && reply.route_count <= DHCP_ROUTES_MAX);
	return true;
}

bool target_run(const uint8_t *data, size_t size)
{
	struct packet_view view;
	bool good = decode(data, size);
	if (packet_parse(data, size, size % 2 == 0, &view))
		good |= decode(view.data, view.len);
	return good;
}
