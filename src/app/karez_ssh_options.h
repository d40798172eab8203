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

/*
 * Put the values of -o together again, whose commas have split them: an item without '=' and blank
 * belongs to the one before.
 *   *out  set to a list of the same kind, also on failure: karez_ssh_options_free() it.
 * Returns 0 or ERR_NOMEM.
 */
int karez_ssh_options_join(const struct config_list *items, struct config_list *out) MUST_CHECK;
void karez_ssh_options_free(struct config_list *list);

#endif
