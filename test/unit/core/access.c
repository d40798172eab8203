/* Who may do what: each refusal, and what stands right beside it and is let through. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/access.h"

#define NOW 1000000

static const struct access_scope all = {0};
static const struct access_scope http_only = {.kinds = 1u << TUNNEL_HTTP};
static const struct access_scope some = {.tunnels = "demo *.tim"};
static const struct access_scope ports = {.ports = {{443, 443}, {2000, 2010}}, .n_ports = 2};
static const struct access_scope low_ports = {.ports = {{1, 2004}}, .n_ports = 1};
static const struct access_scope over = {.until_ms = NOW};
static const struct access_scope not_yet = {.until_ms = NOW + 1};

static void test_decisions(void **state)
{
	static const struct {
		const char *why;
		char who; /* m: a member of "ann", a: an administrator, d: switched off */
		const struct access_scope *scope;
		enum access_act act;
		const char *account, *tunnel;
		enum tunnel_kind kind;
		uint16_t port;
		int want;
	} cases[] = {
		{"connect", 'm', &all, ACCESS_CONNECT, NULL, "", 0, 0, 0},
		{"connect with an account that is off", 'd', &all, ACCESS_CONNECT, NULL, "", 0, 0,
		 ERR_DISABLED},
		{"read with it", 'd', &all, ACCESS_READ, NULL, "x", 0, 0, ERR_DISABLED},
		{"see it", 'd', &all, ACCESS_ACCOUNT, NULL, "", 0, 0, ERR_DISABLED},
		{"a visitor's stream to it", 'd', &all, ACCESS_OPEN, NULL, "x", 0, 0, ERR_DISABLED},
		{"the time is up", 'm', &over, ACCESS_CONNECT, NULL, "", 0, 0, ERR_AUTH},
		{"for an administrator, too", 'a', &over, ACCESS_ADMIN, NULL, "", 0, 0, ERR_AUTH},
		{"in its last millisecond", 'm', &not_yet, ACCESS_OPEN, "ann", "x", 0, 0, 0},
		{"off counts more than over", 'd', &over, ACCESS_CONNECT, NULL, "", 0, 0,
		 ERR_DISABLED},

		{"one's own tunnel", 'm', &all, ACCESS_SERVE, "ann", "x", TUNNEL_TCP, 0, 0},
		{"a new one", 'm', &all, ACCESS_SERVE, NULL, "", 0, 0, 0},
		{"serve somebody else's", 'm', &all, ACCESS_SERVE, "bob", "x", 0, 0, ERR_NOTFOUND},
		{"a stream to somebody else's", 'm', &all, ACCESS_OPEN, "bob", "x", 0, 0,
		 ERR_NOTFOUND},
		{"see somebody else's", 'm', &all, ACCESS_READ, "bob", "x", 0, 0, ERR_NOTFOUND},
		{"change somebody else's", 'm', &all, ACCESS_CHANGE, "bob", "x", 0, 0,
		 ERR_NOTFOUND},
		{"administrators see all", 'a', &all, ACCESS_READ, "bob", "x", 0, 0, 0},
		{"administrators change all", 'a', &all, ACCESS_CHANGE, "bob", "x", 0, 0, 0},
		{"but serve their own only", 'a', &all, ACCESS_SERVE, "bob", "x", 0, 0,
		 ERR_NOTFOUND},
		{"not with a limited credential", 'a', &some, ACCESS_READ, "bob", "demo", 0, 0,
		 ERR_NOTFOUND},

		{"the right kind", 'm', &http_only, ACCESS_SERVE, "ann", "x", TUNNEL_HTTP, 0, 0},
		{"the wrong kind", 'm', &http_only, ACCESS_SERVE, "ann", "x", TUNNEL_TCP, 0,
		 ERR_DENIED},
		{"see the wrong kind", 'm', &http_only, ACCESS_READ, "ann", "x", TUNNEL_TLS, 0,
		 ERR_DENIED},

		{"a tunnel of the scope", 'm', &some, ACCESS_SERVE, "ann", "demo", 0, 0, 0},
		{"below a label of the scope", 'm', &some, ACCESS_OPEN, "ann", "a.b.tim", 0, 0, 0},
		{"the label itself", 'm', &some, ACCESS_OPEN, "ann", "tim", 0, 0, ERR_DENIED},
		{"what only ends like it", 'm', &some, ACCESS_OPEN, "ann", "xtim", 0, 0,
		 ERR_DENIED},
		{"a dot alone before it", 'm', &some, ACCESS_OPEN, "ann", ".tim", 0, 0, ERR_DENIED},
		{"below a whole name", 'm', &some, ACCESS_SERVE, "ann", "x.demo", 0, 0, ERR_DENIED},
		{"the beginning of a name", 'm', &some, ACCESS_SERVE, "ann", "dem", 0, 0,
		 ERR_DENIED},
		{"the pattern itself", 'm', &some, ACCESS_SERVE, "ann", "*.tim", 0, 0, 0},
		{"another one, to read", 'm', &some, ACCESS_READ, "ann", "x", 0, 0, ERR_DENIED},
		{"another one, to change", 'm', &some, ACCESS_CHANGE, "ann", "x", 0, 0, ERR_DENIED},
		{"a random one", 'm', &some, ACCESS_SERVE, NULL, "", 0, 0, ERR_DENIED},

		{"a port of the scope", 'm', &ports, ACCESS_SERVE, "ann", "x", TUNNEL_TCP, 443, 0},
		{"the end of a range", 'm', &ports, ACCESS_SERVE, "ann", "x", TUNNEL_TCP, 2010, 0},
		{"the port behind it", 'm', &ports, ACCESS_SERVE, "ann", "x", TUNNEL_TCP, 2011,
		 ERR_DENIED},
		{"a port to be chosen", 'm', &ports, ACCESS_CHANGE, "ann", "x", TUNNEL_TCP, 0, 0},
		{"read one at another port", 'm', &ports, ACCESS_READ, "ann", "x", TUNNEL_TCP, 80,
		 ERR_DENIED},
		{"a tunnel whose port is not known", 'm', &ports, ACCESS_READ, "ann", "x",
		 TUNNEL_TCP, 0, 0},
		{"a kind without ports", 'm', &ports, ACCESS_SERVE, "ann", "x", TUNNEL_HTTP, 0, 0},

		{"see the account", 'm', &all, ACCESS_ACCOUNT, NULL, "", 0, 0, 0},
		{"see it, limited", 'm', &some, ACCESS_ACCOUNT, NULL, "", 0, 0, 0},
		{"change it", 'm', &all, ACCESS_ACCOUNT_CHANGE, "ann", "", 0, 0, 0},
		{"change it, limited by name", 'm', &some, ACCESS_ACCOUNT_CHANGE, NULL, "", 0, 0,
		 ERR_DENIED},
		{"change it, limited by kind", 'm', &http_only, ACCESS_ACCOUNT_CHANGE, NULL, "", 0,
		 0, ERR_DENIED},
		{"change it, limited by port", 'm', &ports, ACCESS_ACCOUNT_CHANGE, NULL, "", 0, 0,
		 ERR_DENIED},
		{"change it, limited in time", 'm', &not_yet, ACCESS_ACCOUNT_CHANGE, NULL, "", 0, 0,
		 0},
		{"see somebody else's account", 'm', &all, ACCESS_ACCOUNT, "bob", "", 0, 0,
		 ERR_NOTFOUND},
		{"an administrator sees it", 'a', &all, ACCESS_ACCOUNT, "bob", "", 0, 0, 0},

		{"what administrators may", 'a', &all, ACCESS_ADMIN, NULL, "", 0, 0, 0},
		{"others may not", 'm', &all, ACCESS_ADMIN, NULL, "", 0, 0, ERR_DENIED},
		{"nor one with a limit", 'a', &http_only, ACCESS_ADMIN, NULL, "", 0, 0, ERR_DENIED},
		{"nor one that is off", 'd', &all, ACCESS_ADMIN, NULL, "", 0, 0, ERR_DISABLED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct access_who who = {.account = "ann",
					 .admin = cases[i].who != 'm',
					 .enabled = cases[i].who != 'd',
					 .scope = *cases[i].scope};
		struct access_ask ask = {.act = cases[i].act,
					 .account = cases[i].account,
					 .tunnel = str_of(cases[i].tunnel),
					 .kind = cases[i].kind,
					 .port = cases[i].port,
					 .now_ms = NOW};
		char reason[CORE_REASON_TEXT] = "";
		int e = access_decide(&who, &ask, reason);

		if (e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		if ((e != 0) != (strlen(reason) > 20))
			fail_msg("%s: \"%s\"", cases[i].why, reason);
	}
}

/* What the account may have counts for what is new, besides what the credential is good for. */
static void test_ports_of_the_account(void **state)
{
	static const struct {
		const char *why;
		const struct access_scope *scope;
		const char *account; /* NULL: the tunnel is new */
		enum access_act act;
		enum tunnel_kind kind;
		uint16_t port;
		int want;
	} cases[] = {
		{"a port of the account", &all, NULL, ACCESS_CHANGE, TUNNEL_TCP, 2005, 0},
		{"the one before it", &all, NULL, ACCESS_SERVE, TUNNEL_TCP, 2004, ERR_DENIED},
		{"its first", &all, NULL, ACCESS_SERVE, TUNNEL_TCP, 2005, 0},
		{"its last", &all, NULL, ACCESS_SERVE, TUNNEL_TCP, 2020, 0},
		{"the one behind it", &all, NULL, ACCESS_SERVE, TUNNEL_TCP, 2021, ERR_DENIED},
		{"one to be chosen", &all, NULL, ACCESS_CHANGE, TUNNEL_TCP, 0, 0},
		{"of both", &ports, NULL, ACCESS_CHANGE, TUNNEL_TCP, 2010, 0},
		{"of the account only", &ports, NULL, ACCESS_CHANGE, TUNNEL_TCP, 2011, ERR_DENIED},
		{"of the credential only", &ports, NULL, ACCESS_CHANGE, TUNNEL_TCP, 443,
		 ERR_DENIED},
		{"one of both to be chosen", &ports, NULL, ACCESS_CHANGE, TUNNEL_TCP, 0, 0},
		{"nothing in common", &low_ports, NULL, ACCESS_CHANGE, TUNNEL_TCP, 0, ERR_DENIED},
		{"what is there already", &all, "ann", ACCESS_CHANGE, TUNNEL_TCP, 80, 0},
		{"other kinds have none", &all, NULL, ACCESS_CHANGE, TUNNEL_HTTP, 80, 0},
		{"somebody else's stays hidden", &all, "bob", ACCESS_CHANGE, TUNNEL_TCP, 2005,
		 ERR_NOTFOUND},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct access_who who = {.account = "ann",
					 .enabled = true,
					 .ports = {{2005, 2020}},
					 .n_ports = 1,
					 .scope = *cases[i].scope};
		struct access_ask ask = {.act = cases[i].act,
					 .account = cases[i].account,
					 .tunnel = STR("x"),
					 .kind = cases[i].kind,
					 .port = cases[i].port,
					 .now_ms = NOW};
		char reason[CORE_REASON_TEXT] = "";
		int e = access_decide(&who, &ask, reason);

		if (e != cases[i].want || (e != 0) != (strlen(reason) > 20))
			fail_msg("%s: %s \"%s\"", cases[i].why, err_name(e), reason);
	}
}

static void test_limits_and_sameness(void **state)
{
	struct access_scope a = ports, b = ports;

	assert_false(access_scope_is_limited(&all));
	assert_false(access_scope_is_limited(&over));
	assert_true(access_scope_is_limited(&http_only));
	assert_true(access_scope_is_limited(&some));
	assert_true(access_scope_is_limited(&ports));
	assert_true(access_scope_same(&a, &b));
	b.ports[1].last++;
	assert_false(access_scope_same(&a, &b));
	assert_false(access_scope_same(&all, &over));
	assert_false(access_scope_same(&all, &some));
	assert_false(access_scope_same(&all, &http_only));
}

static void test_the_sentence_names_the_time(void **state)
{
	struct access_who who = {.enabled = true, .scope = {.until_ms = INT64_C(1767225600000)}};
	struct access_ask ask = {.act = ACCESS_CONNECT, .now_ms = INT64_C(1767225600000)};
	char reason[CORE_REASON_TEXT];

	assert_int_equal(access_decide(&who, &ask, reason), ERR_AUTH);
	assert_non_null(strstr(reason, "2026-01-01T00:00:00.000Z"));
}

static void test_kinds(void **state)
{
	enum tunnel_kind kind;

	for (unsigned k = 0; k < TUNNEL_KINDS; k++) {
		assert_int_equal(tunnel_kind_parse(str_of(tunnel_kind_name(k)), &kind), 0);
		assert_int_equal(kind, k);
	}
	assert_int_equal(tunnel_kind_parse(STR("udp"), &kind), ERR_INVAL);
	assert_int_equal(tunnel_kind_parse(STR(""), &kind), ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_ports_of_the_account),
		cmocka_unit_test(test_limits_and_sameness),
		cmocka_unit_test(test_the_sentence_names_the_time),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
