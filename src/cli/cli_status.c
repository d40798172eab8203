/* `karez up` is asked over its socket; the server has no part in it, so it works without one. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/cli_internal.h"
#include "cli/services.h"
#include "cli/status_place.h"

/* A terminal of fewer columns gets fewer of ours: the URL is what people look for. */
#define MIDDLE_COLUMNS 100
#define WIDE_COLUMNS   140

/* ---- how it looks ---- */

/* "12", "3.4 MiB". */
static int cli_status_bytes(const struct json *item, const char *path, struct buf *out)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	const struct json *j = cli_show_at(item, path);
	uint64_t n = 0, rest = 0;
	size_t unit = 0;

	if (j == NULL || json_number(j, UINT64_MAX, &n) != 0)
		return 0;
	for (; n >= 1024 && unit + 1 < ARRAY_LEN(units); unit++) {
		rest = n % 1024 * 10 / 1024;
		n /= 1024;
	}
	if (unit == 0 || n >= 100)
		return buf_printf(out, 64, "%llu %s", (unsigned long long)n, units[unit]);
	return buf_printf(out, 64, "%llu.%llu %s", (unsigned long long)n, (unsigned long long)rest,
			  units[unit]);
}

static int cli_status_up(struct cli *cli, const struct json *item, struct buf *out)
{
	return cli_status_bytes(item, "up_bytes", out);
}

static int cli_status_down(struct cli *cli, const struct json *item, struct buf *out)
{
	return cli_status_bytes(item, "down_bytes", out);
}

/* A tunnel that is not online has no URL yet, but a name. */
static int cli_status_url(struct cli *cli, const struct json *item, struct buf *out)
{
	const char *url = cli_show_text(item, "url");
	int e = buf_printf(out, 2048, "%.2000s", url[0] != '\0' ? url : "-");

	return e == ERR_TOOBIG ? 0 : e;
}

#define SERVICE                                       \
	{                                             \
		"SERVICE", "service", CLI_PLAIN, NULL \
	}
#define URL                                          \
	{                                            \
		"URL", "", CLI_PLAIN, cli_status_url \
	}
#define STATE                                     \
	{                                         \
		"STATE", "state", CLI_PLAIN, NULL \
	}
#define TARGET                                      \
	{                                           \
		"TARGET", "target", CLI_PLAIN, NULL \
	}
#define VISITORS                                        \
	{                                               \
		"VISITORS", "visitors", CLI_PLAIN, NULL \
	}

static const struct cli_field cli_status_narrow[] = {SERVICE, URL, STATE, VISITORS};
static const struct cli_field cli_status_middle[] = {SERVICE, URL, STATE, TARGET, VISITORS};
static const struct cli_field cli_status_wide[] = {
	SERVICE,
	URL,
	STATE,
	TARGET,
	{"HEALTH", "health", CLI_PLAIN, NULL},
	VISITORS,
	{"SERVED", "served", CLI_PLAIN, NULL},
	{"UP", "", CLI_PLAIN, cli_status_up},
	{"DOWN", "", CLI_PLAIN, cli_status_down},
};

static const char cli_status_none[] = "There are no services in the file";

/* From the narrowest. */
static const struct {
	size_t columns; /* of a terminal that is too wide for it */
	struct cli_fields fields;
} cli_status_tables[] = {
	{MIDDLE_COLUMNS, {cli_status_narrow, ARRAY_LEN(cli_status_narrow), cli_status_none}},
	{WIDE_COLUMNS, {cli_status_middle, ARRAY_LEN(cli_status_middle), cli_status_none}},
	{SIZE_MAX, {cli_status_wide, ARRAY_LEN(cli_status_wide), cli_status_none}},
};

static const struct cli_field cli_status_list[] = {SERVICE, URL, TARGET};

/* Of a file that nobody serves: only what they will be called is known. */
static const struct cli_field cli_status_names[] = {SERVICE,
						    {"NAME", "name", CLI_PLAIN, NULL},
						    TARGET};

static const struct cli_fields cli_status_ls = {cli_status_list, ARRAY_LEN(cli_status_list),
						cli_status_none};
static const struct cli_fields cli_status_ls_file = {cli_status_names, ARRAY_LEN(cli_status_names),
						     cli_status_none};

/* ---- asking ---- */

/* The file that is meant; "" if there is no place for one. */
static const char *cli_status_file(struct cli *cli, char path[SERVICES_PATH])
{
	if (cli->set->file != NULL)
		return cli->set->file;
	services_default_path(cli->set, path);
	return path;
}

static int cli_status_fetch(struct cli *cli, const char *socket, struct json **out)
{
	const struct cli_http_request ask = {.method = "GET", .path = STATUS_PLACE_PATH};
	const struct cli_http_way way = {.socket = socket};
	struct cli_http_answer answer = {0};
	struct cli_http *http = NULL;
	struct url here;
	int e;

	CHECK(url_parse(STR("http://localhost"), &here, NULL) == 0);
	if (cli_http_new(&here, &way, &http) != 0)
		return ERR_NOMEM;
	e = cli_http_do(http, &ask, &answer);
	if (e == 0 && answer.status != 200)
		e = ERR_PROTO;
	if (e == 0)
		e = json_parse(buf_str(&answer.body), CLI_HTTP_BODY_MAX, out);
	buf_free(&answer.body);
	cli_http_free(http);
	return e;
}

/* Ask who serves the file. Returns 0, ERR_NOTFOUND (nobody does), or why it cannot be asked. */
static int cli_status_ask(struct cli *cli, const char *file, struct json **out)
{
	char socket[STATUS_PLACE_TEXT], lock[STATUS_PLACE_TEXT];
	int e = ERR_NOTFOUND;

	for (size_t i = 0; i < STATUS_PLACES && e == ERR_NOTFOUND && file[0] != '\0'; i++) {
		e = status_place(cli->set, i, file, socket, lock);
		if (e == 0)
			e = access(socket, F_OK) != 0 ? ERR_NOTFOUND
						      : cli_status_fetch(cli, socket, out);
		if (e == ERR_REFUSED || e == ERR_TOOBIG)
			e = ERR_NOTFOUND;
	}
	return e;
}

/* ---- commands ---- */

/* What holds for all of them, above the table. */
static void cli_status_head(struct cli *cli, const struct json *j)
{
	const struct json *sessions = cli_show_at(j, "sessions");
	const char *transport = cli_show_text(j, "transport"), *why = cli_show_text(j, "reason"),
		   *wrong = cli_show_text(j, "file_problem");
	uint64_t n = 0, pid = 0, ms = 0;
	char when[64];

	(void)!json_get_number(j, "pid", UINT64_MAX, &pid);
	(void)!json_get_number(j, "retry_ms", UINT64_MAX, &ms);
	if (sessions != NULL)
		(void)!json_number(sessions, UINT64_MAX, &n);
	cli_say(cli, "%s, process %llu, agent %s", cli_show_text(j, "file"),
		(unsigned long long)pid, cli_show_text(j, "agent"));
	str_printf(when, sizeof when, "in %llu.%llu s", (unsigned long long)(ms / 1000),
		   (unsigned long long)(ms / 100 % 10));
	if (cli_show_flag(j, "offline", false))
		cli_say(cli, "No connection to %s: %s; trying again %s", cli_show_text(j, "server"),
			why, ms < 100 ? "now" : when);
	else
		cli_say(cli, "%llu %s with %s%s%s", (unsigned long long)n,
			n == 1 ? "session" : "sessions", cli_show_text(j, "server"),
			transport[0] != '\0' ? " by " : "", transport);
	if (cli_show_text(j, "index")[0] != '\0')
		cli_say(cli, "The services are listed at %s", cli_show_text(j, "index"));
	if (wrong[0] != '\0')
		cli_say(cli, "The file is wrong, and what ran before is served: %s", wrong);
	fputc('\n', cli->out);
}

/* What is not as it should be, and why, below the table. */
static void cli_status_reasons(struct cli *cli, const struct json *services)
{
	bool first = true;

	for (size_t i = 0; i < json_count(services); i++) {
		const struct json *item = json_at(services, i);

		if (cli_show_text(item, "reason")[0] == '\0')
			continue;
		if (first)
			fputc('\n', cli->out);
		first = false;
		cli_say(cli, "%s: %s: %s", cli_show_text(item, "service"),
			cli_show_text(item, "state"), cli_show_text(item, "reason"));
	}
}

static bool cli_status_is_well(const struct json *services)
{
	bool well = true;

	for (size_t i = 0; i < json_count(services); i++)
		well = well && cli_show_flag(json_at(services, i), "well", false);
	return well;
}

static int cli_status_show(struct cli *cli, const struct json *j)
{
	size_t columns = cli->columns > 0 ? cli->columns : SIZE_MAX - 1, t = 0;
	const struct json *services;
	int e;

	while (columns >= cli_status_tables[t].columns)
		t++;
	if (json_get_list(j, "services", &services) != 0)
		return cli_problem(cli, "what answers at the socket is no karez up");
	if (!cli->set->json)
		cli_status_head(cli, j);
	e = cli->set->json ? cli_show_json(cli, j)
			   : cli_show_list(cli, services, &cli_status_tables[t].fields);
	if (e == 0 && !cli->set->json)
		cli_status_reasons(cli, services);
	if (e == 0 && (!cli_status_is_well(services) || cli_show_flag(j, "offline", false)))
		e = ERR_TARGET; /* said by the table */
	return e;
}

static int cli_status_not_running(struct cli *cli, const char *file, int e)
{
	if (e == ERR_NOTFOUND)
		return cli_problem(cli, "no karez up is running for %s",
				   file[0] == '\0' ? "any services file" : file);
	return cli_problem(cli, "karez up cannot be asked about %s: %s", file, err_text(e));
}

int cli_do_status(struct cli *cli)
{
	char path[SERVICES_PATH];
	const char *file = cli_status_file(cli, path);
	struct json *j = NULL;
	int e = cli_status_ask(cli, file, &j);

	e = e == 0 ? cli_status_show(cli, j) : cli_status_not_running(cli, file, e);
	json_free(j);
	return e;
}

/* Three members of each service of the file. */
static int cli_status_of_file(const struct services *s, struct json *list)
{
	int e = 0;

	for (size_t i = 0; i < s->n && e == 0; i++) {
		struct json *row = cli_body_add(&e, list);
		char target[URL_TEXT_MAX];

		url_format(&s->v[i].target, target);
		cli_body_text(&e, row, "service", s->v[i].service);
		cli_body_text(&e, row, "name", s->v[i].name);
		cli_body_text(&e, row, "target", target);
	}
	return e;
}

/* What would be served, if somebody did. */
static int cli_status_ls_from_file(struct cli *cli, const char *file)
{
	const struct services_opt opt = {.id = cli->set->id};
	char why[SERVICES_WHY] = "";
	struct services s = {0};
	struct json *list = NULL;
	int e = services_read(file, &opt, &s, why);

	if (e != 0) {
		cli->exit_code = e == ERR_NOMEM ? 1 : 2;
		e = cli_problem(cli, "%s", why[0] != '\0' ? why : err_text(e));
		goto out;
	}
	if ((e = json_new_list(&list)) == 0)
		e = cli_status_of_file(&s, list);
	e = e != 0 ? cli_no_memory(cli) : cli_show_list(cli, list, &cli_status_ls_file);
out:
	json_free(list);
	services_free(&s);
	return e;
}

int cli_do_ls(struct cli *cli)
{
	char path[SERVICES_PATH];
	const char *file = cli_status_file(cli, path);
	const struct json *services;
	struct json *j = NULL;
	int e = cli_status_ask(cli, file, &j);

	if (e == 0 && json_get_list(j, "services", &services) == 0)
		e = cli_show_list(cli, services, &cli_status_ls);
	else if (e == ERR_NOTFOUND)
		e = cli_status_ls_from_file(cli, file);
	else
		e = cli_status_not_running(cli, file, e == 0 ? ERR_PROTO : e);
	json_free(j);
	return e;
}
