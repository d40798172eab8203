/* Ports and names of tunnels that nobody serves; what several changes at a time do to them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "unit/core/place_rig.h"

#define TCP(port)	 "\"kind\":\"tcp\",\"port\":" port
#define TCP_AT(port, at) TCP(port) ",\"bind\":\"" at "\""

/* ---- ports ---- */

static void test_a_port_follows_its_record(void **state)
{
	static const struct {
		const char *why;
		const char *name, *members; /* of the record; NULL: it is gone */
		const char *want;	    /* what is said to the ports by the end of the turn */
	} steps[] = {
		{"a new one is taken, and refuses", "ssh", TCP("9000"), "take 9000@ "},
		{"the same again says nothing", "ssh", TCP("9000"), ""},
		{"another port", "ssh", TCP("9001"), "give 9000@ take 9001@ "},
		{"switched off, it stays taken", "ssh", TCP("9001") ",\"enabled\":false", ""},
		{"a second tunnel", "db", TCP_AT("9002", "127.0.0.1"), "take 9002@127.0.0.1 "},
		{"to all addresses: the new one first, too", "db", TCP("9002"),
		 "take 9002@ give 9002@127.0.0.1 "},
		{"to one that it does not overlap", "db2", TCP_AT("9003", "127.0.0.1"),
		 "take 9003@127.0.0.1 "},
		{"the new one first, then the old one goes", "db2", TCP_AT("9003", "127.0.0.2"),
		 "take 9003@127.0.0.2 give 9003@127.0.0.1 "},
		{"of another kind it has none", "db", "\"kind\":\"http\"", "give 9002@ "},
		{"a damaged record changes nothing", "ssh", "\"kind\":\"tcp\",\"port\":\"x\"", ""},
		{"it is gone", "ssh", NULL, "give 9001@ "},
		{"gone twice", "ssh", NULL, ""},
	};
	struct place_rig g;

	place_rig_new(&g);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const char *said;

		place_rig_hear(&g, steps[i].name, &g.ann, steps[i].members);
		core_rig_run(&g.r);
		said = place_rig_said(&g);
		if (strcmp(said, steps[i].want) != 0)
			fail_msg("%s: \"%s\"", steps[i].why, said);
	}
	place_rig_free(&g);
}

static void test_visitors_come_while_it_is_served(void **state)
{
	struct place_rig g;
	struct fake a, b;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_join(&g, &b, "b");
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\",\"b\"]");
	place_rig_said(&g);
	place_rig_offer(&a, "", 0);
	assert_string_equal(place_rig_said(&g), "let 9000=ssh ");
	place_rig_offer(&b, "", 0);
	assert_string_equal(place_rig_said(&g), "");

	member_set_health(a.member, STR("SSH"), false);
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), ""); /* the other one works */
	member_set_health(b.member, STR("ssh"), false);
	member_set_health(b.member, STR("ssh"), false);
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), "shut 9000 ");
	member_set_health(b.member, STR("ssh"), true);
	assert_string_equal(place_rig_said(&g), "let 9000=ssh ");
	fake_leave(&b); /* a's target still fails */
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), "shut 9000 ");
	member_set_health(a.member, STR("ssh"), true);
	assert_string_equal(place_rig_said(&g), "let 9000=ssh ");

	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\"],\"enabled\":false");
	assert_string_equal(place_rig_said(&g), "shut 9000 "); /* at once */
	assert_int_equal(a.why, ERR_DISABLED);
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	assert_string_equal(place_rig_said(&g), "let 9000=ssh ");
	place_rig_hear(&g, "ssh", &g.ann, NULL);
	assert_string_equal(place_rig_said(&g), "give 9000@ ");
	assert_int_equal(a.why, ERR_DELETED);
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_a_hot_swap_does_not_shut_the_port(void **state)
{
	struct place_rig g;
	struct fake a, b;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_join(&g, &b, "b");
	place_rig_offer(&a, "", 0);
	place_rig_offer(&b, "", 0);
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	assert_string_equal(place_rig_said(&g), "take 9000@ let 9000=ssh ");
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"b\"]");
	assert_int_equal(a.why, ERR_REPLACED);
	assert_string_equal(b.assigned, "ssh= "); /* before the call returns */
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), "");
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"c\"]");
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), "shut 9000 ");
	fake_leave(&a);
	fake_leave(&b);
	place_rig_free(&g);
}

static void test_another_program_has_it(void **state)
{
	struct place_rig g;
	unsigned lines;

	place_rig_new(&g);
	place_rig_store(&g, "ssh", "tcp/9000", TCP("9000"));
	g.other_bind = "";
	place_rig_restart(&g); /* the node starts nevertheless */
	assert_string_equal(place_rig_said(&g), "");
	assert_non_null(strstr(g.r.last_line, "event=port-failed tunnel=ssh"));
	lines = g.r.n_lines;
	ev_sim_run_for(g.r.ev, 5 * CORE_REFRESH_MS);
	assert_int_equal(g.r.n_lines, lines); /* said once */
	g.other_bind = NULL;
	ev_sim_run_for(g.r.ev, CORE_REFRESH_MS + 1000);
	assert_string_equal(place_rig_said(&g), "take 9000@ ");
	assert_non_null(strstr(g.r.last_line, "event=port-works tunnel=ssh"));
	place_rig_free(&g);
}

static void test_listening_fails(void **state)
{
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_store(&g, "ssh", "tcp/9000", TCP("9000") ",\"agents\":[\"a\"]");
	ev_sim_run_for(g.r.ev, PLACE_LIST_MS + 1000);
	place_rig_offer(&a, "", 0);
	member_set_health(a.member, STR("ssh"), false);
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), "take 9000@ let 9000=ssh shut 9000 ");
	g.let_e = ERR_NOFILE;
	member_set_health(a.member, STR("ssh"), true);
	assert_string_equal(place_rig_said(&g), "");
	assert_non_null(strstr(g.r.last_line, "why=NOFILE"));
	g.let_e = 0;
	ev_sim_run_for(g.r.ev, CORE_REFRESH_MS + 1000);
	assert_string_equal(place_rig_said(&g), "let 9000=ssh ");
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_an_address_that_cannot_be_had(void **state)
{
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_offer(&a, "", 0);
	place_rig_hear(&g, "ssh", &g.ann, TCP_AT("9000", "127.0.0.1") ",\"agents\":[\"a\"]");
	place_rig_said(&g);
	core_rig_run(&g.r); /* what is new is read at once */
	g.other_bind = "127.0.0.9";
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	/* the old one serves as if nothing had been asked, whenever it is tried again */
	ev_sim_run_for(g.r.ev, 3 * CORE_REFRESH_MS);
	assert_string_equal(place_rig_said(&g), "");
	g.other_bind = NULL;
	g.let_e = ERR_NOFILE; /* it may be had, but not be listened on */
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	assert_string_equal(place_rig_said(&g), "take 9000@ give 9000@ ");
	assert_non_null(strstr(g.r.last_line, "why=NOFILE"));
	g.let_e = 0;
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	/* visitors come in at the new one before the old one goes */
	assert_string_equal(place_rig_said(&g), "take 9000@ let 9000=ssh give 9000@127.0.0.1 ");
	assert_non_null(strstr(g.r.last_line, "event=port-works tunnel=ssh"));
	fake_leave(&a);
	place_rig_free(&g);
}

/* ---- several tunnels ---- */

static void test_a_port_moves(void **state)
{
	struct store_record early = {.kind = RECORD_TUNNEL, .key = STR("early"), .version = 1};
	char value[256];
	struct place_rig g;
	struct reservation *r;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_offer(&a, "", 0);
	place_rig_hear(&g, "one", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	place_rig_said(&g);

	/* a change gives it to another one, whichever record comes first */
	assert_int_equal(place_reserve(g.r.core, "", 9000, &r), 0);
	place_rig_hear(&g, "one", &g.ann, NULL);
	assert_null(place_tunnel_at(g.r.core, 9000));
	place_rig_hear(&g, "two", &g.ann, TCP("9000") ",\"agents\":[\"a\"]");
	place_release(g.r.core, r);
	assert_string_equal(place_tunnel_at(g.r.core, 9000), "two");
	assert_string_equal(place_rig_said(&g), "let 9000=two ");
	place_rig_hear(&g, "three", &g.ann, TCP("9000"));
	assert_string_equal(place_tunnel_at(g.r.core, 9000), "three");
	place_rig_hear(&g, "two", &g.ann, TCP("9001") ",\"agents\":[\"a\"]");
	core_rig_run(&g.r);
	assert_string_equal(place_rig_said(&g), "shut 9000 take 9001@ let 9001=two ");

	/* an earlier record says what is not so any more */
	str_printf(value, sizeof value, "{\"account\":\"%s\"," TCP("9001") "}", g.ann.account);
	early.value = str_of(value);
	core_on_record(g.r.core, &early);
	assert_string_equal(place_tunnel_at(g.r.core, 9001), "two");
	early.version = 0;
	core_on_record(g.r.core, &early);
	assert_string_equal(place_tunnel_at(g.r.core, 9001), "two");
	assert_string_equal(place_rig_said(&g), "");
	fake_leave(&a);
	place_rig_free(&g);
}

/* ---- reservations ---- */

static void test_reservations(void **state)
{
	static const struct {
		const char *why;
		const char *bind; /* of the change */
		uint16_t port;
		const char *other_bind; /* another program's */
		int want;
		const char *said;	   /* by the reservation */
		const char *then, *claims; /* the record that comes, and what that says */
		const char *released;
	} cases[] = {
		{"a free port", "", 9001, NULL, 0, "take 9001@ ", NULL, "", "give 9001@ "},
		{"and it becomes a tunnel's", "", 9001, NULL, 0, "take 9001@ ", TCP("9001"), "",
		 ""},
		{"another program's", "", 9001, "127.0.0.1", ERR_INUSE, "", NULL, "", ""},
		{"no port", "", 0, NULL, ERR_INVAL, "", NULL, "", ""},
		{"the one that a tunnel has is only marked", "127.0.0.1", 9000, NULL, 0, "", NULL,
		 "", ""},
		{"and passes on", "127.0.0.1", 9000, NULL, 0, "", TCP_AT("9000", "127.0.0.1"),
		 "shut 9000 ", ""},
		{"at another address, side by side", "127.0.0.2", 9000, NULL, 0,
		 "take 9000@127.0.0.2 ", TCP_AT("9000", "127.0.0.2"), "give 9000@127.0.0.1 ", ""},
		{"side by side, and nothing comes of it", "127.0.0.2", 9000, NULL, 0,
		 "take 9000@127.0.0.2 ", NULL, "", "give 9000@127.0.0.2 "},
		{"at all addresses, and the old one is not touched", "", 9000, NULL, 0,
		 "take 9000@ ", TCP("9000"), "give 9000@127.0.0.1 ", ""},
		{"nor if nothing comes of it", "", 9000, NULL, 0, "take 9000@ ", NULL, "",
		 "give 9000@ "},
		{"nor if they are not to be had", "", 9000, "127.0.0.9", ERR_INUSE, "", NULL, "",
		 ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct reservation *r = NULL, *second = NULL;
		char said[3][256] = {"", "", ""};
		struct place_rig g;
		struct fake a;
		int e;

		place_rig_new(&g);
		place_rig_join(&g, &a, "a");
		place_rig_offer(&a, "", 0);
		place_rig_hear(&g, "one", &g.ann,
			       TCP_AT("9000", "127.0.0.1") ",\"agents\":[\"a\"]");
		place_rig_said(&g);
		g.other_bind = cases[i].other_bind;
		if ((e = place_reserve(g.r.core, cases[i].bind, cases[i].port, &r)) !=
		    cases[i].want)
			fail_msg("%s: %s", cases[i].why, err_name(e));
		str_printf(said[0], sizeof said[0], "%s", place_rig_said(&g));
		if (e == 0) /* another change at the same time */
			assert_int_equal(place_reserve(g.r.core, cases[i].bind, cases[i].port,
						       &second),
					 ERR_INUSE);
		if (cases[i].then != NULL) {
			place_rig_hear(&g, "one", &g.ann, NULL);
			place_rig_hear(&g, "two", &g.ann, cases[i].then);
			core_rig_run(&g.r);
			str_printf(said[1], sizeof said[1], "%s", place_rig_said(&g));
		}
		place_release(g.r.core, r);
		str_printf(said[2], sizeof said[2], "%s", place_rig_said(&g));
		if (cases[i].then != NULL && cases[i].port == 9001)
			str_printf(said[1], sizeof said[1], "%s", ""); /* "one" goes, of course */
		if (strcmp(said[0], cases[i].said) != 0 || strcmp(said[1], cases[i].claims) != 0 ||
		    strcmp(said[2], cases[i].released) != 0)
			fail_msg("%s: \"%s\" \"%s\" \"%s\"", cases[i].why, said[0], said[1],
				 said[2]);
		if (e == 0) { /* the next change may have it now */
			g.other_bind = NULL;
			assert_int_equal(place_reserve(g.r.core, cases[i].bind, cases[i].port,
						       &second),
					 0);
			place_release(g.r.core, second);
		}
		fake_leave(&a);
		place_rig_free(&g);
	}
}

static void test_a_node_without_ports(void **state)
{
	struct reservation *r = NULL;
	struct place_rig g;

	place_rig_new(&g);
	g.r.opt.ports.take = NULL;
	place_rig_restart(&g);
	place_rig_hear(&g, "ssh", &g.ann, TCP("9000"));
	assert_null(place_tunnel_at(g.r.core, 9000));
	assert_int_equal(place_reserve(g.r.core, "", 9000, &r), ERR_UNSUPPORTED);
	place_release(g.r.core, r);
	place_rig_free(&g);
}

/* ---- names ---- */

static void test_sni(void **state)
{
	static const struct {
		const char *why, *host;
		enum core_sni want;
		const char *name;
	} cases[] = {
		{"a custom domain", "app.example.org", CORE_SNI_PASS, "app"},
		{"a tunnel's own name", "app.localhost", CORE_SNI_PASS, "app"},
		{"an http tunnel's is not for us", "web.localhost", CORE_SNI_NOBODY, ""},
		{"nobody's", "app.example.net", CORE_SNI_NOBODY, ""},
		{"a wildcard", "x.example.org", CORE_SNI_END, "all"},
		{"a wildcard reaches deeper", "x.y.example.org", CORE_SNI_END, "all"},
		{"the more specific one first", "x.dev.example.org", CORE_SNI_PASS, "dev"},
		{"exactly beats any of them", "a.dev.example.org", CORE_SNI_PASS, "app"},
		{"not the name behind it", "example.org", CORE_SNI_NOBODY, ""},
		{"a wildcard that asks", "*.example.org", CORE_SNI_END, "all"},
		{"switched off, it still has its name", "off.example.com", CORE_SNI_PASS, "off"},
		{"under our own domain no wildcard counts", "x.localhost", CORE_SNI_NOBODY, ""},
		{"nor for itself", "localhost", CORE_SNI_NOBODY, ""},
		{"one that an http tunnel has by itself", "www.example.org", CORE_SNI_NOBODY, ""},
		{"the API's, whatever a record says", "api.corp.example", CORE_SNI_NOBODY, ""},
		{"its neighbour's", "www.corp.example", CORE_SNI_END, "all"},
		{"nothing", "", CORE_SNI_NOBODY, ""},
	};
	struct place_rig g;
	struct fake a;

	place_rig_new(&g);
	place_rig_join(&g, &a, "a");
	place_rig_hear(&g, "app", &g.ann,
		       "\"kind\":\"tls\",\"alt_names\":[\"app.example.org\","
		       "\"a.dev.example.org\"]");
	place_rig_hear(&g, "all", &g.ann,
		       "\"kind\":\"tls\",\"tls\":\"end\",\"alt_names\":[\"*.example.org\","
		       "\"*.localhost\",\"api.corp.example\",\"*.corp.example\"]");
	place_rig_hear(&g, "dev", &g.ann, "\"kind\":\"tls\",\"alt_names\":[\"*.dev.example.org\"]");
	place_rig_hear(&g, "off", &g.ann,
		       "\"kind\":\"tls\",\"enabled\":false,\"alt_names\":[\"off.example.com\"]");
	assert_int_equal(core_rig_attach(&a, "web", "").result.e, 0);
	place_rig_hear(&g, "web", &g.ann, "\"kind\":\"http\",\"alt_names\":[\"www.example.org\"]");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str name = STR("");
		enum core_sni is = core_sni(g.r.core, str_of(cases[i].host), &name);

		if (is != cases[i].want || !str_eq(name, str_of(cases[i].name)))
			fail_msg("%s: %d " STR_FMT, cases[i].why, is, STR_ARG(name));
	}
	fake_leave(&a);
	place_rig_free(&g);
}

static void test_names_follow_records(void **state)
{
	static const struct {
		const char *why, *name, *members;
		const char *app, *web; /* who has app.example and web.example; "": nobody */
	} steps[] = {
		{"one has both", "a",
		 "\"kind\":\"tls\",\"alt_names\":[\"app.example\",\"web.example\"]", "a", "a"},
		{"a later record has one of them", "b",
		 "\"kind\":\"tls\",\"alt_names\":[\"web.example\"]", "a", "b"},
		{"which it loses", "b", "\"kind\":\"tls\"", "a", ""},
		{"of another kind it has no names", "a",
		 "\"kind\":\"http\",\"service\":\"x\",\"alt_names\":[\"app.example\"]", "", ""},
		{"and again", "a", "\"kind\":\"tls\",\"alt_names\":[\"app.example\"]", "a", ""},
		{"it is gone", "a", NULL, "", ""},
	};
	struct place_rig g;

	place_rig_new(&g);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct str app = STR(""), web = STR("");

		place_rig_hear(&g, steps[i].name, &g.ann, steps[i].members);
		(void)core_sni(g.r.core, STR("app.example"), &app);
		(void)core_sni(g.r.core, STR("web.example"), &web);
		if (!str_eq(app, str_of(steps[i].app)) || !str_eq(web, str_of(steps[i].web)))
			fail_msg("%s: " STR_FMT " " STR_FMT, steps[i].why, STR_ARG(app),
				 STR_ARG(web));
	}
	place_rig_free(&g);
}

/* ---- reading the routes ---- */

static void test_a_start_finds_all(void **state)
{
	enum { N = 300 }; /* more than a page */
	char name[16], route[24], members[64];
	struct place_rig g;
	struct str sni;

	place_rig_new(&g);
	for (int i = 0; i < N; i++) {
		str_printf(name, sizeof name, "t%d", i);
		str_printf(route, sizeof route, "tcp/%d", 9000 + i);
		str_printf(members, sizeof members, "\"kind\":\"tcp\",\"port\":%d", 9000 + i);
		place_rig_store(&g, name, route, members);
	}
	place_rig_store(&g, "app", "name/app", "\"kind\":\"tls\",\"alt_names\":[\"app.example\"]");
	core_rig_put(&g.r, "route", "tcp/1", "{\"account\":\"x\",\"tunnel\":\"nowhere\"}");
	core_rig_put(&g.r, "route", "tcp/2", "damaged");
	place_rig_restart(&g); /* all is there when it says that it has started */
	assert_int_equal(g.n_taken, N);
	assert_int_equal(g.r.core->places.n, N + 1);
	assert_int_equal(core_sni(g.r.core, STR("app.example"), &sni), CORE_SNI_PASS);
	place_rig_free(&g);
}

static void on_dropped(void *arg, const struct store_answer *answer)
{
	assert_int_equal(answer->e, 0);
}

static void test_other_nodes_make_and_drop(void **state)
{
	struct store_id id = {RECORD_TUNNEL, STR("ssh"), STORE_ANY};
	struct place_rig g;

	place_rig_new(&g);
	place_rig_store(&g, "ssh", "tcp/9000", TCP("9000"));
	assert_string_equal(place_rig_said(&g), "");
	ev_sim_run_for(g.r.ev, PLACE_LIST_MS + 1000);
	assert_string_equal(place_rig_said(&g), "take 9000@ ");
	place_rig_store(&g, "ssh", "tcp/9001", TCP("9001"));
	ev_sim_run_for(g.r.ev, CORE_REFRESH_MS + 1000);
	assert_string_equal(place_rig_said(&g), "give 9000@ take 9001@ ");
	assert_int_equal(store_drop(g.r.store, id, on_dropped, &g), 0);
	ev_sim_run_for(g.r.ev, CORE_REFRESH_MS + 1000);
	assert_string_equal(place_rig_said(&g), "give 9001@ ");
	assert_int_equal(g.r.core->places.n, 0);
	place_rig_free(&g);
}

static int fail_routes(struct core_rig *r, const struct store_req *req)
{
	return str_eq(req->writes[0].rec.kind, RECORD_ROUTE) ? r->judge_e : 0;
}

static int fail_tunnels(struct core_rig *r, const struct store_req *req)
{
	return str_eq(req->writes[0].rec.kind, RECORD_TUNNEL) ? r->judge_e : 0;
}

static void on_listed(void *arg, int e)
{
	int *told = arg;

	assert_int_equal(*told, -1); /* once */
	*told = e;
}

static void test_a_reading_that_fails(void **state)
{
	static const struct {
		const char *why;
		int (*judge)(struct core_rig *r, const struct store_req *req);
		int e, want;
	} cases[] = {
		{"the routes", fail_routes, ERR_TIMEOUT, ERR_TIMEOUT},
		{"a tunnel", fail_tunnels, ERR_DENIED, ERR_IO},
		{"one that is not there", fail_tunnels, ERR_NOTFOUND, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct place_rig g;
		int told = -1;

		place_rig_new(&g);
		place_rig_store(&g, "ssh", "tcp/9000", TCP("9000"));
		core_free(g.r.core);
		assert_int_equal(core_new(g.r.ev, &g.r.opt, &g.r.core), 0);
		g.r.judge = cases[i].judge;
		g.r.judge_e = cases[i].e;
		place_start(g.r.core, on_listed, &told);
		assert_int_equal(told, -1);
		core_rig_run(&g.r);
		if (told != cases[i].want)
			fail_msg("%s: %d", cases[i].why, told);
		g.r.judge = NULL;
		ev_sim_run_for(g.r.ev, PLACE_LIST_MS + 1000); /* the next round comes to it */
		assert_string_equal(place_tunnel_at(g.r.core, 9000), "ssh");
		place_rig_free(&g);
	}
}

static void test_the_core_goes_meanwhile(void **state)
{
	int (*const judges[])(struct core_rig *, const struct store_req *) = {
		core_rig_hold_all, fail_tunnels, /* held */
	};

	for (size_t i = 0; i < ARRAY_LEN(judges); i++) {
		struct place_rig g;
		char name[16], route[24];
		int told = -1;

		place_rig_new(&g);
		for (int k = 0; k < 40; k++) {
			str_printf(name, sizeof name, "t%d", k);
			str_printf(route, sizeof route, "name/t%d", k);
			place_rig_store(&g, name, route, "\"kind\":\"tls\"");
		}
		core_free(g.r.core);
		assert_int_equal(core_new(g.r.ev, &g.r.opt, &g.r.core), 0);
		g.r.judge = judges[i];
		g.r.judge_e = CORE_RIG_HOLD;
		place_start(g.r.core, on_listed, &told);
		core_rig_run(&g.r);
		assert_int_equal(told, -1);
		core_free(g.r.core);
		assert_int_equal(told, ERR_CLOSED);
		g.r.core = NULL;
		place_rig_free(&g);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_port_follows_its_record),
		cmocka_unit_test(test_visitors_come_while_it_is_served),
		cmocka_unit_test(test_a_hot_swap_does_not_shut_the_port),
		cmocka_unit_test(test_another_program_has_it),
		cmocka_unit_test(test_listening_fails),
		cmocka_unit_test(test_an_address_that_cannot_be_had),
		cmocka_unit_test(test_a_port_moves),
		cmocka_unit_test(test_reservations),
		cmocka_unit_test(test_a_node_without_ports),
		cmocka_unit_test(test_sni),
		cmocka_unit_test(test_names_follow_records),
		cmocka_unit_test(test_a_start_finds_all),
		cmocka_unit_test(test_other_nodes_make_and_drop),
		cmocka_unit_test(test_a_reading_that_fails),
		cmocka_unit_test(test_the_core_goes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
