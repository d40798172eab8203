/*
 * The name of the file stays what it is called, and only its folder is followed to where it really
 * is: a link to the file may be turned, as Kubernetes does, while `karez up` runs.
 */
#include "cli/status_place.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "cli/cli_place.h"

void status_place_dir(const struct cli_options *set, size_t i, char *out)
{
	const char *run = getenv("XDG_RUNTIME_DIR");

	out[0] = '\0';
	if (i == 1)
		cli_place_dir(set, out);
	else if (run != NULL && run[0] == '/')
		str_printf(out, STATUS_PLACE_TEXT, "%s/karez", run);
}

/* The folder as it really is, and the name in it. */
static void status_place_whole(const char *file, char out[2 * PATH_MAX])
{
	const char *slash = strrchr(file, '/'), *name = slash == NULL ? file : slash + 1;
	char dir[PATH_MAX], real[PATH_MAX];

	if (slash == NULL)
		str_printf(dir, sizeof dir, ".");
	else
		str_printf(dir, sizeof dir, "%.*s", (int)MAX(slash - file, 1), file);
	str_printf(out, 2 * PATH_MAX, "%s/%s", realpath(dir, real) == NULL ? dir : real, name);
}

int status_place(const struct cli_options *set, size_t i, const char *file, char *socket,
		 char *lock)
{
	static const uint64_t seed[2]; /* the name must be the same in every process */
	char dir[STATUS_PLACE_TEXT], whole[2 * PATH_MAX];
	uint64_t hash;
	size_t len;

	status_place_dir(set, i, dir);
	if (dir[0] == '\0')
		return ERR_NOTFOUND;
	status_place_whole(file, whole);
	hash = siphash(seed, whole, strlen(whole));
	len = str_printf(socket, STATUS_PLACE_TEXT, "%s/up-%016llx.sock", dir,
			 (unsigned long long)hash);
	str_printf(lock, STATUS_PLACE_TEXT, "%s/up-%016llx.pid", dir, (unsigned long long)hash);
	return len < STATUS_PLACE_SOCKET ? 0 : ERR_TOOBIG;
}
