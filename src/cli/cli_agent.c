/* Agents: which there are, and which of them serves a tunnel. */
#include "base/err.h"
#include "cli/cli_internal.h"

static int cli_agent_state(struct cli *cli, const struct json *item, struct buf *out)
{
	return buf_printf(out, 64, "%s",
			  cli_show_flag(item, "connected", false) ? "connected" : "gone");
}

static const struct cli_field cli_agent_columns[] = {
	{"AGENT", "id", CLI_PLAIN, NULL},	   {"STATE", "", CLI_PLAIN, cli_agent_state},
	{"SESSIONS", "sessions", CLI_PLAIN, NULL}, {"SINCE", "since_at", CLI_TIME, NULL},
	{"NODES", "nodes", CLI_LIST, NULL},
};

static const struct cli_fields cli_agents = {cli_agent_columns, ARRAY_LEN(cli_agent_columns),
					     "No agent is or was connected"};

static const struct cli_field cli_all_agents_columns[] = {
	{"AGENT", "id", CLI_PLAIN, NULL},	   {"OWNER", "owner", CLI_PLAIN, NULL},
	{"STATE", "", CLI_PLAIN, cli_agent_state}, {"SESSIONS", "sessions", CLI_PLAIN, NULL},
	{"SINCE", "since_at", CLI_TIME, NULL},	   {"NODES", "nodes", CLI_LIST, NULL},
};

static const struct cli_fields cli_all_agents = {cli_all_agents_columns,
						 ARRAY_LEN(cli_all_agents_columns),
						 "No agent is or was connected"};

/* One page. */
static int cli_agent_list(struct cli *cli, const char *path, const struct cli_fields *fields)
{
	const struct cli_call call = {.method = "GET", .path = path};
	struct cli_answer answer = {0};
	int e = cli_call(cli, &call, &answer);

	if (e == 0)
		e = cli_show_asked(cli, answer.json, "agents", fields);
	cli_answer_free(&answer);
	return e;
}

int cli_do_agents(struct cli *cli)
{
	return cli_agent_list(cli, "/v1/agents", &cli_agents);
}

int cli_do_admin_agents(struct cli *cli)
{
	return cli_agent_list(cli, "/v1/admin/agents", &cli_all_agents);
}

int cli_do_swap(struct cli *cli)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "PATCH", .path = path};
	struct cli_answer answer = {0};
	struct json *body, *transport;
	int bad = 0, e = 0;

	body = cli_body_new(&bad);
	transport = cli_body_object(&bad, body, "transport");
	cli_body_list(&bad, transport, "agents", &cli->set->whats);
	if (cli_given(cli, &cli->set->drain_ms))
		cli_body_seconds(&bad, transport, "drain", cli->set->drain_ms);
	call.body = body;
	if (bad != 0)
		e = cli_problem(cli, "what was given is not a text: expected UTF-8");
	else if (cli_http_path(path, "/v1/tunnels/%", cli->set->what) != 0)
		e = cli_problem(cli, "the name is too long");
	if (e == 0)
		e = cli_call(cli, &call, &answer);
	if (e == 0)
		e = cli_show_item(cli, answer.json, &cli_fields_tunnel);
	json_free(body);
	cli_answer_free(&answer);
	return e;
}
