/* Every type of value, the same and another one. */
#include "app/settings_diff.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

struct settings {
	bool flag;
	char *text;
	uint64_t number;
	int word;
	struct config_list list;
};

static const char *const words[] = {"a", "b", NULL};

static const struct config_option rows[] = {
	{.name = "flag", .type = CONFIG_FLAG, .offset = offsetof(struct settings, flag)},
	{.name = "text", .type = CONFIG_TEXT, .offset = offsetof(struct settings, text)},
	{.name = "number", .type = CONFIG_SIZE, .offset = offsetof(struct settings, number)},
	{.name = "word",
	 .type = CONFIG_ENUM,
	 .words = words,
	 .offset = offsetof(struct settings, word)},
	{.name = "list", .type = CONFIG_LIST, .offset = offsetof(struct settings, list)},
};
static const struct config_table tables[] = {CONFIG_TABLE(rows)};
static const struct config_program program = {.tables = tables, .n_tables = 1};

static void on_differs(void *arg, const struct config_option *row)
{
	strcat(arg, row->name);
	strcat(arg, " ");
}

static void expect(const struct settings *a, const struct settings *b, const char *names)
{
	char found[100] = "";

	settings_diff(&program, a, b, on_differs, found);
	assert_string_equal(found, names);
	found[0] = '\0';
	settings_diff(&program, b, a, on_differs, found);
	assert_string_equal(found, names);
}

static void test_differences(void **state)
{
	char x1[] = "x", x2[] = "x", y[] = "y", *one[] = {x1}, *same[] = {x2}, *two[] = {x1, y};
	struct settings a = {.text = x1, .number = 1, .list = {one, 1}}, b = a,
			none = {.flag = false};

	expect(&a, &a, "");
	b.text = x2;
	b.list.v = same;
	expect(&a, &b, ""); /* the same words elsewhere */
	b.text = y;
	expect(&a, &b, "text ");
	b.text = NULL;
	b.flag = true;
	expect(&a, &b, "flag text ");
	b = a;
	b.number = (uint64_t)1 << 40 | 1;
	b.word = 1;
	expect(&a, &b, "number word ");
	b = a;
	b.list = (struct config_list){two, 2};
	expect(&a, &b, "list ");
	expect(&a, &none, "text number list ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_differences)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
