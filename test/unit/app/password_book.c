/* The same password is the same hash, as long as it is asked for. */
#include "app/password_book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "core/rights.h"

static void hash(struct password_book *b, const char *password, char out[RIGHTS_HASH_TEXT])
{
	assert_int_equal(password_book_hash(b, str_of(password), out, RIGHTS_HASH_TEXT), 0);
	assert_int_equal(strncmp(out, "$scrypt$ln=14,r=8,p=1$", 22), 0);
}

static void test_the_same_again(void **state)
{
	char one[RIGHTS_HASH_TEXT], two[RIGHTS_HASH_TEXT], other[RIGHTS_HASH_TEXT];
	struct password_book *b;

	assert_int_equal(password_book_new(&b), 0);
	hash(b, "sesame", one);
	hash(b, "sesame", two);
	hash(b, "sesam", other);
	assert_string_equal(one, two);
	assert_string_not_equal(one, other);
	password_book_free(b);
}

static void test_who_is_not_asked_for_is_forgotten(void **state)
{
	char first[RIGHTS_HASH_TEXT], again[RIGHTS_HASH_TEXT];
	struct password_book *b;

	assert_int_equal(password_book_new(&b), 0);
	hash(b, "sesame", first);
	password_book_turn(b); /* it was asked for before this one */
	hash(b, "sesame", again);
	assert_string_equal(first, again);
	password_book_turn(b);
	password_book_turn(b);
	hash(b, "sesame", again);
	assert_string_not_equal(first, again);
	password_book_free(b);
}

static void test_passwords_that_cannot_be(void **state)
{
	const char *const none = "", *const short_one = "s";
	char big[1000], out[RIGHTS_HASH_TEXT];
	struct password_book *b;

	memset(big, 'x', sizeof big);
	assert_int_equal(password_book_new(&b), 0);
	assert_int_equal(password_book_hash(b, str_of(none), out, sizeof out), ERR_INVAL);
	assert_int_equal(password_book_hash(b, (struct str){big, sizeof big}, out, sizeof out),
			 ERR_TOOBIG);
	assert_int_equal(password_book_hash(b, str_of(short_one), out, 10), ERR_TOOBIG);
	password_book_free(b);
	password_book_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_who_is_not_asked_for_is_forgotten),
		cmocka_unit_test(test_passwords_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
