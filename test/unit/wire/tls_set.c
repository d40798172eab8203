/* Which certificate a client gets, and what is done about bad ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/wire/tls_store.h"
#include "wire/tls_inside.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"home", "ca", "DNS:home.org,DNS:*.home.org,IP:127.0.0.1", 2020, 2090},
	{"a", "ca", "DNS:a.b.org,DNS:A2.b.org", 2020, 2090},
	{"wild", "ca", "DNS:*.b.org,DNS:*.deep.b.org", 2020, 2090},
	{"new-a", "ca", "DNS:a.b.org", 2020, 2091},
	{"old-a", "ca", "DNS:a.b.org", 2020, 2025},
	{"cn.b.org", "ca", "IP:127.0.0.2", 2020, 2090},
	{"rsa", "ca", "DNS:rsa.org", 2020, 2090, .rsa = true},
};

static void store_pair(struct tls_store *s, const char *name)
{
	char file[64];

	str_printf(file, sizeof file, "%s.pem", name);
	tls_store_put(s, file, file);
	str_printf(file, sizeof file, "%s.key", name);
	tls_store_put(s, file, file);
}

/* The file without directory and ending that a name leads to. */
static const char *leads_to(const struct tls_context *ctx, const char *name, char out[64])
{
	const struct tls_pair *p = tls_set_find(ctx->set, name);
	const char *file = p == NULL ? "/nothing.pem" : strrchr(p->file, '/');

	str_printf(out, 64, "%.*s", (int)(strlen(file) - 5), file + 1);
	return out;
}

static void test_names(void **state)
{
	static const struct {
		const char *why, *name, *file;
	} cases[] = {
		{"its name", "a.b.org", "a"},
		{"in any case", "A.b.ORG", "a"},
		{"another of its names, which is in any case, too", "a2.b.org", "a"},
		{"a wildcard", "some.b.org", "wild"},
		{"a deeper wildcard", "x.deep.b.org", "wild"},
		{"a wildcard stands for one label only", "y.x.deep.b.org", "nothing"},
		{"and not for none", "b.org", "nothing"},
		{"a common name where there is no DNS name", "cn.b.org", "cn.b.org"},
		{"a name of the default", "home.org", "home"},
		{"a wildcard of the default", "x.home.org", "home"},
		{"somebody else's", "nobody.test", "nothing"},
		{"a client that sends a wildcard", "*.b.org", "nothing"},
		{"a client that sends nonsense", "a.b.org\n", "nothing"},
		{"nothing", "", "nothing"},
		{"no name at all", NULL, "nothing"},
		{"one label", "org", "nothing"},
		{"a dot in front", ".b.org", "nothing"},
	};
	struct tls_context *ctx;
	struct tls_store s;
	char file[64];

	tls_store_make(&s, *state);
	store_pair(&s, "a");
	store_pair(&s, "cn.b.org");
	store_pair(&s, "wild");
	ctx = tls_store_server(&s, "home", NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		assert_string_equal(leads_to(ctx, cases[i].name, file), cases[i].file);
		assert_int_equal(tls_context_has_name(ctx, cases[i].name),
				 strcmp(cases[i].file, "nothing") != 0);
	}
	tls_context_free(ctx);
	tls_store_remove(&s);
}

static void test_the_one_that_is_good_for_longer(void **state)
{
	struct tls_context *ctx;
	struct tls_store s;
	char file[64];

	tls_store_make(&s, *state);
	store_pair(&s, "a");
	store_pair(&s, "old-a");
	ctx = tls_store_server(&s, NULL, NULL);
	assert_string_equal(leads_to(ctx, "a.b.org", file), "a");
	tls_context_free(ctx);
	store_pair(&s, "new-a");
	ctx = tls_store_server(&s, NULL, NULL);
	assert_string_equal(leads_to(ctx, "a.b.org", file), "new-a");
	assert_string_equal(leads_to(ctx, "a2.b.org", file), "a");
	tls_context_free(ctx);
	tls_store_drop(&s, "new-a.pem");
	ctx = tls_store_server(&s, "new-a", NULL); /* the directory counts more than the default */
	assert_string_equal(leads_to(ctx, "a.b.org", file), "a");
	tls_context_free(ctx);
	tls_store_remove(&s);
}

static void test_handshakes(void **state)
{
	static const struct {
		const char *why, *host;
		bool with, without; /* a default: the client finds the name in the certificate */
	} cases[] = {
		{"by its name", "a.b.org", true, true},
		{"by a wildcard", "some.b.org", true, true},
		{"RSA, though the default is ECDSA, which clients like better", "rsa.org", true,
		 true},
		{"by a name of the default", "home.org", true, false},
		{"without SNI: the default", "127.0.0.1", true, false},
		{"without SNI: the first by its file", "127.0.0.2", false, true},
	};
	struct tls_context *client = tls_rig_client(*state, "ca", NULL), *with, *without;
	struct tls_store s;

	tls_store_make(&s, *state);
	store_pair(&s, "a");
	tls_store_put(&s, "cn.b.org.pem", "0.crt");
	tls_store_put(&s, "cn.b.org.key", "0-key.pem");
	store_pair(&s, "wild");
	store_pair(&s, "rsa");
	with = tls_store_server(&s, "home", NULL);
	without = tls_store_server(&s, NULL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		assert_int_equal(tls_rig_works(with, client, cases[i].host), cases[i].with);
		assert_int_equal(tls_rig_works(without, client, cases[i].host), cases[i].without);
	}
	tls_context_free(with);
	tls_context_free(without);
	tls_context_free(client);
	tls_store_remove(&s);
}

static void test_no_match_is_an_alert(void **state)
{
	struct tls_context *client = tls_rig_client(*state, "ca", NULL), *server;
	struct tls_store s;
	struct tls_rig r;
	struct str in;

	tls_store_make(&s, *state);
	store_pair(&s, "a");
	server = tls_store_server(&s, NULL, NULL);
	tls_rig_open(&r, server, client, "nobody.test");
	ev_sim_run_for(r.ev, 1000);
	assert_int_equal(r.server.why, ERR_TLS);
	assert_non_null(strstr(r.server.reason, "no certificate for the name"));
	assert_int_equal(wire_read(r.client.w, 1, &in), ERR_TLS);
	assert_string_equal(wire_tls_reason(r.client.w),
			    "the peer ended TLS with the alert \"unrecognized name\"");
	tls_rig_close(&r);
	tls_context_free(server);
	tls_context_free(client);
	tls_store_remove(&s);
}

/* ---- bad ones ---- */

static void test_bad_pairs_are_left_out_and_told(void **state)
{
	static const char *const told[] = {
		"/broken.pem\" reason=\"no usable certificate in ",
		"/keyless/fullchain.pem\" reason=\"there is no privkey.pem beside it\"",
		"/lonely.pem\" reason=\"no usable key in ",
		"/other.pem\" reason=\"the key ",
		"/shut.pem\" reason=\"cannot read the certificate ",
	};
	struct tls_context *ctx;
	struct tls_rig_log log;
	struct tls_store s;
	char file[64], path[TLS_CERTS_PATH * 2];

	tls_rig_log_init(&log);
	tls_store_make(&s, *state);
	store_pair(&s, "a");
	tls_store_write(&s, "broken.pem", "-----BEGIN CERTIFICATE-----\nMII\n");
	tls_store_put(&s, "a.key", "broken.key");
	tls_store_put(&s, "wild.pem", "keyless/fullchain.pem");
	tls_store_put(&s, "wild.pem", "lonely.pem");
	tls_store_put(&s, "wild.pem", "other.pem");
	tls_store_put(&s, "a.key", "other.key");
	str_printf(path, sizeof path, "%s/shut.pem", s.dir);
	assert_int_equal(symlink("/proc/self/mem", path), 0); /* no one can read it */
	ctx = tls_store_server(&s, NULL, &log.log);
	for (size_t i = 0; i < ARRAY_LEN(told); i++)
		if (strstr(log.lines, told[i]) == NULL)
			fail_msg("not told: %s\n%s", told[i], log.lines);
	assert_int_equal(log.n, ARRAY_LEN(told));
	assert_string_equal(leads_to(ctx, "a.b.org", file), "a");
	assert_string_equal(leads_to(ctx, "some.b.org", file), "nothing");
	tls_context_free(ctx);
	tls_store_remove(&s);
}

/* An empty directory is a server that only passes TLS through; what comes into it counts. */
static void test_nothing_to_begin_with(void **state)
{
	struct tls_context_server opt = {.dir = "/nosuch"};
	struct tls_rig_log log;
	struct tls_context *ctx = NULL;
	char why[TLS_CONTEXT_WHY], file[64];
	struct tls_store s;

	assert_int_equal(tls_context_new_server(&opt, &ctx, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "/nosuch"));
	tls_store_make(&s, *state);
	tls_rig_log_init(&log);
	ctx = tls_store_server(&s, NULL, &log.log);
	assert_non_null(strstr(log.lines, "only passed through"));
	assert_string_equal(leads_to(ctx, "some.b.org", file), "nothing");
	tls_context_free(ctx);
	tls_store_put(&s, "a.pem", "lonely.pem");
	ctx = tls_store_server(&s, NULL, &log.log);
	assert_non_null(strstr(log.lines, "lonely.pem"));
	tls_context_free(ctx);
	tls_store_put_both(&s, "a.pem", "a.key", "lonely.pem");
	ctx = tls_store_server(&s, NULL, &log.log);
	assert_string_equal(leads_to(ctx, "a.b.org", file), "lonely");
	tls_context_free(ctx);
	tls_store_remove(&s);
}

static int set_setup(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int set_teardown(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_the_one_that_is_good_for_longer),
		cmocka_unit_test(test_handshakes),
		cmocka_unit_test(test_no_match_is_an_alert),
		cmocka_unit_test(test_bad_pairs_are_left_out_and_told),
		cmocka_unit_test(test_nothing_to_begin_with),
	};

	return cmocka_run_group_tests_name("tls set", tests, set_setup, set_teardown);
}
