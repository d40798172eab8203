/* Tables with one mistake each: none gets through, and a sound program does. */
#include "config/rows.h"

#include "sample.h"

#define NAME(s, n) .name = (s), .help = "H", .type = (n)
#define AT(member) .offset = offsetof(struct sample, member)

static const char *const words[] = {"a", NULL};

static const struct {
	const char *want;	      /* the end of the sentence, or "" */
	struct config_option rows[3]; /* those with a name */
	struct config_option args[2];
} cases[] = {
	{"", {{NAME("a", CONFIG_TEXT), AT(name)}}, {{NAME("A", CONFIG_TEXT), AT(target)}}},
	{"not a name", {{NAME("", CONFIG_TEXT)}}, {{0}}},
	{"a name has lower-case letters, digits and dashes only",
	 {{NAME("a_b", CONFIG_TEXT), AT(name)}},
	 {{0}}},
	{"--no- is for switching a flag off", {{NAME("no-a", CONFIG_FLAG), AT(quiet)}}, {{0}}},
	{"the name is taken",
	 {{NAME("a", CONFIG_TEXT), AT(name)}, {NAME("a", CONFIG_TEXT), AT(server)}},
	 {{0}}},
	{"the name is taken", {{NAME("help", CONFIG_FLAG), AT(quiet)}}, {{0}}},
	{"the letter is taken",
	 {{NAME("a", CONFIG_TEXT), AT(name), .letter = 'x'},
	  {NAME("b", CONFIG_TEXT), AT(server), .letter = 'x'}},
	 {{0}}},
	{"the letter is taken", {{NAME("a", CONFIG_FLAG), AT(quiet), .letter = 'h'}}, {{0}}},
	{"", {{NAME("a", CONFIG_TEXT), AT(name), .letter = 'c'}}, {{0}}}, /* --config stays */
	{"its letter takes a value in one command only",
	 {{NAME("a", CONFIG_FLAG), AT(quiet), .letter = 'c'}},
	 {{0}}},
	{"another row stores in the same member",
	 {{NAME("a", CONFIG_TEXT), AT(name)}, {NAME("b", CONFIG_TEXT), AT(name)}},
	 {{0}}},
	{"another row stores in the same member",
	 {{NAME("a", CONFIG_TEXT), AT(name)}},
	 {{NAME("A", CONFIG_TEXT), AT(name)}}},
	{"the default is not one of its values",
	 {{NAME("a", CONFIG_NUM), AT(window), .initial = "x"}},
	 {{0}}},
	{"the default is not one of its values",
	 {{NAME("a", CONFIG_NUM), AT(window), .initial = "9", .max = 8}},
	 {{0}}},
	{"the default is not one of its values",
	 {{NAME("a", CONFIG_ENUM), AT(level), .initial = "b", .words = words}},
	 {{0}}},
	{"min is above max", {{NAME("a", CONFIG_NUM), AT(window), .min = 9, .max = 8}}, {{0}}},
	{"no words to choose from", {{NAME("a", CONFIG_ENUM), AT(level)}}, {{0}}},
	{"required, and yet it has a default",
	 {{NAME("a", CONFIG_TEXT), AT(name), .initial = "x", .flags = CONFIG_REQUIRED}},
	 {{0}}},
	{"help is one sentence without a full stop",
	 {{.name = "a", .type = CONFIG_TEXT, .help = "Ends.", AT(name)}},
	 {{0}}},
	{"help is one sentence without a full stop",
	 {{.name = "a", .type = CONFIG_TEXT, AT(name)}},
	 {{0}}},
	{"its group is torn apart",
	 {{NAME("a", CONFIG_TEXT), AT(name), .group = "X"},
	  {NAME("b", CONFIG_TEXT), AT(server), .group = "Y"},
	  {NAME("d", CONFIG_TEXT), AT(token), .group = "X"}},
	 {{0}}},
	{"an argument is no flag", {{0}}, {{NAME("A", CONFIG_FLAG), AT(quiet)}}},
	{"a list takes what follows it, too",
	 {{0}},
	 {{NAME("A", CONFIG_LIST), AT(label)}, {NAME("B", CONFIG_TEXT), AT(name)}}},
	{"required after an optional one",
	 {{0}},
	 {{NAME("A", CONFIG_TEXT), AT(name)},
	  {NAME("B", CONFIG_TEXT), AT(server), .flags = CONFIG_REQUIRED}}},
};

static size_t count(const struct config_option *rows, size_t n)
{
	size_t used = 0;

	while (used < n && rows[used].name != NULL)
		used++;
	return used;
}

static void test_mistakes(void **state)
{
	char why[200];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config_table table = {cases[i].rows, count(cases[i].rows, 3)};
		struct config_command only = {.summary = "S",
					      .tables = &table,
					      .n_tables = 1,
					      .args = cases[i].args,
					      .n_args = count(cases[i].args, 2)};
		struct config_program p = {.name = "p",
					   .env_prefix = "P_",
					   .commands = &only,
					   .n_commands = 1};
		size_t len = strlen(cases[i].want);
		int e = rows_check(&p, why, sizeof why);

		if (e != (len == 0 ? 0 : ERR_INVAL) || strlen(why) < len ||
		    strcmp(why + strlen(why) - len, cases[i].want + strlen(cases[i].want) - len) !=
			    0)
			fail_msg("case %zu: want \"%s\", got \"%s\"", i, cases[i].want, why);
	}
}

/* The command is found by skipping values, so two commands must agree on what has one. */
static void test_two_commands(void **state)
{
	static const struct config_option flag[] = {
		{NAME("a", CONFIG_FLAG), AT(quiet), .letter = 'x'}};
	static const struct config_option text[] = {{NAME("a", CONFIG_TEXT), AT(name)}};
	static const struct config_option letter[] = {
		{NAME("b", CONFIG_TEXT), AT(name), .letter = 'x'}};
	static const struct config_table flags = CONFIG_TABLE(flag), texts = CONFIG_TABLE(text),
					 letters = CONFIG_TABLE(letter);
	struct config_command two[] = {
		{.name = "one", .summary = "S", .tables = &flags, .n_tables = 1},
		{.name = "two", .summary = "S", .tables = &texts, .n_tables = 1},
	};
	struct config_program p = {.name = "p",
				   .env_prefix = "P_",
				   .commands = two,
				   .n_commands = 2};
	char why[200];

	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "p two: a: takes a value in one command and none in another");
	two[1].tables = &letters;
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "p two: b: its letter takes a value in one command only");
	two[1].tables = &flags;
	assert_int_equal(rows_check(&p, why, sizeof why), 0);
	two[1].summary = NULL;
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "p: a command without a summary");
}

static void test_sound(void **state)
{
	struct config_program p = sample_strict();
	char why[200] = "x";

	assert_int_equal(rows_check(&sample_program, why, sizeof why), 0);
	assert_string_equal(why, "");
	assert_int_equal(rows_check(&p, why, sizeof why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_two_commands),
		cmocka_unit_test(test_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
