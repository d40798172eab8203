/* What is different in two sets of settings of one program. */
#ifndef KAREZ_APP_SETTINGS_DIFF_H
#define KAREZ_APP_SETTINGS_DIFF_H

#include "config/config.h"

/*
 * Compare all options of the program that every command takes.
 *   a, b  the program's settings.
 *   each  called for every option whose value differs, in the order of the rows.
 */
void settings_diff(const struct config_program *p, const void *a, const void *b,
		   void (*each)(void *arg, const struct config_option *row), void *arg);

#endif
