/* SPDX-License-Identifier: MIT */
/* Guests are copied from one template a kind, with hard links where nothing changes. */
#include "guest.h"

#include "base/buf.h"
#include "base/path.h"

#include <string.h>
#include <unistd.h>

static const char *template_for(const char *kind)
{
	static const char *kinds[8], *dirs[8];
	size_t i = 0;
	while (kinds[i] != NULL && strcmp(kinds[i], kind) != 0)
		i++;
	if (kinds[i] == NULL) {
		kinds[i] = kind;
		dirs[i] = test_tmpdir();
		test_shell("%s/make-guest.sh %s %s %s", TEST_DIR, dirs[i], kind, STAGE1);
	}
	return dirs[i];
}

void guest_make(struct guest *guest, const char *kind)
{
	const char *fixtures = getenv("SNOWBOOT_FIXTURES");
	struct err err = ERR_INIT;
	AUTO_FREE char *probe = path_printf(&err, "%s/nixos-init/kernel",
		fixtures != NULL ? fixtures : "/var/lib/snowboot/fixtures");
	if (access(probe, R_OK) < 0)
		test_skip("there are no fixtures, run fixtures/build");
	if (geteuid() != 0)
		test_skip("only root can make the device node of an initramfs");
	*guest = (struct guest){
		.dir = strdup(test_tmpdir()), .machine = {.memory_mib = 256, .no_reboot = true}};
	test_shell(
		"cp -a %s/kernel %s/root %s/", template_for(kind), template_for(kind), guest->dir);
}

void guest_done(struct guest *guest)
{
	vm_free(guest->vm);
	free(guest->append);
	free(guest->dir);
}

static void start(struct guest *guest)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *kernel = path_printf(&err, "%s/kernel", guest->dir);
	AUTO_FREE char *initrd = path_printf(&err, "%s/initrd", guest->dir);
	AUTO_FREE char *transcript = path_printf(&err, "%s/console", guest->dir);
	AUTO_FREE char *line =
		path_printf(&err, "console=ttyS0 loglevel=3 panic=-1 fstab=no %s", guest->append);
	guest->machine.kernel = kernel;
	guest->machine.initrd = initrd;
	guest->machine.append = line;
	assert_ok(vm_start(&guest->machine, transcript, &guest->vm, &err));
}

void guest_boot(struct guest *guest, const char *append)
{
	test_shell("%s/pack-guest.sh %s", TEST_DIR, guest->dir);
	guest->append = strdup(append);
	start(guest);
}

static void expect(struct guest *guest, const char *pattern)
{
	struct err err = ERR_INIT;
	int r = console_expect(vm_console(guest->vm), pattern, GUEST_TIMEOUT_MS, NULL, &err);
	AUTO_FREE char *transcript = path_printf(&(struct err){0}, "%s/console", guest->dir);
	if (r < 0 && test_kernel_died_early(transcript)) {
		err_reset(&err);
		vm_free(guest->vm);
		guest->vm = NULL;
		test_shell("rm '%s'", transcript);
		start(guest);
		r = console_expect(vm_console(guest->vm), pattern, GUEST_TIMEOUT_MS, NULL, &err);
	}
	if (r < 0) {
		vm_explain(guest->vm, &err);
		fail_msg("%s", err.msg);
	}
}

/* `text`, between two pieces of a regular expression. */
static void expect_text(
	struct guest *guest, const char *before, const char *text, const char *behind)
{
	struct err err = ERR_INIT;
	AUTO_BUF pattern = {0};
	assert_ok(buf_put_str(&pattern, before, &err));
	for (; *text != '\0'; text++)
		assert_ok(buf_printf(
			&pattern, &err, strchr(".[]()*+?{}|^$\\", *text) ? "\\%c" : "%c", *text));
	assert_ok(buf_put_str(&pattern, behind, &err));
	expect(guest, buf_str(&pattern, &err));
}

void guest_expect(struct guest *guest, const char *text)
{
	expect_text(guest, "^", text, "$");
}

void guest_expect_prompt(struct guest *guest, const char *text)
{
	expect_text(guest, "", text, "");
}

void guest_expect_system(struct guest *guest, const char *kind)
{
	struct err err = ERR_INIT;
	AUTO_FREE char *line = path_printf(&err, "handed over: %s", kind);
	guest_expect(guest, line);
	assert_ok(shell_adopt(vm_console(guest->vm), GUEST_TIMEOUT_MS, &err));
}

char *guest_run(struct guest *guest, const char *command)
{
	struct err err = ERR_INIT;
	char *output = NULL;
	assert_ok(shell_must(vm_console(guest->vm), command, GUEST_TIMEOUT_MS, &output, &err));
	return output;
}

void guest_type(struct guest *guest, const char *line)
{
	struct err err = ERR_INIT;
	assert_ok(console_send(vm_console(guest->vm), line, &err));
	assert_ok(console_send(vm_console(guest->vm), "\n", &err));
}

char *guest_release(const struct guest *guest)
{
	return test_shell_output("ls %s/root/lib/modules", guest->dir);
}
