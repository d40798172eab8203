/* Records as the API shows them. What is secret is not in them, so nothing is left out by hand. */
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"
#include "base/num.h"
#include "proto/time_text.h"

/* An object that is being made; the first error stays. */
struct api_maker {
	struct json *j;
	int e;
};

static void api_begin(struct api_maker *m)
{
	m->j = NULL;
	m->e = json_new_object(&m->j);
}

static void api_text(struct api_maker *m, const char *key, const char *value)
{
	if (m->e == 0)
		m->e = json_set_text(m->j, key, str_of(value));
}

/* The same, left out when it is empty. */
static void api_some_text(struct api_maker *m, const char *key, const char *value)
{
	if (value[0] != '\0')
		api_text(m, key, value);
}

static void api_number(struct api_maker *m, const char *key, uint64_t value)
{
	if (m->e == 0)
		m->e = json_set_number(m->j, key, MIN(value, JSON_NUMBER_MAX));
}

static void api_bool(struct api_maker *m, const char *key, bool value)
{
	if (m->e == 0)
		m->e = json_set_bool(m->j, key, value);
}

/* Left out when it is 0. */
static void api_time(struct api_maker *m, const char *key, int64_t ms)
{
	char text[TIME_TEXT];

	if (ms == 0)
		return;
	time_text_format(ms, text);
	api_text(m, key, text);
}

/* An object made by `from`, or a list, put into m. *j is taken over in any case. */
static void api_put(struct api_maker *m, const char *key, struct json **j)
{
	if (m->e == 0)
		m->e = json_set(m->j, key, j);
	json_free(*j);
	*j = NULL;
}

static void api_put_maker(struct api_maker *m, const char *key, struct api_maker *from)
{
	if (m->e == 0)
		m->e = from->e;
	api_put(m, key, &from->j);
}

static int api_end(struct api_maker *m, struct json **out)
{
	*out = NULL;
	if (m->e != 0)
		json_free(m->j);
	else
		*out = m->j;
	return m->e;
}

/* ---- accounts ---- */

int api_json_account(const struct record_account *r, struct json **out)
{
	struct api_maker m, quota, usage;
	struct json *ports = NULL;

	api_begin(&m);
	api_text(&m, "id", r->id);
	api_text(&m, "name", r->name);
	api_bool(&m, "enabled", r->enabled);
	api_some_text(&m, "reason", r->why);
	api_bool(&m, "admin", r->admin);
	api_bool(&m, "automatic", r->automatic);
	api_time(&m, "created_at", r->created_ms);
	api_time(&m, "used_at", r->used_ms);
	api_begin(&quota);
	api_number(&quota, "tunnels", r->quota.tunnels);
	api_number(&quota, "sessions", r->quota.sessions);
	api_number(&quota, "credentials", r->quota.credentials);
	api_put_maker(&m, "quota", &quota);
	if (m.e == 0)
		m.e = api_json_ports(r->ports, r->n_ports, &ports);
	api_put(&m, "ports", &ports);
	api_begin(&usage);
	api_number(&usage, "tunnels", r->n_tunnels);
	api_number(&usage, "credentials", r->n_credentials);
	api_put_maker(&m, "usage", &usage);
	return api_end(&m, out);
}

int api_json_number(struct json *j, const char *number)
{
	char bare[CORE_NUMBER_TEXT];
	size_t n = 0;
	int e;

	for (const char *p = number; *p != '\0' && n + 1 < sizeof bare; p++)
		if (*p != '-')
			bare[n++] = *p;
	bare[n] = '\0';
	e = json_set_text(j, "account_id", str_of(bare));
	return e != 0 ? e : json_set_text(j, "account_id_hr", str_of(number));
}

/* ---- credentials ---- */

int api_json_ports(const struct access_ports *ports, size_t n, struct json **list)
{
	int e = json_new_list(list);

	for (size_t i = 0; i < n && e == 0; i++) {
		const struct access_ports *p = &ports[i];
		char text[16];
		size_t len = p->first == p->last
				     ? str_printf(text, sizeof text, "%u", p->first)
				     : str_printf(text, sizeof text, "%u-%u", p->first, p->last);

		e = json_add_text(*list, (struct str){text, len});
	}
	return e;
}

static void api_json_scope(const struct access_scope *s, struct api_maker *m)
{
	struct json *tunnels = NULL, *kinds = NULL, *ports = NULL;
	struct str rest = str_of(s->tunnels), name;

	api_begin(m);
	if (m->e == 0)
		m->e = json_new_list(&tunnels);
	while (m->e == 0 && str_next(&rest, ' ', &name))
		if (name.len > 0)
			m->e = json_add_text(tunnels, name);
	api_put(m, "tunnels", &tunnels);
	if (m->e == 0)
		m->e = json_new_list(&kinds);
	for (int k = 0; k < TUNNEL_KINDS && m->e == 0; k++)
		if (s->kinds & 1u << k)
			m->e = json_add_text(kinds, str_of(tunnel_kind_name(k)));
	api_put(m, "kinds", &kinds);
	if (m->e == 0)
		m->e = api_json_ports(s->ports, s->n_ports, &ports);
	api_put(m, "ports", &ports);
	api_time(m, "expires_at", s->until_ms);
}

int api_json_credential(const struct api_call *call, const struct record_credential *r,
			struct json **out)
{
	struct api_maker m, scope;

	api_begin(&m);
	api_text(&m, "id", r->id);
	api_text(&m, "type", record_credential_type(r->type));
	api_text(&m, "name", r->name);
	api_text(&m, "shown", r->shown);
	api_json_scope(&r->scope, &scope);
	api_put_maker(&m, "scope", &scope);
	api_time(&m, "created_at", r->created_ms);
	api_time(&m, "used_at", r->used_ms);
	api_bool(&m, "self",
		 strcmp(r->account, call->who.account) == 0 &&
			 strcmp(r->id, call->who.credential) == 0);
	return api_end(&m, out);
}

int api_json_invitation(const struct record_invite *r, struct json **out)
{
	struct api_maker m;

	api_begin(&m);
	api_text(&m, "id", r->id);
	api_text(&m, "name", r->name);
	api_number(&m, "uses", r->uses);
	api_time(&m, "created_at", r->created_ms);
	api_time(&m, "expires_at", r->until_ms);
	return api_end(&m, out);
}

/* ---- tunnels ---- */

void api_json_url(const struct api *a, struct str host, char out[API_URL_TEXT])
{
	if (a->opt.port == 0)
		str_printf(out, API_URL_TEXT, "%s://" STR_FMT, a->opt.scheme, STR_ARG(host));
	else
		str_printf(out, API_URL_TEXT, "%s://" STR_FMT ":%u", a->opt.scheme, STR_ARG(host),
			   a->opt.port);
}

int api_json_urls(const struct api *a, const struct record_tunnel *r, struct json **list)
{
	char url[CORE_URL_TEXT];
	int e = json_new_list(list);

	for (size_t i = 0; i < CORE_URLS_MAX && e == 0; i++) {
		if (core_url(a->opt.core, r, i, url) != 0)
			break;
		e = json_add_text(*list, str_of(url));
	}
	if (e != 0) {
		json_free(*list);
		*list = NULL;
	}
	return e;
}

static void api_json_connection(const struct core_serving *s, struct api_maker *m)
{
	api_begin(m);
	api_bool(m, "connected", s->n_sessions > 0);
	api_number(m, "connections", s->n_sessions);
	api_time(m, "connected_at", s->since_ms);
	api_number(m, "visitors", s->n_visitors);
}

/* [n] texts of `size` bytes each, as a member. */
static void api_texts(struct api_maker *m, const char *key, const char *texts, size_t size,
		      size_t n)
{
	struct json *list = NULL;

	if (m->e == 0)
		m->e = json_new_list(&list);
	for (size_t i = 0; i < n && m->e == 0; i++)
		m->e = json_add_text(list, str_of(texts + i * size));
	api_put(m, key, &list);
}

static void api_json_transport(const struct api *a, const struct record_tunnel *r,
			       struct api_maker *m)
{
	char url[API_URL_TEXT + 16];

	str_printf(url, sizeof url, "%s/v1/connect", a->base);
	api_begin(m);
	api_number(m, "max_connections", r->sessions_max);
	api_text(m, "policy", record_policy(r->policy));
	api_texts(m, "agents", r->agents[0], sizeof r->agents[0], r->n_agents);
	api_number(m, "drain", r->drain_ms / 1000);
	api_text(m, "connect_url", url);
}

static void api_json_all_urls(struct api_maker *m, const struct api *a,
			      const struct record_tunnel *r)
{
	struct json *urls = NULL;

	if (m->e == 0)
		m->e = api_json_urls(a, r, &urls);
	api_put(m, "urls", &urls);
}

static void api_json_http(const struct api *a, const struct record_tunnel *r, struct api_maker *m)
{
	char url[CORE_URL_TEXT];

	api_begin(m);
	api_bool(m, "enabled", r->enabled);
	if (core_url(a->opt.core, r, 0, url) == 0)
		api_text(m, "url", url);
	api_json_all_urls(m, a, r);
	api_texts(m, "alt_names", r->alt_names[0], sizeof r->alt_names[0], r->n_alt_names);
}

/* The door of its kind; custom domains are told in one place, so that one can change them there. */
static void api_json_ingress(const struct api *a, const struct record_tunnel *r,
			     struct api_maker *m)
{
	struct api_maker door;

	api_begin(m);
	switch (r->kind) {
	case TUNNEL_HTTP: api_json_http(a, r, &door); break;
	case TUNNEL_TCP:
		api_begin(&door);
		api_number(&door, "port", r->port);
		api_text(&door, "bind", r->bind);
		break;
	default:
		api_begin(&door);
		api_text(&door, "mode", record_tls(r->tls));
		break;
	}
	api_put_maker(m, tunnel_kind_name(r->kind), &door);
}

static void api_json_target(const struct record_tunnel *r, struct api_maker *m)
{
	api_begin(m);
	api_text(m, "url", r->target);
	api_text(m, "service", r->service);
	api_text(m, "proxy_protocol", record_proxy(r->proxy));
}

static void api_json_blocks(struct api_maker *m, const char *key, const struct cidr *blocks,
			    size_t n)
{
	struct json *list = NULL;
	char text[CIDR_TEXT_MAX];

	if (m->e == 0)
		m->e = json_new_list(&list);
	for (size_t i = 0; i < n && m->e == 0; i++) {
		size_t len = cidr_format(&blocks[i], text);

		m->e = json_add_text(list, (struct str){text, len});
	}
	api_put(m, key, &list);
}

static void api_json_rights(const struct rights *r, struct api_maker *m)
{
	struct json *users = NULL;

	api_begin(m);
	if (m->e == 0)
		m->e = json_new_list(&users);
	for (size_t i = 0; i < r->n_users && m->e == 0; i++) {
		struct api_maker user;

		api_begin(&user);
		api_text(&user, "user", r->users[i].name);
		m->e = user.e;
		if (m->e == 0)
			m->e = json_add(users, &user.j);
		json_free(user.j);
	}
	api_put(m, "basic", &users);
	api_number(m, "bearer", r->n_bearers);
	api_json_blocks(m, "allow", r->allow, r->n_allow);
	api_json_blocks(m, "deny", r->deny, r->n_deny);
	api_text(m, "auth_url", r->auth_url);
}

static void api_json_headers(const struct record_tunnel *r, struct api_maker *m)
{
	struct str edits = header_edits_str(&r->edits);
	char text[HEADER_EDIT_TEXT];

	api_begin(m);
	api_bool(m, "rewrite", r->rewrite);
	api_text(m, "host", r->host);
	for (unsigned what = 0; what < HEADER_EDITS; what++) {
		struct json *list = NULL;
		struct http_field f;
		size_t at = 0;

		if (m->e == 0)
			m->e = json_new_list(&list);
		while (m->e == 0 && header_edits_next(edits, what, &at, &f)) {
			size_t len = header_edit_format(what, &f, text);

			m->e = json_add_text(list, (struct str){text, len});
		}
		api_put(m, header_edit_name(what), &list);
	}
}

static int api_json_served(struct api *a, const struct record_tunnel *r,
			   const struct core_serving *s, struct json **out)
{
	struct api_maker m, part;

	api_begin(&m);
	api_text(&m, "id", r->name);
	api_text(&m, "name", r->name);
	api_text(&m, "kind", tunnel_kind_name(r->kind));
	api_bool(&m, "enabled", r->enabled);
	api_bool(&m, "temporary", r->temporary);
	api_json_all_urls(&m, a, r);
	if (r->kind != TUNNEL_HTTP)
		api_texts(&m, "domains", r->alt_names[0], sizeof r->alt_names[0], r->n_alt_names);
	api_json_connection(s, &part);
	api_put_maker(&m, "connection", &part);
	api_json_transport(a, r, &part);
	api_put_maker(&m, "transport", &part);
	api_json_ingress(a, r, &part);
	api_put_maker(&m, "ingress", &part);
	api_json_target(r, &part);
	api_put_maker(&m, "target", &part);
	api_json_headers(r, &part);
	api_put_maker(&m, "headers", &part);
	api_json_rights(&r->rights, &part);
	api_put_maker(&m, "visitors", &part);
	api_text(&m, "owner", r->account);
	api_time(&m, "created_at", r->created_ms);
	api_time(&m, "updated_at", r->updated_ms);
	return api_end(&m, out);
}

int api_json_tunnel(struct api *a, const struct record_tunnel *r, struct json **out)
{
	struct core_serving s = {.name = r->name};

	core_serving(a->opt.core, &s, 1);
	return api_json_served(a, r, &s, out);
}

int api_json_tunnels(struct api *a, const struct record_tunnel *r, size_t n, struct json **list)
{
	struct core_serving s[CORE_SERVING_MAX];
	struct json *j;
	int e = json_new_list(list);

	for (size_t i = 0; i < n && e == 0; i++) {
		size_t k = i % CORE_SERVING_MAX, more = MIN(n - i, CORE_SERVING_MAX);

		if (k == 0) {
			for (size_t x = 0; x < more; x++)
				s[x] = (struct core_serving){.name = r[i + x].name};
			core_serving(a->opt.core, s, more);
		}
		if ((e = api_json_served(a, &r[i], &s[k], &j)) == 0)
			e = json_add(*list, &j);
	}
	return e;
}

/* ---- who is there ---- */

int api_json_session(const struct core_session_info *s, struct json **out)
{
	struct api_maker m;

	api_begin(&m);
	api_number(&m, "id", s->number);
	api_some_text(&m, "node", s->node);
	api_text(&m, "kind", core_session_kind_name(s->kind));
	api_text(&m, "agent", s->agent);
	api_number(&m, "carrier", s->carrier);
	api_number(&m, "epoch", s->epoch);
	api_text(&m, "ip", s->peer.ip);
	api_number(&m, "port", s->peer.port);
	api_time(&m, "connected_at", s->since_ms);
	api_number(&m, "rtt_us", s->rtt_us);
	api_number(&m, "streams", s->n_streams);
	api_bool(&m, "draining", s->draining);
	api_bool(&m, "late", s->late);
	api_bool(&m, "down", s->down);
	api_number(&m, "priority", s->priority);
	return api_end(&m, out);
}

int api_json_agent(const struct core_agent_there *there, struct json **out)
{
	const struct core_agent_info *a = &there->info;
	struct api_maker m;

	api_begin(&m);
	api_text(&m, "id", a->id);
	api_text(&m, "owner", a->account);
	api_bool(&m, "connected", a->n_sessions > 0);
	api_number(&m, "sessions", a->n_sessions);
	api_time(&m, "since_at", a->since_ms);
	api_bool(&m, "returned", a->was_there);
	if (there->n_nodes > 0)
		api_texts(&m, "nodes", there->nodes[0], sizeof there->nodes[0], there->n_nodes);
	return api_end(&m, out);
}

int api_json_peer(const struct api_peer *p, struct json **out)
{
	struct api_maker m;

	api_begin(&m);
	api_text(&m, "id", p->id);
	api_bool(&m, "this", p->self);
	api_text(&m, "version", p->version);
	api_time(&m, "since_at", p->started_ms);
	api_number(&m, "epoch", (uint64_t)MAX(p->started_ms, 0));
	api_number(&m, "sessions", p->sessions);
	api_number(&m, "visitors", p->visitors);
	api_bool(&m, "draining", p->draining);
	api_text(&m, "hop", p->hop);
	api_text(&m, "agent_url", p->agents);
	api_text(&m, "machine", p->machine);
	return api_end(&m, out);
}

int api_json_visitor(const struct core_visitor_info *v, struct json **out)
{
	struct api_maker m;

	api_begin(&m);
	api_text(&m, "ip", v->peer.ip);
	api_number(&m, "port", v->peer.port);
	api_text(&m, "host", v->host);
	api_text(&m, "protocol", visit_ingress_name(v->ingress));
	api_time(&m, "since_at", v->since_ms);
	api_some_text(&m, "node", v->node);
	return api_end(&m, out);
}
