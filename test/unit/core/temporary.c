/* Tunnels that go with the last session that serves them, and those that are found by their route.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/manage.h"
#include "unit/core/account_rig.h"
#include "unit/core/edit_rig.h"

/* A wish as a stock client's forward without a name makes it; words: as edit_rig_wish(). */
struct wished {
	struct edit_wish words;
	struct core_wish wish;
};

static void wished_read(struct wished *w, const char *name, const char *words)
{
	edit_rig_wish(words, &w->words);
	w->wish = (struct core_wish){.kind = w->words.ch.to.kind,
				     .name = str_of(name),
				     .target = STR(""),
				     .change = &w->words.ch,
				     .by_route = true,
				     .temporary = true};
}

static void forward_begin(struct fake *f, const char *name, const char *words,
			  struct told_attach *told)
{
	struct wished w;

	wished_read(&w, name, words);
	assert_int_equal(member_attach(f->member, &w.wish, core_rig_on_attached, told), 0);
}

static struct told_attach forward(struct fake *f, const char *name, const char *words)
{
	struct told_attach told = {0};

	forward_begin(f, name, words, &told);
	core_rig_run(f->rig);
	assert_int_equal(told.calls, 1);
	return told;
}

/* The same, which must work: its name. */
static const char *forwarded(struct fake *f, const char *name, const char *words)
{
	static char got[HOSTNAME_MAX + 1];
	struct told_attach told = forward(f, name, words);

	if (told.result.e != 0)
		fail_msg("%s: %s", words, told.reason);
	memcpy(got, told.result.name, sizeof got);
	return got;
}

static void join_as(struct edit_rig *g, struct fake *f, const char *agent,
		    const struct access_who *who)
{
	struct core_agent id = {.epoch = 1};

	assert_int_equal(str_copy(id.id, sizeof id.id, str_of(agent)), 0);
	fake_join_ssh(f, &g->p.r, who, &id);
}

static void join(struct edit_rig *g, struct fake *f, const char *agent)
{
	join_as(g, f, agent, &g->p.ann);
}

static size_t n_notes(struct edit_rig *g, const char *name)
{
	return edit_rig_record(g, "temporary", name)[0] != '\0';
}

static uint64_t n_tunnels(struct edit_rig *g)
{
	struct record_account a;
	const char *value = edit_rig_record(g, "account", g->p.ann.account);

	assert_int_equal(record_read_account(str_of(g->p.ann.account), str_of(value), &a), 0);
	return a.n_tunnels;
}

/* ---- life ---- */

static void test_it_goes_with_its_last_session(void **state)
{
	struct told_attach told;
	char name[HOSTNAME_MAX + 1];
	struct edit_rig g;
	struct fake a, b;

	edit_rig_new(&g);
	join(&g, &a, "a");
	join(&g, &b, "b");
	place_rig_said(&g.p);
	told = forward(&a, "", "kind=tcp port=9001");
	assert_int_equal(told.result.e, 0);
	assert_int_equal(told.result.port, 9001);
	memcpy(name, told.result.name, sizeof name);
	assert_non_null(strstr(edit_rig_record(&g, "tunnel", name), "\"temporary\":true"));
	assert_string_equal(edit_rig_route(&g, "tcp/9001"), name);
	assert_int_equal(n_notes(&g, name), 1);
	assert_int_equal(n_tunnels(&g), 1);

	/* another session of the account that asks for the port shares it */
	assert_string_equal(forwarded(&b, "", "kind=tcp port=9001"), name);
	assert_int_equal(n_tunnels(&g), 1);
	fake_leave(&a);
	core_rig_run(&g.p.r);
	assert_int_equal(n_tunnels(&g), 1);
	assert_int_equal(g.p.n_taken, 1);
	assert_non_null(core_tunnel(g.p.r.core, str_of(name)));

	member_detach(b.member, str_of(name)); /* not only a session's end counts */
	core_rig_run(&g.p.r);
	assert_string_equal(edit_rig_record(&g, "tunnel", name), "");
	assert_string_equal(edit_rig_route(&g, "tcp/9001"), "");
	assert_int_equal(n_notes(&g, name), 0);
	assert_int_equal(n_tunnels(&g), 0);
	assert_int_equal(g.p.n_taken, 0);
	fake_leave(&b);
	edit_rig_free(&g);
}

struct guest {
	struct core_visitor seen; /* first */
	struct visit visit;
	unsigned n_left;
};

static void guest_on_leave(struct core_visitor *v, uint64_t ms)
{
	((struct guest *)v)->n_left++;
}

/* Given up by its session it goes, but those who are being served may finish; deleted by its owner
 * it ends them. */
static void test_whoever_is_served_may_finish(void **state)
{
	static const struct {
		const char *why;
		bool deleted;
	} cases[] = {{"given up", false}, {"deleted", true}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct guest guest = {.seen = {.leave = guest_on_leave}};
		struct edit_rig g;
		struct fake f;

		edit_rig_new(&g);
		join(&g, &f, "a");
		assert_int_equal(str_copy(guest.visit.tunnel, sizeof guest.visit.tunnel,
					  str_of(forwarded(&f, "", "kind=tcp port=9001"))),
				 0);
		guest.seen.place =
			tunnel_choose(core_tunnel(g.p.r.core, str_of(guest.visit.tunnel)));
		core_visitor_begin(g.p.r.core, &guest.seen, &guest.visit);
		if (cases[i].deleted)
			assert_int_equal(edit_rig_drop(&g, &g.p.ann, guest.visit.tunnel).e, 0);
		else
			member_detach(f.member, str_of(guest.visit.tunnel));
		core_rig_run(&g.p.r);
		assert_string_equal(edit_rig_record(&g, "tunnel", guest.visit.tunnel), "");
		if ((guest.n_left > 0) != cases[i].deleted)
			fail_msg("%s: told to leave %u times", cases[i].why, guest.n_left);
		core_visitor_end(&guest.seen);
		fake_leave(&f);
		edit_rig_free(&g);
	}
}

/* Whoever says its name wants it to stay; so does who changes it. */
static void test_what_makes_it_stay(void **state)
{
	static const struct {
		const char *why;
		enum {
			BY_AGENT,
			BY_NAME,
			BY_WISH,
			BY_PATCH,
			BY_PUT,
			BY_LIST,
			BY_AGAIN,
			BY_ROUTE
		} how;
		bool stays;
	} cases[] = {
		{"an agent that serves it by its name", BY_AGENT, true},
		{"a forward with its name and nothing else", BY_NAME, true},
		{"an agent with a wish", BY_WISH, true},
		{"a change of one thing", BY_PATCH, true},
		{"a change of all", BY_PUT, true},
		{"a list that has it", BY_LIST, true},
		{"a session that has lost it asks again", BY_AGAIN, false},
		{"another forward to it", BY_ROUTE, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told;
		struct edit_rig g;
		struct fake a, b;
		struct wished w;

		edit_rig_new(&g);
		join(&g, &a, "a");
		join(&g, &b, "b");
		assert_string_equal(forwarded(&a, "web", "kind=http"), "web");
		wished_read(&w, "web", "kind=http drain=1000");
		w.wish.again = cases[i].how == BY_AGAIN || cases[i].how == BY_NAME;
		switch (cases[i].how) {
		case BY_AGENT:
			told = core_rig_attach(&b, "web", "");
			assert_int_equal(told.result.e, 0);
			break;
		case BY_AGAIN:
		case BY_NAME:
		case BY_WISH:
			w.wish.temporary = cases[i].how == BY_AGAIN;
			memset(&told, 0, sizeof told);
			assert_int_equal(member_attach(b.member, &w.wish, core_rig_on_attached,
						       &told),
					 0);
			core_rig_run(&g.p.r);
			assert_int_equal(told.result.e, 0);
			break;
		case BY_PATCH:
			edit_rig_change(&g, &g.p.ann, MANAGE_PATCH, "web", "drain=1000");
			break;
		case BY_PUT: edit_rig_change(&g, &g.p.ann, MANAGE_PUT, "web", "kind=http"); break;
		case BY_LIST: edit_rig_replace(&g, &g.p.ann, "", "name=web"); break;
		case BY_ROUTE: forwarded(&b, "web", "kind=http"); break;
		}
		fake_leave(&a);
		fake_leave(&b);
		core_rig_run(&g.p.r);
		if ((edit_rig_record(&g, "tunnel", "web")[0] != '\0') != cases[i].stays ||
		    strstr(edit_rig_record(&g, "tunnel", "web"), "temporary") != NULL ||
		    n_notes(&g, "web") != 0)
			fail_msg("%s", cases[i].why);
		edit_rig_free(&g);
	}
}

/* One that was there stays what it was, whoever comes without saying so. */
static void test_one_that_was_there(void **state)
{
	struct edit_rig g;
	struct fake a;

	edit_rig_new(&g);
	edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "db", "kind=tcp port=9001");
	edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "web", "kind=http");
	join(&g, &a, "a");
	assert_string_equal(forwarded(&a, "", "kind=tcp port=9001"), "db");
	assert_string_equal(forwarded(&a, "web", "kind=http"), "web");
	fake_leave(&a);
	core_rig_run(&g.p.r);
	assert_string_equal(edit_rig_tunnels(&g, &g.p.ann), "db/tcp/9001 web/http/0 ");
	edit_rig_free(&g);
}

/* ---- by its route ---- */

static void test_by_route(void **state)
{
	static const struct {
		const char *why, *words, *want; /* want: a name, "?": a new one, else an error */
	} cases[] = {
		{"the port of one of its own", "kind=tcp port=9001", "db"},
		{"a port of nobody", "kind=tcp port=9009", "?"},
		{"any port", "kind=tcp port=0", "?"},
		{"a port of somebody else", "kind=tcp port=9002", "INUSE"},
		{"a domain of one of its own", "kind=http domain=app.example.org", "web"},
		{"the same for TLS, which that one is not", "kind=tls domain=app.example.org", "?"},
		{"a domain of nobody", "kind=http domain=new.example.org", "?"},
		{"nothing to find it by", "kind=http", "?"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told;
		struct edit_rig g;
		struct fake a;
		bool ok;

		edit_rig_new(&g);
		g.p.r.opt.domains_unproven = true;
		edit_rig_restart(&g);
		edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "db", "kind=tcp port=9001");
		edit_rig_change(&g, &g.p.bob, MANAGE_CREATE, "bobs", "kind=tcp port=9002");
		edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "web",
				"kind=http domain=one.example.org domain=app.example.org");
		join(&g, &a, "a");
		told = forward(&a, "", cases[i].words);
		ok = told.result.e == 0 && strcmp(told.result.name, cases[i].want) == 0;
		if (strcmp(cases[i].want, "?") == 0)
			ok = told.result.e == 0 && strcmp(told.result.name, "db") != 0 &&
			     strcmp(told.result.name, "web") != 0;
		else if (strcmp(cases[i].want, "INUSE") == 0)
			ok = told.result.e == ERR_INUSE;
		if (!ok)
			fail_msg("%s: %s %s", cases[i].why, told.result.name, told.reason);
		if (strcmp(cases[i].want, "web") == 0) /* its other domain stays */
			assert_non_null(
				strstr(edit_rig_record(&g, "tunnel", "web"), "one.example.org"));
		fake_leave(&a);
		edit_rig_free(&g);
	}
}

/* What a key is good for decides about each forward, by whatever it is found. */
static void test_scopes(void **state)
{
	static const struct {
		const char *why;
		struct access_scope scope;
		const char *name, *words;
		int want;
	} cases[] = {
		{"limited to this tunnel", {.tunnels = "db"}, "", "kind=tcp port=9001", 0},
		{"limited to another", {.tunnels = "web"}, "", "kind=tcp port=9001", ERR_DENIED},
		{"limited to names: a new one",
		 {.tunnels = "db"},
		 "",
		 "kind=tcp port=9009",
		 ERR_DENIED},
		{"limited to names: no port", {.tunnels = "db"}, "", "kind=http", ERR_DENIED},
		{"one of these ports",
		 {.ports = {{9001, 9005}}, .n_ports = 1},
		 "",
		 "kind=tcp port=9003",
		 0},
		{"none of these ports",
		 {.ports = {{9001, 9005}}, .n_ports = 1},
		 "",
		 "kind=tcp port=9006",
		 ERR_DENIED},
		{"the found one has none of these",
		 {.ports = {{9003, 9005}}, .n_ports = 1},
		 "",
		 "kind=tcp port=9001",
		 ERR_DENIED},
		{"any of these ports",
		 {.ports = {{9003, 9003}}, .n_ports = 1},
		 "",
		 "kind=tcp port=0",
		 0},
		{"another kind",
		 {.kinds = 1u << TUNNEL_HTTP},
		 "",
		 "kind=tcp port=9001",
		 ERR_DENIED},
		{"its kind", {.kinds = 1u << TUNNEL_HTTP}, "tim", "kind=http", 0},
		{"a name of another", {.tunnels = "web"}, "tim", "kind=http", ERR_DENIED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_account made;
		struct told_attach told;
		struct access_who who;
		struct edit_rig g;
		struct fake a;

		edit_rig_new(&g);
		edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "db", "kind=tcp port=9001");
		made = account_rig_token(&g.p.r, &g.p.ann, &cases[i].scope);
		who = account_rig_login(&g.p.r, made.token);
		join_as(&g, &a, "a", &who);
		told = forward(&a, cases[i].name, cases[i].words);
		if (told.result.e != cases[i].want)
			fail_msg("%s: %s %s", cases[i].why, told.result.name, told.reason);
		fake_leave(&a);
		core_rig_run(&g.p.r);
		assert_string_equal(edit_rig_tunnels(&g, &g.p.ann), "db/tcp/9001 ");
		edit_rig_free(&g);
	}
}

/* ---- those who come and go at the same moment ---- */

static int hold_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? CORE_RIG_HOLD : 0;
}

static void test_the_next_one_is_there_already(void **state)
{
	static const struct {
		const char *why;
		bool held; /* the drop is on its way to the store when the next one asks */
		bool named;
	} cases[] = {
		{"in the same turn", false, false},
		{"while it is being dropped", true, false},
		{"by an agent, in the same turn", false, true},
		{"by an agent, while it is being dropped", true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told = {0};
		struct edit_rig g;
		struct fake a, b;

		edit_rig_new(&g);
		join(&g, &a, "a");
		join(&g, &b, "b");
		forwarded(&a, "tim", "kind=http");
		if (cases[i].held)
			g.p.r.judge = hold_writes;
		fake_leave(&a);
		if (cases[i].held) {
			core_rig_run(&g.p.r);
			assert_string_not_equal(edit_rig_record(&g, "tunnel", "tim"), "");
		}
		if (cases[i].named)
			assert_int_equal(core_rig_ask(&b, "tim", "", &told), 0);
		else
			forward_begin(&b, "tim", "kind=http", &told);
		core_rig_run(&g.p.r);
		core_rig_release(&g.p.r);
		core_rig_run(&g.p.r);
		if (told.calls != 1 || told.result.e != 0 || b.n_detached != 0 ||
		    core_tunnel(g.p.r.core, STR("tim")) == NULL ||
		    edit_rig_record(&g, "tunnel", "tim")[0] == '\0')
			fail_msg("%s: %u, %s", cases[i].why, told.calls, told.reason);
		assert_int_equal(n_notes(&g, "tim"), !cases[i].named);
		assert_int_equal(n_tunnels(&g), 1);
		fake_leave(&b);
		core_rig_run(&g.p.r);
		assert_int_equal(n_tunnels(&g), cases[i].named);
		edit_rig_free(&g);
	}
}

/* Its client is gone before it has been made: nobody would drop it. */
static void test_leaving_in_the_middle(void **state)
{
	for (int port = 0; port < 2; port++) {
		struct told_attach told = {0};
		struct edit_rig g;
		struct fake a;

		edit_rig_new(&g);
		join(&g, &a, "a");
		g.p.r.judge = hold_writes;
		forward_begin(&a, "", port ? "kind=tcp port=9001" : "kind=http", &told);
		core_rig_run(&g.p.r);
		fake_leave(&a);
		core_rig_release(&g.p.r);
		core_rig_run(&g.p.r);
		assert_int_equal(told.calls, 0);
		assert_string_equal(edit_rig_tunnels(&g, &g.p.ann), "");
		assert_int_equal(n_tunnels(&g), 0);
		assert_int_equal(g.p.n_taken, 0);
		edit_rig_free(&g);
	}
}

/* A crowd that goes at once is dropped to the last one. */
static void test_a_crowd(void **state)
{
	enum { CROWD = 60 };
	static struct fake f[CROWD];
	struct edit_rig g;

	edit_rig_new(&g);
	for (int i = 0; i < CROWD; i++) {
		char agent[8];

		str_printf(agent, sizeof agent, "a%d", i);
		join(&g, &f[i], agent);
		forwarded(&f[i], "", "kind=tcp port=0");
	}
	assert_int_equal(n_tunnels(&g), CROWD);
	assert_int_equal(g.p.n_taken, CROWD);
	for (int i = 0; i < CROWD; i++)
		fake_leave(&f[i]);
	core_rig_run(&g.p.r);
	assert_int_equal(n_tunnels(&g), 0);
	assert_int_equal(g.p.n_taken, 0);
	assert_string_equal(edit_rig_tunnels(&g, &g.p.ann), "");
	edit_rig_free(&g);
}

/* Another node's session has asked for it meanwhile: its record is not what we knew. */
static void test_it_was_touched_elsewhere(void **state)
{
	struct edit_rig g;
	struct fake a;
	char *value;

	edit_rig_new(&g);
	join(&g, &a, "a");
	forwarded(&a, "tim", "kind=http");
	value = core_rig_get(&g.p.r, "tunnel", "tim");
	core_rig_put(&g.p.r, "tunnel", "tim", value);
	free(value);
	fake_leave(&a);
	core_rig_run(&g.p.r);
	assert_string_not_equal(edit_rig_record(&g, "tunnel", "tim"), "");
	edit_rig_free(&g);
}

/* Whatever comes and goes in whatever order, at the end nothing is left. */
static void test_any_order(void **state)
{
	enum { SESSIONS = 4, SEEDS = 150, STEPS = 60 };
	static const char *const words[] = {"kind=tcp port=9001", "kind=tcp port=9002",
					    "kind=tcp port=0", "kind=http", "kind=tls"};
	static const char *const names[] = {"", "", "tim", "tom"};

	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		static struct told_attach told[STEPS];
		struct fake f[SESSIONS];
		struct edit_rig g;
		uint64_t dice = seed;

		edit_rig_new(&g);
		for (int i = 0; i < SESSIONS; i++)
			join(&g, &f[i], "a");
		for (int i = 0; i < STEPS; i++) {
			struct fake *one;

			dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
			one = &f[dice >> 33 & 3];
			if (one->member == NULL)
				join(&g, one, dice >> 35 & 1 ? "a" : "b");
			switch (dice >> 36 & 7) {
			case 0: fake_leave(one); break;
			case 1: g.p.r.judge = core_rig_hold_all; break; /* a store keeps order */
			case 2:
				g.p.r.judge = NULL;
				core_rig_release(&g.p.r);
				break;
			case 3: member_detach(one->member, STR("tim")); break;
			case 4: core_rig_run(&g.p.r); break;
			default:
				forward_begin(one, names[dice >> 39 & 3],
					      words[(dice >> 41) % ARRAY_LEN(words)], &told[i]);
				break;
			}
			if (dice >> 60 & 1)
				core_rig_run(&g.p.r);
		}
		for (int i = 0; i < SESSIONS; i++)
			if (f[i].member != NULL)
				fake_leave(&f[i]);
		g.p.r.judge = NULL;
		core_rig_release(&g.p.r);
		core_rig_run(&g.p.r);
		if (n_tunnels(&g) != 0 || g.p.n_taken != 0 ||
		    edit_rig_tunnels(&g, &g.p.ann)[0] != '\0' ||
		    account_rig_count(&g.p.r, "temporary", "") != 0)
			fail_msg("seed %u: \"%s\", %llu, %zu ports, %zu notes", seed,
				 edit_rig_tunnels(&g, &g.p.ann), (unsigned long long)n_tunnels(&g),
				 g.p.n_taken, account_rig_count(&g.p.r, "temporary", ""));
		edit_rig_free(&g);
	}
}

/* ---- what was left ---- */

/* A temporary tunnel whose drop has failed. */
static void leave_one(struct edit_rig *g, const char *name, const char *words)
{
	struct fake a;

	join(g, &a, "gone");
	assert_string_equal(forwarded(&a, name, words), name);
	g->p.r.judge = core_rig_fail_all;
	g->p.r.judge_e = ERR_FULL;
	fake_leave(&a);
	core_rig_run(&g->p.r);
	g->p.r.judge = NULL;
	assert_string_not_equal(edit_rig_record(g, "tunnel", name), "");
}

static void test_the_next_start(void **state)
{
	struct edit_rig g;
	struct fake a;

	edit_rig_new(&g);
	edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "stays", "kind=tcp port=9005");
	leave_one(&g, "one", "kind=tcp port=9001");
	leave_one(&g, "two", "kind=http");
	leave_one(&g, "three", "kind=tls");
	core_rig_put(&g.p.r, "temporary", "nobody", "{}");
	core_rig_put(&g.p.r, "temporary", "stays", "{}");
	core_rig_put(&g.p.r, "temporary", "bad", "{}");
	core_rig_put(&g.p.r, "tunnel", "bad", "?");
	assert_int_equal(n_tunnels(&g), 4);
	place_rig_said(&g.p);
	edit_rig_restart(&g);
	assert_string_equal(edit_rig_tunnels(&g, &g.p.ann), "stays/tcp/9005 ");
	assert_int_equal(n_tunnels(&g), 1);
	assert_null(strstr(place_rig_said(&g.p), "take 9001"));
	assert_int_equal(n_notes(&g, "one") + n_notes(&g, "two") + n_notes(&g, "three"), 0);
	assert_int_equal(n_notes(&g, "nobody") + n_notes(&g, "stays"), 0);
	join(&g, &a, "a");
	assert_string_equal(forwarded(&a, "two", "kind=http"), "two");
	fake_leave(&a);
	edit_rig_free(&g);
}

/* It stands in nobody's way who might use it. */
static void test_one_that_was_left_makes_room(void **state)
{
	static const struct {
		const char *why, *name, *words;
		bool agent;	  /* as karez asks */
		const char *want; /* the tunnels then */
	} cases[] = {
		{"another name for its port", "db", "kind=tcp port=9001", false, "db/tcp/9001 "},
		{"no name for its port", "", "kind=tcp port=9001", false, "left/tcp/9001 "},
		{"its name, as it is", "left", "kind=tcp port=9001", false, "left/tcp/9001 "},
		{"its name, another port", "left", "kind=tcp port=9002", false, "left/tcp/9002 "},
		{"its name, another kind", "left", "kind=tls", false, "left/tls/0 "},
		{"its name, by an agent", "left", "", true, "left/http/0 "},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_attach told;
		struct edit_rig g;
		struct fake a, b;

		edit_rig_new(&g);
		leave_one(&g, "left", "kind=tcp port=9001");
		join_as(&g, &b, "b", &g.p.bob); /* it is still not his */
		assert_int_equal(forward(&b, "", "kind=tcp port=9001").result.e, ERR_INUSE);
		assert_int_equal(core_rig_attach(&b, "left", "").result.e, ERR_EXISTS);
		join(&g, &a, "a");
		told = cases[i].agent ? core_rig_attach(&a, cases[i].name, "")
				      : forward(&a, cases[i].name, cases[i].words);
		if (told.result.e != 0 ||
		    strcmp(edit_rig_tunnels(&g, &g.p.ann), cases[i].want) != 0)
			fail_msg("%s: %s, %s", cases[i].why, told.reason,
				 edit_rig_tunnels(&g, &g.p.ann));
		assert_int_equal(n_tunnels(&g), 1);
		assert_int_equal(g.p.n_taken, strstr(cases[i].want, "tcp") != NULL);
		fake_leave(&a);
		fake_leave(&b);
		edit_rig_free(&g);
	}
}

/* Made by hand, it is made. */
static void test_one_that_was_left_is_made_anew(void **state)
{
	struct edit_rig g;
	struct fake a;

	edit_rig_new(&g);
	leave_one(&g, "left", "kind=tcp port=9001");
	assert_int_equal(
		edit_rig_change(&g, &g.p.bob, MANAGE_CREATE, "left", "kind=tcp port=9001").e,
		ERR_EXISTS);
	assert_int_equal(
		edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "left", "kind=tcp port=9001").e, 0);
	assert_string_equal(edit_rig_tunnels(&g, &g.p.ann), "left/tcp/9001 ");
	assert_int_equal(n_notes(&g, "left"), 0);
	join(&g, &a, "a");
	forwarded(&a, "two", "kind=http");
	assert_int_equal(edit_rig_change(&g, &g.p.ann, MANAGE_CREATE, "two", "kind=http").e,
			 ERR_EXISTS); /* it is served */
	fake_leave(&a);
	edit_rig_free(&g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_goes_with_its_last_session),
		cmocka_unit_test(test_whoever_is_served_may_finish),
		cmocka_unit_test(test_what_makes_it_stay),
		cmocka_unit_test(test_one_that_was_there),
		cmocka_unit_test(test_by_route),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_the_next_one_is_there_already),
		cmocka_unit_test(test_leaving_in_the_middle),
		cmocka_unit_test(test_a_crowd),
		cmocka_unit_test(test_it_was_touched_elsewhere),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_the_next_start),
		cmocka_unit_test(test_one_that_was_left_makes_room),
		cmocka_unit_test(test_one_that_was_left_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
