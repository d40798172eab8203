/* Answers of other nodes: what is read is written, and is read the same again. The first byte says
 * what was asked. */
#include <string.h>

#include "core/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum ask_what what = (enum ask_what)(size == 0 ? 0 : data[0] % ASK_WHATS);
	struct ask_rows r, again;
	struct buf text = {0};

	if (size == 0 ||
	    ask_text_read((struct str){(const char *)data + 1, size - 1}, what, &r) != 0)
		return 0;
	CHECK(r.n <= ask_rows_max(what) && r.total >= r.n);
	CHECK(ask_text_write(&r, &text) == 0);
	CHECK(ask_text_read(buf_str(&text), what, &again) == 0);
	CHECK(again.n == r.n && again.total == r.total && again.more == r.more);
	CHECK(r.n == 0 || memcmp(again.v, r.v, r.n * ask_rows_size(what)) == 0);
	ask_rows_free(&again);
	CHECK(ask_text_read(buf_str(&text), what, &again) == 0);
	ask_rows_sign(&again, "0123456789abcdef");
	CHECK(ask_rows_join(&r, &again) == 0);
	CHECK(r.n <= ask_rows_max(what) && again.v == NULL);
	buf_free(&text);
	ask_rows_free(&r);
	return 0;
}
