/*
 * Conditional requests: does a reader have the representation already, or want it only unchanged?
 * Source: RFC 9110 13.
 */
#ifndef KAREZ_PROTO_HTTP_COND_H
#define KAREZ_PROTO_HTTP_COND_H

#include "proto/http_head.h"

/* What is known about a representation. A value; texts borrowed. */
struct http_validators {
	struct str etag;    /* strong, with its quotes; empty: none */
	bool has_modified;  /* modified_s counts */
	int64_t modified_s; /* Last-Modified, in seconds since 1970-01-01 UTC */
	int64_t now_s;	    /* the present */
};

enum http_cond {
	HTTP_COND_GO,	  /* do what is asked for */
	HTTP_COND_SAME,	  /* 304: the reader has it */
	HTTP_COND_FAILED, /* 412: it is not what the reader expects */
};

/*
 * Evaluate If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since of a GET or HEAD, for
 * a representation that would be sent. A date that cannot be read is passed over, and so is a tag
 * that is none. Source: RFC 9110 13.1, 13.2.2.
 */
enum http_cond http_cond_check(const struct http_head *h, const struct http_validators *v);

/*
 * May Range be heeded? Yes without If-Range, and with one that names this very representation: by
 * a strong tag, or by its date if that is at least a second ago. Source: RFC 9110 13.1.5, 8.8.2.2.
 */
bool http_cond_range(const struct http_head *h, const struct http_validators *v);

/* The first field of this name, any case, behind f (NULL: from the start); NULL: none. For names
 * that http_field.def has no row for. */
const struct http_field *http_cond_field(const struct http_head *h, struct str name,
					 const struct http_field *f);

#endif
