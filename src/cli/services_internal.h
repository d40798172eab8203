/* The parts of the reader of a services file. */
#ifndef KAREZ_CLI_SERVICES_INTERNAL_H
#define KAREZ_CLI_SERVICES_INTERNAL_H

#include "cli/cli_file.h"
#include "cli/services.h"

/* What can be said of a service, one row each; the order is that of an attach's members. */
enum services_member {
	SERVICES_KIND,
	SERVICES_TARGET,
	SERVICES_NAME,
	SERVICES_ENABLED,
	SERVICES_PORT,
	SERVICES_BIND,
	SERVICES_DOMAINS,
	SERVICES_TLS,
	SERVICES_PROXY,
	SERVICES_POLICY,
	SERVICES_MAX_SESSIONS,
	SERVICES_DRAIN,
	SERVICES_PRIORITY,
	SERVICES_HEALTH,
	SERVICES_HEALTH_INTERVAL,
	SERVICES_HEALTH_RISE,
	SERVICES_HEALTH_FALL,
	SERVICES_INSECURE,
	SERVICES_USERS,
	SERVICES_TOKENS,
	SERVICES_ALLOW,
	SERVICES_DENY,
	SERVICES_AUTH_URL,
	SERVICES_HOST_HEADER,
	SERVICES_REQUEST_ADD,
	SERVICES_REQUEST_REMOVE,
	SERVICES_RESPONSE_ADD,
	SERVICES_RESPONSE_REMOVE,
	SERVICES_MEMBERS,
};

/* How a value is written. */
enum services_type {
	SERVICES_A_TEXT,
	SERVICES_A_WORD, /* one of a list of them */
	SERVICES_A_NUMBER,
	SERVICES_A_SPAN, /* of time: a number of seconds, "90s", "5m" */
	SERVICES_A_FLAG,
	SERVICES_TEXTS,	   /* a list of texts, or one text */
	SERVICES_OF_USERS, /* [{user, password}] */
};

/* Bits of kinds. */
enum {
	SERVICES_OF_HTTP = 1 << AGENT_HTTP,
	SERVICES_OF_TCP = 1 << AGENT_TCP,
	SERVICES_OF_TLS = 1 << AGENT_TLS,
	SERVICES_OF_ALL = SERVICES_OF_HTTP | SERVICES_OF_TCP | SERVICES_OF_TLS,
};

struct services_row {
	const char *key, *alias; /* alias: another key that means the same; NULL: none */
	enum services_type type;
	unsigned kinds;		  /* of tunnels that have it: bits */
	uint64_t min, max;	  /* A_NUMBER, A_SPAN (ms), lists: how many items (min 0) */
	const char *const *words; /* A_WORD: NULL ends them */
	/* A_TEXT, TEXTS: of each item; NULL: whoever knows the kind looks at it */
	int (*check)(struct str value, char *reason, size_t reason_cap);
	bool secret;	   /* the value is not repeated when it is wrong */
	const char *wish;  /* its path among the members of an attach; NULL: it has none there */
	const char *usual; /* what it is there when nothing is said, as text; lists: empty */
};
extern const struct services_row services_rows[SERVICES_MEMBERS];

/* One service while it is read. */
struct services_reader {
	struct cli_file file;
	const struct services_opt *opt;
	const struct tree *keys[SERVICES_MEMBERS]; /* borrowed; NULL: not said */
};

/* The value of a member; NULL: not said. Borrowed. */
static inline const struct tree *services_value(const struct services_reader *r,
						enum services_member m)
{
	return r->keys[m] == NULL ? NULL : r->keys[m]->value;
}

/* Is a key one of these words? '-' and '_' are the same. */
bool services_key_is(struct str key, const char *word);

/* Is the value what its row wants? Returns 0 or ERR_INVAL after a complaint. */
int services_check_value(const struct cli_file *f, const struct services_row *row,
			 const struct tree *value) MUST_CHECK;

/* The number of a value that was checked: A_NUMBER; A_SPAN in ms; A_FLAG 0 or 1; A_WORD its place.
 */
uint64_t services_number(const struct services_row *row, const struct tree *value);

/* Check one value by a check of texts. Returns 0 or ERR_INVAL after a complaint. */
int services_check_text(const struct cli_file *f, const struct tree *value,
			int (*check)(struct str value, char *reason, size_t reason_cap),
			bool secret) MUST_CHECK;

/*
 * Read one service.
 *   key  of the service; its value is a mapping or a scalar.
 *   *e   all zero before; set but for its name; services_free() frees what it has, also after a
 *        failure.
 *   *on  set: false if it is switched off.
 * Returns 0, ERR_INVAL after a complaint, ERR_NOMEM.
 */
int services_read_entry(struct services_reader *r, const struct tree *key, struct services_entry *e,
			bool *on) MUST_CHECK;

/* Make the wish of what r has read. Returns 0, ERR_INVAL after a complaint (a
 * password that cannot be hashed), ERR_TOOBIG (an attach cannot say so much), ERR_NOMEM. */
int services_make_wish(const struct services_reader *r, struct json **out) MUST_CHECK;

/* Append the wish of an entry as an object, with what `before` (NULL: nothing) said besides as it
 * usually is. Returns 0 or ERR_NOMEM. */
int services_wish_text(const struct services_entry *x, const struct services_entry *before,
		       struct buf *text) MUST_CHECK;

#endif
