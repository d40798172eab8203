/*
 * A file that people edit while a program uses it: told when it may have changed, however it was
 * changed. Editors write it in place or put another one in its place, Kubernetes turns a link, and
 * where the kernel tells nothing of it (a file system of another machine) it is looked at.
 */
#ifndef KAREZ_APP_FILE_WATCH_H
#define KAREZ_APP_FILE_WATCH_H

#include "ev/ev.h"

/* What changes has come to rest when nothing has changed for so long; at most so long after the
 * first change it is told all the same. Milliseconds. */
#define FILE_WATCH_REST_MS 80
#define FILE_WATCH_MOST_MS 400

/* How often the file is looked at when its folder tells of changes, and when it does not. */
#define FILE_WATCH_LOOK_MS  2000
#define FILE_WATCH_BLIND_MS 500

struct file_watch;

/*
 *   path     NUL-terminated; need not exist; copied.
 *   changed  it is another one, was written, has gone or has come.
 * Returns 0, ERR_NOMEM or ERR_TOOBIG (the path).
 */
int file_watch_new(struct ev *ev, const char *path, void (*changed)(void *arg), void *arg,
		   struct file_watch **out) MUST_CHECK;

/* NULL is allowed. */
void file_watch_free(struct file_watch *w);

#endif
