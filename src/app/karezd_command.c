/* What karezd does besides serving has nothing in common with that but its settings. */
#include "app/karezd_command.h"

#include <string.h>

#include "app/karezd_ca.h"
#include "app/karezd_ready.h"
#include "app/karezd_tell.h"
#include "app/karezd_try.h"
#include "app/state_dir.h"

bool karezd_command(const char *command, const struct karezd_settings *set, struct ev *ev,
		    struct log *log, int *code)
{
	char dir[1024];

	state_dir_find(set->state_dir, dir, sizeof dir);
	if (str_starts(str_of(command), STR("ca ")))
		*code = karezd_ca_run(&set->ca, command, dir);
	else if (strcmp(command, "check") == 0)
		*code = karezd_try(set, log);
	else if (strcmp(command, "ready") == 0)
		*code = karezd_ready(set);
	else if (strcmp(command, "drain") == 0 || strcmp(command, "reload") == 0)
		*code = karezd_tell(ev, command, dir);
	else
		return false;
	return true;
}
