/* The four sources together: which one counts, what is still checked, what the process does. */
#include "sample.h"

struct config_case {
	const char *why;
	const char *argv[6], *envp[4];
	const char *file;
	uint64_t want; /* sessions */
	enum config_source source;
};

static const struct config_case cases[] = {
	{"the default", {"1"}, {NULL}, "", 2, CONFIG_DEFAULT},
	{"the file before the default", {"1"}, {NULL}, "sessions: 3", 3, CONFIG_FILE},
	{"the environment before the file",
	 {"1"},
	 {"KAREZ_SESSIONS=4"},
	 "sessions: 3",
	 4,
	 CONFIG_ENV},
	{"the flag before all of them",
	 {"1", "-n5"},
	 {"KAREZ_SESSIONS=4"},
	 "sessions: 3",
	 5,
	 CONFIG_ARGV},
	{"the flag with the default's value", {"1", "-n2"}, {NULL}, "sessions: 3", 2, CONFIG_ARGV},
	{"an empty variable is none", {"1"}, {"KAREZ_SESSIONS="}, "sessions: 3", 3, CONFIG_FILE},
	{"a longer name is another", {"1"}, {"KAREZ_SESSIONSX=4"}, "", 2, CONFIG_DEFAULT},
	{"unknown variables are not ours", {"1"}, {"KAREZ_PORT=tcp://1"}, "", 2, CONFIG_DEFAULT},
};

static void test_precedence(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *path = sample_file(cases[i].file, strlen(cases[i].file)), var[64];
		const char *envp[6] = {var};
		struct sample_run r;

		str_printf(var, sizeof var, "KAREZ_CONFIG=%s", path);
		memcpy(envp + 1, cases[i].envp, sizeof cases[i].envp);
		sample_start(&r, &sample_program, cases[i].argv, envp);
		if (r.e != 0 || r.set.sessions != cases[i].want)
			fail_msg("%s: %s", cases[i].why, sample_text(&r));
		assert_int_equal(config_source(r.c, &r.set.sessions), cases[i].source);
		assert_int_equal(config_source(r.c, &r.set.wait), CONFIG_NOWHERE);
		assert_string_equal(config_file(r.c), path);
		sample_end(&r);
		unlink(path);
		free(path);
	}
}

static void test_defaults(void **state)
{
	struct sample_run r;

	sample_start(&r, &sample_program, (const char *[]){"1", NULL}, NULL);
	assert_int_equal(r.e, 0);
	assert_null(r.set.server);
	assert_string_equal(r.set.token, "anonymous");
	assert_int_equal(r.set.idle_ms, 60000);
	assert_int_equal(r.set.window, 1 << 20);
	assert_int_equal(r.set.level, 2);
	assert_true(r.set.reconnect);
	assert_false(r.set.quiet);
	assert_int_equal(r.set.label.n, 0);
	assert_null(r.set.label.v);
	assert_ptr_equal(config_command(r.c), &sample_commands[0]);
	sample_end(&r);
}

static const struct {
	const char *why;
	const char *argv[6], *envp[3];
	const char *file, *want;
} wrongs[] = {
	{"a wrong variable",
	 {"1"},
	 {"KAREZ_IDLE_TIMEOUT=never"},
	 "",
	 "KAREZ_IDLE_TIMEOUT: \"never\" is not a duration from 1s to 1d, such as 500ms, 15s, 10m, "
	 "2h "
	 "or 1d"},
	{"a variable that a flag overrides is still checked",
	 {"1", "-n2"},
	 {"KAREZ_SESSIONS=x"},
	 "",
	 "KAREZ_SESSIONS: \"x\" is not a number from 1 to 64"},
	{"a key that a variable overrides is still checked",
	 {"1"},
	 {"KAREZ_SESSIONS=4"},
	 "sessions: x",
	 "@:1:11: sessions: \"x\" is not a number from 1 to 64"},
	{"a refusal after all, by where it came from",
	 {"1", "-qv"},
	 {NULL},
	 "",
	 "karez: --quiet: contradicts --verbose: give one of them"},
	{"the same from the environment",
	 {"1", "-v"},
	 {"KAREZ_QUIET=on"},
	 "",
	 "KAREZ_QUIET: contradicts --verbose: give one of them"},
	{"the same from the file",
	 {"1", "-v"},
	 {NULL},
	 "\nquiet: true",
	 "@:2:8: quiet: contradicts --verbose: give one of them"},
};

static void test_wrong(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
		char *path = sample_file(wrongs[i].file, strlen(wrongs[i].file)), var[64];
		const char *envp[5] = {var}, *want = wrongs[i].want, *got;
		struct sample_run r;

		str_printf(var, sizeof var, "KAREZ_CONFIG=%s", path);
		memcpy(envp + 1, wrongs[i].envp, sizeof wrongs[i].envp);
		sample_start(&r, &sample_program, wrongs[i].argv, envp);
		assert_int_equal(r.e, ERR_INVAL);
		got = sample_text(&r);
		if (want[0] == '@') {
			assert_memory_equal(got, path, strlen(path));
			got += strlen(path);
			want++;
		}
		if (strcmp(got, want) != 0)
			fail_msg("%s:\n got %s\nwant %s", wrongs[i].why, got, want);
		sample_end(&r);
		unlink(path);
		free(path);
	}
}

static int refuse(struct str value, char *reason, size_t cap)
{
	str_printf(reason, cap, "is too easy to guess");
	return ERR_INVAL;
}

/* A secret is in no message, whoever refuses it. */
static void test_secret_is_not_told(void **state)
{
	static const struct config_option rows[] = {
		{.name = "token",
		 .type = CONFIG_SECRET,
		 .help = "Token",
		 .check = refuse,
		 .offset = offsetof(struct sample, token)},
	};
	static const struct config_table tables[] = {CONFIG_TABLE(rows)};
	static const struct config_command none = {.summary = "Nothing"};
	struct config_program p = {.name = "karezd",
				   .version = "1",
				   .summary = "Nothing",
				   .env_prefix = "KAREZ_",
				   .tables = tables,
				   .n_tables = 1,
				   .commands = &none,
				   .n_commands = 1};
	struct sample_run r;

	sample_start(&r, &p, NULL, (const char *[]){"KAREZ_TOKEN=hunter2", NULL});
	assert_string_equal(config_message(r.c), "KAREZ_TOKEN: the value is too easy to guess");
	sample_end(&r);
	sample_start(&r, &p, (const char *[]){"--token=hunter2", NULL}, NULL);
	assert_string_equal(config_message(r.c), "karezd: --token: the value is too easy to guess");
	sample_end(&r);
}

static void test_finish(void **state)
{
	static const struct {
		const char *why;
		const char *argv[4];
		const char *want;
		int code;
	} outs[] = {
		{"run", {"1"}, "", -1},
		{"the version", {"--version"}, "karez 0.1.0\n", 0},
		{"the version of a command", {"tcp", "-V"}, "karez 0.1.0\n", 0},
		{"a wrong option",
		 {"tcp", "--wiat"},
		 "karez: \"--wiat\" is no option; did you mean --wait?\n"
		 "Usage: karez tcp [OPTION]... [TARGET] [MORE]...\nTry \"karez tcp --help\".\n",
		 2},
		{"a wrong argument of the fallback",
		 {"abc"},
		 "karez: TARGET: \"abc\" is not a target: expected PORT or HOST:PORT\n"
		 "Usage: karez [http] [OPTION]... TARGET\nTry \"karez --help\".\n",
		 2},
		{"nothing at all",
		 {NULL},
		 "karez: TARGET: is missing: Local service to publish: PORT or HOST:PORT\n"
		 "Usage: karez [http] [OPTION]... TARGET\nTry \"karez --help\".\n",
		 2},
	};
	struct sample_run r;
	int code;

	for (size_t i = 0; i < ARRAY_LEN(outs); i++) {
		sample_start(&r, &sample_program, outs[i].argv, NULL);
		if (strcmp(sample_output(&r, &code), outs[i].want) != 0 || code != outs[i].code)
			fail_msg("%s: %d: %s", outs[i].why, code, r.text);
		sample_end(&r);
	}
	memset(&r, 0, sizeof r);
	assert_string_equal(sample_output(&r, &code), "out of memory\n");
	assert_int_equal(code, 1);
}

/* --show-config can be loaded again, and then shows the same values; the secret is masked. */
static void test_show(void **state)
{
	static const char *const envp[] = {"KAREZ_TOKEN=hunter2", "KAREZ_WINDOW=128K", NULL};
	static const char *const argv[] = {"-n4",	    "-l", "a,b\\\"c", "-sä b\x01", "8080",
					   "--show-config", NULL};
	static const char want[] = "# karez 0.1.0\n"
				   "# configuration file: none\n"
				   "# name: # not set\n"
				   "label: [\"a\", \"b\\\\\\\"c\"] # command line\n"
				   "# fixed: # not set\n"
				   "# map: # not set\n"
				   "server: \"ä b\\x01\" # command line\n"
				   "# token: (secret) # KAREZ_TOKEN\n"
				   "sessions: 4 # command line\n"
				   "reconnect: true # default\n"
				   "idle-timeout: 1m # default\n"
				   "window: 128K # KAREZ_WINDOW\n"
				   "log-level: \"info\" # default\n"
				   "# quiet: # not set\n"
				   "# verbose: # not set\n"
				   "# TARGET: \"8080\" # command line\n";
	struct sample_run r, again;
	char *path, *line;
	int code;

	sample_start(&r, &sample_program, argv, envp);
	assert_string_equal(sample_output(&r, &code), want);
	assert_int_equal(code, 0);

	path = sample_file(r.text, strlen(r.text));
	sample_start(&again, &sample_program, (const char *[]){"-c", path, "1", NULL}, NULL);
	assert_int_equal(again.e, 0);
	assert_string_equal(again.set.server, r.set.server);
	assert_int_equal(again.set.label.n, 2);
	assert_string_equal(again.set.label.v[1], r.set.label.v[1]);
	assert_int_equal(again.set.window, r.set.window);
	assert_int_equal(again.set.idle_ms, r.set.idle_ms);
	assert_int_equal(again.set.sessions, r.set.sessions);
	sample_end(&again);

	/* It shows lines of the file, and asks for no argument. */
	sample_start(&again, &sample_program, (const char *[]){"-c", path, "--show-config", NULL},
		     NULL);
	sample_output(&again, &code);
	assert_int_equal(code, 0);
	line = strstr(again.text, "\nsessions: ");
	assert_memory_equal(line, "\nsessions: 4 # line 9\n", 22);
	assert_null(strstr(again.text, "TARGET"));
	sample_end(&again);
	sample_end(&r);
	unlink(path);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_precedence), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_wrong),	   cmocka_unit_test(test_secret_is_not_told),
		cmocka_unit_test(test_finish),	   cmocka_unit_test(test_show),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
