/* SPDX-License-Identifier: MIT */
/*
 * snowboot vm --pxe: a diskless PC that boots off a running server and leaves nothing behind. The
 * serial line is ours, not QEMU's standard input: so a pattern can end the machine, a file can keep
 * what it said, and our signals end both.
 */
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "cli/command.h"
#include "vm/deadline.h"
#include "vm/tap.h"
#include "vm/terminal.h"
#include "vm/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DEFAULT_MEMORY ((unsigned long long)2 << 30)
#define QUIT_KEY 0x1d /* Ctrl-], as telnet and virsh have it */
#define MAX_FORWARDS 16

/* What the options say, and what hangs on it. */
struct session {
	const struct cli_args *args;
	struct machine machine;
	int tap_fd;
	char *tap_name;
	char *forwards[MAX_FORWARDS + 1]; /* QEMU's words; NULL at the end */
	const char *until;
	bool on_stdio;
	uint64_t begun;
	struct vm *vm;
};

static void session_done(struct session *s)
{
	vm_free(s->vm);
	fd_close_ptr(&s->tap_fd);
	free(s->tap_name);
	for (char **f = s->forwards; *f != NULL; f++)
		free(*f);
}

static int read_firmware(struct session *s, struct err *err)
{
	const struct cli_args *args = s->args;
	if (!cli_flag(args, "pxe")) {
		err_raise(err, ERR_USAGE, "what shall the machine boot from?");
		return err_hint(err, "say --pxe to boot it from the network");
	}
	if (cli_flag(args, "bios") && cli_flag(args, "uefi"))
		return err_raise(err, ERR_USAGE, "a machine has either --bios or --uefi");
	s->machine.firmware = cli_flag(args, "uefi") ? FIRMWARE_UEFI : FIRMWARE_BIOS;
	return 0;
}

static int read_size(struct session *s, struct err *err)
{
	unsigned long long memory;
	long long cpus;
	if (cli_size(s->args, "memory", DEFAULT_MEMORY, &memory, err) < 0 ||
		cli_number(s->args, "cpus", 1, 255, 2, &cpus, err) < 0)
		return -1;
	s->machine.memory_mib = memory >> 20;
	s->machine.cpus = (unsigned)cpus;
	return s->machine.memory_mib != 0 ? 0
					  : err_raise(err, ERR_USAGE, "--memory takes at least 1M");
}

/* "8080:80" becomes QEMU's "tcp:127.0.0.1:8080-:80". */
static int read_forwards(struct session *s, struct err *err)
{
	size_t count = 0;
	for (size_t i = 0; i < s->args->option_names.len; i++) {
		if (strcmp(s->args->option_names.items[i], "forward") != 0)
			continue;
		const char *value = s->args->option_values.items[i];
		unsigned host, guest;
		char rest;
		if (sscanf(value, "%5u:%5u%c", &host, &guest, &rest) != 2 || host - 1 >= 65535 ||
			guest - 1 >= 65535)
			return err_raise(err, ERR_USAGE,
				"--forward takes two ports like '8080:80', not '%s'", value);
		if (count == MAX_FORWARDS)
			return err_raise(
				err, ERR_USAGE, "more than %d --forward options", MAX_FORWARDS);
		s->forwards[count] = path_printf(err, "tcp:127.0.0.1:%u-:%u", host, guest);
		if (s->forwards[count++] == NULL)
			return -1;
	}
	s->machine.nics[0].host_forward = (const char *const *)s->forwards;
	return 0;
}

/* The value of --net behind `kind`, or NULL when it is another kind. */
static const char *net_name(const char *net, const char *kind)
{
	size_t len = strlen(kind);
	return strncmp(net, kind, len) == 0 ? net + len : NULL;
}

static int open_net(struct session *s, const char *net, struct err *err)
{
	const char *tap = net_name(net, "tap:");
	const char *bridge = net_name(net, "bridge:");
	struct machine_nic *nic = &s->machine.nics[0];
	if (tap == NULL && bridge == NULL) {
		err_raise(err, ERR_USAGE, "--net does not know '%s'", net);
		return err_hint(err, "it takes user, tap:NAME or bridge:NAME");
	}
	nic->kind = NIC_TAP;
	if (tap_open(tap != NULL ? tap : "snowboot%d", &s->tap_fd, &s->tap_name, err) < 0)
		return -1;
	nic->tap_fd = s->tap_fd;
	return bridge != NULL ? tap_join_bridge(s->tap_name, bridge, err)
			      : tap_set_up(s->tap_name, err);
}

static int read_net(struct session *s, struct err *err)
{
	const struct cli_args *args = s->args;
	struct machine_nic *nic = &s->machine.nics[0];
	const char *net = cli_option(args, "net", "user");
	const char *rom = cli_option(args, "rom", "ipxe");
	*nic = (struct machine_nic){.kind = NIC_USER,
		.model = cli_option(args, "nic", NULL),
		.mac = cli_option(args, "mac", NULL),
		.boot = true};
	if (strcmp(rom, "ipxe") != 0) {
		nic->rom = strcmp(rom, "none") == 0 ? NIC_ROM_NONE : NIC_ROM_FILE;
		nic->rom_file = rom;
	}
	bool user = strcmp(net, "user") == 0;
	if (!user && (cli_flag(args, "url") || cli_flag(args, "forward")))
		return err_raise(err, ERR_USAGE, "--url and --forward go with --net user only");
	if (!user)
		return open_net(s, net, err);
	nic->boot_file = cli_option(args, "url", NULL);
	if (nic->boot_file == NULL) {
		err_raise(err, ERR_USAGE, "--net user needs the --url to boot from");
		return err_hint(err,
			"the host is 10.0.2.2 there: --url "
			"http://10.0.2.2:PORT/boot/NAME/netboot.ipxe");
	}
	return read_forwards(s, err);
}

static void print_output(const void *data, size_t size, void *context)
{
	(void)context;
	/* A terminal that is gone is noticed by SIGHUP; the machine need not stop for it. */
	(void)!write(STDOUT_FILENO, data, size);
}

static int start(struct session *s, struct err *err)
{
	const char *serial = cli_option(s->args, "serial", s->args->json ? "none" : "stdio");
	s->on_stdio = strcmp(serial, "stdio") == 0;
	if (s->on_stdio && s->args->json) {
		err_raise(err, ERR_USAGE, "--json and --serial stdio both want standard output");
		return err_hint(err, "say --serial FILE");
	}
	bool to_file = !s->on_stdio && strcmp(serial, "none") != 0;
	s->begun = deadline_now_ms();
	if (vm_start(&s->machine, to_file ? serial : NULL, &s->vm, err) < 0)
		return -1;
	if (s->on_stdio)
		console_set_sink(vm_console(s->vm), print_output, NULL);
	if (s->on_stdio && isatty(STDIN_FILENO))
		log_info("the serial console of the machine; Ctrl-] ends it");
	return 0;
}

/* The end of a session: why ("matched", "ended", "quit"), and after which line. */
static int report(const struct session *s, const char *why, const char *line, struct err *err)
{
	double seconds = (double)(deadline_now_ms() - s->begun) / 1000;
	if (!s->args->json) {
		log_info("%s after %.1f s", why, seconds);
		return 0;
	}
	json_t *object =
		json_pack("{s:s, s:f, s:s*}", "event", why, "seconds", seconds, "match", line);
	AUTO_FREE char *text =
		object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(object);
	if (text == NULL)
		return err_oom(err);
	printf("%s\n", text);
	return 0;
}

/* Typed keys to the machine: 0, or 1 when the user wants to leave or has no more to say. */
static int pass_keys(struct console *console, bool *ret_open, struct err *err)
{
	char keys[1024];
	ssize_t len = read(STDIN_FILENO, keys, sizeof(keys) - 1);
	if (len <= 0) {
		*ret_open = false;
		return 0;
	}
	bool quit = isatty(STDIN_FILENO) && memchr(keys, QUIT_KEY, (size_t)len) != NULL;
	if (quit)
		return 1;
	/* A NUL cannot be typed this way; break and the like are nothing a login needs. */
	keys[len] = '\0';
	return console_send(console, keys, err);
}

/*
 * Waits for something to happen on the console, the keyboard or by a signal, up to timeout_ms, and
 * passes it on: 0, or 1 when the user ends the session.
 */
static int turn(struct session *s, int signals, bool *keyboard, int timeout_ms, struct err *err)
{
	struct console *console = vm_console(s->vm);
	struct pollfd p[] = {{.fd = console_fd(console), .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = *keyboard ? STDIN_FILENO : -1, .events = POLLIN}};
	if (poll(p, ARRAY_LEN(p), timeout_ms) < 0 && errno != EINTR)
		return err_sys(err, "cannot wait for the machine");
	if (p[1].revents != 0)
		return 1;
	if (p[2].revents != 0) {
		int r = pass_keys(console, keyboard, err);
		if (r != 0)
			return r;
	}
	return console_read(console, 0, err) < 0 ? -1 : 0;
}

static int finish(struct session *s, struct err *err)
{
	if (s->until != NULL) {
		/* The pattern's own message says what was waited for and what was there. */
		if (console_expect(vm_console(s->vm), s->until, 0, NULL, err) < 0)
			return vm_explain(s->vm, err);
		return report(s, "matched", NULL, err);
	}
	int r = vm_wait(s->vm, 10000, err);
	return r < 0 ? -1 : report(s, "ended", NULL, err);
}

static int time_out(struct session *s, long long seconds, struct err *err)
{
	AUTO_FREE char *tail = console_tail(vm_console(s->vm), 5, err);
	if (tail == NULL)
		return -1;
	if (s->until == NULL)
		return err_raise(err, ERR_AGAIN, "the machine still runs after %lld s", seconds);
	return err_raise(err, ERR_AGAIN,
		"'%s' did not appear on the console within %lld s; its last lines: %s", s->until,
		seconds, tail);
}

static int relay(struct session *s, int signals, struct err *err)
{
	long long seconds;
	if (cli_number(s->args, "timeout", 1, 86400, 0, &seconds, err) < 0)
		return -1;
	uint64_t deadline = deadline_now_ms() + (uint64_t)seconds * 1000;
	bool keyboard = s->on_stdio;
	AUTO_TERMINAL terminal = {0};
	if (keyboard)
		terminal_enter(&terminal, STDIN_FILENO);
	while (!console_at_end(vm_console(s->vm))) {
		AUTO_FREE char *match = NULL;
		int r = s->until != NULL ? console_look(vm_console(s->vm), s->until, &match, err)
					 : 1;
		if (r < 0)
			return -1;
		if (r == 0) {
			terminal_leave(&terminal);
			return report(s, "matched", match, err);
		}
		int left = seconds > 0 ? deadline_left_ms(deadline) : -1;
		if (left == 0)
			return time_out(s, seconds, err);
		r = turn(s, signals, &keyboard, left, err);
		if (r < 0)
			return -1;
		if (r == 1) {
			terminal_leave(&terminal);
			return report(s, "quit", NULL, err);
		}
	}
	terminal_leave(&terminal);
	return finish(s, err);
}

/* SIGINT and its like end the session in order: the terminal is put right, QEMU is gone. */
static int catch_signals(int *ret_fd, struct err *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(err, "cannot block signals");
	*ret_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, "cannot open a signalfd") : 0;
}

static int run(const struct cli_args *args, struct err *err)
{
	AUTO(session_done)
	struct session s = {.args = args, .tap_fd = -1, .until = cli_option(args, "until", NULL)};
	AUTO_FD int signals = -1;
	if (read_firmware(&s, err) < 0 || read_size(&s, err) < 0 || read_net(&s, err) < 0 ||
		catch_signals(&signals, err) < 0 || start(&s, err) < 0)
		return -1;
	return relay(&s, signals, err);
}

static const struct cli_option options[] = {
	{0, "pxe", NULL, "boot from the network"},
	{0, "bios", NULL, "with a BIOS (SeaBIOS); the default"},
	{0, "uefi", NULL, "with UEFI (OVMF)"},
	{'m', "memory", "SIZE", "its RAM, as 2G"},
	{0, "cpus", "N", "its processors, 2 if not said"},
	{0, "net", "NET", "user, tap:NAME or bridge:NAME", "user tap: bridge:"},
	{0, "url", "URL", "with --net user: what its DHCP server names as the boot file"},
	{0, "forward", "HOST:GUEST", "with --net user: a port here that leads inside; may repeat"},
	{0, "mac", "MAC", "address of its network card"},
	{0, "nic", "MODEL", "its network card, virtio-net-pci if not said",
		"virtio-net-pci e1000 e1000e rtl8139 vmxnet3"},
	{0, "rom", "ROM", "the card's boot ROM: ipxe, none (the firmware's own PXE) or a file",
		"ipxe none @file"},
	{0, "serial", "WHERE", "its serial console: stdio, none or a file to append to",
		"stdio none @file"},
	{0, "until", "REGEX", "end with success when a line of the console matches"},
	{0, "timeout", "SECONDS", "fail when it still runs then"},
	{0},
};

const struct command cmd_vm = {
	.name = "vm",
	.synopsis = "",
	.summary = "run a throw-away virtual machine that boots off a server",
	.description =
		"Starts a diskless virtual PC with QEMU that boots from the network, off a running "
		"'snowboot serve'. Nothing it does outlives it. Its serial console is on the "
		"terminal; "
		"Ctrl-] ends it.",
	.options = options,
	.run = run,
};
