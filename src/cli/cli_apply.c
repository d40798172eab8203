/*
 * One file says what tunnels there shall be. What would change is shown first, and the server has
 * said yes to the whole of it before anybody is asked whether it is meant.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli_internal.h"
#include "cli/cli_list.h"

/* The exit code when the file is wrong by itself. */
#define EXIT_BAD_FILE 2

/* Bytes of a value that are repeated when it is refused. */
#define VALUE_SHOWN 200

/* The value that was refused, in quotes, to be put before the reason; nothing of what is secret. */
static void cli_apply_value(const struct cli_list *l, const struct cli_list_place *at,
			    struct buf *out)
{
	struct buf text = {0};
	int e = 0;

	if (at->member == CLI_LIST_MEMBERS || at->member == CLI_LIST_BASIC ||
	    at->member == CLI_LIST_BEARER)
		return;
	if (at->node->kind == TREE_SCALAR)
		e = buf_add(&text, at->node->text.p, MIN(at->node->text.len, VALUE_SHOWN),
			    VALUE_SHOWN);
	else
		e = cli_list_text(&l->v[at->entry], at->member, &text);
	if (e == 0 && text.len <= VALUE_SHOWN)
		e = buf_printf(out, 2 * VALUE_SHOWN, "\"" STR_FMT "\": ", STR_ARG(buf_str(&text)));
	if (e != 0)
		buf_free(out); /* the reason alone will do */
	buf_free(&text);
}

/* A refusal of the server is about a line of the file. Returns whether it was told so. */
static bool cli_apply_refused(struct cli *cli, const struct cli_answer *a, void *arg)
{
	const struct cli_list *l = arg;
	const char *field = cli_show_text(a->json, "field");
	const char *detail = cli_show_text(a->json, "detail");
	struct cli_list_place at;
	struct buf value = {0};

	if (detail[0] == '\0' || cli_list_find_place(l, field, &at) != 0)
		return false;
	cli_apply_value(l, &at, &value);
	cli_problem(cli, "%s:%u:%u: " STR_FMT "%s%s%s%s", l->path, at.node->line, at.node->col,
		    STR_ARG(buf_str(&value)), detail, at.rest[0] == '\0' ? "" : " (", at.rest,
		    at.rest[0] == '\0' ? "" : ")");
	buf_free(&value);
	return true;
}

static int cli_apply_put(struct cli *cli, struct cli_list *l, const struct json *body, bool dry,
			 struct cli_answer *answer)
{
	const struct cli_call call = {.method = "PUT",
				      .path = dry ? "/v1/tunnels?dry_run=true" : "/v1/tunnels",
				      .body = body,
				      .refused = cli_apply_refused,
				      .arg = l};

	return cli_call(cli, &call, answer);
}

/* What would change, a line each. */
static int cli_apply_show(struct cli *cli, const struct cli_list_plan *plan)
{
	int e = 0;

	for (size_t i = 0; i < plan->n && e == 0; i++) {
		struct buf line = {0};

		if (plan->v[i].what == CLI_LIST_SAME)
			continue;
		e = cli_list_tell(&plan->v[i], &line);
		if (e == 0 || e == ERR_TOOBIG) {
			cli_say(cli, STR_FMT, STR_ARG(buf_str(&line)));
			e = 0;
		}
		buf_free(&line);
	}
	if (e != 0)
		return cli_no_memory(cli);
	cli_say(cli, "unchanged: %zu", plan->n_same);
	fflush(cli->out);
	return 0;
}

/* Where the new ones are reached; the answer has them in the order of the file. */
static void cli_apply_done(struct cli *cli, const struct cli_list_plan *plan,
			   const struct json *answer)
{
	const struct json *tunnels = cli_show_at(answer, "tunnels");

	for (size_t i = 0; i < plan->n && plan->v[i].wanted != NULL; i++) {
		const struct json *t = json_at(tunnels, i);
		struct str url;

		if (plan->v[i].what == CLI_LIST_MADE && t != NULL &&
		    json_text(json_at(cli_show_at(t, "urls"), 0), &url) == 0)
			cli_say(cli, "%s is reached at " STR_FMT, cli_show_text(t, "name"),
				STR_ARG(url));
	}
}

/* Nobody is asked about what the server would refuse. */
static int cli_apply_plan(struct cli *cli, struct cli_list *l, const struct json *body,
			  const struct cli_list_plan *plan)
{
	bool dry = cli->set->dry_run || plan->n_same == plan->n;
	struct cli_answer tried = {0}, answer = {0};
	int e = 0;

	if (!cli->set->json)
		e = cli_apply_show(cli, plan);
	if (e == 0)
		e = cli_apply_put(cli, l, body, true, &tried);
	if (e == 0 && !dry)
		e = cli_confirm(cli, "These changes will be made.", "yes");
	if (e == 0 && !dry)
		e = cli_apply_put(cli, l, body, false, &answer);
	if (e == 0 && cli->set->json)
		e = cli_show_json(cli, dry ? tried.json : answer.json);
	else if (e == 0 && !dry)
		cli_apply_done(cli, plan, answer.json);
	cli_answer_free(&answer);
	cli_answer_free(&tried);
	return e;
}

static int cli_apply_list(struct cli *cli, struct cli_list *l)
{
	struct json *now = NULL, *body = NULL;
	struct cli_list_plan plan = {0};
	int e = cli_fetch(cli, "/v1/tunnels", "tunnels", &now);

	if (e != 0)
		return e;
	if (cli_list_body(l, &body) != 0 || cli_list_compare(l, now, &plan) != 0)
		e = cli_no_memory(cli);
	else
		e = cli_apply_plan(cli, l, body, &plan);
	cli_list_plan_free(&plan);
	json_free(body);
	json_free(now);
	return e;
}

int cli_do_apply(struct cli *cli)
{
	char why[CLI_LIST_WHY] = "";
	struct cli_list l = {0};
	int e = cli_list_read(cli->set->file, &l, why);

	if (e == ERR_NOMEM) {
		e = cli_no_memory(cli);
	} else if (e != 0) {
		cli_problem(cli, "%s", why);
		cli->exit_code = EXIT_BAD_FILE;
	} else {
		e = cli_apply_list(cli, &l);
	}
	cli_list_free(&l);
	return e;
}
