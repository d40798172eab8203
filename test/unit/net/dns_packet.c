/* The writer of DNS messages that the tests of net_dns share. */
#include "dns_packet.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <string.h>

static void dns_put(struct dns_packet *p, const void *data, size_t len)
{
	CHECK(len <= sizeof p->bytes - p->len);
	memcpy(p->bytes + p->len, data, len);
	p->len += len;
}

static void dns_put_u16(struct dns_packet *p, unsigned n)
{
	uint8_t both[2] = {(uint8_t)(n >> 8), (uint8_t)n};

	dns_put(p, both, sizeof both);
}

/* What the question asks about is pointed to, as servers do. */
static void dns_put_name(struct dns_packet *p, const char *name)
{
	static const uint8_t question[] = {NS_CMPRSFLGS, NS_HFIXEDSZ};
	struct str rest = str_of(name), label;
	uint8_t asked[256];
	size_t len = 0;

	while (rest.len > 0 && str_next(&rest, '.', &label)) {
		asked[len++] = (uint8_t)label.len;
		for (size_t i = 0; i < label.len; i++)
			asked[len++] = (uint8_t)(label.p[i] == '/' ? '.' : label.p[i]);
	}
	asked[len++] = 0;
	if (p->len >= NS_HFIXEDSZ + len && memcmp(p->bytes + NS_HFIXEDSZ, asked, len) == 0)
		dns_put(p, question, sizeof question);
	else
		dns_put(p, asked, len);
}

void dns_patch(struct dns_packet *p, size_t at, unsigned value)
{
	p->bytes[at] = (uint8_t)(value >> 8);
	p->bytes[at + 1] = (uint8_t)value;
}

void dns_begin(struct dns_packet *p, unsigned id, unsigned flags, const char *name, int type)
{
	p->len = 0;
	dns_put_u16(p, id);
	dns_put_u16(p, 0x8180 | flags); /* an answer, recursion desired and available */
	dns_put_u16(p, 1);
	for (int i = 0; i < 3; i++)
		dns_put_u16(p, 0);
	dns_put_name(p, name);
	dns_put_u16(p, (unsigned)type);
	dns_put_u16(p, ns_c_in);
}

void dns_add_raw(struct dns_packet *p, const char *owner, int type, struct str data)
{
	unsigned n = p->bytes[6] << 8 | p->bytes[7];

	dns_patch(p, 6, n + 1);
	dns_put_name(p, owner);
	dns_put_u16(p, (unsigned)type);
	dns_put_u16(p, ns_c_in);
	dns_put_u16(p, 0);
	dns_put_u16(p, 60); /* seconds to live */
	dns_put_u16(p, (unsigned)data.len);
	dns_put(p, data.p, data.len);
}

void dns_add(struct dns_packet *p, const struct dns_rr *rr)
{
	static struct dns_packet data; /* only to write names and strings into */
	struct str rest = str_of(rr->data), piece;

	data.len = 0;
	switch (rr->type) {
	case ns_t_cname: dns_put_name(&data, rr->data); break;
	case ns_t_txt:
		while (str_next(&rest, '|', &piece)) {
			uint8_t len = (uint8_t)piece.len;

			dns_put(&data, &len, 1);
			dns_put(&data, piece.p, piece.len);
		}
		break;
	case ns_t_a:
		CHECK(inet_pton(AF_INET, rr->data, data.bytes) == 1);
		data.len = NS_INADDRSZ;
		break;
	default:
		CHECK(inet_pton(AF_INET6, rr->data, data.bytes) == 1);
		data.len = NS_IN6ADDRSZ;
		break;
	}
	dns_add_raw(p, rr->owner, rr->type, dns_bytes(&data));
}

struct str dns_bytes(const struct dns_packet *p)
{
	return (struct str){(const char *)p->bytes, p->len};
}

void dns_question(const uint8_t *bytes, size_t len, unsigned *id, char *name, int *type)
{
	size_t at = NS_HFIXEDSZ, out = 0;

	CHECK(len > NS_HFIXEDSZ + NS_QFIXEDSZ);
	*id = bytes[0] << 8 | bytes[1];
	while (bytes[at] != 0) {
		size_t n = bytes[at++];

		CHECK(n <= NS_MAXLABEL && at + n < len && out + n + 1 < 256);
		memcpy(name + out, bytes + at, n);
		out += n;
		at += n;
		name[out++] = '.';
	}
	CHECK(out > 0 && at + NS_QFIXEDSZ < len + 1);
	name[out - 1] = '\0';
	*type = bytes[at + 1] << 8 | bytes[at + 2];
}
