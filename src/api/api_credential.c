/* Credentials: tokens, public keys and certificates of one's own account. */
#include <string.h>

#include "api/api_internal.h"
#include "base/err.h"
#include "base/num.h"

/* Whose credentials: the one's that the path names, or one's own. */
static struct str api_credential_account(const struct api_call *call)
{
	return call->route->who == API_ADMIN ? call->params[0] : STR("");
}

/* ---- scopes ---- */

static int api_scope_tunnels(const struct json *list, struct access_scope *out,
			     struct api_fault *fault)
{
	size_t n = 0;

	for (size_t i = 0; i < json_count(list); i++) {
		char name[HOSTNAME_MAX + 1], field[40];
		struct str s = {0};
		bool below;

		str_printf(field, sizeof field, "scope.tunnels.%zu", i);
		(void)!json_text(json_at(list, i), &s);
		below = str_starts(s, STR("*."));
		if (below)
			s = (struct str){s.p + 2, s.len - 2};
		if (hostname_tunnel(s, name) != 0)
			return api_fault_set(fault, ERR_INVAL, field,
					     "must be a tunnel's name, or \"*.\" and a name");
		if (n + 3 + strlen(name) >= sizeof out->tunnels)
			return api_fault_set(fault, ERR_INVAL, "scope.tunnels",
					     "must have less than %zu bytes in all",
					     sizeof out->tunnels);
		n += str_printf(out->tunnels + n, sizeof out->tunnels - n, "%s%s%s",
				n == 0 ? "" : " ", below ? "*." : "", name);
	}
	return 0;
}

int api_read_ports(const struct json *list, const char *field, struct access_ports *out, size_t *n,
		   struct api_fault *fault)
{
	*n = 0;
	for (size_t i = 0; i < json_count(list); i++) {
		uint64_t first, last;
		struct str s = {0}, part;
		char entry[64];

		(void)!json_text(json_at(list, i), &s);
		if (str_next(&s, '-', &part) && num_parse(part, UINT16_MAX, &first) == 0 &&
		    num_parse(s.p == NULL ? part : s, UINT16_MAX, &last) == 0 && first > 0 &&
		    first <= last) {
			out[(*n)++] = (struct access_ports){(uint16_t)first, (uint16_t)last};
			continue;
		}
		str_printf(entry, sizeof entry, "%s.%zu", field, i);
		return api_fault_set(fault, ERR_INVAL, entry,
				     "must be a port or two with a hyphen between them: \"443\", "
				     "\"2000-2010\"");
	}
	return 0;
}

static void api_scope_kinds(const struct json *list, struct access_scope *out)
{
	for (size_t i = 0; i < json_count(list); i++) {
		enum tunnel_kind kind;
		struct str s;

		if (json_text(json_at(list, i), &s) == 0 && tunnel_kind_parse(s, &kind) == 0)
			out->kinds |= 1u << kind;
	}
}

/* Read "scope" of a checked body. Returns 0 or the fault's ERR_INVAL. */
static int api_scope_read(const struct json *body, struct access_scope *out,
			  struct api_fault *fault)
{
	const struct json *scope = api_body_object(body, "scope"), *list;
	int e = 0;

	*out = (struct access_scope){0};
	if (scope == NULL)
		return 0;
	if ((list = api_body_list(scope, "tunnels")) != NULL)
		e = api_scope_tunnels(list, out, fault);
	if (e == 0 && (list = api_body_list(scope, "ports")) != NULL)
		e = api_read_ports(list, "scope.ports", out->ports, &out->n_ports, fault);
	if ((list = api_body_list(scope, "kinds")) != NULL)
		api_scope_kinds(list, out);
	api_body_time(scope, "expires_at", &out->until_ms);
	return e;
}

/* ---- reading ---- */

static void api_credential_tell_list(struct api_call *call, const struct manage_answer *answer)
{
	struct json *list = NULL, *j = NULL;
	int e = json_new_list(&list);

	for (size_t i = 0; i < answer->n && e == 0; i++)
		if ((e = api_json_credential(call, &answer->credentials[i], &j)) == 0)
			e = json_add(list, &j);
	api_reply_list(call, answer, e, &list);
}

void api_credential_list(struct api_call *call)
{
	struct manage_page page = {.after = call->after, .limit = call->limit};
	struct manage_asker by = api_asker(call);

	api_wait(call,
		 manage_credential_list(call->api->opt.core, &by, api_credential_account(call),
					&page),
		 api_credential_tell_list);
}

static void api_credential_tell(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (api_json_credential(call, &answer->credentials[0], &j) != 0)
		api_refuse_memory(call);
	else
		api_reply_item(call, answer, &j);
}

/* The credential that the path names. */
static struct str api_credential_id(const struct api_call *call)
{
	if (str_eq(call->params[0], STR("self")))
		return str_of(call->who.credential);
	return call->params[0];
}

void api_credential_get(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call,
		 manage_credential_get(call->api->opt.core, &by, STR(""), api_credential_id(call)),
		 api_credential_tell);
}

/* ---- making ---- */

static void api_credential_tell_made(struct api_call *call, const struct manage_answer *answer)
{
	const struct record_credential *r = &answer->credentials[0];
	bool admin = call->route->who == API_ADMIN;
	char location[64];
	struct json *j = NULL;
	int e;

	str_printf(location, sizeof location, "/v1/credentials/%s", r->id);
	if ((e = api_json_credential(call, r, &j)) == 0 && answer->token[0] != '\0')
		e = json_set_text(j, "token", str_of(answer->token));
	if (e != 0) {
		json_free(j);
		api_refuse_memory(call);
		return;
	}
	api_reply(call, &(struct api_answer){.status = 201,
					     .body = &j,
					     .version = answer->version,
					     .location = admin ? NULL : location});
}

/* Each type has its own member, and no other's. Returns 0 or ERR_INVAL. */
static int api_credential_read_shown(const struct json *body, struct manage_new_credential *n,
				     struct api_fault *fault)
{
	struct str key = {0}, subject = {0};
	bool has_key = api_body_text(body, "key", &key);
	bool has_subject = api_body_text(body, "subject", &subject);

	if (has_key != (n->type == CREDENTIAL_SSH_KEY))
		return api_fault_set(fault, ERR_INVAL, "key",
				     has_key ? "belongs to the type ssh-key only"
					     : "is missing: the line of the public key");
	if (has_subject != (n->type == CREDENTIAL_CERTIFICATE))
		return api_fault_set(fault, ERR_INVAL, "subject",
				     has_subject ? "belongs to the type certificate only"
						 : "is missing: the name in the certificate");
	n->shown = has_key ? key : subject;
	return 0;
}

void api_credential_make(struct api_call *call)
{
	struct manage_asker by = api_asker(call);
	struct manage_new_credential n = {0};
	struct api_fault fault;
	struct str type = {0};
	int e;

	api_body_text(call->body, "type", &type);
	api_body_text(call->body, "name", &n.name);
	e = record_parse_credential_type(type, &n.type);
	CHECK(e == 0); /* one of the schema's words */
	if (api_credential_read_shown(call->body, &n, &fault) != 0 ||
	    api_scope_read(call->body, &n.scope, &fault) != 0) {
		api_refuse_fault(call, &fault);
		return;
	}
	api_wait(call,
		 manage_credential_make(call->api->opt.core, &by, api_credential_account(call), &n),
		 api_credential_tell_made);
}

/* ---- changing, revoking ---- */

void api_credential_change(struct api_call *call)
{
	struct manage_credential_change ch = {.expected = api_expected(call)};
	struct manage_asker by = api_asker(call);
	struct api_fault fault;

	ch.set_name = api_body_text(call->body, "name", &ch.name);
	ch.set_scope = api_body_object(call->body, "scope") != NULL;
	if (api_scope_read(call->body, &ch.scope, &fault) != 0) {
		api_refuse_fault(call, &fault);
		return;
	}
	api_wait(call,
		 manage_credential_change(call->api->opt.core, &by, STR(""),
					  api_credential_id(call), &ch),
		 api_credential_tell);
}

void api_credential_drop(struct api_call *call)
{
	bool admin = call->route->who == API_ADMIN;
	struct manage_asker by = api_asker(call);
	struct str id = admin ? call->params[1] : api_credential_id(call);

	api_wait(call,
		 manage_credential_drop(call->api->opt.core, &by, api_credential_account(call), id),
		 api_tell_none);
}
