/*
 * Bodies and paths of the API: the first byte chooses a route, the rest is its body; and the whole
 * is a path. What is refused is named, what is taken can be read.
 */
#include <string.h>

#include "api/api_body.h"
#include "api/api_route.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_body(const struct api_schema *s, struct str text, bool whole)
{
	struct api_fault fault;
	struct json *j = NULL;
	int e = api_body_parse(text, s, whole, &j, &fault);
	struct buf b = {0};

	CHECK((j != NULL) == (e == 0) && fault.e == e);
	CHECK(strlen(fault.field) < API_FIELD_TEXT && strlen(fault.detail) < API_DETAIL_TEXT);
	CHECK(e == 0 || fault.detail[0] != '\0');
	if (e == 0) {
		CHECK(json_write(j, 1 << 20, &b) == 0);
		json_free(j);
		/* what is written again is taken again */
		CHECK(api_body_parse(buf_str(&b), s, whole, &j, &fault) == 0);
		buf_free(&b);
	}
	json_free(e == 0 ? j : NULL);
}

static void fuzz_path(struct str path)
{
	struct api_route_match m;

	for (enum http_method method = HTTP_OTHER; method <= HTTP_PATCH; method++) {
		int e = api_route_find(method, path, &m);

		CHECK(e == 0 || e == ERR_NOTFOUND || e == ERR_UNSUPPORTED);
		CHECK((e == 0) == (m.route != NULL));
		CHECK(e != ERR_UNSUPPORTED || strstr(m.allow, "OPTIONS") != NULL);
		for (size_t i = 0; e == 0 && i < API_PARAMS_MAX; i++)
			CHECK(m.params[i].len == 0 ||
			      (m.params[i].p >= path.p &&
			       m.params[i].p + m.params[i].len <= path.p + path.len));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data, size};
	const struct api_route *r;

	fuzz_path(all);
	if (size == 0)
		return 0;
	r = &api_route_table[data[0] % api_route_n];
	if (r->body != NULL)
		fuzz_body(r->body, (struct str){all.p + 1, all.len - 1}, r->flags & API_WHOLE);
	return 0;
}
