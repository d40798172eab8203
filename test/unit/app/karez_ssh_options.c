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
	{"several forwards", {"ssh", "-R", "1:a:1", "-R", "2:a:1,3", "host"}, NULL},
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
	char text[65 * 2 + 1] = "";
	const char *args[] = {"ssh", "-R", text, "host", NULL};
	struct karez_options set;
	struct config *c;

	for (size_t i = 0; i < 65; i++)
		memcpy(text + 2 * i, "1,", 2);
	text[64 * 2 - 1] = '\0';
	assert_int_equal(load(args, &set, &c), 0);
	assert_int_equal(set.forwards.n, 64);
	config_free(c);
	text[64 * 2 - 1] = ',';
	text[65 * 2 - 1] = '\0';
	assert_int_equal(load(args, &set, &c), ERR_INVAL);
	assert_non_null(strstr(config_message(c), "64 are the most"));
	config_free(c);
}

static const struct {
	const char *why, *args[ARGS_MAX];
	const char *want[4];
} joins[] = {
	{"nothing", {"ssh", "-R", "1", "h"}, {NULL}},
	{"one", {"ssh", "-R", "1", "h", "-oPort=22"}, {"Port=22"}},
	{"a value with commas",
	 {"ssh", "-R", "1", "h", "-o", "Ciphers=a@x,b,c", "-o", "Port 22"},
	 {"Ciphers=a@x,b,c", "Port 22"}},
	{"two in one word, as lists are written",
	 {"ssh", "-R", "1", "h", "-o", "Port=22,User=me"},
	 {"Port=22", "User=me"}},
	{"a value that was left out is no part of what is not there",
	 {"ssh", "-R", "1", "h", "-o", "a,b"},
	 {"a,b"}},
};

static void test_values_with_commas(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(joins); i++) {
		struct config_list out;
		struct karez_options set;
		struct config *c;
		size_t n = 0;

		print_message("# %s\n", joins[i].why);
		assert_int_equal(load(joins[i].args, &set, &c), 0);
		assert_int_equal(karez_ssh_options_join(&set.ssh_options, &out), 0);
		for (; joins[i].want[n] != NULL; n++) {
			assert_true(n < out.n);
			assert_string_equal(out.v[n], joins[i].want[n]);
		}
		assert_int_equal(out.n, n);
		karez_ssh_options_free(&out);
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_of_it),
		cmocka_unit_test(test_what_a_person_types),
		cmocka_unit_test(test_too_many_forwards),
		cmocka_unit_test(test_values_with_commas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
