/*
 * Commands are written here and not by hiredis: a batch has thousands of words, for which hiredis
 * wants arrays of pointers and lengths first.
 */
#include "store/store_redis_resp.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "store/store_redis_script.h"

/* ---- commands ---- */

/* A number as text. */
struct resp_number {
	char text[24];
};

static struct str resp_number(struct resp_number *n, uint64_t value)
{
	return (struct str){n->text,
			    str_printf(n->text, sizeof n->text, "%llu", (unsigned long long)value)};
}

static int resp_head(struct buf *out, char type, size_t n)
{
	char text[32];
	size_t len = str_printf(text, sizeof text, "%c%zu\r\n", type, n);

	return buf_add(out, text, len, STORE_REDIS_COMMAND_MAX);
}

static int resp_word(struct buf *out, struct str word)
{
	int e;

	if ((e = resp_head(out, '$', word.len)) != 0 ||
	    (e = buf_add(out, word.p, word.len, STORE_REDIS_COMMAND_MAX)) != 0)
		return e;
	return buf_add(out, "\r\n", 2, STORE_REDIS_COMMAND_MAX);
}

static int resp_add_words(struct buf *out, const struct str *words, size_t n)
{
	int e = 0;

	for (size_t i = 0; i < n && e == 0; i++)
		e = resp_word(out, words[i]);
	return e;
}

int store_redis_resp_words(struct buf *out, const struct str *words, size_t n)
{
	int e = resp_head(out, '*', n);

	return e != 0 ? e : resp_add_words(out, words, n);
}

static int resp_get(struct buf *out, const struct store_record *rec)
{
	char name[sizeof STORE_REDIS_KEYS "r:" + STORE_KIND_MAX + 1 + STORE_KEY_MAX];
	size_t n = str_printf(name, sizeof name, STORE_REDIS_KEYS "r:" STR_FMT "/",
			      STR_ARG(rec->kind));
	struct str words[2] = {STR("GET"), {name, n + rec->key.len}};

	memcpy(name + n, rec->key.p, rec->key.len);
	return store_redis_resp_words(out, words, ARRAY_LEN(words));
}

static int resp_list(struct buf *out, const struct store_req *req,
		     const struct store_redis_peer *peer, int64_t now_ms)
{
	const struct store_record *from = &req->writes[0].rec;
	char name[sizeof STORE_REDIS_KEYS "i:" + STORE_KIND_MAX];
	struct resp_number now, limit, bytes;
	struct str words[] = {
		STR("EVALSHA"),
		str_of(peer->list_sha),
		STR("1"),
		{name,
		 str_printf(name, sizeof name, STORE_REDIS_KEYS "i:" STR_FMT, STR_ARG(from->kind))},
		resp_number(&now, (uint64_t)now_ms),
		from->kind,
		from->key,
		resp_number(&limit, req->limit),
		resp_number(&bytes, STORE_PAGE_BYTES_MAX),
	};

	return store_redis_resp_words(out, words, ARRAY_LEN(words));
}

static int resp_changes(struct buf *out, const struct store_req *req,
			const struct store_redis_peer *peer)
{
	struct resp_number after, limit;
	struct str words[] = {
		STR("EVALSHA"),
		str_of(peer->changes_sha),
		STR("1"),
		STR(STORE_REDIS_KEYS "log"),
		resp_number(&after, req->after),
		resp_number(&limit, req->limit),
	};

	return store_redis_resp_words(out, words, ARRAY_LEN(words));
}

static int resp_write(struct buf *out, const struct store_req *req,
		      const struct store_redis_peer *peer, int64_t now_ms)
{
	struct resp_number now, expected, expires;
	struct str head[] = {
		STR("EVALSHA"),
		str_of(peer->write_sha),
		STR("1"),
		STR(STORE_REDIS_HEAD),
		resp_number(&now, (uint64_t)now_ms),
		str_of(peer->run_id),
	};
	int e = resp_head(out, '*', ARRAY_LEN(head) + 6 * req->n_writes);

	if (e == 0)
		e = resp_add_words(out, head, ARRAY_LEN(head));
	for (size_t i = 0; i < req->n_writes && e == 0; i++) {
		const struct store_write *w = &req->writes[i];
		struct str line[] = {
			w->op == STORE_PUT ? STR("p") : STR("d"),
			w->rec.kind,
			w->rec.key,
			w->expected == STORE_ANY ? STR("any") : resp_number(&expected, w->expected),
			resp_number(&expires, (uint64_t)w->rec.expires_ms),
			w->rec.value,
		};

		e = resp_add_words(out, line, ARRAY_LEN(line));
	}
	return e;
}

int store_redis_resp_redo(struct buf *out, const struct store_write *writes, size_t n,
			  const char *run_id)
{
	struct resp_number version, expires;
	struct str head[] = {
		STR("EVAL"),	str_of(store_redis_script_redo), STR("1"), STR(STORE_REDIS_HEAD),
		str_of(run_id),
	};
	int e = resp_head(out, '*', ARRAY_LEN(head) + 6 * n);

	if (e == 0)
		e = resp_add_words(out, head, ARRAY_LEN(head));
	for (size_t i = 0; i < n && e == 0; i++) {
		const struct store_write *w = &writes[i];
		struct str line[] = {
			w->op == STORE_PUT ? STR("p") : STR("d"),
			w->rec.kind,
			w->rec.key,
			resp_number(&version, w->rec.version),
			resp_number(&expires, (uint64_t)w->rec.expires_ms),
			w->rec.value,
		};

		e = resp_add_words(out, line, ARRAY_LEN(line));
	}
	return e;
}

int store_redis_resp_request(struct buf *out, const struct store_req *req,
			     const struct store_redis_peer *peer, int64_t now_ms)
{
	switch (req->verb) {
	case STORE_GET: return resp_get(out, &req->writes[0].rec);
	case STORE_LIST: return resp_list(out, req, peer, now_ms);
	case STORE_CHANGES: return resp_changes(out, req, peer);
	case STORE_WRITE: break;
	}
	return resp_write(out, req, peer, now_ms);
}

/* ---- errors ---- */

static const struct {
	const char *code;
	enum store_redis_fault fault;
	int e;
} resp_errors[] = {
	{"NOSCRIPT", STORE_REDIS_SCRIPT, 0},	 {"READONLY", STORE_REDIS_MASTER, 0},
	{"LOADING", STORE_REDIS_MASTER, 0},	 {"MASTERDOWN", STORE_REDIS_MASTER, 0},
	{"CLUSTERDOWN", STORE_REDIS_MASTER, 0},	 {"MOVED", STORE_REDIS_MASTER, 0},
	{"NOAUTH", STORE_REDIS_MASTER, 0},	 {"OOM", STORE_REDIS_FINE, ERR_FULL},
	{"MISCONF", STORE_REDIS_FINE, ERR_FULL}, {"NOREPLICAS", STORE_REDIS_FINE, ERR_TIMEOUT},
	{"BUSY", STORE_REDIS_FINE, ERR_TIMEOUT}, {"NOPERM", STORE_REDIS_FINE, ERR_DENIED},
};

/* Redis before 7 wraps errors of a script: "ERR Error running script ...: -OOM command ...". */
bool store_redis_resp_is_error(const struct redisReply *reply, const char *code)
{
	struct str want = str_of(code), text;
	const char *inside;

	if (reply->type != REDIS_REPLY_ERROR)
		return false;
	text = (struct str){reply->str, reply->len};
	if (str_starts(text, STR("-")))
		text = (struct str){text.p + 1, text.len - 1};
	if (str_eq((struct str){text.p, str_find(text, ' ')}, want))
		return true;
	if (!str_starts(text, STR("ERR ")))
		return false;
	while ((inside = memmem(text.p, text.len, " -", 2)) != NULL) {
		text = (struct str){inside + 2, text.len - (size_t)(inside + 2 - text.p)};
		if (str_eq((struct str){text.p, str_find(text, ' ')}, want))
			return true;
	}
	return false;
}

enum store_redis_fault store_redis_resp_fault(const struct redisReply *reply)
{
	for (size_t i = 0; i < ARRAY_LEN(resp_errors); i++)
		if (store_redis_resp_is_error(reply, resp_errors[i].code))
			return resp_errors[i].fault;
	return STORE_REDIS_FINE;
}

static int resp_error(const struct redisReply *reply)
{
	for (size_t i = 0; i < ARRAY_LEN(resp_errors); i++)
		if (store_redis_resp_is_error(reply, resp_errors[i].code))
			return resp_errors[i].e;
	return ERR_IO;
}

/* ---- answers ---- */

/* "VERSION EXPIRES VALUE" and its key, copied into the next record. */
static int resp_take(struct store_req *req, struct str key, struct str packed)
{
	struct store_record *rec = &req->recs[req->answer.n];
	struct str rest = packed, version_text, expires_text;
	uint64_t version, expires;
	char *copy;

	if (!str_next(&rest, ' ', &version_text) || !str_next(&rest, ' ', &expires_text) ||
	    rest.p == NULL || num_parse(version_text, UINT64_MAX - 1, &version) != 0 ||
	    num_parse(expires_text, INT64_MAX, &expires) != 0 || version == 0)
		return ERR_IO;
	if (key.len < 1 || key.len > STORE_KEY_MAX || rest.len > STORE_VALUE_MAX)
		return ERR_IO;
	if ((copy = store_req_keep(req, key.len + rest.len)) == NULL)
		return ERR_NOMEM;
	memcpy(copy, key.p, key.len);
	memcpy(copy + key.len, rest.p, rest.len);
	*rec = (struct store_record){
		.kind = req->writes[0].rec.kind,
		.key = {copy, key.len},
		.value = {copy + key.len, rest.len},
		.version = version,
		.expires_ms = (int64_t)expires,
	};
	req->answer.n++;
	return 0;
}

static int resp_answer_get(struct store_req *req, const struct redisReply *reply, int64_t now_ms)
{
	int e;

	if (reply->type == REDIS_REPLY_NIL)
		return ERR_NOTFOUND;
	if (reply->type != REDIS_REPLY_STRING)
		return ERR_IO;
	e = resp_take(req, req->writes[0].rec.key, (struct str){reply->str, reply->len});
	if (e == 0 && store_is_over(req->recs[0].expires_ms, now_ms))
		return ERR_NOTFOUND;
	return e;
}

static int resp_answer_list(struct store_req *req, const struct redisReply *reply)
{
	int e = 0;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements % 2 != 1 ||
	    reply->elements / 2 > req->limit || reply->element[0]->type != REDIS_REPLY_INTEGER)
		return ERR_IO;
	for (size_t i = 1; i < reply->elements && e == 0; i += 2) {
		const struct redisReply *key = reply->element[i], *rec = reply->element[i + 1];

		if (key->type != REDIS_REPLY_STRING || rec->type != REDIS_REPLY_STRING)
			return ERR_IO;
		e = resp_take(req, (struct str){key->str, key->len},
			      (struct str){rec->str, rec->len});
	}
	req->answer.more = e == 0 && reply->element[0]->integer != 0;
	/* An empty page has no key to go on from. */
	return e == 0 && req->answer.more && req->answer.n == 0 ? ERR_IO : e;
}

/* "NUMBER KIND/KEY", copied into the next record. */
static int resp_take_note(struct store_req *req, struct str note)
{
	struct store_record *rec = &req->recs[req->answer.n];
	struct str name = note, number;
	size_t slash;
	char *copy;

	if (!str_next(&name, ' ', &number) || name.p == NULL ||
	    num_parse(number, UINT64_MAX, &rec->version) != 0 || rec->version == 0)
		return ERR_IO;
	slash = str_find(name, '/');
	if (slash < 1 || slash > STORE_KIND_MAX || name.len < slash + 2 ||
	    name.len - slash - 1 > STORE_KEY_MAX)
		return ERR_IO;
	if ((copy = store_req_keep(req, name.len)) == NULL)
		return ERR_NOMEM;
	memcpy(copy, name.p, name.len);
	rec->kind = (struct str){copy, slash};
	rec->key = (struct str){copy + slash + 1, name.len - slash - 1};
	req->answer.n++;
	return 0;
}

static int resp_answer_changes(struct store_req *req, const struct redisReply *reply)
{
	int e = 0;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 1 ||
	    reply->elements - 1 > req->limit || reply->element[0]->type != REDIS_REPLY_INTEGER)
		return ERR_IO;
	if (reply->element[0]->integer == 2)
		return ERR_CONFLICT;
	for (size_t i = 1; i < reply->elements && e == 0; i++) {
		const struct redisReply *note = reply->element[i];

		e = note->type != REDIS_REPLY_STRING
			    ? ERR_IO
			    : resp_take_note(req, (struct str){note->str, note->len});
	}
	req->answer.more = e == 0 && reply->element[0]->integer != 0;
	return e == 0 && req->after == 0 && req->answer.n == 0 ? ERR_NOTFOUND : e;
}

static int resp_answer_write(struct store_req *req, const struct redisReply *reply)
{
	const struct redisReply *const *at;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
		return ERR_IO;
	at = (const struct redisReply *const *)reply->element;
	for (size_t i = 0; i < reply->elements; i++)
		if (at[i]->type != REDIS_REPLY_INTEGER || at[i]->integer < 0)
			return ERR_IO;
	if (at[0]->integer == 1) {
		req->answer.failed = MIN((size_t)at[1]->integer, req->n_writes - 1);
		return ERR_CONFLICT;
	}
	if (at[0]->integer != 0 || reply->elements != req->n_writes + 1)
		return ERR_IO;
	for (size_t i = 0; i < req->n_writes; i++)
		store_req_wrote(req, i, (uint64_t)at[i + 1]->integer);
	req->answer.n = req->n_writes;
	return 0;
}

void store_redis_resp_answer(struct store_req *req, const struct redisReply *reply, int64_t now_ms)
{
	req->answer = (struct store_answer){0};
	if (reply->type == REDIS_REPLY_ERROR) {
		req->answer.e = resp_error(reply);
		return;
	}
	switch (req->verb) {
	case STORE_GET: req->answer.e = resp_answer_get(req, reply, now_ms); break;
	case STORE_LIST: req->answer.e = resp_answer_list(req, reply); break;
	case STORE_CHANGES: req->answer.e = resp_answer_changes(req, reply); break;
	case STORE_WRITE: req->answer.e = resp_answer_write(req, reply); break;
	}
}
