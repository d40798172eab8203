/* An entry that was read is written as the same text: it has one only. The same of what is said of
 * an account. */
#include <string.h>

#include "proto/node_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_held(const uint8_t *data, size_t size)
{
	char out[NODE_HELD_TEXT];
	struct node_held h;
	size_t n;

	if (node_held_parse((struct str){(const char *)data, size}, &h) != 0)
		return;
	n = node_held_format(&h, out);
	CHECK(n == size && memcmp(out, data, n) == 0);
	CHECK(h.n >= h.n_agents);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	char out[NODE_ENTRY_TEXT];
	struct node_entry e;
	size_t n;

	fuzz_held(data, size);
	if (node_entry_parse(s, &e) != 0)
		return 0;
	n = node_entry_format(&e, out);
	CHECK(n == size && memcmp(out, data, n) == 0);
	CHECK(node_entry_sessions(&e) >= e.n_agents);
	return 0;
}
