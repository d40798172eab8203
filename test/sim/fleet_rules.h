/*
 * What a cluster promises, whatever happens to it:
 *
 * - a name and a port have one owner, and all nodes mean the same one;
 * - a visitor is answered by a target of the tunnel that it asked for, at whatever node it comes
 * in;
 * - an older process of an agent serves nothing any more, at no node, once a newer one does;
 * - a node that has died is known to nobody any more once its lease is over and two beats have
 *   passed, and nothing that it once said brings it back;
 * - when nothing changes and nothing is lost, every node knows exactly what every other one serves
 *   within two beats;
 * - a visitor is passed on twice at most.
 */
#ifndef KAREZ_SIM_FLEET_RULES_H
#define KAREZ_SIM_FLEET_RULES_H

#include <stdbool.h>
#include <stdint.h>

struct fleet;
struct fleet_host;
struct fleet_tunnel;
struct fleet_visitor;

/* A tunnel is online for an account. */
void fleet_rules_own(struct fleet *f, struct fleet_tunnel *t, int account);

/* May this host be told that it has lost a tunnel, for this reason? */
bool fleet_rules_may_lose(const struct fleet_host *h, const struct fleet_tunnel *t, int code);

/* May the target of that seat answer this visitor? */
bool fleet_rules_may_serve(const struct fleet_visitor *v, unsigned host, unsigned seat);

/* The visitor got a page of the server, and no answer: may it say that? */
void fleet_rules_judge_page(const struct fleet_visitor *v);

/* Look at all nodes now. */
void fleet_rules_tick(struct fleet *f);

/* Does every node know every other one, and exactly what it serves? tell: say so if not. */
bool fleet_rules_all_know(struct fleet *f, bool tell);

/* Does a node still know a process that is no more? */
bool fleet_rules_know_dead(const struct fleet *f);

/* Nothing changes and nobody asks: all that is known is the same everywhere, and nothing is left
 * over. */
void fleet_rules_quiet(struct fleet *f);

#endif
