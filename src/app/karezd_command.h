/* The commands of karezd that need no store. */
#ifndef KAREZ_APP_KAREZD_COMMAND_H
#define KAREZ_APP_KAREZD_COMMAND_H

#include "app/karezd_options.h"
#include "ev/ev.h"

/*
 * Do what a command says.
 *   command  its words: "check".
 *   ev       a loop that has nothing to do.
 *   *code    set to the exit code.
 * Returns false, and has done nothing, when it is a command that needs a store.
 */
bool karezd_command(const char *command, const struct karezd_settings *set, struct ev *ev,
		    struct log *log, int *code) MUST_CHECK;

#endif
