/* Whoever dials a node: who he says that he is, what he is proven to be, and what he may send. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "session/mux.h"
#include "unit/cluster/hop_rig.h"

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"

/* Somebody who speaks our language, by hand. */
struct stranger {
	struct session *session;
	struct wire *stream;
	struct mux_budget budget;
	bool closed, told, broken;
	int why, stream_why;
};

static void stranger_on_told(void *arg, struct session *s, struct str line)
{
	((struct stranger *)arg)->told = true;
}

static void stranger_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct stranger *g = arg;

	g->closed = true;
	g->why = why;
	g->session = NULL;
}

static const struct session_owner stranger_owner = {.told = stranger_on_told,
						    .closed = stranger_on_closed};

static void stream_on_ready(void *arg, struct wire *w, int events)
{
	wire_want(w, 0);
}

static void stream_on_broken(void *arg, struct wire *w, int why)
{
	((struct stranger *)arg)->broken = true;
	((struct stranger *)arg)->stream_why = why;
}

static const struct wire_owner stream_owner = {stream_on_ready, stream_on_broken};

static void stranger_open(struct hop_rig *r, struct stranger *g, const char *name)
{
	struct mux_opt opt = {.role = MUX_NODE,
			      .budget = &g->budget,
			      .owner = &stranger_owner,
			      .arg = g};
	struct wire *w = mem_hop_connect(&r->net, r->ev, r->b.says.hop, name);

	*g = (struct stranger){.budget = {.cap = 1 << 26}};
	assert_non_null(w);
	assert_int_equal(mux_new(r->ev, w, &opt, &g->session), 0);
}

static void stranger_close(struct stranger *g)
{
	wire_close(g->stream, 0);
	session_close(g->session, 0, STR(""));
	g->session = NULL;
}

static void stranger_visit(struct stranger *g, const char *via)
{
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "demo"};

	str_printf(v.via, sizeof v.via, "%s", via);
	assert_int_equal(session_open(g->session, &v, &g->stream), 0);
	wire_own(g->stream, &stream_owner, g);
	wire_want(g->stream, WIRE_READ);
}

static void test_first_lines(void **state)
{
	static const struct {
		const char *why, *line;
		int want; /* 0: welcome */
	} cases[] = {
		{"who he is", "{\"op\":\"hop\",\"node\":\"" A "\",\"to\":\"" B "\"}", 0},
		{"and more, of a later version",
		 "{\"op\":\"hop\",\"node\":\"" A "\",\"to\":\"" B "\",\"version\":\"9\",\"x\":[1]}",
		 0},
		{"somebody else", "{\"op\":\"hop\",\"node\":\"cccccccccccccccc\",\"to\":\"" B "\"}",
		 ERR_AUTH},
		{"we ourselves", "{\"op\":\"hop\",\"node\":\"" B "\",\"to\":\"" B "\"}", ERR_AUTH},
		{"for another node",
		 "{\"op\":\"hop\",\"node\":\"" A "\",\"to\":\"cccccccccccccccc\"}", ERR_NOSESSION},
		{"for nobody", "{\"op\":\"hop\",\"node\":\"" A "\"}", ERR_PROTO},
		{"from nobody", "{\"op\":\"hop\",\"to\":\"" B "\"}", ERR_PROTO},
		{"a name that is too long", "{\"op\":\"hop\",\"node\":\"" A "a\",\"to\":\"" B "\"}",
		 ERR_PROTO},
		{"a name that is none",
		 "{\"op\":\"hop\",\"node\":\"aaaaaaaaaaaaaaaX\",\"to\":\"" B "\"}", ERR_PROTO},
		{"a number for a name", "{\"op\":\"hop\",\"node\":1,\"to\":\"" B "\"}", ERR_PROTO},
		{"another purpose", "{\"op\":\"attach\",\"name\":\"demo\"}", ERR_UNSUPPORTED},
		{"no purpose", "{}", ERR_PROTO},
		{"no object", "hello", ERR_PROTO},
		{"nothing at all", "", ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();
		struct stranger g;

		stranger_open(r, &g, A);
		assert_int_equal(session_tell(g.session, str_of(cases[i].line)), 0);
		hop_rig_run(r, 100);
		if (g.told != (cases[i].want == 0) || g.closed != (cases[i].want != 0) ||
		    g.why != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(g.why));
		if (hop_rig_logged(&r->b, "event=hop-refused peer=" A) != g.closed)
			fail_msg("%s: the log", cases[i].why);
		stranger_close(&g);
		hop_rig_close(r);
	}
}

/* Between processes of one machine nothing is proven but the user. */
static void test_nothing_proven(void **state)
{
	struct hop_rig *r = hop_rig_open();
	struct stranger g;

	r->net.says = "";
	stranger_open(r, &g, "local");
	assert_int_equal(session_tell(g.session,
				      STR("{\"op\":\"hop\",\"node\":\"" A "\",\"to\":\"" B "\"}")),
			 0);
	hop_rig_run(r, 100);
	assert_true(g.told);
	stranger_close(&g);
	hop_rig_close(r);
}

static void test_visitors(void **state)
{
	static const struct {
		const char *why, *via;
		bool greets;
		int want;
	} cases[] = {
		{"its own", A, true, 0},
		{"of another node, by it", "cccccccccccccccc," A, true, 0},
		{"of another node, as if by that", "cccccccccccccccc", true, ERR_DENIED},
		{"by it, then by another", A ",cccccccccccccccc", true, ERR_DENIED},
		{"by nobody", "", true, ERR_DENIED},
		{"before it has said who it is", A, false, ERR_DENIED},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();
		struct stranger g;

		stranger_open(r, &g, A);
		if (cases[i].greets)
			assert_int_equal(session_tell(g.session, STR("{\"op\":\"hop\",\"node\":\"" A
								     "\",\"to\":\"" B "\"}")),
					 0);
		hop_rig_run(r, 100);
		stranger_visit(&g, cases[i].via);
		hop_rig_run(r, 100);
		if (g.stream_why != cases[i].want || r->b.n_served != (cases[i].want == 0))
			fail_msg("%s: %s", cases[i].why, err_name(g.stream_why));
		if (hop_rig_logged(&r->b, "event=hop-refused") != (cases[i].want != 0))
			fail_msg("%s: the log", cases[i].why);
		assert_int_equal(r->b.last.via[0] != '\0', cases[i].want == 0);
		stranger_close(&g);
		hop_rig_close(r);
	}
}

static void wire_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;
	int e;

	while ((e = wire_read(w, 65536, &in)) == 0)
		;
	if (e == ERR_EOF) {
		*(int *)arg = e;
		wire_want(w, 0);
	}
}

static void wire_on_broken(void *arg, struct wire *w, int why)
{
	*(int *)arg = why;
}

static const struct wire_owner wire_owner = {wire_on_ready, wire_on_broken};

/* Those who do not speak our language, or do not speak. */
static void test_noise(void **state)
{
	static const struct {
		const char *why, *says;
		uint32_t after_ms;
		const char *logged;
	} cases[] = {
		{"nothing", "", 3100, "why=TIMEOUT"},
		{"another protocol", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 100, "why=PROTO"},
		{"half of ours", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 3100, "why=TIMEOUT"},
		{"ours, and then noise",
		 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff"
		 "\xff\xff\xff\xff\xff\xff",
		 100, "why=PROTO"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct hop_rig *r = hop_rig_open();
		struct wire *w = mem_hop_connect(&r->net, r->ev, r->b.says.hop, "stranger");
		int why = 0;

		wire_own(w, &wire_owner, &why);
		wire_want(w, WIRE_READ);
		assert_int_equal(wire_write_all(w, str_of(cases[i].says)), 0);
		hop_rig_run(r, cases[i].after_ms);
		if (!hop_rig_logged(&r->b, cases[i].logged))
			fail_msg("%s: %s", cases[i].why, r->b.lines);
		wire_close(w, why);
		hop_rig_close(r);
	}
}

/* They come in masses and say nothing: the oldest go, and a node still gets in. */
static void test_masses(void **state)
{
	static struct wire *w[600];
	static int why[600];
	struct hop_rig *r = hop_rig_open();
	size_t n_gone = 0;

	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = mem_hop_connect(&r->net, r->ev, r->b.says.hop, "stranger");
		why[i] = 0;
		wire_own(w[i], &wire_owner, &why[i]);
		wire_want(w[i], WIRE_READ);
	}
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 500);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		n_gone += why[i] != 0;
	assert_in_range(n_gone, ARRAY_LEN(w) - 256, ARRAY_LEN(w) - 255);
	assert_int_not_equal(why[0], 0);
	assert_int_equal(r->b.n_served, 1);
	hop_rig_run(r, 3000);
	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		assert_int_not_equal(why[i], 0);
		wire_close(w[i], why[i]);
	}
	assert_int_equal(r->a.sent[0].why, 0);
	hop_rig_close(r);
}

/* A node that is gone before it has said who it is, and one that goes later. */
static void test_goes(void **state)
{
	struct hop_rig *r = hop_rig_open();
	struct stranger g;

	stranger_open(r, &g, A);
	hop_rig_run(r, 100);
	stranger_close(&g);
	hop_rig_run(r, 100);
	assert_true(hop_rig_logged(&r->b, "event=hop-refused peer=" A));
	assert_int_equal(hop_rig_visit(r), 0);
	hop_rig_run(r, 100);
	assert_false(hop_rig_logged(&r->b, "event=hop-left"));
	hop_rig_end(&r->a);
	hop_rig_run(r, 100);
	assert_true(hop_rig_logged(&r->b, "event=hop-left peer=" A));
	assert_int_equal(hop_load(r->b.hop), 0);
	assert_int_not_equal(r->b.served[0].why, 0);
	hop_rig_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_lines), cmocka_unit_test(test_nothing_proven),
		cmocka_unit_test(test_visitors),    cmocka_unit_test(test_noise),
		cmocka_unit_test(test_masses),	    cmocka_unit_test(test_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
