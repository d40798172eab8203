/* Being admitted by a node over SSH: by whom, how often, and what is no login at all. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/err.h"
#include "unit/session/secsh_rig.h"

static bool until_tried(struct rig *r)
{
	return r->peer == NULL || r->peer->login == NULL;
}

static bool until_asked(struct rig *r)
{
	return r->logins == 1;
}

static bool until_both_over(struct rig *r)
{
	return r->over && r->gone;
}

/* ---- by a key ---- */

static void check_blob(struct rig *r)
{
	char *text = NULL;
	uint8_t blob[RIG_TEXT];
	size_t len;

	assert_int_equal(ssh_pki_export_pubkey_base64(r->key, &text), SSH_OK);
	assert_int_equal(base64_decode(str_of(text), blob, sizeof blob, &len), 0);
	assert_int_equal(r->last.blob.len, len);
	assert_memory_equal(r->blob, blob, len);
	ssh_string_free_char(text);
}

/* The key first: its making may take longer than the loop should stand still. */
static struct rig *rig_with_key(enum ssh_keytypes_e type, int bits)
{
	ssh_key key = NULL;
	struct rig *r;

	assert_int_equal(ssh_pki_generate(type, bits, &key), SSH_OK);
	r = rig_new();
	ssh_key_free(r->key);
	r->key = key;
	return r;
}

static void test_key(void **state)
{
	static const struct {
		const char *why;
		enum ssh_keytypes_e type;
		int bits;
	} cases[] = {
		{"ed25519", SSH_KEYTYPE_ED25519, 0},
		{"ecdsa", SSH_KEYTYPE_ECDSA_P256, 256},
		{"rsa, signed by sha2", SSH_KEYTYPE_RSA, 2048},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_with_key(cases[i].type, cases[i].bits);

		rig_run(r, rig_is_up);
		assert_int_equal(r->logins, 1); /* an offer is no login, and none was refused */
		assert_int_equal(r->last.method, SECSH_KEY);
		assert_string_equal(r->user, "tim");
		check_blob(r);
		assert_true(str_starts(str_of(secsh_node_peer(r->node)), STR("SSH-2.0-libssh")));
		rig_free(r);
	}
}

static void test_answer_may_come_late(void **state)
{
	static const bool answers[] = {true, false};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct rig *r = rig_new();

		r->admits_later = true;
		rig_run(r, until_asked);
		rig_run_ms(r, 20);
		assert_false(rig_is_up(r));
		secsh_node_admit(r->node, answers[i], NULL);
		rig_run(r, answers[i] ? rig_is_up : until_tried);
		assert_int_equal(rig_is_up(r), answers[i]);
		rig_free(r);
	}
}

/* The owner has enough while somebody waits to be judged. */
static void test_closed_while_a_login_waits(void **state)
{
	struct rig *r = rig_new();

	r->admits_later = true;
	rig_run(r, until_asked);
	session_close(r->node, ERR_TIMEOUT, STR("too slow"));
	r->node = NULL;
	rig_run(r, rig_is_gone);
	assert_false(r->over); /* who closes is not told */
	rig_free(r);
}

static int login_again(struct rig_peer *p)
{
	int rc = rig_login_by_key(p);

	return rc == SSH_AUTH_DENIED ? SSH_AUTH_AGAIN : rc;
}

static void peer_again(struct rig_peer *p)
{
	secsh_link_soon(&p->link);
}

static void test_tries_have_an_end(void **state)
{
	struct rig *r = rig_new();

	r->admits = false;
	r->banner = "nobody knows this key\n";
	r->peer->login = login_again;
	r->peer->go_on = peer_again;
	while (!r->over && r->peer != NULL) {
		secsh_link_soon(&r->peer->link);
		rig_run_ms(r, 2);
	}
	rig_run(r, until_both_over);
	assert_int_equal(r->logins, 3);
	assert_int_equal(r->why, ERR_AUTH);
	assert_non_null(strstr(r->gone_reason, "Too many authentication failures"));
	rig_free(r);
}

/* ---- by other ways ---- */

static int login_by_none(struct rig_peer *p)
{
	return ssh_userauth_none(p->link.ssh, NULL);
}

static int login_by_password(struct rig_peer *p)
{
	return ssh_userauth_password(p->link.ssh, NULL, "secret");
}

static int login_by_token(struct rig_peer *p)
{
	int rc = ssh_userauth_kbdint(p->link.ssh, NULL, NULL);

	if (rc != SSH_AUTH_INFO)
		return rc;
	if (ssh_userauth_kbdint_getnprompts(p->link.ssh) > 0) {
		assert_string_equal(ssh_userauth_kbdint_getprompt(p->link.ssh, 0, NULL), "Token: ");
		assert_int_equal(ssh_userauth_kbdint_setanswer(p->link.ssh, 0, "kt_abc"), 0);
	}
	secsh_link_soon(&p->link);
	return SSH_AUTH_AGAIN;
}

static void test_other_ways(void **state)
{
	static const struct {
		const char *why;
		unsigned methods;
		int (*login)(struct rig_peer *p);
		bool admits;
		int result, logins;
		enum secsh_method method;
	} cases[] = {
		{"none, where it is not offered: keys are tried", 1u << SECSH_KEY, login_by_none,
		 true, SSH_AUTH_DENIED, 0, 0},
		{"none, where it is", 1u << SECSH_NONE, login_by_none, true, SSH_AUTH_SUCCESS, 1,
		 SECSH_NONE},
		{"none, refused by the owner", 1u << SECSH_NONE | 1u << SECSH_KEY, login_by_none,
		 false, SSH_AUTH_DENIED, 1, SECSH_NONE},
		{"a token", 1u << SECSH_TOKEN, login_by_token, true, SSH_AUTH_SUCCESS, 1,
		 SECSH_TOKEN},
		{"a token that is wrong", 1u << SECSH_TOKEN, login_by_token, false, SSH_AUTH_DENIED,
		 1, SECSH_TOKEN},
		{"a token, where none is asked for", 1u << SECSH_KEY, login_by_token, true,
		 SSH_AUTH_DENIED, 0, 0},
		{"a password is never offered", 1u << SECSH_KEY | 1u << SECSH_TOKEN,
		 login_by_password, true, SSH_AUTH_DENIED, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_new_methods(cases[i].methods);

		r->admits = cases[i].admits;
		r->peer->login = cases[i].login;
		rig_run(r, cases[i].result == SSH_AUTH_SUCCESS ? rig_is_up : until_tried);
		if (r->peer == NULL || r->peer->login_result != cases[i].result ||
		    r->logins != cases[i].logins)
			fail_msg("%s: %d logins", cases[i].why, r->logins);
		if (r->logins > 0)
			assert_int_equal(r->last.method, cases[i].method);
		if (r->logins > 0 && cases[i].method == SECSH_TOKEN)
			assert_string_equal(r->text, "kt_abc");
		rig_free(r);
	}
}

/* ---- what does not belong here ---- */

static int login_not_at_all(struct rig_peer *p)
{
	(void)ssh_channel_listen_forward(p->link.ssh, "localhost", 80, NULL);
	return SSH_AUTH_AGAIN;
}

static void test_a_forward_before_login(void **state)
{
	struct rig *r = rig_new();

	r->peer->login = login_not_at_all;
	rig_run(r, rig_is_over);
	assert_int_equal(r->why, ERR_PROTO);
	assert_int_equal(r->logins, 0);
	assert_int_equal(r->n_forwards, 0);
	rig_free(r);
}

/* libssh answers nothing to a signature that it does not accept: the peer must not wait for ever.
 */
static void test_a_signature_that_is_not_accepted(void **state)
{
	struct rig *r = rig_with_key(SSH_KEYTYPE_RSA, 1024);

	rig_run(r, until_both_over);
	assert_int_equal(r->logins, 0);
	assert_int_equal(r->why, ERR_AUTH);
	assert_non_null(strstr(r->gone_reason, "not supported here"));
	rig_free(r);
}

static void test_no_ssh(void **state)
{
	static const struct {
		const char *why, *bytes;
		size_t repeat;
		int want;
	} cases[] = {
		{"silence", "", 0, ERR_EOF},
		{"half a hello", "SSH-2.0-half", 1, ERR_EOF},
		{"another protocol", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 1, ERR_PROTO},
		{"an old one", "SSH-1.5-old\r\n", 1, ERR_PROTO},
		{"a hello without end", "SSH-2.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 100,
		 ERR_PROTO},
		{"rubbish after the hello", "SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		 1, ERR_PROTO},
		{"a packet of no length", "SSH-2.0-x\r\n\0\0\0\0\0\0\0\0\0\0\0\0", 1, ERR_PROTO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig *r = rig_new_raw();
		size_t len = i == 6 ? 23 : strlen(cases[i].bytes);

		for (size_t n = 0; n < cases[i].repeat; n++)
			(void)!send(r->raw, cases[i].bytes, len, MSG_NOSIGNAL);
		rig_run_ms(r, 5);
		if (cases[i].want == ERR_EOF)
			assert_int_equal(shutdown(r->raw, SHUT_WR), 0);
		rig_run(r, rig_is_over);
		if (r->why != cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_text(r->why));
		rig_free(r);
	}
}

/* Whole connections, a few bytes at a time. */
static void test_pieces(void **state)
{
	static const size_t pieces[] = {1, 7, 100};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		struct rig *r = rig_new_path(pieces[i]);

		rig_run(r, rig_is_up);
		rig_start(r, "localhost", 80);
		assert_int_equal(r->n_forwards, 1);
		rig_free(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_answer_may_come_late),
		cmocka_unit_test(test_closed_while_a_login_waits),
		cmocka_unit_test(test_tries_have_an_end),
		cmocka_unit_test(test_other_ways),
		cmocka_unit_test(test_a_forward_before_login),
		cmocka_unit_test(test_a_signature_that_is_not_accepted),
		cmocka_unit_test(test_no_ssh),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
