/* ssh_config(5) as we read it: what counts for which host, and what is told about the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "secsh_home.h"
#include "session/secsh_config.h"

/* What was said to the person, line by line. */
static char said[4096];

static void on_say(void *arg, const char *text)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof said - len, "%s\n", text);
}

static const struct secsh_agent_asks asks = {.say = on_say};

/* Reads as `karez ssh -o option... host` would, with this ~/.ssh/config. */
static int read_config(struct secsh_config *c, const char *file, const char *host,
		       const char *const *options, char why[SECSH_WHY_TEXT])
{
	char path[300];
	struct secsh_agent_where where = {.host = host, .options = options};

	secsh_home_write(".ssh/config", file);
	snprintf(path, sizeof path, "%s/.ssh/config", secsh_home_path());
	where.config = path; /* not the machine's own beside it */
	while (options != NULL && options[where.n_options] != NULL)
		where.n_options++;
	said[0] = why[0] = '\0';
	*c = (struct secsh_config){0};
	return secsh_config_read(c, &where, &asks, why);
}

static void test_which_value_counts(void **state)
{
	static const struct {
		const char *why, *file, *host, *option;
		enum secsh_option o;
		const char *want; /* NULL: nobody said */
	} cases[] = {
		{"said for all", "Port 2222\n", "a", NULL, SECSH_O_PORT, "2222"},
		{"said with '='", "port = 2222\n", "a", NULL, SECSH_O_PORT, "2222"},
		{"said with '=' alone", "PORT=2222\n", "a", NULL, SECSH_O_PORT, "2222"},
		{"in quotes", "User \"my name\"\n", "a", NULL, SECSH_O_USER, "my name"},
		{"with a comment", "User me # and only me\n", "a", NULL, SECSH_O_USER, "me"},
		{"a commented line", "# User me\n\n   \n", "a", NULL, SECSH_O_USER, NULL},
		{"the last line without LF", "User me", "a", NULL, SECSH_O_USER, "me"},
		{"a file of another system", "User me\r\n", "a", NULL, SECSH_O_USER, "me"},
		{"the first one counts", "User me\nUser you\n", "a", NULL, SECSH_O_USER, "me"},
		{"the command line comes first", "User me\n", "a", "User=you", SECSH_O_USER, "you"},
		{"as -o with a space", "User me\n", "a", "User you", SECSH_O_USER, "you"},
		{"for this host", "Host a\n User me\n", "a", NULL, SECSH_O_USER, "me"},
		{"for another host", "Host b\n User me\n", "a", NULL, SECSH_O_USER, NULL},
		{"one of several", "Host c b a\nUser me\n", "a", NULL, SECSH_O_USER, "me"},
		{"stars", "Host *.ex?mple.org\nUser me\n", "x.example.org", NULL, SECSH_O_USER,
		 "me"},
		{"whatever its case", "Host Ab\nUser me\n", "aB", NULL, SECSH_O_USER, "me"},
		{"but not this one", "Host * !a\nUser me\n", "a", NULL, SECSH_O_USER, NULL},
		{"but not this one, first", "Host !a *\nUser me\n", "a", NULL, SECSH_O_USER, NULL},
		{"only \"but not\"", "Host !b\nUser me\n", "a", NULL, SECSH_O_USER, NULL},
		{"after HostName the host is still the typed one",
		 "Host a\nHostName b\nHost a\nUser me\n", "a", NULL, SECSH_O_USER, "me"},
		{"and not the new one", "Host a\nHostName b\nHost b\nUser me\n", "a", NULL,
		 SECSH_O_USER, NULL},
		{"Match all", "Host b\nMatch all\nUser me\n", "a", NULL, SECSH_O_USER, "me"},
		{"Match host is about the new one", "HostName b\nMatch host x,b\nUser me\n", "a",
		 NULL, SECSH_O_USER, "me"},
		{"Match originalhost", "HostName b\nMatch originalhost a\nUser me\n", "a", NULL,
		 SECSH_O_USER, "me"},
		{"Match !host", "Match !host a\nUser me\n", "a", NULL, SECSH_O_USER, NULL},
		{"Match user", "User me\nMatch user m*\nPort 1\n", "a", NULL, SECSH_O_PORT, "1"},
		{"two conditions, one does not hold", "Match host a user x\nPort 1\n", "a",
		 "User=y", SECSH_O_PORT, NULL},
		{"Match final is never", "Match final all\nPort 1\n", "a", NULL, SECSH_O_PORT,
		 NULL},
		{"a command stays as it is", "ProxyCommand nc  \"%h\" %p # x\n", "a", NULL,
		 SECSH_O_PROXY_COMMAND, "nc  \"%h\" %p # x"},
		{"several files", "UserKnownHostsFile a b\n", "a", NULL, SECSH_O_KNOWN_HOSTS,
		 "a b"},
		{"an old name", "PubkeyAcceptedKeyTypes ssh-rsa\n", "a", NULL, SECSH_O_PUBKEYS,
		 "ssh-rsa"},
		{"what nobody knows", "UseKeychain yes\nUser me\n", "a", NULL, SECSH_O_USER, "me"},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[] = {cases[i].option, NULL};
		struct secsh_config c;
		int e = read_config(&c, cases[i].file, cases[i].host, options, why);
		const char *got = c.values[cases[i].o];

		if (e != 0)
			fail_msg("%s: %s", cases[i].why, why);
		if ((got == NULL) != (cases[i].want == NULL) ||
		    (got != NULL && strcmp(got, cases[i].want) != 0))
			fail_msg("%s: got %s", cases[i].why, got == NULL ? "nothing" : got);
		secsh_config_free(&c);
	}
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *why, *file, *option, *want; /* a part of the message */
	} cases[] = {
		{"no port", "Port x\n", NULL, "line 1: Port: wants 1-65535"},
		{"port 0", "\nPort 0\n", NULL, "line 2: Port"},
		{"no yes or no", "BatchMode maybe\n", NULL, "BatchMode: wants yes or no"},
		{"no value", "User\n", NULL, "User: wants a value"},
		{"two values", "User a b\n", NULL, "User: wants one value"},
		{"a strange way to check", "StrictHostKeyChecking perhaps\n", NULL, "accept-new"},
		{"a strange time", "ConnectTimeout soon\n", NULL, "wants a time"},
		{"an option nobody knows, typed", "", "Nonsense=1",
		 "-o Nonsense: there is no such"},
		{"an option that has no effect here, typed", "", "LocalForward=1 a:1",
		 "-o LocalForward: is not done here"},
		{"revoked keys would be passed over", "RevokedHostKeys /x\n", NULL,
		 "RevokedHostKeys: is not done"},
		{"an empty Match", "Match\n", NULL, "Match: wants a condition"},
		{"a strange Match", "Match moon full\n", NULL, "moon: is no condition"},
		{"a file that includes itself", "Include config\n", NULL, "include each other"},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[] = {cases[i].option, NULL};
		struct secsh_config c;
		int e = read_config(&c, cases[i].file, "a", options, why);

		if (e != ERR_INVAL || strstr(why, cases[i].want) == NULL)
			fail_msg("%s: %d %s", cases[i].why, e, why);
		secsh_config_free(&c);
	}
}

static void test_what_has_no_effect_is_told(void **state)
{
	char why[SECSH_WHY_TEXT];
	struct secsh_config c;

	assert_int_equal(0, read_config(&c,
					"Host b\nLocalForward 1 a:1\nHost a\nRemoteForward 1 a:1\n"
					"ForwardX11 yes\nMatch exec true\nPort 1\n",
					"a", NULL, why));
	assert_non_null(strstr(said, "line 4: RemoteForward is not done here"));
	assert_non_null(strstr(said, "line 6: \"Match exec\" is not done here"));
	assert_null(strstr(said, "LocalForward"));
	assert_null(strstr(said, "X11"));
	assert_null(c.values[SECSH_O_PORT]);
	secsh_config_free(&c);
}

static void test_files_add_up(void **state)
{
	static const char *const typed[] = {"typed"};
	struct secsh_agent_where where = {.host = "a", .identities = typed, .n_identities = 1};
	char path[300], why[SECSH_WHY_TEXT];
	struct secsh_config c = {0};

	secsh_home_write(".ssh/config", "IdentityFile one\nHost a\nIdentityFile two\n");
	snprintf(path, sizeof path, "%s/.ssh/config", secsh_home_path());
	where.config = path;
	assert_int_equal(0, secsh_config_read(&c, &where, &asks, why));
	assert_int_equal(3, c.n_files);
	assert_string_equal("typed", c.files[0]);
	assert_string_equal("one", c.files[1]);
	assert_string_equal("two", c.files[2]);
	secsh_config_free(&c);
}

static void test_include(void **state)
{
	char why[SECSH_WHY_TEXT];
	struct secsh_config c;

	secsh_home_write(".ssh/more1", "Host b\nPort 1\n");
	secsh_home_write(".ssh/more2", "Host a\nUser me\n");
	/* the Host of an included file ends with it */
	assert_int_equal(0, read_config(&c, "Include more?\nHostKeyAlias x\n", "a", NULL, why));
	assert_string_equal("me", c.values[SECSH_O_USER]);
	assert_string_equal("x", c.values[SECSH_O_HOST_KEY_ALIAS]);
	assert_null(c.values[SECSH_O_PORT]);
	secsh_config_free(&c);
	assert_int_equal(0, read_config(&c, "Host b\nInclude ~/.ssh/more2\n", "a", NULL, why));
	assert_null(c.values[SECSH_O_USER]);
	secsh_config_free(&c);
}

static void test_a_file_others_may_write(void **state)
{
	struct secsh_agent_where where = {.host = "a"};
	char path[300], why[SECSH_WHY_TEXT];
	struct secsh_config c = {0};

	secsh_home_write(".ssh/config", "User me\n");
	snprintf(path, sizeof path, "%s/.ssh/config", secsh_home_path());
	assert_int_equal(0, chmod(path, 0666));
	assert_int_equal(ERR_INVAL, secsh_config_read(&c, &where, &asks, why));
	assert_non_null(strstr(why, "others may write it"));
	secsh_config_free(&c);
	assert_int_equal(0, unlink(path));
	where.config = path;
	assert_int_equal(ERR_IO, secsh_config_read(&c, &where, &asks, why));
	assert_non_null(strstr(why, ".ssh/config: No such file"));
	secsh_config_free(&c);
	where.config = "none";
	assert_int_equal(0, secsh_config_read(&c, &where, &asks, why));
	secsh_config_free(&c);
}

static void test_typed_values(void **state)
{
	static const char *const options[] = {"BatchMode=yes", "ConnectTimeout=2m",
					      "NumberOfPasswordPrompts=1", NULL};
	char why[SECSH_WHY_TEXT];
	struct secsh_config c;

	assert_int_equal(0, read_config(&c, "PasswordAuthentication no\n", "a", options, why));
	assert_true(secsh_config_yes(&c, SECSH_O_BATCH, false));
	assert_false(secsh_config_yes(&c, SECSH_O_BY_PASSWORD, true));
	assert_true(secsh_config_yes(&c, SECSH_O_BY_KEY, true));
	assert_int_equal(120, secsh_config_number(&c, SECSH_O_CONNECT_TIMEOUT, 0));
	assert_int_equal(1, secsh_config_number(&c, SECSH_O_PROMPTS, 3));
	assert_int_equal(22, secsh_config_number(&c, SECSH_O_PORT, 22));
	secsh_config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_value_counts),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_what_has_no_effect_is_told),
		cmocka_unit_test(test_files_add_up),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_a_file_others_may_write),
		cmocka_unit_test(test_typed_values),
	};

	return cmocka_run_group_tests(tests, secsh_home_setup, secsh_home_teardown);
}
