/* What nodes tell each other: what is read can be written, and is read the same again. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/node_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As written by us; words of later versions are gone. */
static size_t fuzz_write(const struct node_message *m, char *out, size_t cap)
{
	struct pen pen = pen_on(out, cap);
	struct str items = m->items;
	struct node_message_item item;
	struct node_entry entry;

	node_message_write(&pen, m);
	while (node_message_next(&items, &item, &entry))
		CHECK(node_message_add(&pen, &item));
	CHECK(!pen.full);
	return pen_len(&pen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size}, sealed, seal;
	struct node_message m, again;
	char *out = NULL, *out2 = NULL;
	size_t cap = size + 1024, n;

	if (node_message_split(s, &sealed, &seal))
		CHECK(sealed.len + seal.len == size && sealed.len > 0);
	if (node_message_parse(s, &m) != 0 || m.kind == NODE_MESSAGE_OTHER)
		return 0;
	CHECK(m.count > 0 && strlen(m.from) == NODE_ID_TEXT - 1);
	out = must_calloc(1, cap);
	out2 = must_calloc(1, cap);
	n = fuzz_write(&m, out, cap);
	CHECK(node_message_parse((struct str){out, n}, &again) == 0);
	if (m.kind == NODE_MESSAGE_BEAT || m.kind == NODE_MESSAGE_WELCOME)
		CHECK(again.n == m.n && again.n_accounts == m.n_accounts);
	CHECK(again.kind == m.kind && again.epoch == m.epoch && again.count == m.count);
	CHECK(fuzz_write(&again, out2, cap) == n && memcmp(out, out2, n) == 0);
	free(out);
	free(out2);
	return 0;
}
