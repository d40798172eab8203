/* One value of a row: from text, checked against what the row allows, and back to text. */
#ifndef KAREZ_CONFIG_VALUE_H
#define KAREZ_CONFIG_VALUE_H

#include "config/config.h"

/* A value on its way to the settings; the row says which member counts. */
union value {
	bool flag;		 /* FLAG */
	uint64_t number;	 /* NUM, DURATION, SIZE */
	int word;		 /* ENUM */
	char *text;		 /* TEXT, SECRET; owned */
	struct config_list list; /* LIST; owned */
};

/* Why a value was refused. */
struct value_refusal {
	struct str what;  /* the value, or the item of a list; borrowed from what was parsed */
	char reason[400]; /* a phrase that continues after it: "is not a number" */
};

/*
 * Read a value as it stands on the command line or in the environment.
 *   text  no NUL bytes; items of a list are separated by commas, and "" is the empty list.
 *   *out  set on success, the caller's until value_store.
 *   why   set on ERR_INVAL.
 * Returns 0, ERR_INVAL, ERR_NOMEM.
 */
int value_parse(const struct config_option *row, struct str text, union value *out,
		struct value_refusal *why) MUST_CHECK;

/* Add one item, which may contain commas, to the list of a value; errors as value_parse. */
int value_add(const struct config_option *row, struct str item, union value *v,
	      struct value_refusal *why) MUST_CHECK;

void value_free(const struct config_option *row, union value *v);

/* Move a value into the settings; what stood there is freed, or, with `append`, a list grows by it.
 *   v  empty afterwards, also on an error.
 * Returns 0, ERR_NOMEM, ERR_LIMIT (CONFIG_LIST_MAX), ERR_EXISTS (CONFIG_MAP: a name is there).
 */
int value_store(const struct config_option *row, union value *v, void *member,
		bool append) MUST_CHECK;

/* Free what the settings hold and make it zero. */
void value_clear(const struct config_option *row, void *member);

/* Print the settings' value as YAML; nothing that was set is left out. */
void value_print(const struct config_option *row, const void *member, FILE *out);

/* What the row allows, as "a number from 1 to 65535" or "one of http, tcp"; "" if anything is. */
void value_allowed(const struct config_option *row, char *dst, size_t cap);

/* The bounds of a number, as "from 1s to 1d" or "from 4K up"; "" if there are none. */
void value_range(const struct config_option *row, char *dst, size_t cap);

/* What stands for the value in help, as "ADDRESS"; "" for a flag. Borrowed from the row. */
const char *value_metavar(const struct config_option *row);

#endif
