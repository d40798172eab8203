/* Command lines and what they come to: the settings they make, or the sentence they get. */
#include "sample.h"

struct cmdline_case {
	const char *why;
	const char *argv[8];
	const char *want;
};

static const struct cmdline_case good[] = {
	{"a command and its argument", {"http", "3000"}, "http TARGET=\"3000\""},
	{"no command: the fallback", {"3000"}, "http TARGET=\"3000\""},
	{"a value behind the name", {"--server", "x", "1"}, "http server=\"x\" TARGET=\"1\""},
	{"a value behind =", {"--server=x=y", "1"}, "http server=\"x=y\" TARGET=\"1\""},
	{"an empty value", {"--server=", "1"}, "http server=\"\" TARGET=\"1\""},
	{"a value that looks like an option", {"1", "-s", "-q"}, "http server=\"-q\" TARGET=\"1\""},
	{"a letter and a word", {"-s", "x", "1"}, "http server=\"x\" TARGET=\"1\""},
	{"a letter with its value", {"-sx", "1"}, "http server=\"x\" TARGET=\"1\""},
	{"letters together",
	 {"-n5", "1", "-qsx"},
	 "http server=\"x\" sessions=5 quiet=true "
	 "TARGET=\"1\""},
	{"options before the command",
	 {"-s", "tcp", "--sessions", "3", "tcp", "-w"},
	 "tcp wait=true server=\"tcp\" sessions=3"},
	{"an option of the command before it",
	 {"--name", "tcp", "http", "1"},
	 "http name=\"tcp\" TARGET=\"1\""},
	{"options after the argument", {"1", "-q"}, "http quiet=true TARGET=\"1\""},
	{"-- ends the options", {"tcp", "--", "-q"}, "tcp TARGET=\"-q\""},
	{"a command's name after --", {"--", "1"}, "http TARGET=\"1\""},
	{"a lone dash is an argument", {"tcp", "-"}, "tcp TARGET=\"-\""},
	{"arguments beyond the first",
	 {"tcp", "a", "b,c", "d"},
	 "tcp TARGET=\"a\" MORE=[\"b\", \"c\", \"d\"]"},
	{"no argument where none must be", {"tcp"}, "tcp"},
	{"the command's name again", {"tcp", "tcp"}, "tcp TARGET=\"tcp\""},
	{"a flag switched off", {"1", "--no-reconnect"}, "http reconnect=false TARGET=\"1\""},
	{"a flag with a word",
	 {"1", "--reconnect=off", "--quiet=TRUE"},
	 "http reconnect=false quiet=true TARGET=\"1\""},
	{"the last one counts", {"1", "-q", "--no-quiet"}, "http quiet=false TARGET=\"1\""},
	{"the last text counts", {"1", "-sa", "-sb"}, "http server=\"b\" TARGET=\"1\""},
	{"a list repeated",
	 {"1", "-la", "--label=b", "--label", "c"},
	 "http label=[\"a\", \"b\", \"c\"] TARGET=\"1\""},
	{"a list with commas",
	 {"1", "-l", "a, b ,c"},
	 "http label=[\"a\", \"b\", \"c\"] TARGET=\"1\""},
	{"an empty list", {"1", "-l", ""}, "http label=[] TARGET=\"1\""},
	{"the smallest number", {"1", "-n1"}, "http sessions=1 TARGET=\"1\""},
	{"the largest number", {"1", "-n64"}, "http sessions=64 TARGET=\"1\""},
	{"the shortest time", {"1", "--idle-timeout=1000ms"}, "http idle-timeout=1s TARGET=\"1\""},
	{"the longest time", {"1", "--idle-timeout", "1d"}, "http idle-timeout=1d TARGET=\"1\""},
	{"a bare time is seconds",
	 {"1", "--idle-timeout", "90"},
	 "http idle-timeout=90s TARGET=\"1\""},
	{"a size", {"1", "--window", "64K"}, "http window=64K TARGET=\"1\""},
	{"the largest size", {"1", "--window", "16777216"}, "http window=16M TARGET=\"1\""},
	{"a word", {"1", "--log-level", "debug"}, "http log-level=\"debug\" TARGET=\"1\""},
	{"unicode", {"1", "-s", "häuser-市"}, "http server=\"häuser-市\" TARGET=\"1\""},
	{"help asks for nothing else", {"http", "--help"}, "http help=true"},
	{"the hidden works", {"1", "--fixed", "x"}, "http fixed=\"x\" TARGET=\"1\""},
};

static const struct cmdline_case bad[] = {
	{"a long typing error",
	 {"1", "--sevrer", "x"},
	 "karez: \"--sevrer\" is no option; did you mean --server?"},
	{"an underscore",
	 {"1", "--idle_timeout=1s"},
	 "karez: \"--idle_timeout\" is no option; did you mean --idle-timeout?"},
	{"nothing near", {"1", "--zzz"}, "karez: \"--zzz\" is no option"},
	{"a wrong option's value is not repeated",
	 {"1", "--tokem=hunter2"},
	 "karez: \"--tokem\" is no option; did you mean --token?"},
	{"the hidden is not suggested", {"1", "--fixet"}, "karez: \"--fixet\" is no option"},
	{"an unknown letter", {"1", "-x"}, "karez: \"-x\" is no option"},
	{"an unknown letter behind a known one", {"1", "-qx"}, "karez: \"-x\" is no option"},
	{"a byte that is no letter", {"1", "-\xff"}, "karez: \"-\\xff\" is no option"},
	{"no name at all", {"1", "--=x"}, "karez: \"--\" is no option"},
	{"another command's option",
	 {"http", "1", "--wait"},
	 "karez: \"--wait\" is no option of karez http; karez tcp has it"},
	{"another command's letter",
	 {"http", "1", "-w"},
	 "karez: \"-w\" is no option of karez http; karez tcp has it"},
	{"no value", {"1", "--server"}, "karez: --server: a value is missing: URL"},
	{"no value for a letter", {"1", "-n"}, "karez: --sessions: a value is missing: NUMBER"},
	{"--no- with a value",
	 {"1", "--no-quiet=yes"},
	 "karez: --quiet: takes no value in its --no- form"},
	{"--no- of what is no flag",
	 {"1", "--no-server"},
	 "karez: --server: has no --no- form: it takes a value"},
	{"a flag that is neither",
	 {"1", "--quiet=maybe"},
	 "karez: --quiet: \"maybe\" is not yes or no"},
	{"a number below",
	 {"1", "-n", "0"},
	 "karez: --sessions: \"0\" is not a number from 1 to 64"},
	{"a number above",
	 {"1", "-n", "65"},
	 "karez: --sessions: \"65\" is not a number from 1 to 64"},
	{"a number beyond 64 bits",
	 {"1", "-n", "18446744073709551617"},
	 "karez: --sessions: \"18446744073709551617\" is not a number from 1 to 64"},
	{"a negative number",
	 {"1", "-n", "-1"},
	 "karez: --sessions: \"-1\" is not a number from 1 to 64"},
	{"no number", {"1", "--sessions="}, "karez: --sessions: \"\" is not a number from 1 to 64"},
	{"a time too short",
	 {"1", "--idle-timeout", "999ms"},
	 "karez: --idle-timeout: \"999ms\" is not a duration from 1s to 1d, such as 500ms, 15s, "
	 "10m, 2h or 1d"},
	{"a size without a number",
	 {"1", "--window", "K"},
	 "karez: --window: \"K\" is not a size from 64K to 16M, such as 4096, 64K, 10M or 1G"},
	{"a word with an error",
	 {"1", "--log-level", "wran"},
	 "karez: --log-level: \"wran\" is not one of error, warn, info, debug; did you mean warn?"},
	{"an empty item", {"1", "-l", "a,,b"}, "karez: --label: \"\" is an empty item"},
	{"a secret for all to read",
	 {"1", "--token", "hunter2"},
	 "karez: --token: not on the command line, where others can read it: use KAREZ_TOKEN or "
	 "the configuration file"},
	{"the same by letter",
	 {"1", "-thunter2"},
	 "karez: --token: not on the command line, where others can read it: use KAREZ_TOKEN or "
	 "the configuration file"},
	{"an argument the check refuses",
	 {"http", "abc"},
	 "karez: TARGET: \"abc\" is not a target: expected PORT or HOST:PORT"},
	{"a check without words of its own",
	 {"http", "denied"},
	 "karez: TARGET: \"denied\" is refused: not permitted"},
	{"control characters are shown",
	 {"http", "a\x1b[2J\n\"\\"},
	 "karez: TARGET: \"a\\x1b[2J\\x0a\\\"\\\\\" is not a target: expected PORT or HOST:PORT"},
	{"a long value is cut",
	 {"http", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
	 "karez: TARGET: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is not "
	 "a target: expected PORT or HOST:PORT"},
	{"a mistyped command",
	 {"htp"},
	 "karez: TARGET: \"htp\" is not a target: expected PORT or HOST:PORT; did you mean the "
	 "command http?"},
	{"one argument too many", {"http", "1", "2"}, "karez: \"2\" is one argument too many"},
	{"no argument",
	 {"http"},
	 "karez: TARGET: is missing: Local service to publish: PORT or HOST:PORT"},
	{"an empty argument",
	 {""},
	 "karez: TARGET: \"\" is not a target: expected PORT or HOST:PORT"},
};

static const struct cmdline_case strict[] = {
	{"no command", {NULL}, "karez: a command is missing: expected one of http, tcp"},
	{"only options", {"-q"}, "karez: a command is missing: expected one of http, tcp"},
	{"a mistyped command",
	 {"-q", "tpc"},
	 "karez: \"tpc\" is not one of the commands http, tcp; did you mean tcp?"},
	{"no command at all", {"30000"}, "karez: \"30000\" is not one of the commands http, tcp"},
	{"a wrong option without a command",
	 {"--quite"},
	 "karez: \"--quite\" is no option; did you mean --quiet?"},
	{"help without a command", {"--help"}, "none help=true"},
};

static void check(const struct config_program *p, const struct cmdline_case *cases, size_t n)
{
	struct sample_run r;

	for (size_t i = 0; i < n; i++) {
		sample_start(&r, p, cases[i].argv, NULL);
		if (strcmp(sample_text(&r), cases[i].want) != 0)
			fail_msg("%s:\n got %s\nwant %s", cases[i].why, r.text, cases[i].want);
		sample_end(&r);
	}
}

static void test_good(void **state)
{
	check(&sample_program, good, ARRAY_LEN(good));
}

static void test_bad(void **state)
{
	check(&sample_program, bad, ARRAY_LEN(bad));
}

static void test_strict(void **state)
{
	struct config_program p = sample_strict();

	check(&p, strict, ARRAY_LEN(strict));
}

/* A list has an end, however it is filled. */
static void test_list_is_bounded(void **state)
{
	const char *argv[4] = {"1", "-l", NULL, NULL};
	struct sample_run r;
	char *items = malloc(2 * CONFIG_LIST_MAX + 2);

	for (size_t i = 0; i < CONFIG_LIST_MAX + 1; i++) {
		items[2 * i] = 'x';
		items[2 * i + 1] = ',';
	}
	argv[2] = items;
	items[2 * CONFIG_LIST_MAX + 1] = '\0';
	sample_start(&r, &sample_program, argv, NULL);
	assert_string_equal(sample_text(&r), "karez: --label: \"x\" is one item too many: 1024 are "
					     "the most");
	sample_end(&r);

	items[2 * CONFIG_LIST_MAX - 1] = '\0';
	sample_start(&r, &sample_program, argv, NULL);
	assert_int_equal(r.e, 0);
	assert_int_equal(r.set.label.n, CONFIG_LIST_MAX);
	sample_end(&r);

	sample_start(&r, &sample_program, (const char *[]){"1", "-l", items, "-lx", NULL}, NULL);
	assert_string_equal(sample_text(&r), "karez: --label: too many items: 1024 are the most");
	sample_end(&r);
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_list_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
