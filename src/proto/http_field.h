/*
 * The fields of HTTP heads and trailers: the names karez knows, and what may stand in names and
 * values. Source: RFC 9110 5.
 */
#ifndef KAREZ_PROTO_HTTP_FIELD_H
#define KAREZ_PROTO_HTTP_FIELD_H

#include "base/str.h"

/* What becomes of a field when its head is written anew. A set of bits. */
enum http_field_flag {
	/* between two neighbours, or named by Connection: never passed on */
	HTTP_F_HOP = 1,
	/* Content-Length, Transfer-Encoding: written from http_head.framing */
	HTTP_F_FRAMING = 2,
	/* Host */
	HTTP_F_HOST = 4,
	/* Forwarded, X-Forwarded-*, X-Real-IP: believed from trusted peers only */
	HTTP_F_FORWARDING = 8,
	/* Via */
	HTTP_F_VIA = 16,
	/* a flagged name spelt with '_' for '-', which CGI-like targets cannot tell apart */
	HTTP_F_ALIAS = 32,
};

enum http_field_id {
	HTTP_FIELD_OTHER,
#define FIELD(id, name, first, last_but_one, flags) HTTP_FIELD_##id,
#include "proto/http_field.def"
#undef FIELD
	HTTP_FIELD_IDS
};

struct http_field {
	struct str name;  /* as sent: any case */
	struct str value; /* without the spaces around it; may be empty; may hold bytes >= 0x80 */
	uint8_t id;	  /* enum http_field_id */
	uint8_t flags;	  /* enum http_field_flag */
};

/*
 * Which known name this is, in any case.
 *   name  any bytes.
 * Returns HTTP_FIELD_OTHER if none.
 */
enum http_field_id http_field_id(struct str name);

/* The name of a known field in lower case; empty for HTTP_FIELD_OTHER. */
struct str http_field_name(enum http_field_id id);

/*
 * Set f->id and f->flags from f->name.
 *   f->name  one or more token characters.
 */
void http_field_classify(struct http_field *f);

/* May it be a name: one or more token characters? Source: RFC 9110 5.6.2. */
bool http_field_name_ok(struct str s);

/* May it be a value: no control character but tab? Source: RFC 9110 5.5. */
bool http_field_value_ok(struct str s);

/*
 * Take the next element of a comma-separated list, without the space around it; empty elements are
 * passed over, commas in quoted strings are not understood.
 *   *rest  in: the value; out: what is left.
 * Returns false at the end. Source: RFC 9110 5.6.1.
 */
bool http_field_list_next(struct str *rest, struct str *element);

/* Does a comma-separated list hold this element, in any case? ("a;q=1" is not "a".) */
bool http_field_list_has(struct str list, struct str element);

#endif
