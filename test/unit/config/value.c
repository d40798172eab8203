/* Values on their own: what a row allows in words, moving and freeing, units. */
#include "config/value.h"

#include "sample.h"

static const char *const words[] = {"http", "tcp", NULL};

static const struct {
	struct config_option row;
	const char *allowed, *range, *metavar;
} kinds[] = {
	{{.type = CONFIG_FLAG}, "yes or no", "", ""},
	{{.type = CONFIG_TEXT}, "", "", "TEXT"},
	{{.type = CONFIG_TEXT, .metavar = "URL"}, "", "", "URL"},
	{{.type = CONFIG_LIST}, "", "", "LIST"},
	{{.type = CONFIG_ENUM, .words = words}, "one of http, tcp", "", "WORD"},
	{{.type = CONFIG_NUM}, "a number", "", "NUMBER"},
	{{.type = CONFIG_NUM, .max = 9}, "a number from 0 to 9", "from 0 to 9", "NUMBER"},
	{{.type = CONFIG_NUM, .min = 5}, "a number from 5 up", "from 5 up", "NUMBER"},
	{{.type = CONFIG_DURATION, .min = 1500, .max = 7200000},
	 "a duration from 1500ms to 2h, such as 500ms, 15s, 10m, 2h or 1d",
	 "from 1500ms to 2h",
	 "DURATION"},
	{{.type = CONFIG_SIZE, .min = 1, .max = UINT64_C(3) << 30},
	 "a size from 1 to 3G, such as 4096, 64K, 10M or 1G",
	 "from 1 to 3G",
	 "SIZE"},
};

static void test_allowed(void **state)
{
	char text[200];

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		value_allowed(&kinds[i].row, text, sizeof text);
		assert_string_equal(text, kinds[i].allowed);
		value_range(&kinds[i].row, text, sizeof text);
		assert_string_equal(text, kinds[i].range);
		assert_string_equal(value_metavar(&kinds[i].row), kinds[i].metavar);
	}
}

/* What is printed is read back as the same. */
static void test_units(void **state)
{
	static const struct {
		enum config_type type;
		uint64_t n;
		const char *want;
	} units[] = {
		{CONFIG_NUM, 0, "0"},
		{CONFIG_NUM, UINT64_MAX, "18446744073709551615"},
		{CONFIG_DURATION, 0, "0"},
		{CONFIG_DURATION, 1, "1ms"},
		{CONFIG_DURATION, 1000, "1s"},
		{CONFIG_DURATION, 61000, "61s"},
		{CONFIG_DURATION, 3600000, "1h"},
		{CONFIG_DURATION, 172800000, "2d"},
		{CONFIG_SIZE, 0, "0"},
		{CONFIG_SIZE, 1023, "1023"},
		{CONFIG_SIZE, 1024, "1K"},
		{CONFIG_SIZE, 1536, "1536"},
		{CONFIG_SIZE, 5 << 20, "5M"},
		{CONFIG_SIZE, UINT64_C(1) << 40, "1024G"},
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct config_option row = {.type = units[i].type};
		struct value_refusal why;
		char text[40] = "";
		union value v;
		FILE *f = fmemopen(text, sizeof text, "w");

		assert_non_null(f);
		value_print(&row, &units[i].n, f);
		fclose(f);
		assert_string_equal(text, units[i].want);
		assert_int_equal(value_parse(&row, str_of(text), &v, &why), 0);
		assert_true(v.number == units[i].n);
	}
}

/* A stored text replaces the one before; a list replaces or grows. */
static void test_store(void **state)
{
	struct config_option text = {.type = CONFIG_TEXT}, list = {.type = CONFIG_LIST};
	struct config_list items = {0};
	struct value_refusal why;
	char *member = NULL;
	union value v;

	assert_int_equal(value_parse(&text, STR("a"), &v, &why), 0);
	assert_int_equal(value_store(&text, &v, &member, false), 0);
	assert_null(v.text);
	assert_int_equal(value_parse(&text, STR("b"), &v, &why), 0);
	assert_int_equal(value_store(&text, &v, &member, true), 0);
	assert_string_equal(member, "b");
	value_clear(&text, &member);
	assert_null(member);

	assert_int_equal(value_parse(&list, STR("a,b"), &v, &why), 0);
	assert_int_equal(value_store(&list, &v, &items, false), 0);
	assert_int_equal(value_parse(&list, STR("c"), &v, &why), 0);
	assert_int_equal(value_store(&list, &v, &items, true), 0);
	assert_int_equal(items.n, 3);
	assert_string_equal(items.v[2], "c");
	assert_int_equal(value_parse(&list, STR("d"), &v, &why), 0);
	assert_int_equal(value_store(&list, &v, &items, false), 0);
	assert_int_equal(items.n, 1);
	assert_string_equal(items.v[0], "d");
	value_clear(&list, &items);
	assert_null(items.v);
}

/* Where a comma belongs to the item, one value is one item. */
static void test_whole(void **state)
{
	struct config_option row = {.type = CONFIG_LIST, .flags = CONFIG_WHOLE};
	struct config_list items = {0};
	struct value_refusal why;
	union value v;

	assert_int_equal(value_parse(&row, STR("a,b"), &v, &why), 0);
	assert_int_equal(value_store(&row, &v, &items, false), 0);
	assert_int_equal(value_parse(&row, STR("c"), &v, &why), 0);
	assert_int_equal(value_store(&row, &v, &items, true), 0);
	assert_int_equal(items.n, 2);
	assert_string_equal(items.v[0], "a,b");
	value_clear(&row, &items);
}

/* The names of a map are its own, over all the flags that make it up. */
static void test_map(void **state)
{
	static const struct {
		const char *why, *first, *second;
		int parse, store; /* of the second */
	} cases[] = {
		{"other names", "a=1,b=2", "c=3", 0, 0},
		{"the same name in one flag", "a=1", "b=1,b=2", ERR_INVAL, 0},
		{"the same name in two", "a=1,b=2", "b=3", 0, ERR_EXISTS},
		{"a name that begins alike", "a=1,bb=2", "b=3,bbb=4", 0, 0},
		{"no pair", "a=1", "b", ERR_INVAL, 0},
	};
	struct config_option row = {.type = CONFIG_LIST, .flags = CONFIG_MAP};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config_list items = {0};
		struct value_refusal why;
		union value v;

		assert_int_equal(value_parse(&row, str_of(cases[i].first), &v, &why), 0);
		assert_int_equal(value_store(&row, &v, &items, true), 0);
		if (value_parse(&row, str_of(cases[i].second), &v, &why) != cases[i].parse)
			fail_msg("%s", cases[i].why);
		if (cases[i].parse == 0 && value_store(&row, &v, &items, true) != cases[i].store)
			fail_msg("%s", cases[i].why);
		assert_null(v.list.v);
		value_clear(&row, &items);
	}
}

/* 64 KiB pass, one byte more does not, and the whole of it is not repeated. */
static void test_long(void **state)
{
	struct config_option row = {.type = CONFIG_TEXT};
	char *text = calloc(1, CONFIG_TEXT_MAX + 1);
	struct value_refusal why;
	union value v;

	memset(text, 'x', CONFIG_TEXT_MAX + 1);
	assert_int_equal(value_parse(&row, (struct str){text, CONFIG_TEXT_MAX}, &v, &why), 0);
	value_free(&row, &v);
	assert_int_equal(value_parse(&row, (struct str){text, CONFIG_TEXT_MAX + 1}, &v, &why),
			 ERR_INVAL);
	assert_string_equal(why.reason, "is too long: 64 KiB are the most");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed), cmocka_unit_test(test_units),
		cmocka_unit_test(test_store),	cmocka_unit_test(test_map),
		cmocka_unit_test(test_whole),	cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
