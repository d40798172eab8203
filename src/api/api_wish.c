/*
 * A tunnel is described by the same members wherever it is: they are read here only, but for those
 * that agents say as well, and the passwords among them are hashed before anything of them is kept.
 */
#include "api/api_wish.h"

#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"
#include "core/tunnel_json.h"
#include "proto/url.h"

/* ---- what it is ---- */

/* exposr's way to say that it is a tls tunnel; that it is none says nothing. */
static int api_wish_read_sni(const struct json *ingress, struct api_wish *w,
			     struct api_fault *fault)
{
	bool sni = false, http = false;

	api_body_bool(api_body_object(ingress, "sni"), "enabled", &sni);
	if (!sni)
		return 0;
	api_body_bool(api_body_object(ingress, "http"), "enabled", &http);
	if (http || ((w->set & MANAGE_T_KIND) && w->to.kind != TUNNEL_TLS))
		return api_fault_set(
			fault, ERR_INVAL, "ingress.sni.enabled",
			"means a tunnel of the kind \"tls\", and a tunnel has one kind");
	w->set |= MANAGE_T_KIND;
	w->to.kind = TUNNEL_TLS;
	return 0;
}

static int api_wish_read_kind(const struct json *body, struct api_wish *w, struct api_fault *fault)
{
	const struct json *ingress = api_body_object(body, "ingress");
	bool whole = true, http = true;
	bool has_whole = api_body_bool(body, "enabled", &whole);
	bool has_http = api_body_bool(api_body_object(ingress, "http"), "enabled", &http);
	struct str s;

	if (api_body_text(body, "kind", &s) && tunnel_kind_parse(s, &w->to.kind) == 0)
		w->set |= MANAGE_T_KIND;
	if (has_whole && has_http && whole != http)
		return api_fault_set(fault, ERR_INVAL, "ingress.http.enabled",
				     "says the opposite of \"enabled\"; leave one of the two out");
	if (has_whole || has_http)
		w->set |= MANAGE_T_ENABLED;
	w->to.enabled = has_whole ? whole : http;
	return api_wish_read_sni(ingress, w, fault);
}

/* ---- how it is reached ---- */

static bool api_wish_same_list(const struct json *a, const struct json *b)
{
	struct str s, t;
	bool same = json_count(a) == json_count(b);

	for (size_t i = 0; i < json_count(a) && same; i++)
		same = json_text(json_at(a, i), &s) == 0 && json_text(json_at(b, i), &t) == 0 &&
		       str_eq_nocase(s, t);
	return same;
}

static int api_wish_read_domains(const struct json *body, struct api_wish *w,
				 struct api_fault *fault)
{
	const struct json *http = api_body_object(api_body_object(body, "ingress"), "http");
	const struct json *alt = api_body_list(http, "alt_names");
	const struct json *list = api_body_list(body, "domains");
	struct record_tunnel *to = &w->to;
	struct str s;

	if (alt != NULL && list != NULL && !api_wish_same_list(alt, list))
		return api_fault_set(fault, ERR_INVAL, "domains",
				     "says other than ingress.http.alt_names, and both mean the "
				     "same; leave one of the two out");
	if (list == NULL)
		list = alt;
	if (list == NULL)
		return 0;
	w->set |= MANAGE_T_ALT_NAMES;
	for (size_t i = 0; i < json_count(list); i++)
		if (json_text(json_at(list, i), &s) == 0 &&
		    str_copy(to->alt_names[to->n_alt_names], sizeof to->alt_names[0], s) == 0)
			to->n_alt_names++;
	return 0;
}

static void api_wish_read_ingress(const struct json *body, struct api_wish *w)
{
	const struct json *ingress = api_body_object(body, "ingress");
	const struct json *tcp = api_body_object(ingress, "tcp");
	struct record_tunnel *to = &w->to;
	uint64_t port;
	struct str s;

	if (api_body_number(tcp, "port", &port)) {
		to->port = (uint16_t)port; /* the schema has bounded it */
		w->set |= MANAGE_T_PORT;
	}
	if (api_body_text(tcp, "bind", &s) && str_copy(to->bind, sizeof to->bind, s) == 0)
		w->set |= MANAGE_T_BIND;
	if (api_body_text(api_body_object(ingress, "tls"), "mode", &s) &&
	    record_parse_tls(s, &to->tls) == 0)
		w->set |= MANAGE_T_TLS;
}

/* ---- who serves it ---- */

static void api_wish_read_agents(const struct json *transport, struct api_wish *w)
{
	const struct json *list = api_body_list(transport, "agents");
	struct record_tunnel *to = &w->to;
	struct str s;

	if (list == NULL)
		return;
	w->set |= MANAGE_T_AGENTS;
	for (size_t i = 0; i < json_count(list); i++)
		if (json_text(json_at(list, i), &s) == 0 &&
		    str_copy(to->agents[to->n_agents], sizeof to->agents[0], s) == 0)
			to->n_agents++;
}

static void api_wish_read_transport(const struct json *body, struct api_wish *w)
{
	const struct json *transport = api_body_object(body, "transport");
	struct record_tunnel *to = &w->to;
	uint64_t drain_s;
	struct str s;

	if (api_body_text(transport, "policy", &s) && record_parse_policy(s, &to->policy) == 0)
		w->set |= MANAGE_T_POLICY;
	if (api_body_number(transport, "max_connections", &to->sessions_max))
		w->set |= MANAGE_T_SESSIONS_MAX;
	if (api_body_number(transport, "drain", &drain_s)) {
		to->drain_ms = drain_s * 1000;
		w->set |= MANAGE_T_DRAIN;
	}
	api_wish_read_agents(transport, w);
}

/* The URL is a hint, but one that can be understood. */
static int api_wish_read_target(const struct json *body, struct api_wish *w,
				struct api_fault *fault)
{
	const struct json *target = api_body_object(body, "target");
	struct record_tunnel *to = &w->to;
	const char *why;
	struct url url;
	struct str s;

	if (api_body_text(target, "service", &s) &&
	    str_copy(to->service, sizeof to->service, s) == 0)
		w->set |= MANAGE_T_SERVICE;
	if (api_body_text(target, "proxy_protocol", &s) && record_parse_proxy(s, &to->proxy) == 0)
		w->set |= MANAGE_T_PROXY;
	if (!api_body_text(target, "url", &s) || str_copy(to->target, sizeof to->target, s) != 0)
		return 0;
	w->set |= MANAGE_T_TARGET;
	if (s.len == 0 || url_parse_target(s, URL_HTTP, &url, &why) == 0)
		return 0;
	return api_fault_set(fault, ERR_INVAL, "target.url", "is not a target: %s", why);
}

/* ---- visitors, and what is changed in heads ---- */

/* A number of tokens means those that are there; in a new tunnel none are, so it would be open. */
int api_wish_no_bearers(struct api_fault *fault)
{
	return api_fault_set(fault, ERR_INVAL, "visitors.bearer",
			     "a new tunnel has no tokens yet: give a list of them");
}

static int api_wish_read_shared(const struct core *core, const struct json *body,
				struct api_wish *w, struct api_fault *fault)
{
	struct tunnel_json t = {.core = core, .plain = true, .to = &w->to};
	int e = tunnel_json_visitors(&t, api_body_object(body, "visitors"));

	if (e == 0)
		e = tunnel_json_headers(&t, api_body_object(body, "headers"));
	if (e != 0)
		return api_fault_set(fault, e, t.field, "%s", t.detail);
	w->set |= t.set;
	w->basic = t.basic;
	w->keeps_bearers = t.keeps_bearers;
	return 0;
}

/* ---- all of it ---- */

int api_wish_read(const struct core *core, const struct json *body, struct api_wish *out,
		  struct api_fault *fault)
{
	int e;

	api_wish_read_ingress(body, out);
	api_wish_read_transport(body, out);
	if ((e = api_wish_read_target(body, out, fault)) != 0 ||
	    (e = api_wish_read_kind(body, out, fault)) != 0 ||
	    (e = api_wish_read_domains(body, out, fault)) != 0)
		return e;
	return api_wish_read_shared(core, body, out, fault);
}

/* ---- passwords ---- */

static bool api_wish_password(const struct api_wish *w, size_t i, struct str *out)
{
	return api_body_text(json_at(w->basic, i), "password", out);
}

size_t api_wish_passwords(const struct api_wish *w)
{
	struct str password;
	size_t n = 0;

	for (size_t i = 0; i < json_count(w->basic); i++)
		n += api_wish_password(w, i, &password);
	return n;
}

static void api_hash_on_done(void *arg, int e, const char *hash)
{
	struct api_hash *h = arg;
	struct rights_user *u = &h->wishes[h->at].to.rights.users[h->user];

	h->call->job = NULL;
	if (e == 0)
		e = str_copy(u->hash, sizeof u->hash, str_of(hash));
	if (e != 0) {
		api_refuse_memory(h->call);
		return;
	}
	h->user++;
	api_hash_go(h);
}

/* The next password; a user without one keeps the one that is there. */
static bool api_hash_next(struct api_hash *h, struct str *password)
{
	for (; h->at < h->n; h->at++, h->user = 0)
		for (; h->user < json_count(h->wishes[h->at].basic); h->user++)
			if (api_wish_password(&h->wishes[h->at], h->user, password))
				return true;
	return false;
}

void api_hash_go(struct api_hash *h)
{
	struct api_call *call = h->call;
	struct str password;
	int e;

	if (!api_hash_next(h, &password)) {
		h->done(call);
		return;
	}
	e = password_hash(call->api->opt.passwords, password, api_hash_on_done, h, &call->job);
	if (e == ERR_NOMEM)
		api_refuse_memory(call);
	else if (e != 0)
		api_refuse_busy(call);
}
