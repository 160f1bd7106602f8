/* SPDX-License-Identifier: MIT */
#ifndef STAGE1_MODPROBE_H
#define STAGE1_MODPROBE_H

/*
 * The program as /sbin/modprobe, which the kernel calls as `modprobe -q -- NAME` (kernel/module/
 * kmod.c), and a rescue shell as `modprobe NAME…`: loads each NAME, a module or an alias. Returns
 * the exit status.
 */
int modprobe_main(int argc, char **argv);

#endif
