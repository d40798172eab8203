/* The options of `karez ssh`. */
#ifndef KAREZ_APP_KAREZ_SSH_OPTIONS_H
#define KAREZ_APP_KAREZ_SSH_OPTIONS_H

#include "app/karez_options.h"

/* Their rows; offsets count from a struct karez_options. */
#define KAREZ_SSH_N_TABLES 1
#define KAREZ_SSH_N_ARGS   1
extern const struct config_table karez_ssh_tables[KAREZ_SSH_N_TABLES];
extern const struct config_option karez_ssh_args[KAREZ_SSH_N_ARGS];

/* Look at values together. Returns 0 or what config_fail() returned. */
int karez_ssh_options_check(struct config *c, struct karez_options *set) MUST_CHECK;

#endif
