/* The commands that tell a karezd that runs what to do. */
#ifndef KAREZ_APP_KAREZD_TELL_H
#define KAREZ_APP_KAREZD_TELL_H

#include "ev/ev.h"

/* A reload that has not come to an end within this is not waited for, in milliseconds. */
#define KAREZD_TELL_MS 120000

/*
 * Tell the process that serves from a state directory, wait until it has done so, and say what came
 * of it.
 *   command  "drain" or "reload".
 * Returns the exit code: 0, or 1 with a line on standard error that says why.
 */
int karezd_tell(struct ev *ev, const char *command, const char *state_dir);

#endif
