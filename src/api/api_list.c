/*
 * The whole list of tunnels in one request. Entries are read as a tunnel's body is; whatever is
 * wrong with one is told with its number, and nothing has changed then. Reading a long list and
 * telling it leave the loop to others again and again.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "api/api_wish.h"
#include "base/err.h"

/* Entries that are read or told in one go: about 1 ms. */
#define API_LIST_STEP 64

struct api_list {
	struct api_call *call;
	struct ev_timer pause;
	struct api_wish *wishes;	     /* owned: [n] */
	struct manage_tunnel_entry *entries; /* owned: [n] */
	size_t n;
	struct api_hash hash;
	size_t keeping; /* the entry whose tokens are looked up next, or now */

	size_t at;		       /* the entry that is read, or told, next */
	size_t passwords;	       /* in those that were read */
	struct record_tunnel *tunnels; /* owned: [n_tunnels] as they are now */
	size_t n_tunnels;
	struct buf text; /* the answer */
};

static void api_list_free(void *state)
{
	struct api_list *l = state;

	ev_timer_stop(l->call->api->ev, &l->pause);
	buf_free(&l->text);
	free(l->tunnels);
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

static int api_list_read_next(struct api_call *call, struct api_list *l, struct api_fault *fault)
{
	int e = api_list_read_entry(call, l, l->at, fault);

	if (e != 0)
		return api_list_fault(fault, l->at);
	l->passwords += api_wish_passwords(&l->wishes[l->at]);
	if (l->passwords > API_LIST_PASSWORDS_MAX) {
		(void)!api_fault_set(fault, ERR_LIMIT, "visitors.basic",
				     "a list sets at most %d passwords; leave those out that are "
				     "there already, and set others with the tunnels themselves",
				     API_LIST_PASSWORDS_MAX);
		return api_list_fault(fault, l->at);
	}
	l->at++;
	return 0;
}

static void api_list_read(void *arg)
{
	struct api_list *l = arg;
	size_t end = MIN(l->n, l->at + API_LIST_STEP);
	struct api_fault fault = {0};

	while (l->at < end) {
		if (api_list_read_next(l->call, l, &fault) == 0)
			continue;
		api_refuse_fault(l->call, &fault);
		return;
	}
	if (l->at == l->n)
		api_hash_go(&l->hash);
	else
		ev_timer_set(l->call->api->ev, &l->pause, 0);
}

/* ---- the change ---- */

/* The next ones, as text. Returns 0 or an ERR_*. */
static int api_list_write(struct api_list *l)
{
	size_t n = MIN(l->n_tunnels - l->at, (size_t)API_LIST_STEP);
	struct json *list = NULL;
	struct buf part = {0};
	int e = api_json_tunnels(l->call->api, l->tunnels + l->at, n, &list);

	if (e == 0 && (e = json_write(list, API_ANSWER_MAX, &part)) == 0 && n > 0) {
		if (l->at > 0)
			e = buf_add(&l->text, ",", 1, API_ANSWER_MAX);
		if (e == 0) /* without its brackets */
			e = buf_add(&l->text, buf_str(&part).p + 1, part.len - 2, API_ANSWER_MAX);
	}
	l->at += n;
	buf_free(&part);
	json_free(list);
	return e;
}

static void api_list_tell_on(void *arg)
{
	struct api_list *l = arg;
	struct api_call *call = l->call;
	int e = api_list_write(l);

	if (e == 0 && l->at < l->n_tunnels) {
		ev_timer_set(call->api->ev, &l->pause, 0);
		return;
	}
	if (e == 0)
		e = buf_printf(&l->text, API_ANSWER_MAX, "]}");
	if (e == 0)
		api_reply_bytes(call, STR("application/json"), buf_str(&l->text));
	else
		api_refuse_memory(call);
}

static void api_list_tell(struct api_call *call, const struct manage_answer *answer)
{
	struct api_list *l = call->state;

	MOVE(l->tunnels, *answer->whole);
	l->n_tunnels = answer->n;
	l->at = 0;
	l->pause.fn = api_list_tell_on;
	if (buf_printf(&l->text, API_ANSWER_MAX, "{\"%s\":[", call->route->list) != 0)
		api_refuse_memory(call);
	else
		ev_timer_set(call->api->ev, &l->pause, 0);
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

	call->state = l;
	if (l == NULL) {
		api_refuse_memory(call);
		return;
	}
	l->call = call;
	l->pause = (struct ev_timer){.fn = api_list_read, .arg = l};
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
	api_list_read(l);
}
