/* Every address that a configuration of karezd listens at, and the sockets for them. */
#ifndef KAREZ_APP_SOCKET_PLAN_H
#define KAREZ_APP_SOCKET_PLAN_H

#include "app/karezd_options.h"
#include "app/socket_table.h"

/* Addresses of --listen that count. */
#define SOCKET_PLAN_LISTEN_MAX 64

struct socket_plan_row {
	const char *option; /* "--listen"; static */
	const char *text;   /* as it is written; borrowed from the settings */
	struct net_addr addr;
	bool spoken_to; /* see net_listen_opt */
};

struct socket_plan {
	struct socket_plan_row v[SOCKET_TABLE_MAX];
	size_t n;
};

/* What these settings, which have been checked, listen at. They must outlive the plan. */
void socket_plan_of(const struct karezd_settings *set, struct socket_plan *out);

/*
 * Is every socket of the table one that is asked for?
 *   why  [SOCKET_TABLE_WHY] set when not: a sentence that names the first that is not.
 * Returns 0 or ERR_INVAL.
 */
int socket_plan_match(const struct socket_plan *p, const struct socket_table *t,
		      char *why) MUST_CHECK;

/*
 * Open what is not there yet.
 *   have  stays as it is.
 *   out   set on success: a socket for each row, those of `have` where they fit.
 *   why   as above: names the option and the address.
 * Returns 0 or what net_listen_open() does; nothing is open then that was not before.
 */
int socket_plan_open(const struct socket_plan *p, const struct socket_table *have,
		     struct socket_table *out, char *why) MUST_CHECK;

/* Why an address cannot be listened at, and what to do, for whoever reads it. */
const char *socket_plan_reason(int e);

#endif
