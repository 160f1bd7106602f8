/* SPDX-License-Identifier: MIT */
/* Both servers are told all they need in files and words of ours, and nothing of the system's. */
#include "mirror.h"

#include "base/path.h"
#include "vm/child.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

static int publish(const struct mirror *mirror, const char *system, struct err *err)
{
	const char *program = getenv("SNOWBOOT");
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"rm -rf '%s' && mkdir -p '%s/www' '%s/nginx' && "
		"'%s' publish -q --state '%s/state' --to '%s/www' --url http://" LAB_HOST " '%s'",
		mirror->dir, mirror->dir, mirror->dir,
		program != NULL ? program : "build/src/cli/snowboot", mirror->dir, mirror->dir,
		system);
	return command == NULL ? -1 : lab_run(command, &output, err);
}

/* Debian's nginx has these temporary folders compiled in, somewhere else. */
static int configure(const struct mirror *mirror, struct err *err)
{
	AUTO_FREE char *path = path_printf(err, "%s/nginx.conf", mirror->dir);
	FILE *file = path != NULL ? fopen(path, "w") : NULL;
	if (file == NULL)
		return err_sys(err, "cannot write nginx's configuration");
	fprintf(file,
		"daemon off; user root; worker_processes 1; pid nginx/pid;\n"
		"error_log nginx/error;\n"
		"events { worker_connections 512; }\n"
		"http {\n"
		"log_format short '$body_bytes_sent $request_uri $http_user_agent';\n"
		"access_log nginx/access short;\n"
		"client_body_temp_path nginx/1; proxy_temp_path nginx/2;\n"
		"fastcgi_temp_path nginx/3; uwsgi_temp_path nginx/4; scgi_temp_path nginx/5;\n"
		"server { listen " LAB_HOST ":80; root www;\n"
		"default_type application/octet-stream; }\n"
		"}\n");
	if (fclose(file) != 0)
		return err_sys(err, "cannot write '%s'", path);
	return 0;
}

/* A program with its words, by a shell that becomes it; %s in `words` is the mirror's folder. */
static int start(
	const struct mirror *mirror, const char *words, struct child **ret, struct err *err)
{
	AUTO_STRVEC argv = {0};
	AUTO_FREE char *command = path_printf(err, "cd '%s' && exec %s", mirror->dir, words);
	if (command == NULL || strvec_push(&argv, "sh", err) < 0 ||
		strvec_push(&argv, "-c", err) < 0 || strvec_push(&argv, command, err) < 0)
		return -1;
	return child_start(&argv, NULL, 0, ret, err);
}

int mirror_start(struct lab *lab, const char *system, struct mirror *ret, struct err *err)
{
	AUTO_FREE char *found = NULL, *output = NULL;
	AUTO_MIRROR mirror = {.dir = path_printf(err, "%s/mirror", lab->dir)};
	if (mirror.dir == NULL)
		return -1;
	if (lab_run("command -v nginx && command -v dnsmasq", &found, err) < 0)
		test_skip("needs nginx and dnsmasq");
	if (publish(&mirror, system, err) < 0 || configure(&mirror, err) < 0 ||
		start(&mirror, "nginx -p . -e nginx/error -c nginx.conf", &mirror.web, err) < 0 ||
		start(&mirror,
			"dnsmasq -k --conf-file=/dev/null --port=0 --user=root --pid-file= "
			"--dhcp-leasefile=leases --interface=" LAB_BRIDGE " --bind-interfaces "
			"--dhcp-range=10.77.0.50,10.77.0.90,255.255.255.0,1h "
			"--dhcp-boot=http://" LAB_HOST "/boot/default/netboot.ipxe",
			&mirror.dhcp, err) < 0 ||
		lab_run("for i in $(seq 100); do "
			"curl -sSf -o /dev/null http://" LAB_HOST "/boot/default/netboot.ipxe && "
			"ss -Hlun sport = :67 | grep -q . && exit 0; sleep 0.1; done; exit 1",
			&output, err) < 0)
		return -1;
	*ret = mirror;
	mirror = (struct mirror){0};
	return 0;
}

void mirror_done(struct mirror *mirror)
{
	child_free(mirror->web);
	child_free(mirror->dhcp);
	free(mirror->dir);
	*mirror = (struct mirror){0};
}

int mirror_node_bytes(const struct mirror *mirror, long long *ret, struct err *err)
{
	AUTO_FREE char *output = NULL;
	AUTO_FREE char *command = path_printf(err,
		"awk '!/ (iPXE|curl)\\// { n += $1 } END { printf \"%%.0f\", n }' "
		"'%s/nginx/access'",
		mirror->dir);
	if (command == NULL || lab_run(command, &output, err) < 0)
		return -1;
	*ret = strtoll(output, NULL, 10);
	return *ret > 0 ? 0 : err_raise(err, ERR_IO, "no node fetched anything from nginx");
}
