/* Public keys: what is taken is written in one form, which means the same key. */
#include <string.h>

#include "base/err.h"
#include "proto/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct ssh_key key, again;
	const char *why = NULL;
	int e = ssh_key_parse(text, &key, &why);

	CHECK(e == 0 || e == ERR_INVAL);
	CHECK((e == 0) == (why == NULL));
	CHECK(ssh_key_parse(text, &key, NULL) == e);
	if (e != 0)
		return 0;
	CHECK(key.bits >= 256 && key.bits <= SSH_KEY_RSA_BITS_MAX);
	for (const char *p = key.line; *p != '\0'; p++)
		CHECK(*p >= ' ' && *p < 0x7f);
	CHECK(ssh_key_parse(str_of(key.line), &again, NULL) == 0);
	CHECK(strcmp(key.line, again.line) == 0 && strcmp(key.type, again.type) == 0);
	CHECK(strcmp(key.comment, again.comment) == 0 && key.bits == again.bits);
	CHECK(key.blob_len == again.blob_len && memcmp(key.blob, again.blob, key.blob_len) == 0);
	return 0;
}
