/* `karezd ca init`, `issue`, `revoke` and `list`: a small certificate authority of one's own. */
#ifndef KAREZ_APP_KAREZD_CA_H
#define KAREZ_APP_KAREZD_CA_H

#include "config/config.h"

/* Part of karezd's settings, as `ca`. */
struct karezd_ca_settings {
	char *dir;		  /* of the authority; NULL: ca in the state directory */
	char *authority;	  /* what it is called */
	struct config_list names; /* of who gets a certificate */
	char *what;		  /* is revoked: a name or a serial */
	bool server;
	uint64_t days; /* 0: as is usual */
	char *out;     /* the directory of the new files */
};

#define KAREZD_CA_COMMANDS 4
extern const struct config_command karezd_ca_commands[KAREZD_CA_COMMANDS];

/*
 * Do one of them, and say on standard output what to do next, or on standard error why not.
 *   command    its name, "ca init".
 *   state_dir  where what outlives the process is kept.
 * Returns the exit code.
 */
int karezd_ca_run(const struct karezd_ca_settings *set, const char *command, const char *state_dir);

#endif
