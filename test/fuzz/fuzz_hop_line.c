/* The first line of a connection between two nodes; what was read of it is written as a line that
 * is read as the same. */
#include <string.h>

#include "cluster/hop_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = {(const char *)data, size};
	struct hop_line told, again;
	char out[HOP_LINE_MAX];
	size_t n;

	if (hop_line_parse(line, &told) != 0)
		return 0;
	CHECK(strlen(told.node) == NODE_ID_TEXT - 1 && strlen(told.to) == NODE_ID_TEXT - 1);
	CHECK(strlen(told.version) < sizeof told.version);
	n = hop_line_format(told.node, told.to, out);
	CHECK(hop_line_parse((struct str){out, n}, &again) == 0);
	CHECK(strcmp(told.node, again.node) == 0 && strcmp(told.to, again.to) == 0);
	return 0;
}
