/* SPDX-License-Identifier: MIT */
/*
 * In two steps, since files that the server makes while it starts are to be its user's: first
 * another user with three capabilities (capabilities(7)), then none of these.
 */
#include "serve/user.h"

#include "base/path.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STARTING (1u << CAP_NET_BIND_SERVICE | 1u << CAP_NET_ADMIN | 1u << CAP_NET_RAW)

int user_find(const char *name, struct user *ret, struct err *err)
{
	char *end;
	errno = 0;
	const struct passwd *entry = getpwnam(name);
	unsigned long number = strtoul(name, &end, 10);
	if (entry == NULL && name[0] >= '0' && name[0] <= '9' && *end == '\0' &&
		number < UINT32_MAX)
		entry = getpwuid((uid_t)number);
	if (entry == NULL) {
		err_raise(err, ERR_NOT_FOUND, "there is no user '%s'", name);
		return err_hint(err,
			"'useradd --system %s' makes it (NixOS: users.users.%s.isSystemUser)", name,
			name);
	}
	*ret = (struct user){.name = name, .uid = entry->pw_uid, .gid = entry->pw_gid};
	return 0;
}

int user_make_dir(const struct user *user, const char *dir, struct err *err)
{
	struct stat st;
	if (stat(dir, &st) == 0)
		return 0;
	if (path_mkdirs(dir, err) < 0)
		return -1;
	if (chown(dir, user->uid, user->gid) < 0)
		return err_sys(err, "cannot give '%s' to user '%s'", dir, user->name);
	return 0;
}

static int set_capabilities(uint32_t bits, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = bits, .permitted = bits, .inheritable = bits}};
	if (syscall(SYS_capset, &header, data) < 0)
		return err_sys(err, "cannot set capabilities");
	return 0;
}

/* Of the capabilities that starting needs, those that we have. */
static int capabilities(uint32_t *ret, struct err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &header, data) < 0)
		return err_sys(err, "cannot read our capabilities");
	*ret = data[0].permitted & STARTING;
	return 0;
}

int user_become(const struct user *user, struct err *err)
{
	uint32_t kept = 0;
	if (geteuid() == user->uid)
		return 0;
	if (geteuid() != 0) {
		err_raise(err, ERR_USAGE, "only root can serve as user '%s'", user->name);
		return err_hint(err, "start it as that user, or as root");
	}
	if (capabilities(&kept, err) < 0)
		return -1;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || initgroups(user->name, user->gid) < 0 ||
		setresgid(user->gid, user->gid, user->gid) < 0 ||
		setresuid(user->uid, user->uid, user->uid) < 0)
		return err_sys(err, "cannot become user '%s'", user->name);
	return set_capabilities(kept, err);
}

int user_drop_privileges(struct err *err)
{
	if (geteuid() == 0)
		return 0;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "cannot give privileges up");
	return set_capabilities(0, err);
}
