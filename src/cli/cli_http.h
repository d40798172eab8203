/*
 * One request to the API and its answer, over libcurl: the only module that knows it.
 *
 * libcurl looks at no variable for a proxy: it is told, so that commands and agents go the same
 * way. A redirect is never followed, so a credential reaches the named server and no other.
 */
#ifndef KAREZ_CLI_CLI_HTTP_H
#define KAREZ_CLI_CLI_HTTP_H

#include "base/buf.h"
#include "proto/http_proxy.h"
#include "proto/key_pin.h"

/* Deadlines in milliseconds, and bytes of an answer at most. */
#define CLI_HTTP_CONNECT_MS 10000
#define CLI_HTTP_TOTAL_MS   30000
#define CLI_HTTP_BODY_MAX   (4 * 1024 * 1024)

/* Bytes with their NUL: a path with its query, an entity tag, a sentence. */
#define CLI_HTTP_PATH_TEXT 2048
#define CLI_HTTP_ETAG_TEXT 128
#define CLI_HTTP_WHY	   512

struct cli_http;

/* How the server is reached. Files are PEM; all is borrowed: outlives the struct cli_http. */
struct cli_http_way {
	const char *ca;			/* trust only these authorities; NULL: the system's */
	const char *cert, *key;		/* what proves who we are; NULL: nothing */
	const struct key_pins *pins;	/* accept these keys, whoever vouches; NULL or none: no */
	const struct http_proxy *proxy; /* NULL: none */
	const char *proxy_ca; /* trust only these for an https proxy; NULL: the system's */
	const char *socket;   /* path of a socket that the server is at; NULL: at its host */
};

/*
 *   server  http or https; copied.
 *   way     copied.
 * Returns 0 or ERR_NOMEM.
 */
int cli_http_new(const struct url *server, const struct cli_http_way *way,
		 struct cli_http **out) MUST_CHECK;

/* NULL is allowed. */
void cli_http_free(struct cli_http *h);

/* All NUL-terminated and borrowed for the call. */
struct cli_http_request {
	const char *method;
	const char *path;     /* starts with '/', percent-encoded, with its query */
	const char *token;    /* NULL: no credential; printable ASCII without spaces */
	const char *if_match; /* an entity tag, or NULL */
	bool anonymous;	      /* show no certificate */
	struct str body;      /* JSON; p NULL: none */
};

struct cli_http_answer {
	unsigned status;
	char etag[CLI_HTTP_ETAG_TEXT]; /* "" if there is none */
	struct buf body;	       /* owned: buf_free() it */
	char why[CLI_HTTP_WHY];	       /* of a failure: a clause of libcurl's or ours */
};

/*
 * Send a request and wait for its answer.
 *   *out  all zero before.
 * Returns 0 whatever the status is; or ERR_RESOLVE, ERR_REFUSED, ERR_TIMEOUT, ERR_TLS, ERR_CERT
 * (the server's, or ours is refused), ERR_INVAL (our certificate or key cannot be used), ERR_TOOBIG
 * (the answer), ERR_PROTO, ERR_IO, ERR_NOMEM with out->why set.
 */
int cli_http_do(struct cli_http *h, const struct cli_http_request *r,
		struct cli_http_answer *out) MUST_CHECK;

/*
 * Find the alert by which a server refuses a client's certificate in what libcurl says.
 * Returns "certificate expired" and the like, or NULL. Source: RFC 8446 6.2, OpenSSL's words.
 */
const char *cli_http_refusal(const char *words);

/*
 * Make a path: each '%' of the pattern becomes the next text, percent-encoded.
 *   pattern  "/v1/tunnels/%".
 *   ...      const char *, one for each '%'.
 * Returns 0 or ERR_TOOBIG. Source: RFC 3986 2.1.
 */
int cli_http_path(char out[CLI_HTTP_PATH_TEXT], const char *pattern, ...) MUST_CHECK;

#endif
