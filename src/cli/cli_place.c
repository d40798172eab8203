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

	if (set->servers.n > 0) { /* its row checked it */
		CHECK(url_parse(str_of(set->servers.v[0]), out, NULL) == 0);
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

size_t cli_place_others(const struct cli_options *set, struct url *out)
{
	size_t n = 0;

	for (size_t i = 1; i < set->servers.n && n < SERVERS_GIVEN_MAX - 1; i++)
		CHECK(url_parse(str_of(set->servers.v[i]), &out[n++], NULL) == 0);
	return n;
}

bool cli_place_certificate(const struct cli_options *set)
{
	return set->cert != NULL && set->token == NULL && set->token_file == NULL;
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

/* ---- the way to it ---- */

/* Is TLS spoken to it, if that is needed? */
static int cli_place_check(const struct cli_options *set, const struct url *server,
			   struct cli_way *out)
{
	char text[URL_TEXT_MAX];

	if ((set->cert == NULL && set->fingerprints.n == 0) || url_is_tls(server))
		return 0;
	url_format(server, text);
	if (set->cert != NULL)
		str_printf(out->why, sizeof out->why,
			   "a certificate (--cert) can be shown over https:// only, not to %s",
			   text);
	else
		str_printf(out->why, sizeof out->why,
			   "a server has a key (--server-fingerprint) over https:// only, not %s",
			   text);
	return ERR_INVAL;
}

/* The first of the variables that is not empty, or NULL. */
static const char *cli_place_variable(const char *const *names, const char **which)
{
	for (; *names != NULL; names++) {
		const char *value = getenv(*names);

		if (value != NULL && value[0] != '\0') {
			*which = *names;
			return value;
		}
	}
	return NULL;
}

static int cli_place_proxy(const struct cli_options *set, const struct url *server,
			   struct cli_way *out)
{
	static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
					    NULL};
	static const char *const http[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY",
					   NULL};
	static const char *const no[] = {"no_proxy", "NO_PROXY", NULL};
	const char *value = set->way_out, *spared, *which = "--proxy", *clause = "";

	if (value == NULL) {
		spared = cli_place_variable(no, &which);
		if (spared != NULL && http_proxy_is_spared(str_of(spared), server))
			return 0;
		value = cli_place_variable(url_is_tls(server) ? https : http, &which);
	}
	if (value == NULL || str_eq(str_of(value), STR("none")))
		return 0;
	if (http_proxy_parse(str_of(value), &out->room, &clause) != 0) {
		str_printf(out->why, sizeof out->why,
			   "%s is not a proxy that karez can use: %s; --proxy names another one, "
			   "and --proxy none uses none",
			   which, clause);
		return ERR_INVAL;
	}
	out->proxy = &out->room;
	return 0;
}

int cli_place_way(const struct cli_options *set, const struct url *server, struct cli_way *out)
{
	int e;

	*out = (struct cli_way){.proxy = NULL};
	for (size_t i = 0; i < set->fingerprints.n; i++) /* its row and cli_options_check() did */
		CHECK(key_pins_add(&out->pins, str_of(set->fingerprints.v[i])) == 0);
	e = cli_place_check(set, server, out);
	return e != 0 ? e : cli_place_proxy(set, server, out);
}

bool cli_way_is_open(const struct cli_way *way, const struct url *server)
{
	return cli_place_is_open(server) || (way->proxy != NULL && !url_is_tls(server));
}
