/*
 * The course of a call, the same for all: find its route, read its body, see who asks, do it,
 * answer. What it waits for is cancelled when nobody waits for it any more.
 */
#include "api/api.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"
#include "http/http_collect.h"

/* ---- the end of a call ---- */

static void api_call_cancel(struct api_call *call)
{
	if (call->login != NULL)
		core_login_cancel(call->login);
	manage_cancel(call->manage);
	password_cancel(call->job);
	core_check_cancel(call->check);
	ev_timer_stop(call->api->ev, &call->deadline);
}

void api_call_free(struct api_call *call)
{
	api_call_cancel(call);
	json_free(call->body);
	if (call->raw.mem != NULL)
		explicit_bzero(call->raw.mem, call->raw.size);
	buf_free(&call->raw);
	if (call->made != NULL)
		explicit_bzero(call->made, sizeof *call->made);
	free(call->made);
	if (call->state_free != NULL)
		call->state_free(call->state);
	free(call->state);
	list_del(&call->link);
	call->api->n_calls--;
	call->api->n_bodies -= call->collecting;
	ev_free_later(call->api->ev, call);
}

static void api_call_on_gone(void *arg)
{
	api_call_free(arg);
}

/* ---- management calls ---- */

static void api_on_managed(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;

	call->manage = NULL;
	if (answer->e != 0)
		api_refuse_answer(call, answer);
	else
		call->tell(call, answer);
}

struct manage_asker api_asker(struct api_call *call)
{
	return (struct manage_asker){.who = call->known ? &call->who : NULL,
				     .done = api_on_managed,
				     .arg = call};
}

void api_wait(struct api_call *call, struct manage *m,
	      void (*tell)(struct api_call *call, const struct manage_answer *answer))
{
	call->manage = m;
	call->tell = tell;
	if (m == NULL)
		api_refuse_busy(call);
}

/* ---- what the body says ---- */

/* Returns true; or false, and the call is refused. Nothing is read where there is nothing. */
static bool api_parse(struct api_call *call, struct str text)
{
	const struct api_route *route = call->route;
	struct api_fault fault;

	if (route->body == NULL || text.len == 0 ||
	    api_body_parse(text, route->body, route->flags & API_WHOLE, &call->body, &fault) == 0)
		return true;
	api_refuse_fault(call, &fault);
	return false;
}

/* ---- who asks ---- */

static void api_collect(struct api_call *call);

static void api_run(struct api_call *call)
{
	char reason[CORE_REASON_TEXT];
	struct access_ask ask = {.act = ACCESS_ADMIN, .now_ms = ev_wall_ms(call->api->ev)};
	int e = 0;

	if (call->route->who == API_ADMIN)
		e = access_decide(&call->who, &ask, reason);
	if (e != 0)
		api_refuse(call, e, NULL, "%s", reason);
	else if (call->large && !call->collected)
		api_collect(call);
	else if (api_parse(call, buf_str(&call->raw)))
		call->route->run(call);
}

static void api_on_login(void *arg, const struct core_login *result)
{
	struct api_call *call = arg;

	call->login = NULL;
	if (result->e != 0) {
		api_refuse(call, result->e, NULL, "%s", result->reason);
		return;
	}
	call->known = true;
	call->who = result->who;
	if (result->token[0] != '\0' && (call->made = calloc(1, sizeof *call->made)) == NULL) {
		api_refuse_memory(call);
		return;
	}
	if (call->made != NULL)
		*call->made = *result;
	api_run(call);
}

static void api_login(struct api_call *call)
{
	struct core_proof proof = {.type = call->proof, .text = call->credential};

	if (call->proof == CORE_PROOF_NONE && call->route->who != API_ANY_OPEN) {
		if (call->route->who == API_MAYBE || call->route->who == API_ANYBODY)
			api_run(call);
		else
			api_refuse(call, ERR_AUTH, NULL,
				   "this needs a credential: \"Authorization: Bearer <token>\", or "
				   "a client certificate if the server asks for one");
		return;
	}
	call->login = core_login(call->api->opt.core, &proof, api_on_login, call);
	if (call->login == NULL)
		api_refuse_busy(call);
}

/* ---- the body ---- */

static void api_refuse_body(struct api_call *call, int e)
{
	if (call->route->flags & API_WORDS) {
		api_refuse_status(call, e == ERR_TIMEOUT ? 408 : 0, e,
				  "the request's body could not be read");
	} else {
		http_collect_refuse(call->conn, e);
		api_call_free(call);
	}
}

static void api_on_body(void *arg, int e, struct str body)
{
	struct api_call *call = arg;

	call->collecting = false;
	call->collected = true;
	call->api->n_bodies--;
	if (e == 0 && call->large)
		e = buf_add(&call->raw, body.p, body.len, API_LARGE_BODY_MAX);
	else if (e == 0 && !api_parse(call, body))
		return;
	if (e != 0)
		api_refuse_body(call, e);
	else if (call->large)
		api_run(call);
	else
		api_login(call);
}

/* Is there room for one more body; of a known sender's large ones, too? */
static bool api_has_room(const struct api_call *call)
{
	const struct api *a = call->api;
	size_t n = 0, own = 0;

	LIST_FOR_EACH (link, &a->calls) {
		const struct api_call *other = CONTAINER_OF(link, struct api_call, link);
		bool has = other->large && (other->collecting || other->collected);

		n += has;
		own += has && strcmp(other->who.account, call->who.account) == 0;
	}
	return a->n_bodies < API_BODIES_MAX &&
	       (!call->large || (n < API_LARGE_MAX && own < API_LARGE_OWN_MAX));
}

static void api_collect(struct api_call *call)
{
	const struct http_request req = {.expect_continue = call->expects,
					 .head = {.framing = call->framing,
						  .content_length = call->content_length}};
	size_t max = call->large ? API_LARGE_BODY_MAX : API_BODY_MAX;

	if (!api_has_room(call)) {
		api_refuse_busy(call);
	} else if (http_collect(call->conn, &req, max, api_on_body, call) != 0) {
		api_refuse_memory(call);
	} else {
		call->collecting = true;
		call->api->n_bodies++;
	}
}

/* Returns true when the body is as the route wants it, as far as its head tells. */
static bool api_judge_body(struct api_call *call, const struct http_request *req)
{
	static const char say_json[] =
		"the body must be sent as JSON: \"Content-Type: application/json\"";
	bool there = api_request_has_body(req);

	if ((call->route->flags & API_WORDS) && call->route->method == HTTP_PUT &&
	    !api_request_is_json(req)) {
		api_refuse_status(call, 415, ERR_UNSUPPORTED,
				  "415 Unsupported Media Type: Content-Type must be "
				  "application/json");
		return false;
	}
	if (call->route->body == NULL)
		return true;
	if (there && !api_request_is_json(req)) {
		api_refuse_status(call, 415, ERR_UNSUPPORTED, say_json);
		return false;
	}
	if (!there && (call->route->flags & API_NEEDS_BODY)) {
		api_refuse(call, ERR_INVAL, NULL, "there is no body; it %s", say_json + 9);
		return false;
	}
	return true;
}

/* A large one is read when its sender is known. */
static void api_read_body(struct api_call *call, const struct http_request *req)
{
	bool there = api_request_has_body(req);

	if (!api_judge_body(call, req))
		return;
	call->large = there && (call->route->flags & API_LARGE);
	call->framing = req->head.framing;
	call->content_length = req->head.content_length;
	call->expects = req->expect_continue;
	if (there && !call->large)
		api_collect(call);
	else
		api_login(call);
}

/* ---- the start of a call ---- */

static struct api_call *api_call_new(struct api *a, struct http_conn *c,
				     const struct http_request *req, const struct api_route *route)
{
	struct api_call *call = NULL;

	if (a->n_calls < API_CALLS_MAX || (route->flags & API_NODE))
		call = calloc(1, sizeof *call + api_request_room(req));
	if (call == NULL)
		return NULL;
	call->api = a;
	call->conn = c;
	list_push(&a->calls, &call->link);
	a->n_calls++;
	http_conn_on_gone(c, api_call_on_gone, call);
	return call;
}

void api_start(struct api *a, struct http_conn *c, const struct http_request *req,
	       const struct api_route_match *match)
{
	struct api_early early = {.words = match->route->flags & API_WORDS};
	struct api_fault fault;
	struct api_call *call;

	if (a->ending) {
		early.e = ERR_DRAIN;
		early.detail = "the server is shutting down; try again";
		api_refuse_early(c, &early);
	} else if (req->method == HTTP_HEAD && match->route->who == API_ANY_OPEN) {
		early.status = 405;
		early.e = ERR_UNSUPPORTED;
		early.detail = "HEAD would make an account whose token nobody sees; use GET";
		early.allow = "GET, POST, OPTIONS";
		api_refuse_early(c, &early);
	} else if ((call = api_call_new(a, c, req, match->route)) == NULL) {
		early.status = 503;
		early.e = ERR_LIMIT;
		early.detail = "the server has too much to do at the moment; try again";
		api_refuse_early(c, &early);
	} else if (api_request_read(call, req, match, &fault) != 0) {
		api_refuse_fault(call, &fault);
	} else {
		api_read_body(call, req);
	}
}

static void api_serve(struct api *a, struct http_conn *c, const struct http_request *req,
		      struct str path)
{
	struct api_route_match match;
	int e = api_route_find(req->method, path, &match);
	const struct http_field extra[] = {
		{.name = STR("Allow"), .value = str_of(match.allow)},
	};
	struct http_page options = {.status = 204, .fields = extra, .n_fields = 1};
	struct api_early early = {.e = e};

	if (e == ERR_NOTFOUND) {
		early.detail = "there is no such route; /v1/openapi.json tells which there are";
		api_refuse_early(c, &early);
	} else if (e == 0) {
		api_start(a, c, req, &match);
	} else if (req->method == HTTP_OPTIONS) {
		http_conn_reply(c, &options);
	} else {
		early.status = 405;
		early.detail = "this route does not know the method; see Allow";
		early.allow = match.allow;
		api_refuse_early(c, &early);
	}
}

bool api_wants(const struct http_request *req)
{
	struct str path = {req->path.p, str_find(req->path, '?')};

	if (str_eq(path, STR("/v1/connect")))
		return false;
	return str_starts(path, STR("/v1/")) || str_eq(path, STR("/ping")) ||
	       str_eq(path, STR("/health"));
}

void api_request(struct api *a, struct http_conn *c, const struct http_request *req)
{
	api_serve(a, c, req, (struct str){req->path.p, str_find(req->path, '?')});
}

void api_open(struct api *a, struct http_conn *c, const struct http_request *req)
{
	struct str path = {req->path.p, str_find(req->path, '?')};

	if (path.len == 0 || str_eq(path, STR("/")))
		path = STR("/v1/open");
	api_serve(a, c, req, path);
}

/* ---- life ---- */

int api_new(struct ev *ev, const struct api_opt *opt, struct api **out)
{
	struct api *a = calloc(1, sizeof *a);
	int e;

	if (a == NULL)
		return ERR_NOMEM;
	a->ev = ev;
	a->opt = *opt;
	a->started_ms = ev_now_ms(ev);
	list_init(&a->calls);
	api_json_url(a, str_of(a->opt.host), a->base);
	if ((e = api_openapi_write(a)) != 0)
		goto out;
	MOVE(*out, a);
out:
	api_free(a);
	return e;
}

void api_free(struct api *a)
{
	if (a == NULL)
		return;
	a->ending = true;
	while (!list_empty(&a->calls)) {
		struct api_call *call = CONTAINER_OF(a->calls.next, struct api_call, link);

		if (call->collecting)
			http_conn_recall(call->conn);
		api_refuse(call, ERR_DRAIN, NULL, "the server is shutting down; try again");
	}
	buf_free(&a->document);
	ev_free_later(a->ev, a);
}
