/* A directory as a web site, through the net that shows it, on virtual time. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/site_find.h"
#include "agent/site_page.h"
#include "agent/site_send.h"
#include "agent/site_type.h"
#include "base/err.h"
#include "unit/agent/site_rig.h"

#define BIG (1 << 20)

static void open_with_files(struct site_rig *r, bool plain)
{
	char *big = malloc(BIG + 1);

	assert_non_null(big);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)('a' + i % 26);
	big[BIG] = '\0';
	site_rig_open(r);
	site_rig_file(r, "root/a.txt", "0123456789");
	site_rig_file(r, "root/big", big);
	site_rig_file(r, "root/empty", "");
	site_rig_file(r, "root/sub", NULL);
	site_rig_file(r, "root/sub/b.html", "<p>b");
	site_rig_file(r, "root/made", NULL);
	site_rig_file(r, "root/made/index.html", "made");
	site_rig_file(r, "root/odd", NULL);
	site_rig_file(r, "root/odd/index.html", NULL);
	site_rig_file(r, "root/.hidden", "hidden");
	r->opt.plain = plain;
	site_rig_net(r);
	free(big);
}

/* has: what stands in the answer; lacks: what does not. */
static const struct {
	const char *why, *path, *fields;
	int status;
	const char *has, *lacks;
} cases[] = {
	{"a file", "/a.txt", "", 200, "\r\n\r\n0123456789", "Connection: close"},
	{"its type", "/a.txt", "", 200, "Content-Type: text/plain; charset=utf-8\r\n"},
	{"no guessing", "/a.txt", "", 200, "X-Content-Type-Options: nosniff\r\n"},
	{"an empty file", "/empty", "", 200, "Content-Length: 0\r\n"},
	{"a part of an empty file", "/empty", "Range: bytes=0-\r\n", 416, "bytes */0"},
	{"the end of an empty file", "/empty", "Range: bytes=-5\r\n", 200, "Content-Length: 0\r\n"},
	{"a list", "/", "", 200, "<a href=\"./sub/\">", "hidden"},
	{"a list has no way up at the root", "/", "", 200, "</html>", "href=\"../\""},
	{"a list below", "/sub/", "", 200, "<a href=\"../\">"},
	{"a page by hand", "/made/", "", 200, "\r\n\r\nmade"},
	{"a directory called like it", "/odd/", "", 200, "<a href=\"./index.html/\">"},
	{"a directory without its slash", "/sub?x=1", "", 301, "Location: /sub/?x=1\r\n"},
	{"no other host", "//sub", "", 301, "Location: /sub/\r\n"},
	{"a file with a slash", "/a.txt/", "", 404, NULL, "0123"},
	{"hidden", "/.hidden", "", 404, NULL, "hidden\n"},
	{"nothing", "/none", "", 404, "404 Not Found"},
	{"a bad path", "/%00", "", 400, "malformed"},
	{"a whole URL", "http://a.example/a.txt", "", 200, "0123456789"},
	{"a whole URL without path", "http://a.example", "", 200, "Index of /"},
	{"a range", "/a.txt", "Range: bytes=2-4\r\n", 206, "\r\n\r\n234"},
	{"its place", "/a.txt", "Range: bytes=2-4\r\n", 206, "Content-Range: bytes 2-4/10\r\n"},
	{"two fields of ranges", "/a.txt", "Range: bytes=2-4\r\nRange: bytes=2-4\r\n", 200,
	 "0123456789"},
	{"a range outside", "/a.txt", "Range: bytes=10-\r\n", 416, "Content-Range: bytes */10\r\n",
	 "0123456789"},
	{"several ranges", "/a.txt", "Range: bytes=0-1,8-\r\n", 206,
	 "Content-Type: multipart/byteranges; boundary="},
	{"the first of them", "/a.txt", "Range: bytes=0-1,8-\r\n", 206,
	 "Content-Range: bytes 0-1/10\r\n\r\n01\r\n--"},
	{"the last of them", "/a.txt", "Range: bytes=0-1,8-\r\n", 206,
	 "Content-Range: bytes 8-9/10\r\n\r\n89\r\n--"},
	{"a range of a list", "/", "Range: bytes=0-1\r\n", 200, "</html>"},
	{"known already", "/a.txt", "If-None-Match: *\r\n", 304, NULL, "0123456789"},
	{"not what was expected", "/a.txt", "If-Match: \"x\"\r\n", 412, NULL, "0123456789"},
	{"a body", "/a.txt", "Content-Length: 3\r\n", 200, "Connection: close\r\n"},
	{"the last one", "/a.txt", "Connection: close\r\n", 200, "Connection: close\r\n"},
};

static void test_answers(void **state)
{
	for (int plain = 0; plain < 2; plain++) {
		struct site_rig r;

		open_with_files(&r, plain);
		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
			site_rig_get(&r, cases[i].path, cases[i].fields);
			if (site_rig_status(&r) != cases[i].status ||
			    (cases[i].has != NULL && !site_rig_has(&r, cases[i].has)) ||
			    (cases[i].lacks != NULL && site_rig_has(&r, cases[i].lacks)))
				fail_msg("%s: %s", cases[i].why, r.got);
			assert_true(site_rig_has(&r, "\r\nDate: Thu, 01 Jan 2026 "));
		}
		site_rig_close(&r);
	}
}

/* The length that a head tells. */
static size_t told_length(const struct site_rig *r)
{
	const char *at = strstr(r->got, "Content-Length: ");

	assert_non_null(at);
	return strtoul(at + 16, NULL, 10);
}

static void test_lengths(void **state)
{
	static const struct {
		const char *path, *fields;
	} rows[] = {
		{"/", ""},
		{"/a.txt", ""},
		{"/big", ""},
		{"/big", "Range: bytes=5-500000\r\n"},
		{"/big", "Range: bytes=0-99999,200000-299999, -1\r\n"},
		{"/none", ""},
	};
	struct site_rig r;
	const char *body;

	open_with_files(&r, false);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		site_rig_get(&r, rows[i].path, rows[i].fields);
		assert_int_equal(r.n_got - (size_t)(site_rig_body(&r) - r.got), told_length(&r));
	}
	site_rig_get(&r, "/big", "");
	body = site_rig_body(&r);
	for (size_t i = 0; i < BIG; i++)
		if (body[i] != (char)('a' + i % 26))
			fail_msg("byte %zu", i);
	site_rig_close(&r);
}

static void test_heads_alone(void **state)
{
	static const char *const paths[] = {"/", "/a.txt", "/big", "/sub", "/none"};
	char text[100], length[40];
	struct site_rig r;

	open_with_files(&r, false);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		int status;

		site_rig_get(&r, paths[i], "");
		status = site_rig_status(&r);
		str_printf(length, sizeof length, "Content-Length: %zu\r\n", told_length(&r));
		str_printf(text, sizeof text, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
		site_rig_say(&r, text);
		assert_int_equal(site_rig_status(&r), status);
		assert_true(site_rig_has(&r, length));
		assert_string_equal(site_rig_body(&r), "");
	}
	site_rig_say(&r, "POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_int_equal(site_rig_status(&r), 405);
	assert_true(site_rig_has(&r, "Allow: GET, HEAD\r\n"));
	site_rig_close(&r);
}

static void test_dates(void **state)
{
	struct site_rig r;

	open_with_files(&r, false);
	site_rig_touch(&r, "root/a.txt", 784111777);
	site_rig_get(&r, "/a.txt", "");
	assert_true(site_rig_has(&r, "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	site_rig_get(&r, "/a.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	assert_int_equal(site_rig_status(&r), 304);
	assert_true(site_rig_has(&r, "\r\nETag: \""));
	site_rig_get(&r, "/a.txt",
		     "Range: bytes=0-0\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	assert_int_equal(site_rig_status(&r), 206);
	site_rig_touch(&r, "root/a.txt", 2000000000); /* of the future: not told */
	site_rig_get(&r, "/a.txt", "");
	assert_false(site_rig_has(&r, "Last-Modified"));
	site_rig_touch(&r, "root/a.txt", -100);
	site_rig_get(&r, "/a.txt", "");
	assert_int_equal(site_rig_status(&r), 200);
	site_rig_get(&r, "/", "");
	assert_true(site_rig_has(&r, "1970-01-01 00:00"));
	site_rig_close(&r);
}

static void test_very_many_conditions(void **state)
{
	static char fields[66000];
	char value[538];
	size_t n = 0;
	struct site_rig r;

	/* as much as a head may hold, without the spaces that we write behind colons */
	memset(value, 'x', sizeof value);
	value[sizeof value - 1] = '\0';
	for (int i = 0; i < 120; i++)
		n += str_printf(fields + n, sizeof fields - n, "Range:%s\r\n", value);
	open_with_files(&r, false);
	site_rig_get(&r, "/a.txt", fields);
	assert_int_equal(site_rig_status(&r), 400);
	site_rig_get(&r, "/a.txt", "");
	assert_int_equal(site_rig_status(&r), 200);
	site_rig_close(&r);
}

/* ---- what happens meanwhile ---- */

static void test_one_after_the_other(void **state)
{
	struct site_rig r;
	const char *second;

	open_with_files(&r, false);
	site_rig_say(&r,
		     "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\n\r\n"
		     "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
	second = strstr(r.got + 1, "HTTP/1.1 200");
	assert_non_null(second);
	assert_non_null(strstr(second + 1, "HTTP/1.1 404"));
	assert_false(r.eof);
	ev_sim_run_for(r.ev, 76000); /* nothing more is said */
	assert_true(r.eof);
	site_rig_close(&r);
}

static void test_a_visitor_who_does_not_read(void **state)
{
	struct site_rig r;

	open_with_files(&r, false);
	site_rig_dial(&r);
	r.lazy = true;
	site_rig_get(&r, "/big", "");
	ev_sim_run_for(r.ev, SITE_STALL_MS - 1000);
	assert_int_equal(r.why, 0);
	r.lazy = false; /* it was only a long pause */
	wire_want(r.wire, WIRE_READ);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.n_got - (size_t)(site_rig_body(&r) - r.got), BIG);

	r.lazy = true;
	site_rig_get(&r, "/big", "");
	ev_sim_run_for(r.ev, SITE_STALL_MS + 1000);
	assert_int_equal(r.why, ERR_RESET); /* not an end: the answer was cut */
	site_rig_close(&r);
}

static void test_a_file_that_shrinks(void **state)
{
	struct site_rig r;
	char path[256];

	open_with_files(&r, false);
	site_rig_dial(&r);
	r.lazy = true;
	site_rig_get(&r, "/big", "");
	assert_int_equal(truncate(site_rig_path(&r, "root/big", path), BIG / 2), 0);
	r.lazy = false;
	wire_want(r.wire, WIRE_READ);
	ev_sim_run_for(r.ev, 100);
	assert_true(r.n_got < BIG);
	assert_int_equal(r.why, ERR_RESET);
	site_rig_get(&r, "/a.txt", "");
	assert_int_equal(site_rig_status(&r), 200);
	site_rig_close(&r);
}

static void test_leaving_at_any_moment(void **state)
{
	for (int why = 0; why < 2; why++) {
		struct site_rig r;

		open_with_files(&r, false);
		site_rig_dial(&r);
		r.lazy = true;
		site_rig_get(&r, "/big", "");
		site_rig_leave(&r, why == 0 ? 0 : ERR_RESET);
		r.lazy = false;
		site_rig_get(&r, "/a.txt", "");
		assert_int_equal(site_rig_status(&r), 200);
		/* the request is on its way to the disk when the visitor goes */
		assert_int_equal(wire_write_all(r.wire,
						STR("GET /big HTTP/1.1\r\nHost: a\r\n\r\n")),
				 0);
		site_rig_leave(&r, ERR_RESET);
		site_rig_close(&r);
	}
}

static void test_the_end_of_the_net(void **state)
{
	struct site_rig r;

	open_with_files(&r, false);
	site_rig_dial(&r);
	r.lazy = true;
	site_rig_get(&r, "/big", "");
	site_net_free(r.net);
	r.net = NULL;
	r.lazy = false;
	wire_want(r.wire, WIRE_READ);
	ev_sim_run_for(r.ev, 100);
	assert_int_equal(r.why, ERR_RESET);
	site_rig_close(&r);
}

/* Whoever puts a page there does not want its directory listed, also if it cannot be shown. */
static void test_a_page_that_leads_nowhere(void **state)
{
	static const char *const links[] = {"../../secret", "/etc/hostname", "none", "index.html"};
	char path[256];
	struct site_rig r;

	for (size_t i = 0; i < 2 * ARRAY_LEN(links); i++) {
		open_with_files(&r, i >= ARRAY_LEN(links));
		site_rig_file(&r, "secret", "outside");
		assert_int_equal(symlink(links[i % ARRAY_LEN(links)],
					 site_rig_path(&r, "root/sub/index.html", path)),
				 0);
		site_rig_get(&r, "/sub/", "");
		if (site_rig_status(&r) != 403 || site_rig_has(&r, "b.html") ||
		    site_rig_has(&r, "outside"))
			fail_msg("%s: %d", links[i % ARRAY_LEN(links)], site_rig_status(&r));
		site_rig_close(&r);
	}
}

static void test_a_directory_that_goes(void **state)
{
	struct site_rig r;
	char path[256];

	open_with_files(&r, false);
	site_rig_get(&r, "/a.txt", "");
	assert_int_equal(rename(r.dir, site_rig_path(&r, "gone", path)), 0);
	site_rig_get(&r, "/a.txt", "");
	assert_int_equal(site_rig_status(&r), 503);
	assert_int_equal(rename(path, r.dir), 0);
	site_rig_get(&r, "/a.txt", "");
	assert_int_equal(site_rig_status(&r), 200);
	site_rig_close(&r);
}

/* ---- lists ---- */

static void test_a_list_is_bounded_and_sorted(void **state)
{
	char name[300], path[600];
	struct site_rig r;
	const char *at;
	size_t n = 0;

	site_rig_open(&r);
	memset(name, '<',
	       sizeof name); /* each takes four bytes in the page, and three in the link */
	for (int i = 0; i < 2000; i++) {
		FILE *f;

		str_printf(name + 196, sizeof name - 196, "%04d", i);
		str_printf(path, sizeof path, "%s/%s", r.dir, name);
		assert_non_null(f = fopen(path, "w"));
		fclose(f);
	}
	site_rig_net(&r);
	site_rig_get(&r, "/", "");
	assert_int_equal(site_rig_status(&r), 200);
	assert_true(r.n_got < SITE_PAGE_MAX + 4096);
	assert_true(site_rig_has(&r, "There is more here; "));
	assert_true(strcmp(r.got + r.n_got - 8, "</html>\n") == 0);
	for (at = r.got; (at = strstr(at, "<tr><td><a href=\"./")) != NULL; at++)
		n++;
	assert_in_range(n, 100, 1999);
	site_rig_close(&r);
}

static void test_sizes(void **state)
{
	static const struct {
		off_t size;
		const char *text;
	} rows[] = {
		{0, ">0 B<"},
		{1023, ">1023 B<"},
		{1024, ">1.0 KiB<"},
		{1536, ">1.5 KiB<"},
		{1048575, ">1023.9 KiB<"},
		{1048576, ">1.0 MiB<"},
		{5 << 20, ">5.0 MiB<"},
		{(off_t)3 << 40, ">3.0 TiB<"},
	};
	struct site_rig r;
	char path[256];

	site_rig_open(&r);
	site_rig_file(&r, "root/f", "");
	site_rig_net(&r);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(truncate(site_rig_path(&r, "root/f", path), rows[i].size), 0);
		site_rig_get(&r, "/", "");
		if (!site_rig_has(&r, rows[i].text))
			fail_msg("%s: %s", rows[i].text, strstr(r.got, "href=\"./f\""));
	}
	site_rig_close(&r);
}

static void test_types(void **state)
{
	static const struct {
		const char *name, *type;
	} rows[] = {
		{"a.html", "text/html; charset=utf-8"},
		{"A.HTML", "text/html; charset=utf-8"},
		{"a/b.c/d.png", "image/png"},
		{"a.tar.gz", "application/gzip"},
		{"a", "application/octet-stream"},
		{"a.unknown", "application/octet-stream"},
		{".html", "application/octet-stream"},
		{"x/.html", "application/octet-stream"},
		{"a.", "application/octet-stream"},
		{"html", "application/octet-stream"},
		{"x.html/a", "application/octet-stream"},
		{"", "application/octet-stream"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct str type = site_type_of(str_of(rows[i].name));

		if (!str_eq(type, str_of(rows[i].type)))
			fail_msg("%s: " STR_FMT, rows[i].name, STR_ARG(type));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_heads_alone),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_very_many_conditions),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_a_visitor_who_does_not_read),
		cmocka_unit_test(test_a_file_that_shrinks),
		cmocka_unit_test(test_leaving_at_any_moment),
		cmocka_unit_test(test_the_end_of_the_net),
		cmocka_unit_test(test_a_page_that_leads_nowhere),
		cmocka_unit_test(test_a_directory_that_goes),
		cmocka_unit_test(test_a_list_is_bounded_and_sorted),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
