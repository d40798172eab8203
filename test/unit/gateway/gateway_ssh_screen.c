/* What the person behind an SSH client types and reads, to the letter; and what programs read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "unit/gateway/ssh_rig.h"

#define HINT                                                                                    \
	"nothing is forwarded yet; ask for a tunnel with: ssh -R 80:localhost:3000 ... (help: " \
	"the words that may follow the host)\n"

/* ---- words ---- */

static void test_wrong_words(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "demo", 80);
	peer_words(&p, "nmae=demo", true);
	assert_string_equal(peer_screen(&p), "\"nmae=demo\" is not a word that is known here; "
					     "\"help\" shows those that are\n");
	assert_string_equal(peer_answers(&p), "1=INVAL ");
	assert_int_equal(p.status, 2);
	peer_forward(&p, 2, "demo", 80);
	ssh_world_run(&w, 10000);
	assert_string_equal(peer_answers(&p), "2=INVAL ");
	assert_null(core_tunnel(w.g.r.core, STR("demo")));
	/* somebody who looks again may say it right */
	peer_words(&p, "quiet", true);
	peer_forward(&p, 3, "demo", 80);
	ssh_world_run(&w, 20);
	assert_string_equal(peer_answers(&p), "3=OK:80:demo ");
	ssh_world_close(&w);
}

static void test_help(void **state)
{
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "demo", 80);
	peer_words(&p, "help", false);
	assert_true(str_starts(str_of(p.screen), STR("words that may follow the host:\n  name=")));
	assert_non_null(strstr(p.screen, "these lines\n"));
	assert_int_equal(p.status, 0);
	assert_string_equal(peer_answers(&p), "1=INVAL ");
	assert_null(core_tunnel(w.g.r.core, STR("demo")));
	ssh_world_close(&w);
}

static void test_keys_that_end_it(void **state)
{
	static const struct {
		const char *why;
		struct str typed;
		bool terminal;
		int status;
	} cases[] = {
		{"Ctrl-C", {"\003", 1}, true, 0},
		{"Ctrl-D", {"\004", 1}, true, 0},
		{"q among others, twice", {"xqq", 3}, true, 0},
		{"anything else", {"x\033[A\r", 5}, true, -1},
		{"bytes that are no keys", {"q\003\004", 3}, false, -1},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_world w;
		struct peer p;

		print_message("# %s\n", cases[i].why);
		peer_open_with(&w, &p);
		peer_forward(&p, 1, "demo", 80);
		peer_begin(&p, "", cases[i].terminal);
		p.owner->typed(p.arg, cases[i].typed);
		assert_int_equal(p.status, cases[i].status);
		ssh_world_close(&w);
	}
}

/* ---- the screen ---- */

/* A visitor of a tunnel has been served. */
static void serve(struct ssh_world *w, const char *tunnel, const struct core_served *what)
{
	struct core_visitor v = {.visit = NULL};
	struct visit visit = {.ingress = VISIT_HTTP};
	struct wire *wire;

	assert_int_equal(visit_end_set(&visit.visitor, STR("198.51.100.7"), 1234), 0);
	assert_int_equal(tunnel_dial(core_tunnel(w->g.r.core, str_of(tunnel)), &visit, &v.place,
				     &wire),
			 0);
	core_visitor_begin(w->g.r.core, &v, &visit);
	core_visitor_served(w->g.r.core, &v, what);
	core_visitor_end(&v);
}

/* A line behind its time, which is checked for its form. */
static const char *after_time(const char *line)
{
	unsigned h, m, s;

	assert_int_equal(sscanf(line, "%2u:%2u:%2u ", &h, &m, &s), 3);
	return line + 9;
}

static void test_lines_of_requests(void **state)
{
	static const struct {
		const char *why;
		struct core_served what;
		const char *line;
	} cases[] = {
		{"a request",
		 {.method = "GET", .path = "/a?b=c", .status = 200, .ms = 12},
		 "GET /a?b=c 200 12 ms 198.51.100.7\n"},
		{"no answer",
		 {.method = "POST", .path = "/", .ms = 3000, .why = ERR_TARGET},
		 "POST / - 3000 ms 198.51.100.7\n"},
		{"what a terminal would obey",
		 {.method = "G\033[2J", .path = "/\033]0;x\007\r\n\x9b\xc3\xa4", .status = 404},
		 "G?[2J /?]0;x?????? 404 0 ms 198.51.100.7\n"},
		{"a connection",
		 {.ms = 65000, .up = 120, .down = 4096},
		 "connection 65000 ms 198.51.100.7 120 B up 4096 B down\n"},
	};
	struct ssh_world w;
	struct peer p;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "demo", 80);
	peer_begin(&p, "", true);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		serve(&w, "demo", &cases[i].what);
		assert_string_equal(after_time(peer_screen(&p)), cases[i].line);
	}
	/* with a second tunnel it is said which one */
	peer_forward(&p, 2, "more", 80);
	ssh_world_run(&w, 20);
	(void)peer_screen(&p);
	serve(&w, "more", &cases[0].what);
	assert_string_equal(after_time(peer_screen(&p)),
			    "more GET /a?b=c 200 12 ms 198.51.100.7\n");
	ssh_world_close(&w);
}

static void test_long_lines_are_cut(void **state)
{
	struct core_served what = {.method = "GET", .status = 200, .ms = 1};
	char path[9000];
	struct ssh_world w;
	const char *line;
	struct peer p;

	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	what.path = path;
	peer_open_with(&w, &p);
	peer_forward(&p, 1, "demo", 80);
	peer_begin(&p, "", true);
	serve(&w, "demo", &what);
	line = peer_screen(&p);
	assert_int_equal(strlen(line), 200 + 1);
	assert_non_null(strstr(line, "xx 200 1 ms 198.51.100.7\n"));
	peer_begin(&p, "json", true);
	serve(&w, "demo", &what);
	line = peer_screen(&p);
	assert_in_range(strlen(line), 2000, 3000);
	ssh_world_close(&w);
}

static void test_who_is_told_of_requests(void **state)
{
	static const struct core_served what = {.method = "GET", .path = "/", .status = 200};
	static const struct {
		const char *why, *words;
		bool terminal, told;
	} cases[] = {
		{"a terminal", "", true, true},
		{"a terminal that is to be quiet", "quiet", true, false},
		{"no terminal", "", false, false},
		{"a program", "json", false, true},
		{"a program that is to be quiet", "json -q", false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_world w;
		struct peer p;

		print_message("# %s\n", cases[i].why);
		peer_open_with(&w, &p);
		peer_forward(&p, 1, "demo", 80);
		ssh_world_run(&w, 300);
		serve(&w, "demo", &what);
		assert_string_equal(p.screen, "");
		peer_begin(&p, cases[i].words, cases[i].terminal);
		serve(&w, "demo", &what);
		assert_int_equal(p.screen[0] != '\0', cases[i].told);
		p.looks = false;
		p.owner->typed(p.arg, STR(""));
		(void)peer_screen(&p);
		p.looks = true; /* a line would be seen */
		serve(&w, "demo", &what);
		assert_string_equal(p.screen, "");
		ssh_world_close(&w);
	}
}

static void test_json(void **state)
{
	static const struct core_served requests[] = {
		{.method = "GET",
		 .path = "/\"\033\xff",
		 .status = 200,
		 .ms = 12,
		 .up = 3,
		 .down = 4},
		{.ms = 5, .up = 6, .down = 7, .why = ERR_RESET},
	};
	struct ssh_world w;
	struct peer p;
	char number[32], *at;

	peer_open_with(&w, &p);
	peer_forward(&p, 1, "localhost", 80);
	peer_forward(&p, 2, "a\xff", 9001);
	peer_words(&p, "json", false);
	assert_int_equal(sscanf(p.screen,
				"{\"event\":\"account\",\"account\":\"%*12s\",\"number\":\"%19s\"}",
				number),
			 1);
	assert_int_equal(strlen(number), 19);
	assert_non_null(at = strchr(p.screen, '\n'));
	assert_string_equal(
		at + 1,
		"{\"event\":\"refused\",\"code\":\"INVAL\",\"reason\":\"this is neither an address "
		"nor a name: a tunnel's name has up to 63 letters, digits and hyphens\","
		"\"requested\":{\"address\":\"a?\",\"port\":9001}}\n"
		"{\"event\":\"forward\",\"tunnel\":\"anna\",\"kind\":\"http\",\"urls\":[\"http://"
		"anna.localhost:8080\"],\"requested\":{\"address\":\"localhost\",\"port\":80}}\n");
	(void)peer_screen(&p);
	serve(&w, "anna", &requests[0]);
	assert_non_null(at = strstr(p.screen, "\"tunnel\""));
	assert_string_equal(at, "\"tunnel\":\"anna\",\"visitor\":\"198.51.100.7\",\"method\":"
				"\"GET\",\"path\":\"/\\\"??\",\"status\":200,\"ms\":12,\"up\":3,"
				"\"down\":4}\n");
	assert_true(str_starts(str_of(p.screen), STR("{\"event\":\"request\",\"time\":\"2026-")));
	(void)peer_screen(&p);
	serve(&w, "anna", &requests[1]);
	assert_non_null(strstr(p.screen, "{\"event\":\"connection\","));
	assert_non_null(strstr(p.screen, "\"up\":6,\"down\":7,\"code\":\"RESET\"}\n"));
	(void)peer_screen(&p);
	p.owner->cancelled(p.arg, 1);
	assert_string_equal(peer_screen(&p), "{\"event\":\"detached\",\"tunnel\":\"anna\","
					     "\"code\":\"OK\",\"reason\":\"given up\"}\n");
	ssh_world_close(&w);
}

/* The number of a new account is shown once, to whoever looks first. */
static void test_the_number_is_shown_once(void **state)
{
	struct ssh_world w;
	struct peer p, q;

	peer_open_with(&w, &p);
	peer_words(&p, "", true);
	assert_true(str_starts(str_of(p.screen),
			       STR("this is a new account; its number, shown this once: ")));
	assert_non_null(strstr(p.screen, "\n" HINT));
	(void)peer_screen(&p);
	p.owner->typed(p.arg, STR(""));
	peer_words(&p, "", true);
	assert_string_equal(peer_screen(&p), HINT);
	peer_come(&q, &w, "anna"); /* the same key */
	peer_words(&q, "", false);
	assert_string_equal(peer_screen(&q), HINT);
	ssh_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_words),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_keys_that_end_it),
		cmocka_unit_test(test_lines_of_requests),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_who_is_told_of_requests),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_the_number_is_shown_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
