/* What strangers sent is shown with its control characters made visible, here and nowhere else. */
#include "app/karez_say.h"

#include <string.h>
#include <time.h>

#include "base/err.h"
#include "proto/json.h"

/* Bytes of a stranger's text that are shown. */
#define SAY_TEXT_MAX 2048

/* Bytes of one JSON line. */
#define SAY_JSON_MAX 16384

/* Any bytes as printable ASCII, cut at SAY_TEXT_MAX. */
static const char *karez_say_clean(char out[SAY_TEXT_MAX], const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 5 < SAY_TEXT_MAX; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < ' ' || c >= 0x7f)
			n += str_printf(out + n, SAY_TEXT_MAX - n, "\\x%02x", c);
		else
			out[n++] = *text;
	}
	out[n] = '\0';
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

/* ---- events ---- */

void karez_say_online(const struct karez_say *say, const struct agent_online *o)
{
	char target[URL_TEXT_MAX];

	url_format(o->target, target);
	if (say->json) {
		struct karez_object object = karez_object_new("online");

		karez_object_text(&object, "url", o->url);
		karez_object_text(&object, "name", o->name);
		karez_object_text(&object, "target", target);
		karez_object_print(say, &object);
		return;
	}
	if (say->quiet)
		return;
	if (o->again)
		fprintf(say->err, "karez: back again at %s\n", o->url);
	else if (say->bare)
		fprintf(say->out, "Port %u is now publicly accessible from %s ...\n",
			o->target->port, o->url);
	else
		fprintf(say->out, "%s is now publicly accessible from %s ...\n", target, o->url);
	fflush(say->out);
}

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
	fprintf(say->err, "karez: %s %s: %s%s\n",
		code == ERR_REPLACED || code == ERR_DELETED || code == ERR_DISCONNECTED
			? "ended by"
			: "refused by",
		say->server, why,
		code == ERR_AUTH && !say->certificate
			? "; check KAREZ_TOKEN or --token-file, if you use them"
			: "");
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
		fprintf(say->err, "karez: a visitor came, but %s cannot be reached: %s\n", target,
			err_text(e));
	} else {
		fprintf(say->err, "karez: %s can be reached again\n", target);
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
	if (object.e == 0)
		object.e = json_set_bool(object.j, "cut", r->cut);
	karez_object_print(say, &object);
}

void karez_say_request(const struct karez_say *say, const struct peek_request *r, int64_t wall_ms)
{
	char method[SAY_TEXT_MAX], path[SAY_TEXT_MAX], clock[16] = "", status[16] = "-";
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (say->json) {
		karez_say_request_json(say, r, wall_ms);
		return;
	}
	if (localtime_r(&at, &tm) != NULL)
		strftime(clock, sizeof clock, "%H:%M:%S", &tm);
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
