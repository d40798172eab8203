/* What travels is text; everywhere else it is a struct. */
#include "agent/control.h"

#include "base/err.h"
#include "proto/json.h"

/* Bytes of a line that we write: name, target and the words around them. */
#define CONTROL_LINE_MAX 4096

/* Bytes of a line that we read. */
#define CONTROL_READ_MAX 65536

int control_code(struct str name)
{
	static const int known[] = {
#define ERR(name, number, sentence) number,
#include "base/err.def"
#undef ERR
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq_nocase(name, str_of(err_name(known[i]))))
			return known[i];
	return 0;
}

bool control_is_final(int code)
{
	switch (code) {
	case ERR_AUTH:
	case ERR_DENIED:
	case ERR_EXISTS:
	case ERR_RESERVED:
	case ERR_INVAL:
	case ERR_DISABLED:
	case ERR_DELETED:
	case ERR_REPLACED:
	case ERR_DISCONNECTED:
	case ERR_UNSUPPORTED: return true;
	default: return false;
	}
}

/* ---- reading ---- */

static enum control_op control_op_of(struct str op)
{
	if (str_eq(op, STR("attached")))
		return CONTROL_ATTACHED;
	if (str_eq(op, STR("refused")))
		return CONTROL_REFUSED;
	if (str_eq(op, STR("detached")))
		return CONTROL_DETACHED;
	return CONTROL_UNKNOWN;
}

static int control_read_name(const struct json *j, struct control_line *out)
{
	struct str name;

	if (json_get_text(j, "name", &name) != 0 || hostname_tunnel(name, out->name) != 0)
		return ERR_PROTO;
	return 0;
}

/* A URL is printed on terminals: it must be one. */
static bool control_url_ok(struct str url)
{
	for (size_t i = 0; i < url.len; i++)
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f)
			return false;
	return url.len > 0;
}

static int control_read_attached(const struct json *j, struct control_line *out)
{
	const struct json *urls;
	struct str url;

	if (json_get_number(j, "ref", JSON_NUMBER_MAX, &out->ref) != 0 ||
	    json_get_list(j, "urls", &urls) != 0 || json_count(urls) == 0 ||
	    json_text(json_at(urls, 0), &url) != 0 || !control_url_ok(url) ||
	    str_copy(out->url, sizeof out->url, url) != 0)
		return ERR_PROTO;
	return control_read_name(j, out);
}

static void control_read_why(const struct json *j, struct control_line *out)
{
	struct str code, reason;

	/* A code of a later version is none that ends our trying. */
	out->code = json_get_text(j, "code", &code) == 0 ? control_code(code) : 0;
	if (out->code == 0)
		out->code = ERR_IO;
	if (json_get_text(j, "reason", &reason) == 0)
		str_printf(out->reason, sizeof out->reason, STR_FMT, STR_ARG(reason));
}

int control_parse(struct str line, struct control_line *out)
{
	struct json *j = NULL;
	struct str op;
	int e = ERR_PROTO;

	*out = (struct control_line){.op = CONTROL_UNKNOWN};
	if (json_parse(line, CONTROL_READ_MAX, &j) != 0 || json_get_text(j, "op", &op) != 0)
		goto out;
	e = 0;
	switch (out->op = control_op_of(op)) {
	case CONTROL_ATTACHED: e = control_read_attached(j, out); break;
	case CONTROL_REFUSED:
		control_read_why(j, out);
		if (json_get_number(j, "ref", JSON_NUMBER_MAX, &out->ref) != 0)
			e = ERR_PROTO;
		break;
	case CONTROL_DETACHED:
		control_read_why(j, out);
		e = control_read_name(j, out);
		break;
	case CONTROL_UNKNOWN: break;
	}
out:
	json_free(j);
	return e;
}

/* ---- writing ---- */

int control_attach(const struct control_attach *a, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) != 0 || (e = json_set_text(j, "op", STR("attach"))) != 0 ||
	    (e = json_set_number(j, "ref", a->ref)) != 0 ||
	    (e = json_set_text(j, "kind", a->kind)) != 0)
		goto out;
	if (a->name.len > 0 && (e = json_set_text(j, "name", a->name)) != 0)
		goto out;
	if ((e = json_set_text(j, "target", a->target)) != 0)
		goto out;
	e = json_write(j, out->len + CONTROL_LINE_MAX, out);
out:
	json_free(j);
	return e;
}

int control_detach(struct str name, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) != 0 || (e = json_set_text(j, "op", STR("detach"))) != 0 ||
	    (e = json_set_text(j, "name", name)) != 0)
		goto out;
	e = json_write(j, out->len + CONTROL_LINE_MAX, out);
out:
	json_free(j);
	return e;
}
