/* Certificates that change while the server runs, on virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "unit/wire/tls_store.h"
#include "wire/tls_ca.h"
#include "wire/tls_inside.h"
#include "wire/tls_reload.h"

/* The simulated clock starts in 2026. */
static const struct tls_certs_row rows[] = {
	{"ca", NULL, NULL, 2020, 2090},
	{"new-ca", NULL, NULL, 2020, 2090},
	{"home", "ca", "DNS:home.org", 2020, 2090},
	{"new-home", "new-ca", "DNS:home.org", 2020, 2090},
	{"a", "ca", "DNS:a.b.org", 2020, 2090},
	{"b", "ca", "DNS:b.b.org", 2020, 2090},
};

struct reload_rig {
	struct ev *ev;
	struct tls_store store;
	struct tls_rig_log log;
	struct tls_context *server, *client,
		*new_client; /* who trusts the one or other authority */
	struct tls_reload *reload;
	int n_rechecks;
};

static void rig_on_recheck(void *arg)
{
	((struct reload_rig *)arg)->n_rechecks++;
}

static void rig_open(struct reload_rig *r, const struct tls_certs *certs, const char *ca,
		     const char *crl)
{
	char cert[TLS_CERTS_PATH * 2], key[TLS_CERTS_PATH * 2], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.cert_file = cert,
					 .key_file = key,
					 .dir = r->store.dir,
					 .client_ca_file = ca,
					 .client_crl_file = crl,
					 .log = &r->log.log};
	struct tls_reload_opt how = {.recheck = rig_on_recheck, .arg = r};

	r->n_rechecks = 0;
	assert_int_equal(ev_sim_new(5, &r->ev), 0);
	tls_rig_log_init(&r->log);
	tls_store_make(&r->store, certs);
	tls_store_put(&r->store, "home.pem", "default/cert.pem");
	tls_store_put(&r->store, "home.key", "default/key.pem");
	tls_store_put(&r->store, "a.pem", "a.pem");
	tls_store_put(&r->store, "a.key", "a.key");
	str_printf(cert, sizeof cert, "%s/default/cert.pem", r->store.dir);
	str_printf(key, sizeof key, "%s/default/key.pem", r->store.dir);
	assert_int_equal(tls_context_new_server(&opt, &r->server, why), 0);
	r->client = tls_rig_client(certs, "ca", NULL);
	r->new_client = tls_rig_client(certs, "new-ca", NULL);
	how.ctx = r->server;
	assert_int_equal(tls_reload_new(r->ev, &how, &r->reload), 0);
}

static void rig_close(struct reload_rig *r)
{
	tls_reload_free(r->reload);
	tls_context_free(r->server);
	tls_context_free(r->client);
	tls_context_free(r->new_client);
	ev_sim_run_for(r->ev, 100);
	ev_free(r->ev);
	tls_store_remove(&r->store);
}

/* Long enough for a look, a second one, and reading. */
static void rig_wait(struct reload_rig *r)
{
	ev_sim_run_for(r->ev, TLS_RELOAD_MS + 2 * TLS_RELOAD_SETTLE_MS);
}

static void test_what_is_new_comes_into_force(void **state)
{
	struct reload_rig r;
	struct tls_rig running;

	rig_open(&r, *state, NULL, NULL);
	tls_rig_open_on(&running, r.ev, r.server, r.client, "home.org");
	rig_wait(&r);
	assert_int_equal(running.client.why, 0);
	assert_int_equal(r.log.n, 0); /* nothing has changed */
	assert_true(tls_rig_works(r.server, r.client, "a.b.org"));
	assert_false(tls_rig_works(r.server, r.client, "b.b.org"));

	tls_store_put_both(&r.store, "b.pem", "b.key", "b.pem");
	tls_store_drop(&r.store, "a.pem");
	tls_store_put(&r.store, "new-home.key", "default/key.pem");
	tls_store_put(&r.store, "new-home.pem", "default/cert.pem");
	rig_wait(&r);
	assert_int_equal(r.n_rechecks, 1);
	assert_non_null(strstr(r.log.lines, "event=certificates-loaded in_directory=1 skipped=0"));
	assert_true(tls_rig_works(r.server, r.client, "b.b.org"));
	assert_false(tls_rig_works(r.server, r.client, "a.b.org"));
	assert_true(tls_rig_works(r.server, r.new_client, "home.org"));
	assert_int_equal(running.client.why, 0); /* it goes on */
	assert_int_equal(running.server.why, 0);
	tls_rig_hang_up(&running);
	rig_close(&r);
}

static void test_files_that_are_being_written_are_waited_for(void **state)
{
	struct reload_rig r;

	rig_open(&r, *state, NULL, NULL);
	tls_store_put_both(&r.store, "b.pem", "b.key", "b.pem");
	ev_sim_run_for(r.ev, TLS_RELOAD_MS + 10); /* it has been seen */
	assert_int_equal(r.server->n_sets, 1);
	tls_store_put(&r.store, "b.pem", "c.pem");
	ev_sim_run_for(r.ev, TLS_RELOAD_SETTLE_MS); /* more has come meanwhile */
	assert_int_equal(r.server->n_sets, 1);
	tls_store_put(&r.store, "b.key", "c.key");
	ev_sim_run_for(r.ev, TLS_RELOAD_SETTLE_MS);
	assert_int_equal(r.server->n_sets, 1);
	ev_sim_run_for(r.ev, TLS_RELOAD_SETTLE_MS);
	assert_int_equal(r.server->n_sets, 2);
	assert_non_null(strstr(r.log.lines, "in_directory=3 skipped=0"));
	rig_close(&r);
}

static void test_a_handshake_goes_on_with_what_it_began_with(void **state)
{
	struct reload_rig r;
	struct tls_rig late;

	rig_open(&r, *state, NULL, NULL);
	tls_rig_open_on(&late, r.ev, r.server, r.client, "home.org");
	tls_store_put(&r.store, "new-home.key", "default/key.pem");
	tls_store_put(&r.store, "new-home.pem", "default/cert.pem");
	tls_reload_now(r.reload);
	ev_sim_run_for(r.ev, 2); /* the client's first words are on their way */
	assert_int_equal(r.server->n_sets, 2);
	ev_sim_run_for(r.ev, 1000);
	assert_int_equal(late.client.why, 0);
	assert_int_equal(late.server.why, 0);
	tls_rig_hang_up(&late);
	rig_close(&r);
}

static void test_what_cannot_be_loaded_changes_nothing(void **state)
{
	struct reload_rig r;

	rig_open(&r, *state, NULL, NULL);
	tls_store_put(&r.store, "new-home.pem", "default/cert.pem"); /* its key is not there yet */
	for (int i = 0; i < 5; i++)
		rig_wait(&r);
	assert_int_equal(r.log.n, 1); /* said once */
	assert_non_null(
		strstr(r.log.lines, "event=certificates-not-loaded code=CERT reason=\"the key "));
	assert_int_equal(r.n_rechecks, 0);
	assert_true(tls_rig_works(r.server, r.client, "home.org"));
	tls_store_put(&r.store, "new-home.key", "default/key.pem");
	rig_wait(&r);
	assert_int_equal(r.log.n, 2);
	assert_true(tls_rig_works(r.server, r.new_client, "home.org"));
	rig_close(&r);
}

static void test_a_pair_that_breaks_is_kept(void **state)
{
	struct reload_rig r;

	rig_open(&r, *state, NULL, NULL);
	tls_store_write(&r.store, "a.key", "half a k");
	rig_wait(&r);
	assert_int_equal(r.log.n, 2); /* loaded, and the one that is skipped */
	assert_non_null(strstr(r.log.lines, "event=certificate-skipped file="));
	assert_true(tls_rig_works(r.server, r.client, "a.b.org"));
	tls_store_put_both(&r.store, "b.pem", "b.key", "b.pem"); /* another change */
	rig_wait(&r);
	assert_int_equal(r.log.n, 3); /* the same is not told again */
	assert_true(tls_rig_works(r.server, r.client, "a.b.org"));
	tls_store_put(&r.store, "a.key", "a.key");
	rig_wait(&r);
	assert_non_null(strstr(r.log.lines, "in_directory=2 skipped=0"));
	assert_true(tls_rig_works(r.server, r.client, "a.b.org"));
	rig_close(&r);
}

static void test_asked_to(void **state)
{
	struct reload_rig r;

	rig_open(&r, *state, NULL, NULL);
	tls_reload_now(r.reload);
	tls_reload_now(r.reload); /* while it is at it */
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(r.log.n, 2);
	assert_int_equal(r.n_rechecks, 2);
	tls_reload_now(r.reload);
	tls_reload_free(r.reload); /* its thread has not answered */
	r.reload = NULL;
	ev_sim_run_for(r.ev, 10);
	assert_int_equal(r.n_rechecks, 2);
	rig_close(&r);
}

static void test_certificates_grow_old(void **state)
{
	struct reload_rig r;

	rig_open(&r, *state, NULL, NULL);
	ev_sim_run_for(r.ev, TLS_RELOAD_RECHECK_MS + 10);
	assert_int_equal(r.n_rechecks, 1);
	ev_sim_run_for(r.ev, TLS_RELOAD_RECHECK_MS);
	assert_int_equal(r.n_rechecks, 2);
	assert_int_equal(r.log.n, 0);
	rig_close(&r);
}

/* ---- revoked meanwhile ---- */

static void test_a_running_one_is_revoked(void **state)
{
	static const char *const names[] = {"robot@example.org"};
	char ca[TLS_CERTS_PATH], crl[TLS_CERTS_PATH], dir[TLS_CERTS_PATH], path[TLS_CERTS_PATH];
	char why[TLS_CA_WHY], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH];
	const struct tls_certs *certs = *state;
	struct tls_ca_issue opt = {.dir = tls_certs_path(certs, "own", dir),
				   .out = certs->dir,
				   .names = names,
				   .n_names = 1};
	struct tls_context_client show = {.ca_file = tls_certs_path(certs, "ca.pem", path)};
	struct tls_ca_issued made;
	struct tls_context *client;
	struct tls_peer *peer;
	struct reload_rig r;
	struct tls_rig running;
	struct ev *ev;
	int64_t now;
	size_t n;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	now = ev_wall_ms(ev);
	ev_free(ev);
	assert_int_equal(tls_ca_init(dir, "own CA", now, why), 0);
	assert_int_equal(tls_ca_issue(&opt, now, &made, why), 0);
	rig_open(&r, certs, tls_certs_path(certs, "own/ca.pem", ca),
		 tls_certs_path(certs, "own/crl.pem", crl));
	show.cert_file = tls_certs_path(certs, "robot@example.org.pem", cert);
	show.key_file = tls_certs_path(certs, "robot@example.org-key.pem", key);
	assert_int_equal(tls_context_new_client(&show, &client, why), 0);
	tls_rig_open_on(&running, r.ev, r.server, client, "home.org");
	ev_sim_run_for(r.ev, 100);
	peer = wire_tls_peer(running.server.w);
	assert_non_null(peer);
	assert_string_equal(tls_peer_name(peer), names[0]);

	assert_int_equal(tls_ca_revoke(dir, names[0], now, &n, why), 0);
	assert_int_equal(tls_peer_check(peer, ev_wall_ms(r.ev), why), 0); /* not in force yet */
	rig_wait(&r);
	assert_int_equal(r.n_rechecks, 1);
	assert_int_equal(tls_peer_check(peer, ev_wall_ms(r.ev), why), ERR_CERT);
	assert_memory_equal(why, "certificate is revoked (serial ", 31);
	assert_null(wire_tls_peer_name(running.server.w));
	assert_false(tls_rig_works(r.server, client, "home.org"));
	tls_rig_hang_up(&running);
	rig_close(&r);
	tls_peer_free(peer);
	tls_context_free(client);
	unlink(ca);
	unlink(crl);
	unlink(tls_certs_path(certs, "own/ca-key.pem", path));
	unlink(tls_certs_path(certs, "own/issued.jsonl", path));
	rmdir(dir);
}

static int reload_setup(void **state)
{
	static struct tls_certs certs;

	tls_certs_make(&certs, rows, ARRAY_LEN(rows));
	*state = &certs;
	return 0;
}

static int reload_teardown(void **state)
{
	tls_certs_remove(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_new_comes_into_force),
		cmocka_unit_test(test_files_that_are_being_written_are_waited_for),
		cmocka_unit_test(test_a_handshake_goes_on_with_what_it_began_with),
		cmocka_unit_test(test_what_cannot_be_loaded_changes_nothing),
		cmocka_unit_test(test_a_pair_that_breaks_is_kept),
		cmocka_unit_test(test_asked_to),
		cmocka_unit_test(test_certificates_grow_old),
		cmocka_unit_test(test_a_running_one_is_revoked),
	};

	return cmocka_run_group_tests_name("tls reload", tests, reload_setup, reload_teardown);
}
