/* The directory for what must outlive karezd. */
#ifndef KAREZ_APP_STATE_DIR_H
#define KAREZ_APP_STATE_DIR_H

#include <stddef.h>

/*
 * Which one it is.
 *   told  what --state-dir says, NUL-terminated; NULL: nothing, and it depends on who we are.
 *   out   [cap] set, NUL-terminated.
 */
void state_dir_find(const char *told, char *out, size_t cap);

/*
 * Make the directories above a path, mode 0755; what is there already is left as it is, and what
 * cannot be made shows when the path itself is used.
 *   path  NUL-terminated; the same again when this returns.
 */
void state_dir_make_parents(char *path);

/* The same, and the path itself with mode 0700. */
void state_dir_make(char *path);

#endif
