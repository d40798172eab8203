/* Reading DNS answers: what they say, what they must not say, and where they stop. */
#include "net/net_dns_answer.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/nameser.h>
#include <string.h>

#include "base/err.h"
#include "dns_packet.h"

#define NAME  "app.example.org"
#define AFTER (NS_HFIXEDSZ + sizeof NAME + 1 + NS_QFIXEDSZ) /* where the first record stands */

static int read_all(const struct dns_packet *p, int type, struct net_dns_found *f)
{
	*f = (struct net_dns_found){.asked = NAME};
	return net_dns_answer_read(dns_bytes(p), NAME, type, f);
}

static void test_answers(void **state)
{
	static const struct {
		const char *why;
		int type;
		struct dns_rr rrs[5];
		int want;
		const char *texts[5];
	} cases[] = {
		{"one text", ns_t_txt, {{NAME, ns_t_txt, "karez=1"}}, 0, {"karez=1"}},
		{"several strings are one text",
		 ns_t_txt,
		 {{NAME, ns_t_txt, "ka|re||z"}},
		 0,
		 {"karez"}},
		{"an empty text", ns_t_txt, {{NAME, ns_t_txt, ""}}, 0, {""}},
		{"two texts, in their order",
		 ns_t_txt,
		 {{NAME, ns_t_txt, "b"}, {NAME, ns_t_txt, "a"}},
		 0,
		 {"b", "a"}},
		{"names differ in case only",
		 ns_t_txt,
		 {{"APP.Example.ORG", ns_t_txt, "yes"}},
		 0,
		 {"yes"}},
		{"a text of another name is not ours",
		 ns_t_txt,
		 {{"other.example.org", ns_t_txt, "no"}},
		 ERR_NOTFOUND,
		 {0}},
		{"nor is one of a single label that only looks like our name",
		 ns_t_txt,
		 {{"app/example/org", ns_t_txt, "no"}},
		 ERR_NOTFOUND,
		 {0}},
		{"a text behind aliases, which stand in any order",
		 ns_t_txt,
		 {{"y.net", ns_t_txt, "yes"},
		  {"x.net", ns_t_cname, "y.net"},
		  {NAME, ns_t_cname, "x.net"}},
		 0,
		 {"yes"}},
		{"with aliases only there is no text",
		 ns_t_txt,
		 {{NAME, ns_t_cname, "x.net"}},
		 ERR_NOTFOUND,
		 {0}},
		{"aliases in a circle lead to no text",
		 ns_t_txt,
		 {{NAME, ns_t_cname, "x.net"}, {"x.net", ns_t_cname, NAME}},
		 ERR_NOTFOUND,
		 {0}},
		{"a chain, in lower case and its own order",
		 ns_t_cname,
		 {{"x.net", ns_t_cname, "Y.NET"}, {NAME, ns_t_cname, "X.net"}},
		 0,
		 {"x.net", "y.net"}},
		{"a link that does not hang on the chain",
		 ns_t_cname,
		 {{NAME, ns_t_cname, "x.net"}, {"z.net", ns_t_cname, "tunnel.karez.example"}},
		 0,
		 {"x.net"}},
		{"a chain that comes back to the name that was asked for",
		 ns_t_cname,
		 {{NAME, ns_t_cname, "x.net"}, {"x.net", ns_t_cname, NAME}},
		 0,
		 {"x.net"}},
		{"a chain that comes back to itself",
		 ns_t_cname,
		 {{NAME, ns_t_cname, "x.net"},
		  {"x.net", ns_t_cname, "y.net"},
		  {"y.net", ns_t_cname, "x.net"}},
		 0,
		 {"x.net", "y.net"}},
		{"an alias of itself", ns_t_cname, {{NAME, ns_t_cname, NAME}}, ERR_NOTFOUND, {0}},
		{"no alias", ns_t_cname, {{NAME, ns_t_txt, "x"}}, ERR_NOTFOUND, {0}},
		{"an alias that is no host name",
		 ns_t_cname,
		 {{NAME, ns_t_cname, "a b.net"}},
		 ERR_PROTO,
		 {0}},
		{"an alias that is the root", ns_t_cname, {{NAME, ns_t_cname, ""}}, ERR_PROTO, {0}},
		{"an address, and one of the other kind",
		 ns_t_a,
		 {{NAME, ns_t_a, "192.0.2.1"}, {NAME, ns_t_aaaa, "2001:db8::1"}},
		 0,
		 {"192.0.2.1"}},
		{"an IPv6 address",
		 ns_t_aaaa,
		 {{NAME, ns_t_aaaa, "2001:DB8::0:1"}},
		 0,
		 {"2001:db8::1"}},
		{"nothing at all", ns_t_a, {{0}}, ERR_NOTFOUND, {0}},
	};
	static struct dns_packet p;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_dns_found f;
		size_t n = 0;

		print_message("%s\n", cases[i].why);
		dns_begin(&p, 1, 0, NAME, cases[i].type);
		for (size_t k = 0; k < 5 && cases[i].rrs[k].owner != NULL; k++)
			dns_add(&p, &cases[i].rrs[k]);
		assert_int_equal(read_all(&p, cases[i].type, &f), cases[i].want);
		for (; n < 5 && cases[i].texts[n] != NULL; n++) {
			assert_true(n < f.n);
			assert_true(str_eq(net_dns_found_text(&f, n), str_of(cases[i].texts[n])));
		}
		assert_int_equal(f.n, n);
		assert_false(f.more);
		net_dns_found_free(&f);
	}
}

/* Cut anywhere, an answer is refused, and nothing behind its end is looked at. */
static void test_cut_anywhere(void **state)
{
	static const struct dns_rr rrs[] = {{NAME, ns_t_cname, "x.net"},
					    {"x.net", ns_t_txt, "yes|no"}};
	static struct dns_packet p;
	char copy[512];

	dns_begin(&p, 1, 0, NAME, ns_t_txt);
	dns_add(&p, &rrs[0]);
	dns_add(&p, &rrs[1]);
	for (size_t len = 0; len <= p.len; len++) {
		struct net_dns_found f = {.asked = NAME};
		char *end = copy + sizeof copy - len; /* the end of the memory that may be read */
		int e;

		memcpy(end, p.bytes, len);
		e = net_dns_answer_read((struct str){end, len}, NAME, ns_t_txt, &f);
		assert_int_equal(e, len < p.len ? ERR_PROTO : 0);
		assert_int_equal(f.n, len < p.len ? 0 : 1);
		net_dns_found_free(&f);
	}
}

static void test_head(void **state)
{
	static const struct {
		const char *why;
		size_t at;
		unsigned value;
		int want;
	} cases[] = {
		{"as it should be", 2, 0x8180, 0},
		{"no such name, but its aliases: they are told", 2, 0x8183, 0},
		{"a question is no answer", 2, 0x0180, ERR_PROTO},
		{"SERVFAIL", 2, 0x8182, ERR_PROTO},
		{"a code that nobody knows", 2, 0x818f, ERR_PROTO},
		{"no question", 4, 0, ERR_PROTO},
		{"two questions", 4, 2, ERR_PROTO},
		{"more records than there are", 6, 2, ERR_PROTO},
		{"another name", NS_HFIXEDSZ, 0x0362, ERR_PROTO},
		{"another type", AFTER - 4, ns_t_a, ERR_PROTO},
		{"another class", AFTER - 2, ns_c_chaos, ERR_PROTO},
	};
	static const struct dns_rr rr = {NAME, ns_t_cname, "x.net"};
	static struct dns_packet p;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_dns_found f;

		print_message("%s\n", cases[i].why);
		dns_begin(&p, 1, 0, NAME, ns_t_cname);
		assert_int_equal(p.len, AFTER);
		dns_add(&p, &rr);
		dns_patch(&p, cases[i].at, cases[i].value);
		assert_int_equal(read_all(&p, ns_t_cname, &f), cases[i].want);
		assert_int_equal(f.n, cases[i].want == 0);
		net_dns_found_free(&f);
	}
}

/* Data of an alias, byte for byte; it stands 12 bytes behind AFTER. */
static void test_compression(void **state)
{
	static const struct {
		const char *why;
		struct str data;
		int want;
		const char *text;
	} cases[] = {
		{"a label, and the rest elsewhere", STR("\1x\xc0\x10"), 0, "x.example.org"},
		{"a pointer to itself", STR("\xc0\x2d"), ERR_PROTO, NULL},
		{"a label and back to it", STR("\1x\xc0\x2d"), ERR_PROTO, NULL},
		{"behind the end", STR("\xff\xff"), ERR_PROTO, NULL},
		{"half a pointer", STR("\1x\xc0"), ERR_PROTO, NULL},
		{"a label of a kind that does not exist", STR("\x41x"), ERR_PROTO, NULL},
		{"data goes on behind the name", STR("\1x\0z"), ERR_PROTO, NULL},
		{"the name goes on behind the data", STR("\4x"), ERR_PROTO, NULL},
		{"a dot inside of a label", STR("\5x.net\0"), ERR_PROTO, NULL},
		{"a NUL inside of a label", STR("\2x\0\3net\0"), ERR_PROTO, NULL},
	};
	static struct dns_packet p;

	assert_int_equal(AFTER + 12, 0x2d);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_dns_found f;

		print_message("%s\n", cases[i].why);
		dns_begin(&p, 1, 0, NAME, ns_t_cname);
		dns_add_raw(&p, NAME, ns_t_cname, cases[i].data);
		assert_int_equal(read_all(&p, ns_t_cname, &f), cases[i].want);
		if (cases[i].text != NULL)
			assert_true(str_eq(net_dns_found_text(&f, 0), str_of(cases[i].text)));
		net_dns_found_free(&f);
	}
}

/* A name stands where the pointer leads, but behind it. */
static void test_forward(void **state)
{
	static struct dns_packet p;
	struct net_dns_found f;

	assert_int_equal(AFTER + 12 + 2 + 12, 0x3b);
	dns_begin(&p, 1, 0, NAME, ns_t_cname);
	dns_add_raw(&p, NAME, ns_t_cname, STR("\xc0\x3b"));
	dns_add_raw(&p, NAME, ns_t_txt, STR("\1x\0"));
	assert_memory_equal(p.bytes + 0x3b, "\1x", 3);
	assert_int_equal(read_all(&p, ns_t_cname, &f), ERR_PROTO);
	net_dns_found_free(&f);
}

/* A name of the greatest length is read; each label of it may point to the next one. */
static void test_long_names(void **state)
{
	static struct dns_packet p;
	struct net_dns_found f;
	char label[66] = "\x3f", data[256];
	size_t len = 0;

	memset(label + 1, 'a', 63);
	for (int i = 0; i < 3; i++, len += 64)
		memcpy(data + len, label, 64);
	memcpy(data + len, label, 62);
	data[len] = 61;
	len += 62;
	data[len++] = 0;
	assert_int_equal(len, NS_MAXCDNAME);
	dns_begin(&p, 1, 0, NAME, ns_t_cname);
	dns_add_raw(&p, NAME, ns_t_cname, (struct str){data, len});
	assert_int_equal(read_all(&p, ns_t_cname, &f), 0);
	assert_int_equal(net_dns_found_text(&f, 0).len, NET_DNS_NAME_MAX);
	net_dns_found_free(&f);

	data[192] = 62; /* one more */
	memcpy(data + 254, "a", 2);
	dns_begin(&p, 1, 0, NAME, ns_t_cname);
	dns_add_raw(&p, NAME, ns_t_cname, (struct str){data, len + 1});
	assert_int_equal(read_all(&p, ns_t_cname, &f), ERR_PROTO);
	net_dns_found_free(&f);
}

/* A long way backwards by pointers alone ends too. */
static void test_many_pointers(void **state)
{
	static struct dns_packet p;
	struct net_dns_found f;
	char way[1000];
	size_t at = AFTER + 12;

	for (size_t i = 0; i < sizeof way; i += 2) {
		size_t to = i == 0 ? NS_HFIXEDSZ : at + i - 2;

		way[i] = (char)(NS_CMPRSFLGS | to >> 8);
		way[i + 1] = (char)to;
	}
	dns_begin(&p, 1, 0, NAME, ns_t_cname);
	dns_add_raw(&p, NAME, ns_t_txt, (struct str){way, sizeof way});
	dns_add_raw(&p, NAME, ns_t_cname, (struct str){way + 998, 2});
	assert_int_equal(read_all(&p, ns_t_cname, &f), ERR_PROTO);
	net_dns_found_free(&f);
}

static void test_caps(void **state)
{
	static const struct dns_rr text = {NAME, ns_t_txt, "x"},
				   address = {NAME, ns_t_a, "192.0.2.1"};
	static struct dns_packet p;
	static char strings[5 * 256];
	struct net_dns_found f;
	size_t i;

	print_message("texts\n");
	dns_begin(&p, 1, 0, NAME, ns_t_txt);
	for (i = 0; i < NET_DNS_TEXTS_MAX; i++)
		dns_add(&p, &text);
	assert_int_equal(read_all(&p, ns_t_txt, &f), 0);
	assert_int_equal(f.n, NET_DNS_TEXTS_MAX);
	assert_false(f.more);
	net_dns_found_free(&f);
	dns_add(&p, &text);
	assert_int_equal(read_all(&p, ns_t_txt, &f), 0);
	assert_int_equal(f.n, NET_DNS_TEXTS_MAX);
	assert_true(f.more);
	net_dns_found_free(&f);

	print_message("records that are looked at\n");
	dns_begin(&p, 1, 0, NAME, ns_t_txt);
	for (i = 0; i < NET_DNS_RECORDS_MAX; i++)
		dns_add(&p, &address);
	dns_add(&p, &text);
	assert_int_equal(read_all(&p, ns_t_txt, &f), ERR_NOTFOUND);
	assert_true(f.more);
	net_dns_found_free(&f);

	print_message("bytes of a text, all texts of the longest\n");
	dns_begin(&p, 1, 0, NAME, ns_t_txt);
	for (i = 0; i < sizeof strings; i++)
		strings[i] = (char)(i % 256 == 0 ? 255 : 'a' + i % 26);
	for (i = 0; i < NET_DNS_TEXTS_MAX; i++)
		dns_add_raw(&p, NAME, ns_t_txt, (struct str){strings, sizeof strings});
	assert_int_equal(read_all(&p, ns_t_txt, &f), 0);
	assert_int_equal(f.n, NET_DNS_TEXTS_MAX);
	assert_int_equal(net_dns_found_text(&f, f.n - 1).len, NET_DNS_TEXT_MAX);
	assert_memory_equal(net_dns_found_text(&f, f.n - 1).p, strings + 1, 255);
	assert_memory_equal(net_dns_found_text(&f, f.n - 1).p + 255, strings + 257, 255);
	assert_true(f.more);
	net_dns_found_free(&f);
}

static void test_chain_cap(void **state)
{
	static struct dns_packet p;

	for (size_t n = NET_DNS_CHAIN_MAX; n <= NET_DNS_CHAIN_MAX + 1; n++) {
		struct net_dns_found f;
		char from[32] = NAME, to[32];

		dns_begin(&p, 1, 0, NAME, ns_t_cname);
		for (size_t i = 1; i <= n; i++) {
			struct dns_rr rr = {from, ns_t_cname, to};

			str_printf(to, sizeof to, "n%zu.net", i);
			dns_add(&p, &rr);
			memcpy(from, to, sizeof from);
		}
		assert_int_equal(read_all(&p, ns_t_cname, &f), 0);
		assert_int_equal(f.n, NET_DNS_CHAIN_MAX);
		assert_true(str_eq(net_dns_found_text(&f, f.n - 1), STR("n16.net")));
		assert_int_equal(f.more, n > NET_DNS_CHAIN_MAX);
		net_dns_found_free(&f);
	}
}

/* An answer that goes wrong halfway leaves what others have said. */
static void test_an_error_adds_nothing(void **state)
{
	static const struct dns_rr good = {NAME, ns_t_txt, "good"}, more = {NAME, ns_t_txt, "more"};
	static struct dns_packet p;
	struct net_dns_found f;

	dns_begin(&p, 1, 0, NAME, ns_t_txt);
	dns_add(&p, &good);
	assert_int_equal(read_all(&p, ns_t_txt, &f), 0);
	dns_add_raw(&p, NAME, ns_t_txt, STR("\5bad"));
	assert_int_equal(net_dns_answer_read(dns_bytes(&p), NAME, ns_t_txt, &f), ERR_PROTO);
	assert_int_equal(f.n, 1);
	dns_begin(&p, 1, 0, NAME, ns_t_txt);
	dns_add(&p, &more);
	assert_int_equal(net_dns_answer_read(dns_bytes(&p), NAME, ns_t_txt, &f), 0);
	assert_int_equal(f.n, 2);
	assert_true(str_eq(net_dns_found_text(&f, 0), STR("good")));
	assert_true(str_eq(net_dns_found_text(&f, 1), STR("more")));
	net_dns_found_free(&f);
}

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_names(void **state)
{
	static const struct {
		const char *why;
		struct str name;
		const char *want;
	} cases[] = {
		{"a name", STR("app.example.org"), "app.example.org"},
		{"upper case and a trailing dot", STR("App.Example.ORG."), "app.example.org"},
		{"underscores", STR("_karez.my_app.example.org"), "_karez.my_app.example.org"},
		{"one label", STR("localhost"), "localhost"},
		{"the longest label", STR(L63 ".org"), L63 ".org"},
		{"a label too long", STR(L63 "a.org"), NULL},
		{"the longest name",
		 STR(L63 "." L63 "." L63 "."
			 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"),
		 L63 "." L63 "." L63 "."
		     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghi"},
		{"a name too long",
		 STR(L63 "." L63 "." L63 "."
			 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij"),
		 NULL},
		{"nothing", STR(""), NULL},
		{"the root", STR("."), NULL},
		{"two dots at the end", STR("a.."), NULL},
		{"an empty label", STR("a..b"), NULL},
		{"a dot in front", STR(".a"), NULL},
		{"a hyphen in front", STR("-a.org"), NULL},
		{"a hyphen at the end of a label", STR("a-.org"), NULL},
		{"a hyphen at the end", STR("a.org-"), NULL},
		{"an address", STR("192.0.2.1"), NULL},
		{"a space", STR("a b.org"), NULL},
		{"a backslash, which c-ares would read", STR("a\\.b.org"), NULL},
		{"a NUL", STR("a\0b.org"), NULL},
		{"no ASCII", STR("\xc3\xa4.org"), NULL},
		{"a wildcard", STR("*.example.org"), NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[NET_DNS_NAME_MAX + 1];
		int e;

		print_message("%s\n", cases[i].why);
		e = net_dns_name(cases[i].name, out);
		assert_int_equal(e, cases[i].want == NULL ? ERR_INVAL : 0);
		if (e == 0)
			assert_string_equal(out, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	      cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_head),	      cmocka_unit_test(test_compression),
		cmocka_unit_test(test_forward),	      cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_many_pointers), cmocka_unit_test(test_caps),
		cmocka_unit_test(test_chain_cap),     cmocka_unit_test(test_an_error_adds_nothing),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
