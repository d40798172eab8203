/* Whole lists: all or nothing, names by place, ports and domains that pass from one to another. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/tunnel_proofs.h"
#include "core/core_internal.h"
#include "unit/core/edit_rig.h"

static int setup(void **state)
{
	struct edit_rig *g = calloc(1, sizeof *g);

	assert_non_null(g);
	edit_rig_new(g);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	edit_rig_free(*state);
	free(*state);
	return 0;
}

#define REPLACE(g, entries) edit_rig_replace(g, &(g)->p.ann, "", entries)

static void expect(struct told_edit told, int e, const char *why)
{
	if (told.e != e)
		fail_msg("%s: %s, entry %zd, %s (%s)", why, err_name(told.e), (ssize_t)told.entry,
			 told.field, told.reason);
	assert_int_equal(told.entry == SIZE_MAX || told.e != 0, 1);
}

/* How many tunnels the account's record counts. */
static unsigned count(struct edit_rig *g, const struct access_who *who)
{
	struct record_account a;
	const char *value = edit_rig_record(g, "account", who->account);

	assert_int_equal(record_read_account(str_of(who->account), str_of(value), &a), 0);
	return (unsigned)a.n_tunnels;
}

/* ---- what becomes of what ---- */

static void test_steps(void **state)
{
	static const struct {
		const char *why, *list;
		const char *there; /* then */
		const char *said;  /* to the ports */
	} steps[] = {
		{"the first ones", "name=a kind=tcp port=9000;name=b kind=tcp port=9001;name=w",
		 "a/tcp/9000 b/tcp/9001 w/http/0 ", "take 9000@ take 9001@ "},
		{"the same again touches nothing",
		 "name=a kind=tcp port=9000;name=b kind=tcp port=9001;name=w",
		 "a/tcp/9000 b/tcp/9001 w/http/0 ", ""},
		{"in another order, too",
		 "name=w;name=b kind=tcp port=9001;name=a kind=tcp port=9000",
		 "a/tcp/9000 b/tcp/9001 w/http/0 ", ""},
		{"without their ports they keep them", "name=w;name=b kind=tcp;name=a kind=tcp",
		 "a/tcp/9000 b/tcp/9001 w/http/0 ", ""},
		{"one is changed, but not its port",
		 "name=w;name=b kind=tcp service=x;name=a kind=tcp",
		 "a/tcp/9000 b/tcp/9001 w/http/0 ", ""},
		{"two change places: nobody lets go of a port",
		 "name=w;name=b kind=tcp port=9000;name=a kind=tcp port=9001",
		 "a/tcp/9001 b/tcp/9000 w/http/0 ", ""},
		{"one goes, its port goes to a new one",
		 "name=w;name=b kind=tcp port=9000;name=c kind=tcp port=9001",
		 "b/tcp/9000 c/tcp/9001 w/http/0 ", ""},
		{"a name goes over to another kind",
		 "name=w kind=tcp port=9000;name=b kind=tls;name=c kind=tcp port=9001",
		 "b/tls/0 c/tcp/9001 w/tcp/9000 ", ""},
		{"one goes", "name=b kind=tls;name=c kind=tcp port=9001", "b/tls/0 c/tcp/9001 ",
		 "give 9000@ "},
		{"none is left", "", "", "give 9001@ "},
		{"nothing to do", "", "", ""},
	};
	struct edit_rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_edit told = REPLACE(g, steps[i].list);
		const char *there, *said = place_rig_said(&g->p);

		expect(told, 0, steps[i].why);
		if (strcmp(said, steps[i].said) != 0)
			fail_msg("%s: \"%s\"", steps[i].why, said);
		there = edit_rig_tunnels(g, &g->p.ann);
		if (strcmp(there, steps[i].there) != 0)
			fail_msg("%s: \"%s\"", steps[i].why, there);
		assert_int_equal(count(g, &g->p.ann), told.n);
	}
	assert_string_equal(edit_rig_record(g, "route", "tcp/9000"), "");
	assert_string_equal(edit_rig_record(g, "route", "tcp/9001"), "");
	assert_string_equal(edit_rig_record(g, "claim", "a"), "");
	assert_string_equal(edit_rig_record(g, "claim", "w"), "");
}

/* What leads to a tunnel says the same as the tunnel, after each exchange. */
static void test_routes_and_domains_change_hands(void **state)
{
	struct edit_rig *g = *state;
	struct record_domain d;

	g->p.r.opt.domains_unproven = true;
	edit_rig_restart(g);
	expect(REPLACE(g, "name=a kind=tcp port=9000;name=b kind=tcp port=9001;"
			  "name=x kind=tls domain=x.example domain=*.x.example;"
			  "name=y domain=y.example"),
	       0, "made");
	expect(REPLACE(g, "name=b kind=tcp port=9000;name=a kind=tcp port=9001;"
			  "name=x kind=tls domain=y.example;"
			  "name=y domain=x.example;name=z kind=tls domain=*.x.example"),
	       0, "exchanged");
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "b");
	assert_string_equal(edit_rig_route(g, "tcp/9001"), "a");
	assert_int_equal(record_read_domain(str_of(edit_rig_record(g, "domain", "x.example")), &d),
			 0);
	assert_string_equal(d.tunnel, "y");
	assert_int_equal(record_read_domain(str_of(edit_rig_record(g, "domain", "y.example")), &d),
			 0);
	assert_string_equal(d.tunnel, "x");
	assert_int_equal(record_read_domain(str_of(edit_rig_record(g, "domain", "*.x.example")),
					    &d),
			 0);
	assert_string_equal(d.tunnel, "z");
	expect(REPLACE(g, "name=a kind=tcp port=9001"), 0, "dropped");
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "");
	assert_string_equal(edit_rig_record(g, "domain", "x.example"), "");
	assert_string_equal(edit_rig_record(g, "domain", "*.x.example"), "");
	assert_string_equal(edit_rig_record(g, "route", "name/z"), "");
}

/* The claim of a label goes with the last of several that go at once, and stays for those that
 * stay. */
static void test_claims(void **state)
{
	struct edit_rig *g = *state;

	expect(REPLACE(g, "name=a.tim;name=b.tim;name=c.tim"), 0, "made");
	expect(REPLACE(g, "name=c.tim"), 0, "two go");
	assert_string_not_equal(edit_rig_record(g, "claim", "tim"), "");
	expect(REPLACE(g, "name=d.tim"), 0, "the last goes, another one comes");
	assert_string_not_equal(edit_rig_record(g, "claim", "tim"), "");
	expect(REPLACE(g, "name=d.tim;name=e.tim"), 0, "one more");
	expect(REPLACE(g, "name=x"), 0, "both go");
	assert_string_equal(edit_rig_record(g, "claim", "tim"), "");
	assert_int_equal(edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "f.tim", "").e, 0);
}

/* ---- names by place ---- */

static void test_nameless(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit first, told;

	g->p.r.opt.domains_unproven = true;
	edit_rig_restart(g);
	first = REPLACE(g, "kind=tcp port=9000;kind=tls domain=a.example domain=b.example;"
			   "kind=http domain=c.example;kind=tcp port=0");
	expect(first, 0, "made");
	told = REPLACE(g, "kind=http domain=c.example;kind=tls domain=b.example domain=a.example;"
			  "kind=tcp port=9000 service=x");
	expect(told, 0, "the same places in another order");
	assert_string_equal(told.tunnels[0].name, first.tunnels[2].name);
	assert_string_equal(told.tunnels[1].name, first.tunnels[1].name);
	assert_string_equal(told.tunnels[2].name, first.tunnels[0].name);
	assert_int_equal(count(g, &g->p.ann), 3);

	first = told;
	told = REPLACE(g, "kind=tls domain=a.example;kind=tcp port=9001");
	expect(told, 0, "other places are other tunnels");
	assert_string_not_equal(told.tunnels[0].name, first.tunnels[1].name);
	assert_string_not_equal(told.tunnels[1].name, first.tunnels[2].name);

	/* whoever is called by name is not somebody without one */
	expect(REPLACE(g, "name=n kind=tcp port=9001"), 0, "named");
	told = REPLACE(g, "kind=tcp port=9001;name=n kind=tcp port=9002");
	expect(told, 0, "its place goes to another one");
	assert_string_not_equal(told.tunnels[0].name, "n");
	assert_int_equal(told.tunnels[0].port, 9001);
	assert_string_equal(edit_rig_route(g, "tcp/9002"), "n");
}

/* Ann may have so many. */
static void allow_tunnels(struct edit_rig *g, unsigned n)
{
	char account[2048];

	str_printf(account, sizeof account, "%s", edit_rig_record(g, "account", g->p.ann.account));
	account[strlen(account) - 1] = '\0';
	str_printf(account + strlen(account), sizeof account - strlen(account),
		   ",\"quota\":{\"tunnels\":%u}}", n);
	core_rig_put(&g->p.r, "account", g->p.ann.account, account);
}

/* ---- all or nothing ---- */

static void test_one_is_wrong(void **state)
{
	static const struct {
		const char *why, *list;
		int want;
		size_t entry;
		const char *field;
	} cases[] = {
		{"a port that somebody else has", "name=a;name=b kind=tcp port=9050", ERR_INUSE, 1,
		 "ingress.tcp.port"},
		{"a port that is none of ours", "name=b kind=tcp port=80;name=a", ERR_DENIED, 0,
		 "ingress.tcp.port"},
		{"a port twice", "name=a kind=tcp port=9000;name=c kind=tcp port=9000", ERR_INUSE,
		 1, "ingress.tcp.port"},
		{"a port that another one keeps", "name=b kind=tcp port=9001;name=old kind=tcp",
		 ERR_INUSE, 1, "ingress.tcp.port"},
		{"a name twice", "name=a;name=c;name=A", ERR_INVAL, 2, "name"},
		{"a name that is none", "name=a;name=a_b", ERR_INVAL, 1, "name"},
		{"a reserved name", "name=api", ERR_RESERVED, 0, "name"},
		{"somebody else's name", "name=a;name=bobs", ERR_EXISTS, 1, "name"},
		{"under somebody else's name", "name=a;name=x.bobs", ERR_EXISTS, 1, "name"},
		{"a domain twice", "name=a domain=a.example;name=c kind=tls domain=A.example",
		 ERR_INVAL, 1, "domains"},
		{"a domain that is not proven", "name=a;name=c domain=a.example", ERR_INVAL, 1,
		 "ingress.http.alt_names"},
		{"an agent that is none", "name=a agent=a/b", ERR_INVAL, 0, "transport.agents"},
		{"passwords for tcp", "name=a;name=c kind=tcp port=9000 user=x", ERR_INVAL, 1,
		 "visitors.basic"},
		{"a user without a password who is not there", "name=a;name=c user=", ERR_INVAL, 1,
		 "visitors.basic"},
		{"an address that is none", "name=a kind=tcp port=9000 bind=x", ERR_INVAL, 0,
		 "ingress.tcp.bind"},
		{"more than the quota", "name=a;name=c;name=d;name=e", ERR_LIMIT, 3, ""},
	};
	struct edit_rig *g = *state;

	expect(REPLACE(g, "name=old kind=tcp port=9001"), 0, "what is there");
	allow_tunnels(g, 3);
	expect(edit_rig_replace(g, &g->p.bob, "", "name=bobs;name=b2 kind=tcp port=9050"), 0,
	       "bob's");
	(void)place_rig_said(&g->p);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_edit told = REPLACE(g, cases[i].list);

		if (told.e != cases[i].want || told.entry != cases[i].entry ||
		    strcmp(told.field, cases[i].field) != 0)
			fail_msg("%s: %s, entry %zd, %s (%s)", cases[i].why, err_name(told.e),
				 (ssize_t)told.entry, told.field, told.reason);
		assert_null(strstr(told.reason, "--name")); /* an option of agents */
		assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "old/tcp/9001 ");
		assert_string_equal(edit_rig_route(g, "tcp/9001"), "old");
		assert_int_equal(count(g, &g->p.ann), 1);
		assert_int_equal(g->p.n_taken, 2);
		assert_int_equal(g->p.r.core->n_lists, 0);
	}
}

/* The system refuses the last of several ports: those before are given back. */
static void test_a_port_cannot_be_had(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	g->p.other_bind = "192.0.2.1";
	told = REPLACE(g, "name=a kind=tcp port=9000 bind=127.0.0.1;"
			  "name=b kind=tcp port=9001 bind=192.0.2.1");
	assert_int_equal(told.e, ERR_INUSE);
	assert_int_equal(told.entry, 1);
	assert_non_null(strstr(told.reason, "port 9001 on 192.0.2.1 is in use"));
	assert_string_equal(place_rig_said(&g->p), "take 9000@127.0.0.1 give 9000@127.0.0.1 ");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "");
	g->p.other_bind = NULL;
}

static int fail_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? r->judge_e : 0;
}

/* A store that cannot be written to, or that dies in the middle: nothing here has changed. */
static void test_the_store_fails(void **state)
{
	static const int errors[] = {ERR_FULL, ERR_IO, ERR_TIMEOUT};
	struct edit_rig *g = *state;

	expect(REPLACE(g, "name=old kind=tcp port=9001"), 0, "what is there");
	(void)place_rig_said(&g->p);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		g->p.r.judge = fail_writes;
		g->p.r.judge_e = errors[i];
		expect(REPLACE(g, "name=old kind=tcp port=9002;name=new kind=tcp port=9001"),
		       errors[i], "the store's");
		g->p.r.judge = NULL;
		assert_string_equal(place_rig_said(&g->p), "take 9002@ give 9002@ ");
		assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "old/tcp/9001 ");
	}
}

static int conflict_once(struct core_rig *r, const struct store_req *req)
{
	if (req->verb != STORE_WRITE)
		return 0;
	r->judge = NULL;
	return ERR_CONFLICT;
}

/* Somebody came between: it is done again, with the same random names and ports. */
static void test_done_again(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	g->p.r.judge = conflict_once;
	told = REPLACE(g, "kind=tcp port=0;kind=tcp port=0;name=w");
	expect(told, 0, "after a conflict");
	assert_int_equal(g->p.n_taken, 2);
	assert_int_not_equal(told.tunnels[0].port, told.tunnels[1].port);
	assert_int_equal(count(g, &g->p.ann), 3);
	assert_string_equal(edit_rig_record(g, "route", "tcp/0"), "");
}

/* A list and a change for the same port at the same moment; a list and a new tunnel. */
static void test_at_once(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit list, change, made;

	assert_non_null(edit_rig_begin_replace(g, &g->p.ann, "", "name=a kind=tcp port=9000;name=b",
					       &list));
	assert_non_null(
		edit_rig_begin(g, &g->p.bob, MANAGE_CREATE, "his", "kind=tcp port=9000", &change));
	assert_non_null(edit_rig_begin(g, &g->p.ann, MANAGE_CREATE, "more", "", &made));
	core_rig_run(&g->p.r);
	assert_int_equal(list.calls + change.calls + made.calls, 3);
	assert_int_equal((list.e == 0) + (change.e == 0), 1);
	assert_int_equal(list.e + change.e, ERR_INUSE);
	assert_int_equal(made.e, 0);
	assert_int_equal(g->p.n_taken, 1);
	assert_int_equal(count(g, &g->p.ann), list.e == 0 ? 3 : 1);
}

/* ---- flags ---- */

static void test_dry_run(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	expect(REPLACE(g, "name=a kind=tcp port=9000"), 0, "what is there");
	(void)place_rig_said(&g->p);
	told = edit_rig_replace(g, &g->p.ann, "dry", "name=b kind=tcp port=9000;kind=tcp");
	expect(told, 0, "what would be");
	assert_int_equal(told.n, 2);
	assert_string_equal(told.tunnels[0].name, "b");
	assert_in_range(told.tunnels[1].port, 9001, 9100);
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "a/tcp/9000 ");
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "a");
	assert_int_equal(g->p.n_taken, 1);
	expect(edit_rig_replace(g, &g->p.ann, "dry", "name=b kind=tcp port=80"), ERR_DENIED,
	       "what would not be");
}

static void test_keep_http(void **state)
{
	struct edit_rig *g = *state;

	expect(REPLACE(g, "name=a kind=tcp port=9000;name=w;name=x service=x"), 0, "there");
	expect(edit_rig_replace(g, &g->p.ann, "keep", "name=b kind=tcp port=9000"), 0, "kept");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "b/tcp/9000 w/http/0 x/http/0 ");
	expect(edit_rig_replace(g, &g->p.ann, "keep", "name=w kind=tls"), 0, "but it may change");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "w/tls/0 x/http/0 ");
}

/* threshold's list cannot say who is let in: it must not open what was shut. */
static void test_keep_rest(void **state)
{
	struct edit_rig *g = *state;

	expect(REPLACE(g, "name=a kind=tcp port=9000 allow=10.0.0.0/8 drain=5"), 0, "there");
	expect(edit_rig_replace(g, &g->p.ann, "rest", "kind=tcp port=9000 service=x"), 0, "said");
	assert_non_null(strstr(edit_rig_record(g, "tunnel", "a"), "\"service\":\"x\""));
	assert_non_null(strstr(edit_rig_record(g, "tunnel", "a"), "10.0.0.0/8"));
	expect(edit_rig_replace(g, &g->p.ann, "", "kind=tcp port=9000 service=x"), 0, "whole");
	assert_null(strstr(edit_rig_record(g, "tunnel", "a"), "10.0.0.0/8"));
}

static void test_known_agents(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;
	struct fake f;

	told = edit_rig_replace(g, &g->p.ann, "known", "name=a;name=b agent=home");
	expect(told, ERR_NOTFOUND, "nobody knows it");
	assert_int_equal(told.entry, 1);
	assert_string_equal(told.field, "transport.agents");
	assert_non_null(strstr(told.reason, "\"home\""));
	expect(REPLACE(g, "name=b agent=home"), 0, "nobody asks");
	expect(edit_rig_replace(g, &g->p.ann, "known", "name=c agent=home"), 0, "by a tunnel");
	expect(edit_rig_replace(g, &g->p.bob, "known", "name=d agent=home"), ERR_NOTFOUND,
	       "another account's");
	place_rig_join(&g->p, &f, "office");
	expect(edit_rig_replace(g, &g->p.ann, "known", "name=c agent=home agent=office"), 0,
	       "connected");
	fake_leave(&f);
	core_rig_run(&g->p.r);
	expect(edit_rig_replace(g, &g->p.ann, "known", "name=e agent=office"), 0, "was connected");
}

static void test_all_accounts(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;
	char list[512];

	expect(REPLACE(g, "name=a kind=tcp port=9000;name=w"), 0, "ann's");
	expect(edit_rig_replace(g, &g->p.bob, "", "name=b kind=tcp port=9001"), 0, "bob's");
	expect(edit_rig_replace(g, &g->p.ann, "all", ""), ERR_DENIED, "not for everybody");
	assert_string_equal(edit_rig_tunnels(g, &g->p.bob), "b/tcp/9001 ");
	(void)place_rig_said(&g->p);
	str_printf(
		list, sizeof list,
		"account=%s name=a kind=tcp port=9001;account=%s name=b kind=tcp port=9000;name=r",
		g->p.ann.account, g->p.bob.account);
	told = edit_rig_replace(g, &g->root, "all", list);
	expect(told, 0, "ports pass from account to account");
	assert_string_equal(place_rig_said(&g->p), "");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "a/tcp/9001 ");
	assert_string_equal(edit_rig_tunnels(g, &g->p.bob), "b/tcp/9000 ");
	assert_string_equal(edit_rig_tunnels(g, &g->root), "r/http/0 ");
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "b");
	assert_int_equal(count(g, &g->p.ann), 1);
	assert_int_equal(count(g, &g->root), 1);
	told = edit_rig_replace(g, &g->root, "all", "name=a");
	expect(told, ERR_EXISTS, "a tunnel does not change its account");
	assert_int_equal(told.entry, 0);
	told = edit_rig_replace(g, &g->root, "all", "name=n;account=nobody name=o");
	expect(told, ERR_NOTFOUND, "an account that is not there");
	assert_int_equal(told.entry, 1);
	assert_string_equal(told.field, "account");
	/* its own list is its own */
	expect(edit_rig_replace(g, &g->root, "", ""), 0, "an administrator's");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "a/tcp/9001 ");
	/* who owns a label is looked up in the lists of both accounts, one after the other */
	expect(edit_rig_replace(g, &g->root, "all", ""), 0, "the last ones of several accounts");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "");
	assert_string_equal(edit_rig_tunnels(g, &g->p.bob), "");
}

/* ---- who may ---- */

static void test_who_may(void **state)
{
	struct edit_rig *g = *state;
	struct access_who some = g->p.ann, tcp = g->p.ann;
	struct told_edit told;

	str_printf(some.scope.tunnels, sizeof some.scope.tunnels, "a");
	tcp.scope.kinds = 1u << TUNNEL_TCP;
	expect(edit_rig_replace(g, NULL, "", ""), ERR_AUTH, "nobody");
	expect(edit_rig_replace(g, &some, "", "name=a kind=tcp port=9000"), 0, "its own name");
	expect(edit_rig_replace(g, &some, "", "name=b"), ERR_DENIED, "another name");
	expect(edit_rig_replace(g, &some, "", "kind=tcp port=9001"), ERR_DENIED, "no name");
	expect(REPLACE(g, "name=a kind=tcp port=9000;name=w"), 0, "one more");
	told = edit_rig_replace(g, &some, "", "name=a kind=tcp port=9000");
	expect(told, ERR_DENIED, "what it would delete is not its own");
	assert_int_equal(told.entry, SIZE_MAX);
	assert_non_null(strstr(told.reason, "\"w\""));
	expect(edit_rig_replace(g, &tcp, "", ""), ERR_DENIED, "of another kind");
	expect(edit_rig_replace(g, &tcp, "keep", ""), 0, "kept, it does not matter");
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "w/http/0 ");
}

/* ---- many ---- */

struct many {
	struct manage_tunnel_entry entries[MANAGE_LIST_MAX + 1];
	char names[MANAGE_LIST_MAX + 1][16];
	struct told_edit told;
	unsigned calls, ms; /* ms: how long it took; each pause takes one */
	int e;
	size_t n;
};

static void on_many(void *arg, const struct manage_answer *a)
{
	struct many *m = arg;

	m->calls++;
	m->e = a->e;
	m->n = a->n;
}

static int replace_many(struct edit_rig *g, struct many *m, size_t n)
{
	struct manage_asker by = {&g->p.ann, on_many, m};
	struct manage_tunnel_list l = {.entries = m->entries, .n = n};

	m->calls = 0;
	assert_non_null(manage_tunnel_replace(g->p.r.core, &by, &l));
	for (m->ms = 0; m->calls == 0 && m->ms < 1000; m->ms++)
		core_rig_run(&g->p.r);
	assert_int_equal(m->calls, 1);
	return m->e;
}

static void name_many(struct many *m, const char *prefix, const struct record_tunnel *to)
{
	for (size_t i = 0; i <= MANAGE_LIST_MAX; i++) {
		str_printf(m->names[i], sizeof m->names[i], "%s%zu", prefix, i);
		m->entries[i] = (struct manage_tunnel_entry){.name = str_of(m->names[i]),
							     .set = MANAGE_T_KIND,
							     .to = to};
	}
}

static void test_a_thousand(void **state)
{
	static const struct record_tunnel tcp = {.kind = TUNNEL_TCP}, tls = {.kind = TUNNEL_TLS};
	static const struct access_ports wide[] = {{10000, 40000}};
	struct edit_rig *g = *state;
	struct many *m = calloc(1, sizeof *m);

	assert_non_null(m);
	g->p.r.opt.tcp_ports = wide;
	edit_rig_restart(g);
	allow_tunnels(g, MANAGE_LIST_MAX);
	name_many(m, "a", &tcp);
	assert_int_equal(replace_many(g, m, MANAGE_LIST_MAX), 0);
	assert_true(m->ms > MANAGE_LIST_MAX / 30); /* the loop was left to others again and again */
	assert_int_equal(m->n, MANAGE_LIST_MAX);
	assert_int_equal(g->p.n_taken, MANAGE_LIST_MAX);
	assert_int_equal(count(g, &g->p.ann), MANAGE_LIST_MAX);
	g->p.r.n_asked = 0;
	assert_int_equal(replace_many(g, m, MANAGE_LIST_MAX), 0); /* nothing to do */
	assert_true(g->p.r.n_asked < 1100);
	name_many(m, "b", &tls); /* all others in their place */
	assert_int_equal(replace_many(g, m, MANAGE_LIST_MAX), 0);
	assert_int_equal(g->p.n_taken, 0);
	assert_int_equal(count(g, &g->p.ann), MANAGE_LIST_MAX);
	assert_string_equal(edit_rig_record(g, "claim", "a7"), "");
	assert_int_equal(replace_many(g, m, MANAGE_LIST_MAX + 1), ERR_TOOBIG);
	assert_int_equal(replace_many(g, m, 0), 0);
	assert_int_equal(count(g, &g->p.ann), 0);
	free(m);
}

/* Others come between in one of its pauses: nothing of theirs is lost unseen, nothing is half. */
static void test_changes_in_a_pause(void **state)
{
	static const struct record_tunnel to[] = {{.kind = TUNNEL_TLS, .target = "one"},
						  {.kind = TUNNEL_TLS, .target = "two"}};
	struct edit_rig *g = *state;
	struct many *m = calloc(1, sizeof *m);
	struct manage_asker by = {&g->p.ann, on_many, m};
	struct manage_tunnel_list l = {.n = 300};
	char record[1024];
	unsigned ms;

	assert_non_null(m);
	allow_tunnels(g, MANAGE_LIST_MAX);
	l.entries = m->entries;
	name_many(m, "a", &to[0]);
	assert_int_equal(replace_many(g, m, l.n), 0);
	for (ms = 0;; ms++) { /* at each of its pauses */
		name_many(m, "a", &to[ms % 2]);
		for (size_t i = 0; i < l.n; i++)
			m->entries[i].set = MANAGE_T_KIND | MANAGE_T_TARGET;
		str_printf(record, sizeof record, "%s", edit_rig_record(g, "tunnel", "a70"));
		m->calls = 0;
		assert_non_null(manage_tunnel_replace(g->p.r.core, &by, &l));
		for (unsigned i = 0; i < ms; i++)
			core_rig_run(&g->p.r);
		if (m->calls != 0)
			break;
		record[strlen(record) - 1] = '\0';
		str_printf(record + strlen(record), sizeof record - strlen(record),
			   ",\"x%u\":true}", ms);
		core_rig_put(&g->p.r, "tunnel", "a70", record); /* as another node does */
		for (unsigned i = 0; m->calls == 0 && i < 1000; i++)
			core_rig_run(&g->p.r);
		assert_int_equal(m->e, 0);
		str_printf(record, sizeof record, "\"x%u\":true", ms);
		assert_non_null(strstr(edit_rig_record(g, "tunnel", "a70"), record));
		assert_non_null(strstr(edit_rig_record(g, "tunnel", "a70"), to[ms % 2].target));
		assert_non_null(strstr(edit_rig_record(g, "tunnel", "a89"), to[ms % 2].target));
	}
	assert_true(ms > 5);
	free(m);
}

/* A name that was drawn is another one with the next try: nobody is told to point a record at it.
 */
static void test_domains_without_a_name(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	told = edit_rig_replace(g, &g->p.ann, "", "name=a;kind=tls domain=a.example");
	expect(told, ERR_INVAL, "it is not proven");
	assert_non_null(strstr(told.reason, "\"_karez.a.example TXT karez-verify="));
	assert_null(strstr(told.reason, ".localhost"));
	told = edit_rig_replace(g, &g->p.ann, "", "name=a;name=b kind=tls domain=a.example");
	expect(told, ERR_INVAL, "with a name");
	assert_non_null(strstr(told.reason, "\"a.example CNAME b.localhost\""));
}

/* A DNS that says nothing holds a list for so long, and no longer, however many domains it has. */
static void test_a_silent_dns(void **state)
{
	struct edit_rig *g = *state;
	char list[4096] = "name=first;name=second kind=tls domain=said.example";
	struct told_edit told;
	struct manage *m;

	for (int i = 0; i < 100; i++) {
		size_t n = strlen(list);

		if (i % 10 == 0)
			n += str_printf(list + n, sizeof list - n, ";name=t%d kind=tls", i);
		str_printf(list + n, sizeof list - n, " domain=h%d.example", i);
	}
	g->dns.hold = true;
	m = edit_rig_begin_replace(g, &g->p.ann, "", list, &told);
	assert_non_null(m);
	core_rig_run(&g->p.r);
	assert_int_equal(g->dns.n_pending, 2 * TUNNEL_PROOFS_AT_ONCE * RECORD_ALT_NAMES_MAX);
	ev_sim_run_for(g->p.r.ev, TUNNEL_PROOFS_MS - 10);
	assert_int_equal(told.calls, 0);
	ev_sim_run_for(g->p.r.ev, 100);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, ERR_INVAL);
	assert_int_equal(told.entry, 1);
	assert_non_null(strstr(told.reason, "said.example"));
	assert_non_null(strstr(told.reason, "timed out"));
	assert_int_equal(g->dns.n_pending, 0);
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "");
}

/* So many lists at a time, and no more; whoever goes away is not told. */
static void test_bounds(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told[MANAGE_LISTS_MAX + 1];
	struct manage *m = NULL;

	for (size_t i = 0; i < MANAGE_LISTS_MAX; i++)
		assert_non_null(m = edit_rig_begin_replace(g, &g->p.ann, "",
							   "name=a kind=tcp port=9000", &told[i]));
	assert_null(edit_rig_begin_replace(g, &g->p.ann, "", "", &told[MANAGE_LISTS_MAX]));
	manage_cancel(m);
	core_rig_run(&g->p.r);
	for (size_t i = 0; i < MANAGE_LISTS_MAX; i++)
		assert_int_equal(told[i].calls, i + 1 < MANAGE_LISTS_MAX);
	assert_int_equal(g->p.r.core->n_lists, 0);
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "a/tcp/9000 ");
}

static void test_the_core_goes(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	g->p.r.judge = core_rig_hold_all;
	assert_non_null(
		edit_rig_begin_replace(g, &g->p.ann, "", "name=a kind=tcp port=9000", &told));
	core_rig_run(&g->p.r);
	core_free(g->p.r.core);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, ERR_CLOSED);
	core_rig_release(&g->p.r);
	assert_int_equal(core_new(g->p.r.ev, &g->p.r.opt, &g->p.r.core), 0);
}

/* ---- proofs ---- */

static void test_many_domains(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;
	char list[4096] = "";
	static char hosts[25][32];

	for (int i = 0; i < 25; i++) { /* of three tunnels, more than one batch */
		size_t n = strlen(list);

		str_printf(hosts[i], sizeof hosts[i], "h%d.example", i);
		str_printf(list + n, sizeof list - n, "%s domain=%s",
			   i == 0    ? "name=a"
			   : i == 10 ? ";name=b kind=tls"
			   : i == 20 ? ";name=c"
				     : "",
			   hosts[i]);
	}
	for (int i = 0; i < 15; i++)
		dns_rig_add(&g->dns, CORE_DNS_CNAME, hosts[i],
			    i < 10 ? "a.localhost" : "b.localhost", 0);
	told = edit_rig_replace(g, &g->p.ann, "", list);
	expect(told, ERR_INVAL, "the sixteenth is not proven");
	assert_int_equal(told.entry, 1);
	assert_non_null(strstr(told.reason, "h15.example"));
	assert_int_equal(g->dns.n_asked, 50);
	assert_string_equal(edit_rig_tunnels(g, &g->p.ann), "");
	g->p.r.opt.domains_unproven = true;
	edit_rig_restart(g);
	expect(edit_rig_replace(g, &g->p.ann, "", list), 0, "nobody has to prove them");
	g->p.r.opt.domains_unproven = false;
	edit_rig_restart(g);
	expect(edit_rig_replace(g, &g->p.ann, "", list), 0, "what is there is not asked again");
	assert_int_equal(g->dns.n_asked, 50);
}

/* Whoever is reached at a port is so as long as nothing is decided. */
static void test_ports_stay_until_it_is_decided(void **state)
{
	static const char moved[] = "name=a kind=tcp port=9000 bind=127.0.0.1";
	struct edit_rig *g = *state;
	struct manage *m;
	struct told_edit told;
	char list[256];

	expect(edit_rig_replace(g, &g->p.ann, "", "name=a kind=tcp port=9000"), 0, "a port");
	place_rig_said(&g->p);
	expect(edit_rig_replace(g, &g->p.ann, "dry", moved), 0, "a question about its address");
	assert_string_equal(place_rig_said(&g->p), "take 9000@127.0.0.1 give 9000@127.0.0.1 ");
	g->p.other_bind = "127.0.0.1";
	expect(edit_rig_replace(g, &g->p.ann, "dry", moved), ERR_INUSE, "it cannot be had there");
	g->p.other_bind = NULL;
	assert_string_equal(place_rig_said(&g->p), "");

	str_printf(list, sizeof list, "%s;name=b kind=tls domain=b.example", moved);
	g->dns.hold = true;
	m = edit_rig_begin_replace(g, &g->p.ann, "", list, &told);
	assert_non_null(m);
	core_rig_run(&g->p.r);
	assert_int_equal(told.calls, 0);
	assert_string_equal(place_rig_said(&g->p), "");
	dns_rig_release(&g->dns);
	core_rig_run(&g->p.r);
	assert_int_equal(told.calls, 1);
	expect(told, ERR_INVAL, "the domain is not proven");
	assert_string_equal(place_rig_said(&g->p), "");
}

int main(void)
{
#define LIST_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		LIST_TEST(test_steps),
		LIST_TEST(test_routes_and_domains_change_hands),
		LIST_TEST(test_claims),
		LIST_TEST(test_nameless),
		LIST_TEST(test_one_is_wrong),
		LIST_TEST(test_a_port_cannot_be_had),
		LIST_TEST(test_the_store_fails),
		LIST_TEST(test_done_again),
		LIST_TEST(test_at_once),
		LIST_TEST(test_dry_run),
		LIST_TEST(test_keep_http),
		LIST_TEST(test_keep_rest),
		LIST_TEST(test_known_agents),
		LIST_TEST(test_all_accounts),
		LIST_TEST(test_who_may),
		LIST_TEST(test_a_thousand),
		LIST_TEST(test_changes_in_a_pause),
		LIST_TEST(test_bounds),
		LIST_TEST(test_the_core_goes),
		LIST_TEST(test_many_domains),
		LIST_TEST(test_a_silent_dns),
		LIST_TEST(test_domains_without_a_name),
		LIST_TEST(test_ports_stay_until_it_is_decided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
