/* What is dialled: directories, the list of services, and what is passed on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "agent/site_page.h"
#include "agent/site_work.h"
#include "base/err.h"
#include "unit/agent/site_rig.h"

static void test_dialling(void **state)
{
	static const struct {
		const char *why, *path;
		int e;
		const char *clause;
	} cases[] = {
		{"a directory", "root", 0, ""},
		{"one with a slash", "root/", 0, ""},
		{"nothing", "none", ERR_NOTFOUND, "there is no such directory"},
		{"a file", "file", ERR_INVAL, "it is not a directory"},
		{"something in a file", "file/x", ERR_NOTFOUND, "there is no such directory"},
	};
	struct site_rig r;

	site_rig_open(&r);
	site_rig_file(&r, "file", "");
	site_rig_net(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[300], path[256];
		const char *clause = "";
		struct url to;

		str_printf(text, sizeof text, "file://%s", site_rig_path(&r, cases[i].path, path));
		site_rig_dial_url(&r, text);
		if (r.dial_e != cases[i].e || (r.wire != NULL) != (cases[i].e == 0))
			fail_msg("%s: %s", cases[i].why, err_name(r.dial_e));
		assert_int_equal(url_parse(str_of(text), &to, NULL), 0);
		assert_int_equal(site_net_check(&to, &clause), cases[i].e);
		assert_string_equal(clause, cases[i].clause);
		site_rig_leave(&r, 0);
	}
	assert_int_equal(r.n_done, ARRAY_LEN(cases));
	assert_int_equal(r.n_inner, 0);
	site_rig_close(&r);
}

static void test_the_rest_is_passed_on(void **state)
{
	static const char *const urls[] = {"http://a:1", "https://a", "tcp://a:1", "tls://a:1",
					   "unix:/a"};
	struct agent_dial_opt opt = {.timeout_ms = 1000};
	struct site_rig r;
	struct url to;

	site_rig_open(&r);
	site_rig_net(&r);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		site_rig_dial_url(&r, urls[i]);
		assert_int_equal(r.n_inner, i + 1);
		assert_int_equal(r.dial_e, ERR_REFUSED);
	}
	assert_int_equal(url_parse(STR("tcp://a:1"), &to, NULL), 0);
	opt.to = &to;
	assert_int_equal(agent_net_dial(r.net, &opt, &r.dial), 0);
	agent_net_cancel(r.net, r.dial);
	r.dial = NULL;
	assert_int_equal(r.n_inner_cancelled, 1);
	assert_string_equal(agent_net_explain(r.net, &to, NULL), "inner");
	site_rig_close(&r);
}

static void dial_told(void *arg, int e, struct wire *w)
{
	++*(int *)arg;
	assert_null(w);
}

static void test_cancelling(void **state)
{
	struct agent_dial *d;
	struct site_rig r;
	struct url to;
	char text[300];
	int n = 0;
	struct agent_dial_opt opt = {.to = &to, .timeout_ms = 1000, .done = dial_told, .arg = &n};

	site_rig_open(&r);
	site_rig_net(&r);
	str_printf(text, sizeof text, "file://%s", r.dir);
	assert_int_equal(url_parse(str_of(text), &to, NULL), 0);
	assert_int_equal(agent_net_dial(r.net, &opt, &d), 0);
	agent_net_cancel(r.net, d);
	ev_sim_run_for(r.ev, 2000);
	assert_int_equal(n, 0);
	/* and together with the net */
	assert_int_equal(agent_net_dial(r.net, &opt, &d), 0);
	agent_net_cancel(r.net, d);
	site_net_free(r.net);
	r.net = NULL;
	ev_sim_run_for(r.ev, 2000);
	assert_int_equal(n, 0);
	site_rig_close(&r);
}

/* ---- the list of services ---- */

static const struct site_index_row rows[] = {
	{"web", "https://web.tim.example.org", "http", "online", true},
	{"db <&'\">", "tcp://example.org:20001", "tcp", "target is down", false},
	{"d\xc3\xb6"
	 "cs",
	 "http://x.example/\"><script>alert(1)</script>", "http", "online", true},
	{"evil", "javascript:alert(1)", "http", "online", true},
	{"\xff\x1b[31m", "", "tls", "connecting", false},
};

static void list_rows(void *arg, struct site_index *x)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		site_index_add(x, &rows[i]);
}

static void list_none(void *arg, struct site_index *x)
{
}

static void list_many(void *arg, struct site_index *x)
{
	char name[600];

	memset(name, '<', sizeof name);
	name[sizeof name - 1] = '\0';
	for (int i = 0; i < *(const int *)arg; i++)
		site_index_add(x, &(struct site_index_row){name, name, "http", "online", true});
}

static void ask_index(struct site_rig *r, const char *method, const char *path, const char *accept)
{
	char text[500];

	if (r->wire == NULL)
		site_rig_dial_url(r, "karez+services:");
	assert_int_equal(r->dial_e, 0);
	str_printf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, path, accept);
	site_rig_say(r, text);
}

static void test_the_list_for_people(void **state)
{
	struct site_rig r;

	site_rig_open(&r);
	r.opt.services = list_rows;
	site_rig_net(&r);
	ask_index(&r, "GET", "/?a", "Accept: */*\r\n");
	assert_int_equal(site_rig_status(&r), 200);
	assert_true(site_rig_has(&r, "Content-Type: text/html; charset=utf-8\r\n"));
	assert_true(site_rig_has(&r, "Vary: Accept\r\n"));
	assert_true(site_rig_has(&r, "<a href=\"https://web.tim.example.org\"><bdi>web</bdi></a>"));
	assert_true(site_rig_has(&r, "<bdi>db &lt;&amp;&#39;&quot;&gt;</bdi><br>"));
	assert_true(site_rig_has(&r, "<td class=\"n bad\">target is down<td class=\"n w\">tcp\n"));
	assert_true(site_rig_has(&r, "d\xc3\xb6"
				     "cs"));
	assert_false(site_rig_has(&r, "<script"));
	assert_false(site_rig_has(&r, "href=\"javascript"));
	assert_false(site_rig_has(&r, "\x1b"));
	assert_true(site_rig_has(&r, "\\xff\\x1b[31m"));
	ask_index(&r, "GET", "/other", "");
	assert_int_equal(site_rig_status(&r), 404);
	ask_index(&r, "POST", "/", "");
	assert_int_equal(site_rig_status(&r), 405);
	ask_index(&r, "HEAD", "/", "");
	assert_int_equal(site_rig_status(&r), 200);
	assert_string_equal(site_rig_body(&r), "");
	site_rig_close(&r);
}

static void test_the_list_for_programs(void **state)
{
	static const struct {
		const char *accept;
		bool json;
	} cases[] = {
		{"", false},
		{"Accept: application/json\r\n", true},
		{"Accept: text/plain, application/JSON;q=0.9, text/html\r\n", true},
		{"Accept: text/html, application/json\r\n", false},
		{"Accept: application/jsonp\r\n", false},
	};
	struct site_rig r;

	site_rig_open(&r);
	r.opt.services = list_rows;
	site_rig_net(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ask_index(&r, "GET", "/", cases[i].accept);
		if (site_rig_has(&r, "Content-Type: application/json\r\n") != cases[i].json)
			fail_msg("%s", cases[i].accept);
	}
	ask_index(&r, "GET", "/", "Accept: application/json\r\n");
	assert_true(site_rig_has(&r, "\r\n\r\n{\"services\":[{\"name\":\"web\",\"url\":"
				     "\"https://web.tim.example.org\",\"kind\":\"http\","
				     "\"state\":\"online\",\"well\":true},"));
	assert_true(site_rig_has(&r, "{\"name\":null,\"url\":\"\",\"kind\":\"tls\""));
	site_rig_close(&r);
}

static void test_lists_short_and_long(void **state)
{
	struct site_rig r;
	int n = 1000;

	site_rig_open(&r);
	r.opt.services = list_none;
	site_rig_net(&r);
	ask_index(&r, "GET", "/", "");
	assert_true(site_rig_has(&r, "There are none now."));
	ask_index(&r, "GET", "/", "Accept: application/json\r\n");
	assert_string_equal(site_rig_body(&r), "{\"services\":[]}\n");
	site_rig_close(&r);

	site_rig_open(&r);
	r.opt.services = list_many;
	r.opt.arg = &n;
	site_rig_net(&r);
	ask_index(&r, "GET", "/", "");
	assert_true(site_rig_has(&r, "There are more than are shown."));
	assert_true(r.n_got < SITE_PAGE_MAX + 4096);
	site_rig_close(&r);
}

static void test_no_list(void **state)
{
	struct site_rig r;

	site_rig_open(&r);
	site_rig_net(&r);
	site_rig_dial_url(&r, "karez+services:");
	assert_int_equal(r.dial_e, ERR_UNSUPPORTED);
	assert_null(r.wire);
	site_rig_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialling),
		cmocka_unit_test(test_the_rest_is_passed_on),
		cmocka_unit_test(test_cancelling),
		cmocka_unit_test(test_the_list_for_people),
		cmocka_unit_test(test_the_list_for_programs),
		cmocka_unit_test(test_lists_short_and_long),
		cmocka_unit_test(test_no_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
