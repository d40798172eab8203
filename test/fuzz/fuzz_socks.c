/* Any bytes as what a visitor says: it is the same whether they come at once or one by one. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_end {
	struct socks socks;
	int e;
	size_t used, n_said;
	uint8_t said[64];
};

/* Memory of just the right size, so that a sanitizer sees a byte read too much. */
static void fuzz_read(struct fuzz_end *f, const uint8_t *data, size_t size)
{
	char *mem = malloc(MAX(size - f->used, (size_t)1));
	struct socks_say say;
	size_t used;

	CHECK(mem != NULL);
	memcpy(mem, data + f->used, size - f->used);
	f->e = socks_read(&f->socks, (struct str){mem, size - f->used}, &used, &say);
	free(mem);
	CHECK(used <= size - f->used && say.len <= sizeof say.bytes);
	CHECK(f->n_said + say.len <= sizeof f->said);
	memcpy(f->said + f->n_said, say.bytes, say.len);
	f->n_said += say.len;
	f->used += used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_end all = {0}, one = {.e = ERR_AGAIN};

	fuzz_read(&all, data, size);
	for (size_t n = 1; n <= size && one.e == ERR_AGAIN; n++)
		fuzz_read(&one, data, n);
	CHECK(all.e == 0 || all.e == ERR_AGAIN || all.e == ERR_UNSUPPORTED || all.e == ERR_INVAL ||
	      all.e == ERR_TOOBIG || all.e == ERR_PROTO);
	CHECK(all.e != ERR_AGAIN || size - all.used < SOCKS_READ_MAX);
	CHECK(all.e == one.e && all.used == one.used && all.n_said == one.n_said);
	CHECK(memcmp(all.said, one.said, all.n_said) == 0);
	if (all.e != 0)
		return 0;
	CHECK(all.socks.port != 0 && all.socks.port == one.socks.port);
	CHECK(all.socks.host[0] != '\0' && strcmp(all.socks.host, one.socks.host) == 0);
	return 0;
}
