/* A configuration of a supervisor, frozen: what its workers read is what was read then, even those
 * that are started again after somebody has edited the file. */
#ifndef KAREZ_APP_SUPERVISOR_CONFIG_H
#define KAREZ_APP_SUPERVISOR_CONFIG_H

#include "app/karezd_options.h"

/* Bytes of a sentence that says what is wrong, NUL included. */
#define SUPERVISOR_CONFIG_WHY 1200

struct supervisor_config {
	struct karezd_settings set;
	struct config *config; /* owned; the settings are its */
};

/*
 * Read command line, environment and file as they are now.
 *   why  [SUPERVISOR_CONFIG_WHY] set on failure: as config_message().
 * Returns 0, ERR_INVAL, ERR_NOMEM.
 */
int supervisor_config_load(const struct config_input *in, struct supervisor_config **out,
			   char *why) MUST_CHECK;

/*
 * The same, with the file copied to `path` first; what is read is the copy.
 * Returns the same or ERR_IO.
 */
int supervisor_config_freeze(const struct config_input *in, const char *path,
			     struct supervisor_config **out, char *why) MUST_CHECK;

/* Read such a copy again. Returns as supervisor_config_load(). */
int supervisor_config_thaw(const struct config_input *in, const char *path,
			   struct supervisor_config **out, char *why) MUST_CHECK;

/* NULL is allowed. */
void supervisor_config_free(struct supervisor_config *c);

#endif
