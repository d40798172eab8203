/* How people write a proxy, and which servers they want without one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/err.h"
#include "proto/http_proxy.h"

static const struct {
	const char *why, *text, *shown; /* shown NULL: it is refused */
	const char *user, *password;	/* NULL: no login */
} writings[] = {
	{"with everything", "http://proxy.example:3128", "http://proxy.example:3128", NULL, NULL},
	{"a slash behind it", "http://proxy.example:3128/", "http://proxy.example:3128", NULL,
	 NULL},
	{"without a scheme", "proxy.example:3128", "http://proxy.example:3128", NULL, NULL},
	{"without a scheme, with a login", "me:pw@proxy:8080", "http://proxy:8080", "me", "pw"},
	{"the port of http", "http://proxy.example", "http://proxy.example", NULL, NULL},
	{"the port of https", "https://proxy.example", "https://proxy.example", NULL, NULL},
	{"capitals", "HTTP://Proxy.Example:8080", "http://proxy.example:8080", NULL, NULL},
	{"an IPv6 address", "http://u:p@[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "u", "p"},
	{"a user without a password", "http://me@p:1", "http://p:1", "me", ""},
	{"an empty password", "http://me:@p:1", "http://p:1", "me", ""},
	{"percent signs", "http://m%65:a%40b%3Ac%2fd%25@p:1", "http://p:1", "me", "a@b:c/d%"},
	{"a bare @ and : in the password", "http://me:a@b:c@p:1", "http://p:1", "me", "a@b:c"},
	{"UTF-8", "http://m\xc3\xa9:\xc3\xa9@p:1", "http://p:1", "m\xc3\xa9", "\xc3\xa9"},
	{"nothing", "", NULL, NULL, NULL},
	{"no host", "http://", NULL, NULL, NULL},
	{"no user", "http://:pw@p:1", NULL, NULL, NULL},
	{"a colon in the user", "http://a%3Ab:pw@p:1", NULL, NULL, NULL},
	{"a line end", "http://a:b%0d%0aX:y@p:1", NULL, NULL, NULL},
	{"a NUL", "http://a:b%00c@p:1", NULL, NULL, NULL},
	{"half a percent sign", "http://a:b%4@p:1", NULL, NULL, NULL},
	{"a percent sign alone", "http://a:50%@p:1", NULL, NULL, NULL},
	{"a path", "http://proxy.example:3128/proxy.pac", NULL, NULL, NULL},
	{"no port that can be", "http://proxy.example:99999", NULL, NULL, NULL},
	{"a host that cannot be", "http://a b:1", NULL, NULL, NULL},
	{"another protocol", "ftp://proxy.example:21", NULL, NULL, NULL},
	{"a WebSocket", "ws://proxy.example:21", NULL, NULL, NULL},
	{"SOCKS", "socks5://127.0.0.1:1080", NULL, NULL, NULL},
};

static void test_writings(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(writings); i++) {
		char shown[HTTP_PROXY_TEXT];
		const char *why = NULL;
		struct http_proxy p;
		int e = http_proxy_parse(str_of(writings[i].text), &p, &why);

		if ((e == 0) != (writings[i].shown != NULL) || (e == 0) != (why == NULL))
			fail_msg("%s: %d, %s", writings[i].why, e, why);
		if (e != 0)
			continue;
		http_proxy_format(&p, shown);
		if (strcmp(shown, writings[i].shown) != 0)
			fail_msg("%s: %s", writings[i].why, shown);
		assert_int_equal(p.login, writings[i].user != NULL);
		if (p.login) {
			assert_string_equal(p.user, writings[i].user);
			assert_string_equal(p.password, writings[i].password);
		}
	}
}

/* What is refused is told without what may be a password. */
static void test_refusals_keep_secrets(void **state)
{
	const char *why = NULL;
	struct http_proxy p;

	assert_int_equal(http_proxy_parse(STR("socks5h://u:hush@x:1080"), &p, &why), ERR_INVAL);
	assert_non_null(strstr(why, "SOCKS"));
	assert_int_equal(http_proxy_parse(STR("http://u:hush%@x:1080"), &p, &why), ERR_INVAL);
	assert_null(strstr(why, "hush"));
}

static void test_longest(void **state)
{
	char text[1200], basic[HTTP_PROXY_BASIC], word[HTTP_PROXY_USER_MAX + 2];
	struct http_proxy p;

	memset(word, 'x', sizeof word);
	word[HTTP_PROXY_USER_MAX] = '\0';
	str_printf(text, sizeof text, "http://%s:%s@p:1", word, word);
	assert_int_equal(http_proxy_parse(str_of(text), &p, NULL), 0);
	assert_int_equal(http_proxy_basic(&p, basic), HTTP_PROXY_BASIC - 1);
	str_printf(text, sizeof text, "http://%s:%sy@p:1", word, word);
	assert_int_equal(http_proxy_parse(str_of(text), &p, NULL), ERR_INVAL);
	memset(text, 'h', sizeof text);
	memcpy(text, "http://", 7);
	assert_int_equal(http_proxy_parse((struct str){text, sizeof text}, &p, NULL), ERR_INVAL);
}

static void test_basic(void **state)
{
	char basic[HTTP_PROXY_BASIC];
	struct http_proxy p;

	/* Source: RFC 7617 2 */
	assert_int_equal(http_proxy_parse(STR("http://Aladdin:open%20sesame@p:1"), &p, NULL), 0);
	assert_int_equal(http_proxy_basic(&p, basic), 34);
	assert_string_equal(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static const struct {
	const char *why, *list, *server;
	bool spared;
} lists[] = {
	{"nothing in it", "", "https://a.example", false},
	{"everything", "*", "https://a.example", true},
	{"everything, among others", "x.org, *", "https://a.example", true},
	{"its name", "a.example", "https://a.example", true},
	{"in any case", "A.EXAMPLE", "https://a.example", true},
	{"one of several", "x.org,a.example,y.org", "https://a.example", true},
	{"spaces instead of commas", "x.org a.example\ty.org", "https://a.example", true},
	{"commas without anything between", ",,a.example,", "https://a.example", true},
	{"a name above it", "example", "https://a.example", true},
	{"with a dot in front", ".example", "https://a.example", true},
	{"a dot in front, the name itself", ".a.example", "https://a.example", true},
	{"with a star in front", "*.example", "https://a.example", true},
	{"with a dot at the end", "a.example.", "https://a.example", true},
	{"the end of a label is no label", "ample", "https://a.example", false},
	{"a name below it", "b.a.example", "https://a.example", false},
	{"another name", "b.example", "https://a.example", false},
	{"a star in the middle is none", "a.*", "https://a.example", false},
	{"a dot alone", ".", "https://a.example", false},
	{"its port", "a.example:8443", "https://a.example:8443", true},
	{"the port of the scheme", "a.example:443", "https://a.example", true},
	{"another port", "a.example:8443", "https://a.example", false},
	{"a port that is none", "a.example:", "https://a.example", false},
	{"a port beyond all", "a.example:99999", "https://a.example", false},
	{"an address", "192.0.2.7", "http://192.0.2.7:8080", true},
	{"an address with a port", "192.0.2.7:8080", "http://192.0.2.7:8080", true},
	{"an address with another port", "192.0.2.7:80", "http://192.0.2.7:8080", false},
	{"another address", "192.0.2.70", "http://192.0.2.7", false},
	{"no end of an address is a name", "2.7", "http://192.0.2.7", false},
	{"a block", "192.0.2.0/24", "http://192.0.2.7", true},
	{"a block with bits beyond", "192.0.2.1/24", "http://192.0.2.7", true},
	{"another block", "192.0.3.0/24", "http://192.0.2.7", false},
	{"all of IPv4", "0.0.0.0/0", "http://192.0.2.7", true},
	{"all of IPv4 is none of IPv6", "0.0.0.0/0", "http://[2001:db8::1]", false},
	{"a block too long", "192.0.2.7/33", "http://192.0.2.7", false},
	{"a block without a length", "192.0.2.7/", "http://192.0.2.7", false},
	{"a block of no address", "a.example/8", "https://a.example", false},
	{"a name is in no block", "0.0.0.0/0", "https://a.example", false},
	{"an IPv6 address", "2001:db8::1", "http://[2001:db8::1]", true},
	{"written otherwise", "2001:DB8:0::0:1", "http://[2001:db8::1]", true},
	{"in brackets", "[2001:db8::1]", "http://[2001:db8::1]", true},
	{"in brackets with a port", "[2001:db8::1]:80", "http://[2001:db8::1]", true},
	{"in brackets with another port", "[2001:db8::1]:81", "http://[2001:db8::1]", false},
	{"an IPv6 block", "2001:db8::/32", "http://[2001:db8::1]", true},
	{"localhost by name only", "127.0.0.1", "http://localhost:8080", false},
	{"localhost", "localhost,127.0.0.1", "http://localhost:8080", true},
};

static void test_lists(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct url server;

		assert_int_equal(url_parse(str_of(lists[i].server), &server, NULL), 0);
		if (http_proxy_is_spared(str_of(lists[i].list), &server) != lists[i].spared)
			fail_msg("%s: %s", lists[i].why, lists[i].list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writings), cmocka_unit_test(test_refusals_keep_secrets),
		cmocka_unit_test(test_longest),	 cmocka_unit_test(test_basic),
		cmocka_unit_test(test_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
