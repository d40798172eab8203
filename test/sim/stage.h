/*
 * What every simulated world stands on: a seed and its dice, virtual time, a store in memory, the
 * cables, and the trace of all that happens.
 */
#ifndef KAREZ_SIM_STAGE_H
#define KAREZ_SIM_STAGE_H

#include "sim/dice.h"
#include "store/store.h"

struct stage {
	uint64_t seed;
	bool verbose, failed;
	struct dice dice;
	uint64_t trace; /* hash of all that was noted */
	struct ev *ev;
	struct log log;
	struct store *store;
	struct list cables; /* of cable.link */
};

/* What one world was like. */
struct stage_result {
	uint64_t trace; /* the same for the same seed and code */
	uint64_t virtual_ms;
	uint32_t heal_ms; /* until everything worked again */
	size_t n_visits;
};

/* All zero before. Ends the process when memory is gone, as all of the simulation does. */
void stage_open(struct stage *s, uint64_t seed, bool verbose);

/* Something has happened: part of the trace, shown when verbose. */
void stage_note(struct stage *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A promise is broken: say so, once, and end the world. */
void stage_fail(struct stage *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Everything has been closed: nothing may be left that could ever happen. */
void stage_close(struct stage *s);

/* Give its memory back, after stage_close(). */
void stage_free(struct stage *s);

/* The address of visitor n, as text, and n again; UINT32_MAX when it is nobody's. */
void stage_ip(unsigned n, char out[32]);
unsigned stage_ip_number(const char *ip);

#endif
