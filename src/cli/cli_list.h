/*
 * A file with a list of tunnels, YAML or JSON: read with the place of everything, said as the API
 * wants it, and compared with what there is.
 */
#ifndef KAREZ_CLI_CLI_LIST_H
#define KAREZ_CLI_CLI_LIST_H

#include "base/buf.h"
#include "config/tree.h"
#include "proto/json.h"

/* Bytes of a sentence about a file, and tunnels in one, at most. */
#define CLI_LIST_WHY	     512
#define CLI_LIST_TUNNELS_MAX 1000

/* What a tunnel is made of, one row each; the order is that of the API's objects. */
enum cli_list_member {
	CLI_LIST_NAME,
	CLI_LIST_KIND,
	CLI_LIST_ENABLED,
	CLI_LIST_DOMAINS,
	CLI_LIST_PORT,
	CLI_LIST_BIND,
	CLI_LIST_TLS,
	CLI_LIST_TARGET,
	CLI_LIST_SERVICE,
	CLI_LIST_PROXY,
	CLI_LIST_AGENTS,
	CLI_LIST_POLICY,
	CLI_LIST_MAX_SESSIONS,
	CLI_LIST_DRAIN,
	CLI_LIST_REWRITE,
	CLI_LIST_HOST,
	CLI_LIST_REQUEST_REMOVE,
	CLI_LIST_REQUEST_ADD,
	CLI_LIST_RESPONSE_REMOVE,
	CLI_LIST_RESPONSE_ADD,
	CLI_LIST_BASIC,
	CLI_LIST_BEARER,
	CLI_LIST_ALLOW,
	CLI_LIST_DENY,
	CLI_LIST_AUTH_URL,
	CLI_LIST_MEMBERS,
};

/* How a value is written. */
enum cli_list_type {
	CLI_LIST_A_TEXT,
	CLI_LIST_A_NAME,     /* the same; case does not count */
	CLI_LIST_AN_ADDRESS, /* a text; an IP is said in its usual form */
	CLI_LIST_A_NUMBER,
	CLI_LIST_SECONDS, /* a number, or a span: "90s", "5m" */
	CLI_LIST_A_FLAG,
	CLI_LIST_TEXTS,
	CLI_LIST_NAMES,
	CLI_LIST_BLOCKS, /* of addresses */
	CLI_LIST_USERS,	 /* [{user, password}] */
	CLI_LIST_TOKENS, /* texts, or how many there are: those stay */
};

struct cli_list_row {
	const char *path;  /* as the API has it: "ingress.tcp.port" */
	const char *flat;  /* its short form: "port" */
	const char *alias; /* another path that means the same; NULL: none */
	enum cli_list_type type;
	const char *usual; /* what it is when nothing is said, as cli_list_text() says it */
};
extern const struct cli_list_row cli_list_rows[CLI_LIST_MEMBERS];

/* A tunnel of the file. */
struct cli_list_entry {
	const struct tree *node;		     /* borrowed: the list's */
	const struct tree *values[CLI_LIST_MEMBERS]; /* the same; NULL: not said */
};

struct cli_list {
	char *path;		  /* owned: of the file, for messages */
	struct tree *root;	  /* owned */
	struct cli_list_entry *v; /* owned: [n] */
	size_t n;
};

/*
 * Read a file.
 *   path  "-": standard input.
 *   *out  all zero before; cli_list_free() it, also after a failure.
 *   why   set on failure to a sentence with the place: "tunnels.yaml:3:7: ...".
 * Returns 0, ERR_INVAL (also a file that cannot be read), ERR_TOOBIG, ERR_NOMEM.
 */
int cli_list_read(const char *path, struct cli_list *out, char why[CLI_LIST_WHY]) MUST_CHECK;

/* The same for bytes that were read already; path names them. */
int cli_list_parse(const char *path, struct str bytes, struct cli_list *out,
		   char why[CLI_LIST_WHY]) MUST_CHECK;
void cli_list_free(struct cli_list *l);

/* The list as a body of the API, {"tunnels":[...]}. Returns 0 or ERR_NOMEM. */
int cli_list_body(const struct cli_list *l, struct json **out) MUST_CHECK;

/* Where something of the list stands. */
struct cli_list_place {
	const struct tree *node; /* the value, or the tunnel where it is not said; borrowed */
	const char *rest;	 /* the field within the tunnel; borrowed from what was asked for */
	enum cli_list_member member; /* whose value node is; CLI_LIST_MEMBERS: the tunnel's */
	size_t entry;
};

/*
 * Find it.
 *   field  as a refusal names it, "tunnels.3.ingress.tcp.port".
 * Returns 0, or ERR_NOTFOUND: it is about no tunnel of the list.
 */
int cli_list_find_place(const struct cli_list *l, const char *field,
			struct cli_list_place *out) MUST_CHECK;

/* ---- comparing: cli_list_diff.c ---- */

/* What becomes of a tunnel. */
struct cli_list_step {
	enum { CLI_LIST_MADE, CLI_LIST_CHANGED, CLI_LIST_SAME, CLI_LIST_GONE } what;
	const struct cli_list_entry *wanted; /* NULL: GONE */
	const struct json *now;		     /* NULL: MADE */
};

struct cli_list_plan {
	struct cli_list_step *v; /* owned: [n] those of the file in its order, then those that go */
	size_t n, n_same;
};

/*
 * Compare a list with what there is.
 *   now   a list of tunnels as the API tells them; borrowed: outlives *out.
 *   *out  all zero before; cli_list_plan_free() it, also after a failure.
 * Returns 0 or ERR_NOMEM.
 */
int cli_list_compare(const struct cli_list *l, const struct json *now,
		     struct cli_list_plan *out) MUST_CHECK;
void cli_list_plan_free(struct cli_list_plan *p);

/* Append a line about a step, without a line end: "~ web (service: old -> new)". Returns 0,
 * ERR_TOOBIG (cut), ERR_NOMEM. */
int cli_list_tell(const struct cli_list_step *s, struct buf *out) MUST_CHECK;

/*
 * Append what an entry says about a member in the one form that can be compared: lists with ", "
 * between, yes or no, what is usual if it says nothing. Passwords are not told; what is longer than
 * the server takes is cut. Returns 0, ERR_NOMEM.
 */
int cli_list_text(const struct cli_list_entry *e, enum cli_list_member m,
		  struct buf *out) MUST_CHECK;

#endif
