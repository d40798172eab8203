/* Tables as somebody sees them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli_table.h"

static const char *const titles[] = {"NAME", "WHERE", "N"};

static const char *const cells[] = {
	"demo", "https://demo.example.org", "1", "häuser-市场", "", "22", "\x1b[31mx", "y", "",
};

static char *print(const char *const *heads, size_t columns, bool bold)
{
	struct cli_table *t = NULL;
	char *got = NULL;
	size_t len;
	FILE *f = open_memstream(&got, &len);

	assert_int_equal(cli_table_new(heads, 3, &t), 0);
	for (size_t i = 0; i < ARRAY_LEN(cells); i++)
		assert_int_equal(cli_table_cell(t, str_of(cells[i])), 0);
	cli_table_print(t, f, columns, bold);
	cli_table_free(t);
	fclose(f);
	return got;
}

static const struct {
	const char *why;
	bool titled, bold;
	size_t columns;
	const char *want;
} cases[] = {
	{"as wide as it wants, aligned by what is seen", true, false, 0,
	 "NAME         WHERE                     N\n"
	 "demo         https://demo.example.org  1\n"
	 "häuser-市场                            22\n"
	 "\\x1b[31mx    y\n"},
	{"the widest column is cut first", true, false, 30,
	 "NAME         WHERE          N\n"
	 "demo         https://demo…  1\n"
	 "häuser-市场                 22\n"
	 "\\x1b[31mx    y\n"},
	{"never narrower than can be read", true, false, 5,
	 "NAME    WHERE   N\n"
	 "demo    https…  1\n"
	 "häuse…          22\n"
	 "\\x1b[…  y\n"},
	{"bold titles", true, true, 5,
	 "\x1b[1mNAME    WHERE   N\x1b[0m\n"
	 "demo    https…  1\n"
	 "häuse…          22\n"
	 "\\x1b[…  y\n"},
	{"no titles", false, true, 5,
	 "demo    https…  1\n"
	 "häuse…          22\n"
	 "\\x1b[…  y\n"},
};

static void test_print(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *got = print(cases[i].titled ? titles : NULL, cases[i].columns, cases[i].bold);

		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got\n%swant\n%s", cases[i].why, got, cases[i].want);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_print)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
