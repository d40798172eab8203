/* The mux on virtual time: two sessions joined by a memory wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "session/mux.h"
#include "wire/relay.h"
#include "wire/wire_mem.h"

/* One end of a stream as a test sees it: sends `to_send` bytes of a pattern, checks what comes. */
struct peer {
	struct wire *wire;
	size_t to_send, sent, got;
	int why;	/* broken with */
	bool eof, shut; /* seen; done */
	bool reads;	/* false: a slow reader */
	bool wrong;	/* a byte was not the one expected */
};

struct side {
	struct session *session;
	int n_visits, n_told, n_draining, closed_why;
	bool closed;
	char told[128], reason[128], host[HOSTNAME_AUTHORITY_MAX + 1];
	int refuse; /* answer visits with this error */
	struct peer peer;
};

struct world {
	struct ev *ev;
	struct wire *a, *b; /* the carrier's ends, borrowed by the sessions */
	struct mux_budget budget;
	struct side node, agent;
};

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 251);
}

static void peer_run(struct peer *p)
{
	char block[40000];
	struct str in;
	int e = ERR_AGAIN;

	while (p->reads && p->why == 0 && (e = wire_read(p->wire, SIZE_MAX / 2, &in)) == 0) {
		for (size_t i = 0; i < in.len; i++)
			p->wrong |= in.p[i] != pattern(p->got + i);
		p->got += in.len;
	}
	if (e == ERR_EOF)
		p->eof = true;
	while (p->sent < p->to_send && p->why == 0) {
		size_t n = MIN(sizeof block, p->to_send - p->sent), taken;
		struct iovec iov[2];

		for (size_t i = 0; i < n; i++)
			block[i] = pattern(p->sent + i);
		iov[0] = (struct iovec){block, n / 3};
		iov[1] = (struct iovec){block + n / 3, n - n / 3};
		if (wire_write(p->wire, iov, 2, &taken) != 0 || taken == 0)
			break;
		p->sent += taken;
	}
	if (p->sent == p->to_send && !p->shut && p->why == 0) {
		p->shut = true;
		wire_shut(p->wire);
	}
	wire_want(p->wire,
		  (p->reads && !p->eof ? WIRE_READ : 0) | (p->sent < p->to_send ? WIRE_WRITE : 0));
}

static void peer_on_ready(void *arg, struct wire *w, int events)
{
	peer_run(arg);
}

static void peer_on_broken(void *arg, struct wire *w, int why)
{
	((struct peer *)arg)->why = why;
}

static const struct wire_owner peer_owner = {peer_on_ready, peer_on_broken};

static void peer_start(struct peer *p, struct wire *w, size_t to_send)
{
	p->wire = w;
	p->to_send = to_send;
	p->reads = true;
	wire_own(w, &peer_owner, p);
	peer_run(p);
}

static void side_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct side *side = arg;

	side->n_visits++;
	snprintf(side->host, sizeof side->host, "%s", visit->host);
	if (side->refuse != 0) {
		wire_close(w, side->refuse);
		return;
	}
	peer_start(&side->peer, w, side->peer.to_send);
}

static void side_on_told(void *arg, struct session *s, struct str line)
{
	struct side *side = arg;

	side->n_told++;
	snprintf(side->told, sizeof side->told, STR_FMT, STR_ARG(line));
}

static void side_on_draining(void *arg, struct session *s)
{
	((struct side *)arg)->n_draining++;
}

static void side_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct side *side = arg;

	side->closed = true;
	side->closed_why = why;
	side->session = NULL;
	snprintf(side->reason, sizeof side->reason, STR_FMT, STR_ARG(reason));
}

static const struct session_owner side_owner = {side_on_visit, side_on_told, side_on_draining,
						side_on_closed};

static void world_open(struct world *w, const struct wire_mem_opt *mem)
{
	struct mux_opt opt = {.role = MUX_NODE, .budget = &w->budget, .owner = &side_owner};

	memset(w, 0, sizeof *w);
	w->budget.cap = 256 << 20;
	assert_int_equal(ev_sim_new(1, &w->ev), 0);
	assert_int_equal(wire_mem_pair(w->ev, mem, &w->a, &w->b), 0);
	opt.arg = &w->node;
	assert_int_equal(mux_new(w->ev, w->a, &opt, &w->node.session), 0);
	opt.role = MUX_AGENT;
	opt.arg = &w->agent;
	assert_int_equal(mux_new(w->ev, w->b, &opt, &w->agent.session), 0);
	ev_sim_run_for(w->ev, 1000);
}

static void world_close(struct world *w)
{
	wire_close(w->node.peer.wire, 0);
	wire_close(w->agent.peer.wire, 0);
	session_close(w->node.session, ERR_CLOSED, STR("end of test"));
	session_close(w->agent.session, ERR_CLOSED, STR("end of test"));
	ev_sim_run_for(w->ev, 100000);
	assert_int_equal(w->budget.used, 0);
	ev_free(w->ev);
}

static struct visit a_visit(void)
{
	struct visit v = {.ingress = VISIT_HTTP, .tunnel = "demo", .host = "demo.localhost"};

	assert_int_equal(visit_end_set(&v.visitor, STR("192.0.2.1"), 4711), 0);
	return v;
}

static void visit_now(struct world *w, size_t down, size_t up)
{
	struct visit v = a_visit();
	struct wire *wire;

	w->agent.peer.to_send = down;
	assert_int_equal(session_open(w->node.session, &v, &wire), 0);
	peer_start(&w->node.peer, wire, up);
}

static void expect_all(struct world *w, size_t down, size_t up)
{
	assert_int_equal(w->node.peer.got, down);
	assert_int_equal(w->agent.peer.got, up);
	assert_false(w->node.peer.wrong || w->agent.peer.wrong);
	assert_true(w->node.peer.eof && w->agent.peer.eof);
	assert_int_equal(w->node.peer.why, 0);
	assert_int_equal(w->agent.peer.why, 0);
}

static void test_carries_both_ways(void **state)
{
	static const struct {
		const char *why;
		size_t down, up;
		struct wire_mem_opt mem;
	} cases[] = {
		{"nothing at all", 0, 0, {0}},
		{"a few bytes", 3, 70, {0}},
		{"more than the first window", 3000000, 2000000, {.cap = 300000}},
		{"a carrier that takes little", 200000, 100000, {.max_write = 997}},
		{"a carrier with a tiny buffer", 200000, 100000, {.cap = 500}},
		{"a long way", 5000000, 1000000, {.cap = 64 << 20, .delay_ms = 20}},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		print_message("# %s\n", cases[i].why);
		world_open(&w, &cases[i].mem);
		visit_now(&w, cases[i].down, cases[i].up);
		ev_sim_run_for(w.ev, 60000);
		assert_string_equal(w.agent.host, "demo.localhost");
		expect_all(&w, cases[i].down, cases[i].up);
		world_close(&w);
	}
}

static void test_refusal_carries_its_reason(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){0});
	w.agent.refuse = ERR_REFUSED;
	visit_now(&w, 0, 100);
	ev_sim_run_for(w.ev, 1000);
	assert_int_equal(w.agent.n_visits, 1);
	assert_int_equal(w.node.peer.why, ERR_REFUSED);
	world_close(&w);
}

static void test_open_needs_no_round_trip(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 100});
	visit_now(&w, 0, 100);
	ev_sim_run_for(w.ev, 150);
	assert_int_equal(w.agent.peer.got, 100);
	world_close(&w);
}

static void test_lines_go_both_ways(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){0});
	assert_int_equal(session_tell(w.node.session, STR("{\"to\":\"agent\"}")), 0);
	assert_int_equal(session_tell(w.agent.session, STR("{\"to\":\"node\"}")), 0);
	ev_sim_run_for(w.ev, 1000);
	assert_string_equal(w.agent.told, "{\"to\":\"agent\"}");
	assert_string_equal(w.node.told, "{\"to\":\"node\"}");
	assert_int_equal(session_tell(w.node.session, STR("two\nlines")), ERR_INVAL);
	world_close(&w);
}

static void test_drain_lets_streams_finish(void **state)
{
	struct world w;
	struct visit v = a_visit();
	struct wire *wire;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	visit_now(&w, 1000000, 1000);
	ev_sim_run_for(w.ev, 12);
	session_drain(w.agent.session);
	ev_sim_run_for(w.ev, 5000);
	assert_int_equal(w.node.n_draining, 1);
	assert_int_equal(session_open(w.node.session, &v, &wire), ERR_DRAIN);
	expect_all(&w, 1000000, 1000);
	world_close(&w);
}

/* The agent is asked to go elsewhere; visitors who come before it has gone are served. */
static void test_a_draining_node_still_opens(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	session_drain(w.node.session);
	session_drain(w.node.session);
	visit_now(&w, 1000, 1000); /* before the agent has heard it */
	ev_sim_run_for(w.ev, 1000);
	expect_all(&w, 1000, 1000);
	assert_int_equal(w.agent.n_draining, 1);
	assert_true(w.node.session->is_leaving);
	wire_close(w.node.peer.wire, 0);
	wire_close(w.agent.peer.wire, 0);
	memset(&w.node.peer, 0, sizeof w.node.peer);
	memset(&w.agent.peer, 0, sizeof w.agent.peer);
	visit_now(&w, 100000, 1000); /* and long afterwards */
	ev_sim_run_for(w.ev, 20000);
	expect_all(&w, 100000, 1000);
	assert_int_equal(w.agent.n_visits, 2);
	assert_false(w.agent.closed || w.node.closed);
	world_close(&w);
}

static void test_close_tells_why(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	visit_now(&w, 10, 10);
	ev_sim_run_for(w.ev, 1);
	session_close(w.node.session, ERR_DELETED, STR("the owner deleted it"));
	w.node.session = NULL;
	ev_sim_run_for(w.ev, 5000);
	assert_int_equal(w.node.peer.why, ERR_CLOSED);
	assert_true(w.agent.closed);
	assert_int_equal(w.agent.closed_why, ERR_DELETED);
	assert_string_equal(w.agent.reason, "the owner deleted it");
	world_close(&w);
}

/* What was said before is heard before, also when both happen in one turn. */
static void test_lines_before_a_close_arrive(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	assert_int_equal(session_tell(w.node.session, STR("{\"n\":1}")), 0);
	assert_int_equal(session_tell(w.node.session, STR("{\"n\":2}")), 0);
	session_close(w.node.session, ERR_DELETED, STR("the owner deleted it"));
	w.node.session = NULL;
	ev_sim_run_for(w.ev, 5000);
	assert_int_equal(w.agent.n_told, 2);
	assert_string_equal(w.agent.told, "{\"n\":2}");
	assert_int_equal(w.agent.closed_why, ERR_DELETED);
	world_close(&w);
}

static void side_on_told_and_gone(void *arg, struct session *s, struct str line)
{
	struct side *side = arg;

	side->session = NULL;
	assert_int_equal(session_tell(s, STR("{\"answer\":1}")), 0);
	session_close(s, ERR_DENIED, STR("not you"));
}

/* The same in the middle of reading: an answer, and the end. */
static void test_an_answer_before_a_close_arrives(void **state)
{
	struct session_owner owner = side_owner;
	struct world w;

	owner.told = side_on_told_and_gone;
	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	w.node.session->owner = &owner;
	assert_int_equal(session_tell(w.agent.session, STR("{\"ask\":1}")), 0);
	ev_sim_run_for(w.ev, 5000);
	assert_string_equal(w.agent.told, "{\"answer\":1}");
	assert_int_equal(w.agent.closed_why, ERR_DENIED);
	assert_string_equal(w.agent.reason, "not you");
	world_close(&w);
}

static void test_silence_is_death(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	ev_sim_run_for(w.ev, 60000);
	assert_false(w.node.closed || w.agent.closed); /* quiet, but alive */
	wire_mem_freeze(w.a, true);
	ev_sim_run_for(w.ev, MUX_DEAD_MS - MUX_PING_MS - 1000);
	assert_false(w.node.closed || w.agent.closed);
	ev_sim_run_for(w.ev, MUX_PING_MS + 2000);
	assert_int_equal(w.node.closed_why, ERR_DEAD);
	assert_int_equal(w.agent.closed_why, ERR_DEAD);
	world_close(&w);
}

static void test_ping_with_a_deadline(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 100});
	session_ping(w.agent.session, 1000);
	ev_sim_run_for(w.ev, 3000);
	assert_false(w.agent.closed);
	wire_mem_freeze(w.a, true);
	session_ping(w.agent.session, 1000);
	ev_sim_run_for(w.ev, 1100);
	assert_int_equal(w.agent.closed_why, ERR_DEAD);
	world_close(&w);
}

/* Somebody wants to use a session that was silent: is it still there? */
static void test_late_and_not_late(void **state)
{
	struct session *s;
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 50});
	s = w.node.session;
	ev_sim_run_for(w.ev, 2500);
	assert_int_equal(s->asked_ms, 0);
	assert_true(ev_now_ms(w.ev) - s->heard_ms > SESSION_QUIET_MS);
	session_ping(s, 0);
	assert_int_equal(s->asked_ms, ev_now_ms(w.ev));
	ev_sim_run_for(w.ev, 99);
	assert_true(s->asked_ms != 0);
	ev_sim_run_for(w.ev, 2);
	assert_int_equal(s->asked_ms, 0);
	assert_true(ev_now_ms(w.ev) - s->heard_ms <= 1);

	/* nobody answers */
	ev_sim_run_for(w.ev, 1500);
	wire_mem_freeze(w.a, true);
	session_ping(s, 0);
	session_ping(s, 0); /* the older one counts */
	ev_sim_run_for(w.ev, SESSION_LATE_MS + 4 * s->rtt_us / 1000);
	assert_false(session_is_late(s));
	ev_sim_run_for(w.ev, 10);
	assert_true(session_is_late(s));
	wire_mem_freeze(w.a, false);
	ev_sim_run_for(w.ev, 200);
	assert_false(session_is_late(s));
	assert_int_equal(s->asked_ms, 0);
	world_close(&w);
}

/* Asking in between neither hastens the death of a silent session nor puts it off. */
static void test_asking_changes_no_death(void **state)
{
	static const struct {
		const char *why;
		uint64_t first_ms; /* a question is sent then, and then every 3 s; 0: none */
		uint32_t deadline_ms;
	} cases[] = {
		{"nobody asks", 0, 0},
		{"questions", 2000, 0},
		{"questions with a long deadline", 2000, 60000},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t start, died;
		struct world w;

		world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
		ev_sim_run_for(w.ev, 7000);
		wire_mem_freeze(w.a, true);
		start = w.node.session->heard_ms;
		for (uint64_t ms = 0; !w.node.closed && ms < 60000; ms += 100) {
			if (cases[i].first_ms != 0 && ms >= cases[i].first_ms && ms % 3000 == 0)
				session_ping(w.node.session, cases[i].deadline_ms);
			ev_sim_run_for(w.ev, 100);
		}
		died = ev_now_ms(w.ev) - start;
		if (w.node.closed_why != ERR_DEAD || died < MUX_DEAD_MS || died > MUX_DEAD_MS + 200)
			fail_msg("%s: after %llu ms", cases[i].why, (unsigned long long)died);
		world_close(&w);
	}
}

static void test_an_earlier_deadline_stays(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	ev_sim_run_for(w.ev, 100);
	wire_mem_freeze(w.a, true);
	session_ping(w.node.session, 1000);
	session_ping(w.node.session, 9000);
	session_ping(w.node.session, 0);
	ev_sim_run_for(w.ev, 1100);
	assert_int_equal(w.node.closed_why, ERR_DEAD);
	world_close(&w);
}

static void test_cut_breaks_streams(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	visit_now(&w, 10000000, 10000000);
	ev_sim_run_for(w.ev, 50);
	wire_mem_cut(w.a);
	ev_sim_run_for(w.ev, 50);
	assert_true(w.node.closed && w.agent.closed);
	assert_int_equal(w.node.peer.why, ERR_RESET);
	assert_int_equal(w.agent.peer.why, ERR_RESET);
	world_close(&w);
}

static void test_slow_reader_holds_one_window(void **state)
{
	struct world w;
	struct visit v = a_visit();
	struct peer second = {0};
	struct wire *wire;

	world_open(&w, &(struct wire_mem_opt){.cap = 8 << 20});
	w.agent.peer.to_send = 50000000;
	assert_int_equal(session_open(w.node.session, &v, &wire), 0);
	w.node.peer = (struct peer){.wire = wire};
	wire_own(wire, &peer_owner, &w.node.peer); /* never reads */
	wire_want(wire, 0);
	ev_sim_run_for(w.ev, 2000);
	assert_in_range(w.agent.peer.sent, 1, MUX_WINDOW_FIRST + 512 * 1024);

	/* another visitor is not held up */
	{
		struct peer first = w.agent.peer;

		w.agent.peer = (struct peer){.to_send = 2000000};
		assert_int_equal(session_open(w.node.session, &v, &wire), 0);
		wire_own(first.wire, &peer_owner, &first);
		peer_start(&second, wire, 5);
		ev_sim_run_for(w.ev, 2000);
		assert_int_equal(second.got, 2000000);
		wire_close(second.wire, 0);
		wire_close(first.wire, ERR_RESET);
	}
	world_close(&w);
}

static void test_fast_stream_gets_a_wide_window(void **state)
{
	struct world w;

	/* 40 ms round trip and a carrier without limits: 100 MB in 2 s is 400 Mbit/s */
	world_open(&w, &(struct wire_mem_opt){.cap = 256 << 20, .delay_ms = 20});
	visit_now(&w, 100000000, 0);
	ev_sim_run_for(w.ev, 2000);
	expect_all(&w, 100000000, 0);
	assert_in_range(w.budget.used, MUX_WINDOW_FAST, 2 * MUX_WINDOW_MAX);
	world_close(&w);
}

static void test_closing_in_the_middle_is_safe(void **state)
{
	struct world w;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 5});
	visit_now(&w, 1000000, 1000000);
	ev_sim_run_for(w.ev, 12);
	wire_close(w.node.peer.wire, 0); /* unread bytes come in, taken ones go out */
	w.node.peer.wire = NULL;
	ev_sim_run_for(w.ev, 5000);
	assert_int_equal(w.agent.peer.got, w.node.peer.sent);
	assert_true(w.agent.peer.why != 0);
	assert_int_equal(w.node.session->n_streams, 1); /* the control stream */
	world_close(&w);
}

/* Visitors who reset their connections are no attack of their server's on the agent. */
static void test_many_resets(void **state)
{
	struct world w;
	struct visit v = a_visit();
	struct wire *wire;

	world_open(&w, &(struct wire_mem_opt){.delay_ms = 1, .cap = 1 << 20});
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(session_open(w.node.session, &v, &wire), 0);
		ev_sim_run_for(w.ev, 3);
		wire_close(wire, ERR_RESET);
		ev_sim_run_for(w.ev, 3);
		assert_int_equal(w.agent.peer.why, ERR_RESET);
		wire_close(w.agent.peer.wire, 0);
		w.agent.peer = (struct peer){0};
	}
	ev_sim_run_for(w.ev, 100);
	assert_false(w.node.session->is_draining);
	assert_int_equal(w.node.session->n_streams, 1);
	assert_int_equal(w.agent.session->n_streams, 1);
	world_close(&w);
}

static void test_many_streams(void **state)
{
	struct world w;
	struct visit v = a_visit();
	struct peer peers[500];

	memset(peers, 0, sizeof peers);
	world_open(&w, &(struct wire_mem_opt){.delay_ms = 3, .cap = 1 << 20});
	w.agent.refuse = ERR_TARGET;
	for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
		struct wire *wire;

		assert_int_equal(session_open(w.node.session, &v, &wire), 0);
		peer_start(&peers[i], wire, i * 10);
	}
	ev_sim_run_for(w.ev, 5000);
	for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
		assert_int_equal(peers[i].why, ERR_TARGET);
		wire_close(peers[i].wire, 0);
	}
	ev_sim_run_for(w.ev, 100);
	assert_int_equal(w.node.session->n_streams, 1);
	assert_int_equal(w.agent.session->n_streams, 1);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_carries_both_ways),
		cmocka_unit_test(test_refusal_carries_its_reason),
		cmocka_unit_test(test_open_needs_no_round_trip),
		cmocka_unit_test(test_lines_go_both_ways),
		cmocka_unit_test(test_drain_lets_streams_finish),
		cmocka_unit_test(test_a_draining_node_still_opens),
		cmocka_unit_test(test_close_tells_why),
		cmocka_unit_test(test_lines_before_a_close_arrive),
		cmocka_unit_test(test_an_answer_before_a_close_arrives),
		cmocka_unit_test(test_silence_is_death),
		cmocka_unit_test(test_ping_with_a_deadline),
		cmocka_unit_test(test_late_and_not_late),
		cmocka_unit_test(test_asking_changes_no_death),
		cmocka_unit_test(test_an_earlier_deadline_stays),
		cmocka_unit_test(test_cut_breaks_streams),
		cmocka_unit_test(test_slow_reader_holds_one_window),
		cmocka_unit_test(test_fast_stream_gets_a_wide_window),
		cmocka_unit_test(test_closing_in_the_middle_is_safe),
		cmocka_unit_test(test_many_resets),
		cmocka_unit_test(test_many_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
