/* What administrators do to everybody's accounts, and invitations. Tunnels are in api_tunnel.c. */
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"

/* ---- reading accounts ---- */

static void api_admin_tell_accounts(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL, *j = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		if ((e = api_json_account(&answer->accounts[i], &j)) == 0)
			e = json_add(list, &j);
	api_reply_list(call, answer, e, &list);
}

void api_admin_accounts(struct api_call *call)
{
	struct manage_page page = {.after = call->after, .limit = call->limit};
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_account_list(call->api->opt.core, &by, &page),
		 api_admin_tell_accounts);
}

static void api_admin_tell_account(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (api_json_account(&answer->accounts[0], &j) != 0)
		api_refuse_memory(call);
	else
		api_reply_item(call, answer, &j);
}

void api_admin_account_get(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_account_get(call->api->opt.core, &by, call->params[0]),
		 api_admin_tell_account);
}

/* ---- changing accounts ---- */

static void api_admin_read_quota(const struct json *quota, struct manage_account_change *ch)
{
	if (api_body_number(quota, "tunnels", &ch->to.quota.tunnels))
		ch->set |= MANAGE_QUOTA_TUNNELS;
	if (api_body_number(quota, "sessions", &ch->to.quota.sessions))
		ch->set |= MANAGE_QUOTA_SESSIONS;
	if (api_body_number(quota, "credentials", &ch->to.quota.credentials))
		ch->set |= MANAGE_QUOTA_CREDENTIALS;
}

void api_admin_account_change(struct api_call *call)
{
	struct manage_account_change ch = {.expected = api_expected(call)};
	const struct json *ports = api_body_list(call->body, "ports");
	struct manage_asker by = api_asker(call);
	struct api_fault fault;
	struct str s;

	if (api_body_text(call->body, "name", &s) &&
	    str_copy(ch.to.name, sizeof ch.to.name, s) == 0)
		ch.set |= MANAGE_NAME;
	if (api_body_text(call->body, "reason", &s) &&
	    str_copy(ch.to.why, sizeof ch.to.why, s) == 0)
		ch.set |= MANAGE_WHY;
	if (api_body_bool(call->body, "enabled", &ch.to.enabled))
		ch.set |= MANAGE_ENABLED;
	if (api_body_bool(call->body, "admin", &ch.to.admin))
		ch.set |= MANAGE_ADMIN;
	api_admin_read_quota(api_body_object(call->body, "quota"), &ch);
	if (ports != NULL) {
		ch.set |= MANAGE_PORTS;
		if (api_read_ports(ports, "ports", ch.to.ports, &ch.to.n_ports, &fault) != 0) {
			api_refuse_fault(call, &fault);
			return;
		}
	}
	api_wait(call, manage_account_change(call->api->opt.core, &by, call->params[0], &ch),
		 api_admin_tell_account);
}

/* exposr's way to say it. */
void api_admin_account_disable(struct api_call *call)
{
	struct manage_account_change ch = {.set = MANAGE_ENABLED | MANAGE_WHY,
					   .expected = STORE_ANY};
	struct manage_asker by = api_asker(call);
	bool disable = true;
	struct str why;

	api_body_bool(call->body, "disable", &disable);
	ch.to.enabled = !disable;
	if (api_body_text(call->body, "reason", &why))
		(void)!str_copy(ch.to.why, sizeof ch.to.why, why);
	api_wait(call, manage_account_change(call->api->opt.core, &by, call->params[0], &ch),
		 api_admin_tell_account);
}

void api_admin_account_drop(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call,
		 manage_account_drop(call->api->opt.core, &by, call->params[0], api_expected(call)),
		 api_tell_none);
}

/* ---- invitations ---- */

static void api_admin_tell_invitations(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL, *j = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		if ((e = api_json_invitation(&answer->invites[i], &j)) == 0)
			e = json_add(list, &j);
	api_reply_list(call, answer, e, &list);
}

void api_admin_invitations(struct api_call *call)
{
	struct manage_page page = {.after = call->after, .limit = call->limit};
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_invite_list(call->api->opt.core, &by, &page),
		 api_admin_tell_invitations);
}

static void api_admin_tell_invited(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;
	int e;

	if ((e = api_json_invitation(&answer->invites[0], &j)) == 0)
		e = json_set_text(j, "code", str_of(answer->token));
	if (e == 0) {
		api_reply(call, &(struct api_answer){.status = 201, .body = &j});
	} else {
		json_free(j);
		api_refuse_memory(call);
	}
}

void api_admin_invitation_make(struct api_call *call)
{
	struct manage_new_invite n = {.uses = 1};
	struct manage_asker by = api_asker(call);

	api_body_text(call->body, "name", &n.name);
	api_body_number(call->body, "uses", &n.uses);
	api_body_time(call->body, "expires_at", &n.until_ms);
	api_wait(call, manage_invite_make(call->api->opt.core, &by, &n), api_admin_tell_invited);
}

void api_admin_invitation_drop(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_invite_drop(call->api->opt.core, &by, call->params[0]),
		 api_tell_none);
}
