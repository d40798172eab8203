/*
 * The one way into a tunnel that has rights. Most is decided within the call; while a password is
 * hashed or a hook is asked, the head is kept, and what is forwarded afterwards is that copy. If
 * the tunnel has changed meanwhile, all is asked again.
 */
#include "ingress/guard.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress/guard_basic.h"
#include "ingress/guard_hook.h"
#include "ingress/kept.h"
#include "proto/basic_auth.h"

/* How often a failing hook is logged at most, in milliseconds. */
#define GUARD_LOG_MS 1000

/* Bytes of a bearer token, at most. */
#define GUARD_BEARER_MAX 512

struct guard {
	struct http_ingress *in;
	struct guard_basic *basic; /* owned */
	struct guard_hooks *hooks; /* owned */
	bool has_hook;
	struct url hook; /* the operator's */
	struct list visitors;
	bool has_logged;
	uint64_t logged_ms;
};

enum guard_step {
	GUARD_ADDRESS,
	GUARD_CREDENTIAL,
	GUARD_OPERATOR, /* the operator's hook */
	GUARD_OWNER,	/* the tunnel's hook */
	GUARD_IN,
};

struct guard_visitor {
	struct list link;
	struct guard *guard;
	struct http_conn *conn;		/* weak: guard_on_gone() comes when it goes */
	const struct http_request *req; /* borrowed during the call, then that of `kept` */
	struct kept *kept;		/* owned; NULL until it must wait */
	enum guard_step step;
	unsigned tries;
	uint64_t version; /* of the settings that are judged by; 0 before the first */
	struct guard_basic_wait password;
	struct guard_hook *hook; /* owned while it is asked */
	struct rewrite_pass pass;
	struct http_field fields[GUARD_FIELDS_MAX]; /* what hooks have said */
	char *texts[GUARD_FIELDS_MAX];		    /* owned; their bytes */
	size_t n_texts_bytes;
	bool whole; /* name is a whole host name */
	char name[HOSTNAME_MAX + 1];
};

static void guard_run(struct guard_visitor *v, struct tunnel *t);

/* ---- the end of it ---- */

static void guard_forget_fields(struct guard_visitor *v)
{
	for (size_t i = 0; i < v->pass.n_fields; i++)
		free(v->texts[i]);
	v->pass = (struct rewrite_pass){0};
	v->n_texts_bytes = 0;
}

static void guard_release(struct guard_visitor *v)
{
	struct guard *g = v->guard;

	guard_basic_cancel(g->basic, &v->password);
	guard_hook_cancel(v->hook);
	v->hook = NULL;
	guard_forget_fields(v);
	list_del(&v->link);
	free(v->kept);
	ev_free_later(g->in->ev, v);
}

static void guard_on_gone(void *arg)
{
	guard_release(arg);
}

/* Answer with the page of an error. */
static void guard_fail(struct guard_visitor *v, int e)
{
	struct http_conn *c = v->conn;

	http_conn_on_gone(c, NULL, NULL);
	page_reply(c, e, page_kind_of(v->req), v->req->host);
	guard_release(v);
}

/* Answer with the page of a refusal. t: for the challenges; NULL: there are none. */
static void guard_refuse(struct guard_visitor *v, enum page_refusal why, const struct tunnel *t)
{
	struct page_refused r = {.why = why, .kind = page_kind_of(v->req), .host = v->req->host};
	const struct rights *rights = t != NULL ? tunnel_settings(t)->rights : NULL;
	char texts[2][HOSTNAME_MAX + 64];
	struct http_field fields[2];

	if (rights != NULL && rights->n_users > 0)
		str_printf(texts[r.n_fields++], sizeof texts[0],
			   "Basic realm=\"%s\", charset=\"UTF-8\"", tunnel_name(t));
	if (rights != NULL && rights->n_bearers > 0)
		str_printf(texts[r.n_fields++], sizeof texts[0], "Bearer realm=\"%s\"",
			   tunnel_name(t));
	for (size_t i = 0; i < r.n_fields; i++)
		fields[i] = (struct http_field){.name = STR("WWW-Authenticate"),
						.value = str_of(texts[i])};
	r.fields = fields;
	http_conn_on_gone(v->conn, NULL, NULL);
	page_refuse(v->conn, &r);
	guard_release(v);
}

static void guard_admit(struct guard_visitor *v, struct tunnel *t)
{
	http_conn_on_gone(v->conn, NULL, NULL);
	exchange_start(v->guard->in, v->conn, t, v->req,
		       v->pass.drop_authorization || v->pass.judged ? &v->pass : NULL);
	guard_release(v);
}

/* ---- waiting ---- */

/* The answer comes later. */
static void guard_wait(struct guard_visitor *v)
{
	if (v->kept == NULL) {
		if ((v->kept = kept_new(v->req)) == NULL) {
			guard_fail(v, ERR_NOMEM);
			return;
		}
		v->req = &v->kept->req;
	}
	http_conn_on_gone(v->conn, guard_on_gone, v);
}

/*
 * It has waited: is the tunnel still the one that was judged by?
 * Returns it; or NULL, when v has been taken care of.
 */
static struct tunnel *guard_back(struct guard_visitor *v)
{
	const struct http_ingress_name name = {.text = str_of(v->name), .whole = v->whole};
	struct tunnel *t = http_ingress_find(v->guard->in, &name);

	if (t == NULL) {
		http_conn_on_gone(v->conn, NULL, NULL);
		http_ingress_explain(v->guard->in, v->conn, &name, v->req);
		guard_release(v);
		return NULL;
	}
	if (tunnel_settings(t)->version == v->version)
		return t;
	if (++v->tries >= GUARD_TRIES_MAX) {
		guard_fail(v, ERR_LIMIT);
		return NULL;
	}
	guard_forget_fields(v);
	v->step = GUARD_ADDRESS;
	v->version = tunnel_settings(t)->version;
	guard_run(v, t);
	return NULL;
}

/* ---- addresses ---- */

/* All steps return true to go on; else v has been answered, or waits. */
static bool guard_address(struct guard_visitor *v, const struct rights *r)
{
	const struct http_ingress *in = v->guard->in;
	struct rewrite_from from;
	struct visit_end where;

	if (r == NULL || (r->n_allow == 0 && r->n_deny == 0))
		return true;
	http_ingress_from(in, v->conn, "", &from);
	rewrite_visitor(&v->req->head, &from, in->opt.trusted, in->opt.n_trusted, &where);
	if (rights_allow_address(r, where.ip))
		return true;
	guard_refuse(v, PAGE_ADDRESS, NULL);
	return false;
}

/* ---- credentials ---- */

/* e of a credential, and what becomes of v. */
static bool guard_on_credential(struct guard_visitor *v, const struct tunnel *t, int e)
{
	if (e == 0) {
		v->pass.drop_authorization = true;
		return true;
	}
	if (e == ERR_AGAIN)
		guard_wait(v);
	else if (e == ERR_AUTH)
		guard_refuse(v, PAGE_CREDENTIAL, t);
	else
		guard_fail(v, e == ERR_NOMEM ? ERR_NOMEM : ERR_LIMIT);
	return false;
}

static void guard_on_password(void *arg, int e)
{
	struct guard_visitor *v = arg;
	struct tunnel *t = guard_back(v);

	if (t == NULL || !guard_on_credential(v, t, e))
		return;
	v->step++;
	guard_run(v, t);
}

static int guard_basic(struct guard_visitor *v, const struct tunnel *t, const struct rights *r,
		       struct str credentials)
{
	struct guard_basic_ask ask = {.tunnel = str_of(tunnel_name(t)), .version = v->version};
	char room[BASIC_AUTH_MAX];
	int e = ERR_AUTH;

	if (basic_auth_parse(credentials, room, &ask.user, &ask.password) == 0) {
		for (size_t i = 0; i < r->n_users; i++)
			if (str_eq(ask.user, str_of(r->users[i].name)))
				ask.hash = str_of(r->users[i].hash);
		v->password.done = guard_on_password;
		v->password.arg = v;
		e = guard_basic_ask(v->guard->basic, &ask, &v->password);
	}
	explicit_bzero(room, sizeof room);
	return e;
}

/* Fingerprints under a secret key are compared: how far they are alike tells nobody anything. */
static int guard_bearer(struct guard_visitor *v, const struct rights *r, struct str token)
{
	char text[DIGEST_HEX_TEXT];
	int e;

	if (token.len == 0 || token.len > GUARD_BEARER_MAX)
		return ERR_AUTH;
	if ((e = core_fingerprint(v->guard->in->opt.core, token, text)) != 0)
		return e == ERR_AGAIN ? ERR_LIMIT : e;
	for (size_t i = 0; i < r->n_bearers; i++)
		if (memcmp(r->bearers[i], text, sizeof text) == 0)
			return 0;
	return ERR_AUTH;
}

static bool guard_credential(struct guard_visitor *v, const struct tunnel *t,
			     const struct rights *r)
{
	const struct http_field *f = http_head_find(&v->req->head, HTTP_FIELD_AUTHORIZATION);
	struct str scheme, rest;
	int e = ERR_AUTH;

	if (r == NULL || (r->n_users == 0 && r->n_bearers == 0))
		return true;
	if (f != NULL && http_head_find_next(&v->req->head, f) != NULL) {
		guard_refuse(v, PAGE_AMBIGUOUS, NULL);
		return false;
	}
	if (f != NULL) {
		scheme = basic_auth_scheme(f->value, &rest);
		if (r->n_users > 0 && str_eq_nocase(scheme, STR("Basic")))
			e = guard_basic(v, t, r, rest);
		else if (r->n_bearers > 0 && str_eq_nocase(scheme, STR("Bearer")))
			e = guard_bearer(v, r, rest);
	}
	return guard_on_credential(v, t, e);
}

/* ---- hooks ---- */

/* At most one line a second: visitors decide how often this is called. */
static void guard_log_hook(struct guard_visitor *v, int e, unsigned status)
{
	struct guard *g = v->guard;
	struct log *log = g->in->opt.log;
	uint64_t now = ev_now_ms(g->in->ev);

	if (log == NULL || (g->has_logged && now - g->logged_ms < GUARD_LOG_MS))
		return;
	g->has_logged = true;
	g->logged_ms = now;
	log_warn(log, "event=hook-failed whose=%s name=%s error=%s status=%u",
		 v->step == GUARD_OPERATOR ? "operator" : "tunnel", v->name, err_name(e), status);
}

static void guard_hook_failed(struct guard_visitor *v, int e, unsigned status)
{
	guard_log_hook(v, e, status);
	guard_refuse(v, PAGE_HOOK, NULL);
}

/* The hook's own words to the visitor. */
static void guard_deny(struct guard_visitor *v, const struct guard_hook_answer *a)
{
	static const struct str passed[] = {
		{"WWW-Authenticate", 16}, {"Location", 8},	    {"Set-Cookie", 10},
		{"Cache-Control", 13},	  {"Content-Encoding", 16},
	};
	const struct http_head *h = &a->response->head;
	const struct http_field *type = http_head_find(h, HTTP_FIELD_CONTENT_TYPE);
	struct http_field fields[GUARD_DENIAL_FIELDS_MAX + 1];
	struct http_page page = {.status = a->response->status, .fields = fields};
	bool cached = false;

	if (!a->cut && a->body.len > 0) {
		page.body = a->body;
		page.content_type = type != NULL ? type->value : (struct str){0};
	}
	for (size_t i = 0; i < h->n_fields && page.n_fields < GUARD_DENIAL_FIELDS_MAX; i++) {
		for (size_t k = 0; k < ARRAY_LEN(passed); k++) {
			if (!str_eq_nocase(h->fields[i].name, passed[k]) ||
			    (page.body.len == 0 && k == 4))
				continue;
			fields[page.n_fields++] = h->fields[i];
			cached = cached || k == 3;
			break;
		}
	}
	if (!cached)
		fields[page.n_fields++] =
			(struct http_field){.name = STR("Cache-Control"), .value = STR("no-store")};
	http_conn_on_gone(v->conn, NULL, NULL);
	http_conn_reply(v->conn, &page);
	guard_release(v);
}

/* Take away what an earlier hook has said under this name. */
static void guard_drop_field(struct guard_visitor *v, size_t n_before, struct str name)
{
	for (size_t i = 0; i < n_before; i++)
		if (str_eq_nocase(v->fields[i].name, name))
			v->fields[i].name = STR("");
}

/* Close the gaps. */
static void guard_pack_fields(struct guard_visitor *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->pass.n_fields; i++) {
		if (v->fields[i].name.len == 0) {
			free(v->texts[i]);
			continue;
		}
		v->texts[n] = v->texts[i];
		v->fields[n++] = v->fields[i];
	}
	v->pass.n_fields = n;
}

/* Keep what the hook says about the visitor. Returns 0, ERR_TOOBIG or ERR_NOMEM. */
static int guard_keep_fields(struct guard_visitor *v, const struct http_head *h)
{
	size_t n_before = v->pass.n_fields;

	v->pass.fields = v->fields;
	for (size_t i = 0; i < h->n_fields; i++) {
		struct str name = h->fields[i].name, value = h->fields[i].value;
		char *text;

		if (!rewrite_is_identity(name))
			continue;
		v->n_texts_bytes += name.len + value.len;
		if (v->pass.n_fields == GUARD_FIELDS_MAX || v->n_texts_bytes > GUARD_FIELDS_TEXT)
			return ERR_TOOBIG;
		if ((text = malloc(name.len + value.len)) == NULL)
			return ERR_NOMEM;
		memcpy(text, name.p, name.len);
		if (value.len > 0)
			memcpy(text + name.len, value.p, value.len);
		guard_drop_field(v, n_before, name);
		v->texts[v->pass.n_fields] = text;
		v->fields[v->pass.n_fields++] =
			(struct http_field){.name = {text, name.len},
					    .value = {text + name.len, value.len}};
	}
	guard_pack_fields(v);
	return 0;
}

/* Is it an answer for the visitor? */
static bool guard_is_denial(unsigned status)
{
	return status == 401 || status == 403 || (status >= 300 && status <= 303) ||
	       status == 307 || status == 308;
}

static void guard_on_hook(void *arg, const struct guard_hook_answer *a)
{
	struct guard_visitor *v = arg;
	unsigned status = a->e == 0 ? a->response->status : 0;
	struct tunnel *t;
	int e;

	v->hook = NULL;
	if (guard_is_denial(status)) {
		guard_deny(v, a);
		return;
	}
	if (status / 100 != 2) {
		guard_hook_failed(v, a->e != 0 ? a->e : ERR_PROTO, status);
		return;
	}
	if ((e = guard_keep_fields(v, &a->response->head)) != 0) {
		guard_hook_failed(v, e, status);
		return;
	}
	if ((t = guard_back(v)) == NULL)
		return;
	v->step++;
	guard_run(v, t);
}

static bool guard_ask(struct guard_visitor *v, const struct tunnel *t, const struct url *hook)
{
	struct rewrite_question q = {.hook = hook,
				     .tunnel = tunnel_name(t),
				     .drop_authorization = v->pass.drop_authorization};
	struct guard_hook_opt opt = {.to = hook, .done = guard_on_hook, .arg = v};
	struct rewrite_from from;
	struct buf head = {0};
	char mark[17];
	int e;

	v->pass.judged = true;
	tunnel_loop_mark(t, mark);
	http_ingress_from(v->guard->in, v->conn, mark, &from);
	if ((e = rewrite_ask(&head, v->req, &from, &q)) == 0) {
		opt.head = buf_str(&head);
		e = guard_hook_ask(v->guard->hooks, &opt, &v->hook);
	}
	buf_free(&head);
	if (e == 0)
		guard_wait(v);
	else if (e == ERR_LIMIT || e == ERR_NOMEM)
		guard_fail(v, e);
	else
		guard_hook_failed(v, e, 0);
	return false;
}

static int guard_parse_hook(struct str text, struct url *out)
{
	int e = url_parse(text, out, NULL);

	return e == 0 && ((out->scheme != URL_HTTP && out->scheme != URL_HTTPS) || out->websocket)
		       ? ERR_INVAL
		       : e;
}

static bool guard_operator(struct guard_visitor *v, const struct tunnel *t)
{
	return !v->guard->has_hook || guard_ask(v, t, &v->guard->hook);
}

static bool guard_owner(struct guard_visitor *v, const struct tunnel *t, const struct rights *r)
{
	struct url hook;
	int e;

	if (r == NULL || r->auth_url[0] == '\0')
		return true;
	e = guard_parse_hook(str_of(r->auth_url), &hook);
	if (e == 0 && core_allows_hook(v->guard->in->opt.core, &hook))
		return guard_ask(v, t, &hook);
	guard_hook_failed(v, e == 0 ? ERR_DENIED : e, 0);
	return false;
}

/* ---- all of it ---- */

static void guard_run(struct guard_visitor *v, struct tunnel *t)
{
	const struct rights *r = tunnel_settings(t)->rights;
	bool on = true;

	for (; on; v->step++) {
		switch (v->step) {
		case GUARD_ADDRESS: on = guard_address(v, r); break;
		case GUARD_CREDENTIAL: on = guard_credential(v, t, r); break;
		case GUARD_OPERATOR: on = guard_operator(v, t); break;
		case GUARD_OWNER: on = guard_owner(v, t, r); break;
		case GUARD_IN: guard_admit(v, t); return;
		}
		if (!on)
			return; /* v may be gone */
	}
}

bool guard_is_needed(const struct guard *g, const struct tunnel_settings *settings)
{
	return settings->rights != NULL || g->has_hook;
}

void guard_request(struct guard *g, struct http_conn *c, struct tunnel *t,
		   const struct http_ingress_name *name, const struct http_request *req)
{
	struct guard_visitor *v = calloc(1, sizeof *v);

	if (v == NULL || str_copy(v->name, sizeof v->name, name->text) != 0) {
		free(v);
		page_reply(c, ERR_NOMEM, page_kind_of(req), req->host);
		return;
	}
	v->guard = g;
	v->conn = c;
	v->req = req;
	v->whole = name->whole;
	list_push(&g->visitors, &v->link);
	v->version = tunnel_settings(t)->version;
	guard_run(v, t);
}

/* ---- life ---- */

int guard_new(struct http_ingress *in, struct guard **out)
{
	const char *hook = in->opt.auth_url;
	struct guard *g = calloc(1, sizeof *g);
	int e;

	if (g == NULL)
		return ERR_NOMEM;
	g->in = in;
	list_init(&g->visitors);
	g->has_hook = hook != NULL && hook[0] != '\0';
	if ((g->has_hook && (e = guard_parse_hook(str_of(hook), &g->hook)) != 0) ||
	    (e = guard_basic_new(in->ev, in->opt.passwords, &g->basic)) != 0 ||
	    (e = guard_hooks_new(in->ev, in->opt.net, &g->hooks)) != 0) {
		guard_free(g);
		return e;
	}
	*out = g;
	return 0;
}

void guard_free(struct guard *g)
{
	if (g == NULL)
		return;
	LIST_FOR_EACH_SAFE (link, &g->visitors)
		guard_fail(CONTAINER_OF(link, struct guard_visitor, link), ERR_DRAIN);
	guard_basic_free(g->basic);
	guard_hooks_free(g->hooks);
	ev_free_later(g->in->ev, g);
}
