/* The inside of struct config: one slot for each row that the command takes. */
#ifndef KAREZ_CONFIG_SLOT_H
#define KAREZ_CONFIG_SLOT_H

#include "config/value.h"

/* A row, where its value is stored, and where that came from. */
struct slot {
	const struct config_option *row; /* borrowed: static in the program */
	void *member; /* borrowed: in the settings, or in slot_own; may be NULL */
	enum config_source source;
	unsigned line, col; /* FILE: of the value */
	bool arg;	    /* an argument without a dash */
	bool own;	    /* one of the engine's own rows */
};

/* What the engine's own options store. */
struct slot_own {
	bool help, version, show, manual;
	char *file;
};

struct config {
	const struct config_program *program; /* borrowed: static */
	const struct config_command *command; /* borrowed: static; NULL when none was found */
	const struct config_group
		*group;		     /* borrowed: static; named instead of a command, or NULL */
	bool implied;		     /* the command is the fallback: its name was not given */
	bool overview;		     /* neither a command nor an argument was given */
	int words[CONFIG_WORDS_MAX]; /* [n_words] where in argv the name of command or group is */
	size_t n_words;
	void *settings;	    /* borrowed: the caller keeps it until config_free; NULL: no values */
	struct slot *slots; /* owned: [n_slots] */
	size_t n_slots;
	struct slot_own own;
	char *path; /* owned: the file that was read, or NULL */
	int error;  /* what config_load returned */
	char message[1024];
};

/* Where the value in hand comes from. */
struct slot_origin {
	enum config_source source;
	unsigned line, col; /* FILE */
};

/* The engine's own rows; their offsets are in struct slot_own. */
extern const struct config_table slot_own_table;

/* Fill c->slots for c->command (which may be NULL). Returns 0, ERR_NOMEM. */
int slot_build(struct config *c) MUST_CHECK;

/* Free the values, making the settings' members zero, and the slots. */
void slot_free(struct config *c);

/* The option of this name, or letter, in the slots; NULL if there is none. Never an argument. */
struct slot *slot_find(struct config *c, struct str name);
struct slot *slot_find_letter(struct config *c, char letter);

/*
 * The option of this name, or with an empty name of this letter, in any command of the program.
 *   *command  set to the command it belongs to, NULL if to all; may be NULL.
 */
const struct config_option *slot_anywhere(const struct config_program *p, struct str name,
					  char letter, const struct config_command **command);

/*
 * Check a text and store it, unless a source that counts more was there before.
 *   s  if s->member is NULL the text is only checked.
 * Returns 0, ERR_INVAL with c->message set, ERR_NOMEM.
 */
int slot_set(struct config *c, struct slot *s, struct slot_origin from, struct str text) MUST_CHECK;

/* The same for a value parsed already; v is empty afterwards. */
int slot_take(struct config *c, struct slot *s, struct slot_origin from, union value *v) MUST_CHECK;

/* Set the message about a refused value. Returns ERR_INVAL. */
int slot_refuse(struct config *c, const struct slot *s, struct slot_origin from,
		const struct value_refusal *why) MUST_CHECK;

/* Set the message "WHERE: <printf output>". Returns ERR_INVAL. */
int slot_complain(struct config *c, const struct slot *s, struct slot_origin from, const char *fmt,
		  ...) PRINTF_LIKE(4, 5) MUST_CHECK;

/* Set the message as it is. Returns ERR_INVAL. */
int slot_message(struct config *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Add to the message. */
void slot_add(struct config *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "KAREZ_IDLE_TIMEOUT" for a row; cut at cap. */
void slot_env_name(const struct config_program *p, const struct config_option *row, char *dst,
		   size_t cap);

/*
 * Walk the tables of options a command takes: the program's, the command's, the engine's.
 *   command  NULL: those without the command's.
 *   i        from 0.
 * Returns NULL after the last.
 */
const struct config_table *slot_table(const struct config_program *p,
				      const struct config_command *command, size_t i);

#endif
