/*
 * Nobody has ever specified HTTPS_PROXY and NO_PROXY; what is read here is what the programs beside
 * us read, so that one setting of a machine means the same to all of them.
 */
#include "proto/http_proxy.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/cidr.h"

/* ---- reading ---- */

static int http_proxy_fail(const char **why, const char *text)
{
	if (why != NULL)
		*why = text;
	return ERR_INVAL;
}

/* Percent-decode; nothing that could end a line of a head, and no NUL. */
static int http_proxy_decode(struct str s, char out[HTTP_PROXY_USER_MAX + 1])
{
	size_t n = 0;
	uint64_t c;

	for (size_t i = 0; i < s.len; i++, n++) {
		c = (unsigned char)s.p[i];
		if (c == '%') {
			if (s.len - i < 3 || num_parse_hex((struct str){s.p + i + 1, 2}, &c) != 0)
				return ERR_INVAL;
			i += 2;
		}
		if (c < ' ' || c == 0x7f || n == HTTP_PROXY_USER_MAX)
			return ERR_INVAL;
		out[n] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

/* "user:password" or "user". */
static int http_proxy_login(struct str s, struct http_proxy *p)
{
	struct str rest = s, user;

	p->login = true;
	(void)str_next(&rest, ':', &user);
	if (user.len == 0 || http_proxy_decode(user, p->user) != 0 || strchr(p->user, ':') != NULL)
		return ERR_INVAL;
	return rest.p == NULL ? 0 : http_proxy_decode(rest, p->password);
}

/*
 * Split at "://".
 *   *rest  set to what follows, or all of it.
 * Returns the scheme; "http" if there is none.
 */
static struct str http_proxy_scheme(struct str s, struct str *rest)
{
	const char *at = s.len == 0 ? NULL : memmem(s.p, s.len, "://", 3);

	*rest = s;
	if (at == NULL)
		return STR("http");
	*rest = (struct str){at + 3, s.len - (size_t)(at - s.p) - 3};
	return (struct str){s.p, (size_t)(at - s.p)};
}

static int http_proxy_is_scheme(struct str scheme, const char **why)
{
	if (str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https")))
		return 0;
	if (scheme.len >= 5 && str_eq_nocase((struct str){scheme.p, 5}, STR("socks")))
		return http_proxy_fail(why, "only http:// and https:// proxies can be used, "
					    "none that speaks SOCKS");
	return http_proxy_fail(why, "only http:// and https:// proxies can be used");
}

/* Where the last '@' in front of the path is, or s.len: a password may have one. */
static size_t http_proxy_find_at(struct str s)
{
	size_t at = s.len;

	for (size_t i = 0; i < s.len && s.p[i] != '/'; i++)
		if (s.p[i] == '@')
			at = i;
	return at;
}

int http_proxy_parse(struct str s, struct http_proxy *out, const char **why)
{
	struct str rest, scheme = http_proxy_scheme(s, &rest);
	char text[URL_TEXT_MAX];
	struct http_proxy p = {.login = false};
	size_t at = http_proxy_find_at(rest);
	int e;

	if ((e = http_proxy_is_scheme(scheme, why)) != 0)
		return e;
	if (at < rest.len) {
		if (http_proxy_login((struct str){rest.p, at}, &p) != 0) {
			explicit_bzero(&p, sizeof p);
			return http_proxy_fail(why, "user and password must be as in "
						    "http://user:password@proxy.example:3128, "
						    "with %40 for @, %3A for :, %2F for / and %25 "
						    "for %");
		}
		rest = (struct str){rest.p + at + 1, rest.len - at - 1};
	}
	if (str_printf(text, sizeof text, STR_FMT "://" STR_FMT, STR_ARG(scheme), STR_ARG(rest)) ==
	    sizeof text - 1)
		e = http_proxy_fail(why, "it is too long");
	else if ((e = url_parse(str_of(text), &p.url, why)) == 0 && strcmp(p.url.path, "/") != 0)
		e = http_proxy_fail(why, "a proxy has no path");
	if (e == 0)
		*out = p;
	explicit_bzero(&p, sizeof p);
	return e;
}

/* ---- writing ---- */

size_t http_proxy_format(const struct http_proxy *p, char out[HTTP_PROXY_TEXT])
{
	char authority[HOSTNAME_AUTHORITY_MAX + 1];

	url_format_authority(&p->url, authority);
	return str_printf(out, HTTP_PROXY_TEXT, "%s://%s", url_is_tls(&p->url) ? "https" : "http",
			  authority);
}

size_t http_proxy_basic(const struct http_proxy *p, char out[HTTP_PROXY_BASIC])
{
	char both[2 * HTTP_PROXY_USER_MAX + 2];
	size_t len = str_printf(both, sizeof both, "%s:%s", p->user, p->password);
	size_t n = str_printf(out, HTTP_PROXY_BASIC, "Basic ");

	CHECK(p->login);
	n += base64_encode(BASE64, both, len, out + n);
	explicit_bzero(both, sizeof both);
	return n;
}

/* ---- NO_PROXY ---- */

/* A block, also one with bits beyond its prefix: whoever wrote it meant the block. */
static bool http_proxy_in_block(struct str item, size_t slash, const uint8_t ip[16])
{
	struct str bits = {item.p + slash + 1, item.len - slash - 1};
	struct cidr c = {.bits = 0};
	uint64_t n;

	if (cidr_ip_parse((struct str){item.p, slash}, c.ip) != 0)
		return false;
	c.v4 = cidr_ip_is_v4(c.ip);
	if (num_parse(bits, c.v4 ? 32 : 128, &n) != 0)
		return false;
	c.bits = (uint8_t)(c.v4 ? n + 96 : n);
	return cidr_match(&c, ip);
}

/* Take ":port" off the end of "name:port" or "[address]:port"; *port 0 if there is none. */
static struct str http_proxy_unport(struct str item, uint64_t *port)
{
	size_t colon = item.len;

	*port = 0;
	while (colon > 0 && item.p[colon - 1] >= '0' && item.p[colon - 1] <= '9')
		colon--;
	if (colon < 2 || colon == item.len || item.p[colon - 1] != ':')
		return item;
	colon--;
	/* the only colon, or behind a bracket: else it stands inside an IPv6 address */
	if (str_find(item, ':') != colon && item.p[colon - 1] != ']')
		return item;
	if (num_parse((struct str){item.p + colon + 1, item.len - colon - 1}, 65535, port) != 0)
		return item;
	item.len = colon;
	return item;
}

static struct str http_proxy_unbracket(struct str item)
{
	if (item.len > 2 && item.p[0] == '[' && item.p[item.len - 1] == ']')
		return (struct str){item.p + 1, item.len - 2};
	return item;
}

static bool http_proxy_is_under(struct str host, struct str item)
{
	struct str tail;

	if (str_starts(item, STR("*.")))
		item = (struct str){item.p + 1, item.len - 1};
	if (str_starts(item, STR(".")))
		item = (struct str){item.p + 1, item.len - 1};
	if (item.len > 0 && item.p[item.len - 1] == '.')
		item.len--;
	if (item.len == 0 || item.len > host.len)
		return false;
	tail = (struct str){host.p + host.len - item.len, item.len};
	return str_eq_nocase(tail, item) && (tail.p == host.p || tail.p[-1] == '.');
}

static bool http_proxy_item(struct str item, const struct url *server)
{
	struct str host = str_of(server->host);
	uint8_t ip[16], other[16];
	bool is_ip = cidr_ip_parse(host, ip) == 0;
	size_t slash = str_find(item, '/');
	uint64_t port;

	if (str_eq(item, STR("*")))
		return true;
	if (slash < item.len)
		return is_ip && http_proxy_in_block(item, slash, ip);
	item = http_proxy_unport(item, &port);
	if (port != 0 && port != server->port)
		return false;
	item = http_proxy_unbracket(item);
	if (!is_ip)
		return http_proxy_is_under(host, item);
	return cidr_ip_parse(item, other) == 0 && memcmp(ip, other, sizeof ip) == 0;
}

bool http_proxy_is_spared(struct str no_proxy, const struct url *server)
{
	size_t from = 0;

	for (size_t i = 0; i <= no_proxy.len; i++) {
		if (i < no_proxy.len && strchr(", \t\r\n", no_proxy.p[i]) == NULL)
			continue;
		if (i > from && http_proxy_item((struct str){no_proxy.p + from, i - from}, server))
			return true;
		from = i + 1;
	}
	return false;
}
