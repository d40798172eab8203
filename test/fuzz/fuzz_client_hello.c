/*
 * Any bytes as the start of TLS: an answer never changes when more comes, does not depend on how
 * the message is cut into records, and names nobody who cannot be.
 */
#include "proto/client_hello.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 5 /* bytes of a record's header */

/* Memory of just the right size, so that a sanitizer sees a byte read too much. */
static int fuzz_parse(const uint8_t *data, size_t size, struct client_hello *out)
{
	char *mem = malloc(MAX(size, (size_t)1));
	int e;

	CHECK(mem != NULL);
	memcpy(mem, data, size);
	e = client_hello_parse((struct str){mem, size}, out);
	free(mem);
	return e;
}

static void fuzz_check(const struct client_hello *h)
{
	struct str sni = str_of(h->sni);

	CHECK(sni.len == 0 || hostname_resolvable(sni));
	for (size_t i = 0; i < sni.len; i++)
		CHECK(ascii_lower(sni.p[i]) == sni.p[i]);
	CHECK(h->alpn_len <= sizeof h->alpn);
	for (size_t at = 0; at < h->alpn_len; at += 1 + h->alpn[at])
		CHECK(h->alpn[at] > 0 && at + 1 + h->alpn[at] <= h->alpn_len);
}

static bool fuzz_same(const struct client_hello *a, const struct client_hello *b)
{
	return strcmp(a->sni, b->sni) == 0 && a->alpn_len == b->alpn_len &&
	       memcmp(a->alpn, b->alpn, a->alpn_len) == 0;
}

/* Once something is told, it stays. Every prefix of short inputs, a hundred of long ones. */
static void fuzz_prefixes(const uint8_t *data, size_t size, int want,
			  const struct client_hello *all)
{
	size_t step = size / 100 + 1;
	bool decided = false;

	for (size_t n = 0; n < size; n += step) {
		struct client_hello h;
		int e = fuzz_parse(data, n, &h);

		CHECK(e == (decided || e != ERR_AGAIN ? want : ERR_AGAIN));
		CHECK(e != 0 || fuzz_same(&h, all));
		decided = e != ERR_AGAIN;
	}
}

/* Asking only when there is use in it finds the same, and nothing that is right later than it
 * could. */
static void fuzz_least(const uint8_t *data, size_t size, int want)
{
	struct client_hello h;
	size_t n = 0, least;
	int e;

	while ((e = fuzz_parse(data, n, &h)) == ERR_AGAIN) {
		least = client_hello_least((struct str){(const char *)data, n});
		CHECK(least > n && least <= CLIENT_HELLO_MAX);
		if (least > size) {
			CHECK(want != 0);
			return;
		}
		n = least;
	}
	CHECK(e == want);
	CHECK(e != 0 || n == 0 || fuzz_parse(data, n - 1, &h) == ERR_AGAIN);
}

/* The message without the headers of its records. Returns its bytes. */
static size_t fuzz_message(const uint8_t *data, size_t size, uint8_t *out)
{
	size_t n = 0, len;

	for (; size > HEAD; data += HEAD + len, size -= HEAD + len) {
		len = MIN((size_t)data[3] << 8 | data[4], size - HEAD);
		memcpy(out + n, data + HEAD, len);
		n += len;
	}
	return n;
}

/* The message of a ClientHello in records of other lengths says the same. */
static void fuzz_records(const uint8_t *message, size_t size, const struct client_hello *want)
{
	static const size_t lens[] = {1, 2, 7, 100, 16384};

	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		uint8_t *out = malloc(size + HEAD * (size / lens[i] + 1));
		size_t n = 0, len;
		struct client_hello h;

		CHECK(out != NULL);
		for (size_t at = 0; at < size; at += len) {
			len = MIN(lens[i], size - at);
			memcpy(out + n, "\x16\x03\x01", 3);
			out[n + 3] = (uint8_t)(len >> 8);
			out[n + 4] = (uint8_t)len;
			memcpy(out + n + HEAD, message + at, len);
			n += HEAD + len;
		}
		if (n <= CLIENT_HELLO_MAX)
			CHECK(fuzz_parse(out, n, &h) == 0 && fuzz_same(&h, want));
		else
			CHECK(fuzz_parse(out, n, &h) == ERR_TOOBIG);
		free(out);
	}
}

static void fuzz_one(const uint8_t *data, size_t size)
{
	struct client_hello h = {.alpn_len = 0};
	int e = fuzz_parse(data, size, &h);
	uint8_t *message;
	size_t len;

	CHECK(e == 0 || e == ERR_AGAIN || e == ERR_PROTO || e == ERR_TOOBIG);
	CHECK(e != ERR_AGAIN || size < CLIENT_HELLO_MAX);
	fuzz_least(data, size, e);
	fuzz_prefixes(data, size, e, &h);
	if (e != 0)
		return;
	fuzz_check(&h);
	message = malloc(size);
	CHECK(message != NULL);
	len = fuzz_message(data, size, message);
	len = MIN(len, 4 + ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]));
	fuzz_records(message, len, &h);
	free(message);
}

/* Any bytes as the list of extensions of a message that is right otherwise. */
static void fuzz_extensions(const uint8_t *data, size_t size)
{
	uint8_t hello[HEAD + 4 + 41 + 2 + 4096] = {0x16, 3, 1};
	size_t body = 41 + 2 + size;

	if (size > 4096)
		return;
	hello[3] = (uint8_t)((body + 4) >> 8);
	hello[4] = (uint8_t)(body + 4);
	hello[5] = 1;
	hello[7] = (uint8_t)(body >> 8);
	hello[8] = (uint8_t)body;
	hello[9] = 3;
	hello[45] = 2; /* bytes of cipher suites, then of compressions */
	hello[48] = 1;
	hello[50] = (uint8_t)(size >> 8);
	hello[51] = (uint8_t)size;
	memcpy(hello + 52, data, size);
	fuzz_one(hello, 52 + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_one(data, size);
	fuzz_extensions(data, size);
	return 0;
}
