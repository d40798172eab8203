/*
 * Who is at the other end, by its own words: an address may belong to another process by now, and
 * between processes of one machine nothing else says it.
 */
#include <string.h>

#include "base/err.h"
#include "cluster/hop_inside.h"
#include "proto/json.h"

size_t hop_line_format(const char *node, const char *to, char out[HOP_LINE_MAX])
{
	return str_printf(out, HOP_LINE_MAX,
			  "{\"op\":\"hop\",\"node\":\"%s\",\"to\":\"%s\",\"version\":\"%s\"}", node,
			  to, KAREZ_VERSION);
}

/* A member that is an id. */
static int hop_line_id(const struct json *j, const char *key, char out[NODE_ID_TEXT])
{
	struct str text;

	if (json_get_text(j, key, &text) != 0 || text.len != NODE_ID_TEXT - 1 ||
	    strspn(text.p, "0123456789abcdef") != text.len)
		return ERR_PROTO;
	memcpy(out, text.p, NODE_ID_TEXT);
	return 0;
}

int hop_line_parse(struct str line, struct hop_line *out)
{
	struct json *j = NULL;
	struct str op, version;
	int e;

	memset(out, 0, sizeof *out);
	if ((e = json_parse(line, HOP_LINE_MAX, &j)) != 0)
		return e;
	if (json_get_text(j, "op", &op) != 0)
		e = ERR_PROTO;
	else if (!str_eq(op, STR("hop")))
		e = ERR_UNSUPPORTED;
	else if ((e = hop_line_id(j, "node", out->node)) == 0)
		e = hop_line_id(j, "to", out->to);
	if (e == 0 && json_get_text(j, "version", &version) == 0)
		str_printf(out->version, sizeof out->version, STR_FMT, STR_ARG(version));
	json_free(j);
	return e;
}
