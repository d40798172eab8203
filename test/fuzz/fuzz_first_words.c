/* Any bytes as the first ones of a connection: told within FIRST_WORDS_MAX, and never otherwise
 * when more comes. */
#include "proto/first_words.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory of just the right size, so that a sanitizer sees a byte read too much. */
static int fuzz_tell(const uint8_t *data, size_t size, enum first_words *out)
{
	char *mem = malloc(MAX(size, (size_t)1));
	int e;

	CHECK(mem != NULL);
	if (size > 0)
		memcpy(mem, data, size);
	e = first_words_tell((struct str){mem, size}, out);
	free(mem);
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum first_words whole = FIRST_HTTP, part = FIRST_HTTP;
	int e = fuzz_tell(data, size, &whole);
	bool told = false;

	CHECK(e == 0 || (e == ERR_AGAIN && size < FIRST_WORDS_MAX));
	for (size_t n = 0; n < MIN(size, (size_t)FIRST_WORDS_MAX); n++) {
		int now = fuzz_tell(data, n, &part);

		CHECK(!told || now == 0);
		told = now == 0;
		CHECK(!told || (e == 0 && part == whole));
	}
	return 0;
}
