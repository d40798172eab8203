/* Commands of several words: found, refused, helped with, and in the manual. */
#include "config/command.h"

#include "config/manual.h"
#include "config/rows.h"
#include "sample.h"

static const struct config_option token_rows[] = {
	{.name = "name",
	 .type = CONFIG_TEXT,
	 .group = "Token",
	 .help = "Call it this",
	 .offset = offsetof(struct sample, name),
	 .flags = CONFIG_NOT_ENV | CONFIG_NOT_FILE},
};

static const struct config_option token_args[] = {
	{.name = "ID",
	 .type = CONFIG_TEXT,
	 .help = "Which one",
	 .offset = offsetof(struct sample, target),
	 .flags = CONFIG_REQUIRED},
};

static const struct config_table token_tables[] = {CONFIG_TABLE(token_rows)};

static const struct config_command more[] = {
	{.name = "token add", .summary = "Make a token", .tables = token_tables, .n_tables = 1},
	{.name = "token rm", .summary = "Forget a token", .args = token_args, .n_args = 1},
	{.name = "login", .summary = "Log in"},
	{.name = "admin account ls", .summary = "List all accounts"},
	{.name = "admin node", .summary = "Look at the server"},
};

static const struct config_group groups[] = {
	{"token", "Make tokens and forget them"},
	{"admin", "What administrators do"},
	{"admin account", "Accounts of others"},
};

static struct config_program program(void)
{
	struct config_program p = sample_program;

	p.more = more;
	p.n_more = ARRAY_LEN(more);
	p.groups = groups;
	p.n_groups = ARRAY_LEN(groups);
	return p;
}

static const struct {
	const char *why;
	const char *argv[8];
	const char *want;
} cases[] = {
	{"two words", {"token", "add"}, "token add"},
	{"three words", {"admin", "account", "ls"}, "admin account ls"},
	{"two words below a group that has groups", {"admin", "node"}, "admin node"},
	{"one word of another room", {"login"}, "login"},
	{"an argument behind the words", {"token", "rm", "x"}, "token rm ID=\"x\""},
	{"an argument like a word", {"token", "rm", "add"}, "token rm ID=\"add\""},
	{"options between the words",
	 {"-s", "token", "token", "-q", "rm", "--sessions=3", "x"},
	 "token rm server=\"token\" sessions=3 quiet=true ID=\"x\""},
	{"an option of the command before it",
	 {"--name", "token", "token", "add"},
	 "token add name=\"token\""},
	{"-- ends the words",
	 {"token", "--", "add"},
	 "karez: \"add\" is one argument too many"},
	{"a group alone", {"token"}, "karez token: a command is missing: expected one of add, rm"},
	{"a group below a group",
	 {"admin"},
	 "karez admin: a command is missing: expected one of account, node"},
	{"the last word is missing",
	 {"admin", "account"},
	 "karez admin account: a command is missing: expected one of ls"},
	{"a mistyped second word",
	 {"token", "ad"},
	 "karez token: \"ad\" is not one of the commands add, rm; did you mean add?"},
	{"help for what is not there",
	 {"token", "xyzzy", "--help"},
	 "karez token: \"xyzzy\" is not one of the commands add, rm"},
	{"a mistyped first word",
	 {"tokn", "add"},
	 "karez: TARGET: \"tokn\" is not a target: expected PORT or HOST:PORT; did you mean the "
	 "command token?"},
	{"an option of another command",
	 {"token", "rm", "x", "--wait"},
	 "karez: \"--wait\" is no option of karez token rm; karez tcp has it"},
	{"too much", {"login", "x"}, "karez: \"x\" is one argument too many"},
};

static void test_words(void **state)
{
	struct config_program p = program();
	struct sample_run r;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		sample_start(&r, &p, cases[i].argv, NULL);
		if (strcmp(sample_text(&r), cases[i].want) != 0)
			fail_msg("%s:\n got %s\nwant %s", cases[i].why, r.text, cases[i].want);
		sample_end(&r);
	}
}

static void check_help(const char *const *argv, int want_code, const char *const *parts)
{
	struct config_program p = program();
	struct sample_run r;
	const char *at;
	int code;

	sample_start(&r, &p, argv, NULL);
	at = sample_output(&r, &code);
	assert_int_equal(code, want_code);
	for (; *parts != NULL; parts++) {
		const char *found = strstr(at, *parts);

		if (found == NULL)
			fail_msg("not there, or not in order: %s\n%s", *parts, r.text);
		at = found;
	}
	sample_end(&r);
}

static void test_help(void **state)
{
	static const char *const top[] = {
		"Usage: karez [http] [OPTION]... TARGET\n",
		"       karez token COMMAND [OPTION]...\n",
		"       karez login [OPTION]...\n",
		"       karez admin COMMAND [OPTION]...\n",
		"\nCommands:\n",
		"  token                     Make tokens and forget them\n",
		"  login                     Log in\n",
		"  admin                     What administrators do\n",
		"\n\"karez COMMAND --help\" tells the options of a command.\n",
		NULL,
	};
	static const char *const token[] = {
		"Usage: karez token add [OPTION]...\n",
		"       karez token rm [OPTION]... ID\n\nMake tokens and forget them\n",
		"\nCommands:\n  add                       Make a token\n",
		"\n\"karez token COMMAND --help\" tells the options of a command.\n",
		NULL,
	};
	static const char *const add[] = {"Usage: karez token add [OPTION]...\n\nMake a token\n",
					  "\nToken:\n      --name TEXT           Call it this\n",
					  NULL};
	static const char *const missing[] = {
		"karez admin account: a command is missing: expected one of ls\n",
		"Usage: karez admin account COMMAND [OPTION]...\n",
		"Try \"karez admin account --help\".\n",
		NULL,
	};

	check_help((const char *[]){"--help", NULL}, 0, top);
	check_help((const char *[]){"token", "--help", NULL}, 0, token);
	check_help((const char *[]){"-h", "token", "add", NULL}, 0, add);
	check_help((const char *[]){"admin", "account", NULL}, 2, missing);
}

static void test_manual(void **state)
{
	struct config_program p = program();
	char *page = NULL;
	size_t len;
	FILE *f = open_memstream(&page, &len);

	assert_non_null(f);
	manual_print(&p, f);
	fclose(f);
	assert_non_null(strstr(page, ".Nm karez\n.Cm \"\\&token add\"\n.Op Ar option ...\n"));
	assert_non_null(strstr(page, ".Ss karez admin account ls\nList all accounts.\n"));
	assert_non_null(strstr(page, "For the command token add.\n"));
	free(page);
}

/* One file serves all: what this command takes from the command line only may be there for others.
 */
static void test_file(void **state)
{
	struct config_program p = program();
	char *path = sample_file("name: x\n", 8);
	struct sample_run r;

	sample_start(&r, &p, (const char *[]){"token", "add", "-c", path, NULL}, NULL);
	assert_int_equal(r.e, 0);
	assert_null(r.set.name);
	sample_end(&r);
	sample_start(&r, &p, (const char *[]){"http", "1", "-c", path, NULL}, NULL);
	assert_string_equal(r.set.name, "x");
	sample_end(&r);
	unlink(path);
	free(path);
}

static void test_mistakes(void **state)
{
	static const struct config_command orphan[] = {{.name = "tunnel ls", .summary = "S"}},
					   twice[] = {{.name = "login", .summary = "S"},
						      {.name = "login", .summary = "S"}},
					   both[] = {{.name = "token", .summary = "S"},
						     {.name = "token add", .summary = "S"}},
					   odd[] = {{.name = "token  add", .summary = "S"}};
	static const struct config_group empty[] = {{"token", "S"}, {"key", "S"}};
	struct config_program p = program();
	char why[200];

	assert_int_equal(rows_check(&p, why, sizeof why), 0);
	assert_string_equal(why, "");
	p.more = orphan;
	p.n_more = ARRAY_LEN(orphan);
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "karez tunnel ls: there is no group for its first words");
	p.more = twice;
	p.n_more = ARRAY_LEN(twice);
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "karez login: two commands of this name");
	p.more = both;
	p.n_more = ARRAY_LEN(both);
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "karez token: a command and a group");
	p.more = odd;
	p.n_more = ARRAY_LEN(odd);
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "karez token  add: not a name of some words");
	p.more = &both[1];
	p.n_more = 1;
	p.groups = empty;
	p.n_groups = ARRAY_LEN(empty);
	assert_int_equal(rows_check(&p, why, sizeof why), ERR_INVAL);
	assert_string_equal(why, "karez key: a group of nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),	 cmocka_unit_test(test_help),
		cmocka_unit_test(test_manual),	 cmocka_unit_test(test_file),
		cmocka_unit_test(test_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
