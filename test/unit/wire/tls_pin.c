/* Servers known by their keys, and which key a server says that it has. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/wire/tls_rig.h"
#include "unit/wire/tls_store.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"good", "ca", "DNS:a.example", 2020, 2090},
	{"expired", "ca", "DNS:a.example", 2020, 2022},
	{"self", NULL, "DNS:a.example", 2020, 2090},
	{"b", "ca", "DNS:b.example", 2020, 2090},
	{"rsa", NULL, "DNS:a.example", 2020, 2090, .rsa = true},
};

static struct tls_context *server_of(const struct tls_certs *certs, const char *name)
{
	char file[64], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.cert_file = cert, .key_file = key};
	struct tls_context *ctx = NULL;

	str_printf(file, sizeof file, "%s.pem", name);
	tls_certs_path(certs, file, cert);
	str_printf(file, sizeof file, "%s.key", name);
	tls_certs_path(certs, file, key);
	assert_int_equal(tls_context_new_server(&opt, &ctx, why), 0);
	return ctx;
}

/* What a server with this certificate prints. */
static void fingerprint_of(const struct tls_certs *certs, const char *name, char text[KEY_PIN_TEXT])
{
	struct tls_context *ctx = server_of(certs, name);
	uint8_t sha256[KEY_PIN_LEN];

	assert_int_equal(tls_context_fingerprint(ctx, NULL, sha256), 0);
	key_pin_format(sha256, text);
	tls_context_free(ctx);
}

static const struct {
	const char *why, *cert, *host;
	const char *pins[3]; /* certificates whose keys are accepted */
	bool works;
} cases[] = {
	{"its key", "good", "a.example", {"good"}, true},
	{"an RSA key", "rsa", "a.example", {"rsa"}, true},
	{"another name than its own", "good", "b.example", {"good"}, true},
	{"an address", "good", "192.0.2.1", {"good"}, true},
	{"signed by nobody", "self", "a.example", {"self"}, true},
	{"too old", "expired", "a.example", {"expired"}, true},
	{"one of several", "self", "a.example", {"good", "self"}, true},
	{"another key", "self", "a.example", {"good"}, false},
	{"another key, although we trust who vouches", "good", "a.example", {"b"}, false},
	{"the key of who vouches", "good", "a.example", {"ca"}, false},
	{"none of several", "good", "a.example", {"b", "self", "expired"}, false},
};

static void test_pins(void **state)
{
	const struct tls_certs *certs = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char ca[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY], text[KEY_PIN_TEXT];
		struct key_pins pins = {.n = 0};
		struct tls_context_client opt = {.ca_file = tls_certs_path(certs, "ca.pem", ca),
						 .pins = &pins};
		struct tls_context *server = server_of(certs, cases[i].cert), *client = NULL;
		struct tls_rig r;

		for (size_t p = 0; p < ARRAY_LEN(cases[i].pins) && cases[i].pins[p] != NULL; p++) {
			fingerprint_of(certs, cases[i].pins[p], text);
			assert_int_equal(key_pins_add(&pins, str_of(text)), 0);
		}
		assert_int_equal(tls_context_new_client(&opt, &client, why), 0);
		pins.n = 0; /* it was copied */
		tls_rig_open(&r, server, client, cases[i].host);
		ev_sim_run_for(r.ev, 1000);
		if (r.client.why != (cases[i].works ? 0 : ERR_CERT))
			fail_msg("%s: %s", cases[i].why, r.client.reason);
		assert_int_equal(wire_tls_is_unknown(r.client.w), !cases[i].works);
		fingerprint_of(certs, cases[i].cert, text);
		if (!cases[i].works) /* it shows what came */
			assert_non_null(strstr(r.client.reason, text));
		tls_rig_close(&r);
		tls_context_free(server);
		tls_context_free(client);
	}
}

/* No pin at all is none, not one that fits nobody. */
static void test_no_pins(void **state)
{
	const struct tls_certs *certs = *state;
	char ca[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct key_pins pins = {.n = 0};
	struct tls_context_client opt = {.ca_file = tls_certs_path(certs, "ca.pem", ca),
					 .pins = &pins};
	struct tls_context *good = server_of(certs, "good"), *self = server_of(certs, "self"),
			   *client = NULL;

	assert_int_equal(tls_context_new_client(&opt, &client, why), 0);
	assert_true(tls_rig_works(good, client, "a.example"));
	assert_false(tls_rig_works(self, client, "a.example"));
	tls_context_free(good);
	tls_context_free(self);
	tls_context_free(client);
}

/* A server tells the key that a client who asks for this name would meet. */
static void test_by_name(void **state)
{
	const struct tls_certs *certs = *state;
	char good[KEY_PIN_TEXT], b[KEY_PIN_TEXT], text[KEY_PIN_TEXT];
	uint8_t sha256[KEY_PIN_LEN];
	struct tls_context *ctx;
	struct tls_store s;

	fingerprint_of(certs, "good", good);
	fingerprint_of(certs, "b", b);
	assert_string_not_equal(good, b);
	tls_store_make(&s, certs);
	tls_store_put(&s, "b.pem", "b.pem");
	tls_store_put(&s, "b.key", "b.key");
	ctx = tls_store_server(&s, "good", NULL);
	assert_int_equal(tls_context_fingerprint(ctx, "B.example", sha256), 0);
	key_pin_format(sha256, text);
	assert_string_equal(text, b);
	assert_int_equal(tls_context_fingerprint(ctx, "nobody.example", sha256), 0);
	key_pin_format(sha256, text);
	assert_string_equal(text, good);
	tls_context_free(ctx);
	ctx = tls_store_server(&s, NULL, NULL);
	assert_int_equal(tls_context_fingerprint(ctx, "nobody.example", sha256), ERR_NOTFOUND);
	tls_context_free(ctx);
	tls_store_remove(&s);
}

static int open_certs(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int close_certs(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_no_pins),
		cmocka_unit_test(test_by_name),
	};

	return cmocka_run_group_tests(tests, open_certs, close_certs);
}
