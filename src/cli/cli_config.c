/* What a services file would publish, told before anybody is visited. */
#include <unistd.h>

#include "base/err.h"
#include "cli/cli_internal.h"
#include "cli/services.h"

/* The exit code when the file is wrong by itself. */
#define EXIT_BAD_FILE 2

static const struct cli_field cli_config_columns[] = {
	{"SERVICE", "service", CLI_PLAIN, NULL},
	{"NAME", "name", CLI_PLAIN, NULL},
	{"KIND", "kind", CLI_PLAIN, NULL},
	{"TARGET", "target", CLI_PLAIN, NULL},
};

static const struct cli_fields cli_config_fields = {cli_config_columns,
						    ARRAY_LEN(cli_config_columns),
						    "The file is right, and has no services"};

static void cli_config_row(int *e, struct json *list, const struct services_entry *x)
{
	struct json *row = cli_body_add(e, list);
	char target[URL_TEXT_MAX];

	url_format(&x->target, target);
	cli_body_text(e, row, "service", x->service);
	cli_body_text(e, row, "name", x->name);
	cli_body_text(e, row, "kind", tunnel_word_kinds[x->kind]);
	cli_body_text(e, row, "target", target);
}

/* The page has no target that a person could name. */
static void cli_config_index(int *e, struct json *list, const struct services *s)
{
	struct json *row = cli_body_add(e, list);

	cli_body_text(e, row, "service", "(index page)");
	cli_body_text(e, row, "name", s->id);
	cli_body_text(e, row, "kind", tunnel_word_kinds[AGENT_HTTP]);
	cli_body_text(e, row, "target", "");
}

static int cli_config_show(struct cli *cli, const struct services *s)
{
	struct json *list = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < s->n && e == 0; i++)
		cli_config_row(&e, list, &s->v[i]);
	if (e == 0 && s->index)
		cli_config_index(&e, list, s);
	e = e != 0 ? cli_no_memory(cli) : cli_show_list(cli, list, &cli_config_fields);
	json_free(list);
	return e;
}

/* The file that is meant. Returns NULL after a sentence: there is none. */
static const char *cli_config_path(struct cli *cli, char path[SERVICES_PATH])
{
	if (cli->set->file != NULL)
		return cli->set->file;
	services_default_path(cli->set, path);
	if (path[0] != '\0' && access(path, F_OK) == 0)
		return path;
	cli_problem(cli,
		    "there is no services file, neither ~/.tunnel-services.json nor %s; it takes a "
		    "line as \"hello-world: 9000\" for each service",
		    path[0] == '\0' ? "services.yaml" : path);
	return NULL;
}

int cli_do_config_check(struct cli *cli)
{
	const struct services_opt opt = {.id = cli->set->id};
	char path[SERVICES_PATH], why[SERVICES_WHY] = "";
	const char *file = cli_config_path(cli, path);
	struct services s = {0};
	int e = file == NULL ? ERR_NOTFOUND : services_read(file, &opt, &s, why);

	if (e == 0)
		e = cli_config_show(cli, &s);
	else if (e == ERR_NOMEM)
		e = cli_no_memory(cli);
	else if (why[0] != '\0')
		cli_problem(cli, "%s", why);
	if (e != 0 && e != ERR_NOMEM)
		cli->exit_code = EXIT_BAD_FILE;
	services_free(&s);
	return e;
}
