/*
 * Making and changing tunnels. A body becomes a change of the record; passwords in it are hashed
 * on the way, one after the other; and what must stay as it is in a tunnel that is replaced is read
 * first.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"
#include "proto/url.h"

/* Others who change the same tunnel between our reading and writing: how often we look again. */
#define EDIT_TRIES_MAX 4

/* Bytes of a bearer token of visitors. */
#define BEARER_MIN 16

struct api_edit {
	struct manage_tunnel_change ch;
	struct str name;	  /* of the tunnel; empty: a random one */
	const struct json *basic; /* users whose passwords are hashed; NULL: none */
	size_t hashing;		  /* the one that is next, or at work */
	bool keeps_bearers;	  /* replaced whole, but for these */
	unsigned tries;
};

static void api_edit_go(struct api_call *call);

/* ---- from a body to a change ---- */

static int api_edit_read_name(struct api_call *call, struct api_edit *x, struct api_fault *fault)
{
	static const char *const keys[] = {"name", "id"};
	char wanted[HOSTNAME_MAX + 1], given[HOSTNAME_MAX + 1];
	struct str name;

	if (call->route->method == HTTP_POST) {
		api_body_text(call->body, "name", &x->name);
		return 0;
	}
	x->name = call->params[0];
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!api_body_text(call->body, keys[i], &name))
			continue;
		if (hostname_tunnel(x->name, wanted) != 0 || hostname_tunnel(name, given) != 0 ||
		    strcmp(wanted, given) != 0)
			return api_fault_set(fault, ERR_INVAL, keys[i],
					     "is not the one in the path; a tunnel keeps its name");
	}
	return 0;
}

static int api_edit_read_enabled(const struct json *body, struct api_edit *x,
				 struct api_fault *fault)
{
	const struct json *ingress = api_body_object(body, "ingress");
	bool whole = true, http = true, sni = false;
	bool has_whole = api_body_bool(body, "enabled", &whole);
	bool has_http = api_body_bool(api_body_object(ingress, "http"), "enabled", &http);

	api_body_bool(api_body_object(ingress, "sni"), "enabled", &sni);
	if (sni)
		return api_fault_set(fault, ERR_UNSUPPORTED, "ingress.sni.enabled",
				     "this server has no such ingress yet");
	if (has_whole && has_http && whole != http)
		return api_fault_set(fault, ERR_INVAL, "ingress.http.enabled",
				     "says the opposite of \"enabled\"; leave one of the two out");
	if (has_whole || has_http)
		x->ch.set |= MANAGE_T_ENABLED;
	x->ch.to.enabled = has_whole ? whole : http;
	return 0;
}

static void api_edit_read_words(const struct json *body, struct api_edit *x)
{
	const struct json *transport = api_body_object(body, "transport");
	struct record_tunnel *to = &x->ch.to;
	struct str s;

	if (api_body_text(body, "kind", &s) && tunnel_kind_parse(s, &to->kind) == 0)
		x->ch.set |= MANAGE_T_KIND;
	if (api_body_text(transport, "policy", &s) && record_parse_policy(s, &to->policy) == 0)
		x->ch.set |= MANAGE_T_POLICY;
	if (api_body_number(transport, "max_connections", &to->sessions_max))
		x->ch.set |= MANAGE_T_SESSIONS_MAX;
	if (api_body_text(api_body_object(body, "target"), "url", &s) &&
	    str_copy(to->target, sizeof to->target, s) == 0)
		x->ch.set |= MANAGE_T_TARGET;
	if (api_body_bool(api_body_object(body, "headers"), "rewrite", &to->rewrite))
		x->ch.set |= MANAGE_T_REWRITE;
}

static void api_edit_read_alt_names(const struct json *body, struct api_edit *x)
{
	const struct json *list =
		api_body_list(api_body_object(api_body_object(body, "ingress"), "http"),
			      "alt_names");
	struct record_tunnel *to = &x->ch.to;
	struct str s;

	if (list == NULL)
		return;
	x->ch.set |= MANAGE_T_ALT_NAMES;
	for (size_t i = 0; i < json_count(list); i++)
		if (json_text(json_at(list, i), &s) == 0 &&
		    str_copy(to->alt_names[to->n_alt_names], sizeof to->alt_names[0], s) == 0)
			to->n_alt_names++;
}

/* ---- visitors ---- */

static int api_edit_read_blocks(const struct json *visitors, const char *key, struct cidr *out,
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

static int api_edit_read_lists(const struct json *visitors, struct api_edit *x,
			       struct api_fault *fault)
{
	struct rights *r = &x->ch.to.rights;
	int e;

	if ((e = api_edit_read_blocks(visitors, "allow", r->allow, fault)) != 0 ||
	    (e = api_edit_read_blocks(visitors, "deny", r->deny, fault)) != 0)
		return e;
	r->n_allow = json_count(api_body_list(visitors, "allow"));
	r->n_deny = json_count(api_body_list(visitors, "deny"));
	if (api_body_list(visitors, "allow") != NULL)
		x->ch.set |= MANAGE_T_ALLOW;
	if (api_body_list(visitors, "deny") != NULL)
		x->ch.set |= MANAGE_T_DENY;
	return 0;
}

static int api_edit_read_users(const struct json *visitors, struct api_edit *x,
			       struct api_fault *fault)
{
	const struct json *list = api_body_list(visitors, "basic");
	struct rights *r = &x->ch.to.rights;
	struct str name;

	if (list == NULL)
		return 0;
	x->ch.set |= MANAGE_T_USERS;
	x->basic = list;
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

static bool api_edit_bearer_ok(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len >= BEARER_MIN;
}

/* A number of tokens means those that are there; in a new tunnel none are, so it would be open. */
static int api_edit_no_bearers(struct api_fault *fault)
{
	return api_fault_set(fault, ERR_INVAL, "visitors.bearer",
			     "a new tunnel has no tokens yet: give a list of them");
}

static int api_edit_read_bearers(struct api_call *call, const struct json *visitors,
				 struct api_edit *x, struct api_fault *fault)
{
	const struct json *list = api_body_list(visitors, "bearer");
	struct rights *r = &x->ch.to.rights;
	uint64_t told;

	if (list == NULL) {
		x->keeps_bearers = x->ch.mode != MANAGE_PATCH &&
				   api_body_number(visitors, "bearer", &told) && told > 0;
		return x->keeps_bearers && x->ch.mode == MANAGE_CREATE ? api_edit_no_bearers(fault)
								       : 0;
	}
	x->ch.set |= MANAGE_T_BEARERS;
	for (size_t i = 0; i < json_count(list); i++) {
		struct str s = {0};
		char field[40];
		int e;

		(void)!json_text(json_at(list, i), &s);
		str_printf(field, sizeof field, "visitors.bearer.%zu", i);
		if (!api_edit_bearer_ok(s))
			return api_fault_set(fault, ERR_INVAL, field,
					     "must have %d to 128 characters of ASCII, no spaces",
					     BEARER_MIN);
		e = core_fingerprint(call->api->opt.core, s, r->bearers[r->n_bearers++]);
		if (e != 0)
			return api_fault_set(fault, e, NULL, "the server is starting; try again");
	}
	return 0;
}

/* A hint, but one that can be understood. */
static int api_edit_check_target(const struct api_edit *x, struct api_fault *fault)
{
	struct str target = str_of(x->ch.to.target);
	const char *why;
	struct url url;

	if (target.len == 0 || url_parse_target(target, URL_HTTP, &url, &why) == 0)
		return 0;
	return api_fault_set(fault, ERR_INVAL, "target.url", "is not a target: %s", why);
}

static int api_edit_read(struct api_call *call, struct api_edit *x, struct api_fault *fault)
{
	const struct json *visitors = api_body_object(call->body, "visitors");
	struct str url;
	int e;

	api_edit_read_words(call->body, x);
	api_edit_read_alt_names(call->body, x);
	if (api_body_text(visitors, "auth_url", &url) &&
	    str_copy(x->ch.to.rights.auth_url, sizeof x->ch.to.rights.auth_url, url) == 0)
		x->ch.set |= MANAGE_T_AUTH_URL;
	if ((e = api_edit_check_target(x, fault)) != 0 ||
	    (e = api_edit_read_name(call, x, fault)) != 0 ||
	    (e = api_edit_read_enabled(call->body, x, fault)) != 0 ||
	    (e = api_edit_read_lists(visitors, x, fault)) != 0 ||
	    (e = api_edit_read_users(visitors, x, fault)) != 0)
		return e;
	return api_edit_read_bearers(call, visitors, x, fault);
}

/* ---- the change ---- */

static void api_edit_tell(struct api_call *call, const struct manage_answer *answer)
{
	const struct record_tunnel *r = &answer->tunnels[0];
	char location[HOSTNAME_MAX + 16];
	struct api_answer a = {.status = 200, .version = answer->version};
	struct json *j = NULL;

	if (api_json_tunnel(call->api, r, &j) != 0) {
		api_refuse_memory(call);
		return;
	}
	a.body = &j;
	if (answer->created) {
		str_printf(location, sizeof location, "/v1/tunnels/%s", r->name);
		a.status = 201;
		a.location = location;
	}
	api_reply(call, &a);
}

static void api_edit_on_changed(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;
	struct api_edit *x = call->state;

	call->manage = NULL;
	if (answer->e == 0)
		api_edit_tell(call, answer);
	else if (answer->e == ERR_CONFLICT && x->keeps_bearers && !call->when.match &&
		 ++x->tries < EDIT_TRIES_MAX)
		api_edit_go(call);
	else
		api_refuse_answer(call, answer);
}

static void api_edit_change(struct api_call *call)
{
	struct api_edit *x = call->state;
	struct manage_asker by = api_asker(call);

	by.done = api_edit_on_changed;
	call->manage = manage_tunnel_change(call->api->opt.core, &by, x->name, &x->ch);
	if (call->manage == NULL)
		api_refuse_busy(call);
}

/* ---- what is there now ---- */

static void api_edit_on_read(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;
	struct api_edit *x = call->state;
	struct rights *r = &x->ch.to.rights;
	struct api_fault fault;

	call->manage = NULL;
	if (answer->e == ERR_NOTFOUND && call->when.match_any) {
		api_refuse_status(call, 412, ERR_NOTFOUND, answer->reason);
	} else if (answer->e == ERR_NOTFOUND) {
		(void)!api_edit_no_bearers(&fault);
		api_refuse_fault(call, &fault);
	} else if (answer->e != 0) {
		api_refuse_answer(call, answer);
	} else {
		if (x->keeps_bearers) {
			memcpy(r->bearers, answer->tunnels[0].rights.bearers, sizeof r->bearers);
			r->n_bearers = answer->tunnels[0].rights.n_bearers;
			x->ch.set |= MANAGE_T_BEARERS;
		}
		if (!call->when.match)
			x->ch.expected = answer->version;
		api_edit_change(call);
	}
}

/* Read first what must stay, or be there. */
static void api_edit_go(struct api_call *call)
{
	struct api_edit *x = call->state;
	struct manage_asker by = api_asker(call);

	if (x->ch.mode != MANAGE_PUT || (!x->keeps_bearers && !call->when.match_any)) {
		api_edit_change(call);
		return;
	}
	by.done = api_edit_on_read;
	call->manage = manage_tunnel_get(call->api->opt.core, &by, x->name);
	if (call->manage == NULL)
		api_refuse_busy(call);
}

/* ---- passwords ---- */

static void api_edit_hash(struct api_call *call);

static void api_edit_on_hash(void *arg, int e, const char *hash)
{
	struct api_call *call = arg;
	struct api_edit *x = call->state;
	struct rights_user *u = &x->ch.to.rights.users[x->hashing];

	call->job = NULL;
	if (e == 0)
		e = str_copy(u->hash, sizeof u->hash, str_of(hash));
	if (e != 0) {
		api_refuse_memory(call);
		return;
	}
	x->hashing++;
	api_edit_hash(call);
}

/* The next password; a user without one keeps the one that is there. */
static void api_edit_hash(struct api_call *call)
{
	struct api_edit *x = call->state;
	struct str password;
	int e;

	while (x->hashing < json_count(x->basic) &&
	       !api_body_text(json_at(x->basic, x->hashing), "password", &password))
		x->hashing++;
	if (x->hashing == json_count(x->basic)) {
		api_edit_go(call);
		return;
	}
	e = password_hash(call->api->opt.passwords, password, api_edit_on_hash, call, &call->job);
	if (e == ERR_NOMEM)
		api_refuse_memory(call);
	else if (e != 0)
		api_refuse_busy(call);
}

/* ---- the routes ---- */

static void api_edit_start(struct api_call *call, enum manage_mode mode)
{
	struct api_edit *x = calloc(1, sizeof *x);
	struct api_fault fault;

	call->state = x;
	if (x == NULL) {
		api_refuse_memory(call);
		return;
	}
	x->ch.mode = mode;
	x->ch.expected = api_expected(call);
	if (api_edit_read(call, x, &fault) != 0)
		api_refuse_fault(call, &fault);
	else
		api_edit_hash(call);
}

void api_tunnel_make(struct api_call *call)
{
	api_edit_start(call, MANAGE_CREATE);
}

/* If-None-Match: * asks for a new one; that is MANAGE_CREATE, under the name in the path. */
void api_tunnel_put(struct api_call *call)
{
	api_edit_start(call, call->when.none_any ? MANAGE_CREATE : MANAGE_PUT);
}

void api_tunnel_patch(struct api_call *call)
{
	api_edit_start(call, MANAGE_PATCH);
}
