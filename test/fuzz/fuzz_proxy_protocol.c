/*
 * Any bytes as a PROXY header: an answer never changes when more comes, and what was read is
 * written so that it is read again. Any bytes as values to be written: the same.
 */
#include "proto/proxy_protocol.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Memory of just the right size, so that a sanitizer sees a byte read too much. */
static int fuzz_parse(const uint8_t *data, size_t size, struct proxy_header *out, size_t *used)
{
	char *mem = malloc(MAX(size, (size_t)1));
	int e;

	CHECK(mem != NULL);
	memcpy(mem, data, size);
	e = proxy_protocol_parse((struct str){mem, size}, out, used);
	free(mem);
	return e;
}

static bool fuzz_same_end(const struct visit_end *a, const struct visit_end *b)
{
	return strcmp(a->ip, b->ip) == 0 && a->port == b->port;
}

static bool fuzz_same(const struct proxy_header *a, const struct proxy_header *b)
{
	return a->version == b->version && a->local == b->local &&
	       fuzz_same_end(&a->src, &b->src) && fuzz_same_end(&a->dst, &b->dst) &&
	       strcmp(a->sni, b->sni) == 0 && a->alpn_len == b->alpn_len &&
	       memcmp(a->alpn, b->alpn, a->alpn_len) == 0 && a->id_len == b->id_len &&
	       memcmp(a->id, b->id, a->id_len) == 0 && a->tls == b->tls &&
	       strcmp(a->tls_version, b->tls_version) == 0;
}

/* Every prefix of what has an answer: "more" up to the byte that decides, the same behind it. */
static void fuzz_prefixes(const uint8_t *data, size_t size, int want)
{
	size_t step = size / 100 + 1;
	bool decided = false;

	for (size_t n = 0; n < size; n += step) {
		struct proxy_header h;
		size_t used;
		int e = fuzz_parse(data, n, &h, &used);

		CHECK(e == (decided || e != ERR_AGAIN ? want : ERR_AGAIN));
		CHECK(e != 0 || used <= n);
		decided = e != ERR_AGAIN;
	}
}

/* Write, read again; every prefix is half a header. */
static void fuzz_round(const struct proxy_header *h)
{
	uint8_t out[PROXY_WRITE_MAX];
	struct proxy_header again;
	size_t len, used;

	proxy_protocol_write(h, out, &len);
	CHECK(len <= PROXY_WRITE_MAX);
	CHECK(fuzz_parse(out, len, &again, &used) == 0 && used == len);
	CHECK(fuzz_same(h, &again));
	for (size_t n = 0; n < len; n++)
		CHECK(fuzz_parse(out, n, &again, &used) == ERR_AGAIN);
}

static void fuzz_read(const uint8_t *data, size_t size)
{
	struct proxy_header h;
	size_t used;
	int e = fuzz_parse(data, size, &h, &used);

	CHECK(e == 0 || e == ERR_AGAIN || e == ERR_PROTO || e == ERR_TOOBIG);
	CHECK(e != ERR_AGAIN || size < PROXY_V2_MAX);
	fuzz_prefixes(data, size, e);
	if (e != 0)
		return;
	CHECK(used <= size && used <= (h.version == 1 ? PROXY_V1_MAX : PROXY_V2_MAX));
	CHECK(fuzz_parse(data, used - 1, &h, &used) == ERR_AGAIN);
	if (h.local) /* is written without what else a header may have told */
		h = (struct proxy_header){.version = h.version, .local = true};
	fuzz_round(&h);
}

/* Any bytes, made to values that can be told. */
static void fuzz_write(const uint8_t *data, size_t size)
{
	struct proxy_header h = {.version = 2};
	uint8_t bytes[64 + PROXY_ALPN_MAX + PROXY_ID_MAX] = {0};

	memcpy(bytes, data, MIN(size, sizeof bytes));
	cidr_ip_format(bytes, h.src.ip);
	cidr_ip_format(bytes + 16, h.dst.ip);
	memcpy(&h.src.port, bytes + 32, 2);
	memcpy(&h.dst.port, bytes + 34, 2);
	h.alpn_len = bytes[36];
	h.id_len = MIN(bytes[37], PROXY_ID_MAX);
	h.tls = bytes[38] & 1;
	if (h.tls)
		memset(h.tls_version, 'T', MIN(bytes[39], sizeof h.tls_version - 1));
	memset(h.sni, 'a', MIN(bytes[40], HOSTNAME_LABEL_MAX));
	memcpy(h.alpn, bytes + 64, h.alpn_len);
	memcpy(h.id, bytes + 64 + PROXY_ALPN_MAX, h.id_len);
	fuzz_round(&h);
	h = (struct proxy_header){.version = 1, .src = h.src, .dst = h.dst};
	fuzz_round(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_read(data, size);
	fuzz_write(data, size);
	return 0;
}
