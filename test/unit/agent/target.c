#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/agent/agent_rig.h"
#include "wire/wire_mem.h"

static struct wire *a_visit_for(struct rig *r, const char *tunnel, enum visit_ingress in)
{
	struct visit v = {.ingress = in};
	struct wire *w = NULL;

	str_printf(v.tunnel, sizeof v.tunnel, "%s", tunnel);
	assert_int_equal(session_open(fake_up(&r->fake, 0)->session, &v, &w), 0);
	return w;
}

/* The visitor's end. */
struct visitor {
	struct wire *wire;
	struct fake_target end; /* the same bookkeeping */
};

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	struct visitor *v = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 4096, &in)) == 0) {
		assert_true(v->end.n_got + in.len < sizeof v->end.got);
		memcpy(v->end.got + v->end.n_got, in.p, in.len);
		v->end.n_got += in.len;
	}
	v->end.eof = v->end.eof || e == ERR_EOF;
	if (e != ERR_AGAIN)
		wire_want(w, 0); /* a break is told */
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	((struct visitor *)arg)->end.why = why;
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

static void visitor_come(struct visitor *v, struct rig *r, const char *tunnel,
			 enum visit_ingress in)
{
	*v = (struct visitor){.wire = a_visit_for(r, tunnel, in)};
	wire_own(v->wire, &visitor_owner, v);
	wire_want(v->wire, WIRE_READ);
	assert_int_equal(wire_write_all(v->wire, STR("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
}

static void test_drain_keeps_what_runs(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	rig_run(&r, 100);
	for (int i = 0; i < 2; i++)
		session_drain(fake_up(&r.fake, i)->session);
	rig_run(&r, 3000);
	assert_int_equal(r.n_offline, 1);
	assert_int_equal(r.offline_e, ERR_DRAIN);
	assert_int_equal(r.n_online, 2);
	assert_int_equal(fake_n_up(&r.fake), 4); /* two old ones, two new ones */
	assert_int_equal(wire_write_all(r.fake.target.wire,
					STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")),
			 0);
	rig_run(&r, 100);
	assert_int_equal(v.end.n_got, 40);
	assert_int_equal(v.end.why, 0);
	wire_close(v.wire, 0);
	/* the old ones go, even with harsh words, and nobody minds */
	for (int i = 0; i < 2; i++) {
		session_close(r.fake.sessions[i].session, ERR_REPLACED, STR("old"));
		r.fake.sessions[i].session = NULL;
	}
	rig_run(&r, 1000);
	assert_int_equal(r.n_ended, 0);
	assert_int_equal(r.n_offline, 1);
	rig_close(&r);
}

/* ---- visitors ---- */

static void test_a_visit(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	r.fake.target_says = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
	rig_start(&r);
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	wire_shut(v.wire);
	rig_run(&r, 1000);
	assert_string_equal(r.fake.target.got, "GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_true(r.fake.target.eof);
	v.end.got[v.end.n_got] = '\0';
	assert_string_equal(v.end.got, r.fake.target_says);
	assert_true(v.end.eof);
	assert_int_equal(v.end.why, 0);
	assert_int_equal(r.n_request, 1);
	assert_string_equal(r.request, "GET /a 200");
	assert_int_equal(r.n_target, 0);
	wire_close(v.wire, 0);
	rig_close(&r);
}

static const struct {
	const char *why;
	int target_error;
	const char *tunnel;
	enum visit_ingress in;
	int want;
} failures[] = {
	{"nobody listens", ERR_REFUSED, "8bv2", VISIT_HTTP, ERR_REFUSED},
	{"no answer in time", ERR_TIMEOUT, "8bv2", VISIT_HTTP, ERR_TIMEOUT},
	{"no route", ERR_UNREACH, "8bv2", VISIT_HTTP, ERR_UNREACH},
	{"no such host", ERR_RESOLVE, "8bv2", VISIT_HTTP, ERR_RESOLVE},
	{"no more descriptors", ERR_NOFILE, "8bv2", VISIT_HTTP, ERR_NOFILE},
	{"no permission for the socket", ERR_DENIED, "8bv2", VISIT_HTTP, ERR_DENIED},
	{"no such socket", ERR_NOTFOUND, "8bv2", VISIT_HTTP, ERR_REFUSED},
	{"anything else", ERR_IO, "8bv2", VISIT_HTTP, ERR_TARGET},
	{"a name that is not ours", 0, "other", VISIT_HTTP, ERR_NOTFOUND},
	{"a door that is not ours", 0, "8bv2", VISIT_TCP, ERR_NOTFOUND},
};

static void test_failures_go_back_as_reasons(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		struct visitor v;
		struct rig r;

		rig_open(&r);
		rig_start(&r);
		r.fake.target_error = failures[i].target_error;
		print_message("# %s\n", failures[i].why);
		for (int k = 0; k < 2; k++) {
			visitor_come(&v, &r, failures[i].tunnel, failures[i].in);
			rig_run(&r, 100);
			assert_int_equal(v.end.why, failures[i].want);
			wire_close(v.wire, 0);
		}
		/* the person is told once, and once more when it works */
		assert_int_equal(r.n_target, failures[i].target_error != 0);
		assert_int_equal(r.target_e, failures[i].target_error);
		r.fake.target_error = 0;
		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		rig_run(&r, 100);
		assert_int_equal(r.n_target, failures[i].target_error != 0 ? 2 : 0);
		assert_int_equal(r.target_e, 0);
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

static void test_another_failure_is_no_news(void **state)
{
	static const int errors[] = {ERR_REFUSED, ERR_TIMEOUT, ERR_REFUSED};
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct visitor v;

		r.fake.target_error = errors[i];
		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		rig_run(&r, 100);
		assert_int_equal(v.end.why, errors[i]);
		wire_close(v.wire, 0);
	}
	assert_int_equal(r.n_target, 1);
	rig_close(&r);
}

static void test_a_tls_target_fails_after_connecting(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	assert_int_equal(url_parse_target(STR("https://localhost:3000"), URL_HTTP,
					  &r.tunnels[0].target, NULL),
			 0);
	rig_start(&r);
	for (int k = 0; k < 2; k++) {
		r.fake.target_breaks = ERR_CERT;
		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		rig_run(&r, 100);
		assert_int_equal(v.end.why, ERR_CERT);
		assert_int_equal(r.n_target, 1);
		assert_int_equal(r.target_e, ERR_CERT);
		wire_close(v.wire, 0);
	}
	r.fake.target_breaks = 0;
	r.fake.target_says = "works";
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	wire_shut(v.wire);
	rig_run(&r, 100);
	assert_int_equal(r.n_target, 2);
	assert_int_equal(r.target_e, 0);
	wire_close(v.wire, 0);
	rig_close(&r);
}

/* What a target has done with a request nobody knows: it must not look like one that is not there,
 * whose visitors are sent to another. */
static void test_a_target_that_has_read_something(void **state)
{
	static const int breaks[] = {ERR_TIMEOUT, ERR_UNREACH, ERR_TLS, ERR_CERT};
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
		struct visitor v;
		struct wire *near;

		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		rig_run(&r, 100);
		assert_true(r.fake.target.n_got > 0);
		near = r.fake.target_near;
		near->owner->broken(near->arg, near, breaks[i]);
		rig_run(&r, 100);
		assert_int_equal(v.end.why, ERR_RESET);
		wire_close(v.wire, 0);
	}
	rig_close(&r);
}

static void test_a_visitor_who_leaves_while_we_connect(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	r.fake.target_hangs = true;
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	rig_run(&r, 100);
	assert_int_equal(r.fake.n_cancelled, 0);
	wire_close(v.wire, ERR_RESET);
	rig_run(&r, 100);
	assert_int_equal(r.fake.n_cancelled, 1);
	assert_int_equal(r.fake.n_targets, 0);
	rig_close(&r);
}

static void test_a_lost_session_ends_its_visits(void **state)
{
	struct visitor v;
	struct rig r;

	rig_open(&r);
	rig_start(&r);
	visitor_come(&v, &r, "8bv2", VISIT_HTTP);
	rig_run(&r, 100);
	assert_non_null(r.fake.target.wire);
	wire_mem_cut(fake_up(&r.fake, 0)->cable);
	rig_run(&r, 100);
	assert_null(r.fake.target.wire);
	assert_string_equal(r.request, "GET /a 0");
	wire_close(v.wire, 0);
	rig_close(&r);
}

/* ---- other protocols ---- */

static const struct {
	const char *why;
	enum agent_kind kind;
	enum visit_ingress in;
	int want;
} doors[] = {
	{"a port leads to a tcp tunnel", AGENT_TCP, VISIT_TCP, 0},
	{"TLS passed through leads to a tls tunnel", AGENT_TLS, VISIT_SNI, 0},
	{"so does TLS that was ended", AGENT_TLS, VISIT_TCP, 0},
	{"a tcp tunnel has no TLS name", AGENT_TCP, VISIT_SNI, ERR_NOTFOUND},
	{"HTTP leads to http tunnels only", AGENT_TCP, VISIT_HTTP, ERR_NOTFOUND},
	{"and not to tls tunnels", AGENT_TLS, VISIT_HTTP, ERR_NOTFOUND},
	{"datagrams lead nowhere", AGENT_TCP, VISIT_UDP, ERR_NOTFOUND},
	{"questions of nodes are not ours", AGENT_TCP, VISIT_NODE, ERR_NOTFOUND},
};

static void test_doors(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		struct visitor v;
		struct rig r;

		rig_open(&r);
		r.tunnels[0].kind = doors[i].kind;
		rig_start(&r);
		visitor_come(&v, &r, "8bv2", doors[i].in);
		rig_run(&r, 100);
		if (v.end.why != doors[i].want || r.fake.n_targets != (doors[i].want == 0) ||
		    r.n_unknown != (doors[i].want != 0))
			fail_msg("%s: %s", doors[i].why, err_name(v.end.why));
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

/* The service speaks first, then the visitor; both finish in good order. */
static void test_a_connection_is_told_at_its_end(void **state)
{
	struct visit visit = {.ingress = VISIT_TCP, .tunnel = "8bv2"};
	struct visitor v = {0};
	struct rig r;

	rig_open(&r);
	r.tunnels[0].kind = AGENT_TCP;
	r.fake.target_says = "SSH-2.0-x\r\n";
	rig_start(&r);
	assert_int_equal(visit_end_set(&visit.visitor, STR("192.0.2.1"), 4711), 0);
	assert_int_equal(session_open(fake_up(&r.fake, 0)->session, &visit, &v.wire), 0);
	wire_own(v.wire, &visitor_owner, &v);
	wire_want(v.wire, WIRE_READ);
	rig_run(&r, 100);
	assert_int_equal(v.end.n_got, 11);
	assert_true(v.end.eof);
	assert_int_equal(r.n_connection, 0);
	assert_int_equal(wire_write_all(v.wire, STR("bye")), 0);
	wire_shut(v.wire);
	rig_run(&r, 100);
	assert_int_equal(r.n_connection, 1);
	assert_string_equal(r.connection, "192.0.2.1:4711 3000 up=3 down=11 OK");
	assert_int_equal(r.n_request, 0);
	wire_close(v.wire, 0);

	visitor_come(&v, &r, "8bv2", VISIT_TCP); /* a reset is a reset on the other side */
	rig_run(&r, 100);
	wire_close(v.wire, ERR_RESET);
	rig_run(&r, 100);
	assert_int_equal(r.fake.target.why, ERR_RESET);
	assert_int_equal(r.n_connection, 2);
	assert_non_null(strstr(r.connection, "RESET"));

	r.fake.target_error = ERR_REFUSED;
	visitor_come(&v, &r, "8bv2", VISIT_TCP);
	rig_run(&r, 100);
	assert_string_equal(r.connection, ":0 3000 up=0 down=0 REFUSED");
	wire_close(v.wire, 0);
	rig_close(&r);
}

/* ---- stopping ---- */

static void test_stop_says_good_bye(void **state)
{
	struct rig r;
	uint64_t start;

	rig_open(&r);
	rig_start(&r);
	start = ev_now_ms(r.ev);
	agent_stop(r.agent);
	agent_stop(r.agent);
	rig_run(&r, 2000);
	assert_int_equal(r.n_ended, 1);
	assert_int_equal(r.ended_code, 0);
	assert_in_range(r.ended_ms - start, 0, 10);
	assert_int_equal(r.n_offline, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(r.fake.sessions[i].n_detached, 1);
		assert_int_equal(r.fake.sessions[i].closed_why, ERR_EOF);
		assert_string_equal(r.fake.sessions[i].closed_reason, "the agent was stopped");
	}
	rig_close(&r);
}

static void test_stop_lets_a_visit_finish(void **state)
{
	static const struct {
		const char *why;
		uint64_t finishes_ms; /* 0: never */
		uint64_t least, most;
	} rows[] = {
		{"a short request ends it early", 200, 200, 300},
		{"a long one is cut", 0, AGENT_STOP_MS, AGENT_STOP_MS + 10},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct visitor v;
		struct rig r;
		uint64_t start;

		rig_open(&r);
		rig_start(&r);
		visitor_come(&v, &r, "8bv2", VISIT_HTTP);
		wire_shut(v.wire);
		rig_run(&r, 100);
		start = ev_now_ms(r.ev);
		agent_stop(r.agent);
		print_message("# %s\n", rows[i].why);
		if (rows[i].finishes_ms != 0) {
			rig_run(&r, rows[i].finishes_ms);
			assert_int_equal(r.n_ended, 0);
			assert_int_equal(wire_write_all(r.fake.target.wire, STR("done")), 0);
			wire_shut(r.fake.target.wire);
		}
		rig_run(&r, 1000);
		assert_int_equal(r.n_ended, 1);
		assert_in_range(r.ended_ms - start, rows[i].least, rows[i].most);
		assert_int_equal(v.end.n_got, rows[i].finishes_ms != 0 ? 4 : 0);
		wire_close(v.wire, 0);
		rig_close(&r);
	}
}

static void test_stop_at_any_moment(void **state)
{
	for (uint64_t ms = 0; ms < 60; ms++) {
		struct rig r;

		rig_open(&r);
		assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
		rig_run(&r, ms);
		agent_stop(r.agent);
		rig_run(&r, 2000);
		assert_int_equal(r.n_ended, 1);
		assert_int_equal(r.ended_code, 0);
		rig_close(&r);

		rig_open(&r);
		assert_int_equal(agent_new(r.ev, &r.opt, &r.agent), 0);
		rig_run(&r, ms);
		rig_close(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drain_keeps_what_runs),
		cmocka_unit_test(test_a_visit),
		cmocka_unit_test(test_failures_go_back_as_reasons),
		cmocka_unit_test(test_another_failure_is_no_news),
		cmocka_unit_test(test_a_tls_target_fails_after_connecting),
		cmocka_unit_test(test_a_target_that_has_read_something),
		cmocka_unit_test(test_a_visitor_who_leaves_while_we_connect),
		cmocka_unit_test(test_a_lost_session_ends_its_visits),
		cmocka_unit_test(test_doors),
		cmocka_unit_test(test_a_connection_is_told_at_its_end),
		cmocka_unit_test(test_stop_says_good_bye),
		cmocka_unit_test(test_stop_lets_a_visit_finish),
		cmocka_unit_test(test_stop_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
