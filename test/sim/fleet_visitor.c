/* Trusts nobody: who answers must be one who may, and every byte the planned one. */
#include "sim/fleet_visitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"
#include "sim/fleet.h"
#include "sim/fleet_rules.h"

#define DOWN_MAX 60000

static struct stage *visit_stage(const struct fleet_visitor *v)
{
	return &v->fleet->stage;
}

bool fleet_visitor_wants(const struct fleet_visitor *v, const struct fleet_tunnel *t)
{
	/* who comes to a port comes to whichever tunnel has it */
	return v->tunnel == t || (v->tunnel->tcp && t->tcp && v->tunnel->port == t->port);
}

const char *fleet_visitor_tunnel(const struct fleet_visitor *v)
{
	return v->tunnel->name;
}

char fleet_visitor_byte(unsigned number, unsigned at)
{
	return (char)('a' + (number * 7 + at) % 26);
}

static void visit_end(struct fleet_visitor *v, int why)
{
	wire_close(v->wire, why);
	v->wire = NULL;
	buf_free(&v->in);
	buf_free(&v->out);
	ev_timer_stop(visit_stage(v)->ev, &v->bound);
	v->ended_ms = MAX(ev_now_ms(visit_stage(v)->ev), 1);
	v->fleet->n_visiting--;
}

/* It is over: good is a whole and right answer. */
static void visit_over(struct fleet_visitor *v, bool good, int why)
{
	struct stage *s = visit_stage(v);
	uint64_t took = ev_now_ms(s->ev) - v->asked_ms;

	stage_note(s, "visit %u of %s at node %u ends %s status=%u got=%u why=%s", v->number,
		   v->tunnel->name, v->node, good ? "well" : "badly", v->status, v->got,
		   err_name(why));
	if (v->within_ms != 0 && !good)
		stage_fail(s, "visit %u of %s at node %u must succeed: status=%u got=%u/%u why=%s",
			   v->number, v->tunnel->name, v->node, v->status, v->got, v->down,
			   err_name(why));
	if (v->within_ms != 0 && took > v->within_ms)
		stage_fail(s, "visit %u of %s at node %u took %llu ms instead of %u", v->number,
			   v->tunnel->name, v->node, (unsigned long long)took, v->within_ms);
	visit_end(v, why);
}

static bool visit_field(const struct http_head *h, struct str name, char out[32])
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name))
			return str_copy(out, 32, h->fields[i].value) == 0;
	return false;
}

/* From a target: one that may? */
static void visit_judge_site(struct fleet_visitor *v, const struct http_head *h)
{
	unsigned host, seat, number;
	char site[32], visit[32];

	if (!visit_field(h, STR("X-Site"), site) || !visit_field(h, STR("X-Visit"), visit) ||
	    sscanf(site, "%u.%u", &host, &seat) != 2 || sscanf(visit, "%u", &number) != 1 ||
	    number != v->number)
		stage_fail(visit_stage(v), "visit %u got the answer to another one", v->number);
	else if (!fleet_rules_may_serve(v, host, seat))
		stage_fail(visit_stage(v), "visit %u of %s at node %u was served by %s", v->number,
			   v->tunnel->name, v->node, site);
}

/* Returns true when it is over. */
static bool visit_take(struct fleet_visitor *v)
{
	struct http_response res;
	struct str in = buf_str(&v->in);
	size_t want;

	if (v->in.len == 0 || http_response_parse(in, HTTP_GET, &v->scanned, &res) != 0)
		return false;
	want = (size_t)res.head.content_length;
	v->got = (uint32_t)(in.len - res.head.len);
	v->status = res.status;
	if (in.len < res.head.len + want)
		return false;
	if (res.status != 200) {
		fleet_rules_judge_page(v);
		visit_over(v, false, 0);
		return true;
	}
	visit_judge_site(v, &res.head);
	for (unsigned i = 0; i < want; i++)
		if (in.p[res.head.len + i] != fleet_visitor_byte(v->number, i))
			stage_fail(visit_stage(v), "visit %u got a wrong byte", v->number);
	if (want != v->down)
		stage_fail(visit_stage(v), "visit %u got %zu bytes instead of %u", v->number, want,
			   v->down);
	visit_over(v, true, 0);
	return true;
}

static void visit_run(struct fleet_visitor *v)
{
	struct str in;
	int e;

	(void)!wire_write_buf(v->wire, &v->out);
	while ((e = wire_read(v->wire, 65536, &in)) == 0)
		CHECK(buf_add(&v->in, in.p, in.len, SIZE_MAX) == 0);
	v->scanned = 0;
	if (visit_take(v))
		return;
	if (e != ERR_AGAIN)
		visit_over(v, false, e == ERR_EOF ? 0 : e);
	else
		wire_want(v->wire, WIRE_READ | (v->out.len > 0 ? WIRE_WRITE : 0));
}

static void visit_on_ready(void *arg, struct wire *w, int events)
{
	visit_run(arg);
}

static void visit_on_broken(void *arg, struct wire *w, int why)
{
	visit_over(arg, false, why);
}

static const struct wire_owner visit_owner = {visit_on_ready, visit_on_broken};

static void visit_on_bound(void *arg)
{
	struct fleet_visitor *v = arg;

	stage_fail(visit_stage(v), "visit %u of %s at node %u has not ended after %llu ms",
		   v->number, v->tunnel->name, v->node,
		   (unsigned long long)(ev_now_ms(visit_stage(v)->ev) - v->asked_ms));
}

/* By the port, if the node lets visitors in there. */
static bool visit_dial_port(struct fleet_visitor *v, struct fleet_node *n)
{
	const char *tunnel = fleet_node_port(n, v->tunnel->port);
	struct visit who = {.ingress = VISIT_TCP};
	struct wire *far;

	if (tunnel == NULL)
		return false;
	CHECK(visit_end_set(&who.visitor, STR("10.1.1.1"), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), v->tunnel->port) == 0);
	cable_new(visit_stage(v), CABLE_VISITOR, fleet_cable_host(n, 0), &v->wire, &far);
	node_serve_port(n->node, far, &who, tunnel);
	return true;
}

static bool visit_dial(struct fleet_visitor *v, struct fleet_node *n)
{
	if (v->tunnel->tcp)
		return visit_dial_port(v, n);
	return (v->wire = fleet_node_dial(n, CABLE_VISITOR, 0)) != NULL;
}

void fleet_visitor_come(struct fleet_node *n, struct fleet_tunnel *t, uint32_t within_ms)
{
	struct fleet *f = n->fleet;
	struct fleet_visitor *v;

	if (!fleet_node_serves(n))
		return;
	v = must_calloc(1, sizeof *v);
	*v = (struct fleet_visitor){.fleet = f,
				    .tunnel = t,
				    .number = f->n_visits,
				    .node = n->index,
				    .within_ms = within_ms,
				    .asked_ms = ev_now_ms(f->stage.ev),
				    .bound = {.fn = visit_on_bound, .arg = v}};
	CHECK(f->n_visits < FLEET_VISITS_MAX);
	f->visits[f->n_visits++] = v;
	f->n_visiting++;
	v->down = dice_length(&f->stage.dice, within_ms != 0 ? 2000 : DOWN_MAX);
	stage_note(&f->stage, "visit %u of %s comes to node %u", v->number, t->name, n->index);
	if (!visit_dial(v, n)) {
		visit_over(v, false, ERR_REFUSED);
		return;
	}
	CHECK(buf_printf(&v->out, 1000,
			 "GET /%u/%u HTTP/1.1\r\nHost: %s." FLEET_DOMAIN
			 "\r\nConnection: close\r\n\r\n",
			 v->number, v->down, t->name) == 0);
	wire_own(v->wire, &visit_owner, v);
	ev_timer_set(f->stage.ev, &v->bound, FLEET_BOUND_MS);
	visit_run(v);
}

void fleet_visitor_free(struct fleet_visitor *v)
{
	if (v->ended_ms == 0)
		visit_end(v, ERR_RESET);
	free(v);
}
