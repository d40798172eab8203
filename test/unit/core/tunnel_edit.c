/* One tunnel of any kind: what is refused and by which name, ports, routes, and who comes first. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/tunnel_edit.h"
#include "unit/core/edit_rig.h"

static int setup(void **state)
{
	struct edit_rig *g = calloc(1, sizeof *g);

	assert_non_null(g);
	edit_rig_new(g);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	edit_rig_free(*state);
	free(*state);
	return 0;
}

#define MAKE(g, name, words) edit_rig_change(g, &(g)->p.ann, MANAGE_CREATE, name, words)

/* ---- what is well formed ---- */

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *why, *words;
		int want;
		const char *field;
	} cases[] = {
		{"a port that is none of the server's", "kind=tcp port=8999", ERR_DENIED,
		 "ingress.tcp.port"},
		{"a privileged port that nobody has listed", "kind=tcp port=80", ERR_DENIED,
		 "ingress.tcp.port"},
		{"a port for http", "port=9000", ERR_INVAL, "ingress.tcp.port"},
		{"a port for tls", "kind=tls port=9000", ERR_INVAL, "ingress.tcp.port"},
		{"no port for http says nothing", "port=0", 0, ""},
		{"an address for http", "bind=localhost", ERR_INVAL, "ingress.tcp.bind"},
		{"an address that is none", "kind=tcp port=9000 bind=example.org", ERR_INVAL,
		 "ingress.tcp.bind"},
		{"an address with a zone", "kind=tcp port=9000 bind=fe80::1%eth0", ERR_INVAL,
		 "ingress.tcp.bind"},
		{"TLS of an http tunnel", "tls=end", ERR_INVAL, "ingress.tls.mode"},
		{"TLS of a tcp tunnel", "kind=tcp port=9000 tls=end", ERR_INVAL,
		 "ingress.tls.mode"},
		{"passing through is what all do", "kind=http tls=pass", 0, ""},
		{"a way of TLS that there is not", "kind=tls tls=other", ERR_INVAL,
		 "ingress.tls.mode"},
		{"a PROXY protocol that there is not", "kind=tcp proxy=v3", ERR_INVAL,
		 "target.proxy_protocol"},
		{"a service with a space in it", "service=a/b", ERR_INVAL, "target.service"},
		{"a service of 64 characters",
		 "service=0123456789012345678901234567890123456789012345678901234567890123", 0, ""},
		{"an agent that cannot be one", "agent=a:b", ERR_INVAL, "transport.agents"},
		{"an agent twice", "agent=a agent=b agent=a", ERR_INVAL, "transport.agents"},
		{"to drain for more than a day", "drain=86400001", ERR_INVAL, "transport.drain"},
		{"domains of a tcp tunnel", "kind=tcp domain=a.example", ERR_INVAL, "domains"},
		{"no domains of a tcp tunnel", "kind=tcp domain=", 0, ""},
		{"a star for http", "domain=*.a.example", ERR_INVAL, "ingress.http.alt_names"},
		{"a star before one label", "kind=tls domain=*.example", ERR_INVAL, "domains"},
		{"a star inside", "kind=tls domain=a.*.example", ERR_INVAL, "domains"},
		{"a star in a label", "kind=tls domain=x*.a.example", ERR_INVAL, "domains"},
		{"two stars", "kind=tls domain=*.*.a.example", ERR_INVAL, "domains"},
		{"a star alone", "kind=tls domain=*", ERR_INVAL, "domains"},
		{"a star under our own domain", "kind=tls domain=*.x.localhost", ERR_INVAL,
		 "domains"},
		{"the API's own name", "kind=tls domain=api.Corp.example", ERR_INVAL, "domains"},
		{"the same for http", "domain=api.corp.example", ERR_INVAL,
		 "ingress.http.alt_names"},
		{"the same star twice", "kind=tls domain=*.a.example domain=*.A.example.",
		 ERR_INVAL, "domains"},
		{"passwords of a tcp tunnel", "kind=tcp user=anna", ERR_INVAL, "visitors.basic"},
		{"passwords of a tls tunnel", "kind=tls user=anna", ERR_INVAL, "visitors.basic"},
		{"tokens of a tls tunnel", "kind=tls bearer=ff", ERR_INVAL, "visitors.bearer"},
		{"a hook of a tcp tunnel", "kind=tcp auth=http://auth.example/", ERR_INVAL,
		 "visitors.auth_url"},
		{"headers of a tcp tunnel", "kind=tcp rewrite=yes", ERR_INVAL, "headers.rewrite"},
		{"a host of a tls tunnel", "kind=tls host=a", ERR_INVAL, "headers.host"},
		{"no host of a tls tunnel", "kind=tls host=", 0, ""},
		{"fields of a tcp tunnel", "kind=tcp request_add=X-A:1", ERR_INVAL, "headers"},
		{"a host that is none", "host=a/b", ERR_INVAL, "headers.host"},
		{"a host with a user", "host=a@b", ERR_INVAL, "headers.host"},
		{"a host with a port", "host=my_app:3000", 0, ""},
		{"two hosts", "host=a rewrite=yes", ERR_INVAL, "headers.host"},
		{"addresses are judged for every kind", "kind=tcp allow=10.0.0.0/8", 0, ""},
		{"the PROXY protocol is for every kind", "kind=http proxy=v2", 0, ""},
	};
	struct edit_rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_edit told = MAKE(g, "x", cases[i].words);

		if (told.e != cases[i].want || strcmp(told.field, cases[i].field) != 0)
			fail_msg("%s: %s %s (%s)", cases[i].why, err_name(told.e), told.field,
				 told.reason);
		if (told.e == 0)
			assert_int_equal(edit_rig_drop(g, &g->p.ann, "x").e, 0);
		assert_int_equal(g->p.n_taken, 0); /* whatever was taken was given back */
		assert_string_equal(edit_rig_route(g, "tcp/9000"), "");
	}
	assert_int_equal(g->dns.n_asked, 0);
}

static void test_what_a_server_does_not_have(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	g->p.r.opt.ports.take = NULL;
	g->p.r.opt.tls_port = 0;
	edit_rig_restart(g);
	told = MAKE(g, "x", "kind=tcp port=9000");
	assert_int_equal(told.e, ERR_UNSUPPORTED);
	assert_string_equal(told.field, "kind");
	told = MAKE(g, "x", "kind=tls");
	assert_int_equal(told.e, ERR_UNSUPPORTED);
	assert_string_equal(told.field, "kind");
}

static void test_what_is_kept(void **state)
{
	struct edit_rig *g = *state;
	struct record_tunnel r;
	struct told_edit told = MAKE(g, "ssh",
				     "kind=tcp port=9000 bind=::ffff:127.0.0.1 service=ssh "
				     "proxy=v2 agent=a agent=b drain=5000 allow=10.0.0.0/8");
	const char *value;

	assert_int_equal(told.e, 0);
	assert_true(told.created);
	assert_string_equal(told.tunnels[0].bind, "127.0.0.1"); /* one form for one address */
	value = edit_rig_record(g, "tunnel", "ssh");
	assert_int_equal(record_read_tunnel(STR("ssh"), str_of(value), &r), 0);
	assert_true(record_tunnel_same(&r, &told.tunnels[0]));
	assert_int_equal(r.kind, TUNNEL_TCP);
	assert_int_equal(r.port, 9000);
	assert_int_equal(r.proxy, TUNNEL_PROXY_V2);
	assert_string_equal(r.agents[1], "b");
	assert_int_equal(r.drain_ms, 5000);
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "ssh");
	assert_string_equal(place_rig_said(&g->p), "take 9000@127.0.0.1 ");
	assert_int_equal(MAKE(g, "web", "service=web").e, 0);
	assert_string_equal(edit_rig_route(g, "name/web"), "web");
	assert_int_equal(MAKE(g, "plain", "").e, 0);
	assert_string_equal(edit_rig_route(g, "name/plain"), "");
}

/* ---- changes ---- */

static void test_changes(void **state)
{
	static const struct {
		const char *why;
		enum manage_mode mode;
		const char *words;
		const char *said; /* to the ports */
		const char *here; /* the one route that it has then */
	} steps[] = {
		{"a port", MANAGE_CREATE, "kind=tcp port=9000", "take 9000@ ", "tcp/9000"},
		{"what is no port does not touch it", MANAGE_PATCH, "service=x", "", "tcp/9000"},
		{"replaced whole without a port it keeps it", MANAGE_PUT, "kind=tcp", "",
		 "tcp/9000"},
		{"port 0 keeps it, too", MANAGE_PATCH, "port=0", "", "tcp/9000"},
		{"another port: the new one before the old one goes", MANAGE_PATCH, "port=9001",
		 "take 9001@ give 9000@ ", "tcp/9001"},
		{"another address", MANAGE_PATCH, "bind=127.0.0.1",
		 "take 9001@127.0.0.1 give 9001@ ", "tcp/9001"},
		{"another kind has no port", MANAGE_PATCH, "kind=tls", "give 9001@127.0.0.1 ",
		 "name/t"},
		{"and http without a service no route", MANAGE_PATCH, "kind=http", "", ""},
		{"an agent's name makes one", MANAGE_PATCH, "agent=a", "", "name/t"},
		{"back to tcp, a port is chosen", MANAGE_PUT, "kind=tcp port=0", NULL, NULL},
	};
	static const char *const all[] = {"tcp/9000", "tcp/9001", "name/t"};
	struct edit_rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_edit told =
			edit_rig_change(g, &g->p.ann, steps[i].mode, "t", steps[i].words);
		const char *said = place_rig_said(&g->p);

		if (told.e != 0)
			fail_msg("%s: %s", steps[i].why, told.reason);
		if (steps[i].said != NULL && strcmp(said, steps[i].said) != 0)
			fail_msg("%s: \"%s\"", steps[i].why, said);
		for (size_t k = 0; steps[i].here != NULL && k < ARRAY_LEN(all); k++)
			assert_int_equal(edit_rig_route(g, all[k])[0] != '\0',
					 strcmp(all[k], steps[i].here) == 0);
	}
	assert_int_equal(g->p.n_taken, 1);
	assert_int_equal(edit_rig_drop(g, &g->p.ann, "t").e, 0);
	assert_int_equal(g->p.n_taken, 0);
	assert_string_equal(edit_rig_record(g, "route", "name/t"), "");
}

/* What another kind cannot have goes; nothing of it comes back by itself. */
static void test_another_kind_drops(void **state)
{
	struct edit_rig *g = *state;
	struct record_tunnel r;

	g->p.r.opt.domains_unproven = true;
	edit_rig_restart(g);
	assert_int_equal(MAKE(g, "t",
			      "domain=a.example user=anna bearer=ff auth=http://auth.example/ "
			      "host=a request_remove=Cookie allow=10.0.0.0/8")
				 .e,
			 0);
	r = edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t",
			    "kind=tls domain=a.example "
			    "domain=*.a.example tls=end")
		    .tunnels[0];
	assert_int_equal(r.rights.n_users + r.rights.n_bearers, 0);
	assert_string_equal(r.rights.auth_url, "");
	assert_string_equal(r.host, "");
	assert_int_equal(r.edits.len, 0);
	assert_int_equal(r.rights.n_allow, 1);
	assert_int_equal(r.n_alt_names, 2);
	r = edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t", "kind=http").tunnels[0];
	assert_int_equal(r.n_alt_names, 1);
	assert_string_equal(r.alt_names[0], "a.example");
	assert_int_equal(r.tls, TUNNEL_TLS_PASS);
	assert_string_equal(edit_rig_record(g, "domain", "*.a.example"), "");
	r = edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t", "kind=tcp port=9000").tunnels[0];
	assert_int_equal(r.n_alt_names, 0);
	assert_string_equal(edit_rig_record(g, "domain", "a.example"), "");
	r = edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t", "kind=http").tunnels[0];
	assert_int_equal(r.rights.n_users, 0);
}

static void test_ensure(void **state)
{
	static const struct {
		const char *why, *words;
		int want;
		bool writes;
	} steps[] = {
		{"it is made", "kind=tcp port=9000 target=a", 0, true},
		{"it is so already", "kind=tcp port=9000 target=a", 0, false},
		{"any port: the one that it has", "kind=tcp port=0", 0, false},
		{"what is not set stays", "kind=tcp", 0, false},
		{"something new", "kind=tcp proxy=v1", 0, true},
		{"another port moves it", "kind=tcp port=9001", 0, true},
		{"another kind is refused", "kind=http", ERR_INVAL, false},
	};
	struct edit_rig *g = *state;
	struct told_edit told;
	uint64_t version = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		told = edit_rig_change(g, &g->p.ann, MANAGE_ENSURE, "t", steps[i].words);
		if (told.e != steps[i].want)
			fail_msg("%s: %s (%s)", steps[i].why, err_name(told.e), told.reason);
		if (told.e != 0)
			continue;
		if ((told.version != version) != steps[i].writes)
			fail_msg("%s", steps[i].why);
		assert_string_equal(told.tunnels[0].name, "t");
		version = told.version;
	}
	assert_string_equal(edit_rig_route(g, "tcp/9001"), "t");
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "");
	assert_int_equal(edit_rig_change(g, &g->p.bob, MANAGE_ENSURE, "t", "kind=tcp").e,
			 ERR_EXISTS);
	assert_int_equal(edit_rig_change(g, &g->root, MANAGE_ENSURE, "t", "kind=tcp").e,
			 ERR_EXISTS);
	told = edit_rig_change(g, &g->p.bob, MANAGE_ENSURE, "", "kind=tcp");
	assert_int_equal(told.e, 0);
	assert_true(told.created);
	assert_true(strlen(told.tunnels[0].name) >= 4);
	assert_in_range(told.tunnels[0].port, 9000, 9100);
}

/* Each list of fields is set by itself; what Host becomes is one thing or the other. */
static void test_heads(void **state)
{
	static const struct {
		const char *why, *words;
		const char *record; /* what stands in it */
	} steps[] = {
		{"made", "request_add=X-A:1 request_remove=Cookie host=a.local",
		 "\"headers\":{\"host\":\"a.local\",\"request_remove\":[\"Cookie\"],\"request_"
		 "add\":[\"X-A: 1\"]}"},
		{"another list", "response_add=X-B:2",
		 "\"headers\":{\"host\":\"a.local\",\"request_remove\":[\"Cookie\"],\"request_"
		 "add\":[\"X-A: 1\"],\"response_add\":[\"X-B: 2\"]}"},
		{"one goes", "request_add=",
		 "\"headers\":{\"host\":\"a.local\",\"request_remove\":[\"Cookie\"],\"response_"
		 "add\":[\"X-B: 2\"]}"},
		{"the target's host", "rewrite=yes",
		 "\"headers\":{\"request_remove\":[\"Cookie\"],\"response_add\":[\"X-B: 2\"]}"},
		{"one of its own again", "host=b.local", "\"headers\":{\"host\":\"b.local\","},
		{"nothing of it", "host= request_remove= response_add=", "\"rewrite\":false,\"c"},
	};
	struct edit_rig *g = *state;
	uint64_t version = 0;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_edit told =
			edit_rig_change(g, &g->p.ann, MANAGE_ENSURE, "t", steps[i].words);

		if (told.e != 0 || told.version == version ||
		    strstr(edit_rig_record(g, "tunnel", "t"), steps[i].record) == NULL)
			fail_msg("%s: %s %s", steps[i].why, told.reason,
				 edit_rig_record(g, "tunnel", "t"));
		assert_int_equal(told.tunnels[0].rewrite,
				 strcmp(steps[i].words, "rewrite=yes") == 0);
		version = told.version;
		told = edit_rig_change(g, &g->p.ann, MANAGE_ENSURE, "t", steps[i].words);
		assert_int_equal(told.version, version); /* it is so already */
	}
}

static void test_heads_that_are_too_much(void **state)
{
	char words[HEADER_EDIT_VALUE_MAX * 3 + 100];
	struct edit_rig *g = *state;
	struct told_edit told;
	size_t n = 0;

	for (int i = 0; i < 2; i++)
		n += str_printf(words + n, sizeof words - n, "request_add=X:%01000d ", i);
	assert_int_equal(MAKE(g, "t", words).e, 0);
	n = str_printf(words, sizeof words, "response_add=X:%01000d response_add=Y:%01000d ", 1, 2);
	told = edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t", words);
	assert_int_equal(told.e, 0);
	str_printf(words + n, sizeof words - n, "response_add=Z:%01000d", 3);
	told = edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t", words);
	assert_int_equal(told.e, ERR_TOOBIG);
	assert_string_equal(told.field, "headers");
}

/* ---- ports ---- */

static void test_limits_of_ports(void **state)
{
	static const struct {
		const char *why;
		struct access_ports account, scope; /* first 0: no limit */
		const char *words;
		int want;
		uint16_t first, last; /* what is chosen lies between */
	} cases[] = {
		{"no limit", {0}, {0}, "kind=tcp port=9050", 0, 9050, 9050},
		{"any", {0}, {0}, "kind=tcp", 0, 9000, 9100},
		{"inside the account's", {9010, 9020}, {0}, "kind=tcp port=9020", 0, 9020, 9020},
		{"outside", {9010, 9020}, {0}, "kind=tcp port=9021", ERR_DENIED, 0, 0},
		{"any of the account's", {9010, 9012}, {0}, "kind=tcp port=0", 0, 9010, 9012},
		{"inside the credential's", {0}, {9030, 9030}, "kind=tcp port=9030", 0, 9030, 9030},
		{"outside", {0}, {9030, 9030}, "kind=tcp port=9031", ERR_DENIED, 0, 0},
		{"any of the credential's", {0}, {9030, 9031}, "kind=tcp", 0, 9030, 9031},
		{"of both", {9000, 9030}, {9030, 9100}, "kind=tcp", 0, 9030, 9030},
		{"in one only", {9000, 9030}, {9030, 9100}, "kind=tcp port=9031", ERR_DENIED, 0, 0},
		{"nothing in common", {9000, 9010}, {9011, 9020}, "kind=tcp", ERR_DENIED, 0, 0},
		{"nothing in common with the server's",
		 {2000, 2010},
		 {0},
		 "kind=tcp",
		 ERR_DENIED,
		 0,
		 0},
		{"the account's, but not the server's",
		 {2000, 2010},
		 {0},
		 "kind=tcp port=2000",
		 ERR_DENIED,
		 0,
		 0},
	};
	struct edit_rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct access_who who = g->p.ann;
		struct told_edit told;

		who.ports[0] = cases[i].account;
		who.n_ports = cases[i].account.first != 0;
		who.scope.ports[0] = cases[i].scope;
		who.scope.n_ports = cases[i].scope.first != 0;
		told = edit_rig_change(g, &who, MANAGE_CREATE, "t", cases[i].words);
		if (told.e != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(told.e), told.reason);
		if (told.e != 0)
			continue;
		assert_in_range(told.tunnels[0].port, cases[i].first, cases[i].last);
		/* what it has it may give back, whatever its account may have by now */
		who.ports[0] = (struct access_ports){1, 1};
		who.n_ports = 1;
		assert_int_equal(edit_rig_change(g, &who, MANAGE_PATCH, "t", "target=x").e, 0);
		assert_int_equal(edit_rig_drop(g, &who, "t").e, 0);
	}
	assert_int_equal(g->p.n_taken, 0);
}

/* A credential for some ports neither sees nor changes tunnels at others. */
static void test_scope_of_ports(void **state)
{
	struct edit_rig *g = *state;
	struct access_who who = g->p.ann;

	who.scope.ports[0] = (struct access_ports){9000, 9010};
	who.scope.n_ports = 1;
	assert_int_equal(MAKE(g, "in", "kind=tcp port=9010").e, 0);
	assert_int_equal(MAKE(g, "out", "kind=tcp port=9011").e, 0);
	assert_string_equal(edit_rig_tunnels(g, &who), "in/tcp/9010 ");
	assert_int_equal(edit_rig_drop(g, &who, "out").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PATCH, "out", "port=9009").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PUT, "out", "kind=tcp").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PUT, "out", "kind=tcp port=9009").e,
			 ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PATCH, "in", "port=9011").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PATCH, "in", "port=9009").e, 0);
}

/* A credential for one kind does not make it another. */
static void test_scope_of_kinds(void **state)
{
	struct edit_rig *g = *state;
	struct access_who who = g->p.ann;

	who.scope.kinds = 1u << TUNNEL_TCP;
	assert_int_equal(MAKE(g, "web", "").e, 0);
	assert_int_equal(MAKE(g, "ssh", "kind=tcp port=9000").e, 0);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PATCH, "web", "kind=tcp").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PATCH, "ssh", "kind=http").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PUT, "ssh", "kind=http").e, ERR_DENIED);
	assert_int_equal(edit_rig_change(g, &who, MANAGE_PUT, "ssh", "kind=tcp service=x").e, 0);
}

static void test_choosing(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;
	bool had[16] = {0};
	static const struct access_ports few[] = {{22, 22}, {9000, 9009}};

	g->p.r.opt.tcp_ports = few;
	g->p.r.opt.n_tcp_ports = ARRAY_LEN(few);
	edit_rig_restart(g);
	for (int i = 0; i < 10; i++) {
		told = MAKE(g, "", "kind=tcp port=0");
		assert_int_equal(told.e, 0);
		assert_in_range(told.tunnels[0].port, 9000, 9009); /* never a privileged one */
		assert_false(had[told.tunnels[0].port - 9000]);
		had[told.tunnels[0].port - 9000] = true;
	}
	told = MAKE(g, "", "kind=tcp port=0");
	assert_int_equal(told.e, ERR_LIMIT);
	assert_string_equal(told.field, "ingress.tcp.port");
	assert_int_equal(g->p.n_taken, 10);
	assert_int_equal(MAKE(g, "ssh", "kind=tcp port=22").e, 0); /* but it may be named */
}

static void test_what_the_system_says(void **state)
{
	static const struct {
		const char *why;
		int take_e, want;
		const char *field, *words;
	} cases[] = {
		{"another program has it", ERR_INUSE, ERR_INUSE, "ingress.tcp.port", "9000"},
		{"not allowed", ERR_DENIED, ERR_DENIED, "ingress.tcp.port", "9000"},
		{"not our address", ERR_INVAL, ERR_INVAL, "ingress.tcp.bind", "192.0.2.1"},
		{"no descriptors", ERR_NOFILE, ERR_LIMIT, "ingress.tcp.port", "open files"},
		{"no memory", ERR_NOMEM, ERR_NOMEM, "", "memory"},
	};
	struct edit_rig *g = *state;
	struct told_edit told;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		g->p.take_e = cases[i].take_e;
		told = MAKE(g, "t", "kind=tcp port=9000 bind=192.0.2.1");
		g->p.take_e = 0;
		if (told.e != cases[i].want || strcmp(told.field, cases[i].field) != 0)
			fail_msg("%s: %s %s (%s)", cases[i].why, err_name(told.e), told.field,
				 told.reason);
		if (strstr(told.reason, cases[i].words) == NULL)
			fail_msg("%s: %s", cases[i].why, told.reason);
		assert_string_equal(edit_rig_record(g, "tunnel", "t"), "");
		assert_string_equal(edit_rig_record(g, "route", "tcp/9000"), "");
	}
	/* to choose: all are another program's */
	g->p.take_e = ERR_INUSE;
	assert_int_equal(MAKE(g, "t", "kind=tcp port=0").e, ERR_LIMIT);
	/* an address that is not allowed is so for every port */
	g->p.take_e = ERR_DENIED;
	told = MAKE(g, "t", "kind=tcp port=0 bind=192.0.2.1");
	assert_int_equal(told.e, ERR_DENIED);
	assert_non_null(strstr(told.reason, "192.0.2.1"));
	assert_int_equal(MAKE(g, "t", "kind=tcp port=0").e, ERR_LIMIT);
	g->p.take_e = 0;
	assert_int_equal(g->p.n_taken, 0);
}

/* ---- who comes first ---- */

static void test_a_port_belongs_to_one(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	assert_int_equal(MAKE(g, "mine", "kind=tcp port=9000").e, 0);
	told = edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "his", "kind=tcp port=9000");
	assert_int_equal(told.e, ERR_INUSE);
	assert_string_equal(told.field, "ingress.tcp.port");
	assert_string_equal(told.reason, "port 9000 belongs to another tunnel");
	told = MAKE(g, "too", "kind=tcp port=9000 bind=127.0.0.1");
	assert_int_equal(told.e, ERR_INUSE);
	assert_string_equal(told.reason, "port 9000 belongs to another tunnel, \"mine\"");
	assert_int_equal(edit_rig_drop(g, &g->p.ann, "mine").e, 0);
	assert_int_equal(
		edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "his", "kind=tcp port=9000").e, 0);
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "his");
}

/* Two at the same moment on one node: one of them gets it, the other one is told. */
static void test_two_at_once(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit a, b;

	assert_non_null(edit_rig_begin(g, &g->p.ann, MANAGE_CREATE, "a", "kind=tcp port=9000", &a));
	assert_non_null(edit_rig_begin(g, &g->p.bob, MANAGE_CREATE, "b", "kind=tcp port=9000", &b));
	core_rig_run(&g->p.r);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 1);
	assert_int_equal((a.e == 0) + (b.e == 0), 1);
	assert_int_equal(a.e == 0 ? b.e : a.e, ERR_INUSE);
	assert_string_equal(edit_rig_route(g, "tcp/9000"), a.e == 0 ? "a" : "b");
	assert_int_equal(g->p.n_taken, 1);
}

/* Another node writes the route between our reading and our writing. */
static int meddle(struct core_rig *r, const struct store_req *req)
{
	static const char theirs[] = "{\"account\":\"zz\",\"tunnel\":\"theirs\"}";
	struct store_record rec = {.kind = RECORD_ROUTE,
				   .key = STR("tcp/9000"),
				   .value = STR(theirs)};
	struct store_record tunnel = {
		.kind = RECORD_TUNNEL,
		.key = STR("theirs"),
		.value = STR("{\"account\":\"zz\",\"kind\":\"tcp\",\"port\":9000}")};

	if (req->verb != STORE_WRITE || req->n_writes < 3)
		return 0;
	r->judge = NULL;
	assert_int_equal(store_put(r->store, &rec, STORE_ANY, NULL, NULL), 0);
	assert_int_equal(store_put(r->store, &tunnel, STORE_ANY, NULL, NULL), 0);
	return ERR_CONFLICT;
}

static void test_nodes_race(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	g->p.r.judge = meddle;
	told = MAKE(g, "t", "kind=tcp port=9000");
	assert_int_equal(told.e, ERR_INUSE);
	assert_string_equal(edit_rig_record(g, "tunnel", "t"), "");
	assert_int_equal(g->p.n_taken, 0);
	/* one that is only to be chosen is another one then */
	g->p.r.judge = meddle;
	told = MAKE(g, "t", "kind=tcp port=0");
	assert_int_equal(told.e, 0);
	assert_int_not_equal(told.tunnels[0].port, 9000);
	assert_int_equal(g->p.n_taken, 1);
}

/* The route of a tunnel that is gone, or is elsewhere by now, keeps nobody out. */
static void test_stale_routes(void **state)
{
	struct edit_rig *g = *state;

	core_rig_put(&g->p.r, "route", "tcp/9000", "{\"account\":\"zz\",\"tunnel\":\"gone\"}");
	assert_int_equal(MAKE(g, "a", "kind=tcp port=9000").e, 0);
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "a");
	core_rig_put(&g->p.r, "route", "tcp/9001", "{\"account\":\"zz\",\"tunnel\":\"a\"}");
	assert_int_equal(MAKE(g, "b", "kind=tcp port=9001").e, 0);
	assert_string_equal(edit_rig_route(g, "tcp/9001"), "b");
	core_rig_put(&g->p.r, "route", "tcp/9002", "{\"account\":");
	assert_int_equal(MAKE(g, "c", "kind=tcp port=9002").e, ERR_IO);
}

static int hold_writes(struct core_rig *r, const struct store_req *req)
{
	return req->verb == STORE_WRITE ? CORE_RIG_HOLD : 0;
}

/* Whoever asked goes away while it is written: it is carried out, and the port is there. */
static void test_cancelled_in_the_middle(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;
	struct manage *m =
		edit_rig_begin(g, &g->p.ann, MANAGE_CREATE, "t", "kind=tcp port=9000", &told);

	g->p.r.judge = hold_writes;
	core_rig_run(&g->p.r);
	assert_int_equal(g->p.n_taken, 1);
	assert_int_equal(told.calls, 0);
	manage_cancel(m);
	core_rig_release(&g->p.r);
	assert_string_equal(edit_rig_route(g, "tcp/9000"), "t");
	assert_int_equal(g->p.n_taken, 1);
	assert_string_equal(place_tunnel_at(g->p.r.core, 9000), "t");
}

static void on_dropped(void *arg, const struct manage_answer *a)
{
	assert_int_equal(a->e, 0);
}

/* A node that starts anew has them all; an account that goes leaves none. */
static void test_ports_outlive_a_node_but_not_an_account(void **state)
{
	struct edit_rig *g = *state;
	struct manage_asker by = {&g->p.ann, on_dropped, NULL};

	assert_int_equal(MAKE(g, "a", "kind=tcp port=9000").e, 0);
	assert_int_equal(MAKE(g, "b", "kind=tls").e, 0);
	edit_rig_restart(g);
	assert_int_equal(g->p.n_taken, 1);
	assert_string_equal(place_tunnel_at(g->p.r.core, 9000), "a");
	assert_non_null(manage_account_drop(g->p.r.core, &by, STR(""), STORE_ANY));
	core_rig_run(&g->p.r);
	assert_int_equal(g->p.n_taken, 0);
	assert_string_equal(edit_rig_record(g, "route", "tcp/9000"), "");
	assert_string_equal(edit_rig_record(g, "route", "name/b"), "");
	assert_int_equal(edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "c", "kind=tcp port=9000").e,
			 0);
}

/* Whoever is told, of success or not, may ask for the same port in that moment. */
struct chain {
	struct edit_rig *g;
	struct told_edit told;
	unsigned calls;
};

static void on_first(void *arg, const struct manage_answer *a)
{
	struct chain *c = arg;

	c->calls++;
	assert_int_equal(a->e, ERR_EXISTS);
	assert_non_null(edit_rig_begin(c->g, &c->g->p.bob, MANAGE_CREATE, "second",
				       "kind=tcp port=9000", &c->told));
}

static void test_free_when_told(void **state)
{
	struct edit_rig *g = *state;
	struct chain c = {.g = g};
	struct manage_asker by = {&g->p.bob, on_first, &c};
	struct edit_wish wish;

	assert_int_equal(MAKE(g, "anns", "").e, 0);
	edit_rig_wish("kind=tcp port=9000", &wish);
	wish.ch.mode = MANAGE_CREATE;
	assert_non_null(manage_tunnel_change(g->p.r.core, &by, STR("x.anns"), &wish.ch));
	core_rig_run(&g->p.r);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.told.calls, 1);
	assert_int_equal(c.told.e, 0);
}

/* ---- domains ---- */

static void test_proofs(void **state)
{
	enum { ANN, ROOT };
	static const struct {
		const char *why;
		int who;
		const char *words, *type, *name;
		int want;
	} cases[] = {
		{"a star is proven by what stands behind it", ANN, "kind=tls domain=*.a.example",
		 "CNAME", "a.example", 0},
		{"not by itself", ANN, "kind=tls domain=*.a.example", "CNAME", "*.a.example",
		 ERR_INVAL},
		{"nor from below", ANN, "kind=tls domain=*.a.example", "CNAME", "b.a.example",
		 ERR_INVAL},
		{"administrators prove nothing", ROOT, "kind=tls domain=*.a.example", "", "", 0},
		{"nothing at all", ANN, "kind=tls domain=a.example", "", "", ERR_INVAL},
	};
	struct edit_rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct access_who *who = cases[i].who == ROOT ? &g->root : &g->p.ann;
		struct told_edit told;

		dns_rig_clear(&g->dns);
		if (cases[i].type[0] != '\0')
			dns_rig_add(&g->dns, CORE_DNS_CNAME, cases[i].name, "t.localhost", 0);
		told = edit_rig_change(g, who, MANAGE_CREATE, "t", cases[i].words);
		if (told.e != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(told.e), told.reason);
		if (told.e == 0)
			assert_int_equal(edit_rig_drop(g, who, "t").e, 0);
		else
			assert_non_null(strstr(told.reason, "\"a.example CNAME t.localhost\""));
	}
}

/* Without proof nobody gets what somebody else has. */
static void test_unproven(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	g->p.r.opt.domains_unproven = true;
	edit_rig_restart(g);
	assert_int_equal(MAKE(g, "t", "domain=a.example").e, 0);
	told = edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "b", "kind=tls domain=a.example");
	assert_int_equal(told.e, ERR_INVAL);
	assert_string_equal(told.field, "domains");
	told = edit_rig_change(g, &g->root, MANAGE_CREATE, "r", "domain=a.example");
	assert_int_equal(told.e, ERR_INVAL);
	/* one's own moves from tunnel to tunnel, and from kind to kind */
	assert_int_equal(MAKE(g, "t2", "kind=tls domain=a.example").e, 0);
	assert_int_equal(
		edit_rig_change(g, &g->p.ann, MANAGE_PATCH, "t", "target=x").tunnels[0].n_alt_names,
		0);
}

/* A random name that is not free is no reason to refuse a domain by another word. */
static void test_random_name_and_a_domain_of_somebody(void **state)
{
	struct edit_rig *g = *state;
	struct told_edit told;

	dns_rig_add(&g->dns, CORE_DNS_CNAME, "a.example", "t.localhost", 0);
	assert_int_equal(MAKE(g, "t", "domain=a.example").e, 0);
	told = edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "", "domain=a.example");
	assert_int_equal(told.e, ERR_INVAL); /* bob's random name is not in the DNS */
	assert_string_equal(told.field, "ingress.http.alt_names");
}

int main(void)
{
#define EDIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		EDIT_TEST(test_what_is_refused),
		EDIT_TEST(test_what_a_server_does_not_have),
		EDIT_TEST(test_what_is_kept),
		EDIT_TEST(test_changes),
		EDIT_TEST(test_another_kind_drops),
		EDIT_TEST(test_ensure),
		EDIT_TEST(test_heads),
		EDIT_TEST(test_heads_that_are_too_much),
		EDIT_TEST(test_limits_of_ports),
		EDIT_TEST(test_scope_of_ports),
		EDIT_TEST(test_scope_of_kinds),
		EDIT_TEST(test_choosing),
		EDIT_TEST(test_what_the_system_says),
		EDIT_TEST(test_a_port_belongs_to_one),
		EDIT_TEST(test_two_at_once),
		EDIT_TEST(test_nodes_race),
		EDIT_TEST(test_stale_routes),
		EDIT_TEST(test_cancelled_in_the_middle),
		EDIT_TEST(test_ports_outlive_a_node_but_not_an_account),
		EDIT_TEST(test_free_when_told),
		EDIT_TEST(test_proofs),
		EDIT_TEST(test_unproven),
		EDIT_TEST(test_random_name_and_a_domain_of_somebody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
