/* CONNECT over memory wires: what is asked, what proxies answer, and what hostile ones do. */
#include "agent/proxy_connect.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/http_head.h"
#include "wire/wire_mem.h"

struct rig {
	struct ev *ev;
	struct http_proxy proxy;
	struct proxy_connect *connect;
	struct wire *far; /* the proxy's end */
	struct wire *got; /* what done() gave, now ours */
	int n_done, e;
	char why[PROXY_CONNECT_WHY];
	char asked[4096];
};

static void rig_on_done(void *arg, int e, struct wire *w, const char *why)
{
	struct rig *r = arg;

	r->n_done++;
	r->e = e;
	r->got = w;
	r->connect = NULL;
	assert_int_equal(w != NULL, e == 0);
	assert_int_equal(why[0] != '\0', e != 0);
	str_printf(r->why, sizeof r->why, "%s", why);
}

static void far_on_ready(void *arg, struct wire *w, int events)
{
	wire_want(w, 0);
}

static void far_on_broken(void *arg, struct wire *w, int why)
{
}

static const struct wire_owner far_owner = {far_on_ready, far_on_broken};

static void rig_open(struct rig *r, const char *proxy, const char *server, size_t max_write)
{
	struct wire_mem_opt mem = {.cap = 1 << 20, .max_write = max_write};
	struct proxy_connect_opt opt = {.done = rig_on_done, .arg = r};
	struct wire *near;
	struct url to;

	memset(r, 0, sizeof *r);
	assert_int_equal(ev_sim_new(5, &r->ev), 0);
	assert_int_equal(http_proxy_parse(str_of(proxy), &r->proxy, NULL), 0);
	assert_int_equal(url_parse(str_of(server), &to, NULL), 0);
	opt.proxy = &r->proxy;
	opt.to = &to;
	assert_int_equal(wire_mem_pair(r->ev, &mem, &near, &r->far), 0);
	wire_own(r->far, &far_owner, r);
	assert_int_equal(proxy_connect_start(r->ev, near, &opt, &r->connect), 0);
	assert_int_equal(r->n_done, 0);
	ev_sim_run_for(r->ev, 100);
}

/* What has come to the proxy so far. */
static const char *rig_asked(struct rig *r)
{
	size_t n = strlen(r->asked);
	struct str in;

	while (wire_read(r->far, sizeof r->asked - 1 - n, &in) == 0) {
		memcpy(r->asked + n, in.p, in.len);
		n += in.len;
		assert_true(n < sizeof r->asked - 1);
	}
	return r->asked;
}

static void rig_say(struct rig *r, const char *text, size_t len)
{
	assert_int_equal(wire_write_all(r->far, (struct str){text, len}), 0);
	ev_sim_run_for(r->ev, 10);
}

static void rig_close(struct rig *r)
{
	unsigned n = (unsigned)r->n_done;

	proxy_connect_cancel(r->connect);
	wire_close(r->got, ERR_CLOSED);
	wire_close(r->far, ERR_CLOSED);
	ev_sim_run_for(r->ev, 60000);
	assert_int_equal(r->n_done, n);
	ev_free(r->ev);
}

static void test_asks(void **state)
{
	static const struct {
		const char *why, *proxy, *server, *want;
	} cases[] = {
		{"a name", "http://p:3128", "https://tunnel.example",
		 "CONNECT tunnel.example:443 HTTP/1.1\r\nHost: tunnel.example:443\r\n"
		 "User-Agent: karez/" KAREZ_VERSION "\r\n\r\n"},
		{"http with its port", "http://p:3128", "http://tunnel.example/below",
		 "CONNECT tunnel.example:80 HTTP/1.1\r\nHost: tunnel.example:80\r\n"
		 "User-Agent: karez/" KAREZ_VERSION "\r\n\r\n"},
		{"an IPv6 address", "http://p:3128", "https://[2001:db8::1]:8443",
		 "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"
		 "User-Agent: karez/" KAREZ_VERSION "\r\n\r\n"},
		{"a login", "http://Aladdin:open%20sesame@p:3128", "https://a.example:1",
		 "CONNECT a.example:1 HTTP/1.1\r\nHost: a.example:1\r\n"
		 "User-Agent: karez/" KAREZ_VERSION "\r\n"
		 "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_open(&r, cases[i].proxy, cases[i].server, i);
		if (strcmp(rig_asked(&r), cases[i].want) != 0)
			fail_msg("%s: %s", cases[i].why, r.asked);
		rig_close(&r);
	}
}

static const struct {
	const char *why, *login, *says;
	int want;
	const char *words; /* in the sentence; "" with 0 */
} answers[] = {
	{"200", "", "HTTP/1.1 200 Connection established\r\n\r\n", 0, ""},
	{"an old proxy", "", "HTTP/1.0 200 OK\r\nProxy-agent: x\r\n\r\n", 0, ""},
	{"204", "", "HTTP/1.1 204 No Content\r\n\r\n", 0, ""},
	{"a length, which means nothing here", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
	 0, ""},
	{"an interim answer first", "", "HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", 0, ""},
	{"407 to nobody", "",
	 "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
	 "Content-Length: 0\r\n\r\n",
	 ERR_AUTH,
	 "the proxy http://p.example:3128 wants a user name and password: give --proxy "
	 "http://user:password@p.example:3128"},
	{"407 to somebody", "me:hush@", "HTTP/1.1 407 No\r\n\r\n", ERR_AUTH,
	 "the proxy http://p.example:3128 does not accept the user name and password that it was "
	 "given: it says \"407 No\""},
	{"401 to somebody, as tinyproxy says it", "me:hush@",
	 "HTTP/1.0 401 Unauthorized\r\nServer: tinyproxy\r\n\r\n", ERR_AUTH,
	 "does not accept the user name and password"},
	{"403", "", "HTTP/1.1 403 Filtered\r\nContent-Length: 9999\r\n\r\nbody", ERR_DENIED,
	 "the proxy http://p.example:3128 does not let us through to a.example:443: it says \"403 "
	 "Filtered\""},
	{"502", "", "HTTP/1.1 502 Bad Gateway\r\n\r\n", ERR_UNREACH,
	 "the proxy http://p.example:3128 cannot connect to a.example:443: it says \"502 Bad "
	 "Gateway\""},
	{"no reason", "", "HTTP/1.1 503\r\n\r\n", ERR_UNREACH, "it says \"503\""},
	{"a reason that would be obeyed", "", "HTTP/1.1 403 a\"b\xff\xfe\r\n\r\n", ERR_DENIED,
	 "it says \"403 a'b??\""},
	{"a redirect is not followed", "", "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n",
	 ERR_DENIED, "it says \"302 Found\""},
	{"another protocol that nobody asked for", "",
	 "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", ERR_DENIED,
	 "it says \"101 Switching\""},
	{"interim answers without an end", "",
	 "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
	 "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
	 "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	 ERR_DENIED, "it says \"100 C\""},
	{"something else", "", "SSH-2.0-OpenSSH\r\n", ERR_PROTO,
	 "the proxy http://p.example:3128 does not answer as an HTTP proxy does"},
	{"a TLS alert", "", "\x15\x03\x01\x02\x02\x46", ERR_PROTO, "does not answer as an HTTP"},
	{"lines that end in LF", "", "HTTP/1.1 200 OK\n\n", ERR_PROTO, "does not answer as an"},
	{"a status that is none", "", "HTTP/1.1 999 OK\r\n\r\n", ERR_PROTO, "does not answer as"},
	{"another HTTP", "", "HTTP/2.0 200 OK\r\n\r\n", ERR_PROTO, "does not answer as an HTTP"},
	{"two lengths", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
	 ERR_PROTO, "does not answer as an HTTP proxy"},
};

/* Every answer in one piece and byte by byte. */
static void test_answers(void **state)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(answers); i++) {
		const char *says = answers[i / 2].says;
		size_t piece = i % 2 == 0 ? strlen(says) : 1;
		char proxy[128];
		struct rig r;

		str_printf(proxy, sizeof proxy, "http://%sp.example:3128", answers[i / 2].login);
		rig_open(&r, proxy, "https://a.example", 0);
		rig_asked(&r);
		for (; *says != '\0' && r.n_done == 0; says += piece)
			rig_say(&r, says, piece);
		if (r.n_done != 1 || r.e != answers[i / 2].want ||
		    strstr(r.why, answers[i / 2].words) == NULL)
			fail_msg("%s: %d %d %s", answers[i / 2].why, r.n_done, r.e, r.why);
		assert_null(strstr(r.why, "hush"));
		rig_close(&r);
	}
}

/* What stands behind the head is the server's, wherever the pieces end. */
static void test_first_words(void **state)
{
	static const char head[] = "HTTP/1.1 102 W\r\n\r\nHTTP/1.0 200 OK\r\nVia: x\r\n\r\n",
			  first[] = "the server speaks first";
	char all[sizeof head + sizeof first];
	size_t len = str_printf(all, sizeof all, "%s%s", head, first);

	for (size_t cut = 1; cut < len; cut++) {
		char got[64];
		size_t n = 0;
		struct str in;
		struct rig r;

		rig_open(&r, "http://p:1", "https://a.example", 0);
		rig_asked(&r);
		rig_say(&r, all, cut);
		rig_say(&r, all + cut, len - cut);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.e, 0);
		wire_own(r.got, &far_owner, &r);
		while (wire_read(r.got, sizeof got - n, &in) == 0) {
			memcpy(got + n, in.p, in.len);
			n += in.len;
		}
		assert_int_equal(n, strlen(first));
		assert_memory_equal(got, first, n);
		rig_close(&r);
	}
}

static void test_ends(void **state)
{
	static const struct {
		const char *why, *says;
		int close; /* as the proxy closes; 0: an ordinary end */
		const char *words;
	} cases[] = {
		{"an end at once", "", 0, "has closed the connection without an answer"},
		{"a reset at once", "", ERR_RESET, "has closed the connection without an answer"},
		{"half a head", "HTTP/1.1 200 Conn", 0,
		 "has closed the connection in the middle of its answer"},
		{"half a head and a reset", "HTTP/1.1 200 OK\r\n", ERR_RESET,
		 "has closed the connection in the middle of its answer"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rig r;

		rig_open(&r, "http://p:1", "https://a.example", 0);
		rig_asked(&r);
		if (cases[i].says[0] != '\0')
			rig_say(&r, cases[i].says, strlen(cases[i].says));
		if (cases[i].close == 0)
			wire_shut(r.far);
		else
			wire_close(r.far, cases[i].close);
		if (cases[i].close != 0)
			r.far = NULL;
		ev_sim_run_for(r.ev, 100);
		if (r.n_done != 1 || r.e != ERR_RESET || strstr(r.why, cases[i].words) == NULL)
			fail_msg("%s: %d %d %s", cases[i].why, r.n_done, r.e, r.why);
		rig_close(&r);
	}
}

/* Silence ends, and so does a drop now and then. */
static void test_deadline(void **state)
{
	static const char *const says[] = {"", "HTTP/1.1 200 OK\r\nX: "};

	for (size_t i = 0; i < ARRAY_LEN(says); i++) {
		struct rig r;

		rig_open(&r, "http://p:1", "https://a.example", 0);
		rig_asked(&r);
		if (says[i][0] != '\0')
			rig_say(&r, says[i], strlen(says[i]));
		for (unsigned ms = 0; ms < PROXY_CONNECT_MS - 1000; ms += 1000) {
			assert_int_equal(r.n_done, 0);
			if (says[i][0] != '\0')
				rig_say(&r, "x", 1);
			ev_sim_run_for(r.ev, 1000 - 10);
		}
		ev_sim_run_for(r.ev, 2000);
		assert_int_equal(r.n_done, 1);
		assert_int_equal(r.e, ERR_TIMEOUT);
		assert_non_null(strstr(r.why, "the proxy http://p:1 has not answered for 15 s"));
		rig_close(&r);
	}
}

/* A head without an end is not kept for ever. */
static void test_endless_head(void **state)
{
	char line[1024];
	size_t sent = 0;
	struct rig r;

	memset(line, 'x', sizeof line);
	memcpy(line, "X: ", 3);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	rig_open(&r, "http://p:1", "https://a.example", 0);
	rig_asked(&r);
	rig_say(&r, "HTTP/1.1 200 OK\r\n", 17);
	for (; r.n_done == 0 && sent < 4 * HTTP_HEAD_MAX; sent += sizeof line)
		rig_say(&r, line, sizeof line);
	assert_int_equal(r.n_done, 1);
	assert_int_equal(r.e, ERR_PROTO);
	assert_true(sent <= 2 * HTTP_HEAD_MAX);
	rig_close(&r);
}

static void test_cancel(void **state)
{
	struct rig r;

	proxy_connect_cancel(NULL);
	rig_open(&r, "http://p:1", "https://a.example", 0);
	rig_say(&r, "HTTP/1.1 200", 12);
	proxy_connect_cancel(r.connect);
	r.connect = NULL;
	ev_sim_run_for(r.ev, 2 * PROXY_CONNECT_MS);
	assert_int_equal(r.n_done, 0);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),	    cmocka_unit_test(test_answers),
		cmocka_unit_test(test_first_words), cmocka_unit_test(test_ends),
		cmocka_unit_test(test_deadline),    cmocka_unit_test(test_endless_head),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
