/*
 * Moving between stores: one page, or one batch, at a time, so that neither the file nor the store
 * has to fit into memory.
 */
#include "store/store_dump.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/err.h"
#include "proto/json.h"

#define DUMP_FORMAT "karez-store"

/* Records of one batch, and bytes of their keys and values. */
#define DUMP_BATCH_MAX	 500
#define DUMP_BATCH_BYTES (1024 * 1024)

struct store_dump {
	struct ev *ev;
	struct store *store; /* borrowed */
	const struct str *kinds;
	size_t n_kinds, kind; /* which one we are at */
	FILE *file;
	void (*done)(void *arg, const struct store_dump_result *r);
	void *arg;
	struct ev_task task;
	struct buf after; /* the last key of the page before */
	struct store_dump_result result;

	/* import */
	char *line; /* owned: [STORE_DUMP_LINE_MAX] */
	size_t line_no;
	struct store_write writes[DUMP_BATCH_MAX];
	size_t n_writes, bytes;
};

/* ---- life ---- */

static void store_dump_forget_batch(struct store_dump *d)
{
	for (size_t i = 0; i < d->n_writes; i++)
		free((void *)(uintptr_t)d->writes[i].rec.kind.p); /* one block, see dump_keep() */
	d->n_writes = d->bytes = 0;
}

static void store_dump_end(struct store_dump *d, int e)
{
	if (e != 0 && d->result.why[0] == '\0')
		str_printf(d->result.why, sizeof d->result.why, "the store failed: %s",
			   err_text(e));
	d->result.e = e;
	store_dump_forget_batch(d);
	buf_free(&d->after);
	free(d->line);
	d->done(d->arg, &d->result);
	free(d);
}

static int store_dump_fail(struct store_dump *d, int e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int store_dump_fail(struct store_dump *d, int e, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->result.why, sizeof d->result.why, fmt, ap);
	va_end(ap);
	return e;
}

static int store_dump_new(struct ev *ev, struct store *s, FILE *file, struct store_dump **out)
{
	struct store_dump *d = calloc(1, sizeof *d);

	if (d == NULL)
		return ERR_NOMEM;
	d->ev = ev;
	d->store = s;
	d->file = file;
	*out = d;
	return 0;
}

/* ---- export ---- */

static int store_dump_set(struct json *j, const char *key, const char *key64, struct str bytes)
{
	int e = json_set_text(j, key, bytes);
	char *text;

	if (e != ERR_INVAL)
		return e;
	if ((text = malloc(BASE64_TEXT(bytes.len))) == NULL)
		return ERR_NOMEM;
	base64_encode(BASE64, bytes.p, bytes.len, text);
	e = json_set_text(j, key64, str_of(text));
	free(text);
	return e;
}

static int store_dump_line(struct store_dump *d, const struct store_record *rec)
{
	struct json *j = NULL;
	struct buf b = {0};
	int e;

	if ((e = json_new_object(&j)) != 0 || (e = json_set_text(j, "kind", rec->kind)) != 0 ||
	    (e = store_dump_set(j, "key", "key64", rec->key)) != 0 ||
	    (e = store_dump_set(j, "value", "value64", rec->value)) != 0)
		goto out;
	if (rec->expires_ms != 0 &&
	    (e = json_set_number(j, "expires_ms", (uint64_t)rec->expires_ms)) != 0)
		goto out;
	if ((e = json_write(j, STORE_DUMP_LINE_MAX, &b)) != 0)
		goto out;
	if (fprintf(d->file, STR_FMT "\n", STR_ARG(buf_str(&b))) < 0)
		e = store_dump_fail(d, ERR_IO, "cannot write the file: %s", strerror(errno));
out:
	json_free(j);
	buf_free(&b);
	return e;
}

static void store_dump_next_page(struct store_dump *d);

static void store_dump_on_page(void *arg, const struct store_answer *answer)
{
	struct store_dump *d = arg;
	int e = answer->e;

	for (size_t i = 0; i < answer->n && e == 0; i++) {
		e = store_dump_line(d, &answer->recs[i]);
		d->result.n_records++;
	}
	buf_free(&d->after);
	if (e == 0 && answer->more && answer->n > 0) {
		struct str last = answer->recs[answer->n - 1].key;

		e = buf_add(&d->after, last.p, last.len, STORE_KEY_MAX);
	} else {
		d->kind++;
	}
	if (e != 0)
		store_dump_end(d, e);
	else
		store_dump_next_page(d);
}

static void store_dump_next_page(struct store_dump *d)
{
	struct store_page page = {.limit = STORE_PAGE_MAX, .after = buf_str(&d->after)};
	int e;

	if (d->kind == d->n_kinds) {
		e = fflush(d->file) == 0 ? 0
					 : store_dump_fail(d, ERR_IO, "cannot write the file: %s",
							   strerror(errno));
		store_dump_end(d, e);
		return;
	}
	page.kind = d->kinds[d->kind];
	if ((e = store_list(d->store, page, store_dump_on_page, d)) != 0)
		store_dump_end(d, e);
}

static void store_dump_on_export(void *arg)
{
	struct store_dump *d = arg;

	if (fprintf(d->file, "{\"" DUMP_FORMAT "\":1}\n") < 0)
		store_dump_end(d, store_dump_fail(d, ERR_IO, "cannot write the file: %s",
						  strerror(errno)));
	else
		store_dump_next_page(d);
}

int store_export(struct ev *ev, struct store *s, const struct str *kinds, size_t n, FILE *out,
		 void (*done)(void *arg, const struct store_dump_result *r), void *arg)
{
	struct store_dump *d;

	if (store_dump_new(ev, s, out, &d) != 0)
		return ERR_NOMEM;
	d->kinds = kinds;
	d->n_kinds = n;
	d->done = done;
	d->arg = arg;
	d->task = (struct ev_task){.fn = store_dump_on_export, .arg = d};
	ev_task_run(ev, &d->task);
	return 0;
}

/* ---- import: one line ---- */

/* The bytes of a member, as text or as base64; out has room for max. Returns 0 or ERR_PROTO. */
static int store_dump_get(const struct json *j, const char *key, const char *key64, size_t max,
			  char *out, size_t *len)
{
	struct str text;

	if (json_get_text(j, key, &text) == 0 && text.len <= max) {
		memcpy(out, text.p, text.len);
		*len = text.len;
		return 0;
	}
	if (json_get_text(j, key64, &text) == 0 && base64_decode(text, out, max, len) == 0)
		return 0;
	return ERR_PROTO;
}

static bool store_dump_knows(const struct store_dump *d, struct str kind)
{
	for (size_t i = 0; i < d->n_kinds; i++)
		if (str_eq(d->kinds[i], kind))
			return true;
	return false;
}

/* A record in one block of memory, behind the other writes. Returns 0, ERR_PROTO or ERR_NOMEM. */
static int store_dump_keep(struct store_dump *d, const struct json *j)
{
	struct store_record *rec = &d->writes[d->n_writes].rec;
	size_t key_len, value_len;
	uint64_t expires = 0;
	struct str kind;
	char *block;
	int e;

	if (json_get_text(j, "kind", &kind) != 0 || !store_dump_knows(d, kind))
		return ERR_PROTO;
	e = json_get_number(j, "expires_ms", JSON_NUMBER_MAX, &expires);
	if (e != 0 && e != ERR_NOTFOUND)
		return ERR_PROTO;
	if ((block = malloc(kind.len + STORE_KEY_MAX + STORE_VALUE_MAX)) == NULL)
		return ERR_NOMEM;
	memcpy(block, kind.p, kind.len);
	if (store_dump_get(j, "key", "key64", STORE_KEY_MAX, block + kind.len, &key_len) != 0 ||
	    key_len == 0 ||
	    store_dump_get(j, "value", "value64", STORE_VALUE_MAX, block + kind.len + key_len,
			   &value_len) != 0) {
		free(block);
		return ERR_PROTO;
	}
	d->writes[d->n_writes++] = (struct store_write){.op = STORE_PUT};
	*rec = (struct store_record){.kind = {block, kind.len},
				     .key = {block + kind.len, key_len},
				     .value = {block + kind.len + key_len, value_len},
				     .expires_ms = (int64_t)expires};
	d->bytes += kind.len + key_len + value_len;
	return 0;
}

/* The next line, as far as it may be long. Returns 0, ERR_EOF behind the last one, or ERR_IO. */
static int store_dump_take(struct store_dump *d, struct str *line)
{
	size_t n = 0;
	int c = 0;

	while (n < STORE_DUMP_LINE_MAX && c != '\n' && (c = getc_unlocked(d->file)) != EOF)
		d->line[n++] = (char)c;
	if (c == EOF && !feof(d->file))
		return store_dump_fail(d, ERR_IO, "cannot read the file: %s", strerror(errno));
	if (n == 0)
		return ERR_EOF;
	*line = (struct str){d->line, n};
	d->line_no++;
	return 0;
}

/* Returns 0, ERR_EOF behind the last line, or why this one is no good. */
static int store_dump_read(struct store_dump *d)
{
	struct json *j = NULL;
	struct str line;
	uint64_t format;
	int e = store_dump_take(d, &line);

	if (e != 0)
		return e;
	if ((e = json_parse(line, STORE_DUMP_LINE_MAX, &j)) != 0)
		;
	else if (d->line_no > 1)
		e = store_dump_keep(d, j);
	else if (json_get_number(j, DUMP_FORMAT, 1, &format) != 0)
		e = ERR_PROTO;
	json_free(j);
	if (e == ERR_NOMEM)
		return e;
	if (e != 0 && d->line_no == 1)
		return store_dump_fail(d, ERR_PROTO,
				       "this is no export of a karez store: its first line should "
				       "be {\"" DUMP_FORMAT "\":1}");
	if (e != 0)
		return store_dump_fail(d, ERR_PROTO, "line %zu is no record of a karez store",
				       d->line_no);
	return 0;
}

/* ---- import: the whole file ---- */

static void store_dump_next_batch(struct store_dump *d);

static void store_dump_on_batch(void *arg, const struct store_answer *answer)
{
	struct store_dump *d = arg;
	int e = answer->e;

	if (e == ERR_CONFLICT)
		e = store_dump_fail(d, ERR_EXISTS,
				    "a record of the file, kind " STR_FMT
				    ", is in the store or in the file already: has somebody "
				    "written to it meanwhile?",
				    STR_ARG(d->writes[answer->failed].rec.kind));
	else if (e == 0)
		d->result.n_records += d->n_writes;
	store_dump_forget_batch(d);
	if (e != 0)
		store_dump_end(d, e);
	else
		store_dump_next_batch(d);
}

static void store_dump_next_batch(struct store_dump *d)
{
	int e = 0;

	while (d->n_writes < DUMP_BATCH_MAX && d->bytes < DUMP_BATCH_BYTES && e == 0)
		e = store_dump_read(d);
	if (e != 0 && e != ERR_EOF) {
		store_dump_end(d, e);
		return;
	}
	if (d->n_writes == 0)
		store_dump_end(d, 0);
	else if ((e = store_batch(d->store, d->writes, d->n_writes, store_dump_on_batch, d)) != 0)
		store_dump_end(d, e);
}

/* Is every line good? Then back to the start. */
static int store_dump_judge(struct store_dump *d)
{
	int e;

	while ((e = store_dump_read(d)) == 0)
		store_dump_forget_batch(d);
	if (e != ERR_EOF)
		return e;
	if (d->line_no == 0)
		return store_dump_fail(d, ERR_PROTO, "the file is empty");
	if (fseek(d->file, 0, SEEK_SET) != 0)
		return store_dump_fail(d, ERR_IO, "cannot read the file twice: %s",
				       strerror(errno));
	d->line_no = 0;
	return 0;
}

static void store_dump_look(struct store_dump *d);

static void store_dump_on_look(void *arg, const struct store_answer *answer)
{
	struct store_dump *d = arg;
	int e = answer->e;

	if (e == 0 && answer->n > 0)
		e = store_dump_fail(d, ERR_EXISTS,
				    "the store has records already (of kind " STR_FMT
				    "): import into an empty one",
				    STR_ARG(d->kinds[d->kind]));
	d->kind++;
	if (e != 0)
		store_dump_end(d, e);
	else
		store_dump_look(d);
}

/* Nothing of any kind may be there. */
static void store_dump_look(struct store_dump *d)
{
	struct store_page page = {.limit = 1};
	int e;

	if (d->kind == d->n_kinds) {
		if ((e = store_dump_judge(d)) != 0)
			store_dump_end(d, e);
		else
			store_dump_next_batch(d);
		return;
	}
	page.kind = d->kinds[d->kind];
	if ((e = store_list(d->store, page, store_dump_on_look, d)) != 0)
		store_dump_end(d, e);
}

static void store_dump_on_import(void *arg)
{
	store_dump_look(arg);
}

int store_import(struct ev *ev, struct store *s, const struct str *kinds, size_t n, FILE *in,
		 void (*done)(void *arg, const struct store_dump_result *r), void *arg)
{
	struct store_dump *d;

	if (store_dump_new(ev, s, in, &d) != 0)
		return ERR_NOMEM;
	if ((d->line = malloc(STORE_DUMP_LINE_MAX)) == NULL) {
		free(d);
		return ERR_NOMEM;
	}
	d->kinds = kinds;
	d->n_kinds = n;
	d->done = done;
	d->arg = arg;
	d->task = (struct ev_task){.fn = store_dump_on_import, .arg = d};
	ev_task_run(ev, &d->task);
	return 0;
}
