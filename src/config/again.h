/* What was given to one command, so that it can be given to another one again, later and elsewhere.
 */
#ifndef KAREZ_CONFIG_AGAIN_H
#define KAREZ_CONFIG_AGAIN_H

#include "config/config.h"

/*
 * An option that was given; called once for each item of a list.
 *   value  as one would type it; "yes" or "no" of a flag. Borrowed for the call.
 * Returns 0, or an ERR_* that ends it.
 */
typedef int (*again_fn)(void *arg, const struct config_option *row, const char *value);

/*
 * Tell the options on the command line and in the environment that the other command takes, too,
 * secrets included.
 *   as  NULL: those that every command takes.
 * Returns 0 or what the function returned.
 */
int again_each(const struct config *c, const struct config_command *as, again_fn fn,
	       void *arg) MUST_CHECK;

#endif
