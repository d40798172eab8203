/* The hop: what its two sides (hop_peer.c, hop_guest.c) have in common, and its life. */
#include "cluster/hop.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cluster/hop_inside.h"

int hop_listen(struct hop *h, const struct net_addr *addr, uint16_t *port)
{
	return hop_end_listen(h->end, addr, port);
}

int hop_listen_local(struct hop *h, const char *path)
{
	return hop_end_listen_local(h->end, path);
}

void hop_drain(struct hop *h)
{
	if (h->draining)
		return;
	h->draining = true;
	hop_guests_drain(h);
}

int hop_new(struct ev *ev, const struct hop_opt *opt, struct hop **out)
{
	struct hop *h = calloc(1, sizeof *h);
	struct hop_end_opt end = {.log = opt->log,
				  .self = opt->self,
				  .key = opt->key,
				  .accepted = hop_guest_on_accepted,
				  .refused = hop_guest_on_refused,
				  .arg = h};
	int e;

	if (h == NULL)
		return ERR_NOMEM;
	h->ev = ev;
	h->opt = *opt;
	h->out_budget.cap = h->in_budget.cap = opt->window_total;
	list_init(&h->peers);
	list_init(&h->orphans);
	list_init(&h->greeting);
	list_init(&h->guests);
	if ((e = opt->net->open(opt->net, ev, &end, &h->end)) != 0) {
		free(h);
		return e;
	}
	*out = h;
	return 0;
}

void hop_free(struct hop *h)
{
	if (h == NULL)
		return;
	hop_orphans_free(h);
	hop_guests_free(h);
	hop_end_close(h->end);
	ev_free_later(h->ev, h);
}
