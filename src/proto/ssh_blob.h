/*
 * Numbers and strings as SSH packs them into keys, certificates and signatures: taken from the
 * front of what is left. Source: RFC 4251 5.
 */
#ifndef KAREZ_PROTO_SSH_BLOB_H
#define KAREZ_PROTO_SSH_BLOB_H

#include "base/str.h"

/* Take a number of n bytes, 1-8, the most significant first. Returns false when fewer are left. */
static inline bool ssh_blob_number(struct str *blob, size_t n, uint64_t *out)
{
	if (blob->len < n)
		return false;
	*out = 0;
	for (size_t i = 0; i < n; i++)
		*out = *out << 8 | (uint8_t)blob->p[i];
	*blob = (struct str){blob->p + n, blob->len - n};
	return true;
}

/* Take a string: its length in four bytes, then as many bytes. *out: borrowed from the blob. */
static inline bool ssh_blob_string(struct str *blob, struct str *out)
{
	struct str rest = *blob;
	uint64_t len;

	if (!ssh_blob_number(&rest, 4, &len) || len > rest.len)
		return false;
	*out = (struct str){rest.p, (size_t)len};
	*blob = (struct str){rest.p + len, rest.len - (size_t)len};
	return true;
}

#endif
