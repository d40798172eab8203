/*
 * Answers are read here and not by c-ares 1.18, because its reader of TXT takes records of any name
 * that stands in the answer, it has none for chains of aliases, and it expands a compressed name to
 * megabytes before anybody can say no.
 */
#include "net/net_dns_answer.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <string.h>

#include "base/err.h"

/* Pointers of one name: no name has more labels, and each may be written once. */
#define NET_DNS_JUMPS_MAX 127

/* Where the records of an answer stand. */
struct net_dns_packet {
	struct str bytes;
	size_t first; /* offset of the first record */
	unsigned n;   /* records to look at */
	bool more;    /* there are more */
};

struct net_dns_record {
	char owner[NET_DNS_NAME_MAX + 1];
	unsigned type, class;
	size_t at, len; /* of its data */
};

void net_dns_found_free(struct net_dns_found *f)
{
	buf_free(&f->bytes);
	f->n = 0;
}

struct str net_dns_found_text(const struct net_dns_found *f, size_t i)
{
	if (f->at[i].len == 0)
		return STR(""); /* the buffer may have no memory yet */
	return (struct str){buf_str(&f->bytes).p + f->at[i].off, f->at[i].len};
}

/* ---- names ---- */

static bool net_dns_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool net_dns_is_inner(char c)
{
	return (c >= 'a' && c <= 'z') || net_dns_is_digit(c) || c == '_' || c == '-';
}

/* *digits is set if there is nothing else in it. */
static bool net_dns_label_ok(struct str label, bool *digits)
{
	if (label.len == 0 || label.len > NET_DNS_LABEL_MAX || label.p[0] == '-' ||
	    label.p[label.len - 1] == '-')
		return false;
	*digits = true;
	for (size_t i = 0; i < label.len; i++) {
		if (!net_dns_is_inner(label.p[i]))
			return false;
		*digits = *digits && net_dns_is_digit(label.p[i]);
	}
	return true;
}

int net_dns_name(struct str s, char out[NET_DNS_NAME_MAX + 1])
{
	bool digits = true;
	struct str rest, label;

	if (s.len > 0 && s.p[s.len - 1] == '.')
		s.len--;
	if (s.len == 0 || str_copy(out, NET_DNS_NAME_MAX + 1, s) != 0)
		return ERR_INVAL;
	for (size_t i = 0; i < s.len; i++)
		out[i] = ascii_lower(out[i]);
	rest = (struct str){out, s.len};
	while (str_next(&rest, '.', &label))
		if (!net_dns_label_ok(label, &digits))
			return ERR_INVAL;
	return digits ? ERR_INVAL : 0;
}

static unsigned net_dns_byte(struct str p, size_t at)
{
	return (unsigned char)p.p[at];
}

static unsigned net_dns_u16(struct str p, size_t at)
{
	return net_dns_byte(p, at) << 8 | net_dns_byte(p, at + 1);
}

/* Append a label; what no name of ours has becomes '?', so that it equals none of them. */
static int net_dns_label_add(struct str label, char out[NET_DNS_NAME_MAX + 1], size_t *len)
{
	if (*len + (*len > 0) + label.len > NET_DNS_NAME_MAX)
		return ERR_PROTO;
	if (*len > 0)
		out[(*len)++] = '.';
	for (size_t i = 0; i < label.len; i++) {
		char c = ascii_lower(label.p[i]);

		out[(*len)++] = (char)(net_dns_is_inner(c) ? c : '?');
	}
	return 0;
}

/*
 * Read a name, which may go on elsewhere. A pointer must lead to before where the name, or the
 * last pointer, began: so every loop ends.
 *   *at  offset; moved behind the name.
 */
static int net_dns_name_read(struct str p, size_t *at, char out[NET_DNS_NAME_MAX + 1])
{
	size_t i = *at, limit = *at, len = 0;
	unsigned c, jumps = 0;

	while (i < p.len && (c = net_dns_byte(p, i)) != 0) {
		if ((c & NS_CMPRSFLGS) == NS_CMPRSFLGS) {
			if (p.len - i < 2 || jumps == NET_DNS_JUMPS_MAX)
				return ERR_PROTO;
			if (jumps++ == 0)
				*at = i + 2;
			i = net_dns_u16(p, i) & 0x3fff;
			if (i >= limit)
				return ERR_PROTO;
			limit = i;
			continue;
		}
		if (c > NET_DNS_LABEL_MAX || c >= p.len - i ||
		    net_dns_label_add((struct str){p.p + i + 1, c}, out, &len) != 0)
			return ERR_PROTO;
		i += 1 + c;
	}
	if (i >= p.len)
		return ERR_PROTO;
	if (jumps == 0)
		*at = i + 1;
	out[len] = '\0';
	return 0;
}

/* ---- the message ---- */

/* Check head and question. Returns 0, ERR_PROTO. */
static int net_dns_packet_open(struct str bytes, const char *name, int record,
			       struct net_dns_packet *out)
{
	char asked[NET_DNS_NAME_MAX + 1];
	size_t at = NS_HFIXEDSZ;
	unsigned flags, code;

	if (bytes.len < NS_HFIXEDSZ || bytes.len > NS_MAXMSG)
		return ERR_PROTO;
	flags = net_dns_u16(bytes, 2);
	code = flags & 0xf;
	if (!(flags & 0x8000) || (code != ns_r_noerror && code != ns_r_nxdomain) ||
	    net_dns_u16(bytes, 4) != 1)
		return ERR_PROTO;
	if (net_dns_name_read(bytes, &at, asked) != 0 || bytes.len - at < NS_QFIXEDSZ)
		return ERR_PROTO;
	if (strcmp(asked, name) != 0 || (int)net_dns_u16(bytes, at) != record ||
	    net_dns_u16(bytes, at + 2) != ns_c_in)
		return ERR_PROTO;
	out->bytes = bytes;
	out->first = at + NS_QFIXEDSZ;
	out->n = net_dns_u16(bytes, 6);
	out->more = out->n > NET_DNS_RECORDS_MAX || (flags & 0x0200); /* or truncated */
	out->n = MIN(out->n, NET_DNS_RECORDS_MAX);
	return 0;
}

static int net_dns_record_next(struct str p, size_t *at, struct net_dns_record *r)
{
	if (net_dns_name_read(p, at, r->owner) != 0 || p.len - *at < NS_RRFIXEDSZ)
		return ERR_PROTO;
	r->type = net_dns_u16(p, *at);
	r->class = net_dns_u16(p, *at + 2);
	r->len = net_dns_u16(p, *at + 8);
	r->at = *at + NS_RRFIXEDSZ;
	if (p.len - r->at < r->len)
		return ERR_PROTO;
	*at = r->at + r->len;
	return 0;
}

static bool net_dns_record_is(const struct net_dns_record *r, int type, const char *owner)
{
	return (int)r->type == type && r->class == ns_c_in && strcmp(r->owner, owner) == 0;
}

/* ---- what is found ---- */

static int net_dns_add(struct net_dns_found *f, const char *text, size_t len)
{
	size_t off = buf_str(&f->bytes).len;
	int e;

	if (f->n == NET_DNS_TEXTS_MAX) {
		f->more = true;
		return 0;
	}
	if ((e = buf_add(&f->bytes, text, len, NET_DNS_TEXTS_MAX * NET_DNS_TEXT_MAX)) != 0)
		return e;
	f->at[f->n].off = off;
	f->at[f->n++].len = len;
	return 0;
}

static int net_dns_add_txt(struct net_dns_found *f, struct str data)
{
	char text[NET_DNS_TEXT_MAX];
	size_t len = 0;

	if (data.len == 0)
		return ERR_PROTO;
	while (data.len > 0) {
		size_t n = net_dns_byte(data, 0), fits = MIN(n, sizeof text - len);

		if (n >= data.len)
			return ERR_PROTO;
		memcpy(text + len, data.p + 1, fits);
		len += fits;
		if (fits < n)
			f->more = true;
		data = (struct str){data.p + 1 + n, data.len - 1 - n};
	}
	return net_dns_add(f, text, len);
}

static int net_dns_add_address(struct net_dns_found *f, int family, struct str data)
{
	char text[INET6_ADDRSTRLEN];

	if (data.len != (family == AF_INET ? NS_INADDRSZ : NS_IN6ADDRSZ))
		return ERR_PROTO;
	CHECK(inet_ntop(family, data.p, text, sizeof text) != NULL);
	return net_dns_add(f, text, strlen(text));
}

/* All records of this type that the owner has. */
static int net_dns_collect(const struct net_dns_packet *p, const char *owner, int type,
			   struct net_dns_found *f)
{
	struct net_dns_record r;
	size_t at = p->first;
	int e = 0;

	for (unsigned i = 0; i < p->n && e == 0; i++) {
		struct str data;

		if ((e = net_dns_record_next(p->bytes, &at, &r)) != 0)
			break;
		if (!net_dns_record_is(&r, type, owner))
			continue;
		data = (struct str){p->bytes.p + r.at, r.len};
		if (type == ns_t_txt)
			e = net_dns_add_txt(f, data);
		else
			e = net_dns_add_address(f, type == ns_t_a ? AF_INET : AF_INET6, data);
	}
	return e;
}

/* ---- aliases ---- */

/* Replace a name by its alias. Returns 0, ERR_NOTFOUND (it has none), ERR_PROTO. */
static int net_dns_alias(const struct net_dns_packet *p, char name[NET_DNS_NAME_MAX + 1])
{
	struct net_dns_record r;
	size_t at = p->first;
	char target[NET_DNS_NAME_MAX + 1];
	int e;

	for (unsigned i = 0; i < p->n; i++) {
		size_t end;

		if ((e = net_dns_record_next(p->bytes, &at, &r)) != 0)
			return e;
		if (!net_dns_record_is(&r, ns_t_cname, name))
			continue;
		end = r.at;
		if (net_dns_name_read(p->bytes, &end, target) != 0 || end != r.at + r.len ||
		    net_dns_name(str_of(target), name) != 0)
			return ERR_PROTO;
		return 0;
	}
	return ERR_NOTFOUND;
}

static bool net_dns_found_has(const struct net_dns_found *f, struct str name)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(net_dns_found_text(f, i), name))
			return true;
	return str_eq(name, str_of(f->asked));
}

static int net_dns_collect_chain(const struct net_dns_packet *p, const char *first,
				 struct net_dns_found *f)
{
	char name[NET_DNS_NAME_MAX + 1];
	int e;

	CHECK(str_copy(name, sizeof name, str_of(first)) == 0);
	while ((e = net_dns_alias(p, name)) == 0 && !net_dns_found_has(f, str_of(name))) {
		if (f->n == NET_DNS_CHAIN_MAX) {
			f->more = true;
			return 0;
		}
		if ((e = net_dns_add(f, name, strlen(name))) != 0)
			return e;
	}
	return e == ERR_NOTFOUND ? 0 : e;
}

int net_dns_answer_read(struct str packet, const char *name, int record, struct net_dns_found *f)
{
	char owner[NET_DNS_NAME_MAX + 1];
	struct net_dns_packet p;
	bool more = f->more;
	size_t n = f->n;
	int e;

	if ((e = net_dns_packet_open(packet, name, record, &p)) != 0)
		return e;
	if (record == ns_t_cname) {
		e = net_dns_collect_chain(&p, name, f);
	} else {
		CHECK(str_copy(owner, sizeof owner, str_of(name)) == 0);
		for (int i = 0; i < NET_DNS_CHAIN_MAX && e == 0; i++)
			e = net_dns_alias(&p, owner);
		if (e == 0 || e == ERR_NOTFOUND)
			e = net_dns_collect(&p, owner, record, f);
	}
	if (e != 0) {
		f->n = n;
		f->more = more;
		return e;
	}
	f->more = f->more || p.more;
	return f->n > n ? 0 : ERR_NOTFOUND;
}
