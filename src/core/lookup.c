/*
 * Why nobody serves a name: asked of the store for each visitor that no session can take. When
 * another node serves it, its record is what was missing here. Names are those of http tunnels;
 * others are reached by their ports and by TLS.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/names.h"
#include "core/peer_internal.h"
#include "core/tunnel_txn.h"

struct core_lookup {
	struct core *core;
	struct txn *txn; /* owned */
	void (*done)(void *arg, int e);
	void *arg;
	bool by_host;
	struct record_tunnel *r; /* owned: of one that another node serves; NULL: none does */
	uint64_t version;
	char name[HOSTNAME_MAX + 1]; /* or the host; "": what was asked for is none */
};

static bool lookup_is_served(const struct core_lookup *l)
{
	struct str name = str_of(l->name);
	const struct tunnel *t =
		l->by_host ? tunnel_find_at(l->core, name) : tunnel_find(l->core, name);

	return t != NULL && t->settings->kind == TUNNEL_HTTP;
}

/* Another node serves it: keep what a tunnel is made of. Returns 0 or ERR_NOMEM. */
static int lookup_keep(struct core_lookup *l, const struct record_tunnel *r, uint64_t version)
{
	if (peer_find(l->core, str_of(r->name)) == NULL)
		return 0;
	if (l->r == NULL && (l->r = malloc(sizeof *l->r)) == NULL)
		return ERR_NOMEM;
	*l->r = *r;
	l->version = version;
	return 0;
}

/* 0: the record is there, and it may be served. */
static int lookup_run(struct txn *t, void *arg)
{
	const struct store_record *rec;
	struct core_lookup *l = arg;
	struct record_domain d;
	struct record_tunnel r;
	int e;

	if (l->name[0] == '\0')
		return ERR_NOTFOUND;
	if (lookup_is_served(l))
		return 0;
	if (!l->by_host)
		e = tunnel_txn_get(t, str_of(l->name), &r, &rec);
	else if ((e = tunnel_txn_domain(t, l->name, &d)) == 0)
		e = tunnel_txn_get(t, str_of(d.tunnel), &r, &rec);
	if (e != 0)
		return e;
	if (r.kind != TUNNEL_HTTP)
		return ERR_NOTFOUND;
	return r.enabled ? lookup_keep(l, &r, rec->version) : ERR_DISABLED;
}

static void lookup_free(struct core_lookup *l)
{
	free(l->r);
	free(l);
}

static void lookup_on_done(void *arg, int e)
{
	struct core_lookup *l = arg;
	void (*done)(void *, int) = l->done;
	void *done_arg = l->arg;

	if (e == ERR_NOTFOUND)
		e = ERR_NOROUTE;
	if (e == 0 && l->r != NULL)
		(void)!tunnel_make(l->core, l->r, l->version);
	if (e != ERR_CLOSED && lookup_is_served(l)) /* a session has come meanwhile */
		e = 0;
	else if (e == 0)
		e = ERR_NOSESSION;
	lookup_free(l);
	done(done_arg, e);
}

/* l is taken over; its name is set. */
static struct core_lookup *lookup_start(struct core_lookup *l)
{
	struct txn_opt opt = {.core = l->core,
			      .kind = CORE_LOOKUP,
			      .run = lookup_run,
			      .done = lookup_on_done,
			      .arg = l};

	if (txn_start(&opt, &l->txn) == 0)
		return l;
	free(l);
	return NULL;
}

static struct core_lookup *lookup_new(struct core *c, void (*done)(void *arg, int e), void *arg)
{
	struct core_lookup *l = calloc(1, sizeof *l);

	if (l == NULL)
		return NULL;
	l->core = c;
	l->done = done;
	l->arg = arg;
	return l;
}

struct core_lookup *core_lookup(struct core *c, struct str name, void (*done)(void *arg, int e),
				void *arg)
{
	struct core_lookup *l = lookup_new(c, done, arg);

	if (l == NULL)
		return NULL;
	if (hostname_tunnel(name, l->name) != 0)
		l->name[0] = '\0';
	return lookup_start(l);
}

struct core_lookup *core_lookup_at(struct core *c, struct str host, void (*done)(void *arg, int e),
				   void *arg)
{
	struct core_lookup *l = lookup_new(c, done, arg);

	if (l == NULL)
		return NULL;
	l->by_host = true;
	if (!hostname_ok(host) || str_copy(l->name, sizeof l->name, host) != 0)
		l->name[0] = '\0';
	return lookup_start(l);
}

bool core_may_be_elsewhere(struct core *c, struct str host)
{
	struct str name;

	return c->remotes.n > 0 && map_get(&c->snis, host) == NULL &&
	       tunnel_find_at(c, host) == NULL &&
	       !names_own(c->opt.domain, c->opt.api_host, host) &&
	       !hostname_under(host, str_of(c->opt.domain), &name);
}

void core_lookup_cancel(struct core_lookup *l)
{
	txn_cancel(l->txn);
	lookup_free(l);
}
