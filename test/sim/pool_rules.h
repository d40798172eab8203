/*
 * What is promised about ports and pools, judged from what visitors and agents see:
 *
 * - A banner comes from an agent that was allowed to serve, and from a target of the very tunnel
 *   that has the port; of a fail-over pool from the best one that surely works.
 * - While one agent surely works, every visitor who comes is let in, is answered within a second,
 *   and is served to the last byte, whatever kills and refusals the others suffer; only those whom
 *   the broken one served already, or who have spoken to it, may see a reset.
 * - Nobody hangs for longer than the death of a session, and what targets do themselves.
 * - After a hot swap new visitors come to the new agents, and those of the old ones go on until the
 *   drain is over, and no longer. A tunnel that is deleted or switched off lets go of all at once.
 * - A port is held by whose record says so and by nobody else, is free at once when its tunnel is
 *   deleted, and lets nobody in while nobody could serve.
 * - Agents lose what the records take away, and nothing else.
 */
#ifndef KAREZ_SIM_POOL_RULES_H
#define KAREZ_SIM_POOL_RULES_H

#include "sim/pool_visitor.h"

struct pool;
struct pool_host;

/* Health checks: how often, and how many results change the state. */
#define POOL_HEALTH_MS	 1000
#define POOL_HEALTH_RISE 2
#define POOL_HEALTH_FALL 2

/* How often what holds all the time is looked at, in milliseconds. */
#define POOL_TICK_MS 250

/* May this host be told that it does not serve the tunnel, by news that are so late at most? */
bool pool_rules_may_take(const struct pool_host *h, unsigned tunnel, int code, uint64_t late_ms);

/* What a visitor meets: it is not let in; it has read the banner; it is still without one when it
 * should have had it; its connection breaks. */
void pool_rules_refused(struct pool_visitor *v);
void pool_rules_greeted(struct pool_visitor *v);
void pool_rules_slow(struct pool_visitor *v);
void pool_rules_lost(struct pool_visitor *v, int why);

/* How soon must a visitor be greeted who comes now? In milliseconds. */
uint32_t pool_rules_prompt_ms(const struct pool *p);

/* How long may a visitor still wait without any progress? 0: not any longer. */
uint64_t pool_rules_patience_ms(const struct pool_visitor *v);

/* What holds all the time. */
void pool_rules_tick(struct pool *p);

/* Does somebody surely serve this tunnel there? since: and at every moment since then. */
bool pool_rules_serves(const struct pool *p, unsigned tunnel, unsigned node, uint64_t since_ms);

/* What must be true when nothing has happened for long. */
void pool_rules_quiet(struct pool *p);

#endif
