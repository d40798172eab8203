/* The words for kinds of tunnels, in records, credentials and the API. */
#include "base/err.h"
#include "core/access.h"

static const char *const kind_names[TUNNEL_KINDS] = {
	[TUNNEL_HTTP] = "http",
	[TUNNEL_TCP] = "tcp",
	[TUNNEL_TLS] = "tls",
};

const char *tunnel_kind_name(enum tunnel_kind kind)
{
	CHECK(kind < TUNNEL_KINDS);
	return kind_names[kind];
}

int tunnel_kind_parse(struct str name, enum tunnel_kind *out)
{
	for (unsigned k = 0; k < TUNNEL_KINDS; k++) {
		if (str_eq(name, str_of(kind_names[k]))) {
			*out = k;
			return 0;
		}
	}
	return ERR_INVAL;
}
