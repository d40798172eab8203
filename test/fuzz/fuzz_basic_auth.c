/* Basic credentials: what is read is written back and read the same. */
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "proto/basic_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str value = {(const char *)data, size}, rest, user, password, user2, password2;
	char room[BASIC_AUTH_MAX], room2[BASIC_AUTH_MAX], text[BASE64_TEXT(BASIC_AUTH_MAX)];
	struct str scheme = basic_auth_scheme(value, &rest);
	int e = basic_auth_parse(rest, room, &user, &password);

	CHECK(scheme.len + rest.len <= size);
	CHECK(str_find(scheme, ' ') == scheme.len);
	CHECK(e == 0 || e == ERR_PROTO || e == ERR_TOOBIG);
	if (e != 0)
		return 0;
	CHECK(user.p == room && password.p == room + user.len + 1);
	CHECK(str_find(user, ':') == user.len);
	base64_encode(BASE64, room, user.len + 1 + password.len, text);
	CHECK(basic_auth_parse(str_of(text), room2, &user2, &password2) == 0);
	CHECK(str_eq(user, user2) && str_eq(password, password2));
	return 0;
}
