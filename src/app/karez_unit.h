/* The systemd unit of a `karez up`, as text. Source: systemd.unit(5), systemd.service(5),
 * systemd.exec(5), systemd.syntax(7). */
#ifndef KAREZ_APP_KAREZ_UNIT_H
#define KAREZ_APP_KAREZ_UNIT_H

#include "base/buf.h"

/* Bytes of a unit, at most: systemd itself takes 1 MiB a line. */
#define KAREZ_UNIT_MAX (512 << 10)

/* All borrowed, NUL-terminated. */
struct karez_unit {
	bool user;	     /* for a user's own manager, which can lock less away */
	const char *program; /* absolute path */
	char *const *words;  /* [n_words] what it is given, as it shall arrive */
	size_t n_words;
	const char *dir; /* absolute: where it writes what it remembers */
	bool tmp;	 /* it needs what others have in /tmp */
};

/* What a word of a unit is: each is expanded in its own way. */
enum karez_unit_word {
	KAREZ_UNIT_PROGRAM, /* first of ExecStart=: specifiers, no variables */
	KAREZ_UNIT_WORD,    /* the others: both */
	KAREZ_UNIT_PATH,    /* of ReadWritePaths=: as the first */
};

/*
 * Append a word so that it arrives as it is: '%', '$', quotes, backslashes and spaces included.
 * Returns 0, ERR_INVAL (control characters or no UTF-8, which no unit holds), ERR_TOOBIG,
 * ERR_NOMEM.
 */
int karez_unit_add_word(struct buf *b, enum karez_unit_word what, const char *word) MUST_CHECK;

/* Append the unit. Errors as above. */
int karez_unit_write(const struct karez_unit *u, struct buf *b) MUST_CHECK;

/* Did karez_unit_write() write this? */
bool karez_unit_is_ours(struct str unit);

#endif
