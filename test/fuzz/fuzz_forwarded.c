/* Forwarded lists: an element is written back to the same, and nothing further left changes it. */
#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"
#include "proto/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_inside(struct str whole, struct str part)
{
	CHECK(part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

static void fuzz_same(const struct forwarded *a, const struct forwarded *b)
{
	CHECK(str_eq(a->for_ip, b->for_ip) && str_eq(a->by_ip, b->by_ip));
	CHECK(a->for_port == b->for_port && a->by_port == b->by_port);
	CHECK(str_eq(a->host, b->host) && str_eq(a->proto, b->proto));
}

/* Write the element, alone and behind everything that a stranger may have sent; read both. */
static void fuzz_round(struct str before, const struct forwarded *f)
{
	char element[FORWARDED_MAX], list[FORWARDED_MAX + 1024];
	struct forwarded again;
	struct str rest;
	size_t n, all;

	if (forwarded_format(f, element, sizeof element, &n) != 0)
		CHECK(!"an element that was read cannot be written");
	rest = (struct str){element, n};
	CHECK(forwarded_prev(&rest, &again) == 0 && rest.len == 0);
	fuzz_same(f, &again);
	if (forwarded_append(before, (struct str){element, n}, list, sizeof list, &all) != 0)
		return;
	rest = (struct str){list, all};
	CHECK(forwarded_prev(&rest, &again) == 0);
	fuzz_same(f, &again);
	CHECK(rest.len == before.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str whole = {(const char *)data, size};
	struct str rest = whole;
	struct forwarded f;
	uint8_t ip[16];
	size_t left;

	for (left = rest.len; forwarded_prev(&rest, &f) == 0; left = rest.len) {
		CHECK(rest.len < left);
		fuzz_inside(whole, f.for_ip);
		fuzz_inside(whole, f.by_ip);
		fuzz_inside(whole, f.host);
		fuzz_inside(whole, f.proto);
		CHECK(f.for_ip.len == 0 || cidr_ip_parse(f.for_ip, ip) == 0);
		CHECK(f.by_ip.len == 0 || cidr_ip_parse(f.by_ip, ip) == 0);
		fuzz_round(whole, &f);
	}
	CHECK(rest.len == 0);
	rest = whole;
	for (left = rest.len; forwarded_prev_xff(&rest, &f) == 0; left = rest.len) {
		CHECK(rest.len < left);
		fuzz_inside(whole, f.for_ip);
		CHECK(f.for_ip.len == 0 || cidr_ip_parse(f.for_ip, ip) == 0);
		fuzz_round(whole, &f);
	}
	CHECK(rest.len == 0);
	return 0;
}
