/*
 * What a tunnel changes in the heads that pass through it: fields that are taken away, and then
 * fields that are added. Which may be changed is decided here, for whoever reads such a wish.
 */
#ifndef KAREZ_PROTO_HEADER_EDIT_H
#define KAREZ_PROTO_HEADER_EDIT_H

#include "proto/http_field.h"

/* Fields of one list; bytes of a name, of a value, and of all lists of a tunnel together as they
 * are kept: name, value and 4 bytes for each field. */
#define HEADER_EDIT_MAX	      16
#define HEADER_EDIT_NAME_MAX  64
#define HEADER_EDIT_VALUE_MAX 1024
#define HEADER_EDIT_BYTES     4096

/* The lists, in the order in which they are kept. */
enum header_edit {
	HEADER_REQUEST_REMOVE,
	HEADER_REQUEST_ADD,
	HEADER_RESPONSE_REMOVE,
	HEADER_RESPONSE_ADD,
	HEADER_EDITS,
};

/* "request_remove", "request_add", "response_remove", "response_add"; NULL behind the last. */
const char *header_edit_name(enum header_edit what);

/*
 * Take one entry apart: "Name: value" of what is added, "Name" of what is removed.
 *   *out  set on success; borrows from text. Space around the value is dropped.
 *   *why  set on failure: what it must be, "must be a name, ..."; static.
 * Returns 0 or ERR_INVAL. Source: RFC 9110 5.1 (names), 5.5 (values; no tab here).
 */
int header_edit_split(enum header_edit what, struct str text, struct http_field *out,
		      const char **why) MUST_CHECK;

/*
 * The same, and may the field be changed? Not those that this server writes itself: about the
 * connection, the framing, Host, and in requests who the visitor is; in any spelling that a target
 * could take for them. Errors as above.
 */
int header_edit_check(enum header_edit what, struct str text, struct http_field *out,
		      const char **why) MUST_CHECK;

/* An entry as text again, which header_edit_split() takes. Returns its length. */
#define HEADER_EDIT_TEXT (HEADER_EDIT_NAME_MAX + 2 + HEADER_EDIT_VALUE_MAX + 1)
size_t header_edit_format(enum header_edit what, const struct http_field *f,
			  char out[HEADER_EDIT_TEXT]);

/*
 * All lists of a tunnel. All zero: none. A value; two that say the same are the same bytes up to
 * len if their entries were put in the order of the lists.
 */
struct header_edits {
	size_t len;
	char bytes[HEADER_EDIT_BYTES];
};

/* Those bytes, to be kept and read elsewhere. Borrowed. */
struct str header_edits_str(const struct header_edits *h);

/*
 * Put a field behind all others. f: only name and value count, which header_edit_split() has found
 * good. Returns 0 or, with nothing changed, ERR_LIMIT (HEADER_EDIT_MAX), ERR_TOOBIG
 * (HEADER_EDIT_BYTES).
 */
int header_edits_put(struct header_edits *h, enum header_edit what,
		     const struct http_field *f) MUST_CHECK;

/*
 * Take the lists named by the bits 1 << HEADER_* from `from`. Returns 0 or, with nothing changed,
 * ERR_TOOBIG.
 */
int header_edits_merge(struct header_edits *h, const struct header_edits *from,
		       unsigned which) MUST_CHECK;

/*
 * Walk the fields of one list.
 *   bytes  of header_edits_str().
 *   *at    0 before the first; then left alone.
 *   *out   set on true, classified; borrowed from the bytes.
 * Returns false behind the last one.
 */
bool header_edits_next(struct str bytes, enum header_edit what, size_t *at, struct http_field *out);

/* Bytes that writing the fields of a list takes at most, as lines of a head. */
size_t header_edits_room(struct str bytes, enum header_edit what);

/*
 * Does a list have this name? In any case, and what is no letter or digit counts as '-': targets
 * that make variables of names cannot tell them apart.
 */
bool header_edits_has(struct str bytes, enum header_edit what, struct str name);

#endif
