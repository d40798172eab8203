/* Tokens, keys and certificates are one kind of record to the API and three words to a person. */
#include "cli/cli_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli_time.h"
#include "proto/time_text.h"

/* ---- how they look ---- */

/* Add "word items" of a list in the scope. */
static int cli_scope_part(const struct json *item, const char *path, const char *word,
			  struct buf *out)
{
	const struct json *list = cli_show_at(item, path);
	struct str text;
	int e = 0;

	for (size_t i = 0; i < json_count(list) && e == 0; i++) {
		const char *gap = i > 0 ? ", " : out->len > 0 ? "; " : "";

		if (json_text(json_at(list, i), &text) == 0)
			e = buf_printf(out, 2048, "%s%s%s" STR_FMT, gap, i == 0 ? word : "",
				       i == 0 ? " " : "", STR_ARG(text));
	}
	return e == ERR_TOOBIG ? 0 : e;
}

static int cli_scope_tell(struct cli *cli, const struct json *item, struct buf *out)
{
	int e;

	if ((e = cli_scope_part(item, "scope.tunnels", "tunnel", out)) != 0 ||
	    (e = cli_scope_part(item, "scope.kinds", "kind", out)) != 0 ||
	    (e = cli_scope_part(item, "scope.ports", "port", out)) != 0)
		return e;
	return out->len > 0 ? 0 : buf_printf(out, 2048, "everything");
}

static int cli_expires_tell(struct cli *cli, const struct json *item, struct buf *out)
{
	const char *at = cli_show_text(item, "scope.expires_at");
	char text[CLI_TIME_TELL];
	int64_t ms, now = ev_wall_ms(cli->ev);

	if (at[0] == '\0' || time_text_parse(str_of(at), &ms) != 0)
		return buf_printf(out, 64, "never");
	cli_time_tell(ms, now, text);
	return buf_printf(out, 64, "%s%s", ms <= now ? "over, " : "", text);
}

static int cli_name_tell(struct cli *cli, const struct json *item, struct buf *out)
{
	return buf_printf(out, 2048, "%.500s%s", cli_show_text(item, "name"),
			  cli_show_flag(item, "self", false) ? " (this one)" : "");
}

#define CLI_CREDENTIAL_COLUMNS(shown)                                              \
	{"ID", "id", CLI_PLAIN, NULL}, {"NAME", "name", CLI_PLAIN, cli_name_tell}, \
		{shown, "shown", CLI_PLAIN, NULL},                                 \
		{"GOOD FOR", "scope", CLI_PLAIN, cli_scope_tell},                  \
		{"EXPIRES", "scope", CLI_PLAIN, cli_expires_tell},                 \
		{"USED", "used_at", CLI_TIME, NULL},                               \
	{                                                                          \
		"MADE", "created_at", CLI_TIME, NULL                               \
	}

static const struct cli_field cli_token_columns[] = {CLI_CREDENTIAL_COLUMNS("BEGINS WITH")};
static const struct cli_field cli_key_columns[] = {CLI_CREDENTIAL_COLUMNS("KEY")};
static const struct cli_field cli_cert_columns[] = {CLI_CREDENTIAL_COLUMNS("SUBJECT")};

/* What the three have of their own. */
struct cli_credential {
	const char *type, *noun;
	struct cli_fields fields;
};

static const struct cli_credential cli_token = {
	"token", "token", {cli_token_columns, ARRAY_LEN(cli_token_columns), "There are no tokens"}};
static const struct cli_credential cli_key = {
	"ssh-key", "key", {cli_key_columns, ARRAY_LEN(cli_key_columns), "There are no SSH keys"}};
static const struct cli_credential cli_cert = {"certificate",
					       "certificate",
					       {cli_cert_columns, ARRAY_LEN(cli_cert_columns),
						"There are no certificates"}};

/* ---- lists ---- */

/* Is it of the kind that the command is about? The number of the account is listed with tokens. */
static bool cli_credential_is(const struct cli_credential *kind, const struct json *item,
			      bool number)
{
	const char *type = cli_show_text(item, "type");

	return strcmp(type, kind->type) == 0 ||
	       (number && kind == &cli_token && strcmp(type, "number") == 0);
}

/* Those of a kind, as a list of its own. */
static int cli_credential_pick(struct cli *cli, const struct cli_credential *kind,
			       const struct json *all, struct json **out)
{
	int e = json_new_list(out);

	for (size_t i = 0; i < json_count(all) && e == 0; i++) {
		struct json *copy = NULL;
		struct buf text = {0};

		if (!cli_credential_is(kind, json_at(all, i), true))
			continue;
		if ((e = json_write(json_at(all, i), CLI_HTTP_BODY_MAX, &text)) == 0 &&
		    (e = json_parse(buf_str(&text), CLI_HTTP_BODY_MAX, &copy)) == 0)
			e = json_add(*out, &copy);
		buf_free(&text);
	}
	return e == 0 ? 0 : cli_no_memory(cli);
}

/*
 * Where the credentials are: one's own, or those of an account that is named.
 *   id  of one of them; NULL: the list.
 */
static int cli_credential_path(struct cli *cli, const char *id, char out[CLI_HTTP_PATH_TEXT])
{
	const char *account = cli->set->account;
	int e;

	if (account == NULL)
		e = cli_http_path(out, id == NULL ? "/v1/credentials" : "/v1/credentials/%", id);
	else
		e = cli_http_path(out,
				  id == NULL ? "/v1/admin/accounts/%/credentials"
					     : "/v1/admin/accounts/%/credentials/%",
				  account, id);
	return e == 0 ? 0 : cli_problem(cli, "that is too long to be an id");
}

static int cli_credential_ls(struct cli *cli, const struct cli_credential *kind)
{
	struct json *all = NULL, *some = NULL;
	char path[CLI_HTTP_PATH_TEXT];
	int e = cli_credential_path(cli, NULL, path);

	if (e == 0)
		e = cli_fetch(cli, path, "credentials", &all);
	if (e == 0)
		e = cli_credential_pick(cli, kind, all, &some);
	if (e == 0)
		e = cli_show_list(cli, some, &kind->fields);
	json_free(some);
	json_free(all);
	return e;
}

/*
 * Find the one that a person means by its id or name.
 *   *id  set; borrowed from all.
 */
static int cli_credential_find(struct cli *cli, const struct cli_credential *kind,
			       const struct json *all, const char *word, const char **id)
{
	size_t n = 0;

	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *item = json_at(all, i);

		if (!cli_credential_is(kind, item, false))
			continue;
		if (strcmp(cli_show_text(item, "id"), word) == 0) {
			*id = cli_show_text(item, "id");
			return 0;
		}
		if (strcmp(cli_show_text(item, "name"), word) == 0) {
			*id = cli_show_text(item, "id");
			n++;
		}
	}
	if (n == 1)
		return 0;
	if (n == 0)
		return cli_problem(cli, "there is no %s \"%s\": \"karez %s ls\" lists them",
				   kind->noun, word, kind == &cli_cert ? "cert" : kind->noun);
	return cli_problem(cli, "there are %zu of the name \"%s\": give the id of one", n, word);
}

static int cli_credential_rm(struct cli *cli, const struct cli_credential *kind)
{
	const struct config_list *words = &cli->set->whats;
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "DELETE", .path = path};
	struct json *all = NULL;
	const char *id = "";
	int e = cli_credential_path(cli, NULL, path);

	if (e == 0)
		e = cli_fetch(cli, path, "credentials", &all);
	for (size_t i = 0; i < words->n && e == 0; i++) {
		struct cli_answer answer = {0};

		if ((e = cli_credential_find(cli, kind, all, words->v[i], &id)) != 0 ||
		    (e = cli_credential_path(cli, id, path)) != 0)
			break;
		e = cli_call(cli, &call, &answer);
		cli_answer_free(&answer);
		if (e == 0 && !cli->set->json)
			cli_say(cli, "Revoked %s %s", kind->noun, id);
	}
	json_free(all);
	return e;
}

/* ---- make one ---- */

/*
 * POST it.
 *   name   for people.
 *   extra  a further member and its value, or NULL.
 */
static int cli_credential_post(struct cli *cli, const struct cli_credential *kind, const char *name,
			       const char *const extra[2], struct cli_answer *answer)
{
	char path[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "POST", .path = path};
	struct json *body;
	int bad = 0, e;

	if ((e = cli_credential_path(cli, NULL, path)) != 0)
		return e;
	body = cli_body_new(&bad);
	cli_body_text(&bad, body, "type", kind->type);
	if (name != NULL)
		cli_body_text(&bad, body, "name", name);
	if (extra != NULL)
		cli_body_text(&bad, body, extra[0], extra[1]);
	e = cli_body_scope(cli, &bad, body);
	call.body = body;
	if (e == 0 && bad != 0)
		e = cli_problem(cli, "what was given is not a text: expected UTF-8");
	if (e == 0)
		e = cli_call(cli, &call, answer);
	json_free(body);
	return e;
}

static int cli_credential_made(struct cli *cli, const struct cli_credential *kind,
			       const struct json *item)
{
	const char *name = cli_show_text(item, "name");

	if (cli->set->json)
		return cli_show_json(cli, item);
	cli_say(cli, "Added %s %s%s%s", kind->noun, cli_show_text(item, "id"),
		name[0] != '\0' ? ": " : "", name);
	return 0;
}

/* The token goes to the file that was made for it, or to standard output, which nothing else does.
 */
static int cli_token_deliver(struct cli *cli, const struct json *item, int fd)
{
	const char *token = cli_show_text(item, "token"), *id = cli_show_text(item, "id");
	char why[CLI_SECRET_WHY];

	if (!cli_secret_ok(str_of(token))) {
		if (fd >= 0)
			(void)!cli_secret_save(cli->set->out, fd, STR(""), why);
		return cli_problem(cli, "%s does not answer with a token", cli->server_text);
	}
	if (fd >= 0) {
		if (cli_secret_save(cli->set->out, fd, str_of(token), why) != 0)
			return cli_problem(cli, "%s; revoke the token: karez token rm %s", why, id);
		cli_say(cli, "Token %s is in %s", id, cli->set->out);
		return 0;
	}
	if (cli->set->json)
		return cli_show_json(cli, item);
	cli_say(cli, "%s", token);
	cli_problem(cli, "this is token %s: keep it now, it is not shown again", id);
	return 0;
}

int cli_do_token_add(struct cli *cli)
{
	struct cli_answer answer = {0};
	char why[CLI_SECRET_WHY];
	int fd = -1, e;

	/* First the file: a token that cannot be written down would be lost. */
	if (cli->set->out != NULL && cli_secret_create(cli->set->out, &fd, why) != 0)
		return cli_problem(cli, "%s", why);
	e = cli_credential_post(cli, &cli_token, cli->set->what, NULL, &answer);
	if (e == 0)
		e = cli_token_deliver(cli, answer.json, fd);
	else if (fd >= 0)
		(void)!cli_secret_save(cli->set->out, fd, STR(""), why);
	cli_answer_free(&answer);
	return e;
}

int cli_do_key_add(struct cli *cli)
{
	struct cli_answer answer = {0};
	char why[CLI_SECRET_WHY];
	struct buf text = {0};
	char *line = NULL;
	int e;

	if (cli_secret_file(cli->set->what, "a public key", &text, why) != 0)
		return cli_problem(cli, "%s", why);
	while (text.len > 0 && strchr("\r\n", text.mem[text.off + text.len - 1]) != NULL)
		text.len--;
	if ((line = str_dup(buf_str(&text))) == NULL)
		e = cli_no_memory(cli);
	else if (strlen(line) != text.len)
		e = cli_problem(cli, "%s is not a public key", cli->set->what);
	else if (strstr(line, "PRIVATE KEY") != NULL) /* it shall not even be sent */
		e = cli_problem(cli,
				"%s is a private key, which nobody else should have: give the "
				".pub file",
				cli->set->what);
	else
		e = cli_credential_post(cli, &cli_key, cli->set->name,
					(const char *const[]){"key", line}, &answer);
	if (e == 0)
		e = cli_credential_made(cli, &cli_key, answer.json);
	if (line != NULL)
		explicit_bzero(line, strlen(line));
	free(line);
	cli_secret_wipe(&text);
	cli_answer_free(&answer);
	return e;
}

int cli_do_cert_add(struct cli *cli)
{
	struct cli_answer answer = {0};
	int e = cli_credential_post(cli, &cli_cert, cli->set->name,
				    (const char *const[]){"subject", cli->set->what}, &answer);

	if (e == 0)
		e = cli_credential_made(cli, &cli_cert, answer.json);
	cli_answer_free(&answer);
	return e;
}

/* ---- the rest is the same for all ---- */

int cli_do_token_ls(struct cli *cli)
{
	return cli_credential_ls(cli, &cli_token);
}

int cli_do_token_rm(struct cli *cli)
{
	return cli_credential_rm(cli, &cli_token);
}

int cli_do_key_ls(struct cli *cli)
{
	return cli_credential_ls(cli, &cli_key);
}

int cli_do_key_rm(struct cli *cli)
{
	return cli_credential_rm(cli, &cli_key);
}

int cli_do_cert_ls(struct cli *cli)
{
	return cli_credential_ls(cli, &cli_cert);
}

int cli_do_cert_rm(struct cli *cli)
{
	return cli_credential_rm(cli, &cli_cert);
}
