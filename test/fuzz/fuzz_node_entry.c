/* An entry that was read is written as the same text: it has one only. */
#include <string.h>

#include "proto/node_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	char out[NODE_ENTRY_TEXT];
	struct node_entry e;
	size_t n;

	if (node_entry_parse(s, &e) != 0)
		return 0;
	n = node_entry_format(&e, out);
	CHECK(n == size && memcmp(out, data, n) == 0);
	CHECK(node_entry_sessions(&e) >= e.n_agents);
	return 0;
}
