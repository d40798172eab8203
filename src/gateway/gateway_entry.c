/*
 * Sessions of all kinds are counted, logged, asked to drain and ended in one place, so that no kind
 * is forgotten when the process goes.
 */
#include "base/err.h"
#include "base/show.h"
#include "gateway/gateway_internal.h"

/* Sessions whose certificate is judged anew in one turn of the loop: a signature each. */
#define GATEWAY_RECHECK_BATCH 32

static struct gateway_entry *gateway_entry_of(struct list *link)
{
	return CONTAINER_OF(link, struct gateway_entry, link);
}

/* ---- one of them ---- */

static void gateway_entry_log_end(const struct gateway_entry *n, int why, struct str reason)
{
	uint64_t now = ev_now_ms(n->gateway->ev);
	char words[SESSION_REASON_MAX + 1];

	show_quoted(words, sizeof words, reason);
	log_info(n->gateway->opt.log,
		 "event=session-closed session=%llu account=%s agent=%s carrier=%u%s peer=%s "
		 "peer_port=%u rtt_us=%llu seconds=%llu code=%s reason=\"%s\"",
		 (unsigned long long)n->number, n->who.who.account, n->who.agent.id,
		 n->who.agent.carrier, n->kind->logged, n->who.peer.ip, n->who.peer.port,
		 (unsigned long long)n->session->rtt_us,
		 (unsigned long long)((now - n->opened_ms) / 1000), err_name(why), words);
}

void gateway_entry_begin(struct gateway_entry *n)
{
	struct gateway *g = n->gateway;

	n->opened_ms = ev_now_ms(g->ev);
	n->number = member_number(n->member);
	list_push(&g->sessions, &n->link);
	g->n_sessions++;
	log_info(g->opt.log,
		 "event=session-open session=%llu account=%s agent=%s carrier=%u%s peer=%s "
		 "peer_port=%u",
		 (unsigned long long)n->number, n->who.who.account, n->who.agent.id,
		 n->who.agent.carrier, n->kind->logged, n->who.peer.ip, n->who.peer.port);
}

void gateway_entry_finish(struct gateway_entry *n, int why, struct str reason)
{
	member_leave(n->member);
	gateway_entry_log_end(n, why, reason);
	list_del(&n->link);
	n->gateway->n_sessions--;
	n->member = NULL;
	n->session = NULL;
}

void gateway_entry_log_refusal(const struct gateway_entry *n, int e)
{
	log_info(n->gateway->opt.log,
		 "event=session-refused account=%s agent=%s carrier=%u%s peer=%s peer_port=%u "
		 "code=%s",
		 n->who.who.account, n->who.agent.id, n->who.agent.carrier, n->kind->logged,
		 n->who.peer.ip, n->who.peer.port, err_name(e));
}

/* ---- all of them ---- */

void gateway_entry_end_all(struct gateway *g, int why, struct str reason)
{
	while (!list_empty(&g->sessions)) {
		struct gateway_entry *n = gateway_entry_of(g->sessions.next);

		n->kind->end(n, why, reason);
	}
}

void gateway_entry_drain_all(struct gateway *g)
{
	LIST_FOR_EACH_SAFE (link, &g->sessions) {
		struct gateway_entry *n = gateway_entry_of(link);

		n->kind->drain(n);
	}
}

void gateway_entry_tell_all(struct gateway *g, struct str line)
{
	LIST_FOR_EACH_SAFE (link, &g->sessions) {
		struct gateway_entry *n = gateway_entry_of(link);

		if (n->kind->tell != NULL)
			n->kind->tell(n, line);
	}
}

bool gateway_is_needed(const struct gateway *g)
{
	LIST_FOR_EACH (link, &g->sessions) {
		const struct gateway_entry *n = gateway_entry_of(link);

		if (n->member != NULL && member_is_needed(n->member))
			return true;
	}
	return false;
}

size_t gateway_n_sessions(const struct gateway *g)
{
	return g->n_sessions;
}

size_t gateway_n_streams(const struct gateway *g)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &g->sessions)
		n += gateway_entry_of(link)->session->n_streams;
	return n;
}

/* ---- certificates that end ---- */

/* gateway->recheck: the front of the list is looked at and goes to its end, so each is looked at
 * once. */
void gateway_entry_on_recheck(void *arg)
{
	struct gateway *g = arg;

	for (int i = 0; i < GATEWAY_RECHECK_BATCH && g->n_recheck > 0; i++) {
		struct list *first = list_pop(&g->sessions);

		g->n_recheck--;
		if (first == NULL)
			break;
		list_push(&g->sessions, first);
		gateway_entry_of(first)->kind->recheck(gateway_entry_of(first));
	}
	g->n_recheck = MIN(g->n_recheck, g->n_sessions);
	if (g->n_recheck > 0)
		ev_timer_set(g->ev, &g->recheck, 1);
}

void gateway_recheck(struct gateway *g)
{
	g->n_recheck = g->n_sessions;
	if (g->n_recheck > 0)
		ev_timer_set(g->ev, &g->recheck, 0);
}
