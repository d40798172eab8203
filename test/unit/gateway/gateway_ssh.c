/* The door for SSH: who is let in, by what, how many may stand in front of it, and for how long. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "ev/log_pace.h"
#include "unit/core/account_rig.h"
#include "unit/core/ssh_ca_certs.h"
#include "unit/gateway/ssh_rig.h"

#define KEY_REFUSED                                                     \
	"karez: this key is not known here. Upload it with: karez key " \
	"add ~/.ssh/id_ed25519.pub\nor type a token of your account when you are asked for it.\n"
#define TOKEN_REFUSED "karez: this token is not known here.\n"

/* The certificate for "ann". */
static struct str blob_of_ann(uint8_t out[SSH_CERT_MAX])
{
	size_t len;

	assert_string_equal(ssh_ca_certs[0].name, "good");
	assert_int_equal(base64_decode(str_of(ssh_ca_certs[0].base64), out, SSH_CERT_MAX, &len), 0);
	return (struct str){(const char *)out, len};
}

static void test_who_is_let_in(void **state)
{
	static const struct {
		const char *why;
		bool anonymous;
		enum secsh_method method;
		const char *user, *text; /* text: of a key its letter */
		bool ok;
		const char *banner, *log;
	} cases[] = {
		{"the first try of most clients", true, SECSH_NONE, "anna", "", false, "", ""},
		{"nobody, where accounts are made", true, SECSH_NONE, "anonymous", "", true, "",
		 "event=account-made"},
		{"nobody by the other name", true, SECSH_NONE, "nokey", "", true, "",
		 "event=account-made"},
		{"nobody, where none are made", false, SECSH_NONE, "anonymous", "", false, "", ""},
		{"a key that is not known", false, SECSH_KEY, "anna", "u", false, KEY_REFUSED,
		 "event=ssh-refused peer=192.0.2.7 peer_port=4711 user=\"anna\" method=key "
		 "key=SHA256:"},
		{"the same where accounts are made", true, SECSH_KEY, "anna", "u", true, "",
		 "event=account-made"},
		{"a user name that is no name", false, SECSH_KEY, "a\"\033b", "u", false,
		 KEY_REFUSED, "user=\"a'?b\" method=key"},
		{"no user name", false, SECSH_KEY, "", "u", false, KEY_REFUSED, "user=\"\""},
		{"a token that is not known", true, SECSH_TOKEN, "anna", "wrong", false,
		 TOKEN_REFUSED, "method=token code=AUTH software=\"SSH-2.0-'test'\""},
		{"no token, where accounts are made", true, SECSH_TOKEN, "anna", " ", true, "",
		 "event=account-made"},
		{"no token, where none are made", false, SECSH_TOKEN, "anna", "", false,
		 TOKEN_REFUSED, "code=AUTH"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_world w;
		struct peer p;
		bool ok;

		print_message("# %s\n", cases[i].why);
		ssh_world_open(&w, cases[i].anonymous);
		assert_true(peer_dial(&p, &w, "192.0.2.7"));
		w.log[0] = '\0';
		if (cases[i].method == SECSH_NONE)
			ok = peer_none(&p, cases[i].user);
		else if (cases[i].method == SECSH_TOKEN)
			ok = peer_token(&p, cases[i].user, cases[i].text);
		else
			ok = peer_key(&p, cases[i].user, cases[i].text[0]);
		assert_int_equal(ok, cases[i].ok);
		assert_int_equal(p.n_admitted + p.n_refused, 1);
		assert_string_equal(p.banner, cases[i].banner);
		assert_non_null(strstr(w.log, cases[i].log));
		assert_int_equal(gateway_n_sessions(w.gateway), ok);
		if (cases[i].log[0] == '\0')
			assert_string_equal(w.log, ""); /* it is no event */
		ssh_world_close(&w);
		assert_true(p.closed);
		assert_int_equal(p.why, ERR_DRAIN);
	}
}

static void test_what_is_offered(void **state)
{
	struct ssh_world w;
	struct peer p;

	ssh_world_open(&w, true);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_int_equal(p.methods, 1 << SECSH_NONE | 1 << SECSH_KEY | 1 << SECSH_TOKEN);
	assert_string_equal(p.prompt, "token of your account (none: a new account): ");
	ssh_world_close(&w);
	ssh_world_open(&w, false);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_int_equal(p.methods, 1 << SECSH_KEY | 1 << SECSH_TOKEN);
	assert_string_equal(p.prompt, "token of your account: ");
	ssh_world_close(&w);
	ssh_world_open(&w, false);
	w.ssh.ask_token = false;
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_int_equal(p.methods, 1 << SECSH_KEY);
	assert_false(peer_key(&p, "anna", 'u'));
	assert_null(strstr(p.banner, "token"));
	ssh_world_close(&w);
}

/* The account that a key has made is the key's from then on, whoever registration is open to. */
static void test_a_key_is_known_again(void **state)
{
	struct ssh_world w;
	struct peer a, b;
	char line[64];
	const char *at;

	ssh_world_open(&w, true);
	peer_come(&a, &w, "anna");
	assert_non_null(at = strstr(w.log, "event=session-open session=1 account="));
	assert_non_null(strstr(w.log, " carrier=0 kind=ssh peer=192.0.2.7 peer_port=4711"));
	str_printf(line, sizeof line, "account=%.12s",
		   at + strlen("event=session-open session=1 account="));
	w.ssh.anonymous = false;
	w.log[0] = '\0';
	peer_come(&b, &w, "somebody");
	assert_non_null(strstr(w.log, line));
	assert_null(strstr(w.log, "event=account-made"));
	assert_int_equal(gateway_n_sessions(w.gateway), 2);
	peer_lose(&a);
	assert_non_null(strstr(w.log, "event=session-closed session=1 "));
	assert_non_null(strstr(w.log, "code=RESET reason=\"lost\""));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	ssh_world_close(&w);
}

static void test_tokens(void **state)
{
	struct told_login made;
	struct ssh_world w;
	char text[CORE_TOKEN_TEXT + 4];
	struct peer p;

	ssh_world_open(&w, false);
	made = core_rig_login(&w.g.r, STR(""));
	str_printf(text, sizeof text, " %s\t", made.result.token);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_false(peer_none(&p, "anna"));
	assert_false(peer_key(&p, "anna", 'u'));
	assert_true(peer_token(&p, "anna", text));
	assert_non_null(strstr(w.log, made.result.who.account));
	ssh_world_close(&w);
}

/* What somebody has been told is what was proven: why a good proof does not help. */
static void test_an_account_that_is_off(void **state)
{
	struct manage_account_change off = {.set = MANAGE_ENABLED | MANAGE_WHY,
					    .to = {.enabled = false, .why = "unpaid"},
					    .expected = STORE_ANY};
	struct told_account told;
	struct told_login made;
	struct ssh_world w;
	struct peer p;

	ssh_world_open(&w, false);
	made = core_rig_login(&w.g.r, STR(""));
	w.g.ann.admin = true;
	told = account_rig_change(&w.g.r, &w.g.ann, made.result.who.account, &off);
	assert_int_equal(told.e, 0);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_false(peer_token(&p, "anna", made.result.token));
	assert_non_null(strstr(p.banner, "karez: "));
	assert_non_null(strstr(p.banner, "unpaid"));
	assert_non_null(strstr(w.log, "code=DISABLED"));
	ssh_world_close(&w);
}

/* ---- certificates ---- */

static void test_certificates(void **state)
{
	struct manage_new_credential subject = {.type = CREDENTIAL_CERTIFICATE,
						.shown = STR("ann")};
	char why[SSH_CA_WHY], key_banner[2048];
	uint8_t bytes[SSH_CERT_MAX];
	struct told_account told;
	struct manage_asker by;
	struct ssh_world w;
	struct ssh_ca *ca;
	struct peer p;
	struct str blob = blob_of_ann(bytes);

	ssh_world_open(&w, false);
	assert_int_equal(ssh_ca_new(STR(CA_ED25519), &ca, why), 0);
	w.g.ann.admin = true;
	by = account_rig_by(&told, &w.g.ann);
	account_rig_wait(&w.g.r, &told, manage_credential_make(w.g.r.core, &by, STR(""), &subject));
	assert_int_equal(told.e, 0);

	/* nobody is trusted: the words are those for a key */
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_false(peer_key(&p, "ann", 'u'));
	str_printf(key_banner, sizeof key_banner, "%s", p.banner);
	assert_false(peer_blob(&p, "ann", blob));
	assert_string_equal(p.banner, key_banner);
	assert_non_null(strstr(w.log, "method=certificate code=AUTH"));
	assert_non_null(strstr(w.log, "reason=\"certificates prove nothing here\""));

	/* a byte is wrong */
	w.ssh.ca = ca;
	bytes[blob.len - 1] ^= 1;
	assert_false(peer_blob(&p, "ann", blob));
	assert_string_equal(p.banner, key_banner);
	bytes[blob.len - 1] ^= 1;

	/* longer than one can be */
	assert_false(peer_blob(&p, "ann", (struct str){blob.p, SSH_CERT_MAX}));
	assert_string_equal(p.banner, key_banner);

	assert_true(peer_blob(&p, "ann", blob));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	gateway_recheck(w.gateway);
	ssh_world_run(&w, 10);
	assert_false(p.closed);
	w.ssh.ca = NULL; /* the authority is not trusted any more */
	gateway_recheck(w.gateway);
	ssh_world_run(&w, 10);
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_CERT);
	assert_int_equal(gateway_n_sessions(w.gateway), 0);

	/* it ends by itself */
	w.ssh.ca = ca;
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_true(peer_blob(&p, "ann", blob));
	ev_sim_jump_wall(w.g.r.ev, INT64_C(400) * 86400000);
	gateway_recheck(w.gateway);
	ssh_world_run(&w, 10);
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_CERT);
	assert_non_null(strstr(p.reason, "the certificate is not good any more"));
	ssh_world_close(&w);
	ssh_ca_free(ca);
}

/* ---- in front of the door ---- */

static void test_so_many_of_one_address(void **state)
{
	struct peer p[6];
	struct ssh_world w;

	ssh_world_open(&w, true);
	assert_true(peer_dial(&p[0], &w, "2001:db8::1"));
	assert_true(peer_dial(&p[1], &w, "2001:db8::ffff:2"));
	assert_false(peer_dial(&p[2], &w, "2001:db8::3")); /* of the same /64 */
	assert_non_null(strstr(w.log, "event=ssh-refused peer=2001:db8::3 peer_port=4711 "
				      "code=LIMIT"));
	assert_true(peer_dial(&p[2], &w, "2001:db8:0:1::1"));
	assert_true(peer_dial(&p[3], &w, "192.0.2.7"));
	assert_false(peer_dial(&p[4], &w, "192.0.2.8")); /* four in all */
	assert_true(peer_key(&p[0], "anna", 'a'));	 /* it does not stand there any more */
	assert_true(peer_dial(&p[4], &w, "192.0.2.7"));
	peer_lose(&p[4]);
	assert_true(peer_dial(&p[4], &w, "192.0.2.7"));
	assert_false(peer_dial(&p[5], &w, "192.0.2.7"));
	ssh_world_close(&w);
	assert_int_equal(p[3].why, ERR_DRAIN);
}

static void test_so_many_sessions(void **state)
{
	struct ssh_world w;
	struct peer p[9];

	ssh_world_open(&w, true);
	for (int i = 0; i < 8; i++)
		peer_come(&p[i], &w, "anna");
	assert_int_equal(gateway_n_sessions(w.gateway), 8);
	assert_false(peer_dial(&p[8], &w, "192.0.2.9"));
	peer_lose(&p[0]);
	assert_true(peer_dial(&p[8], &w, "192.0.2.9"));
	ssh_world_close(&w);
}

static void test_an_account_has_so_many_sessions(void **state)
{
	struct manage_account_change few = {.set = MANAGE_QUOTA_SESSIONS,
					    .to = {.quota = {.sessions = 1}},
					    .expected = STORE_ANY};
	struct told_account told;
	struct told_login made;
	struct ssh_world w;
	struct peer a, b;

	ssh_world_open(&w, false);
	made = core_rig_login(&w.g.r, STR(""));
	w.g.ann.admin = true;
	told = account_rig_change(&w.g.r, &w.g.ann, made.result.who.account, &few);
	assert_int_equal(told.e, 0);
	assert_true(peer_dial(&a, &w, "192.0.2.7"));
	assert_true(peer_token(&a, "anna", made.result.token));
	assert_true(peer_dial(&b, &w, "192.0.2.7"));
	assert_false(peer_token(&b, "anna", made.result.token));
	assert_true(b.closed);
	assert_int_equal(b.why, ERR_LIMIT);
	assert_true(strlen(b.reason) > 20);
	assert_non_null(strstr(w.log, "event=session-refused account="));
	assert_int_equal(gateway_n_sessions(w.gateway), 1);
	ssh_world_close(&w);
}

static void test_time_to_log_in(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	ssh_world_open(&w, true);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	assert_true(peer_dial(&q, &w, "192.0.2.7"));
	assert_true(peer_key(&q, "anna", 'a'));
	peer_forward(&q, 1, "demo", 80);
	ssh_world_run(&w, 29900);
	assert_false(p.closed);
	ssh_world_run(&w, 200);
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_TIMEOUT);
	assert_false(q.closed); /* who has logged in has no such limit */
	ssh_world_close(&w);
}

/* While the store thinks, the peer goes, or its time is over; nothing is told to nobody. */
static void test_gone_while_it_is_judged(void **state)
{
	struct secsh_login l = {.method = SECSH_TOKEN, .user = STR("a"), .text = STR("b")};
	struct ssh_world w;
	struct peer p, q;

	ssh_world_open(&w, false);
	w.g.r.judge = core_rig_hold_all;
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	p.owner->login(p.arg, &l);
	peer_lose(&p);
	assert_true(peer_dial(&q, &w, "192.0.2.7"));
	q.owner->login(q.arg, &l);
	ssh_world_run(&w, 30100);
	assert_int_equal(q.why, ERR_TIMEOUT);
	core_rig_release(&w.g.r);
	ssh_world_run(&w, 100);
	assert_int_equal(p.n_admitted + p.n_refused + q.n_admitted + q.n_refused, 0);
	ssh_world_close(&w);
}

static void test_a_store_that_fails(void **state)
{
	struct ssh_world w;
	struct peer p;

	ssh_world_open(&w, false);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	w.g.r.judge = core_rig_fail_all;
	w.g.r.judge_e = ERR_IO;
	assert_false(peer_token(&p, "anna", "x"));
	assert_null(strstr(p.banner, "not known")); /* that was not found out */
	assert_true(str_starts(str_of(p.banner), STR("karez: ")));
	assert_non_null(strstr(w.log, "code=IO"));
	ssh_world_close(&w);
}

static void test_draining(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	ssh_world_open(&w, true);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	peer_come(&q, &w, "anna");
	gateway_drain(w.gateway);
	assert_true(p.closed);
	assert_int_equal(p.why, ERR_DRAIN);
	assert_false(q.closed);
	assert_int_equal(q.n_drained, 1);
	assert_false(peer_dial(&p, &w, "192.0.2.7"));
	assert_non_null(strstr(w.log, "code=DRAIN"));
	ssh_world_close(&w);
}

/* What anybody can cause fills no disk. */
static void test_log_lines_are_few(void **state)
{
	struct ssh_world w;
	struct peer p;
	unsigned n = 0;

	ssh_world_open(&w, false);
	assert_true(peer_dial(&p, &w, "192.0.2.7"));
	for (int i = 0; i < 50; i++)
		p.owner->refused(p.arg, "direct-tcpip");
	for (const char *at = w.log; (at = strstr(at, "event=channel-refused")) != NULL; at++)
		n++;
	assert_int_equal(n, LOG_PACE_PER_SECOND);
	assert_non_null(strstr(w.log, "what=\"direct-tcpip\""));
	ssh_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_let_in),
		cmocka_unit_test(test_what_is_offered),
		cmocka_unit_test(test_a_key_is_known_again),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_an_account_that_is_off),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_so_many_of_one_address),
		cmocka_unit_test(test_so_many_sessions),
		cmocka_unit_test(test_an_account_has_so_many_sessions),
		cmocka_unit_test(test_time_to_log_in),
		cmocka_unit_test(test_gone_while_it_is_judged),
		cmocka_unit_test(test_a_store_that_fails),
		cmocka_unit_test(test_draining),
		cmocka_unit_test(test_log_lines_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
