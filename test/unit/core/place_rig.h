/* A core whose ports are a list of words, and records that it hears of. */
#ifndef KAREZ_TEST_UNIT_CORE_PLACE_RIG_H
#define KAREZ_TEST_UNIT_CORE_PLACE_RIG_H

#include "core/place.h"
#include "unit/core/core_rig.h"

struct place_rig {
	struct core_rig r;
	struct access_who ann, bob;
	struct list taken; /* of fake ports */
	size_t n_taken;
	char said[4096];	/* "take 9000@ " "let 9000=demo " "shut 9000 " "give 9000@ " */
	const char *other_bind; /* an address where another program has all ports; NULL: none */
	int take_e, let_e;	/* what else take() and let() return */
};

void place_rig_new(struct place_rig *g);
void place_rig_free(struct place_rig *g);

/* Another node on the same store and loop begins; *out gets it when it is ready. */
void place_rig_restart(struct place_rig *g);

/* What has been said to the ports since the last time. Borrowed. */
const char *place_rig_said(struct place_rig *g);

/*
 * A tunnel's record is written past the core, which then hears of it, in this call.
 *   members  of the record besides the account ("\"kind\":\"tcp\",\"port\":9000"); NULL: it is
 * gone.
 */
void place_rig_hear(struct place_rig *g, const char *name, const struct access_who *who,
		    const char *members);

/* The same, written into the store, with its route, past the core. */
void place_rig_store(struct place_rig *g, const char *name, const char *route, const char *members);

/* A session of an agent of ann's; carrier 0 unless there are more. */
void place_rig_join(struct place_rig *g, struct fake *f, const char *agent);

/* It offers services, with a space between two, and is told what it is to serve. */
void place_rig_offer(struct fake *f, const char *services, unsigned priority);

#endif
