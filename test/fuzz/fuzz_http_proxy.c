/*
 * A proxy and a list of servers without one, up to the first line end and behind it: what is read
 * as a proxy is shown as one that is read to the same; lists never do more than answer.
 */
#include <string.h>

#include "base/err.h"
#include "proto/http_proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_proxy(struct str s)
{
	char shown[HTTP_PROXY_TEXT], basic[HTTP_PROXY_BASIC];
	struct http_proxy p, again;
	const char *why = NULL;
	int e = http_proxy_parse(s, &p, &why);

	CHECK((e == 0) == (why == NULL));
	if (e != 0)
		return;
	CHECK(http_proxy_format(&p, shown) == strlen(shown));
	CHECK(http_proxy_parse(str_of(shown), &again, NULL) == 0);
	CHECK(again.url.scheme == p.url.scheme && again.url.port == p.url.port && p.url.port != 0);
	CHECK(strcmp(again.url.host, p.url.host) == 0 && !again.login);
	if (p.login)
		CHECK(http_proxy_basic(&p, basic) == strlen(basic) && p.user[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str servers[] = {{"https://a.example:8443", 22},
					     {"http://192.0.2.7", 16},
					     {"https://[2001:db8::1]", 21}};
	struct str s = {(const char *)data, size};
	size_t line = str_find(s, '\n');
	struct url url;

	fuzz_proxy((struct str){s.p, line});
	s.p += MIN(line + 1, s.len);
	s.len -= MIN(line + 1, s.len);
	for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
		CHECK(url_parse(servers[i], &url, NULL) == 0);
		(void)http_proxy_is_spared(s, &url);
	}
	return 0;
}
