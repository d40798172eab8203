/* Tunnels by the API: who may see, make, change and drop them, lists, and what goes with them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/manage_rig.h"

static const struct manage_tunnel_change create = {.mode = MANAGE_CREATE, .expected = STORE_ANY};
static const struct manage_tunnel_change put = {.mode = MANAGE_PUT, .expected = STORE_ANY};
static const struct manage_tunnel_change patch = {.mode = MANAGE_PATCH, .expected = STORE_ANY};

static unsigned n_tunnels(struct manage_rig *g, const struct access_who *who)
{
	char *value = core_rig_get(&g->r, "account", who->account);
	const char *at = strstr(value, "\"n_tunnels\":");
	unsigned n = at == NULL ? 0 : (unsigned)atoi(at + 12);

	free(value);
	return n;
}

static void test_make_get_drop(void **state)
{
	struct told_manage told, got;
	struct manage_rig g;

	manage_rig_new(&g);
	told = manage_rig_change(&g, &g.ann, "Demo.Ann", &create);
	assert_int_equal(told.e, 0);
	assert_true(told.created);
	assert_int_equal(told.n, 1);
	assert_string_equal(told.tunnel.name, "demo.ann");
	assert_string_equal(told.tunnel.account, g.ann.account);
	assert_true(told.tunnel.enabled);
	assert_true(told.tunnel.created_ms > 0);
	assert_non_null(strstr(g.r.last_line, "event=tunnel-made tunnel=demo.ann account="));

	got = manage_rig_get(&g, &g.ann, "DEMO.ann");
	assert_int_equal(got.e, 0);
	assert_int_equal(got.version, told.version);
	assert_memory_equal(&got.tunnel, &told.tunnel, sizeof got.tunnel);
	assert_int_equal(n_tunnels(&g, &g.ann), 1);
	assert_true(manage_rig_has(&g, "claim", "ann"));
	assert_true(manage_rig_owns(&g, &g.ann, "tunnel/demo.ann"));
	assert_true(manage_rig_owns(&g, &g.ann, "claim/ann"));

	/* the claim goes with the last one under it */
	assert_int_equal(manage_rig_change(&g, &g.ann, "more.ann", &create).e, 0);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "demo.ann", STORE_ANY).e, 0);
	assert_non_null(strstr(g.r.last_line, "event=tunnel-deleted tunnel=demo.ann account="));
	assert_false(manage_rig_owns(&g, &g.ann, "tunnel/demo.ann"));
	assert_true(manage_rig_has(&g, "claim", "ann"));
	assert_int_equal(manage_rig_change(&g, &g.bob, "demo.ann", &create).e, ERR_EXISTS);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "more.ann", STORE_ANY).e, 0);
	assert_false(manage_rig_has(&g, "claim", "ann"));
	assert_false(manage_rig_owns(&g, &g.ann, "claim/ann"));
	assert_int_equal(n_tunnels(&g, &g.ann), 0);
	assert_int_equal(manage_rig_get(&g, &g.ann, "demo.ann").e, ERR_NOTFOUND);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "demo.ann", STORE_ANY).e, ERR_NOTFOUND);

	/* the names are free for others at once */
	assert_int_equal(manage_rig_change(&g, &g.bob, "demo.ann", &create).e, 0);
	manage_rig_free(&g);
}

static void test_who_may(void **state)
{
	enum { GET, DROP, PATCH, PUT, CREATE };
	static const struct {
		const char *why;
		const char *who; /* "ann" is the owner; "" nobody */
		int what;
		const char *name, *scope;
		int want;
	} cases[] = {
		{"its owner reads it", "ann", GET, "demo", "", 0},
		{"somebody else does not learn of it", "bob", GET, "demo", "", ERR_NOTFOUND},
		{"nor of what is not there", "bob", GET, "none", "", ERR_NOTFOUND},
		{"an administrator reads it", "root", GET, "demo", "", 0},
		{"nobody may anything", "", GET, "demo", "", ERR_AUTH},
		{"nor learn what is not there", "", GET, "none", "", ERR_AUTH},
		{"a scope that has it", "ann", GET, "demo", "demo", 0},
		{"a scope that has not", "ann", GET, "demo", "other", ERR_DENIED},
		{"a scope does not tell of others", "bob", GET, "demo", "other", ERR_NOTFOUND},
		{"not a name", "ann", GET, "a b", "", ERR_NOTFOUND},
		{"no name", "ann", GET, "", "", ERR_NOTFOUND},
		{"somebody else drops it", "bob", DROP, "demo", "", ERR_NOTFOUND},
		{"nobody drops it", "", DROP, "demo", "", ERR_AUTH},
		{"a scope that has not", "ann", DROP, "demo", "other", ERR_DENIED},
		{"somebody else changes it", "bob", PATCH, "demo", "", ERR_NOTFOUND},
		{"an administrator changes it", "root", PATCH, "demo", "", 0},
		{"what is not there is not changed", "ann", PATCH, "none", "", ERR_NOTFOUND},
		{"somebody else puts it", "bob", PUT, "demo", "", ERR_EXISTS},
		{"its owner puts it again", "ann", PUT, "demo", "", 0},
		{"a scope that has not", "ann", PUT, "demo", "other", ERR_DENIED},
		{"its owner makes it again", "ann", CREATE, "demo", "", ERR_EXISTS},
		{"somebody else makes it", "bob", CREATE, "demo", "", ERR_EXISTS},
		{"an administrator makes what is somebody else's", "root", CREATE, "demo", "",
		 ERR_EXISTS},
		{"below it", "bob", CREATE, "x.demo", "", ERR_EXISTS},
		{"reserved", "ann", CREATE, "api", "", ERR_RESERVED},
		{"not a name", "ann", CREATE, "a b", "", ERR_INVAL},
		{"nobody makes one", "", CREATE, "new", "", ERR_AUTH},
		{"a random one with a limited credential", "ann", CREATE, "", "*.ann", ERR_DENIED},
		{"its owner drops it", "ann", DROP, "demo", "", 0},
	};
	struct manage_rig g;

	manage_rig_new(&g);
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &create).e, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct access_who who = cases[i].who[0] == 'a'	 ? g.ann
					: cases[i].who[0] == 'b' ? g.bob
								 : g.root;
		const struct access_who *by = cases[i].who[0] == '\0' ? NULL : &who;
		const struct manage_tunnel_change *ch = cases[i].what == PATCH ? &patch
							: cases[i].what == PUT ? &put
									       : &create;
		struct told_manage told;

		str_printf(who.scope.tunnels, sizeof who.scope.tunnels, "%s", cases[i].scope);
		told = cases[i].what == GET    ? manage_rig_get(&g, by, cases[i].name)
		       : cases[i].what == DROP ? manage_rig_drop(&g, by, cases[i].name, STORE_ANY)
					       : manage_rig_change(&g, by, cases[i].name, ch);
		if (told.e != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(told.e), told.reason);
		if (told.e == ERR_NOTFOUND) /* all the same, so that nobody can tell */
			assert_string_equal(told.reason, "there is no such tunnel");
	}
	manage_rig_free(&g);
}

static void test_versions(void **state)
{
	struct manage_tunnel_change ch = patch;
	struct manage_rig g;
	uint64_t first, second;

	manage_rig_new(&g);
	first = manage_rig_change(&g, &g.ann, "demo", &create).version;
	ch.set = MANAGE_T_REWRITE;
	ch.to.rewrite = true;
	ch.expected = first;
	second = manage_rig_change(&g, &g.ann, "demo", &ch).version;
	assert_true(second > first);
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &ch).e, ERR_CONFLICT);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "demo", first).e, ERR_CONFLICT);
	ch.mode = MANAGE_PUT;
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &ch).e, ERR_CONFLICT);
	assert_int_equal(manage_rig_change(&g, &g.ann, "new", &ch).e, ERR_CONFLICT);
	assert_int_equal(manage_rig_get(&g, &g.ann, "demo").version, second);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "demo", second).e, 0);
	manage_rig_free(&g);
}

static void fill(struct manage_tunnel_change *ch)
{
	struct record_tunnel *to = &ch->to;

	ch->set = MANAGE_T_KIND | MANAGE_T_TARGET | MANAGE_T_POLICY | MANAGE_T_SESSIONS_MAX |
		  MANAGE_T_REWRITE | MANAGE_T_USERS | MANAGE_T_BEARERS | MANAGE_T_ALLOW |
		  MANAGE_T_DENY | MANAGE_T_AUTH_URL;
	str_printf(to->target, sizeof to->target, "http://localhost:3000");
	to->policy = TUNNEL_ROUND_ROBIN;
	to->sessions_max = 5;
	to->rewrite = true;
	to->rights.n_users = 1;
	str_printf(to->rights.users[0].name, RIGHTS_USER_TEXT, "anna");
	str_printf(to->rights.users[0].hash, RIGHTS_HASH_TEXT, "$scrypt$1");
	to->rights.n_bearers = 1;
	memset(to->rights.bearers[0], 'a', DIGEST_HEX_TEXT - 1);
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &to->rights.allow[0]), 0);
	assert_int_equal(cidr_parse(STR("10.1.0.0/16"), &to->rights.deny[0]), 0);
	to->rights.n_allow = to->rights.n_deny = 1;
	str_printf(to->rights.auth_url, RIGHTS_URL_TEXT, "http://auth.example:9000/check");
}

static void test_put_and_patch(void **state)
{
	struct manage_tunnel_change ch = put;
	struct told_manage told, first;
	struct manage_rig g;

	manage_rig_new(&g);
	fill(&ch);
	first = manage_rig_change(&g, &g.ann, "demo", &ch);
	assert_int_equal(first.e, 0);
	assert_true(first.created);
	assert_memory_equal(&first.tunnel.rights, &ch.to.rights, sizeof ch.to.rights);
	ev_sim_run_for(g.r.ev, 1000);

	/* what is not set stays */
	ch = patch;
	ch.set = MANAGE_T_SESSIONS_MAX;
	ch.to.sessions_max = 9;
	told = manage_rig_change(&g, &g.ann, "demo", &ch);
	assert_int_equal(told.e, 0);
	assert_false(told.created);
	assert_int_equal(told.tunnel.sessions_max, 9);
	assert_int_equal(told.tunnel.policy, TUNNEL_ROUND_ROBIN);
	assert_int_equal(told.tunnel.created_ms, first.tunnel.created_ms);
	assert_true(told.tunnel.updated_ms > first.tunnel.updated_ms);
	assert_memory_equal(&told.tunnel.rights, &first.tunnel.rights, sizeof told.tunnel.rights);
	assert_non_null(strstr(g.r.last_line, "event=tunnel-changed tunnel=demo account="));

	/* a user without a password keeps his; one without a name that is there does not */
	ch.set = MANAGE_T_USERS;
	ch.to.rights.n_users = 2;
	str_printf(ch.to.rights.users[0].name, RIGHTS_USER_TEXT, "bert");
	str_printf(ch.to.rights.users[1].name, RIGHTS_USER_TEXT, "anna");
	told = manage_rig_change(&g, &g.ann, "demo", &ch);
	assert_int_equal(told.e, ERR_INVAL);
	assert_string_equal(told.field, "visitors.basic");
	assert_non_null(strstr(told.reason, "bert"));
	str_printf(ch.to.rights.users[0].hash, RIGHTS_HASH_TEXT, "$scrypt$2");
	told = manage_rig_change(&g, &g.ann, "demo", &ch);
	assert_int_equal(told.e, 0);
	assert_string_equal(told.tunnel.rights.users[0].hash, "$scrypt$2");
	assert_string_equal(told.tunnel.rights.users[1].hash, "$scrypt$1");

	/* the same twice, and the whole anew */
	ch.mode = MANAGE_PUT;
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &ch).e, 0);
	told = manage_rig_change(&g, &g.ann, "demo", &ch);
	assert_int_equal(told.e, 0);
	assert_int_equal(told.tunnel.rights.n_users, 2);
	assert_int_equal(told.tunnel.rights.n_deny, 0);
	assert_int_equal(told.tunnel.sessions_max, RECORD_SESSIONS_MAX);
	assert_int_equal(told.tunnel.policy, TUNNEL_LEAST_CONN);
	assert_int_equal(told.tunnel.created_ms, first.tunnel.created_ms);
	assert_int_equal(n_tunnels(&g, &g.ann), 1);

	/* an administrator's change leaves it with its owner */
	assert_int_equal(manage_rig_change(&g, &g.root, "demo", &put).e, 0);
	assert_string_equal(manage_rig_get(&g, &g.ann, "demo").tunnel.account, g.ann.account);
	manage_rig_free(&g);
}

static void test_refusals(void **state)
{
	enum { KIND, TARGET, POLICY, MAX_0, MAX_65, USER, USER_TWICE, URL };
	static const struct {
		const char *why;
		int what;
		const char *text;
		int want;
		const char *field;
	} cases[] = {
		{"a kind that is not served", KIND, "", ERR_UNSUPPORTED, "kind"},
		{"a target of two lines", TARGET, "a\nb", ERR_INVAL, "target.url"},
		{"an unknown policy", POLICY, "", ERR_INVAL, "transport.policy"},
		{"no session", MAX_0, "", ERR_INVAL, "transport.max_connections"},
		{"too many sessions", MAX_65, "", ERR_INVAL, "transport.max_connections"},
		{"a user without a name", USER, "", ERR_INVAL, "visitors.basic"},
		{"a user with a colon", USER, "a:b", ERR_INVAL, "visitors.basic"},
		{"a user with a newline", USER, "a\n", ERR_INVAL, "visitors.basic"},
		{"a user twice", USER_TWICE, "anna", ERR_INVAL, "visitors.basic"},
		{"a hook that is no URL", URL, "auth.example", ERR_INVAL, "visitors.auth_url"},
		{"a hook by TCP", URL, "tcp://auth.example:80", ERR_INVAL, "visitors.auth_url"},
		{"a hook by WebSocket", URL, "ws://auth.example", ERR_INVAL, "visitors.auth_url"},
		{"a hook elsewhere", URL, "http://169.254.169.254/", ERR_DENIED,
		 "visitors.auth_url"},
		{"a hook at another port", URL, "http://auth.example:1/", ERR_DENIED,
		 "visitors.auth_url"},
		{"a hook that is allowed", URL, "https://AUTH.example/check", 0, ""},
		{"at its port", URL, "http://auth.example:9000/", 0, ""},
		{"at the scheme's own port, written out", URL, "http://auth.example:80/", 0, ""},
		{"no hook", URL, "", 0, ""},
	};
	struct manage_rig g;

	manage_rig_new(&g);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct manage_tunnel_change ch = put;
		struct record_tunnel *to = &ch.to;
		struct told_manage told;

		switch (cases[i].what) {
		case KIND:
			ch.set = MANAGE_T_KIND;
			to->kind = TUNNEL_TCP;
			break;
		case TARGET:
			ch.set = MANAGE_T_TARGET;
			str_printf(to->target, sizeof to->target, "%s", cases[i].text);
			break;
		case POLICY:
			ch.set = MANAGE_T_POLICY;
			to->policy = TUNNEL_POLICIES;
			break;
		case MAX_0:
		case MAX_65:
			ch.set = MANAGE_T_SESSIONS_MAX;
			to->sessions_max = cases[i].what == MAX_0 ? 0 : 65;
			break;
		case USER:
		case USER_TWICE:
			ch.set = MANAGE_T_USERS;
			to->rights.n_users = cases[i].what == USER ? 1 : 2;
			for (size_t k = 0; k < to->rights.n_users; k++) {
				str_printf(to->rights.users[k].name, RIGHTS_USER_TEXT, "%s",
					   cases[i].text);
				str_printf(to->rights.users[k].hash, RIGHTS_HASH_TEXT, "h");
			}
			break;
		default:
			ch.set = MANAGE_T_AUTH_URL;
			str_printf(to->rights.auth_url, RIGHTS_URL_TEXT, "%s", cases[i].text);
		}
		told = manage_rig_change(&g, &g.ann, "demo", &ch);
		if (told.e != cases[i].want || strcmp(told.field, cases[i].field) != 0)
			fail_msg("%s: %s %s (%s)", cases[i].why, err_name(told.e), told.field,
				 told.reason);
		if (told.e == ERR_DENIED)
			assert_non_null(strstr(told.reason, "--auth-hosts"));
	}
	manage_rig_free(&g);
}

static void test_random_names(void **state)
{
	struct told_manage told;
	struct manage_rig g;

	manage_rig_new(&g);
	for (int i = 0; i < 20; i++) {
		told = manage_rig_change(&g, &g.ann, "", &create);
		assert_int_equal(told.e, 0);
		assert_int_equal(strlen(told.tunnel.name), 4);
	}
	assert_int_equal(n_tunnels(&g, &g.ann), 20);
	assert_int_equal(manage_rig_change(&g, &g.ann, "", &put).e, ERR_INVAL);
	manage_rig_free(&g);
}

static void test_quota(void **state)
{
	static struct told_manage told[110];
	struct manage_rig g;
	unsigned n_made = 0, n_limit = 0;

	manage_rig_new(&g);
	for (int i = 0; i < 110; i++) { /* all at once: they stand in line */
		struct manage_asker by = manage_rig_asker(&g.ann, &told[i]);
		char name[16];

		snprintf(name, sizeof name, "n%d", i);
		assert_non_null(manage_tunnel_change(g.r.core, &by, str_of(name), &create));
	}
	core_rig_run(&g.r);
	for (int i = 0; i < 110; i++) {
		assert_int_equal(told[i].calls, 1);
		n_made += told[i].e == 0;
		n_limit += told[i].e == ERR_LIMIT;
	}
	assert_int_equal(n_made, RECORD_TUNNELS_USUAL);
	assert_int_equal(n_limit, 10);
	assert_int_equal(n_tunnels(&g, &g.ann), RECORD_TUNNELS_USUAL);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "n7", STORE_ANY).e, 0);
	assert_int_equal(manage_rig_change(&g, &g.ann, "one-more", &create).e, 0);
	manage_rig_free(&g);
}

static void test_sessions_follow(void **state)
{
	struct manage_tunnel_change ch = patch;
	struct manage_rig g;

	manage_rig_new(&g);
	assert_int_equal(core_rig_attach(&g.a, "demo", "").result.e, 0);
	ch.set = MANAGE_T_REWRITE;
	ch.to.rewrite = true;
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &ch).e, 0);
	assert_true(tunnel_settings(core_tunnel(g.r.core, STR("demo")))->rewrite);
	ch.set = MANAGE_T_ENABLED;
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &ch).e, 0);
	assert_int_equal(g.a.n_detached, 1);
	assert_int_equal(g.a.why, ERR_DISABLED);
	assert_int_equal(core_rig_attach(&g.a, "demo", "").result.e, ERR_DISABLED);
	ch.to.enabled = true;
	assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &ch).e, 0);
	assert_int_equal(core_rig_attach(&g.a, "demo", "").result.e, 0);
	assert_int_equal(manage_rig_drop(&g, &g.ann, "demo", STORE_ANY).e, 0);
	assert_int_equal(g.a.n_detached, 2);
	assert_int_equal(g.a.why, ERR_DELETED);
	assert_string_equal(g.a.reason, "the tunnel has been deleted");
	assert_int_equal(core_rig_attach(&g.b, "demo", "").result.e, 0); /* free at once */
	manage_rig_free(&g);
}

static struct told_manage list(struct manage_rig *g, const struct access_who *who, bool all,
			       struct manage_page page)
{
	struct told_manage told;
	struct manage_asker by = manage_rig_asker(who, &told);

	assert_non_null(manage_tunnel_list(g->r.core, &by, all, &page));
	core_rig_run(&g->r);
	assert_int_equal(told.calls, 1);
	return told;
}

static void test_lists(void **state)
{
	static const char *const names[] = {"aa", "bb", "x.cc", "dd", "y.cc"};
	struct access_who scoped;
	struct told_manage told;
	struct manage_rig g;

	manage_rig_new(&g);
	assert_string_equal(list(&g, &g.ann, false, (struct manage_page){STR(""), 10}).names, "");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(manage_rig_change(&g, &g.ann, names[i], &create).e, 0);
	assert_int_equal(manage_rig_change(&g, &g.bob, "bob", &create).e, 0);

	told = list(&g, &g.ann, false, (struct manage_page){STR(""), 10});
	assert_string_equal(told.names, "aa bb dd x.cc y.cc ");
	assert_false(told.more);
	told = list(&g, &g.ann, false, (struct manage_page){STR(""), 2});
	assert_string_equal(told.names, "aa bb ");
	assert_true(told.more);
	told = list(&g, &g.ann, false, (struct manage_page){str_of(told.after), 3});
	assert_string_equal(told.names, "dd x.cc y.cc ");
	assert_false(told.more);

	scoped = g.ann;
	str_printf(scoped.scope.tunnels, sizeof scoped.scope.tunnels, "*.cc aa");
	told = list(&g, &scoped, false, (struct manage_page){STR(""), 2});
	assert_string_equal(told.names, "aa x.cc ");
	assert_true(told.more);
	told = list(&g, &scoped, false, (struct manage_page){str_of(told.after), 2});
	assert_string_equal(told.names, "y.cc ");
	assert_false(told.more);

	told = list(&g, &g.root, true, (struct manage_page){STR("bb"), 2});
	assert_string_equal(told.names, "bob dd ");
	assert_true(told.more);
	assert_string_equal(told.after, "dd");
	assert_string_equal(list(&g, &g.root, false, (struct manage_page){STR(""), 2}).names, "");
	assert_int_equal(list(&g, &g.ann, true, (struct manage_page){STR(""), 2}).e, ERR_DENIED);
	assert_int_equal(list(&g, NULL, false, (struct manage_page){STR(""), 2}).e, ERR_AUTH);
	told = list(&g, &g.ann, false, (struct manage_page){STR("../x"), 2});
	assert_int_equal(told.e, ERR_INVAL);
	assert_string_equal(told.field, "cursor");
	manage_rig_free(&g);
}

/* More than one transaction can read. */
static void test_long_lists(void **state)
{
	struct access_who scoped;
	struct told_manage told;
	struct manage_rig g;
	char name[16];

	manage_rig_new(&g);
	for (int i = 0; i < RECORD_TUNNELS_USUAL; i++) {
		snprintf(name, sizeof name, "t%03d", i);
		assert_int_equal(manage_rig_change(&g, &g.ann, name, &create).e, 0);
	}
	told = list(&g, &g.ann, false, (struct manage_page){STR(""), MANAGE_PAGE_MAX});
	assert_int_equal(told.n, RECORD_TUNNELS_USUAL);
	assert_false(told.more);
	scoped = g.ann;
	str_printf(scoped.scope.tunnels, sizeof scoped.scope.tunnels, "t099");
	told = list(&g, &scoped, false, (struct manage_page){STR(""), 5});
	assert_string_equal(told.names, "t099 ");
	core_rig_put(&g.r, "tunnel", "t001", "{");
	told = list(&g, &g.ann, false, (struct manage_page){STR(""), 2});
	assert_string_equal(told.names, "t000 t002 "); /* one that is damaged spoils nothing */
	manage_rig_free(&g);
}

static void test_store_fails(void **state)
{
	static const int errors[] = {ERR_FULL, ERR_TIMEOUT, ERR_IO};
	struct manage_rig g;

	manage_rig_new(&g);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		ev_sim_run_for(g.r.ev, STORE_PEEK_MS + 1);
		g.r.judge = core_rig_fail_all;
		g.r.judge_e = errors[i];
		assert_int_equal(manage_rig_get(&g, &g.ann, "demo").e, errors[i]);
		assert_int_equal(manage_rig_change(&g, &g.ann, "demo", &create).e, errors[i]);
		assert_int_equal(manage_rig_drop(&g, &g.ann, "demo", STORE_ANY).e, errors[i]);
		assert_int_equal(list(&g, &g.ann, false, (struct manage_page){STR(""), 2}).e,
				 errors[i]);
		g.r.judge = NULL;
	}
	manage_rig_free(&g);
}

static void test_cancel(void **state)
{
	struct told_manage told[4];
	struct manage_asker by;
	struct manage *m[4];
	struct manage_rig g;

	manage_rig_new(&g);
	ev_sim_run_for(g.r.ev, STORE_PEEK_MS + 1);
	for (int held = 0; held < 2; held++) { /* before the store is asked, and after */
		if (held)
			g.r.judge = core_rig_hold_all;
		by = manage_rig_asker(&g.ann, &told[0]);
		m[0] = manage_tunnel_get(g.r.core, &by, STR("demo"));
		by = manage_rig_asker(&g.ann, &told[1]);
		m[1] = manage_tunnel_change(g.r.core, &by, STR("demo"), &create);
		by = manage_rig_asker(&g.ann, &told[2]);
		m[2] = manage_tunnel_drop(g.r.core, &by, STR("demo"), STORE_ANY);
		by = manage_rig_asker(&g.ann, &told[3]);
		m[3] = manage_tunnel_list(g.r.core, &by, false, &(struct manage_page){STR(""), 2});
		if (held)
			core_rig_run(&g.r);
		for (size_t i = 0; i < ARRAY_LEN(m); i++)
			manage_cancel(m[i]);
		core_rig_release(&g.r);
		for (size_t i = 0; i < ARRAY_LEN(m); i++)
			assert_int_equal(told[i].calls, 0);
	}
	manage_cancel(NULL);
	manage_rig_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_get_drop), cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_versions),      cmocka_unit_test(test_put_and_patch),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_random_names),
		cmocka_unit_test(test_quota),	      cmocka_unit_test(test_sessions_follow),
		cmocka_unit_test(test_lists),	      cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_store_fails),   cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
