/* Two lists are compared by the names of their tunnels: what a tunnel is called is what it is. */
#include "app/karez_up.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/karez_up_inside.h"
#include "base/err.h"

/* ---- the tunnels ---- */

/* The entry of this name; NULL if there is none. */
static const struct services_entry *karez_up_find(const struct services *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

/* The service of a tunnel's id; NULL: it is the page, or none any more. */
static const struct services_entry *karez_up_entry(const struct karez_up *u, uint32_t id)
{
	for (size_t i = 0; i < u->now.n; i++)
		if (u->ids[i] == id)
			return &u->now.v[i];
	return NULL;
}

/* What a person calls it. */
static const char *karez_up_service(const struct karez_up *u, uint32_t id)
{
	const struct services_entry *e = karez_up_entry(u, id);

	return e != NULL ? e->service : "the index page";
}

static void karez_up_failed(const struct karez_up *u, const struct services_entry *e, int code)
{
	char why[SERVICES_WHY];

	str_printf(why, sizeof why, "%s:%u:%u: %s is not served: %s", u->now.path, e->line, e->col,
		   e->service, err_text(code));
	karez_say_problem(u->opt.say, why);
}

/*
 * Make the tunnel of entry i what it says.
 *   before, id  what it was until now; NULL, 0: it is new.
 */
static void karez_up_put(struct karez_up *u, size_t i, const struct services_entry *before,
			 uint32_t id)
{
	const struct services_entry *e = &u->now.v[i];
	struct agent_tunnel t = {0};
	struct buf text = {0};
	int code = services_tunnel(e, before, &text, &t);

	u->ids[i] = id;
	if (code == 0 && id != 0)
		code = agent_change(u->agent, id, &t);
	else if (code == 0)
		code = agent_add(u->agent, &t, &u->ids[i]);
	buf_free(&text);
	if (code != 0)
		karez_up_failed(u, e, code);
}

static void karez_up_put_index(struct karez_up *u)
{
	struct agent_tunnel t = {.kind = AGENT_HTTP, .name = u->now.id};
	int e;

	t.target = (struct url){.scheme = URL_SERVICES, .path = "/"};
	if ((e = agent_add(u->agent, &t, &u->index_id)) != 0)
		karez_say_problem(u->opt.say, err_text(e));
}

/* ---- edits ---- */

/* Is there a tunnel for this entry already: the same name and kind? */
static bool karez_up_stays(const struct services *s, const struct services_entry *e)
{
	const struct services_entry *other = karez_up_find(s, e->name);

	return other != NULL && other->kind == e->kind;
}

static void karez_up_remove_old(struct karez_up *u, const struct services *next)
{
	for (size_t i = 0; i < u->now.n; i++) {
		const struct services_entry *e = &u->now.v[i];

		if (karez_up_stays(next, e))
			continue;
		agent_remove(u->agent, u->ids[i]);
		u->ids[i] = 0;
		if (karez_up_find(next, e->name) == NULL)
			karez_say_edit(u->opt.say, KAREZ_EDIT_REMOVED, e->service, &e->target);
	}
	if (u->index_id != 0 && (!next->index || strcmp(next->id, u->now.id) != 0)) {
		agent_remove(u->agent, u->index_id);
		u->index_id = 0;
	}
}

/* Entry i of what runs now, after an edit. */
static void karez_up_edit(struct karez_up *u, size_t i, const struct services *was,
			  const uint32_t *was_ids)
{
	const struct services_entry *e = &u->now.v[i], *old = karez_up_find(was, e->name);
	uint32_t id = old == NULL ? 0 : was_ids[old - was->v];

	if (id != 0 && services_same(e, old)) {
		u->ids[i] = id;
		return;
	}
	karez_say_edit(u->opt.say, old == NULL ? KAREZ_EDIT_ADDED : KAREZ_EDIT_CHANGED, e->service,
		       &e->target);
	karez_up_put(u, i, id == 0 ? NULL : old, id);
}

/* The file says something else now; *next is taken. */
static void karez_up_take(struct karez_up *u, struct services *next, uint32_t *ids)
{
	struct services was = u->now;
	uint32_t *was_ids = u->ids;

	u->n_told = 0;
	if (u->agent != NULL)
		karez_up_remove_old(u, next);
	u->now = *next;
	u->ids = ids;
	*next = (struct services){0};
	for (size_t i = 0; u->agent != NULL && i < u->now.n; i++)
		karez_up_edit(u, i, &was, was_ids);
	if (u->agent != NULL && u->now.index && u->index_id == 0)
		karez_up_put_index(u);
	services_free(&was);
	free(was_ids);
}

static bool karez_up_other_server(const struct services *a, const struct services *b)
{
	char texts[2][URL_TEXT_MAX];

	for (size_t i = 0; i < a->n_servers && i < b->n_servers; i++) {
		url_format(&a->servers[i], texts[0]);
		url_format(&b->servers[i], texts[1]);
		if (strcmp(texts[0], texts[1]) != 0)
			return true;
	}
	return a->n_servers != b->n_servers;
}

/* ---- reading ---- */

static void karez_up_wrong(struct karez_up *u, const char *why)
{
	bool was = u->wrong != NULL;

	free(u->wrong);
	u->wrong = why == NULL ? NULL : str_dup(str_of(why));
	if (why != NULL)
		karez_say_file(u->opt.say, why, u->agent != NULL);
	else if (was && !u->opt.set->quiet)
		karez_say_notice(u->opt.say, "the services file is right again");
}

/*
 * Is it read in the moment in which somebody writes it anew, or was it emptied because the disk is
 * full? Then everything would go that runs.
 */
static bool karez_up_is_emptied(const struct karez_up *u, const struct services *next)
{
	return u->agent != NULL && u->now.n > 0 && next->root == NULL;
}

static void karez_up_on_news(void *arg, const struct karez_up_news *news)
{
	char why[SERVICES_PATH + 128];
	struct karez_up *u = arg;
	uint32_t *ids;
	int e = news->e;

	if (e == 0 && (u->opt.set->index && news->services->id[0] == '\0')) {
		karez_up_wrong(u, "--index needs --id: the page is at the id");
		e = ERR_INVAL;
	} else if (e == 0 && karez_up_is_emptied(u, news->services)) {
		str_printf(why, sizeof why,
			   "%s:1:1: the file is empty; a {} in it says that there are no services",
			   u->path);
		karez_up_wrong(u, why);
		e = ERR_INVAL;
	} else if (e == 0 && (ids = calloc(MAX(news->services->n, 1u), sizeof *ids)) != NULL) {
		karez_up_wrong(u, NULL);
		news->services->index = news->services->index || u->opt.set->index;
		if (u->agent != NULL && karez_up_other_server(&u->now, news->services))
			karez_say_notice(u->opt.say, "another server counts when karez up is "
						     "started again");
		karez_up_take(u, news->services, ids);
	} else {
		e = e == 0 ? ERR_NOMEM : e;
		karez_up_wrong(u, news->e == 0 ? err_text(e) : news->why);
	}
	u->e = e;
	notify_reloaded(&u->notify);
	karez_up_news(u);
	if (u->agent == NULL)
		ev_stop(u->ev);
}

static const struct services *karez_up_known(void *arg)
{
	return &((struct karez_up *)arg)->now;
}

static void karez_up_on_unsure(void *arg, const char *why)
{
	struct karez_up *u = arg;

	karez_say_problem(u->opt.say, why);
}

static void karez_up_on_changed(void *arg)
{
	struct karez_up *u = arg;

	karez_up_file_read(u->file, false);
}

static void karez_up_on_reload(void *arg)
{
	struct karez_up *u = arg;

	karez_up_file_read(u->file, true);
}

void karez_up_reload(struct karez_up *u)
{
	notify_reloading(&u->notify);
	/* whoever asks for it has often not written all of it yet */
	ev_timer_set(u->ev, &u->reload, FILE_WATCH_REST_MS);
}

/* ---- the start ---- */

static void karez_up_no_file(const struct karez_up *u)
{
	const char *home = getenv("HOME");
	char why[2 * SERVICES_PATH];

	str_printf(why, sizeof why,
		   "there is no services file: neither %s/.tunnel-services.json nor %s is there. "
		   "Write one such as\n"
		   "\thello-world: 9000\n"
		   "\tssh: tcp://localhost:22",
		   home != NULL ? home : "~", u->path[0] != '\0' ? u->path : "services.yaml");
	karez_say_problem(u->opt.say, why);
}

/* Which file is meant. Returns 0 or ERR_NOTFOUND after a sentence. */
static int karez_up_place(struct karez_up *u)
{
	const struct karez_options *set = u->opt.set;
	const char *named = set->cli.file != NULL ? set->cli.file : set->services_file;

	if (named != NULL) {
		str_printf(u->path, sizeof u->path, "%s", named);
		return 0;
	}
	services_default_path(&set->cli, u->path);
	if (u->path[0] != '\0' && access(u->path, F_OK) == 0)
		return 0;
	karez_up_no_file(u);
	return ERR_NOTFOUND;
}

static int karez_up_on_tell(void *arg, struct json **out)
{
	return karez_up_tell(arg, out);
}

/* Nobody else serves this file; and whoever asks is answered from now on. */
static int karez_up_open_status(struct karez_up *u)
{
	struct karez_status_opt opt = {.set = &u->opt.set->cli,
				       .file = u->path,
				       .log = u->opt.log,
				       .tell = karez_up_on_tell,
				       .arg = u};
	char why[KAREZ_STATUS_WHY];
	int e = karez_status_open(u->ev, &opt, &u->status, why);

	if (e != 0)
		karez_say_problem(u->opt.say, why);
	return e == ERR_INUSE ? e : 0;
}

int karez_up_load(struct ev *ev, const struct karez_up_opt *opt, struct karez_up **out, int *code)
{
	struct karez_up *u = must_calloc(1, sizeof *u);
	struct karez_up_file_opt file = {.path = u->path,
					 .id = opt->set->cli.id,
					 .known = karez_up_known,
					 .unsure = karez_up_on_unsure,
					 .news = karez_up_on_news,
					 .arg = u};

	u->ev = ev;
	u->opt = *opt;
	u->reload = (struct ev_timer){.fn = karez_up_on_reload, .arg = u};
	*code = 2;
	if ((u->e = karez_up_place(u)) != 0)
		goto out;
	if ((u->e = karez_up_file_new(ev, &file, &u->file)) != 0)
		goto out;
	karez_up_file_read(u->file, false);
	ev_run(ev); /* until the news */
	if (u->e != 0)
		goto out;
	*code = 1;
	u->e = karez_up_open_status(u);
out:
	if (u->e == ERR_NOMEM)
		*code = 1;
	*out = u;
	return u->e;
}

const struct url *karez_up_servers(const struct karez_up *u, size_t *n)
{
	*n = u->now.n_servers;
	return u->now.servers;
}

int karez_up_start(struct karez_up *u, struct agent *a)
{
	int e = file_watch_new(u->ev, u->path, karez_up_on_changed, u, &u->watch);

	if (e != 0) {
		karez_say_problem(u->opt.say, "cannot start: out of memory");
		return e;
	}
	u->agent = a;
	for (size_t i = 0; i < u->now.n; i++)
		karez_up_put(u, i, NULL, 0);
	if (u->now.index)
		karez_up_put_index(u);
	if (u->now.n == 0 && !u->now.index)
		karez_say_notice(u->opt.say, "there are no services in the file yet");
	karez_up_notify_begin(u);
	karez_up_file_read(u->file, false); /* what was written before it was watched */
	return 0;
}

void karez_up_free(struct karez_up *u)
{
	if (u == NULL)
		return;
	karez_up_notify_end(u);
	ev_timer_stop(u->ev, &u->reload);
	file_watch_free(u->watch);
	karez_status_close(u->status);
	karez_up_file_free(u->file);
	services_free(&u->now);
	free(u->ids);
	free(u->wrong);
	ev_free_later(u->ev, u);
}

/* ---- events ---- */

void karez_up_online(struct karez_up *u, const struct agent_online *o)
{
	karez_up_news(u);
	if (!o->again) {
		karez_say_service(u->opt.say, karez_up_service(u, o->tunnel), o);
	} else if (!u->back) {
		u->back = true; /* of all services at once */
		karez_say_back(u->opt.say);
	}
}

void karez_up_offline(struct karez_up *u)
{
	karez_up_news(u);
	u->back = false;
	u->n_told = 0;
}

void karez_up_no(struct karez_up *u, enum karez_no no, uint32_t id, int code, const char *reason)
{
	karez_up_news(u);
	if (++u->n_told > KAREZ_UP_NOS) {
		if (u->n_told == KAREZ_UP_NOS + 1)
			karez_say_problem(u->opt.say, "and so it is with more services; \"karez "
						      "status\" lists them");
		return;
	}
	karez_say_no(u->opt.say, no, karez_up_service(u, id), code, reason);
}
