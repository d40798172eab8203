/*
 * Any bytes as a request and as a response: spans stay inside, fields keep to the grammar, a
 * refusal has its reason, and it does not matter in which pieces the bytes arrive.
 */
#include "proto/http_head.h"

#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

union fuzz_head {
	struct http_request request;
	struct http_response response;
};

/* How to parse: as a request, or as a response to that method. */
struct fuzz_kind {
	bool response;
	enum http_method asked;
};

static int fuzz_parse(struct fuzz_kind k, struct str bytes, size_t *scanned, union fuzz_head *out)
{
	if (k.response)
		return http_response_parse(bytes, k.asked, scanned, &out->response);
	return http_request_parse(bytes, scanned, &out->request);
}

static size_t fuzz_head_len(struct fuzz_kind k, const union fuzz_head *out)
{
	return k.response ? out->response.head.len : out->request.head.len;
}

static void fuzz_inside(struct str span, struct str bytes)
{
	CHECK(span.len == 0 || (span.p >= bytes.p && span.p + span.len <= bytes.p + bytes.len));
}

static void fuzz_check_head(const struct http_head *h, struct str bytes)
{
	CHECK(h->len <= bytes.len && h->len <= HTTP_HEAD_MAX && h->minor <= 1);
	CHECK(h->len >= 4 && memcmp(bytes.p + h->len - 4, "\r\n\r\n", 4) == 0);
	CHECK(h->n_fields <= HTTP_FIELDS_MAX);
	bytes.len = h->len;
	fuzz_inside(h->upgrade, bytes);
	for (size_t i = 0; i < h->n_fields; i++) {
		const struct http_field *f = &h->fields[i];

		fuzz_inside(f->name, bytes);
		fuzz_inside(f->value, bytes);
		CHECK(http_field_name_ok(f->name) && http_field_value_ok(f->value));
		CHECK(str_trim(f->value).len == f->value.len);
		CHECK(http_field_id(f->name) == f->id);
		CHECK(f->id == HTTP_FIELD_OTHER || h->first[f->id] <= i + 1);
	}
	CHECK(!h->has_length || http_head_find(h, HTTP_FIELD_CONTENT_LENGTH) != NULL);
	CHECK(h->framing != HTTP_BODY_LENGTH || h->has_length);
}

static void fuzz_check_request(const struct http_request *r, struct str bytes)
{
	const struct http_field *host = http_head_find(&r->head, HTTP_FIELD_HOST);

	fuzz_inside(r->target, bytes);
	fuzz_inside(r->path, bytes);
	fuzz_inside(r->authority, bytes);
	fuzz_inside(r->host, bytes);
	CHECK(http_field_name_ok(r->method_name) && r->method_name.len <= HTTP_METHOD_MAX);
	CHECK(r->target.len > 0 && r->target.len <= HTTP_TARGET_MAX);
	CHECK(r->head.framing <= HTTP_BODY_CHUNKED);
	CHECK(r->host.len > 0 || (r->head.minor == 0 && host == NULL));
	CHECK(host == NULL || http_head_find_next(&r->head, host) == NULL);
	CHECK(r->head.framing != HTTP_BODY_CHUNKED || r->head.minor == 1);
}

/* Let the bytes arrive in pieces; the answer must be the one to the whole. */
static void fuzz_pieces(struct fuzz_kind k, struct str bytes, int want, size_t want_len)
{
	static const size_t steps[] = {1, 7, 1000};
	union fuzz_head out;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		size_t scanned = 0, len = 0;
		int e = ERR_AGAIN;

		while (e == ERR_AGAIN && len < bytes.len) {
			len = MIN(len + steps[i], bytes.len);
			e = fuzz_parse(k, (struct str){bytes.p, len}, &scanned, &out);
			if (want == 0 && len < want_len)
				CHECK(e == ERR_AGAIN);
		}
		CHECK((e == 0) == (want == 0) && (e == ERR_AGAIN) == (want == ERR_AGAIN));
		CHECK(e != 0 || fuzz_head_len(k, &out) == want_len);
	}
}

static void fuzz_kind(struct fuzz_kind k, struct str bytes)
{
	union fuzz_head out;
	struct http_head *h = k.response ? &out.response.head : &out.request.head;
	size_t scanned = 0;
	int e;

	h->refusal = (struct http_refusal){0};
	e = fuzz_parse(k, bytes, &scanned, &out);
	if (e == 0) {
		fuzz_check_head(h, bytes);
		if (!k.response)
			fuzz_check_request(&out.request, bytes);
		else
			CHECK(out.response.status >= 100 && out.response.status <= 599);
	} else if (e == ERR_AGAIN) {
		CHECK(bytes.len < HTTP_HEAD_MAX);
	} else {
		CHECK(e == ERR_PROTO || e == ERR_TOOBIG || e == ERR_UNSUPPORTED);
		CHECK(h->refusal.why != NULL && h->refusal.status >= 400);
	}
	if (bytes.len > 0 && bytes.len < 4096)
		fuzz_pieces(k, bytes, e, h->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};

	fuzz_kind((struct fuzz_kind){false}, bytes);
	fuzz_kind((struct fuzz_kind){true, HTTP_GET}, bytes);
	fuzz_kind((struct fuzz_kind){true, HTTP_HEAD}, bytes);
	fuzz_kind((struct fuzz_kind){true, HTTP_CONNECT}, bytes);
	return 0;
}
