/* Where tunnels are reached, as people read it; and what the ingress knows of them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/settings.h"

static void test_urls(void **state)
{
	static const struct {
		const char *why;
		struct record_tunnel r;
		uint16_t http_port, tls_port;
		const char *want; /* with a space after each */
	} cases[] = {
		{"http: its own name first",
		 {.name = "a", .alt_names = {"x.example", "y.example"}, .n_alt_names = 2},
		 0,
		 443,
		 "https://a.t.example https://x.example https://y.example "},
		{"at another port", {.name = "a.b"}, 8443, 443, "https://a.b.t.example:8443 "},
		{"a port everywhere",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 9000},
		 0,
		 443,
		 "tcp://t.example:9000 "},
		{"a port at an address",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 1, .bind = "192.0.2.1"},
		 0,
		 443,
		 "tcp://192.0.2.1:1 "},
		{"at an IPv6 address",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 65535, .bind = "2001:db8::1"},
		 0,
		 443,
		 "tcp://[2001:db8::1]:65535 "},
		{"at all addresses",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 9000, .bind = "0.0.0.0"},
		 0,
		 443,
		 "tcp://t.example:9000 "},
		{"at all of IPv6",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 9000, .bind = "::"},
		 0,
		 443,
		 "tcp://t.example:9000 "},
		{"at the machine itself",
		 {.name = "a", .kind = TUNNEL_TCP, .port = 9000, .bind = "localhost"},
		 0,
		 443,
		 "tcp://localhost:9000 "},
		{"tls: custom domains first",
		 {.name = "a",
		  .kind = TUNNEL_TLS,
		  .alt_names = {"x.example", "*.x.example"},
		  .n_alt_names = 2},
		 0,
		 443,
		 "tls://x.example tls://*.x.example tls://a.t.example "},
		{"tls at another port",
		 {.name = "a", .kind = TUNNEL_TLS},
		 8080,
		 8443,
		 "tls://a.t.example:8443 "},
	};
	struct core c = {.opt = {.domain = "t.example", .url_scheme = "https"}};
	char out[CORE_URL_TEXT], all[2048];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = 0, k = 0;

		c.opt.url_port = cases[i].http_port;
		c.opt.tls_port = cases[i].tls_port;
		for (; core_url(&c, &cases[i].r, k, out) == 0; k++)
			n += str_printf(all + n, sizeof all - n, "%s ", out);
		assert_in_range(k, 1, CORE_URLS_MAX);
		if (strcmp(all, cases[i].want) != 0)
			fail_msg("%s: \"%s\"", cases[i].why, all);
	}
}

/* The longest names still fit. */
static void test_longest(void **state)
{
	struct core c = {.opt = {.domain = "t.example",
				 .url_scheme = "https",
				 .url_port = 65535,
				 .tls_port = 65535}};
	struct record_tunnel r = {.kind = TUNNEL_HTTP, .n_alt_names = 1};
	char out[CORE_URL_TEXT];

	memset(r.name, 'n', HOSTNAME_MAX - strlen(".t.example"));
	memset(r.alt_names[0], 'h', HOSTNAME_MAX);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(core_url(&c, &r, i, out), 0);
		assert_string_equal(out + strlen(out) - 6, ":65535");
		assert_int_equal(strlen(out), strlen("https://:65535") + HOSTNAME_MAX);
	}
}

static void test_settings(void **state)
{
	struct record_tunnel r = {.kind = TUNNEL_TLS,
				  .tls = TUNNEL_TLS_END,
				  .proxy = TUNNEL_PROXY_V2,
				  .drain_ms = 7,
				  .target = "tcp://localhost:1",
				  .service = "web"};
	struct tunnel_settings *s, *open;
	struct ev *ev;

	assert_int_equal(ev_sim_new(1, &ev), 0);
	assert_int_equal(settings_new(&r, 5, &open), 0);
	assert_null(open->rights);
	r.rights.n_allow = 1;
	assert_int_equal(settings_new(&r, 6, &s), 0);
	assert_int_equal(s->kind, TUNNEL_TLS);
	assert_int_equal(s->tls, TUNNEL_TLS_END);
	assert_int_equal(s->proxy, TUNNEL_PROXY_V2);
	assert_int_equal(s->drain_ms, 7);
	assert_int_equal(s->version, 6);
	assert_string_equal(s->target, "tcp://localhost:1");
	assert_string_equal(s->service, "web");
	assert_int_equal(s->rights->n_allow, 1);
	settings_unref(ev, s);
	settings_unref(ev, open);
	ev_free(ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
