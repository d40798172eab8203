/*
 * In an image without a shell there is no curl either: the server's own program asks the server,
 * and finds by its options where.
 */
#include "app/karezd_ready.h"

#include <stdio.h>
#include <string.h>

#include "app/door.h"
#include "base/err.h"
#include "base/show.h"
#include "cli/cli_http.h"

/* Bytes of the answer that are shown. */
#define SHOWN 200

/* Returns false if nobody can ask there without TLS or a PROXY header. */
static bool karezd_ready_where(const char *listen, struct url *url, struct cli_http_way *way)
{
	struct door_where where;
	char text[NET_ADDR_TEXT], full[NET_ADDR_TEXT + 16];
	bool six;

	if (door_parse(str_of(listen), &where) != 0 || where.tls || where.proxy)
		return false;
	if (where.addr.sa.sa_family == AF_UNIX) {
		way->socket = strchr(listen, '/');
		return url_parse(STR("http://localhost/"), url, NULL) == 0;
	}
	six = where.addr.sa.sa_family == AF_INET6;
	if (net_addr_is_any(&where.addr))
		str_printf(text, sizeof text, "%s:%u", six ? "[::1]" : "127.0.0.1",
			   net_addr_port(&where.addr));
	else
		net_addr_format(&where.addr, text);
	str_printf(full, sizeof full, "http://%s/", text);
	return url_parse(str_of(full), url, NULL) == 0;
}

static int karezd_ready_get(const struct url *url, const struct cli_http_way *way, char *why)
{
	const struct cli_http_request ask = {.method = "GET",
					     .path = "/v1/ready",
					     .anonymous = true};
	struct cli_http_answer answer = {0};
	struct cli_http *http = NULL;
	char shown[SHOWN];
	int e = cli_http_new(url, way, &http);

	if (e != 0) {
		str_printf(why, KAREZD_READY_WHY, "%s", err_text(e));
		return e;
	}
	if ((e = cli_http_do(http, &ask, &answer)) != 0) {
		str_printf(why, KAREZD_READY_WHY, "it does not answer: %.300s", answer.why);
	} else if (answer.status != 200) {
		e = ERR_DRAIN;
		show_ascii(shown, sizeof shown, buf_str(&answer.body));
		str_printf(why, KAREZD_READY_WHY, "it answers %u: %s", answer.status, shown);
	}
	buf_free(&answer.body);
	cli_http_free(http);
	return e;
}

int karezd_ready_ask(const struct karezd_settings *set, char *why)
{
	for (size_t i = 0; i < set->listen.n; i++) {
		struct cli_http_way way = {0};
		struct url url;

		if (karezd_ready_where(set->listen.v[i], &url, &way))
			return karezd_ready_get(&url, &way, why);
	}
	str_printf(why, KAREZD_READY_WHY,
		   "nobody can ask it: no --listen address takes HTTP in clear and without a PROXY "
		   "header; add 127.0.0.1:8080, for instance");
	return ERR_INVAL;
}

int karezd_ready(const struct karezd_settings *set)
{
	char why[KAREZD_READY_WHY];

	if (karezd_ready_ask(set, why) == 0)
		return 0;
	fprintf(stderr, "karezd: the server is not ready: %s\n", why);
	return 1;
}
