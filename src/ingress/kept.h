/* A request's head, copied: for a request that must wait. */
#ifndef KAREZ_INGRESS_KEPT_H
#define KAREZ_INGRESS_KEPT_H

#include "proto/http_head.h"

struct kept {
	struct http_request req; /* spans into bytes */
	char bytes[];
};

/* Returns NULL when memory is short; free() it. */
struct kept *kept_new(const struct http_request *req);

#endif
