/*
 * What stands on the screen of `ssh -R`: a line for each tunnel, for each refusal, for each
 * request; or the same as JSON for programs.
 *
 * Visitors choose much of it, and terminals obey what they are sent: only printable ASCII leaves
 * this file.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "gateway/gateway_ssh.h"
#include "proto/json.h"
#include "proto/time_text.h"

/* Characters of a line about a request, and bytes of a path as programs get it. */
#define GATEWAY_SSH_LINE_MAX 200
#define GATEWAY_SSH_PATH_MAX 2048

/* Bytes of one JSON line. */
#define GATEWAY_SSH_JSON_MAX (16 * 1024)

/* "12:01:02" within a moment as text. */
#define GATEWAY_SSH_CLOCK_AT  11
#define GATEWAY_SSH_CLOCK_LEN 8

static const char *const gateway_ssh_kinds[] = {
	[SSH_FORWARD_HTTP] = "http",
	[SSH_FORWARD_TLS] = "tls",
	[SSH_FORWARD_TCP] = "tcp",
};

static void gateway_ssh_write(const struct gateway_ssh *s, const char *text)
{
	if (s->shown)
		(void)secsh_node_say(s->entry.session, str_of(text)); /* too much waits: dropped */
}

void gateway_ssh_screen_say(struct gateway_ssh *s, const char *text)
{
	if (!s->words.json)
		gateway_ssh_write(s, text);
}

/* ---- for programs ---- */

/* A line that is being made; e is what went wrong first. */
struct gateway_ssh_json {
	struct json *j; /* owned */
	int e;
};

static void gateway_ssh_set(struct gateway_ssh_json *o, const char *key, struct str value)
{
	char text[GATEWAY_SSH_PATH_MAX];
	size_t n = show_ascii(text, sizeof text, value);

	if (o->e == 0)
		o->e = json_set_text(o->j, key, (struct str){text, n});
}

static void gateway_ssh_set_number(struct gateway_ssh_json *o, const char *key, uint64_t value)
{
	if (o->e == 0)
		o->e = json_set_number(o->j, key, MIN(value, JSON_NUMBER_MAX));
}

static void gateway_ssh_set_urls(struct gateway_ssh_json *o, const struct gateway_ssh_forward *f)
{
	struct json *list = NULL;

	if (o->e == 0)
		o->e = json_new_list(&list);
	for (size_t i = 0; i < f->n_urls && o->e == 0; i++)
		o->e = json_add_text(list, str_of(f->urls[i]));
	if (o->e == 0)
		o->e = json_set(o->j, "urls", &list);
	json_free(list);
}

static void gateway_ssh_set_requested(struct gateway_ssh_json *o,
				      const struct gateway_ssh_forward *f)
{
	struct gateway_ssh_json in = {.e = o->e};

	if (in.e == 0)
		in.e = json_new_object(&in.j);
	gateway_ssh_set(&in, "address", (struct str){f->address, f->address_len});
	gateway_ssh_set_number(&in, "port", f->port);
	if ((o->e = in.e) == 0)
		o->e = json_set(o->j, "requested", &in.j);
	json_free(in.j);
}

static struct gateway_ssh_json gateway_ssh_json_begin(const char *event)
{
	struct gateway_ssh_json o = {.e = 0};

	o.e = json_new_object(&o.j);
	gateway_ssh_set(&o, "event", str_of(event));
	return o;
}

/* Memory that is short, or a line that is too long, costs this line only. */
static void gateway_ssh_json_end(const struct gateway_ssh *s, struct gateway_ssh_json *o)
{
	struct buf line = {0};

	if (o->e == 0 && json_write(o->j, GATEWAY_SSH_JSON_MAX, &line) == 0 &&
	    buf_add(&line, "\n", 1, GATEWAY_SSH_JSON_MAX + 1) == 0)
		(void)secsh_node_say(s->entry.session, buf_str(&line));
	json_free(o->j);
	buf_free(&line);
}

/* ---- tunnels ---- */

/* The request as it was typed, or might have been. */
static void gateway_ssh_spell(const struct gateway_ssh_forward *f, char out[GATEWAY_SSH_SHOWN])
{
	struct str address = {f->address, f->address_len};
	char shown[GATEWAY_SSH_SHOWN - 16];

	show_ascii(shown, sizeof shown, address);
	if (str_eq(address, STR("localhost")))
		str_printf(out, GATEWAY_SSH_SHOWN, "-R %u", f->port);
	else if (address.len == 0)
		str_printf(out, GATEWAY_SSH_SHOWN, "-R '*:%u'", f->port);
	else
		str_printf(out, GATEWAY_SSH_SHOWN, "-R %s:%u", shown, f->port);
}

/* Does nobody but the server's own machine reach it? */
static bool gateway_ssh_is_local(const struct gateway_ssh_forward *f, const char *url)
{
	static const char *const local[] = {"tcp://localhost:", "tcp://127.", "tcp://[::1]:"};

	if (f->wanted.kind != SSH_FORWARD_TCP || f->wanted.bind[0] == '\0')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(local); i++)
		if (str_starts(str_of(url), str_of(local[i])))
			return true;
	return false;
}

static void gateway_ssh_forward_json(const struct gateway_ssh *s,
				     const struct gateway_ssh_forward *f)
{
	struct gateway_ssh_json o = gateway_ssh_json_begin("forward");

	gateway_ssh_set(&o, "tunnel", str_of(f->tunnel));
	gateway_ssh_set(&o, "kind", str_of(gateway_ssh_kinds[f->wanted.kind]));
	gateway_ssh_set_urls(&o, f);
	gateway_ssh_set_requested(&o, f);
	gateway_ssh_json_end(s, &o);
}

void gateway_ssh_screen_forward(struct gateway_ssh *s, const struct gateway_ssh_forward *f)
{
	char line[HOSTNAME_MAX + CORE_URL_TEXT + 128], note[96] = "";

	if (!s->shown)
		return;
	if (s->words.json) {
		gateway_ssh_forward_json(s, f);
		return;
	}
	for (size_t i = 0; i < f->n_urls; i++) {
		if (gateway_ssh_is_local(f, f->urls[i]))
			str_printf(note, sizeof note,
				   "  (only on the server itself; -R '*:%u:...' is public)",
				   f->port);
		str_printf(line, sizeof line, "%s  %s%s\n", f->tunnel, f->urls[i], note);
		gateway_ssh_write(s, line);
	}
}

void gateway_ssh_screen_refused(struct gateway_ssh *s, const struct gateway_ssh_forward *f)
{
	char line[CORE_REASON_TEXT * 5 + GATEWAY_SSH_SHOWN + 16], spelled[GATEWAY_SSH_SHOWN];
	struct gateway_ssh_json o;

	if (!s->shown)
		return;
	if (!s->words.json) {
		gateway_ssh_spell(f, spelled);
		str_printf(line, sizeof line, "%s  refused: %s\n", spelled, gateway_ssh_reason(f));
		gateway_ssh_write(s, line);
		return;
	}
	o = gateway_ssh_json_begin("refused");
	gateway_ssh_set(&o, "code", str_of(err_name(f->why)));
	gateway_ssh_set(&o, "reason", str_of(gateway_ssh_reason(f)));
	gateway_ssh_set_requested(&o, f);
	gateway_ssh_json_end(s, &o);
}

void gateway_ssh_screen_detached(struct gateway_ssh *s, const char *tunnel, int code,
				 const char *reason)
{
	char line[HOSTNAME_MAX + CORE_REASON_TEXT * 5];
	struct gateway_ssh_json o;

	if (!s->shown)
		return;
	if (!s->words.json) {
		str_printf(line, sizeof line, "%s  %s%s\n", tunnel, code != 0 ? "taken away: " : "",
			   reason);
		gateway_ssh_write(s, line);
		return;
	}
	o = gateway_ssh_json_begin("detached");
	gateway_ssh_set(&o, "tunnel", str_of(tunnel));
	gateway_ssh_set(&o, "code", str_of(err_name(code)));
	gateway_ssh_set(&o, "reason", str_of(reason));
	gateway_ssh_json_end(s, &o);
}

/* ---- what visitors do ---- */

/* What stands around the path, which alone is cut: " 200 12 ms 198.51.100.7". */
static size_t gateway_ssh_tail(const struct visit *visit, const struct core_served *what,
			       char out[GATEWAY_SSH_LINE_MAX])
{
	char bytes[64] = "", status[16] = "";

	if (what->method == NULL)
		str_printf(bytes, sizeof bytes, " %llu B up %llu B down",
			   (unsigned long long)what->up, (unsigned long long)what->down);
	else if (what->status != 0)
		str_printf(status, sizeof status, " %u", what->status);
	else
		str_printf(status, sizeof status, " -");
	return str_printf(out, GATEWAY_SSH_LINE_MAX, "%s %llu ms %s%s", status,
			  (unsigned long long)what->ms, visit->visitor.ip, bytes);
}

static void gateway_ssh_served_text(const struct gateway_ssh *s, const struct visit *visit,
				    const struct core_served *what)
{
	char line[GATEWAY_SSH_LINE_MAX + 2], tail[GATEWAY_SSH_LINE_MAX], when[TIME_TEXT];
	char tunnel[HOSTNAME_LABEL_MAX + 2] = "", method[16] = "connection";
	size_t n, tail_len = gateway_ssh_tail(visit, what, tail);

	time_text_format(ev_wall_ms(s->entry.gateway->ev), when);
	if (gateway_ssh_n(s, GATEWAY_SSH_SERVED) > 1)
		str_printf(tunnel, sizeof tunnel, "%.60s ", visit->tunnel);
	if (what->method != NULL)
		show_ascii(method, sizeof method, str_of(what->method));
	n = str_printf(line, sizeof line, "%.*s %s%s", GATEWAY_SSH_CLOCK_LEN,
		       when + GATEWAY_SSH_CLOCK_AT, tunnel, method);
	if (what->method != NULL) {
		line[n++] = ' ';
		n += show_ascii(line + n, GATEWAY_SSH_LINE_MAX - n - tail_len + 1,
				str_of(what->path));
	}
	str_printf(line + n, sizeof line - n, "%s\n", tail);
	gateway_ssh_write(s, line);
}

static void gateway_ssh_served_json(const struct gateway_ssh *s, const struct visit *visit,
				    const struct core_served *what)
{
	bool request = what->method != NULL;
	struct gateway_ssh_json o = gateway_ssh_json_begin(request ? "request" : "connection");
	char when[TIME_TEXT];

	time_text_format(ev_wall_ms(s->entry.gateway->ev), when);
	gateway_ssh_set(&o, "time", str_of(when));
	gateway_ssh_set(&o, "tunnel", str_of(visit->tunnel));
	gateway_ssh_set(&o, "visitor", str_of(visit->visitor.ip));
	if (request) {
		gateway_ssh_set(&o, "method", str_of(what->method));
		gateway_ssh_set(&o, "path", str_of(what->path));
	}
	if (request && what->status != 0)
		gateway_ssh_set_number(&o, "status", what->status);
	gateway_ssh_set_number(&o, "ms", what->ms);
	gateway_ssh_set_number(&o, "up", what->up);
	gateway_ssh_set_number(&o, "down", what->down);
	if (what->why != 0)
		gateway_ssh_set(&o, "code", str_of(err_name(what->why)));
	gateway_ssh_json_end(s, &o);
}

void gateway_ssh_screen_served(struct gateway_ssh *s, const struct visit *visit,
			       const struct core_served *what)
{
	if (!s->shown || s->words.quiet)
		return;
	if (s->words.json)
		gateway_ssh_served_json(s, visit, what);
	else if (s->terminal)
		gateway_ssh_served_text(s, visit, what);
}

/* ---- the beginning ---- */

static void gateway_ssh_screen_account(struct gateway_ssh *s)
{
	struct gateway_ssh_json o;
	char line[160];

	if (s->number[0] == '\0')
		return;
	if (s->words.json) {
		o = gateway_ssh_json_begin("account");
		gateway_ssh_set(&o, "account", str_of(s->entry.who.who.account));
		gateway_ssh_set(&o, "number", str_of(s->number));
		gateway_ssh_json_end(s, &o);
	} else {
		str_printf(line, sizeof line,
			   "this is a new account; its number, shown this once: %s\n", s->number);
		gateway_ssh_write(s, line);
		explicit_bzero(line, sizeof line);
	}
	explicit_bzero(s->number, sizeof s->number);
}

void gateway_ssh_screen_begin(struct gateway_ssh *s)
{
	gateway_ssh_screen_account(s);
	LIST_FOR_EACH (link, &s->forwards) {
		const struct gateway_ssh_forward *f =
			CONTAINER_OF(link, struct gateway_ssh_forward, link);

		if (f->state == GATEWAY_SSH_SERVED)
			gateway_ssh_screen_forward(s, f);
		else if (f->state == GATEWAY_SSH_REFUSED)
			gateway_ssh_screen_refused(s, f);
	}
	gateway_ssh_forget_refused(s);
}
