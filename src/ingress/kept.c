/* A head is parsed again from its copy, so that whatever a request knows of its bytes is copied,
 * too. */
#include "ingress/kept.h"

#include <stdlib.h>
#include <string.h>

struct kept *kept_new(const struct http_request *req)
{
	const char *start = req->method_name.p, *end;
	size_t len = req->head.len, scanned = 0;
	struct kept *k;

	/* an empty line in front of a request counts as part of its head, and is not copied */
	end = memmem(start, len - 2, "\r\n\r\n", 4);
	if (end != NULL)
		len = (size_t)(end - start) + 4;
	if ((k = malloc(sizeof *k + len)) == NULL)
		return NULL;
	memcpy(k->bytes, start, len);
	if (http_request_parse((struct str){k->bytes, len}, &scanned, &k->req) != 0) {
		free(k);
		return NULL;
	}
	return k;
}
