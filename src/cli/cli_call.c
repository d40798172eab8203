/* A call either brings what was asked for or ends in one sentence that a person can act on. */
#include "cli/cli_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli_text.h"

/* ---- words ---- */

/* Print a formatted line with all made visible that a terminal would act on. */
PRINTF_LIKE(3, 0)
static void cli_print(FILE *out, const char *head, const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		return;
	fputs(head, out);
	cli_text_print(out, str_of(text));
	fputc('\n', out);
	explicit_bzero(text, strlen(text));
	free(text);
}

int cli_problem(struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	fflush(cli->out);
	va_start(ap, fmt);
	cli_print(cli->err, "karez: ", fmt, ap);
	va_end(ap);
	return ERR_DENIED;
}

void cli_say(struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	cli_print(cli->out, "", fmt, ap);
	va_end(ap);
}

int cli_no_memory(struct cli *cli)
{
	cli_problem(cli, "%s", err_text(ERR_NOMEM));
	return ERR_NOMEM;
}

int cli_confirm(struct cli *cli, const char *question, const char *word)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	bool same;

	if (cli->set->yes)
		return 0;
	if (isatty(STDIN_FILENO) == 0) {
		cli_problem(cli, "%s There is nobody to ask: use --yes if it is meant", question);
		return ERR_CLOSED;
	}
	cli_text_print(cli->err, str_of(question));
	fputs(" Type ", cli->err);
	cli_text_print(cli->err, str_of(word));
	fputs(" to go on: ", cli->err);
	fflush(cli->err);
	n = getline(&line, &size, stdin);
	same = n > 0 &&
	       str_eq(str_trim((struct str){line, str_find((struct str){line, (size_t)n}, '\n')}),
		      str_of(word));
	free(line);
	if (same)
		return 0;
	cli_problem(cli, "nothing was done");
	return ERR_CLOSED;
}

bool cli_given(const struct cli *cli, const void *member)
{
	return config_source(cli->config, member) > CONFIG_DEFAULT;
}

/* ---- what a refusal means ---- */

static int cli_call_error(unsigned status)
{
	switch (status) {
	case 401: return ERR_AUTH;
	case 403: return ERR_DENIED;
	case 404: return ERR_NOTFOUND;
	case 409: return ERR_EXISTS;
	case 412: return ERR_CONFLICT;
	case 429: return ERR_LIMIT;
	case 507: return ERR_FULL;
	default: return status < 500 ? ERR_INVAL : ERR_IO;
	}
}

/* What to do about a credential that is not accepted. */
static void cli_call_unknown(struct cli *cli, const char *detail)
{
	if (cli->token_from == CLI_TOKEN_NONE)
		cli_problem(cli, "not logged in at %s: use \"karez login\"", cli->server_text);
	else if (cli->token_from == CLI_TOKEN_CERTIFICATE)
		cli_problem(cli, "%s does not accept the certificate in %s: %s", cli->server_text,
			    cli->set->cert, detail);
	else if (cli->token_from == CLI_TOKEN_GIVEN)
		cli_problem(cli, "%s does not accept this token or number: %s", cli->server_text,
			    detail);
	else
		cli_problem(cli,
			    "the credential for %s is no longer good: %s; use \"karez login\" with "
			    "another one",
			    cli->server_text, detail);
}

/*
 * The DNS records that would prove a custom domain stand in the sentence between quotes; shown one
 * a line they can be copied.
 */
static void cli_call_records(struct cli *cli, const char *detail)
{
	static const struct str kinds[] = {{" CNAME ", 7}, {" TXT ", 5}};
	struct str rest = str_of(detail), piece;

	for (size_t i = 0; str_next(&rest, '"', &piece); i++) {
		for (size_t k = 0; k < ARRAY_LEN(kinds) && i % 2 == 1; k++) {
			const char *at = memmem(piece.p, piece.len, kinds[k].p, kinds[k].len);

			if (at == NULL || rest.p == NULL)
				continue;
			fputs("    ", cli->err);
			cli_text_print(cli->err, (struct str){piece.p, (size_t)(at - piece.p)});
			fprintf(cli->err, "  IN" STR_FMT " ", STR_ARG(kinds[k]));
			at += kinds[k].len;
			cli_text_print(cli->err,
				       (struct str){at, (size_t)(piece.p + piece.len - at)});
			fputc('\n', cli->err);
		}
	}
}

/* Say what the server said, and what that means here. */
static void cli_call_refused(struct cli *cli, const struct cli_answer *a, int e)
{
	const char *detail = cli_show_text(a->json, "detail");
	const char *title = cli_show_text(a->json, "title");
	const char *field = cli_show_text(a->json, "field");
	char status[64];

	str_printf(status, sizeof status, "the server answers with status %u", a->status);
	if (detail[0] == '\0')
		detail = title[0] != '\0' ? title : status;
	if (a->json == NULL && a->status >= 300 && a->status < 400)
		cli_problem(cli,
			    "%s answers with a redirect (%u), which is not followed: name the "
			    "server where it leads with --server",
			    cli->server_text, a->status);
	else if (a->json == NULL || (title[0] == '\0' && a->status != 401))
		cli_problem(cli, "%s has no API of karez here: %s", cli->server_text, status);
	else if (e == ERR_AUTH)
		cli_call_unknown(cli, detail);
	else if (e == ERR_CONFLICT)
		cli_problem(cli,
			    "somebody else has changed it meanwhile: look at it, and try again");
	else if (field[0] != '\0')
		cli_problem(cli, "%s (%s)", detail, field);
	else
		cli_problem(cli, "%s", detail);
	if (strcmp(field, "ingress.http.alt_names") == 0 || strcmp(field, "domains") == 0)
		cli_call_records(cli, detail);
}

static void cli_call_failed(struct cli *cli, const struct cli_http_answer *answer, int e)
{
	if (e == ERR_INVAL)
		cli_problem(cli, "%s cannot be used: %s", cli->set->cert, answer->why);
	else
		cli_problem(cli, "no answer from %s: %s", cli->server_text, answer->why);
	if (e == ERR_REFUSED && cli->set->servers.n == 0 &&
	    strcmp(cli->server_text, CLI_USUAL_SERVER) == 0)
		cli_problem(cli, "no server is named: use --server https://tunnel.example.com or "
				 "set KAREZ_SERVER");
}

/* Once: credentials go one way or the other in nearly every call. */
static void cli_call_warn(struct cli *cli)
{
	if (!cli->warned && cli_way_is_open(&cli->way, &cli->server))
		cli_problem(cli,
			    "warning: the way to %s is not encrypted: others can read the "
			    "credential; use https://",
			    cli->server_text);
	cli->warned = true;
}

/* ---- a call ---- */

void cli_answer_free(struct cli_answer *a)
{
	json_free(a->json);
	a->json = NULL;
}

int cli_call(struct cli *cli, const struct cli_call *call, struct cli_answer *out)
{
	struct cli_http_answer answer = {0};
	struct cli_http_request r = {.method = call->method,
				     .path = call->path,
				     .if_match = call->if_match};
	struct buf body = {0};
	int e = 0;

	if (cli->token_from == CLI_TOKEN_NONE && !call->anonymous) {
		cli_call_unknown(cli, "");
		return ERR_AUTH;
	}
	r.anonymous = cli->token_from == CLI_TOKEN_NONE;
	if (cli->token_from == CLI_TOKEN_GIVEN || cli->token_from == CLI_TOKEN_REMEMBERED)
		r.token = cli->token;
	if (call->body != NULL && (e = json_write(call->body, CLI_HTTP_BODY_MAX, &body)) != 0) {
		cli_problem(cli, "the request cannot be made: %s", err_text(e));
		goto out;
	}
	if (call->body != NULL)
		r.body = buf_str(&body);
	cli_call_warn(cli);
	if ((e = cli_http_do(cli->http, &r, &answer)) != 0) {
		cli_call_failed(cli, &answer, e);
		goto out;
	}
	out->status = answer.status;
	out->len = answer.body.len;
	str_printf(out->etag, sizeof out->etag, "%s", answer.etag);
	if (answer.body.len > 0 &&
	    json_parse(buf_str(&answer.body), CLI_HTTP_BODY_MAX, &out->json) != 0)
		out->json = NULL;
	if (answer.status >= 200 && answer.status < 300 &&
	    (out->json != NULL || answer.body.len == 0))
		goto out;
	e = cli_call_error(answer.status);
	if (answer.status != call->pass &&
	    (call->refused == NULL || !call->refused(cli, out, call->arg)))
		cli_call_refused(cli, out, e);
out:
	cli_secret_wipe(&body);
	cli_secret_wipe(&answer.body);
	return e;
}

/* ---- lists ---- */

/* Move a page's items to the end of `all`. */
static int cli_fetch_add(struct json *all, const struct json *page)
{
	struct json *copy;
	struct buf text = {0};
	int e = 0;

	for (size_t i = 0; i < json_count(page) && e == 0; i++) {
		copy = NULL;
		text = (struct buf){0};
		if ((e = json_write(json_at(page, i), CLI_HTTP_BODY_MAX, &text)) == 0 &&
		    (e = json_parse(buf_str(&text), CLI_HTTP_BODY_MAX, &copy)) == 0)
			e = json_add(all, &copy);
		cli_secret_wipe(&text);
	}
	return e;
}

/* One page; cursor "": the first. */
static int cli_fetch_page(struct cli *cli, const char *path, const char *cursor,
			  struct cli_answer *page)
{
	char query[CLI_HTTP_PATH_TEXT], at[CLI_HTTP_PATH_TEXT];
	struct cli_call call = {.method = "GET", .path = at};

	if (cli_http_path(query, cursor[0] == '\0' ? "?limit=100" : "?limit=100&cursor=%",
			  cursor) != 0 ||
	    str_printf(at, sizeof at, "%s%s", path, query) + 1 >= sizeof at)
		return cli_problem(cli, "%s answers with a cursor that is too long",
				   cli->server_text);
	return cli_call(cli, &call, page);
}

/*
 * Take a page in.
 *   cursor  [CLI_HTTP_PATH_TEXT] set to that of the next one, "" if this is the last.
 */
static int cli_fetch_take(struct cli *cli, const struct cli_answer *page, const char *plural,
			  struct json *all, char *cursor)
{
	const struct json *items;
	struct str next;

	if (json_get_list(page->json, plural, &items) != 0)
		return cli_problem(cli, "%s does not answer with a list of %s", cli->server_text,
				   plural);
	if (cli_fetch_add(all, items) != 0)
		return cli_no_memory(cli);
	if (json_get_text(page->json, "cursor", &next) != 0)
		next = STR("");
	if (next.len > 0 && (json_count(all) > CLI_LIST_MAX || str_eq(next, str_of(cursor)) ||
			     next.len >= CLI_HTTP_PATH_TEXT))
		return cli_problem(cli, "the list of %s has no end", plural);
	return str_copy(cursor, CLI_HTTP_PATH_TEXT, next);
}

int cli_fetch(struct cli *cli, const char *path, const char *plural, struct json **out)
{
	char cursor[CLI_HTTP_PATH_TEXT] = "";
	struct json *all = NULL;
	size_t bytes = 0;
	int e;

	if (json_new_list(&all) != 0)
		return cli_no_memory(cli);
	do {
		struct cli_answer page = {0};

		if ((e = cli_fetch_page(cli, path, cursor, &page)) == 0)
			e = cli_fetch_take(cli, &page, plural, all, cursor);
		bytes += page.len;
		if (e == 0 && bytes > CLI_LIST_BYTES)
			e = cli_problem(cli, "the list of %s is too long", plural);
		cli_answer_free(&page);
	} while (e == 0 && cursor[0] != '\0');
	if (e == 0)
		MOVE(*out, all);
	json_free(all);
	return e;
}
