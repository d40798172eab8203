/* A stream of the mux is a wire like any other: the wire suite over carriers of many kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/err.h"
#include "session/mux.h"
#include "suite/wire_suite.h"
#include "unit/wire/tls_certs.h"
#include "wire/wire_mem.h"
#include "wire/wire_tls.h"

/* Made once for all tests: keys take time. */
struct fixture {
	struct tls_context *server, *client;
};

struct carrier {
	struct wire_mem_opt mem;
	struct fixture *tls; /* NULL: in clear */
	bool whole;	     /* see mux_opt */
};

/* Two sessions, and the stream that the suite plays on. */
struct rig {
	struct mux_budget budget;
	struct session *node, *agent;
	struct wire *served; /* the agent's end, once the visit has come */
};

static void rig_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct rig *r = arg;

	assert_ptr_equal(r->served, NULL);
	r->served = w;
}

static void rig_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	fail_msg("a session has died: %s", err_text(why));
}

static const struct session_owner rig_owner = {.visit = rig_on_visit, .closed = rig_on_closed};

/* The two ends of what carries the sessions. */
static void rig_carrier(const struct carrier *c, struct ev *ev, struct wire **a, struct wire **b)
{
	struct wire_tls_opt opt = {.host = "a.example"};
	struct wire *below_a, *below_b;

	assert_int_equal(wire_mem_pair(ev, &c->mem, a, b), 0);
	if (c->tls == NULL)
		return;
	below_a = *a;
	below_b = *b;
	assert_int_equal(wire_tls_server(ev, below_a, c->tls->server, &opt, a), 0);
	assert_int_equal(wire_tls_client(ev, below_b, c->tls->client, &opt, b), 0);
}

static void mux_open_pair(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	struct rig *r = calloc(1, sizeof *r);
	struct mux_opt opt = {.role = MUX_NODE, .owner = &rig_owner, .arg = r};
	struct visit visit = {.ingress = VISIT_TCP, .tunnel = "demo"};
	struct wire *a, *b;

	assert_non_null(r);
	r->budget.cap = 64 * 1024 * 1024;
	opt.budget = &r->budget;
	opt.whole = ((const struct carrier *)kind->opt)->whole;
	assert_int_equal(ev_sim_new(1, &pair->ev), 0);
	rig_carrier(kind->opt, pair->ev, &a, &b);
	assert_int_equal(mux_new(pair->ev, a, &opt, &r->node), 0);
	opt.role = MUX_AGENT;
	assert_int_equal(mux_new(pair->ev, b, &opt, &r->agent), 0);
	assert_int_equal(session_open(r->node, &visit, &pair->a), 0);
	for (int i = 0; i < 100 && r->served == NULL; i++)
		ev_sim_run_for(pair->ev, 100);
	assert_non_null(r->served);
	pair->b = r->served;
	pair->arg = r;
}

static void mux_close_pair(struct wire_suite_pair *pair)
{
	struct rig *r = pair->arg;

	ev_sim_run_for(pair->ev, 60000);	 /* what was taken is delivered, or given up */
	assert_int_equal(r->node->n_streams, 1); /* the control streams are left */
	assert_int_equal(r->agent->n_streams, 1);
	assert_int_equal(r->budget.used, 0);
	session_close(r->node, ERR_CLOSED, STR("end of test"));
	session_close(r->agent, ERR_CLOSED, STR("end of test"));
	assert_false(ev_sim_run_for(pair->ev, 100000));
	ev_free(pair->ev);
	free(r);
}

/*
 * What a stream takes while nobody reads: the window, what is queued behind it, what the carrier
 * holds. Time is virtual, but the suite counts events, and pings are some.
 */
#define FLIGHT (MUX_WINDOW_FIRST + 1024 * 1024)

static int suite_run(struct fixture *f)
{
	const struct {
		const char *name;
		struct carrier carrier;
		size_t body_len;
		uint32_t quiet_ms;
	} rows[] = {
		{"mux", {{.cap = 65536}, NULL}, 0, 50},
		{"mux, 1 ms away", {{.cap = 1 << 20, .delay_ms = 1}, NULL}, 0, 50},
		{"mux, 20 ms away", {{.cap = 4 << 20, .delay_ms = 20}, NULL}, 4 << 20, 300},
		{"mux, 100 ms away", {{.cap = 16 << 20, .delay_ms = 100}, NULL}, 2 << 20, 1000},
		{"mux, 997 bytes a write", {{.max_write = 997}, NULL}, 1 << 20, 50},
		{"mux, room for 500 bytes", {{.cap = 500}, NULL}, 1 << 18, 50},
		{"mux, narrow, 5 ms away",
		 {{.cap = 8192, .delay_ms = 5, .max_write = 1500}, NULL},
		 1 << 18,
		 300},
		{"mux over tls", {{.cap = 65536}, f}, 0, 50},
		{"mux over tls, 20 ms away", {{.cap = 4 << 20, .delay_ms = 20}, f}, 4 << 20, 300},
		{"mux over tls, room for 500 bytes", {{.cap = 500}, f}, 1 << 18, 50},
		{"mux between nodes", {{.cap = 65536}, NULL, true}, 4 << 20, 50},
		{"mux between nodes, 997 bytes a write",
		 {{.max_write = 997}, NULL, true},
		 1 << 20,
		 50},
		{"mux between nodes, room for 500 bytes", {{.cap = 500}, NULL, true}, 1 << 19, 50},
		{"mux between nodes, over tls", {{.cap = 65536}, f, true}, 4 << 20, 50},
		{"mux between nodes, over tls, 20 ms away",
		 {{.cap = 4 << 20, .delay_ms = 20}, f, true},
		 4 << 20,
		 300},
		{"mux between nodes, over tls, room for 500 bytes",
		 {{.cap = 500}, f, true},
		 1 << 19,
		 50},
	};
	struct wire_suite_kind kinds[ARRAY_LEN(rows)];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		kinds[i] = (struct wire_suite_kind){
			.name = rows[i].name,
			.opt = &rows[i].carrier,
			.open = mux_open_pair,
			.close = mux_close_pair,
			.body_len = rows[i].body_len,
			.flight_max = FLIGHT + rows[i].carrier.mem.cap,
			.quiet_ms = rows[i].quiet_ms,
		};
	return wire_suite_run(kinds, ARRAY_LEN(kinds));
}

int main(void)
{
	/* The simulated clock starts in 2026. */
	static const struct tls_certs_row rows[] = {
		{"ca", NULL, NULL, 2020, 2090},
		{"good", "ca", "DNS:a.example", 2020, 2090},
	};
	char ca[TLS_CERTS_PATH], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_client client = {.ca_file = ca};
	struct tls_context_server server = {.cert_file = cert, .key_file = key};
	struct tls_certs certs;
	struct fixture f = {NULL, NULL};
	int failed;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	tls_certs_path(&certs, "ca.pem", ca);
	tls_certs_path(&certs, "good.pem", cert);
	tls_certs_path(&certs, "good.key", key);
	CHECK(tls_context_new_client(&client, &f.client, why) == 0);
	CHECK(tls_context_new_server(&server, &f.server, why) == 0);
	failed = suite_run(&f);
	tls_context_free(f.client);
	tls_context_free(f.server);
	tls_certs_remove(&certs);
	return failed;
}
