/* Nodes over memory. */
#include "unit/cluster/hop_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static const uint8_t rig_key[ROSTER_KEY_LEN] = "a key that nobody looks at here";

/* ---- streams ---- */

static void stream_on_ready(void *arg, struct wire *w, int events)
{
	struct hop_rig_stream *s = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, 65536, &in)) == 0)
		s->got += in.len;
	if (e == ERR_EOF) {
		s->eof = true;
		wire_want(w, 0);
	}
}

static void stream_on_broken(void *arg, struct wire *w, int why)
{
	struct hop_rig_stream *s = arg;

	assert_int_equal(s->why, 0);
	s->why = why;
}

static const struct wire_owner stream_owner = {stream_on_ready, stream_on_broken};

static void stream_start(struct hop_rig_stream *s, struct wire *w)
{
	*s = (struct hop_rig_stream){.w = w};
	wire_own(w, &stream_owner, s);
	wire_want(w, WIRE_READ);
}

void hop_rig_write(struct hop_rig_stream *s, struct str text)
{
	struct iovec iov = {(void *)(uintptr_t)text.p, text.len};
	size_t taken;

	assert_int_equal(wire_write(s->w, &iov, 1, &taken), 0);
	assert_int_equal(taken, text.len);
}

void hop_rig_hang_up(struct hop_rig_stream *s, int why)
{
	wire_close(s->w, why);
	s->w = NULL;
}

/* ---- nodes ---- */

static void node_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	struct hop_rig_node *n = arg;

	if (n->lines_len + len + 2 > sizeof n->lines)
		return; /* the first ones are enough */
	memcpy(n->lines + n->lines_len, line, len);
	n->lines_len += len;
	n->lines[n->lines_len++] = '\n';
}

bool hop_rig_logged(const struct hop_rig_node *n, const char *text)
{
	return strstr(n->lines, text) != NULL;
}

static void node_on_visit(void *arg, const struct visit *visit, struct wire *w)
{
	struct hop_rig_node *n = arg;

	assert_true(n->n_served < HOP_RIG_STREAMS);
	n->last = *visit;
	if (n->refuse != 0) {
		n->n_served++;
		wire_close(w, n->refuse);
		return;
	}
	stream_start(&n->served[n->n_served++], w);
}

static void node_on_state(void *arg, struct hop_peer *p, enum peer_state state)
{
	struct hop_rig_node *n = hop_peer_arg(p);

	assert_ptr_equal(arg, n);
	assert_int_not_equal(state, n->state); /* on change only */
	n->state = state;
	n->n_states++;
}

static void node_open(struct hop_rig *r, struct hop_rig_node *n, const char *id, const char *path)
{
	struct hop_opt opt = {.log = &n->log,
			      .net = &r->net.net,
			      .self = n->says.id,
			      .key = rig_key,
			      .machine = "",
			      .window_total = 1 << 26,
			      .visit = node_on_visit,
			      .state = node_on_state,
			      .arg = n};
	struct net_addr addr;
	uint16_t port;

	n->rig = r;
	n->log = (struct log){.level = LOG_INFO, .write = node_on_line, .arg = n};
	str_printf(n->says.id, sizeof n->says.id, "%s", id);
	assert_int_equal(hop_new(r->ev, &opt, &n->hop), 0);
	assert_int_equal(net_addr_parse(STR("192.0.2.1:0"), &addr), 0);
	assert_int_equal(hop_listen(n->hop, &addr, &port), 0);
	assert_int_equal(hop_listen_local(n->hop, path), 0);
	str_printf(n->says.hop, sizeof n->says.hop, "192.0.2.1:%u", port);
	str_printf(n->says.local, sizeof n->says.local, "%s", path);
}

struct hop_rig *hop_rig_open(void)
{
	struct hop_rig *r = calloc(1, sizeof *r);

	assert_non_null(r);
	assert_int_equal(ev_sim_new(1, &r->ev), 0);
	mem_hop_init(&r->net);
	node_open(r, &r->a, "aaaaaaaaaaaaaaaa", "/a");
	node_open(r, &r->b, "bbbbbbbbbbbbbbbb", "/b");
	node_open(r, &r->c, "cccccccccccccccc", "/c");
	assert_int_equal(hop_peer_new(r->a.hop, &r->b.says, &r->a, &r->a.peer), 0);
	return r;
}

void hop_rig_run(struct hop_rig *r, uint64_t ms)
{
	ev_sim_run_for(r->ev, ms);
}

static struct visit rig_visit(const struct hop_rig_node *from)
{
	struct visit v = {.ingress = VISIT_TCP, .tunnel = "demo"};

	assert_int_equal(visit_end_set(&v.visitor, STR("192.0.2.43"), 4711), 0);
	assert_int_equal(visit_via_add(&v, from->says.id), 0);
	return v;
}

int hop_rig_visit(struct hop_rig *r)
{
	struct visit v = rig_visit(&r->a);
	struct wire *w;
	int e;

	assert_true(r->a.n_sent < HOP_RIG_STREAMS);
	if ((e = hop_peer_open(r->a.peer, &v, &w)) != 0)
		return e;
	stream_start(&r->a.sent[r->a.n_sent++], w);
	hop_rig_write(&r->a.sent[r->a.n_sent - 1], STR("hello"));
	return 0;
}

void hop_rig_back(struct hop_rig *r, struct hop_rig_node *n)
{
	size_t had = r->a.n_served;
	struct visit v = rig_visit(n);
	struct wire *w;

	assert_int_equal(hop_peer_new(n->hop, &r->a.says, n, &n->peer), 0);
	assert_int_equal(hop_peer_open(n->peer, &v, &w), 0);
	stream_start(&n->sent[n->n_sent++], w);
	hop_rig_run(r, 50);
	assert_int_equal(r->a.n_served, had + 1);
}

void hop_rig_forget(struct hop_rig *r)
{
	hop_peer_free(r->a.peer);
	r->a.peer = NULL;
}

void hop_rig_end(struct hop_rig_node *n)
{
	for (size_t i = 0; i < n->n_served; i++)
		hop_rig_hang_up(&n->served[i], ERR_CLOSED);
	for (size_t i = 0; i < n->n_sent; i++)
		hop_rig_hang_up(&n->sent[i], ERR_CLOSED);
	hop_peer_free(n->peer);
	hop_free(n->hop);
	n->peer = NULL;
	n->hop = NULL;
}

void hop_rig_close(struct hop_rig *r)
{
	hop_rig_end(&r->a);
	hop_rig_end(&r->b);
	hop_rig_end(&r->c);
	hop_rig_run(r, 100000);
	assert_int_equal(mem_hop_n(&r->net), 0);
	ev_free(r->ev);
	free(r);
}
