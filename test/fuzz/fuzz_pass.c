/* What one worker says of a connection that it hands to another: a line that was read is written as
 * one that is read as the same. */
#include <string.h>

#include "cluster/pass_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same_end(const struct visit_end *a, const struct visit_end *b)
{
	return strcmp(a->ip, b->ip) == 0 && a->port == b->port;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = {(const char *)data, size};
	struct pass_visitor v, again;
	char out[PASS_LINE];
	size_t n;

	if (pass_line_parse(line, &v) != 0)
		return 0;
	n = pass_line_format(&v, out);
	CHECK(n < PASS_LINE);
	CHECK(pass_line_parse((struct str){out, n}, &again) == 0);
	CHECK(v.door == again.door && v.tls == again.tls && strcmp(v.tunnel, again.tunnel) == 0);
	CHECK(is_same_end(&v.peer, &again.peer) && is_same_end(&v.local, &again.local));
	return 0;
}
