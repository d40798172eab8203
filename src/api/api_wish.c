/*
 * A tunnel is described by the same members wherever it is: they are read here only, and the
 * passwords among them are hashed before anything of them is kept.
 */
#include "api/api_wish.h"

#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"
#include "proto/url.h"

/* Bytes of a bearer token of visitors. */
#define BEARER_MIN 16

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

	if (api_body_bool(api_body_object(body, "headers"), "rewrite", &to->rewrite))
		w->set |= MANAGE_T_REWRITE;
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

/* ---- visitors ---- */

static int api_wish_read_blocks(const struct json *visitors, const char *key, struct cidr *out,
				struct api_fault *fault)
{
	const struct json *list = api_body_list(visitors, key);
	char field[40];
	struct str s;

	for (size_t i = 0; i < json_count(list); i++) {
		if (json_text(json_at(list, i), &s) == 0 && cidr_parse(s, &out[i]) == 0)
			continue;
		str_printf(field, sizeof field, "visitors.%s.%zu", key, i);
		return api_fault_set(fault, ERR_INVAL, field,
				     "must be an address or a block of them: \"10.0.0.0/8\", "
				     "\"::1\"");
	}
	return 0;
}

static int api_wish_read_lists(const struct json *visitors, struct api_wish *w,
			       struct api_fault *fault)
{
	struct rights *r = &w->to.rights;
	int e;

	if ((e = api_wish_read_blocks(visitors, "allow", r->allow, fault)) != 0 ||
	    (e = api_wish_read_blocks(visitors, "deny", r->deny, fault)) != 0)
		return e;
	r->n_allow = json_count(api_body_list(visitors, "allow"));
	r->n_deny = json_count(api_body_list(visitors, "deny"));
	if (api_body_list(visitors, "allow") != NULL)
		w->set |= MANAGE_T_ALLOW;
	if (api_body_list(visitors, "deny") != NULL)
		w->set |= MANAGE_T_DENY;
	return 0;
}

static int api_wish_read_users(const struct json *visitors, struct api_wish *w,
			       struct api_fault *fault)
{
	const struct json *list = api_body_list(visitors, "basic");
	struct rights *r = &w->to.rights;
	struct str name;

	if (list == NULL)
		return 0;
	w->set |= MANAGE_T_USERS;
	w->basic = list;
	for (size_t i = 0; i < json_count(list); i++) {
		struct rights_user *u = &r->users[r->n_users++];
		bool twice = false;
		char field[40];

		if (api_body_text(json_at(list, i), "user", &name))
			(void)!str_copy(u->name, sizeof u->name, name);
		for (size_t k = 0; k < i; k++)
			twice |= strcmp(r->users[k].name, u->name) == 0;
		if (!twice && strchr(u->name, ':') == NULL)
			continue;
		str_printf(field, sizeof field, "visitors.basic.%zu.user", i);
		return api_fault_set(fault, ERR_INVAL, field,
				     twice ? "stands twice in the list" : "must not hold a colon");
	}
	return 0;
}

static bool api_wish_bearer_ok(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len >= BEARER_MIN;
}

/* A number of tokens means those that are there; in a new tunnel none are, so it would be open. */
int api_wish_no_bearers(struct api_fault *fault)
{
	return api_fault_set(fault, ERR_INVAL, "visitors.bearer",
			     "a new tunnel has no tokens yet: give a list of them");
}

static int api_wish_read_bearers(const struct core *core, const struct json *visitors,
				 struct api_wish *w, struct api_fault *fault)
{
	const struct json *list = api_body_list(visitors, "bearer");
	struct rights *r = &w->to.rights;
	uint64_t told;

	if (list == NULL) {
		w->keeps_bearers = api_body_number(visitors, "bearer", &told) && told > 0;
		return 0;
	}
	w->set |= MANAGE_T_BEARERS;
	for (size_t i = 0; i < json_count(list); i++) {
		struct str s = {0};
		char field[40];
		int e;

		(void)!json_text(json_at(list, i), &s);
		str_printf(field, sizeof field, "visitors.bearer.%zu", i);
		if (!api_wish_bearer_ok(s))
			return api_fault_set(fault, ERR_INVAL, field,
					     "must have %d to 128 characters of ASCII, no spaces",
					     BEARER_MIN);
		e = core_fingerprint(core, s, r->bearers[r->n_bearers++]);
		if (e != 0)
			return api_fault_set(fault, e, NULL, "the server is starting; try again");
	}
	return 0;
}

/* ---- all of it ---- */

int api_wish_read(const struct core *core, const struct json *body, struct api_wish *out,
		  struct api_fault *fault)
{
	const struct json *visitors = api_body_object(body, "visitors");
	struct rights *r = &out->to.rights;
	struct str url;
	int e;

	api_wish_read_ingress(body, out);
	api_wish_read_transport(body, out);
	if (api_body_text(visitors, "auth_url", &url) &&
	    str_copy(r->auth_url, sizeof r->auth_url, url) == 0)
		out->set |= MANAGE_T_AUTH_URL;
	if ((e = api_wish_read_target(body, out, fault)) != 0 ||
	    (e = api_wish_read_kind(body, out, fault)) != 0 ||
	    (e = api_wish_read_domains(body, out, fault)) != 0 ||
	    (e = api_wish_read_lists(visitors, out, fault)) != 0 ||
	    (e = api_wish_read_users(visitors, out, fault)) != 0)
		return e;
	return api_wish_read_bearers(core, visitors, out, fault);
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
