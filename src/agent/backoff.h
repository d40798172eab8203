/* How long to wait before the next try: longer each time, never the same for two agents. */
#ifndef KAREZ_AGENT_BACKOFF_H
#define KAREZ_AGENT_BACKOFF_H

#include "ev/ev.h"

/* The first wait, what each later one is of the one before in percent, and the longest, all in
 * milliseconds before the jitter. */
#define BACKOFF_FIRST_MS       250
#define BACKOFF_GROWTH_PERCENT 170
#define BACKOFF_MAX_MS	       15000

/* A wait is up to so much shorter or longer, so that a restarted server does not meet all its
 * agents at once. */
#define BACKOFF_JITTER_PERCENT 30

/* A value; all zero is one that has not failed yet. */
struct backoff {
	uint32_t last_ms; /* the last wait without its jitter; 0: none yet */
};

/* The next wait, in milliseconds: at least 0.7 * BACKOFF_FIRST_MS, at most 1.3 * BACKOFF_MAX_MS. */
uint32_t backoff_next(struct backoff *b, struct ev *ev);

/* The same, but a first wait is any between 1 and spread_ms milliseconds (0: as above): so many
 * agents that have lost one server at once come to the next one one after the other. */
uint32_t backoff_next_spread(struct backoff *b, struct ev *ev, uint32_t spread_ms);

/* It works again: start over. */
void backoff_reset(struct backoff *b);

#endif
