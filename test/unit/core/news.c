/* What the store tells of writes: how seldom that lets a node read again, and when it does not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/place.h"
#include "unit/core/account_rig.h"

#define N_TUNNELS 60

/* How often it is asked, and what a whole round after a doubt takes, at most. */
#define ASKED_MS 2000
#define ROUND_MS (CORE_REFRESH_MS + ASKED_MS + 500)

struct node {
	struct core_rig r;
	struct access_who who;
	struct fake f;
	char name[HOSTNAME_MAX + 1]; /* of one of its tunnels */
};

static bool is_tunnel(const struct store_req *req)
{
	return req->verb == STORE_GET && str_eq(req->writes[0].rec.kind, RECORD_TUNNEL);
}

/* Count reads of tunnels. */
static int judge_count(struct core_rig *r, const struct store_req *req)
{
	r->judge_e += is_tunnel(req);
	return 0;
}

/* The same, and they fail. */
static int judge_fail(struct core_rig *r, const struct store_req *req)
{
	r->judge_e += is_tunnel(req);
	return is_tunnel(req) ? ERR_TIMEOUT : 0;
}

/* The same, and nobody is told what was written. */
static int judge_silent(struct core_rig *r, const struct store_req *req)
{
	r->judge_e += is_tunnel(req);
	return req->verb == STORE_CHANGES ? ERR_TIMEOUT : 0;
}

static unsigned reads(struct node *n, uint64_t ms)
{
	n->r.judge_e = 0;
	ev_sim_run_for(n->r.ev, ms);
	return (unsigned)n->r.judge_e;
}

static void node_new(struct node *n, bool remembers)
{
	static const struct core_agent laptop = {.id = "laptop"};

	core_rig_new(&n->r, true);
	n->r.ops.remembers = remembers;
	n->r.judge = judge_count;
	core_rig_account(&n->r, &n->who);
	fake_join(&n->f, &n->r, &n->who, &laptop);
	for (int i = 0; i < N_TUNNELS; i++) {
		struct told_attach told = core_rig_attach(&n->f, "", "");

		assert_int_equal(told.result.e, 0);
		memcpy(n->name, told.result.name, sizeof n->name);
	}
}

static void node_free(struct node *n)
{
	n->r.judge = NULL;
	fake_leave(&n->f);
	core_rig_free(&n->r);
}

/* Somebody of whom nobody here has heard writes records. */
static void write_tunnel(struct node *n, bool rewrite)
{
	char value[256];

	str_printf(value, sizeof value,
		   "{\"account\":\"%s\",\"kind\":\"http\",\"enabled\":true,\"rewrite\":%s}",
		   n->who.account, rewrite ? "true" : "false");
	core_rig_put(&n->r, "tunnel", n->name, value);
}

static bool rewrites(struct node *n)
{
	return tunnel_settings(core_tunnel(n->r.core, str_of(n->name)))->rewrite;
}

static void test_seldom_read_again(void **state)
{
	struct node n;

	node_new(&n, false);
	reads(&n, ROUND_MS);
	assert_in_range(reads(&n, CORE_REFRESH_MS), N_TUNNELS - 5, N_TUNNELS + 5);
	node_free(&n);

	node_new(&n, true);
	assert_in_range(reads(&n, ROUND_MS), N_TUNNELS, 2 * N_TUNNELS + 10);
	for (int i = 0; i < 3; i++)
		assert_in_range(reads(&n, CORE_REFRESH_WHOLE_MS), N_TUNNELS - 5, N_TUNNELS + 5);
	node_free(&n);
}

static void flood(struct node *n)
{
	static struct store_write lines[STORE_LOG_MAX];

	for (size_t i = 0; i < STORE_LOG_MAX; i++)
		lines[i] = (struct store_write){STORE_DROP,
						{.kind = STR("x"), .key = STR("y")},
						STORE_ANY};
	assert_int_equal(store_batch(n->r.store, lines, STORE_LOG_MAX, NULL, NULL), 0);
}

/* Count pages of routes. */
static int judge_routes(struct core_rig *r, const struct store_req *req)
{
	r->judge_e += req->verb == STORE_LIST && str_eq(req->writes[0].rec.kind, RECORD_ROUTE);
	return 0;
}

static void started(void *arg, int e)
{
	*(int *)arg = e;
}

/* The list of routes as well; who is new among them is heard of. */
static void test_routes_are_seldom_listed(void **state)
{
	static const struct {
		const char *why;
		bool remembers;
		unsigned least, most; /* in three times CORE_REFRESH_WHOLE_MS */
	} cases[] = {
		{"it does not tell", false, 17, 19},
		{"it tells", true, 2, 4},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int e = -1;
		struct node n;

		print_message("# %s\n", cases[i].why);
		node_new(&n, cases[i].remembers);
		n.r.judge = judge_routes;
		place_start(n.r.core, started, &e);
		reads(&n, 2 * ROUND_MS);
		assert_int_equal(e, 0);
		assert_in_range(reads(&n, (uint64_t)3 * CORE_REFRESH_WHOLE_MS), cases[i].least,
				cases[i].most);
		flood(&n); /* what has come with it is not known */
		assert_in_range(reads(&n, ROUND_MS), 1, 2);
		node_free(&n);
	}
}

/* Whoever writes, and though he says it to nobody. */
static void test_a_write_is_heard_of(void **state)
{
	struct node n;

	node_new(&n, true);
	reads(&n, 2 * ROUND_MS);
	for (int i = 0; i < 5; i++) {
		write_tunnel(&n, i % 2 == 0);
		reads(&n, ASKED_MS + 100);
		assert_int_equal(rewrites(&n), i % 2 == 0);
	}
	assert_int_equal(store_drop(n.r.store,
				    (struct store_id){RECORD_TUNNEL, str_of(n.name), STORE_ANY},
				    NULL, NULL),
			 0);
	reads(&n, ASKED_MS + 100);
	assert_null(core_tunnel(n.r.core, str_of(n.name)));
	assert_int_equal(member_n_tunnels(n.f.member), N_TUNNELS - 1);
	node_free(&n);
}

/* Then everything is read once more, and soon. */
static void test_doubts(void **state)
{
	static const struct {
		const char *why;
		int (*judge)(struct core_rig *r, const struct store_req *req);
		bool flood, write;
		unsigned again; /* all are read again, in time for whoever waits */
	} cases[] = {
		{"nothing has happened", judge_count, false, false, false},
		{"somebody has written", judge_count, false, true, false},
		{"more was written than is remembered", judge_count, true, false, true},
		{"the same, and what is served here was changed before", judge_count, true, true,
		 true},
		{"what was written could not be read", judge_fail, false, true, true},
		{"nobody tells what was written", judge_silent, false, true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct node n;

		print_message("# %s\n", cases[i].why);
		node_new(&n, true);
		reads(&n, 2 * ROUND_MS);
		n.r.judge = cases[i].judge;
		if (cases[i].write)
			write_tunnel(&n, true);
		if (cases[i].flood)
			flood(&n);
		reads(&n, ASKED_MS + 100);
		if (cases[i].judge == judge_fail)
			n.r.judge = judge_count;
		if (cases[i].again)
			assert_true(reads(&n, ROUND_MS + 4 * ASKED_MS) >= N_TUNNELS);
		else
			assert_true(reads(&n, ROUND_MS) < N_TUNNELS / 2);
		assert_int_equal(rewrites(&n), cases[i].write);
		n.r.judge = judge_count; /* and it is over */
		reads(&n, 2 * ROUND_MS);
		assert_in_range(reads(&n, CORE_REFRESH_WHOLE_MS), N_TUNNELS - 5, N_TUNNELS + 5);
		node_free(&n);
	}
}

static void test_nobody_asks_for_nothing(void **state)
{
	struct node n;

	node_new(&n, true);
	reads(&n, ROUND_MS);
	fake_leave(&n.f);
	ev_sim_run_for(n.r.ev, 10 * CORE_REFRESH_MS);
	n.r.n_asked = 0;
	assert_false(ev_sim_run_for(n.r.ev, 10 * CORE_REFRESH_MS));
	assert_int_equal(n.r.n_asked, 0);
	core_rig_free(&n.r);
}

static void test_core_goes_while_it_asks(void **state)
{
	struct node n;

	node_new(&n, true);
	reads(&n, ROUND_MS);
	n.r.judge = core_rig_hold_all;
	reads(&n, ROUND_MS);
	fake_leave(&n.f);
	core_free(n.r.core);
	n.r.core = NULL;
	core_rig_release(&n.r);
	core_rig_free(&n.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seldom_read_again),
		cmocka_unit_test(test_routes_are_seldom_listed),
		cmocka_unit_test(test_a_write_is_heard_of),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_nobody_asks_for_nothing),
		cmocka_unit_test(test_core_goes_while_it_asks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
