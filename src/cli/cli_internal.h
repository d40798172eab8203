/* What the commands share: the server, the credential, the calls, the words. */
#ifndef KAREZ_CLI_CLI_INTERNAL_H
#define KAREZ_CLI_CLI_INTERNAL_H

#include "cli/cli.h"
#include "cli/cli_http.h"
#include "cli/cli_place.h"
#include "cli/cli_secret.h"
#include "proto/json.h"

/* Items and bytes of a list that is fetched page by page, at most. */
#define CLI_LIST_MAX   100000
#define CLI_LIST_BYTES (64 * 1024 * 1024)

struct cli {
	const struct cli_options *set; /* borrowed: outlives this */
	const struct config *config;   /* borrowed: outlives this */
	struct ev *ev;		       /* owned; never run: its clock and random bytes are used */
	struct memory *memory;	       /* owned; NULL: nothing can be remembered, and why: */
	char no_memory[MEMORY_WHY_MAX];
	struct cli_http *http; /* owned */
	FILE *out, *err;       /* borrowed */
	struct url server;
	char server_text[URL_TEXT_MAX];
	struct cli_way way;	     /* to the server */
	char token[CLI_SECRET_TEXT]; /* the credential to show; "": none */
	enum {
		CLI_TOKEN_NONE,
		CLI_TOKEN_GIVEN,
		CLI_TOKEN_REMEMBERED,
		CLI_TOKEN_CERTIFICATE, /* there is none: a certificate proves who we are */
	} token_from;
	struct memory_credential remembered; /* for this server */
	bool warned;			     /* that others can read what is said */
	size_t columns;			     /* of the terminal; 0: output is none */
	bool bold;			     /* it is one that knows bold letters */
	int exit_code;			     /* of a failure; 0: 1 */
};

/* ---- cli_call.c: calls of the API ---- */

struct cli_answer;

struct cli_call {
	const char *method, *path;
	const struct json *body; /* NULL: none */
	const char *if_match;	 /* NULL: whatever is there */
	bool anonymous;		 /* may be made without a credential */
	unsigned pass;		 /* a status of failure that is not reported; 0: none */
	/* Say a refusal in other words. Returns false when it has none. NULL: nobody does. */
	bool (*refused)(struct cli *cli, const struct cli_answer *a, void *arg);
	void *arg;
};

/* All zero is an empty one. */
struct cli_answer {
	unsigned status;
	struct json *json; /* owned: cli_answer_free(); NULL: no body, or none that is JSON */
	size_t len;	   /* bytes of the body */
	char etag[CLI_HTTP_ETAG_TEXT];
};

/*
 * Make a call.
 *   *out  cli_answer_free() it, also after a failure.
 * Returns 0 for a status of 200-299; else an ERR_* after a sentence on cli->err, unless the status
 * is call->pass.
 */
int cli_call(struct cli *cli, const struct cli_call *call, struct cli_answer *out) MUST_CHECK;
void cli_answer_free(struct cli_answer *a);

/*
 * Fetch a whole list, page by page.
 *   path    without a query.
 *   plural  the member that holds the items, as "tunnels".
 *   *out    set on success to a list; json_free() it.
 * Returns as cli_call().
 */
int cli_fetch(struct cli *cli, const char *path, const char *plural, struct json **out) MUST_CHECK;

/* A sentence on standard error; what comes from others is made visible. Returns ERR_DENIED, so that
 * a command can return it. */
int cli_problem(struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A line of results; what comes from others is made visible. */
void cli_say(struct cli *cli, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The sentence when memory is gone. Returns ERR_NOMEM. */
int cli_no_memory(struct cli *cli);

/*
 * Ask whether it is meant; --yes answers for a person.
 *   word  what must be typed.
 * Returns 0, or ERR_CLOSED after a sentence.
 */
int cli_confirm(struct cli *cli, const char *question, const char *word) MUST_CHECK;

/* Was this option given on the command line? member: as &cli->set->name. */
bool cli_given(const struct cli *cli, const void *member);

/* ---- cli_body.c: making bodies; *e keeps the first error, and nothing happens after it ---- */

struct json *cli_body_new(int *e);
void cli_body_text(int *e, struct json *obj, const char *key, const char *value);
void cli_body_bool(int *e, struct json *obj, const char *key, bool value);
void cli_body_number(int *e, struct json *obj, const char *key, uint64_t value);
void cli_body_seconds(int *e, struct json *obj, const char *key, uint64_t ms); /* rounded up */
void cli_body_list(int *e, struct json *obj, const char *key, const struct config_list *list);

/* A new object or list in a member, or at the end of a list; borrowed, NULL after an error. */
struct json *cli_body_object(int *e, struct json *obj, const char *key);
struct json *cli_body_array(int *e, struct json *obj, const char *key);
struct json *cli_body_add(int *e, struct json *list);

/* The scope that the options name, as the member "scope"; none if nothing limits it. Returns 0 or
 * ERR_INVAL after a sentence. */
int cli_body_scope(struct cli *cli, int *e, struct json *obj) MUST_CHECK;

/* "expires_at" from --expires, if it was given; errors as above. */
int cli_body_expires(struct cli *cli, int *e, struct json *obj) MUST_CHECK;

/* What the options of a tunnel say. now: the tunnel as it is, or NULL. Errors as above. */
int cli_body_tunnel(struct cli *cli, int *e, struct json *obj, const struct json *now) MUST_CHECK;

/* The users of a tunnel are changed one by one, so what is there must be known. */
bool cli_body_tunnel_merges(const struct cli *cli);

/* ---- cli_show.c: answers for people and programs ---- */

enum cli_format {
	CLI_PLAIN, /* texts as they are, numbers in decimal, yes or no */
	CLI_TIME,  /* "3 min ago" */
	CLI_LIST,  /* items, ", " between two */
};

/* One column of a list, or one line about an item. */
struct cli_field {
	const char *title; /* "Used" */
	const char *path;  /* "connection.visitors"; of the whole item: "" */
	enum cli_format format;
	/* Say it in words instead; out is empty before and may stay so. May be NULL. */
	int (*tell)(struct cli *cli, const struct json *item, struct buf *out);
};

struct cli_fields {
	const struct cli_field *v; /* [n], at most CLI_TABLE_COLUMNS in a list */
	size_t n;
	const char *none; /* what is printed about an empty list */
};

/* A member at a dotted path; NULL if there is none. Borrowed. */
const struct json *cli_show_at(const struct json *item, const char *path);

/* A text member; "" if there is none. Borrowed. */
const char *cli_show_text(const struct json *item, const char *path);

/* A flag at a dotted path; `otherwise` if there is none. */
bool cli_show_flag(const struct json *item, const char *path, bool otherwise);

/* Print a list as a table, or as JSON. Returns 0 or ERR_NOMEM after a sentence. */
int cli_show_list(struct cli *cli, const struct json *list,
		  const struct cli_fields *fields) MUST_CHECK;

/*
 * Print the list of an answer for which all nodes were asked; who did not answer is told besides.
 *   plural  the list's member.
 *   fields  the last column is the node: left out where there is only one.
 * Returns 0, or an error after a sentence.
 */
int cli_show_asked(struct cli *cli, const struct json *answer, const char *plural,
		   const struct cli_fields *fields) MUST_CHECK;

/* Print what is known about one item, a line each, or the item as JSON. Returns as above. */
int cli_show_item(struct cli *cli, const struct json *item,
		  const struct cli_fields *fields) MUST_CHECK;

/* Print JSON and a newline. Returns as above. */
int cli_show_json(struct cli *cli, const struct json *j) MUST_CHECK;

/* Fetch a list and print it; fetch one item and print it. Return as cli_call(). */
int cli_show_all(struct cli *cli, const char *path, const char *plural,
		 const struct cli_fields *fields) MUST_CHECK;
int cli_show_one(struct cli *cli, const char *path, const struct cli_fields *fields) MUST_CHECK;

/* Lines of several files. */
extern const struct cli_fields cli_fields_account, cli_fields_accounts;
extern const struct cli_fields cli_fields_tunnel, cli_fields_tunnels;

/* ---- the commands: each returns 0, or an error after a sentence ---- */

#define CLI_GROUP(id, words, summary)
#define CLI_COMMAND(id, words, tables, args, summary, detail) \
	int cli_do_##id(struct cli *cli) MUST_CHECK;
#include "cli/cli_commands.def"
#undef CLI_COMMAND
#undef CLI_GROUP

/* Steps that commands of several files take. */

/* Remember a credential as the one of this server. Returns 0 or an ERR_* after a sentence. */
int cli_login_keep(struct cli *cli, const char *token, const char *account) MUST_CHECK;

/* DELETE each of [n] things; the first failure ends it. pattern: "/v1/tunnels/%". */
int cli_tunnel_drop(struct cli *cli, const char *pattern) MUST_CHECK;

/* POST a disconnect and tell what it came to. pattern: "/v1/tunnels/%/disconnect". */
int cli_tunnel_end(struct cli *cli, const char *pattern) MUST_CHECK;

#endif
