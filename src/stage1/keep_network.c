/* SPDX-License-Identifier: MIT */
/*
 * Drop-ins below /run. networkd merges NAME.network.d/ of every directory it reads, so one for each
 * of the system's files adds to whatever the administrator wrote and overrides none of it.
 */
#include "stage1/keep_network.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/outfile.h"
#include "base/path.h"
#include "stage1/init.h"
#include "stage1/netconf.h"
#include "stage1/sysfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* The MAC of the card; false when it is gone. */
static bool read_mac(const struct keep_network *keep, uint8_t ret[static 6])
{
	struct err err = ERR_INIT;
	AUTO_FREE char *path = path_printf(&err, "%s/class/net/%s/address", keep->sys, keep->link);
	AUTO_FREE char *text = path != NULL ? sysfile_read(path) : NULL;
	return text != NULL && netconf_parse_mac(text, ret);
}

static unsigned count_cards(const struct keep_network *keep)
{
	unsigned count = 0;
	struct err err = ERR_INIT;
	AUTO_FREE char *folder = path_printf(&err, "%s/class/net", keep->sys);
	AUTO_DIR *dir = folder != NULL ? fd_opendir(AT_FDCWD, folder) : NULL;
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		AUTO_FREE char *device = path_printf(&err, "%s/%s/device", folder, entry->d_name);
		count += entry->d_name[0] != '.' && device != NULL && sysfile_exists(device);
	}
	return count;
}

/*
 * The same client identifier as the node's (net/uplink.c), so that the server gives one address to
 * both. An IAID names one card, so it can be said only where there is but one.
 */
static int put_identifier(const struct keep_network *keep, struct buf *out, struct err *err)
{
	uint8_t mac[6];
	if (count_cards(keep) != 1 || !read_mac(keep, mac))
		return 0;
	struct digest iaid = digest_of(mac, sizeof(mac));
	if (buf_printf(out, err,
		    "\n[DHCPv4]\nClientIdentifier=duid\nIAID=%u\nDUIDType=uuid\nDUIDRawData=",
		    get_be32(iaid.bytes)) < 0)
		return -1;
	for (size_t i = 0; i < 16; i++)
		if (buf_printf(out, err, "%s%02x", i > 0 ? ":" : "", keep->machine_id[i]) < 0)
			return -1;
	return buf_put_str(out, "\n", err);
}

/* Every folder of the path that is not there yet, and the file. */
static int write_below(const char *run, const char *path, const struct buf *text, struct err *err)
{
	AUTO_FREE char *file = path_printf(err, "%s/%s", run, path);
	if (file == NULL)
		return -1;
	for (char *slash = file + strlen(run) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		int made = sysfile_mkdir(file, 0755, err);
		*slash = '/';
		if (made < 0)
			return -1;
	}
	return outfile_write(file, text->data, text->len, err);
}

/* /etc/systemd/network of the system, which may be a link into the store. */
static int keep_networkd(const struct keep_network *keep, const struct buf *text, struct err *err)
{
	AUTO_FREE char *link = path_printf(err, "%s/etc/systemd/network", keep->system);
	AUTO_FREE char *resolved = NULL;
	struct err none = ERR_INIT;
	if (link == NULL)
		return -1;
	if (init_resolve(keep->root, link, &resolved, &none) < 0)
		return 0; /* a system without networkd */
	AUTO_FREE char *folder = path_printf(err, "%s%s", keep->root, resolved);
	AUTO_DIR *dir = folder != NULL ? fd_opendir(AT_FDCWD, folder) : NULL;
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		if (dot == NULL || strcmp(dot, ".network") != 0)
			continue;
		AUTO_FREE char *path =
			path_printf(err, "systemd/network/%s.d/50-snowboot.conf", entry->d_name);
		if (path == NULL || write_below(keep->run, path, text, err) < 0)
			return -1;
	}
	return 0;
}

static int keep_manager(const struct keep_network *keep, struct err *err)
{
	AUTO_BUF text = {0};
	uint8_t mac[6];
	if (!read_mac(keep, mac))
		return 0;
	/* By MAC: the name may be another by then. */
	if (buf_printf(&text, err,
		    "[keyfile]\nunmanaged-devices+=mac:%02x:%02x:%02x:%02x:%02x:%02x\n", mac[0],
		    mac[1], mac[2], mac[3], mac[4], mac[5]) < 0)
		return -1;
	return write_below(keep->run, "NetworkManager/conf.d/50-snowboot.conf", &text, err);
}

int keep_network(const struct keep_network *keep, struct err *err)
{
	AUTO_BUF text = {0};
	ERR_SCOPE(err, "cannot tell the system's network services to keep the address");
	if (buf_put_str(&text,
		    "# written by snowboot: the root file system lies behind this link\n"
		    "[Network]\nKeepConfiguration=yes\n",
		    err) < 0 ||
		put_identifier(keep, &text, err) < 0)
		return -1;
	if (keep_networkd(keep, &text, err) < 0)
		return -1;
	return keep_manager(keep, err);
}
