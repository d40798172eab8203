/* TLS by a pre-shared key: who gets in, who does not, and who is said to be there. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "suite/wire_suite.h"
#include "unit/wire/tls_rig.h"
#include "wire/tls_inside.h"
#include "wire/tls_psk.h"
#include "wire/wire_mem.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"good", "ca", "DNS:a.example", 2020, 2090},
};

static const uint8_t our_key[32] = "one of thirty-two bytes, random",
		     other_key[32] = "another one of thirty-two bytes";

static struct tls_context *psk_context(bool server, const uint8_t *key, const char *label,
				       const char *name)
{
	struct tls_psk_opt opt = {.secret = key,
				  .secret_len = 32,
				  .label = label,
				  .name = name,
				  .alpn = "karez-test/1"};
	struct tls_context *ctx = NULL;
	char why[TLS_CONTEXT_WHY];

	if (server)
		assert_int_equal(tls_psk_new_server(&opt, &ctx, why), 0);
	else
		assert_int_equal(tls_psk_new_client(&opt, &ctx, why), 0);
	return ctx;
}

/* ---- who gets in ---- */

static struct tls_context *client_ours(const struct tls_certs *certs)
{
	return psk_context(false, our_key, "test", "0123456789abcdef");
}

static struct tls_context *client_other_key(const struct tls_certs *certs)
{
	return psk_context(false, other_key, "test", "0123456789abcdef");
}

static struct tls_context *client_other_label(const struct tls_certs *certs)
{
	return psk_context(false, our_key, "another test", "0123456789abcdef");
}

/* A name that tls_psk_new_client() would not take. */
static struct tls_context *client_bad_name(const struct tls_certs *certs)
{
	struct tls_context *ctx = client_ours(certs);

	memcpy((char *)ctx->psk + 32, "a name\n", 8); /* behind the key */
	return ctx;
}

static struct tls_context *client_tls12(const struct tls_certs *certs)
{
	struct tls_context *ctx = client_ours(certs);

	assert_int_equal(SSL_CTX_set_min_proto_version(ctx->set->ssl, TLS1_2_VERSION), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx->set->ssl, TLS1_2_VERSION), 1);
	return ctx;
}

/* It offers the key without an ephemeral exchange, and nothing else. */
static struct tls_context *client_no_exchange(const struct tls_certs *certs)
{
	struct tls_context *ctx = client_ours(certs);
	char groups[] = "ffdhe8192";

	SSL_CTX_set_options(ctx->set->ssl, SSL_OP_ALLOW_NO_DHE_KEX);
	assert_int_equal(SSL_CTX_set1_groups_list(ctx->set->ssl, groups), 1);
	return ctx;
}

static struct tls_context *client_without_key(const struct tls_certs *certs)
{
	return tls_rig_client(certs, "ca", NULL);
}

static struct tls_context *client_with_certificate(const struct tls_certs *certs)
{
	return tls_rig_client(certs, "ca", "good");
}

static struct tls_context *client_other_alpn(const struct tls_certs *certs)
{
	struct tls_context *ctx = client_ours(certs);

	assert_int_equal(SSL_CTX_set_alpn_protos(ctx->set->ssl, (const uint8_t *)"\2h2", 3), 0);
	return ctx;
}

static const struct {
	const char *why;
	struct tls_context *(*client)(const struct tls_certs *certs);
	bool works;
} cases[] = {
	{"the same key", client_ours, true},
	{"another key", client_other_key, false},
	{"the same secret for another purpose", client_other_label, false},
	{"a name that cannot be shown", client_bad_name, false},
	{"only TLS 1.2", client_tls12, false},
	{"no group in common", client_no_exchange, false},
	{"no key at all", client_without_key, false},
	{"a certificate instead", client_with_certificate, false},
	{"another protocol", client_other_alpn, false},
};

static void test_who_gets_in(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context *server = psk_context(true, our_key, "test", NULL),
				   *client = cases[i].client(*state);
		struct tls_rig r;

		tls_rig_open(&r, server, client, client->psk == NULL ? "a.example" : NULL);
		ev_sim_run_for(r.ev, 1000);
		if ((r.client.why == 0 && r.server.why == 0) != cases[i].works)
			fail_msg("%s: %s, %s", cases[i].why, r.client.reason, r.server.reason);
		if (!cases[i].works && (r.server.why != ERR_TLS || *tls_psk_name(r.server.w) != 0))
			fail_msg("%s: %s", cases[i].why, err_name(r.server.why));
		tls_rig_close(&r);
		tls_context_free(server);
		tls_context_free(client);
	}
}

/* Somebody with an ordinary certificate, which nobody here trusts, stands where we wanted to go. */
static void test_server_with_certificate(void **state)
{
	char cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	static const char *const alpn[] = {"karez-test/1", NULL};
	struct tls_context_server opt = {.cert_file = tls_certs_path(*state, "good.pem", cert),
					 .key_file = tls_certs_path(*state, "good.key", key),
					 .alpn = alpn};
	struct tls_context *server = NULL, *client = client_ours(*state);
	struct tls_rig r;

	assert_int_equal(tls_context_new_server(&opt, &server, why), 0);
	tls_rig_open(&r, server, client, NULL);
	ev_sim_run_for(r.ev, 1000);
	assert_int_equal(r.client.why, ERR_TLS);
	tls_rig_close(&r);
	tls_context_free(server);
	tls_context_free(client);
}

static void test_what_is_agreed_on(void **state)
{
	struct tls_context *server = psk_context(true, our_key, "test", NULL),
			   *client = client_ours(*state);
	struct wire_tls_facts facts;
	struct tls_rig r;

	tls_rig_open(&r, server, client, NULL);
	assert_string_equal(tls_psk_name(r.server.w), "");
	ev_sim_run_for(r.ev, 1000);
	wire_tls_facts(r.server.w, &facts);
	assert_true(facts.done);
	assert_string_equal(facts.version, "TLSv1.3");
	assert_string_equal(facts.cipher, "TLS_AES_128_GCM_SHA256");
	assert_true(str_eq(facts.alpn, STR("karez-test/1")));
	assert_string_equal(tls_psk_name(r.server.w), "0123456789abcdef");
	assert_string_equal(tls_psk_name(r.client.w), "");
	assert_string_equal(tls_psk_name(r.raw_server), "");
	assert_null(wire_tls_peer_name(r.server.w));
	tls_rig_close(&r);
	tls_context_free(server);
	tls_context_free(client);
}

static void test_bad_settings(void **state)
{
	static const struct {
		const char *why, *name, *alpn;
		size_t secret_len;
	} bad[] = {
		{"a short secret", "a", "x", 15},
		{"no name", "", "x", 32},
		{"a name with a space", "a b", "x", 32},
		{"a name that is too long",
		 "0123456789012345678901234567890123456789012345678901234567890123456789", "x", 32},
		{"no protocol", "a", "", 32},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct tls_psk_opt opt = {.secret = our_key,
					  .secret_len = bad[i].secret_len,
					  .label = "test",
					  .name = bad[i].name,
					  .alpn = bad[i].alpn};
		struct tls_context *ctx = NULL;
		char why[TLS_CONTEXT_WHY] = "";

		if (tls_psk_new_client(&opt, &ctx, why) != ERR_INVAL || *why == '\0')
			fail_msg("%s", bad[i].why);
	}
}

/* ---- as a wire ---- */

static void suite_open(const struct wire_suite_kind *kind, struct wire_suite_pair *pair)
{
	struct tls_context *server = psk_context(true, our_key, "test", NULL),
			   *client = psk_context(false, our_key, "test", "a");
	struct wire_tls_opt opt = {.key_records = 3};
	struct wire_mem_opt mem = {.delay_ms = 3};
	struct wire *a, *b;

	assert_int_equal(ev_sim_new(1, &pair->ev), 0);
	assert_int_equal(wire_mem_pair(pair->ev, &mem, &a, &b), 0);
	assert_int_equal(wire_tls_client(pair->ev, a, client, &opt, &pair->a), 0);
	assert_int_equal(wire_tls_server(pair->ev, b, server, &opt, &pair->b), 0);
	tls_context_free(server);
	tls_context_free(client);
}

static void suite_close(struct wire_suite_pair *pair)
{
	ev_free(pair->ev);
}

static int certs_make(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int certs_remove(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	static const struct wire_suite_kind kind = {.name = "tls by a pre-shared key",
						    .open = suite_open,
						    .close = suite_close,
						    .body_len = 1 << 20,
						    .flight_max = 1 << 20};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_gets_in),
		cmocka_unit_test(test_server_with_certificate),
		cmocka_unit_test(test_what_is_agreed_on),
		cmocka_unit_test(test_bad_settings),
	};

	return cmocka_run_group_tests(tests, certs_make, certs_remove) + wire_suite_run(&kind, 1);
}
