/* To log in is to remember a credential that the server knows; to log out is to forget it. */
#include "cli/cli_internal.h"

#include <string.h>

#include "base/err.h"

/* What becomes of an account that karez made by itself when another one takes its place. */
static void cli_login_leave(struct cli *cli, const char *account)
{
	if (!cli->remembered.automatic || cli->remembered.token[0] == '\0' ||
	    strcmp(cli->remembered.account, account) == 0)
		return;
	cli_problem(cli, "the account that was made on the fly here is forgotten: the names of its "
			 "tunnels stay taken until an administrator deletes it");
}

int cli_login_keep(struct cli *cli, const char *token, const char *account)
{
	struct memory_credential c = {0};

	if (cli->memory == NULL) {
		cli_problem(cli, "nothing can be remembered: %s", cli->no_memory);
		return ERR_NOTFOUND;
	}
	if (str_copy(c.token, sizeof c.token, str_of(token)) != 0 ||
	    str_copy(c.account, sizeof c.account, str_of(account)) != 0) {
		cli_problem(cli, "%s answers with something too long to be remembered",
			    cli->server_text);
		return ERR_TOOBIG;
	}
	cli_login_leave(cli, account);
	if (memory_set_credential(cli->memory, cli->server_text, &c) != 0 ||
	    memory_set_recent(cli->memory, cli->server_text) != 0) {
		cli_problem(cli, "%s", memory_why(cli->memory));
		return ERR_IO;
	}
	return 0;
}

/* Without a token that was given, ask for one; what is remembered does not count. */
static int cli_login_ask(struct cli *cli)
{
	char line[CLI_SECRET_TEXT], why[CLI_SECRET_WHY];
	struct str text;
	int bad = 0;

	if (cli->token_from == CLI_TOKEN_GIVEN)
		return 0;
	if (cli_secret_ask(cli->err, "Token or account number: ", line, sizeof line, why) != 0)
		return cli_problem(cli, "%s", why);
	text = str_trim(str_of(line));
	if (!cli_secret_ok(text) || str_copy(cli->token, sizeof cli->token, text) != 0)
		bad = cli_problem(cli, "that is no token and no account number");
	explicit_bzero(line, sizeof line);
	cli->token_from = CLI_TOKEN_GIVEN;
	return bad;
}

/* There is nothing to remember, but the server. */
static int cli_login_by_certificate(struct cli *cli)
{
	if (cli->memory != NULL && memory_set_recent(cli->memory, cli->server_text) != 0)
		return cli_problem(cli, "%s", memory_why(cli->memory));
	return 0;
}

/* "J8YY... "Ann" (administrator)". */
static void cli_login_tell(struct cli *cli, const struct json *account)
{
	const char *name = cli_show_text(account, "name");
	bool admin = cli_show_flag(account, "admin", false);

	cli_say(cli, "Logged in at %s: account %s%s%s%s", cli->server_text,
		cli_show_text(account, "id"), name[0] != '\0' ? ", " : "", name,
		admin ? " (administrator)" : "");
}

int cli_do_login(struct cli *cli)
{
	struct cli_call call = {.method = "GET", .path = "/v1/account"};
	struct cli_answer answer = {0};
	int e;

	if (cli->token_from != CLI_TOKEN_CERTIFICATE && (e = cli_login_ask(cli)) != 0)
		return e;
	if ((e = cli_call(cli, &call, &answer)) != 0)
		goto out;
	e = cli->token_from == CLI_TOKEN_CERTIFICATE
		    ? cli_login_by_certificate(cli)
		    : cli_login_keep(cli, cli->token, cli_show_text(answer.json, "id"));
	if (e != 0)
		goto out;
	if (cli->set->json)
		e = cli_show_json(cli, answer.json);
	else
		cli_login_tell(cli, answer.json);
out:
	cli_answer_free(&answer);
	return e;
}

static int cli_logout_revoke(struct cli *cli)
{
	struct cli_call call = {.method = "DELETE", .path = "/v1/credentials/self", .pass = 401};
	struct cli_answer answer = {0};
	int e;

	str_printf(cli->token, sizeof cli->token, "%s", cli->remembered.token);
	cli->token_from = CLI_TOKEN_REMEMBERED;
	e = cli_call(cli, &call, &answer);
	if (e != 0 && answer.status == 401)
		e = 0; /* it is good for nothing already */
	cli_answer_free(&answer);
	return e;
}

int cli_do_logout(struct cli *cli)
{
	char recent[URL_TEXT_MAX] = "";
	int e = 0;

	if (cli->memory == NULL || cli->remembered.token[0] == '\0') {
		cli_say(cli, "No credential is remembered for %s", cli->server_text);
		return 0;
	}
	if (cli->set->revoke && (e = cli_logout_revoke(cli)) != 0)
		return e;
	memory_recent(cli->memory, recent);
	e = memory_drop_credential(cli->memory, cli->server_text, cli->remembered.token);
	if (e == 0 && strcmp(recent, cli->server_text) == 0)
		e = memory_set_recent(cli->memory, NULL);
	if (e != 0) {
		cli_problem(cli, "%s", memory_why(cli->memory));
		return e;
	}
	cli_say(cli, "Logged out of %s%s", cli->server_text,
		cli->set->revoke ? "; the credential works nowhere any more" : "");
	return 0;
}
