/* One's own account; its number is told once and kept nowhere. */
#include "cli/cli_internal.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"

static int cli_account_quota(struct cli *cli, const struct json *item, struct buf *out)
{
	static const char *const of[] = {"tunnels", "sessions", "credentials"};
	char usage[64], quota[64];
	uint64_t n;
	int e = 0;

	for (size_t i = 0; i < ARRAY_LEN(of) && e == 0; i++) {
		const struct json *used, *most;

		str_printf(usage, sizeof usage, "usage.%s", of[i]);
		str_printf(quota, sizeof quota, "quota.%s", of[i]);
		used = cli_show_at(item, usage);
		most = cli_show_at(item, quota);
		if (most == NULL || json_number(most, UINT64_MAX, &n) != 0)
			continue;
		e = buf_printf(out, 1024, "%s%llu %s", out->len > 0 ? ", " : "",
			       (unsigned long long)n, of[i]);
		if (e == 0 && used != NULL && json_number(used, UINT64_MAX, &n) == 0)
			e = buf_printf(out, 1024, " (%llu used)", (unsigned long long)n);
	}
	return e;
}

static int cli_account_state(struct cli *cli, const struct json *item, struct buf *out)
{
	const char *why = cli_show_text(item, "reason");

	if (!cli_show_flag(item, "enabled", true))
		return buf_printf(out, 1024, "switched off%s%.300s", why[0] != '\0' ? ": " : "",
				  why);
	if (cli_show_flag(item, "admin", false))
		return buf_printf(out, 1024, "administrator");
	return buf_printf(out, 1024, "%s",
			  cli_show_flag(item, "automatic", false) ? "made on the fly" : "on");
}

static const struct cli_field cli_account_lines[] = {
	{"Account", "id", CLI_PLAIN, NULL},	     {"Name", "name", CLI_PLAIN, NULL},
	{"State", "", CLI_PLAIN, cli_account_state}, {"Limits", "", CLI_PLAIN, cli_account_quota},
	{"Ports", "ports", CLI_LIST, NULL},	     {"Made", "created_at", CLI_TIME, NULL},
	{"Used", "used_at", CLI_TIME, NULL},
};

const struct cli_fields cli_fields_account = {cli_account_lines, ARRAY_LEN(cli_account_lines), ""};

static const struct cli_field cli_account_columns[] = {
	{"ID", "id", CLI_PLAIN, NULL},
	{"NAME", "name", CLI_PLAIN, NULL},
	{"STATE", "", CLI_PLAIN, cli_account_state},
	{"TUNNELS", "usage.tunnels", CLI_PLAIN, NULL},
	{"CREDENTIALS", "usage.credentials", CLI_PLAIN, NULL},
	{"USED", "used_at", CLI_TIME, NULL},
	{"MADE", "created_at", CLI_TIME, NULL},
};

const struct cli_fields cli_fields_accounts = {cli_account_columns, ARRAY_LEN(cli_account_columns),
					       "There are no accounts"};

/* ---- make one ---- */

/* The code of an invitation: from the file, the environment, or a person. "" if there is none. */
static int cli_account_invitation(struct cli *cli, char code[CLI_SECRET_TEXT], bool ask)
{
	const struct cli_options *set = cli->set;
	char why[CLI_SECRET_WHY];

	code[0] = '\0';
	if (set->invitation_file != NULL) {
		if (cli_secret_line(set->invitation_file, "an invitation", code, CLI_SECRET_TEXT,
				    why) != 0)
			return cli_problem(cli, "%s", why);
	} else if (set->invitation != NULL) {
		if (str_copy(code, CLI_SECRET_TEXT, str_of(set->invitation)) != 0)
			return cli_problem(cli, "KAREZ_INVITATION is too long");
	} else if (ask && cli_secret_ask(cli->err, "Code of the invitation: ", code,
					 CLI_SECRET_TEXT, why) != 0) {
		return cli_problem(cli, "%s", why);
	}
	return 0;
}

/* Does this server take members by invitation only? A server that does not tell is asked anyway. */
static int cli_account_asks(struct cli *cli, bool *out)
{
	struct cli_call call = {.method = "GET", .path = "/v1/version", .anonymous = true};
	struct cli_answer answer = {0};
	int e = cli_call(cli, &call, &answer);

	*out = e == 0 && strcmp(cli_show_text(answer.json, "registration"), "invitation") == 0;
	cli_answer_free(&answer);
	return e;
}

static int cli_account_post(struct cli *cli, struct cli_answer *answer)
{
	struct cli_call call = {.method = "POST", .path = "/v1/account", .anonymous = true};
	char code[CLI_SECRET_TEXT];
	struct json *body;
	bool by_invitation;
	int e, bad = 0;

	if ((bad = cli_account_asks(cli, &by_invitation)) != 0 ||
	    (bad = cli_account_invitation(cli, code, by_invitation)) != 0)
		return bad;
	body = cli_body_new(&bad);
	if (code[0] != '\0')
		cli_body_text(&bad, body, "invitation", code);
	if (cli->set->name != NULL)
		cli_body_text(&bad, body, "name", cli->set->name);
	explicit_bzero(code, sizeof code);
	call.body = body;
	e = bad != 0 ? cli_problem(cli, "the name or the invitation is not a text")
		     : cli_call(cli, &call, answer);
	json_free(body);
	return e;
}

/* Tell the number, once. */
static void cli_account_tell_number(struct cli *cli, const struct json *answer)
{
	cli_say(cli, "%s", cli_show_text(answer, "account_id_hr"));
	cli_problem(cli, "this is the number of the account: write it down now, it is not shown "
			 "again, and it opens the account when every token is lost");
}

int cli_do_account_create(struct cli *cli)
{
	struct cli_answer answer = {0};
	const char *token;
	int e;

	if (cli->remembered.token[0] != '\0' && !cli->remembered.automatic)
		return cli_problem(cli,
				   "already logged in at %s as account %s: use \"karez "
				   "logout\" first",
				   cli->server_text, cli->remembered.account);
	if (cli->memory == NULL)
		return cli_problem(cli, "nothing can be remembered: %s", cli->no_memory);
	/* The account is a new person's: what is remembered or given proves another one. */
	cli->token_from = CLI_TOKEN_NONE;
	if ((e = cli_account_post(cli, &answer)) != 0)
		goto out;
	if (cli->set->json)
		e = cli_show_json(cli, answer.json);
	else
		cli_account_tell_number(cli, answer.json);
	fflush(cli->out); /* whatever happens next: it is told once only */
	token = cli_show_text(answer.json, "token");
	if (e == 0 && !cli_secret_ok(str_of(token)))
		e = cli_problem(cli, "%s does not answer with a token", cli->server_text);
	if (e == 0)
		e = cli_login_keep(cli, token, cli_show_text(answer.json, "id"));
	if (e == 0 && !cli->set->json)
		cli_problem(cli, "logged in at %s: account %s", cli->server_text,
			    cli_show_text(answer.json, "id"));
out:
	cli_answer_free(&answer);
	return e;
}

/* ---- the one that is there ---- */

int cli_do_account_show(struct cli *cli)
{
	return cli_show_one(cli, "/v1/account", &cli_fields_account);
}

int cli_do_account_rename(struct cli *cli)
{
	struct cli_call call = {.method = "PATCH", .path = "/v1/account"};
	struct cli_answer answer = {0};
	struct json *body;
	int bad = 0, e;

	body = cli_body_new(&bad);
	cli_body_text(&bad, body, "name", cli->set->what);
	call.body = body;
	e = bad != 0 ? cli_problem(cli, "the name is not a text: expected UTF-8")
		     : cli_call(cli, &call, &answer);
	if (e == 0)
		e = cli_show_item(cli, answer.json, &cli_fields_account);
	json_free(body);
	cli_answer_free(&answer);
	return e;
}

/* An account that was made on the fly belongs to somebody once somebody has its number. */
static int cli_account_adopt(struct cli *cli)
{
	char account[MEMORY_ACCOUNT_MAX];

	if (cli->token_from != CLI_TOKEN_REMEMBERED || !cli->remembered.automatic)
		return 0;
	str_printf(account, sizeof account, "%s", cli->remembered.account);
	return cli_login_keep(cli, cli->token, account);
}

/* Was this very number shown to the server as the credential? Then the new one takes its place. */
static bool cli_account_is_number(const char *token)
{
	return strncmp(token, "kz_", 3) != 0;
}

int cli_do_account_number(struct cli *cli)
{
	struct cli_call call = {.method = "POST", .path = "/v1/account/number"};
	struct cli_answer answer = {0};
	int e;

	if (cli->token_from != CLI_TOKEN_NONE &&
	    (e = cli_confirm(cli, "The old number will open nothing any more.", "yes")) != 0)
		return e;
	if ((e = cli_call(cli, &call, &answer)) != 0)
		goto out;
	if (cli->set->json)
		e = cli_show_json(cli, answer.json);
	else
		cli_account_tell_number(cli, answer.json);
	fflush(cli->out);
	if (e == 0 && cli->token_from == CLI_TOKEN_REMEMBERED && cli_account_is_number(cli->token))
		e = cli_login_keep(cli, cli_show_text(answer.json, "account_id_hr"),
				   cli->remembered.account);
	else if (e == 0)
		e = cli_account_adopt(cli);
out:
	cli_answer_free(&answer);
	return e;
}

int cli_do_account_rm(struct cli *cli)
{
	struct cli_call get = {.method = "GET", .path = "/v1/account"};
	struct cli_call call = {.method = "DELETE", .path = "/v1/account"};
	struct cli_answer account = {0}, answer = {0};
	char question[256];
	const char *id;
	int e;

	if ((e = cli_call(cli, &get, &account)) != 0)
		goto out;
	id = cli_show_text(account.json, "id");
	str_printf(question, sizeof question,
		   "The account %.40s, its credentials and all its tunnels will be deleted.", id);
	if ((e = cli_confirm(cli, question, id)) != 0 || (e = cli_call(cli, &call, &answer)) != 0)
		goto out;
	if (cli->memory != NULL && cli->token_from == CLI_TOKEN_REMEMBERED &&
	    memory_drop_credential(cli->memory, cli->server_text, cli->token) != 0)
		cli_problem(cli, "%s", memory_why(cli->memory));
	cli_say(cli, "Deleted account %s", id);
out:
	cli_answer_free(&account);
	cli_answer_free(&answer);
	return e;
}
