/* The store and the administrator's token may each be the first to need it. */
#include "app/state_dir.h"

#include <sys/stat.h>

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
