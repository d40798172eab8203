/* Moments: what is read is in range, and is written and read the same again. */
#include <string.h>

#include "base/err.h"
#include "proto/time_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TIME_TEXT], again[TIME_TEXT];
	int64_t ms = -1, back;
	int e = time_text_parse((struct str){(const char *)data, size}, &ms);

	if (e == 0) {
		CHECK(ms >= 0 && ms <= TIME_TEXT_MAX);
		time_text_format(ms, text);
		CHECK(time_text_parse(str_of(text), &back) == 0 && back == ms);
	} else {
		CHECK(e == ERR_INVAL || e == ERR_TOOBIG);
		CHECK(ms == -1);
	}
	if (size >= sizeof ms) {
		memcpy(&ms, data, sizeof ms);
		time_text_format(ms, text);
		CHECK(strlen(text) == TIME_TEXT - 1 && time_text_parse(str_of(text), &back) == 0);
		time_text_format(back, again);
		CHECK(strcmp(text, again) == 0);
	}
	return 0;
}
