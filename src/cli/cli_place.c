/* The agent and the commands must not disagree about the server or the folder. */
#include "cli/cli_place.h"

#include <stdlib.h>

#include "proto/cidr.h"

#include "base/err.h"

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

bool cli_place_certificate(const struct cli_options *set)
{
	return set->cert != NULL && set->token == NULL && set->token_file == NULL;
}

int cli_place_check(const struct cli_options *set, const struct url *server, char *why, size_t cap)
{
	char text[URL_TEXT_MAX];

	if (set->cert == NULL || url_is_tls(server))
		return 0;
	url_format(server, text);
	str_printf(why, cap, "a certificate (--cert) can be shown over https:// only, not to %s",
		   text);
	return ERR_INVAL;
}

bool cli_place_is_open(const struct url *server)
{
	static const struct cidr loopback[] = {
		{.ip = {[10] = 0xff, [11] = 0xff, [12] = 127}, .bits = 104, .v4 = true},
		{.ip = {[15] = 1}, .bits = 128},
	};
	struct str host = str_of(server->host);

	return !url_is_tls(server) && !str_eq(host, STR("localhost")) &&
	       !str_ends_nocase(host, STR(".localhost")) &&
	       !cidr_match_text(loopback, ARRAY_LEN(loopback), host);
}
