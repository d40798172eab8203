/* JSON: what is read can be walked, and is written so that it is read and written the same again.
 */
#include <string.h>

#include "base/err.h"
#include "proto/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MAX  4096
#define FUZZ_OUT  (16 * FUZZ_MAX)
#define FUZZ_DEEP (JSON_NESTING_MAX + 1)

static void fuzz_ask(const struct json *j, const char *key)
{
	const struct json *inner;
	struct str text;
	uint64_t number;
	bool flag;
	int hits = 0;

	hits += json_get_text(j, key, &text) == 0;
	hits += json_get_number(j, key, JSON_NUMBER_MAX, &number) == 0;
	hits += json_get_bool(j, key, &flag) == 0;
	hits += json_get_list(j, key, &inner) == 0;
	hits += json_get_object(j, key, &inner) == 0;
	CHECK(hits <= 1);
}

static void fuzz_walk(const struct json *j, unsigned depth)
{
	const struct json *value;
	void *at = NULL;
	size_t n = 0;
	struct str s;

	CHECK(depth <= FUZZ_DEEP);
	if (json_text(j, &s) == 0)
		CHECK(strlen(s.p) == s.len);
	for (; json_each(j, &at, &s, &value); n++) {
		CHECK(strlen(s.p) == s.len);
		fuzz_ask(j, s.p);
		fuzz_walk(value, depth + 1);
	}
	CHECK(n == 0 || n == json_count(j));
	for (size_t i = 0; n == 0 && i < json_count(j); i++)
		fuzz_walk(json_at(j, i), depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf first = {0}, second = {0};
	struct json *j = NULL, *again = NULL;

	if (json_parse((struct str){(const char *)data, size}, FUZZ_MAX, &j) != 0)
		return 0;
	fuzz_walk(j, 0);
	CHECK(json_write(j, FUZZ_OUT, &first) == 0);
	CHECK(str_find(buf_str(&first), '\n') == first.len);
	CHECK(json_parse(buf_str(&first), FUZZ_OUT, &again) == 0);
	CHECK(json_write(again, FUZZ_OUT, &second) == 0);
	CHECK(str_eq(buf_str(&first), buf_str(&second)));
	json_free(again);
	json_free(j);
	buf_free(&first);
	buf_free(&second);
	return 0;
}
