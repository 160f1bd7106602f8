/* SPDX-License-Identifier: MIT */
/*
 * dnsmasq's configuration as text. The facts behind it:
 *
 *   - Option 93 is the client's architecture (RFC 4578): 0 BIOS, 7 and 9 EFI x86-64 (the RFC's text
 *     had the two swapped, so both are met), 21 and 22 U-Boot on 32 and 64-bit ARM (old ones said
 *     256). U-Boot takes no boot server from a proxy.
 *   - iPXE sends option 175; the byte 19 in it says that this iPXE speaks HTTP. One that does not
 *     (some ROMs) gets the packaged one by TFTP, like firmware.
 *   - As a proxy, BIOS ROMs take the file from the offer at once, which dnsmasq arranges (option
 * 43, discovery control 8) when no pxe-service matches. EFI gets no option 43 but asks port 4011,
 *     and dnsmasq answers that from the single pxe-service that matches.
 *   - 16 and 19 are UEFI HTTP boot on x86-64 and 64-bit ARM. It takes offers whose option 60 is
 *     "HTTPClient" and whose file is a URL, from proxies too; a query in it comes back to us.
 *   - Option 175.176 tells iPXE not to wait for a proxy when we are the only server.
 */
#include "serve/dhcp.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int dhcp_mode_parse(const char *text, enum dhcp_mode *ret, struct err *err)
{
	static const char *const names[] = {
		[DHCP_PROXY] = "proxy", [DHCP_FULL] = "full", [DHCP_OFF] = "off"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum dhcp_mode)i;
			return 0;
		}
	}
	return err_raise(err, ERR_USAGE, "--dhcp takes proxy, full or off, not '%s'", text);
}

int dhcp_range(const struct interface *interface, struct in_addr *ret_first,
	struct in_addr *ret_last, struct err *err)
{
	uint32_t own = ntohl(interface->addr.s_addr);
	uint32_t first = ntohl(interface_network(interface).s_addr) + 1;
	uint32_t last = ntohl(interface_broadcast(interface).s_addr) - 1;
	if (interface->prefix > 30 || interface->prefix == 0) {
		char addr[INET_ADDRSTRLEN];
		inet_ntop(AF_INET, &interface->addr, addr, sizeof(addr));
		err_raise(err, ERR_UNSUPPORTED,
			"network %s/%u of '%s' has no addresses to give away", addr,
			interface->prefix, interface->name);
		return err_hint(err, "give '%s' an address like 10.55.0.1/24", interface->name);
	}
	if (own - first > last - own)
		last = own - 1;
	else
		first = own + 1;
	*ret_first = (struct in_addr){htonl(first)};
	*ret_last = (struct in_addr){htonl(last)};
	return 0;
}

/* Who gets an address from whom. */
static int put_range(const struct dhcp_config *config, struct buf *out, struct err *err)
{
	char first[INET_ADDRSTRLEN], last[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN];
	struct in_addr netmask = interface_netmask(config->interface);
	inet_ntop(AF_INET, &netmask, mask, sizeof(mask));
	if (config->mode == DHCP_PROXY) {
		struct in_addr network = interface_network(config->interface);
		inet_ntop(AF_INET, &network, first, sizeof(first));
		return buf_printf(out, err, "dhcp-range=%s,proxy,%s\n", first, mask);
	}
	struct in_addr a, b;
	if (dhcp_range(config->interface, &a, &b, err) < 0)
		return -1;
	inet_ntop(AF_INET, &a, first, sizeof(first));
	inet_ntop(AF_INET, &b, last, sizeof(last));
	/* No router and no name server: this network leads nowhere that we know of. */
	return buf_printf(out, err,
		"dhcp-range=%s,%s,%s,12h\n"
		"dhcp-authoritative\n"
		"dhcp-option=option:router\n"
		"dhcp-option-force=tag:ipxe,encap:175,176,1b\n",
		first, last, mask);
}

/*
 * A line with a value that was given to us: in double quotes, where dnsmasq takes commas, '#' and
 * blanks as they are, and a backslash escapes (its option.c, read_file()).
 */
static int put_value(struct buf *out, const char *key, const char *value, struct err *err)
{
	if (buf_printf(out, err, "%s=\"", key) < 0)
		return -1;
	for (const char *p = value; *p != '\0'; p++) {
		const char *special = strchr("\"\\", *p);
		int r = *p == '\n'        ? buf_put_str(out, "\\n", err)
			: special != NULL ? buf_printf(out, err, "\\%c", *p)
					  : buf_put(out, p, 1, err);
		if (r < 0)
			return -1;
	}
	return buf_put_str(out, "\"\n", err);
}

int dhcp_config_text(const struct dhcp_config *config, struct buf *out, struct err *err)
{
	char self[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, &config->interface->addr, self, sizeof(self));
	if (buf_printf(out, err,
		    "# written by snowboot serve\n"
		    "port=0\n"
		    "except-interface=lo\n"
		    "bind-interfaces\n"
		    "log-facility=-\n"
		    "log-dhcp\n"
		    "dhcp-no-override\n"
		    "dhcp-leasefile=%s/leases\n",
		    config->dir) < 0 ||
		put_value(out, "interface", config->interface->name, err) < 0 ||
		put_range(config, out, err) < 0)
		return -1;
	if (buf_printf(out, err,
		    "dhcp-match=set:ipxe,175\n"
		    "dhcp-match=set:ipxe-http,175,19\n"
		    "dhcp-match=set:bios,option:client-arch,0\n"
		    "dhcp-match=set:efi,option:client-arch,7\n"
		    "dhcp-match=set:efi,option:client-arch,9\n"
		    "dhcp-match=set:uboot,option:client-arch,21\n"
		    "dhcp-match=set:uboot,option:client-arch,22\n"
		    "dhcp-match=set:uboot,option:client-arch,256\n"
		    "dhcp-boot=tag:ipxe-http,%s,,%s\n"
		    "dhcp-boot=tag:!ipxe-http,tag:bios,%s,,%s\n"
		    "dhcp-match=set:http-x86_64,option:client-arch,16\n"
		    "dhcp-match=set:http-arm64,option:client-arch,19\n"
		    "dhcp-boot=tag:!ipxe-http,tag:http-x86_64,%s?arch=x86_64,,%s\n"
		    "dhcp-boot=tag:!ipxe-http,tag:http-arm64,%s?arch=arm64,,%s\n",
		    config->script_url, self, config->bios_file, self, config->uki_url, self,
		    config->uki_url, self) < 0)
		return -1;
	if (config->mode == DHCP_PROXY)
		return buf_printf(out, err,
			"dhcp-pxe-vendor=PXEClient,HTTPClient\n"
			"pxe-service=tag:!ipxe-http,7,\"snowboot\",%s\n"
			"pxe-service=tag:!ipxe-http,9,\"snowboot\",%s\n",
			config->efi_file, config->efi_file);
	return buf_printf(out, err,
		"dhcp-option-force=tag:http-x86_64,60,HTTPClient\n"
		"dhcp-option-force=tag:http-arm64,60,HTTPClient\n"
		"dhcp-boot=tag:!ipxe-http,tag:efi,%s,,%s\n"
		"dhcp-boot=tag:uboot,boot.scr.uimg,,%s\n",
		config->efi_file, self, self);
}

static bool has_file(const char *dir, const char *name)
{
	char path[4096];
	int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
	return len > 0 && (size_t)len < sizeof(path) && access(path, R_OK) == 0;
}

int dhcp_find_ipxe(const char *dir, const char **ret_dir, const char **ret_bios,
	const char **ret_efi, struct err *err)
{
	static const char *const usual[] = {"/usr/lib/ipxe", "/usr/share/ipxe",
		"/run/current-system/sw/share/ipxe", "/usr/lib/ipxe/x86_64"};
	/* snponly uses the firmware's own driver for the card it booted from. */
	static const char *const efi_files[] = {"snponly.efi", "ipxe.efi"};
	const char *const *dirs = dir != NULL ? &dir : usual;
	size_t count = dir != NULL ? 1 : ARRAY_LEN(usual);
	for (size_t i = 0; i < count; i++) {
		const char *efi = NULL;
		for (size_t j = 0; j < ARRAY_LEN(efi_files) && efi == NULL; j++)
			efi = has_file(dirs[i], efi_files[j]) ? efi_files[j] : NULL;
		if (efi == NULL || !has_file(dirs[i], "undionly.kpxe"))
			continue;
		*ret_dir = dirs[i];
		*ret_bios = "undionly.kpxe";
		*ret_efi = efi;
		return 0;
	}
	if (dir != NULL)
		err_raise(err, ERR_NOT_FOUND,
			"'%s' does not have 'undionly.kpxe' and 'snponly.efi' or 'ipxe.efi'", dir);
	else
		err_raise(err, ERR_NOT_FOUND, "iPXE is not installed");
	return err_hint(err,
		"install the package 'ipxe' (Debian: ipxe, NixOS: pkgs.ipxe) and name "
		"its folder with --ipxe-dir DIR, or pass --dhcp off");
}
