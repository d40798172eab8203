/* How people name servers and targets, and what they are told when it is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "proto/url.h"

struct want {
	const char *why, *in;
	enum url_scheme scheme;
	const char *host;
	unsigned port;
	const char *path, *text; /* text NULL: the same as `in` */
	bool websocket;
};

static void check(const struct want *w, int e, const struct url *u)
{
	char text[URL_TEXT_MAX];
	size_t len;

	if (e != 0)
		fail_msg("%s: \"%s\" is refused", w->why, w->in);
	if (u->scheme != w->scheme || u->port != w->port || u->websocket != w->websocket)
		fail_msg("%s: \"%s\" gives %d %u", w->why, w->in, u->scheme, u->port);
	assert_string_equal(u->host, w->host);
	assert_string_equal(u->path, w->path);
	len = url_format(u, text);
	assert_string_equal(text, w->text == NULL ? w->in : w->text);
	assert_int_equal(len, strlen(text));
}

static void test_url(void **state)
{
	static const struct want cases[] = {
		{"http", "http://a.example", URL_HTTP, "a.example", 80, "/"},
		{"a lone slash", "http://a.example/", URL_HTTP, "a.example", 80, "/",
		 "http://a.example"},
		{"a port", "http://a.example:8080", URL_HTTP, "a.example", 8080, "/"},
		{"the default port, said so", "http://a.example:80", URL_HTTP, "a.example", 80, "/",
		 "http://a.example"},
		{"an empty port", "http://a.example:/x", URL_HTTP, "a.example", 80, "/x",
		 "http://a.example/x"},
		{"https", "https://a.example", URL_HTTPS, "a.example", 443, "/"},
		{"https on port 80", "https://a.example:80", URL_HTTPS, "a.example", 80, "/"},
		{"a path", "http://a.example/b/c%20d", URL_HTTP, "a.example", 80, "/b/c%20d"},
		{"upper case", "HTTP://A.Example./Path", URL_HTTP, "a.example", 80, "/Path",
		 "http://a.example/Path"},
		{"an underscore", "http://my_app:3000", URL_HTTP, "my_app", 3000, "/"},
		{"IPv4", "http://127.0.0.1:3000", URL_HTTP, "127.0.0.1", 3000, "/"},
		{"IPv6", "http://[::1]:3000", URL_HTTP, "::1", 3000, "/"},
		{"IPv6, upper case, no port", "https://[2001:DB8::1]/x", URL_HTTPS, "2001:db8::1",
		 443, "/x", "https://[2001:db8::1]/x"},
		{"ws", "ws://a.example", URL_HTTP, "a.example", 80, "/", NULL, true},
		{"wss", "wss://a.example:444/x", URL_HTTPS, "a.example", 444, "/x", NULL, true},
		{"tcp", "tcp://db:5432", URL_TCP, "db", 5432, "/"},
		{"tcp and a slash", "tcp://db:5432/", URL_TCP, "db", 5432, "/", "tcp://db:5432"},
		{"tls", "tls://db:5432", URL_TLS, "db", 5432, "/"},
		{"tcps is tls", "tcps://db:5432", URL_TLS, "db", 5432, "/", "tls://db:5432"},
		{"a socket", "unix:/run/a.sock", URL_UNIX, "", 0, "/run/a.sock"},
		{"a socket that starts with two slashes", "unix:////a", URL_UNIX, "", 0, "//a"},
		{"a socket as URL", "unix:///run/a b.sock", URL_UNIX, "", 0, "/run/a b.sock",
		 "unix:/run/a b.sock"},
		{"a directory", "file:///srv/docs", URL_FILE, "", 0, "/srv/docs"},
		{"the root", "file:///", URL_FILE, "", 0, "/"},
		{"a directory with one slash", "file:/srv/docs/", URL_FILE, "", 0, "/srv/docs/",
		 "file:///srv/docs/"},
		{"a directory as people type it",
		 "FILE:///srv/my d\xc3\xb6"
		 "cs",
		 URL_FILE, "", 0, "/srv/my%20d%C3%B6cs", "file:///srv/my%20d%C3%B6cs"},
		{"escapes that need not be", "file:///%61%2f%25%3f", URL_FILE, "", 0, "/a/%25%3F",
		 "file:///a/%25%3F"},
		{"a directory that starts with two slashes", "file:////a", URL_FILE, "", 0, "//a"},
		{"the page of services", "karez+services:", URL_SERVICES, "", 0, "/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url u;
		int e = url_parse(str_of(cases[i].in), &u, NULL);

		check(&cases[i], e, &u);
	}
}

static void test_target(void **state)
{
	static const struct want cases[] = {
		{"a port", "3000", URL_HTTP, "localhost", 3000, "/", "http://localhost:3000"},
		{"the lowest", "1", URL_HTTP, "localhost", 1, "/", "http://localhost:1"},
		{"the highest", "65535", URL_HTTP, "localhost", 65535, "/",
		 "http://localhost:65535"},
		{"host and port", "web:80", URL_HTTP, "web", 80, "/", "http://web"},
		{"host and port, upper case", "Web.LAN:3000", URL_HTTP, "web.lan", 3000, "/",
		 "http://web.lan:3000"},
		{"IPv4", "10.0.0.1:3000", URL_HTTP, "10.0.0.1", 3000, "/", "http://10.0.0.1:3000"},
		{"IPv6", "[::1]:80", URL_HTTP, "::1", 80, "/", "http://[::1]"},
		{"a URL", "https://web:8443/app", URL_HTTPS, "web", 8443, "/app"},
		{"a URL without port", "https://web", URL_HTTPS, "web", 443, "/"},
		{"a WebSocket URL", "ws://web:1", URL_HTTP, "web", 1, "/", NULL, true},
		{"tcp and tls are read, too", "tls://db:5432", URL_TLS, "db", 5432, "/"},
		{"a socket", "unix:/run/a.sock", URL_UNIX, "", 0, "/run/a.sock"},
		{"a socket, upper case", "UNIX:/run/A.sock", URL_UNIX, "", 0, "/run/A.sock",
		 "unix:/run/A.sock"},
		{"a directory", "file:/srv/docs", URL_FILE, "", 0, "/srv/docs", "file:///srv/docs"},
		{"a host called file", "file:80", URL_HTTP, "file", 80, "/", "http://file"},
		{"a host called services", "services:81", URL_HTTP, "services", 81, "/",
		 "http://services:81"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url u;
		int e = url_parse_target(str_of(cases[i].in), URL_HTTP, &u, NULL);

		check(&cases[i], e, &u);
	}
}

static void test_tcp_target(void **state)
{
	static const struct want cases[] = {
		{"a port", "22", URL_TCP, "localhost", 22, "/", "tcp://localhost:22"},
		{"the port of HTTP", "80", URL_TCP, "localhost", 80, "/", "tcp://localhost:80"},
		{"host and port", "host:22", URL_TCP, "host", 22, "/", "tcp://host:22"},
		{"IPv6", "[::1]:22", URL_TCP, "::1", 22, "/", "tcp://[::1]:22"},
		{"tcp", "tcp://host:22", URL_TCP, "host", 22, "/"},
		{"tcp, upper case", "TCP://Host:22", URL_TCP, "host", 22, "/", "tcp://host:22"},
		{"tls", "tls://host:993", URL_TLS, "host", 993, "/"},
		{"tls on the port of https", "tls://host:443", URL_TLS, "host", 443, "/"},
		{"a socket", "unix:/run/a.sock", URL_UNIX, "", 0, "/run/a.sock"},
		{"http, which the caller refuses", "http://db:5432", URL_HTTP, "db", 5432, "/"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url u;
		int e = url_parse_target(str_of(cases[i].in), URL_TCP, &u, NULL);

		check(&cases[i], e, &u);
		assert_int_equal(url_is_tls(&u), cases[i].scheme == URL_TLS);
	}
}

struct refusal {
	const char *why, *in, *clause;
};

static const char port_range[] = "the port must be 1-65535";
static const char port_missing[] = "the port is missing, as in HOST:PORT";
static const char no_host[] = "that is not a host name or address";
static const char brackets[] = "an IPv6 address stands in brackets, as in [::1]:8080";
static const char escape[] = "the path has a character that must be written as %XX";
static const char query[] = "a query (?) or fragment (#) has no meaning here";
static const char schemes[] =
	"it must start with http://, https://, ws://, wss://, tcp://, tls://, unix: or file:";
static const char absolute[] = "the path of a directory starts with /, as in file:///srv/docs, and "
			       "no host is named";
static const char long_path[] = "the path is longer than 1023 bytes";
static const char forms[] =
	"a target is PORT, HOST:PORT, http://HOST:PORT, https://HOST:PORT, unix:/path or "
	"file:///path";

static void check_refusal(const struct refusal *r, int e, const struct url *u, const char *clause)
{
	if (e != ERR_INVAL || clause == NULL || strcmp(clause, r->clause) != 0)
		fail_msg("%s: \"%s\" gives %d, %s", r->why, r->in, e, clause);
	assert_int_equal(u->port, 7);
}

static void test_url_refused(void **state)
{
	static const struct refusal cases[] = {
		{"nothing", "", schemes},
		{"a port alone", "3000", schemes},
		{"a name alone", "a.example", schemes},
		{"host and port", "a.example:80", schemes},
		{"another scheme", "ftp://a.example", schemes},
		{"a space in front", " http://a.example", schemes},
		{"one slash", "http:/a.example",
		 "two slashes follow the scheme, as in http://HOST"},
		{"no host", "http://", "the host is missing"},
		{"no host, but a path", "http:///x", "the host is missing"},
		{"a port without a host", "http://:80", no_host},
		{"a password", "http://me:secret@a.example",
		 "a user name or password has no place here"},
		{"port 0", "http://a:0", port_range},
		{"port 65536", "http://a:65536", port_range},
		{"a port of letters", "http://a:b", port_range},
		{"no port for tcp", "tcp://a", port_missing},
		{"no port for tls", "tls://a:", port_missing},
		{"IPv6 without brackets", "http://::1", brackets},
		{"a space in the host", "http://a b", no_host},
		{"half an address", "http://127.1", no_host},
		{"brackets around a name", "http://[a]:1", no_host},
		{"a wildcard", "http://*:80", no_host},
		{"a query", "http://a/?x", query},
		{"a query without path", "http://a?x", query},
		{"a fragment", "http://a/#x", query},
		{"a space in the path", "http://a/b c", escape},
		{"a line break in the path", "http://a/b\r\nHost: b", escape},
		{"a byte above 0x7f in the path", "http://a/\xc3\xbc", escape},
		{"a bad escape", "http://a/%2", escape},
		{"another bad escape", "http://a/%2x", escape},
		{"a path of tcp", "tcp://a:1/x", "tcp and tls have no path"},
		{"a relative socket", "unix:a.sock",
		 "the path of a socket starts with /, as in unix:/run/a.sock"},
		{"a socket with a host", "unix://a/b",
		 "the path of a socket starts with /, as in unix:/run/a.sock"},
		{"a socket without a name", "unix:/",
		 "the path of a socket starts with /, as in unix:/run/a.sock"},
		{"a socket with a line break", "unix:/a\nb", "the path has control characters"},
		{"a relative directory", "file:docs", absolute},
		{"a directory of a host", "file://nas/docs", absolute},
		{"even of this one", "file://localhost/docs", absolute},
		{"no directory", "file:", absolute},
		{"a directory and a query", "file:///a?b",
		 "in the path of a directory, ? is written %3F and # %23"},
		{"a bad escape in a directory", "file:///100%",
		 "in the path of a directory, % is written %25"},
		{"a NUL in a directory", "file:///a%00b",
		 "in the path of a directory, % is written %25"},
		{"a line break in a directory", "file:///a%0ab", "the path has control characters"},
		{"more than the page of services", "karez+services:a",
		 "nothing follows karez+services:"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url u = {.port = 7};
		const char *clause = NULL;
		int e = url_parse(str_of(cases[i].in), &u, &clause);

		check_refusal(&cases[i], e, &u, clause);
		assert_int_equal(url_parse(str_of(cases[i].in), &u, NULL), ERR_INVAL);
	}
}

static void test_target_refused(void **state)
{
	static const struct refusal cases[] = {
		{"nothing", "", forms},
		{"letters", "abc", forms},
		{"port 0", "0", port_range},
		{"port 65536", "65536", port_range},
		{"port 70000", "70000", port_range},
		{"a port with a zero in front", "080", port_range},
		{"a port that does not fit a number", "99999999999999999999999", port_range},
		{"a negative port", "-1", forms},
		{"a signed port", "+80", forms},
		{"a name alone", "web", forms},
		{"a name and no port", "web:", port_missing},
		{"port 0 of a host", "web:0", port_range},
		{"a port too high", "web:65536", port_range},
		{"a port without a host", ":80", no_host},
		{"IPv6 without brackets", "::1:80", brackets},
		{"IPv6 without port", "[::1]", port_missing},
		{"a file", "/run/a.sock",
		 "a directory is written file:///path, a socket unix:/path"},
		{"a relative directory", "file:docs", absolute},
		{"a directory without a path", "file:", absolute},
		{"a path", "web:80/x",
		 "a path needs the scheme in front, as in http://HOST:PORT/path"},
		{"an unknown scheme", "gopher://web", schemes},
		{"a word before the scheme", "x http://web", schemes},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url u = {.port = 7};
		const char *clause = NULL;
		int e = url_parse_target(str_of(cases[i].in), URL_HTTP, &u, &clause);

		check_refusal(&cases[i], e, &u, clause);
	}
}

static void test_tcp_target_refused(void **state)
{
	static const char tcp_forms[] = "a target is PORT, HOST:PORT, tcp://HOST:PORT, "
					"tls://HOST:PORT or unix:/path";
	static const struct refusal cases[] = {
		{"nothing", "", tcp_forms},
		{"a name alone", "db", tcp_forms},
		{"port 0", "0", port_range},
		{"a name and no port", "db:", port_missing},
		{"tcp without port", "tcp://db", port_missing},
		{"tls without port", "tls://db", port_missing},
		{"a path", "db:22/x", "tcp and tls have no path"},
		{"a path of tls", "tls://db:22/x", "tcp and tls have no path"},
		{"a file", "/run/a.sock", "a socket is written unix:/path"},
		{"an unknown scheme", "udp://db:53", schemes},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct url u = {.port = 7};
		const char *clause = NULL;
		int e = url_parse_target(str_of(cases[i].in), URL_TCP, &u, &clause);

		check_refusal(&cases[i], e, &u, clause);
	}
}

static void test_limits(void **state)
{
	char in[URL_TEXT_MAX + 32], text[URL_TEXT_MAX];
	const char *why = NULL;
	struct url u;
	size_t n = str_printf(in, sizeof in, "http://a/");

	memset(in + n, 'x', URL_PATH_MAX);
	assert_int_equal(url_parse((struct str){in, n + URL_PATH_MAX - 1}, &u, NULL), 0);
	assert_int_equal(strlen(u.path), URL_PATH_MAX);
	assert_int_equal(url_format(&u, text), n + URL_PATH_MAX - 1);
	assert_int_equal(url_parse((struct str){in, n + URL_PATH_MAX}, &u, NULL), ERR_INVAL);

	n = str_printf(in, sizeof in, "unix:/");
	memset(in + n, 'x', URL_UNIX_MAX);
	assert_int_equal(url_parse((struct str){in, n + URL_UNIX_MAX - 1}, &u, NULL), 0);
	assert_int_equal(strlen(u.path), URL_UNIX_MAX);
	assert_int_equal(url_parse((struct str){in, n + URL_UNIX_MAX}, &u, NULL), ERR_INVAL);
	assert_int_equal(url_parse(STR("unix:/a\0b"), &u, NULL), ERR_INVAL);

	n = str_printf(in, sizeof in, "file:///");
	memset(in + n, 'x', URL_PATH_MAX);
	assert_int_equal(url_parse((struct str){in, n + URL_PATH_MAX - 1}, &u, NULL), 0);
	assert_int_equal(url_format(&u, text), n + URL_PATH_MAX - 1);
	url_file_path(&u, text);
	assert_int_equal(strlen(text), URL_PATH_MAX);
	assert_int_equal(url_parse((struct str){in, n + URL_PATH_MAX}, &u, NULL), ERR_INVAL);
	in[n] = ' '; /* three bytes once it is escaped */
	assert_int_equal(url_parse((struct str){in, n + URL_PATH_MAX - 1}, &u, &why), ERR_INVAL);
	assert_string_equal(why, long_path);
}

static void test_directories(void **state)
{
	static const struct {
		const char *url, *path;
	} cases[] = {
		{"file:///", "/"},
		{"file:///srv/docs", "/srv/docs"},
		{"file:///srv/docs/", "/srv/docs/"},
		{"file:///a%20b/100%25", "/a b/100%"},
		{"file:///d\xc3\xb6"
		 "cs",
		 "/d\xc3\xb6"
		 "cs"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[URL_PATH_MAX + 1];
		struct url u;

		assert_int_equal(url_parse(str_of(cases[i].url), &u, NULL), 0);
		url_file_path(&u, out);
		assert_string_equal(out, cases[i].path);
		assert_true(url_is_local(&u));
	}
}

static void test_authority(void **state)
{
	static const struct {
		const char *url, *authority;
		bool tls;
	} cases[] = {
		{"http://a.example", "a.example", false},
		{"https://a.example:443/x", "a.example", true},
		{"https://a.example:80", "a.example:80", true},
		{"http://[::1]:8080", "[::1]:8080", false},
		{"wss://a.example", "a.example", true},
		{"tls://a:443", "a:443", true},
		{"unix:/run/a.sock", "", false},
		{"file:///srv", "", false},
		{"karez+services:", "", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[HOSTNAME_AUTHORITY_MAX + 1];
		struct url u;

		assert_int_equal(url_parse(str_of(cases[i].url), &u, NULL), 0);
		assert_int_equal(url_format_authority(&u, out), strlen(cases[i].authority));
		assert_string_equal(out, cases[i].authority);
		assert_int_equal(url_is_tls(&u), cases[i].tls);
		assert_int_equal(url_is_local(&u), cases[i].authority[0] == '\0');
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_tcp_target),
		cmocka_unit_test(test_url_refused),
		cmocka_unit_test(test_target_refused),
		cmocka_unit_test(test_tcp_target_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_authority),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
