/*
 * One form for every address: 16 bytes, IPv4 mapped. A dual-stack listener reports IPv4 visitors as
 * ::ffff:192.0.2.1, a trusted-proxy list says 192.0.2.0/24, and both must mean the same.
 */
#include "proto/cidr.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"

static const uint8_t cidr_mapped[12] = {[10] = 0xff, [11] = 0xff};

int cidr_ip_parse(struct str s, uint8_t ip[16])
{
	char text[CIDR_IP_TEXT_MAX];

	if (s.len == 0 || memchr(s.p, '\0', s.len) != NULL || str_copy(text, sizeof text, s) != 0)
		return ERR_INVAL;
	if (memchr(s.p, ':', s.len) != NULL)
		return inet_pton(AF_INET6, text, ip) == 1 ? 0 : ERR_INVAL;
	if (inet_pton(AF_INET, text, ip + 12) != 1)
		return ERR_INVAL;
	memcpy(ip, cidr_mapped, sizeof cidr_mapped);
	return 0;
}

bool cidr_ip_is_v4(const uint8_t ip[16])
{
	return memcmp(ip, cidr_mapped, sizeof cidr_mapped) == 0;
}

/* By hand: inet_ntop prints IPv4 with sprintf, and this runs for every visitor. */
static size_t cidr_v4_format(const uint8_t b[4], char *out)
{
	char *p = out;

	for (int i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		if (b[i] >= 100)
			*p++ = (char)('0' + b[i] / 100);
		if (b[i] >= 10)
			*p++ = (char)('0' + b[i] / 10 % 10);
		*p++ = (char)('0' + b[i] % 10);
	}
	*p = '\0';
	return (size_t)(p - out);
}

size_t cidr_ip_format(const uint8_t ip[16], char out[CIDR_IP_TEXT_MAX])
{
	if (cidr_ip_is_v4(ip))
		return cidr_v4_format(ip + 12, out);
	CHECK(inet_ntop(AF_INET6, ip, out, CIDR_IP_TEXT_MAX) != NULL);
	return strlen(out);
}

/* Are the first `bits` bits equal? */
static bool cidr_prefix_eq(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

/* Is everything beyond the first `bits` bits 0? */
static bool cidr_rest_zero(const uint8_t ip[16], unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (ip[i / 8] & 0x80 >> i % 8)
			return false;
	return true;
}

int cidr_parse(struct str s, struct cidr *out)
{
	size_t slash = str_find(s, '/');
	struct str ip = {s.p, slash};
	bool dotted = str_find(ip, ':') == ip.len;
	struct cidr c = {.bits = 128};
	uint64_t n;

	if (cidr_ip_parse(ip, c.ip) != 0)
		return ERR_INVAL;
	if (slash < s.len) {
		if (num_parse((struct str){s.p + slash + 1, s.len - slash - 1}, dotted ? 32 : 128,
			      &n) != 0)
			return ERR_INVAL;
		c.bits = (uint8_t)(dotted ? n + 96 : n);
	}
	if (!cidr_rest_zero(c.ip, c.bits))
		return ERR_INVAL;
	c.v4 = c.bits >= 96 && cidr_ip_is_v4(c.ip);
	*out = c;
	return 0;
}

size_t cidr_format(const struct cidr *c, char out[CIDR_TEXT_MAX])
{
	size_t n = cidr_ip_format(c->ip, out);

	return n + str_printf(out + n, CIDR_TEXT_MAX - n, "/%d", c->v4 ? c->bits - 96 : c->bits);
}

bool cidr_match(const struct cidr *c, const uint8_t ip[16])
{
	return c->v4 == cidr_ip_is_v4(ip) && cidr_prefix_eq(c->ip, ip, c->bits);
}

bool cidr_match_any(const struct cidr *list, size_t n, const uint8_t ip[16])
{
	for (size_t i = 0; i < n; i++)
		if (cidr_match(&list[i], ip))
			return true;
	return false;
}

bool cidr_match_text(const struct cidr *list, size_t n, struct str ip)
{
	uint8_t binary[16];

	return cidr_ip_parse(ip, binary) == 0 && cidr_match_any(list, n, binary);
}
