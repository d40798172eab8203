/*
 * A bus in memory that loses, doubles, delays and reorders messages, refuses some, goes away and
 * comes back; all from a seed. Leases are kept as Redis does: who has not shown that it lives for
 * BUS_GONE_MS is gone, for everybody who has heard of it.
 */
#ifndef KAREZ_SIM_LOSSY_BUS_H
#define KAREZ_SIM_LOSSY_BUS_H

#include "cluster/bus.h"

struct lossy_net;

/* How bad it is; all zero: each message comes once, in order, in a millisecond. */
struct lossy_rules {
	uint32_t lose, twice, refuse; /* so many messages in a hundred */
	uint32_t delay_ms;	      /* a message takes 1 to 1 + delay_ms */
	uint32_t late, late_ms;	      /* so many in a hundred take up to late_ms more */
	/* May this pass at all? NULL: all. */
	bool (*passes)(void *arg, const char *from, const char *to);
	/* A message was sent; to: NULL for all. May be NULL. */
	void (*tap)(void *arg, const char *from, const char *to, struct str message);
	void *arg;
};

struct lossy_counts {
	uint64_t sent, lost, doubled, delivered, bytes;
};

int lossy_net_new(struct ev *ev, uint64_t seed, struct lossy_net **out) MUST_CHECK;

/* All its buses must be closed. NULL is allowed. */
void lossy_net_free(struct lossy_net *n);

/* From now on. */
void lossy_net_rule(struct lossy_net *n, const struct lossy_rules *rules);

/* The whole bus is away, or back; what is under way is lost. */
void lossy_net_away(struct lossy_net *n, bool away);

/* A message of nobody knows whom comes to a node in a millisecond. */
void lossy_net_inject(struct lossy_net *n, const char *to, struct str message);

const struct lossy_counts *lossy_net_counts(const struct lossy_net *n);

/* One node's end of it. id: copied. */
int lossy_bus_new(struct lossy_net *n, const char *id, struct bus **out) MUST_CHECK;

/* Its process dies: nothing it sends gets out any more, and nobody is told when it is closed. */
void lossy_bus_silence(struct bus *b);

/* This node does not reach the bus, or does again. */
void lossy_bus_cut(struct bus *b, bool cut);

#endif
