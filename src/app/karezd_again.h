/* The configuration, read again while a process without a supervisor serves (SIGHUP). */
#ifndef KAREZ_APP_KAREZD_AGAIN_H
#define KAREZ_APP_KAREZD_AGAIN_H

#include "app/karezd_options.h"
#include "base/log.h"

/* Bytes of a sentence, NUL included. */
#define KAREZD_AGAIN_WHY 1200

/*
 * Read it and judge it as at a start; what can follow does, and one line of the log names what
 * needs a restart.
 *   set  what is in force; log_level, drain_ms and drain_delay_ms are changed.
 *   why  [KAREZD_AGAIN_WHY] set on failure, and logged: then nothing changes.
 * Returns 0, ERR_INVAL, ERR_NOMEM.
 */
int karezd_again(const struct config_input *in, struct karezd_settings *set, struct log *log,
		 char *why) MUST_CHECK;

#endif
