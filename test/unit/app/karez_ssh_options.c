/* What a person types behind `karez ssh`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/karez_ssh_options.h"
#include "base/err.h"

#define ARGS_MAX 12

static int load(const char *const *args, struct karez_options *set, struct config **out)
{
	struct config_input in = {0};
	char *argv[ARGS_MAX + 1];

	memset(set, 0, sizeof *set);
	argv[in.argc++] = (char[]){"karez"};
	while (args[in.argc - 1] != NULL && in.argc < ARGS_MAX) {
		assert_non_null(argv[in.argc] = strdup(args[in.argc - 1]));
		in.argc++;
	}
	in.argv = argv;
	int e = config_load(&karez_program, &in, set, out);
	while (in.argc > 1)
		free(argv[--in.argc]);
	return e;
}

static void test_all_of_it(void **state)
{
	static const char *const args[] = {"ssh",    "-NR",	"8080:localhost:80",
					   "-p2222", "-i",	"a",
					   "-i",     "b",	"-F",
					   "none",   "me@host", NULL};
	struct karez_options set;
	struct config *c;

	assert_int_equal(load(args, &set, &c), 0);
	assert_int_equal(karez_options_command(c), KAREZ_SSH);
	assert_int_equal(set.forwards.n, 1);
	assert_string_equal(set.forwards.v[0], "8080:localhost:80");
	assert_int_equal(set.port, 2222);
	assert_int_equal(set.identities.n, 2);
	assert_string_equal(set.identities.v[1], "b");
	assert_string_equal(set.ssh_config, "none");
	assert_string_equal(set.target, "me@host");
	assert_true(set.forward_only);
	config_free(c);
}

static const struct {
	const char *why, *args[ARGS_MAX];
	const char *message; /* part of it; NULL: accepted */
} cases[] = {
	{"options behind the server", {"ssh", "host", "-R", "0:a:1", "-qN"}, NULL},
	{"several forwards", {"ssh", "-R", "1:a:1", "-R", "2:a:1", "-R3", "host"}, NULL},
	{"several in one", {"ssh", "-R", "1,2", "host"}, "is not a remote forward"},
	{"a user with an @", {"ssh", "-R", "1", "me@work@host"}, NULL},
	{"an address", {"ssh", "-R", "1", "me@::1"}, NULL},
	{"nothing to forward", {"ssh", "host"}, "--remote-forward: is missing: say -R "},
	{"no server", {"ssh", "-R", "1:a:1"}, "[USER@]HOST: is missing"},
	{"a server without a name", {"ssh", "-R", "1", "me@"}, "\"me@\" is not a server"},
	{"a user without a name", {"ssh", "-R", "1", "@host"}, "\"@host\" is not a server"},
	{"a URL", {"ssh", "-R", "1", "ssh://host"}, "expected [USER@]HOST"},
	{"what looks like an option",
	 {"ssh", "-R", "1", "--", "-oProxyCommand=x"},
	 "is not a server"},
	{"what looks like an option behind a user",
	 {"ssh", "-R", "1", "me@-oProxyCommand=x"},
	 "is not a server"},
	{"a command", {"ssh", "-R", "1", "host", "ls"}, "\"ls\" is one argument too many"},
	{"a wrong part of a forward",
	 {"ssh", "-R", "8080:localhost", "host"},
	 "--remote-forward: \"8080:localhost\" is not a remote forward: the port of the target is "
	 "missing"},
	{"a socket of the server",
	 {"ssh", "-R", "/run/x:a:1", "host"},
	 "a socket on the server's side cannot be asked for"},
	{"port 0 of the server", {"ssh", "-p", "0", "-R", "1", "host"}, "--port: \"0\""},
	{"a server of another kind",
	 {"ssh", "-R", "1", "host", "-s", "https://t.example"},
	 "--server: is not for karez ssh"},
	{"a key of another kind",
	 {"ssh", "-R", "1", "host", "--cert", "c", "--key", "k"},
	 "--cert: is not for karez ssh"},
	{"quiet and verbose", {"ssh", "-qv", "-R", "1", "host"}, "contradicts --verbose"},
};

static void test_what_a_person_types(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct karez_options set;
		struct config *c;
		int e = load(cases[i].args, &set, &c);

		print_message("# %s\n", cases[i].why);
		assert_int_equal(e, cases[i].message == NULL ? 0 : ERR_INVAL);
		if (cases[i].message != NULL && strstr(config_message(c), cases[i].message) == NULL)
			fail_msg("%s", config_message(c));
		config_free(c);
	}
}

static void test_too_many_forwards(void **state)
{
	char *argv[2 + 65 + 1] = {(char[]){"karez"}, (char[]){"ssh"}}, host[] = "host",
			    spec[] = "-R1";
	struct karez_options set = {0};
	struct config_input in = {.argv = argv};
	struct config *c;

	for (size_t i = 0; i < 65; i++)
		argv[2 + i] = spec;
	argv[2 + 64] = host;
	in.argc = 2 + 65;
	assert_int_equal(config_load(&karez_program, &in, &set, &c), 0);
	assert_int_equal(set.forwards.n, 64);
	config_free(c);
	argv[2 + 64] = spec;
	argv[2 + 65] = host;
	in.argc++;
	set = (struct karez_options){0};
	assert_int_equal(config_load(&karez_program, &in, &set, &c), ERR_INVAL);
	assert_non_null(strstr(config_message(c), "64 are the most"));
	config_free(c);
}

/* They stand in lists of algorithms, in commands, and in names of files. */
static void test_commas_split_nothing(void **state)
{
	static const char *const args[] = {"ssh",    "-R",
					   "1:/a,b", "-i",
					   "c,d",    "-oCiphers=a@x,b,c",
					   "-o",     "ProxyCommand=sh -c 'echo a,b c'",
					   "h",	     NULL};
	struct karez_options set;
	struct config *c;

	assert_int_equal(load(args, &set, &c), 0);
	assert_int_equal(set.forwards.n, 1);
	assert_string_equal(set.forwards.v[0], "1:/a,b");
	assert_int_equal(set.identities.n, 1);
	assert_string_equal(set.identities.v[0], "c,d");
	assert_int_equal(set.ssh_options.n, 2);
	assert_string_equal(set.ssh_options.v[0], "Ciphers=a@x,b,c");
	assert_string_equal(set.ssh_options.v[1], "ProxyCommand=sh -c 'echo a,b c'");
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_what_a_person_types),
		cmocka_unit_test(test_too_many_forwards),
		cmocka_unit_test(test_commas_split_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
