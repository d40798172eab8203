/*
 * Checks that the bytes of its visitors are whole and in order, that they are nobody else's, and
 * that the PROXY header names whoever sends them.
 */
#include "sim/pool_target.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/proxy_protocol.h"
#include "sim/pool.h"

/* What waits to be sent, and what one piece has, at most, in bytes. */
#define OUT_MAX	  20000
#define PIECE_MAX 8000
/* What it pours, and how often it does, of a hundred. */
#define POUR_MAX     200000
#define POUR_PERCENT 25

struct target_conn {
	struct list link;
	struct pool_target *target;
	struct wire *wire;
	uint64_t accept_ms;
	struct buf head; /* a PROXY header and the number, as far as they have come */
	bool has_header; /* it came, or none does */
	char peer[32];	 /* as the header says; "": it does not */
	unsigned number; /* the visitor's; UINT32_MAX: not known */
	uint64_t got;	 /* bytes of the visitor, its number among them */
	bool pours;
	uint64_t salt; /* of what it pours */
	uint32_t pour, poured;
	struct buf out;
	bool greeted, eof, shut;
};

char pool_target_byte(uint64_t salt, uint64_t at)
{
	uint64_t x = (at + 1) * 0x9e3779b97f4a7c15 + (salt + 1) * 0x94d049bb133111eb;

	return (char)(x >> 37);
}

uint64_t pool_target_salt(unsigned host, unsigned tunnel, uint64_t accept_ms)
{
	return UINT64_MAX - (accept_ms * 64 + host * 8 + tunnel);
}

static struct stage *conn_stage(const struct target_conn *c)
{
	return &c->target->pool->stage;
}

static void conn_end(struct target_conn *c, int why)
{
	wire_close(c->wire, why);
	list_del(&c->link);
	buf_free(&c->head);
	buf_free(&c->out);
	ev_free_later(conn_stage(c)->ev, c);
}

/* ---- what comes ---- */

static void conn_check_header(struct target_conn *c, const struct proxy_header *h, size_t used)
{
	const struct pool_tunnel *t = &c->target->pool->tunnels[c->target->tunnel];

	if (h->version != (unsigned)t->proxy || h->local)
		stage_fail(conn_stage(c), "%s got a PROXY header of version %u", t->name,
			   h->version);
	if (h->dst.port < POOL_PORT_FIRST || h->dst.port >= POOL_PORT_FIRST + POOL_PORTS)
		stage_fail(conn_stage(c), "the PROXY header of %s names port %u", t->name,
			   h->dst.port);
	memcpy(c->peer, h->src.ip, MIN(sizeof c->peer, sizeof h->src.ip));
	c->has_header = true;
	buf_take(&c->head, used);
}

static void conn_check_number(struct target_conn *c)
{
	char text[TARGET_NUMBER + 1] = "";
	uint64_t number;

	memcpy(text, buf_str(&c->head).p, TARGET_NUMBER);
	if (num_parse_hex(str_of(text), &number) != 0) {
		stage_fail(conn_stage(c), "%s got what no visitor sends",
			   c->target->pool->tunnels[c->target->tunnel].name);
		return;
	}
	c->number = (unsigned)number;
	if (c->peer[0] != '\0' && stage_ip_number(c->peer) != c->number)
		stage_fail(conn_stage(c), "visitor %u is said to come from %s", c->number, c->peer);
}

/* Bytes of a visitor whose number is known. */
static void conn_take(struct target_conn *c, struct str in)
{
	for (size_t i = 0; i < in.len && c->got + i >= TARGET_NUMBER; i++) {
		if (in.p[i] == pool_target_byte(c->number, c->got + i))
			continue;
		stage_fail(conn_stage(c), "byte %llu of visitor %u is wrong",
			   (unsigned long long)(c->got + i), c->number);
		return;
	}
	c->got += in.len;
	if (!c->pours)
		CHECK(buf_add(&c->out, in.p, in.len, SIZE_MAX) == 0);
}

/* The start, as far as it is there. */
static void conn_take_head(struct target_conn *c)
{
	struct proxy_header h;
	size_t used;
	int e;

	if (!c->has_header && c->head.len > 0) {
		e = proxy_protocol_parse(buf_str(&c->head), &h, &used);
		if (e == 0)
			conn_check_header(c, &h, used);
		else if (e != ERR_AGAIN)
			stage_fail(conn_stage(c), "a PROXY header is wrong: %s", err_name(e));
	}
	if (!c->has_header || c->head.len < TARGET_NUMBER)
		return;
	conn_check_number(c);
	if (conn_stage(c)->failed)
		return;
	conn_take(c, (struct str){buf_str(&c->head).p, TARGET_NUMBER});
	conn_take(c,
		  (struct str){buf_str(&c->head).p + TARGET_NUMBER, c->head.len - TARGET_NUMBER});
	buf_free(&c->head);
}

/* Returns 0, ERR_AGAIN, ERR_EOF or why it broke. */
static int conn_read(struct target_conn *c)
{
	struct str in;
	int e = 0;

	while (!conn_stage(c)->failed && !c->eof && c->out.len < OUT_MAX &&
	       (e = wire_read(c->wire, PIECE_MAX, &in)) == 0) {
		if (c->number != UINT32_MAX) {
			conn_take(c, in);
			continue;
		}
		CHECK(buf_add(&c->head, in.p, in.len, SIZE_MAX) == 0);
		conn_take_head(c);
	}
	return e;
}

/* ---- what goes ---- */

static void conn_greet(struct target_conn *c)
{
	const struct pool_target *t = c->target;
	bool listens = t->pool->tunnels[t->tunnel].listens;
	char line[TARGET_BANNER_MAX];
	size_t n;

	if (c->greeted || (listens && c->got == 0 && !c->eof))
		return;
	c->greeted = true;
	n = str_printf(line, sizeof line, TARGET_BANNER, t->host, t->tunnel,
		       (unsigned long long)c->accept_ms, c->pours ? 'P' : 'E', c->pour);
	CHECK(buf_unshift(&c->out, line, n, SIZE_MAX) == 0);
}

static void conn_pour(struct target_conn *c)
{
	char piece[PIECE_MAX];
	size_t n = MIN(sizeof piece, (size_t)(c->pour - c->poured));

	for (size_t i = 0; i < n; i++)
		piece[i] = pool_target_byte(c->salt, c->poured + i);
	CHECK(buf_add(&c->out, piece, n, SIZE_MAX) == 0);
	c->poured += (uint32_t)n;
}

/* Returns an error when it is broken. */
static int conn_write(struct target_conn *c)
{
	bool stuck = false;
	int e = 0;

	conn_greet(c);
	while (e == 0 && !stuck && !c->shut) {
		size_t before;

		if (c->greeted && c->pours && c->poured < c->pour && c->out.len < PIECE_MAX)
			conn_pour(c);
		before = c->out.len;
		if (!c->greeted || before == 0)
			break;
		e = wire_write_buf(c->wire, &c->out);
		stuck = c->out.len == before;
	}
	if (e == 0 && !c->shut && c->greeted && c->out.len == 0 &&
	    (c->pours ? c->poured == c->pour : c->eof)) {
		wire_shut(c->wire);
		c->shut = true;
	}
	return e;
}

static void conn_run(struct target_conn *c)
{
	bool want_write;
	int e = conn_read(c);

	if (e != 0 && e != ERR_AGAIN && e != ERR_EOF) {
		conn_end(c, e);
		return;
	}
	c->eof = c->eof || e == ERR_EOF;
	if ((e = conn_write(c)) != 0) {
		conn_end(c, e);
		return;
	}
	if (c->eof && c->shut) {
		conn_end(c, 0);
		return;
	}
	want_write = c->greeted && !c->shut && c->out.len > 0;
	wire_want(c->wire, (c->eof || c->out.len >= OUT_MAX ? 0 : WIRE_READ) |
				   (want_write ? WIRE_WRITE : 0));
}

static void conn_on_ready(void *arg, struct wire *w, int events)
{
	conn_run(arg);
}

static void conn_on_broken(void *arg, struct wire *w, int why)
{
	conn_end(arg, why);
}

static const struct wire_owner conn_owner = {conn_on_ready, conn_on_broken};

void pool_target_accept(struct pool_target *t, struct wire *w)
{
	struct dice *d = &t->pool->stage.dice;
	struct target_conn *c;

	if (t->mood == TARGET_RESETS) {
		wire_close(w, ERR_RESET);
		return;
	}
	c = must_calloc(1, sizeof *c);
	c->target = t;
	c->wire = w;
	c->accept_ms = ev_now_ms(t->pool->stage.ev);
	c->has_header = t->pool->tunnels[t->tunnel].proxy == TUNNEL_PROXY_NONE;
	c->number = UINT32_MAX;
	c->pours = dice_chance(d, POUR_PERCENT);
	c->pour = c->pours ? dice_length(d, POUR_MAX) : 0;
	c->salt = pool_target_salt(t->host, t->tunnel, c->accept_ms);
	list_push(&t->conns, &c->link);
	wire_own(w, &conn_owner, c);
	conn_run(c);
}

void pool_target_init(struct pool_target *t, struct pool *p, unsigned host, unsigned tunnel)
{
	*t = (struct pool_target){.pool = p, .host = host, .tunnel = tunnel};
	list_init(&t->conns);
}

void pool_target_close_all(struct pool_target *t)
{
	LIST_FOR_EACH_SAFE (link, &t->conns)
		conn_end(CONTAINER_OF(link, struct target_conn, link), ERR_RESET);
}

size_t pool_target_load(const struct pool_target *t, uint64_t min_ms)
{
	uint64_t now = ev_now_ms(t->pool->stage.ev);
	size_t n = 0;

	LIST_FOR_EACH (link, &t->conns)
		n += CONTAINER_OF(link, struct target_conn, link)->accept_ms + min_ms < now;
	return n;
}
