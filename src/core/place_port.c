/*
 * Ports of tcp tunnels. Each is held once, by its number: by the tunnel whose record says so, by a
 * change that is about to write such a record, or by both; so a port passes from one tunnel to
 * another without a moment in which somebody else could take it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/place_internal.h"

struct reservation {
	struct port_hold *hold;
	struct port *taken; /* owned: at another address than the hold's; NULL: not needed */
	char bind[RECORD_BIND_TEXT];
};

/* ---- holds ---- */

static struct port_hold *place_port_find(struct core *c, uint16_t port)
{
	char key[8];
	size_t n = str_printf(key, sizeof key, "%u", port);
	struct map_entry *e = map_get(&c->ports, (struct str){key, n});

	return e == NULL ? NULL : CONTAINER_OF(e, struct port_hold, entry);
}

static int place_port_new(struct core *c, uint16_t port, struct port_hold **out)
{
	struct port_hold *h = calloc(1, sizeof *h);
	int e;

	if (h == NULL)
		return ERR_NOMEM;
	h->core = c;
	h->port = port;
	str_printf(h->key, sizeof h->key, "%u", port);
	h->entry.key = str_of(h->key);
	if ((e = map_put(&c->ports, &h->entry)) != 0)
		free(h);
	else
		*out = h;
	return e;
}

/* Nobody wants it any more? */
static void place_port_drop(struct port_hold *h)
{
	if (h->place != NULL || h->reservation != NULL)
		return;
	h->core->opt.ports.give_up(h->taken);
	map_del(&h->core->ports, &h->entry);
	free(h);
}

static int place_port_take(const struct port_hold *h, const char *bind, struct port **out)
{
	const struct core_ports *ports = &h->core->opt.ports;
	int e = ports->take(ports->arg, bind, h->port, out);

	if (e != 0)
		*out = NULL;
	return e;
}

/* ---- what a record says ---- */

/* Told when it changes, not with every new try. */
static void place_port_say(struct port_hold *h, const struct place *p, int e)
{
	struct log *log = h->core->opt.log;

	if (e == h->said)
		return;
	h->said = e;
	if (e != 0)
		log_warn(log, "event=port-failed tunnel=%s bind=%s port=%u why=%s", p->name,
			 p->bind, h->port, err_name(e));
	else
		log_info(log, "event=port-works tunnel=%s bind=%s port=%u", p->name, p->bind,
			 h->port);
}

static int place_port_let(const struct place *p, struct port *taken)
{
	const char *tunnel = p->enabled && p->served ? p->name : NULL;

	return p->core->opt.ports.let(taken, tunnel);
}

void place_port_show(struct place *p)
{
	struct port_hold *h = p->hold;
	int e;

	if (h == NULL || h->taken == NULL)
		return;
	e = place_port_let(p, h->taken);
	if (strcmp(h->bind, p->bind) == 0)
		place_port_say(h, p, e);
}

static void place_port_leave(struct place *p)
{
	struct port_hold *h = p->hold;

	p->hold = NULL;
	if (h == NULL)
		return;
	h->place = NULL;
	place_port_drop(h);
}

/* Make it the place's. Returns false when it cannot be. */
static bool place_port_claim(struct place *p)
{
	struct port_hold *h = place_port_find(p->core, p->port);

	if (h == NULL && place_port_new(p->core, p->port, &h) != 0)
		return false; /* the next refresh tries again */
	if (h->place != NULL && h->place->version > p->version)
		return false; /* it has been taken out of our record, which we are yet to read */
	if (h->place != NULL)
		h->place->hold = NULL;
	h->place = p;
	p->hold = h;
	return true;
}

/*
 * The hold is to be at the address that the place's record says. Visitors come in at the new one
 * before the old one goes, and the old one stays as long as that cannot be.
 */
static void place_port_settle(struct place *p)
{
	struct port_hold *h = p->hold;
	struct reservation *r = h->reservation;
	struct port *taken = NULL;
	int e = 0;

	if (h->taken != NULL && strcmp(h->bind, p->bind) == 0)
		return;
	if (r != NULL && r->taken != NULL && strcmp(r->bind, p->bind) == 0)
		MOVE(taken, r->taken);
	else
		e = place_port_take(h, p->bind, &taken);
	if (e == 0 && h->taken != NULL)
		e = place_port_let(p, taken);
	if (e != 0) {
		h->core->opt.ports.give_up(taken);
		place_port_say(h, p, e);
		return;
	}
	h->core->opt.ports.give_up(h->taken);
	h->taken = taken;
	memcpy(h->bind, p->bind, sizeof h->bind);
	place_port_say(h, p, 0);
}

void place_port_set(struct place *p, uint16_t port, const char *bind)
{
	if (p->core->opt.ports.take == NULL)
		port = 0; /* this node has none */
	if (p->hold != NULL && p->hold->port != port)
		place_port_leave(p);
	p->port = port;
	str_printf(p->bind, sizeof p->bind, "%s", bind);
	place_port_retry(p);
}

void place_port_retry(struct place *p)
{
	if (p->port != 0 && (p->hold != NULL || place_port_claim(p)))
		place_port_settle(p);
}

const char *place_tunnel_at(struct core *c, uint16_t port)
{
	const struct port_hold *h = place_port_find(c, port);

	return h == NULL || h->place == NULL ? NULL : h->place->name;
}

/* ---- reservations ---- */

/* Take what the reservation needs. */
static int place_port_reserve(struct port_hold *h, struct reservation *r)
{
	bool here = h->place == NULL || strcmp(h->place->bind, r->bind) == 0;
	int e;

	if (h->taken != NULL && strcmp(h->bind, r->bind) == 0)
		return 0;
	if (h->taken != NULL || !here)
		return place_port_take(h, r->bind, &r->taken);
	if ((e = place_port_take(h, r->bind, &h->taken)) != 0)
		return e;
	memcpy(h->bind, r->bind, sizeof h->bind);
	if (h->place != NULL)
		place_port_show(h->place);
	return 0;
}

int place_reserve(struct core *c, const char *bind, uint16_t port, struct reservation **out)
{
	struct port_hold *h = place_port_find(c, port);
	struct reservation *r;
	int e = ERR_INVAL;

	if (c->opt.ports.take == NULL)
		return ERR_UNSUPPORTED;
	if (h != NULL && h->reservation != NULL)
		return ERR_INUSE;
	if ((r = calloc(1, sizeof *r)) == NULL)
		return ERR_NOMEM;
	if (port == 0 || str_copy(r->bind, sizeof r->bind, str_of(bind)) != 0 ||
	    (h == NULL && (e = place_port_new(c, port, &h)) != 0)) {
		free(r);
		return e;
	}
	r->hold = h;
	if ((e = place_port_reserve(h, r)) != 0) {
		free(r);
		place_port_drop(h);
		return e;
	}
	h->reservation = r;
	*out = r;
	return 0;
}

void place_release(struct core *c, struct reservation *r)
{
	struct port_hold *h;

	if (r == NULL)
		return;
	h = r->hold;
	h->reservation = NULL;
	c->opt.ports.give_up(r->taken);
	free(r);
	place_port_drop(h);
}
