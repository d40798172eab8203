/*
 * Whoever can write to the bus is not yet one of us: only a message sealed with the cluster's key
 * is, and that only once.
 */
#include "cluster/roster_internal.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"

bool roster_window_take(struct roster_window *w, uint64_t n)
{
	uint64_t back;

	if (n > w->high) {
		uint64_t ahead = n - w->high;

		w->bits = ahead > 63 ? 1 : w->bits << ahead | 1;
		w->high = n;
		return true;
	}
	back = w->high - n;
	if (back > 63 || (w->bits >> back & 1) != 0)
		return false;
	w->bits |= UINT64_C(1) << back;
	return true;
}

void roster_window_from(struct roster_window *w, uint64_t n)
{
	*w = (struct roster_window){.high = n, .bits = UINT64_MAX};
}

int roster_seal_key(const uint8_t key[ROSTER_KEY_LEN], uint8_t out[DIGEST_LEN])
{
	char hex[DIGEST_HEX_TEXT];
	int e = digest_keyed(key, STR("karez roster seal 1"), hex);

	if (e != 0)
		return e;
	for (size_t i = 0; i < DIGEST_LEN; i++) {
		uint64_t byte = 0;

		CHECK(num_parse_hex((struct str){hex + 2 * i, 2}, &byte) == 0);
		out[i] = (uint8_t)byte;
	}
	return 0;
}

_Static_assert(ROSTER_KEY_LEN == DIGEST_LEN, "the cluster's key is one of digest_keyed()");
_Static_assert(NODE_MESSAGE_SEAL == DIGEST_HEX_TEXT - 1, "a seal is a digest");

int roster_seal(const uint8_t key[DIGEST_LEN], struct pen *pen, struct str *out)
{
	char hex[DIGEST_HEX_TEXT];
	int e;

	CHECK(!pen->full);
	if ((e = digest_keyed(key, (struct str){pen->start, pen_len(pen)}, hex)) != 0)
		return e;
	memcpy(pen->at, hex, NODE_MESSAGE_SEAL);
	*out = (struct str){pen->start, pen_len(pen) + NODE_MESSAGE_SEAL};
	return 0;
}

int roster_unseal(const uint8_t key[DIGEST_LEN], struct str message, struct str *out)
{
	char hex[DIGEST_HEX_TEXT];
	struct str seal;
	int e;

	if (!node_message_split(message, out, &seal))
		return ERR_AUTH;
	if ((e = digest_keyed(key, *out, hex)) != 0)
		return e;
	return digest_same(hex, seal.p, NODE_MESSAGE_SEAL) ? 0 : ERR_AUTH;
}
