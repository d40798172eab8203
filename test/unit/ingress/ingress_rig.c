/* Everything the ingress touches, made of memory. */
#include "ingress_rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/settings.h"
#include "wire/wire_mem.h"

struct rig *W;

/* ---- far ends ---- */

static void far_on_ready(void *arg, struct wire *w, int events)
{
	struct far *f = arg;
	struct str in;
	int e;

	while ((e = wire_read(w, sizeof f->got, &in)) == 0) {
		assert_true(f->n_got + in.len < sizeof f->got);
		memcpy(f->got + f->n_got, in.p, in.len);
		f->n_got += in.len;
		f->got[f->n_got] = '\0';
	}
	if (e == ERR_EOF) {
		f->eof = true;
		wire_want(w, 0);
	}
}

static void far_on_broken(void *arg, struct wire *w, int why)
{
	((struct far *)arg)->why = why;
}

static const struct wire_owner far_owner = {far_on_ready, far_on_broken};

static void far_start(struct far *f, struct wire *w)
{
	memset(f, 0, sizeof *f);
	f->wire = w;
	wire_own(w, &far_owner, f);
	wire_want(w, WIRE_READ);
}

void far_say(struct far *f, const char *text)
{
	assert_int_equal(wire_write_all(f->wire, str_of(text)), 0);
	ev_sim_run_for(W->ev, 10);
}

void far_clear(struct far *f)
{
	f->n_got = 0;
	f->got[0] = '\0';
}

void far_close(struct far *f, int why)
{
	wire_close(f->wire, why);
	f->wire = NULL;
	ev_sim_run_for(W->ev, 10);
}

/* ---- the fake core ---- */

struct core_lookup {
	struct ev_task task;
	struct core *core;
	void (*done)(void *arg, int e);
	void *arg;
};

struct tunnel *core_tunnel(struct core *c, struct str name)
{
	return c->connected && str_eq(name, STR("demo")) ? &c->demo : NULL;
}

struct tunnel *core_tunnel_at(struct core *c, struct str host)
{
	return c->connected && str_eq(host, STR("app.example.org")) ? &c->demo : NULL;
}

size_t core_n_remote(const struct core *c)
{
	return c->n_remote;
}

bool core_may_be_elsewhere(struct core *c, struct str host)
{
	return c->n_remote > 0 && str_eq(host, STR("app.example.org")) && !c->connected;
}

static void lookup_on_task(void *arg)
{
	struct core_lookup *l = arg;

	l->core->n_lookups++;
	l->core->connected = l->core->connected || l->core->connect_by_lookup;
	l->done(l->arg, l->core->lookup_answer);
	free(l);
}

struct core_lookup *core_lookup(struct core *c, struct str name, void (*done)(void *, int),
				void *arg)
{
	struct core_lookup *l = calloc(1, sizeof *l);

	*l = (struct core_lookup){.core = c, .done = done, .arg = arg};
	l->task = (struct ev_task){.fn = lookup_on_task, .arg = l};
	if (!c->hold_lookups)
		ev_task_run(c->ev, &l->task);
	return l;
}

struct core_lookup *core_lookup_at(struct core *c, struct str host, void (*done)(void *, int),
				   void *arg)
{
	assert_true(str_eq(host, STR("app.example.org")));
	return core_lookup(c, host, done, arg);
}

void core_lookup_cancel(struct core_lookup *l)
{
	ev_task_cancel(&l->task);
	free(l);
}

const char *tunnel_name(const struct tunnel *t)
{
	return "demo";
}

const struct tunnel_settings *tunnel_settings(const struct tunnel *t)
{
	return &t->settings;
}

struct tunnel_settings *settings_ref(const struct tunnel_settings *s)
{
	W->core.demo.settings.refs++;
	return &W->core.demo.settings;
}

void settings_unref(struct ev *ev, struct tunnel_settings *s)
{
	if (s != NULL)
		s->refs--;
}

uint64_t tunnel_choose(const struct tunnel *t)
{
	return 7;
}

void tunnel_used(struct tunnel *t, uint64_t place)
{
	assert_int_equal(place, 7);
	t->n_used++;
}

bool core_place_stays(const struct core *c, uint64_t place)
{
	return !c->leaves;
}

void tunnel_loop_mark(const struct tunnel *t, char out[17])
{
	memcpy(out, "00000000feedbeef", 17);
}

int tunnel_dial_next(struct tunnel *t, struct visit *visit, struct tunnel_tried *tried,
		     struct wire **out)
{
	struct wire_mem_opt opt = {.cap = W->mem_cap, .max_write = W->max_write};
	struct wire *far;

	if (t->dial_error != 0)
		return t->dial_error;
	if (tried->n == t->n_sessions)
		return ERR_NOSESSION;
	assert_true(t->n_dials < RIG_TARGETS);
	assert_int_equal(wire_mem_pair(W->ev, &opt, out, &far), 0);
	far_start(&W->target[t->n_dials], far);
	W->stream[t->n_dials++] = *out;
	strcpy(visit->tunnel, "demo");
	tried->places[tried->n] = 7 + tried->n;
	tried->n++;
	return 0;
}

void rig_break(int target, int why)
{
	struct wire *w = W->stream[target];

	w->owner->broken(w->arg, w, why);
	ev_sim_run_for(W->ev, 10);
}

void core_visitor_begin(struct core *c, struct core_visitor *v, const struct visit *visit)
{
	c->n_visitors++;
	c->seen = *visit;
	c->last = v;
	list_init(&v->link); /* it is there */
	v->visit = visit;
	v->since_ms = ev_wall_ms(c->ev);
}

void core_visitor_end(struct core_visitor *v)
{
	assert_true(list_linked(&v->link));
	list_del(&v->link);
	W->core.n_visitors--;
}

bool core_is_watched(const struct core *c)
{
	return c->watched;
}

void core_visitor_served(struct core *c, const struct core_visitor *v,
			 const struct core_served *what)
{
	size_t n = strlen(c->served);

	if (!c->watched)
		return;
	assert_false(list_linked(&v->link)); /* nobody finds it any more */
	assert_string_equal(v->visit->tunnel, "demo");
	str_printf(c->served + n, sizeof c->served - n,
		   "%s %s %u up=%llu down=%llu ms=%llu %s at %llu\n",
		   what->method != NULL ? what->method : "-", what->path != NULL ? what->path : "-",
		   what->status, (unsigned long long)what->up, (unsigned long long)what->down,
		   (unsigned long long)what->ms, err_name(what->why), (unsigned long long)v->place);
}

enum core_sni core_sni(struct core *c, struct str host, struct str *name)
{
	if (!str_ends_nocase(host, STR("tls.example")))
		return CORE_SNI_NOBODY;
	*name = STR("demo");
	return c->sni;
}

int core_fingerprint(const struct core *c, struct str secret, char out[DIGEST_HEX_TEXT])
{
	static const uint8_t key[DIGEST_LEN] = "the store's key";

	return c->fingerprint_error != 0 ? c->fingerprint_error : digest_keyed(key, secret, out);
}

bool core_allows_hook(const struct core *c, const struct url *hook)
{
	return c->denied_hook == NULL || strcmp(c->denied_hook, hook->host) != 0;
}

/* ---- the net of hooks ---- */

struct hook_dial {
	struct ev_timer timer;
	void (*done)(void *arg, int e, struct wire *w);
	void *arg;
};

static void rig_on_dialled(void *arg)
{
	struct hook_dial *d = arg;
	struct wire_mem_opt opt = {.cap = W->mem_cap};
	struct wire *near = NULL, *far;
	int e = W->hook_error;

	if (e == 0) {
		assert_true(W->n_hooks < RIG_HOOKS);
		W->hook[W->n_hooks] = calloc(1, sizeof *W->hook[0]);
		assert_int_equal(wire_mem_pair(W->ev, &opt, &near, &far), 0);
		far_start(W->hook[W->n_hooks++], far);
		wire_mem_stall(far, W->hook_stalled);
	}
	d->done(d->arg, e, near);
	free(d);
}

static int rig_dial(struct hook_net *net, const struct hook_dial_opt *opt, struct hook_dial **out)
{
	struct hook_dial *d = calloc(1, sizeof *d);

	d->done = opt->done;
	d->arg = opt->arg;
	d->timer = (struct ev_timer){.fn = rig_on_dialled, .arg = d};
	ev_timer_set(W->ev, &d->timer, W->hook_never ? UINT32_MAX : 1);
	W->hook_url = *opt->to;
	*out = d;
	return 0;
}

static void rig_cancel(struct hook_dial *d)
{
	ev_timer_stop(W->ev, &d->timer);
	free(d);
	W->n_cancelled++;
}

static const struct hook_net_ops rig_net_ops = {rig_dial, rig_cancel};

/* ---- the rig ---- */

static void rig_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
	strncat(W->logged, line, MIN(len, sizeof W->logged - strlen(W->logged) - 1));
}

static void rig_on_request(void *arg, struct http_conn *c, const struct http_request *req)
{
	if (W->on_request != NULL)
		W->on_request(W->on_request_arg);
	if (W->at)
		http_ingress_request_at(W->ingress, c, STR("app.example.org"), req);
	else
		http_ingress_request(W->ingress, c, STR("demo"), req);
}

static void rig_on_closed(void *arg, struct http_conn *c)
{
	W->conn_closed = true;
	W->conn = NULL;
}

void rig_connect(void)
{
	static const struct http_deadlines deadlines = {.head_ms = 5000, .idle_ms = 10000};
	struct http_conn_opt conn = {.peer = W->peer,
				     .deadlines = &deadlines,
				     .request = rig_on_request,
				     .closed = rig_on_closed};
	struct wire *near;

	assert_int_equal(visit_end_set(&conn.local, STR("198.51.100.1"), 80), 0);
	if (W->visitor.wire != NULL)
		far_close(&W->visitor, 0);
	near = rig_visit();
	assert_int_equal(http_conn_new(W->ev, near, &conn, &W->conn), 0);
	W->conn_closed = false;
}

struct wire *rig_visit(void)
{
	struct wire_mem_opt mem = {.cap = W->mem_cap, .max_write = W->max_write};
	struct wire *near, *far;

	assert_int_equal(wire_mem_pair(W->ev, &mem, &near, &far), 0);
	far_start(&W->visitor, far);
	return near;
}

void rig_open_bare(void)
{
	W = calloc(1, sizeof *W);
	W->mem_cap = 1 << 20;
	assert_int_equal(ev_sim_new(3, &W->ev), 0);
	assert_int_equal(password_new(W->ev, &W->passwords), 0);
	W->core.ev = W->ev;
	W->core.connected = true;
	W->core.demo.n_sessions = 1;
	W->core.demo.settings.target = W->core.demo.target;
	W->core.demo.settings.host = W->core.demo.host;
	W->core.demo.settings.edits = (struct str){W->core.demo.edits.bytes, 0};
	W->core.demo.settings.version = 1;
	W->net.ops = &rig_net_ops;
	W->log = (struct log){.level = LOG_INFO, .write = rig_on_log};
	assert_int_equal(visit_end_set(&W->peer, STR("192.0.2.7"), 4711), 0);
}

void rig_open_with(const struct http_ingress_opt *opt)
{
	struct http_ingress_opt mine = *opt;

	rig_open_bare();
	mine.core = &W->core;
	mine.log = &W->log;
	mine.passwords = W->passwords;
	mine.net = &W->net;
	assert_int_equal(http_ingress_new(W->ev, &mine, &W->ingress), 0);
	rig_connect();
}

void rig_open(void)
{
	rig_open_with(&(struct http_ingress_opt){0});
}

void rig_changed(void)
{
	W->core.demo.settings.rights =
		rights_is_empty(&W->core.demo.rights) ? NULL : &W->core.demo.rights;
	W->core.demo.settings.version++;
}

void rig_end_ingress(void)
{
	http_ingress_free(W->ingress);
	W->ingress = NULL;
	ev_sim_run_for(W->ev, 10);
}

void rig_close(void)
{
	http_ingress_free(W->ingress);
	http_conn_close(W->conn);
	wire_close(W->visitor.wire, 0);
	for (int i = 0; i < RIG_TARGETS; i++)
		wire_close(W->target[i].wire, 0);
	for (int i = 0; i < W->n_hooks; i++) {
		wire_close(W->hook[i]->wire, 0);
		free(W->hook[i]);
	}
	password_free(W->passwords);
	ev_sim_run_for(W->ev, 100000);
	assert_int_equal(W->core.n_visitors, 0);
	ev_free(W->ev);
	free(W);
}

/* ---- looking ---- */

void expect_in(const char *haystack, const char *needle)
{
	if (strstr(haystack, needle) == NULL)
		fail_msg("\"%s\" is not in:\n%s", needle, haystack);
}

void expect_not_in(const char *haystack, const char *needle)
{
	if (strstr(haystack, needle) != NULL)
		fail_msg("\"%s\" is in:\n%s", needle, haystack);
}

size_t count_in(const char *haystack, const char *needle)
{
	size_t n = 0;

	for (const char *p = haystack; (p = strstr(p, needle)) != NULL; p += strlen(needle))
		n++;
	return n;
}
