/* The words for kinds of tunnels, in records, credentials and the API. */
#include "core/access.h"

const char *tunnel_kind_name(enum tunnel_kind kind)
{
	CHECK(kind < TUNNEL_KINDS);
	return tunnel_word_kinds[kind];
}

int tunnel_kind_parse(struct str name, enum tunnel_kind *out)
{
	return tunnel_word_find(tunnel_word_kinds, name, out);
}
