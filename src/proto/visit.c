/*
 * The agent logs the visitor, sends PROXY headers about it and chooses a target by the tunnel's
 * name, so what crosses the session is read as strictly as anything from the public side: one
 * compact value that either is entirely right or is refused.
 */
#include "proto/visit.h"

#include <string.h>

#include "base/err.h"
#include "proto/pen.h"

/* The longest members, as visit_format() writes them: all of them together are a visit that fits.
 * An address may have come in any spelling, so it counts with all that its array holds. */
enum {
	VISIT_END_MAX = sizeof "[]:65535\"" - 1 + CIDR_IP_TEXT_MAX - 1,
	VISIT_LONGEST = sizeof "in=http" - 1 + sizeof "; tunnel=" - 1 + HOSTNAME_MAX +
			sizeof "; for=\"" - 1 + VISIT_END_MAX + sizeof "; by=\"" - 1 +
			VISIT_END_MAX + sizeof "; host=\"\"" - 1 + HOSTNAME_AUTHORITY_MAX +
			sizeof "; sni=" - 1 + HOSTNAME_MAX + sizeof "; service=" - 1 +
			VISIT_SERVICE_TEXT - 1 + sizeof "; tls=1" - 1 + sizeof "; via=\"\"" - 1 +
			VISIT_VIA_TEXT - 1 + sizeof "; owner=" - 1 + VISIT_OWNER_TEXT -
			1, /* 1063 */
};
_Static_assert((int)VISIT_LONGEST <= (int)VISIT_MAX, "a valid visit does not fit");

static const char *const visit_ingress_names[] = {
	[VISIT_HTTP] = "http", [VISIT_SNI] = "sni",   [VISIT_TCP] = "tcp",
	[VISIT_UDP] = "udp",   [VISIT_NODE] = "node",
};

/* Bytes of a value without quotes; a quoted one may have all of ' '..'~' but '"' and '\'. */
static const bool visit_bare[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
	['-'] = true,	      ['_'] = true,	    ['.'] = true,
};

const char *visit_ingress_name(enum visit_ingress in)
{
	CHECK((unsigned)in < ARRAY_LEN(visit_ingress_names));
	return visit_ingress_names[in];
}

int visit_end_set(struct visit_end *end, struct str ip, uint16_t port)
{
	uint8_t binary[16];

	*end = (struct visit_end){.port = 0};
	if (cidr_ip_parse(ip, binary) != 0)
		return ERR_INVAL;
	cidr_ip_format(binary, end->ip);
	end->port = port;
	return 0;
}

/* ---- nodes that pass it on ---- */

static bool visit_id_ok(struct str id)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < id.len; i++)
		if (memchr(hex, id.p[i], sizeof hex - 1) == NULL)
			return false;
	return id.len == NODE_ID_TEXT - 1;
}

static struct str visit_via(const struct visit *v)
{
	return (struct str){v->via, strnlen(v->via, sizeof v->via)};
}

/* One to VISIT_VIA_MAX different ids. */
static bool visit_via_ok(struct str via)
{
	struct str id, first = {NULL, 0};
	size_t n = 0;

	for (; str_next(&via, ',', &id); n++) {
		if (!visit_id_ok(id) || (n > 0 && str_eq(id, first)))
			return false;
		first = id;
	}
	return n <= VISIT_VIA_MAX;
}

static bool visit_owner_ok(struct str s)
{
	return s.len < VISIT_OWNER_TEXT && ident_ok(s);
}

size_t visit_via_n(const struct visit *v)
{
	return (visit_via(v).len + 1) / NODE_ID_TEXT;
}

bool visit_via_has(const struct visit *v, const char *id)
{
	struct str via = visit_via(v), one;

	while (via.len > 0 && str_next(&via, ',', &one))
		if (str_eq(one, str_of(id)))
			return true;
	return false;
}

const char *visit_via_last(const struct visit *v)
{
	const char *comma = strrchr(v->via, ',');

	return comma == NULL ? v->via : comma + 1;
}

int visit_via_add(struct visit *v, const char *id)
{
	size_t len = visit_via(v).len;

	if (!visit_id_ok(str_of(id)))
		return ERR_INVAL;
	if (visit_via_has(v, id))
		return ERR_LOOP;
	if (visit_via_n(v) == VISIT_VIA_MAX)
		return ERR_LIMIT;
	str_printf(v->via + len, sizeof v->via - len, "%s%s", len > 0 ? "," : "", id);
	return 0;
}

/* ---- writing ---- */

static bool visit_tunnel_ok(struct str s)
{
	char lower[HOSTNAME_MAX + 1];

	return hostname_tunnel(s, lower) == 0 && str_eq(s, str_of(lower));
}

/* ; key="IP:PORT", or nothing when the address is not known. */
static bool visit_pen_end(struct pen *pen, struct str key, const struct visit_end *end)
{
	struct str ip = {end->ip, strnlen(end->ip, sizeof end->ip)};
	bool v6 = str_find(ip, ':') < ip.len;
	uint8_t binary[16];

	if (ip.len == 0)
		return true;
	if (cidr_ip_parse(ip, binary) != 0)
		return false;
	pen_str(pen, key);
	if (v6)
		pen_char(pen, '[');
	pen_str(pen, ip);
	if (v6)
		pen_char(pen, ']');
	if (end->port != 0)
		pen_port(pen, end->port);
	pen_char(pen, '"');
	return true;
}

int visit_format(const struct visit *v, char out[VISIT_MAX + 1], size_t *len)
{
	struct str tunnel = {v->tunnel, strnlen(v->tunnel, sizeof v->tunnel)};
	struct str host = {v->host, strnlen(v->host, sizeof v->host)};
	struct str sni = {v->sni, strnlen(v->sni, sizeof v->sni)};
	struct str service = {v->service, strnlen(v->service, sizeof v->service)};
	struct str via = visit_via(v);
	struct str owner = {v->owner, strnlen(v->owner, sizeof v->owner)};
	struct pen pen = pen_on(out, VISIT_MAX);

	if (!visit_tunnel_ok(tunnel) || (host.len > 0 && !hostname_authority_ok(host)) ||
	    (sni.len > 0 && !hostname_resolvable(sni)) || (service.len > 0 && !ident_ok(service)) ||
	    (via.len > 0 && !visit_via_ok(via)) || (owner.len > 0 && !visit_owner_ok(owner)))
		return ERR_INVAL;
	pen_str(&pen, STR("in="));
	pen_str(&pen, str_of(visit_ingress_name(v->ingress)));
	pen_str(&pen, STR("; tunnel="));
	pen_str(&pen, tunnel);
	if (!visit_pen_end(&pen, STR("; for=\""), &v->visitor) ||
	    !visit_pen_end(&pen, STR("; by=\""), &v->local))
		return ERR_INVAL;
	if (host.len > 0) {
		pen_str(&pen, STR("; host=\""));
		pen_str(&pen, host);
		pen_char(&pen, '"');
	}
	if (sni.len > 0) {
		pen_str(&pen, STR("; sni="));
		pen_str(&pen, sni);
	}
	if (service.len > 0) {
		pen_str(&pen, STR("; service="));
		pen_str(&pen, service);
	}
	if (v->tls)
		pen_str(&pen, STR("; tls=1"));
	if (via.len > 0) {
		pen_str(&pen, STR("; via=\""));
		pen_str(&pen, via);
		pen_char(&pen, '"');
	}
	if (owner.len > 0) {
		pen_str(&pen, STR("; owner="));
		pen_str(&pen, owner);
	}
	CHECK(!pen.full);
	*pen.at = '\0';
	*len = pen_len(&pen);
	return 0;
}

/* ---- reading ---- */

static int visit_set_ingress(struct visit *v, struct str value)
{
	for (size_t i = 0; i < ARRAY_LEN(visit_ingress_names); i++) {
		if (!str_eq(value, str_of(visit_ingress_names[i])))
			continue;
		v->ingress = (enum visit_ingress)i;
		return 0;
	}
	return ERR_UNSUPPORTED;
}

static int visit_set_tunnel(struct visit *v, struct str value)
{
	return visit_tunnel_ok(value) ? str_copy(v->tunnel, sizeof v->tunnel, value) : ERR_PROTO;
}

static int visit_read_end(struct visit_end *end, struct str value)
{
	struct hostname_authority a;

	if (hostname_split(value, &a) != 0 || visit_end_set(end, a.host, a.port) != 0)
		return ERR_PROTO;
	return 0;
}

static int visit_set_for(struct visit *v, struct str value)
{
	return visit_read_end(&v->visitor, value);
}

static int visit_set_by(struct visit *v, struct str value)
{
	return visit_read_end(&v->local, value);
}

static int visit_set_host(struct visit *v, struct str value)
{
	return hostname_authority_ok(value) ? str_copy(v->host, sizeof v->host, value) : ERR_PROTO;
}

static int visit_set_sni(struct visit *v, struct str value)
{
	return hostname_resolvable(value) ? str_copy(v->sni, sizeof v->sni, value) : ERR_PROTO;
}

static int visit_set_service(struct visit *v, struct str value)
{
	return ident_ok(value) ? str_copy(v->service, sizeof v->service, value) : ERR_PROTO;
}

static int visit_set_tls(struct visit *v, struct str value)
{
	if (!str_eq(value, STR("0")) && !str_eq(value, STR("1")))
		return ERR_PROTO;
	v->tls = value.p[0] == '1';
	return 0;
}

static int visit_set_via(struct visit *v, struct str value)
{
	return visit_via_ok(value) ? str_copy(v->via, sizeof v->via, value) : ERR_PROTO;
}

static int visit_set_owner(struct visit *v, struct str value)
{
	return visit_owner_ok(value) ? str_copy(v->owner, sizeof v->owner, value) : ERR_PROTO;
}

static const struct visit_key {
	const char *name;
	int (*set)(struct visit *v, struct str value);
} visit_keys[] = {
	/* The first two must be there. */
	{"in", visit_set_ingress},	{"tunnel", visit_set_tunnel}, {"for", visit_set_for},
	{"by", visit_set_by},		{"host", visit_set_host},     {"sni", visit_set_sni},
	{"service", visit_set_service}, {"tls", visit_set_tls},	      {"via", visit_set_via},
	{"owner", visit_set_owner},
};

enum { VISIT_REQUIRED = 3 };

/* The value at the start of *s, without its quotes. */
static int visit_value(struct str *s, struct str *value)
{
	bool quoted = s->len > 0 && s->p[0] == '"';
	size_t n = 0;

	if (quoted) {
		*s = (struct str){s->p + 1, s->len - 1};
		while (n < s->len && s->p[n] >= ' ' && s->p[n] <= '~' && s->p[n] != '"' &&
		       s->p[n] != '\\')
			n++;
		if (n == s->len || s->p[n] != '"')
			return ERR_PROTO;
	} else {
		while (n < s->len && visit_bare[(unsigned char)s->p[n]])
			n++;
		if (n == 0)
			return ERR_PROTO;
	}
	*value = (struct str){s->p, n};
	*s = (struct str){s->p + n + quoted, s->len - n - quoted};
	return 0;
}

/* One key=value at the start of *s. */
static int visit_pair(struct str *s, struct visit *v, unsigned *seen)
{
	struct str key, value;
	size_t n = 0;
	int e;

	while (n < s->len && visit_bare[(unsigned char)s->p[n]])
		n++;
	if (n == 0 || n == s->len || s->p[n] != '=')
		return ERR_PROTO;
	key = (struct str){s->p, n};
	*s = (struct str){s->p + n + 1, s->len - n - 1};
	if ((e = visit_value(s, &value)) != 0)
		return e;
	for (size_t i = 0; i < ARRAY_LEN(visit_keys); i++) {
		if (!str_eq(key, str_of(visit_keys[i].name)))
			continue;
		if (*seen & 1U << i)
			return ERR_PROTO;
		*seen |= 1U << i;
		return visit_keys[i].set(v, value);
	}
	return 0;
}

int visit_parse(struct str s, struct visit *out)
{
	struct visit v = {.ingress = VISIT_HTTP};
	unsigned seen = 0;
	int e;

	if (s.len > VISIT_MAX)
		return ERR_TOOBIG;
	while ((e = visit_pair(&s, &v, &seen)) == 0 && s.len > 0) {
		if (s.p[0] != ';')
			return ERR_PROTO;
		do
			s = (struct str){s.p + 1, s.len - 1};
		while (s.len > 0 && s.p[0] == ' ');
	}
	if (e != 0)
		return e;
	if ((seen & VISIT_REQUIRED) != VISIT_REQUIRED)
		return ERR_PROTO;
	*out = v;
	return 0;
}
