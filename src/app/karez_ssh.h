/* `karez ssh`: remote forwards through any SSH server, and what a person sees of them. */
#ifndef KAREZ_APP_KAREZ_SSH_H
#define KAREZ_APP_KAREZ_SSH_H

#include "app/karez_options.h"

/*
 * Run until it is over.
 *   set  as config_load() has checked it; outlives the call.
 * Returns the exit code: 0 when it was interrupted, 2 when an option of ssh's is wrong, else 1.
 */
int karez_ssh_run(const struct karez_options *set);

#endif
