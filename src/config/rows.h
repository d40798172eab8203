/* A program's tables, checked for mistakes of ours; called by the test of each program's tables. */
#ifndef KAREZ_CONFIG_ROWS_H
#define KAREZ_CONFIG_ROWS_H

#include "config/config.h"

/*
 * Look for what would make an option unreachable, ambiguous or wrong: names and letters used twice
 * in one command, or with and without a value in two; members stored twice; a default that its own
 * row refuses; an argument that cannot be reached; a group torn apart; a missing sentence; a
 * command of several words without its group. why  [cap] bytes; set to the first mistake, and empty
 * when there is none. Returns 0, ERR_INVAL, ERR_NOMEM.
 */
int rows_check(const struct config_program *p, char *why, size_t cap) MUST_CHECK;

#endif
