/*
 * A wire whose stream is not there yet: a visitor need not wait for the connection to another node
 * with what it has to say first. Once there is a stream it passes everything through.
 */
#ifndef KAREZ_CLUSTER_HOP_WIRE_H
#define KAREZ_CLUSTER_HOP_WIRE_H

#include "proto/visit.h"
#include "wire/wire.h"

struct hop_wire;

/* Bytes that one takes before it has a stream: the head of an ordinary request. */
#define HOP_WIRE_EARLY_MAX (8 * 1024)

/* A closed wire may take so long to deliver what it had taken, in milliseconds. */
#define HOP_WIRE_LINGER_MS 30000

/* Those that wait for the same thing. */
struct hop_waiters {
	struct list list; /* of hop_wire */
	size_t n;
};

/*
 *   in     where it waits; outlives its waiting.
 *   visit  copied: what the stream is to be opened for.
 * Returns 0 or ERR_NOMEM.
 */
int hop_wire_new(struct ev *ev, struct hop_waiters *in, const struct visit *visit,
		 struct wire **out) MUST_CHECK;

/* Whoever has waited longest; NULL: nobody waits. It waits until one of the next two is called. */
struct hop_wire *hop_waiters_first(const struct hop_waiters *in);

/* Lives as long as it waits. */
const struct visit *hop_wire_visit(const struct hop_wire *h);

/* Here is the stream, which is h's from now on. Its owner, if any, hears of it later. */
void hop_wire_join(struct hop_wire *h, struct wire *stream);

/* There will be none: it breaks for this reason. */
void hop_wire_fail(struct hop_wire *h, int why);

#endif
