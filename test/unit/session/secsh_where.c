/* Where an agent goes and as whom: tokens, files, proxies, and what libssh makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "secsh_home.h"
#include "session/secsh_where.h"

static void on_say(void *arg, const char *text)
{
}

/* Nobody's own files. */
static int find(struct secsh_where *w, const char *file, struct secsh_agent_where where,
		char why[SECSH_WHY_TEXT])
{
	struct secsh_agent_opt opt = {.where = where, .asks = {.say = on_say}};
	char path[300];

	secsh_home_write(".ssh/config", file);
	snprintf(path, sizeof path, "%s/.ssh/config", secsh_home_path());
	opt.where.config = path;
	*w = (struct secsh_where){0};
	why[0] = '\0';
	return secsh_where_find(w, &opt, why);
}

/* In a wanted text '$' is the home directory. */
static void assert_path(const char *want, const char *got)
{
	char text[600];

	if (want[0] == '$')
		snprintf(text, sizeof text, "%s%s", secsh_home_path(), want + 1);
	else
		snprintf(text, sizeof text, "%s", want);
	assert_non_null(got);
	assert_string_equal(text, got);
}

static void test_host_user_port(void **state)
{
	static const struct {
		const char *why, *file;
		struct secsh_agent_where where;
		const char *host, *user;
		uint16_t port;
	} cases[] = {
		{"as typed", "", {.host = "Ex.org", .user = "me", .port = 3}, "ex.org", "me", 3},
		{"by a nickname",
		 "Host x\nHostName %h.org\nUser you\nPort 7\n",
		 {.host = "x"},
		 "x.org",
		 "you",
		 7},
		{"what is typed comes first",
		 "User you\nPort 7\n",
		 {.host = "x", .user = "me", .port = 3},
		 "x",
		 "me",
		 3},
		{"nothing said", "", {.host = "x", .user = "me"}, "x", "me", 22},
		{"an IPv6 address", "", {.host = "::1", .user = "me"}, "::1", "me", 22},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct secsh_where w;
		int e = find(&w, cases[i].file, cases[i].where, why);

		if (e != 0 || strcmp(w.host, cases[i].host) != 0 ||
		    strcmp(w.user, cases[i].user) != 0 || w.port != cases[i].port)
			fail_msg("%s: %d %s", cases[i].why, e, why);
		secsh_where_free(&w);
	}
}

static void test_files(void **state)
{
	struct secsh_agent_where where = {.host = "x", .user = "me"};
	char why[SECSH_WHY_TEXT];
	struct secsh_where w;

	assert_int_equal(0, find(&w, "", where, why));
	assert_int_equal(0, w.n_keys); /* there are none */
	assert_int_equal(2, w.n_known_ours);
	assert_int_equal(4, w.n_known);
	assert_path("$/.ssh/known_hosts", w.known[0]);
	assert_string_equal("/etc/ssh/ssh_known_hosts", w.known[2]);
	secsh_where_free(&w);

	secsh_home_write(".ssh/id_ecdsa", "");
	secsh_home_write(".ssh/id_ed25519", "");
	assert_int_equal(0, find(&w, "UserKnownHostsFile none\n", where, why));
	assert_int_equal(2, w.n_keys);
	assert_path("$/.ssh/id_ed25519", w.keys[0]);
	assert_path("$/.ssh/id_ecdsa", w.keys[1]);
	assert_int_equal(0, w.n_known_ours);
	secsh_where_free(&w);

	assert_int_equal(0, find(&w,
				 "IdentityFile ~/%r@%h:%p.%%\nIdentityFile none\n"
				 "IdentityFile %d/k\nUserKnownHostsFile /a \"~/b c\"\n"
				 "GlobalKnownHostsFile none\n",
				 where, why));
	assert_int_equal(2, w.n_keys);
	assert_path("$/me@x:22.%", w.keys[0]);
	assert_path("$/k", w.keys[1]);
	assert_int_equal(2, w.n_known);
	assert_string_equal("/a", w.known[0]);
	assert_path("$/b c", w.known[1]);
	secsh_where_free(&w);
}

static void test_proxies(void **state)
{
	static const struct {
		const char *why, *option, *want; /* NULL: none */
	} cases[] = {
		{"no proxy", "Port=9", NULL},
		{"a jump", "ProxyJump=j", "ssh -W '[x]:22' j"},
		{"a jump as somebody, elsewhere", "ProxyJump=you@j.org:2222",
		 "ssh -W '[x]:22' -l you -p 2222 j.org"},
		{"a jump as ssh://", "ProxyJump=ssh://j:9", "ssh -W '[x]:22' -p 9 j"},
		{"a jump to an IPv6 address", "ProxyJump=[::1]:9", "ssh -W '[x]:22' -p 9 ::1"},
		{"two jumps", "ProxyJump=i,you@j", "ssh -J 'i' -W '[x]:22' -l you j"},
		{"three jumps", "ProxyJump=h:1,i,j", "ssh -J 'h:1,i' -W '[x]:22' j"},
		{"a jump that is none", "ProxyJump=none", NULL},
		{"a command", "ProxyCommand=nc %h %p # 100%%", "nc x 22 # 100%"},
		{"a command that is none", "ProxyCommand=none", NULL},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[] = {cases[i].option};
		struct secsh_agent_where where = {
			.host = "x", .user = "me", .port = 22, .options = options, .n_options = 1};
		struct secsh_where w;
		int e = find(&w, "", where, why);

		if (e != 0 || (w.proxy == NULL) != (cases[i].want == NULL) ||
		    (w.proxy != NULL && strcmp(w.proxy, cases[i].want) != 0))
			fail_msg("%s: %d %s %s", cases[i].why, e, why, w.proxy);
		secsh_where_free(&w);
	}
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *why, *host, *user, *option, *want;
	} cases[] = {
		{"a host for the shell", "$(id)", "me", "Port=1", "is not the name of a host"},
		{"a host that is an option", "-oProxyCommand=x", "me", "Port=1", "is not the name"},
		{"HostName for the shell", "x", "me", "HostName=a;b", "is not the name of a host"},
		{"a host for the shell that HostName hides", "$(id)", "me", "HostName=x",
		 "is not the name of a host"},
		{"a host with a quote", "x'y", "me", "HostName=x", "is not the name of a host"},
		{"a user for the shell", "x", "`id`", "ProxyCommand=nc %r", "cannot be named"},
		{"a jump for the shell", "x", "me", "ProxyJump=a';id;'", "ProxyJump: "},
		{"a jump that is an option", "x", "me", "ProxyJump=-oX=y", "ProxyJump: "},
		{"a bad jump behind a good one", "x", "me", "ProxyJump=$(id),j", "ProxyJump: "},
		{"a jump without end", "x", "me", "ProxyJump=[::1", "ProxyJump: "},
		{"a jump to port 0", "x", "me", "ProxyJump=j:0", "ProxyJump: "},
		{"an unknown token", "x", "me", "IdentityFile=%z", "%z is not known"},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[] = {cases[i].option};
		struct secsh_agent_where where = {.host = cases[i].host,
						  .user = cases[i].user,
						  .options = options,
						  .n_options = 1};
		struct secsh_where w;
		int e = find(&w, "", where, why);

		if (e != ERR_INVAL || strstr(why, cases[i].want) == NULL)
			fail_msg("%s: %d %s", cases[i].why, e, why);
		secsh_where_free(&w);
	}
}

static void test_what_libssh_takes(void **state)
{
	static const struct {
		const char *why, *option, *host, *want; /* NULL: it takes it */
	} cases[] = {
		{"a cipher", "Ciphers=aes128-gcm@openssh.com", "x", NULL},
		{"no cipher", "Ciphers=rot13", "x", "Ciphers: nothing in \"rot13\" is known"},
		{"a key exchange", "KexAlgorithms=curve25519-sha256", "x", NULL},
		{"no key exchange", "KexAlgorithms=x", "x", "KexAlgorithms: "},
		{"a kind of host key", "HostKeyAlgorithms=ssh-ed25519", "x", NULL},
		{"no kind of host key", "HostKeyAlgorithms=x", "x", "HostKeyAlgorithms: "},
		{"MACs", "MACs=hmac-sha2-256-etm@openssh.com", "x", NULL},
		{"rekeying", "RekeyLimit=1M 1h", "x", NULL},
		{"rekeying as usual", "RekeyLimit=default none", "x", NULL},
		{"rekeying at will", "RekeyLimit=often", "x", "RekeyLimit: "},
		{"an IPv6 address", "Port=2", "::1", NULL},
		{"a proxy with a percent sign", "ProxyCommand=nc 100%%", "x", NULL},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *options[] = {cases[i].option};
		struct secsh_agent_where where = {.host = cases[i].host,
						  .user = "me",
						  .options = options,
						  .n_options = 1};
		ssh_session ssh = ssh_new();
		struct secsh_where w;
		char *host = NULL;
		int e;

		assert_non_null(ssh);
		assert_int_equal(0, find(&w, "", where, why));
		e = secsh_where_apply(&w, ssh, why);
		if (e != (cases[i].want == NULL ? 0 : ERR_INVAL) ||
		    (cases[i].want != NULL && strstr(why, cases[i].want) == NULL))
			fail_msg("%s: %d %s", cases[i].why, e, why);
		assert_int_equal(0, ssh_options_get(ssh, SSH_OPTIONS_HOST, &host));
		assert_string_equal(cases[i].host, host);
		ssh_string_free_char(host);
		secsh_where_free(&w);
		ssh_free(ssh);
	}
}

static void test_a_libssh_that_does_not_check(void **state)
{
	const char *options[] = {"Ciphers=aes128-gcm@openssh.com"};
	struct secsh_agent_where where = {.host = "x", .user = "me"};
	ssh_session ssh = ssh_new();
	char why[SECSH_WHY_TEXT];
	struct secsh_where w;

	assert_non_null(ssh);
	assert_int_equal(0, find(&w, "", where, why));
	assert_true(w.has_gcm); /* nobody builds with such a one */
	w.has_gcm = false;
	assert_int_equal(0, secsh_where_apply(&w, ssh, why));
	secsh_where_free(&w);
	where.options = options;
	where.n_options = 1;
	assert_int_equal(0, find(&w, "", where, why));
	w.has_gcm = false;
	assert_int_equal(ERR_INVAL, secsh_where_apply(&w, ssh, why));
	assert_non_null(strstr(why, "AES-GCM"));
	secsh_where_free(&w);
	ssh_free(ssh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host_user_port),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_what_libssh_takes),
		cmocka_unit_test(test_a_libssh_that_does_not_check),
	};

	return cmocka_run_group_tests(tests, secsh_home_setup, secsh_home_teardown);
}
