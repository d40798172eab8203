/* The visit header: what is read can be written, and is read the same again. */
#include <string.h>

#include "base/err.h"
#include "proto/visit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_same_end(const struct visit_end *a, const struct visit_end *b)
{
	CHECK(strcmp(a->ip, b->ip) == 0 && (a->ip[0] == '\0' || a->port == b->port));
}

static void fuzz_round(const struct visit *v)
{
	char out[VISIT_MAX + 1];
	struct visit again;
	size_t n;

	if (visit_format(v, out, &n) != 0)
		CHECK(!"a visit that was read cannot be written");
	CHECK(n <= VISIT_MAX && strlen(out) == n);
	CHECK(visit_parse((struct str){out, n}, &again) == 0);
	CHECK(v->ingress == again.ingress && v->tls == again.tls);
	fuzz_same_end(&v->visitor, &again.visitor);
	fuzz_same_end(&v->local, &again.local);
	CHECK(strcmp(v->tunnel, again.tunnel) == 0 && strcmp(v->host, again.host) == 0 &&
	      strcmp(v->sni, again.sni) == 0 && strcmp(v->service, again.service) == 0 &&
	      strcmp(v->via, again.via) == 0);
	CHECK(visit_via_n(v) <= VISIT_VIA_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct visit v;
	char out[VISIT_MAX + 1];
	size_t n;

	if (visit_parse((struct str){(const char *)data, size}, &v) == 0)
		fuzz_round(&v);
	if (size == 0)
		return 0;

	/* Any bytes as members: refused, or written so that they are read back. */
	memset(&v, 0, sizeof v);
	strcpy(v.tunnel, "a");
	memcpy(v.host, data, MIN(size, sizeof v.host));
	memcpy(v.sni, data, MIN(size, sizeof v.sni));
	memcpy(v.visitor.ip, data, MIN(size, sizeof v.visitor.ip));
	if (visit_format(&v, out, &n) == 0)
		fuzz_round(&v);
	memcpy(v.service, data, MIN(size, sizeof v.service));
	if (visit_format(&v, out, &n) == 0)
		fuzz_round(&v);
	memset(&v.visitor, 0, sizeof v.visitor);
	if (visit_format(&v, out, &n) == 0)
		fuzz_round(&v);
	memset(&v.service, 0, sizeof v.service);
	memcpy(v.via, data, MIN(size, sizeof v.via));
	if (visit_format(&v, out, &n) == 0)
		fuzz_round(&v);
	memset(&v.host, 0, sizeof v.host);
	memset(&v.sni, 0, sizeof v.sni);
	if (visit_format(&v, out, &n) == 0)
		fuzz_round(&v);
	return 0;
}
