/* The process itself: is it up, may it be used, what is it, what does it do. */
#include "api/api_internal.h"
#include "base/err.h"

static const char *const api_node_registrations[] = {
	[CORE_CLOSED] = "closed", [CORE_BY_INVITATION] = "invitation", [CORE_OPEN] = "open"};

/* ---- is it up ---- */

static void api_node_tell_status(struct api_call *call, const char *status)
{
	struct json *j = NULL;

	if (json_new_object(&j) != 0 || json_set_text(j, "status", str_of(status)) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	}
}

void api_node_health(struct api_call *call)
{
	api_node_tell_status(call, "ok");
}

void api_node_ping(struct api_call *call)
{
	api_reply_bytes(call, STR("text/plain"), STR("OK"));
}

/* ---- may it be used ---- */

static void api_node_tell_ready(struct api_call *call, int e, const char *why)
{
	bool plain = call->route->flags & API_PLAIN;

	if (e == 0 && plain)
		api_reply_bytes(call, STR("text/plain"), STR("OK"));
	else if (e == 0)
		api_node_tell_status(call, "ready");
	else /* exposr's probes know 404 only */
		api_refuse_status(call, plain ? 404 : 503, e, why);
}

static void api_node_on_check(void *arg, int e)
{
	struct api_call *call = arg;

	call->check = NULL;
	api_node_tell_ready(call, e, "the server cannot use its records");
}

static void api_node_on_deadline(void *arg)
{
	api_node_tell_ready(arg, ERR_TIMEOUT, "the server's store does not answer");
}

void api_node_ready(struct api_call *call)
{
	struct api *a = call->api;
	const char *why = "the server is shutting down";

	if (!a->opt.ready(a->opt.arg, &why)) {
		api_node_tell_ready(call, ERR_DRAIN, why);
		return;
	}
	call->check = core_check(a->opt.core, api_node_on_check, call);
	if (call->check == NULL) {
		api_node_tell_ready(call, ERR_LIMIT, "the server has too much to do");
		return;
	}
	call->deadline = (struct ev_timer){.fn = api_node_on_deadline, .arg = call};
	ev_timer_set(a->ev, &call->deadline, API_READY_MS);
}

void api_node_old_health(struct api_call *call)
{
	api_node_ready(call);
}

/* ---- what is it ---- */

static int api_node_json_version(const struct api *a, struct json *j)
{
	struct json *protocols = NULL;
	int e;

	if ((e = json_new_list(&protocols)) != 0 ||
	    (e = json_add_text(protocols, STR("karez/1"))) != 0 ||
	    (e = json_add_text(protocols, STR("websocket"))) != 0) {
		json_free(protocols);
		return e;
	}
	if ((e = json_set(j, "protocols", &protocols)) != 0 ||
	    (e = json_set_text(j, "name", STR("karezd"))) != 0 ||
	    (e = json_set_text(j, "version", STR(KAREZ_VERSION))) != 0 ||
	    (e = json_set_text(j, "registration",
			       str_of(api_node_registrations[a->opt.registration]))) != 0)
		return e;
	return json_set_text(j, "domain", str_of(a->opt.domain));
}

void api_node_version(struct api_call *call)
{
	struct json *j = NULL;

	if (json_new_object(&j) != 0 || api_node_json_version(call->api, j) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	}
}

void api_node_document(struct api_call *call)
{
	api_reply_bytes(call, STR("application/json"), buf_str(&call->api->document));
}

/* ---- how does SSH reach it ---- */

static int api_node_json_key(const struct api_ssh_key *key, struct json *list)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) != 0)
		return e;
	if ((e = json_set_text(j, "type", str_of(key->type))) != 0 ||
	    (e = json_set_text(j, "fingerprint", str_of(key->fingerprint))) != 0 ||
	    (e = json_set_text(j, "key", str_of(key->line))) != 0) {
		json_free(j);
		return e;
	}
	return json_add(list, &j);
}

static int api_node_json_ssh(const struct api_ssh *ssh, struct json *j)
{
	struct json *keys = NULL, *ports = NULL;
	int e;

	if ((e = json_new_list(&keys)) != 0 || (e = json_new_list(&ports)) != 0)
		goto out;
	for (size_t i = 0; i < ssh->n_keys && e == 0; i++)
		e = api_node_json_key(&ssh->keys[i], keys);
	for (size_t i = 0; i < ssh->n_ports && e == 0; i++)
		e = json_add_number(ports, ssh->ports[i]);
	if (e == 0 && (e = json_set(j, "host_keys", &keys)) == 0)
		e = json_set(j, "ports", &ports);
out:
	json_free(keys);
	json_free(ports);
	return e;
}

void api_node_ssh(struct api_call *call)
{
	const struct api_ssh *ssh = call->api->opt.ssh;
	struct json *j = NULL;

	if (ssh == NULL) {
		api_refuse(call, ERR_NOTFOUND, NULL, "this server is not reached by SSH");
	} else if (json_new_object(&j) != 0 || api_node_json_ssh(ssh, j) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	}
}

/* ---- the nodes ---- */

/* A list that is being made. */
struct api_node_pen {
	struct json *list;
	size_t n;
	int e;
};

static void api_node_add(void *to, const struct api_peer *p)
{
	struct api_node_pen *pen = to;
	struct json *j = NULL;

	if (pen->e == 0 && (pen->e = api_json_peer(p, &j)) == 0)
		pen->e = json_add(pen->list, &j);
}

static void api_node_count(void *to, const struct api_peer *p)
{
	((struct api_node_pen *)to)->n++;
}

/* Call fn for each of them. */
static void api_node_each(const struct api *a, void (*fn)(void *to, const struct api_peer *p),
			  void *to)
{
	struct api_facts facts = {0};
	struct api_peer alone = {.id = "",
				 .version = KAREZ_VERSION,
				 .hop = "",
				 .agents = "",
				 .machine = "",
				 .self = true};

	if (a->opt.peers != NULL) {
		a->opt.peers(a->opt.arg, fn, to);
		return;
	}
	a->opt.facts(a->opt.arg, &facts);
	alone.draining = facts.draining;
	alone.sessions = facts.sessions;
	alone.visitors = facts.exchanges;
	alone.started_ms = ev_wall_ms(a->ev) - (int64_t)(ev_now_ms(a->ev) - a->started_ms);
	fn(to, &alone);
}

void api_node_list(struct api_call *call)
{
	struct api_node_pen pen = {.list = NULL};
	struct json *j = NULL;

	if ((pen.e = json_new_object(&j)) == 0 && (pen.e = json_new_list(&pen.list)) == 0)
		api_node_each(call->api, api_node_add, &pen);
	if (pen.e == 0)
		pen.e = json_set(j, call->route->list, &pen.list);
	json_free(pen.list);
	if (pen.e == 0) {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	} else {
		json_free(j);
		api_refuse_memory(call);
	}
}

/* ---- what does it do ---- */

static int api_node_json_cluster(const struct api *a, struct json *j)
{
	struct api_node_pen pen = {.list = NULL};
	struct json *cluster = NULL;
	int e;

	api_node_each(a, api_node_count, &pen);
	if ((e = json_new_object(&cluster)) == 0 &&
	    (e = json_set_number(cluster, "nodes", pen.n)) == 0)
		e = json_set(j, "cluster", &cluster);
	json_free(cluster);
	return e;
}

static int api_node_json_facts(const struct api *a, struct json *j)
{
	struct api_facts facts = {0};
	int e;

	a->opt.facts(a->opt.arg, &facts);
	if ((e = json_set_text(j, "version", STR(KAREZ_VERSION))) != 0 ||
	    (e = json_set_number(j, "uptime_s", (ev_now_ms(a->ev) - a->started_ms) / 1000)) != 0 ||
	    (e = json_set_number(j, "sessions", facts.sessions)) != 0 ||
	    (e = json_set_number(j, "streams", facts.streams)) != 0 ||
	    (e = json_set_number(j, "connections", facts.connections)) != 0 ||
	    (e = json_set_number(j, "exchanges", facts.exchanges)) != 0 ||
	    (e = json_set_number(j, "window_used", facts.window_used)) != 0 ||
	    (e = api_node_json_cluster(a, j)) != 0)
		return e;
	return json_set_text(j, "store", str_of(a->opt.store));
}

void api_node_facts(struct api_call *call)
{
	struct json *j = NULL;

	if (json_new_object(&j) != 0 || api_node_json_facts(call->api, j) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	}
}
