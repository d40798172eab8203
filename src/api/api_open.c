/*
 * The register call, for clients of one line: an account if there is no credential, a tunnel, and
 * all that is needed to connect. Asked again with the same name and credential, it tells the same.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"

struct api_opening {
	struct manage_tunnel_change ch;
	struct str name; /* as wanted; empty: a random one */
	/* Why there is no tunnel, while an account that was made for it goes again. */
	struct manage_answer refusal;
	char reason[2 * CORE_REASON_TEXT];
};

/* ---- telling ---- */

static int api_open_json(struct api_call *call, const struct record_tunnel *r, struct json *j)
{
	struct api *a = call->api;
	char host[2 * HOSTNAME_MAX], url[CORE_URL_TEXT], server[API_URL_TEXT], text[1024];
	struct json *urls = NULL;
	int e;

	str_printf(host, sizeof host, "%s.%s", r->name, a->opt.domain);
	if ((e = core_url(a->opt.core, r, 0, url)) != 0)
		return e;
	api_json_url(a, str_of(a->opt.domain), server);
	if ((e = json_set_text(j, "host", str_of(host))) != 0 ||
	    (e = json_set_text(j, "name", str_of(r->name))) != 0 ||
	    (e = json_set_text(j, "url", str_of(url))) != 0 ||
	    (e = api_json_urls(a, r, &urls)) != 0 || (e = json_set(j, "urls", &urls)) != 0 ||
	    (e = json_set_text(j, "server", str_of(server))) != 0)
		return e;
	str_printf(text, sizeof text, "%s/v1/connect", server);
	if ((e = json_set_text(j, "connect_url", str_of(text))) != 0)
		return e;
	if (call->made != NULL &&
	    ((e = json_set_text(j, "token", str_of(call->made->token))) != 0 ||
	     (e = json_set_text(j, "account_id_hr", str_of(call->made->number))) != 0))
		return e;
	str_printf(text, sizeof text, "karez http PORT --server %s --name %s", server, r->name);
	if ((e = json_set_text(j, "command", str_of(text))) != 0)
		return e;
	str_printf(text, sizeof text,
		   "This tunnel is served by karez at %s. Port PORT of your machine will be "
		   "accessible from %s as soon as the command runs.",
		   a->opt.domain, url);
	return json_set_text(j, "banner", str_of(text));
}

static void api_open_tell(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (json_new_object(&j) != 0 || api_open_json(call, &answer->tunnels[0], j) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 200, .body = &j});
	}
}

/* ---- when there is no tunnel ---- */

static void api_open_on_dropped(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;
	struct api_opening *o = call->state;

	call->manage = NULL;
	api_refuse_answer(call, &o->refusal);
}

/* An account that nobody was told of must not stay. */
static void api_open_refuse(struct api_call *call, const struct manage_answer *answer)
{
	struct api_opening *o = call->state;
	struct manage_asker by = api_asker(call);

	if (call->made == NULL) {
		api_refuse_answer(call, answer);
		return;
	}
	str_printf(o->reason, sizeof o->reason, "%s", answer->reason);
	o->refusal =
		(struct manage_answer){.e = answer->e, .reason = o->reason, .field = answer->field};
	by.done = api_open_on_dropped;
	call->manage = manage_account_drop(call->api->opt.core, &by, STR(""), STORE_ANY);
	if (call->manage == NULL)
		api_refuse_answer(call, &o->refusal);
}

/* ---- the tunnel ---- */

static void api_open_on_changed(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;

	call->manage = NULL;
	if (answer->e == 0)
		api_open_tell(call, answer);
	else
		api_open_refuse(call, answer);
}

static void api_open_change(struct api_call *call, enum manage_mode mode)
{
	struct api_opening *o = call->state;
	struct manage_asker by = api_asker(call);

	by.done = api_open_on_changed;
	o->ch.mode = mode;
	call->manage = manage_tunnel_change(call->api->opt.core, &by, o->name, &o->ch);
	if (call->manage == NULL)
		api_refuse_busy(call);
}

static void api_open_on_read(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;
	struct api_opening *o = call->state;

	call->manage = NULL;
	if (answer->e == ERR_NOTFOUND)
		api_open_change(call, MANAGE_CREATE);
	else if (answer->e != 0)
		api_open_refuse(call, answer);
	else if (strcmp(answer->tunnels[0].account, call->who.account) != 0)
		api_open_change(call, MANAGE_CREATE); /* refused: administrators see more */
	else if (o->ch.set != 0)
		api_open_change(call, MANAGE_PATCH);
	else
		api_open_tell(call, answer);
}

void api_open_tunnel(struct api_call *call)
{
	struct api_opening *o = calloc(1, sizeof *o);
	struct manage_asker by = api_asker(call);

	call->state = o;
	if (o == NULL) {
		api_refuse_memory(call);
		return;
	}
	o->name = call->query[API_Q_NAME];
	o->ch.expected = STORE_ANY;
	if (call->query[API_Q_TARGET].p != NULL) {
		(void)!str_copy(o->ch.to.target, sizeof o->ch.to.target, call->query[API_Q_TARGET]);
		o->ch.set = MANAGE_T_TARGET;
	}
	if (o->name.len == 0) {
		api_open_change(call, MANAGE_CREATE);
		return;
	}
	by.done = api_open_on_read;
	call->manage = manage_tunnel_get(call->api->opt.core, &by, o->name);
	if (call->manage == NULL)
		api_refuse_busy(call);
}
