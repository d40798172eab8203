/* The options of karez, declared once. */
#ifndef KAREZ_APP_KAREZ_OPTIONS_H
#define KAREZ_APP_KAREZ_OPTIONS_H

#include "base/log.h"
#include "cli/cli_options.h"
#include "proto/url.h"

/* What karez was told. Texts are NULL where nothing was said; they belong to the struct config. */
struct karez_options {
	struct cli_options cli; /* first: its rows and ours count from one address */
	char *name;
	char *target;
	uint64_t sessions;
	int log_level; /* enum log_level */
	bool quiet, verbose, wait;
	bool target_insecure;
};

/* The program for config_load(). */
extern const struct config_program karez_program;

/*
 * The target of a checked TARGET argument.
 *   *bare  set to true if it is only a port.
 */
void karez_options_target(const struct karez_options *set, struct url *out, bool *bare);

#endif
