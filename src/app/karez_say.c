/* What strangers sent is shown with its control characters made visible, here and nowhere else. */
#include "app/karez_say.h"

#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/show.h"
#include "proto/json.h"

/* Bytes of a stranger's text that are shown. */
#define SAY_TEXT_MAX 2048

/* Bytes of one JSON line. */
#define SAY_JSON_MAX 16384

/* A stranger's text, cut at SAY_TEXT_MAX. */
static const char *karez_say_clean(char out[SAY_TEXT_MAX], const char *text)
{
	show_text(out, SAY_TEXT_MAX, str_of(text));
	return out;
}

/* ---- JSON ---- */

/* One object on its way; errors stay, and then nothing is printed. */
struct karez_object {
	struct json *j;
	int e;
};

static struct karez_object karez_object_new(const char *event)
{
	struct karez_object o = {NULL, 0};

	if ((o.e = json_new_object(&o.j)) == 0)
		o.e = json_set_text(o.j, "event", str_of(event));
	return o;
}

static void karez_object_text(struct karez_object *o, const char *key, const char *text)
{
	char clean[SAY_TEXT_MAX];

	if (o->e == 0)
		o->e = json_set_text(o->j, key, str_of(karez_say_clean(clean, text)));
}

static void karez_object_number(struct karez_object *o, const char *key, uint64_t number)
{
	if (o->e == 0)
		o->e = json_set_number(o->j, key, number);
}

static void karez_object_print(const struct karez_say *say, struct karez_object *o)
{
	struct buf text = {0};

	if (o->e == 0 && json_write(o->j, SAY_JSON_MAX, &text) == 0) {
		fprintf(say->out, STR_FMT "\n", STR_ARG(buf_str(&text)));
		fflush(say->out);
	}
	buf_free(&text);
	json_free(o->j);
}

static void karez_object_bool(struct karez_object *o, const char *key, bool flag)
{
	if (o->e == 0)
		o->e = json_set_bool(o->j, key, flag);
}

/* *list  taken over; e: how making it ended. */
static void karez_object_list(struct karez_object *o, const char *key, int e, struct json **list)
{
	if (o->e == 0)
		o->e = e != 0 ? e : json_set(o->j, key, list);
	json_free(*list);
	*list = NULL;
}

/* ---- coming online ---- */

/* What is behind a port has no scheme that anybody types. */
static const char *karez_say_place(const char *url)
{
	return str_starts(str_of(url), STR("tcp://")) ? url + 6 : url;
}

/* Where programs find it, without taking the URL apart. */
static void karez_say_host(struct karez_object *o, const char *text)
{
	struct url url;

	if (url_parse(str_of(text), &url, NULL) != 0)
		return; /* a wildcard */
	karez_object_text(o, "host", url.host);
	karez_object_number(o, "port", url.port);
}

/* service: what a services file calls it; NULL: nothing does. */
static void karez_say_online_json(const struct karez_say *say, const struct agent_online *o,
				  const char *service, const char *target)
{
	struct karez_object object = karez_object_new("online");
	struct json *urls = NULL;
	int e = json_new_list(&urls);

	if (service != NULL)
		karez_object_text(&object, "service", service);
	karez_object_text(&object, "url", o->url);
	karez_say_host(&object, o->url);
	for (size_t i = 0; i < o->n_urls && e == 0; i++)
		e = json_add_text(urls, str_of(o->urls[i]));
	karez_object_list(&object, "urls", e, &urls);
	karez_object_text(&object, "name", o->name);
	karez_object_text(&object, "target", target);
	karez_object_print(say, &object);
}

void karez_say_online(const struct karez_say *say, const struct agent_online *o)
{
	char target[URL_TEXT_MAX];

	url_format(o->target, target);
	if (say->json) {
		karez_say_online_json(say, o, NULL, target);
		return;
	}
	if (say->quiet)
		return;
	if (o->again) {
		fprintf(say->err, "karez: back again at %s\n", karez_say_place(o->url));
		return;
	}
	if (say->bare)
		fprintf(say->out, "Port %u is now publicly accessible from %s ...\n",
			o->target->port, karez_say_place(o->url));
	else
		fprintf(say->out, "%s is now publicly accessible from %s ...\n",
			karez_say_place(target), karez_say_place(o->url));
	for (size_t i = 1; i < o->n_urls; i++)
		fprintf(say->out, "  and from %s\n", karez_say_place(o->urls[i]));
	fflush(say->out);
}

/* ---- services ---- */

static void karez_say_offering_json(const struct karez_say *say)
{
	struct karez_object object = karez_object_new("offering");
	struct json *names = NULL;
	int e = json_new_list(&names);

	karez_object_text(&object, "server", say->server);
	karez_object_text(&object, "agent", say->agent);
	for (size_t i = 0; i < say->n_names && e == 0; i++)
		e = json_add_text(names, str_of(say->names[i]));
	karez_object_list(&object, "services", e, &names);
	karez_object_print(say, &object);
}

void karez_say_offering(const struct karez_say *say, bool again)
{
	if (say->json) {
		karez_say_offering_json(say);
		return;
	}
	if (say->quiet)
		return;
	if (again) {
		fprintf(say->err, "karez: back again at %s\n", say->server);
		return;
	}
	fprintf(say->out, "Agent %s offers", say->agent);
	for (size_t i = 0; i < say->n_names; i++)
		fprintf(say->out, "%s %s", i > 0 ? "," : "", say->names[i]);
	fprintf(say->out, " to the tunnels of its account at %s ...\n", say->server);
	fflush(say->out);
}

void karez_say_assigned(const struct karez_say *say, const struct agent_assigned *t)
{
	const char *service = t->service[0] != '\0' ? t->service : t->name;
	char target[URL_TEXT_MAX] = "";

	if (t->target != NULL)
		url_format(t->target, target);
	if (say->json) {
		struct karez_object object = karez_object_new("online");

		karez_object_text(&object, "name", t->name);
		karez_object_text(&object, "service", service);
		if (t->target != NULL)
			karez_object_text(&object, "target", target);
		karez_object_print(say, &object);
		return;
	}
	if (t->target == NULL) {
		fprintf(say->err,
			"karez: the server gives us the tunnel %s, but no service is called %s "
			"here\n",
			t->name, service);
	} else if (!say->quiet) {
		fprintf(say->out, "The tunnel %s is now served by %s (%s) ...\n", t->name, service,
			karez_say_place(target));
		fflush(say->out);
	}
}

void karez_say_taken(const struct karez_say *say, const char *name, int code, const char *reason)
{
	char clean[SAY_TEXT_MAX];
	const char *why = reason[0] != '\0' ? karez_say_clean(clean, reason) : err_text(code);

	if (say->json) {
		struct karez_object object = karez_object_new("taken");

		karez_object_text(&object, "name", name);
		karez_object_text(&object, "code", err_name(code));
		karez_object_text(&object, "reason", why);
		karez_object_print(say, &object);
	} else if (!say->quiet) {
		fprintf(say->err, "karez: the tunnel %s is no longer served here: %s\n", name, why);
	}
}

void karez_say_unknown(const struct karez_say *say, const char *tunnel, const char *service)
{
	if (say->json) {
		struct karez_object object = karez_object_new("unknown");

		karez_object_text(&object, "name", tunnel);
		karez_object_text(&object, "service", service);
		karez_object_print(say, &object);
	}
	fprintf(say->err,
		"karez: a visitor was refused: no service is called %s here (tunnel %s)\n",
		service[0] != '\0' ? service : tunnel, tunnel);
}

/* ---- other events ---- */

/* "in 0.3 s", "now". */
static void karez_say_delay(char *out, size_t cap, uint32_t ms)
{
	if (ms == 0)
		str_printf(out, cap, "now");
	else
		str_printf(out, cap, "in %u.%u s", ms / 1000, ms / 100 % 10);
}

void karez_say_offline(const struct karez_say *say, const struct agent_offline *o, bool trying)
{
	char clean[SAY_TEXT_MAX], delay[32];
	const char *why = o->reason[0] != '\0' ? karez_say_clean(clean, o->reason) : err_text(o->e);

	if (say->json) {
		struct karez_object object = karez_object_new("offline");

		karez_object_text(&object, "server", say->server);
		karez_object_text(&object, "code", err_name(o->e));
		karez_object_text(&object, "reason", why);
		if (trying)
			karez_object_number(&object, "retry_ms", o->retry_ms);
		karez_object_print(say, &object);
		if (trying)
			return;
	}
	fprintf(say->err, "karez: %s %s: %s",
		o->spoken ? "not accepted by"
		: o->lost ? "lost the connection to"
			  : "no connection to",
		say->server, why);
	karez_say_delay(delay, sizeof delay, o->retry_ms);
	if (trying)
		fprintf(say->err, "; trying again %s", delay);
	fputc('\n', say->err);
}

/* Whose fault a refused certificate is shows only when both names stand side by side. */
static void karez_say_who(const struct karez_say *say, int code, const char *why)
{
	bool ours = say->certificate && (code == ERR_AUTH || code == ERR_DENIED);

	if (code == ERR_AUTH && !say->certificate)
		fputs("; check KAREZ_TOKEN or --token-file, if you use them", say->err);
	if (!ours || strstr(why, say->agent) != NULL)
		return;
	if (say->cert_name[0] != '\0')
		fprintf(say->err, "; the certificate is for %s, and this agent calls itself %s",
			say->cert_name, say->agent);
	else
		fprintf(say->err, "; the certificate has no name, and this agent calls itself %s",
			say->agent);
}

void karez_say_ended(const struct karez_say *say, int code, const char *reason)
{
	char clean[SAY_TEXT_MAX];
	const char *why = reason[0] != '\0' ? karez_say_clean(clean, reason) : err_text(code);

	if (say->json) {
		struct karez_object object =
			karez_object_new(code == 0		    ? "stopped"
					 : code == ERR_REPLACED	    ? "replaced"
					 : code == ERR_DISCONNECTED ? "disconnected"
								    : "refused");

		if (code != 0) {
			karez_object_text(&object, "code", err_name(code));
			karez_object_text(&object, "reason", why);
		}
		karez_object_print(say, &object);
	}
	if (code == 0)
		return;
	fprintf(say->err, "karez: %s %s: %s",
		code == ERR_REPLACED || code == ERR_DELETED || code == ERR_DISCONNECTED
			? "ended by"
			: "refused by",
		say->server, why);
	karez_say_who(say, code, why);
	fputc('\n', say->err);
}

void karez_say_target(const struct karez_say *say, const struct url *to, int e)
{
	char target[URL_TEXT_MAX];

	url_format(to, target);
	if (say->json) {
		struct karez_object object = karez_object_new("target");

		karez_object_text(&object, "target", target);
		karez_object_text(&object, "code", err_name(e));
		karez_object_print(say, &object);
	} else if (e != 0) {
		fprintf(say->err, "karez: a visitor came, but %s cannot be reached: %s%s\n",
			karez_say_place(target), err_text(e),
			e == ERR_CERT ? "; --target-ca says whose certificates are" : "");
	} else {
		fprintf(say->err, "karez: %s can be reached again\n", karez_say_place(target));
	}
}

void karez_say_health(const struct karez_say *say, const struct url *to, bool up, const char *why)
{
	char target[URL_TEXT_MAX], clean[SAY_TEXT_MAX];

	url_format(to, target);
	karez_say_clean(clean, why);
	if (say->json) {
		struct karez_object object = karez_object_new("target");

		karez_object_text(&object, "target", target);
		karez_object_text(&object, "code", err_name(up ? 0 : ERR_TARGET));
		karez_object_bool(&object, "check", true);
		if (!up)
			karez_object_text(&object, "reason", clean);
		karez_object_print(say, &object);
	} else if (up) {
		fprintf(say->err, "karez: %s passes its health check again\n",
			karez_say_place(target));
	} else {
		fprintf(say->err,
			"karez: %s fails its health check: %s; visitors go to other agents, if "
			"there are any\n",
			karez_say_place(target), clean);
	}
}

static void karez_say_request_json(const struct karez_say *say, const struct peek_request *r,
				   int64_t wall_ms)
{
	struct karez_object object = karez_object_new("request");

	karez_object_number(&object, "time_ms", (uint64_t)wall_ms);
	karez_object_text(&object, "method", r->method);
	karez_object_text(&object, "path", r->path);
	karez_object_number(&object, "status", r->status);
	karez_object_number(&object, "ms", r->ms);
	karez_object_number(&object, "up", r->up);
	karez_object_number(&object, "down", r->down);
	karez_object_bool(&object, "cut", r->cut);
	karez_object_print(say, &object);
}

/* "17:04:59" here, "" when it cannot be told. */
static void karez_say_clock(char out[16], int64_t wall_ms)
{
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	out[0] = '\0';
	if (localtime_r(&at, &tm) != NULL)
		strftime(out, 16, "%H:%M:%S", &tm);
}

void karez_say_request(const struct karez_say *say, const struct peek_request *r, int64_t wall_ms)
{
	char method[SAY_TEXT_MAX], path[SAY_TEXT_MAX], clock[16], status[16] = "-";

	if (say->json) {
		karez_say_request_json(say, r, wall_ms);
		return;
	}
	karez_say_clock(clock, wall_ms);
	if (r->status != 0)
		str_printf(status, sizeof status, "%u", r->status);
	fprintf(say->out, "%s  %s %s  %s  %llu ms", clock, karez_say_clean(method, r->method),
		karez_say_clean(path, r->path), status, (unsigned long long)r->ms);
	if (say->verbose)
		fprintf(say->out, "  %llu bytes up, %llu down", (unsigned long long)r->up,
			(unsigned long long)r->down);
	fprintf(say->out, "%s\n", r->cut && r->status != 0 ? "  (cut)" : "");
	fflush(say->out);
}

/* "192.0.2.1:4711", "[::1]:4711"; "-" when it is not known. */
static void karez_say_end(const struct visit_end *end, char *out, size_t cap)
{
	bool v6 = strchr(end->ip, ':') != NULL;

	if (end->ip[0] == '\0')
		str_printf(out, cap, "-");
	else
		str_printf(out, cap, "%s%s%s:%u", v6 ? "[" : "", end->ip, v6 ? "]" : "", end->port);
}

void karez_say_connection(const struct karez_say *say, const struct target_connection *c,
			  int64_t wall_ms)
{
	char visitor[CIDR_IP_TEXT_MAX + 16], target[URL_TEXT_MAX], clock[16];

	karez_say_end(c->visitor, visitor, sizeof visitor);
	url_format(c->to, target);
	if (say->json) {
		struct karez_object object = karez_object_new("connection");

		karez_object_number(&object, "time_ms", (uint64_t)wall_ms);
		karez_object_text(&object, "visitor", visitor);
		karez_object_text(&object, "target", target);
		karez_object_number(&object, "up", c->up);
		karez_object_number(&object, "down", c->down);
		karez_object_number(&object, "ms", c->ms);
		karez_object_text(&object, "code", err_name(c->why));
		karez_object_print(say, &object);
		return;
	}
	karez_say_clock(clock, wall_ms);
	fprintf(say->out, "%s  %s -> %s  %llu bytes up, %llu down  %llu.%llu s%s%s\n", clock,
		visitor, karez_say_place(target), (unsigned long long)c->up,
		(unsigned long long)c->down, (unsigned long long)(c->ms / 1000),
		(unsigned long long)(c->ms / 100 % 10), c->why != 0 ? "  " : "",
		c->why != 0 ? err_text(c->why) : "");
	fflush(say->out);
}

/* ---- SSH ---- */

void karez_say_forward(const struct karez_say *say, const char *host,
		       const struct rforward_answer *a)
{
	char target[SSH_SPEC_TEXT], address[SSH_SPEC_ADDRESS_TEXT];

	ssh_spec_target(a->spec, target);
	ssh_spec_address_text(a->spec, address);
	if (say->json) {
		struct karez_object object =
			karez_object_new(a->e == 0 ? "forwarding" : "not-forwarding");

		karez_object_text(&object, "server", say->server);
		karez_object_text(&object, "address", a->spec->address);
		karez_object_number(&object, "port", a->port);
		if (!a->spec->socks)
			karez_object_text(&object, "target", target);
		karez_object_bool(&object, "socks", a->spec->socks);
		if (a->e != 0)
			karez_object_text(&object, "code", err_name(a->e));
		karez_object_print(say, &object);
	}
	if (a->e != 0) {
		fprintf(say->err, "karez: remote port forwarding failed for listen port %u\n",
			a->port);
	} else if (!say->json && !say->quiet) {
		if (a->spec->port == 0)
			fprintf(say->out, "Allocated port %u for remote forward to %s\n", a->port,
				target);
		else
			fprintf(say->out, "Forwarding %s:%u on %s to %s\n", address, a->port, host,
				target);
		fflush(say->out);
	}
}

void karez_say_ssh_up(const struct karez_say *say, bool again)
{
	if (say->json) {
		struct karez_object object = karez_object_new("online");

		karez_object_text(&object, "server", say->server);
		karez_object_print(say, &object);
	} else if (!say->quiet && (again || say->verbose)) {
		fprintf(say->err, "karez: %s %s\n", again ? "back again at" : "logged in as",
			say->server);
	}
}

void karez_say_ssh_ended(const struct karez_say *say, int code, const char *reason)
{
	char clean[SAY_TEXT_MAX];
	const char *why = reason[0] != '\0'  ? karez_say_clean(clean, reason)
			  : code == ERR_CERT ? "its host key is not acceptable"
					     : err_text(code);

	if (say->json) {
		struct karez_object object = karez_object_new(code == 0 ? "stopped" : "refused");

		if (code != 0) {
			karez_object_text(&object, "code", err_name(code));
			karez_object_text(&object, "reason", why);
		}
		karez_object_print(say, &object);
	}
	if (code == 0)
		return;
	if (code == ERR_AUTH && reason[0] != '\0') /* which names whom it refuses, as ssh does */
		fprintf(say->err, "karez: %s\n", why);
	else
		fprintf(say->err, "karez: %s %s: %s\n",
			code == ERR_CERT ? "not connected to" : "refused by", say->server, why);
}

/* ---- karez up ---- */

void karez_say_service(const struct karez_say *say, const char *service,
		       const struct agent_online *o)
{
	char target[URL_TEXT_MAX];

	url_format(o->target, target);
	if (say->json) {
		karez_say_online_json(say, o, service, target);
		return;
	}
	if (say->quiet)
		return;
	if (o->target->scheme == URL_SERVICES)
		fprintf(say->out, "%s is now publicly accessible from %s ...\n", service,
			karez_say_place(o->url));
	else
		fprintf(say->out, "%s (%s) is now publicly accessible from %s ...\n", service,
			karez_say_place(target), karez_say_place(o->url));
	for (size_t i = 1; i < o->n_urls; i++)
		fprintf(say->out, "  and from %s\n", karez_say_place(o->urls[i]));
	fflush(say->out);
}

void karez_say_back(const struct karez_say *say)
{
	if (say->json) {
		struct karez_object object = karez_object_new("back");

		karez_object_text(&object, "server", say->server);
		karez_object_print(say, &object);
	} else if (!say->quiet) {
		fprintf(say->err, "karez: back again at %s\n", say->server);
	}
}

void karez_say_edit(const struct karez_say *say, enum karez_edit edit, const char *service,
		    const struct url *target)
{
	static const char *const words[] = {"added", "changed", "removed"};
	char text[URL_TEXT_MAX];

	url_format(target, text);
	if (say->json) {
		struct karez_object object = karez_object_new(words[edit]);

		karez_object_text(&object, "service", service);
		karez_object_text(&object, "target", text);
		karez_object_print(say, &object);
	} else if (!say->quiet) {
		fprintf(say->out, "%s was %s in the services file (%s)\n", service, words[edit],
			karez_say_place(text));
		fflush(say->out);
	}
}

void karez_say_file(const struct karez_say *say, const char *why, bool stays)
{
	char clean[SAY_TEXT_MAX];

	karez_say_clean(clean, why);
	if (say->json) {
		struct karez_object object = karez_object_new("file");

		karez_object_text(&object, "reason", clean);
		karez_object_bool(&object, "stays", stays);
		karez_object_print(say, &object);
	}
	fprintf(say->err, "karez: %s%s\n", clean, stays ? "; what ran before stays as it was" : "");
}

void karez_say_no(const struct karez_say *say, enum karez_no no, const char *service, int code,
		  const char *reason)
{
	static const char *const events[] = {"lost", "kept", "delayed"};
	char clean[SAY_TEXT_MAX];
	const char *why = reason[0] != '\0' ? karez_say_clean(clean, reason) : err_text(code);

	if (say->json) {
		struct karez_object object = karez_object_new(events[no]);

		karez_object_text(&object, "service", service);
		karez_object_text(&object, "code", err_name(code));
		karez_object_text(&object, "reason", why);
		karez_object_print(say, &object);
	}
	if (no == KAREZ_NO_LOST)
		fprintf(say->err, "karez: %s is not served: %s says: %s\n", service, say->server,
			why);
	else if (no == KAREZ_NO_KEPT)
		fprintf(say->err, "karez: %s goes on as it was: %s refuses the change: %s\n",
			service, say->server, why);
	else
		fprintf(say->err, "karez: %s is not served yet: %s says: %s; trying again\n",
			service, say->server, why);
}

void karez_say_notice(const struct karez_say *say, const char *text)
{
	char clean[SAY_TEXT_MAX];

	fprintf(say->err, "karez: %s\n", karez_say_clean(clean, text));
}

void karez_say_no_server(const struct karez_say *say)
{
	fprintf(say->err, "karez: no server is named: use --server https://tunnel.example.com or "
			  "set KAREZ_SERVER\n"
			  "karez: to run one here: karezd --domain localhost --listen "
			  "127.0.0.1:8080 --allow-registration\n");
}

void karez_say_problem(const struct karez_say *say, const char *text)
{
	fprintf(say->err, "karez: %s\n", text);
}
