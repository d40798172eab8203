/* systemctl(1) as a child: what a person would type. */
#ifndef KAREZ_APP_SYSTEMCTL_H
#define KAREZ_APP_SYSTEMCTL_H

#include "base/util.h"

/* Words of one command, at most. */
#define SYSTEMCTL_WORDS 8

struct systemctl {
	bool user;  /* the manager of this user, not the system's */
	bool quiet; /* what it says is not shown */
};

/*
 * Run it, found by PATH, and wait for it.
 *   words  [up to SYSTEMCTL_WORDS], NULL-terminated: "enable", "--now", "karez.service".
 * Returns its exit code; 127 if it is not there, 126 if it was killed or could not be started.
 */
int systemctl_run(const struct systemctl *s, const char *const *words) MUST_CHECK;

/* Is there a manager that answers? */
bool systemctl_answers(bool user);

#endif
