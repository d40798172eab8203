/* Credentials by the API: types, scopes, the quota, revoking, and who may. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/account_rig.h"

static const char ed25519[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUW"
			      "FxgZGhscHR4f me@laptop";

struct world {
	struct core_rig r;
	struct access_who admin, ann, bob;
};

static void world_open(struct world *w)
{
	core_rig_new(&w->r, true);
	account_rig_start(&w->r, &w->admin);
	core_rig_account(&w->r, &w->ann);
	core_rig_account(&w->r, &w->bob);
}

static void world_close(struct world *w)
{
	core_rig_free(&w->r);
}

static struct told_account make(struct world *w, const struct access_who *who,
				const struct manage_new_credential *n)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(&w->r, &t, manage_credential_make(w->r.core, &by, STR(""), n));
	return t;
}

static void test_what_may_be_made(void **state)
{
	static const struct {
		const char *why;
		struct manage_new_credential n;
		int want;
		const char *field, *shown;
	} cases[] = {
		{"a token", {.type = CREDENTIAL_TOKEN, .name = STR("ci")}, 0, "", "kz_"},
		{"a key",
		 {.type = CREDENTIAL_SSH_KEY, .shown = STR(ed25519)},
		 0,
		 "",
		 "ssh-ed25519 "},
		{"the same key again",
		 {.type = CREDENTIAL_SSH_KEY, .shown = STR(ed25519)},
		 ERR_EXISTS,
		 "key",
		 ""},
		{"a private key",
		 {.type = CREDENTIAL_SSH_KEY, .shown = STR("-----BEGIN OPENSSH PRIVATE KEY-----")},
		 ERR_INVAL,
		 "key",
		 ""},
		{"no key", {.type = CREDENTIAL_SSH_KEY}, ERR_INVAL, "key", ""},
		{"a certificate",
		 {.type = CREDENTIAL_CERTIFICATE, .shown = STR("Agent 7")},
		 0,
		 "",
		 "Agent 7"},
		{"the same name in another case",
		 {.type = CREDENTIAL_CERTIFICATE, .shown = STR("agent 7")},
		 ERR_EXISTS,
		 "subject",
		 ""},
		{"no name", {.type = CREDENTIAL_CERTIFICATE}, ERR_INVAL, "subject", ""},
		{"a name of two lines",
		 {.type = CREDENTIAL_CERTIFICATE, .shown = STR("a\nb")},
		 ERR_INVAL,
		 "subject",
		 ""},
		{"a second number", {.type = CREDENTIAL_NUMBER}, ERR_INVAL, "type", ""},
		{"a name that is not UTF-8",
		 {.type = CREDENTIAL_TOKEN, .name = STR("\xc3")},
		 ERR_INVAL,
		 "name",
		 ""},
		{"a name of 65 bytes",
		 {.type = CREDENTIAL_TOKEN,
		  .name = STR("12345678901234567890123456789012345678901234567890123456789012345")},
		 ERR_INVAL,
		 "name",
		 ""},
		{"a scope",
		 {.type = CREDENTIAL_TOKEN,
		  .scope = {.kinds = 1, .tunnels = "Demo *.TIM", .ports = {{1, 2}}, .n_ports = 1}},
		 0,
		 "",
		 "kz_"},
		{"a kind that is none",
		 {.type = CREDENTIAL_TOKEN, .scope.kinds = 1u << TUNNEL_KINDS},
		 ERR_INVAL,
		 "scope.kinds",
		 ""},
		{"a name that is none",
		 {.type = CREDENTIAL_TOKEN, .scope.tunnels = "demo -x"},
		 ERR_INVAL,
		 "scope.tunnels",
		 ""},
		{"a star alone",
		 {.type = CREDENTIAL_TOKEN, .scope.tunnels = "*"},
		 ERR_INVAL,
		 "scope.tunnels",
		 ""},
		{"a star inside",
		 {.type = CREDENTIAL_TOKEN, .scope.tunnels = "a.*.b"},
		 ERR_INVAL,
		 "scope.tunnels",
		 ""},
		{"two spaces",
		 {.type = CREDENTIAL_TOKEN, .scope.tunnels = "a  b"},
		 ERR_INVAL,
		 "scope.tunnels",
		 ""},
		{"port 0",
		 {.type = CREDENTIAL_TOKEN, .scope.n_ports = 1},
		 ERR_INVAL,
		 "scope.ports",
		 ""},
		{"a range downwards",
		 {.type = CREDENTIAL_TOKEN, .scope = {.ports = {{9, 8}}, .n_ports = 1}},
		 ERR_INVAL,
		 "scope.ports",
		 ""},
		{"too many ports",
		 {.type = CREDENTIAL_TOKEN, .scope.n_ports = ACCESS_PORTS_MAX + 1},
		 ERR_INVAL,
		 "scope.ports",
		 ""},
		{"over already",
		 {.type = CREDENTIAL_TOKEN, .scope.until_ms = 5},
		 ERR_INVAL,
		 "scope.expires_at",
		 ""},
		{"before time began",
		 {.type = CREDENTIAL_TOKEN, .scope.until_ms = -5},
		 ERR_INVAL,
		 "scope.expires_at",
		 ""},
	};
	const struct manage_new_credential certificate = {.type = CREDENTIAL_CERTIFICATE,
							  .shown = STR("laptop.example")};
	size_t made = 1; /* the first token */
	struct world w;

	world_open(&w);
	assert_string_equal(make(&w, &w.ann, &certificate).field, "type");
	w.ann.admin = true; /* whose certificates these are, only administrators know */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_account t = make(&w, &w.ann, &cases[i].n);

		if (t.e != cases[i].want || strcmp(t.field, cases[i].field) != 0)
			fail_msg("%s: %s, field \"%s\"", cases[i].why, err_name(t.e), t.field);
		assert_true((t.token[0] != '\0') ==
			    (t.e == 0 && cases[i].n.type == CREDENTIAL_TOKEN));
		if (t.e != 0)
			continue;
		made++;
		assert_true(t.created && t.version != 0);
		assert_int_equal(strlen(t.credential.id), 8);
		assert_memory_equal(t.credential.shown, cases[i].shown, strlen(cases[i].shown));
		assert_null(strstr(t.credential.shown, t.token[0] != '\0' ? t.token : "?"));
		if (cases[i].n.scope.kinds != 0)
			assert_string_equal(t.credential.scope.tunnels, "demo *.tim");
	}
	assert_int_equal(account_rig_get(&w.r, &w.ann, "").account.n_credentials, made);
	world_close(&w);
}

static void test_a_key_belongs_to_one(void **state)
{
	struct manage_new_credential n = {.type = CREDENTIAL_SSH_KEY, .shown = STR(ed25519)};
	struct told_account t;
	struct world w;

	world_open(&w);
	t = make(&w, &w.ann, &n);
	assert_int_equal(t.e, 0);
	assert_int_equal(make(&w, &w.bob, &n).e, ERR_EXISTS);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, t.credential.id).e, 0);
	assert_int_equal(make(&w, &w.bob, &n).e, 0);
	world_close(&w);
}

static void test_quota(void **state)
{
	struct manage_account_change three = {.set = MANAGE_QUOTA_CREDENTIALS,
					      .to.quota.credentials = 3,
					      .expected = STORE_ANY};
	struct told_account t;
	struct world w;

	world_open(&w);
	assert_int_equal(account_rig_change(&w.r, &w.admin, w.ann.account, &three).e, 0);
	assert_int_equal(account_rig_token(&w.r, &w.ann, NULL).e, 0);
	t = account_rig_token(&w.r, &w.ann, NULL); /* the third; the number does not count */
	assert_int_equal(t.e, 0);
	assert_int_equal(account_rig_token(&w.r, &w.ann, NULL).e, ERR_LIMIT);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, t.credential.id).e, 0);
	assert_int_equal(account_rig_token(&w.r, &w.ann, NULL).e, 0);
	world_close(&w);
}

static void test_a_crowd(void **state)
{
	struct manage_new_credential n = {.type = CREDENTIAL_TOKEN};
	static struct told_account told[60];
	struct world w;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(told); i++) {
		struct manage_asker by = account_rig_by(&told[i], &w.ann);

		assert_non_null(manage_credential_make(w.r.core, &by, STR(""), &n));
	}
	core_rig_run(&w.r);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		assert_int_equal(told[i].e, 0);
	assert_int_equal(account_rig_get(&w.r, &w.ann, "").account.n_credentials, 61);
	world_close(&w);
}

static void test_revoking(void **state)
{
	struct access_scope scope = {.tunnels = "demo"};
	struct told_account t, limited;
	struct access_who who;
	struct world w;

	world_open(&w);
	t = account_rig_token(&w.r, &w.ann, NULL);
	limited = account_rig_token(&w.r, &w.ann, &scope);
	assert_int_equal(account_rig_revoke(&w.r, &w.bob, t.credential.id).e, ERR_NOTFOUND);
	assert_int_equal(account_rig_revoke(&w.r, NULL, t.credential.id).e, ERR_AUTH);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, "nothing").e, ERR_NOTFOUND);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, "a/b").e, ERR_NOTFOUND);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, "").e, ERR_NOTFOUND);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, ACCOUNT_NUMBER_ID).e, ERR_DENIED);

	who = account_rig_login(&w.r, limited.token);
	assert_int_equal(account_rig_revoke(&w.r, &who, t.credential.id).e, ERR_DENIED);
	assert_int_equal(account_rig_revoke(&w.r, &who, who.credential).e, 0); /* log out */
	assert_non_null(strstr(w.r.last_line, "event=revoked"));
	assert_int_equal(core_rig_login(&w.r, str_of(limited.token)).result.e, ERR_AUTH);

	assert_int_equal(account_rig_revoke(&w.r, &w.ann, t.credential.id).e, 0);
	assert_int_equal(core_rig_login(&w.r, str_of(t.token)).result.e, ERR_AUTH);
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, t.credential.id).e, ERR_NOTFOUND);
	assert_int_equal(account_rig_count(&w.r, "owned", w.ann.account), 4);
	assert_int_equal(account_rig_count(&w.r, "credential", w.ann.account), 2);
	assert_int_equal(account_rig_get(&w.r, &w.ann, "").account.n_credentials, 1);
	world_close(&w);
}

static void test_administrators_revoke(void **state)
{
	struct told_account t;
	struct manage_asker by;
	struct world w;

	world_open(&w);
	by = account_rig_by(&t, &w.admin);
	account_rig_wait(&w.r, &t,
			 manage_credential_drop(w.r.core, &by, str_of(w.ann.account),
						str_of(w.ann.credential)));
	assert_int_equal(t.e, 0);
	by = account_rig_by(&t, &w.bob);
	account_rig_wait(&w.r, &t,
			 manage_credential_drop(w.r.core, &by, str_of(w.ann.account),
						STR("number")));
	assert_int_equal(t.e, ERR_NOTFOUND);
	world_close(&w);
}

static struct told_account change(struct world *w, const struct access_who *who, const char *id,
				  const struct manage_credential_change *ch)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	account_rig_wait(&w->r, &t,
			 manage_credential_change(w->r.core, &by, STR(""), str_of(id), ch));
	return t;
}

static void test_changing(void **state)
{
	struct manage_credential_change name = {.set_name = true,
						.name = STR("desk"),
						.expected = STORE_ANY};
	struct manage_credential_change scope = {.set_scope = true,
						 .scope = {.tunnels = "Demo"},
						 .expected = STORE_ANY};
	struct told_account made, t;
	struct world w;

	world_open(&w);
	made = account_rig_token(&w.r, &w.ann, NULL);
	t = change(&w, &w.ann, made.credential.id, &name);
	assert_int_equal(t.e, 0);
	assert_string_equal(t.credential.name, "desk");
	assert_int_not_equal(t.version, made.version);
	scope.expected = made.version;
	assert_int_equal(change(&w, &w.ann, made.credential.id, &scope).e, ERR_CONFLICT);
	scope.expected = t.version;
	t = change(&w, &w.ann, made.credential.id, &scope);
	assert_int_equal(t.e, 0);
	assert_string_equal(t.credential.scope.tunnels, "demo");
	assert_string_equal(t.credential.name, "desk");
	assert_string_equal(account_rig_login(&w.r, made.token).scope.tunnels, "demo");
	assert_int_equal(change(&w, &w.bob, made.credential.id, &name).e, ERR_NOTFOUND);
	scope.expected = STORE_ANY;
	assert_string_equal(change(&w, &w.ann, ACCOUNT_NUMBER_ID, &scope).field, "scope");
	assert_int_equal(change(&w, &w.ann, ACCOUNT_NUMBER_ID, &name).e, 0);
	world_close(&w);
}

/* A credential that ends makes nothing that outlives it, neither itself nor another way in. */
static void test_what_ends_stays_so(void **state)
{
	struct manage_credential_change ch = {.set_scope = true, .expected = STORE_ANY};
	struct access_scope soon = {0}, sooner = {0}, later = {0};
	struct access_who brief;
	struct told_account t;
	struct manage_asker by;
	struct world w;

	world_open(&w);
	soon.until_ms = ev_wall_ms(w.r.ev) + 60000;
	sooner.until_ms = soon.until_ms - 1;
	later.until_ms = soon.until_ms + 1;
	brief = account_rig_login(&w.r, account_rig_token(&w.r, &w.ann, &soon).token);
	assert_int_equal(account_rig_token(&w.r, &brief, NULL).e, ERR_DENIED);
	t = account_rig_token(&w.r, &brief, &later);
	assert_int_equal(t.e, ERR_DENIED);
	assert_string_equal(t.field, "scope.expires_at");
	assert_int_equal(account_rig_token(&w.r, &brief, &soon).e, 0);
	assert_int_equal(account_rig_token(&w.r, &brief, &sooner).e, 0);
	by = account_rig_by(&t, &brief);
	account_rig_wait(&w.r, &t,
			 manage_credential_change(w.r.core, &by, STR(""), str_of(brief.credential),
						  &ch));
	assert_int_equal(t.e, ERR_DENIED);
	by = account_rig_by(&t, &brief);
	account_rig_wait(&w.r, &t, manage_account_renumber(w.r.core, &by, STR("")));
	assert_int_equal(t.e, ERR_DENIED);
	assert_string_equal(t.number, "");
	world_close(&w);
}

static void test_list(void **state)
{
	struct access_scope scope = {.kinds = 1};
	char after[80] = "", seen[8][CORE_ID_TEXT];
	struct access_who limited;
	struct told_account t;
	struct manage_asker by;
	unsigned pages = 0;
	struct world w;
	size_t n = 0;

	world_open(&w);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(account_rig_token(&w.r, &w.ann, NULL).e, 0);
		assert_int_equal(account_rig_token(&w.r, &w.bob, NULL).e, 0);
	}
	do {
		struct manage_page page = {.after = str_of(after), .limit = 2};

		by = account_rig_by(&t, &w.ann);
		account_rig_wait(&w.r, &t, manage_credential_list(w.r.core, &by, STR(""), &page));
		assert_int_equal(t.e, 0);
		for (size_t i = 0; i < t.n; i++)
			memcpy(seen[n++], t.ids[i], CORE_ID_TEXT);
		memcpy(after, t.after, sizeof after);
		pages++;
	} while (t.more);
	assert_int_equal(n, 4); /* the number, the first token, two more */
	assert_int_equal(pages, 2);
	for (size_t i = 1; i < n; i++)
		assert_true(strcmp(seen[i - 1], seen[i]) < 0);

	limited = account_rig_login(&w.r, account_rig_token(&w.r, &w.ann, &scope).token);
	by = account_rig_by(&t, &limited);
	account_rig_wait(&w.r, &t,
			 manage_credential_list(w.r.core, &by, STR(""),
						&(struct manage_page){.limit = 9}));
	assert_int_equal(t.e, ERR_DENIED);
	by = account_rig_by(&t, &limited);
	account_rig_wait(&w.r, &t,
			 manage_credential_get(w.r.core, &by, STR(""), str_of(limited.credential)));
	assert_int_equal(t.e, 0);
	by = account_rig_by(&t, &w.bob);
	account_rig_wait(&w.r, &t,
			 manage_credential_list(w.r.core, &by, str_of(w.ann.account),
						&(struct manage_page){.limit = 9}));
	assert_int_equal(t.e, ERR_NOTFOUND);
	by = account_rig_by(&t, &w.admin);
	account_rig_wait(&w.r, &t,
			 manage_credential_list(w.r.core, &by, str_of(w.ann.account),
						&(struct manage_page){.limit = 9}));
	assert_int_equal(t.n, 5);
	assert_false(t.more);
	world_close(&w);
}

static int fail_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? ERR_FULL : 0;
}

static void test_a_full_disk(void **state)
{
	struct told_account t;
	struct world w;

	world_open(&w);
	w.r.judge = fail_writes;
	t = account_rig_token(&w.r, &w.ann, NULL);
	assert_int_equal(t.e, ERR_FULL);
	assert_string_equal(t.token, "");
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, w.ann.credential).e, ERR_FULL);
	w.r.judge = NULL;
	assert_int_equal(account_rig_revoke(&w.r, &w.ann, w.ann.credential).e, 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_may_be_made),
		cmocka_unit_test(test_a_key_belongs_to_one),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_a_crowd),
		cmocka_unit_test(test_revoking),
		cmocka_unit_test(test_administrators_revoke),
		cmocka_unit_test(test_changing),
		cmocka_unit_test(test_what_ends_stays_so),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
