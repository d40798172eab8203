/* Tunnels that only other nodes serve: made when a visitor comes, or a port opens; and the records
 * of temporary ones. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "unit/core/peer_rig.h"

/* ---- tunnels that only others serve ---- */

static void test_made_when_a_visitor_comes(void **state)
{
	struct node_entry e;
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_NOROUTE);
	peer_rig_put(&w, "demo", "\"kind\":\"http\",\"rewrite\":true");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_NOSESSION);
	peer_rig_join(&w, &f, 1, "laptop", 1, 0);
	assert_int_equal(core_rig_attach(&f, "demo", "").result.e, 0);
	assert_null(peer_rig_demo(&w, 0)); /* its record is not known */
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	assert_non_null(peer_rig_demo(&w, 0));
	assert_true(tunnel_settings(peer_rig_demo(&w, 0))->rewrite);
	assert_int_equal(tunnel_settings(peer_rig_demo(&w, 0))->kind, TUNNEL_HTTP);

	/* it follows its record */
	peer_rig_put(&w, "demo", "\"kind\":\"http\"");
	core_on_written_elsewhere(w.node[0].rig.core, STR("tunnel"), STR("demo"));
	peer_rig_run(&w, 5);
	assert_false(tunnel_settings(peer_rig_demo(&w, 0))->rewrite);
	peer_rig_put(&w, "demo", "\"kind\":\"http\",\"rewrite\":true");
	peer_rig_run(&w, CORE_REFRESH_MS + 1000); /* also if nobody says a word */
	assert_true(tunnel_settings(peer_rig_demo(&w, 0))->rewrite);

	/* it stays while it is used, and not much longer */
	for (int i = 0; i < 4; i++) {
		peer_rig_run(&w, 59000);
		assert_non_null(peer_rig_demo(&w, 0));
	}
	peer_rig_run(&w, 61000);
	assert_null(peer_rig_demo(&w, 0));
	assert_int_equal(w.node[0].rig.core->tunnels.n, 0);

	/* switched off, and gone */
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	peer_rig_put(&w, "demo", "\"kind\":\"http\",\"enabled\":false");
	w.node[1].mute = true; /* it does not hear of that */
	core_on_written_elsewhere(w.node[0].rig.core, STR("tunnel"), STR("demo"));
	peer_rig_run(&w, 5);
	assert_null(peer_rig_demo(&w, 0));
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_DISABLED);
	peer_rig_put(&w, "demo", "\"kind\":\"tcp\",\"port\":9000");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_NOROUTE);
	peer_rig_put(&w, "demo", "\"kind\":\"http\"");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	assert_non_null(peer_rig_demo(&w, 0));

	/* the node that serves it goes; another one comes */
	core_peer_free(w.node[0].way[1].peer);
	w.node[0].way[1].peer = NULL;
	assert_null(peer_rig_demo(&w, 0));
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_NOSESSION);
	e = peer_rig_entry(&w, "laptop", 2, 1);
	assert_int_equal(core_peer_serves(w.node[0].way[2].peer, STR("demo"), &e), 0);
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	assert_non_null(peer_rig_demo(&w, 0));
	assert_int_equal(core_peer_serves(w.node[0].way[2].peer, STR("demo"), NULL), 0);
	assert_null(peer_rig_demo(&w, 0));
	fake_leave(&f);
	peer_rig_free(&w);
}

/* A name that was asked for a moment ago, when it was nobody's. */
static void test_what_was_read_before_is_old(void **state)
{
	struct node_entry e;
	struct peer_rig w;

	peer_rig_new(&w);
	peer_rig_put(&w, "demo", "\"kind\":\"http\"");
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_NOSESSION);
	w.r.n_asked = 0;
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), ERR_NOSESSION);
	assert_int_equal(w.r.n_asked, 0); /* it is known by heart */
	e = peer_rig_entry(&w, "laptop", 1, 1);
	assert_int_equal(core_peer_serves(w.node[0].way[1].peer, STR("demo"), &e), 0);
	assert_int_equal(peer_rig_lookup(&w, 0, "demo", NULL), 0);
	assert_int_equal(w.r.n_asked, 1);
	peer_rig_free(&w);
}

/* A name and a custom domain that were looked for a moment ago are known to be nobody's, until a
 * node says that it has written them. */
static void test_what_was_missed_may_be_there(void **state)
{
	static const struct {
		const char *why, *kind, *key, *host;
		bool asked;
	} cases[] = {
		{"a name, and nobody says a word", NULL, NULL, NULL, false},
		{"a name", "tunnel", "demo", NULL, true},
		{"a name, and another one is written", "tunnel", "other", NULL, false},
		{"a domain, and nobody says a word", NULL, NULL, "app.example.org", false},
		{"a domain", "domain", "app.example.org", "app.example.org", true},
		{"a domain, and another one is written", "domain", "x.example.org",
		 "app.example.org", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *name = cases[i].host == NULL ? "demo" : NULL;
		struct peer_rig w;

		print_message("# %s\n", cases[i].why);
		peer_rig_new(&w);
		assert_int_equal(peer_rig_lookup(&w, 0, name, cases[i].host), ERR_NOROUTE);
		if (cases[i].kind != NULL)
			core_on_written_elsewhere(w.node[0].rig.core, str_of(cases[i].kind),
						  str_of(cases[i].key));
		w.r.n_asked = 0;
		assert_int_equal(peer_rig_lookup(&w, 0, name, cases[i].host), ERR_NOROUTE);
		assert_int_equal(w.r.n_asked, cases[i].asked);
		peer_rig_free(&w);
	}
}

static void test_custom_domain_elsewhere(void **state)
{
	char domain[256];
	struct peer_rig w;
	struct core *c;
	struct fake f;

	peer_rig_new(&w);
	c = w.node[0].rig.core;
	peer_rig_put(&w, "demo", "\"kind\":\"http\",\"alt_names\":[\"app.example.org\"]");
	str_printf(domain, sizeof domain,
		   "{\"account\":\"%s\",\"tunnel\":\"demo\",\"proven_ms\":1}", w.ann.account);
	core_rig_put(&w.r, "domain", "app.example.org", domain);
	assert_false(core_may_be_elsewhere(c, STR("app.example.org"))); /* nothing is */
	peer_rig_serve(&w, &f, 1, "laptop");
	assert_null(core_tunnel_at(c, STR("app.example.org")));
	assert_true(core_may_be_elsewhere(c, STR("app.example.org")));
	assert_false(core_may_be_elsewhere(c, STR("demo.localhost")));
	assert_false(core_may_be_elsewhere(c, STR("api.corp.example")));
	assert_int_equal(peer_rig_lookup(&w, 0, NULL, "other.example.org"), ERR_NOROUTE);
	assert_int_equal(peer_rig_lookup(&w, 0, NULL, "app.example.org"), 0);
	assert_non_null(core_tunnel_at(c, STR("app.example.org")));
	assert_false(core_may_be_elsewhere(c, STR("app.example.org"))); /* it is known */
	for (int i = 0; i < 4; i++) {
		peer_rig_run(&w, 59000);
		assert_non_null(core_tunnel_at(c, STR("app.example.org")));
	}
	peer_rig_run(&w, 61000);
	assert_null(core_tunnel_at(c, STR("app.example.org")));
	fake_leave(&f);
	peer_rig_free(&w);
}

/* ---- ports and names ---- */

static void put_route(struct peer_rig *w, const char *key, const char *tunnel)
{
	char value[256];

	str_printf(value, sizeof value, "{\"account\":\"%s\",\"tunnel\":\"%s\"}", w->ann.account,
		   tunnel);
	core_rig_put(&w->r, "route", key, value);
}

static void test_ports_open_everywhere(void **state)
{
	struct node_entry e;
	struct peer_rig w;
	struct peer_node *a = &w.node[0];

	peer_rig_new(&w);
	peer_rig_put(&w, "demo", "\"kind\":\"tcp\",\"port\":9000");
	put_route(&w, "tcp/9000", "demo");
	e = peer_rig_entry(&w, "laptop", 1, 1);
	assert_int_equal(core_peer_serves(a->way[1].peer, STR("demo"), &e), 0);
	core_on_written_elsewhere(a->rig.core, STR("tunnel"), STR("demo")); /* not known here */
	peer_rig_run(&w, 5);
	assert_null(peer_rig_demo(&w, 0));
	core_on_written_elsewhere(a->rig.core, STR("route"), STR("tcp/9000"));
	peer_rig_run(&w, 5);
	assert_string_equal(a->let, "demo");
	assert_non_null(peer_rig_demo(&w, 0)); /* of what is known of it anyhow */
	assert_int_equal(tunnel_settings(peer_rig_demo(&w, 0))->kind, TUNNEL_TCP);

	e.up = false;
	assert_int_equal(core_peer_serves(a->way[1].peer, STR("demo"), &e), 0);
	peer_rig_run(&w, 1);
	assert_string_equal(a->let, "");
	e.up = true;
	assert_int_equal(core_peer_serves(a->way[2].peer, STR("demo"), &e), 0);
	assert_string_equal(a->let, "demo");
	assert_int_equal(core_peer_serves(a->way[1].peer, STR("demo"), NULL), 0);
	peer_rig_run(&w, 1);
	assert_string_equal(a->let, "demo");
	peer_rig_part(&w, 2);
	peer_rig_run(&w, 1);
	assert_string_equal(a->let, "");

	/* what is told of nothing at all does no harm */
	core_on_written_elsewhere(a->rig.core, STR("route"), STR("tcp/1"));
	core_on_written_elsewhere(a->rig.core, STR("route"), STR(""));
	core_on_written_elsewhere(a->rig.core, STR("account"), STR("nobody"));
	core_on_written_elsewhere(a->rig.core, STR("credential"), STR("no/body"));
	core_on_written_elsewhere(a->rig.core, STR("weather"), STR("fine"));
	peer_rig_run(&w, 5);
	peer_rig_free(&w);
}

/* The message that tells of a new record may be lost, or have come before its node was known. */
static void test_a_route_nobody_has_told_of(void **state)
{
	struct node_entry e;
	struct peer_rig w;
	struct peer_node *a = &w.node[0];

	peer_rig_new(&w);
	peer_rig_put(&w, "demo", "\"kind\":\"tcp\",\"port\":9000");
	put_route(&w, "tcp/9000", "demo");
	e = peer_rig_entry(&w, "laptop", 1, 1);
	assert_int_equal(core_peer_serves(a->way[1].peer, STR("demo"), &e), 0);
	peer_rig_run(&w, 5);
	assert_string_equal(a->let, ""); /* as if it were an http tunnel */
	e.route = true;
	assert_int_equal(core_peer_serves(a->way[1].peer, STR("demo"), &e), 0);
	peer_rig_run(&w, 5);
	assert_string_equal(a->let, "demo");
	peer_rig_free(&w);
}

/* What one node changes counts on the others in the same moment. */
static void test_a_revoked_account(void **state)
{
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_serve(&w, &f, 1, "laptop");
	core_rig_put(&w.r, "account", w.ann.account, "{\"enabled\":false}");
	core_on_written_elsewhere(w.node[1].rig.core, STR("account"), str_of(w.ann.account));
	peer_rig_run(&w, 5);
	assert_int_equal(f.n_expelled, 1);
	assert_int_equal(f.why, ERR_DISABLED);
	fake_leave(&f);
	peer_rig_free(&w);
}

/* ---- temporary tunnels ---- */

static bool is_there(struct peer_rig *w, const char *kind, const char *key)
{
	char *value = core_rig_get(&w->r, kind, key);
	bool is = value != NULL;

	free(value);
	return is;
}

static void forward(struct peer_rig *w, struct fake *f, char name[HOSTNAME_MAX + 1])
{
	struct core_wish wish = {.name = STR(""), .target = STR(""), .temporary = true};
	struct told_attach told = {0};

	assert_int_equal(member_attach(f->member, &wish, core_rig_on_attached, &told), 0);
	peer_rig_run(w, 5);
	assert_int_equal(told.result.e, 0);
	memcpy(name, told.result.name, sizeof told.result.name);
}

static void test_temporary(void **state)
{
	char name[HOSTNAME_MAX + 1];
	struct node_entry e;
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_join(&w, &f, 0, "laptop", 1, 0);
	forward(&w, &f, name);

	/* its agent comes to another node first, or soon after */
	member_detach(f.member, str_of(name));
	peer_rig_run(&w, 3000);
	assert_true(is_there(&w, "tunnel", name));
	e = peer_rig_entry(&w, "laptop", 1, 1);
	assert_int_equal(core_peer_serves(w.node[0].way[1].peer, str_of(name), &e), 0);
	peer_rig_run(&w, 60000);
	assert_true(is_there(&w, "tunnel", name));

	/* that node dies, and leaves it behind */
	peer_rig_part(&w, 1);
	peer_rig_run(&w, 20000);
	assert_true(is_there(&w, "tunnel", name));
	peer_rig_run(&w, 20000);
	assert_false(is_there(&w, "tunnel", name));
	assert_false(is_there(&w, "temporary", name));

	/* nobody comes */
	forward(&w, &f, name);
	fake_leave(&f);
	peer_rig_run(&w, 9000);
	assert_true(is_there(&w, "tunnel", name));
	peer_rig_run(&w, 2000);
	assert_false(is_there(&w, "tunnel", name));
	peer_rig_free(&w);
}

/* A node that starts does not know yet what the others serve. */
static void test_temporary_at_a_start(void **state)
{
	char name[HOSTNAME_MAX + 1];
	struct node_entry e;
	struct peer_rig w;
	struct fake f;

	peer_rig_new(&w);
	peer_rig_join(&w, &f, 0, "laptop", 1, 0);
	forward(&w, &f, name);
	peer_rig_run(&w, 100000);
	peer_rig_part(&w, 1);
	for (int i = 0; i < PEER_RIG_N; i++) {
		core_peer_free(w.node[1].way[i].peer);
		w.node[1].way[i].peer = NULL;
	}
	core_free(w.node[1].rig.core);
	w.node[1].rig.core = NULL;
	peer_rig_start(&w, 1);
	peer_rig_run(&w, 5000);
	peer_rig_meet(&w.node[1], 0);
	e = peer_rig_entry(&w, "laptop", 1, 1);
	assert_int_equal(core_peer_serves(w.node[1].way[0].peer, str_of(name), &e), 0);
	peer_rig_run(&w, 60000);
	assert_true(is_there(&w, "tunnel", name));
	assert_int_equal(f.n_detached, 0);
	fake_leave(&f);
	peer_rig_run(&w, 11000);
	assert_false(is_there(&w, "tunnel", name));
	peer_rig_free(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_when_a_visitor_comes),
		cmocka_unit_test(test_what_was_read_before_is_old),
		cmocka_unit_test(test_what_was_missed_may_be_there),
		cmocka_unit_test(test_custom_domain_elsewhere),
		cmocka_unit_test(test_ports_open_everywhere),
		cmocka_unit_test(test_a_route_nobody_has_told_of),
		cmocka_unit_test(test_a_revoked_account),
		cmocka_unit_test(test_temporary),
		cmocka_unit_test(test_temporary_at_a_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
