/* What karez prints, word by word: people and programs read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/karez_say.h"
#include "base/err.h"

struct paper {
	struct karez_say say;
	char *out, *err;
	size_t out_len, err_len;
};

static void paper_open(struct paper *p)
{
	memset(p, 0, sizeof *p);
	p->say = (struct karez_say){.server = "https://t.example",
				    .agent = "laptop",
				    .cert_name = ""};
	assert_non_null(p->say.out = open_memstream(&p->out, &p->out_len));
	assert_non_null(p->say.err = open_memstream(&p->err, &p->err_len));
}

/* Everything that was said, results first. */
static void paper_close(struct paper *p, const char *why, const char *out, const char *err)
{
	fclose(p->say.out);
	fclose(p->say.err);
	if (strcmp(p->out, out) != 0 || strcmp(p->err, err) != 0)
		fail_msg("%s:\n out %s err %s", why, p->out, p->err);
	free(p->out);
	free(p->err);
}

static const struct {
	const char *why, *target;
	enum url_scheme scheme;
	bool bare, again, quiet, json;
	const char *urls[3];
	const char *out, *err;
} onlines[] = {
	{"a web server by its port",
	 "3000",
	 URL_HTTP,
	 true,
	 false,
	 false,
	 false,
	 {"http://demo.localhost:8080"},
	 "Port 3000 is now publicly accessible from http://demo.localhost:8080 ...\n",
	 ""},
	{"a web server",
	 "10.0.0.1:80",
	 URL_HTTP,
	 false,
	 false,
	 false,
	 false,
	 {"https://demo.t.example"},
	 "http://10.0.0.1 is now publicly accessible from https://demo.t.example ...\n",
	 ""},
	{"a port has no scheme",
	 "127.0.0.1:22",
	 URL_TCP,
	 false,
	 false,
	 false,
	 false,
	 {"tcp://t.example:9000"},
	 "127.0.0.1:22 is now publicly accessible from t.example:9000 ...\n",
	 ""},
	{"ssh by its port",
	 "22",
	 URL_TCP,
	 true,
	 false,
	 false,
	 false,
	 {"tcp://t.example:9000"},
	 "Port 22 is now publicly accessible from t.example:9000 ...\n",
	 ""},
	{"several names",
	 "tls://a:443",
	 URL_TCP,
	 false,
	 false,
	 false,
	 false,
	 {"tls://a.example:443", "tls://*.b.example:443", "tls://demo.t.example:443"},
	 "tls://a:443 is now publicly accessible from tls://a.example:443 ...\n"
	 "  and from tls://*.b.example:443\n"
	 "  and from tls://demo.t.example:443\n",
	 ""},
	{"after an outage",
	 "22",
	 URL_TCP,
	 true,
	 true,
	 false,
	 false,
	 {"tcp://t.example:9000"},
	 "",
	 "karez: back again at t.example:9000\n"},
	{"nobody wants to know",
	 "22",
	 URL_TCP,
	 true,
	 false,
	 true,
	 false,
	 {"tcp://t.example:9000"},
	 "",
	 ""},
	{"a program wants to know",
	 "22",
	 URL_TCP,
	 true,
	 false,
	 false,
	 true,
	 {"tcp://t.example:9000"},
	 "{\"event\":\"online\",\"url\":\"tcp://"
	 "t.example:9000\",\"host\":\"t.example\",\"port\":9000,"
	 "\"urls\":[\"tcp://t.example:9000\"],\"name\":\"demo\",\"target\":\"tcp://"
	 "localhost:22\"}\n",
	 ""},
	{"the usual port of a scheme",
	 "3000",
	 URL_HTTP,
	 true,
	 false,
	 false,
	 true,
	 {"https://demo.t.example"},
	 "{\"event\":\"online\",\"url\":\"https://"
	 "demo.t.example\",\"host\":\"demo.t.example\",\"port\":443,"
	 "\"urls\":[\"https://demo.t.example\"],\"name\":\"demo\",\"target\":\"http://"
	 "localhost:3000\"}\n",
	 ""},
	{"a wildcard is no host",
	 "22",
	 URL_TCP,
	 true,
	 false,
	 false,
	 true,
	 {"tls://*.b.example:443"},
	 "{\"event\":\"online\",\"url\":\"tls://*.b.example:443\",\"urls\":[\"tls://"
	 "*.b.example:443\"],"
	 "\"name\":\"demo\",\"target\":\"tcp://localhost:22\"}\n",
	 ""},
};

static void test_online(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(onlines); i++) {
		char urls[3][CONTROL_URL_MAX] = {{0}};
		struct agent_online o = {.name = "demo", .again = onlines[i].again};
		struct url target;
		struct paper p;

		assert_int_equal(url_parse_target(str_of(onlines[i].target), onlines[i].scheme,
						  &target, NULL),
				 0);
		while (o.n_urls < 3 && onlines[i].urls[o.n_urls] != NULL) {
			str_printf(urls[o.n_urls], CONTROL_URL_MAX, "%s",
				   onlines[i].urls[o.n_urls]);
			o.n_urls++;
		}
		o.urls = (const char(*)[CONTROL_URL_MAX])urls;
		o.url = urls[0];
		o.target = &target;
		paper_open(&p);
		p.say.bare = onlines[i].bare;
		p.say.quiet = onlines[i].quiet;
		p.say.json = onlines[i].json;
		karez_say_online(&p.say, &o);
		paper_close(&p, onlines[i].why, onlines[i].out, onlines[i].err);
	}
}

static void test_services(void **state)
{
	static const char *const names[] = {"web", "ssh"};
	struct agent_assigned t = {.name = "demo", .service = "web"};
	struct url target;
	struct paper p;

	assert_int_equal(url_parse_target(STR("10.0.0.1:80"), URL_TCP, &target, NULL), 0);
	t.target = &target;
	for (int json = 0; json < 2; json++) {
		paper_open(&p);
		p.say.json = json;
		p.say.names = names;
		p.say.n_names = 2;
		karez_say_offering(&p.say, false);
		karez_say_assigned(&p.say, &t);
		karez_say_taken(&p.say, "demo", ERR_REPLACED, "it\nmoved");
		karez_say_unknown(&p.say, "demo", "mail");
		paper_close(
			&p, "services",
			json ? "{\"event\":\"offering\",\"server\":\"https://t.example\",\"agent\":"
			       "\"laptop\",\"services\":[\"web\",\"ssh\"]}\n"
			       "{\"event\":\"online\",\"name\":\"demo\",\"service\":\"web\","
			       "\"target\":"
			       "\"tcp://10.0.0.1:80\"}\n"
			       "{\"event\":\"taken\",\"name\":\"demo\",\"code\":\"REPLACED\","
			       "\"reason\":"
			       "\"it\\\\x0amoved\"}\n"
			       "{\"event\":\"unknown\",\"name\":\"demo\",\"service\":\"mail\"}\n"
			     : "Agent laptop offers web, ssh to the tunnels of its account at "
			       "https://t.example ...\n"
			       "The tunnel demo is now served by web (10.0.0.1:80) ...\n",
			json ? "karez: a visitor was refused: no service is called mail here "
			       "(tunnel "
			       "demo)\n"
			     : "karez: the tunnel demo is no longer served here: it\\x0amoved\n"
			       "karez: a visitor was refused: no service is called mail here "
			       "(tunnel "
			       "demo)\n");
	}
	t = (struct agent_assigned){.name = "demo", .service = ""};
	paper_open(&p);
	karez_say_assigned(&p.say, &t);
	paper_close(
		&p, "a tunnel for which there is nothing", "",
		"karez: the server gives us the tunnel demo, but no service is called demo here\n");
}

static void test_connections(void **state)
{
	struct visit_end visitor = {"::1", 4711};
	struct target_connection c = {.visitor = &visitor, .ms = 3210, .up = 5, .down = 7};
	struct url target;
	struct paper p;

	assert_int_equal(url_parse_target(STR("10.0.0.1:22"), URL_TCP, &target, NULL), 0);
	c.to = &target;
	setenv("TZ", "UTC", 1);
	paper_open(&p);
	karez_say_connection(&p.say, &c, 1000 * 3661);
	c.why = ERR_RESET;
	visitor = (struct visit_end){0};
	karez_say_connection(&p.say, &c, 1000 * 3661);
	p.say.json = true;
	karez_say_connection(&p.say, &c, 42);
	paper_close(&p, "connections",
		    "01:01:01  [::1]:4711 -> 10.0.0.1:22  5 bytes up, 7 down  3.2 s\n"
		    "01:01:01  - -> 10.0.0.1:22  5 bytes up, 7 down  3.2 s  connection reset by "
		    "the peer\n"
		    "{\"event\":\"connection\",\"time_ms\":42,\"visitor\":\"-\",\"target\":"
		    "\"tcp://10.0.0.1:22\",\"up\":5,\"down\":7,\"ms\":3210,\"code\":\"RESET\"}\n",
		    "");
}

static void test_health(void **state)
{
	struct url target;
	struct paper p;

	assert_int_equal(url_parse_target(STR("3000"), URL_HTTP, &target, NULL), 0);
	paper_open(&p);
	karez_say_health(&p.say, &target, false, "it answered 503 to GET /");
	karez_say_health(&p.say, &target, true, "");
	p.say.json = true;
	karez_say_health(&p.say, &target, false, "connection refused");
	paper_close(
		&p, "health",
		"{\"event\":\"target\",\"target\":\"http://localhost:3000\",\"code\":\"TARGET\","
		"\"check\":true,\"reason\":\"connection refused\"}\n",
		"karez: http://localhost:3000 fails its health check: it answered 503 to GET /; "
		"visitors go to other agents, if there are any\n"
		"karez: http://localhost:3000 passes its health check again\n");
}

static const struct {
	const char *why;
	int code;
	const char *reason;
	bool certificate;
	const char *cert_name, *err;
} ends[] = {
	{"stopped", 0, "", false, "", ""},
	{"a token that is not known", ERR_AUTH, "", false, "",
	 "karez: refused by https://t.example: the credential is not known; check KAREZ_TOKEN or "
	 "--token-file, if you use them\n"},
	{"a certificate that proves nobody", ERR_AUTH, "nobody has it", true, "Other@example.org",
	 "karez: refused by https://t.example: nobody has it; the certificate is for "
	 "Other@example.org, "
	 "and this agent calls itself laptop\n"},
	{"a certificate without a name", ERR_DENIED, "no", true, "",
	 "karez: refused by https://t.example: no; the certificate has no name, and this agent "
	 "calls "
	 "itself laptop\n"},
	{"the server has named both", ERR_DENIED, "the certificate is for A, but you are laptop",
	 true, "A@b",
	 "karez: refused by https://t.example: the certificate is for A, but you are laptop\n"},
	{"another refusal has nothing to do with it", ERR_EXISTS, "it is taken", true, "A@b",
	 "karez: refused by https://t.example: it is taken\n"},
	{"the tunnel has moved", ERR_REPLACED, "served elsewhere", false, "",
	 "karez: ended by https://t.example: served elsewhere\n"},
};

static void test_ends(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct paper p;

		paper_open(&p);
		p.say.certificate = ends[i].certificate;
		p.say.cert_name = ends[i].cert_name;
		karez_say_ended(&p.say, ends[i].code, ends[i].reason);
		paper_close(&p, ends[i].why, "", ends[i].err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_online),	    cmocka_unit_test(test_services),
		cmocka_unit_test(test_connections), cmocka_unit_test(test_health),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
