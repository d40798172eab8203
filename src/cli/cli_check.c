/* One value may be said in several places; wherever it is said, the same is right. */
#include "cli/cli_check.h"

#include <string.h>

#include "agent/site_net.h"
#include "base/err.h"
#include "proto/cidr.h"
#include "proto/header_edit.h"
#include "proto/ident.h"
#include "proto/url.h"

/* ---- names and addresses ---- */

int cli_check_server(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (url_parse(value, &url, &why) == 0) {
		if (url.scheme == URL_HTTP || url.scheme == URL_HTTPS)
			return 0;
		why = "it must start with http:// or https://";
	}
	str_printf(reason, reason_cap, "is not the URL of a server: %s", why);
	return ERR_INVAL;
}

int cli_check_name(struct str value, char *reason, size_t reason_cap)
{
	char name[HOSTNAME_MAX + 1];

	if (hostname_tunnel(value, name) == 0)
		return 0;
	str_printf(reason, reason_cap,
		   "is not a name: expected letters, digits and hyphens, as in demo or demo.tim");
	return ERR_INVAL;
}

int cli_check_host(struct str value, char *reason, size_t reason_cap)
{
	struct str host = value, base;
	bool wild = str_starts(value, STR("*."));

	if (wild)
		host = (struct str){value.p + 2, value.len - 2};
	base = host;
	if (value.len <= HOSTNAME_MAX && hostname_ok(host) && (!wild || hostname_parent(&base)))
		return 0;
	str_printf(reason, reason_cap,
		   "is not a host name: expected one as app.example.org or *.example.org");
	return ERR_INVAL;
}

int cli_check_bind(struct str value, char *reason, size_t reason_cap)
{
	uint8_t ip[16];

	if (value.len == 0 || str_eq(value, STR("localhost")) || cidr_ip_parse(value, ip) == 0)
		return 0;
	str_printf(reason, reason_cap,
		   "is not an address of the server: expected 192.0.2.7, ::1 or localhost");
	return ERR_INVAL;
}

int cli_check_id(struct str value, char *reason, size_t reason_cap)
{
	if (ident_ok(value))
		return 0;
	str_printf(reason, reason_cap, "is not a name: expected 1-64 of A-Z a-z 0-9 . _ -");
	return ERR_INVAL;
}

/* ---- targets ---- */

static int check_refuse_target(const char *why, char *reason, size_t reason_cap)
{
	str_printf(reason, reason_cap, "is not a target: %s", why);
	return ERR_INVAL;
}

/* A directory that is not there is a mistake, not something to wait for. */
int cli_check_dir(const struct url *url, char *reason, size_t reason_cap)
{
	const char *why = "";

	if (site_net_check(url, &why) == 0)
		return 0;
	str_printf(reason, reason_cap, "cannot be shown: %s", why);
	return ERR_INVAL;
}

int cli_check_web(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (url_parse_target(value, URL_HTTP, &url, &why) == 0) {
		if (url.scheme == URL_UNIX)
			return 0;
		if (url.scheme == URL_FILE)
			return cli_check_dir(&url, reason, reason_cap);
		if ((url.scheme != URL_HTTP && url.scheme != URL_HTTPS) || url.websocket)
			why = "it must be PORT, HOST:PORT, http://, https://, unix: or file:";
		else if (strcmp(url.path, "/") != 0)
			why = "it must not have a path, because visitors choose the path";
		else
			return 0;
	}
	return check_refuse_target(why, reason, reason_cap);
}

int cli_check_stream(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (url_parse_target(value, URL_TCP, &url, &why) == 0) {
		if (url.scheme == URL_TCP || url.scheme == URL_TLS || url.scheme == URL_UNIX)
			return 0;
		why = "it must be PORT, HOST:PORT, tcp://, tls:// or unix:";
	}
	return check_refuse_target(why, reason, reason_cap);
}

int cli_check_health(struct str value, char *reason, size_t reason_cap)
{
	bool ok = value.len > 0 && value.len <= URL_PATH_MAX && value.p[0] == '/';

	for (size_t i = 0; i < value.len && ok; i++)
		ok = value.p[i] > ' ' && value.p[i] < 0x7f && value.p[i] != '#';
	if (ok || str_eq(value, STR("tcp")))
		return 0;
	str_printf(reason, reason_cap, "is not a check: expected tcp, or a path as /health");
	return ERR_INVAL;
}

/* ---- visitors ---- */

int cli_check_block(struct str value, char *reason, size_t reason_cap)
{
	struct cidr block;

	if (cidr_parse(value, &block) == 0)
		return 0;
	str_printf(reason, reason_cap,
		   "is not an address or a block of them: expected 192.0.2.7 or 10.0.0.0/8");
	return ERR_INVAL;
}

int cli_check_hook(struct str value, char *reason, size_t reason_cap)
{
	const char *why = "";
	struct url url;

	if (value.len == 0)
		return 0;
	if (url_parse(value, &url, &why) == 0) {
		if ((url.scheme == URL_HTTP || url.scheme == URL_HTTPS) && !url.websocket)
			return 0;
		why = "it must start with http:// or https://";
	}
	str_printf(reason, reason_cap, "is not the URL of a service: %s", why);
	return ERR_INVAL;
}

/* ---- heads ---- */

int cli_check_host_header(struct str value, char *reason, size_t reason_cap)
{
	struct hostname_authority a;

	if (str_eq(value, STR("keep")) || str_eq(value, STR("rewrite")) ||
	    (value.len <= HOSTNAME_AUTHORITY_MAX && hostname_split_resolvable(value, &a) == 0))
		return 0;
	str_printf(reason, reason_cap,
		   "is not a Host: expected rewrite, keep, or a name as app.example.org");
	return ERR_INVAL;
}

static int cli_check_edit(enum header_edit what, struct str value, char *reason, size_t reason_cap)
{
	bool adds = what == HEADER_REQUEST_ADD || what == HEADER_RESPONSE_ADD;
	struct http_field f;
	const char *why;

	if (header_edit_split(what, value, &f, &why) != 0)
		why = adds ? "is not a header: expected \"Name: value\""
			   : "is not the name of a header, such as X-Powered-By";
	else if (header_edit_check(what, value, &f, &why) == 0)
		return 0;
	str_printf(reason, reason_cap, "%s", why);
	return ERR_INVAL;
}

int cli_check_request_add(struct str value, char *reason, size_t reason_cap)
{
	return cli_check_edit(HEADER_REQUEST_ADD, value, reason, reason_cap);
}

int cli_check_request_remove(struct str value, char *reason, size_t reason_cap)
{
	return cli_check_edit(HEADER_REQUEST_REMOVE, value, reason, reason_cap);
}

int cli_check_response_add(struct str value, char *reason, size_t reason_cap)
{
	return cli_check_edit(HEADER_RESPONSE_ADD, value, reason, reason_cap);
}

int cli_check_response_remove(struct str value, char *reason, size_t reason_cap)
{
	return cli_check_edit(HEADER_RESPONSE_REMOVE, value, reason, reason_cap);
}
