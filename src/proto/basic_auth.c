/* Strangers send this with every request, so it is read into memory that is there already. */
#include "proto/basic_auth.h"

#include <string.h>

#include "base/base64.h"
#include "base/err.h"

int basic_auth_parse(struct str text, char room[BASIC_AUTH_MAX], struct str *user,
		     struct str *password)
{
	struct str all = {room, 0};
	size_t colon;
	int e;

	if ((e = base64_decode(str_trim(text), room, BASIC_AUTH_MAX, &all.len)) != 0)
		return e;
	for (size_t i = 0; i < all.len; i++)
		if ((unsigned char)room[i] < ' ' || room[i] == 0x7f)
			return ERR_PROTO;
	colon = str_find(all, ':');
	if (colon == all.len)
		return ERR_PROTO;
	*user = (struct str){room, colon};
	*password = (struct str){room + colon + 1, all.len - colon - 1};
	return 0;
}

struct str basic_auth_scheme(struct str value, struct str *rest)
{
	size_t n = 0;

	value = str_trim(value);
	n = str_find(value, ' ');
	*rest = str_trim((struct str){value.p + n, value.len - n});
	return (struct str){value.p, n};
}
