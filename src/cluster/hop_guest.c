/*
 * Nodes that have dialled us, and strangers who have.
 *
 * Nothing is spent on anybody before there is something to read: over TLS that is after the
 * handshake, so whoever does not have the key never reaches HTTP/2. Then comes a session, and with
 * its first line who it is and whom it wants; before that no visitor is taken.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cluster/hop_inside.h"

/* Those that have not said who they are, at most: for one more the oldest goes. */
#define GREETING_MAX 256

/* How long one has to say it, in milliseconds. */
#define GREETING_MS 3000

struct hop_guest {
	struct hop *hop;
	struct list link;  /* in hop->greeting or hop->guests */
	struct wire *wire; /* owned before there is a session; then borrowed: as long as that */
	struct session *session; /* owned; NULL: nothing was read yet */
	struct ev_timer greeting;
	char peer[NET_ADDR_TEXT];
	char id[NODE_ID_TEXT]; /* "": not said yet */
};

static void guest_refused(struct hop *h, const char *peer, const char *id, int e, const char *more)
{
	if (log_pace_take(&h->pace, h->ev, h->opt.log))
		log_info(h->opt.log, "event=hop-refused peer=%s node=%s why=%s msg=\"%s\"", peer,
			 *id == '\0' ? "?" : id, err_name(e), *more == '\0' ? err_text(e) : more);
}

void hop_guest_on_refused(void *arg, const char *peer, int e)
{
	guest_refused(arg, peer, "", e, "");
}

/* Out of the lists and out of memory; wire and session have gone, or go by the caller. */
static void guest_release(struct hop_guest *g)
{
	struct hop *h = g->hop;

	if (*g->id == '\0')
		h->n_greeting--;
	else
		h->n_guests--;
	list_del(&g->link);
	ev_timer_stop(h->ev, &g->greeting);
	ev_free_later(h->ev, g);
}

/* End the connection for this reason, which the other side hears if it has a session. */
static void guest_drop(struct hop_guest *g, int e)
{
	struct session *session = g->session;
	struct wire *wire = session == NULL ? g->wire : NULL;

	guest_release(g);
	session_close(session, e, str_of(err_text(e)));
	wire_close(wire, e);
}

/* It is turned away: say so. */
static void guest_refuse(struct hop_guest *g, int e, const char *more)
{
	guest_refused(g->hop, g->peer, g->id, e, more);
	guest_drop(g, e);
}

static void guest_on_greeting(void *arg)
{
	guest_refuse(arg, ERR_TIMEOUT, "it does not say who it is");
}

/* ---- its session ---- */

/* Is the visit one that this node has sent? */
static bool guest_may_send(const struct hop_guest *g, const struct visit *visit)
{
	return strcmp(visit_via_last(visit), g->id) == 0;
}

static void guest_on_visit(void *arg, struct session *s, const struct visit *visit, struct wire *w)
{
	struct hop_guest *g = arg;
	struct hop *h = g->hop;

	if (*g->id == '\0' || !guest_may_send(g, visit)) {
		guest_refused(h, g->peer, g->id, ERR_DENIED, "a visitor of another node");
		wire_close(w, ERR_DENIED);
		return;
	}
	h->opt.visit(h->opt.arg, visit, w);
}

/* What is wrong with its first line? Returns 0, or an error with *more set. */
static int guest_judge(const struct hop_guest *g, const struct hop_line *line, const char **more)
{
	struct hop *h = g->hop;
	const char *proven = hop_end_name(h->end, g->wire);

	*more = "";
	if (strcmp(line->to, h->opt.self) != 0) {
		*more = "it wants another node";
		return ERR_NOSESSION;
	}
	if ((*proven != '\0' && strcmp(proven, line->node) != 0) ||
	    strcmp(line->node, h->opt.self) == 0) {
		*more = "it says that it is somebody else";
		return ERR_AUTH;
	}
	if (h->draining)
		return ERR_DRAIN;
	if (h->n_guests >= HOP_ACCEPTED_MAX)
		return ERR_LIMIT;
	return 0;
}

static void guest_on_told(void *arg, struct session *s, struct str text)
{
	struct hop_guest *g = arg;
	struct hop *h = g->hop;
	char ours[HOP_LINE_MAX];
	const char *more = "";
	struct hop_line line;
	int e;

	if (*g->id != '\0')
		return; /* of a later version */
	if ((e = hop_line_parse(text, &line)) != 0 || (e = guest_judge(g, &line, &more)) != 0) {
		guest_refuse(g, e, more);
		return;
	}
	memcpy(g->id, line.node, sizeof g->id);
	ev_timer_stop(h->ev, &g->greeting);
	list_del(&g->link);
	h->n_greeting--;
	list_push(&h->guests, &g->link);
	h->n_guests++;
	if ((e = session_tell(s, (struct str){ours, hop_line_format(h->opt.self, g->id, ours)})) !=
	    0) {
		guest_refuse(g, e, "");
		return;
	}
	log_info(h->opt.log, "event=hop-accepted peer=%s node=%s version=%s", g->peer, g->id,
		 line.version);
	hop_peers_heard(h, g->id);
}

static void guest_on_closed(void *arg, struct session *s, int why, struct str reason)
{
	struct hop_guest *g = arg;

	g->session = NULL;
	g->wire = NULL;
	if (*g->id == '\0')
		guest_refused(g->hop, g->peer, g->id, why, "");
	else
		log_info(g->hop->opt.log, "event=hop-left peer=%s node=%s why=%s", g->peer, g->id,
			 err_name(why));
	guest_release(g);
}

static const struct session_owner guest_session_owner = {
	.visit = guest_on_visit,
	.told = guest_on_told,
	.closed = guest_on_closed,
};

/* ---- before there is a session ---- */

static void guest_on_ready(void *arg, struct wire *w, int events)
{
	struct hop_guest *g = arg;
	struct mux_opt opt = {.role = MUX_AGENT,
			      .whole = true,
			      .budget = &g->hop->in_budget,
			      .owner = &guest_session_owner,
			      .arg = g};
	int e;

	if ((e = mux_new(g->hop->ev, w, &opt, &g->session)) != 0)
		guest_refuse(g, e, "");
}

static void guest_on_broken(void *arg, struct wire *w, int why)
{
	struct hop_guest *g = arg;

	guest_refuse(g, why, hop_end_explain(g->hop->end, w));
}

static const struct wire_owner guest_wire_owner = {guest_on_ready, guest_on_broken};

void hop_guest_on_accepted(void *arg, struct wire *w, const char *peer)
{
	struct hop *h = arg;
	struct hop_guest *g = calloc(1, sizeof *g);

	if (g == NULL) {
		guest_refused(h, peer, "", ERR_NOMEM, "");
		wire_close(w, ERR_NOMEM);
		return;
	}
	g->hop = h;
	g->wire = w;
	g->greeting = (struct ev_timer){.fn = guest_on_greeting, .arg = g};
	str_printf(g->peer, sizeof g->peer, "%s", peer);
	list_push(&h->greeting, &g->link);
	h->n_greeting++;
	ev_timer_set(h->ev, &g->greeting, GREETING_MS);
	wire_own(w, &guest_wire_owner, g);
	wire_want(w, WIRE_READ);
	if (h->n_greeting > GREETING_MAX)
		guest_refuse(CONTAINER_OF(h->greeting.next, struct hop_guest, link), ERR_LIMIT,
			     "too many come at once");
}

/* ---- all of them ---- */

void hop_guests_drain(struct hop *h)
{
	LIST_FOR_EACH (link, &h->guests)
		session_drain(CONTAINER_OF(link, struct hop_guest, link)->session);
}

void hop_guests_free(struct hop *h)
{
	while (!list_empty(&h->greeting))
		guest_drop(CONTAINER_OF(h->greeting.next, struct hop_guest, link), ERR_CLOSED);
	while (!list_empty(&h->guests))
		guest_drop(CONTAINER_OF(h->guests.next, struct hop_guest, link), ERR_CLOSED);
}

size_t hop_load(const struct hop *h)
{
	size_t n = 0;

	/* One stream of each is the control stream. */
	LIST_FOR_EACH (link, &h->guests)
		n += CONTAINER_OF(link, struct hop_guest, link)->session->n_streams - 1;
	return n;
}
