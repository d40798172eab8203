/*
 * Whatever becomes of a connection, its bytes are in order, and an end that is no reset means that
 * they were all of them.
 */
#include "sim/pool_visitor.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sim/pool.h"
#include "sim/pool_rules.h"

#define UP_MAX	    150000
#define PIECE_MAX   16000
#define GULP_MAX    30000
#define STAY_MAX_MS 40000

static void visit_run(struct pool_visitor *v);

static struct stage *visit_stage(const struct pool_visitor *v)
{
	return &v->pool->stage;
}

static uint64_t visit_now(const struct pool_visitor *v)
{
	return ev_now_ms(visit_stage(v)->ev);
}

/* ---- the end ---- */

static void visit_end(struct pool_visitor *v, int why)
{
	struct ev *ev = visit_stage(v)->ev;

	wire_close(v->wire, why);
	buf_free(&v->out);
	buf_free(&v->line);
	ev_timer_stop(ev, &v->resume);
	ev_timer_stop(ev, &v->stay);
	ev_timer_stop(ev, &v->prompt);
	ev_timer_stop(ev, &v->patience);
	list_del(&v->link);
	v->pool->n_visitors--;
	v->pool->n_probes -= v->good != NULL;
	ev_free_later(ev, v);
}

void pool_visitor_end(struct pool_visitor *v)
{
	visit_end(v, ERR_RESET);
}

static void visit_lose(struct pool_visitor *v, int why)
{
	stage_note(visit_stage(v), "visitor %u lost %s", v->number, err_name(why));
	pool_rules_lost(v, why);
	visit_end(v, why);
}

static void visit_done(struct pool_visitor *v)
{
	stage_note(visit_stage(v), "visitor %u done up=%llu down=%llu", v->number,
		   (unsigned long long)v->sent, (unsigned long long)v->got);
	if (v->good != NULL)
		*v->good = true;
	visit_end(v, 0);
}

/* ---- what comes ---- */

static void visit_greet(struct pool_visitor *v)
{
	char text[TARGET_BANNER_MAX], kind;
	unsigned long long at;

	str_printf(text, sizeof text, STR_FMT, STR_ARG(buf_str(&v->line)));
	if (sscanf(text, TARGET_BANNER, &v->host, &v->tunnel, &at, &kind, &v->pour) != 5) {
		stage_fail(visit_stage(v), "visitor %u was greeted with %s", v->number, text);
		return;
	}
	v->greeted = true;
	v->pours = kind == 'P';
	v->accept_ms = at;
	v->staying = v->stay_ms != 0;
	if (v->staying)
		ev_timer_set(visit_stage(v)->ev, &v->stay, v->stay_ms);
	stage_note(visit_stage(v), "visitor %u greeted by %u.%u", v->number, v->host, v->tunnel);
	pool_rules_greeted(v);
}

/* Take the banner off the front. */
static void visit_take_line(struct pool_visitor *v, struct str *in)
{
	while (in->len > 0 && !v->greeted && !visit_stage(v)->failed) {
		char c = *in->p++;

		in->len--;
		CHECK(buf_add(&v->line, &c, 1, TARGET_BANNER_MAX) == 0);
		if (c == '\n')
			visit_greet(v);
	}
}

static void visit_take(struct pool_visitor *v, struct str in)
{
	uint64_t salt = pool_target_salt(v->host, v->tunnel, v->accept_ms);
	char number[TARGET_NUMBER + 1];

	str_printf(number, sizeof number, "%0*x", TARGET_NUMBER, v->number);
	for (size_t i = 0; i < in.len; i++) {
		uint64_t at = v->got + i;
		char want = v->pours		 ? pool_target_byte(salt, at)
			    : at < TARGET_NUMBER ? number[at]
						 : pool_target_byte(v->number, at);

		if (in.p[i] == want && at < (v->pours ? v->pour : v->up))
			continue;
		stage_fail(visit_stage(v), "byte %llu for visitor %u is wrong",
			   (unsigned long long)at, v->number);
		return;
	}
	v->got += in.len;
}

static void visit_on_eof(struct pool_visitor *v)
{
	v->eof = true;
	if (!v->greeted || v->got != (v->pours ? v->pour : v->up))
		stage_fail(visit_stage(v), "visitor %u was told the end after %llu of %u bytes",
			   v->number, (unsigned long long)v->got, v->pours ? v->pour : v->up);
}

/* Returns 0, ERR_AGAIN or why it broke. */
static int visit_read(struct pool_visitor *v)
{
	struct str in;
	int e;

	if (v->eof || v->resting)
		return ERR_AGAIN;
	if ((e = wire_read(v->wire, v->gulp, &in)) == ERR_EOF) {
		visit_on_eof(v);
		return ERR_AGAIN;
	}
	if (e != 0)
		return e;
	v->progress_ms = visit_now(v);
	visit_take_line(v, &in);
	if (in.len > 0 && v->greeted)
		visit_take(v, in);
	if (v->pause_ms != 0) {
		v->resting = true;
		ev_timer_set(visit_stage(v)->ev, &v->resume, v->pause_ms);
	}
	return 0;
}

static void visit_on_stayed(void *arg)
{
	struct pool_visitor *v = arg;

	v->staying = false;
	v->progress_ms = visit_now(v);
	visit_run(v);
}

static void visit_on_resume(void *arg)
{
	struct pool_visitor *v = arg;

	v->resting = false;
	v->progress_ms = visit_now(v);
	visit_run(v);
}

/* ---- what goes ---- */

static void visit_fill(struct pool_visitor *v)
{
	char piece[PIECE_MAX + 1];
	size_t n = MIN((size_t)PIECE_MAX, (size_t)(v->up - v->sent));

	if (v->sent == 0)
		str_printf(piece, sizeof piece, "%0*x", TARGET_NUMBER, v->number);
	for (size_t i = 0; i < n; i++)
		if (v->sent + i >= TARGET_NUMBER)
			piece[i] = pool_target_byte(v->number, v->sent + i);
	CHECK(buf_add(&v->out, piece, n, SIZE_MAX) == 0);
}

/* Returns an error when it is broken. */
static int visit_write(struct pool_visitor *v)
{
	size_t before;
	int e = 0;

	if (v->waits && !v->greeted)
		return 0;
	while (v->sent < v->up) {
		if (v->out.len == 0)
			visit_fill(v);
		before = v->out.len;
		if ((e = wire_write_buf(v->wire, &v->out)) != 0 || v->out.len == before)
			return e;
		v->sent += before - v->out.len;
		v->progress_ms = visit_now(v);
	}
	if (!v->shut && !v->staying &&
	    (v->shuts || (v->greeted && (v->pours ? v->eof : v->got == v->up)))) {
		wire_shut(v->wire);
		v->shut = true;
	}
	return 0;
}

static void visit_run(struct pool_visitor *v)
{
	bool may_write;
	int e;

	do {
		if ((e = visit_write(v)) == 0)
			e = visit_read(v);
	} while (e == 0 && !visit_stage(v)->failed);
	if (e != 0 && e != ERR_AGAIN) {
		visit_lose(v, e);
		return;
	}
	if (v->leave_at != 0 && v->got >= v->leave_at) {
		stage_note(visit_stage(v), "visitor %u leaves", v->number);
		visit_end(v, ERR_RESET);
		return;
	}
	if ((e = visit_write(v)) != 0) {
		visit_lose(v, e);
		return;
	}
	if (v->eof && v->shut) {
		visit_done(v);
		return;
	}
	may_write = v->sent < v->up && (!v->waits || v->greeted);
	wire_want(v->wire, (v->eof || v->resting ? 0 : WIRE_READ) | (may_write ? WIRE_WRITE : 0));
}

static void visit_on_ready(void *arg, struct wire *w, int events)
{
	visit_run(arg);
}

static void visit_on_broken(void *arg, struct wire *w, int why)
{
	visit_lose(arg, why);
}

static const struct wire_owner visit_owner = {visit_on_ready, visit_on_broken};

/* ---- waiting ---- */

static void visit_on_prompt(void *arg)
{
	struct pool_visitor *v = arg;

	if (!v->greeted)
		pool_rules_slow(v);
}

static void visit_on_patience(void *arg)
{
	struct pool_visitor *v = arg;
	uint64_t left = pool_rules_patience_ms(v);

	if (left == 0 && !v->staying)
		stage_fail(visit_stage(v), "visitor %u has waited since %llu ms, greeted=%d",
			   v->number, (unsigned long long)v->progress_ms, v->greeted);
	ev_timer_set(visit_stage(v)->ev, &v->patience, MAX(left, 1000));
}

/* ---- coming ---- */

/* plain: as simple as can be. */
static void visit_draw(struct pool_visitor *v, bool plain)
{
	struct dice *d = &visit_stage(v)->dice;
	bool listens = false;

	for (unsigned t = 0; t < v->pool->n_tunnels; t++)
		listens = listens || v->pool->tunnels[t].listens;
	v->gulp = GULP_MAX;
	v->shuts = true;
	v->up = TARGET_NUMBER;
	if (plain)
		return;
	v->up = dice_chance(d, 15) ? 0 : TARGET_NUMBER + dice_length(d, UP_MAX);
	v->waits = !listens && dice_chance(d, 50);
	v->shuts = v->up == 0 ? !v->waits || dice_chance(d, 50) : dice_chance(d, 50);
	if (dice_chance(d, 15)) {
		v->pause_ms = dice_range(d, 1, 300);
		v->gulp = 500 + dice_length(d, GULP_MAX);
	}
	if ((v->up > 0 || !listens) && dice_chance(d, 25)) {
		v->shuts = false;
		v->stay_ms = dice_range(d, 1000, STAY_MAX_MS);
	}
	if (dice_chance(d, 10))
		v->leave_at = 1 + dice_length(d, UP_MAX);
}

static void visit_begin(struct pool_visitor *v, const char *tunnel)
{
	struct visit who = {.ingress = VISIT_TCP};
	struct stage *s = visit_stage(v);
	struct wire *far;
	char ip[32];

	stage_ip(v->number, ip);
	CHECK(visit_end_set(&who.visitor, str_of(ip), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), v->port) == 0);
	cable_new(s, CABLE_VISITOR, v->number, &v->wire, &far);
	v->came_ms = v->progress_ms = visit_now(v);
	v->stay = (struct ev_timer){.fn = visit_on_stayed, .arg = v};
	v->resume = (struct ev_timer){.fn = visit_on_resume, .arg = v};
	v->prompt = (struct ev_timer){.fn = visit_on_prompt, .arg = v};
	v->patience = (struct ev_timer){.fn = visit_on_patience, .arg = v};
	ev_timer_set(s->ev, &v->prompt, pool_rules_prompt_ms(v->pool));
	ev_timer_set(s->ev, &v->patience, pool_rules_patience_ms(v));
	list_push(&v->pool->visitors, &v->link);
	v->pool->n_visitors++;
	v->pool->n_probes += v->good != NULL;
	wire_own(v->wire, &visit_owner, v);
	node_serve_port(v->pool->nodes[v->node].node, far, &who, tunnel);
	visit_run(v);
}

static void visit_come(struct pool *p, unsigned node, uint16_t port, bool *good)
{
	struct pool_visitor *v = must_calloc(1, sizeof *v);
	char tunnel[HOSTNAME_MAX + 1] = "";
	const struct port *at;

	v->pool = p;
	v->number = p->visitor_number++;
	v->node = node;
	v->port = port;
	v->good = good;
	visit_draw(v, good != NULL);
	at = pool_port_find(&p->nodes[node], port);
	if (at != NULL)
		memcpy(tunnel, at->tunnel, sizeof tunnel);
	stage_note(&p->stage, "visitor %u for %u.%u: %s", v->number, node, port,
		   tunnel[0] != '\0' ? tunnel : "refused");
	if (tunnel[0] != '\0') {
		visit_begin(v, tunnel);
		return;
	}
	pool_rules_refused(v);
	ev_free_later(p->stage.ev, v);
}

void pool_visitor_come(struct pool *p, unsigned node, uint16_t port)
{
	visit_come(p, node, port, NULL);
}

void pool_visitor_probe(struct pool *p, unsigned node, uint16_t port, bool *good)
{
	visit_come(p, node, port, good);
}

void pool_visitor_cut(struct pool *p, struct cable *c)
{
	LIST_FOR_EACH (link, &p->visitors) {
		struct pool_visitor *v = CONTAINER_OF(link, struct pool_visitor, link);

		if (v->number == c->host)
			v->cut = true;
	}
	cable_cut(c);
}
