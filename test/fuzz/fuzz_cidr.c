/* Addresses and blocks: what is accepted is written back to the same, and a block has its own. */
#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_ip(struct str s)
{
	char text[CIDR_IP_TEXT_MAX];
	uint8_t ip[16], again[16];
	size_t n;

	if (cidr_ip_parse(s, ip) != 0)
		return;
	n = cidr_ip_format(ip, text);
	CHECK(n > 0 && n < sizeof text && strlen(text) == n);
	CHECK(cidr_ip_parse((struct str){text, n}, again) == 0);
	CHECK(memcmp(ip, again, sizeof ip) == 0);
	CHECK(cidr_ip_is_v4(ip) == (strchr(text, ':') == NULL));
}

static void fuzz_block(struct str s)
{
	char text[CIDR_TEXT_MAX];
	struct cidr c, again;
	uint8_t ip[16];
	size_t n;

	if (cidr_parse(s, &c) != 0)
		return;
	n = cidr_format(&c, text);
	CHECK(n < sizeof text && strlen(text) == n);
	CHECK(cidr_parse((struct str){text, n}, &again) == 0);
	CHECK(memcmp(c.ip, again.ip, sizeof c.ip) == 0 && c.bits == again.bits && c.v4 == again.v4);
	memcpy(ip, c.ip, sizeof ip);
	CHECK(cidr_match(&c, ip));
	if (c.bits < 128 && c.bits > 0) {
		ip[15] |= 1;
		CHECK(cidr_match(&c, ip));
	}
	if (c.bits > 0) {
		memcpy(ip, c.ip, sizeof ip);
		ip[(c.bits - 1) / 8] ^= (uint8_t)(0x80 >> (c.bits - 1) % 8);
		CHECK(!cidr_match(&c, ip));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};

	fuzz_ip(s);
	fuzz_block(s);
	return 0;
}
