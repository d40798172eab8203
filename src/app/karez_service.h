/* `karez service`: a `karez up` that the system, or a user's session, starts and keeps running. */
#ifndef KAREZ_APP_KAREZ_SERVICE_H
#define KAREZ_APP_KAREZ_SERVICE_H

#include "app/karez_options.h"

/*
 * Carry out install, uninstall or status.
 *   c, set  as config_load() has left them.
 * Returns the exit code: 2 when the services file or an option is wrong, 1 when it did not work.
 */
int karez_service_run(const struct config *c, const struct karez_options *set);

#endif
