/*
 * A port is asked for thrice: of the rules, of the records, and of the system. It is held from the
 * first run that finds it free until the call has ended, so that whoever is told that a tunnel has
 * it finds it there.
 */
#include <string.h>

#include "base/err.h"
#include "core/tunnel_edit.h"

#define FIELD_PORT "ingress.tcp.port"
#define FIELD_BIND "ingress.tcp.bind"

/* Ports below need their operator's word: none is chosen there. */
#define PORT_UNPRIVILEGED 1024

void tunnel_edit_release(struct tunnel_edit *x)
{
	place_release(x->m->core, x->held);
	x->held = NULL;
}

/* ---- the rules ---- */

static int port_check_server(struct tunnel_edit *x)
{
	const struct core_opt *opt = &x->m->core->opt;
	char text[CORE_REASON_TEXT] = "";
	size_t n = 0;

	if (access_has_port(opt->tcp_ports, opt->n_tcp_ports, x->r->port))
		return 0;
	for (size_t i = 0; i < MIN(opt->n_tcp_ports, (size_t)8); i++)
		n += str_printf(text + n, sizeof text - n, "%s%u-%u", i > 0 ? ", " : "",
				opt->tcp_ports[i].first, opt->tcp_ports[i].last);
	return manage_refuse(x->m, ERR_DENIED, FIELD_PORT,
			     "port %u is none of those that this server gives to tunnels (%s)",
			     x->r->port, n > 0 ? text : "it gives none");
}

/* May the asker, and the account, have it? */
static int port_may(struct tunnel_edit *x)
{
	bool own = strcmp(x->r->account, x->m->who.account) == 0;
	struct access_ask ask = {.act = ACCESS_CHANGE,
				 .account = own ? NULL : x->r->account,
				 .tunnel = x->random ? STR("") : str_of(x->name),
				 .kind = TUNNEL_TCP,
				 .port = x->r->port};
	int e = manage_access(x->m, &ask);

	if (e != 0)
		x->m->answer.field = FIELD_PORT;
	return e;
}

/* ---- the records ---- */

/* A route whose tunnel is gone, or is elsewhere by now, keeps nobody out. */
static int port_is_stale(struct txn *t, const struct record_route *route, const char *key,
			 bool *stale)
{
	const struct store_record *rec;
	char is[RECORD_ROUTE_TEXT];
	struct record_tunnel r;
	int e = tunnel_txn_get(t, str_of(route->tunnel), &r, &rec);

	*stale = e == ERR_NOTFOUND;
	if (e != 0)
		return e == ERR_NOTFOUND ? 0 : e;
	*stale = strcmp(r.account, route->account) != 0 || !record_route_key(&r, is) ||
		 strcmp(is, key) != 0;
	return 0;
}

/* Is the port somebody else's? *owner: "" when it is not. */
static int port_owner(struct tunnel_edit *x, struct txn *t, uint16_t port,
		      struct record_route *owner)
{
	char key[RECORD_ROUTE_TEXT];
	bool stale = false;
	int e;

	str_printf(key, sizeof key, "tcp/%u", port);
	e = tunnel_txn_route(t, str_of(key), owner);
	if (e == 0 && (strcmp(owner->tunnel, x->name) == 0 ||
		       (x->leaves != NULL && x->leaves(x->arg, owner->tunnel, key))))
		stale = true;
	else if (e == 0)
		e = port_is_stale(t, owner, key, &stale);
	if (e == ERR_NOTFOUND || (e == 0 && stale)) {
		owner->tunnel[0] = '\0';
		return 0;
	}
	return e;
}

/* Does it go when it is asked to? Fills x->idle. */
static int port_ask_idle(struct tunnel_edit *x, struct txn *t, const struct record_route *owner)
{
	const struct store_record *rec;
	struct record_tunnel r;
	int e;

	if (strcmp(owner->account, x->r->account) != 0)
		return 0;
	if ((e = tunnel_txn_get(t, str_of(owner->tunnel), &r, &rec)) != 0)
		return e;
	if (temporary_is_idle(x->m->core, &r))
		memcpy(x->idle, r.name, sizeof x->idle);
	return 0;
}

static int port_check_owner(struct tunnel_edit *x, struct txn *t)
{
	struct record_route owner;
	int e = port_owner(x, t, x->r->port, &owner);

	if (e != 0 || owner.tunnel[0] == '\0' || (e = port_ask_idle(x, t, &owner)) != 0 ||
	    x->idle[0] != '\0')
		return e;
	if (strcmp(owner.account, x->r->account) == 0)
		return manage_refuse(x->m, ERR_INUSE, FIELD_PORT,
				     "port %u belongs to another tunnel, \"%s\"", x->r->port,
				     owner.tunnel);
	return manage_refuse(x->m, ERR_INUSE, FIELD_PORT, "port %u belongs to another tunnel",
			     x->r->port);
}

/* ---- the system ---- */

/* Returns 0 or as place_reserve(). */
static int port_hold(struct tunnel_edit *x)
{
	const struct record_tunnel *r = x->r;
	int e;

	if (x->held != NULL && x->held_port == r->port && strcmp(x->held_bind, r->bind) == 0)
		return 0;
	tunnel_edit_release(x);
	if ((e = place_reserve(x->m->core, r->bind, r->port, &x->held)) != 0)
		return e;
	x->held_port = r->port;
	memcpy(x->held_bind, r->bind, sizeof x->held_bind);
	return 0;
}

static int port_refuse(struct tunnel_edit *x, int e)
{
	const struct record_tunnel *r = x->r;
	const char *at = r->bind[0] == '\0' ? "the addresses of this server" : r->bind;

	switch (e) {
	case ERR_INUSE:
		return manage_refuse(x->m, e, FIELD_PORT,
				     "port %u on %s is in use already; take another one, or 0 for "
				     "one that is free",
				     r->port, at);
	case ERR_DENIED:
		return manage_refuse(x->m, e, FIELD_PORT,
				     "this server may not listen on port %u on %s; take another "
				     "one, or ask its operator",
				     r->port, at);
	case ERR_INVAL:
		return manage_refuse(x->m, e, FIELD_BIND,
				     "port %u cannot be had at %s: that is no address of "
				     "this server",
				     r->port, at);
	case ERR_NOFILE:
		return manage_refuse(x->m, ERR_LIMIT, FIELD_PORT,
				     "this server cannot listen on one port more; its operator "
				     "gives it more with a higher limit of open files");
	default: return e;
	}
}

/* ---- choosing ---- */

/* The ports that three lists have in common; one that is NULL has all. */
struct port_range {
	unsigned first, last;
};

static void port_cut(struct port_range *r, const struct access_ports *p)
{
	if (p == NULL)
		return;
	r->first = MAX(r->first, p->first);
	r->last = MIN(r->last, p->last);
}

/* The i-th port that may be chosen, 0 when there are fewer; *n is set to how many there are. */
static uint16_t port_nth(const struct tunnel_edit *x, size_t i, size_t *n)
{
	const struct core_opt *opt = &x->m->core->opt;
	const struct access_who *who = &x->m->who;
	bool own = strcmp(x->r->account, who->account) == 0;
	size_t n_account = own ? who->n_ports : 0, n_scope = own ? who->scope.n_ports : 0;
	uint16_t found = 0;

	*n = 0;
	for (size_t s = 0; s < opt->n_tcp_ports; s++) {
		for (size_t a = 0; a < MAX(n_account, (size_t)1); a++) {
			for (size_t c = 0; c < MAX(n_scope, (size_t)1); c++) {
				struct port_range r = {PORT_UNPRIVILEGED, UINT16_MAX};

				port_cut(&r, &opt->tcp_ports[s]);
				port_cut(&r, n_account > 0 ? &who->ports[a] : NULL);
				port_cut(&r, n_scope > 0 ? &who->scope.ports[c] : NULL);
				if (r.first > r.last)
					continue;
				if (i >= *n && i - *n <= r.last - r.first)
					found = (uint16_t)(r.first + (i - *n));
				*n += r.last - r.first + 1;
			}
		}
	}
	return found;
}

/* The next one to try. A few are tried one after the other, many at random. */
static int port_draw(struct tunnel_edit *x)
{
	size_t n, i;

	port_nth(x, 0, &n);
	if (n == 0)
		return manage_refuse(x->m, ERR_DENIED, FIELD_PORT,
				     "no port can be chosen: this server gives none from %d on to "
				     "this account and credential; name one",
				     PORT_UNPRIVILEGED);
	if (x->n_ports == MIN(n, (size_t)TUNNEL_EDIT_PORTS_MAX))
		return manage_refuse(x->m, ERR_LIMIT, FIELD_PORT,
				     "no free port was found in %u tries; name one", x->n_ports);
	i = n <= TUNNEL_EDIT_PORTS_MAX ? x->n_ports : ev_random_below(x->m->core->ev, n);
	x->n_ports++;
	x->chosen = port_nth(x, i, &n);
	return 0;
}

static int port_choose(struct tunnel_edit *x, struct txn *t)
{
	struct record_route owner;
	int e;

	for (;; x->chosen = 0) {
		if (x->chosen == 0 && (e = port_draw(x)) != 0)
			return e;
		if (x->held == NULL && place_tunnel_at(x->m->core, x->chosen) != NULL)
			continue;
		if ((e = port_owner(x, t, x->chosen, &owner)) != 0)
			return e;
		if (owner.tunnel[0] != '\0')
			continue;
		x->r->port = x->chosen;
		e = port_hold(x);
		/* what is denied at an address is not a matter of the port */
		if (e != ERR_INUSE && (e != ERR_DENIED || x->r->bind[0] != '\0'))
			return e == 0 ? 0 : port_refuse(x, e);
	}
}

int tunnel_edit_port(struct tunnel_edit *x, struct txn *t)
{
	const struct record_tunnel *r = x->r, *old = x->made ? NULL : x->old;
	bool moves = old == NULL || old->kind != TUNNEL_TCP || old->port != r->port;
	int e;

	if (r->kind != TUNNEL_TCP || (!moves && strcmp(old->bind, r->bind) == 0)) {
		tunnel_edit_release(x);
		return 0;
	}
	if (r->port == 0)
		return port_choose(x, t);
	if (moves && ((e = port_check_server(x)) != 0 || (e = port_may(x)) != 0 ||
		      (e = port_check_owner(x, t)) != 0))
		return e;
	e = port_hold(x);
	return e == 0 ? 0 : port_refuse(x, e);
}
