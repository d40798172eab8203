/* Who comes back by a ticket: to whom, under which name, for how long; and who never does. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/wire/tls_store.h"
#include "wire/tls_inside.h"
#include "wire/tls_reload.h"

#define HOUR_MS	  3600000
#define MINUTE_MS 60000

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"home", "ca", "DNS:home.org,DNS:*.home.org", 2020, 2090},
	{"a", "ca", "DNS:a.b.org", 2020, 2090},
	{"new-a", "ca", "DNS:a.b.org", 2020, 2091},
	{"anna", "ca", "DNS:anna", 2020, 2090},
};

static const uint8_t our_root[TLS_TICKET_ROOT] = "one of thirty-two bytes, random",
		     other_root[TLS_TICKET_ROOT] = "another one of thirty-two bytes";

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A client by OpenSSL alone, which keeps the last ticket that it was given, and a clock for the
 * servers that it visits. */
struct guest {
	const struct tls_certs *certs;
	struct ev *ev;
	SSL_CTX *ctx;
	SSL_SESSION *ticket; /* NULL: none */
	bool works;	     /* the last handshake was done */
	bool new_ticket;     /* a new ticket came with it */
};

/* The clock is a minute after a full hour. */
static void guest_begin(struct guest *g, const struct tls_certs *certs, int version)
{
	*g = (struct guest){.certs = certs, .ctx = SSL_CTX_new(TLS_client_method())};
	assert_non_null(g->ctx);
	assert_int_equal(SSL_CTX_set_max_proto_version(g->ctx, version), 1);
	assert_int_equal(SSL_CTX_set_min_proto_version(g->ctx, version), 1);
	assert_int_equal(ev_sim_new(3, &g->ev), 0);
	ev_sim_jump_wall(g->ev, HOUR_MS + MINUTE_MS - ev_wall_ms(g->ev) % HOUR_MS);
}

static void guest_end(struct guest *g)
{
	SSL_SESSION_free(g->ticket);
	SSL_CTX_free(g->ctx);
	ev_free(g->ev);
}

static SSL_SESSION *guest_copy_ticket(const struct guest *g)
{
	SSL_SESSION *copy = SSL_SESSION_dup(g->ticket);

	assert_non_null(copy);
	return copy;
}

static bool same_ticket(const SSL_SESSION *a, const SSL_SESSION *b)
{
	const unsigned char *p, *q;
	size_t n, m;

	SSL_SESSION_get0_ticket(a, &p, &n);
	SSL_SESSION_get0_ticket(b, &q, &m);
	return n == m && (n == 0 || memcmp(p, q, n) == 0);
}

/* One connection. Returns whether it was resumed. */
static bool visit(struct guest *g, struct tls_context *ctx, const char *name)
{
	struct wire_tls wire = {.wire = {.ev = g->ev}, .ctx = ctx, .set = ctx->set};
	SSL *server = SSL_new(ctx->set->ssl), *client = SSL_new(g->ctx);
	BIO *a = NULL, *b = NULL;
	SSL_SESSION *now;
	char byte, sni[64];
	bool resumed;

	SSL_set_app_data(server, &wire);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	str_printf(sni, sizeof sni, "%s", name);
	if (sni[0] != '\0')
		assert_int_equal(SSL_set_tlsext_host_name(client, sni), 1);
	if (g->ticket != NULL)
		assert_int_equal(SSL_set_session(client, g->ticket), 1);
	for (int i = 0; i < 10; i++) {
		(void)!SSL_do_handshake(client);
		(void)!SSL_do_handshake(server);
	}
	g->works = SSL_is_init_finished(client) && SSL_is_init_finished(server);
	(void)!SSL_read(client, &byte, 1); /* the tickets of TLS 1.3 */
	resumed = g->works && SSL_session_reused(server) == 1;
	assert_int_equal(resumed, g->works && SSL_session_reused(client) == 1);
	now = SSL_get1_session(client);
	g->new_ticket = g->works && SSL_SESSION_has_ticket(now) &&
			(g->ticket == NULL || !same_ticket(now, g->ticket));
	if (g->works) {
		SSL_SESSION_free(g->ticket);
		g->ticket = now;
	} else {
		SSL_SESSION_free(now);
	}
	SSL_shutdown(client);
	SSL_free(server);
	SSL_free(client);
	tls_peer_free(wire.peer);
	free(wire.reason);
	return resumed;
}

struct place {
	const uint8_t *root;
	const char *label;
	bool asks, required;
	const char *const *names;
};

static struct tls_context *server(const struct tls_certs *certs, const struct place *p)
{
	char ca[TLS_CERTS_PATH], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.cert_file = tls_certs_path(certs, "home.pem", cert),
					 .key_file = tls_certs_path(certs, "home.key", key),
					 .client_ca_file =
						 p->asks ? tls_certs_path(certs, "ca.pem", ca)
							 : NULL,
					 .client_ca_names = p->names,
					 .client_required = p->required,
					 .ticket_root = p->root,
					 .ticket_label = p->label};
	struct tls_context *ctx = NULL;

	assert_int_equal(tls_context_new_server(&opt, &ctx, why), 0);
	return ctx;
}

static const struct place ours = {our_root, "serve"};

/* ---- to whom ---- */

static void test_who_takes_whose_tickets(void **state)
{
	static const struct {
		const char *why;
		struct place other;
		const char *name;
		bool resumes; /* by TLS 1.3 */
	} cases[] = {
		{"the same root and label", {our_root, "serve"}, "x.home.org", true},
		{"the name in another case", {our_root, "serve"}, "X.Home.org", true},
		{"for another purpose", {our_root, "manage"}, "x.home.org", false},
		{"another root", {other_root, "serve"}, "x.home.org", false},
		{"none, so it has drawn one", {NULL, NULL}, "x.home.org", false},
		{"another name that is its own, too", {our_root, "serve"}, "y.home.org", false},
		{"a longer name", {our_root, "serve"}, "x.home.org.b", false},
		{"no name", {our_root, "serve"}, "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
			bool is13 = versions[v] == TLS1_3_VERSION;
			struct tls_context *here = server(*state, &ours),
					   *there = server(*state, &cases[i].other);
			struct guest g;

			print_message("  %s, %s\n", is13 ? "1.3" : "1.2", cases[i].why);
			guest_begin(&g, *state, versions[v]);
			assert_false(visit(&g, here, "x.home.org"));
			assert_true(g.new_ticket);
			assert_int_equal(visit(&g, there, cases[i].name), is13 && cases[i].resumes);
			assert_true(g.works && g.new_ticket); /* nobody fails for that */
			assert_true(visit(&g, there, cases[i].name));
			guest_end(&g);
			tls_context_free(here);
			tls_context_free(there);
		}
}

/* Each ticket is for one connection, so there must be another one every time. */
static void test_again_and_again(void **state)
{
	struct tls_context *both[] = {server(*state, &ours), server(*state, &ours)};
	struct guest g;

	guest_begin(&g, *state, TLS1_3_VERSION);
	assert_false(visit(&g, both[0], "x.home.org"));
	for (size_t i = 0; i < 100; i++) {
		assert_true(visit(&g, both[i / 3 % 2], "x.home.org"));
		assert_true(g.new_ticket);
		ev_sim_jump_wall(g.ev, 20 * MINUTE_MS);
	}
	guest_end(&g);
	tls_context_free(both[0]);
	tls_context_free(both[1]);
}

/* ---- for how long ---- */

static void test_hours(void **state)
{
	static const struct {
		const char *why;
		int minutes; /* later, by the clock of whom the client visits then */
		bool resumes13, resumes12, renewed12;
	} cases[] = {
		{"in the same hour", 50, true, true, false},
		{"in the next hour", 60, true, true, true},
		{"at the end of that", 118, true, true, true},
		{"an hour later still", 119, false, false, true},
		{"the next day", 24 * 60, false, false, true},
		{"a clock that is in the hour before", -10, true, false, true},
		{"a clock that is two hours behind", -62, false, false, true},
		{"a clock before 1970", -100 * 366 * 24 * 60, false, false, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
			bool is13 = versions[v] == TLS1_3_VERSION;
			struct tls_context *here = server(*state, &ours),
					   *there = is13 ? server(*state, &ours) : here;
			struct guest g;

			print_message("  %s, %s\n", is13 ? "1.3" : "1.2", cases[i].why);
			guest_begin(&g, *state, versions[v]);
			assert_false(visit(&g, here, "x.home.org"));
			ev_sim_jump_wall(g.ev, (int64_t)cases[i].minutes * MINUTE_MS);
			assert_int_equal(visit(&g, there, "x.home.org"),
					 is13 ? cases[i].resumes13 : cases[i].resumes12);
			assert_true(g.works);
			assert_int_equal(g.new_ticket, is13 || cases[i].renewed12);
			assert_true(visit(&g, there, "x.home.org"));
			guest_end(&g);
			tls_context_free(here);
			if (is13)
				tls_context_free(there);
		}
}

/* What was recorded must stay closed to who takes the process over later. */
static void test_drawn_keys_are_forgotten(void **state)
{
	struct tls_context *ctx = server(*state, &ours);
	SSL_SESSION *first;
	struct guest g;

	guest_begin(&g, *state, TLS1_2_VERSION);
	assert_false(visit(&g, ctx, "x.home.org"));
	first = guest_copy_ticket(&g);
	ev_sim_jump_wall(g.ev, 2 * HOUR_MS);
	assert_false(visit(&g, ctx, "x.home.org"));
	ev_sim_jump_wall(g.ev, -2 * HOUR_MS); /* the clock does not bring them back */
	SSL_SESSION_free(g.ticket);
	g.ticket = first;
	assert_false(visit(&g, ctx, "x.home.org"));
	assert_true(g.works);
	guest_end(&g);
	tls_context_free(ctx);
}

/* Nobody has come meanwhile. */
static void test_they_are_forgotten_without_visitors(void **state)
{
	for (int followed = 0; followed <= 1; followed++) {
		struct tls_context *ctx = server(*state, &ours);
		struct tls_reload_opt opt = {.ctx = ctx};
		struct tls_reload *reload = NULL;
		struct guest g;

		guest_begin(&g, *state, TLS1_2_VERSION);
		if (followed)
			assert_int_equal(tls_reload_new(g.ev, &opt, &reload), 0);
		assert_false(visit(&g, ctx, "x.home.org"));
		ev_sim_jump_wall(g.ev, 2 * HOUR_MS);
		ev_sim_run_for(g.ev, TLS_RELOAD_RECHECK_MS + 1);
		ev_sim_jump_wall(g.ev, -2 * HOUR_MS);
		assert_int_equal(visit(&g, ctx, "x.home.org"), !followed);
		tls_reload_free(reload);
		ev_sim_run_for(g.ev, MINUTE_MS);
		guest_end(&g);
		tls_context_free(ctx);
	}
}

/* ---- not around what is asked today ---- */

static void test_where_certificates_are_asked_for(void **state)
{
	static const char *const x[] = {"x.home.org", NULL}, *const z[] = {"z.home.org", NULL};
	static const struct {
		const char *why;
		struct place other;
		const char *name;
		bool works, ticket;
	} cases[] = {
		{"asked at this name",
		 {our_root, "serve", true, false, x},
		 "x.home.org",
		 true,
		 false},
		{"asked everywhere",
		 {our_root, "serve", true, false, NULL},
		 "x.home.org",
		 true,
		 false},
		{"asked, and no way without",
		 {our_root, "serve", true, true, NULL},
		 "x.home.org",
		 false,
		 false},
		{"not asked at this name",
		 {our_root, "serve", true, false, z},
		 "x.home.org",
		 true,
		 true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
			bool is13 = versions[v] == TLS1_3_VERSION;
			struct tls_context *here = server(*state, &ours),
					   *there = server(*state, &cases[i].other);
			struct guest g;

			print_message("  %s, %s\n", is13 ? "1.3" : "1.2", cases[i].why);
			guest_begin(&g, *state, versions[v]);
			assert_false(visit(&g, here, cases[i].name));
			/* the same by its own ticket, if the other asks only since a moment ago */
			assert_int_equal(visit(&g, there, cases[i].name), is13 && cases[i].ticket);
			assert_int_equal(g.works, cases[i].works);
			if (g.works)
				assert_int_equal(g.new_ticket, cases[i].ticket);
			guest_end(&g);
			tls_context_free(here);
			tls_context_free(there);
		}
}

/* The set that is in force begins to ask; tickets that were made before are good no more. */
static void test_a_reload_that_begins_to_ask(void **state)
{
	char ca[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];

	for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
		struct tls_context *ctx = server(*state, &ours);
		struct tls_set *set = NULL;
		struct guest g;

		guest_begin(&g, *state, versions[v]);
		assert_false(visit(&g, ctx, "x.home.org"));
		assert_true(visit(&g, ctx, "x.home.org"));
		ctx->files.client_ca = str_dup(str_of(tls_certs_path(*state, "ca.pem", ca)));
		assert_int_equal(tls_set_load(ctx, ctx->set, &set, why), 0);
		tls_context_replace(ctx, &set);
		assert_false(visit(&g, ctx, "x.home.org"));
		assert_true(g.works && !g.new_ticket);
		guest_end(&g);
		tls_context_free(ctx);
	}
}

/* A client that would do without an exchange, so that who has the root could read it all. */
static void test_no_connection_without_an_exchange(void **state)
{
	static const struct {
		const char *why;
		bool let, works;
	} cases[] = {
		{"as it is", false, false},
		{"if it were allowed, the ticket would do", true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context *ctx = server(*state, &ours);
		char mine[] = "X25519", other[] = "P-521";
		struct guest g;

		print_message("  %s\n", cases[i].why);
		guest_begin(&g, *state, TLS1_3_VERSION);
		SSL_CTX_set_options(g.ctx, SSL_OP_ALLOW_NO_DHE_KEX);
		if (cases[i].let)
			SSL_CTX_set_options(ctx->set->ssl, SSL_OP_ALLOW_NO_DHE_KEX);
		assert_int_equal(SSL_CTX_set1_groups_list(ctx->set->ssl, mine), 1);
		assert_false(visit(&g, ctx, "x.home.org"));
		assert_true(g.works);
		assert_int_equal(SSL_CTX_set1_groups_list(g.ctx, other), 1); /* none in common */
		assert_int_equal(visit(&g, ctx, "x.home.org"), cases[i].works);
		assert_int_equal(g.works, cases[i].works);
		guest_end(&g);
		tls_context_free(ctx);
	}
}

/* The client's first guess at a group is wrong: it says hello twice, and its ticket counts. */
static void test_a_second_hello(void **state)
{
	struct tls_context *ctx = server(*state, &ours);
	char mine[] = "X25519", both[] = "P-521:X25519";
	struct guest g;

	guest_begin(&g, *state, TLS1_3_VERSION);
	assert_int_equal(SSL_CTX_set1_groups_list(ctx->set->ssl, mine), 1);
	assert_int_equal(SSL_CTX_set1_groups_list(g.ctx, both), 1);
	assert_false(visit(&g, ctx, "x.home.org"));
	assert_true(visit(&g, ctx, "x.home.org"));
	guest_end(&g);
	tls_context_free(ctx);
}

/* The name is read before OpenSSL has judged the ClientHello that it stands in. */
static void test_damaged_names(void **state)
{
	static const struct {
		const char *why;
		int at; /* from the name's first byte */
		uint8_t to;
		bool resumes;
	} cases[] = {
		{"as it was sent", -3, 0, true},
		{"a name of another type", -3, 1, false},
		{"a list that is longer than its extension", -5, 1, false},
		{"a list that is longer by a byte", -4, 14, false},
		{"an empty list", -4, 0, false},
		{"a name that is longer than its list", -2, 255, false},
		{"a name that is shorter than its list", -1, 9, false},
		{"an empty name", -1, 0, false},
		{"an extension that ends in the list's length", -6, 1, false},
		{"an empty extension", -6, 0, false},
		{"another name", 0, 'y', false},
		{"a NUL in it", 3, 0, false},
	};
	static const char name[] = "x.home.org";
	char hello[4096];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct tls_context *ctx = server(*state, &ours);
		struct wire_tls wire = {.ctx = ctx, .set = ctx->set};
		SSL *one = SSL_new(ctx->set->ssl), *client;
		BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
		struct guest g;
		char *at;
		int len;

		print_message("  %s\n", cases[i].why);
		guest_begin(&g, *state, TLS1_2_VERSION);
		assert_false(visit(&g, ctx, name));
		client = SSL_new(g.ctx);
		SSL_set_bio(client, BIO_new(BIO_s_mem()), out);
		assert_int_equal(SSL_set_tlsext_host_name(client, (char *)(uintptr_t)name), 1);
		assert_int_equal(SSL_set_session(client, g.ticket), 1);
		assert_int_equal(SSL_connect(client), -1);
		len = BIO_read(out, hello, sizeof hello);
		at = memmem(hello, (size_t)len, name, strlen(name));
		assert_non_null(at);
		at[cases[i].at] = (char)cases[i].to;
		wire.wire.ev = g.ev;
		SSL_set_app_data(one, &wire);
		assert_int_equal(BIO_write(in, hello, len), len);
		SSL_set_bio(one, in, BIO_new(BIO_s_mem()));
		assert_int_equal(SSL_accept(one), -1);
		assert_int_equal(SSL_session_reused(one), cases[i].resumes);
		SSL_free(one);
		SSL_free(client);
		guest_end(&g);
		tls_context_free(ctx);
	}
}

/* ---- certificates ---- */

static void test_tickets_outlive_certificates(void **state)
{
	struct tls_context *ctx;
	struct tls_set *set = NULL;
	char why[TLS_CONTEXT_WHY];
	struct tls_store s;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct guest g;

		guest_begin(&g, *state, versions[i]);
		tls_store_make(&s, *state);
		tls_store_put(&s, "a.pem", "a.pem");
		tls_store_put(&s, "a.key", "a.key");
		ctx = tls_store_server(&s, "home", NULL);
		assert_false(visit(&g, ctx, "a.b.org"));
		assert_true(visit(&g, ctx, "a.b.org"));
		tls_store_put(&s, "new-a.pem", "new-a.pem");
		tls_store_put(&s, "new-a.key", "new-a.key");
		assert_int_equal(tls_set_load(ctx, ctx->set, &set, why), 0);
		tls_context_replace(ctx, &set);
		assert_true(visit(&g, ctx, "a.b.org"));
		assert_false(visit(&g, ctx, "home.org")); /* another name and certificate */
		tls_context_free(ctx);
		ctx = tls_store_server(&s, "home", NULL); /* another server has other keys */
		assert_false(visit(&g, ctx, "home.org"));
		guest_end(&g);
		tls_context_free(ctx);
		tls_store_remove(&s);
	}
}

static void test_a_name_that_is_served_no_more(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct tls_set *set = NULL;
		char why[TLS_CONTEXT_WHY];
		struct tls_context *ctx;
		struct tls_store s;
		struct guest g;

		guest_begin(&g, *state, versions[i]);
		tls_store_make(&s, *state);
		tls_store_put(&s, "a.pem", "a.pem");
		tls_store_put(&s, "a.key", "a.key");
		tls_store_put(&s, "home.pem", "home.pem");
		tls_store_put(&s, "home.key", "home.key");
		ctx = tls_store_server(&s, NULL, NULL);
		assert_false(visit(&g, ctx, "a.b.org"));
		tls_store_drop(&s, "a.pem");
		tls_store_drop(&s, "a.key");
		assert_int_equal(tls_set_load(ctx, NULL, &set, why), 0);
		tls_context_replace(ctx, &set);
		assert_false(visit(&g, ctx, "a.b.org")); /* the alert unrecognized_name */
		assert_false(g.works);
		guest_end(&g);
		tls_context_free(ctx);
		tls_store_remove(&s);
	}
}

static void test_bad_settings(void **state)
{
	struct tls_context_server opt = {.ticket_root = our_root,
					 .ticket_label =
						 "more than thirty bytes, which is too many"};
	char cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context *ctx = NULL;

	opt.cert_file = tls_certs_path(*state, "home.pem", cert);
	opt.key_file = tls_certs_path(*state, "home.key", key);
	assert_int_equal(tls_context_new_server(&opt, &ctx, why), ERR_INVAL);
	assert_null(ctx);
}

static int ticket_setup(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int ticket_teardown(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_takes_whose_tickets),
		cmocka_unit_test(test_again_and_again),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_drawn_keys_are_forgotten),
		cmocka_unit_test(test_they_are_forgotten_without_visitors),
		cmocka_unit_test(test_where_certificates_are_asked_for),
		cmocka_unit_test(test_a_reload_that_begins_to_ask),
		cmocka_unit_test(test_no_connection_without_an_exchange),
		cmocka_unit_test(test_a_second_hello),
		cmocka_unit_test(test_damaged_names),
		cmocka_unit_test(test_tickets_outlive_certificates),
		cmocka_unit_test(test_a_name_that_is_served_no_more),
		cmocka_unit_test(test_bad_settings),
	};

	return cmocka_run_group_tests_name("tls tickets", tests, ticket_setup, ticket_teardown);
}
