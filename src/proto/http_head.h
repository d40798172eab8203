/*
 * The head of an HTTP/1 request or response, read strictly: what two readers could understand in
 * two ways is refused, so that nobody downstream can be made to see another message than we did.
 * Source: RFC 9112 (HTTP/1.1), RFC 9110 (semantics).
 */
#ifndef KAREZ_PROTO_HTTP_HEAD_H
#define KAREZ_PROTO_HTTP_HEAD_H

#include "proto/http_field.h"

#define HTTP_HEAD_MAX	    65536 /* bytes of a whole head; what a slow peer can make us hold */
#define HTTP_TARGET_MAX	    16384 /* bytes of a request target */
#define HTTP_METHOD_MAX	    32	  /* bytes of a method; the longest registered one has 17 */
#define HTTP_FIELDS_MAX	    128	  /* field lines of one head */
#define HTTP_CONNECTION_MAX 16	  /* names in Connection: each is compared with every field */

enum http_method {
	HTTP_OTHER, /* not in http_method.def: see method_name */
#define METHOD(name) HTTP_##name,
#include "proto/http_method.def"
#undef METHOD
};

/* How long the body is. Source: RFC 9112 6.3. */
enum http_framing {
	HTTP_BODY_NONE,	  /* no body: the next byte belongs to the next message */
	HTTP_BODY_LENGTH, /* content_length bytes, which may be 0 */
	HTTP_BODY_CHUNKED,
	HTTP_BODY_CLOSE,  /* responses only: everything up to the end of the connection */
	HTTP_BODY_TUNNEL, /* responses only: 101, or 2xx to CONNECT: HTTP ends here */
};

/* Why a head was refused. */
struct http_refusal {
	uint16_t status; /* what a server answers before it closes: 400, 414, 417, 431, 505 */
	const char *why; /* static; one sentence for a person, without a full stop */
};

/* What requests and responses have in common. All spans point into the bytes that were parsed. */
struct http_head {
	size_t len;		 /* bytes of the head with its empty line; the body starts there */
	uint64_t content_length; /* with has_length, else 0 */
	enum http_framing framing;
	uint8_t minor;	 /* 1.minor: 0 or 1 */
	bool has_length; /* Content-Length was there; a reply to HEAD has it and no body */
	bool keep_alive; /* the sender is willing to go on after this message */
	/* the Upgrade value if Connection lists "upgrade" and minor is 1, else empty */
	struct str upgrade;
	struct http_refusal refusal; /* set when a parser returns an error other than ERR_AGAIN */
	size_t n_fields;
	uint8_t first[HTTP_FIELD_IDS]; /* 1 + index of the first field with that id, 0: none */
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* The four forms of a request target. Source: RFC 9112 3.2. */
enum http_form { HTTP_FORM_ORIGIN, HTTP_FORM_ABSOLUTE, HTTP_FORM_AUTHORITY, HTTP_FORM_ASTERISK };

struct http_request {
	enum http_method method;
	enum http_form form;
	struct str method_name;
	struct str target; /* as sent */
	/*
	 * Path and query, "/..."; "*" in asterisk form; empty in authority form. In absolute form
	 * it may be empty or "?query": write a "/" before it.
	 */
	struct str path;
	struct str scheme;    /* absolute form: "http" or "https", any case; else empty */
	struct str authority; /* absolute and authority form: host or host:port; else empty */
	/*
	 * The host that is asked for, any case, perhaps with ":port": Host, else the authority.
	 * Always a valid host name or IP literal; empty only in HTTP/1.0.
	 */
	struct str host;
	bool expect_continue; /* the visitor waits for a 100 before it sends the body */
	struct http_head head;
};

struct http_response {
	unsigned status;   /* 100-599 */
	struct str reason; /* may be empty */
	struct http_head head;
};

/*
 * Read a request head.
 *   bytes     all bytes received so far, from the first one of this head.
 *   *scanned  0 for a new head; then left alone between the calls for the same head: what has been
 *             searched already, so that a head which arrives in drops costs linear time.
 *   out       set on success, spans into `bytes`; on an error only out->head.refusal counts.
 * Returns 0, ERR_AGAIN (more bytes are needed; never with HTTP_HEAD_MAX bytes or more),
 * ERR_PROTO (malformed or ambiguous), ERR_TOOBIG (head, target, number of fields, Connection),
 * ERR_UNSUPPORTED (an HTTP version or expectation that is not ours). After an error the connection
 * must be closed, behind an answer of out->head.refusal.status.
 * Source: RFC 9112 2, 3, 5, 6; RFC 9110 7.2 (Host), 7.6.1 (Connection), 7.8, 10.1.1 (Expect).
 */
int http_request_parse(struct str bytes, size_t *scanned, struct http_request *out) MUST_CHECK;

/*
 * Read a response head; an interim one (1xx) is a head of its own.
 *   asked  the method of the request that it answers.
 * Arguments and errors as http_request_parse; ERR_UNSUPPORTED is a version that is not ours. To the
 * visitor every error is a 502.
 * Source: RFC 9112 4, 5, 6.3.
 */
int http_response_parse(struct str bytes, enum http_method asked, size_t *scanned,
			struct http_response *out) MUST_CHECK;

/* The first field with that id, borrowed from h; NULL when there is none. */
static inline const struct http_field *http_head_find(const struct http_head *h,
						      enum http_field_id id)
{
	return h->first[id] == 0 ? NULL : &h->fields[h->first[id] - 1];
}

/* The next field with the same id behind f, NULL after the last one. */
const struct http_field *http_head_find_next(const struct http_head *h, const struct http_field *f);

#endif
