/*
 * The conformance suite of the wire interface: what every kind of wire must do.
 *
 * A kind is a row of struct wire_suite_kind. It makes a pair of wires on a loop, real or simulated,
 * and the suite plays both owners. It looks at time by the loop alone, so a kind on a simulated
 * loop takes no real time.
 */
#ifndef KAREZ_SUITE_WIRE_SUITE_H
#define KAREZ_SUITE_WIRE_SUITE_H

#include "wire/wire.h"

/* Two wires joined, fresh, with nobody as their owner. */
struct wire_suite_pair {
	struct ev *ev;
	struct wire *a, *b; /* the suite closes both, and runs the loop until that is done */
	void *arg;	    /* the kind's own */
};

struct wire_suite_kind {
	const char *name;
	const void *opt; /* the kind's own */
	/* Make a pair; fails the test when it cannot. The handshake may still be under way. */
	void (*open)(const struct wire_suite_kind *kind, struct wire_suite_pair *pair);
	/* Both wires are closed: free the loop and the rest. */
	void (*close)(struct wire_suite_pair *pair);
	size_t body_len;   /* bytes of the large bodies; 0: 8 MiB */
	size_t flight_max; /* bytes that one direction takes at most while nobody reads */
	bool restores;	   /* wire_restore() is known to it */
	bool no_reset;	   /* it cannot say that an end is not an ordinary one */
	uint32_t quiet_ms; /* after so long without an event nothing more is under way; 0: 20 */
};

/* Run every test on every kind. Returns the number of failed tests, to be main's result. */
int wire_suite_run(const struct wire_suite_kind *kinds, size_t n_kinds) MUST_CHECK;

/* Byte number `at` of body number `seed`: never the same at the wrong place. */
uint8_t wire_suite_byte(uint32_t seed, uint64_t at);

#endif
