/*
 * What is written from a parsed head is read as the same message, by the strictest reader we have:
 * same method, target, host, framing and fields, without anything that may not be passed on.
 * Writing what was read again changes nothing more.
 */
#include "proto/http_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXTRA 64 /* room for the Host that HTTP/1.0 may lack, and a "/" */

static bool fuzz_passes(const struct http_field *f, unsigned drop)
{
	return !(f->flags & (HTTP_F_HOP | HTTP_F_FRAMING | HTTP_F_ALIAS | drop));
}

/* Is b what is left of a? */
static void fuzz_compare(const struct http_head *a, const struct http_head *b, unsigned drop)
{
	size_t at = 0;

	for (size_t i = 0; i < b->n_fields; i++)
		CHECK(!(b->fields[i].flags & (HTTP_F_HOP | HTTP_F_ALIAS)));
	for (size_t i = 0; i < a->n_fields; i++) {
		const struct http_field *f = &a->fields[i];

		if (!fuzz_passes(f, drop | HTTP_F_HOST))
			continue;
		while (b->fields[at].id == HTTP_FIELD_HOST)
			at++;
		CHECK(at < b->n_fields);
		CHECK(str_eq(f->name, b->fields[at].name) && str_eq(f->value, b->fields[at].value));
		at++;
	}
	while (at < b->n_fields) {
		CHECK(b->fields[at].flags & (HTTP_F_FRAMING | HTTP_F_HOST));
		at++;
	}
	CHECK(a->framing == b->framing || a->framing == HTTP_BODY_CLOSE);
	CHECK(a->content_length == b->content_length && a->has_length == b->has_length);
}

/* Write a request; the caller frees the result. */
static struct str fuzz_write_request(const struct http_request *r, unsigned drop)
{
	size_t cap = http_write_room(&r->head) + r->host.len + EXTRA, len;
	bool slash = r->form == HTTP_FORM_ABSOLUTE && (r->path.len == 0 || r->path.p[0] == '?');
	struct http_writer w;
	struct str target = r->form == HTTP_FORM_AUTHORITY ? r->authority : r->path;
	char *mem = malloc(cap), *with_slash = malloc(target.len + 1);

	CHECK(mem != NULL && with_slash != NULL);
	with_slash[0] = '/';
	memcpy(with_slash + 1, target.p, target.len);
	if (slash)
		target = (struct str){with_slash, target.len + 1};
	http_write_begin(&w, mem, cap);
	http_write_request(&w, r->method_name, target);
	http_write_field(&w, STR("Host"), r->host.len > 0 ? r->host : STR("none.example"));
	http_write_fields(&w, &r->head, drop | HTTP_F_HOST);
	http_write_framing(&w, &r->head);
	CHECK(http_write_end(&w, &len) == 0);
	free(with_slash);
	return (struct str){mem, len};
}

static void fuzz_request(struct str bytes, unsigned drop)
{
	struct http_request a, b;
	size_t scanned = 0;
	struct str once, twice;
	int e;

	if (http_request_parse(bytes, &scanned, &a) != 0)
		return;
	once = fuzz_write_request(&a, drop);
	scanned = 0;
	e = http_request_parse(once, &scanned, &b);
	if (e == ERR_TOOBIG && (once.len > HTTP_HEAD_MAX || a.head.n_fields == HTTP_FIELDS_MAX ||
				a.target.len > HTTP_TARGET_MAX - 1))
		goto out; /* the Host, the "/" or a space was too much */
	CHECK(e == 0 && b.head.len == once.len && b.head.minor == 1);
	CHECK(a.method == b.method && str_eq(a.method_name, b.method_name));
	CHECK(a.host.len == 0 || str_eq(a.host, b.host));
	CHECK(a.expect_continue == b.expect_continue || a.head.minor == 0);
	CHECK(b.head.upgrade.len == 0 && b.head.keep_alive);
	fuzz_compare(&a.head, &b.head, drop);
	twice = fuzz_write_request(&b, drop);
	CHECK(str_eq(once, twice));
	free((char *)(uintptr_t)twice.p);
out:
	free((char *)(uintptr_t)once.p);
}

static void fuzz_response(struct str bytes, enum http_method asked, unsigned drop)
{
	struct http_response a, b;
	struct http_writer w;
	size_t scanned = 0, cap, len;
	char *mem;
	int e;

	if (http_response_parse(bytes, asked, &scanned, &a) != 0)
		return;
	cap = http_write_room(&a.head);
	CHECK((mem = malloc(cap)) != NULL);
	http_write_begin(&w, mem, cap);
	http_write_status(&w, a.status, a.reason);
	http_write_fields(&w, &a.head, drop);
	http_write_framing(&w, &a.head);
	CHECK(http_write_end(&w, &len) == 0);
	scanned = 0;
	e = http_response_parse((struct str){mem, len}, asked, &scanned, &b);
	if (e != ERR_TOOBIG || len <= HTTP_HEAD_MAX) {
		CHECK(e == 0 && b.head.len == len && a.status == b.status);
		fuzz_compare(&a.head, &b.head, drop);
	}
	free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};

	fuzz_request(bytes, 0);
	fuzz_request(bytes, HTTP_F_FORWARDING | HTTP_F_VIA);
	fuzz_response(bytes, HTTP_GET, 0);
	fuzz_response(bytes, HTTP_HEAD, HTTP_F_VIA);
	fuzz_response(bytes, HTTP_CONNECT, 0);
	return 0;
}
