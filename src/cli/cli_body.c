/* Options become the JSON that the API wants; what was not said is not sent. */
#include "cli/cli_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "cli/cli_time.h"
#include "proto/time_text.h"

/* ---- any body ---- */

struct json *cli_body_new(int *e)
{
	struct json *j = NULL;

	if (*e == 0)
		*e = json_new_object(&j);
	return j;
}

void cli_body_text(int *e, struct json *obj, const char *key, const char *value)
{
	if (*e == 0)
		*e = json_set_text(obj, key, str_of(value));
}

void cli_body_bool(int *e, struct json *obj, const char *key, bool value)
{
	if (*e == 0)
		*e = json_set_bool(obj, key, value);
}

void cli_body_number(int *e, struct json *obj, const char *key, uint64_t value)
{
	if (*e == 0)
		*e = json_set_number(obj, key, value);
}

void cli_body_seconds(int *e, struct json *obj, const char *key, uint64_t ms)
{
	cli_body_number(e, obj, key, (ms + 999) / 1000);
}

struct json *cli_body_object(int *e, struct json *obj, const char *key)
{
	struct json *j = NULL, *lent;

	if (*e != 0 || (*e = json_new_object(&j)) != 0)
		return NULL;
	lent = j; /* lives in obj from now on */
	*e = json_set(obj, key, &j);
	return *e == 0 ? lent : NULL;
}

struct json *cli_body_array(int *e, struct json *obj, const char *key)
{
	struct json *j = NULL, *lent;

	if (*e != 0 || (*e = json_new_list(&j)) != 0)
		return NULL;
	lent = j;
	*e = json_set(obj, key, &j);
	return *e == 0 ? lent : NULL;
}

struct json *cli_body_add(int *e, struct json *list)
{
	struct json *j = NULL, *lent;

	if (*e != 0 || (*e = json_new_object(&j)) != 0)
		return NULL;
	lent = j;
	*e = json_add(list, &j);
	return *e == 0 ? lent : NULL;
}

void cli_body_list(int *e, struct json *obj, const char *key, const struct config_list *list)
{
	struct json *j = cli_body_array(e, obj, key);

	for (size_t i = 0; i < list->n && *e == 0; i++)
		*e = json_add_text(j, str_of(list->v[i]));
}

/* ---- credentials ---- */

int cli_body_expires(struct cli *cli, int *e, struct json *obj)
{
	char text[TIME_TEXT];
	int64_t ms;

	if (cli->set->expires == NULL)
		return 0;
	if (cli_time_until(str_of(cli->set->expires), ev_wall_ms(cli->ev), &ms) != 0) {
		cli_problem(cli, "--expires: \"%s\" is over already", cli->set->expires);
		return ERR_INVAL;
	}
	time_text_format(ms, text);
	cli_body_text(e, obj, "expires_at", text);
	return 0;
}

int cli_body_scope(struct cli *cli, int *e, struct json *obj)
{
	const struct cli_options *set = cli->set;
	struct json *scope;

	if (set->tunnels.n == 0 && set->kinds.n == 0 && set->ports.n == 0 && set->expires == NULL)
		return 0;
	scope = cli_body_object(e, obj, "scope");
	if (set->tunnels.n > 0)
		cli_body_list(e, scope, "tunnels", &set->tunnels);
	if (set->kinds.n > 0)
		cli_body_list(e, scope, "kinds", &set->kinds);
	if (set->ports.n > 0)
		cli_body_list(e, scope, "ports", &set->ports);
	return cli_body_expires(cli, e, scope);
}

/* ---- tunnels ---- */

bool cli_body_tunnel_merges(const struct cli *cli)
{
	return cli->set->basic_auth.n > 0 && cli->set->auth;
}

static bool cli_body_is_new_user(const struct cli *cli, const char *user)
{
	for (size_t i = 0; i < cli->set->basic_auth.n; i++)
		if (strcmp(cli->set->basic_auth.v[i], user) == 0)
			return true;
	return false;
}

static void cli_body_user(int *e, struct json *list, const char *user, const char *password)
{
	struct json *j = cli_body_add(e, list);

	cli_body_text(e, j, "user", user);
	if (password != NULL)
		cli_body_text(e, j, "password", password);
}

/* Users that are there stay, by their names alone; the new ones get the passwords that are asked
 * for. */
static int cli_body_users(struct cli *cli, int *e, struct json *list, const struct json *now)
{
	const struct json *there = cli->set->auth ? cli_show_at(now, "visitors.basic") : NULL;
	char prompt[400], password[CLI_SECRET_TEXT], why[CLI_SECRET_WHY];

	for (size_t i = 0; i < json_count(there); i++) {
		const char *user = cli_show_text(json_at(there, i), "user");

		if (!cli_body_is_new_user(cli, user))
			cli_body_user(e, list, user, NULL);
	}
	for (size_t i = 0; i < cli->set->basic_auth.n; i++) {
		const char *user = cli->set->basic_auth.v[i];

		str_printf(prompt, sizeof prompt, "Password for %s: ", user);
		if (cli_secret_ask(cli->err, prompt, password, sizeof password, why) != 0) {
			cli_problem(cli, "no password for %s: %s", user, why);
			return ERR_INVAL;
		}
		cli_body_user(e, list, user, password);
		explicit_bzero(password, sizeof password);
	}
	return 0;
}

/* Lines of a file, without their ends; empty ones and those that begin with # are passed over. */
static bool cli_body_line(struct str *rest, struct str *line)
{
	while (str_next(rest, '\n', line)) {
		if (line->len > 0 && line->p[line->len - 1] == '\r')
			line->len--;
		if (line->len > 0 && line->p[0] != '#')
			return true;
	}
	return false;
}

/* Does this look like what htpasswd makes of a password? */
static bool cli_body_is_hash(struct str password)
{
	static const struct str heads[] = {
		{"$apr1$", 6}, {"$2", 2}, {"{SHA", 4}, {"$5$", 3}, {"$6$", 3}, {"$y$", 3},
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		if (password.len >= 20 && str_starts(password, heads[i]))
			return true;
	return false;
}

static int cli_body_users_line(struct cli *cli, int *e, struct json *list, struct str line)
{
	char user[CLI_SECRET_TEXT], password[CLI_SECRET_TEXT];
	struct str secret = line, name;
	int bad = 0;

	if (!str_next(&secret, ':', &name) || secret.p == NULL || name.len == 0 || secret.len == 0)
		bad = cli_problem(cli, "--basic-auth-file: a line is not USER:PASSWORD");
	else if (cli_body_is_hash(secret))
		bad = cli_problem(cli,
				  "--basic-auth-file: the password of " STR_FMT " is hashed: write "
				  "the password itself; the server keeps only a hash of it",
				  STR_ARG(name));
	else if (str_copy(user, sizeof user, name) != 0 ||
		 str_copy(password, sizeof password, secret) != 0)
		bad = cli_problem(cli, "--basic-auth-file: a line is too long");
	else
		cli_body_user(e, list, user, password);
	explicit_bzero(password, sizeof password);
	return bad;
}

/* Read a file of secrets line by line into a list. */
static int cli_body_file(struct cli *cli, int *e, struct json *list, const char *path,
			 int (*take)(struct cli *cli, int *e, struct json *list, struct str line))
{
	char why[CLI_SECRET_WHY];
	struct buf text = {0};
	struct str rest, line;
	int bad = cli_secret_file(path, "secrets", &text, why);

	if (bad != 0)
		return cli_problem(cli, "%s", why);
	rest = buf_str(&text);
	if (rest.len > 0 && memchr(rest.p, '\0', rest.len) != NULL)
		bad = cli_problem(cli, "%s is not a text file", path);
	while (bad == 0 && cli_body_line(&rest, &line))
		bad = take(cli, e, list, line);
	cli_secret_wipe(&text);
	return bad;
}

static int cli_body_bearer_line(struct cli *cli, int *e, struct json *list, struct str line)
{
	line = str_trim(line);
	if (line.len < 16 || line.len > 128 || !cli_secret_ok(line))
		return cli_problem(cli, "--bearer-file: a line is not a token of 16-128 characters "
					"without spaces");
	if (*e == 0)
		*e = json_add_text(list, line);
	return 0;
}

static int cli_body_visitors(struct cli *cli, int *e, struct json *obj, const struct json *now)
{
	const struct cli_options *set = cli->set;
	bool clear = cli_given(cli, &set->auth) && !set->auth;
	struct json *visitors, *list;
	int bad = 0;

	if (!clear && !cli_given(cli, &set->basic_auth) && set->basic_auth_file == NULL &&
	    set->bearer_file == NULL && !cli_given(cli, &set->allow) &&
	    !cli_given(cli, &set->deny) && set->auth_url == NULL)
		return 0;
	visitors = cli_body_object(e, obj, "visitors");
	if (clear || cli_given(cli, &set->basic_auth) || set->basic_auth_file != NULL) {
		list = cli_body_array(e, visitors, "basic");
		bad = set->basic_auth_file == NULL
			      ? cli_body_users(cli, e, list, now)
			      : cli_body_file(cli, e, list, set->basic_auth_file,
					      cli_body_users_line);
	}
	if (bad == 0 && (clear || set->bearer_file != NULL)) {
		list = cli_body_array(e, visitors, "bearer");
		if (set->bearer_file != NULL)
			bad = cli_body_file(cli, e, list, set->bearer_file, cli_body_bearer_line);
	}
	if (clear || cli_given(cli, &set->allow))
		cli_body_list(e, visitors, "allow", &set->allow);
	if (clear || cli_given(cli, &set->deny))
		cli_body_list(e, visitors, "deny", &set->deny);
	if (clear || set->auth_url != NULL)
		cli_body_text(e, visitors, "auth_url", set->auth_url == NULL ? "" : set->auth_url);
	return bad;
}

/* A port alone is a web server, unless the tunnel carries something else. */
static void cli_body_url(struct cli *cli, int *e, struct json *target)
{
	bool http = !cli_given(cli, &cli->set->kind) || cli->set->kind == 0;
	const char *given = cli->set->target;
	char text[URL_TEXT_MAX] = "";
	struct url url;

	if (given[0] != '\0' &&
	    url_parse_target(str_of(given), http ? URL_HTTP : URL_TCP, &url, NULL) == 0)
		url_format(&url, text);
	cli_body_text(e, target, "url", text);
}

static void cli_body_target(struct cli *cli, int *e, struct json *obj)
{
	const struct cli_options *set = cli->set;
	struct json *target;

	if (set->target == NULL && set->service == NULL && !cli_given(cli, &set->proxy))
		return;
	target = cli_body_object(e, obj, "target");
	if (set->target != NULL)
		cli_body_url(cli, e, target);
	if (set->service != NULL)
		cli_body_text(e, target, "service", set->service);
	if (cli_given(cli, &set->proxy))
		cli_body_text(e, target, "proxy_protocol", tunnel_word_proxies[set->proxy]);
}

static void cli_body_ingress(struct cli *cli, int *e, struct json *obj)
{
	const struct cli_options *set = cli->set;
	bool tcp = cli_given(cli, &set->port) || set->bind != NULL;
	bool tls = cli_given(cli, &set->tls);
	struct json *ingress, *part;

	if (cli_given(cli, &set->domains))
		cli_body_list(e, obj, "domains", &set->domains);
	if (!tcp && !tls)
		return;
	ingress = cli_body_object(e, obj, "ingress");
	part = tcp ? cli_body_object(e, ingress, "tcp") : NULL;
	if (cli_given(cli, &set->port))
		cli_body_number(e, part, "port", set->port);
	if (set->bind != NULL)
		cli_body_text(e, part, "bind", set->bind);
	if (tls)
		cli_body_text(e, cli_body_object(e, ingress, "tls"), "mode",
			      tunnel_word_tlses[set->tls]);
}

static void cli_body_transport(struct cli *cli, int *e, struct json *obj)
{
	const struct cli_options *set = cli->set;
	bool policy = cli_given(cli, &set->policy), max = cli_given(cli, &set->max_sessions);
	bool agents = cli_given(cli, &set->agents), drain = cli_given(cli, &set->drain_ms);
	struct json *transport;

	if (!policy && !max && !agents && !drain)
		return;
	transport = cli_body_object(e, obj, "transport");
	if (policy)
		cli_body_text(e, transport, "policy", tunnel_word_policies[set->policy]);
	if (max)
		cli_body_number(e, transport, "max_connections", set->max_sessions);
	if (agents)
		cli_body_list(e, transport, "agents", &set->agents);
	if (drain)
		cli_body_seconds(e, transport, "drain", set->drain_ms);
}

/* What becomes of Host is said by two members, of which one counts. */
static void cli_body_host(int *e, struct json *headers, const char *host)
{
	bool rewrite = strcmp(host, "rewrite") == 0, keep = strcmp(host, "keep") == 0;

	cli_body_bool(e, headers, "rewrite", rewrite);
	cli_body_text(e, headers, "host", keep || rewrite ? "" : host);
}

static void cli_body_headers(struct cli *cli, int *e, struct json *obj)
{
	const struct cli_options *set = cli->set;
	bool any = cli_given(cli, &set->rewrite) || set->host_header != NULL;
	struct json *headers;

	for (unsigned what = 0; what < HEADER_EDITS; what++)
		any = any || cli_given(cli, &set->edits[what]);
	if (!any)
		return;
	headers = cli_body_object(e, obj, "headers");
	if (cli_given(cli, &set->rewrite))
		cli_body_bool(e, headers, "rewrite", set->rewrite);
	if (set->host_header != NULL)
		cli_body_host(e, headers, set->host_header);
	for (unsigned what = 0; what < HEADER_EDITS; what++)
		if (cli_given(cli, &set->edits[what]))
			cli_body_list(e, headers, header_edit_name(what), &set->edits[what]);
}

int cli_body_tunnel(struct cli *cli, int *e, struct json *obj, const struct json *now)
{
	const struct cli_options *set = cli->set;

	if (cli_given(cli, &set->kind))
		cli_body_text(e, obj, "kind", tunnel_word_kinds[set->kind]);
	if (cli_given(cli, &set->enabled))
		cli_body_bool(e, obj, "enabled", set->enabled);
	cli_body_ingress(cli, e, obj);
	cli_body_target(cli, e, obj);
	cli_body_transport(cli, e, obj);
	cli_body_headers(cli, e, obj);
	return cli_body_visitors(cli, e, obj, now);
}
