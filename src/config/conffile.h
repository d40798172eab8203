/* The configuration file: a YAML or JSON mapping from option names to values. */
#ifndef KAREZ_CONFIG_CONFFILE_H
#define KAREZ_CONFIG_CONFFILE_H

#include "config/slot.h"

/*
 * Read the file that --config names, which must exist, or else the first of the program's files
 * that does; no file at all is fine. Sets c->path.
 *   envp  for HOME; may be NULL.
 * Returns 0, ERR_INVAL with c->message set, ERR_NOMEM.
 */
int conffile_load(struct config *c, char *const *envp) MUST_CHECK;

/*
 * The same for the bytes of a file; c->path is its name in messages.
 * Returns 0, ERR_INVAL with c->message set, ERR_NOMEM.
 */
int conffile_read(struct config *c, struct str bytes) MUST_CHECK;

/* The value of an environment variable; NULL if it is not there. Borrowed from envp. */
const char *conffile_getenv(char *const *envp, const char *name);

#endif
