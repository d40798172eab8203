/* The errors of karez: one table (err.def), one enum, one sentence each. */
#ifndef KAREZ_BASE_ERR_H
#define KAREZ_BASE_ERR_H

enum err {
	ERR_NONE = 0,
#define ERR(name, number, sentence) ERR_##name = number,
#include "base/err.def"
#undef ERR
};

/*
 * The sentence for a person.
 *   e  an ERR_* or 0; an unknown number gives "unknown error".
 * Returns a static NUL-terminated text.
 */
const char *err_text(int e);

/* The name as it stands in the table ("REFUSED"), for logs and JSON; "OK" for 0, "UNKNOWN" for an
 * unknown number. */
const char *err_name(int e);

/*
 * Translate errno after a failed system call.
 *   errnum  an errno value, not 0.
 * Returns an ERR_*; ERR_IO for what has no name of its own.
 */
int err_from_errno(int errnum);

#endif
