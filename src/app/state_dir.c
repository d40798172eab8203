/* The store and the administrator's token may each be the first to need it. */
#include "app/state_dir.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

void state_dir_find(const char *told, char *out, size_t cap)
{
	const char *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");

	if (told != NULL)
		str_printf(out, cap, "%s", told);
	else if (geteuid() == 0 || home == NULL)
		str_printf(out, cap, "/var/lib/karez");
	else if (state != NULL && state[0] == '/')
		str_printf(out, cap, "%s/karez", state);
	else
		str_printf(out, cap, "%s/.local/state/karez", home);
}

void state_dir_make_parents(char *path)
{
	if (path[0] == '\0')
		return;
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)!mkdir(path, 0755);
		*p = '/';
	}
}

void state_dir_make(char *path)
{
	state_dir_make_parents(path);
	(void)!mkdir(path, 0700);
}
