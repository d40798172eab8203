/* A target: a web server in memory behind one tunnel of one agent. */
#ifndef KAREZ_SIM_SITE_H
#define KAREZ_SIM_SITE_H

#include "wire/wire.h"

struct world;

enum site_mood {
	SITE_WELL,
	SITE_REFUSES, /* nobody listens there */
	SITE_HANGS,   /* connecting never ends */
	SITE_RESETS,  /* it accepts, and resets */
};

struct site {
	struct world *world;
	unsigned host, seat; /* who it is: in every answer */
	enum site_mood mood;
	uint32_t keep_ms;  /* an idle connection is closed after so long; 0: never */
	struct list conns; /* owned */
	size_t n_conns;
};

void site_init(struct site *s, struct world *w, unsigned host, unsigned seat);

/* A connection comes in; the wire is the site's. */
void site_accept(struct site *s, struct wire *w);

/* End every connection. */
void site_close_all(struct site *s);

#endif
