/*
 * A visitor trusts nobody: the answer must name its own request and a target of the very tunnel it
 * asked, every byte must be the planned one, and what claims to be whole must be.
 */
#include "sim/visitor.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "sim/world.h"

#define OUT_MAX	     16000
#define PROBE_MS     500
#define STALL_MAX_MS 60000
#define WAIT_100_MS  1000

static void visitor_run(struct visitor *v);

/* ---- the end of a request ---- */

static void visitor_hang_up(struct visitor *v, int why)
{
	wire_close(v->wire, why);
	v->wire = NULL;
	buf_free(&v->in);
	buf_free(&v->out);
	v->scanned = 0;
	v->n_on_wire = 0;
	v->resting = false;
	ev_timer_stop(v->world->stage.ev, &v->resume);
	ev_timer_stop(v->world->stage.ev, &v->patience);
}

void visitor_end(struct visitor *v)
{
	struct world *w = v->world;

	visitor_hang_up(v, ERR_RESET);
	ev_timer_stop(w->stage.ev, &v->next);
	ev_timer_stop(w->stage.ev, &v->bound);
	list_del(&v->link);
	w->n_visitors--;
	ev_free_later(w->stage.ev, v);
}

/* This request is over, one way or another; the connection may go on. */
static void visitor_next(struct visitor *v)
{
	struct dice *d = &v->world->stage.dice;

	v->quest = NULL;
	ev_timer_stop(v->world->stage.ev, &v->bound);
	ev_timer_stop(v->world->stage.ev, &v->patience);
	if (v->probe ? v->good || host_has_lost(&v->world->hosts[v->host], v->name)
		     : --v->n_left == 0)
		visitor_end(v);
	else
		ev_timer_set(v->world->stage.ev, &v->next,
			     v->probe		  ? PROBE_MS
			     : dice_chance(d, 50) ? 0
						  : dice_length(d, 6000));
}

/* In a world without faults only its own doing, or the target's, may cost a visitor its answer. */
static bool visitor_may_lose(const struct visitor *v, int why)
{
	const struct quest *q = v->quest;

	if (v->n_on_wire > 1 && v->n_read == 0)
		return true; /* it crossed with the server's closing an idle connection */
	/* Targets that close idle connections may meet a request that is not sent twice. */
	return !v->world->lucky || why == ERR_CLOSED || q == NULL || q->cut || q->early || q->once;
}

/* Broken, cut short or refused: no answer, and that is said. */
static void visitor_lose(struct visitor *v, int why, int how)
{
	stage_note(&v->world->stage, "visitor %u quest %u lost why=%s status=%u got=%llu",
		   v->number, v->quest != NULL ? v->quest->id : 0, err_name(why), v->status,
		   (unsigned long long)v->got);
	if (!visitor_may_lose(v, why))
		stage_fail(&v->world->stage, "visitor %u quest %u lost its answer for nothing: %s",
			   v->number, v->quest->id, err_name(why));
	visitor_hang_up(v, how);
	if (v->quest != NULL)
		visitor_next(v);
}

/* ---- judging ---- */

static bool visitor_find(const struct http_head *h, struct str name, struct str *out)
{
	for (size_t i = 0; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name)) {
			*out = h->fields[i].value;
			return true;
		}
	return false;
}

/* From a target: from the right one, to this request? */
static void visitor_judge_site(struct visitor *v, const struct http_head *h)
{
	struct world *w = v->world;
	unsigned host, seat, id;
	struct str site, quest;
	char text[64];

	if (!visitor_find(h, STR("X-Site"), &site) || !visitor_find(h, STR("X-Quest"), &quest)) {
		stage_fail(&w->stage, "visitor %u got a %u without a target's mark", v->number,
			   v->status);
		return;
	}
	str_printf(text, sizeof text, STR_FMT " " STR_FMT, STR_ARG(site), STR_ARG(quest));
	if (sscanf(text, "%u.%u %u", &host, &seat, &id) != 3 || id != v->quest->id)
		stage_fail(&w->stage, "visitor %u got the answer to another request: %s, not %u",
			   v->number, text, v->quest->id);
	else if (!world_may_serve(w, v->name, host, seat))
		stage_fail(&w->stage, "visitor %u of %s got an answer of another tunnel: site %s",
			   v->number, w->names[v->name].text, text);
	else if (world_must_not_serve(w, &w->names[v->name], host, v))
		stage_fail(&w->stage,
			   "visitor %u of %s came to node %u at %llu ms and was served by site %s, "
			   "whose right to it had been taken away",
			   v->number, w->names[v->name].text, v->node,
			   (unsigned long long)v->asked_ms, text);
}

/* A page of the server: may it say that? */
static void visitor_judge_page(struct visitor *v)
{
	const struct world_name *n = &v->world->names[v->name];
	bool known = n->known;

	if (v->status == 404 && (!known || n->freed_ever))
		return;
	if (v->status == 403 && world_may_be_off(v->world, n, v->asked_ms))
		return;
	if (v->status == 503 && !world_was_served_at(v->world, v->name, v->node))
		return;
	if ((v->status == 502 || v->status == 503) && visitor_may_lose(v, 0))
		return;
	stage_fail(&v->world->stage, "visitor %u quest %u got a %u for the %s name %s", v->number,
		   v->quest->id, v->status, known ? "known" : "unknown",
		   v->world->names[v->name].text);
}

/* The answer is whole, by its own account. */
static void visitor_whole(struct visitor *v)
{
	struct quest *q = v->quest;
	uint32_t want = q->how == QUEST_HEAD || q->how == QUEST_NOTHING ? 0 : q->down;

	if (v->status < 300 && (v->got != want || q->cut))
		stage_fail(&v->world->stage,
			   "visitor %u quest %u: %llu bytes of %u passed for whole", v->number,
			   q->id, (unsigned long long)v->got, want);
	if (v->status == 200 && v->probe)
		v->good = true;
	stage_note(&v->world->stage, "visitor %u quest %u whole status=%u got=%llu", v->number,
		   q->id, v->status, (unsigned long long)v->got);
	if (!v->keep || !v->up_done || dice_chance(&v->world->stage.dice, 20))
		visitor_hang_up(v, 0);
	visitor_next(v);
}

/* ---- receiving ---- */

/* Some of the answer's body. Returns false when it is not what it must be. */
static bool visitor_taste(struct visitor *v, struct str data)
{
	if (v->status < 300 &&
	    (v->got + data.len > v->quest->down ||
	     !quest_match(v->quest, v->quest->how != QUEST_UPGRADE, v->got, data.p, data.len))) {
		stage_fail(&v->world->stage, "visitor %u quest %u: byte %llu or later is wrong",
			   v->number, v->quest->id, (unsigned long long)v->got);
		return false;
	}
	v->got += data.len;
	return true;
}

static void visitor_on_head(struct visitor *v, const struct http_response *res)
{
	v->status = res->status;
	v->keep = res->head.keep_alive && !v->quest->minor_0;
	if (res->status < 300)
		visitor_judge_site(v, &res->head);
	else
		visitor_judge_page(v);
	v->switched = res->status == 101;
	if (v->switched != (v->quest->how == QUEST_UPGRADE) && res->status < 300)
		stage_fail(&v->world->stage, "visitor %u quest %u: status %u", v->number,
			   v->quest->id, res->status);
	if (v->switched)
		v->waits_100 = false;
	http_body_init(&v->body, v->switched ? HTTP_BODY_CLOSE : res->head.framing,
		       res->head.content_length);
}

/* Returns true when there is a final head, or the visitor has failed. */
static bool visitor_head(struct visitor *v)
{
	struct http_response res;
	enum http_method asked = v->quest->how == QUEST_HEAD ? HTTP_HEAD : HTTP_GET;
	int e;

	while ((e = http_response_parse(buf_str(&v->in), asked, &v->scanned, &res)) == 0) {
		v->scanned = 0;
		if (res.status >= 200 || res.status == 101)
			visitor_on_head(v, &res);
		else
			v->waits_100 = false;
		buf_take(&v->in, res.head.len);
		if (v->status != 0)
			return true;
		if (v->in.len == 0)
			return false;
	}
	if (e != ERR_AGAIN)
		stage_fail(&v->world->stage, "visitor %u quest %u got a bad head: %s", v->number,
			   v->quest->id, res.head.refusal.why);
	return false;
}

/* Make sense of what has come. Returns false when the request is over. */
static bool visitor_digest(struct visitor *v)
{
	struct str in, data;
	size_t before;

	if (v->status == 0 && (v->in.len == 0 || !visitor_head(v)))
		return true;
	in = buf_str(&v->in);
	before = in.len;
	while (!v->body.done && in.len > 0) {
		if (http_body_next(&v->body, &in, &data) != 0) {
			stage_fail(&v->world->stage, "visitor %u quest %u got a malformed body",
				   v->number, v->quest->id);
			return false;
		}
		if (data.len > 0 && !visitor_taste(v, data))
			return false;
	}
	buf_take(&v->in, before - in.len);
	if (!v->body.done)
		return true;
	if (v->in.len > 0)
		stage_fail(&v->world->stage, "visitor %u quest %u got bytes behind its answer",
			   v->number, v->quest->id);
	visitor_whole(v);
	return false;
}

static void visitor_on_eof(struct visitor *v)
{
	if (v->status != 0 && http_body_eof(&v->body) == 0) {
		v->keep = false;
		visitor_whole(v);
	} else {
		visitor_lose(v, ERR_EOF, 0);
	}
}

static void visitor_rest(struct visitor *v, uint32_t ms)
{
	v->resting = true;
	ev_timer_set(v->world->stage.ev, &v->resume, ms);
}

/* Returns false when the connection or the request is over. */
static bool visitor_read(struct visitor *v)
{
	struct str in;
	int e;

	while (!v->resting) {
		if ((e = wire_read(v->wire, v->gulp, &in)) == ERR_AGAIN)
			return true;
		if (e == ERR_EOF)
			visitor_on_eof(v);
		else if (e != 0)
			visitor_lose(v, e, e);
		if (e != 0)
			return false;
		v->n_read += in.len;
		CHECK(buf_add(&v->in, in.p, in.len, SIZE_MAX) == 0);
		if (v->leave_at != 0 && v->n_read >= v->leave_at) {
			visitor_lose(v, ERR_CLOSED,
				     dice_chance(&v->world->stage.dice, 50) ? 0 : ERR_RESET);
			return false;
		}
		if (!visitor_digest(v))
			return false;
		if (v->stall_at != 0 && v->n_read >= v->stall_at) {
			v->stall_at = 0;
			visitor_rest(v, dice_range(&v->world->stage.dice, 1, STALL_MAX_MS));
		} else if (v->pause_ms != 0) {
			visitor_rest(v, v->pause_ms);
		}
	}
	return true;
}

/* ---- sending ---- */

static void visitor_say(struct visitor *v, const char *text)
{
	CHECK(buf_add(&v->out, text, strlen(text), SIZE_MAX) == 0);
}

/* More of the request's body, or of what is to be echoed. */
static void visitor_fill(struct visitor *v)
{
	struct quest *q = v->quest;
	char piece[4000], line[32];

	if (v->waits_100 || (q->how == QUEST_UPGRADE && !v->switched))
		return;
	while (v->sent < q->up && v->out.len < OUT_MAX) {
		size_t n = 1 + dice_length(&v->world->stage.dice, sizeof piece - 1);

		n = MIN(n, q->up - v->sent);
		quest_fill(q, false, v->sent, piece, n);
		snprintf(line, sizeof line, "%zx\r\n", n);
		if (q->up_chunked)
			visitor_say(v, line);
		CHECK(buf_add(&v->out, piece, n, SIZE_MAX) == 0);
		if (q->up_chunked)
			visitor_say(v, "\r\n");
		v->sent += n;
	}
	if (v->sent == q->up && !v->up_done) {
		v->up_done = true;
		if (q->up_chunked)
			visitor_say(v, "0\r\n\r\n");
	}
}

/* Returns false when the connection is over. */
static bool visitor_write(struct visitor *v)
{
	for (;;) {
		struct iovec iov;
		struct str rest;
		size_t taken;
		int e;

		visitor_fill(v);
		rest = buf_str(&v->out);
		if (rest.len == 0)
			break;
		iov = (struct iovec){.iov_base = (char *)(uintptr_t)rest.p, .iov_len = rest.len};
		if ((e = wire_write(v->wire, &iov, 1, &taken)) != 0) {
			visitor_lose(v, e, e);
			return false;
		}
		if (taken == 0)
			return true;
		buf_take(&v->out, taken);
	}
	if (v->switched && v->up_done && !v->shut) {
		v->shut = true;
		wire_shut(v->wire);
	}
	return true;
}

static void visitor_run(struct visitor *v)
{
	struct str in;
	int e;

	if (v->world->stage.failed)
		return;
	if (v->quest == NULL) { /* idle: the server may only end the connection */
		if ((e = wire_read(v->wire, 1, &in)) == 0)
			stage_fail(&v->world->stage,
				   "visitor %u got bytes that it had not asked for", v->number);
		if (e != ERR_AGAIN)
			visitor_hang_up(v, 0);
		return;
	}
	if (!visitor_read(v) || !visitor_write(v))
		return;
	wire_want(v->wire, (v->resting ? 0 : WIRE_READ) | (v->out.len > 0 ? WIRE_WRITE : 0));
}

static void visitor_on_ready(void *arg, struct wire *w, int events)
{
	visitor_run(arg);
}

static void visitor_on_broken(void *arg, struct wire *w, int why)
{
	visitor_lose(arg, why, why);
}

static const struct wire_owner visitor_owner = {visitor_on_ready, visitor_on_broken};

static void visitor_on_resume(void *arg)
{
	struct visitor *v = arg;

	v->resting = false;
	if (v->wire != NULL && v->quest != NULL)
		visitor_run(v);
}

/* ---- asking ---- */

/* Waited long enough: for 100-continue, or for anything at all. */
static void visitor_on_patience(void *arg)
{
	struct visitor *v = arg;

	if (v->waits_100) {
		v->waits_100 = false;
		if (v->wire != NULL)
			visitor_run(v);
	}
}

static void visitor_on_bound(void *arg)
{
	struct visitor *v = arg;

	stage_fail(&v->world->stage,
		   "visitor %u quest %u has not ended after %d s: status=%u got=%llu sent=%llu",
		   v->number, v->quest->id, VISITOR_BOUND_MS / 1000, v->status,
		   (unsigned long long)v->got, (unsigned long long)v->sent);
}

static void visitor_write_head(struct visitor *v)
{
	static const char *const accepts[] = {"", "Accept: text/html\r\n",
					      "Accept: application/json\r\n"};
	struct quest *q = v->quest;
	char text[600], framing[120] = "";

	if (q->how == QUEST_UPGRADE)
		snprintf(framing, sizeof framing, "Connection: Upgrade\r\nUpgrade: echo\r\n");
	else if (q->up_chunked)
		snprintf(framing, sizeof framing, "Transfer-Encoding: chunked\r\n");
	else if (q->once)
		snprintf(framing, sizeof framing, "Content-Length: %u\r\n", q->up);
	snprintf(text, sizeof text,
		 "%s /quest/%u HTTP/1.%d\r\nHost: %s." WORLD_DOMAIN "\r\n%s%s%s\r\n",
		 quest_method(q), q->id, !q->minor_0, v->world->names[v->name].text, framing,
		 q->expect ? "Expect: 100-continue\r\n" : "", accepts[q->id % 3]);
	visitor_say(v, text);
}

static void visitor_ask(struct visitor *v)
{
	struct world *w = v->world;

	if (v->wire == NULL &&
	    (v->wire = world_dial_node(w, CABLE_VISITOR, v->node, v->number)) == NULL) {
		stage_note(&w->stage, "visitor %u: nobody listens", v->number);
		visitor_next(v);
		return;
	}
	v->quest = quest_new(w, v->name, v->number, v->probe);
	stage_note(&w->stage, "visitor %u asks quest %u of %s: %s how=%d up=%u down=%u", v->number,
		   v->quest->id, w->names[v->name].text, quest_method(v->quest), v->quest->how,
		   v->quest->up, v->quest->down);
	v->asked_ms = ev_now_ms(w->stage.ev);
	v->sent = v->got = v->n_read = 0;
	v->n_on_wire++;
	v->status = 0;
	v->up_done = v->switched = v->shut = false;
	v->waits_100 = v->quest->expect;
	v->gulp = v->pause_ms != 0 ? dice_range(&w->stage.dice, 300, 3000) : 100000;
	v->gulp *= v->quest->down > 200000 ? 20 : 1;
	v->leave_at = !v->probe && dice_chance(&w->stage.dice, 8)
			      ? 1 + dice_length(&w->stage.dice, 50000)
			      : 0;
	v->stall_at = !v->probe && dice_chance(&w->stage.dice, 4)
			      ? 1 + dice_length(&w->stage.dice, 50000)
			      : 0;
	visitor_write_head(v);
	wire_own(v->wire, &visitor_owner, v);
	ev_timer_set(w->stage.ev, &v->bound, VISITOR_BOUND_MS);
	if (v->waits_100)
		ev_timer_set(w->stage.ev, &v->patience, WAIT_100_MS);
	visitor_run(v);
}

static void visitor_on_next(void *arg)
{
	visitor_ask(arg);
}

static struct visitor *visitor_new(struct world *w, unsigned name, unsigned node)
{
	struct visitor *v = must_calloc(1, sizeof *v);

	v->world = w;
	v->number = ++w->visitor_number;
	v->name = name;
	v->node = node;
	v->next = (struct ev_timer){.fn = visitor_on_next, .arg = v};
	v->resume = (struct ev_timer){.fn = visitor_on_resume, .arg = v};
	v->patience = (struct ev_timer){.fn = visitor_on_patience, .arg = v};
	v->bound = (struct ev_timer){.fn = visitor_on_bound, .arg = v};
	list_push(&w->visitors, &v->link);
	w->n_visitors++;
	return v;
}

void visitor_come(struct world *w, unsigned name, unsigned n)
{
	struct visitor *v = visitor_new(w, name, world_pick_node(w, name));

	v->n_left = n;
	if (dice_chance(&w->stage.dice, 15))
		v->pause_ms = dice_range(&w->stage.dice, 1, 60);
	visitor_ask(v);
}

void visitor_probe(struct world *w, unsigned name, unsigned host)
{
	struct visitor *v = visitor_new(w, name, w->hosts[host].node);

	v->host = host;
	v->probe = true;
	visitor_ask(v);
}
