/*
 * One address can serve every protocol whose clients speak first, as they all begin differently.
 * What fits none of them is called HTTP, whose reader knows how to refuse politely.
 */
#include "proto/first_words.h"

#include <string.h>

#include "base/err.h"

static const struct {
	struct str begin;
	enum first_words what;
} first_words[] = {
	{STR("\x16"), FIRST_TLS},
	{STR("SSH-"), FIRST_SSH},
	{STR("PROXY "), FIRST_PROXY},
	{STR("\r\n\r\n\0\r\nQUIT\n"), FIRST_PROXY},
};

int first_words_tell(struct str in, enum first_words *out)
{
	bool more = in.len == 0;

	for (size_t i = 0; i < ARRAY_LEN(first_words); i++) {
		struct str begin = first_words[i].begin;

		if (in.len == 0 || memcmp(in.p, begin.p, MIN(in.len, begin.len)) != 0)
			continue;
		if (in.len >= begin.len) {
			*out = first_words[i].what;
			return 0;
		}
		more = true;
	}
	if (more)
		return ERR_AGAIN;
	*out = FIRST_HTTP;
	return 0;
}
