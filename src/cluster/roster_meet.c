/*
 * A sealed message was written by one of us, but perhaps long ago: by a process that is dead, whose
 * words somebody has kept. So who is not known is asked to seal a number that was drawn just now,
 * and believed from that answer on; its earlier messages count for nothing. When its lease is over
 * it is forgotten, and has to do so again.
 */
#include "cluster/roster_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* How long an answer may take, and how often is asked, in ms. */
#define ROSTER_CALL_MS	 BUS_GONE_MS
#define ROSTER_RECALL_MS 500

struct roster_peer *roster_find(const struct roster *r, const char *id)
{
	struct map_entry *e = map_get(&r->peers, str_of(id));

	return e == NULL ? NULL : CONTAINER_OF(e, struct roster_peer, by_id);
}

static bool roster_call_is_over(const struct roster *r, const struct roster_call *c)
{
	return c->id[0] == '\0' || ev_now_ms(r->ev) - c->since_ms >= ROSTER_CALL_MS;
}

static struct roster_call *roster_call_find(struct roster *r, const struct node_message *m)
{
	for (size_t i = 0; i < ROSTER_CALLS_MAX; i++) {
		struct roster_call *c = &r->calls[i];

		if (!roster_call_is_over(r, c) && c->epoch == m->epoch &&
		    strcmp(c->id, m->from) == 0)
			return c;
	}
	return NULL;
}

/* A place for one more: a free one, or by chance that of another, so that nobody who floods us with
 * strangers decides whose. */
static struct roster_call *roster_call_place(struct roster *r)
{
	for (size_t i = 0; i < ROSTER_CALLS_MAX; i++)
		if (roster_call_is_over(r, &r->calls[i]))
			return &r->calls[i];
	return &r->calls[ev_random_below(r->ev, ROSTER_CALLS_MAX)];
}

static void roster_call_ask(struct roster *r, struct roster_call *c)
{
	struct node_message m;
	struct pen pen = roster_begin(r, NODE_MESSAGE_HELLO, c->id, &m);

	c->asked_ms = ev_now_ms(r->ev);
	memcpy(m.nonce, c->nonce, sizeof m.nonce);
	node_message_write(&pen, &m);
	(void)roster_send(r, &m, &pen); /* lost: at its next word */
}

static void roster_call(struct roster *r, const struct node_message *m)
{
	struct roster_call *c = roster_call_find(r, m);
	uint64_t drawn[2];

	if (c == NULL) {
		c = roster_call_place(r);
		ev_random(r->ev, drawn, sizeof drawn);
		*c = (struct roster_call){.epoch = m->epoch, .since_ms = ev_now_ms(r->ev)};
		memcpy(c->id, m->from, sizeof c->id);
		str_printf(c->nonce, sizeof c->nonce, "%016llx%016llx",
			   (unsigned long long)drawn[0], (unsigned long long)drawn[1]);
	} else if (ev_now_ms(r->ev) - c->asked_ms < ROSTER_RECALL_MS) {
		return;
	}
	roster_call_ask(r, c);
}

/* Equal but for the message that said it? */
static bool roster_said_same(const struct roster_node *a, const struct roster_node *b)
{
	return strcmp(a->hop, b->hop) == 0 && strcmp(a->local, b->local) == 0 &&
	       strcmp(a->machine, b->machine) == 0 && strcmp(a->agents, b->agents) == 0 &&
	       strcmp(a->version, b->version) == 0 && a->sessions == b->sessions &&
	       a->visitors == b->visitors && a->draining == b->draining;
}

static int roster_read_said(const struct node_message *m, struct roster_node *n)
{
	*n = (struct roster_node){
		.epoch = m->epoch,
		.sessions = m->sessions,
		.visitors = m->visitors,
		.draining = m->draining,
	};
	memcpy(n->id, m->from, sizeof n->id);
	if (str_copy(n->hop, sizeof n->hop, m->hop) != 0 ||
	    str_copy(n->local, sizeof n->local, m->local) != 0 ||
	    str_copy(n->machine, sizeof n->machine, m->machine) != 0 ||
	    str_copy(n->agents, sizeof n->agents, m->agents) != 0 ||
	    str_copy(n->version, sizeof n->version, m->version) != 0)
		return ERR_TOOBIG;
	return 0;
}

int roster_hear_said(struct roster_peer *p, const struct node_message *m)
{
	struct roster *r = p->r;
	struct roster_node n;
	int e;

	if (m->count < p->said_count)
		return 0; /* it has said something else since */
	if ((e = roster_read_said(m, &n)) != 0)
		return e;
	p->said_count = m->count;
	if (!roster_said_same(&p->said, &n)) {
		p->said = n;
		r->owner->node(r->arg, &p->said);
	}
	if (r->owner->carries != NULL)
		r->owner->carries(r->arg, &p->said);
	return 0;
}

static int roster_peer_new(struct roster *r, const struct node_message *m)
{
	struct roster_peer *p = NULL;
	int e = ERR_NOMEM;

	if (r->peers.n >= CORE_PEERS_MAX)
		return ERR_LIMIT;
	if ((p = calloc(1, sizeof *p)) == NULL)
		return ERR_NOMEM;
	p->r = r;
	if ((e = roster_read_said(m, &p->said)) != 0)
		goto out;
	p->said_count = m->count;
	p->by_id.key = str_of(p->said.id);
	roster_window_from(&p->heard, m->count);
	p->met_ms = ev_now_ms(r->ev);
	p->met_count = m->count;
	if ((e = map_put(&r->peers, &p->by_id)) != 0)
		goto out;
	roster_copy_init(p);
	log_info(r->log, "event=node-known node=%s version=\"%s\" hop=\"%s\" nodes=%zu", p->said.id,
		 p->said.version, p->said.hop, r->peers.n);
	r->owner->node(r->arg, &p->said);
	roster_copy_beat(p, m);
	p = NULL;
out:
	free(p);
	return e;
}

/* Perhaps the answer to a challenge of ours. */
static void roster_welcome(struct roster *r, const struct node_message *m)
{
	struct roster_call *c = roster_call_find(r, m);
	int e;

	if (c == NULL || strcmp(c->nonce, m->nonce) != 0) {
		roster_refuse(r, &r->counts.strange, "proof", m->from);
		return;
	}
	*c = (struct roster_call){.epoch = 0};
	if (roster_find(r, m->from) != NULL)
		roster_lose(r, m->from, "replaced");
	if ((e = roster_peer_new(r, m)) != 0)
		roster_refuse(r, &r->counts.strange, err_name(e), m->from);
}

void roster_answer(struct roster *r, const struct node_message *m)
{
	struct node_message answer;
	struct pen pen;

	pen = roster_begin(r, NODE_MESSAGE_WELCOME, m->from, &answer);
	memcpy(answer.nonce, m->nonce, sizeof answer.nonce);
	roster_fill_said(r, &answer);
	node_message_write(&pen, &answer);
	(void)roster_send(r, &answer, &pen); /* lost: it asks again */
}

void roster_meet(struct roster *r, const struct node_message *m)
{
	if (m->kind == NODE_MESSAGE_WELCOME) {
		roster_welcome(r, m);
		return;
	}
	r->counts.strange++;
	if (m->kind == NODE_MESSAGE_BYE)
		return;
	/* in this order: it answers us before it hears our answer and asks for our list, which we
	 * do not give to strangers */
	roster_call(r, m);
	if (m->kind == NODE_MESSAGE_HELLO && /* a recording must not make us send without end */
	    roster_may(r, &r->answers_ms, &r->n_answers, ROSTER_ANSWERS_MAX))
		roster_answer(r, m);
}

void roster_peer_free(struct roster_peer *p)
{
	map_del(&p->r->peers, &p->by_id);
	roster_feed_end(&p->feed);
	list_del(&p->turn);
	roster_copy_free(p);
	free(p);
}

void roster_lose(struct roster *r, const char *id, const char *why)
{
	struct roster_peer *p = roster_find(r, id);

	for (size_t i = 0; i < ROSTER_CALLS_MAX; i++)
		if (strcmp(r->calls[i].id, id) == 0)
			r->calls[i] = (struct roster_call){.epoch = 0};
	if (p == NULL)
		return;
	log_info(r->log, "event=node-gone node=%s why=%s nodes=%zu", id, why, r->peers.n - 1);
	r->owner->gone(r->arg, p->said.id);
	roster_peer_free(p);
}
