/*
 * Everything that can be said of a service stands here once: how it is written, for which kinds of
 * tunnels it is, and what it is called where the server hears it.
 */
#include "cli/services_internal.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "base/show.h"
#include "config/say.h"
#include "proto/header_edit.h"

/* Of one tunnel, at most; a server takes no more. */
#define USERS_MAX  16
#define TOKENS_MAX 8
#define BLOCKS_MAX 32

/* Bytes of a user's name and of a password, at most. */
#define USER_MAX     63
#define PASSWORD_MAX 512

/* ---- checks that only this file needs ---- */

static int services_check_token(struct str value, char *reason, size_t reason_cap)
{
	bool ok = value.len >= 16 && value.len <= 128;

	for (size_t i = 0; i < value.len && ok; i++)
		ok = value.p[i] > ' ' && value.p[i] < 0x7f;
	if (!ok)
		str_printf(reason, reason_cap,
			   "a token has 16 to 128 letters, digits and signs, no spaces");
	return ok ? 0 : ERR_INVAL;
}

static int services_check_user_name(struct str value, char *reason, size_t reason_cap)
{
	bool ok = value.len > 0 && value.len <= USER_MAX;

	for (size_t i = 0; i < value.len && ok; i++)
		ok = (unsigned char)value.p[i] >= ' ' && value.p[i] != 0x7f && value.p[i] != ':';
	if (!ok)
		str_printf(reason, reason_cap,
			   "is not a user name: expected 1-%d bytes without a colon", USER_MAX);
	return ok ? 0 : ERR_INVAL;
}

static int services_check_password(struct str value, char *reason, size_t reason_cap)
{
	if (value.len > 0 && value.len <= PASSWORD_MAX)
		return 0;
	str_printf(reason, reason_cap, "a password has 1 to %d bytes", PASSWORD_MAX);
	return ERR_INVAL;
}

/* ---- rows ---- */

#define FOR_ALL	 SERVICES_OF_ALL
#define FOR_HTTP SERVICES_OF_HTTP

const struct services_row services_rows[SERVICES_MEMBERS] = {
	[SERVICES_KIND] = {.key = "kind",
			   .type = SERVICES_A_WORD,
			   .kinds = FOR_ALL,
			   .words = tunnel_word_kinds},
	[SERVICES_TARGET] = {.key = "target", .type = SERVICES_A_TEXT, .kinds = FOR_ALL},
	[SERVICES_NAME] = {.key = "name",
			   .type = SERVICES_A_TEXT,
			   .kinds = FOR_ALL,
			   .check = cli_check_name},
	[SERVICES_ENABLED] = {.key = "enabled", .type = SERVICES_A_FLAG, .kinds = FOR_ALL},
	[SERVICES_PORT] = {.key = "port",
			   .type = SERVICES_A_NUMBER,
			   .kinds = SERVICES_OF_TCP,
			   .max = UINT16_MAX,
			   .wish = "port",
			   .usual = "0"},
	[SERVICES_BIND] = {.key = "bind",
			   .type = SERVICES_A_TEXT,
			   .kinds = SERVICES_OF_TCP,
			   .check = cli_check_bind,
			   .wish = "bind",
			   .usual = ""},
	[SERVICES_DOMAINS] = {.key = "domains",
			      .alias = "domain",
			      .type = SERVICES_TEXTS,
			      .kinds = FOR_HTTP | SERVICES_OF_TLS,
			      .max = CONTROL_DOMAINS_MAX,
			      .check = cli_check_host,
			      .wish = "domains"},
	[SERVICES_TLS] = {.key = "tls",
			  .type = SERVICES_A_WORD,
			  .kinds = SERVICES_OF_TLS,
			  .words = tunnel_word_tlses,
			  .wish = "tls",
			  .usual = "pass"},
	[SERVICES_PROXY] = {.key = "proxy_protocol",
			    .type = SERVICES_A_WORD,
			    .kinds = FOR_ALL,
			    .words = tunnel_word_proxies,
			    .wish = "proxy_protocol",
			    .usual = "none"},
	[SERVICES_POLICY] = {.key = "policy",
			     .type = SERVICES_A_WORD,
			     .kinds = FOR_ALL,
			     .words = tunnel_word_policies,
			     .wish = "policy",
			     .usual = "least-conn"},
	[SERVICES_MAX_SESSIONS] = {.key = "max_sessions",
				   .type = SERVICES_A_NUMBER,
				   .kinds = FOR_ALL,
				   .min = 1,
				   .max = 64,
				   .wish = "max_sessions",
				   .usual = "64"},
	[SERVICES_DRAIN] = {.key = "drain",
			    .type = SERVICES_A_SPAN,
			    .kinds = FOR_ALL,
			    .max = CONTROL_DRAIN_MAX,
			    .wish = "drain_ms",
			    .usual = "30000"},
	[SERVICES_PRIORITY] = {.key = "priority",
			       .type = SERVICES_A_NUMBER,
			       .kinds = FOR_ALL,
			       .max = UINT16_MAX},
	[SERVICES_HEALTH] = {.key = "health",
			     .type = SERVICES_A_TEXT,
			     .kinds = FOR_ALL,
			     .check = cli_check_health},
	[SERVICES_HEALTH_INTERVAL] = {.key = "health_interval",
				      .type = SERVICES_A_SPAN,
				      .kinds = FOR_ALL,
				      .min = 500,
				      .max = 3600000},
	[SERVICES_HEALTH_RISE] = {.key = "health_rise",
				  .type = SERVICES_A_NUMBER,
				  .kinds = FOR_ALL,
				  .min = 1,
				  .max = 100},
	[SERVICES_HEALTH_FALL] = {.key = "health_fall",
				  .type = SERVICES_A_NUMBER,
				  .kinds = FOR_ALL,
				  .min = 1,
				  .max = 100},
	[SERVICES_INSECURE] = {.key = "target_insecure", .type = SERVICES_A_FLAG, .kinds = FOR_ALL},
	[SERVICES_USERS] = {.key = "users",
			    .type = SERVICES_OF_USERS,
			    .kinds = FOR_HTTP,
			    .max = USERS_MAX,
			    .wish = "visitors.basic"},
	[SERVICES_TOKENS] = {.key = "tokens",
			     .type = SERVICES_TEXTS,
			     .kinds = FOR_HTTP,
			     .max = TOKENS_MAX,
			     .check = services_check_token,
			     .secret = true,
			     .wish = "visitors.bearer"},
	[SERVICES_ALLOW] = {.key = "allow",
			    .type = SERVICES_TEXTS,
			    .kinds = FOR_ALL,
			    .max = BLOCKS_MAX,
			    .check = cli_check_block,
			    .wish = "visitors.allow"},
	[SERVICES_DENY] = {.key = "deny",
			   .type = SERVICES_TEXTS,
			   .kinds = FOR_ALL,
			   .max = BLOCKS_MAX,
			   .check = cli_check_block,
			   .wish = "visitors.deny"},
	[SERVICES_AUTH_URL] = {.key = "auth_url",
			       .type = SERVICES_A_TEXT,
			       .kinds = FOR_HTTP,
			       .check = cli_check_hook,
			       .wish = "visitors.auth_url",
			       .usual = ""},
	[SERVICES_HOST_HEADER] = {.key = "host_header",
				  .type = SERVICES_A_TEXT,
				  .kinds = FOR_HTTP,
				  .check = cli_check_host_header,
				  .wish = "headers.host",
				  .usual = "keep"},
	[SERVICES_REQUEST_ADD] = {.key = "request_header_add",
				  .type = SERVICES_TEXTS,
				  .kinds = FOR_HTTP,
				  .max = HEADER_EDIT_MAX,
				  .check = cli_check_request_add,
				  .wish = "headers.request_add"},
	[SERVICES_REQUEST_REMOVE] = {.key = "request_header_remove",
				     .type = SERVICES_TEXTS,
				     .kinds = FOR_HTTP,
				     .max = HEADER_EDIT_MAX,
				     .check = cli_check_request_remove,
				     .wish = "headers.request_remove"},
	[SERVICES_RESPONSE_ADD] = {.key = "response_header_add",
				   .type = SERVICES_TEXTS,
				   .kinds = FOR_HTTP,
				   .max = HEADER_EDIT_MAX,
				   .check = cli_check_response_add,
				   .wish = "headers.response_add"},
	[SERVICES_RESPONSE_REMOVE] = {.key = "response_header_remove",
				      .type = SERVICES_TEXTS,
				      .kinds = FOR_HTTP,
				      .max = HEADER_EDIT_MAX,
				      .check = cli_check_response_remove,
				      .wish = "headers.response_remove"},
};

bool services_key_is(struct str key, const char *word)
{
	size_t i = 0;

	for (; i < key.len && word[i] != '\0'; i++)
		if ((key.p[i] == '-' ? '_' : key.p[i]) != word[i])
			return false;
	return i == key.len && word[i] == '\0';
}

/* ---- values ---- */

/*
 * As much of a wrong value as may be repeated, since complaints end up in logs: of a header to be
 * added its name, of a URL with a password nothing.
 */
static struct str services_shown(struct str text, bool adds)
{
	size_t n = 0;

	if (!adds)
		return str_find(text, '@') < text.len && str_find(text, ':') < text.len ? STR("")
											: text;
	while (n < text.len && text.p[n] > ' ' && text.p[n] != ':')
		n++;
	return (struct str){text.p, n < text.len && text.p[n] == ':' ? n + 1 : n};
}

int services_check_text(const struct cli_file *f, const struct tree *value,
			int (*check)(struct str value, char *reason, size_t reason_cap),
			bool secret)
{
	bool adds = check == cli_check_request_add || check == cli_check_response_add;
	char reason[256] = "", quoted[SAY_QUOTED], line[256];
	struct str shown;

	if (value->kind != TREE_SCALAR)
		return cli_file_fail(f, value, "must be one value");
	if (check(value->text, reason, sizeof reason) == 0)
		return 0;
	show_line(line, sizeof line, str_of(reason));
	shown = services_shown(value->text, adds);
	if (secret || (shown.len == 0 && value->text.len > 0))
		return cli_file_fail(f, value, "%s", line);
	return cli_file_fail(f, value, "%s %s", say_quote(quoted, shown), line);
}

static int services_check_word(const struct cli_file *f, const struct services_row *row,
			       const struct tree *value)
{
	struct guess g = {.word = value->text};
	char quoted[SAY_QUOTED], all[128] = "";
	size_t len = 0;
	unsigned place;

	if (tunnel_word_find(row->words, value->text, &place) == 0)
		return 0;
	for (size_t i = 0; row->words[i] != NULL; i++) {
		guess_offer(&g, row->words[i]);
		len += str_printf(all + len, sizeof all - len, "%s%s", i == 0 ? "" : ", ",
				  row->words[i]);
	}
	return cli_file_fail(f, value, "%s is none of %s%s%s%s", say_quote(quoted, value->text),
			     all, g.best == NULL ? "" : "; did you mean ",
			     g.best == NULL ? "" : g.best, g.best == NULL ? "" : "?");
}

/* A span as people write it. */
static const char *services_span(char out[32], uint64_t ms)
{
	uint64_t unit = ms % 3600000 == 0 && ms > 0 ? 3600000 : ms % 1000 == 0 ? 1000 : 1;

	str_printf(out, 32, "%llu%s", (unsigned long long)(ms / unit),
		   unit == 1	  ? "ms"
		   : unit == 1000 ? "s"
				  : "h");
	return out;
}

static int services_check_number(const struct cli_file *f, const struct services_row *row,
				 const struct tree *value)
{
	char quoted[SAY_QUOTED], from[32], to[32];
	uint64_t n;

	say_quote(quoted, value->text);
	if (row->type == SERVICES_A_NUMBER) {
		if (num_parse(value->text, row->max, &n) == 0 && n >= row->min)
			return 0;
		return cli_file_fail(f, value, "%s is not a number from %llu to %llu", quoted,
				     (unsigned long long)row->min, (unsigned long long)row->max);
	}
	if (num_parse_duration(value->text, &n) == 0 && n >= row->min && n <= row->max)
		return 0;
	return cli_file_fail(f, value, "%s is not a time from %s to %s, as 30s", quoted,
			     services_span(from, row->min), services_span(to, row->max));
}

/* Each user has a name that no other one has, and a password. */
static int services_check_users(const struct cli_file *f, const struct tree *list)
{
	int e = cli_file_users(f, list);

	for (const struct tree *u = list->child; u != NULL && e == 0; u = u->next) {
		const struct tree *name = cli_file_user(u, "user");
		const struct tree *password = cli_file_user(u, "password");

		if (name == NULL || password == NULL)
			return cli_file_fail(f, u, "a user is \"user\" and \"password\"");
		e = services_check_text(f, name, services_check_user_name, false);
		if (e == 0)
			e = services_check_text(f, password, services_check_password, true);
		for (const struct tree *o = list->child; o != u && e == 0; o = o->next)
			if (str_eq(cli_file_user(o, "user")->text, name->text))
				e = cli_file_fail(f, name, "this user stands in line %u already",
						  o->line);
	}
	return e;
}

static int services_check_list(const struct cli_file *f, const struct services_row *row,
			       const struct tree *value)
{
	size_t n = 0;
	int e = 0;

	if (row->type == SERVICES_TEXTS && value->kind == TREE_SCALAR)
		return services_check_text(f, value, row->check, row->secret);
	if (value->kind != TREE_SEQUENCE)
		return cli_file_fail(f, value, "must be a list");
	for (const struct tree *item = value->child; item != NULL; item = item->next)
		if (++n > row->max)
			return cli_file_fail(f, item, "too many: %llu are the most",
					     (unsigned long long)row->max);
	if (row->type == SERVICES_OF_USERS)
		return services_check_users(f, value);
	for (const struct tree *item = value->child; item != NULL && e == 0; item = item->next)
		e = services_check_text(f, item, row->check, row->secret);
	return e;
}

int services_check_value(const struct cli_file *f, const struct services_row *row,
			 const struct tree *value)
{
	bool on;

	if (row->type == SERVICES_TEXTS || row->type == SERVICES_OF_USERS)
		return services_check_list(f, row, value);
	if (value->kind != TREE_SCALAR)
		return cli_file_fail(f, value, "must be one value");
	switch (row->type) {
	case SERVICES_A_WORD: return services_check_word(f, row, value);
	case SERVICES_A_NUMBER:
	case SERVICES_A_SPAN: return services_check_number(f, row, value);
	case SERVICES_A_FLAG:
		return cli_file_flag(value->text, &on)
			       ? 0
			       : cli_file_fail(f, value, "must be true or false");
	default:
		return row->check == NULL ? 0
					  : services_check_text(f, value, row->check, row->secret);
	}
}

uint64_t services_number(const struct services_row *row, const struct tree *value)
{
	uint64_t n = 0;
	unsigned place;
	bool on;

	switch (row->type) {
	case SERVICES_A_WORD:
		CHECK(tunnel_word_find(row->words, value->text, &place) == 0);
		return place;
	case SERVICES_A_SPAN: CHECK(num_parse_duration(value->text, &n) == 0); return n;
	case SERVICES_A_FLAG: CHECK(cli_file_flag(value->text, &on)); return on;
	default: CHECK(num_parse(value->text, row->max, &n) == 0); return n;
	}
}
