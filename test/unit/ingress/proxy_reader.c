/* PROXY headers of load balancers: whole, in pieces, broken, late, and of somebody else. */
#include "ingress/proxy_reader.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/log_pace.h"
#include "wire/wire_mem.h"

#define HEADER_MS 5000
#define V1	  "PROXY TCP4 203.0.113.9 198.51.100.1 5555 443\r\n"

struct desk {
	struct ev *ev;
	struct log log;
	char logged[8192];
	struct cidr trusted;
	struct proxy_reader *reader;
	struct proxy_entrance in;
	struct wire *far; /* owned */
	char got[100];
	bool eof;
	int why;
	int n_come;
	struct wire *come; /* owned */
	struct proxy_visitor who;
};

static struct desk D;

static void desk_on_log(void *arg, enum log_level level, const char *line, size_t len)
{
	strncat(D.logged, line, MIN(len, sizeof D.logged - strlen(D.logged) - 1));
}

static void desk_on_come(void *arg, struct wire *w, const struct proxy_visitor *v)
{
	assert_ptr_equal(arg, &D);
	D.n_come++;
	D.come = w;
	D.who = *v;
}

static void far_on_ready(void *arg, struct wire *w, int events)
{
	struct str in;

	if (wire_read(w, sizeof D.got, &in) == ERR_EOF) {
		D.eof = true;
		wire_want(w, 0);
	}
}

static void far_on_broken(void *arg, struct wire *w, int why)
{
	D.why = why;
}

static const struct wire_owner far_owner = {far_on_ready, far_on_broken};

static void desk_visit(const char *ip)
{
	struct proxy_visitor ends = {.tls = false};
	struct wire *near;

	assert_int_equal(visit_end_set(&ends.peer, str_of(ip), 1234), 0);
	assert_int_equal(visit_end_set(&ends.local, STR("192.0.2.1"), 80), 0);
	wire_close(D.far, 0);
	assert_int_equal(wire_mem_pair(D.ev, &(struct wire_mem_opt){0}, &near, &D.far), 0);
	D.why = 0;
	D.eof = false;
	wire_own(D.far, &far_owner, NULL);
	wire_want(D.far, WIRE_READ);
	proxy_entrance_serve(&D.in, near, &ends);
}

static void say(struct str bytes)
{
	assert_int_equal(wire_write_all(D.far, bytes), 0);
	ev_sim_run_for(D.ev, 1);
}

static void desk_open(void)
{
	struct proxy_reader_opt opt = {.trusted = &D.trusted,
				       .n_trusted = 1,
				       .header_ms = HEADER_MS,
				       .log = &D.log};

	memset(&D, 0, sizeof D);
	assert_int_equal(ev_sim_new(1, &D.ev), 0);
	D.log = (struct log){.level = LOG_INFO, .write = desk_on_log};
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &D.trusted), 0);
	assert_int_equal(proxy_reader_new(D.ev, &opt, &D.reader), 0);
	proxy_entrance_init(&D.in, D.reader);
	D.in.come = desk_on_come;
	D.in.arg = &D;
}

static void desk_close(void)
{
	proxy_entrance_end(&D.in);
	wire_close(D.come, 0);
	wire_close(D.far, 0);
	proxy_reader_free(D.reader);
	ev_sim_run_for(D.ev, 10);
	ev_free(D.ev);
}

static void expect_rest(const char *want)
{
	struct str in = {NULL, 0};

	if (want[0] == '\0') {
		assert_int_equal(wire_read(D.come, 100, &in), ERR_AGAIN);
		return;
	}
	assert_int_equal(wire_read(D.come, 100, &in), 0);
	assert_true(str_eq(in, str_of(want)));
}

/* ---- tests ---- */

#define V2     "\r\n\r\n\0\r\nQUIT\n"
#define V2_SSL "\x20\x00\x0f\x01\x00\x00\x00\x00\x21\x00\x07TLSv1.3"

static void test_what_headers_say(void **state)
{
	static const struct {
		const char *why;
		struct str header;
		const char *peer, *local, *rest;
		uint16_t peer_port, local_port;
		bool tls;
	} cases[] = {
		{"version 1", STR(V1), "203.0.113.9", "198.51.100.1", "", 5555, 443, false},
		{"bytes behind it", STR(V1 "GET /"), "203.0.113.9", "198.51.100.1", "GET /", 5555,
		 443, false},
		{"version 1 over IPv6", STR("PROXY TCP6 2001:db8::9 2001:db8::1 5555 443\r\n"),
		 "2001:db8::9", "2001:db8::1", "", 5555, 443, false},
		{"version 1 that does not know", STR("PROXY UNKNOWN\r\nx"), "10.1.2.3", "192.0.2.1",
		 "x", 1234, 80, false},
		{"version 2",
		 STR(V2 "\x21\x11\x00\x0c\xcb\x00\x71\x09\xc6\x33\x64\x01\x15\xb3\x01\xbb"
			"x"),
		 "203.0.113.9", "198.51.100.1", "x", 5555, 443, false},
		{"version 2 of the proxy itself",
		 STR(V2 "\x20\x00\x00\x00"
			"x"),
		 "10.1.2.3", "192.0.2.1", "x", 1234, 80, false},
		{"version 2 of a visitor that spoke TLS",
		 STR(V2 "\x21\x11\x00\x1e\xcb\x00\x71\x09\xc6\x33\x64\x01\x15\xb3\x01\xbb" V2_SSL),
		 "203.0.113.9", "198.51.100.1", "", 5555, 443, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		desk_open();
		desk_visit("10.1.2.3");
		say(cases[i].header);
		assert_int_equal(D.n_come, 1);
		assert_string_equal(D.who.peer.ip, cases[i].peer);
		assert_int_equal(D.who.peer.port, cases[i].peer_port);
		assert_string_equal(D.who.local.ip, cases[i].local);
		assert_int_equal(D.who.local.port, cases[i].local_port);
		assert_int_equal(D.who.tls, cases[i].tls);
		expect_rest(cases[i].rest);
		assert_string_equal(D.logged, "");
		assert_true(list_empty(&D.in.waiting));
		desk_close();
	}
}

/* However it is cut, and whatever comes with its last piece. */
static void test_every_split(void **state)
{
	static const char bytes[] = V1 "rest";
	size_t len = sizeof bytes - 1, header = sizeof V1 - 1;

	for (size_t cut = 1; cut < len; cut++) {
		desk_open();
		desk_visit("10.1.2.3");
		say((struct str){bytes, cut});
		assert_int_equal(D.n_come, cut >= header);
		say((struct str){bytes + cut, len - cut});
		assert_int_equal(D.n_come, 1);
		assert_string_equal(D.who.peer.ip, "203.0.113.9");
		expect_rest("rest");
		desk_close();
	}
	desk_open();
	desk_visit("10.1.2.3");
	for (size_t i = 0; i < header; i++)
		say((struct str){bytes + i, 1});
	assert_int_equal(D.n_come, 1);
	expect_rest("");
	desk_close();
}

static void test_who_is_turned_away(void **state)
{
	static const struct {
		const char *why, *ip, *bytes, *code;
		uint64_t wait;
		bool ends;
	} cases[] = {
		{"nobody we trust", "192.0.2.9", "", "code=DENIED", 0, false},
		{"no header", "10.1.2.3", "GET / HTTP/1.1\r\n", "code=PROTO", 0, false},
		{"a broken one", "10.1.2.3", "PROXY TCP4 1.2.3\r\n", "code=PROTO", 0, false},
		{"one that is too late", "10.1.2.3", "PROXY TCP4 1.2", "code=TIMEOUT", HEADER_MS,
		 false},
		{"silence", "10.1.2.3", "", "code=TIMEOUT", HEADER_MS, false},
		{"one that ends in the middle", "10.1.2.3", "PROXY", "code=EOF", 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("# %s\n", cases[i].why);
		desk_open();
		desk_visit(cases[i].ip);
		if (cases[i].bytes[0] != '\0')
			say(str_of(cases[i].bytes));
		if (cases[i].wait > 0) {
			ev_sim_run_for(D.ev, cases[i].wait - 100);
			assert_int_equal(D.why, 0);
		}
		if (cases[i].ends)
			wire_shut(D.far);
		ev_sim_run_for(D.ev, 200);
		assert_int_equal(D.why, ERR_RESET);
		assert_int_equal(D.n_come, 0);
		if (strstr(D.logged, cases[i].code) == NULL)
			fail_msg("%s", D.logged);
		assert_non_null(strstr(D.logged, cases[i].ip));
		assert_true(list_empty(&D.in.waiting));
		desk_close();
	}
}

/* Health checks of those whom we trust are no refusals. */
static void test_who_only_looks_is_not_told_of(void **state)
{
	for (int hard = 0; hard < 2; hard++) {
		desk_open();
		desk_visit("10.1.2.3");
		if (hard) {
			wire_close(D.far, ERR_RESET);
			D.far = NULL;
		} else {
			wire_shut(D.far);
		}
		ev_sim_run_for(D.ev, 100);
		assert_true(list_empty(&D.in.waiting));
		assert_int_equal(D.n_come, 0);
		assert_string_equal(D.logged, "");
		desk_close();
	}
}

static void test_the_door_closes(void **state)
{
	desk_open();
	desk_visit("10.1.2.3");
	say(STR("PROXY"));
	assert_false(list_empty(&D.in.waiting));
	proxy_entrance_end(&D.in);
	ev_sim_run_for(D.ev, 10);
	assert_int_equal(D.why, ERR_RESET);
	assert_string_equal(D.logged, "");
	desk_close();
}

static void test_strangers_do_not_flood_the_log(void **state)
{
	size_t n = 0;

	desk_open();
	for (int i = 0; i < 5 * LOG_PACE_PER_SECOND; i++)
		desk_visit("192.0.2.9");
	for (const char *p = D.logged; (p = strstr(p, "event=refused")) != NULL; p++)
		n++;
	assert_int_equal(n, LOG_PACE_PER_SECOND);
	ev_sim_run_for(D.ev, 1000);
	desk_visit("192.0.2.9");
	assert_non_null(strstr(D.logged, "\"80 more lines like these were left out\""));
	desk_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_headers_say),
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_who_is_turned_away),
		cmocka_unit_test(test_who_only_looks_is_not_told_of),
		cmocka_unit_test(test_the_door_closes),
		cmocka_unit_test(test_strangers_do_not_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
