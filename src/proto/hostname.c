/*
 * A Host value is what decides whose service a visitor reaches, so there is one reading of it:
 * everything that compares, routes or logs a name goes through here first.
 */
#include "proto/hostname.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/cidr.h"

enum {
	HOSTNAME_LETTER = 1,
	HOSTNAME_DIGIT = 2,
	HOSTNAME_HYPHEN = 4,
	HOSTNAME_UNDERSCORE = 8,
	HOSTNAME_DOT = 16,
	HOSTNAME_STRICT = HOSTNAME_LETTER | HOSTNAME_DIGIT | HOSTNAME_HYPHEN,
	HOSTNAME_LOOSE = HOSTNAME_STRICT | HOSTNAME_UNDERSCORE,
};

static const uint8_t hostname_class[256] = {
	['a' ... 'z'] = HOSTNAME_LETTER, ['A' ... 'Z'] = HOSTNAME_LETTER,
	['0' ... '9'] = HOSTNAME_DIGIT,	 ['-'] = HOSTNAME_HYPHEN,
	['_'] = HOSTNAME_UNDERSCORE,	 ['.'] = HOSTNAME_DOT,
};

/*
 * Check labels and dots.
 *   allowed        classes a label may have.
 *   *last_numeric  set: the last label is all digits.
 * Returns 0, ERR_TOOBIG, ERR_INVAL.
 */
static int hostname_check(struct str s, unsigned allowed, bool *last_numeric)
{
	unsigned seen = 0, last = HOSTNAME_DOT;
	size_t label_len = 0;

	if (s.len > HOSTNAME_MAX)
		return ERR_TOOBIG;
	for (size_t i = 0; i < s.len; i++) {
		unsigned class = hostname_class[(unsigned char)s.p[i]];

		if (class == HOSTNAME_DOT) {
			if (last & (HOSTNAME_DOT | HOSTNAME_HYPHEN))
				return ERR_INVAL;
			seen = 0;
			label_len = 0;
		} else {
			if (!(class & allowed) ||
			    (class == HOSTNAME_HYPHEN && last == HOSTNAME_DOT))
				return ERR_INVAL;
			if (++label_len > HOSTNAME_LABEL_MAX)
				return ERR_TOOBIG;
			seen |= class;
		}
		last = class;
	}
	*last_numeric = seen == HOSTNAME_DIGIT;
	return last & (HOSTNAME_DOT | HOSTNAME_HYPHEN) ? ERR_INVAL : 0;
}

bool hostname_ok(struct str s)
{
	bool numeric;

	return hostname_check(s, HOSTNAME_STRICT, &numeric) == 0 && !numeric;
}

bool hostname_resolvable(struct str s)
{
	bool numeric;

	return hostname_check(s, HOSTNAME_LOOSE, &numeric) == 0 && !numeric;
}

/* What follows the host: nothing, ":" or ":PORT". */
static int hostname_port(struct str s, uint16_t *port)
{
	uint64_t n;

	*port = 0;
	if (s.len == 0)
		return 0;
	if (s.p[0] != ':')
		return ERR_PROTO;
	if (s.len == 1)
		return 0;
	if (num_parse((struct str){s.p + 1, s.len - 1}, UINT16_MAX, &n) != 0 || n == 0)
		return ERR_PROTO;
	*port = (uint16_t)n;
	return 0;
}

static int hostname_split_v6(struct str s, struct hostname_authority *out)
{
	size_t close = str_find(s, ']');
	uint8_t ip[16];

	if (close == s.len)
		return ERR_PROTO;
	out->kind = HOSTNAME_IPV6;
	out->host = (struct str){s.p + 1, close - 1};
	if (str_find(out->host, ':') == out->host.len || cidr_ip_parse(out->host, ip) != 0)
		return ERR_PROTO;
	return hostname_port((struct str){s.p + close + 1, s.len - close - 1}, &out->port);
}

static int hostname_split_as(struct str s, unsigned allowed, struct hostname_authority *out)
{
	size_t host_len;
	uint8_t ip[16];
	bool numeric;

	if (s.len == 0)
		return ERR_PROTO; /* s.p may be NULL */
	if (s.p[0] == '[')
		return hostname_split_v6(s, out);
	host_len = str_find(s, ':');
	if (hostname_port((struct str){s.p + host_len, s.len - host_len}, &out->port) != 0)
		return ERR_PROTO;
	out->kind = HOSTNAME_NAME;
	out->host = (struct str){s.p, host_len};
	if (host_len > 0 && s.p[host_len - 1] == '.')
		out->host.len--;
	if (hostname_check(out->host, allowed, &numeric) != 0)
		return ERR_PROTO;
	if (!numeric)
		return 0;
	out->kind = HOSTNAME_IPV4;
	return out->host.len == host_len && cidr_ip_parse(out->host, ip) == 0 ? 0 : ERR_PROTO;
}

int hostname_split(struct str s, struct hostname_authority *out)
{
	return hostname_split_as(s, HOSTNAME_STRICT, out);
}

int hostname_split_resolvable(struct str s, struct hostname_authority *out)
{
	return hostname_split_as(s, HOSTNAME_LOOSE, out);
}

bool hostname_authority_ok(struct str s)
{
	struct hostname_authority a;

	return hostname_split(s, &a) == 0;
}

bool hostname_authority_same(struct str a, struct str b, uint16_t default_port)
{
	struct hostname_authority x, y;
	uint8_t xip[16], yip[16];

	if (hostname_split(a, &x) != 0 || hostname_split(b, &y) != 0 || x.kind != y.kind)
		return false;
	if ((x.port == 0 ? default_port : x.port) != (y.port == 0 ? default_port : y.port))
		return false;
	if (x.kind != HOSTNAME_IPV6)
		return str_eq_nocase(x.host, y.host);
	return cidr_ip_parse(x.host, xip) == 0 && cidr_ip_parse(y.host, yip) == 0 &&
	       memcmp(xip, yip, sizeof xip) == 0;
}

/* Copy in lower case and terminate; out may be s.p itself. */
static void hostname_lower(struct str s, char *out)
{
	for (size_t i = 0; i < s.len; i++)
		out[i] = ascii_lower(s.p[i]);
	out[s.len] = '\0';
}

int hostname_normalise(struct str authority, char out[HOSTNAME_MAX + 1], struct str *host)
{
	struct hostname_authority a;

	if (hostname_split(authority, &a) != 0)
		return ERR_PROTO;
	hostname_lower(a.host, out);
	*host = (struct str){out, a.host.len};
	return 0;
}

int hostname_tunnel(struct str s, char out[HOSTNAME_MAX + 1])
{
	bool numeric;
	int e = hostname_check(s, HOSTNAME_STRICT, &numeric);

	if (e == 0)
		hostname_lower(s, out);
	return e;
}

bool hostname_under(struct str host, struct str domain, struct str *name)
{
	size_t left;

	if (domain.len == 0 || host.len < domain.len + 2)
		return false;
	left = host.len - domain.len - 1;
	if (host.p[left] != '.' || memcmp(host.p + left + 1, domain.p, domain.len) != 0)
		return false;
	*name = (struct str){host.p, left};
	return true;
}

bool hostname_parent(struct str *name)
{
	size_t dot = str_find(*name, '.');

	if (dot == name->len)
		return false;
	*name = (struct str){name->p + dot + 1, name->len - dot - 1};
	return true;
}
