/*
 * Making and changing one tunnel. What must stay as it is in a tunnel that is replaced is read
 * first.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "api/api_wish.h"
#include "base/err.h"

/* Others who change the same tunnel between our reading and writing: how often we look again. */
#define EDIT_TRIES_MAX 4

struct api_edit {
	struct api_wish wish;
	enum manage_mode mode;
	uint64_t expected;
	struct str name; /* of the tunnel; empty: a random one */
	struct api_hash hash;
	bool keeps_bearers; /* replaced whole, but for these */
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

static int api_edit_read(struct api_call *call, struct api_edit *x, struct api_fault *fault)
{
	int e = api_wish_read(call->api->opt.core, call->body, &x->wish, fault);

	if (e == 0)
		e = api_edit_read_name(call, x, fault);
	x->keeps_bearers = x->mode != MANAGE_PATCH && x->wish.keeps_bearers;
	if (e == 0 && x->keeps_bearers && x->mode == MANAGE_CREATE)
		e = api_wish_no_bearers(fault);
	return e;
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
	struct manage_tunnel_change ch = {.mode = x->mode,
					  .set = x->wish.set,
					  .to = x->wish.to,
					  .expected = x->expected};
	struct manage_asker by = api_asker(call);

	by.done = api_edit_on_changed;
	call->manage = manage_tunnel_change(call->api->opt.core, &by, x->name, &ch);
	if (call->manage == NULL)
		api_refuse_busy(call);
}

/* ---- what is there now ---- */

static void api_edit_on_read(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;
	struct api_edit *x = call->state;
	struct rights *r = &x->wish.to.rights;
	struct api_fault fault;

	call->manage = NULL;
	if (answer->e == ERR_NOTFOUND && call->when.match_any) {
		api_refuse_status(call, 412, ERR_NOTFOUND, answer->reason);
	} else if (answer->e == ERR_NOTFOUND) {
		(void)!api_wish_no_bearers(&fault);
		api_refuse_fault(call, &fault);
	} else if (answer->e != 0) {
		api_refuse_answer(call, answer);
	} else {
		if (x->keeps_bearers) {
			memcpy(r->bearers, answer->tunnels[0].rights.bearers, sizeof r->bearers);
			r->n_bearers = answer->tunnels[0].rights.n_bearers;
			x->wish.set |= MANAGE_T_BEARERS;
		}
		if (!call->when.match)
			x->expected = answer->version;
		api_edit_change(call);
	}
}

/* Read first what must stay, or be there. */
static void api_edit_go(struct api_call *call)
{
	struct api_edit *x = call->state;
	struct manage_asker by = api_asker(call);

	if (x->mode != MANAGE_PUT || (!x->keeps_bearers && !call->when.match_any)) {
		api_edit_change(call);
		return;
	}
	by.done = api_edit_on_read;
	call->manage = manage_tunnel_get(call->api->opt.core, &by, x->name);
	if (call->manage == NULL)
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
	x->mode = mode;
	x->expected = api_expected(call);
	x->hash = (struct api_hash){.call = call, .wishes = &x->wish, .n = 1, .done = api_edit_go};
	if (api_edit_read(call, x, &fault) != 0)
		api_refuse_fault(call, &fault);
	else
		api_hash_go(&x->hash);
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
