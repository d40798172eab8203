/* Logging in: every form, one path for all that is wrong, and a store that fails. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/account_rig.h"

/* ---- accounts on the fly ---- */

static void test_registration_makes_an_account(void **state)
{
	struct told_login made, again;
	struct told_account got;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	assert_int_equal(made.result.e, 0);
	assert_int_equal(strlen(made.result.number), 19);
	assert_int_equal(strlen(made.result.token), 46);
	assert_true(made.result.who.enabled);
	assert_false(made.result.who.admin);
	assert_non_null(strstr(r.last_line, "event=login account="));
	assert_non_null(strstr(r.last_line, made.result.who.account));
	assert_null(strstr(r.last_line, made.result.number));
	r.secret = made.result.number;

	again = core_rig_login(&r, str_of(made.result.token));
	assert_int_equal(again.result.e, 0);
	assert_string_equal(again.result.who.account, made.result.who.account);
	assert_string_equal(again.result.who.credential, made.result.who.credential);
	assert_string_equal(again.result.token, "");
	assert_string_equal(again.result.number, "");
	got = account_rig_get(&r, &again.result.who, "");
	assert_true(got.account.automatic);
	assert_int_equal(got.account.n_credentials, 1);

	again = core_rig_login(&r, STR(""));
	assert_string_not_equal(again.result.who.account, made.result.who.account);
	assert_string_not_equal(again.result.token, made.result.token);
	core_rig_free(&r);
}

/* The same store, another way to register. */
static void rig_reopen(struct core_rig *r, enum core_registration registration)
{
	core_free(r->core);
	r->opt.registration = registration;
	assert_int_equal(core_new(r->ev, &r->opt, &r->core), 0);
}

static void test_closed_registration(void **state)
{
	struct told_login made, told;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	rig_reopen(&r, CORE_CLOSED);
	told = core_rig_login(&r, STR(""));
	assert_int_equal(told.result.e, ERR_DENIED);
	assert_non_null(strstr(told.reason, "--token-file"));
	told = core_rig_login(&r, str_of(made.result.token)); /* also: a restart keeps tokens */
	assert_int_equal(told.result.e, 0);
	assert_string_equal(told.result.who.account, made.result.who.account);
	rig_reopen(&r, CORE_BY_INVITATION);
	told = core_rig_login(&r, STR(""));
	assert_int_equal(told.result.e, ERR_DENIED);
	assert_non_null(strstr(told.reason, "invitation"));
	core_rig_free(&r);
}

/* ---- forms ---- */

static void base64_of(enum base64_alphabet a, const char *text, char *out)
{
	base64_encode(a, text, strlen(text), out);
}

static void test_every_form_of_a_number(void **state)
{
	char plain[20], lower[20], forms[6][80];
	struct told_login made;
	struct core_rig r;
	size_t n = 0;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	for (const char *p = made.result.number; *p != '\0'; p++)
		if (*p != '-')
			plain[n++] = *p;
	plain[n] = '\0';
	for (size_t i = 0; i <= n; i++)
		lower[i] = ascii_lower(plain[i]);
	str_printf(forms[0], sizeof forms[0], "%s", made.result.number);
	str_printf(forms[1], sizeof forms[1], "%s", plain);
	str_printf(forms[2], sizeof forms[2], "%s", lower);
	base64_of(BASE64, plain, forms[3]);
	base64_of(BASE64_URL, plain, forms[4]);
	base64_of(BASE64, lower, forms[5]);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct access_who who = account_rig_login(&r, forms[i]);

		assert_string_equal(who.account, made.result.who.account);
		assert_string_equal(who.credential, ACCOUNT_NUMBER_ID);
	}
	base64_of(BASE64, made.result.token, forms[0]); /* a token has one form only */
	assert_int_equal(core_rig_login(&r, str_of(forms[0])).result.e, ERR_AUTH);
	core_rig_free(&r);
}

static struct told_login login_by(struct core_rig *r, enum core_proof_type type, struct str text)
{
	struct core_proof proof = {type, text};
	struct told_login told = {0};

	assert_non_null(core_login(r->core, &proof, core_rig_on_login, &told));
	core_rig_run(r);
	assert_int_equal(told.calls, 1);
	return told;
}

static void test_keys_and_certificates(void **state)
{
	static const char key[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERIT"
				  "FBUWFxgZGhscHR4f me@laptop";
	static const struct {
		const char *why;
		enum core_proof_type type;
		const char *text;
		int want;
	} cases[] = {
		{"a name of a certificate", CORE_PROOF_CERTIFICATE, "agent-7.example.org", 0},
		{"in another case", CORE_PROOF_CERTIFICATE, "Agent-7.Example.ORG", 0},
		{"longer", CORE_PROOF_CERTIFICATE, "agent-7.example.orgx", ERR_AUTH},
		{"shorter", CORE_PROOF_CERTIFICATE, "agent-7.example.or", ERR_AUTH},
		{"none", CORE_PROOF_CERTIFICATE, "", ERR_AUTH},
		{"a certificate's name as a key", CORE_PROOF_SSH_KEY, "agent-7.example.org",
		 ERR_AUTH},
		{"a certificate's name as a token", CORE_PROOF_BEARER, "agent-7.example.org",
		 ERR_AUTH},
		{"another key", CORE_PROOF_SSH_KEY,
		 "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ERR_AUTH},
	};
	struct manage_new_credential n = {.type = CREDENTIAL_CERTIFICATE,
					  .shown = STR("Agent-7.example.org")};
	struct told_account told;
	struct manage_asker by;
	struct access_who who;
	char proof[RECORD_PROOF_TEXT];
	struct core_rig r;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	who.admin = true; /* only they may say whose a certificate is */
	by = account_rig_by(&told, &who);
	account_rig_wait(&r, &told, manage_credential_make(r.core, &by, STR(""), &n));
	assert_int_equal(told.e, 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_login l = login_by(&r, cases[i].type, str_of(cases[i].text));

		if (l.result.e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(l.result.e));
	}

	n = (struct manage_new_credential){.type = CREDENTIAL_SSH_KEY, .shown = str_of(key)};
	by = account_rig_by(&told, &who);
	account_rig_wait(&r, &told, manage_credential_make(r.core, &by, STR(""), &n));
	assert_int_equal(told.e, 0);
	str_printf(proof, sizeof proof, "%s", told.credential.proof);
	assert_memory_equal(proof, "ssh-key:SHA256:", 15);
	assert_int_equal(login_by(&r, CORE_PROOF_SSH_KEY, str_of(proof + 8)).result.e, 0);
	proof[20] ^= 0x20; /* the case of base64 counts */
	assert_int_equal(login_by(&r, CORE_PROOF_SSH_KEY, str_of(proof + 8)).result.e, ERR_AUTH);
	core_rig_free(&r);
}

/* One more credential of an account; by an administrator. */
static void add_certificate(struct core_rig *r, const struct access_who *who, struct str subject,
			    int want)
{
	struct manage_new_credential n = {.type = CREDENTIAL_CERTIFICATE, .shown = subject};
	struct access_who admin = *who;
	struct told_account told;
	struct manage_asker by;

	admin.admin = true;
	by = account_rig_by(&told, &admin);
	account_rig_wait(r, &told, manage_credential_make(r->core, &by, STR(""), &n));
	if (told.e != want)
		fail_msg(STR_FMT ": %s", STR_ARG(subject), err_name(told.e));
}

static void test_the_agents_of_a_realm(void **state)
{
	static const struct {
		const char *why, *name;
		int whose; /* 0: the realm's account, 1: the other, -1: nobody's */
	} cases[] = {
		{"an agent of the realm", "TestClient1@example.org", 0},
		{"in any case", "TESTCLIENT2@Example.ORG", 0},
		{"one that has a credential of its own", "special@example.org", 1},
		{"of another realm", "TestClient1@example.com", -1},
		{"of a realm below it", "TestClient1@sub.example.org", -1},
		{"of a longer realm", "TestClient1@example.orgx", -1},
		{"a host of that name", "example.org", -1},
		{"nobody of the realm", "@example.org", -1},
		{"nothing of it", "a@", -1},
		{"whoever is called as the credential is", "*@example.org", -1},
		{"an agent at an agent", "a@b@example.org", -1},
	};
	struct access_who who[2];
	struct core_rig r;

	core_rig_new(&r, true);
	core_rig_account(&r, &who[0]);
	core_rig_account(&r, &who[1]);
	add_certificate(&r, &who[0], STR("*@example.org"), 0);
	add_certificate(&r, &who[1], STR("special@example.org"), 0);
	add_certificate(&r, &who[1], STR("*@Example.org"), ERR_EXISTS);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_login l = login_by(&r, CORE_PROOF_CERTIFICATE, str_of(cases[i].name));
		const char *want = cases[i].whose < 0 ? "" : who[cases[i].whose].account;

		if (strcmp(l.result.who.account, want) != 0)
			fail_msg("%s: \"%s\"", cases[i].why, l.result.who.account);
		assert_int_equal(l.result.e, cases[i].whose < 0 ? ERR_AUTH : 0);
	}
	/* by no other proof */
	assert_int_equal(login_by(&r, CORE_PROOF_BEARER, STR("a@example.org")).result.e, ERR_AUTH);
	assert_int_equal(login_by(&r, CORE_PROOF_SSH_KEY, STR("a@example.org")).result.e, ERR_AUTH);
	core_rig_free(&r);
}

static void test_realms_that_are_none(void **state)
{
	static const struct {
		const char *why;
		struct str subject;
		int want;
	} cases[] = {
		{"no realm", {"*@", 2}, ERR_INVAL},
		{"a wildcard of realms", {"*@*.example.org", 15}, ERR_INVAL},
		{"two realms", {"*@a@b", 5}, ERR_INVAL},
		{"a space", {"*@a b", 5}, ERR_INVAL},
		{"a wildcard of hosts is a name in a certificate", {"*.example.org", 13}, 0},
	};
	struct access_who who;
	struct core_rig r;

	core_rig_new(&r, true);
	core_rig_account(&r, &who);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		add_certificate(&r, &who, cases[i].subject, cases[i].want);
	core_rig_free(&r);
}

/* ---- what is wrong ---- */

static void test_wrong_ones_take_one_path(void **state)
{
	static const struct {
		const char *why;
		struct str text;
	} cases[] = {
		{"one of the right shape", {"kz_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 46}},
		{"a number", {"CDEF-HJKM-NPRT-VWXY", 19}},
		{"a number in base64", {"REREREhKS01OUFJUVldYWQ==", 24}},
		{"a single letter", {"x", 1}},
		{"with a NUL", {"kz_\0AAA", 7}},
		{"nothing but a NUL", {"\0", 1}},
		{"not ASCII", {"\xff\xfe", 2}},
		{"with a slash", {"../../account/x", 15}},
		{"nothing, but said to be something", {"", 0}},
	};
	char *longest = must_calloc(1, 60000), reason[CORE_REASON_TEXT] = "";
	struct told_login told;
	struct core_rig r;

	core_rig_new(&r, true);
	(void)core_rig_login(&r, STR(""));  /* the key is there */
	(void)core_rig_login(&r, STR("x")); /* and known, like the dummies */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		r.n_asked = 0;
		told = login_by(&r, CORE_PROOF_BEARER, cases[i].text);
		if (told.result.e != ERR_AUTH || r.n_asked != (i == 3 ? 0u : 1u) ||
		    (i > 0 && strcmp(told.reason, reason) != 0))
			fail_msg("%s: %s, %u requests", cases[i].why, err_name(told.result.e),
				 r.n_asked);
		assert_string_equal(told.result.who.account, "");
		memcpy(reason, told.reason, sizeof reason);
	}
	memset(longest, 'A', 60000);
	for (int type = CORE_PROOF_BEARER; type <= CORE_PROOF_CERTIFICATE; type++) {
		r.n_asked = 0;
		told = login_by(&r, type, (struct str){longest, 60000});
		assert_int_equal(told.result.e, ERR_AUTH);
		if (type != CORE_PROOF_CERTIFICATE)
			assert_string_equal(told.reason, reason);
		assert_int_equal(r.n_asked, 1);
	}
	free(longest);
	core_rig_free(&r);
}

/* What is known and what is not cost the store the same reads. */
static void test_a_certificate_nobody_has_is_named(void **state)
{
	static const struct {
		const char *why, *name, *reason;
	} cases[] = {
		{"whoever has it learns how it is read", "a.example",
		 "this server knows no account for the certificate \"a.example\"; an administrator "
		 "adds it with: karez cert add a.example --account ID"},
		{"one without a name", "",
		 "the certificate names nobody: it needs a DNS name, or a common name without "
		 "spaces"},
		{"a long one is cut",
		 "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz",
		 "this server knows no account for the certificate "
		 "\"abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghij\"; an "
		 "administrator adds it with: karez cert add NAME --account ID"},
		{"nobody shall paste what a stranger chose", "x;reboot",
		 "this server knows no account for the certificate \"x;reboot\"; an administrator "
		 "adds it with: karez cert add NAME --account ID"},
	};
	struct core_rig r;

	core_rig_new(&r, true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_login told =
			login_by(&r, CORE_PROOF_CERTIFICATE, str_of(cases[i].name));

		assert_int_equal(told.result.e, ERR_AUTH);
		if (strcmp(told.reason, cases[i].reason) != 0)
			fail_msg("%s: %s", cases[i].why, told.reason);
		assert_string_equal(told.result.token, ""); /* registration is open here */
	}
	core_rig_free(&r);
}

static void test_known_and_unknown_read_alike(void **state)
{
	struct told_login made;
	struct core_rig r;
	unsigned known, wrong;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	account_rig_login(&r, made.result.token); /* times of use are written */
	rig_reopen(&r, CORE_OPEN);
	ev_sim_run_for(r.ev, 2 * STORE_PEEK_MS); /* nothing is known without asking */
	r.n_asked = 0;
	account_rig_login(&r, made.result.token);
	known = r.n_asked;
	rig_reopen(&r, CORE_OPEN);
	ev_sim_run_for(r.ev, 2 * STORE_PEEK_MS);
	r.n_asked = 0;
	made.result.token[20] ^= 1;
	assert_int_equal(core_rig_login(&r, str_of(made.result.token)).result.e, ERR_AUTH);
	wrong = r.n_asked;
	assert_int_equal(known, wrong);
	assert_int_equal(known, 4); /* the key, the proof, the credential, the account */
	core_rig_free(&r);
}

static void test_store_does_not_hold_secrets(void **state)
{
	struct told_login made;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	assert_int_equal(account_rig_count(&r, "proof", "token:"), 1);
	assert_int_equal(account_rig_count(&r, "proof", "number:"), 1);
	assert_int_equal(account_rig_count(&r, "proof", ""), 2);
	assert_int_equal(account_rig_count(&r, "account", made.result.who.account), 1);
	for (int i = 0; i < 2; i++) {
		char key[64], *value;

		str_printf(key, sizeof key, "%s/%s", made.result.who.account,
			   i == 0 ? "number" : made.result.who.credential);
		assert_non_null(value = core_rig_get(&r, "credential", key));
		assert_null(strstr(value, made.result.number));
		assert_null(strstr(value, made.result.token + 10));
		free(value);
	}
	core_rig_free(&r);
}

static void test_records_decide(void **state)
{
	static const struct {
		const char *why, *record, *says;
		int want;
	} cases[] = {
		{"as it should be", "{\"enabled\":true,\"n_tunnels\":1}", "", 0},
		{"of a later version", "{\"enabled\":true,\"plan\":{\"x\":[1]}}", "", 0},
		{"switched off", "{\"enabled\":false}", "ask the server's operator", ERR_DISABLED},
		{"with a reason", "{\"enabled\":false,\"why\":\"spam\"}", ": spam", ERR_DISABLED},
		{"being deleted", "{\"enabled\":false,\"deleting\":true}", "deleted", ERR_DISABLED},
		{"damaged", "{\"enabled\":fal", "", ERR_IO},
		{"of another type", "{\"enabled\":\"yes\"}", "", ERR_IO},
		{"empty", "", "", ERR_IO},
	};
	struct told_login made, told;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		core_rig_put(&r, "account", made.result.who.account, cases[i].record);
		told = core_rig_login(&r, str_of(made.result.token));
		if (told.result.e != cases[i].want || strstr(told.reason, cases[i].says) == NULL)
			fail_msg("%s: %s, \"%s\"", cases[i].why, err_name(told.result.e),
				 told.reason);
	}
	core_rig_free(&r);
}

/* A proof that leads to a credential which has another one by now proves nothing. */
static void test_a_stale_proof(void **state)
{
	struct told_login made;
	char key[64], *value, *at;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	str_printf(key, sizeof key, "%s/%s", made.result.who.account, made.result.who.credential);
	assert_non_null(value = core_rig_get(&r, "credential", key));
	assert_non_null(at = strstr(value, "token:"));
	at[10] = at[10] == 'a' ? 'b' : 'a';
	core_rig_put(&r, "credential", key, value);
	free(value);
	assert_int_equal(core_rig_login(&r, str_of(made.result.token)).result.e, ERR_AUTH);
	core_rig_free(&r);
}

/* ---- times of use ---- */

static int64_t used_ms(struct core_rig *r, const struct access_who *who, bool account)
{
	struct told_account t;
	struct manage_asker by = account_rig_by(&t, who);

	if (account)
		return account_rig_get(r, who, "").account.used_ms;
	account_rig_wait(r, &t,
			 manage_credential_get(r->core, &by, STR(""), str_of(who->credential)));
	return t.credential.used_ms;
}

static void test_times_of_use(void **state)
{
	struct told_login made;
	struct access_who who;
	struct core_rig r;
	int64_t first;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	who = account_rig_login(&r, made.result.token);
	first = used_ms(&r, &who, false);
	assert_int_equal(first, used_ms(&r, &who, true));
	assert_in_range(ev_wall_ms(r.ev) - first, 0, 10);

	ev_sim_run_for(r.ev, 30000);
	account_rig_login(&r, made.result.token);
	assert_int_equal(used_ms(&r, &who, false), first);
	ev_sim_run_for(r.ev, 31000);
	account_rig_login(&r, made.result.token);
	assert_true(used_ms(&r, &who, false) > first + 60000);
	assert_int_equal(used_ms(&r, &who, true), first);
	ev_sim_run_for(r.ev, 3600000);
	account_rig_login(&r, made.result.token);
	assert_true(used_ms(&r, &who, true) > first + 3600000);
	core_rig_free(&r);
}

static int fail_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? r->judge_e : 0;
}

static void test_logins_work_when_nothing_can_be_written(void **state)
{
	static const int errors[] = {ERR_FULL, ERR_DENIED, ERR_IO, ERR_TIMEOUT, ERR_CONFLICT};
	struct told_login made;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	r.judge = fail_writes;
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		r.judge_e = errors[i];
		account_rig_login(&r, made.result.token);
	}
	r.judge_e = ERR_FULL; /* but a new account is not promised */
	assert_int_equal(core_rig_login(&r, STR("")).result.e, ERR_FULL);
	core_rig_free(&r);
}

/* ---- a store that fails ---- */

static int fail_third(struct core_rig *r, const struct store_req *req)
{
	return r->n_asked >= 2 ? r->judge_e : 0;
}

static int fail_second(struct core_rig *r, const struct store_req *req)
{
	return r->n_asked >= 1 ? r->judge_e : 0;
}

static void test_store_fails(void **state)
{
	static const struct {
		const char *why;
		int (*judge)(struct core_rig *r, const struct store_req *req);
		int e, want;
	} cases[] = {
		{"the key cannot be read", core_rig_fail_all, ERR_IO, ERR_IO},
		{"nothing can be written", fail_second, ERR_FULL, ERR_FULL},
		{"read-only must not look like a closed registration", fail_second, ERR_DENIED,
		 ERR_IO},
		{"conflicts without end", fail_writes, ERR_CONFLICT, ERR_LIMIT},
		{"too slow", core_rig_fail_all, ERR_TIMEOUT, ERR_TIMEOUT},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct core_rig r;
		struct told_login told;

		core_rig_new(&r, true);
		r.judge = cases[i].judge;
		r.judge_e = cases[i].e;
		told = core_rig_login(&r, STR(""));
		if (told.result.e != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(told.result.e));
		assert_string_equal(told.result.token, "");
		assert_string_equal(told.result.who.account, "");
		r.judge = NULL;
		assert_int_equal(core_rig_login(&r, STR("")).result.e, 0);
		core_rig_free(&r);
	}
}

static void test_reading_fails(void **state)
{
	int (*judges[])(struct core_rig *, const struct store_req *) = {core_rig_fail_all,
									fail_second, fail_third};
	struct told_login made;
	struct core_rig r;

	core_rig_new(&r, true);
	made = core_rig_login(&r, STR(""));
	account_rig_login(&r, made.result.token);
	r.judge_e = ERR_IO;
	for (size_t i = 0; i < ARRAY_LEN(judges); i++) {
		ev_sim_run_for(r.ev, 2 * STORE_PEEK_MS);
		r.n_asked = 0;
		r.judge = judges[i];
		assert_int_equal(core_rig_login(&r, str_of(made.result.token)).result.e, ERR_IO);
		r.judge = NULL;
	}
	core_rig_free(&r);
}

/* ---- bounds and ends ---- */

static void test_core_goes_first(void **state)
{
	struct core_proof proof = {CORE_PROOF_BEARER, STR("x")};
	struct told_login told[3] = {{0}};
	struct core_rig r;

	core_rig_new(&r, true);
	r.judge = core_rig_hold_all;
	for (int i = 0; i < 2; i++)
		assert_non_null(core_login(r.core, &proof, core_rig_on_login, &told[i]));
	core_rig_run(&r);
	assert_non_null(core_login(r.core, &proof, core_rig_on_login, &told[2]));
	core_free(r.core);
	r.core = NULL;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(told[i].calls, 1);
		assert_int_equal(told[i].result.e, ERR_CLOSED);
	}
	core_rig_release(&r);
	assert_int_equal(told[0].calls, 1);
	core_rig_free(&r);
}

static void test_cancel(void **state)
{
	struct core_proof proof = {CORE_PROOF_BEARER, STR("x")};
	struct told_login told = {0};
	struct login *at_once, *later;
	struct core_rig r;

	core_rig_new(&r, true);
	assert_non_null(at_once = core_login(r.core, &proof, core_rig_on_login, &told));
	core_login_cancel(at_once);
	r.judge = core_rig_hold_all;
	assert_non_null(later = core_login(r.core, &proof, core_rig_on_login, &told));
	core_rig_run(&r);
	core_login_cancel(later);
	core_login_cancel(NULL);
	core_rig_release(&r);
	assert_int_equal(told.calls, 0);
	core_rig_free(&r);
}

static void test_bounds(void **state)
{
	static struct told_login told[CORE_LOGINS_MAX + 1];
	struct core_proof none = {CORE_PROOF_NONE, STR("")};
	struct core_rig r;
	unsigned made = 0;

	core_rig_new(&r, true);
	r.judge = core_rig_hold_all;
	for (int i = 0; i < CORE_LOGINS_MAX; i++)
		assert_non_null(core_login(r.core, &none, core_rig_on_login, &told[i]));
	assert_null(core_login(r.core, &none, core_rig_on_login, &told[CORE_LOGINS_MAX]));
	core_rig_run(&r);
	core_rig_release(&r);
	core_rig_run(&r);
	for (int i = 0; i < CORE_LOGINS_MAX; i++) {
		assert_int_equal(told[i].calls, 1);
		made += told[i].result.e == 0;
	}
	assert_int_equal(told[CORE_LOGINS_MAX].calls, 0);
	assert_int_equal(made, CORE_LOGINS_MAX);
	core_rig_free(&r);
}

static void test_nodes_share_the_key(void **state)
{
	struct core_proof none = {CORE_PROOF_NONE, STR("")};
	struct told_login a = {0}, b = {0};
	struct core *other;
	struct core_rig r;

	core_rig_new(&r, true);
	assert_int_equal(core_new(r.ev, &r.opt, &other), 0);
	assert_non_null(core_login(r.core, &none, core_rig_on_login, &a));
	assert_non_null(core_login(other, &none, core_rig_on_login, &b));
	core_rig_run(&r);
	assert_int_equal(a.result.e, 0);
	assert_int_equal(b.result.e, 0);
	core_free(other);
	assert_string_equal(account_rig_login(&r, b.result.token).account, b.result.who.account);
	core_rig_free(&r);
}

static void test_a_damaged_key(void **state)
{
	struct core_rig r;

	core_rig_new(&r, true);
	core_rig_put(&r, "secret", "token", "short");
	assert_int_equal(core_rig_login(&r, STR("")).result.e, ERR_IO);
	core_rig_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registration_makes_an_account),
		cmocka_unit_test(test_closed_registration),
		cmocka_unit_test(test_every_form_of_a_number),
		cmocka_unit_test(test_keys_and_certificates),
		cmocka_unit_test(test_the_agents_of_a_realm),
		cmocka_unit_test(test_realms_that_are_none),
		cmocka_unit_test(test_wrong_ones_take_one_path),
		cmocka_unit_test(test_a_certificate_nobody_has_is_named),
		cmocka_unit_test(test_known_and_unknown_read_alike),
		cmocka_unit_test(test_store_does_not_hold_secrets),
		cmocka_unit_test(test_records_decide),
		cmocka_unit_test(test_a_stale_proof),
		cmocka_unit_test(test_times_of_use),
		cmocka_unit_test(test_logins_work_when_nothing_can_be_written),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_reading_fails),
		cmocka_unit_test(test_core_goes_first),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_nodes_share_the_key),
		cmocka_unit_test(test_a_damaged_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
