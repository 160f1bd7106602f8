/* SPDX-License-Identifier: MIT */
/* What a DHCP server sends: a reply that decodes has sane values, whatever the bytes. */
#include "target.h"

#include "net/dhcp_message.h"
#include "net/packet.h"

#include "base/bytes.h"

#include <string.h>

/* RFC 791 and 768: the head's length and checksum; without a checksum of UDP. */
size_t target_mend(uint8_t *data, size_t size)
{
	size_t head = size >= 28 && data[0] >> 4 == 4 ? (data[0] & 15) * 4u : 0;
	if (head < 20 || head + 8 > size)
		return size;
	put_be16(data + 2, (uint16_t)size);
	put_be16(data + 10, 0);
	put_be16(data + head + 4, (uint16_t)(size - head));
	put_be16(data + head + 6, 0);
	uint32_t sum = 0;
	for (size_t i = 0; i < head; i += 2)
		sum += get_be16(data + i);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	put_be16(data + 10, (uint16_t)~sum);
	return size;
}

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
