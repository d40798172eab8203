/* The help as somebody sees it, word for word. */
#include "sample.h"

/* The same in both. */
#define GROUPS                                                                               \
	"\n"                                                                                 \
	"Tunnel:\n"                                                                          \
	"      --name TEXT           Ask for this public name [env KAREZ_NAME]\n"            \
	"  -l, --label LABEL         Put a label on the tunnel [may be repeated; env\n"      \
	"                            KAREZ_LABEL]\n"                                         \
	"\n"                                                                                 \
	"Server:\n"                                                                          \
	"  -s, --server URL          Connect to this server [env KAREZ_SERVER]\n"            \
	"  -t, --token TEXT          Prove who we are with this token [not on the command\n" \
	"                            line; env KAREZ_TOKEN]\n"                               \
	"  -n, --sessions NUMBER     Keep this many sessions, so that a lost one is not\n"   \
	"                            noticed [default: 2; from 1 to 64; env\n"               \
	"                            KAREZ_SESSIONS]\n"                                      \
	"      --[no-]reconnect      Come back after a lost session [default: yes; env\n"    \
	"                            KAREZ_RECONNECT]\n"                                     \
	"\n"                                                                                 \
	"Limits:\n"                                                                          \
	"      --idle-timeout DURATION\n"                                                    \
	"                            Close an idle connection after this time; both sides\n" \
	"                            count, and what a ping brings is no sign of life\n"     \
	"                            [default: 60s; from 1s to 1d; env\n"                    \
	"                            KAREZ_IDLE_TIMEOUT]\n"                                  \
	"      --window SIZE         Let this many bytes be on the way [default: 1M; from\n" \
	"                            64K to 16M; env KAREZ_WINDOW]\n"                        \
	"\n"                                                                                 \
	"Output:\n"                                                                          \
	"      --log-level WORD      Say this much [default: info; one of error, warn,\n"    \
	"                            info, debug; env KAREZ_LOG_LEVEL]\n"                    \
	"  -q, --quiet               Print nothing [env KAREZ_QUIET]\n"                      \
	"  -v, --verbose             Print more [env KAREZ_VERBOSE]\n"                       \
	"\n"                                                                                 \
	"General:\n"                                                                         \
	"  -c, --config FILE         Read this configuration file instead of the usual\n"    \
	"                            one [env KAREZ_CONFIG]\n"                               \
	"      --show-config         Print every setting with where it came from, and\n"     \
	"                            exit\n"                                                 \
	"  -h, --help                Print this help, and exit\n"                            \
	"  -V, --version             Print the version, and exit\n"                          \
	"\n"                                                                                 \
	"The configuration file is YAML or JSON; its keys are the long names:\n"             \
	"  ~/sample.yaml\n"                                                                  \
	"  /nonexistent/sample.yaml\n"

static const char help_http[] =
	"Usage: karez [http] [OPTION]... TARGET\n"
	"\n"
	"Publish a local web server\n"
	"\n"
	"Visitors reach it at a name of its own. Back-pressure is kept end to end.\n"
	"\n"
	"Arguments:\n"
	"  TARGET                    Local service to publish: PORT or HOST:PORT\n" GROUPS;

static const char help_overview[] = "Usage: karez [http] [OPTION]... TARGET\n"
				    "       karez tcp [OPTION]... [TARGET] [MORE]...\n"
				    "\n"
				    "Publish local services\n"
				    "\n"
				    "Commands:\n"
				    "  http                      Publish a local web server\n"
				    "  tcp                       Publish a local port\n" GROUPS "\n"
				    "\"karez COMMAND --help\" tells the options of a command.\n";

static void check(const char *const *argv, const struct config_program *p, const char *want)
{
	struct str rest, line;
	struct sample_run r;
	int code;

	/* A wrong variable does not keep anybody from the help. */
	sample_start(&r, p, argv, (const char *[]){"KAREZ_SESSIONS=wrong", NULL});
	assert_string_equal(sample_output(&r, &code), want);
	assert_int_equal(code, 0);
	rest = str_of(r.text);
	while (str_next(&rest, '\n', &line))
		assert_true(line.len <= 80);
	sample_end(&r);
}

static void test_command(void **state)
{
	check((const char *[]){"http", "--help", NULL}, &sample_program, help_http);
	check((const char *[]){"8080", "-qh", NULL}, &sample_program, help_http);
}

static void test_overview(void **state)
{
	check((const char *[]){"--help", NULL}, &sample_program, help_overview);
	check((const char *[]){"-s", "http", "--help", NULL}, &sample_program, help_overview);
}

/* A command that has no use for what all the others take does not tell about it. */
static void test_without(void **state)
{
	static const struct config_command lonely[] = {
		{.name = "lonely", .summary = "Publish nothing", .without = "Server"},
		{.name = "other", .summary = "Publish something"},
	};
	static const struct {
		const char *command;
		bool has;
	} cases[] = {{"lonely", false}, {"other", true}, {NULL, true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct config_program p = sample_program;
		const char *argv[] = {"--help", cases[i].command, NULL};
		struct sample_run r;
		int code;

		p.commands = lonely;
		p.n_commands = ARRAY_LEN(lonely);
		p.fallback = NULL;
		sample_start(&r, &p, argv, NULL);
		sample_output(&r, &code);
		assert_int_equal(code, 0);
		assert_int_equal(strstr(r.text, "Server:") != NULL, cases[i].has);
		assert_non_null(strstr(r.text, "--help"));
		sample_end(&r);
	}
}

/* Without a fallback the overview has what every command takes, and no more. */
static void test_strict(void **state)
{
	struct config_program p = sample_strict();
	struct sample_run r;
	int code;

	sample_start(&r, &p, (const char *[]){"--help", NULL}, NULL);
	sample_output(&r, &code);
	assert_int_equal(code, 0);
	assert_memory_equal(r.text, "Usage: karez http [OPTION]... TARGET\n", 37);
	assert_null(strstr(r.text, "Tunnel:"));
	assert_non_null(strstr(r.text, "Server:"));
	sample_end(&r);
}

/* A program without commands: no word of commands anywhere. */
static void test_plain(void **state)
{
	static const char want[] =
		"Usage: karezd [OPTION]...\n\nServe the public side\n\nServer:\n";
	static const struct config_command only = {.summary = "Serve the public side"};
	struct config_program p = sample_program;
	struct sample_run r;
	int code;

	p.name = "karezd";
	p.commands = &only;
	p.n_commands = 1;
	p.fallback = NULL;
	p.files = NULL;
	sample_start(&r, &p, (const char *[]){"--help", NULL}, NULL);
	sample_output(&r, &code);
	assert_ptr_equal(strstr(r.text, want), r.text);
	assert_null(strstr(r.text, "ommand:"));
	assert_null(strstr(r.text, "COMMAND"));
	assert_null(strstr(r.text, "configuration file is"));
	sample_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command), cmocka_unit_test(test_overview),
		cmocka_unit_test(test_without), cmocka_unit_test(test_strict),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
