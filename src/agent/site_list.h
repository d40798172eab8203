/* What is in a directory, as a page. */
#ifndef KAREZ_AGENT_SITE_LIST_H
#define KAREZ_AGENT_SITE_LIST_H

#include "agent/site_tree.h"
#include "base/buf.h"

/* Entries of one page, at most: more is no page to look at. */
#define SITE_LIST_MAX 2000

/* Bytes of a path below the root, NUL included. */
#define SITE_PATH_MAX 4096

/*
 * Write the page of a directory: folders first, by name; name, size and time. Left out are hidden
 * entries (.well-known too), special files, and links that lead outside or nowhere: what cannot be
 * fetched. Blocking.
 *   path  [< SITE_PATH_MAX] the directory's, as url_path_read() makes it.
 *   fd    the directory, open for reading; owned from now on, whatever happens.
 *   out   empty.
 * Returns 0, ERR_NOMEM, ERR_NOFILE, ERR_IO.
 */
int site_list_write(const struct site_tree *t, const char *path, int fd,
		    struct buf *out) MUST_CHECK;

#endif
