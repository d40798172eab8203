/*
 * A YAML or JSON document as a tree of bounded size, with the line and column of everything.
 *
 * Read are mappings, sequences and scalars. What makes YAML dangerous or surprising is refused:
 * anchors and aliases, tags, a key twice in one mapping, several documents, a NUL byte. JSON is
 * read but for the escapes of surrogates ("\ud83d\ude00"; the character itself is fine), of NUL,
 * and a line break between a key and its colon.
 */
#ifndef KAREZ_CONFIG_TREE_H
#define KAREZ_CONFIG_TREE_H

#include <stdio.h>

#include "base/buf.h"

#define TREE_BYTES_MAX	(1 << 20)  /* of a document: a thousand times what people write */
#define TREE_SCALAR_MAX (64 << 10) /* bytes of one scalar: a certificate chain fits */
#define TREE_DEPTH_MAX	8	   /* mappings and sequences in one another */
#define TREE_NODES_MAX	65536	   /* keeps a document of "[,,,,": some MiB, not some hundred */

enum tree_kind { TREE_SCALAR, TREE_SEQUENCE, TREE_MAPPING };

/* One value, or one key of a mapping. */
struct tree {
	enum tree_kind kind;
	bool quoted;	    /* SCALAR: written in quotes or as a block, so "null" is a word */
	unsigned line, col; /* from 1; the column counts characters */
	struct str text;    /* SCALAR: UTF-8, NUL-terminated, no NUL inside */
	struct tree *child; /* owned: first item, or first key */
	struct tree *value; /* owned: of a key, its value */
	struct tree *next;  /* owned: next item, or next key */
};

/* Why and where a document was refused. */
struct tree_error {
	unsigned line, col; /* from 1; 0 when it is about the whole document */
	char text[200];	    /* a sentence without a full stop */
};

/*
 * Read a document.
 *   bytes  UTF-8, with or without a byte order mark; lines may end in LF or CR LF.
 *   *out   set on success, to be freed by tree_free; NULL for an empty document.
 *   *why   set on ERR_INVAL and ERR_TOOBIG.
 * Returns 0, ERR_INVAL, ERR_TOOBIG (a bound from above), ERR_NOMEM.
 * Source: YAML 1.1 as libyaml reads it; RFC 8259.
 */
int tree_parse(struct str bytes, struct tree **out, struct tree_error *why) MUST_CHECK;

/*
 * All bytes of a file, for tree_parse(); a little more than TREE_BYTES_MAX of one that is too long.
 *   out  appended to.
 * Returns 0, ERR_IO or ERR_NOMEM.
 */
int tree_slurp(FILE *f, struct buf *out) MUST_CHECK;

void tree_free(struct tree *t);

/* Is this "no value": nothing at all, ~ or null, without quotes? */
bool tree_null(const struct tree *t);

#endif
