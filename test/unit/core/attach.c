/* Attaching: whose a name is, records that are made once, takeover, and a store that fails. */
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
#include "unit/core/core_rig.h"

static const struct core_agent laptop = {.id = "laptop", .epoch = 100, .carrier = 0};

struct world {
	struct core_rig r;
	struct access_who ann, bob;
	struct fake a, b; /* a session of each */
};

static void world_open(struct world *w)
{
	core_rig_new(&w->r, true);
	core_rig_account(&w->r, &w->ann);
	core_rig_account(&w->r, &w->bob);
	fake_join(&w->a, &w->r, &w->ann, &laptop);
	fake_join(&w->b, &w->r, &w->bob, &laptop);
}

static void world_close(struct world *w)
{
	fake_leave(&w->a);
	fake_leave(&w->b);
	core_rig_free(&w->r);
}

static int attach_e(struct fake *f, const char *name)
{
	return core_rig_attach(f, name, "").result.e;
}

/* A record of a tunnel, written past the core; more: members, with a comma in front. */
static const char *own_record(char record[256], const char *account, const char *more)
{
	str_printf(record, 256, "{\"account\":\"%s\",\"kind\":\"http\"%s}", account, more);
	return record;
}

static void test_names_belong_to_accounts(void **state)
{
	static const struct {
		const char *why;
		char who;
		const char *name;
		int want;
	} steps[] = {
		{"a new name", 'a', "demo", 0},
		{"again, which changes nothing", 'a', "demo", 0},
		{"in another case", 'a', "DeMo", 0},
		{"somebody else's", 'b', "demo", ERR_EXISTS},
		{"somebody else's in another case", 'b', "DEMO", ERR_EXISTS},
		{"below one's own", 'a', "x.demo", 0},
		{"below somebody else's", 'b', "y.demo", ERR_EXISTS},
		{"two labels at once claim the last one", 'b', "hello.tim", 0},
		{"the claimed label itself, by another", 'a', "tim", ERR_EXISTS},
		{"beside it, by another", 'a', "bye.tim", ERR_EXISTS},
		{"deeper, by another", 'a', "a.b.c.tim", ERR_EXISTS},
		{"the claimed label itself, by its owner", 'b', "tim", 0},
		{"an unclaimed one in front of a claimed word", 'a', "tim.ann", 0},
		{"reserved", 'a', "api", ERR_RESERVED},
		{"reserved, in another case", 'a', "WWW", ERR_RESERVED},
		{"below a reserved one", 'a', "x.api", ERR_RESERVED},
		{"a reserved word that is not the last label", 'a', "api.ann", 0},
		{"an underscore", 'a', "_dmarc", ERR_RESERVED},
		{"not a name", 'a', "-x", ERR_INVAL},
		{"a dot at the end", 'a', "x.", ERR_INVAL},
		{"a dot alone", 'a', ".", ERR_INVAL},
		{"a space", 'a', "a b", ERR_INVAL},
		{"not ASCII", 'a', "caf\xc3\xa9", ERR_INVAL},
		{"digits only", 'a', "2345", 0},
	};
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct fake *f = steps[i].who == 'a' ? &w.a : &w.b;
		struct told_attach told = core_rig_attach(f, steps[i].name, "");

		if (told.result.e != steps[i].want)
			fail_msg("%s: %s (%s)", steps[i].why, err_name(told.result.e), told.reason);
		assert_null(strstr(told.reason, w.ann.account));
		assert_null(strstr(told.reason, w.bob.account));
		if (told.result.e == ERR_EXISTS)
			assert_non_null(strstr(told.reason, "--name"));
	}
	world_close(&w);
}

/* Whoever comes by SSH has no such option. */
static void test_a_refusal_by_ssh(void **state)
{
	struct told_attach told;
	struct fake ssh;
	struct world w;

	world_open(&w);
	fake_join_ssh(&ssh, &w.r, &w.ann, &laptop);
	told = core_rig_attach(&ssh, "www", "");
	assert_int_equal(ERR_RESERVED, told.result.e);
	assert_string_equal("the name \"www\" is reserved; choose another", told.reason);
	fake_leave(&ssh);
	world_close(&w);
}

static void test_urls(void **state)
{
	static const struct {
		const char *why, *scheme;
		uint16_t port;
		const char *want;
	} cases[] = {
		{"a port", "http", 8080, "http://demo.localhost:8080"},
		{"the scheme's own port", "https", 0, "https://demo.localhost"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct core *c;

		world_open(&w);
		fake_leave(&w.a);
		fake_leave(&w.b);
		w.r.opt.url_scheme = cases[i].scheme;
		w.r.opt.url_port = cases[i].port;
		assert_int_equal(core_new(w.r.ev, &w.r.opt, &c), 0);
		core_free(w.r.core);
		w.r.core = c;
		fake_join(&w.a, &w.r, &w.ann, &laptop);
		assert_string_equal(core_rig_attach(&w.a, "Demo", "").result.urls[0],
				    cases[i].want);
		world_close(&w);
	}
}

static void test_random_names(void **state)
{
	struct world w;
	char first[HOSTNAME_MAX + 1];

	world_open(&w);
	for (int i = 0; i < 50; i++) {
		struct told_attach told = core_rig_attach(&w.a, "", "http://localhost:3000");

		assert_int_equal(told.result.e, 0);
		assert_int_equal(strlen(told.result.name), 4);
		assert_int_equal(strspn(told.result.name, "23456789abcdefghijkmnpqrstuvwxyz"), 4);
		if (i == 0)
			memcpy(first, told.result.name, sizeof first);
		else
			assert_string_not_equal(told.result.name, first);
	}
	assert_int_equal(w.a.member->n_serving, 50);
	assert_int_equal(attach_e(&w.b, first), ERR_EXISTS);
	world_close(&w);
}

/* The same world every time: what was drawn there is drawn again, and is taken now. */
static void test_random_names_grow(void **state)
{
	char taken[CORE_TRIES_MAX][HOSTNAME_MAX + 1];
	struct told_attach told;
	struct world w;

	for (size_t n = 0; n <= CORE_TRIES_MAX; n++) {
		world_open(&w);
		for (size_t i = 0; i < n; i++)
			core_rig_put(&w.r, "claim", taken[i], "{\"account\":\"x\"}");
		told = core_rig_attach(&w.a, "", "");
		if (n == CORE_TRIES_MAX) { /* it ends */
			assert_int_equal(told.result.e, ERR_LIMIT);
			assert_non_null(strstr(told.reason, "no free name"));
			assert_int_equal(attach_e(&w.a, ""), 0);
		} else {
			assert_int_equal(told.result.e, 0);
			assert_int_equal(strlen(told.result.name), 4 + n / 3);
			memcpy(taken[n], told.result.name, sizeof taken[n]);
		}
		world_close(&w);
	}
}

static void test_records_outlive_sessions(void **state)
{
	char record[256], *value;
	struct world w;

	world_open(&w);
	assert_int_equal(core_rig_attach(&w.a, "demo", "http://localhost:3000").result.e, 0);
	value = core_rig_get(&w.r, "tunnel", "demo");
	assert_non_null(strstr(value, "\"target\":\"http://localhost:3000\""));
	assert_non_null(strstr(value, w.ann.account));
	free(value);
	fake_leave(&w.a);
	assert_null(core_tunnel(w.r.core, STR("demo")));
	assert_int_equal(attach_e(&w.b, "demo"), ERR_EXISTS);
	fake_join(&w.a, &w.r, &w.ann, &laptop);

	/* an unknown member, of a later version, stays when the hint changes */
	core_rig_put(&w.r, "tunnel", "later",
		     own_record(record, w.ann.account, ",\"target\":\"old\",\"pet\":\"cat\""));
	assert_int_equal(core_rig_attach(&w.a, "later", "new").result.e, 0);
	value = core_rig_get(&w.r, "tunnel", "later");
	assert_non_null(strstr(value, "\"target\":\"new\""));
	assert_non_null(strstr(value, "\"pet\":\"cat\""));
	free(value);
	world_close(&w);
}

static void test_records_decide(void **state)
{
	static const struct {
		const char *why, *record; /* "": the account's own, with `more` in it */
		const char *more;
		int want;
	} cases[] = {
		{"switched off", "", ",\"enabled\":false", ERR_DISABLED},
		{"a member that stands twice", "", ",\"kind\":\"tcp\"", ERR_IO},
		{"of another kind", "{\"account\":\"%s\",\"kind\":\"tcp\",\"port\":9000}", NULL,
		 ERR_INVAL},
		{"of a kind of a later version", "{\"account\":\"%s\",\"kind\":\"gopher\"}", NULL,
		 ERR_IO},
		{"damaged", "{\"account\":", NULL, ERR_IO},
		{"nobody's", "{\"kind\":\"http\"}", NULL, ERR_IO},
		{"an account's name that is too long",
		 "{\"account\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxx\",\"kind\":\"http\"}", NULL, ERR_IO},
		{"somebody else's", "{\"account\":\"x\",\"kind\":\"http\"}", NULL, ERR_EXISTS},
		{"a right that cannot be read is no right for all", "",
		 ",\"rights\":{\"allow\":[\"everybody\"]}", ERR_IO},
		{"an unknown policy", "", ",\"policy\":\"best\"", ERR_IO},
		{"as it should be", "", "", 0},
	};
	char record[256];
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *account = w.ann.account, *percent = strchr(cases[i].record, '%');
		int e;

		if (cases[i].more != NULL)
			own_record(record, account, cases[i].more);
		else if (percent != NULL)
			str_printf(record, sizeof record, "%.*s%s%s",
				   (int)(percent - cases[i].record), cases[i].record, account,
				   percent + 2);
		else
			str_printf(record, sizeof record, "%s", cases[i].record);
		core_rig_put(&w.r, "tunnel", "demo", record);
		if ((e = attach_e(&w.a, "demo")) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
	}
	world_close(&w);
}

static void test_targets(void **state)
{
	char longest[RECORD_TARGET_MAX + 2];
	struct world w;

	world_open(&w);
	memset(longest, 'x', sizeof longest);
	longest[RECORD_TARGET_MAX + 1] = '\0';
	assert_int_equal(core_rig_attach(&w.a, "demo", longest).result.e, ERR_INVAL);
	longest[RECORD_TARGET_MAX] = '\0';
	assert_int_equal(core_rig_attach(&w.a, "demo", longest).result.e, 0);
	assert_int_equal(core_rig_attach(&w.a, "demo", "a\nb").result.e, ERR_INVAL);
	world_close(&w);
}

static void test_account_has_a_limit(void **state)
{
	struct told_attach told;
	struct world w;
	char name[16];

	world_open(&w);
	for (int i = 0; i < RECORD_TUNNELS_USUAL; i++) {
		snprintf(name, sizeof name, "t%d", i);
		assert_int_equal(attach_e(&w.a, name), 0);
	}
	told = core_rig_attach(&w.a, "more", "");
	assert_int_equal(told.result.e, ERR_LIMIT);
	assert_non_null(strstr(told.reason, "100"));
	assert_int_equal(attach_e(&w.a, ""), ERR_LIMIT);
	assert_int_equal(attach_e(&w.a, "t7"), 0);
	assert_int_equal(attach_e(&w.b, "more"), 0);
	world_close(&w);
}

static void test_session_has_a_limit(void **state)
{
	struct world w;
	char name[16], record[256];

	world_open(&w);
	own_record(record, w.ann.account, "");
	for (int i = 0; i <= CORE_TUNNELS_PER_SESSION; i++) {
		snprintf(name, sizeof name, "t%d", i);
		core_rig_put(&w.r, "tunnel", name, record);
		assert_int_equal(attach_e(&w.a, name),
				 i < CORE_TUNNELS_PER_SESSION ? 0 : ERR_LIMIT);
	}
	assert_int_equal(member_n_tunnels(w.a.member), CORE_TUNNELS_PER_SESSION);
	assert_int_equal(attach_e(&w.a, "t5"), 0); /* it does that already */
	world_close(&w);
}

static void test_many_at_once(void **state)
{
	static struct told_attach told[120];
	char name[16], *value;
	struct world w;

	memset(told, 0, sizeof told);
	world_open(&w);
	for (int i = 0; i < 120; i++) { /* 98 names, some asked for twice, and two random ones */
		snprintf(name, sizeof name, "n%d", i % 98);
		assert_int_equal(core_rig_ask(&w.a, i < 118 ? name : "", "", &told[i]), 0);
	}
	core_rig_run(&w.r);
	for (int i = 0; i < 120; i++) {
		assert_int_equal(told[i].calls, 1);
		if (told[i].result.e != 0)
			fail_msg("%d: %s", i, told[i].reason);
	}
	assert_int_equal(w.a.member->n_serving, 100);
	value = core_rig_get(&w.r, "account", w.ann.account);
	assert_non_null(strstr(value, "\"n_tunnels\":100"));
	free(value);
	world_close(&w);
}

/* Two nodes on one store, asked in the same turn. */
static void test_nodes_race(void **state)
{
	static const struct {
		const char *why;
		bool same_account;
		const char *first, *second;
		int want_second;
	} cases[] = {
		{"one name, two accounts", false, "tim", "tim", ERR_EXISTS},
		{"one label, two accounts", false, "x.tim", "y.tim", ERR_EXISTS},
		{"one name, one account", true, "tim", "tim", 0},
		{"two names, one account", true, "tim", "tom", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told[2] = {{0}};
		char *account, want[32];
		struct core_rig node;
		struct world w;
		struct fake f;

		world_open(&w);
		node = w.r; /* the same store and loop */
		assert_int_equal(core_new(w.r.ev, &w.r.opt, &node.core), 0);
		fake_join(&f, &node, cases[i].same_account ? &w.ann : &w.bob, &laptop);
		assert_int_equal(core_rig_ask(&w.a, cases[i].first, "", &told[0]), 0);
		assert_int_equal(core_rig_ask(&f, cases[i].second, "", &told[1]), 0);
		core_rig_run(&w.r);
		if (told[0].result.e != 0 || told[1].result.e != cases[i].want_second)
			fail_msg("%s: %s, %s", cases[i].why, err_name(told[0].result.e),
				 err_name(told[1].result.e));
		account = core_rig_get(&w.r, "account", w.ann.account);
		snprintf(want, sizeof want, "\"n_tunnels\":%d",
			 strcmp(cases[i].second, "tom") == 0 ? 2 : 1);
		assert_non_null(strstr(account, want));
		free(account);
		fake_leave(&f);
		core_free(node.core);
		world_close(&w);
	}
}

static void test_newer_process_takes_over(void **state)
{
	struct core_agent newer = laptop, other = laptop;
	struct fake n, o;
	struct told_attach told;
	struct world w;

	world_open(&w);
	newer.epoch = 200;
	str_printf(other.id, sizeof other.id, "desktop");
	other.epoch = 50;
	assert_int_equal(attach_e(&w.a, "demo"), 0);
	assert_int_equal(attach_e(&w.a, "more"), 0);
	fake_join(&n, &w.r, &w.ann, &newer);
	fake_join(&o, &w.r, &w.ann, &other);
	assert_int_equal(attach_e(&o, "demo"), 0); /* another agent of the account shares it */
	assert_int_equal(w.a.n_detached, 0);

	assert_int_equal(attach_e(&n, "demo"), 0);
	assert_int_equal(w.a.n_detached, 1);
	assert_int_equal(w.a.why, ERR_REPLACED);
	assert_string_equal(w.a.detached, "demo");
	assert_string_equal(w.a.reason,
			    "another karez with the same name of agent has taken over \"demo\"");
	assert_int_equal(member_n_tunnels(w.a.member), 1); /* "more" stays */
	assert_int_equal(o.n_detached, 0);
	assert_int_equal(core_tunnel(w.r.core, STR("demo"))->n_serving, 2);

	told = core_rig_attach(&w.a, "demo", ""); /* the ghost */
	assert_int_equal(told.result.e, ERR_REPLACED);
	assert_int_equal(n.n_detached, 0);
	fake_leave(&n);
	fake_leave(&o);
	assert_int_equal(attach_e(&w.a, "demo"), 0);
	world_close(&w);
}

static void test_ghosts_may_leave_while_told(void **state)
{
	struct core_agent agent = laptop;
	struct fake old[4], n;
	struct world w;

	world_open(&w);
	for (unsigned i = 0; i < ARRAY_LEN(old); i++) {
		agent.carrier = i + 1;
		fake_join(&old[i], &w.r, &w.ann, &agent);
		old[i].leave_when_told = true;
		assert_int_equal(attach_e(&old[i], "demo"), 0);
	}
	agent.epoch++;
	fake_join(&n, &w.r, &w.ann, &agent);
	assert_int_equal(attach_e(&n, "demo"), 0);
	for (unsigned i = 0; i < ARRAY_LEN(old); i++) {
		assert_int_equal(old[i].n_detached, 1);
		assert_null(old[i].member);
	}
	assert_int_equal(core_tunnel(w.r.core, STR("demo"))->n_serving, 1);
	fake_leave(&n);
	world_close(&w);
}

static void test_same_carrier_replaces(void **state)
{
	struct core_agent second = laptop;
	struct fake again, carrier;
	struct told_attach late = {0};
	struct world w;

	world_open(&w);
	assert_int_equal(attach_e(&w.a, "demo"), 0);
	second.carrier = 1;
	fake_join(&carrier, &w.r, &w.ann, &second);
	assert_int_equal(attach_e(&carrier, "demo"), 0);

	/* the connection was lost and comes back before its old end has noticed */
	assert_int_equal(core_rig_ask(&w.a, "late", "", &late), 0);
	fake_join(&again, &w.r, &w.ann, &laptop);
	assert_int_equal(w.a.n_expelled, 0); /* not from inside a call */
	assert_int_equal(member_n_tunnels(w.a.member), 0);
	core_rig_run(&w.r);
	assert_int_equal(w.a.n_expelled, 1);
	assert_int_equal(w.a.why, ERR_REPLACED);
	assert_string_equal(w.a.reason,
			    "this connection was replaced by a newer one of the same agent");
	assert_int_equal(late.calls, 1);
	assert_int_equal(late.result.e, ERR_REPLACED);
	assert_null(core_tunnel(w.r.core, STR("late")));
	assert_int_equal(attach_e(&again, "demo"), 0);
	assert_int_equal(core_tunnel(w.r.core, STR("demo"))->n_serving, 2);
	assert_int_equal(carrier.n_detached + carrier.n_expelled, 0);
	assert_int_equal(w.b.n_expelled, 0); /* the same id in another account is somebody else */
	fake_leave(&again);
	fake_leave(&carrier);
	world_close(&w);
}

static void test_replaced_may_leave_first(void **state)
{
	struct fake again;
	struct world w;

	world_open(&w);
	fake_join(&again, &w.r, &w.ann, &laptop);
	fake_leave(&w.a); /* in the same turn, before it is told */
	core_rig_run(&w.r);
	assert_int_equal(w.a.n_expelled, 0);
	fake_leave(&again);
	world_close(&w);
}

static void test_sessions_per_tunnel(void **state)
{
	static struct fake f[RECORD_SESSIONS_MAX + 1];
	struct core_agent agent = laptop;
	struct world w;

	world_open(&w);
	for (unsigned i = 0; i <= RECORD_SESSIONS_MAX; i++) {
		agent.carrier = i + 1;
		fake_join(&f[i], &w.r, &w.ann, &agent);
		assert_int_equal(attach_e(&f[i], "demo"), i < RECORD_SESSIONS_MAX ? 0 : ERR_LIMIT);
	}
	fake_leave(&f[3]);
	assert_int_equal(attach_e(&f[RECORD_SESSIONS_MAX], "demo"), 0);
	/* a newer process comes in although it is full of its own ghosts */
	agent.epoch++;
	fake_join(&f[3], &w.r, &w.ann, &agent);
	assert_int_equal(attach_e(&f[3], "demo"), 0);
	assert_int_equal(core_tunnel(w.r.core, STR("demo"))->n_serving, 1);
	for (unsigned i = 0; i <= RECORD_SESSIONS_MAX; i++)
		fake_leave(&f[i]);
	world_close(&w);
}

static void test_detach(void **state)
{
	struct world w;

	world_open(&w);
	assert_int_equal(attach_e(&w.a, "demo"), 0);
	member_detach(w.b.member, STR("demo"));
	member_detach(w.a.member, STR("other"));
	member_detach(w.a.member, STR("not a name"));
	assert_non_null(core_tunnel(w.r.core, STR("demo")));
	member_detach(w.a.member, STR("DEMO"));
	assert_null(core_tunnel(w.r.core, STR("demo")));
	assert_int_equal(w.a.n_detached, 0); /* its own wish */
	assert_non_null(strstr(w.r.last_line, "event=detach tunnel=demo"));
	assert_int_equal(attach_e(&w.a, "demo"), 0);
	world_close(&w);
}

/* What is asked about this kind is answered with judge_e, so often. */
static struct {
	const char *kind;
	enum store_verb verb;
	unsigned times;
} fails; /* the judge gets nothing else to look at */

static int fail_kind(struct core_rig *r, const struct store_req *req)
{
	if (req->verb != fails.verb || fails.times == 0 ||
	    !str_eq(req->writes[0].rec.kind, str_of(fails.kind)))
		return 0;
	fails.times--;
	return r->judge_e;
}

static void fail_next(struct core_rig *r, enum store_verb verb, const char *kind, unsigned times,
		      int e)
{
	ev_sim_run_for(r->ev, STORE_PEEK_MS + 1); /* nothing is known by heart */
	fails.verb = verb;
	fails.kind = kind;
	fails.times = times;
	r->judge = fail_kind;
	r->judge_e = e;
}

static void test_store_fails(void **state)
{
	static const struct {
		const char *why;
		enum store_verb verb;
		const char *kind; /* of a write: its first line's */
		unsigned times;
		int e, want;
	} cases[] = {
		{"the tunnel cannot be read", STORE_GET, "tunnel", 1, ERR_IO, ERR_IO},
		{"the account cannot be read", STORE_GET, "account", 1, ERR_IO, ERR_IO},
		{"the account is gone", STORE_GET, "account", 1, ERR_NOTFOUND, ERR_DISABLED},
		{"the claim cannot be read", STORE_GET, "claim", 1, ERR_TIMEOUT, ERR_TIMEOUT},
		{"what is owned cannot be read", STORE_GET, "owned", 1, ERR_IO, ERR_IO},
		{"nothing can be written", STORE_WRITE, "account", 1, ERR_FULL, ERR_FULL},
		{"read-only does not sound final", STORE_WRITE, "account", 1, ERR_DENIED, ERR_IO},
		{"another node was faster: look again", STORE_WRITE, "account", 1, ERR_CONFLICT, 0},
		{"always faster", STORE_WRITE, "account", CORE_TRIES_MAX, ERR_CONFLICT, ERR_LIMIT},
		{"no failure at all", STORE_WRITE, "claim", 1, ERR_IO, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		int e;

		world_open(&w);
		fail_next(&w.r, cases[i].verb, cases[i].kind, cases[i].times, cases[i].e);
		if ((e = attach_e(&w.a, "demo")) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		w.r.judge = NULL;
		ev_sim_run_for(w.r.ev, STORE_PEEK_MS + 1);
		assert_int_equal(attach_e(&w.a, "demo"), 0); /* the line goes on */
		assert_int_equal(attach_e(&w.b, "next"), 0);
		world_close(&w);
	}
}

static void test_a_hint_never_stops_a_tunnel(void **state)
{
	static const int errors[] = {ERR_FULL, ERR_DENIED, ERR_IO, ERR_CONFLICT};
	struct world w;

	world_open(&w);
	assert_int_equal(core_rig_attach(&w.a, "demo", "old").result.e, 0);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		fail_next(&w.r, STORE_WRITE, "tunnel", CORE_TRIES_MAX, errors[i]);
		assert_int_equal(core_rig_attach(&w.a, "demo", "new").result.e, 0);
		assert_true(fails.times < CORE_TRIES_MAX);
	}
	world_close(&w);
}

/* Requests of this kind wait. */
static int hold_kind(struct core_rig *r, const struct store_req *req)
{
	bool held = req->verb == fails.verb && str_eq(req->writes[0].rec.kind, str_of(fails.kind));

	return held ? CORE_RIG_HOLD : 0;
}

static void test_leaving_cancels(void **state)
{
	static const struct {
		enum store_verb verb;
		const char *kind;
		bool in_line; /* others of the account wait behind it */
	} cases[] = {
		{STORE_GET, "tunnel", false},	{STORE_GET, "account", true},
		{STORE_GET, "claim", true},	{STORE_GET, "owned", true},
		{STORE_WRITE, "account", true},
	};
	struct core_agent other = laptop;
	struct fake second;
	struct world w;

	world_open(&w);
	str_printf(other.id, sizeof other.id, "desktop");
	fake_join(&second, &w.r, &w.ann, &other);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach left = {0}, behind = {0}, beside = {0};
		char name[16];

		snprintf(name, sizeof name, "held%zu", i);
		ev_sim_run_for(w.r.ev, STORE_PEEK_MS + 1);
		fails.verb = cases[i].verb;
		fails.kind = cases[i].kind;
		w.r.judge = hold_kind;
		assert_int_equal(core_rig_ask(&w.a, name, "", &left), 0);
		core_rig_run(&w.r);
		w.r.judge = NULL;
		assert_int_equal(core_rig_ask(&second, "", "", &behind), 0);
		assert_int_equal(core_rig_ask(&w.b, "", "", &beside), 0);
		core_rig_run(&w.r);
		assert_int_equal(beside.calls, 1); /* another account, another line */
		assert_int_equal(behind.calls, !cases[i].in_line);
		fake_leave(&w.a);
		core_rig_run(&w.r);
		assert_int_equal(behind.calls, 1);
		assert_int_equal(behind.result.e, 0);
		core_rig_release(&w.r);
		assert_int_equal(left.calls, 0);
		fake_join(&w.a, &w.r, &w.ann, &laptop);
		assert_int_equal(attach_e(&w.a, name), 0);
	}
	fake_leave(&second);
	world_close(&w);
}

static void test_bounds(void **state)
{
	static struct told_attach told[CORE_ATTACHES_MAX + 1];
	struct world w;

	world_open(&w);
	w.r.judge = core_rig_hold_all;
	for (int i = 0; i < CORE_ATTACHES_MAX; i++)
		assert_int_equal(core_rig_ask(&w.a, "demo", "", &told[i]), 0);
	assert_int_equal(core_rig_ask(&w.b, "demo", "", &told[CORE_ATTACHES_MAX]), ERR_LIMIT);
	core_rig_run(&w.r);
	core_rig_release(&w.r);
	ev_sim_run_for(w.r.ev, 10);
	for (int i = 0; i < CORE_ATTACHES_MAX; i++)
		assert_true(told[i].calls == 1 && told[i].result.e == 0);
	assert_int_equal(member_n_tunnels(w.a.member), 1);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_belong_to_accounts),
		cmocka_unit_test(test_a_refusal_by_ssh),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_random_names),
		cmocka_unit_test(test_random_names_grow),
		cmocka_unit_test(test_records_outlive_sessions),
		cmocka_unit_test(test_records_decide),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_account_has_a_limit),
		cmocka_unit_test(test_session_has_a_limit),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_nodes_race),
		cmocka_unit_test(test_newer_process_takes_over),
		cmocka_unit_test(test_ghosts_may_leave_while_told),
		cmocka_unit_test(test_same_carrier_replaces),
		cmocka_unit_test(test_replaced_may_leave_first),
		cmocka_unit_test(test_sessions_per_tunnel),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_a_hint_never_stops_a_tunnel),
		cmocka_unit_test(test_leaving_cancels),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
