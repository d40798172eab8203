/* Whom a server believes a client to be, and who is asked at all. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/wire/tls_rig.h"
#include "wire/tls_ca.h"
#include "wire/tls_peer.h"

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
	{"TestClient1@example.org", "ca", "IP:127.0.0.9", 2020, 2090},
	{"mail", "ca", "email:TestClient2@example.org", 2020, 2090},
	{"mail-and-dns", "ca", "email:x@example.org,DNS:d.example", 2020, 2090},
	{"odd-mail", "ca", "email:joe+x@example.org", 2020, 2090},
	{"a-while", "ca", "DNS:a.example", 2020, 2027},
};

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
		{"an agent of a realm", "TestClient1@example.org", "a.example", NULL,
		 "TestClient1@example.org", NULL},
		{"such an agent as a mail address", "mail", "a.example", NULL,
		 "TestClient2@example.org", NULL},
		{"a DNS name counts before that", "mail-and-dns", "a.example", NULL, "d.example",
		 NULL},
		{"a mail address that is no agent", "odd-mail", "a.example", NULL, "odd-mail",
		 NULL},
		{"nothing that is a name", "two words", "a.example", NULL, "", NULL},
		{"asked for this name, in any case", "b", "a.example", a, "b.example", NULL},
		{"not asked for another name", "b", "a.example", z, NULL, NULL},
		{"not asked: even a bad one", "expired", "a.example", z, NULL, NULL},
		{"by an address, without SNI", "b", "127.0.0.1", z, "b.example", NULL},
		{"too old", "expired", "a.example", NULL, NULL, "certificate expired on 2022-01-01",
		 "certificate expired"},
		{"of another authority", "stranger", "a.example", NULL, NULL,
		 "certificate is signed by an unknown authority (other-ca), which --agent-ca does "
		 "not hold",
		 "unknown CA"},
		{"of its own", "self", "a.example", NULL, NULL,
		 "certificate is signed by an unknown authority (self), which --agent-ca does not "
		 "hold",
		 "unknown CA"},
	};
	struct tls_certs *certs = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context *server = server_asking(certs, cases[i].asked);
		struct tls_context *client = tls_rig_client(certs, "ca", cases[i].cert);
		const char *name;
		struct tls_rig r;
		struct str in;

		print_message("  %s\n", cases[i].why);
		tls_rig_open(&r, server, client, cases[i].host);
		assert_null(wire_tls_peer_name(r.server.w));
		assert_null(wire_tls_peer_name(r.raw_server));
		ev_sim_run_for(r.ev, 1000);
		assert_int_equal(r.server.why, cases[i].reason != NULL ? ERR_CERT : 0);
		assert_string_equal(r.server.reason,
				    cases[i].reason != NULL ? cases[i].reason : "");
		assert_null(wire_tls_refusal(r.server.w));
		name = wire_tls_peer_name(r.server.w);
		assert_int_equal(name == NULL, cases[i].name == NULL);
		if (name != NULL)
			assert_string_equal(name, cases[i].name);
		if (cases[i].reason != NULL) { /* the client learns of it */
			wire_close(r.server.w, r.server.why);
			r.server.w = NULL;
			ev_sim_run_for(r.ev, 1000);
			assert_int_equal(wire_read(r.client.w, 1, &in), ERR_CERT);
			assert_non_null(strstr(wire_tls_reason(r.client.w), "alert"));
			assert_string_equal(wire_tls_refusal(r.client.w), cases[i].alert);
		}
		tls_rig_close(&r);
		tls_context_free(server);
		tls_context_free(client);
	}
}

/* ---- what the two sides say ---- */

static void test_a_refusal_is_logged_once(void **state)
{
	static const struct {
		const char *why, *cert, *line;
	} cases[] = {
		{"too old", "expired",
		 "event=certificate-refused peer=192.0.2.1:4711 subject=\"a.example\" "
		 "reason=\"certificate expired on 2022-01-01\""},
		{"of another authority", "stranger",
		 "event=certificate-refused peer=192.0.2.1:4711 subject=\"a.example\" "
		 "reason=\"certificate is signed by an unknown authority (other-ca), which "
		 "--agent-ca does not hold\""},
		{"none at all", NULL,
		 "event=certificate-refused peer=192.0.2.1:4711 subject=\"\" reason=\"the peer "
		 "shows no certificate\""},
	};
	struct tls_certs *certs = *state;
	char ca[TLS_CERTS_PATH], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_rig_log log;
		struct tls_context_server opt = {.cert_file =
							 tls_certs_path(certs, "good.pem", cert),
						 .key_file = tls_certs_path(certs, "good.key", key),
						 .client_ca_file =
							 tls_certs_path(certs, "ca.pem", ca),
						 .client_required = true,
						 .log = &log.log};
		struct tls_context *client = tls_rig_client(certs, "ca", cases[i].cert), *server;
		struct str in;
		struct tls_rig r;

		print_message("  %s\n", cases[i].why);
		tls_rig_log_init(&log);
		assert_int_equal(tls_context_new_server(&opt, &server, why), 0);
		tls_rig_open(&r, server, client, "a.example");
		ev_sim_run_for(r.ev, 1000);
		assert_int_equal(r.server.why, ERR_CERT);
		assert_int_equal(log.n, 1);
		assert_non_null(strstr(log.lines, cases[i].line));
		wire_close(r.server.w, r.server.why);
		r.server.w = NULL;
		ev_sim_run_for(r.ev, 1000);
		assert_int_equal(wire_read(r.client.w, 1, &in), ERR_CERT);
		tls_rig_close(&r);
		tls_context_free(server);
		tls_context_free(client);
	}
}

static void test_a_client_knows_its_own_certificate(void **state)
{
	struct tls_context *with = tls_rig_client(*state, "ca", "TestClient1@example.org");
	struct tls_context *without = tls_rig_client(*state, "ca", NULL);
	char out[TLS_CONTEXT_WHY];

	assert_string_equal(tls_context_own_name(with), "TestClient1@example.org");
	assert_string_equal(tls_context_own_name(without), "");
	tls_context_explain(with, "unknown CA", out);
	assert_string_equal(out, "unknown CA: it is for \"TestClient1@example.org\", issued by "
				 "\"ca\", good until 2090-01-01");
	tls_context_explain(without, "certificate required", out);
	assert_string_equal(out, "certificate required");
	tls_context_free(with);
	tls_context_free(without);
}

static void test_names_of_agents(void **state)
{
	static const struct {
		const char *why, *name, *agent;
	} cases[] = {
		{"an agent of a realm", "TestClient1@example.org", "TestClient1"},
		{"every sign that may be in it", "a.B_9-@r", "a.B_9-"},
		{"no realm", "agent", NULL},
		{"an empty one", "agent@", NULL},
		{"no agent", "@example.org", NULL},
		{"a sign that no agent has", "joe+x@example.org", NULL},
		{"the wildcard of a credential", "*@example.org", NULL},
		{"the longest",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@r",
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
		{"too long", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@r",
		 NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str agent = STR("");

		print_message("  %s\n", cases[i].why);
		assert_int_equal(tls_peer_agent(cases[i].name, &agent), cases[i].agent != NULL);
		assert_true(str_eq(agent, str_of(cases[i].agent)));
	}
}

/* ---- after the handshake ---- */

static struct tls_peer *peer_of(struct tls_certs *certs, const char *name, struct tls_rig *r)
{
	struct tls_context *server = server_asking(certs, NULL);
	struct tls_context *client = tls_rig_client(certs, "ca", name);
	struct tls_peer *peer;

	tls_rig_open(r, server, client, "a.example");
	ev_sim_run_for(r->ev, 1000);
	peer = wire_tls_peer(r->server.w);
	tls_context_free(server);
	tls_context_free(client);
	return peer;
}

static void test_a_certificate_outlives_its_wire(void **state)
{
	struct tls_rig r;
	struct tls_peer *peer = peer_of(*state, "a-while", &r);
	char why[TLS_CONTEXT_WHY];
	int64_t now = ev_wall_ms(r.ev), end = INT64_C(1798761600000); /* 2027 begins */

	assert_non_null(peer);
	assert_true(now < end);
	assert_string_equal(tls_peer_name(peer), "a.example");
	assert_string_equal(wire_tls_peer_name(r.server.w), "a.example");
	ev_sim_jump_wall(r.ev, end - ev_wall_ms(r.ev)); /* also: asked on an old connection */
	assert_null(wire_tls_peer_name(r.server.w));
	tls_rig_close(&r);
	assert_int_equal(tls_peer_check(peer, now, why), 0);
	assert_int_equal(tls_peer_check(peer, end - 1, why), 0);
	assert_int_equal(tls_peer_check(peer, end, why), ERR_CERT);
	assert_string_equal(why, "certificate expired on 2027-01-01");
	assert_ptr_equal(tls_peer_share(peer), peer);
	tls_peer_free(peer);
	assert_string_equal(tls_peer_name(peer), "a.example");
	tls_peer_free(peer);
	assert_null(peer_of(*state, NULL, &r));
	assert_null(wire_tls_peer(r.client.w));
	tls_rig_close(&r);
	assert_null(tls_peer_share(NULL));
}

/* ---- revoked ones ---- */

/* The moment at which a simulated clock starts, more or less. */
static int64_t peer_now(void)
{
	int64_t now;
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	now = ev_wall_ms(ev);
	ev_free(ev);
	return now;
}

/* An authority of our own in <dir>/own, with one agent. */
static void peer_authority(const struct tls_certs *certs, const char *agent)
{
	char dir[TLS_CERTS_PATH], why[TLS_CA_WHY];
	const char *names[] = {agent};
	struct tls_ca_issue opt = {.dir = tls_certs_path(certs, "own", dir),
				   .out = certs->dir,
				   .names = names,
				   .n_names = 1};
	struct tls_ca_issued made;

	assert_int_equal(tls_ca_init(dir, "own CA", peer_now(), why), 0);
	assert_int_equal(tls_ca_issue(&opt, peer_now(), &made, why), 0);
}

static void peer_authority_remove(const struct tls_certs *certs)
{
	static const char *const files[] = {"own/ca.pem", "own/ca-key.pem", "own/crl.pem",
					    "own/issued.jsonl"};
	char path[TLS_CERTS_PATH];

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		unlink(tls_certs_path(certs, files[i], path));
	rmdir(tls_certs_path(certs, "own", path));
}

static struct tls_context *peer_own_client(const struct tls_certs *certs, const char *agent)
{
	char ca[TLS_CERTS_PATH], file[64], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH];
	struct tls_context_client opt = {.ca_file = tls_certs_path(certs, "ca.pem", ca)};
	char why[TLS_CONTEXT_WHY];
	struct tls_context *ctx;

	str_printf(file, sizeof file, "%s.pem", agent);
	opt.cert_file = tls_certs_path(certs, file, cert);
	str_printf(file, sizeof file, "%s-key.pem", agent);
	opt.key_file = tls_certs_path(certs, file, key);
	assert_int_equal(tls_context_new_client(&opt, &ctx, why), 0);
	return ctx;
}

static void test_a_revoked_one(void **state)
{
	struct tls_certs *certs = *state;
	char ca[TLS_CERTS_PATH], crl[TLS_CERTS_PATH], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH];
	char dir[TLS_CERTS_PATH], why[TLS_CA_WHY];
	struct tls_context_server opt = {.cert_file = tls_certs_path(certs, "good.pem", cert),
					 .key_file = tls_certs_path(certs, "good.key", key),
					 .client_ca_file = tls_certs_path(certs, "own/ca.pem", ca),
					 .client_crl_file =
						 tls_certs_path(certs, "own/crl.pem", crl)};
	struct tls_context *server, *client;
	struct tls_rig r;
	struct str in;
	size_t n;

	peer_authority(certs, "robot@example.org");
	client = peer_own_client(certs, "robot@example.org");
	assert_int_equal(tls_context_new_server(&opt, &server, why), 0);
	assert_true(tls_rig_works(server, client, "a.example"));
	tls_context_free(server);

	assert_int_equal(tls_ca_revoke(tls_certs_path(certs, "own", dir), "robot@example.org",
				       peer_now(), &n, why),
			 0);
	assert_int_equal(n, 1);
	assert_int_equal(tls_context_new_server(&opt, &server, why), 0);
	tls_rig_open(&r, server, client, "a.example");
	ev_sim_run_for(r.ev, 1000);
	assert_int_equal(r.server.why, ERR_CERT);
	assert_memory_equal(r.server.reason, "certificate is revoked (serial ", 31);
	wire_close(r.server.w, r.server.why);
	r.server.w = NULL;
	ev_sim_run_for(r.ev, 1000);
	assert_int_equal(wire_read(r.client.w, 1, &in), ERR_CERT);
	assert_string_equal(wire_tls_refusal(r.client.w), "certificate revoked");
	tls_rig_close(&r);
	tls_context_free(server);

	/* an authority for which there is no list revokes nothing */
	opt.client_ca_file = tls_certs_path(certs, "ca.pem", ca);
	tls_context_free(client);
	client = tls_rig_client(certs, "ca", "b");
	assert_int_equal(tls_context_new_server(&opt, &server, why), 0);
	tls_rig_open(&r, server, client, "a.example");
	ev_sim_run_for(r.ev, 1000);
	assert_string_equal(wire_tls_peer_name(r.server.w), "b.example");
	tls_rig_close(&r);
	tls_context_free(server);

	opt.client_crl_file = cert; /* no such list in it */
	assert_int_equal(tls_context_new_server(&opt, &server, why), ERR_TLS);
	assert_non_null(strstr(why, cert));
	opt.client_crl_file = "/nosuch/crl.pem";
	assert_int_equal(tls_context_new_server(&opt, &server, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "/nosuch/crl.pem"));
	tls_context_free(client);
	peer_authority_remove(certs);
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
		cmocka_unit_test(test_a_refusal_is_logged_once),
		cmocka_unit_test(test_a_client_knows_its_own_certificate),
		cmocka_unit_test(test_names_of_agents),
		cmocka_unit_test(test_a_certificate_outlives_its_wire),
		cmocka_unit_test(test_a_revoked_one),
	};

	return cmocka_run_group_tests_name("tls peer", tests, peer_setup, peer_teardown);
}
