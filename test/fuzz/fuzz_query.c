/* Queries: pairs stand in the text in order; what is decoded is written back and read the same. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte escaped means the same again. */
static void fuzz_again(const char *text, size_t len)
{
	static const char digits[] = "0123456789aBcDeF";
	char *escaped = must_calloc(1, 3 * len + 1), *out = must_calloc(1, len + 1);
	size_t n;

	for (size_t i = 0; i < len; i++) {
		escaped[3 * i] = '%';
		escaped[3 * i + 1] = digits[(unsigned char)text[i] >> 4];
		escaped[3 * i + 2] = digits[(unsigned char)text[i] & 15];
	}
	CHECK(query_decode((struct str){escaped, 3 * len}, out, len + 1, &n) == 0);
	CHECK(n == len && memcmp(out, text, len) == 0);
	CHECK(query_unescape((struct str){escaped, 3 * len}, out, len + 1, &n) == 0);
	CHECK(n == len && memcmp(out, text, len) == 0);
	if (len > 0)
		CHECK(query_decode((struct str){escaped, 3 * len}, out, len, &n) == ERR_TOOBIG);
	free(escaped);
	free(out);
}

static void fuzz_decode(struct str in)
{
	char *value = must_calloc(1, in.len + 1), *segment = must_calloc(1, in.len + 1);
	size_t n = 1, m = 1;
	int e = query_decode(in, value, in.len + 1, &n);

	CHECK(e == 0 || e == ERR_INVAL);
	CHECK(query_unescape(in, segment, in.len + 1, &m) == e);
	CHECK(n == m && strlen(value) == n && strlen(segment) == m);
	for (size_t i = 0; i < n; i++)
		CHECK(value[i] == segment[i] || (value[i] == ' ' && segment[i] == '+'));
	if (e == 0)
		fuzz_again(value, n);
	free(value);
	free(segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data, size}, rest = all, name, value;
	const char *at = all.p;

	while (query_next(&rest, &name, &value)) {
		CHECK(name.p >= at && value.p >= name.p + name.len);
		CHECK(value.p + value.len <= all.p + size);
		CHECK(str_find(name, '=') == name.len && str_find(name, '&') == name.len);
		CHECK(str_find(value, '&') == value.len);
		at = value.p + value.len;
		fuzz_decode(name);
		fuzz_decode(value);
	}
	fuzz_decode(all);
	return 0;
}
