/*
 * Tunnels: reading, deleting, and who is connected to them. Changing is api_tunnel_edit.c, whole
 * lists are api_list.c.
 */
#include "api/api_internal.h"
#include "base/err.h"
#include "base/num.h"

/* ---- reading ---- */

static void api_tunnel_tell_list(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL;
	int e = api_json_tunnels(call->api, answer->tunnels, answer->n, &list);

	api_reply_list(call, answer, e, &list);
}

static void api_tunnel_ask_list(struct api_call *call, bool all)
{
	struct manage_page page = {.after = call->after, .limit = call->limit};
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_tunnel_list(call->api->opt.core, &by, all, &page),
		 api_tunnel_tell_list);
}

void api_tunnel_list(struct api_call *call)
{
	api_tunnel_ask_list(call, false);
}

void api_tunnel_list_all(struct api_call *call)
{
	api_tunnel_ask_list(call, true);
}

static void api_tunnel_tell(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (api_json_tunnel(call->api, &answer->tunnels[0], &j) != 0)
		api_refuse_memory(call);
	else
		api_reply_item(call, answer, &j);
}

void api_tunnel_get(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_tunnel_get(call->api->opt.core, &by, call->params[0]),
		 api_tunnel_tell);
}

/* ---- deleting ---- */

void api_tunnel_drop(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call,
		 manage_tunnel_drop(call->api->opt.core, &by, call->params[0], api_expected(call)),
		 api_tell_none);
}

/* ---- who is connected ---- */

static void api_tunnel_tell_result(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (json_new_object(&j) != 0 || json_set_bool(j, "result", answer->n > 0) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	}
}

void api_tunnel_disconnect(struct api_call *call)
{
	struct manage_asker by = api_asker(call);
	struct str reason = {0};

	api_body_text(call->body, "reason", &reason);
	api_wait(call, manage_disconnect(call->api->opt.core, &by, call->params[0], 0, reason),
		 api_tunnel_tell_result);
}

static void api_tunnel_tell_ended(struct api_call *call, const struct manage_answer *answer)
{
	if (answer->n == 0 && answer->n_missing > 0)
		api_refuse(
			call, ERR_NOTFOUND, NULL,
			"no such session serves this tunnel at the nodes that answer; %zu %s not, "
			"and will end it if it is there",
			answer->n_missing, answer->n_missing == 1 ? "does" : "do");
	else if (answer->n == 0)
		api_refuse(call, ERR_NOTFOUND, NULL, "no such session serves this tunnel");
	else
		api_reply(call, &(struct api_answer){.status = 204});
}

void api_tunnel_end_session(struct api_call *call)
{
	struct manage_asker by = api_asker(call);
	uint64_t session;

	/* 0 would be all of them */
	if (num_parse(call->params[1], JSON_NUMBER_MAX, &session) != 0 || session == 0)
		session = UINT64_MAX;
	api_wait(call,
		 manage_disconnect(call->api->opt.core, &by, call->params[0], session,
				   call->query[API_Q_REASON]),
		 api_tunnel_tell_ended);
}

static void api_tunnel_tell_sessions(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL, *j = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		if ((e = api_json_session(&answer->sessions[i], &j)) == 0)
			e = json_add(list, &j);
	api_reply_list(call, answer, e, &list);
}

void api_tunnel_sessions(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_sessions(call->api->opt.core, &by, call->params[0]),
		 api_tunnel_tell_sessions);
}

static void api_tunnel_tell_agents(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL, *j = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		if ((e = api_json_agent(&answer->agents[i], &j)) == 0)
			e = json_add(list, &j);
	api_reply_list(call, answer, e, &list);
}

void api_tunnel_agents(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_agents(call->api->opt.core, &by, call->route->who == API_ADMIN),
		 api_tunnel_tell_agents);
}

static void api_tunnel_tell_visitors(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL, *j = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		if ((e = api_json_visitor(&answer->visitors[i], &j)) == 0)
			e = json_add(list, &j);
	api_reply_list(call, answer, e, &list);
}

void api_tunnel_visitors(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_visitors(call->api->opt.core, &by, call->params[0]),
		 api_tunnel_tell_visitors);
}
