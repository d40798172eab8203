/*
 * The whole list of tunnels in one request. Entries are read as a tunnel's body is; whatever is
 * wrong with one is told with its number, and nothing has changed then.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "api/api_wish.h"
#include "base/err.h"

struct api_list {
	struct api_wish *wishes;	     /* owned: [n] */
	struct manage_tunnel_entry *entries; /* owned: [n] */
	size_t n;
	struct api_hash hash;
	size_t keeping; /* the entry whose tokens are looked up next, or now */
};

static void api_list_free(void *state)
{
	struct api_list *l = state;

	if (l->wishes != NULL)
		explicit_bzero(l->wishes, l->n * sizeof *l->wishes);
	free(l->wishes);
	free(l->entries);
}

/* The fault of an entry becomes that of the list. Returns its error. */
static int api_list_fault(struct api_fault *fault, size_t entry)
{
	char field[API_FIELD_TEXT];

	str_printf(field, sizeof field, "tunnels.%zu%s%s", entry,
		   fault->field[0] == '\0' ? "" : ".", fault->field);
	str_printf(fault->field, sizeof fault->field, "%s", field);
	return fault->e;
}

/* ---- the entries ---- */

static void api_list_read_owner(struct api_call *call, const struct json *body,
				struct manage_tunnel_entry *x)
{
	if (call->route->who == API_ADMIN && !api_body_text(body, "account", &x->account))
		api_body_text(body, "owner", &x->account);
}

static int api_list_read_entry(struct api_call *call, struct api_list *l, size_t i,
			       struct api_fault *fault)
{
	const struct json *body = json_at(api_body_list(call->body, "tunnels"), i);
	struct manage_tunnel_entry *x = &l->entries[i];
	int e = api_wish_read(call->api->opt.core, body, &l->wishes[i], fault);

	if (e != 0)
		return e;
	if (!api_body_text(body, "name", &x->name))
		api_body_text(body, "id", &x->name);
	api_list_read_owner(call, body, x);
	if (l->wishes[i].keeps_bearers && x->name.len == 0)
		return api_wish_no_bearers(fault);
	return 0;
}

static int api_list_read(struct api_call *call, struct api_list *l, struct api_fault *fault)
{
	size_t passwords = 0;
	int e = 0;

	for (size_t i = 0; i < l->n; i++) {
		*fault = (struct api_fault){0};
		if ((e = api_list_read_entry(call, l, i, fault)) != 0)
			return api_list_fault(fault, i);
		passwords += api_wish_passwords(&l->wishes[i]);
		if (passwords <= API_LIST_PASSWORDS_MAX)
			continue;
		(void)!api_fault_set(fault, ERR_LIMIT, "visitors.basic",
				     "a list sets at most %d passwords; leave those out that are "
				     "there already, and set others with the tunnels themselves",
				     API_LIST_PASSWORDS_MAX);
		return api_list_fault(fault, i);
	}
	return 0;
}

/* ---- the change ---- */

static void api_list_tell(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL;
	int e = api_json_tunnels(call->api, answer->tunnels, answer->n, &list);

	api_reply_list(call, answer, e, &list);
}

static void api_list_replace(struct api_call *call)
{
	struct api_list *l = call->state;
	struct manage_tunnel_list list = {
		.entries = l->entries,
		.n = l->n,
		.all = call->route->who == API_ADMIN,
		.dry_run = str_eq(call->query[API_Q_DRY_RUN], STR("true")),
	};
	struct manage_asker by = api_asker(call);

	for (size_t i = 0; i < l->n; i++) {
		l->entries[i].set = l->wishes[i].set;
		l->entries[i].to = &l->wishes[i].to;
	}
	api_wait(call, manage_tunnel_replace(call->api->opt.core, &by, &list), api_list_tell);
}

/* ---- tokens of visitors that stay ---- */

static void api_list_keep(struct api_call *call);

static void api_list_on_kept(void *arg, const struct manage_answer *answer)
{
	struct api_call *call = arg;
	struct api_list *l = call->state;
	struct api_wish *w = &l->wishes[l->keeping];
	struct api_fault fault = {0};

	call->manage = NULL;
	if (answer->e != 0) {
		if (answer->e == ERR_NOTFOUND)
			(void)!api_wish_no_bearers(&fault);
		else
			(void)!api_fault_set(&fault, answer->e, NULL, "%s", answer->reason);
		(void)!api_list_fault(&fault, l->keeping);
		api_refuse_fault(call, &fault);
		return;
	}
	memcpy(w->to.rights.bearers, answer->tunnels[0].rights.bearers,
	       sizeof w->to.rights.bearers);
	w->to.rights.n_bearers = answer->tunnels[0].rights.n_bearers;
	w->set |= MANAGE_T_BEARERS;
	l->keeping++;
	api_list_keep(call);
}

/* Look up those of the next tunnel that keeps them. */
static void api_list_keep(struct api_call *call)
{
	struct api_list *l = call->state;
	struct manage_asker by = api_asker(call);

	while (l->keeping < l->n && !l->wishes[l->keeping].keeps_bearers)
		l->keeping++;
	if (l->keeping == l->n) {
		api_list_replace(call);
		return;
	}
	by.done = api_list_on_kept;
	call->manage = manage_tunnel_get(call->api->opt.core, &by, l->entries[l->keeping].name);
	if (call->manage == NULL)
		api_refuse_busy(call);
}

/* ---- the route ---- */

void api_list_put(struct api_call *call)
{
	struct api_list *l = calloc(1, sizeof *l);
	struct api_fault fault;

	call->state = l;
	if (l == NULL) {
		api_refuse_memory(call);
		return;
	}
	call->state_free = api_list_free;
	l->n = json_count(api_body_list(call->body, "tunnels"));
	l->wishes = calloc(l->n + 1, sizeof *l->wishes); /* an empty list is none of NULL */
	l->entries = calloc(l->n + 1, sizeof *l->entries);
	if (l->wishes == NULL || l->entries == NULL) {
		api_refuse_memory(call);
		return;
	}
	l->hash = (struct api_hash){.call = call,
				    .wishes = l->wishes,
				    .n = l->n,
				    .done = api_list_keep};
	if (api_list_read(call, l, &fault) != 0)
		api_refuse_fault(call, &fault);
	else
		api_hash_go(&l->hash);
}
