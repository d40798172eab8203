/*
 * "1 <door> <tls> <peer ip> <port> <local ip> <port> <tunnel>", "-" for what is empty: two
 * generations of workers may be of different versions, so it begins with one.
 */
#include "cluster/pass_line.h"

#include "base/err.h"
#include "base/num.h"

#define PASS_VERSION "1"

static const char *const pass_line_doors[PASS_DOORS] = {"http", "tls", "port", "listen"};

static const char *pass_line_word(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

size_t pass_line_format(const struct pass_visitor *v, char out[PASS_LINE])
{
	return str_printf(out, PASS_LINE, PASS_VERSION " %s %d %s %u %s %u %s",
			  pass_line_doors[v->door], v->tls, pass_line_word(v->peer.ip),
			  v->peer.port, pass_line_word(v->local.ip), v->local.port,
			  pass_line_word(v->tunnel));
}

static bool pass_line_end(struct str *rest, struct visit_end *end)
{
	struct str ip, port;
	uint64_t n;

	if (!str_next(rest, ' ', &ip) || !str_next(rest, ' ', &port) ||
	    num_parse(port, 65535, &n) != 0)
		return false;
	return str_eq(ip, STR("-")) ? n == 0 : visit_end_set(end, ip, (uint16_t)n) == 0;
}

int pass_line_parse(struct str line, struct pass_visitor *v)
{
	struct str version, door, tls, tunnel;

	*v = (struct pass_visitor){.door = PASS_DOORS};
	if (!str_next(&line, ' ', &version) || !str_eq(version, STR(PASS_VERSION)) ||
	    !str_next(&line, ' ', &door))
		return ERR_UNSUPPORTED;
	for (int i = 0; i < PASS_DOORS; i++)
		if (str_eq(door, str_of(pass_line_doors[i])))
			v->door = (enum pass_kind)i;
	if (v->door == PASS_DOORS)
		return ERR_UNSUPPORTED;
	if (!str_next(&line, ' ', &tls) || tls.len != 1 || (tls.p[0] != '0' && tls.p[0] != '1') ||
	    !pass_line_end(&line, &v->peer) || !pass_line_end(&line, &v->local) ||
	    !str_next(&line, ' ', &tunnel) || line.p != NULL)
		return ERR_PROTO;
	v->tls = tls.p[0] == '1';
	if (str_eq(tunnel, STR("-")))
		return v->door == PASS_PORT || v->door == PASS_LISTEN ? ERR_PROTO : 0;
	return hostname_tunnel(tunnel, v->tunnel) == 0 ? 0 : ERR_PROTO;
}
