/* Who is there: agents, sessions of a tunnel and its visitors, at all nodes; and ending sessions.
 * What other nodes know is asked for here (ask.h), after the asker has been found to be allowed to
 * know it. */
#include "core/manage.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "core/ask.h"
#include "core/manage_internal.h"
#include "core/peer_internal.h"

/* Bytes of the sentence that an agent prints. */
#define REASON_MAX 200

struct manage_there {
	struct manage m; /* first */
	char name[HOSTNAME_MAX + 1];
	enum access_act act;
	struct record_tunnel r;
	void (*fill)(struct manage_there *h);
	struct ask *ask;	    /* owned; NULL: nothing is being asked */
	uint64_t session;	    /* disconnect: 0: all */
	char words[REASON_MAX + 1]; /* disconnect: "": the usual ones */
};

static void manage_there_clean(struct manage *m)
{
	struct manage_there *h = (struct manage_there *)m;

	ask_free(h->ask);
}

static int manage_there_run(struct txn *t, void *arg)
{
	struct manage_there *h = arg;
	const struct store_record *rec;

	h->m.reason[0] = '\0';
	return manage_tunnel(&h->m, t, &(struct manage_tunnel_ask){h->act, str_of(h->name)}, &h->r,
			     &rec);
}

static void manage_there_next(struct manage *m, int e)
{
	struct manage_there *h = (struct manage_there *)m;

	if (e == 0)
		h->fill(h);
	else
		manage_end(m, e);
}

static struct manage_there *manage_there_new(struct core *c, const struct manage_asker *by,
					     struct str name)
{
	struct manage_there *h = manage_new(c, by, sizeof *h);

	if (h == NULL)
		return NULL;
	h->m.next = manage_there_next;
	h->m.clean = manage_there_clean;
	h->act = ACCESS_READ;
	if (str_copy(h->name, sizeof h->name, name) != 0)
		h->name[0] = '\0'; /* no tunnel has such a name */
	return h;
}

/* ---- asking all nodes ---- */

/* What is the same in all answers. */
static void manage_fill_told(struct manage *m, const struct ask_told *told)
{
	m->answer.n = told->rows->n;
	m->answer.total = told->rows->total;
	m->answer.more = told->rows->more;
	m->answer.missing = told->missing;
	m->answer.n_missing = told->n_missing;
}

static void manage_ask_there(struct manage_there *h, enum ask_what what,
			     void (*done)(void *arg, int e, struct ask_told *told))
{
	struct ask_opt opt = {.about = {what, h->r.name, h->r.account}, .done = done, .arg = h};
	int e = ask_start(h->m.core, &opt, &h->ask);

	if (e != 0)
		manage_end(&h->m, e);
}

/* ---- sessions ---- */

static void manage_on_sessions(void *arg, int e, struct ask_told *told)
{
	struct manage_there *h = arg;

	h->ask = NULL; /* it ends by itself */
	manage_fill_told(&h->m, told);
	h->m.answer.sessions = told->rows->v;
	manage_end(&h->m, e);
}

static void manage_fill_sessions(struct manage_there *h)
{
	manage_ask_there(h, ASK_SESSIONS, manage_on_sessions);
}

struct manage *manage_sessions(struct core *c, const struct manage_asker *by, struct str name)
{
	struct manage_there *h = manage_there_new(c, by, name);

	if (h != NULL)
		h->fill = manage_fill_sessions;
	return manage_begin((struct manage *)h, manage_there_run);
}

/* ---- visitors ---- */

static void manage_on_visitors(void *arg, int e, struct ask_told *told)
{
	struct manage_there *h = arg;

	h->ask = NULL;
	manage_fill_told(&h->m, told);
	h->m.answer.visitors = told->rows->v;
	manage_end(&h->m, e);
}

static void manage_fill_visitors(struct manage_there *h)
{
	manage_ask_there(h, ASK_VISITORS, manage_on_visitors);
}

struct manage *manage_visitors(struct core *c, const struct manage_asker *by, struct str name)
{
	struct manage_there *h = manage_there_new(c, by, name);

	if (h != NULL)
		h->fill = manage_fill_visitors;
	return manage_begin((struct manage *)h, manage_there_run);
}

/* ---- disconnecting ---- */

/* One that the call is about; NULL: there are no more. */
static struct serving *manage_find_serving(struct tunnel *t, uint64_t number)
{
	LIST_FOR_EACH (link, &t->serving) {
		struct serving *s = CONTAINER_OF(link, struct serving, of_tunnel);

		if (number == 0 || s->member->number == number)
			return s;
	}
	return NULL;
}

/* A session that serves others as well keeps those. t: may be NULL; readable until the loop turns.
 * Returns how many. */
static size_t manage_end_sessions(struct tunnel *t, uint64_t number, const char *words)
{
	struct serving *s;
	size_t n = 0;

	while (t != NULL && (s = manage_find_serving(t, number)) != NULL) {
		if (s->member->n_serving > 1)
			tunnel_take_away(s, ERR_DISCONNECTED, words);
		else
			member_expel(s->member, ERR_DISCONNECTED, words);
		n++;
	}
	return n;
}

/* Other nodes are to do the same. */
static void manage_order(struct manage_there *h)
{
	const struct core_cluster *cluster = &h->m.core->opt.cluster;
	struct core_order o = {.kind = h->session == 0 ? CORE_ORDER_DISCONNECT : CORE_ORDER_END,
			       .session = h->session};

	memcpy(o.tunnel, h->r.name, sizeof o.tunnel);
	memcpy(o.account, h->r.account, sizeof o.account);
	str_printf(o.reason, sizeof o.reason, "%s", h->words);
	cluster->order(cluster->arg, &o);
}

void core_on_order(struct core *c, const struct core_order *o)
{
	struct tunnel *t = tunnel_find(c, str_of(o->tunnel));
	size_t n;

	if (o->kind >= CORE_ORDER_KINDS || t == NULL || strcmp(t->account, o->account) != 0 ||
	    (o->kind == CORE_ORDER_END && o->session == 0))
		return;
	n = manage_end_sessions(t, o->kind == CORE_ORDER_END ? o->session : 0, o->reason);
	if (n > 0)
		log_info(c->opt.log, "event=disconnected tunnel=%s account=%s n=%zu elsewhere=yes",
			 o->tunnel, o->account, n);
}

static void manage_disconnected(struct manage_there *h, size_t n)
{
	h->m.answer.n = n;
	if (n > 0)
		log_info(h->m.core->opt.log, "event=disconnected tunnel=%s account=%s by=%s n=%zu",
			 h->r.name, h->r.account, h->m.who.account, n);
	manage_end(&h->m, 0);
}

/* It is not here: whoever has it is to end it, also if he cannot say that he has. */
static void manage_on_found(void *arg, int e, struct ask_told *told)
{
	struct manage_there *h = arg;
	const struct core_session_info *s = told->rows->v;
	size_t i = 0;

	h->ask = NULL;
	if (e != 0) {
		manage_end(&h->m, e);
		return;
	}
	while (i < told->rows->n && s[i].number != h->session)
		i++;
	h->m.answer.missing = told->missing;
	h->m.answer.n_missing = told->n_missing;
	if (i < told->rows->n || told->rows->more || told->n_missing > 0)
		manage_order(h);
	manage_disconnected(h, i < told->rows->n);
}

static void manage_fill_disconnect(struct manage_there *h)
{
	struct core *c = h->m.core;
	bool own = strcmp(h->r.account, h->m.who.account) == 0;
	const char *usual = own ? "disconnected by its owner" : "disconnected by an administrator";
	const struct remotes *rs = peer_find(c, str_of(h->r.name));
	bool others = c->opt.cluster.order != NULL && (rs != NULL || h->session == 0);
	size_t n;

	if (h->words[0] == '\0')
		str_printf(h->words, sizeof h->words, "%s", usual);
	n = rs != NULL && h->session == 0 ? peer_count(rs) : 0;
	n += manage_end_sessions(tunnel_find(c, str_of(h->r.name)), h->session, h->words);
	if (others && h->session != 0 && n == 0) {
		manage_ask_there(h, ASK_SESSIONS, manage_on_found);
		return;
	}
	if (others && h->session == 0)
		manage_order(h);
	manage_disconnected(h, n);
}

struct manage *manage_disconnect(struct core *c, const struct manage_asker *by, struct str name,
				 uint64_t session, struct str reason)
{
	struct manage_there *h = manage_there_new(c, by, name);

	if (h != NULL) {
		h->act = ACCESS_CHANGE;
		h->fill = manage_fill_disconnect;
		h->session = session;
		show_line(h->words, sizeof h->words, str_trim(reason));
	}
	return manage_begin((struct manage *)h, manage_there_run);
}

/* ---- agents ---- */

struct manage_seen {
	struct manage m; /* first */
	bool all;
	struct ask *ask; /* owned; NULL: nothing is being asked */
};

static void manage_seen_clean(struct manage *m)
{
	ask_free(((struct manage_seen *)m)->ask);
}

static int manage_seen_run(struct txn *t, void *arg)
{
	struct manage_seen *s = arg;
	struct access_ask ask = {.act = s->all ? ACCESS_ADMIN : ACCESS_ACCOUNT};

	return manage_access(&s->m, &ask);
}

static void manage_on_agents(void *arg, int e, struct ask_told *told)
{
	struct manage_seen *s = arg;

	s->ask = NULL;
	manage_fill_told(&s->m, told);
	s->m.answer.agents = told->rows->v;
	manage_end(&s->m, e);
}

static void manage_seen_next(struct manage *m, int e)
{
	struct manage_seen *s = (struct manage_seen *)m;
	struct ask_opt opt = {.about = {.what = ASK_AGENTS,
					.account = s->all ? "" : m->who.account},
			      .done = manage_on_agents,
			      .arg = s};

	if (e != 0 || (e = ask_start(m->core, &opt, &s->ask)) != 0)
		manage_end(m, e);
}

struct manage *manage_agents(struct core *c, const struct manage_asker *by, bool all)
{
	struct manage_seen *s = manage_new(c, by, sizeof *s);

	if (s != NULL) {
		s->m.next = manage_seen_next;
		s->m.clean = manage_seen_clean;
		s->all = all;
	}
	return manage_begin((struct manage *)s, manage_seen_run);
}
