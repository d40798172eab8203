/* What only administrators may: accounts and tunnels of others, invitations, the server itself. */
#include "cli/cli_internal.h"

#include <string.h>

#include "base/err.h"
#include "cli/cli_time.h"
#include "proto/time_text.h"

static int cli_admin_path(struct cli *cli, const char *pattern, const char *word,
			  char path[CLI_HTTP_PATH_TEXT])
{
	return cli_http_path(path, pattern, word) == 0 ? 0 : cli_problem(cli, "that is too long");
}

/* ---- accounts ---- */

int cli_do_admin_account_ls(struct cli *cli)
{
	return cli_show_all(cli, "/v1/admin/accounts", "accounts", &cli_fields_accounts);
}

int cli_do_admin_account_show(struct cli *cli)
{
	char path[CLI_HTTP_PATH_TEXT];
	int e = cli_admin_path(cli, "/v1/admin/accounts/%", cli->set->what, path);

	return e != 0 ? e : cli_show_one(cli, path, &cli_fields_account);
}

/* What the options say about an account, but its name. */
static void cli_admin_account_body(struct cli *cli, int *bad, struct json *body)
{
	const struct cli_options *set = cli->set;
	const struct {
		const uint64_t *member;
		const char *key;
	} quotas[] = {{&set->quota_tunnels, "tunnels"},
		      {&set->quota_sessions, "sessions"},
		      {&set->quota_credentials, "credentials"}};
	struct json *quota = NULL;

	if (cli_given(cli, &set->enabled))
		cli_body_bool(bad, body, "enabled", set->enabled);
	if (set->reason != NULL)
		cli_body_text(bad, body, "reason", set->reason);
	if (cli_given(cli, &set->admin))
		cli_body_bool(bad, body, "admin", set->admin);
	if (cli_given(cli, &set->ports))
		cli_body_list(bad, body, "ports", &set->ports);
	for (size_t i = 0; i < ARRAY_LEN(quotas); i++) {
		if (!cli_given(cli, quotas[i].member))
			continue;
		if (quota == NULL)
			quota = cli_body_object(bad, body, "quota");
		cli_body_number(bad, quota, quotas[i].key, *quotas[i].member);
	}
}

/* PATCH it and tell what it is now. */
static int cli_admin_account_patch(struct cli *cli, const char *id, const struct json *body,
				   struct cli_answer *answer)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "PATCH", .path = path, .body = body};
	int e = cli_admin_path(cli, "/v1/admin/accounts/%", id, path);

	return e != 0 ? e : cli_call(cli, &call, answer);
}

int cli_do_admin_account_set(struct cli *cli)
{
	struct cli_answer answer = {0};
	struct json *body;
	int bad = 0, e = 0;

	body = cli_body_new(&bad);
	if (cli->set->name != NULL)
		cli_body_text(&bad, body, "name", cli->set->name);
	cli_admin_account_body(cli, &bad, body);
	if (bad != 0)
		e = cli_problem(cli, "what was given is not a text: expected UTF-8");
	else if (json_count(body) == 0)
		e = cli_problem(cli, "nothing to change: \"karez admin account set --help\" tells "
				     "what can be");
	if (e == 0)
		e = cli_admin_account_patch(cli, cli->set->what, body, &answer);
	if (e == 0)
		e = cli_show_item(cli, answer.json, &cli_fields_account);
	json_free(body);
	cli_answer_free(&answer);
	return e;
}

static const struct cli_field cli_new_account_lines[] = {
	{"Account", "id", CLI_PLAIN, NULL},
	{"Number", "account_id_hr", CLI_PLAIN, NULL},
	{"Token", "token", CLI_PLAIN, NULL},
};

static const struct cli_fields cli_new_account = {cli_new_account_lines,
						  ARRAY_LEN(cli_new_account_lines), ""};

/* The account is made first, then changed: the number must be told even if the change fails. */
static int cli_admin_account_make(struct cli *cli, const struct json *body,
				  const struct json *change)
{
	struct cli_call call = {.method = "POST", .path = "/v1/admin/accounts", .body = body};
	struct cli_answer answer = {0}, changed = {0};
	int e = cli_call(cli, &call, &answer);

	if (e != 0)
		goto out;
	e = cli_show_item(cli, answer.json, &cli_new_account);
	fflush(cli->out);
	if (e == 0 && !cli->set->json)
		cli_problem(cli,
			    "hand the number over now: it is not shown again, and it opens the "
			    "account");
	if (e == 0 && json_count(change) > 0)
		e = cli_admin_account_patch(cli, cli_show_text(answer.json, "id"), change,
					    &changed);
out:
	cli_answer_free(&changed);
	cli_answer_free(&answer);
	return e;
}

int cli_do_admin_account_create(struct cli *cli)
{
	struct json *body, *change;
	int bad = 0, e;

	body = cli_body_new(&bad);
	change = cli_body_new(&bad);
	if (cli->set->name != NULL)
		cli_body_text(&bad, body, "name", cli->set->name);
	cli_admin_account_body(cli, &bad, change);
	e = bad != 0 ? cli_problem(cli, "what was given is not a text: expected UTF-8")
		     : cli_admin_account_make(cli, body, change);
	json_free(change);
	json_free(body);
	return e;
}

int cli_do_admin_account_rm(struct cli *cli)
{
	char question[128];
	int e;

	str_printf(question, sizeof question,
		   "%zu account%s will be deleted with all tunnels and credentials.",
		   cli->set->whats.n, cli->set->whats.n == 1 ? "" : "s");
	if ((e = cli_confirm(cli, question, "yes")) != 0)
		return e;
	return cli_tunnel_drop(cli, "/v1/admin/accounts/%");
}

/* ---- prune ---- */

/* Is a tunnel of this account connected? */
static bool cli_prune_serves(const struct json *tunnels, const char *account)
{
	for (size_t i = 0; i < json_count(tunnels); i++) {
		const struct json *t = json_at(tunnels, i);

		if (strcmp(cli_show_text(t, "owner"), account) == 0 &&
		    cli_show_flag(t, "connection.connected", false))
			return true;
	}
	return false;
}

/* Was it made on the fly, and has it not been used since? What does not say so stays. */
static bool cli_prune_is_old(const struct json *account, int64_t before_ms)
{
	const char *used = cli_show_text(account, "used_at");
	int64_t ms;

	if (used[0] == '\0')
		used = cli_show_text(account, "created_at");
	return cli_show_flag(account, "automatic", false) &&
	       !cli_show_flag(account, "admin", false) && time_text_parse(str_of(used), &ms) == 0 &&
	       ms < before_ms;
}

/* Delete one, unless it has been used since it was listed. *done: whether it was. */
static int cli_prune_one(struct cli *cli, const char *id, int64_t before_ms, bool *done)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call get = {.method = "GET", .path = path, .pass = 404};
	struct cli_call drop = {.method = "DELETE", .path = path, .pass = 412};
	struct cli_answer now = {0}, gone = {0};
	int e = cli_admin_path(cli, "/v1/admin/accounts/%", id, path);

	*done = false;
	if (e != 0 || (e = cli_call(cli, &get, &now)) != 0)
		goto out;
	if (!cli_prune_is_old(now.json, before_ms))
		goto out;
	drop.if_match = now.etag[0] != '\0' ? now.etag : NULL;
	e = cli_call(cli, &drop, &gone);
	*done = e == 0;
out:
	if (e == ERR_NOTFOUND || e == ERR_CONFLICT)
		e = 0; /* somebody else was faster, or it is used again */
	cli_answer_free(&gone);
	cli_answer_free(&now);
	return e;
}

/* Ask, then delete all of them and tell which. */
static int cli_prune_all(struct cli *cli, const struct json *accounts, int64_t before_ms)
{
	struct json *told = NULL;
	char question[128];
	int e, bad;

	str_printf(question, sizeof question,
		   "%zu account%s that nobody has used will be deleted with all tunnels.",
		   json_count(accounts), json_count(accounts) == 1 ? "" : "s");
	if ((e = cli_confirm(cli, question, "yes")) != 0)
		return e;
	bad = json_new_list(&told);
	for (size_t i = 0; i < json_count(accounts) && e == 0 && bad == 0; i++) {
		bool done;
		struct str id;

		if (json_text(json_at(accounts, i), &id) != 0)
			continue;
		e = cli_prune_one(cli, id.p, before_ms, &done);
		if (e == 0 && done && !cli->set->json)
			cli_say(cli, "Deleted %s", id.p);
		if (done)
			bad = json_add_text(told, id);
	}
	if (e == 0 && cli->set->json && bad == 0)
		e = cli_show_json(cli, told);
	json_free(told);
	return bad != 0 ? cli_no_memory(cli) : e;
}

int cli_do_admin_account_prune(struct cli *cli)
{
	struct json *accounts = NULL, *tunnels = NULL, *old = NULL;
	int64_t span = 0, before;
	int e;

	CHECK(cli_time_span(str_of(cli->set->unused), &span) == 0); /* its row checked it */
	before = ev_wall_ms(cli->ev) - span;
	if ((e = cli_fetch(cli, "/v1/admin/accounts", "accounts", &accounts)) != 0 ||
	    (e = cli_fetch(cli, "/v1/admin/tunnels", "tunnels", &tunnels)) != 0)
		goto out;
	e = json_new_list(&old) == 0 ? 0 : cli_no_memory(cli);
	for (size_t i = 0; i < json_count(accounts) && e == 0; i++) {
		const struct json *account = json_at(accounts, i);
		const char *id = cli_show_text(account, "id");

		if (cli_prune_is_old(account, before) && !cli_prune_serves(tunnels, id) &&
		    json_add_text(old, str_of(id)) != 0)
			e = cli_no_memory(cli);
	}
	if (e == 0 && json_count(old) == 0 && !cli->set->json)
		cli_say(cli, "There is none");
	else if (e == 0 && json_count(old) == 0)
		e = cli_show_json(cli, old);
	else if (e == 0)
		e = cli_prune_all(cli, old, before);
out:
	json_free(old);
	json_free(tunnels);
	json_free(accounts);
	return e;
}

/* ---- tunnels ---- */

int cli_do_admin_tunnel_ls(struct cli *cli)
{
	return cli_show_all(cli, "/v1/admin/tunnels", "tunnels", &cli_fields_tunnels);
}

int cli_do_admin_tunnel_show(struct cli *cli)
{
	char path[CLI_HTTP_PATH_TEXT];
	int e = cli_admin_path(cli, "/v1/admin/tunnels/%", cli->set->what, path);

	return e != 0 ? e : cli_show_one(cli, path, &cli_fields_tunnel);
}

int cli_do_admin_tunnel_rm(struct cli *cli)
{
	return cli_tunnel_drop(cli, "/v1/admin/tunnels/%");
}

int cli_do_admin_tunnel_disconnect(struct cli *cli)
{
	return cli_tunnel_end(cli, "/v1/admin/tunnels/%/disconnect");
}

/* ---- invitations ---- */

static const struct cli_field cli_invite_columns[] = {
	{"ID", "id", CLI_PLAIN, NULL},		{"NAME", "name", CLI_PLAIN, NULL},
	{"USES LEFT", "uses", CLI_PLAIN, NULL}, {"EXPIRES", "expires_at", CLI_TIME, NULL},
	{"MADE", "created_at", CLI_TIME, NULL},
};

static const struct cli_fields cli_invites = {cli_invite_columns, ARRAY_LEN(cli_invite_columns),
					      "There are no invitations"};

int cli_do_admin_invite_ls(struct cli *cli)
{
	return cli_show_all(cli, "/v1/admin/invitations", "invitations", &cli_invites);
}

int cli_do_admin_invite_add(struct cli *cli)
{
	struct cli_call call = {.method = "POST", .path = "/v1/admin/invitations"};
	struct cli_answer answer = {0};
	struct json *body;
	int bad = 0, e;

	body = cli_body_new(&bad);
	if (cli->set->what != NULL)
		cli_body_text(&bad, body, "name", cli->set->what);
	cli_body_number(&bad, body, "uses", cli->set->uses);
	e = cli_body_expires(cli, &bad, body);
	call.body = body;
	if (e == 0 && bad != 0)
		e = cli_problem(cli, "the name is not a text: expected UTF-8");
	if (e == 0)
		e = cli_call(cli, &call, &answer);
	if (e == 0 && cli->set->json) {
		e = cli_show_json(cli, answer.json);
	} else if (e == 0) {
		cli_say(cli, "%s", cli_show_text(answer.json, "code"));
		cli_problem(cli, "this is invitation %s: hand it over now, it is not shown again",
			    cli_show_text(answer.json, "id"));
	}
	json_free(body);
	cli_answer_free(&answer);
	return e;
}

int cli_do_admin_invite_rm(struct cli *cli)
{
	return cli_tunnel_drop(cli, "/v1/admin/invitations/%");
}

/* ---- the server ---- */

static int cli_node_uptime(struct cli *cli, const struct json *item, struct buf *out)
{
	const struct json *j = cli_show_at(item, "uptime_s");
	uint64_t s = 0;

	if (j == NULL || json_number(j, UINT64_MAX, &s) != 0)
		return 0;
	return buf_printf(out, 64, "%llu d %llu h %llu min", (unsigned long long)s / 86400,
			  (unsigned long long)s / 3600 % 24, (unsigned long long)s / 60 % 60);
}

static const struct cli_field cli_node_lines[] = {
	{"Version", "version", CLI_PLAIN, NULL},
	{"Running for", "", CLI_PLAIN, cli_node_uptime},
	{"Store", "store", CLI_PLAIN, NULL},
	{"Connections", "connections", CLI_PLAIN, NULL},
	{"Sessions", "sessions", CLI_PLAIN, NULL},
	{"Streams", "streams", CLI_PLAIN, NULL},
	{"Requests now", "exchanges", CLI_PLAIN, NULL},
	{"Window bytes", "window_used", CLI_PLAIN, NULL},
	{"Nodes", "cluster.nodes", CLI_PLAIN, NULL},
};

static const struct cli_fields cli_node = {cli_node_lines, ARRAY_LEN(cli_node_lines), ""};

int cli_do_admin_node(struct cli *cli)
{
	return cli_show_one(cli, "/v1/admin/node", &cli_node);
}

static int cli_nodes_id(struct cli *cli, const struct json *item, struct buf *out)
{
	const char *id = cli_show_text(item, "id");

	return buf_printf(out, 64, "%s%s", id[0] == '\0' ? "-" : id,
			  cli_show_flag(item, "this", false) ? " (this)" : "");
}

static int cli_nodes_state(struct cli *cli, const struct json *item, struct buf *out)
{
	return buf_printf(out, 64, "%s",
			  cli_show_flag(item, "draining", false) ? "draining" : "up");
}

static const struct cli_field cli_nodes_columns[] = {
	{"NODE", "", CLI_PLAIN, cli_nodes_id},	   {"STATE", "", CLI_PLAIN, cli_nodes_state},
	{"VERSION", "version", CLI_PLAIN, NULL},   {"SINCE", "since_at", CLI_TIME, NULL},
	{"SESSIONS", "sessions", CLI_PLAIN, NULL}, {"VISITORS", "visitors", CLI_PLAIN, NULL},
	{"HOP", "hop", CLI_PLAIN, NULL},	   {"AGENTS", "agent_url", CLI_PLAIN, NULL},
};

static const struct cli_fields cli_nodes = {cli_nodes_columns, ARRAY_LEN(cli_nodes_columns),
					    "No node is there"};

int cli_do_admin_nodes(struct cli *cli)
{
	const struct cli_call call = {.method = "GET", .path = "/v1/admin/nodes"};
	struct cli_answer answer = {0};
	const struct json *list;
	int e = cli_call(cli, &call, &answer);

	if (e == 0 && json_get_list(answer.json, "nodes", &list) != 0)
		e = cli_problem(cli, "%s does not answer with a list of nodes", cli->server_text);
	else if (e == 0)
		e = cli_show_list(cli, list, &cli_nodes);
	cli_answer_free(&answer);
	return e;
}
