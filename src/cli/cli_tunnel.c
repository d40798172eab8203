/* Tunnels as records: what the server keeps about them, whether or not an agent is there. */
#include "cli/cli_internal.h"

#include <string.h>

#include "base/err.h"

/* ---- how they look ---- */

static int cli_tunnel_state(struct cli *cli, const struct json *item, struct buf *out)
{
	bool connected = cli_show_flag(item, "connection.connected", false);

	return buf_printf(out, 64, "%s",
			  !cli_show_flag(item, "enabled", true) ? "switched off"
			  : connected				? "connected"
								: "not connected");
}

/* The one to be shown; servers of earlier versions have it with the http ingress only. */
static int cli_tunnel_url(struct cli *cli, const struct json *item, struct buf *out)
{
	struct str url = STR("");

	if (json_text(json_at(cli_show_at(item, "urls"), 0), &url) != 0)
		url = str_of(cli_show_text(item, "ingress.http.url"));
	return buf_add(out, url.p, url.len, 2048) == ERR_NOMEM ? ERR_NOMEM : 0;
}

/* Custom domains, wherever they are told. */
static int cli_tunnel_domains(struct cli *cli, const struct json *item, struct buf *out)
{
	const struct json *list = cli_show_at(item, "domains");
	struct str s;
	int e = 0;

	if (list == NULL)
		list = cli_show_at(item, "ingress.http.alt_names");
	for (size_t i = 0; i < json_count(list) && e == 0; i++)
		if (json_text(json_at(list, i), &s) == 0)
			e = buf_printf(out, 4096, "%s" STR_FMT, i > 0 ? ", " : "", STR_ARG(s));
	return e == ERR_TOOBIG ? 0 : e;
}

/* Seconds; only where a tunnel has agents of its own can it move. */
static int cli_tunnel_drain(struct cli *cli, const struct json *item, struct buf *out)
{
	const struct json *j = cli_show_at(item, "transport.drain");
	uint64_t s = 0;

	if (j == NULL || json_number(j, UINT64_MAX, &s) != 0 ||
	    json_count(cli_show_at(item, "transport.agents")) == 0)
		return 0;
	return buf_printf(out, 64, "%llu s", (unsigned long long)s);
}

/* What most tunnels do not have is not worth a line. */
static int cli_tunnel_proxy(struct cli *cli, const struct json *item, struct buf *out)
{
	const char *proxy = cli_show_text(item, "target.proxy_protocol");

	return strcmp(proxy, "none") == 0 ? 0 : buf_printf(out, 64, "%.40s", proxy);
}

static int cli_tunnel_users(struct cli *cli, const struct json *item, struct buf *out)
{
	const struct json *users = cli_show_at(item, "visitors.basic");
	int e = 0;

	for (size_t i = 0; i < json_count(users) && e == 0; i++)
		e = buf_printf(out, 2048, "%s%.100s", i > 0 ? ", " : "",
			       cli_show_text(json_at(users, i), "user"));
	return e == ERR_TOOBIG ? 0 : e;
}

/* A count of tokens; none is not worth a line. */
static int cli_tunnel_bearers(struct cli *cli, const struct json *item, struct buf *out)
{
	const struct json *j = cli_show_at(item, "visitors.bearer");
	uint64_t n = 0;

	if (j == NULL || json_number(j, UINT64_MAX, &n) != 0 || n == 0)
		return 0;
	return buf_printf(out, 64, "%llu", (unsigned long long)n);
}

static const struct cli_field cli_tunnel_lines[] = {
	{"Tunnel", "name", CLI_PLAIN, NULL},
	{"Kind", "kind", CLI_PLAIN, NULL},
	{"State", "", CLI_PLAIN, cli_tunnel_state},
	{"Since", "connection.connected_at", CLI_TIME, NULL},
	{"URL", "", CLI_PLAIN, cli_tunnel_url},
	{"Custom domains", "", CLI_PLAIN, cli_tunnel_domains},
	{"Listens on", "ingress.tcp.bind", CLI_PLAIN, NULL},
	{"Visitors' TLS", "ingress.tls.mode", CLI_PLAIN, NULL},
	{"Target", "target.url", CLI_PLAIN, NULL},
	{"Service", "target.service", CLI_PLAIN, NULL},
	{"PROXY protocol", "", CLI_PLAIN, cli_tunnel_proxy},
	{"Agents", "transport.agents", CLI_LIST, NULL},
	{"Drains for", "", CLI_PLAIN, cli_tunnel_drain},
	{"Sessions", "connection.connections", CLI_PLAIN, NULL},
	{"Sessions at most", "transport.max_connections", CLI_PLAIN, NULL},
	{"Policy", "transport.policy", CLI_PLAIN, NULL},
	{"Visitors now", "connection.visitors", CLI_PLAIN, NULL},
	{"Host rewritten", "headers.rewrite", CLI_PLAIN, NULL},
	{"Host", "headers.host", CLI_PLAIN, NULL},
	{"Removed from requests", "headers.request_remove", CLI_LIST, NULL},
	{"Added to requests", "headers.request_add", CLI_LIST, NULL},
	{"Removed from answers", "headers.response_remove", CLI_LIST, NULL},
	{"Added to answers", "headers.response_add", CLI_LIST, NULL},
	{"Users let in", "", CLI_PLAIN, cli_tunnel_users},
	{"Tokens let in", "", CLI_PLAIN, cli_tunnel_bearers},
	{"Addresses allowed", "visitors.allow", CLI_LIST, NULL},
	{"Addresses denied", "visitors.deny", CLI_LIST, NULL},
	{"Asked about visitors", "visitors.auth_url", CLI_PLAIN, NULL},
	{"Owner", "owner", CLI_PLAIN, NULL},
	{"Made", "created_at", CLI_TIME, NULL},
	{"Changed", "updated_at", CLI_TIME, NULL},
};

const struct cli_fields cli_fields_tunnel = {cli_tunnel_lines, ARRAY_LEN(cli_tunnel_lines), ""};

static const struct cli_field cli_tunnel_columns[] = {
	{"NAME", "name", CLI_PLAIN, NULL},
	{"KIND", "kind", CLI_PLAIN, NULL},
	{"STATE", "", CLI_PLAIN, cli_tunnel_state},
	{"URL", "", CLI_PLAIN, cli_tunnel_url},
	{"TARGET", "target.url", CLI_PLAIN, NULL},
	{"SESSIONS", "connection.connections", CLI_PLAIN, NULL},
	{"VISITORS", "connection.visitors", CLI_PLAIN, NULL},
	{"CHANGED", "updated_at", CLI_TIME, NULL},
};

static const struct cli_fields cli_own_tunnels = {cli_tunnel_columns, ARRAY_LEN(cli_tunnel_columns),
						  "There are no tunnels"};

static const struct cli_field cli_all_tunnels_columns[] = {
	{"NAME", "name", CLI_PLAIN, NULL},
	{"KIND", "kind", CLI_PLAIN, NULL},
	{"OWNER", "owner", CLI_PLAIN, NULL},
	{"STATE", "", CLI_PLAIN, cli_tunnel_state},
	{"URL", "", CLI_PLAIN, cli_tunnel_url},
	{"SESSIONS", "connection.connections", CLI_PLAIN, NULL},
	{"VISITORS", "connection.visitors", CLI_PLAIN, NULL},
	{"CHANGED", "updated_at", CLI_TIME, NULL},
};

const struct cli_fields cli_fields_tunnels = {cli_all_tunnels_columns,
					      ARRAY_LEN(cli_all_tunnels_columns),
					      "There are no tunnels"};

/* Round-trip time in microseconds as milliseconds. */
static int cli_session_rtt(struct cli *cli, const struct json *item, struct buf *out)
{
	const struct json *j = cli_show_at(item, "rtt_us");
	uint64_t us = 0;

	if (j == NULL || json_number(j, UINT64_MAX, &us) != 0 || us == 0)
		return 0;
	return buf_printf(out, 64, "%llu.%llu ms", (unsigned long long)us / 1000,
			  (unsigned long long)us / 100 % 10);
}

static int cli_session_state(struct cli *cli, const struct json *item, struct buf *out)
{
	return buf_printf(out, 64, "%s",
			  cli_show_flag(item, "draining", false) ? "ending"
			  : cli_show_flag(item, "down", false)	 ? "target down"
			  : cli_show_flag(item, "late", false)	 ? "late"
								 : "open");
}

static const struct cli_field cli_session_columns[] = {
	{"NUMBER", "id", CLI_PLAIN, NULL},
	{"AGENT", "agent", CLI_PLAIN, NULL},
	{"FROM", "ip", CLI_PLAIN, NULL},
	{"CARRIER", "carrier", CLI_PLAIN, NULL},
	{"STATE", "", CLI_PLAIN, cli_session_state},
	{"SINCE", "connected_at", CLI_TIME, NULL},
	{"ROUND TRIP", "", CLI_PLAIN, cli_session_rtt},
	{"STREAMS", "streams", CLI_PLAIN, NULL},
	{"NODE", "node", CLI_PLAIN, NULL},
};

static const struct cli_fields cli_sessions = {cli_session_columns, ARRAY_LEN(cli_session_columns),
					       "No session serves this tunnel"};

static const struct cli_field cli_visitor_columns[] = {
	{"FROM", "ip", CLI_PLAIN, NULL},       {"PORT", "port", CLI_PLAIN, NULL},
	{"HOST", "host", CLI_PLAIN, NULL},     {"PROTOCOL", "protocol", CLI_PLAIN, NULL},
	{"SINCE", "since_at", CLI_TIME, NULL}, {"NODE", "node", CLI_PLAIN, NULL},
};

static const struct cli_fields cli_visitors = {cli_visitor_columns, ARRAY_LEN(cli_visitor_columns),
					       "Nobody visits this tunnel now"};

/* ---- look ---- */

/* The path of the tunnel that is meant, and what of it. */
static int cli_tunnel_path(struct cli *cli, const char *pattern, char path[CLI_HTTP_PATH_TEXT])
{
	if (cli_http_path(path, pattern, cli->set->what) == 0)
		return 0;
	return cli_problem(cli, "the name is too long");
}

int cli_do_tunnel_ls(struct cli *cli)
{
	return cli_show_all(cli, "/v1/tunnels", "tunnels", &cli_own_tunnels);
}

int cli_do_tunnel_show(struct cli *cli)
{
	char path[CLI_HTTP_PATH_TEXT];
	int e = cli_tunnel_path(cli, "/v1/tunnels/%", path);

	return e != 0 ? e : cli_show_one(cli, path, &cli_fields_tunnel);
}

/* A list below one tunnel: one page, and only what happens now. */
static int cli_tunnel_part(struct cli *cli, const char *pattern, const char *plural,
			   const struct cli_fields *fields)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "GET", .path = path};
	struct cli_answer answer = {0};
	int e = cli_tunnel_path(cli, pattern, path);

	if (e == 0 && (e = cli_call(cli, &call, &answer)) == 0)
		e = cli_show_asked(cli, answer.json, plural, fields);
	cli_answer_free(&answer);
	return e;
}

int cli_do_tunnel_sessions(struct cli *cli)
{
	return cli_tunnel_part(cli, "/v1/tunnels/%/sessions", "sessions", &cli_sessions);
}

int cli_do_tunnel_visitors(struct cli *cli)
{
	return cli_tunnel_part(cli, "/v1/tunnels/%/visitors", "visitors", &cli_visitors);
}

/* ---- change ---- */

int cli_do_tunnel_create(struct cli *cli)
{
	struct cli_call call = {.method = "POST", .path = "/v1/tunnels"};
	struct cli_answer answer = {0};
	struct json *body;
	int bad = 0, e;

	body = cli_body_new(&bad);
	if (cli->set->what != NULL)
		cli_body_text(&bad, body, "name", cli->set->what);
	e = cli_body_tunnel(cli, &bad, body, NULL);
	call.body = body;
	if (e == 0 && bad != 0)
		e = cli_problem(cli, "what was given is not a text: expected UTF-8");
	if (e == 0)
		e = cli_call(cli, &call, &answer);
	if (e == 0)
		e = cli_show_item(cli, answer.json, &cli_fields_tunnel);
	json_free(body);
	cli_answer_free(&answer);
	return e;
}

/* What the options say, made into a body; passwords are asked for here. */
static int cli_tunnel_body(struct cli *cli, const struct json *now, struct json **out)
{
	int bad = 0, e;

	*out = cli_body_new(&bad);
	e = cli_body_tunnel(cli, &bad, *out, now);
	if (e == 0 && bad != 0)
		e = cli_problem(cli, "what was given is not a text: expected UTF-8");
	if (e == 0 && json_count(*out) == 0)
		e = cli_problem(cli,
				"nothing to change: \"karez tunnel set --help\" tells what can "
				"be");
	return e;
}

int cli_do_tunnel_set(struct cli *cli)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call get = {.method = "GET", .path = path};
	struct cli_call call = {.method = "PATCH", .path = path};
	struct cli_answer now = {0}, answer = {0};
	struct json *body = NULL;
	bool merges = cli_body_tunnel_merges(cli);
	int e = cli_tunnel_path(cli, "/v1/tunnels/%", path);

	if (e == 0 && merges)
		e = cli_call(cli, &get, &now);
	if (e == 0)
		e = cli_tunnel_body(cli, now.json, &body);
	call.body = body;
	if (merges && now.etag[0] != '\0')
		call.if_match = now.etag;
	if (e == 0)
		e = cli_call(cli, &call, &answer);
	if (e == 0)
		e = cli_show_item(cli, answer.json, &cli_fields_tunnel);
	json_free(body);
	cli_answer_free(&answer);
	cli_answer_free(&now);
	return e;
}

int cli_tunnel_drop(struct cli *cli, const char *pattern)
{
	const struct config_list *names = &cli->set->whats;
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "DELETE", .path = path};
	int e = 0;

	for (size_t i = 0; i < names->n && e == 0; i++) {
		struct cli_answer answer = {0};

		if (cli_http_path(path, pattern, names->v[i]) != 0)
			return cli_problem(cli, "the name is too long");
		e = cli_call(cli, &call, &answer);
		cli_answer_free(&answer);
		if (e == 0 && !cli->set->json)
			cli_say(cli, "Deleted %s", names->v[i]);
	}
	return e;
}

int cli_do_tunnel_rm(struct cli *cli)
{
	return cli_tunnel_drop(cli, "/v1/tunnels/%");
}

/* ---- end sessions ---- */

int cli_tunnel_end(struct cli *cli, const char *pattern)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "POST", .path = path};
	struct cli_answer answer = {0};
	struct json *body = NULL;
	int bad = 0, e = cli_tunnel_path(cli, pattern, path);

	body = cli_body_new(&bad);
	if (cli->set->reason != NULL)
		cli_body_text(&bad, body, "reason", cli->set->reason);
	call.body = body;
	if (e == 0 && bad != 0)
		e = cli_problem(cli, "the reason is not a text: expected UTF-8");
	if (e == 0)
		e = cli_call(cli, &call, &answer);
	if (e == 0 && cli->set->json)
		e = cli_show_json(cli, answer.json);
	else if (e == 0)
		cli_say(cli, "%s",
			cli_show_flag(answer.json, "result", false) ? "Disconnected"
								    : "Nobody was connected");
	json_free(body);
	cli_answer_free(&answer);
	return e;
}

static int cli_tunnel_end_one(struct cli *cli)
{
	char path[CLI_HTTP_PATH_TEXT], number[32];
	const char *reason = cli->set->reason;
	struct cli_call call = {.method = "DELETE", .path = path};
	struct cli_answer answer = {0};
	int e;

	str_printf(number, sizeof number, "%llu", (unsigned long long)cli->set->session);
	e = reason == NULL ? cli_http_path(path, "/v1/tunnels/%/sessions/%", cli->set->what, number)
			   : cli_http_path(path, "/v1/tunnels/%/sessions/%?reason=%",
					   cli->set->what, number, reason);
	if (e != 0)
		return cli_problem(cli, "the name or the reason is too long");
	e = cli_call(cli, &call, &answer);
	if (e == 0 && !cli->set->json)
		cli_say(cli, "Disconnected session %s", number);
	cli_answer_free(&answer);
	return e;
}

int cli_do_tunnel_disconnect(struct cli *cli)
{
	if (cli_given(cli, &cli->set->session))
		return cli_tunnel_end_one(cli);
	return cli_tunnel_end(cli, "/v1/tunnels/%/disconnect");
}
