/*
 * Most connections bring what decides when they are accepted, and cost one look; only the others
 * get memory and a timer.
 */
#include "app/pass_door.h"

#include <stdlib.h>

#include "app/node.h"
#include "base/err.h"
#include "core/names.h"
#include "ingress/sni_ingress.h"
#include "net/net_peek.h"
#include "net/net_sock.h"
#include "proto/client_hello.h"
#include "wire/wire_tcp.h"

struct pass_door {
	struct ev *ev;
	struct pass_door_opt opt;
	struct list waiting; /* owned: of pass_guest.link, the oldest first */
	size_t n_waiting;
};

/* A connection; on the stack as long as it need not wait. */
struct pass_guest {
	struct list link;
	struct pass_door *door;
	int fd; /* owned */
	enum pass_kind kind;
	struct proxy_visitor who;
	size_t seen;	  /* bytes that are there and do not decide */
	size_t need;	  /* before so many there is no use in looking again */
	bool waits;	  /* the kernel was told of need */
	struct ev_io *io; /* owned */
	struct ev_timer late;
};

/* ---- whose it is ---- */

/* What matters of a request's head. */
struct pass_head {
	bool connects; /* an agent comes for a session, perhaps */
	struct str host, nodes;
};

static bool pass_head_field(struct str line, struct str name, struct str *value)
{
	size_t colon = str_find(line, ':');

	if (colon == line.len || !str_eq_nocase((struct str){line.p, colon}, name))
		return false;
	*value = str_trim((struct str){line.p + colon + 1, line.len - colon - 1});
	return true;
}

/* The next line without its end. Returns false when there is no whole one. */
static bool pass_head_line(struct str *rest, struct str *line)
{
	size_t end = str_find(*rest, '\n');

	if (end == rest->len)
		return false;
	*line = (struct str){rest->p, end};
	if (end > 0 && rest->p[end - 1] == '\r')
		line->len--;
	*rest = (struct str){rest->p + end + 1, rest->len - end - 1};
	return true;
}

/*
 * Look for the host, and for what an agent says. A visitor's head is not read to its end: the host
 * stands in front, mostly.
 * Returns 0 (host may be empty: it has none) or ERR_AGAIN.
 */
static int pass_head_read(struct str in, struct pass_head *out)
{
	struct str line = {NULL, 0};

	*out = (struct pass_head){.connects = false};
	while (line.len == 0) /* empty lines may come first: RFC 9112 2.2 */
		if (!pass_head_line(&in, &line))
			return ERR_AGAIN;
	out->connects = str_starts(line, STR("GET /v1/connect"));
	while (pass_head_line(&in, &line)) {
		if (line.len == 0)
			return 0;
		if (pass_head_field(line, STR("host"), &out->host) && !out->connects)
			return 0;
		(void)pass_head_field(line, STR("karez-nodes"), &out->nodes);
	}
	return ERR_AGAIN;
}

static bool pass_is_own(const struct pass_way *way, struct str authority, struct str host)
{
	struct hostname_authority a;

	return names_own(way->domain, way->api_host, host) ||
	       (hostname_split(authority, &a) == 0 && a.kind != HOSTNAME_NAME);
}

/* Sets *id to NULL when it is ours. Returns 0 or ERR_AGAIN. */
static int pass_ask_http(const struct pass_way *way, struct str in, const char **id)
{
	char text[HOSTNAME_MAX + 1];
	struct pass_head head;
	struct str host;
	int e = pass_head_read(in, &head);

	*id = NULL;
	if (e != 0 || hostname_normalise(head.host, text, &host) != 0)
		return e;
	if (!pass_is_own(way, head.host, host))
		*id = way->host(way->arg, host);
	else if (head.connects)
		*id = way->agent(way->arg, head.nodes);
	return 0;
}

static int pass_ask_tls(const struct pass_way *way, struct str in, const char **id)
{
	struct client_hello hello;
	int e = client_hello_parse(in, &hello);

	*id = NULL;
	if (e == ERR_AGAIN)
		return e;
	if (e == 0 && hello.sni[0] != '\0')
		*id = way->sni(way->arg, str_of(hello.sni));
	return 0;
}

/* Look at what is there; as above. */
static int pass_guest_look(struct pass_guest *g, const char **id)
{
	char *bytes = ev_scratch(g->door->ev, EV_SCRATCH_NET);
	const struct pass_way *way = g->door->opt.way;
	struct str in = {bytes, 0};
	int e = net_peek(g->fd, bytes, PASS_DOOR_LOOK, &in.len);

	*id = NULL;
	if (e != 0 && e != ERR_AGAIN)
		return 0; /* whoever serves it finds that out */
	g->seen = g->need = in.len;
	if (g->kind == PASS_TLS) {
		e = pass_ask_tls(way, in, id);
		if (e == ERR_AGAIN)
			g->need = client_hello_least(in);
	} else {
		e = pass_ask_http(way, in, id);
	}
	g->need = MAX(g->need, g->seen + 1);
	return e == ERR_AGAIN && g->need > PASS_DOOR_LOOK ? 0 : e;
}

/* ---- the ends ---- */

/* Nothing of it is left to us but the descriptor. */
static int pass_guest_release(struct pass_guest *g)
{
	struct pass_door *d = g->door;

	if (g->waits)
		net_wait_for(g->fd, 1);
	g->waits = false;
	if (list_linked(&g->link)) {
		list_del(&g->link);
		d->n_waiting--;
		ev_timer_stop(d->ev, &g->late);
		ev_io_free(g->io);
		ev_free_later(d->ev, g); /* readable until the turn ends */
	}
	return g->fd;
}

static void pass_guest_stay(struct pass_guest *g)
{
	const struct pass_door_opt *opt = &g->door->opt;

	opt->here(opt->arg, pass_guest_release(g), g->kind, &g->who);
}

static void pass_guest_go(struct pass_guest *g, const char *id)
{
	struct pass_visitor v = {.door = g->kind,
				 .tls = g->who.tls,
				 .peer = g->who.peer,
				 .local = g->who.local};
	const struct pass_door_opt *opt = &g->door->opt;
	int fd;

	if (id == NULL) {
		pass_guest_stay(g);
		return;
	}
	fd = pass_guest_release(g);
	if (pass_to(opt->way->pass, id, fd, &v) != 0)
		opt->here(opt->arg, fd, g->kind, &g->who);
}

/* ---- those who are waited for ---- */

static void pass_guest_wait(struct pass_guest *g)
{
	net_wait_for(g->fd, g->need);
	g->waits = true;
	ev_io_want(g->io, EV_READ);
}

static void pass_guest_on_ready(void *arg, int events)
{
	struct pass_guest *g = arg;
	size_t seen = g->seen;
	const char *id = NULL;

	if ((events & EV_ERROR) == 0 && pass_guest_look(g, &id) == ERR_AGAIN && g->seen > seen &&
	    !net_peer_finished(g->fd))
		pass_guest_wait(g);
	else
		pass_guest_go(g, id);
}

static void pass_guest_on_late(void *arg)
{
	pass_guest_stay(arg);
}

/* Returns 0 or ERR_NOMEM and others: then it is the caller's still. */
static int pass_door_keep(struct pass_door *d, const struct pass_guest *here)
{
	struct pass_guest *g;
	int e;

	if (d->n_waiting >= PASS_DOOR_WAITING_MAX)
		pass_guest_stay(CONTAINER_OF(d->waiting.next, struct pass_guest, link));
	if ((g = calloc(1, sizeof *g)) == NULL)
		return ERR_NOMEM;
	*g = *here;
	if ((e = ev_io_new(d->ev, g->fd, pass_guest_on_ready, g, &g->io)) != 0) {
		free(g);
		return e;
	}
	g->late = (struct ev_timer){.fn = pass_guest_on_late, .arg = g};
	list_push(&d->waiting, &g->link);
	d->n_waiting++;
	ev_timer_set(d->ev, &g->late, PASS_DOOR_WAIT_MS);
	pass_guest_wait(g);
	return 0;
}

void pass_door_serve(struct pass_door *d, int fd, enum pass_kind kind,
		     const struct proxy_visitor *v)
{
	struct pass_guest g = {.door = d, .fd = fd, .kind = kind, .who = *v};
	const char *id;

	CHECK(kind == PASS_HTTP || kind == PASS_TLS);
	if (pass_guest_look(&g, &id) == 0)
		pass_guest_go(&g, id);
	else if (pass_door_keep(d, &g) != 0)
		pass_guest_stay(&g);
}

/* ---- the door ---- */

size_t pass_door_load(const struct pass_door *d)
{
	return d->n_waiting;
}

int pass_door_new(struct ev *ev, const struct pass_door_opt *opt, struct pass_door **out)
{
	struct pass_door *d = calloc(1, sizeof *d);

	if (d == NULL)
		return ERR_NOMEM;
	d->ev = ev;
	d->opt = *opt;
	list_init(&d->waiting);
	*out = d;
	return 0;
}

void pass_door_free(struct pass_door *d)
{
	if (d == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &d->waiting)
		net_close(pass_guest_release(CONTAINER_OF(link, struct pass_guest, link)), true);
	ev_free_later(d->ev, d);
}

/* ---- ports, and the other side ---- */

bool pass_door_port(void *arg, int fd, const struct proxy_visitor *v, const char *tunnel)
{
	const struct pass_way *way = arg;
	struct pass_visitor to = {.door = PASS_PORT,
				  .tls = v->tls,
				  .peer = v->peer,
				  .local = v->local};
	const char *id = way->tunnel(way->arg, tunnel);

	return id != NULL && str_copy(to.tunnel, sizeof to.tunnel, str_of(tunnel)) == 0 &&
	       pass_to(way->pass, id, fd, &to) == 0;
}

bool pass_door_hand_over(void *arg, int fd, const char *tunnel)
{
	const struct pass_way *way = arg;
	struct pass_visitor to = {.door = PASS_LISTEN};
	const char *id = way->tunnel(way->arg, tunnel);

	if (id == NULL)
		id = way->heir(way->arg);
	return id != NULL && str_copy(to.tunnel, sizeof to.tunnel, str_of(tunnel)) == 0 &&
	       pass_to(way->pass, id, fd, &to) == 0;
}

void pass_door_taken(void *arg, int fd, const struct pass_visitor *v)
{
	const struct pass_home *home = arg;
	struct node_visitor who = {.peer = v->peer, .local = v->local, .tls = v->tls};
	struct visit visit = {.ingress = VISIT_TCP, .visitor = v->peer, .local = v->local};
	struct wire *w;

	if (v->door == PASS_LISTEN && home->ports != NULL)
		port_socket_adopt(home->ports, fd);
	else if (v->door == PASS_LISTEN)
		net_close(fd, false);
	else if (wire_tcp_new(home->ev, fd, NET_VISITOR, &w) != 0)
		net_close(fd, true);
	else if (v->door == PASS_HTTP)
		node_serve(home->node, w, &who);
	else if (v->door == PASS_PORT)
		node_serve_port(home->node, w, &visit, v->tunnel);
	else if (home->tls)
		node_serve_tls(home->node, w, &who);
	else
		sni_ingress_alert(w, CLIENT_HELLO_HANDSHAKE_FAILURE);
}
