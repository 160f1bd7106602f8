/* SPDX-License-Identifier: MIT */
#ifndef SWARM_FRAME_H
#define SWARM_FRAME_H

/* What writing and reading of frames have in common. docs/formats/link.md. */

#include "swarm/message.h"

#define FRAME_HEAD 5            /* u32 length of the rest, u8 type */
#define ITEM_PRIVATE (1u << 31) /* beside the length */
#define ITEM_SAME (1u << 30)    /* of the same object as the item before */

enum member_flags {
	MEMBER_IPV4 = 1 << 0,      /* four bytes of address, not sixteen */
	MEMBER_INVENTORY = 1 << 1, /* it has some */
};

static const uint8_t frame_ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

#endif
