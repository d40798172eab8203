/* Bodies against schemas of our own: what each type takes, and how what it does not is named. */
#include "api/api_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

static const char *const words[] = {"red", "blue", NULL};

static const struct api_field inner_fields[] = {
	{.name = "must", .type = API_BOOL, .flags = API_REQUIRED},
	{.name = "n", .type = API_NUMBER, .min = 2, .max = 9},
};
static const struct api_schema inner = {.name = "Inner",
					.fields = inner_fields,
					.n_fields = ARRAY_LEN(inner_fields)};

static const struct api_field fields[] = {
	{.name = "text", .type = API_TEXT, .min = 1, .max = 8},
	{.name = "lines", .type = API_TEXT, .flags = API_LINES, .max = 8},
	{.name = "word", .type = API_TEXT, .words = words},
	{.name = "time", .type = API_TIME, .flags = API_NULLABLE},
	{.name = "told", .type = API_NUMBER, .flags = API_READ_ONLY},
	{.name = "obj", .type = API_OBJECT, .of = &inner},
	{.name = "objs", .type = API_LIST, .max = 2, .of = &inner},
	{.name = "texts", .type = API_LIST, .max = 2, .text_max = 3},
	{.name = "counted", .type = API_LIST, .flags = API_COUNTED, .max = 2, .text_max = 3},
};
static const struct api_schema schema = {.name = "Test",
					 .fields = fields,
					 .n_fields = ARRAY_LEN(fields)};

static const struct {
	const char *why, *body;
	int e;
	const char *field;
} cases[] = {
	{"nothing", "{}", 0, ""},
	{"a text", "{\"text\":\"a\"}", 0, ""},
	{"the longest", "{\"text\":\"12345678\"}", 0, ""},
	{"longer", "{\"text\":\"123456789\"}", ERR_INVAL, "text"},
	{"bytes count, not letters", "{\"text\":\"\u00e4\u00e4\u00e4\u00e4\u00e4\"}", ERR_INVAL,
	 "text"},
	{"too short", "{\"text\":\"\"}", ERR_INVAL, "text"},
	{"a number for a text", "{\"text\":1}", ERR_INVAL, "text"},
	{"null for a text", "{\"text\":null}", ERR_INVAL, "text"},
	{"a line end", "{\"text\":\"a\\nb\"}", ERR_INVAL, "text"},
	{"DEL", "{\"text\":\"a\\u007f\"}", ERR_INVAL, "text"},
	{"a line end where it may be", "{\"lines\":\"a\\r\\nb\"}", 0, ""},
	{"but not all controls", "{\"lines\":\"a\\u001bb\"}", ERR_INVAL, "lines"},
	{"a NUL", "{\"lines\":\"a\\u0000b\"}", ERR_PROTO, ""},
	{"a word", "{\"word\":\"blue\"}", 0, ""},
	{"another one", "{\"word\":\"Blue\"}", ERR_INVAL, "word"},
	{"a time", "{\"time\":\"2026-11-21T03:00:00Z\"}", 0, ""},
	{"no time", "{\"time\":\"2026-11-21\"}", ERR_INVAL, "time"},
	{"a number for a time", "{\"time\":5}", ERR_INVAL, "time"},
	{"null where it may be", "{\"time\":null}", 0, ""},
	{"what is told is passed over", "{\"told\":{\"any\":[1,2]}}", 0, ""},
	{"an object", "{\"obj\":{\"n\":2}}", 0, ""},
	{"a list for an object", "{\"obj\":[]}", ERR_INVAL, "obj"},
	{"null for an object", "{\"obj\":null}", ERR_INVAL, "obj"},
	{"too small", "{\"obj\":{\"n\":1}}", ERR_INVAL, "obj.n"},
	{"too great", "{\"obj\":{\"n\":10}}", ERR_INVAL, "obj.n"},
	{"negative", "{\"obj\":{\"n\":-5}}", ERR_INVAL, "obj.n"},
	{"a fraction", "{\"obj\":{\"n\":2.5}}", ERR_INVAL, "obj.n"},
	{"an exponent", "{\"obj\":{\"n\":2e0}}", ERR_INVAL, "obj.n"},
	{"a text for a number", "{\"obj\":{\"n\":\"2\"}}", ERR_INVAL, "obj.n"},
	{"a number for a bool", "{\"obj\":{\"must\":1}}", ERR_INVAL, "obj.must"},
	{"unknown", "{\"x\":1}", ERR_INVAL, "x"},
	{"unknown further down", "{\"obj\":{\"x\":1}}", ERR_INVAL, "obj.x"},
	{"case counts", "{\"Text\":\"a\"}", ERR_INVAL, "Text"},
	{"an empty name", "{\"\":1}", ERR_INVAL, ""},
	{"objects in a list are whole", "{\"objs\":[{\"must\":true},{\"n\":3}]}", ERR_INVAL,
	 "objs.1.must"},
	{"too many", "{\"texts\":[\"a\",\"b\",\"c\"]}", ERR_INVAL, "texts"},
	{"an empty one", "{\"texts\":[\"a\",\"\"]}", ERR_INVAL, "texts.1"},
	{"a long one", "{\"texts\":[\"abcd\"]}", ERR_INVAL, "texts.0"},
	{"a number in it", "{\"texts\":[1]}", ERR_INVAL, "texts.0"},
	{"a number for it", "{\"texts\":1}", ERR_INVAL, "texts"},
	{"a number where it is told as one", "{\"counted\":1}", 0, ""},
	{"a list there", "{\"counted\":[\"a\"]}", 0, ""},
	{"a text there", "{\"counted\":\"a\"}", ERR_INVAL, "counted"},
	{"no object", "[]", ERR_INVAL, ""},
	{"no JSON", "{", ERR_PROTO, ""},
	{"two", "{}{}", ERR_PROTO, ""},
	{"a member twice", "{\"text\":\"a\",\"text\":\"b\"}", ERR_PROTO, ""},
	{"not UTF-8", "{\"text\":\"\xff\"}", ERR_PROTO, ""},
	{"a long name is cut",
	 "{\"0123456789012345678901234567890123456789012345678901234567890\":1}", ERR_INVAL,
	 "0123456789012345678901234567890123456789"},
	{"not within a letter", "{\"012345678901234567890123456789012345678\u00e4\":1}", ERR_INVAL,
	 "012345678901234567890123456789012345678"},
};

static void test_check(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct api_fault fault;
		struct json *j = NULL;
		int e = api_body_parse(str_of(cases[i].body), &schema, false, &j, &fault);

		if (e != cases[i].e || strcmp(fault.field, cases[i].field) != 0)
			fail_msg("%s: %d \"%s\"", cases[i].why, e, fault.field);
		assert_int_equal(fault.e, e);
		assert_int_equal(j != NULL, e == 0);
		assert_int_equal(fault.detail[0] != '\0', e != 0);
		json_free(j);
	}
}

static void test_whole(void **state)
{
	struct api_fault fault;
	struct json *j = NULL;

	assert_int_equal(api_body_parse(STR("{}"), &inner, false, &j, &fault), 0);
	json_free(j);
	assert_int_equal(api_body_parse(STR("{}"), &inner, true, &j, &fault), ERR_INVAL);
	assert_string_equal(fault.field, "must");
	assert_int_equal(api_body_parse(STR("{\"must\":false}"), &inner, true, &j, &fault), 0);
	json_free(j);
}

static void test_too_deep(void **state)
{
	char deep[200];
	struct api_fault fault;
	struct json *j = NULL;

	memset(deep, '[', sizeof deep);
	assert_int_equal(api_body_parse((struct str){deep, sizeof deep}, &schema, false, &j,
					&fault),
			 ERR_TOOBIG);
}

static void test_reading(void **state)
{
	static const char text[] = "{\"text\":\"a\",\"time\":\"1970-01-01T00:00:01Z\","
				   "\"obj\":{\"n\":3,\"must\":true},\"counted\":2}";
	struct api_fault fault;
	struct json *j = NULL;
	struct str s = STR("was");
	bool b = false;
	uint64_t n = 0;
	int64_t ms = 0;

	assert_int_equal(api_body_parse(str_of(text), &schema, false, &j, &fault), 0);
	assert_true(api_body_text(j, "text", &s) && str_eq(s, STR("a")));
	assert_false(api_body_text(j, "word", &s));
	assert_true(str_eq(s, STR("a")));
	assert_true(api_body_time(j, "time", &ms) && ms == 1000);
	assert_true(api_body_number(api_body_object(j, "obj"), "n", &n) && n == 3);
	assert_true(api_body_bool(api_body_object(j, "obj"), "must", &b) && b);
	assert_null(api_body_list(j, "counted"));
	assert_true(api_body_number(j, "counted", &n) && n == 2);
	assert_null(api_body_object(NULL, "obj"));
	json_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_too_deep),
		cmocka_unit_test(test_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
