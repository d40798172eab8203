/* A tunnel that is taken away while its visits may finish: the agent ends, but not before them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

#define WORDS "\"8bv2\" has been given to other agents"
#define TAKEN                                                           \
	"{\"op\":\"detached\",\"name\":\"8bv2\",\"code\":\"REPLACED\"," \
	"\"reason\":\"\\\"8bv2\\\" has been given to other agents\",\"drain_ms\":20000}"
#define OTHER_OFF                                                        \
	"{\"op\":\"detached\",\"name\":\"other\",\"code\":\"DISABLED\"," \
	"\"reason\":\"it is switched off\"}"
#define DRAIN_MS 20000

struct visitor {
	struct wire *wire;
	int why;
	char got[64];
	size_t n_got;
};

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	struct visitor *v = arg;
	struct str in;

	while (wire_read(w, sizeof v->got - v->n_got, &in) == 0) {
		memcpy(v->got + v->n_got, in.p, in.len);
		v->n_got += in.len;
	}
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	((struct visitor *)arg)->why = why;
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

/* A visitor of the tunnel, by one of its sessions; it says "hello". */
static void visitor_come(struct visitor *v, struct rig *r, int carrier)
{
	struct visit visit = {.ingress = VISIT_HTTP, .tunnel = "8bv2"};

	*v = (struct visitor){0};
	assert_int_equal(session_open(fake_up(&r->fake, carrier)->session, &visit, &v->wire), 0);
	wire_own(v->wire, &visitor_owner, v);
	wire_want(v->wire, WIRE_READ);
	assert_int_equal(wire_write_all(v->wire, STR("hello")), 0);
}

/* What it said has reached the target, and the answer comes back. */
static void visitor_is_served(struct visitor *v, struct rig *r)
{
	rig_run(r, 100);
	assert_int_equal(r->fake.target.n_got, 5);
	assert_int_equal(wire_write_all(r->fake.target.wire, STR("answer")), 0);
	rig_run(r, 100);
	assert_int_equal(v->why, 0);
	assert_int_equal(v->n_got, 6);
}

/* The server says that it takes the tunnel away, on one session. */
static void take(struct rig *r, int carrier)
{
	assert_int_equal(session_tell(fake_up(&r->fake, carrier)->session, STR(TAKEN)), 0);
	rig_run(r, 50);
}

/* The server ends one session, as it does when the last visitor's stream there is over. */
static void end(struct rig *r, int carrier, int why)
{
	struct fake_session *s = fake_up(&r->fake, carrier);

	session_close(s->session, why, STR(WORDS));
	s->session = NULL;
	s->cable = NULL;
	rig_run(r, 50);
}

static void test_visits_finish(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	visitor_come(&v, &r, 1);
	rig_run(&r, 100);
	end(&r, 0, ERR_REPLACED); /* nobody is served there: that is all it hears */
	take(&r, 1);
	assert_int_equal(r.n_ended, 0);
	visitor_is_served(&v, &r);
	rig_run(&r, DRAIN_MS / 2);
	assert_int_equal(r.n_ended, 0);
	assert_int_equal(r.fake.n_dials, 2); /* it does not come back */
	assert_int_equal(r.n_offline, 0);
	wire_close(v.wire, 0);
	rig_run(&r, 100);
	assert_true(r.fake.target.eof || r.fake.target.why != 0);
	end(&r, 1, ERR_REPLACED);
	assert_int_equal(r.n_ended, 1);
	assert_int_equal(r.ended_code, ERR_REPLACED);
	assert_string_equal(r.reason, WORDS);
	rig_close(&r);
}

/* The same, but that session is told last. */
static void test_the_others_are_told_later(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	visitor_come(&v, &r, 1);
	rig_run(&r, 100);
	take(&r, 1);
	end(&r, 0, ERR_REPLACED);
	visitor_is_served(&v, &r);
	rig_run(&r, DRAIN_MS / 2);
	assert_int_equal(r.n_ended, 0);
	assert_int_equal(r.fake.n_dials, 2);
	end(&r, 1, ERR_REPLACED);
	assert_int_equal(r.n_ended, 1);
	wire_close(v.wire, 0);
	rig_close(&r);
}

/* A visit may be on its way by a session that has not been told yet. */
static void test_visits_on_their_way(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	take(&r, 0);
	visitor_come(&v, &r, 1);
	visitor_is_served(&v, &r);
	take(&r, 1);
	assert_int_equal(v.why, 0);
	assert_int_equal(r.n_ended, 0);
	wire_close(v.wire, 0);
	rig_close(&r);
}

static void test_how_it_ends(void **state)
{
	enum { SERVER_ENDS, SERVER_FORGETS, CABLE_CUT, STOPPED, DISCONNECTED, DELETED };
	static const struct {
		const char *why;
		int what;
		bool visitor;
		int code;
		uint64_t least_ms, most_ms;
	} cases[] = {
		{"the server ends the session", SERVER_ENDS, false, ERR_REPLACED, 0, 100},
		{"the same, in the middle of a visit", SERVER_ENDS, true, ERR_REPLACED, 0, 100},
		{"the server forgets to", SERVER_FORGETS, false, ERR_REPLACED,
		 DRAIN_MS + AGENT_LEAVE_MS, DRAIN_MS + AGENT_LEAVE_MS + 100},
		{"the same, with a visit that does not end", SERVER_FORGETS, true, ERR_REPLACED,
		 DRAIN_MS + AGENT_LEAVE_MS, DRAIN_MS + AGENT_LEAVE_MS + 100},
		{"its cable is cut", CABLE_CUT, true, ERR_REPLACED, 0, 100},
		{"a person stops it", STOPPED, false, 0, 0, 100},
		{"a person stops it, visit or not", STOPPED, true, 0, AGENT_STOP_MS,
		 AGENT_STOP_MS + 100},
		{"a person has it disconnected", DISCONNECTED, true, ERR_DISCONNECTED, 0, 100},
		{"its account is deleted meanwhile", DELETED, true, ERR_REPLACED, 0, 100},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct visitor v = {0};
		struct rig r;
		uint64_t since;

		print_message("# %s\n", cases[i].why);
		rig_open(&r);
		r.opt.n_sessions = 1;
		rig_start(&r);
		if (cases[i].visitor) {
			visitor_come(&v, &r, 0);
			visitor_is_served(&v, &r);
		}
		since = ev_now_ms(r.ev);
		take(&r, 0);
		assert_int_equal(r.n_ended, 0);
		switch (cases[i].what) {
		case SERVER_ENDS: end(&r, 0, ERR_REPLACED); break;
		case CABLE_CUT: wire_mem_cut(fake_up(&r.fake, 0)->cable); break;
		case STOPPED: agent_stop(r.agent); break;
		case DISCONNECTED: end(&r, 0, ERR_DISCONNECTED); break;
		case DELETED: end(&r, 0, ERR_DELETED); break;
		}
		rig_run(&r, 2 * (DRAIN_MS + AGENT_LEAVE_MS));
		assert_int_equal(r.n_ended, 1);
		assert_int_equal(r.ended_code, cases[i].code);
		assert_in_range(r.ended_ms - since, cases[i].least_ms, cases[i].most_ms);
		assert_string_equal(r.reason, cases[i].code == 0 ? "" : WORDS);
		assert_int_equal(r.fake.n_dials, 1);
		assert_int_equal(r.n_offline, 0);
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

/* A session that is being got again is not wanted any more. */
static void test_who_waits_rests(void **state)
{
	struct rig r;
	size_t n;

	rig_open(&r);
	rig_start(&r);
	r.fake.dial_error = ERR_REFUSED;
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	rig_run(&r, 2000);
	n = r.fake.n_dials;
	take(&r, 1);
	r.fake.dial_error = 0;
	rig_run(&r, DRAIN_MS / 2);
	assert_int_equal(r.fake.n_dials, n);
	assert_int_equal(r.n_ended, 0);
	end(&r, 1, ERR_REPLACED);
	assert_int_equal(r.n_ended, 1);
	rig_close(&r);
}

/* Two tunnels, and a visitor of the first one. */
static void open_two(struct rig *r, struct visitor *v)
{
	rig_open(r);
	r->tunnels[1] = r->tunnels[0];
	r->tunnels[1].name = "other";
	r->opt.n_tunnels = 2;
	rig_start(r);
	visitor_come(v, r, 0);
	rig_run(r, 100);
}

/* While another tunnel is served, one that goes is only told. */
static void test_one_of_two(void **state)
{
	struct visitor v;
	struct rig r;

	open_two(&r, &v);
	take(&r, 0);
	take(&r, 1);
	assert_int_equal(r.n_lost, 1);
	visitor_is_served(&v, &r);
	rig_run(&r, 2 * (DRAIN_MS + AGENT_LEAVE_MS));
	assert_int_equal(r.n_ended, 0);
	assert_int_equal(v.why, 0);
	wire_close(v.wire, 0);
	rig_close(&r);
}

/* The last one goes without time, yet visits of the one before have theirs. */
static void test_both_of_two(void **state)
{
	struct visitor v;
	struct rig r;

	open_two(&r, &v);
	take(&r, 0);
	assert_int_equal(session_tell(fake_up(&r.fake, 0)->session, STR(OTHER_OFF)), 0);
	rig_run(&r, DRAIN_MS / 2);
	assert_int_equal(r.n_ended, 0);
	visitor_is_served(&v, &r);
	wire_close(v.wire, 0);
	rig_run(&r, 100);
	end(&r, 0, ERR_DISABLED);
	end(&r, 1, ERR_DISABLED);
	assert_int_equal(r.n_ended, 1);
	assert_int_equal(r.ended_code, ERR_DISABLED);
	rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_others_are_told_later),
		cmocka_unit_test(test_visits_finish),
		cmocka_unit_test(test_visits_on_their_way),
		cmocka_unit_test(test_how_it_ends),
		cmocka_unit_test(test_who_waits_rests),
		cmocka_unit_test(test_one_of_two),
		cmocka_unit_test(test_both_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
