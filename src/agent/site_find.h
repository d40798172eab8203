/* What a request's path stands for in a directory. Blocking; for a thread of site_work. */
#ifndef KAREZ_AGENT_SITE_FIND_H
#define KAREZ_AGENT_SITE_FIND_H

#include "agent/site_list.h"

/* A file of up to so many bytes is read at once, so that it costs one job and no descriptor. */
#define SITE_SMALL_MAX (64 * 1024)

/* The file that is shown instead of the list of a directory. */
#define SITE_INDEX "index.html"

enum site_kind {
	SITE_FILE,	/* file; body holds it whole if file.fd is -1 */
	SITE_LISTING,	/* body is the page of a directory */
	SITE_DIRECTORY, /* a directory that was asked for without its slash */
};

struct site_found {
	enum site_kind kind;
	bool index;	       /* the file is SITE_INDEX of a directory */
	struct site_file file; /* of SITE_FILE; its descriptor is owned */
	struct buf body;       /* owned */
};

struct site_find_opt {
	const char *root; /* NUL-terminated path of the whole */
	const char *path; /* below it, as url_path_read() makes it */
	bool slash;	  /* it ended with one */
	bool small;	  /* read a small file at once */
	bool plain;	  /* as for site_tree_open() */
};

/*
 *   out  all zero but file.fd = -1 on failure; else site_found_clear() it.
 * Returns 0, ERR_NOTFOUND, ERR_DENIED (it may not be read, or is no file or directory),
 * ERR_TARGET (the root itself is not there), ERR_NOFILE, ERR_NOMEM, ERR_IO.
 */
int site_find(const struct site_find_opt *opt, struct site_found *out) MUST_CHECK;

/* Give back what it holds. Harmless when it is done. */
void site_found_clear(struct site_found *f);

#endif
