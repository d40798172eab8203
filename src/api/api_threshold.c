/*
 * The management calls that threshold had, for automation written for it: a list of clients, and a
 * list of tunnels that is replaced whole. They ask the same core as /v1 does; only the words are
 * different, and where threshold left half of a refused list in place, nothing changes here.
 */
#include "api/api_threshold.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"

/* ---- answers ---- */

/* *j is taken over in any case. e: why it could not be made, or 0. */
static void api_threshold_reply(struct api_call *call, int e, struct json **j)
{
	struct buf text = {0};

	if (e == 0)
		e = json_write(*j, API_ANSWER_MAX, &text);
	json_free(*j);
	*j = NULL;
	if (e != 0)
		api_refuse_memory(call);
	else
		api_reply_bytes(call, STR("application/json"), buf_str(&text));
	buf_free(&text);
}

/* ---- GET /clients ---- */

/* Which state it has, and which one it had before. */
static int api_threshold_json_client(const struct core_agent_info *a, struct json *clients)
{
	bool here = a->n_sessions > 0;
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "CurrentState",
			       here ? STR("ClientConnected") : STR("ClientDisconnected"))) == 0 &&
	    (e = json_set_text(j, "LastState",
			       !here	      ? STR("ClientConnected")
			       : a->was_there ? STR("ClientDisconnected")
					      : STR("ClientUnknown"))) == 0)
		e = json_set(clients, a->id, &j);
	json_free(j);
	return e;
}

static void api_threshold_tell_clients(struct api_call *call, const struct manage_answer *answer)
{
	struct json *clients = NULL;
	int e = json_new_object(&clients);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		e = api_threshold_json_client(&answer->agents[i].info, clients);
	api_threshold_reply(call, e, &clients);
}

static void api_threshold_clients(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_agents(call->api->opt.core, &by, false), api_threshold_tell_clients);
}

/* ---- GET /tunnels ---- */

/* Pages of one's tunnels, until there is no more. */
struct api_threshold_pages {
	struct json *list; /* owned */
	char after[STORE_KEY_MAX + 1];
};

static void api_threshold_pages_free(void *state)
{
	struct api_threshold_pages *p = state;

	json_free(p->list);
}

static void api_threshold_next_page(struct api_call *call);

static void api_threshold_tell_page(struct api_call *call, const struct manage_answer *answer)
{
	struct api_threshold_pages *p = call->state;
	struct api *a = call->api;
	int e = 0;

	for (size_t i = 0; i < answer->n && e == 0; i++)
		e = api_threshold_write(&answer->tunnels[i], a->opt.tls_port, NULL, p->list);
	if (e == 0 && answer->more && json_count(p->list) < MANAGE_LIST_MAX &&
	    str_copy(p->after, sizeof p->after, str_of(answer->after)) == 0)
		api_threshold_next_page(call);
	else
		api_threshold_reply(call, e, &p->list);
}

static void api_threshold_next_page(struct api_call *call)
{
	struct api_threshold_pages *p = call->state;
	struct manage_page page = {.after = str_of(p->after), .limit = MANAGE_PAGE_MAX};
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_tunnel_list(call->api->opt.core, &by, false, &page),
		 api_threshold_tell_page);
}

static void api_threshold_tunnels(struct api_call *call)
{
	struct api_threshold_pages *p = calloc(1, sizeof *p);

	call->state = p;
	if (p == NULL || json_new_list(&p->list) != 0) {
		api_refuse_memory(call);
		return;
	}
	call->state_free = api_threshold_pages_free;
	api_threshold_next_page(call);
}

/* ---- PUT /tunnels ---- */

struct api_threshold_list {
	struct json *json;		     /* owned: as it came */
	struct api_threshold_entry *entries; /* owned: [n] */
	struct manage_tunnel_entry *wanted;  /* owned: [n] */
	size_t n;
};

static void api_threshold_list_free(void *state)
{
	struct api_threshold_list *l = state;

	free(l->wanted);
	free(l->entries);
	json_free(l->json);
}

/* A list of so many entries. Returns 0, ERR_PROTO (it is none), ERR_TOOBIG, ERR_NOMEM. */
static int api_threshold_list_new(struct str text, struct api_threshold_list *l)
{
	int e = json_parse(text, API_LARGE_BODY_MAX, &l->json);

	if (e != 0)
		return e == ERR_NOMEM ? e : ERR_PROTO;
	if (json_kind(l->json) != JSON_IS_LIST)
		return ERR_PROTO;
	l->n = json_count(l->json);
	if (l->n > MANAGE_LIST_MAX)
		return ERR_TOOBIG;
	l->entries = calloc(l->n + 1, sizeof *l->entries); /* an empty list is none of NULL */
	l->wanted = calloc(l->n + 1, sizeof *l->wanted);
	return l->entries == NULL || l->wanted == NULL ? ERR_NOMEM : 0;
}

static void api_threshold_conflict(char words[API_THRESHOLD_WORDS], uint16_t port)
{
	str_printf(words, API_THRESHOLD_WORDS, "Port Conflict Port %u already in use", port);
}

/* Returns 0, or as api_threshold_read(), or ERR_INUSE: a port twice. */
static int api_threshold_list_read(struct api_call *call, struct api_threshold_list *l,
				   char words[API_THRESHOLD_WORDS])
{
	uint8_t taken[(UINT16_MAX + 1) / 8] = {0};

	for (size_t i = 0; i < l->n; i++) {
		struct api_threshold_entry *x = &l->entries[i];
		int e = api_threshold_read(json_at(l->json, i), call->api->opt.tls_port, x, words);

		if (e != 0)
			return e;
		l->wanted[i].set = API_THRESHOLD_SET;
		l->wanted[i].to = &x->to;
		if (x->to.kind != TUNNEL_TCP)
			continue;
		if (taken[x->port / 8] & 1u << x->port % 8) {
			api_threshold_conflict(words, x->port);
			return ERR_INUSE;
		}
		taken[x->port / 8] |= (uint8_t)(1u << x->port % 8);
	}
	return 0;
}

/* The list that is in force now, in the words that it came in. */
static void api_threshold_tell_replaced(struct api_call *call, const struct manage_answer *answer)
{
	struct api_threshold_list *l = call->state;
	struct json *list = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && i < l->n && e == 0; i++)
		e = api_threshold_write(&answer->tunnels[i], call->api->opt.tls_port,
					l->entries[i].json, list);
	api_threshold_reply(call, e, &list);
}

/* Nothing has changed: say it as threshold did. */
static void api_threshold_refuse(struct api_call *call, const struct manage_answer *answer)
{
	struct api_threshold_list *l = call->state;
	const struct api_threshold_entry *x =
		answer->entry < l->n ? &l->entries[answer->entry] : NULL;
	struct str field = str_of(answer->field);
	char words[API_THRESHOLD_WORDS];
	unsigned status = 0;

	str_printf(words, sizeof words, "%s", answer->reason);
	if (x != NULL &&
	    (answer->e == ERR_NOTFOUND || str_starts(field, STR("transport.agents")))) {
		status = 404;
		str_printf(words, sizeof words, "Client %s Not Found", x->to.agents[0]);
	} else if (x != NULL && x->to.kind == TUNNEL_TCP &&
		   (answer->e == ERR_INUSE || answer->e == ERR_EXISTS)) {
		status = 409;
		api_threshold_conflict(words, x->port);
	} else if (answer->e == ERR_INVAL) {
		str_printf(words, sizeof words, "Bad Request: %s", answer->reason);
	}
	api_refuse_status(call, status, answer->e, words);
}

static void api_threshold_on_replaced(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;

	call->manage = NULL;
	if (answer->e == 0)
		api_threshold_tell_replaced(call, answer);
	else
		api_threshold_refuse(call, answer);
}

static void api_threshold_replace(struct api_call *call)
{
	struct api_threshold_list *l = call->state;
	struct manage_tunnel_list list = {.entries = l->wanted,
					  .n = l->n,
					  .known_agents = true,
					  .keep_http = true,
					  .keep_rest = true};
	struct manage_asker by = api_asker(call);

	by.done = api_threshold_on_replaced;
	call->manage = manage_tunnel_replace(call->api->opt.core, &by, &list);
	if (call->manage == NULL)
		api_refuse_busy(call);
}

static void api_threshold_put(struct api_call *call)
{
	static const char no_json[] = "422 Unprocessable Entity: Can't Parse JSON";
	struct api_threshold_list *l = calloc(1, sizeof *l);
	char words[API_THRESHOLD_WORDS] = "";
	int e;

	call->state = l;
	if (l == NULL) {
		api_refuse_memory(call);
		return;
	}
	call->state_free = api_threshold_list_free;
	if ((e = api_threshold_list_new(buf_str(&call->raw), l)) == 0)
		e = api_threshold_list_read(call, l, words);
	else if (e == ERR_TOOBIG)
		str_printf(words, sizeof words, "Bad Request: a list has at most %d entries.",
			   MANAGE_LIST_MAX);
	if (e == 0)
		api_threshold_replace(call);
	else if (e == ERR_NOMEM)
		api_refuse_memory(call);
	else if (e == ERR_PROTO)
		api_refuse_status(call, 422, e, no_json);
	else
		api_refuse_status(call, e == ERR_TOOBIG ? 400 : 0, e, words);
}

/* ---- GET /ping ---- */

static void api_threshold_ping(struct api_call *call)
{
	api_reply_bytes(call, STR("text/plain; charset=utf-8"), STR("pong"));
}

/* ---- the paths ---- */

static const struct api_route api_threshold_routes[] = {
	{
		.method = HTTP_GET,
		.path = "/clients",
		.who = API_ACCOUNT,
		.id = "thresholdClients",
		.flags = API_WORDS,
		.run = api_threshold_clients,
	},
	{
		.method = HTTP_GET,
		.path = "/tunnels",
		.who = API_ACCOUNT,
		.id = "thresholdTunnels",
		.flags = API_WORDS,
		.run = api_threshold_tunnels,
	},
	{
		.method = HTTP_PUT,
		.path = "/tunnels",
		.who = API_ACCOUNT,
		.id = "thresholdPutTunnels",
		.flags = API_WORDS | API_LARGE,
		.run = api_threshold_put,
	},
	{
		.method = HTTP_GET,
		.path = "/ping",
		.who = API_ANYBODY,
		.id = "thresholdPing",
		.flags = API_WORDS | API_NODE,
		.run = api_threshold_ping,
	},
};

/* Find the route; allow is set to the methods that the path knows, "" if there is no such path. */
static const struct api_route *api_threshold_find(enum http_method method, struct str path,
						  const char **allow)
{
	enum http_method wanted = method == HTTP_HEAD ? HTTP_GET : method;
	const struct api_route *found = NULL;

	*allow = "";
	for (size_t i = 0; i < ARRAY_LEN(api_threshold_routes); i++) {
		const struct api_route *r = &api_threshold_routes[i];

		if (!str_eq(path, str_of(r->path)))
			continue;
		*allow = r->method == HTTP_PUT ? "GET, HEAD, PUT" : "GET, HEAD";
		if (r->method == wanted)
			found = r;
	}
	return found;
}

void api_manage_request(struct api *a, struct http_conn *c, const struct http_request *req)
{
	struct str path = {req->path.p, str_find(req->path, '?')};
	struct api_route_match match = {0};
	struct api_early early = {.words = true};
	const char *allow;

	match.route = api_threshold_find(req->method, path, &allow);
	if (str_starts(path, STR("/v1/"))) {
		api_request(a, c, req);
	} else if (match.route != NULL) {
		api_start(a, c, req, &match);
	} else if (allow[0] != '\0') {
		early.status = 405;
		early.e = ERR_UNSUPPORTED;
		early.detail = "405 Method Not Allowed, see Allow";
		early.allow = allow;
		api_refuse_early(c, &early);
	} else {
		early.status = 404;
		early.e = ERR_NOTFOUND;
		early.detail =
			"404 Not Found, try /clients, /tunnels or /ping, or the API below /v1";
		api_refuse_early(c, &early);
	}
}
