/* What a person types for karez http, tcp, tls and serve, and what the agent is asked for then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/karez_targets.h"
#include "base/err.h"
#include "config/rows.h"

#define ARGS_MAX 14

struct run {
	struct karez_options set;
	struct config *c;
	struct karez_targets targets;
	int e;
};

static void run_start(struct run *r, const char *const *argv)
{
	static char *const no_env[] = {NULL};
	struct config_input in = {.argv = (char *const *)(uintptr_t)argv, .envp = no_env};

	memset(r, 0, sizeof *r);
	while (in.argc < ARGS_MAX && argv[in.argc] != NULL)
		in.argc++;
	r->e = config_load(&karez_program, &in, &r->set, &r->c);
	if (r->e == 0)
		karez_targets_read(r->c, &r->set, &r->targets);
}

static void run_end(struct run *r)
{
	karez_targets_free(&r->targets);
	config_free(r->c);
}

static void test_tables_have_no_mistake(void **state)
{
	char why[300];

	if (rows_check(&karez_program, why, sizeof why) != 0)
		fail_msg("%s", why);
}

static const struct {
	const char *why;
	const char *argv[ARGS_MAX];
	const char *message; /* part of it */
} refused[] = {
	{"http to a port of no web server", {"karez", "http", "tcp://a:1"}, "it must be PORT"},
	{"a port of a web server",
	 {"karez", "tcp", "http://a:80"},
	 "it must be PORT, HOST:PORT, tcp://"},
	{"tcp with a path", {"karez", "tcp", "tcp://a:1/x"}, "tcp and tls have no path"},
	{"tcp without a port", {"karez", "tcp", "a"}, "is not a target"},
	{"a port too high",
	 {"karez", "tcp", "22", "--port", "65536"},
	 "\"65536\" is not a number from 0 to 65535"},
	{"an address that is none",
	 {"karez", "tcp", "22", "--bind", "eth0"},
	 "is not an address of the server"},
	{"domains are not for tcp",
	 {"karez", "tcp", "22", "--domain", "a.b"},
	 "is no option of karez tcp"},
	{"ports are not for http", {"karez", "3000", "--port", "1"}, "is no option of karez http"},
	{"a domain with a space", {"karez", "tls", "443", "--domain", "a b"}, "is not a host name"},
	{"a wildcard of everything",
	 {"karez", "tls", "443", "--domain", "*"},
	 "is not a host name"},
	{"a wildcard of a whole top",
	 {"karez", "tls", "443", "--domain", "*.org"},
	 "is not a host name"},
	{"a wildcard in the middle",
	 {"karez", "tls", "443", "--domain", "a.*.org"},
	 "is not a host name"},
	{"TLS in TLS", {"karez", "tls", "tls://a:443"}, "inside another one"},
	{"a version that is none",
	 {"karez", "tcp", "22", "--proxy-protocol", "v3"},
	 "is not one of none, v1, v2"},
	{"a policy that is none",
	 {"karez", "tcp", "22", "--policy", "random"},
	 "is not one of least-conn"},
	{"more sessions than there are",
	 {"karez", "tcp", "22", "--max-sessions", "65"},
	 "from 1 to 64"},
	{"a check that is none", {"karez", "3000", "--health", "http"}, "expected tcp, or a path"},
	{"a check with a space", {"karez", "3000", "--health", "/a b"}, "expected tcp, or a path"},
	{"checks without a pause", {"karez", "3000", "--health-interval", "1ms"}, "from 500ms"},
	{"two kinds of trust",
	 {"karez", "https://a:1", "--target-ca", "x", "--target-insecure"},
	 "contradicts --target-ca"},
	{"an agent with a space", {"karez", "3000", "--agent", "a b"}, "--agent"},
	{"nothing to serve", {"karez", "serve"}, "--services: is missing"},
	{"nothing to serve, said so", {"karez", "serve", "--services", ""}, "--services: is empty"},
	{"a service without a target", {"karez", "serve", "--services", "web"}, "NAME=TARGET"},
	{"a service with a bad target",
	 {"karez", "serve", "--services", "web=x"},
	 "has no good target"},
	{"a service whose target has a path",
	 {"karez", "serve", "--services", "web=http://a:1/x"},
	 "has no good target"},
	{"a service with a bad name",
	 {"karez", "serve", "--services", "a b=80"},
	 "has no good name"},
	{"a service without a name", {"karez", "serve", "--services", "=80"}, "has no good name"},
	{"a service twice", {"karez", "serve", "--services", "a=80,a=81"}, "there already"},
	{"a service twice, in two flags",
	 {"karez", "serve", "--services", "a=80", "--services", "a=81"},
	 "a name is given twice"},
	{"serve has no target",
	 {"karez", "serve", "80", "--services", "a=80"},
	 "one argument too many"},
};

static void test_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct run r;

		run_start(&r, refused[i].argv);
		if (r.e != ERR_INVAL || strstr(config_message(r.c), refused[i].message) == NULL)
			fail_msg("%s: %s", refused[i].why, config_message(r.c));
		run_end(&r);
	}
}

static const struct {
	const char *why;
	const char *argv[ARGS_MAX];
	enum agent_kind kind;
	const char *target; /* as url_format() writes it */
	bool bare, tls;
	const char *wish; /* as it travels, behind the target */
} tunnels[] = {
	{"a web server by its port",
	 {"karez", "3000"},
	 AGENT_HTTP,
	 "http://localhost:3000",
	 true,
	 false,
	 ""},
	{"one that speaks TLS",
	 {"karez", "http", "https://a:1"},
	 AGENT_HTTP,
	 "https://a:1",
	 false,
	 true,
	 ""},
	{"ssh", {"karez", "tcp", "22"}, AGENT_TCP, "tcp://localhost:22", true, false, ""},
	{"ssh at another host",
	 {"karez", "tcp", "10.0.0.7:22"},
	 AGENT_TCP,
	 "tcp://10.0.0.7:22",
	 false,
	 false,
	 ""},
	{"a socket", {"karez", "tcp", "unix:/run/x"}, AGENT_TCP, "unix:/run/x", false, false, ""},
	{"TLS to the target",
	 {"karez", "tcp", "tls://mail:993"},
	 AGENT_TCP,
	 "tls://mail:993",
	 false,
	 true,
	 ""},
	{"a port of one's own",
	 {"karez", "tcp", "22", "--port", "9000", "--bind", "::1"},
	 AGENT_TCP,
	 "tcp://localhost:22",
	 true,
	 false,
	 ",\"port\":9000,\"bind\":\"::1\""},
	{"any port, said so",
	 {"karez", "tcp", "22", "-p", "0"},
	 AGENT_TCP,
	 "tcp://localhost:22",
	 true,
	 false,
	 ",\"port\":0"},
	{"two domains",
	 {"karez", "tls", "443", "--domain", "a.example", "-d", "*.b.example"},
	 AGENT_TLS,
	 "tcp://localhost:443",
	 true,
	 false,
	 ",\"domains\":[\"a.example\",\"*.b.example\"]"},
	{"TLS that ends at the server and begins anew",
	 {"karez", "tls", "tls://a:443", "--tls", "end"},
	 AGENT_TLS,
	 "tls://a:443",
	 false,
	 true,
	 ",\"tls\":\"end\""},
	{"pass, said so",
	 {"karez", "tls", "443", "--tls", "pass"},
	 AGENT_TLS,
	 "tcp://localhost:443",
	 true,
	 false,
	 ",\"tls\":\"pass\""},
	{"a pool",
	 {"karez", "tcp", "22", "--policy", "failover", "--priority", "2", "--max-sessions", "4",
	  "--drain", "10s"},
	 AGENT_TCP,
	 "tcp://localhost:22",
	 true,
	 false,
	 ",\"policy\":\"failover\",\"max_sessions\":4,\"drain_ms\":10000,\"priority\":2"},
	{"what is usual, said so, is a wish",
	 {"karez", "3000", "--policy", "least-conn", "--proxy-protocol", "none", "--drain", "0"},
	 AGENT_HTTP,
	 "http://localhost:3000",
	 true,
	 false,
	 ",\"proxy_protocol\":\"none\",\"policy\":\"least-conn\",\"drain_ms\":0"},
};

static void test_tunnels(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(tunnels); i++) {
		struct control_attach attach = {.kind = STR("k"), .target = STR("t")};
		char target[URL_TEXT_MAX], want[512];
		struct buf line = {0};
		struct run r;

		run_start(&r, tunnels[i].argv);
		if (r.e != 0)
			fail_msg("%s: %s", tunnels[i].why, config_message(r.c));
		assert_int_equal(r.targets.n_tunnels, 1);
		assert_int_equal(r.targets.n_services, 0);
		assert_int_equal(r.targets.tunnel.kind, tunnels[i].kind);
		url_format(&r.targets.tunnel.target, target);
		assert_string_equal(target, tunnels[i].target);
		assert_int_equal(r.targets.bare, tunnels[i].bare);
		assert_int_equal(r.targets.tls, tunnels[i].tls);
		attach.wish = r.targets.tunnel.wish;
		attach.priority = r.targets.tunnel.priority;
		assert_int_equal(control_attach(&attach, &line), 0);
		str_printf(want, sizeof want,
			   "{\"op\":\"attach\",\"ref\":0,\"kind\":\"k\",\"target\":\"t\"%s}",
			   tunnels[i].wish);
		if (!str_eq(buf_str(&line), str_of(want)))
			fail_msg("%s: " STR_FMT, tunnels[i].why, STR_ARG(buf_str(&line)));
		buf_free(&line);
		run_end(&r);
	}
}

static void test_health(void **state)
{
	static const struct {
		const char *why, *argv[ARGS_MAX];
		enum health_kind kind;
		uint32_t interval_ms;
		unsigned rise, fall;
	} cases[] = {
		{"none unless asked for", {"karez", "3000"}, HEALTH_NONE, 0, 0, 0},
		{"by tcp", {"karez", "tcp", "22", "--health", "tcp"}, HEALTH_TCP, 10000, 2, 3},
		{"by HTTP, more often",
		 {"karez", "3000", "--health", "/up", "--health-interval", "2s", "--health-rise",
		  "1", "--health-fall", "5"},
		 HEALTH_HTTP,
		 2000,
		 1,
		 5},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct health_opt *h;
		struct run r;

		run_start(&r, cases[i].argv);
		assert_int_equal(r.e, 0);
		h = &r.targets.tunnel.health;
		if (h->kind != cases[i].kind || h->interval_ms != cases[i].interval_ms ||
		    h->rise != cases[i].rise || h->fall != cases[i].fall)
			fail_msg("%s", cases[i].why);
		run_end(&r);
	}
}

/* The flag, a list in the file, and a map in the file mean the same. */
static void test_services(void **state)
{
	static const char *const files[] = {
		"services: {web: \"127.0.0.1:8080\", ssh: 22, mail: \"tls://m:993\"}\n",
		"services:\n  web: 127.0.0.1:8080\n  ssh: 22\n  mail: tls://m:993\n",
		"services: [\"web=127.0.0.1:8080\", ssh=22, \"mail=tls://m:993\"]\n",
		"services: web=127.0.0.1:8080, ssh=22, mail=tls://m:993\n",
		"{services: {web: '127.0.0.1:8080', \"ssh\": 22, \"mail\": \"tls://m:993\"}}",
	};
	static const char *const want[] = {"web",  "tcp://127.0.0.1:8080",
					   "ssh",  "tcp://localhost:22",
					   "mail", "tls://m:993"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[] = "/tmp/karez-services-XXXXXX", target[URL_TEXT_MAX];
		int fd = mkstemp(path);
		struct run r;

		assert_true(fd >= 0);
		assert_int_equal(write(fd, files[i], strlen(files[i])), strlen(files[i]));
		close(fd);
		run_start(&r,
			  (const char *[]){"karez", "-c", path, "serve", "--health", "tcp", NULL});
		if (r.e != 0)
			fail_msg("%zu: %s", i, config_message(r.c));
		assert_int_equal(r.targets.n_tunnels, 0);
		assert_int_equal(r.targets.n_services, 3);
		assert_true(r.targets.tls);
		for (size_t k = 0; k < 3; k++) {
			assert_string_equal(r.targets.services[k].name, want[2 * k]);
			url_format(&r.targets.services[k].target, target);
			assert_string_equal(target, want[2 * k + 1]);
			assert_int_equal(r.targets.services[k].health.kind, HEALTH_TCP);
		}
		run_end(&r);
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_have_no_mistake),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_tunnels),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
