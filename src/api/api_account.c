/* Accounts: one's own, and making one. */
#include "api/api_internal.h"
#include "base/base64.h"
#include "base/err.h"

/* Letters of an account's number without its hyphens. */
#define NUMBER_LETTERS 16

/* ---- making ---- */

static int api_account_json_made(const struct manage_answer *answer, struct json **out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "id", str_of(answer->accounts[0].id))) == 0 &&
	    (e = api_json_number(j, answer->number)) == 0 && answer->token[0] != '\0')
		e = json_set_text(j, "token", str_of(answer->token));
	if (e == 0)
		MOVE(*out, j);
	json_free(j);
	return e;
}

static void api_account_tell_made(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (api_account_json_made(answer, &j) != 0)
		api_refuse_memory(call);
	else
		api_reply(call, &(struct api_answer){.status = 201, .body = &j});
}

void api_account_make(struct api_call *call)
{
	struct manage_asker by = api_asker(call);
	struct manage_new_account a = {0};

	api_body_text(call->body, "invitation", &a.invitation);
	api_body_text(call->body, "name", &a.name);
	api_wait(call, manage_account_make(call->api->opt.core, &by, &a), api_account_tell_made);
}

/* ---- one's own ---- */

static void api_account_tell(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (api_json_account(&answer->accounts[0], &j) != 0)
		api_refuse_memory(call);
	else
		api_reply_item(call, answer, &j);
}

void api_account_get(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_account_get(call->api->opt.core, &by, STR("")), api_account_tell);
}

void api_account_rename(struct api_call *call)
{
	struct manage_account_change ch = {.expected = api_expected(call)};
	struct manage_asker by = api_asker(call);
	struct str name;

	if (api_body_text(call->body, "name", &name)) {
		ch.set = MANAGE_NAME;
		(void)!str_copy(ch.to.name, sizeof ch.to.name, name);
	}
	api_wait(call, manage_account_change(call->api->opt.core, &by, STR(""), &ch),
		 api_account_tell);
}

void api_account_drop(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_account_drop(call->api->opt.core, &by, STR(""), api_expected(call)),
		 api_tell_none);
}

/* ---- numbers ---- */

static void api_account_tell_number(struct api_call *call, const struct manage_answer *answer)
{
	struct json *j = NULL;

	if (json_new_object(&j) != 0 || api_json_number(j, answer->number) != 0) {
		json_free(j);
		api_refuse_memory(call);
	} else {
		api_reply(call, &(struct api_answer){.status = 201, .body = &j});
	}
}

void api_account_renumber(struct api_call *call)
{
	struct manage_asker by = api_asker(call);

	api_wait(call, manage_account_renumber(call->api->opt.core, &by, STR("")),
		 api_account_tell_number);
}

/* The letters of a number as somebody typed it. Returns 0 or ERR_INVAL. */
static int api_account_letters(struct str typed, char out[NUMBER_LETTERS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < typed.len; i++) {
		char c = ascii_lower(typed.p[i]);

		if (c == '-')
			continue;
		if (n == NUMBER_LETTERS)
			return ERR_INVAL;
		out[n++] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	}
	out[n] = '\0';
	return n == NUMBER_LETTERS ? 0 : ERR_INVAL;
}

/* The number that was presented, as core_login() understood it. */
static int api_account_presented(struct str credential, char out[NUMBER_LETTERS + 1])
{
	char plain[2 * NUMBER_LETTERS];
	size_t len;

	if (api_account_letters(credential, out) == 0)
		return 0;
	if (base64_decode(credential, plain, sizeof plain, &len) != 0)
		return ERR_INVAL;
	return api_account_letters((struct str){plain, len}, out);
}

void api_account_old_token(struct api_call *call)
{
	char presented[NUMBER_LETTERS + 1], asked[NUMBER_LETTERS + 1];
	char token[BASE64_TEXT(NUMBER_LETTERS)];
	bool mine = str_eq(call->params[0], str_of(call->who.account));
	struct json *j = NULL;

	if (!str_eq(str_of(call->who.credential), STR("number")) ||
	    api_account_presented(call->credential, presented) != 0) {
		api_refuse(call, ERR_DENIED, NULL,
			   "only who presents the account's number gets it back; make a token "
			   "with POST /v1/credentials instead");
		return;
	}
	if (!mine && (api_account_letters(call->params[0], asked) != 0 ||
		      !str_eq(str_of(asked), str_of(presented)))) {
		api_refuse(call, ERR_DENIED, NULL, "this is not the account of the credential");
		return;
	}
	base64_encode(BASE64, presented, NUMBER_LETTERS, token);
	if (json_new_object(&j) != 0 || json_set_text(j, "token", str_of(token)) != 0) {
		json_free(j);
		api_refuse_memory(call);
		return;
	}
	api_reply(call, &(struct api_answer){.status = 201, .body = &j});
}
