/* An agent changes its mind about a tunnel that it serves: the record follows, or says no, and
 * visitors notice nothing of either. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "unit/core/edit_rig.h"

static struct told_attach wish(struct fake *f, enum tunnel_kind kind, const char *name,
			       const char *words)
{
	struct core_wish wanted = {.kind = kind, .name = str_of(name), .target = STR("3000")};
	struct told_attach told = {0};
	struct edit_wish w;

	edit_rig_wish(words, &w);
	wanted.change = w.ch.set != 0 ? &w.ch : NULL;
	assert_int_equal(member_attach(f->member, &wanted, core_rig_on_attached, &told), 0);
	core_rig_run(f->rig);
	assert_int_equal(told.calls, 1);
	return told;
}

/* What visitors find now, in words. */
static const char *found(struct edit_rig *g, const char *name, char out[256])
{
	struct tunnel *t = core_tunnel(g->p.r.core, str_of(name));
	const struct tunnel_settings *s;
	size_t n;

	if (t == NULL)
		return "nobody";
	s = tunnel_settings(t);
	n = str_printf(out, 256, "served=%zu policy=%s proxy=%s host=%s", t->n_serving,
		       record_policy(t->policy), record_proxy(s->proxy), s->host);
	if (s->rights != NULL)
		n += str_printf(out + n, 256 - n, " users=%zu allow=%zu", s->rights->n_users,
				s->rights->n_allow);
	if (core_tunnel_at(g->p.r.core, STR("app.example.org")) == t)
		n += str_printf(out + n, 256 - n, " app");
	if (t->port != 0)
		n += str_printf(out + n, 256 - n, " port=%u", t->port);
	return out;
}

static void test_another_wish(void **state)
{
	static const struct {
		const char *why, *words;
		int want;
		const char *found, *url;
	} steps[] = {
		{"nothing more than before", "", 0,
		 "policy=least-conn proxy=none host=", "http://web.localhost:8080"},
		{"a policy", "policy=failover", 0,
		 "policy=failover proxy=none host=", "http://web.localhost:8080"},
		{"a PROXY header", "proxy=v2", 0,
		 "policy=failover proxy=v2 host=", "http://web.localhost:8080"},
		{"rights", "user=anna allow=10.0.0.0/8", 0,
		 "policy=failover proxy=v2 host= users=1 allow=1", "http://web.localhost:8080"},
		{"other rights", "user=- allow=", 0,
		 "policy=failover proxy=v2 host=", "http://web.localhost:8080"},
		{"a host", "host=app.local", 0, "policy=failover proxy=v2 host=app.local",
		 "http://web.localhost:8080"},
		{"the target's instead", "rewrite=yes", 0,
		 "policy=failover proxy=v2 host=", "http://web.localhost:8080"},
		{"a domain that is proven", "domain=app.example.org", 0,
		 "policy=failover proxy=v2 host= app", "http://web.localhost:8080"},
		{"one that is not, and a policy", "domain=evil.example policy=round-robin",
		 ERR_INVAL, "policy=failover proxy=v2 host= app", ""},
		{"a port, and a policy", "port=9000 policy=round-robin", ERR_INVAL,
		 "policy=failover proxy=v2 host= app", ""},
		{"no domain any more", "domain=", 0,
		 "policy=failover proxy=v2 host=", "http://web.localhost:8080"},
		{"both of what excludes each other", "rewrite=yes host=a.local", ERR_INVAL,
		 "policy=failover proxy=v2 host=", ""},
	};
	struct edit_rig *g = calloc(1, sizeof *g);
	struct fake a, b;

	assert_non_null(g);
	edit_rig_new(g);
	place_rig_join(&g->p, &a, "a");
	place_rig_join(&g->p, &b, "b");
	assert_int_equal(wish(&a, TUNNEL_HTTP, "web", "").result.e, 0);
	assert_int_equal(wish(&b, TUNNEL_HTTP, "web", "").result.e, 0);
	dns_rig_add(&g->dns, CORE_DNS_CNAME, "app.example.org", "web.localhost", 0);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_attach told = wish(&a, TUNNEL_HTTP, "web", steps[i].words);
		char text[256], want[256];

		str_printf(want, sizeof want, "served=2 %s", steps[i].found);
		if (told.result.e != steps[i].want || strcmp(found(g, "web", text), want) != 0 ||
		    strcmp(told.result.urls[0], steps[i].url) != 0)
			fail_msg("%s: %s %s (%s) %s", steps[i].why, err_name(told.result.e), text,
				 told.reason, told.result.urls[0]);
		assert_int_equal(a.n_detached + b.n_detached, 0);
	}
	fake_leave(&a);
	fake_leave(&b);
	edit_rig_free(g);
	free(g);
}

static void test_another_port(void **state)
{
	static const struct {
		const char *why, *words;
		int take_e, want;
		const char *url, *found, *said;
	} steps[] = {
		{"the one that it has", "port=9000", 0, 0, "tcp://localhost:9000", " port=9000",
		 ""},
		{"another one", "port=9001", 0, 0, "tcp://localhost:9001", " port=9001",
		 "take 9001@ give 9000@ let 9001=db "},
		{"one that another program has", "port=9002 proxy=v1", ERR_INUSE, ERR_INUSE, "",
		 " port=9001", "take 9002@ "},
		{"one of another tunnel", "port=9050 proxy=v1", 0, ERR_INUSE, "", " port=9001", ""},
		{"none of the server's", "port=80", 0, ERR_DENIED, "", " port=9001", ""},
		{"an address", "bind=127.0.0.1", 0, 0, "tcp://127.0.0.1:9001", " port=9001",
		 "take 9001@127.0.0.1 let 9001=db give 9001@ "},
		{"headers, which it cannot have", "host=a", 0, ERR_INVAL, "", " port=9001", ""},
	};
	struct edit_rig *g = calloc(1, sizeof *g);
	struct fake a, b;

	assert_non_null(g);
	edit_rig_new(g);
	place_rig_join(&g->p, &a, "a");
	place_rig_join(&g->p, &b, "b");
	assert_int_equal(wish(&a, TUNNEL_TCP, "db", "port=9000").result.e, 0);
	assert_int_equal(wish(&b, TUNNEL_TCP, "db", "").result.e, 0);
	assert_int_equal(wish(&b, TUNNEL_TCP, "other", "port=9050").result.e, 0);
	(void)place_rig_said(&g->p);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_attach told;
		char text[256], want[256];
		const char *said;

		g->p.take_e = steps[i].take_e;
		told = wish(&a, TUNNEL_TCP, "db", steps[i].words);
		g->p.take_e = 0;
		said = place_rig_said(&g->p);
		str_printf(want, sizeof want, "served=2 policy=least-conn proxy=none host=%s",
			   steps[i].found);
		if (told.result.e != steps[i].want || strcmp(found(g, "db", text), want) != 0 ||
		    strcmp(told.result.urls[0], steps[i].url) != 0 ||
		    (steps[i].want == 0 && strcmp(said, steps[i].said) != 0))
			fail_msg("%s: %s %s (%s) %s \"%s\"", steps[i].why, err_name(told.result.e),
				 text, told.reason, told.result.urls[0], said);
		assert_int_equal(a.n_detached + b.n_detached, 0);
	}
	assert_int_equal(g->p.n_taken, 2);
	fake_leave(&a);
	fake_leave(&b);
	edit_rig_free(g);
	free(g);
}

/* Ann's credential, from now on good for one tunnel only. */
static struct access_who limited(struct edit_rig *g, const char *tunnel)
{
	struct access_who who = g->p.ann;
	struct record_credential r;
	struct buf value = {0};
	char key[2 * CORE_ID_TEXT], *old;

	str_printf(key, sizeof key, "%s/%s", who.account, who.credential);
	old = core_rig_get(&g->p.r, "credential", key);
	assert_non_null(old);
	assert_int_equal(record_read_credential(str_of(key), str_of(old), &r), 0);
	str_printf(r.scope.tunnels, sizeof r.scope.tunnels, "%s", tunnel);
	assert_int_equal(record_write_credential(str_of(old), &r, &value), 0);
	assert_int_equal(buf_add(&value, "", 1, SIZE_MAX), 0);
	core_rig_put(&g->p.r, "credential", key, buf_str(&value).p);
	buf_free(&value);
	free(old);
	who.scope = r.scope;
	return who;
}

/* A credential changes by an attach what it may change by the API, and no more. */
static void test_a_limited_credential(void **state)
{
	struct edit_rig *g = calloc(1, sizeof *g);
	struct access_who who;
	struct core_agent agent = {.id = "a", .epoch = 1};
	struct fake a;
	char text[256];

	assert_non_null(g);
	edit_rig_new(g);
	assert_int_equal(edit_rig_change(g, &g->p.ann, MANAGE_CREATE, "secret", "user=anna").e, 0);
	who = limited(g, "web");
	assert_int_equal(edit_rig_change(g, &g->p.bob, MANAGE_CREATE, "bobs", "user=bert").e, 0);
	fake_join(&a, &g->p.r, &who, &agent);
	assert_int_equal(wish(&a, TUNNEL_HTTP, "web", "user=anna").result.e, 0);
	assert_string_equal(found(g, "web", text),
			    "served=1 policy=least-conn proxy=none host= users=1 allow=0");
	assert_int_equal(wish(&a, TUNNEL_HTTP, "secret", "user=-").result.e, ERR_DENIED);
	assert_int_equal(wish(&a, TUNNEL_HTTP, "bobs", "user=-").result.e, ERR_DENIED);
	assert_int_equal(wish(&a, TUNNEL_HTTP, "", "user=-").result.e, ERR_DENIED);
	assert_non_null(strstr(edit_rig_record(g, "tunnel", "secret"), "anna"));
	assert_non_null(strstr(edit_rig_record(g, "tunnel", "bobs"), "bert"));
	fake_leave(&a);
	edit_rig_free(g);
	free(g);
}

/* All names under one last label are one account's: "tim" itself, for its index, as well. */
static void test_names_under_one_label(void **state)
{
	static const struct {
		const char *why;
		bool bob;
		const char *name;
		int want;
	} steps[] = {
		{"the first one", false, "hello.tim", 0},
		{"one beside it", false, "world.tim", 0},
		{"the label itself", false, "tim", 0},
		{"deeper", false, "a.hello.tim", 0},
		{"a stranger under it", true, "mine.tim", ERR_EXISTS},
		{"a stranger: one that is there", true, "hello.tim", ERR_EXISTS},
		{"a stranger: the label", true, "tim", ERR_EXISTS},
		{"a stranger: another label", true, "tim.bob", 0},
	};
	struct edit_rig *g = calloc(1, sizeof *g);
	char said[2][CORE_REASON_TEXT] = {"", ""};
	struct fake a, b;

	assert_non_null(g);
	edit_rig_new(g);
	place_rig_join(&g->p, &a, "a");
	fake_join(&b, &g->p.r, &g->p.bob, &(struct core_agent){.id = "b", .epoch = 1});
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct told_attach told =
			wish(steps[i].bob ? &b : &a, TUNNEL_HTTP, steps[i].name, "");

		if (told.result.e != steps[i].want)
			fail_msg("%s: %s (%s)", steps[i].why, err_name(told.result.e), told.reason);
		if (strcmp(steps[i].name, "mine.tim") == 0)
			memcpy(said[0], told.reason, sizeof said[0]);
		if (steps[i].bob && strcmp(steps[i].name, "hello.tim") == 0)
			memcpy(said[1], told.reason, sizeof said[1]);
	}
	/* each is found by its whole name alone */
	assert_string_equal(tunnel_name(core_tunnel(g->p.r.core, STR("tim"))), "tim");
	assert_string_equal(tunnel_name(core_tunnel(g->p.r.core, STR("hello.tim"))), "hello.tim");
	assert_null(core_tunnel(g->p.r.core, STR("none.tim")));
	/* the index goes, its services stay */
	member_detach(a.member, STR("tim"));
	assert_null(core_tunnel(g->p.r.core, STR("tim")));
	assert_non_null(core_tunnel(g->p.r.core, STR("hello.tim")));
	assert_non_null(strstr(said[0], "taken"));
	assert_non_null(strstr(said[1], "taken"));
	fake_leave(&a);
	fake_leave(&b);
	edit_rig_free(g);
	free(g);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_wish),
		cmocka_unit_test(test_another_port),
		cmocka_unit_test(test_a_limited_credential),
		cmocka_unit_test(test_names_under_one_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
