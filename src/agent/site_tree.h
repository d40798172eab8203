/*
 * A directory whose files may be opened, and nothing outside it: not by "..", not by links, not by
 * what somebody renames at the same moment. Blocking; for threads that do such work.
 */
#ifndef KAREZ_AGENT_SITE_TREE_H
#define KAREZ_AGENT_SITE_TREE_H

#include "base/str.h"

/* A value; site_tree_open() sets it. */
struct site_tree {
	int root;   /* owned descriptor of the directory */
	bool plain; /* without openat2(2), which old kernels and some sandboxes lack: then links are
		       not followed at all */
};

/* What stands at a place. A value. */
struct site_file {
	int fd; /* owned; -1: none. A file: can be read; a directory: can be listed */
	bool dir;
	uint64_t size, inode;
	int64_t modified_ns; /* since 1970-01-01 UTC; the nearest that can be said */
};

/*
 * Open the directory itself, by any path, links and all.
 *   plain  do without openat2(2), whether it is there or not.
 * Returns 0, ERR_NOTFOUND (there is no such thing), ERR_INVAL (it is no directory), ERR_DENIED,
 * ERR_NOFILE, ERR_NOMEM, ERR_IO.
 */
int site_tree_open(const char *path, bool plain, struct site_tree *out) MUST_CHECK;

/* Harmless on one that is closed. */
void site_tree_close(struct site_tree *t);

/*
 * Open a file or directory below it, to be read.
 *   path  NUL-terminated, as url_path_read() makes it; "" is the root. Links are followed as long
 *         as they stay below the root; so an absolute one is not.
 *   out   out->fd is set on success only, else -1.
 * A fifo, socket or device is not opened. What is opened does not block on opening.
 * Returns 0, ERR_NOTFOUND (there is none, it is outside, its name is too long), ERR_DENIED (it may
 * not be read, it is special), ERR_NOFILE, ERR_NOMEM, ERR_IO.
 * Source: openat2(2): RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS.
 */
int site_tree_read(const struct site_tree *t, const char *path, struct site_file *out) MUST_CHECK;

/* The same without opening: out->fd is -1. It need not be readable. */
int site_tree_look(const struct site_tree *t, const char *path, struct site_file *out) MUST_CHECK;

/* Does a link stand there, wherever it leads? Not one on the way to it. */
bool site_tree_is_link(const struct site_tree *t, const char *path);

#endif
