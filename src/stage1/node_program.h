/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_NODE_PROGRAM_H
#define STAGE1_NODE_PROGRAM_H

/*
 * main() under NODE_NAME (stage1/supervisor.h): gets on the network, then is a node and serves the
 * kernel on the sockets that the supervisor sends. docs/internals/netroot-processes.md.
 */
int node_program_main(void);

#endif
