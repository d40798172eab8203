/*
 * A load balancer in front of us, or the service behind us, sees an address that is not the
 * visitor's; this header carries the right one. It comes before any byte of the visitor, from a
 * peer that is trusted with nothing else, so whatever is not exactly as the specification has it is
 * refused.
 */
#include "proto/proxy_protocol.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/pen.h"

/* Names of the specification, without their PP2_. */
enum {
	PROXY_V2_HEAD = 16, /* signature, version and command, family and protocol, length */

	PROXY_CMD_LOCAL = 0x20,
	PROXY_CMD_PROXY = 0x21,

	PROXY_AF_UNSPEC = 0,
	PROXY_AF_INET = 1,
	PROXY_AF_INET6 = 2,
	PROXY_AF_UNIX = 3,
	PROXY_STREAM = 1,
	PROXY_DGRAM = 2,

	PROXY_TYPE_ALPN = 0x01,
	PROXY_TYPE_AUTHORITY = 0x02,
	PROXY_TYPE_CRC32C = 0x03,
	PROXY_TYPE_UNIQUE_ID = 0x05,
	PROXY_TYPE_SSL = 0x20,
	PROXY_SUBTYPE_SSL_VERSION = 0x21,
	PROXY_CLIENT_SSL = 0x01,
};

/* Types that we act on: a header has one of each at most. */
#define PROXY_TYPES_ONCE                                                          \
	(UINT64_C(1) << PROXY_TYPE_ALPN | UINT64_C(1) << PROXY_TYPE_AUTHORITY |   \
	 UINT64_C(1) << PROXY_TYPE_CRC32C | UINT64_C(1) << PROXY_TYPE_UNIQUE_ID | \
	 UINT64_C(1) << PROXY_TYPE_SSL)

static const char proxy_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* Bytes of both ends, by family. */
static const size_t proxy_ends_len[] = {
	[PROXY_AF_UNSPEC] = 0,
	[PROXY_AF_INET] = 2 * 4 + 2 * 2,
	[PROXY_AF_INET6] = 2 * 16 + 2 * 2,
	[PROXY_AF_UNIX] = 2 * 108,
};

static uint16_t proxy_u16(const char *p)
{
	return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]);
}

/* ---- version 1 ---- */

/*
 * Take a word of bytes out of `set` that ends before the byte `end`, which goes too.
 * Returns 0, ERR_AGAIN (its end has not come), ERR_PROTO (it has another byte, or none).
 */
static int proxy_v1_word(struct str *rest, const char *set, char end, struct str *word)
{
	size_t n = 0;

	while (n < rest->len && rest->p[n] != '\0' && strchr(set, rest->p[n]) != NULL)
		n++;
	if (n == rest->len)
		return ERR_AGAIN;
	if (n == 0 || rest->p[n] != end)
		return ERR_PROTO;
	*word = (struct str){rest->p, n};
	*rest = (struct str){rest->p + n + 1, rest->len - n - 1};
	return 0;
}

/* What must come literally. */
static int proxy_v1_literal(struct str *rest, struct str want)
{
	size_t n = MIN(rest->len, want.len);

	if (memcmp(rest->p, want.p, n) != 0)
		return ERR_PROTO;
	if (n < want.len)
		return ERR_AGAIN;
	*rest = (struct str){rest->p + n, rest->len - n};
	return 0;
}

/* Two addresses and two ports. */
static int proxy_v1_ends(struct str *rest, bool v6, struct proxy_header *h)
{
	const char *set = v6 ? "0123456789abcdefABCDEF:." : "0123456789.";
	struct visit_end *ends[] = {&h->src, &h->dst};
	struct str word;
	uint64_t port;
	int e;

	for (int i = 0; i < 2; i++) {
		if ((e = proxy_v1_word(rest, set, ' ', &word)) != 0)
			return e;
		if (v6 != (str_find(word, ':') < word.len) || visit_end_set(ends[i], word, 0) != 0)
			return ERR_PROTO;
	}
	for (int i = 0; i < 2; i++) {
		if ((e = proxy_v1_word(rest, "0123456789", i == 0 ? ' ' : '\r', &word)) != 0)
			return e;
		if (num_parse(word, UINT16_MAX, &port) != 0)
			return ERR_PROTO;
		ends[i]->port = (uint16_t)port;
	}
	return proxy_v1_literal(rest, STR("\n"));
}

/* "UNKNOWN": what follows up to the end of the line is to be ignored. */
static int proxy_v1_unknown(struct str *rest, struct proxy_header *h)
{
	size_t n = 0;

	h->local = true;
	if (rest->len > 0 && rest->p[0] != ' ' && rest->p[0] != '\r')
		return ERR_PROTO;
	while (n < rest->len && rest->p[n] >= ' ' && rest->p[n] <= '~')
		n++;
	*rest = (struct str){rest->p + n, rest->len - n};
	return rest->len == 0 ? ERR_AGAIN : proxy_v1_literal(rest, STR("\r\n"));
}

/* The line behind "PROXY ". */
static int proxy_v1_line(struct str *rest, struct proxy_header *h)
{
	int e;

	if (rest->len > 0 && rest->p[0] == 'U') {
		if ((e = proxy_v1_literal(rest, STR("UNKNOWN"))) != 0)
			return e;
		return proxy_v1_unknown(rest, h);
	}
	if ((e = proxy_v1_literal(rest, STR("TCP"))) != 0)
		return e;
	if (rest->len == 0)
		return ERR_AGAIN;
	if (rest->p[0] == '4') {
		e = proxy_v1_literal(rest, STR("4 "));
		return e != 0 ? e : proxy_v1_ends(rest, false, h);
	}
	e = proxy_v1_literal(rest, STR("6 "));
	return e != 0 ? e : proxy_v1_ends(rest, true, h);
}

static int proxy_v1_parse(struct str in, struct proxy_header *h, size_t *used)
{
	struct str rest = {in.p, MIN(in.len, (size_t)PROXY_V1_MAX)};
	int e;

	h->version = 1;
	if ((e = proxy_v1_literal(&rest, STR("PROXY "))) == 0)
		e = proxy_v1_line(&rest, h);
	if (e == ERR_AGAIN && in.len >= PROXY_V1_MAX)
		return ERR_TOOBIG;
	*used = (size_t)(rest.p - in.p);
	return e;
}

/* ---- version 2: type, length, value ---- */

struct proxy_tlv {
	uint8_t type;
	struct str value;
};

/*
 * Take one from the front.
 *   whole  bytes of *rest when everything has come; it may be shorter now.
 * Returns 0, ERR_AGAIN, ERR_PROTO (it does not fit).
 */
static int proxy_tlv_take(struct str *rest, size_t *whole, struct proxy_tlv *out)
{
	size_t len;

	if (*whole < 3)
		return ERR_PROTO;
	if (rest->len < 3)
		return ERR_AGAIN;
	len = proxy_u16(rest->p + 1);
	if (len > *whole - 3)
		return ERR_PROTO;
	if (len > rest->len - 3)
		return ERR_AGAIN;
	*out = (struct proxy_tlv){(uint8_t)rest->p[0], {rest->p + 3, len}};
	*rest = (struct str){rest->p + 3 + len, rest->len - 3 - len};
	*whole -= 3 + len;
	return 0;
}

/* CRC32C of some bytes, with its register from the ones before. Source: RFC 3720 B.4, reflected. */
static uint32_t proxy_crc32c(uint32_t crc, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= (uint8_t)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

/* Is the sum of the whole header, taken with zeros in its own place, the one that it tells? */
static bool proxy_crc_ok(struct str header, struct str sum)
{
	size_t before = (size_t)(sum.p - header.p), after = header.len - before - 4;
	uint32_t crc = proxy_crc32c(UINT32_MAX, header.p, before), told = 0;

	crc = proxy_crc32c(crc, "\0\0\0", 4);
	crc = ~proxy_crc32c(crc, sum.p + 4, after);
	for (int i = 0; i < 4; i++)
		told = told << 8 | (uint8_t)sum.p[i];
	return crc == told;
}

static int proxy_take_bytes(struct str value, uint8_t *to, size_t cap, size_t *len)
{
	if (value.len > cap)
		return ERR_PROTO;
	if (value.len > 0)
		memcpy(to, value.p, value.len);
	*len = value.len;
	return 0;
}

/* A name that is none tells nothing; the visitor may have sent it so. */
static void proxy_take_authority(struct str value, struct proxy_header *h)
{
	if (value.len > 0 && value.p[value.len - 1] == '.')
		value.len--;
	if (!hostname_resolvable(value))
		return;
	for (size_t i = 0; i < value.len; i++)
		h->sni[i] = ascii_lower(value.p[i]);
	h->sni[value.len] = '\0';
}

/* Bits of what the client did, four bytes that say whether its certificate was good, TLVs. */
static int proxy_take_ssl(struct str value, struct proxy_header *h)
{
	struct proxy_tlv t;
	struct str rest;
	size_t whole;
	int e;

	if (value.len < 5)
		return ERR_PROTO;
	h->tls = (value.p[0] & PROXY_CLIENT_SSL) != 0;
	rest = (struct str){value.p + 5, value.len - 5};
	whole = rest.len;
	while (whole > 0) {
		if ((e = proxy_tlv_take(&rest, &whole, &t)) != 0)
			return e;
		if (t.type != PROXY_SUBTYPE_SSL_VERSION || !h->tls)
			continue;
		for (size_t i = 0; i < t.value.len; i++)
			if (t.value.p[i] < ' ' || t.value.p[i] > '~')
				return ERR_PROTO;
		(void)!str_copy(h->tls_version, sizeof h->tls_version, t.value);
	}
	return 0;
}

/* What is not known is skipped. */
static int proxy_take(const struct proxy_tlv *t, struct proxy_header *h)
{
	switch (t->type) {
	case PROXY_TYPE_ALPN:
		return proxy_take_bytes(t->value, h->alpn, sizeof h->alpn, &h->alpn_len);
	case PROXY_TYPE_UNIQUE_ID:
		return proxy_take_bytes(t->value, h->id, sizeof h->id, &h->id_len);
	case PROXY_TYPE_AUTHORITY: proxy_take_authority(t->value, h); return 0;
	case PROXY_TYPE_CRC32C: return t->value.len == 4 ? 0 : ERR_PROTO;
	case PROXY_TYPE_SSL: return proxy_take_ssl(t->value, h);
	default: return 0;
	}
}

/*
 * All TLVs.
 *   header  what has come of the whole header, which has `whole` bytes.
 *   at      where they start.
 */
static int proxy_v2_tlvs(struct str header, size_t whole, size_t at, struct proxy_header *h)
{
	struct str rest = {header.p + at, header.len - at}, sum = {NULL, 0};
	uint64_t seen = 0, bit;
	struct proxy_tlv t;
	int e;

	whole -= at;
	while (whole > 0) {
		if ((e = proxy_tlv_take(&rest, &whole, &t)) != 0)
			return e;
		bit = t.type < 64 ? UINT64_C(1) << t.type & PROXY_TYPES_ONCE : 0;
		if (seen & bit)
			return ERR_PROTO; /* which one would count? */
		seen |= bit;
		if ((e = proxy_take(&t, h)) != 0)
			return e;
		if (t.type == PROXY_TYPE_CRC32C)
			sum = t.value;
	}
	return sum.p == NULL || proxy_crc_ok(header, sum) ? 0 : ERR_PROTO;
}

/* ---- version 2: the rest ---- */

/* Both ends, of a family that is IP. */
static void proxy_v2_ends(const char *p, bool v6, struct proxy_header *h)
{
	struct visit_end *ends[] = {&h->src, &h->dst};
	size_t len = v6 ? 16 : 4;

	for (int i = 0; i < 2; i++) {
		uint8_t ip[16] = {[10] = 0xff, [11] = 0xff}; /* IPv4 is mapped, see cidr.h */

		memcpy(ip + 16 - len, p + i * len, len);
		cidr_ip_format(ip, ends[i]->ip);
		ends[i]->port = proxy_u16(p + 2 * len + 2 * i);
	}
}

/*
 * The fixed part.
 *   *family  set to a PROXY_AF_*; PROXY_AF_UNSPEC also when what it says does not count.
 *   *whole   set to the bytes of the header.
 */
static int proxy_v2_head(struct str in, unsigned *family, size_t *whole)
{
	unsigned command, protocol;

	if (memcmp(in.p, proxy_signature, MIN(in.len, sizeof proxy_signature)) != 0)
		return ERR_PROTO;
	if (in.len < 13)
		return ERR_AGAIN;
	command = (uint8_t)in.p[12];
	if (command != PROXY_CMD_LOCAL && command != PROXY_CMD_PROXY)
		return ERR_PROTO;
	if (in.len < 14)
		return ERR_AGAIN;
	*family = (uint8_t)in.p[13] >> 4;
	protocol = (uint8_t)in.p[13] & 15;
	/* "must be rejected as invalid"; but what LOCAL says about them is ignored. */
	if (command == PROXY_CMD_PROXY && (*family > PROXY_AF_UNIX || protocol > PROXY_DGRAM))
		return ERR_PROTO;
	if (command == PROXY_CMD_LOCAL || protocol == 0)
		*family = PROXY_AF_UNSPEC;
	if (in.len < PROXY_V2_HEAD)
		return ERR_AGAIN;
	*whole = (size_t)PROXY_V2_HEAD + proxy_u16(in.p + 14);
	if (*whole < PROXY_V2_HEAD + proxy_ends_len[*family])
		return ERR_PROTO;
	return *whole > PROXY_V2_MAX ? ERR_TOOBIG : 0;
}

static int proxy_v2_parse(struct str in, struct proxy_header *h, size_t *used)
{
	size_t at = PROXY_V2_HEAD;
	unsigned family;
	int e;

	h->version = 2;
	if ((e = proxy_v2_head(in, &family, used)) != 0)
		return e;
	h->local = family != PROXY_AF_INET && family != PROXY_AF_INET6;
	at += proxy_ends_len[family];
	if (family == PROXY_AF_UNSPEC)
		return in.len < *used ? ERR_AGAIN : 0;
	if (in.len < at)
		return ERR_AGAIN;
	if (!h->local)
		proxy_v2_ends(in.p + PROXY_V2_HEAD, family == PROXY_AF_INET6, h);
	return proxy_v2_tlvs((struct str){in.p, MIN(in.len, *used)}, *used, at, h);
}

int proxy_protocol_parse(struct str in, struct proxy_header *out, size_t *used)
{
	struct proxy_header h = {.version = 0};
	size_t n = 0;
	int e;

	if (in.len == 0)
		return ERR_AGAIN;
	e = in.p[0] == 'P' ? proxy_v1_parse(in, &h, &n) : proxy_v2_parse(in, &h, &n);
	if (e != 0)
		return e;
	*out = h;
	*used = n;
	return 0;
}

/* ---- writing ---- */

/* Both ends as 16 bytes; false when one is not known. */
static bool proxy_ends(const struct proxy_header *h, uint8_t src[16], uint8_t dst[16])
{
	struct str s = {h->src.ip, strnlen(h->src.ip, sizeof h->src.ip)};
	struct str d = {h->dst.ip, strnlen(h->dst.ip, sizeof h->dst.ip)};

	return !h->local && cidr_ip_parse(s, src) == 0 && cidr_ip_parse(d, dst) == 0;
}

static void proxy_pen_u16(struct pen *pen, size_t n)
{
	pen_char(pen, (char)(n >> 8));
	pen_char(pen, (char)n);
}

static void proxy_pen_tlv(struct pen *pen, uint8_t type, const void *value, size_t len)
{
	if (len == 0)
		return;
	pen_char(pen, (char)type);
	proxy_pen_u16(pen, len);
	pen_str(pen, (struct str){value, len});
}

static void proxy_pen_ssl(struct pen *pen, const char *version, size_t len)
{
	pen_char(pen, PROXY_TYPE_SSL);
	proxy_pen_u16(pen, 5 + (len == 0 ? 0 : 3 + len));
	pen_char(pen, PROXY_CLIENT_SSL);
	pen_str(pen, (struct str){"\0\0\0\1", 4}); /* not 0: no certificate was verified */
	proxy_pen_tlv(pen, PROXY_SUBTYPE_SSL_VERSION, version, len);
}

/* An address as the family of both has it. */
static void proxy_pen_ip(struct pen *pen, const uint8_t ip[16], bool v4)
{
	char text[CIDR_IP_TEXT_MAX];

	if (!v4 && cidr_ip_is_v4(ip))
		pen_str(pen, STR("::ffff:"));
	cidr_ip_format(ip, text);
	pen_str(pen, str_of(text));
}

static void proxy_pen_v1(struct pen *pen, const struct proxy_header *h)
{
	char ports[sizeof " 65535 65535\r\n"];
	uint8_t src[16], dst[16];
	bool v4;

	if (!proxy_ends(h, src, dst)) {
		pen_str(pen, STR("PROXY UNKNOWN\r\n"));
		return;
	}
	v4 = cidr_ip_is_v4(src) && cidr_ip_is_v4(dst);
	pen_str(pen, v4 ? STR("PROXY TCP4 ") : STR("PROXY TCP6 "));
	proxy_pen_ip(pen, src, v4);
	pen_char(pen, ' ');
	proxy_pen_ip(pen, dst, v4);
	str_printf(ports, sizeof ports, " %u %u\r\n", h->src.port, h->dst.port);
	pen_str(pen, str_of(ports));
}

static void proxy_pen_v2(struct pen *pen, const struct proxy_header *h)
{
	uint8_t src[16], dst[16];
	size_t skip;
	bool v4;

	pen_str(pen, (struct str){proxy_signature, sizeof proxy_signature});
	if (!proxy_ends(h, src, dst)) {
		pen_char(pen, PROXY_CMD_LOCAL);
		pen_str(pen, (struct str){"\0\0\0", 3});
		return;
	}
	v4 = cidr_ip_is_v4(src) && cidr_ip_is_v4(dst);
	skip = v4 ? 12 : 0;
	pen_char(pen, PROXY_CMD_PROXY);
	pen_char(pen, (char)((v4 ? PROXY_AF_INET : PROXY_AF_INET6) << 4 | PROXY_STREAM));
	proxy_pen_u16(pen, 0); /* the length, see below */
	pen_str(pen, (struct str){(const char *)src + skip, 16 - skip});
	pen_str(pen, (struct str){(const char *)dst + skip, 16 - skip});
	proxy_pen_u16(pen, h->src.port);
	proxy_pen_u16(pen, h->dst.port);
	proxy_pen_tlv(pen, PROXY_TYPE_ALPN, h->alpn, h->alpn_len);
	proxy_pen_tlv(pen, PROXY_TYPE_AUTHORITY, h->sni, strnlen(h->sni, HOSTNAME_MAX));
	proxy_pen_tlv(pen, PROXY_TYPE_UNIQUE_ID, h->id, h->id_len);
	if (h->tls)
		proxy_pen_ssl(pen, h->tls_version,
			      strnlen(h->tls_version, sizeof h->tls_version - 1));
	pen->start[14] = (char)((pen_len(pen) - PROXY_V2_HEAD) >> 8);
	pen->start[15] = (char)(pen_len(pen) - PROXY_V2_HEAD);
}

void proxy_protocol_write(const struct proxy_header *h, uint8_t out[PROXY_WRITE_MAX], size_t *len)
{
	struct pen pen = pen_on((char *)out, PROXY_WRITE_MAX);

	CHECK(h->version == 1 || h->version == 2);
	CHECK(h->alpn_len <= sizeof h->alpn && h->id_len <= sizeof h->id);
	if (h->version == 1)
		proxy_pen_v1(&pen, h);
	else
		proxy_pen_v2(&pen, h);
	CHECK(!pen.full); /* the longest has 723 bytes */
	*len = pen_len(&pen);
}
