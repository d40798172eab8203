/* Host names: what is accepted is normalised to something that stays as it is. */
#include <string.h>

#include "base/err.h"
#include "proto/hostname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_authority(struct str s)
{
	char once[HOSTNAME_MAX + 1], twice[HOSTNAME_MAX + 1];
	struct hostname_authority a;
	struct str host, again;

	if (hostname_split(s, &a) != 0) {
		CHECK(hostname_normalise(s, once, &host) == ERR_PROTO);
		CHECK(!hostname_authority_same(s, s, 80));
		return;
	}
	CHECK(hostname_split_resolvable(s, &a) == 0);
	CHECK(a.host.len > 0 && a.host.p >= s.p && a.host.p + a.host.len <= s.p + s.len);
	CHECK(hostname_authority_same(s, s, 80));
	CHECK(hostname_normalise(s, once, &host) == 0);
	CHECK(host.p == once && strlen(once) == host.len && host.len == a.host.len);
	if (a.kind == HOSTNAME_IPV6)
		return;
	CHECK(hostname_ok(host) == (a.kind == HOSTNAME_NAME));
	CHECK(hostname_normalise(host, twice, &again) == 0 && str_eq(host, again));
}

static void fuzz_tunnel(struct str s)
{
	char name[HOSTNAME_MAX + 1], whole[HOSTNAME_MAX + 16];
	struct str left;
	size_t n;

	if (hostname_tunnel(s, name) != 0)
		return;
	n = str_printf(whole, sizeof whole, "%s.localhost", name);
	CHECK(hostname_under((struct str){whole, n}, STR("localhost"), &left));
	CHECK(str_eq(left, str_of(name)));
	CHECK(n > HOSTNAME_MAX || hostname_ok((struct str){whole, n}));
	n = 1;
	while (hostname_parent(&left))
		n++;
	CHECK(left.len > 0 && left.len <= HOSTNAME_LABEL_MAX && n <= HOSTNAME_MAX / 2 + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct str a = {s.p, str_find(s, '\n')}, name;

	fuzz_authority(s);
	fuzz_tunnel(s);
	CHECK(!hostname_ok(s) || hostname_resolvable(s));
	if (a.len < s.len) {
		struct str b = {s.p + a.len + 1, s.len - a.len - 1};

		CHECK(hostname_authority_same(a, b, 443) == hostname_authority_same(b, a, 443));
		if (hostname_under(a, b, &name))
			CHECK(name.len + 1 + b.len == a.len);
	}
	return 0;
}
