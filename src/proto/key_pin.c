/* Two ways to write the same 32 bytes, so that a person may copy them from ssh's world or curl's.
 */
#include "proto/key_pin.h"

#include <string.h>

#include "base/err.h"

int key_pin_parse(struct str s, uint8_t out[KEY_PIN_LEN])
{
	static const struct str heads[] = {{"SHA256:", 7}, {"sha256//", 8}};
	uint8_t bytes[KEY_PIN_LEN];
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		if (!str_starts(s, heads[i]))
			continue;
		s = (struct str){s.p + heads[i].len, s.len - heads[i].len};
		if (base64_decode(s, bytes, sizeof bytes, &len) != 0 || len != sizeof bytes)
			return ERR_INVAL;
		memcpy(out, bytes, sizeof bytes);
		return 0;
	}
	return ERR_INVAL;
}

int key_pins_add(struct key_pins *pins, struct str s)
{
	uint8_t sha256[KEY_PIN_LEN];
	int e = key_pin_parse(s, sha256);

	if (e != 0)
		return e;
	if (pins->n == KEY_PINS_MAX)
		return ERR_TOOBIG;
	memcpy(pins->sha256[pins->n++], sha256, KEY_PIN_LEN);
	return 0;
}

bool key_pins_have(const struct key_pins *pins, const uint8_t sha256[KEY_PIN_LEN])
{
	for (size_t i = 0; i < pins->n; i++)
		if (memcmp(pins->sha256[i], sha256, KEY_PIN_LEN) == 0)
			return true;
	return false;
}

void key_pin_format(const uint8_t sha256[KEY_PIN_LEN], char out[KEY_PIN_TEXT])
{
	size_t n = str_printf(out, KEY_PIN_TEXT, "SHA256:");

	base64_encode(BASE64_BARE, sha256, KEY_PIN_LEN, out + n);
}

void key_pins_format_curl(const struct key_pins *pins, char out[KEY_PINS_CURL])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < pins->n; i++) {
		n += str_printf(out + n, KEY_PINS_CURL - n, "%ssha256//", i > 0 ? ";" : "");
		n += base64_encode(BASE64, pins->sha256[i], KEY_PIN_LEN, out + n);
	}
}
