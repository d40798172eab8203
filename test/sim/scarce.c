/*
 * Memory fails at one place, and nobody is left waiting: a visitor comes to a cluster of two nodes
 * again and again, and each time the next allocation on the way fails, in the nodes or in the
 * agent. Every visitor must get an answer or see the end at once, and the one after that must be
 * served as if nothing had been.
 *
 *	scarce         every allocation of every kind of visitor
 *	scarce KIND    of one, with all that happens, and where the last one failed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/node.h"
#include "base/err.h"
#include "base/num.h"
#include "agent/agent.h"
#include "core/core.h"
#include "proto/http_head.h"
#include "sim/cable.h"
#include "sim/dialler.h"
#include "sim/lossy_bus.h"
#include "sim/mem_hop.h"
#include "sim/scarce_memory.h"
#include "sim/stage.h"

#define SCARCE_DOMAIN "sim.test"
#define WEB_PORT      1000 /* of the targets */
#define RAW_PORT      1001
#define TUNNEL_PORT   9000
#define NODES	      2

/* "At once", in milliseconds: the cables of this seed are slow, and a hop is dialled. */
#define ENDS_MS 4000
/* Sessions that broke are there again after so long, though the agent waits longer each time; so
 * often somebody looks. */
#define HEALS_MS 60000
#define LOOK_MS	 500
/* Nothing is under way any more after so long; and after so long hops have been closed, too. */
#define CALM_MS 3000
#define COLD_MS 70000
/* The second time so many that follow fail, too. */
#define SOME_MORE 5
/* More allocations than any visitor needs. */
#define PLACES_MAX 5000

enum kind_of { GET, POST, CHUNKED, UPGRADE, RAW };

static const struct scarce_kind {
	const char *name;
	enum kind_of is;
	unsigned node; /* that is asked; the agent is at node 0 */
	bool cold;     /* the hop is dialled for it */
	size_t up, down;
	bool back; /* the agent has just lost its session */
} kinds[] = {
	{"get", GET, 0, false, 0, 20000},	    {"get-hop", GET, 1, false, 0, 20000},
	{"get-cold", GET, 1, true, 0, 20000},	    {"post", POST, 0, false, 40000, 100},
	{"post-hop", POST, 1, false, 40000, 100},   {"post-cold", POST, 1, true, 40000, 100},
	{"chunked", CHUNKED, 0, false, 40000, 100}, {"chunked-hop", CHUNKED, 1, false, 40000, 100},
	{"upgrade", UPGRADE, 0, false, 3000, 3000}, {"upgrade-hop", UPGRADE, 1, false, 3000, 3000},
	{"raw", RAW, 0, false, 30000, 30000},	    {"raw-hop", RAW, 1, false, 30000, 30000},
	{"raw-cold", RAW, 1, true, 30000, 30000},   {"get-back", GET, 0, true, 0, 100, true},
	{"raw-back", RAW, 0, true, 100, 100, true},
};

/* Either end of a visit. */
struct party {
	struct list link; /* in scarce.parties */
	struct scarce *all;
	struct wire *wire; /* owned; NULL: it is over */
	struct buf in, out;
	bool raw;      /* what comes goes back */
	bool answered; /* a target: its head is out */
	bool ends;     /* it shuts when all is out */
	bool shut, broken;
	bool is_visitor;
};

struct scarce {
	struct stage stage;
	struct dialler dialler;
	struct lossy_net *bus;
	struct mem_hop hops;
	struct node *nodes[NODES];
	struct url server;
	struct agent *agent;
	struct list parties;
	char web[HOSTNAME_MAX + 1], raw[HOSTNAME_MAX + 1];
	uint8_t key[ROSTER_KEY_LEN];
};

/* ---- both ends of a visit ---- */

static void party_over(struct party *p, int why)
{
	wire_close(p->wire, why);
	p->wire = NULL;
	p->broken = why != 0;
	buf_free(&p->out);
	if (p->is_visitor)
		return; /* whoever has sent it looks at it */
	list_del(&p->link);
	buf_free(&p->in);
	free(p);
}

static void party_add(struct party *p, const char *text, size_t len)
{
	CHECK(buf_add(&p->out, text, len, SIZE_MAX) == 0);
}

static void party_fill(struct party *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		party_add(p, "x", 1);
}

/* A target: the request is whole. Bodies tell their length by X-Up, whatever their framing. */
static void party_answer(struct party *p)
{
	struct http_request req;
	size_t scanned = 0, up = 0, x = 0;
	unsigned n_up, n_down, upgrade;
	char path[64], head[200];

	if (p->answered || p->in.len == 0 ||
	    http_request_parse(buf_str(&p->in), &scanned, &req) != 0)
		return;
	str_printf(path, sizeof path, STR_FMT, STR_ARG(req.path));
	CHECK(sscanf(path, "/%u/%u/%u", &n_up, &n_down, &upgrade) == 3);
	for (up = req.head.len; up < p->in.len; up++)
		x += buf_str(&p->in).p[up] == 'x';
	if (upgrade == 0 && x < n_up)
		return;
	p->answered = true;
	if (upgrade != 0) {
		str_printf(head, sizeof head,
			   "HTTP/1.1 101 Switching Protocols\r\n"
			   "Connection: upgrade\r\nUpgrade: echo\r\n\r\n");
		party_add(p, head, strlen(head));
		party_fill(p, x);
		p->raw = true;
		return;
	}
	str_printf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", n_down);
	party_add(p, head, strlen(head));
	party_fill(p, n_down);
	p->answered = false;
	buf_free(&p->in);
}

static void party_run(struct party *p)
{
	struct str in;
	int e;

	while ((e = wire_read(p->wire, 65536, &in)) == 0) {
		if (p->raw)
			party_add(p, in.p, in.len);
		else
			CHECK(buf_add(&p->in, in.p, in.len, SIZE_MAX) == 0);
	}
	if (!p->is_visitor && !p->raw)
		party_answer(p);
	if (e != ERR_AGAIN && e != ERR_EOF) {
		party_over(p, e);
		return;
	}
	if (p->out.len > 0 && wire_write_buf(p->wire, &p->out) != 0) {
		party_over(p, ERR_RESET);
		return;
	}
	if (e == ERR_EOF && (p->is_visitor || p->out.len == 0)) {
		party_over(p, 0);
		return;
	}
	if (p->ends && p->out.len == 0 && !p->shut) {
		p->shut = true;
		wire_shut(p->wire);
	}
	wire_want(p->wire, (e == ERR_EOF ? 0 : WIRE_READ) | (p->out.len > 0 ? WIRE_WRITE : 0));
}

static void party_on_ready(void *arg, struct wire *w, int events)
{
	scarce_hold();
	party_run(arg);
	scarce_let();
}

static void party_on_broken(void *arg, struct wire *w, int why)
{
	party_over(arg, why);
}

static const struct wire_owner party_owner = {party_on_ready, party_on_broken};

static struct party *party_new(struct scarce *s, struct wire *w)
{
	struct party *p = must_calloc(1, sizeof *p);

	p->all = s;
	p->wire = w;
	list_push(&s->parties, &p->link);
	wire_own(w, &party_owner, p);
	wire_want(w, WIRE_READ);
	return p;
}

/* ---- the agent's machine ---- */

static struct wire *scarce_dial_node(struct scarce *s, enum cable_kind kind, unsigned node)
{
	struct node_visitor who = {.tls = false};
	struct wire *a, *b;

	CHECK(visit_end_set(&who.peer, STR("192.0.2.7"), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), 80) == 0);
	cable_new(&s->stage, kind, 0, &a, &b);
	node_serve(s->nodes[node], b, &who);
	return a;
}

static enum dial_state scarce_look(struct dialler *d, const struct dial_to *to)
{
	return DIAL_CONNECTS;
}

static struct wire *scarce_connect(struct dialler *d, const struct dial_to *to)
{
	struct scarce *s = CONTAINER_OF(d, struct scarce, dialler);
	struct wire *a, *b;

	if (to->server)
		return scarce_dial_node(s, CABLE_SESSION, 0);
	cable_new(&s->stage, CABLE_TARGET, 0, &a, &b);
	party_new(s, b)->raw = to->port == RAW_PORT;
	return a;
}

static void scarce_on_online(void *arg, const struct agent_online *o)
{
	struct scarce *s = arg;

	str_printf(o->tunnel == 1 ? s->web : s->raw, HOSTNAME_MAX + 1, "%s", o->name);
}

static void scarce_on_offline(void *arg, const struct agent_offline *o)
{
}

static void scarce_on_lost(void *arg, uint32_t id, int code, const char *reason)
{
	struct scarce *s = arg;

	stage_fail(&s->stage, "tunnel %u is lost for good: %s %s", id, err_name(code), reason);
}

static void scarce_on_ended(void *arg, int code, const char *reason)
{
	struct scarce *s = arg;

	stage_fail(&s->stage, "the agent has ended: %s %s", err_name(code), reason);
}

static void scarce_on_target(void *arg, const struct url *to, int e)
{
}

static void scarce_on_request(void *arg, const struct peek_request *r)
{
}

static const struct agent_events scarce_events = {
	.online = scarce_on_online,
	.offline = scarce_on_offline,
	.lost = scarce_on_lost,
	.ended = scarce_on_ended,
	.target = scarce_on_target,
	.request = scarce_on_request,
};

static void scarce_start_agent(struct scarce *s)
{
	struct agent_tunnel tunnels[] = {{.kind = AGENT_HTTP}, {.kind = AGENT_TCP}};
	struct agent_opt opt = {.log = &s->stage.log,
				.net = &s->dialler.net,
				.id = "agent",
				.server = &s->server,
				.tunnels = tunnels,
				.n_tunnels = ARRAY_LEN(tunnels),
				.n_sessions = 1,
				.events = &scarce_events,
				.arg = s};

	dialler_init(&s->dialler, &s->stage);
	s->dialler.look = scarce_look;
	s->dialler.connect = scarce_connect;
	CHECK(url_parse(STR("http://" SCARCE_DOMAIN), &s->server, NULL) == 0);
	CHECK(url_parse(STR("http://10.0.0.1:1000"), &tunnels[0].target, NULL) == 0);
	CHECK(url_parse(STR("tcp://10.0.0.1:1001"), &tunnels[1].target, NULL) == 0);
	CHECK(agent_new(s->stage.ev, &opt, &s->agent) == 0);
}

/* ---- the nodes ---- */

/* Nobody listens: visitors of the port are handed to node_serve_port(). */
struct port {
	uint16_t number;
};

static int scarce_take_port(void *arg, const char *bind, uint16_t number, struct port **out)
{
	*out = must_calloc(1, sizeof **out);
	(*out)->number = number;
	return 0;
}

static int scarce_let_port(struct port *p, const char *tunnel)
{
	return 0;
}

static void scarce_give_up_port(struct port *p)
{
	free(p);
}

static const struct access_ports scarce_ports = {TUNNEL_PORT, TUNNEL_PORT + 7};

static void scarce_on_started(void *arg, const struct core_started *result)
{
	CHECK(result->e == 0);
}

static void scarce_start_node(struct scarce *s, unsigned i)
{
	struct node_cluster cluster = {.net = &s->hops.net, .key = s->key};
	struct roster_node *self = &cluster.self;
	struct net_addr listen;
	char text[32];
	struct node_opt opt = {
		.log = &s->stage.log,
		.store = s->stage.store,
		.domain = SCARCE_DOMAIN,
		.url_scheme = "http",
		.registration = CORE_OPEN,
		.tcp_ports = &scarce_ports,
		.n_tcp_ports = 1,
		.ports = {.take = scarce_take_port,
			  .let = scarce_let_port,
			  .give_up = scarce_give_up_port},
		.cluster = &cluster,
		.deadlines = {.head_ms = 60000, .idle_ms = 60000},
		.sessions_max = 64,
		.window_total = 64 * 1024 * 1024,
	};

	str_printf(self->id, sizeof self->id, "%016u", i + 1);
	str_printf(self->version, sizeof self->version, "1");
	str_printf(text, sizeof text, "10.9.0.%u:7000", i + 1);
	CHECK(net_addr_parse(str_of(text), &listen) == 0);
	cluster.listen = &listen;
	CHECK(lossy_bus_new(s->bus, self->id, &cluster.bus) == 0);
	CHECK(node_new(s->stage.ev, &opt, &s->nodes[i]) == 0);
	node_start(s->nodes[i], scarce_on_started, NULL);
	ev_sim_run_for(s->stage.ev, 1000);
}

static struct scarce *scarce_open(bool verbose)
{
	struct scarce *s = must_calloc(1, sizeof *s);

	stage_open(&s->stage, 1, verbose);
	list_init(&s->parties);
	CHECK(lossy_net_new(s->stage.ev, 1, &s->bus) == 0);
	mem_hop_init(&s->hops);
	for (unsigned i = 0; i < NODES; i++)
		scarce_start_node(s, i);
	scarce_start_agent(s);
	ev_sim_run_for(s->stage.ev, 5000);
	CHECK(s->web[0] != '\0' && s->raw[0] != '\0');
	return s;
}

/* Everything ends, and nothing may be left. Returns true if all was well. */
static bool scarce_close(struct scarce *s)
{
	bool good;

	agent_free(s->agent);
	for (unsigned i = 0; i < NODES; i++)
		node_free(s->nodes[i]);
	LIST_FOR_EACH_SAFE (link, &s->parties)
		party_over(CONTAINER_OF(link, struct party, link), ERR_CLOSED);
	ev_sim_run_for(s->stage.ev, CALM_MS);
	lossy_net_free(s->bus);
	stage_close(&s->stage);
	good = !s->stage.failed;
	stage_free(&s->stage);
	free(s);
	return good;
}

/* ---- a visitor ---- */

static void visit_write_http(struct scarce *s, const struct scarce_kind *k, struct party *v)
{
	char head[400];

	str_printf(head, sizeof head, "%s /%zu/%zu/%d HTTP/1.1\r\nHost: %s." SCARCE_DOMAIN "\r\n",
		   k->is == GET || k->is == UPGRADE ? "GET" : "POST", k->up, k->down,
		   k->is == UPGRADE, s->web);
	party_add(v, head, strlen(head));
	str_printf(head, sizeof head, "Content-Length: %zu\r\nConnection: close\r\n\r\n", k->up);
	if (k->is == GET)
		party_add(v, "Connection: close\r\n\r\n", 21);
	else if (k->is == POST)
		party_add(v, head, strlen(head));
	else if (k->is == CHUNKED)
		party_add(v, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", 49);
	else
		party_add(v, "Connection: upgrade\r\nUpgrade: echo\r\n\r\n", 38);
	if (k->is == CHUNKED) {
		str_printf(head, sizeof head, "%zx\r\n", k->up);
		party_add(v, head, strlen(head));
	}
	party_fill(v, k->is == UPGRADE ? 0 : k->up);
	if (k->is == CHUNKED)
		party_add(v, "\r\n0\r\n\r\n", 7);
}

static struct party *visit_begin(struct scarce *s, const struct scarce_kind *k)
{
	struct visit who = {.ingress = VISIT_TCP};
	struct party *v;
	struct wire *a, *b;

	if (k->is != RAW) {
		v = party_new(s, scarce_dial_node(s, CABLE_VISITOR, k->node));
	} else {
		CHECK(visit_end_set(&who.visitor, STR("192.0.2.9"), 40000) == 0);
		CHECK(visit_end_set(&who.local, STR("192.0.2.1"), TUNNEL_PORT) == 0);
		cable_new(&s->stage, CABLE_VISITOR, 0, &a, &b);
		v = party_new(s, a);
		node_serve_port(s->nodes[k->node], b, &who, s->raw);
	}
	v->is_visitor = true;
	scarce_hold();
	if (k->is != RAW)
		visit_write_http(s, k, v);
	else
		party_fill(v, k->up);
	v->ends = k->is == RAW;
	party_run(v);
	scarce_let();
	return v;
}

/* The head of the answer; status 0: it is not there. *body: bytes behind it so far. */
static struct http_response visit_head(const struct party *v, size_t *body)
{
	struct http_response res = {.status = 0};
	size_t scanned = 0;

	*body = 0;
	if (v->in.len == 0 || http_response_parse(buf_str(&v->in), HTTP_GET, &scanned, &res) != 0)
		return (struct http_response){.status = 0};
	*body = v->in.len - res.head.len;
	return res;
}

/* Was it served, and wholly? */
static bool visit_is_good(const struct scarce_kind *k, const struct party *v)
{
	size_t body;
	unsigned status = visit_head(v, &body).status;

	if (k->is == RAW)
		return v->in.len == k->down;
	return status == (k->is == UPGRADE ? 101 : 200) && body == k->down;
}

/* Who was answered leaves; with a 101 it says something first, and waits for that to come back. */
static void visit_go_on(const struct scarce_kind *k, struct party *v, bool *said)
{
	struct http_response res;
	size_t body;

	if (k->is != UPGRADE || v->wire == NULL)
		return;
	res = visit_head(v, &body);
	if (res.status == 101 && !*said) {
		*said = true;
		party_fill(v, k->up);
		party_run(v);
	} else if (res.status == 101 && body == k->down) {
		v->ends = true;
		party_run(v);
	} else if (res.status >= 200 && body == res.head.content_length) {
		party_over(v, 0);
	}
}

static void visit_free(struct party *v)
{
	if (v->wire != NULL)
		party_over(v, ERR_RESET);
	list_del(&v->link);
	buf_free(&v->in);
	free(v);
}

/* Live until it is over. Returns false when it has not ended. *good: it was served. */
static bool visit_live(struct scarce *s, const struct scarce_kind *k, bool *good)
{
	struct party *v = visit_begin(s, k);
	bool said = false, over;

	for (unsigned ms = 0; ms < ENDS_MS && v->wire != NULL; ms += 5) {
		ev_sim_run_for(s->stage.ev, 5);
		scarce_hold();
		visit_go_on(k, v, &said);
		scarce_let();
	}
	over = v->wire == NULL;
	*good = over && visit_is_good(k, v);
	visit_free(v);
	return over;
}

/* ---- every place ---- */

static bool scarce_heals(struct scarce *s, const struct scarce_kind *k)
{
	uint64_t since = ev_now_ms(s->stage.ev);
	bool good = false;

	while (ev_now_ms(s->stage.ev) - since < HEALS_MS) {
		if (!visit_live(s, k, &good))
			return false;
		if (good)
			return true;
		ev_sim_run_for(s->stage.ev, LOOK_MS);
	}
	return false;
}

/* One visitor, for whom the n-th allocation fails. Returns 0, 1 if none has, -1: a promise is
 * broken. */
static int scarce_try(struct scarce *s, const struct scarce_kind *k, size_t n, size_t more)
{
	bool good, ended, failed;

	ev_sim_run_for(s->stage.ev, k->cold ? COLD_MS : CALM_MS);
	stage_note(&s->stage, "%s: allocation %zu fails", k->name, n);
	if (k->back)
		cable_cut(cable_pick(&s->stage, CABLE_SESSION, ANY_HOST));
	scarce_arm(n, more);
	if (k->back)
		ended = good = scarce_heals(s, k);
	else
		ended = visit_live(s, k, &good);
	failed = scarce_disarm();
	stage_note(&s->stage, "%s: ended=%d good=%d failed=%d", k->name, ended, good, failed);
	if (!ended && k->back)
		printf("%s: the agent is not back when allocation %zu has failed\n", k->name, n);
	else if (!ended)
		printf("%s: the visitor waits when allocation %zu fails\n", k->name, n);
	else if (!failed && !good)
		printf("%s: not served, though memory was there\n", k->name);
	else if (!scarce_heals(s, k))
		printf("%s: does not work any more after allocation %zu has failed\n", k->name, n);
	else
		return s->stage.failed ? -1 : !failed;
	scarce_show();
	return -1;
}

static bool scarce_kind_run(const struct scarce_kind *k, size_t more, bool verbose)
{
	struct scarce *s = scarce_open(verbose);
	int r = scarce_heals(s, k) ? 0 : -1;
	size_t n;

	if (r != 0)
		printf("%s: does not work at all\n", k->name);
	for (n = 0; n < PLACES_MAX && r == 0; n++)
		r = scarce_try(s, k, n, more);
	if (r == 0)
		printf("%s: more than %d allocations\n", k->name, PLACES_MAX);
	else if (r > 0)
		printf("%s: %zu places, %zu at a time\n", k->name, n - 1, more + 1);
	fflush(stdout);
	return scarce_close(s) && r > 0;
}

int main(int argc, char **argv)
{
	int n_failed = 0;

	scarce_init();
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (argc > 1 && strcmp(kinds[i].name, argv[1]) != 0)
			continue;
		n_failed += !scarce_kind_run(&kinds[i], 0, argc > 1);
		n_failed += !scarce_kind_run(&kinds[i], SOME_MORE, argc > 1);
	}
	return n_failed > 0;
}
