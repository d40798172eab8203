/* What stands in the store may be years old, of another version, or edited by hand: read it so. */
#include "core/record.h"

#include <string.h>

#include "base/err.h"
#include "proto/json.h"

/* A record that cannot be understood is the store's fault, whatever the parser calls it. */
static int record_err(int e)
{
	return e == 0 || e == ERR_NOMEM ? e : ERR_IO;
}

static int record_text(const struct json *j, const char *key, char *out, size_t cap)
{
	struct str s;
	int e = json_get_text(j, key, &s);

	return e != 0 ? e : str_copy(out, cap, s);
}

/* 0 also when it is not there. */
static int record_number(const struct json *j, const char *key, uint64_t *out)
{
	int e = json_get_number(j, key, JSON_NUMBER_MAX, out);

	return e == ERR_NOTFOUND ? 0 : e;
}

static int record_flag(const struct json *j, const char *key, bool *out)
{
	int e = json_get_bool(j, key, out);

	return e == ERR_NOTFOUND ? 0 : e;
}

/* ---- reading ---- */

int record_read_account(struct str value, struct record_account *out)
{
	struct json *j = NULL;
	uint64_t created = 0;
	int e;

	*out = (struct record_account){.enabled = true};
	if ((e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_flag(j, "enabled", &out->enabled)) != 0 ||
	    (e = record_number(j, "n_tunnels", &out->n_tunnels)) != 0 ||
	    (e = record_number(j, "created_ms", &created)) != 0)
		goto out;
	out->created_ms = (int64_t)created;
out:
	json_free(j);
	return record_err(e);
}

int record_read_token(struct str value, struct record_token *out)
{
	struct json *j = NULL;
	uint64_t created = 0;
	int e;

	*out = (struct record_token){0};
	if ((e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_text(j, "account", out->account, sizeof out->account)) != 0 ||
	    (e = record_number(j, "created_ms", &created)) != 0)
		goto out;
	out->created_ms = (int64_t)created;
out:
	json_free(j);
	return record_err(e);
}

int record_read_tunnel(struct str value, struct record_tunnel *out)
{
	struct json *j = NULL;
	uint64_t created = 0;
	struct str kind;
	int e;

	*out = (struct record_tunnel){.enabled = true};
	if ((e = json_parse(value, RECORD_MAX, &j)) != 0 ||
	    (e = record_text(j, "account", out->account, sizeof out->account)) != 0 ||
	    (e = json_get_text(j, "kind", &kind)) != 0 ||
	    (e = record_flag(j, "enabled", &out->enabled)) != 0 ||
	    (e = record_number(j, "created_ms", &created)) != 0)
		goto out;
	out->http = str_eq(kind, STR("http"));
	out->created_ms = (int64_t)created;
	e = record_text(j, "target", out->target, sizeof out->target);
	if (e == ERR_NOTFOUND)
		e = 0;
out:
	json_free(j);
	return record_err(e);
}

int record_read_claim(struct str value, char account[CORE_ACCOUNT_TEXT])
{
	struct json *j = NULL;
	int e;

	if ((e = json_parse(value, RECORD_MAX, &j)) == 0)
		e = record_text(j, "account", account, CORE_ACCOUNT_TEXT);
	json_free(j);
	return record_err(e);
}

/* ---- writing ---- */

int record_write_account(const struct record_account *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 && (e = json_set_bool(j, "enabled", r->enabled)) == 0 &&
	    (e = json_set_number(j, "n_tunnels", r->n_tunnels)) == 0 &&
	    (e = json_set_number(j, "created_ms", (uint64_t)r->created_ms)) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_write_token(const struct record_token *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(r->account))) == 0 &&
	    (e = json_set_number(j, "created_ms", (uint64_t)r->created_ms)) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_write_tunnel(const struct record_tunnel *r, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(r->account))) == 0 &&
	    (e = json_set_text(j, "kind", STR("http"))) == 0 &&
	    (e = json_set_text(j, "target", str_of(r->target))) == 0 &&
	    (e = json_set_bool(j, "enabled", r->enabled)) == 0 &&
	    (e = json_set_number(j, "created_ms", (uint64_t)r->created_ms)) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_write_claim(const char *account, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "account", str_of(account))) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_change_tunnels(struct str value, uint64_t n_tunnels, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = record_err(json_parse(value, RECORD_MAX, &j))) == 0 &&
	    (e = json_set_number(j, "n_tunnels", n_tunnels)) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}

int record_change_target(struct str value, const char *target, struct buf *out)
{
	struct json *j = NULL;
	int e;

	if ((e = record_err(json_parse(value, RECORD_MAX, &j))) == 0 &&
	    (e = json_set_text(j, "target", str_of(target))) == 0)
		e = json_write(j, RECORD_MAX, out);
	json_free(j);
	return e;
}
