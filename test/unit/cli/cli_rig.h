/* A struct cli for a command line, with virtual time and its output in memory; no server. */
#ifndef KAREZ_TEST_UNIT_CLI_CLI_RIG_H
#define KAREZ_TEST_UNIT_CLI_CLI_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cli/cli_internal.h"

struct cli_rig {
	struct cli cli;
	struct cli_options set;
	struct config *config;
	char *out, *err; /* what was printed, after cli_rig_said() */
	size_t out_len, err_len;
};

/* The program that has all commands and nothing else. */
extern const struct config_program cli_rig_program;

/* argv: NULL-terminated, without the program's name. It must be a good one. */
void cli_rig_start(struct cli_rig *r, const char *const *argv);

/* Make r->out and r->err complete. */
void cli_rig_said(struct cli_rig *r);

void cli_rig_end(struct cli_rig *r);

#endif
