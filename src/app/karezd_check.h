/* What karezd's options may say, beyond their types. */
#ifndef KAREZ_APP_KAREZD_CHECK_H
#define KAREZ_APP_KAREZD_CHECK_H

#include "config/config.h"

/* Each is a config_check_fn: of the option of that name, or of several that hold the like. */
int karezd_check_listen(struct str value, char *reason, size_t cap);
int karezd_check_manage_listen(struct str value, char *reason, size_t cap);
int karezd_check_ssh_listen(struct str value, char *reason, size_t cap);
int karezd_check_ports(struct str value, char *reason, size_t cap);
int karezd_check_bind(struct str value, char *reason, size_t cap);
int karezd_check_domain(struct str value, char *reason, size_t cap);
int karezd_check_cidr(struct str value, char *reason, size_t cap);
int karezd_check_url(struct str value, char *reason, size_t cap);
int karezd_check_resolver(struct str value, char *reason, size_t cap);
int karezd_check_auth_host(struct str value, char *reason, size_t cap);
int karezd_check_store(struct str value, char *reason, size_t cap);
int karezd_check_workers(struct str value, char *reason, size_t cap);
int karezd_check_hop(struct str value, char *reason, size_t cap);
int karezd_check_hop_advertise(struct str value, char *reason, size_t cap);

/*
 * Judge all values at once, for config_program.check; --allow-registration becomes --registration.
 *   settings  a struct karezd_settings.
 * Returns 0, or what config_fail() returned.
 */
int karezd_check_together(struct config *c, void *settings) MUST_CHECK;

#endif
