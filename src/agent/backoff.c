/* A server that comes back must not be trampled, and a person must not wait for nothing. */
#include "agent/backoff.h"

uint32_t backoff_next(struct backoff *b, struct ev *ev)
{
	uint32_t base =
		b->last_ms == 0 ? BACKOFF_FIRST_MS : b->last_ms * BACKOFF_GROWTH_PERCENT / 100;
	uint32_t spread;

	b->last_ms = base = MIN(base, (uint32_t)BACKOFF_MAX_MS);
	spread = base * BACKOFF_JITTER_PERCENT / 100;
	return base - spread + (uint32_t)ev_random_below(ev, 2 * (uint64_t)spread + 1);
}

uint32_t backoff_next_spread(struct backoff *b, struct ev *ev, uint32_t spread_ms)
{
	bool first = b->last_ms == 0;
	uint32_t ms = backoff_next(b, ev);

	return first && spread_ms > 0 ? 1 + (uint32_t)ev_random_below(ev, spread_ms) : ms;
}

void backoff_reset(struct backoff *b)
{
	b->last_ms = 0;
}
