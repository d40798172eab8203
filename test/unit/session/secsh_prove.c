/* An agent proves who it is, and has the host prove who that is, against a server with a script. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "secsh_world.h"

/* ---- logins ---- */

static void test_logins(void **state)
{
	static const struct {
		const char *why;
		int methods;
		bool good_key, both, other_key;
		const char *passphrase; /* of the key file; NULL: no file */
		const char *password, *answer, *answers[5], *option;
		int want;	     /* 0: let in, and then the server goes */
		const char *prompts; /* all of them */
		const char *reason;  /* a part of it */
	} cases[] = {
		{"whoever it is", .methods = 0, .want = 0, .prompts = ""},
		{"a key", SSH_AUTH_METHOD_PUBLICKEY, .good_key = true, .passphrase = "", .want = 0,
		 .prompts = ""},
		{"a key with a passphrase", SSH_AUTH_METHOD_PUBLICKEY, .good_key = true,
		 .passphrase = "open", .answers = {"open"}, .want = 0,
		 .prompts = "*Enter passphrase for key '~/.ssh/id_ed25519': \n"},
		{"a passphrase at the third attempt", SSH_AUTH_METHOD_PUBLICKEY, .good_key = true,
		 .passphrase = "open", .answers = {"a", "b", "open"}, .want = 0,
		 .prompts = "*Enter passphrase for key '~/.ssh/id_ed25519': \n"
			    "*Enter passphrase for key '~/.ssh/id_ed25519': \n"
			    "*Enter passphrase for key '~/.ssh/id_ed25519': \n"},
		{"no passphrase, but a password",
		 SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_PASSWORD, .good_key = true,
		 .passphrase = "open", .password = "word", .answers = {"", "word"}, .want = 0,
		 .prompts = "*Enter passphrase for key '~/.ssh/id_ed25519': \n"
			    "*me@h's password: \n"},
		{"a passphrase is not asked for a key that is not wanted",
		 SSH_AUTH_METHOD_PUBLICKEY, .good_key = false, .passphrase = "open",
		 .answers = {"open"}, .want = ERR_AUTH, .prompts = "",
		 .reason = "me@h: Permission denied (publickey); tried: "},
		{"nothing to show", SSH_AUTH_METHOD_PUBLICKEY, .want = ERR_AUTH, .prompts = "",
		 .reason = "me@h: Permission denied (publickey); tried: nothing"},
		{"a password", SSH_AUTH_METHOD_PASSWORD, .password = "word", .answers = {"word"},
		 .want = 0, .prompts = "*me@h's password: \n"},
		{"a password three times wrong", SSH_AUTH_METHOD_PASSWORD, .password = "word",
		 .answers = {"a", "b", "c", "word"}, .want = ERR_AUTH,
		 .prompts = "*me@h's password: \n*me@h's password: \n*me@h's password: \n",
		 .reason = "(password); tried: a password"},
		{"only once", SSH_AUTH_METHOD_PASSWORD, .password = "word",
		 .answers = {"a", "word"}, .option = "NumberOfPasswordPrompts=1", .want = ERR_AUTH,
		 .prompts = "*me@h's password: \n", .reason = "tried: a password"},
		{"a key is opened that needs no passphrase, though none may be asked for",
		 SSH_AUTH_METHOD_PUBLICKEY, .good_key = true, .passphrase = "",
		 .option = "NumberOfPasswordPrompts=0", .want = 0, .prompts = ""},
		{"one that needs one is not", SSH_AUTH_METHOD_PUBLICKEY, .good_key = true,
		 .passphrase = "open", .answers = {"open"}, .option = "NumberOfPasswordPrompts=0",
		 .want = ERR_AUTH, .prompts = "", .reason = "(publickey); tried: "},
		{"nobody types a password", SSH_AUTH_METHOD_PASSWORD, .password = "word",
		 .want = ERR_AUTH, .prompts = "*me@h's password: \n",
		 .reason = "(password); tried: nothing"},
		{"nobody is asked in a batch", SSH_AUTH_METHOD_PASSWORD, .password = "word",
		 .answers = {"word"}, .option = "BatchMode=yes", .want = ERR_AUTH, .prompts = "",
		 .reason = "tried: nothing"},
		{"a password is not wanted by us", SSH_AUTH_METHOD_PASSWORD, .password = "word",
		 .answers = {"word"}, .option = "PasswordAuthentication=no", .want = ERR_AUTH,
		 .prompts = "", .reason = "tried: nothing"},
		{"a question", SSH_AUTH_METHOD_INTERACTIVE, .answer = "42", .answers = {"42"},
		 .want = 0, .prompts = "*(me@h) Code: \n"},
		{"a question at the second attempt", SSH_AUTH_METHOD_INTERACTIVE, .answer = "42",
		 .answers = {"41", "42"}, .want = 0, .prompts = "*(me@h) Code: \n*(me@h) Code: \n"},
		{"a question, then a password",
		 SSH_AUTH_METHOD_INTERACTIVE | SSH_AUTH_METHOD_PASSWORD, .password = "word",
		 .answers = {"1", "2", "3", "word"}, .want = 0,
		 .prompts = "*(me@h) Code: \n*(me@h) Code: \n*(me@h) Code: \n"
			    "*me@h's password: \n"},
		{"a key and a password", SSH_AUTH_METHOD_PUBLICKEY | SSH_AUTH_METHOD_PASSWORD,
		 .good_key = true, .both = true, .passphrase = "", .password = "word",
		 .answers = {"word"}, .want = 0, .prompts = "*me@h's password: \n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct secsh_server s = {.host_key = secsh_world_host_key,
					 .methods = cases[i].methods,
					 .user_key = cases[i].good_key ? secsh_world_user_key
								       : secsh_world_host_key,
					 .password = cases[i].password,
					 .answer = cases[i].answer,
					 .both = cases[i].both};
		struct secsh_world w = {0};
		char prompts[2048] = "", key[256];

		snprintf(key, sizeof key, "%s/.ssh/id_ed25519", secsh_home_path());
		(void)unlink(key);
		if (cases[i].passphrase != NULL)
			secsh_world_write_key(".ssh/id_ed25519", cases[i].passphrase[0] != '\0'
									 ? cases[i].passphrase
									 : NULL);
		for (const char *p = cases[i].prompts; *p != '\0'; p++) {
			size_t len = strlen(prompts);

			if (*p == '~')
				snprintf(prompts + len, sizeof prompts - len, "%s",
					 secsh_home_path());
			else
				snprintf(prompts + len, sizeof prompts - len, "%c", *p);
		}
		memcpy(w.answers, cases[i].answers, sizeof cases[i].answers);
		secsh_world_open(&w, "StrictHostKeyChecking=no", cases[i].option, NULL);
		secsh_world_run(&w, &s, NULL, 0);
		if ((cases[i].want != 0 && w.why != cases[i].want) ||
		    strcmp(w.prompts, prompts) != 0 || w.n_up != (cases[i].want == 0) ||
		    (cases[i].reason != NULL && strstr(w.reason, cases[i].reason) == NULL))
			fail_msg("%s: %s (%s) up %d, asked: %s", cases[i].why, err_name(w.why),
				 w.reason, w.n_up, w.prompts);
		assert_string_equal("me", s.user);
		secsh_world_end(&w);
	}
}

/* What was typed once is not asked for when the connection is made anew. */
static void test_answers_are_kept(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .methods = SSH_AUTH_METHOD_PUBLICKEY,
				 .user_key = secsh_world_user_key};
	struct secsh_world w = {.answers = {"open"}};

	secsh_world_write_key(".ssh/id_ed25519", "open");
	secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_up);
	assert_int_equal(1, w.n_asked);
	w.said[0] = '\0';
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_up);
	assert_int_equal(0, w.n_asked);
	assert_string_equal("", w.said);

	/* a password is tried once more; if it has changed, it is asked for */
	s.methods = SSH_AUTH_METHOD_PASSWORD;
	s.password = "word";
	w.answers[0] = "word";
	w.answers[1] = "new";
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_asked);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_up);
	assert_int_equal(0, w.n_asked);
	s.password = "new";
	w.answers[0] = "new";
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_up);
	assert_int_equal(1, w.n_asked);
	assert_int_equal(1, s.n_refused);
	secsh_world_end(&w);
}

static void test_a_key_that_others_can_read(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key,
				 .methods = SSH_AUTH_METHOD_PUBLICKEY,
				 .user_key = secsh_world_user_key};
	struct secsh_world w = {0};
	char path[256], option[300];

	snprintf(path, sizeof path, "%s/mine", secsh_home_path());
	snprintf(option, sizeof option, "IdentityFile=%s", path);
	secsh_world_write_key("mine", NULL);
	assert_int_equal(0, chmod(path, 0644));
	secsh_world_open(&w, "StrictHostKeyChecking=no", option, "IdentityFile=~/nowhere", NULL);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(ERR_AUTH, w.why);
	assert_non_null(strstr(w.said, "Permissions 0644 for '"));
	assert_non_null(strstr(w.said, "/nowhere not accessible: No such file or directory."));
	assert_int_equal(0, s.n_offered);
	assert_int_equal(0, chmod(path, 0600));
	secsh_world_end(&w);
}

/* A server that has had enough says so, and there is no use in coming back. One that stops says
 * something, too. */
static void test_a_goodbye_in_the_middle(void **state)
{
	static const struct {
		const char *why, *goodbye;
		int want;
	} cases[] = {
		{"enough", "too many attempts", ERR_AUTH},
		{"enough, as sshd and karezd say it", "Too many authentication failures", ERR_AUTH},
		{"it stops", "this server is going away", ERR_CLOSED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct secsh_server s = {.host_key = secsh_world_host_key,
					 .methods = SSH_AUTH_METHOD_PASSWORD,
					 .password = "word",
					 .tries_max = 2,
					 .goodbye = cases[i].goodbye};
		struct secsh_world w = {.answers = {"a", "b", "c"}};

		secsh_world_open(&w, "StrictHostKeyChecking=no", NULL);
		secsh_world_run(&w, &s, NULL, 0);
		if (w.why != cases[i].want || strstr(w.reason, cases[i].goodbye) == NULL)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(w.why), w.reason);
		secsh_world_end(&w);
	}
}

/* ---- the host's key ---- */

static void test_host_keys(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key};
	struct secsh_world w = {.answers = {"no", "yes"}};

	secsh_home_write(".ssh/known_hosts", "");
	secsh_world_open(&w, NULL);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(ERR_CERT, w.why);
	assert_string_equal("Host key verification failed.", w.reason);
	assert_int_equal(0, w.n_up);
	assert_string_equal("", s.user); /* it has not learned who we are */

	w.answers[0] = "yes";
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_up);
	assert_int_equal(1, w.n_asked);
	assert_non_null(strstr(w.said, "Permanently added 'h' (ED25519)"));
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_up);
	assert_int_equal(0, w.n_asked);

	s.host_key = secsh_world_other_host_key;
	s.user[0] = '\0';
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(ERR_CERT, w.why);
	assert_non_null(strstr(w.said, "REMOTE HOST IDENTIFICATION HAS CHANGED!"));
	assert_string_equal("Host key for h has changed. Host key verification failed.", w.reason);
	assert_int_equal(0, w.n_asked);
	assert_string_equal("", s.user);
	secsh_world_end(&w);
	secsh_home_write(".ssh/known_hosts", "");
}

/* What was accepted and could not be written down is still known to this process. */
static void test_a_host_nobody_writes_down(void **state)
{
	struct secsh_server s = {.host_key = secsh_world_host_key};
	struct secsh_world w = {.answers = {"yes"}};

	secsh_world_open(&w, "UserKnownHostsFile=none", NULL);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(1, w.n_asked);
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(0, w.n_asked);
	assert_int_equal(1, w.n_up);
	s.host_key = secsh_world_other_host_key;
	secsh_world_run(&w, &s, NULL, 0);
	assert_int_equal(ERR_CERT, w.why);
	assert_int_equal(0, w.n_asked);
	secsh_world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_answers_are_kept),
		cmocka_unit_test(test_a_key_that_others_can_read),
		cmocka_unit_test(test_a_goodbye_in_the_middle),
		cmocka_unit_test(test_host_keys),
		cmocka_unit_test(test_a_host_nobody_writes_down),
	};

	return cmocka_run_group_tests(tests, secsh_world_setup, secsh_world_teardown);
}
