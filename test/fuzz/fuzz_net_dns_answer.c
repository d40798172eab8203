/* DNS answers: what is taken from one keeps to every cap, is a name or an address if it must be. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <string.h>

#include "base/err.h"
#include "net/net_dns_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_NAME "app.example.org"

static void fuzz_text(int type, struct str text)
{
	char copy[NET_DNS_NAME_MAX + 1], again[NET_DNS_NAME_MAX + 1];
	struct in6_addr ip;

	CHECK(text.len <= NET_DNS_TEXT_MAX);
	if (type == ns_t_txt)
		return;
	CHECK(str_copy(copy, sizeof copy, text) == 0);
	if (type == ns_t_cname) {
		CHECK(net_dns_name(text, again) == 0 && strcmp(copy, again) == 0);
		CHECK(strcmp(copy, FUZZ_NAME) != 0);
	} else {
		CHECK(inet_pton(type == ns_t_a ? AF_INET : AF_INET6, copy, &ip) == 1);
	}
}

static void fuzz_answer(int type, struct str packet)
{
	struct net_dns_found f = {.asked = FUZZ_NAME};
	int e = net_dns_answer_read(packet, FUZZ_NAME, type, &f);

	CHECK(e == 0 || e == ERR_NOTFOUND || e == ERR_PROTO);
	CHECK((e == 0) == (f.n > 0));
	CHECK(f.n <= (type == ns_t_cname ? NET_DNS_CHAIN_MAX : NET_DNS_TEXTS_MAX));
	for (size_t i = 0; i < f.n; i++) {
		fuzz_text(type, net_dns_found_text(&f, i));
		for (size_t k = 0; type == ns_t_cname && k < i; k++)
			CHECK(!str_eq(net_dns_found_text(&f, i), net_dns_found_text(&f, k)));
	}
	if (e == 0 && type != ns_t_cname) { /* once more: all of it again, and after it */
		size_t n = f.n;

		CHECK(net_dns_answer_read(packet, FUZZ_NAME, type, &f) ==
		      (n == NET_DNS_TEXTS_MAX ? ERR_NOTFOUND : 0));
		CHECK(f.n == MIN(2 * n, NET_DNS_TEXTS_MAX));
	}
	net_dns_found_free(&f);
}

/*
 * The first byte says which type is asked for (its two low bits), and whether the rest is a whole
 * message (its high bit) or what follows a head and a question: the number of records, the records.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int types[] = {ns_t_txt, ns_t_cname, ns_t_a, ns_t_aaaa};
	static const char head[] = "\0\1\x81\x80\0\1\0\0\0\0\0\0\3app\7example\3org\0\0\0\0\1";
	char packet[8192];
	int type;

	if (size < 2 || size > sizeof packet - sizeof head)
		return 0;
	type = types[data[0] & 3];
	if (data[0] & 0x80) {
		fuzz_answer(type, (struct str){(const char *)data + 1, size - 1});
		return 0;
	}
	memcpy(packet, head, sizeof head - 1);
	packet[7] = (char)data[1];
	packet[sizeof head - 4] = (char)type;
	memcpy(packet + sizeof head - 1, data + 2, size - 2);
	fuzz_answer(type, (struct str){packet, sizeof head - 1 + size - 2});
	return 0;
}
