/* One request a connection: GET /<visit>/<bytes>. */
#include "sim/fleet_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"
#include "sim/fleet.h"

struct target_conn {
	struct list link;
	struct fleet_target *target;
	unsigned seat;
	struct wire *wire; /* owned */
	struct buf in, out;
	size_t scanned;
	bool answered, shut;
};

static struct stage *conn_stage(const struct target_conn *c)
{
	return &c->target->host->fleet->stage;
}

static void conn_end(struct target_conn *c, int why)
{
	wire_close(c->wire, why);
	list_del(&c->link);
	buf_free(&c->in);
	buf_free(&c->out);
	ev_free_later(conn_stage(c)->ev, c);
}

/* The visitor wants that tunnel, and this seat is for it. */
static void conn_answer(struct target_conn *c, const struct http_request *req)
{
	const struct fleet_host *h = c->target->host;
	unsigned id, down;
	char path[64];

	str_printf(path, sizeof path, STR_FMT, STR_ARG(req->path));
	if (sscanf(path, "/%u/%u", &id, &down) != 2 || id >= h->fleet->n_visits) {
		stage_fail(conn_stage(c), "a target was asked for %s", path);
		return;
	}
	stage_note(conn_stage(c), "target %u.%u serves visit %u", h->index, c->seat, id);
	if (!fleet_visitor_wants(h->fleet->visits[id], h->seats[c->seat]))
		stage_fail(conn_stage(c), "visit %u of %s came to a target of %s", id,
			   fleet_visitor_tunnel(h->fleet->visits[id]), h->seats[c->seat]->name);
	CHECK(buf_printf(&c->out, 1000,
			 "HTTP/1.1 200 OK\r\nX-Site: %u.%u\r\nX-Visit: %u\r\n"
			 "Content-Length: %u\r\nConnection: close\r\n\r\n",
			 h->index, c->seat, id, down) == 0);
	for (unsigned i = 0; i < down; i++) {
		char byte = fleet_visitor_byte(id, i);

		CHECK(buf_add(&c->out, &byte, 1, SIZE_MAX) == 0);
	}
	c->answered = true;
}

/* Returns false when the connection is over. */
static bool conn_read(struct target_conn *c)
{
	struct http_request req;
	struct str in;
	int e;

	while ((e = wire_read(c->wire, 65536, &in)) == 0)
		CHECK(buf_add(&c->in, in.p, in.len, SIZE_MAX) == 0);
	if (!c->answered && c->in.len > 0 &&
	    http_request_parse(buf_str(&c->in), &c->scanned, &req) == 0)
		conn_answer(c, &req);
	if (e == ERR_AGAIN)
		return true;
	if (c->answered && e == ERR_EOF)
		return true; /* the other side sends no more, but reads */
	conn_end(c, e == ERR_EOF ? 0 : e);
	return false;
}

static void conn_run(struct target_conn *c)
{
	int e;

	if (!conn_read(c))
		return;
	e = wire_write_buf(c->wire, &c->out);
	if (e != 0 && e != ERR_AGAIN) {
		conn_end(c, e);
	} else if (c->answered && c->out.len == 0) {
		wire_shut(c->wire);
		conn_end(c, 0);
	} else {
		wire_want(c->wire,
			  (c->answered ? 0 : WIRE_READ) | (c->out.len > 0 ? WIRE_WRITE : 0));
	}
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

void fleet_target_init(struct fleet_target *t, struct fleet_host *h)
{
	t->host = h;
	list_init(&t->conns);
}

void fleet_target_accept(struct fleet_target *t, struct wire *w, uint16_t port)
{
	struct target_conn *c = must_calloc(1, sizeof *c);

	c->target = t;
	c->seat = port - FLEET_TARGET_PORT;
	c->wire = w;
	list_push(&t->conns, &c->link);
	wire_own(w, &conn_owner, c);
	wire_want(w, WIRE_READ);
}

size_t fleet_target_load(const struct fleet_target *t)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &t->conns)
		n++;
	return n;
}

void fleet_target_close_all(struct fleet_target *t)
{
	LIST_FOR_EACH_SAFE (link, &t->conns)
		conn_end(CONTAINER_OF(link, struct target_conn, link), ERR_RESET);
}
