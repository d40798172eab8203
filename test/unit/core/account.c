/* What accounts are made of: letters, numbers as people type them, and how many strangers may. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/core_rig.h"

static void test_what_is_made_at_random(void **state)
{
	char number[CORE_NUMBER_TEXT], token[CORE_TOKEN_TEXT], id[CORE_ID_TEXT], last[CORE_ID_TEXT];
	unsigned seen[256] = {0}, n_letters = 0;
	struct core_rig r;

	core_rig_new(&r, true);
	last[0] = '\0';
	for (int k = 0; k < 200; k++) {
		account_make_number(r.ev, number);
		assert_int_equal(strlen(number), 19);
		for (int i = 0; i < 19; i++) {
			assert_true(i % 5 == 4
					    ? number[i] == '-'
					    : strchr("CDEFHJKMNPRTVWXY2345689", number[i]) != NULL);
			seen[(unsigned char)number[i]]++;
		}
		account_make_id(r.ev, id);
		assert_int_equal(strlen(id), 12);
		assert_int_equal(strspn(id, "23456789abcdefghijkmnpqrstuvwxyz"), 12);
		assert_string_not_equal(id, last);
		memcpy(last, id, sizeof last);
	}
	/* 3,200 letters of 23: about 139 of each */
	for (const char *p = "CDEFHJKMNPRTVWXY2345689"; *p != '\0'; p++, n_letters++)
		assert_in_range(seen[(unsigned char)*p], 90, 200);
	assert_int_equal(n_letters, 23);
	account_make_token(r.ev, token);
	assert_int_equal(strlen(token), 46);
	assert_memory_equal(token, "kz_", 3);
	core_rig_free(&r);
}

static void test_numbers_as_people_type_them(void **state)
{
	static const struct {
		const char *why, *text;
		int want;
	} cases[] = {
		{"as shown", "CDEF-HJKM-NPRT-VWXY", 0},
		{"without hyphens", "CDEFHJKMNPRTVWXY", 0},
		{"lower case", "cdef-hjkm-nprt-vwxy", 0},
		{"mixed case and spaces", " CdeF hjkm-NPRT vwxy ", 0},
		{"hyphens elsewhere", "C-DEFHJKM-NPRTVWX-Y", 0},
		{"a letter too few", "CDEF-HJKM-NPRT-VWX", ERR_INVAL},
		{"a letter too many", "CDEF-HJKM-NPRT-VWXYC", ERR_INVAL},
		{"a letter that is none of them", "CDEF-HJKM-NPRT-VWXA", ERR_INVAL},
		{"nothing", "", ERR_INVAL},
		{"hyphens only", "---", ERR_INVAL},
	};
	char out[ACCOUNT_LETTERS + 1];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int e = account_read_number(str_of(cases[i].text), out);

		if (e != cases[i].want || (e == 0 && strcmp(out, "CDEFHJKMNPRTVWXY") != 0))
			fail_msg("%s: %s \"%s\"", cases[i].why, err_name(e), out);
	}
	assert_int_equal(account_read_number((struct str){"CDEFHJKMNPRTVWX\0", 16}, out),
			 ERR_INVAL);
}

static void test_why_it_is_off(void **state)
{
	struct record_account a = {.id = "abc"};
	char reason[CORE_REASON_TEXT];

	account_off_reason(&a, reason);
	assert_non_null(strstr(reason, "ask the server's operator"));
	str_printf(a.why, sizeof a.why, "spam");
	account_off_reason(&a, reason);
	assert_non_null(strstr(reason, ": spam"));
	/* a long one is cut between two characters of UTF-8 */
	for (size_t i = 0; i + 2 < sizeof a.why; i += 2)
		memcpy(a.why + i, "\xc3\xb6", 3);
	account_off_reason(&a, reason);
	assert_in_range(strlen(reason), CORE_REASON_TEXT - 4, CORE_REASON_TEXT - 1);
	assert_int_equal((unsigned char)reason[strlen(reason) - 1], 0xb6);
	a.deleting = true;
	account_off_reason(&a, reason);
	assert_non_null(strstr(reason, "deleted"));
}

static void test_strangers_come_slowly(void **state)
{
	struct core_rig r;

	core_rig_new(&r, true);
	for (int i = 0; i < CORE_REGISTER_BURST; i++)
		assert_true(account_may_register(r.core));
	assert_false(account_may_register(r.core));
	ev_sim_run_for(r.ev, 2 * CORE_REGISTER_EVERY_MS);
	assert_true(account_may_register(r.core));
	assert_true(account_may_register(r.core));
	assert_false(account_may_register(r.core));
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_made_at_random),
		cmocka_unit_test(test_numbers_as_people_type_them),
		cmocka_unit_test(test_why_it_is_off),
		cmocka_unit_test(test_strangers_come_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
