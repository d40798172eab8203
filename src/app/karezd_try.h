/* `karezd check`: would the server start? What a start reads is read; nothing is opened or written.
 */
#ifndef KAREZ_APP_KAREZD_TRY_H
#define KAREZ_APP_KAREZD_TRY_H

#include "app/karezd_options.h"
#include "wire/tls_context.h"

/*
 * Look at all that the settings name, and say what is wrong with it, or that nothing is. Started by
 * a supervisor it also looks whether addresses that are new can be listened at.
 * Returns the exit code: 0, or 1 with a line on standard error.
 */
int karezd_try(const struct karezd_settings *set, struct log *log);

/*
 * What a context of these settings is made with.
 *   asked  see tls_context_server.client_ca_names; NULL: for management.
 */
void karezd_try_tls(const struct karezd_settings *set, const char *const *asked, struct log *log,
		    struct tls_context_server *out);

#endif
