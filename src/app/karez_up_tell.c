/* How the services are doing: for `karez status`, and for the page on which they stand. */
#include "app/karez_up_inside.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/show.h"

/* Bytes of a text of somebody else's, and of a path. */
#define TELL_TEXT 5000

const char *karez_up_kind(enum agent_kind kind)
{
	static const char *const words[] = {
		[AGENT_HTTP] = "http", [AGENT_TCP] = "tcp", [AGENT_TLS] = "tls"};

	return words[kind];
}

static bool karez_up_target_is_down(const struct agent_look *look)
{
	return look->checked ? !look->up : look->target_e != 0;
}

const char *karez_up_state(const struct agent_look *look)
{
	if (look->over || (!look->online && look->code != 0))
		return "refused";
	if (!look->online)
		return "connecting";
	return karez_up_target_is_down(look) ? "target down" : "online";
}

bool karez_up_well(const struct agent_look *look)
{
	return look->online && !karez_up_target_is_down(look);
}

void karez_up_look(const struct karez_up *u, size_t i, struct agent_look *look)
{
	if (u->agent != NULL && u->ids[i] != 0 && agent_look(u->agent, u->ids[i], look))
		return;
	*look = (struct agent_look){.name = u->now.v[i].name,
				    .url = "",
				    .target = &u->now.v[i].target,
				    .over = u->agent != NULL,
				    .reason = "",
				    .why = ""};
}

void karez_up_list(void *arg, struct site_index *x)
{
	const struct karez_up *u = arg;

	for (size_t i = 0; i < u->now.n; i++) {
		struct agent_look look;

		karez_up_look(u, i, &look);
		site_index_add(x, &(struct site_index_row){.name = u->now.v[i].service,
							   .url = look.url,
							   .kind = karez_up_kind(u->now.v[i].kind),
							   .state = karez_up_state(&look),
							   .well = karez_up_well(&look)});
	}
}

/* ---- JSON ---- */

/* An object on its way; the first error stays. */
struct karez_up_object {
	struct json *j;
	int e;
};

static void karez_up_text(struct karez_up_object *o, const char *key, const char *text)
{
	char clean[TELL_TEXT];

	show_line(clean, sizeof clean, str_of(text));
	if (o->e == 0)
		o->e = json_set_text(o->j, key, str_of(clean));
}

static void karez_up_number(struct karez_up_object *o, const char *key, uint64_t n)
{
	if (o->e == 0)
		o->e = json_set_number(o->j, key, MIN(n, JSON_NUMBER_MAX));
}

static void karez_up_bool(struct karez_up_object *o, const char *key, bool flag)
{
	if (o->e == 0)
		o->e = json_set_bool(o->j, key, flag);
}

static const char *karez_up_health(const struct agent_look *look)
{
	return !look->checked ? "" : look->up ? "well" : "ill";
}

/* Why it is not as it should be, in the words of whoever knows. */
static const char *karez_up_reason(const struct agent_look *look)
{
	if (look->code != 0)
		return look->reason[0] != '\0' ? look->reason : err_text(look->code);
	if (!look->online)
		return "";
	if (look->checked)
		return look->up ? "" : look->why;
	return look->target_e != 0 ? err_text(look->target_e) : "";
}

static int karez_up_tell_one(const struct karez_up *u, size_t i, struct json *list)
{
	const struct services_entry *e = &u->now.v[i];
	struct karez_up_object o = {0};
	struct agent_look look;
	char target[URL_TEXT_MAX];

	if ((o.e = json_new_object(&o.j)) != 0)
		return o.e;
	karez_up_look(u, i, &look);
	url_format(&e->target, target);
	karez_up_text(&o, "service", e->service);
	karez_up_text(&o, "name", e->name);
	karez_up_text(&o, "kind", karez_up_kind(e->kind));
	karez_up_text(&o, "url", look.url);
	karez_up_text(&o, "state", karez_up_state(&look));
	karez_up_bool(&o, "online", look.online);
	karez_up_bool(&o, "well", karez_up_well(&look));
	karez_up_text(&o, "reason", karez_up_reason(&look));
	if (look.code != 0)
		karez_up_text(&o, "code", err_name(look.code));
	karez_up_text(&o, "target", target);
	karez_up_text(&o, "health", karez_up_health(&look));
	karez_up_number(&o, "visitors", look.count.visitors);
	karez_up_number(&o, "served", look.count.served);
	karez_up_number(&o, "up_bytes", look.count.up);
	karez_up_number(&o, "down_bytes", look.count.down);
	if (o.e == 0)
		o.e = json_add(list, &o.j);
	json_free(o.j);
	return o.e;
}

/* The agent's own state. */
static void karez_up_tell_agent(const struct karez_up *u, struct karez_up_object *o)
{
	struct agent_state s = {.transport = "", .reason = ""};
	char cwd[PATH_MAX] = "", path[PATH_MAX + SERVICES_PATH];

	if (u->agent != NULL)
		agent_state(u->agent, &s);
	if (u->path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL)
		cwd[0] = '\0';
	str_printf(path, sizeof path, "%s%s%s", cwd, cwd[0] != '\0' ? "/" : "", u->path);
	karez_up_number(o, "pid", (uint64_t)getpid());
	karez_up_text(o, "version", KAREZ_VERSION);
	karez_up_text(o, "file", path);
	if (u->wrong != NULL)
		karez_up_text(o, "file_problem", u->wrong);
	karez_up_text(o, "id", u->now.id);
	karez_up_text(o, "server", u->opt.say->server);
	karez_up_text(o, "agent", u->opt.say->agent);
	karez_up_number(o, "sessions", s.sessions);
	karez_up_text(o, "transport", s.transport);
	karez_up_bool(o, "offline", s.offline);
	if (s.offline) {
		karez_up_text(o, "reason", s.reason[0] != '\0' ? s.reason : err_text(s.e));
		karez_up_text(o, "code", err_name(s.e));
		karez_up_number(o, "retry_ms", s.retry_ms);
	}
}

/* The page, where there is one. */
static void karez_up_tell_index(const struct karez_up *u, struct karez_up_object *o)
{
	struct agent_look look;

	if (u->agent != NULL && u->index_id != 0 && agent_look(u->agent, u->index_id, &look))
		karez_up_text(o, "index", look.url);
}

int karez_up_tell(const struct karez_up *u, struct json **out)
{
	struct karez_up_object o = {0};
	struct json *list = NULL;

	if ((o.e = json_new_object(&o.j)) == 0)
		o.e = json_new_list(&list);
	karez_up_tell_agent(u, &o);
	karez_up_tell_index(u, &o);
	for (size_t i = 0; i < u->now.n && o.e == 0; i++)
		o.e = karez_up_tell_one(u, i, list);
	if (o.e == 0)
		o.e = json_set(o.j, "services", &list);
	json_free(list);
	if (o.e == 0)
		MOVE(*out, o.j);
	json_free(o.j);
	return o.e;
}
