/* The agent and the commands must not disagree about the server or the folder. */
#include "cli/cli_place.h"

#include <stdlib.h>

void cli_place_dir(const struct cli_options *set, char *out)
{
	const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	size_t cap = MEMORY_DIR_MAX + 2;

	out[0] = '\0';
	if (set->config_dir != NULL)
		str_printf(out, cap, "%s", set->config_dir);
	else if (xdg != NULL && xdg[0] == '/')
		str_printf(out, cap, "%s/karez", xdg);
	else if (home != NULL && home[0] == '/')
		str_printf(out, cap, "%s/.config/karez", home);
}

bool cli_place_server(const struct cli_options *set, const struct memory *memory, struct url *out)
{
	char recent[URL_TEXT_MAX] = "";

	if (set->server != NULL) {
		CHECK(url_parse(str_of(set->server), out, NULL) == 0); /* its row checked it */
		return true;
	}
	if (memory != NULL)
		memory_recent(memory, recent);
	if (recent[0] != '\0' && url_parse(str_of(recent), out, NULL) == 0 &&
	    (out->scheme == URL_HTTP || out->scheme == URL_HTTPS))
		return true;
	CHECK(url_parse(STR(CLI_USUAL_SERVER), out, NULL) == 0);
	return false;
}
