/* Where a tunnel is reached, as one text that people can use and copy. */
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"

#define HTTPS_PORT 443

/* "scheme://host", and the port unless it is the one that goes without saying; 0: none. */
static void url_write(const char *scheme, struct str host, uint16_t port, char out[CORE_URL_TEXT])
{
	size_t n = str_printf(out, CORE_URL_TEXT, "%s://" STR_FMT, scheme, STR_ARG(host));

	if (port != 0)
		str_printf(out + n, CORE_URL_TEXT - n, ":%u", port);
}

/* A tunnel's own name under our domain. */
static struct str url_own(const struct core *c, const struct record_tunnel *r,
			  char out[2 * HOSTNAME_MAX + 2])
{
	size_t n = str_printf(out, 2 * HOSTNAME_MAX + 2, "%s.%s", r->name, c->opt.domain);

	return (struct str){out, MIN(n, (size_t)HOSTNAME_MAX)};
}

static bool url_is_any(const uint8_t ip[16])
{
	static const uint8_t any[16] = {0};
	uint8_t any4[16] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip, any, sizeof any) == 0 || memcmp(ip, any4, sizeof any4) == 0;
}

/* What visitors of a tcp tunnel connect to. */
static struct str url_listener(const struct core *c, const struct record_tunnel *r,
			       char out[CIDR_IP_TEXT_MAX + 2])
{
	char text[CIDR_IP_TEXT_MAX];
	uint8_t ip[16];
	size_t n;

	if (cidr_ip_parse(str_of(r->bind), ip) != 0)
		return r->bind[0] != '\0' ? STR("localhost") : str_of(c->opt.domain);
	if (url_is_any(ip))
		return str_of(c->opt.domain);
	cidr_ip_format(ip, text);
	n = str_printf(out, CIDR_IP_TEXT_MAX + 2, cidr_ip_is_v4(ip) ? "%s" : "[%s]", text);
	return (struct str){out, n};
}

int core_url(const struct core *c, const struct record_tunnel *r, size_t i, char out[CORE_URL_TEXT])
{
	uint16_t tls_port = c->opt.tls_port == HTTPS_PORT ? 0 : c->opt.tls_port;
	char text[2 * HOSTNAME_MAX + 2];

	if (i >= (r->kind == TUNNEL_TCP ? 1 : r->n_alt_names + 1))
		return ERR_NOTFOUND;
	if (r->kind == TUNNEL_TCP)
		url_write("tcp", url_listener(c, r, text), r->port, out);
	else if (r->kind == TUNNEL_TLS)
		url_write("tls", i < r->n_alt_names ? str_of(r->alt_names[i]) : url_own(c, r, text),
			  tls_port, out);
	else
		url_write(c->opt.url_scheme,
			  i > 0 ? str_of(r->alt_names[i - 1]) : url_own(c, r, text),
			  c->opt.url_port, out);
	return 0;
}
