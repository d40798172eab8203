/* Three small protocols, told apart by the first byte. */
#include "proto/socks.h"

#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"

enum {
	SOCKS_CONNECT = 1, /* the command, in both versions */

	SOCKS4_GRANTED = 90,
	SOCKS4_FAILED = 91,

	SOCKS5_NO_PASSWORD = 0, /* methods */
	SOCKS5_NO_METHOD = 0xff,
	SOCKS5_IPV4 = 1, /* kinds of addresses */
	SOCKS5_NAME = 3,
	SOCKS5_IPV6 = 4,
	SOCKS5_DONE = 0, /* answers */
	SOCKS5_FAILED = 1,
	SOCKS5_DENIED = 2,
	SOCKS5_NO_NET = 3,
	SOCKS5_NO_HOST = 4,
	SOCKS5_REFUSED = 5,
	SOCKS5_TIMEOUT = 6, /* "TTL expired" */
	SOCKS5_NO_COMMAND = 7,
	SOCKS5_NO_ADDRESS = 8,
};

static uint8_t socks_byte(struct str s, size_t i)
{
	return (uint8_t)s.p[i];
}

static void socks_say4(struct socks_say *say, uint8_t code)
{
	*say = (struct socks_say){.bytes = {0, code}, .len = 8};
}

/* Where we are bound is nobody's business: 0.0.0.0:0. */
static void socks_say5(struct socks_say *say, uint8_t code)
{
	*say = (struct socks_say){.bytes = {5, code, 0, SOCKS5_IPV4}, .len = 10};
}

void socks_answer(const struct socks *s, int e, struct socks_say *say)
{
	if (s->version == 4) {
		socks_say4(say, e == 0 ? SOCKS4_GRANTED : SOCKS4_FAILED);
		return;
	}
	switch (e) {
	case 0: socks_say5(say, SOCKS5_DONE); break;
	case ERR_DENIED: socks_say5(say, SOCKS5_DENIED); break;
	case ERR_UNREACH: socks_say5(say, SOCKS5_NO_NET); break;
	case ERR_RESOLVE: socks_say5(say, SOCKS5_NO_HOST); break;
	case ERR_REFUSED: socks_say5(say, SOCKS5_REFUSED); break;
	case ERR_TIMEOUT: socks_say5(say, SOCKS5_TIMEOUT); break;
	case ERR_UNSUPPORTED: socks_say5(say, SOCKS5_NO_COMMAND); break;
	case ERR_INVAL: socks_say5(say, SOCKS5_NO_ADDRESS); break;
	default: socks_say5(say, SOCKS5_FAILED); break;
	}
}

/* ---- where to ---- */

/* A name, or an address as text: some clients send those where names belong. */
static int socks_take_name(struct socks *s, struct str name)
{
	struct hostname_authority a = {.kind = HOSTNAME_IPV6, .host = name};
	uint8_t ip[16];

	if (str_find(name, ':') < name.len) {
		if (cidr_ip_parse(name, ip) != 0)
			return ERR_INVAL;
	} else if (hostname_split_resolvable(name, &a) != 0) {
		return ERR_INVAL;
	}
	s->kind = a.kind;
	for (size_t i = 0; i < a.host.len; i++)
		s->host[i] = ascii_lower(a.host.p[i]);
	s->host[a.host.len] = '\0';
	return 0;
}

/* An address of 4 or 16 bytes. */
static void socks_take_ip(struct socks *s, const char *p, size_t len)
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};
	char text[CIDR_IP_TEXT_MAX];

	memcpy(ip + 16 - len, p, len);
	cidr_ip_format(ip, text);
	str_printf(s->host, sizeof s->host, "%s", text);
	s->kind = cidr_ip_is_v4(ip) ? HOSTNAME_IPV4 : HOSTNAME_IPV6;
}

static int socks_take_port(struct socks *s, struct str in, size_t at)
{
	s->port = (uint16_t)(socks_byte(in, at) << 8 | socks_byte(in, at + 1));
	return s->port == 0 ? ERR_INVAL : 0;
}

/* ---- version 4: version, command, port, address, user, NUL; 4a: name, NUL ---- */

/* 0.0.0.x with x not 0: a name follows. */
static bool socks4_has_name(struct str in)
{
	return memcmp(in.p + 4, "\0\0\0", 3) == 0 && in.p[7] != '\0';
}

/*
 * A text that ends in a NUL.
 *   at  where it begins.
 */
static int socks4_text(struct str in, size_t at, size_t max, struct str *out)
{
	struct str rest = {in.p + at, in.len - at};
	size_t len = str_find(rest, '\0');

	if (len > max)
		return ERR_TOOBIG;
	if (len == rest.len)
		return ERR_AGAIN;
	*out = (struct str){rest.p, len};
	return 0;
}

static int socks4_read(struct socks *s, struct str in, size_t *used)
{
	struct str user, name;
	size_t end;
	int e;

	if (in.len >= 2 && socks_byte(in, 1) != SOCKS_CONNECT)
		return ERR_UNSUPPORTED;
	if (in.len < 8)
		return ERR_AGAIN;
	if ((e = socks4_text(in, 8, SOCKS_USER_MAX, &user)) != 0)
		return e;
	end = 8 + user.len + 1;
	if (socks4_has_name(in)) {
		if ((e = socks4_text(in, end, HOSTNAME_MAX + 1, &name)) != 0)
			return e;
		end += name.len + 1;
		if ((e = socks_take_name(s, name)) != 0)
			return e;
	} else {
		socks_take_ip(s, in.p + 4, 4);
	}
	*used = end;
	return socks_take_port(s, in, 2);
}

/* ---- version 5 ---- */

/* Version, number of methods, methods. */
static int socks5_greet(struct socks *s, struct str in, size_t *used, struct socks_say *say)
{
	size_t n = in.len < 2 ? 0 : socks_byte(in, 1);

	if (in.len < 2 || in.len < 2 + n)
		return ERR_AGAIN;
	*say = (struct socks_say){.bytes = {5, SOCKS5_NO_METHOD}, .len = 2};
	if (n == 0 || memchr(in.p + 2, SOCKS5_NO_PASSWORD, n) == NULL)
		return ERR_UNSUPPORTED;
	say->bytes[1] = SOCKS5_NO_PASSWORD;
	s->greeted = true;
	*used = 2 + n;
	return 0;
}

/* Version, command, 0, kind of address, address, port. */
static int socks5_request(struct socks *s, struct str in, size_t *used)
{
	size_t len, head = 4;
	int e = 0;

	if (in.len >= 1 && socks_byte(in, 0) != 5)
		return ERR_PROTO;
	if (in.len >= 2 && socks_byte(in, 1) != SOCKS_CONNECT)
		return ERR_UNSUPPORTED;
	if (in.len < 5)
		return ERR_AGAIN;
	switch (socks_byte(in, 3)) {
	case SOCKS5_IPV4: len = 4; break;
	case SOCKS5_IPV6: len = 16; break;
	case SOCKS5_NAME:
		len = socks_byte(in, 4);
		head = 5;
		break;
	default: return ERR_INVAL;
	}
	if (in.len < head + len + 2)
		return ERR_AGAIN;
	if (socks_byte(in, 3) == SOCKS5_NAME)
		e = socks_take_name(s, (struct str){in.p + head, len});
	else
		socks_take_ip(s, in.p + head, len);
	*used = head + len + 2;
	return e != 0 ? e : socks_take_port(s, in, head + len);
}

static int socks5_read(struct socks *s, struct str in, size_t *used, struct socks_say *say)
{
	size_t more = 0;
	int e;

	if (!s->greeted) {
		if ((e = socks5_greet(s, in, used, say)) != 0)
			return e;
		in = (struct str){in.p + *used, in.len - *used};
	}
	if ((e = socks5_request(s, in, &more)) == 0)
		*used += more;
	return e;
}

/* ---- both ---- */

/* A refusal is said after what else there is to say; the greeting alone is an answer of its own. */
static void socks_refuse(const struct socks *s, int e, struct socks_say *say)
{
	struct socks_say refusal;

	if (s->version == 0 || (s->version == 5 && !s->greeted))
		return;
	socks_answer(s, e, &refusal);
	CHECK(say->len + refusal.len <= sizeof say->bytes);
	memcpy(say->bytes + say->len, refusal.bytes, refusal.len);
	say->len += refusal.len;
}

int socks_read(struct socks *s, struct str in, size_t *used, struct socks_say *say)
{
	int e;

	*used = 0;
	say->len = 0;
	if (in.len == 0)
		return ERR_AGAIN;
	if (s->version == 0) {
		if (socks_byte(in, 0) != 4 && socks_byte(in, 0) != 5)
			return ERR_PROTO;
		s->version = socks_byte(in, 0);
	}
	e = s->version == 4 ? socks4_read(s, in, used) : socks5_read(s, in, used, say);
	if (e == ERR_AGAIN && in.len - *used >= SOCKS_READ_MAX)
		e = ERR_TOOBIG;
	if (e != 0 && e != ERR_AGAIN)
		socks_refuse(s, e, say);
	return e;
}
