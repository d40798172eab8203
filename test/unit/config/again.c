/* What was given to one command, told for another one. */
#include "config/again.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"

struct settings {
	bool loud;
	char *where, *secret;
	uint64_t n, ms, bytes;
	int word;
	struct config_list list;
	char *only_here;
};

static const char *const words[] = {"red", "blue", NULL};

#define ROW(n, t, m) .name = (n), .type = (t), .help = "x", .offset = offsetof(struct settings, m)

static const struct config_option all[] = {
	{ROW("loud", CONFIG_FLAG, loud)},
	{ROW("secret", CONFIG_SECRET, secret)},
};
static const struct config_option shared[] = {
	{ROW("where", CONFIG_TEXT, where)},
	{ROW("n", CONFIG_NUM, n), .initial = "7"},
	{ROW("ms", CONFIG_DURATION, ms)},
	{ROW("bytes", CONFIG_SIZE, bytes)},
	{ROW("word", CONFIG_ENUM, word), .words = words},
	{ROW("list", CONFIG_LIST, list)},
};
static const struct config_option here[] = {{ROW("only-here", CONFIG_TEXT, only_here)}};
static const struct config_table all_tables[] = {CONFIG_TABLE(all)};
static const struct config_table one_tables[] = {CONFIG_TABLE(shared), CONFIG_TABLE(here)};
static const struct config_table two_tables[] = {CONFIG_TABLE(shared)};
static const struct config_command commands[] = {
	{.name = "one", .summary = "x", .tables = one_tables, .n_tables = 2},
	{.name = "two", .summary = "x", .tables = two_tables, .n_tables = 1},
};
static const struct config_program program = {
	.name = "sample",
	.env_prefix = "SAMPLE_",
	.tables = all_tables,
	.n_tables = 1,
	.commands = commands,
	.n_commands = 2,
};

/* Options as one would type them, one space behind each; ends at "stop". */
static int on_option(void *arg, const struct config_option *row, const char *value)
{
	char *out = arg;
	size_t len = strlen(out);

	if (strcmp(value, "stop") == 0)
		return ERR_LIMIT;
	str_printf(out + len, 512 - len, "%s=%s ", row->name, value);
	return 0;
}

static int again(char *const *argv, int argc, const struct config_command *as, char out[512])
{
	static char env[] = "SAMPLE_WORD=blue";
	char *const envp[] = {env, NULL};
	struct config_input in = {.argc = argc, .argv = argv, .envp = envp};
	struct settings set = {0};
	struct config *c = NULL;
	int e = config_load(&program, &in, &set, &c);

	out[0] = '\0';
	assert_int_equal(e, 0);
	e = again_each(c, as, on_option, out);
	config_free(c);
	return e;
}

#define ARGV(...) ((char *[]){(char[]){"sample"}, (char[]){"one"}, __VA_ARGS__})
#define A(text)	  ((char[]){text})

static void test_what_was_given(void **state)
{
	char **argv = ARGV(A("--no-loud"), A("--ms=90s"), A("--bytes"), A("2K"), A("--list=a,b"),
			   A("--where= x"), A("--only-here=y"), A("--secret=s"));
	char out[512];

	assert_int_equal(again(argv, 10, &commands[1], out), 0);
	assert_string_equal(
		out, "where= x ms=90000ms bytes=2048 word=blue list=a list=b loud=no secret=s ");
	assert_int_equal(again(argv, 10, NULL, out), 0);
	assert_string_equal(out, "loud=no secret=s ");
}

static void test_nothing_was_given(void **state)
{
	char out[512];

	assert_int_equal(again(ARGV(A("--list=")), 3, &commands[1], out), 0);
	assert_string_equal(out, "word=blue list= ");
}

static void test_whoever_is_told_may_end_it(void **state)
{
	char out[512];

	assert_int_equal(again(ARGV(A("--where=stop"), A("--n=1")), 4, &commands[1], out),
			 ERR_LIMIT);
	assert_string_equal(out, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_given),
		cmocka_unit_test(test_nothing_was_given),
		cmocka_unit_test(test_whoever_is_told_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
