/*
 * One question goes to all nodes at once, and is answered when all have, or when the time is up:
 * one that hangs costs a person two seconds and a word, not the answer.
 */
#include "core/ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"

/* Bytes of one read. */
#define ASK_READ_MAX 65536

/* One node that has not answered yet. */
struct ask_part {
	struct list link;
	struct ask *ask;
	struct wire *wire; /* owned */
	struct buf text;   /* owned */
	char node[NODE_ID_TEXT];
};

struct ask {
	struct list link; /* in core->asks */
	struct core *core;
	struct ask_opt opt; /* but for what `about` points to, which is gone */
	struct ask_rows rows;
	struct list parts;	       /* of struct ask_part, owned */
	char (*missing)[NODE_ID_TEXT]; /* owned; [n_missing] */
	size_t n_missing;
	struct ev_timer deadline;
	struct ev_task over; /* there is nobody to wait for */
};

/* ---- the end ---- */

/* It has answered, or does not. */
static void ask_part_free(struct ask_part *p, int why)
{
	p->ask->core->ask_bytes -= p->text.len;
	list_del(&p->link);
	wire_close(p->wire, why);
	buf_free(&p->text);
	free(p);
}

void ask_free(struct ask *a)
{
	if (a == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &a->parts)
		ask_part_free(CONTAINER_OF(link, struct ask_part, link), ERR_CLOSED);
	ev_timer_stop(a->core->ev, &a->deadline);
	ev_task_cancel(&a->over);
	list_del(&a->link);
	a->core->n_asks--;
	ask_rows_free(&a->rows);
	free(a->missing);
	free(a);
}

static void ask_end(struct ask *a, int e)
{
	struct ask_told told = {&a->rows, a->missing, a->n_missing};

	/* whoever is told may ask the next question, or free what the answer is for */
	a->opt.done(a->opt.arg, e, &told);
	ask_free(a);
}

void ask_free_all(struct core *c)
{
	while (!list_empty(&c->asks))
		ask_end(CONTAINER_OF(c->asks.next, struct ask, link), ERR_CLOSED);
}

static void ask_on_over(void *arg)
{
	ask_end(arg, 0);
}

/* Why this one is not in the answer. */
static void ask_miss(struct ask *a, const char *node, int why)
{
	struct core *c = a->core;

	memcpy(a->missing[a->n_missing++], node, NODE_ID_TEXT);
	if (log_pace_take(&c->ask_pace, c->ev, c->opt.log))
		log_info(c->opt.log, "event=not-answered node=%s what=%s code=%s msg=\"%s\"", node,
			 ask_word(a->opt.about.what).p, err_name(why), err_text(why));
}

static void ask_on_deadline(void *arg)
{
	struct ask *a = arg;

	LIST_FOR_EACH_SAFE (link, &a->parts) {
		struct ask_part *p = CONTAINER_OF(link, struct ask_part, link);

		ask_miss(a, p->node, ERR_TIMEOUT);
		ask_part_free(p, ERR_TIMEOUT);
	}
	ask_end(a, 0);
}

/* ---- the answers ---- */

/* No more comes of this node: 0, or why it does not count. */
static void ask_part_over(struct ask_part *p, int why)
{
	struct ask *a = p->ask;

	if (why != 0)
		ask_miss(a, p->node, why);
	ask_part_free(p, why);
	if (list_empty(&a->parts))
		ask_end(a, 0);
}

/* All of it is there. Returns 0 or why it does not count. */
static int ask_part_take(struct ask_part *p)
{
	struct ask *a = p->ask;
	struct ask_rows rows;
	int e = ask_text_read(buf_str(&p->text), a->opt.about.what, &rows);

	if (e != 0)
		return e;
	ask_rows_sign(&rows, p->node);
	return ask_rows_join(&a->rows, &rows);
}

/* Returns 0, ERR_AGAIN, ERR_EOF or why its answer does not count. */
static int ask_part_read(struct ask_part *p)
{
	struct core *c = p->ask->core;
	struct str in;
	int e = wire_read(p->wire, ASK_READ_MAX, &in);

	if (e != 0)
		return e;
	if (c->ask_bytes + in.len > ASK_BYTES_MAX)
		return ERR_LIMIT;
	if ((e = buf_add(&p->text, in.p, in.len, CORE_ANSWER_MAX)) == 0)
		c->ask_bytes += in.len;
	return e;
}

static void ask_part_on_ready(void *arg, struct wire *w, int events)
{
	struct ask_part *p = arg;
	int e;

	while ((e = ask_part_read(p)) == 0)
		;
	if (e != ERR_AGAIN)
		ask_part_over(p, e == ERR_EOF ? ask_part_take(p) : e);
}

static void ask_part_on_broken(void *arg, struct wire *w, int why)
{
	ask_part_over(arg, why);
}

static const struct wire_owner ask_part_owner = {ask_part_on_ready, ask_part_on_broken};

/* ---- the question ---- */

/* Fill in whom to ask: [n_peers] ids at most. Returns how many. */
static size_t ask_whom(struct core *c, const struct ask_about *about, char (*ids)[NODE_ID_TEXT])
{
	const struct remotes *rs;
	size_t n = 0;

	if (about->what != ASK_SESSIONS) {
		LIST_FOR_EACH (link, &c->peers)
			memcpy(ids[n++], CONTAINER_OF(link, struct core_peer, link)->opt.id,
			       sizeof *ids);
		return n;
	}
	if ((rs = peer_find(c, str_of(about->tunnel))) != NULL)
		for (const struct remote *r = rs->first; r != NULL; r = r->next)
			memcpy(ids[n++], r->peer->opt.id, sizeof *ids);
	return n;
}

/* The question as it goes to other nodes. Returns 0 or ERR_INVAL. */
static int ask_visit(const struct core *c, const struct ask_about *about, struct visit *v)
{
	const char *tunnel = about->what == ASK_AGENTS ? "agents" : about->tunnel;

	*v = (struct visit){.ingress = VISIT_NODE};
	if (str_copy(v->tunnel, sizeof v->tunnel, str_of(tunnel)) != 0 ||
	    str_copy(v->owner, sizeof v->owner, str_of(about->account)) != 0 ||
	    str_copy(v->service, sizeof v->service, ask_word(about->what)) != 0 ||
	    visit_via_add(v, c->opt.cluster.self) != 0)
		return ERR_INVAL;
	return 0;
}

/* Returns 0, or why this node will not answer. */
static int ask_node(struct ask *a, const char *node, const struct visit *visit)
{
	struct core_peer *peer = peer_by_id(a->core, node);
	struct ask_part *p;
	int e;

	/* it may have gone while another one was asked */
	if (peer == NULL || peer->state == PEER_UNREACHABLE)
		return ERR_NOSESSION;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return ERR_NOMEM;
	if ((e = peer->opt.open(peer->opt.arg, visit, &p->wire)) != 0) {
		free(p);
		return e;
	}
	p->ask = a;
	memcpy(p->node, node, sizeof p->node);
	list_push(&a->parts, &p->link);
	wire_own(p->wire, &ask_part_owner, p);
	wire_shut(p->wire);
	wire_want(p->wire, WIRE_READ);
	return 0;
}

static int ask_others(struct ask *a, const struct ask_about *about)
{
	struct core *c = a->core;
	size_t n_peers = c->n_peers, n;
	char(*ids)[NODE_ID_TEXT];
	struct visit visit;
	int e;

	if (n_peers == 0 || c->opt.cluster.self == NULL)
		return 0;
	if ((a->missing = calloc(n_peers, sizeof *a->missing)) == NULL ||
	    (ids = calloc(n_peers, sizeof *ids)) == NULL)
		return ERR_NOMEM;
	n = ask_whom(c, about, ids);
	e = ask_visit(c, about, &visit);
	for (size_t i = 0; i < n; i++) {
		int why = e != 0 ? e : ask_node(a, ids[i], &visit);

		if (why != 0)
			ask_miss(a, ids[i], why);
	}
	free(ids);
	return 0;
}

int ask_start(struct core *c, const struct ask_opt *opt, struct ask **out)
{
	struct ask *a;
	int e;

	if (c->n_asks >= MANAGE_ASKS_MAX)
		return ERR_LIMIT;
	if ((a = calloc(1, sizeof *a)) == NULL)
		return ERR_NOMEM;
	a->core = c;
	a->opt = *opt;
	a->opt.about = (struct ask_about){.what = opt->about.what};
	list_init(&a->parts);
	a->deadline = (struct ev_timer){.fn = ask_on_deadline, .arg = a};
	a->over = (struct ev_task){.fn = ask_on_over, .arg = a};
	list_push(&c->asks, &a->link);
	c->n_asks++;
	if ((e = ask_rows_own(c, &opt->about, &a->rows)) != 0 ||
	    (e = ask_others(a, &opt->about)) != 0) {
		ask_free(a);
		return e;
	}
	ask_rows_sign(&a->rows, c->opt.cluster.self);
	if (list_empty(&a->parts))
		ev_task_run(c->ev, &a->over);
	else
		ev_timer_set(c->ev, &a->deadline, MANAGE_ASK_MS);
	*out = a;
	return 0;
}

/* ---- another node asks ---- */

int core_answer(struct core *c, const struct visit *visit, struct buf *answer)
{
	struct ask_about about = {.tunnel = visit->tunnel, .account = visit->owner};
	struct ask_rows rows;
	int what = 0, e;

	while (what < ASK_WHATS && !str_eq(str_of(visit->service), ask_word(what)))
		what++;
	if (what == ASK_WHATS)
		return ERR_UNSUPPORTED;
	about.what = (enum ask_what)what;
	if ((e = ask_rows_own(c, &about, &rows)) != 0)
		return e;
	e = ask_text_write(&rows, answer);
	ask_rows_free(&rows);
	return e == ERR_TOOBIG ? ERR_NOMEM : e;
}
