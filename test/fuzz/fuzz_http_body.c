/*
 * Any bytes as a body of each framing: content and end do not depend on the pieces in which the
 * bytes arrive, and what the chunk encoder writes is read again.
 */
#include "proto/http_body.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_result {
	int e;
	bool done;
	size_t used, data_len;
	char *data; /* owned */
};

/* Decode in pieces of `step` bytes. */
static struct fuzz_result fuzz_decode(struct http_body b, struct str all, size_t step)
{
	struct fuzz_result r = {.data = malloc(all.len + 1)};
	struct str in, data;

	CHECK(r.data != NULL);
	while (r.e == 0 && r.used < all.len && !b.done) {
		in = (struct str){all.p + r.used, MIN(step, all.len - r.used)};
		do {
			const char *from = in.p;

			r.e = http_body_next(&b, &in, &data);
			CHECK(in.p >= from);
			if (r.e != 0)
				break;
			CHECK(data.len == 0 || (data.p >= from && data.p + data.len <= in.p));
			memcpy(r.data + r.data_len, data.len > 0 ? data.p : "", data.len);
			r.data_len += data.len;
		} while (data.len > 0);
		CHECK(r.e != 0 || b.done || in.len == 0);
		r.used = (size_t)(in.p - all.p);
	}
	r.done = b.done;
	CHECK(r.e != 0 || (http_body_eof(&b) == 0) == (r.done || b.framing == HTTP_BODY_CLOSE));
	return r;
}

/* The same for several piece sizes. */
static void fuzz_splits(struct http_body b, struct str all)
{
	static const size_t steps[] = {1, 2, 5, 64};
	struct fuzz_result whole = fuzz_decode(b, all, all.len), r;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		r = fuzz_decode(b, all, steps[i]);
		CHECK(r.e == whole.e && r.done == whole.done && r.data_len == whole.data_len);
		CHECK(r.e != 0 || r.used == whole.used);
		CHECK(memcmp(r.data, whole.data, r.data_len) == 0);
		free(r.data);
	}
	free(whole.data);
}

/* Encode in chunks of `step`, decode, compare. */
static void fuzz_round_trip(struct str all, size_t step)
{
	char *wire = malloc((all.len + 1) * (HTTP_CHUNK_HEAD_MAX + 3) + 16), *p = wire;
	struct fuzz_result r;
	struct http_body b;

	CHECK(wire != NULL);
	for (size_t at = 0; at < all.len; at += step) {
		size_t n = MIN(step, all.len - at);

		p += http_chunk_head(p, n);
		p = mempcpy(p, all.p + at, n);
		p = mempcpy(p, HTTP_CRLF.p, HTTP_CRLF.len);
	}
	p = mempcpy(p, HTTP_LAST_CHUNK.p, HTTP_LAST_CHUNK.len);
	http_body_init(&b, HTTP_BODY_CHUNKED, 0);
	r = fuzz_decode(b, (struct str){wire, (size_t)(p - wire)}, 13);
	CHECK(r.e == 0 && r.done && r.used == (size_t)(p - wire) && r.data_len == all.len);
	CHECK(all.len == 0 || memcmp(r.data, all.p, all.len) == 0);
	free(r.data);
	free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data, size};
	struct http_body b;

	if (size == 0 || size > 20000)
		return 0;
	http_body_init(&b, HTTP_BODY_CHUNKED, 0);
	fuzz_splits(b, all);
	http_body_init(&b, HTTP_BODY_LENGTH, data[0]);
	fuzz_splits(b, all);
	http_body_init(&b, HTTP_BODY_CLOSE, 0);
	fuzz_splits(b, all);
	fuzz_round_trip(all, 1 + data[0] % 40);
	return 0;
}
