/* The table of errors: names, sentences, numbers that travel, and errno. */
#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/util.h"

static const struct {
	int number;
	const char *name, *sentence;
} all[] = {
#define ERR(name, number, sentence) {number, #name, sentence},
#include "base/err.def"
#undef ERR
};

static void test_names_are_those_of_the_table(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_string_equal(err_name(all[i].number), all[i].name);
		assert_string_equal(err_text(all[i].number), all[i].sentence);
	}
	assert_string_equal(err_name(ERR_REFUSED), "REFUSED");
	assert_string_equal(err_name(ERR_UNSUPPORTED), "UNSUPPORTED");
}

static void test_numbers_are_given_once(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_true(all[i].number > 0);
		for (size_t k = i + 1; k < ARRAY_LEN(all); k++) {
			assert_int_not_equal(all[i].number, all[k].number);
			assert_string_not_equal(all[i].sentence, all[k].sentence);
		}
	}
}

/* Agents and servers of different versions talk in these: they never change. */
static void test_numbers_on_the_wire(void **state)
{
	assert_int_equal(ERR_NOMEM, 1);
	assert_int_equal(ERR_EOF, 3);
	assert_int_equal(ERR_PROTO, 9);
	assert_int_equal(ERR_AUTH, 22);
	assert_int_equal(ERR_TARGET, 26);
	assert_int_equal(ERR_REPLACED, 28);
	assert_int_equal(ERR_UNSUPPORTED, 35);
}

static void test_no_error_and_no_such_error(void **state)
{
	static const int unknown[] = {-1, 100000, INT32_MAX, INT32_MIN};

	assert_string_equal(err_text(0), "no error");
	assert_string_equal(err_name(0), "OK");
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		assert_string_equal(err_text(unknown[i]), "unknown error");
		assert_string_equal(err_name(unknown[i]), "UNKNOWN");
	}
}

static void test_errno(void **state)
{
	static const struct {
		const char *why;
		int errnum, want;
	} cases[] = {
		{"nothing to do now", EAGAIN, ERR_AGAIN},
		{"the peer went away while we wrote", EPIPE, ERR_RESET},
		{"the peer went away", ECONNRESET, ERR_RESET},
		{"nobody listens", ECONNREFUSED, ERR_REFUSED},
		{"no unix socket there", ENOENT, ERR_REFUSED},
		{"the kernel gave up", ETIMEDOUT, ERR_TIMEOUT},
		{"no way there", EHOSTUNREACH, ERR_UNREACH},
		{"no network", ENETUNREACH, ERR_UNREACH},
		{"the process has too many files", EMFILE, ERR_NOFILE},
		{"the machine has too many files", ENFILE, ERR_NOFILE},
		{"no right to", EACCES, ERR_DENIED},
		{"somebody listens there", EADDRINUSE, ERR_INUSE},
		{"not an address of ours", EADDRNOTAVAIL, ERR_INVAL},
		{"the disk is full", ENOSPC, ERR_FULL},
		{"kernel memory", ENOBUFS, ERR_NOMEM},
		{"what has no name here", EXDEV, ERR_IO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("%s\n", cases[i].why);
		assert_int_equal(err_from_errno(cases[i].errnum), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_those_of_the_table),
		cmocka_unit_test(test_numbers_are_given_once),
		cmocka_unit_test(test_numbers_on_the_wire),
		cmocka_unit_test(test_no_error_and_no_such_error),
		cmocka_unit_test(test_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
