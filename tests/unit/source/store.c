/* SPDX-License-Identifier: MIT */
/* Stores that real Nix made, then damaged row by row. */
#include "source/store.h"
#include "test.h"

#include "base/buf.h"
#include "base/path.h"
#include "base/vec.h"

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define A "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-app"
#define B "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-bash"
#define C "/nix/store/cccccccccccccccccccccccccccccccc-libc"
#define D "/nix/store/dddddddddddddddddddddddddddddddd-app.drv"
#define HASH "0306f0e1fe3630f96a0404c5d6a0c861765349bd56bceaae75259d65f5b0a440"

/* app refers to bash and libc, bash to libc, libc to itself. */
static const char app[] = A "\n" HASH "\n300\n" D "\n2\n" B "\n" C "\n";
static const char bash[] = B "\n" HASH "\n200\n\n1\n" C "\n";
static const char libc[] = C "\n" HASH "\n100\n\n1\n" C "\n";

/* A store in which Nix itself registered these paths, in this order. */
static const char *make_store(const char *first, const char *second, const char *third)
{
	struct err err = ERR_INIT;
	const char *root = test_tmpdir();
	const char *texts[] = {first, second, third};
	for (size_t i = 0; i < 3; i++) {
		test_write(root, "registration", texts[i], strlen(texts[i]));
		test_shell("nix-store --store '%s' --load-db < '%s/registration' 2> '%s/log' || "
			   "{ cat '%s/log'; exit 1; }",
			root, root, root, root);
	}
	AUTO_FREE char *store = path_printf(&err, "%s/nix/store", root);
	assert_ok(path_mkdirs(store, &err));
	return root;
}

static const char *usual_store(void)
{
	return make_store(libc, bash, app);
}

static sqlite3 *open_db(const char *root)
{
	struct err err = ERR_INIT;
	sqlite3 *db = NULL;
	AUTO_FREE char *path = path_printf(&err, "%s/nix/var/nix/db/db.sqlite", root);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
	char *message = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
}

static void change(const char *root, const char *sql)
{
	sqlite3 *db = open_db(root);
	run_sql(db, sql);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int read_closure(const char *root, const char *path, struct closure *ret, struct err *err)
{
	struct store *store = NULL;
	if (store_open(root, &store, err) < 0)
		return -1;
	int r = store_closure(store, path, ret, err);
	store_close(store);
	return r;
}

/* After `sql`, the closure of `path` fails with that kind and message ("%s": the database). */
static void assert_damage(
	const char *sql, const char *path, enum err_kind kind, const char *message)
{
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	const char *root = usual_store();
	change(root, sql);
	AUTO_FREE char *db = path_printf(&err, "%s/nix/var/nix/db/db.sqlite", root);
	AUTO_FREE char *want = path_printf(&err, message, db);
	assert_int_equal(read_closure(root, path, &closure, &err), -1);
	assert_err(&err, kind, want);
}

static void assert_usual(const struct closure *c)
{
	assert_int_equal(c->len, 3);
	assert_string_equal(c->items[0].path, C);
	assert_string_equal(c->items[1].path, B);
	assert_string_equal(c->items[2].path, A);
	assert_int_equal(c->items[0].ref_count, 1);
	assert_int_equal(c->items[0].refs[0], 0);
	assert_int_equal(c->items[2].ref_count, 2);
	assert_int_equal(c->items[2].refs[0], 1);
	assert_int_equal(c->items[2].refs[1], 0);
}

static void reads_everything(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	const char *root = usual_store();
	change(root,
		"update ValidPaths set sigs = 'k1:abc k2:def', ca = 'text:sha256:x', ultimate = 1, "
		"registrationTime = 1700000000 where path = '" A "'");
	assert_ok(read_closure(root, A, &closure, &err));
	assert_usual(&closure);
	const struct path_info *info = &closure.items[2];
	char hex[DIGEST_HEX_SIZE];
	assert_string_equal(digest_hex(&info->nar_hash, hex), HASH);
	assert_int_equal(info->nar_size, 300);
	assert_string_equal(info->deriver, D);
	assert_string_equal(info->sigs, "k1:abc k2:def");
	assert_string_equal(info->ca, "text:sha256:x");
	assert_true(info->ultimate);
	assert_int_equal(info->registration_time, 1700000000);
	assert_null(closure.items[0].deriver);
	assert_null(closure.items[0].sigs);
	assert_false(closure.items[0].ultimate);
	assert_int_equal(closure_nar_size(&closure), 600);
	assert_string_equal(closure.store_dir, "/nix/store");
	AUTO_FREE char *real = closure_real_path(&closure, 2, &err);
	AUTO_FREE char *want = path_printf(&err, "%s%s", root, A);
	assert_string_equal(real, want);
}

static void part_of_the_store(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	assert_ok(read_closure(usual_store(), B, &closure, &err));
	assert_int_equal(closure.len, 2);
	assert_string_equal(closure.items[0].path, C);
	assert_string_equal(closure.items[1].path, B);
}

/* The order of registration, and so the rows' numbers, do not matter. */
static void order_is_the_references(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = usual_store();
	AUTO_CLOSURE one = {0}, two = {0};
	assert_ok(read_closure(root, A, &one, &err));
	change(root,
		"pragma foreign_keys = off;"
		"update ValidPaths set id = 1000 - id;"
		"update Refs set referrer = 1000 - referrer, reference = 1000 - reference");
	assert_ok(read_closure(root, A, &two, &err));
	assert_usual(&one);
	assert_usual(&two);
}

static char *list_db_dir(const char *root)
{
	return test_shell_output("ls -l --time-style=full-iso '%s/nix/var/nix/db'", root);
}

static void leaves_no_files(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = usual_store();
	test_shell("touch -d '1 hour ago' '%s'/nix/var/nix/db/*", root);
	AUTO_FREE char *before = list_db_dir(root);
	AUTO_CLOSURE closure = {0};
	assert_ok(read_closure(root, A, &closure, &err));
	assert_usual(&closure);
	AUTO_FREE char *after = list_db_dir(root);
	assert_string_equal(before, after);
}

/* A writer is in the middle of a transaction, and what it wrote before is only in the log. */
static void while_nix_writes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = usual_store();
	sqlite3 *db = open_db(root);
	run_sql(db, "update ValidPaths set narSize = 301 where path = '" A "'");
	run_sql(db, "begin immediate; update ValidPaths set narSize = 999 where path = '" A "'");
	AUTO_CLOSURE closure = {0};
	assert_ok(read_closure(root, A, &closure, &err));
	assert_usual(&closure);
	assert_int_equal(closure.items[2].nar_size, 301);
	run_sql(db, "commit");
	AUTO_CLOSURE later = {0};
	assert_ok(read_closure(root, A, &later, &err));
	assert_int_equal(later.items[2].nar_size, 999);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void an_open_store_sees_what_comes(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = usual_store();
	test_shell("touch -d '1 hour ago' '%s'/nix/var/nix/db/*", root);
	struct store *store = NULL;
	assert_ok(store_open(root, &store, &err));
	AUTO_CLOSURE one = {0}, two = {0};
	assert_ok(store_closure(store, A, &one, &err));
	change(root, "update ValidPaths set narSize = 7 where path = '" A "'");
	assert_ok(store_closure(store, A, &two, &err));
	assert_int_equal(two.items[2].nar_size, 7);
	store_close(store);
}

static void missing_things(void **state)
{
	(void)state;
	assert_damage("delete from Refs; delete from ValidPaths where path = '" A "'", A,
		ERR_NOT_FOUND, "closure of '" A "': not registered in the Nix database '%s'");
	assert_damage("delete from ValidPaths where path = '" C "'", A, ERR_NOT_FOUND,
		"closure of '" A "': '" B
		"' refers to row 1 of the Nix database, which is missing");
	assert_damage("drop table Refs", A, ERR_CORRUPT,
		"closure of '" A "': cannot read '%s': no such table: Refs");
}

static void corrupt_rows(void **state)
{
	(void)state;
	assert_damage("update ValidPaths set hash = 'sha256:xyz' where path = '" C "'", A,
		ERR_CORRUPT,
		"closure of '" A "': the Nix database has the hash 'sha256:xyz' for '" C
		"', not 'sha256:' and 64 hexadecimal digits");
	assert_damage("update ValidPaths set hash = 'md5:" HASH "' where path = '" C "'", A,
		ERR_CORRUPT,
		"closure of '" A "': the Nix database has the hash 'md5:" HASH "' for '" C
		"', not 'sha256:' and 64 hexadecimal digits");
	assert_damage("update ValidPaths set narSize = -1 where path = '" B "'", A, ERR_CORRUPT,
		"closure of '" A "': the Nix database has the size '-1' for '" B "', not a number");
	assert_damage("update ValidPaths set narSize = null where path = '" B "'", A, ERR_CORRUPT,
		"closure of '" A "': the Nix database has the size '' for '" B "', not a number");
	assert_damage("update ValidPaths set registrationTime = 'now' where path = '" B "'", A,
		ERR_CORRUPT,
		"closure of '" A "': the Nix database has the registration time 'now' for '" B
		"', not a number");
	assert_damage("update ValidPaths set path = '/nix/store/../etc' where path = '" C "'", A,
		ERR_CORRUPT,
		"closure of '" A "': row 1 of the Nix database: '/nix/store/../etc' is not a store "
		"path");
	assert_damage("update ValidPaths set deriver = '/tmp/x.drv' where path = '" C "'", A,
		ERR_CORRUPT,
		"closure of '" A "': deriver of '" C "' in the Nix database: '/tmp/x.drv' is not a "
		"store path");
	assert_damage("update ValidPaths set sigs = cast(x'610062' as text) where path = '" C "'",
		A, ERR_CORRUPT,
		"closure of '" A "': '" C "': row 1 of the Nix database contains a NUL");
	assert_damage("insert into Refs select v.id, w.id from ValidPaths v, ValidPaths w "
		      "where v.path = '" C "' and w.path = '" A "'",
		A, ERR_CORRUPT, "closure of '" A "': '" C "' and '" A "' refer to each other");
}

static void no_store(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store *store = NULL;
	const char *root = test_tmpdir();
	AUTO_FREE char *want = path_printf(&err,
		"no Nix store under '%s/nix': cannot open '%s/nix/var/nix/db/schema': No such file "
		"or directory",
		root, root);
	assert_int_equal(store_open(root, &store, &err), -1);
	assert_string_equal(err.hint, "name the root of another store with --store");
	assert_err(&err, ERR_NOT_FOUND, want);
}

static void another_schema(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store *store = NULL;
	const char *root = usual_store();
	AUTO_FREE char *want = path_printf(&err,
		"'%s/nix/var/nix/db/schema' has version '11' of the schema, only 10 is known",
		root);
	test_shell("printf 11 > '%s/nix/var/nix/db/schema'", root);
	assert_int_equal(store_open(root, &store, &err), -1);
	assert_err(&err, ERR_UNSUPPORTED, want);
}

static void not_a_database(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	const char *root = usual_store();
	AUTO_FREE char *want = path_printf(&err,
		"closure of '" A "': cannot read '%s/nix/var/nix/db/db.sqlite': file is not a "
		"database",
		root);
	test_shell(
		"cd '%s/nix/var/nix/db' && rm db.sqlite* && yes | head -c 8192 > db.sqlite", root);
	assert_int_equal(read_closure(root, A, &closure, &err), -1);
	assert_err(&err, ERR_CORRUPT, want);
}

/* A database cut anywhere fails or answers in full; it never invents or crashes. */
static void every_truncation(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = usual_store();
	change(root, "pragma journal_mode = delete");
	test_shell("touch -d '1 hour ago' '%s'/nix/var/nix/db/*", root);
	AUTO_FREE char *path = path_printf(&err, "%s/nix/var/nix/db/db.sqlite", root);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	for (off_t size = st.st_size - 1; size >= 0; size -= 211) {
		AUTO_CLOSURE closure = {0};
		assert_int_equal(truncate(path, size), 0);
		if (read_closure(root, A, &closure, &err) == 0) {
			assert_usual(&closure);
			continue;
		}
		assert_true(err.kind == ERR_CORRUPT || err.kind == ERR_IO);
		err_reset(&err);
	}
}

static void root_with_odd_name(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO_CLOSURE closure = {0};
	const char *root = usual_store();
	AUTO_FREE char *moved = path_printf(&err, "%s/a b%%20?#c", root);
	test_shell("mkdir '%s' && mv '%s/nix' '%s/'", moved, root, moved);
	AUTO_FREE char *slashes = path_printf(&err, "%s//", moved);
	assert_ok(read_closure(slashes, A, &closure, &err));
	assert_usual(&closure);
}

/* Nix's own collector keeps what we hold, and takes it afterwards. */
static void holds_against_the_collector(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const char *root = test_tmpdir();
	test_write(root, "file", "x", 1);
	AUTO_FREE char *path =
		test_shell_output("nix-store --store '%s' --add '%s/file' 2>/dev/null", root, root);
	struct store *store = NULL;
	assert_ok(store_open(root, &store, &err));
	assert_ok(store_hold(store, path, &err));
	assert_ok(store_hold(store, B, &err));
	test_shell("nix-store --store '%s' --gc >/dev/null 2>&1", root);
	test_shell("test -e '%s%s'", root, path);
	store_close(store);
	test_shell("test -z \"$(ls '%s/nix/var/nix/temproots')\"", root);
	test_shell("nix-store --store '%s' --gc >/dev/null 2>&1", root);
	test_shell("test ! -e '%s%s'", root, path);
}

/* A collector that is running: the lock held, one client served on the socket. */
static pid_t start_collector(const char *root)
{
	static const char script[] =
		"import fcntl, os, socket, sys\n"
		"os.chdir(sys.argv[1] + '/nix/var/nix'); os.makedirs('gc-socket')\n"
		"lock = open('gc.lock', 'a'); fcntl.flock(lock, fcntl.LOCK_EX)\n"
		"s = socket.socket(socket.AF_UNIX); s.bind('gc-socket/socket'); s.listen()\n"
		"open('ready', 'w'); c = s.accept()[0]; line = c.recv(4096)\n"
		"open('told', 'wb').write(line); c.send(b'1'); c.recv(1)\n";
	pid_t pid = fork();
	if (pid == 0) {
		execlp("python3", "python3", "-c", script, root, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	test_shell("for i in $(seq 200); do test -e '%s/nix/var/nix/ready' && exit 0; sleep 0.05; "
		   "done; exit 1",
		root);
	return pid;
}

static void tells_a_running_collector(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store *store = NULL;
	const char *root = usual_store();
	int status;
	pid_t collector = start_collector(root);
	assert_ok(store_open(root, &store, &err));
	assert_ok(store_hold(store, A, &err));
	assert_int_equal(waitpid(collector, &status, 0), collector);
	assert_int_equal(status, 0);
	AUTO_FREE char *told = test_shell_output("cat '%s/nix/var/nix/told'", root);
	assert_string_equal(told, A);
	AUTO_FREE char *kept =
		test_shell_output("tr '\\0' '\\n' < '%s'/nix/var/nix/temproots/%d", root, getpid());
	assert_string_equal(kept, A);
	store_close(store);
}

/* An ordinary user who asks for the closure of A gets it. */
static void assert_nobody_reads(const char *root)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		struct store *store;
		struct closure closure = {0};
		_exit(setgid(65534) < 0 || setuid(65534) < 0 ||
			store_open(root, &store, &err) < 0 || store_hold(store, A, &err) < 0 ||
			store_closure(store, A, &closure, &err) < 0 || closure.len != 3);
	}
	int status = -1;
	assert_true(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Right after 'nix-build' closed the database; then on a file system without fractions of seconds.
 */
static void for_ordinary_users(void **state)
{
	(void)state;
	const char *root = usual_store();
	if (geteuid() != 0)
		test_skip("needs root to become an ordinary user");
	test_shell("chmod 755 '%s' && touch '%s/nix/var/nix/db/db.sqlite'", root, root);
	assert_nobody_reads(root);
	test_shell("touch -d @$(date +%%s) '%s/nix/var/nix/db/db.sqlite'", root);
	assert_nobody_reads(root);
}

/* The closure of a real system is what Nix says, dependencies first. */
static void real_systems(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct store *store = NULL;
	AUTO_FREE char *systems = test_shell_output(
		"for l in /var/lib/snowboot/fixtures/*; do readlink -f $l; done | "
		"grep -- -nixos-system- | sort -u");
	if (systems[0] == '\0')
		test_skip(
			"no fixtures under /var/lib/snowboot/fixtures; fixtures/build makes them");
	assert_ok(store_open("", &store, &err));
	for (char *save = NULL, *s = strtok_r(systems, "\n", &save); s != NULL;
		s = strtok_r(NULL, "\n", &save)) {
		AUTO_CLOSURE closure = {0};
		AUTO_STRVEC paths = {0};
		assert_ok(store_closure(store, s, &closure, &err));
		assert_true(closure.len >= 150);
		for (size_t i = 0; i < closure.len; i++) {
			assert_ok(strvec_push(&paths, closure.items[i].path, &err));
			for (size_t r = 0; r < closure.items[i].ref_count; r++)
				assert_true(closure.items[i].refs[r] <= i);
		}
		assert_string_equal(closure.items[closure.len - 1].path, s);
		strvec_sort(&paths);
		AUTO_FREE char *got = strvec_join(&paths, "\n", &err);
		AUTO_FREE char *want = test_shell_output("nix-store -qR '%s' | LC_ALL=C sort", s);
		assert_string_equal(got, want);
	}
	store_close(store);
}

int main(int argc, char **argv)
{
	if (system("nix-store --version > /dev/null 2>&1") != 0)
		test_skip("nix-store is not installed (package nix-bin)");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_everything),
		cmocka_unit_test(part_of_the_store),
		cmocka_unit_test(order_is_the_references),
		cmocka_unit_test(leaves_no_files),
		cmocka_unit_test(while_nix_writes),
		cmocka_unit_test(an_open_store_sees_what_comes),
		cmocka_unit_test(missing_things),
		cmocka_unit_test(corrupt_rows),
		cmocka_unit_test(no_store),
		cmocka_unit_test(another_schema),
		cmocka_unit_test(not_a_database),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(root_with_odd_name),
		cmocka_unit_test(holds_against_the_collector),
		cmocka_unit_test(tells_a_running_collector),
		cmocka_unit_test(for_ordinary_users),
		cmocka_unit_test(real_systems),
	};
	return TEST_MAIN(tests);
}
