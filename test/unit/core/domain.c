/* Custom domains: what proves them, whose they are, how they move; on a DNS of the test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/domain.h"
#include "unit/core/manage_rig.h"

static const struct manage_tunnel_change create = {.mode = MANAGE_CREATE, .expected = STORE_ANY};

/* ann has "one" and "two", bob has "bee". */
static void world_open(struct manage_rig *g)
{
	manage_rig_new(g);
	assert_int_equal(manage_rig_change(g, &g->ann, "one", &create).e, 0);
	assert_int_equal(manage_rig_change(g, &g->ann, "two", &create).e, 0);
	assert_int_equal(manage_rig_change(g, &g->bob, "bee", &create).e, 0);
}

/* What a refusal tells somebody to put at _karez.<host>. */
static const char *text_in(const struct told_manage *told, char out[DOMAIN_TXT_TEXT])
{
	const char *at = strstr(told->reason, "karez-verify=");

	assert_non_null(at);
	str_printf(out, DOMAIN_TXT_TEXT, "%.45s", at);
	return out;
}

static void test_what_proves(void **state)
{
	enum { TEXT = 1, OTHER = 2 }; /* this account's text, another's */
	static const struct {
		const char *why;
		struct {
			enum core_dns_type type;
			const char *name, *text;
			int e;
		} dns[2];
		int text; /* put it as a TXT record, too */
		int want;
	} cases[] = {
		{"no record at all", {{0}}, 0, ERR_INVAL},
		{"a CNAME", {{CORE_DNS_CNAME, "app.example", "one.localhost"}}, 0, 0},
		{"a chain that leads here",
		 {{CORE_DNS_CNAME, "app.example", "cdn.example"},
		  {CORE_DNS_CNAME, "app.example", "one.localhost"}},
		 0,
		 0},
		{"a CNAME to another tunnel",
		 {{CORE_DNS_CNAME, "app.example", "two.localhost"}},
		 0,
		 ERR_INVAL},
		{"a CNAME to the bare domain",
		 {{CORE_DNS_CNAME, "app.example", "localhost"}},
		 0,
		 ERR_INVAL},
		{"a CNAME below",
		 {{CORE_DNS_CNAME, "app.example", "x.one.localhost"}},
		 0,
		 ERR_INVAL},
		{"the account's text", {{0}}, TEXT, 0},
		{"another account's text", {{0}}, OTHER, ERR_INVAL},
		{"another text",
		 {{CORE_DNS_TXT, "_karez.app.example", "karez-verify=00"}},
		 0,
		 ERR_INVAL},
		{"the text beside others",
		 {{CORE_DNS_TXT, "_karez.app.example", "v=spf1 -all"}},
		 TEXT,
		 0},
		{"the text, and the chain cannot be asked",
		 {{CORE_DNS_CNAME, "app.example", NULL, ERR_TIMEOUT}},
		 TEXT,
		 0},
		{"the DNS is silent",
		 {{CORE_DNS_CNAME, "app.example", NULL, ERR_TIMEOUT},
		  {CORE_DNS_TXT, "_karez.app.example", NULL, ERR_TIMEOUT}},
		 0,
		 ERR_INVAL},
	};
	char text[DOMAIN_TXT_TEXT], other[DOMAIN_TXT_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_manage told;
		struct manage_rig g;

		world_open(&g);
		told = manage_rig_alt_names(&g, &g.bob, "bee", "app.example");
		text_in(&told, other);
		told = manage_rig_alt_names(&g, &g.ann, "one", "app.example");
		assert_int_equal(told.e, ERR_INVAL);
		text_in(&told, text);
		assert_string_not_equal(text, other);
		for (size_t k = 0; k < 2 && cases[i].dns[k].name != NULL; k++)
			dns_rig_add(&g.dns, cases[i].dns[k].type, cases[i].dns[k].name,
				    cases[i].dns[k].text, cases[i].dns[k].e);
		if (cases[i].text != 0)
			dns_rig_add(&g.dns, CORE_DNS_TXT, "_karez.app.example",
				    cases[i].text == TEXT ? text : other, 0);
		told = manage_rig_alt_names(&g, &g.ann, "one", "app.example");
		if (told.e != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(told.e), told.reason);
		assert_int_equal(manage_rig_has(&g, "domain", "app.example"), told.e == 0);
		assert_int_equal(manage_rig_owns(&g, &g.ann, "domain/app.example"), told.e == 0);
		manage_rig_free(&g);
	}
}

static void test_a_refusal_says_what_to_do(void **state)
{
	struct told_manage told;
	struct manage_rig g;

	world_open(&g);
	told = manage_rig_alt_names(&g, &g.ann, "one", "App.Example.");
	assert_int_equal(told.e, ERR_INVAL);
	assert_string_equal(told.field, "ingress.http.alt_names");
	assert_non_null(strstr(told.reason, "\"app.example CNAME one.localhost\""));
	assert_non_null(strstr(told.reason, "\"_karez.app.example TXT karez-verify="));
	assert_int_equal(strspn(strstr(told.reason, "verify=") + 7, "0123456789abcdef"), 32);
	dns_rig_add(&g.dns, CORE_DNS_TXT, "_karez.app.example", NULL, ERR_TIMEOUT);
	told = manage_rig_alt_names(&g, &g.ann, "one", "app.example");
	assert_non_null(strstr(told.reason, "timed out"));
	assert_non_null(strstr(told.reason, "app.example CNAME one.localhost"));
	manage_rig_free(&g);
}

/* The longest names still stand whole in the sentence. */
static void test_long_names(void **state)
{
	char host[HOSTNAME_MAX + 1], label[64] = {0}, *end;
	struct told_manage told;
	struct manage_rig g;

	world_open(&g);
	memset(label, 'h', 63);
	snprintf(host, sizeof host, "%s.%s.%s.%.61s", label, label, label, label);
	assert_int_equal(strlen(host), HOSTNAME_MAX);
	told = manage_rig_alt_names(&g, &g.ann, "one", host);
	assert_int_equal(told.e, ERR_INVAL);
	end = strstr(told.reason, "karez-verify=");
	assert_non_null(end);
	assert_non_null(strstr(end, "try again"));
	assert_int_equal(g.dns.n_asked, 1); /* _karez.<host> would be no name */
	manage_rig_free(&g);
}

static void test_what_may_be_one(void **state)
{
	static const struct {
		const char *why, *hosts;
		int want;
	} cases[] = {
		{"a URL", "http://app.example", ERR_INVAL},
		{"a port", "app.example:80", ERR_INVAL},
		{"an address", "192.0.2.1", ERR_INVAL},
		{"an IPv6 address", "[::1]", ERR_INVAL},
		{"a star", "*.example", ERR_INVAL},
		{"an underscore", "_x.example", ERR_INVAL},
		{"our own domain", "localhost", ERR_INVAL},
		{"a tunnel's name under it", "one.localhost", ERR_INVAL},
		{"anything under it", "x.y.LOCALHOST.", ERR_INVAL},
		{"twice", "app.example b.example APP.example", ERR_INVAL},
	};
	struct manage_rig g;

	world_open(&g);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct told_manage told = manage_rig_alt_names(&g, &g.ann, "one", cases[i].hosts);

		if (told.e != cases[i].want)
			fail_msg("%s: %s (%s)", cases[i].why, err_name(told.e), told.reason);
		assert_string_equal(told.field, "ingress.http.alt_names");
	}
	assert_int_equal(g.dns.n_asked, 0);
	manage_rig_free(&g);
}

static void test_many_in_parallel(void **state)
{
	static const char *const hosts[RECORD_ALT_NAMES_MAX] = {"h0.example", "h1.example",
								"h2.example", "h3.example",
								"h4.example", "h5.example",
								"h6.example", "h7.example",
								"h8.example", "h9.example"};
	struct manage_tunnel_change ch = {.mode = MANAGE_PATCH,
					  .set = MANAGE_T_ALT_NAMES,
					  .expected = STORE_ANY};
	struct told_manage told;
	struct manage_asker by;
	struct manage_rig g;

	world_open(&g);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		dns_rig_add(&g.dns, CORE_DNS_CNAME, hosts[i], "one.localhost", 0);
		str_printf(ch.to.alt_names[ch.to.n_alt_names++], HOSTNAME_MAX, "%s", hosts[i]);
	}
	g.dns.hold = true;
	by = manage_rig_asker(&g.ann, &told);
	assert_non_null(manage_tunnel_change(g.r.core, &by, STR("one"), &ch));
	core_rig_run(&g.r);
	assert_int_equal(g.dns.n_pending, 20); /* all at once */
	assert_int_equal(told.calls, 0);
	dns_rig_release(&g.dns);
	core_rig_run(&g.r);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, 0);
	assert_int_equal(told.tunnel.n_alt_names, RECORD_ALT_NAMES_MAX);
	assert_int_equal(g.dns.n_asked, 20);

	/* what is proven already is not asked again */
	assert_int_equal(manage_rig_alt_names(&g, &g.ann, "one", "h3.example h4.example").e, 0);
	assert_int_equal(g.dns.n_asked, 20);
	assert_false(manage_rig_has(&g, "domain", "h5.example"));
	assert_false(manage_rig_owns(&g, &g.ann, "domain/h5.example"));
	assert_true(manage_rig_has(&g, "domain", "h4.example"));

	/* one that is not spoils all of them */
	dns_rig_clear(&g.dns);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "h5.example", "one.localhost", 0);
	told = manage_rig_alt_names(&g, &g.ann, "one", "h5.example h6.example");
	assert_int_equal(told.e, ERR_INVAL);
	assert_non_null(strstr(told.reason, "h6.example"));
	assert_false(manage_rig_has(&g, "domain", "h5.example"));
	assert_true(manage_rig_has(&g, "domain", "h4.example"));
	manage_rig_free(&g);
}

static void expect_at(struct manage_rig *g, const char *host, const char *tunnel)
{
	struct tunnel *t = core_tunnel_at(g->r.core, str_of(host));

	if (tunnel == NULL)
		assert_null(t);
	else
		assert_string_equal(tunnel_name(t), tunnel);
}

static void test_domains_move(void **state)
{
	char anns[DOMAIN_TXT_TEXT], bobs[DOMAIN_TXT_TEXT];
	struct told_manage told;
	struct manage_rig g;

	world_open(&g);
	assert_int_equal(core_rig_attach(&g.a, "one", "").result.e, 0);
	assert_int_equal(core_rig_attach(&g.a, "two", "").result.e, 0);
	assert_int_equal(core_rig_attach(&g.b, "bee", "").result.e, 0);
	told = manage_rig_alt_names(&g, &g.ann, "one", "a.example");
	text_in(&told, anns);
	told = manage_rig_alt_names(&g, &g.bob, "bee", "a.example");
	text_in(&told, bobs);
	dns_rig_add(&g.dns, CORE_DNS_TXT, "_karez.a.example", anns, 0);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "b.example", "one.localhost", 0);
	assert_int_equal(manage_rig_alt_names(&g, &g.ann, "one", "a.example b.example").e, 0);
	expect_at(&g, "a.example", "one");
	expect_at(&g, "b.example", "one");

	/* somebody else's, without a proof, and with one beside the first owner's */
	assert_int_equal(manage_rig_alt_names(&g, &g.bob, "bee", "a.example").e, ERR_INVAL);
	dns_rig_add(&g.dns, CORE_DNS_TXT, "_karez.a.example", bobs, 0);
	told = manage_rig_alt_names(&g, &g.bob, "bee", "a.example");
	assert_int_equal(told.e, ERR_EXISTS);
	assert_string_equal(told.field, "ingress.http.alt_names");
	expect_at(&g, "a.example", "one");

	/* the first owner's is gone, or cannot be asked for */
	dns_rig_clear(&g.dns);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "a.example", "bee.localhost", 0);
	dns_rig_add(&g.dns, CORE_DNS_TXT, "_karez.a.example", NULL, ERR_TIMEOUT);
	assert_int_equal(manage_rig_alt_names(&g, &g.bob, "bee", "a.example").e, ERR_EXISTS);
	dns_rig_clear(&g.dns);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "a.example", "bee.localhost", 0);
	told = manage_rig_alt_names(&g, &g.bob, "bee", "a.example");
	assert_int_equal(told.e, 0);
	expect_at(&g, "a.example", "bee");
	expect_at(&g, "b.example", "one");
	told = manage_rig_get(&g, &g.ann, "one");
	assert_int_equal(told.tunnel.n_alt_names, 1);
	assert_string_equal(told.tunnel.alt_names[0], "b.example");
	assert_true(manage_rig_owns(&g, &g.bob, "domain/a.example"));
	assert_false(manage_rig_owns(&g, &g.ann, "domain/a.example"));

	/* from one tunnel of an account to another, two at once */
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "c.example", "one.localhost", 0);
	assert_int_equal(manage_rig_alt_names(&g, &g.ann, "one", "b.example c.example").e, 0);
	dns_rig_clear(&g.dns);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "b.example", "two.localhost", 0);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "c.example", "two.localhost", 0);
	assert_int_equal(manage_rig_alt_names(&g, &g.ann, "two", "c.example b.example").e, 0);
	assert_int_equal(manage_rig_get(&g, &g.ann, "one").tunnel.n_alt_names, 0);
	expect_at(&g, "b.example", "two");
	expect_at(&g, "c.example", "two");
	assert_true(manage_rig_owns(&g, &g.ann, "domain/b.example"));
	assert_true(manage_rig_owns(&g, &g.ann, "domain/c.example"));

	/* a dropped tunnel gives its own back, and no others */
	assert_int_equal(manage_rig_drop(&g, &g.ann, "two", STORE_ANY).e, 0);
	assert_false(manage_rig_has(&g, "domain", "b.example"));
	assert_false(manage_rig_owns(&g, &g.ann, "domain/b.example"));
	assert_true(manage_rig_has(&g, "domain", "a.example"));
	expect_at(&g, "b.example", NULL);
	manage_rig_free(&g);
}

static void test_without_a_dns(void **state)
{
	struct told_manage told;
	struct manage_rig g;

	world_open(&g);
	g.dns.full_at = 1; /* the second question is one too many */
	told = manage_rig_alt_names(&g, &g.ann, "one", "a.example");
	assert_int_equal(told.e, ERR_LIMIT);
	assert_int_equal(g.dns.n_cancelled, 1);
	g.r.core->opt.resolver = (struct core_resolver){0};
	told = manage_rig_alt_names(&g, &g.ann, "one", "a.example");
	assert_int_equal(told.e, ERR_UNSUPPORTED);
	assert_string_equal(told.field, "ingress.http.alt_names");
	assert_int_equal(manage_rig_alt_names(&g, &g.ann, "one", "").e, 0);
	manage_rig_free(&g);
}

static void test_cancel_while_the_dns_is_asked(void **state)
{
	struct manage_tunnel_change ch = {.mode = MANAGE_CREATE,
					  .set = MANAGE_T_ALT_NAMES,
					  .to = {.alt_names = {"a.example"}, .n_alt_names = 1},
					  .expected = STORE_ANY};
	struct told_manage told;
	struct manage_asker by;
	struct manage_rig g;
	struct manage *m;

	world_open(&g);
	g.dns.hold = true;
	by = manage_rig_asker(&g.ann, &told);
	m = manage_tunnel_change(g.r.core, &by, STR("new"), &ch);
	core_rig_run(&g.r);
	assert_int_equal(g.dns.n_pending, 2);
	manage_cancel(m);
	assert_int_equal(g.dns.n_pending, 0);
	core_rig_run(&g.r);
	assert_int_equal(told.calls, 0);
	assert_false(manage_rig_has(&g, "tunnel", "new")); /* nothing is made before the proof */
	manage_rig_free(&g);
}

static void test_the_core_goes_while_the_dns_is_asked(void **state)
{
	struct manage_tunnel_change ch = {.mode = MANAGE_CREATE,
					  .set = MANAGE_T_ALT_NAMES,
					  .to = {.alt_names = {"a.example"}, .n_alt_names = 1},
					  .expected = STORE_ANY};
	struct told_manage told;
	struct manage_asker by;
	struct manage_rig g;

	world_open(&g);
	fake_leave(&g.a);
	fake_leave(&g.b);
	g.dns.hold = true;
	by = manage_rig_asker(&g.ann, &told);
	assert_non_null(manage_tunnel_change(g.r.core, &by, STR("new"), &ch));
	core_rig_run(&g.r);
	assert_int_equal(told.calls, 0);
	core_free(g.r.core);
	g.r.core = NULL;
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, ERR_CLOSED);
	assert_int_equal(g.dns.n_pending, 0);
	manage_rig_free(&g);
}

static void on_looked_up(void *arg, int e)
{
	*(int *)arg = e;
}

static int lookup_at(struct manage_rig *g, const char *host)
{
	int e = -1;

	assert_non_null(core_lookup_at(g->r.core, str_of(host), on_looked_up, &e));
	core_rig_run(&g->r);
	return e;
}

static void test_lookup(void **state)
{
	struct manage_tunnel_change off = {.mode = MANAGE_PATCH,
					   .set = MANAGE_T_ENABLED,
					   .expected = STORE_ANY};
	struct manage_rig g;

	world_open(&g);
	dns_rig_add(&g.dns, CORE_DNS_CNAME, "a.example", "one.localhost", 0);
	assert_int_equal(manage_rig_alt_names(&g, &g.ann, "one", "a.example").e, 0);
	assert_int_equal(lookup_at(&g, "a.example"), ERR_NOSESSION);
	assert_int_equal(lookup_at(&g, "b.example"), ERR_NOROUTE);
	assert_int_equal(lookup_at(&g, "one"), ERR_NOROUTE);
	assert_int_equal(lookup_at(&g, "a b"), ERR_NOROUTE);
	assert_int_equal(lookup_at(&g, ""), ERR_NOROUTE);
	assert_int_equal(core_rig_attach(&g.a, "one", "").result.e, 0);
	assert_int_equal(lookup_at(&g, "a.example"), 0);
	assert_int_equal(manage_rig_change(&g, &g.ann, "one", &off).e, 0);
	assert_int_equal(lookup_at(&g, "a.example"), ERR_DISABLED);
	manage_rig_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_proves),
		cmocka_unit_test(test_a_refusal_says_what_to_do),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_what_may_be_one),
		cmocka_unit_test(test_many_in_parallel),
		cmocka_unit_test(test_domains_move),
		cmocka_unit_test(test_without_a_dns),
		cmocka_unit_test(test_cancel_while_the_dns_is_asked),
		cmocka_unit_test(test_the_core_goes_while_the_dns_is_asked),
		cmocka_unit_test(test_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
