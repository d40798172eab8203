/*
 * Answers what the request's plan asks for, and says who answered; checks that the bytes of an
 * upload are the visitor's, that its address came along, and that nothing is done twice.
 */
#include "sim/site.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_body.h"
#include "sim/world.h"

#define PIECE_MAX 8000

struct site_conn {
	struct list link;
	struct site *site;
	struct wire *wire;
	struct buf in; /* a head that comes in pieces */
	size_t scanned;
	struct quest *quest; /* being answered; NULL between two */
	struct http_body body;
	uint64_t got; /* bytes of the body that came */
	bool asked_whole, answering, keep, echo, eof;
	struct buf out;
	uint64_t given; /* bytes of the answer's body in out so far */
	bool complete;	/* all of the answer is in out */
	struct ev_timer timer;
	bool pausing, waited;
};

static void site_conn_run(struct site_conn *c);

static void site_conn_end(struct site_conn *c, int why)
{
	struct world *w = c->site->world;

	ev_timer_stop(w->stage.ev, &c->timer);
	wire_close(c->wire, why);
	c->wire = NULL;
	list_del(&c->link);
	c->site->n_conns--;
	buf_free(&c->in);
	buf_free(&c->out);
	ev_free_later(w->stage.ev, c);
}

static void site_conn_pause(struct site_conn *c, uint32_t ms)
{
	c->pausing = true;
	ev_timer_set(c->site->world->stage.ev, &c->timer, ms);
}

static void site_conn_on_timer(void *arg)
{
	struct site_conn *c = arg;

	if (!c->pausing && c->quest == NULL && c->in.len == 0) { /* idle for too long */
		wire_shut(c->wire);
		site_conn_end(c, 0);
		return;
	}
	c->pausing = false;
	site_conn_run(c);
}

/* ---- the request ---- */

static bool site_conn_has_field(const struct http_head *h, struct str name, struct str value)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name))
			return str_eq(h->fields[i].value, value);
	return false;
}

static void site_conn_judge(struct site_conn *c, const struct http_request *req)
{
	struct world *w = c->site->world;
	struct quest *q = c->quest;
	char ip[32];

	stage_ip(q->ip, ip);
	if (!site_conn_has_field(&req->head, STR("X-Forwarded-For"), str_of(ip)))
		stage_fail(&w->stage, "quest %u came without its visitor's address", q->id);
	if (!str_eq(req->method_name, str_of(quest_method(q))))
		stage_fail(&w->stage, "quest %u came as another method", q->id);
	if (!world_may_serve(w, q->name, c->site->host, c->site->seat))
		stage_fail(&w->stage, "quest %u for %s came to site %u.%u", q->id,
			   w->names[q->name].text, c->site->host, c->site->seat);
	if (++q->n_served > 1 && q->once)
		stage_fail(&w->stage, "quest %u must not be done twice, and was", q->id);
	stage_note(&w->stage, "site %u.%u serves quest %u", c->site->host, c->site->seat, q->id);
}

static void site_conn_say(struct site_conn *c, const char *text)
{
	CHECK(buf_add(&c->out, text, strlen(text), SIZE_MAX) == 0);
}

static void site_conn_begin(struct site_conn *c, const struct http_request *req)
{
	struct quest *q;
	unsigned id;
	char path[64];

	str_printf(path, sizeof path, STR_FMT, STR_ARG(req->path));
	if (sscanf(path, "/quest/%u", &id) != 1 || (q = quest_find(c->site->world, id)) == NULL) {
		stage_fail(&c->site->world->stage, "a site was asked for %s", path);
		return;
	}
	c->quest = q;
	ev_timer_stop(c->site->world->stage.ev, &c->timer);
	c->pausing = false;
	site_conn_judge(c, req);
	http_body_init(&c->body, req->head.framing, req->head.content_length);
	c->got = c->given = 0;
	c->keep = req->head.keep_alive && !q->early;
	c->asked_whole = c->answering = c->complete = c->waited = false;
	if (q->expect && !q->early)
		site_conn_say(c, "HTTP/1.1 100 Continue\r\n\r\n");
}

/* Returns false when more bytes must come first. */
static bool site_conn_head(struct site_conn *c)
{
	struct http_request req;
	int e;

	if (c->in.len == 0)
		return false;
	e = http_request_parse(buf_str(&c->in), &c->scanned, &req);
	if (e == ERR_AGAIN)
		return false;
	if (e != 0) {
		stage_fail(&c->site->world->stage, "a site got a bad request: %s",
			   req.head.refusal.why);
		return false;
	}
	site_conn_begin(c, &req);
	c->scanned = 0;
	buf_take(&c->in, req.head.len);
	return true;
}

static void site_conn_body(struct site_conn *c)
{
	struct str in = buf_str(&c->in), data;
	struct quest *q = c->quest;
	size_t before = in.len;

	while (!c->body.done && in.len > 0) {
		if (http_body_next(&c->body, &in, &data) != 0) {
			stage_fail(&c->site->world->stage, "the body of quest %u is malformed",
				   q->id);
			return;
		}
		if (c->got + data.len > q->up || !quest_match(q, false, c->got, data.p, data.len)) {
			stage_fail(&c->site->world->stage,
				   "the body of quest %u is not what was sent", q->id);
			return;
		}
		c->got += data.len;
	}
	buf_take(&c->in, before - in.len);
	if (!c->body.done || c->asked_whole)
		return;
	c->asked_whole = true;
	if (c->got != q->up && q->how != QUEST_UPGRADE)
		stage_fail(&c->site->world->stage, "quest %u came with %llu of %u bytes", q->id,
			   (unsigned long long)c->got, q->up);
}

/* ---- the answer ---- */

static void site_conn_answer_head(struct site_conn *c)
{
	struct quest *q = c->quest;
	char text[400], framing[100] = "";

	if (q->how == QUEST_LENGTH || q->how == QUEST_HEAD)
		snprintf(framing, sizeof framing, "Content-Length: %u\r\n", q->down);
	else if (q->how == QUEST_CHUNKED)
		snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
	else if (q->how == QUEST_UPGRADE)
		snprintf(framing, sizeof framing, "Connection: Upgrade\r\nUpgrade: echo\r\n");
	c->keep = c->keep && q->how != QUEST_CLOSE && !q->cut;
	if (!c->keep && q->how != QUEST_UPGRADE)
		strcat(framing, "Connection: close\r\n");
	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nX-Site: %u.%u\r\nX-Quest: %u\r\n%s\r\n",
		 q->how == QUEST_NOTHING   ? "204 No Content"
		 : q->how == QUEST_UPGRADE ? "101 Switching Protocols"
					   : "200 OK",
		 c->site->host, c->site->seat, q->id, framing);
	site_conn_say(c, text);
	c->answering = true;
	c->echo = q->how == QUEST_UPGRADE;
	c->complete = q->how == QUEST_NOTHING || q->how == QUEST_HEAD;
}

/* The next piece of the answer's body. */
static void site_conn_piece(struct site_conn *c)
{
	struct quest *q = c->quest;
	uint32_t end = q->cut ? q->down / 2 : q->down;
	char piece[PIECE_MAX], line[32];
	size_t n = 1 + dice_length(&c->site->world->stage.dice, PIECE_MAX - 1);

	n = MIN(n, end - c->given);
	if (n > 0) {
		quest_fill(q, true, c->given, piece, n);
		if (q->how == QUEST_CHUNKED) {
			snprintf(line, sizeof line, "%zx\r\n", n);
			site_conn_say(c, line);
		}
		CHECK(buf_add(&c->out, piece, n, SIZE_MAX) == 0);
		if (q->how == QUEST_CHUNKED)
			site_conn_say(c, "\r\n");
		c->given += n;
	}
	if (c->given < end) {
		if (q->gap_ms != 0)
			site_conn_pause(c, q->gap_ms);
		return;
	}
	if (q->how == QUEST_CHUNKED && !q->cut)
		site_conn_say(c, "0\r\n\r\n");
	c->complete = true;
}

/* Returns false when the connection is gone. */
static bool site_conn_send(struct site_conn *c)
{
	struct str rest = buf_str(&c->out);
	struct iovec iov = {.iov_base = (char *)(uintptr_t)rest.p, .iov_len = rest.len};
	size_t taken;
	int e;

	if (rest.len == 0)
		return true;
	if ((e = wire_write(c->wire, &iov, 1, &taken)) != 0) {
		site_conn_end(c, e);
		return false;
	}
	buf_take(&c->out, taken);
	return true;
}

/* The answer is out. Returns false when the connection is gone. */
static bool site_conn_finish(struct site_conn *c)
{
	if (!c->keep) {
		/* One that has not read everything resets, as a kernel does. */
		wire_shut(c->wire);
		site_conn_end(c, 0);
		return false;
	}
	c->quest = NULL;
	if (c->site->keep_ms != 0)
		ev_timer_set(c->site->world->stage.ev, &c->timer, c->site->keep_ms);
	return true;
}

/* ---- running ---- */

/* Returns 0, ERR_AGAIN, ERR_EOF or why it broke. */
static int site_conn_read(struct site_conn *c)
{
	struct str in;
	int e;

	while (c->in.len < 2 * HTTP_HEAD_MAX && (e = wire_read(c->wire, 10000, &in)) == 0)
		CHECK(buf_add(c->echo ? &c->out : &c->in, in.p, in.len, SIZE_MAX) == 0);
	return c->in.len >= 2 * HTTP_HEAD_MAX ? 0 : e;
}

static bool site_conn_may_answer(const struct site_conn *c)
{
	return c->quest != NULL && !c->answering && !c->pausing &&
	       (c->asked_whole || c->quest->early);
}

/* Everything but reading and writing. Returns true when something was done. */
static bool site_conn_step(struct site_conn *c)
{
	if (c->quest == NULL)
		return site_conn_head(c);
	if (!c->body.done || !c->asked_whole)
		site_conn_body(c);
	if (site_conn_may_answer(c)) {
		if (c->quest->wait_ms != 0 && !c->waited) {
			c->waited = true;
			site_conn_pause(c, c->quest->wait_ms);
			return false;
		}
		site_conn_answer_head(c);
		return true;
	}
	if (c->answering && !c->complete && !c->echo && !c->pausing && c->out.len < 20000) {
		site_conn_piece(c);
		return true;
	}
	return false;
}

static void site_conn_run(struct site_conn *c)
{
	struct world *w = c->site->world;
	int e = site_conn_read(c);

	if (e != 0 && e != ERR_AGAIN && e != ERR_EOF) {
		site_conn_end(c, e);
		return;
	}
	c->eof = c->eof || e == ERR_EOF;
	while (!w->stage.failed && site_conn_step(c))
		;
	if (c->echo && c->in.len > 0) { /* what came behind the head */
		CHECK(buf_add(&c->out, buf_str(&c->in).p, c->in.len, SIZE_MAX) == 0);
		buf_take(&c->in, c->in.len);
	}
	if (!site_conn_send(c))
		return;
	if (c->answering && c->complete && c->out.len == 0) {
		if (!site_conn_finish(c))
			return;
		if (c->in.len > 0) {
			site_conn_pause(c, 1);
			return;
		}
	}
	if (c->eof && c->out.len == 0 && (c->quest == NULL || c->echo)) {
		wire_shut(c->wire);
		site_conn_end(c, 0);
		return;
	}
	if (c->eof && !c->asked_whole && !c->answering) {
		site_conn_end(c, ERR_RESET); /* its request is cut short */
		return;
	}
	wire_want(c->wire, (c->eof || c->in.len >= HTTP_HEAD_MAX ? 0 : WIRE_READ) |
				   (c->out.len > 0 || (c->answering && !c->complete && !c->echo &&
						       !c->pausing)
					    ? WIRE_WRITE
					    : 0));
}

static void site_conn_on_ready(void *arg, struct wire *w, int events)
{
	site_conn_run(arg);
}

static void site_conn_on_broken(void *arg, struct wire *w, int why)
{
	site_conn_end(arg, why);
}

static const struct wire_owner site_conn_owner = {site_conn_on_ready, site_conn_on_broken};

void site_accept(struct site *s, struct wire *w)
{
	struct site_conn *c;

	if (s->mood == SITE_RESETS) {
		wire_close(w, ERR_RESET);
		return;
	}
	c = must_calloc(1, sizeof *c);
	c->site = s;
	c->wire = w;
	c->timer = (struct ev_timer){.fn = site_conn_on_timer, .arg = c};
	list_push(&s->conns, &c->link);
	s->n_conns++;
	wire_own(w, &site_conn_owner, c);
	wire_want(w, WIRE_READ);
}

void site_init(struct site *s, struct world *w, unsigned host, unsigned seat)
{
	*s = (struct site){.world = w, .host = host, .seat = seat};
	if (dice_chance(&w->stage.dice, 50))
		s->keep_ms = dice_range(&w->stage.dice, 500, 8000);
	list_init(&s->conns);
}

void site_close_all(struct site *s)
{
	LIST_FOR_EACH_SAFE (link, &s->conns)
		site_conn_end(CONTAINER_OF(link, struct site_conn, link), ERR_RESET);
}
