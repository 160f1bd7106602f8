/* SPDX-License-Identifier: MIT */
#include "vm/accel.h"

#include "base/mem.h"

#include "test.h"

#include <sys/stat.h>

static void no_device(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(accel_done) struct accel accel = {0};
	assert_ok(accel_decide(test_tmpdir(), &accel, &err));
	assert_int_equal(accel.kind, ACCEL_TCG);
	assert_string_equal(accel.why, "cannot open '/dev/kvm': No such file or directory");
}

static void device_is_of_no_use(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(accel_done) struct accel accel = {0};
	/* A directory cannot be opened for writing, whoever asks. */
	const char *root = test_tmpdir();
	test_shell("mkdir -p %s/dev/kvm", root);
	assert_ok(accel_decide(root, &accel, &err));
	assert_int_equal(accel.kind, ACCEL_TCG);
	assert_string_equal(accel.why, "cannot open '/dev/kvm': Is a directory");
}

static void pvm(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(accel_done) struct accel accel = {0};
	const char *root = test_tmpdir();
	test_shell("mkdir -p %s/dev %s/sys/module/kvm_pvm && touch %s/dev/kvm", root, root, root);
	assert_ok(accel_decide(root, &accel, &err));
	assert_int_equal(accel.kind, ACCEL_TCG);
	assert_string_equal(accel.why, "/dev/kvm is kvm_pvm, under which guests hang");
}

static void usable(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	AUTO(accel_done) struct accel accel = {0};
	const char *root = test_tmpdir();
	test_shell("mkdir -p %s/dev %s/sys/module/kvm_intel && touch %s/dev/kvm", root, root, root);
	assert_ok(accel_decide(root, &accel, &err));
	assert_int_equal(accel.kind, ACCEL_KVM);
	assert_null(accel.why);
	assert_string_equal(accel_argument(accel.kind), "kvm");
	assert_string_equal(accel_argument(ACCEL_TCG), "tcg,thread=multi");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_device),
		cmocka_unit_test(device_is_of_no_use),
		cmocka_unit_test(pvm),
		cmocka_unit_test(usable),
	};
	return TEST_MAIN(tests);
}
