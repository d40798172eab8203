/* Certificates: what is understood lies within what came, and covers all of it. */
#include "base/err.h"
#include "proto/ssh_cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_inside(struct str whole, struct str part)
{
	CHECK(part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str blob = {(const char *)data, size};
	bool is = ssh_cert_is(blob);
	struct ssh_cert c;
	int e = ssh_cert_parse(blob, &c);

	CHECK(e == 0 || e == ERR_PROTO || e == ERR_TOOBIG);
	if (e != 0)
		return 0;
	CHECK(is && c.n_principals <= SSH_CERT_PRINCIPALS_MAX);
	for (size_t i = 0; i < c.n_principals; i++)
		fuzz_inside(blob, c.principals[i]);
	fuzz_inside(blob, c.key);
	fuzz_inside(blob, c.id);
	fuzz_inside(blob, c.ca);
	fuzz_inside(blob, c.source_address);
	CHECK(c.signed_part.p == blob.p);
	CHECK(c.signed_part.len + 4 + c.signature.len == blob.len);
	CHECK(c.signature.p == blob.p + c.signed_part.len + 4);
	return 0;
}
