/* URLs and targets: what is accepted is written back to the same; what is not says why. */
#include <string.h>

#include "base/err.h"
#include "proto/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_round(const struct url *u)
{
	char text[URL_TEXT_MAX], authority[HOSTNAME_AUTHORITY_MAX + 1];
	struct hostname_authority a;
	struct url again;
	size_t n = url_format(u, text);

	CHECK(strlen(text) == n);
	CHECK(url_parse((struct str){text, n}, &again, NULL) == 0);
	CHECK(memcmp(u->host, again.host, sizeof u->host) == 0);
	CHECK(memcmp(u->path, again.path, sizeof u->path) == 0);
	CHECK(u->scheme == again.scheme && u->kind == again.kind && u->port == again.port &&
	      u->websocket == again.websocket);
	n = url_format_authority(u, authority);
	if (url_is_local(u)) {
		CHECK(n == 0 && u->port == 0);
		return;
	}
	CHECK(u->port != 0);
	CHECK(hostname_split_resolvable((struct str){authority, n}, &a) == 0);
	CHECK(a.kind == u->kind && str_eq(a.host, str_of(u->host)));
}

/* What is a target is one of a tcp tunnel, too; without a scheme it is tcp. */
static void fuzz_tcp(struct str s, const struct url *url, const struct url *target)
{
	const char *why = NULL;
	struct url u;
	int e = url_parse_target(s, URL_TCP, &u, &why);

	CHECK((e == 0) == (why == NULL) && (e == 0) == (target != NULL));
	if (e != 0)
		return;
	CHECK(u.scheme == (url != NULL ? url->scheme : URL_TCP));
	CHECK(u.port == target->port && strcmp(u.host, target->host) == 0);
	fuzz_round(&u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = {(const char *)data, size};
	struct url u, target;
	const char *why = NULL;
	int e = url_parse(s, &u, &why);

	CHECK((e == 0) == (why == NULL));
	if (e == 0)
		fuzz_round(&u);
	why = NULL;
	CHECK((url_parse_target(s, URL_HTTP, &target, &why) == 0) == (why == NULL));
	if (why == NULL)
		fuzz_round(&target);
	/* Every URL is a target, and means the same. */
	if (e == 0)
		CHECK(why == NULL && target.port == u.port && strcmp(target.host, u.host) == 0);
	fuzz_tcp(s, e == 0 ? &u : NULL, why == NULL ? &target : NULL);
	return 0;
}
