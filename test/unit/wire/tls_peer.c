/* Whom a server believes a client to be, and who is asked at all. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/wire/tls_certs.h"
#include "wire/wire_mem.h"
#include "wire/wire_tls.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"other-ca", NULL, NULL, 2020, 2090},
	{"good", "ca", "DNS:a.example,IP:127.0.0.1", 2020, 2090},
	{"expired", "ca", "DNS:a.example", 2020, 2022},
	{"stranger", "other-ca", "DNS:a.example", 2020, 2090},
	{"self", NULL, "DNS:a.example", 2020, 2090},
	{"b", "ca", "DNS:b.example,DNS:c.example", 2020, 2090},
	{"address", "ca", "IP:127.0.0.9", 2020, 2090},
	{"two words", "ca", "IP:127.0.0.9", 2020, 2090},
};

struct peer_rig {
	struct ev *ev;
	struct wire *client, *server;
	struct wire *raw_server; /* borrowed: below */
	int why;		 /* the server broke for */
	char reason[320];
};

static void peer_on_ready(void *arg, struct wire *w, int events)
{
	wire_want(w, 0);
}

static void peer_on_broken(void *arg, struct wire *w, int why)
{
	struct peer_rig *r = arg;

	if (w != r->server)
		return;
	r->why = why;
	str_printf(r->reason, sizeof r->reason, "%s", wire_tls_reason(w));
}

static const struct wire_owner peer_owner = {peer_on_ready, peer_on_broken};

static void peer_open(struct peer_rig *r, struct tls_context *server, struct tls_context *client,
		      const char *host)
{
	struct wire_mem_opt mem = {.delay_ms = 5};
	struct wire_tls_opt opt = {.host = host};
	struct wire *raw_client;

	*r = (struct peer_rig){NULL};
	assert_int_equal(ev_sim_new(3, &r->ev), 0);
	assert_int_equal(wire_mem_pair(r->ev, &mem, &raw_client, &r->raw_server), 0);
	assert_int_equal(wire_tls_client(r->ev, raw_client, client, &opt, &r->client), 0);
	assert_int_equal(wire_tls_server(r->ev, r->raw_server, server, NULL, &r->server), 0);
	wire_own(r->client, &peer_owner, r);
	wire_own(r->server, &peer_owner, r);
	wire_want(r->client, WIRE_READ);
	wire_want(r->server, WIRE_READ);
}

/* A context of the client's side that shows a certificate, or (name NULL) has none to show. */
static struct tls_context *client_with(const struct tls_certs *certs, const char *name)
{
	char ca[TLS_CERTS_PATH], file[64], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH];
	struct tls_context_client opt = {.ca_file = tls_certs_path(certs, "ca.pem", ca)};
	char why[TLS_CONTEXT_WHY];
	struct tls_context *ctx = NULL;

	if (name != NULL) {
		str_printf(file, sizeof file, "%s.pem", name);
		opt.cert_file = tls_certs_path(certs, file, cert);
		str_printf(file, sizeof file, "%s.key", name);
		opt.key_file = tls_certs_path(certs, file, key);
	}
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), 0);
	return ctx;
}

static struct tls_context *server_asking(const struct tls_certs *certs, const char *const *names)
{
	char ca[TLS_CERTS_PATH], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.cert_file = tls_certs_path(certs, "good.pem", cert),
					 .key_file = tls_certs_path(certs, "good.key", key),
					 .client_ca_file = tls_certs_path(certs, "ca.pem", ca),
					 .client_ca_names = names};
	struct tls_context *ctx = NULL;

	assert_int_equal(tls_context_new_server(&opt, &ctx, why), 0);
	return ctx;
}

static void test_who_the_client_is(void **state)
{
	static const char *const a[] = {"A.example", NULL}, *const z[] = {"z.example", NULL};
	static const struct {
		const char *why, *cert, *host;
		const char *const *asked;
		const char *name;   /* NULL: nobody */
		const char *reason; /* NULL: let in */
		const char *alert;  /* what the client is told */
	} cases[] = {
		{"no certificate is no fault", NULL, "a.example", NULL, NULL, NULL},
		{"its first DNS name", "b", "a.example", NULL, "b.example", NULL},
		{"no DNS name: the common name", "address", "a.example", NULL, "address", NULL},
		{"nothing that is a name", "two words", "a.example", NULL, "", NULL},
		{"asked for this name, in any case", "b", "a.example", a, "b.example", NULL},
		{"not asked for another name", "b", "a.example", z, NULL, NULL},
		{"not asked: even a bad one", "expired", "a.example", z, NULL, NULL},
		{"by an address, without SNI", "b", "127.0.0.1", z, "b.example", NULL},
		{"too old", "expired", "a.example", NULL, NULL, "certificate has expired",
		 "certificate expired"},
		{"of another authority", "stranger", "a.example", NULL, NULL,
		 "certificate is signed by an unknown authority (other-ca)", "unknown CA"},
		{"of its own", "self", "a.example", NULL, NULL,
		 "certificate is signed by an unknown authority (self)", "unknown CA"},
	};
	struct tls_certs *certs = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context *server = server_asking(certs, cases[i].asked);
		struct tls_context *client = client_with(certs, cases[i].cert);
		const char *name;
		struct str in;
		struct peer_rig r;

		print_message("  %s\n", cases[i].why);
		peer_open(&r, server, client, cases[i].host);
		assert_null(wire_tls_peer_name(r.server));
		assert_null(wire_tls_peer_name(r.raw_server));
		ev_sim_run_for(r.ev, 1000);
		assert_int_equal(r.why, cases[i].reason != NULL ? ERR_CERT : 0);
		assert_string_equal(r.reason, cases[i].reason != NULL ? cases[i].reason : "");
		assert_null(wire_tls_refusal(r.server));
		name = wire_tls_peer_name(r.server);
		assert_int_equal(name == NULL, cases[i].name == NULL);
		if (name != NULL)
			assert_string_equal(name, cases[i].name);
		wire_close(r.server, r.why);
		ev_sim_run_for(r.ev, 1000);
		if (cases[i].reason != NULL) { /* the client learns of it */
			assert_int_equal(wire_read(r.client, 1, &in), ERR_CERT);
			assert_non_null(strstr(wire_tls_reason(r.client), "alert"));
			assert_string_equal(wire_tls_refusal(r.client), cases[i].alert);
		}
		wire_close(r.client, 0);
		ev_sim_run_for(r.ev, 20000);
		ev_free(r.ev);
		tls_context_free(server);
		tls_context_free(client);
	}
}

static int peer_setup(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int peer_teardown(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_the_client_is),
	};

	return cmocka_run_group_tests_name("tls peer", tests, peer_setup, peer_teardown);
}
