/*
 * The visitor's address reaches the target in these fields, and a forged one must not. What we
 * write is quoted as the RFC says; what trusted proxies wrote is read from the right, where they
 * wrote it, so that nothing a stranger put further left can change the reading.
 */
#include "proto/forwarded.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/cidr.h"
#include "proto/hostname.h"
#include "proto/http_char.h"
#include "proto/pen.h"

enum {
	FORWARDED_ADDRESS = 1, /* bytes of an IP address */
	FORWARDED_HOST = 2,    /* bytes of an authority */
	FORWARDED_SCHEME = 4,  /* bytes of a scheme, RFC 3986 3.1 */
	FORWARDED_HIDDEN = 8,  /* bytes of an obfuscated identifier, RFC 7239 6.3 */
	FORWARDED_ALNUM = FORWARDED_HOST | FORWARDED_SCHEME | FORWARDED_HIDDEN,
	FORWARDED_HEX = FORWARDED_ALNUM | FORWARDED_ADDRESS,
};

static const uint8_t forwarded_class[256] = {
	['a' ... 'f'] = FORWARDED_HEX, ['g' ... 'z'] = FORWARDED_ALNUM,
	['A' ... 'F'] = FORWARDED_HEX, ['G' ... 'Z'] = FORWARDED_ALNUM,
	['0' ... '9'] = FORWARDED_HEX, ['.'] = FORWARDED_HEX,
	['-'] = FORWARDED_ALNUM,       ['_'] = FORWARDED_HIDDEN | FORWARDED_HOST,
	['+'] = FORWARDED_SCHEME,      [':'] = FORWARDED_ADDRESS | FORWARDED_HOST,
	['['] = FORWARDED_HOST,	       [']'] = FORWARDED_HOST,
};

/* Length of the token at the start. */
static size_t forwarded_token_len(struct str s)
{
	return s.len == 0 ? 0 : (size_t)(http_char_skip(s.p, s.p + s.len, HTTP_CHAR_TOKEN) - s.p);
}

/* Do all bytes have the class? */
static bool forwarded_all(struct str s, uint8_t class)
{
	uint8_t common = 0xff;

	for (size_t i = 0; i < s.len; i++)
		common &= forwarded_class[(unsigned char)s.p[i]];
	return (common & class) != 0;
}

static bool forwarded_is_scheme(struct str s)
{
	char first = s.len == 0 ? '0' : ascii_lower(s.p[0]);

	return first >= 'a' && first <= 'z' && s.len <= FORWARDED_PROTO_MAX &&
	       forwarded_all(s, FORWARDED_SCHEME);
}

/* An address with its port: quoted unless it is IPv4 alone, in brackets if it is IPv6. */
static void forwarded_pen_node(struct pen *pen, struct str ip, uint16_t port)
{
	bool v6 = str_find(ip, ':') < ip.len;

	if (v6 || port != 0)
		pen_char(pen, '"');
	if (v6)
		pen_char(pen, '[');
	pen_str(pen, ip);
	if (v6)
		pen_char(pen, ']');
	if (port != 0)
		pen_port(pen, port);
	if (v6 || port != 0)
		pen_char(pen, '"');
}

static void forwarded_pen_value(struct pen *pen, struct str s)
{
	bool plain = forwarded_token_len(s) == s.len;

	if (!plain)
		pen_char(pen, '"');
	pen_str(pen, s);
	if (!plain)
		pen_char(pen, '"');
}

int forwarded_format(const struct forwarded *f, char *out, size_t cap, size_t *len)
{
	struct pen pen = pen_on(out, cap);

	if ((f->for_ip.len > 0 && !forwarded_all(f->for_ip, FORWARDED_ADDRESS)) ||
	    (f->by_ip.len > 0 && !forwarded_all(f->by_ip, FORWARDED_ADDRESS)) ||
	    (f->host.len > 0 && !forwarded_all(f->host, FORWARDED_HOST)) ||
	    (f->proto.len > 0 && !forwarded_is_scheme(f->proto)))
		return ERR_INVAL;
	pen_str(&pen, STR("for="));
	if (f->for_ip.len > 0)
		forwarded_pen_node(&pen, f->for_ip, f->for_port);
	else
		pen_str(&pen, STR("unknown"));
	if (f->by_ip.len > 0) {
		pen_str(&pen, STR(";by="));
		forwarded_pen_node(&pen, f->by_ip, f->by_port);
	}
	if (f->host.len > 0) {
		pen_str(&pen, STR(";host="));
		forwarded_pen_value(&pen, f->host);
	}
	if (f->proto.len > 0) {
		pen_str(&pen, STR(";proto="));
		pen_str(&pen, f->proto);
	}
	*len = pen_len(&pen);
	return pen.full ? ERR_TOOBIG : 0;
}

int forwarded_append(struct str before, struct str element, char *out, size_t cap, size_t *len)
{
	struct pen pen = pen_on(out, cap);

	pen_str(&pen, before);
	if (before.len > 0)
		pen_str(&pen, STR(", "));
	pen_str(&pen, element);
	*len = pen_len(&pen);
	return pen.full ? ERR_TOOBIG : 0;
}

/* Cut what follows the last comma that is not inside a quoted text off *rest, trimmed. */
static struct str forwarded_cut(struct str *rest)
{
	size_t i = rest->len;
	bool quoted = false;
	struct str piece;

	while (i > 0 && (quoted || rest->p[i - 1] != ','))
		if (rest->p[--i] == '"')
			quoted = !quoted;
	piece = (struct str){rest->p + i, rest->len - i};
	rest->len = i > 0 ? i - 1 : 0;
	return str_trim(piece);
}

/* The last element that is not empty; false when nothing is left. */
static bool forwarded_last(struct str *rest, struct str *piece)
{
	while (rest->len > 0)
		if ((*piece = forwarded_cut(rest)).len > 0)
			return true;
	return false;
}

/* Drop a port that is hidden: "_x" instead of a number (RFC 7239 6.3). */
static struct str forwarded_without_hidden_port(struct str s)
{
	const char *colon = s.len == 0 ? NULL : memrchr(s.p, ':', s.len);
	struct str host, port;

	if (colon == NULL)
		return s;
	host = (struct str){s.p, (size_t)(colon - s.p)};
	port = (struct str){colon + 1, s.len - host.len - 1};
	if (port.len < 2 || port.p[0] != '_' || !forwarded_all(port, FORWARDED_HIDDEN))
		return s;
	return host;
}

/* A node: an address with or without port, "unknown", or an identifier like "_hidden". */
static int forwarded_node(struct str s, struct str *ip, uint16_t *port)
{
	struct hostname_authority a;
	struct str name;
	uint64_t n;

	s = forwarded_without_hidden_port(s);
	name = (struct str){s.p, str_find(s, ':')};
	if (str_eq_nocase(name, STR("unknown")) ||
	    (name.len > 1 && name.p[0] == '_' && forwarded_all(name, FORWARDED_HIDDEN))) {
		*ip = (struct str){s.p, 0};
		*port = 0;
		if (name.len == s.len)
			return 0;
		s = (struct str){s.p + name.len + 1, s.len - name.len - 1};
		return num_parse(s, UINT16_MAX, &n) == 0 ? 0 : ERR_PROTO;
	}
	if (hostname_split(s, &a) != 0 || a.kind == HOSTNAME_NAME)
		return ERR_PROTO;
	*ip = a.host;
	*port = a.port;
	return 0;
}

enum { FORWARDED_FOR = 1, FORWARDED_BY = 2, FORWARDED_HOST_KEY = 4, FORWARDED_PROTO = 8 };

/*
 * One "name=value" of an element.
 *   *seen  the names that came before, each as its bit.
 */
static int forwarded_set(struct str name, struct str value, struct forwarded *out, unsigned *seen)
{
	struct hostname_authority a;
	unsigned key = 0;
	int e = 0;

	if (str_eq_nocase(name, STR("for"))) {
		key = FORWARDED_FOR;
		e = forwarded_node(value, &out->for_ip, &out->for_port);
	} else if (str_eq_nocase(name, STR("by"))) {
		key = FORWARDED_BY;
		e = forwarded_node(value, &out->by_ip, &out->by_port);
	} else if (str_eq_nocase(name, STR("host"))) {
		key = FORWARDED_HOST_KEY;
		e = hostname_split_resolvable(value, &a);
		out->host = value;
	} else if (str_eq_nocase(name, STR("proto"))) {
		key = FORWARDED_PROTO;
		e = forwarded_is_scheme(value) ? 0 : ERR_PROTO;
		out->proto = value;
	}
	if (*seen & key)
		return ERR_PROTO;
	*seen |= key;
	return e;
}

/* The value at the start of *s: a token, or a quoted text without its quotes. */
static int forwarded_value(struct str *s, struct str *value)
{
	size_t n;

	if (s->len > 0 && s->p[0] == '"') {
		*s = (struct str){s->p + 1, s->len - 1};
		n = str_find(*s, '"');
		if (n == s->len || memchr(s->p, '\\', n) != NULL)
			return ERR_PROTO;
		*value = (struct str){s->p, n};
		*s = (struct str){s->p + n + 1, s->len - n - 1};
		return 0;
	}
	n = forwarded_token_len(*s);
	*value = (struct str){s->p, n};
	*s = (struct str){s->p + n, s->len - n};
	return n > 0 ? 0 : ERR_PROTO;
}

/* All pairs of one element. */
static int forwarded_element(struct str s, struct forwarded *out)
{
	struct forwarded f = {.for_port = 0};
	struct str name, value;
	unsigned seen = 0;
	size_t eq;
	int e;

	while ((s = str_trim(s)).len > 0) {
		if (s.p[0] == ';') {
			s = (struct str){s.p + 1, s.len - 1};
			continue;
		}
		eq = forwarded_token_len(s);
		name = (struct str){s.p, eq};
		if (eq == 0 || eq == s.len || s.p[eq] != '=')
			return ERR_PROTO;
		s = (struct str){s.p + eq + 1, s.len - eq - 1};
		if ((e = forwarded_value(&s, &value)) != 0 ||
		    (e = forwarded_set(name, value, &f, &seen)) != 0)
			return e;
		s = str_trim(s);
		if (s.len > 0 && s.p[0] != ';')
			return ERR_PROTO;
	}
	*out = f;
	return 0;
}

int forwarded_prev(struct str *rest, struct forwarded *out)
{
	struct str piece;
	int e;

	if (!forwarded_last(rest, &piece))
		return ERR_NOTFOUND;
	if ((e = forwarded_element(piece, out)) != 0)
		rest->len = 0;
	return e;
}

int forwarded_prev_xff(struct str *rest, struct forwarded *out)
{
	struct forwarded f = {.for_port = 0};
	uint8_t ip[16];
	struct str piece;

	if (!forwarded_last(rest, &piece))
		return ERR_NOTFOUND;
	if (cidr_ip_parse(piece, ip) == 0) {
		f.for_ip = piece;
	} else if (forwarded_node(piece, &f.for_ip, &f.for_port) != 0) {
		rest->len = 0;
		return ERR_PROTO;
	}
	*out = f;
	return 0;
}
