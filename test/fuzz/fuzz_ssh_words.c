/* Words behind the host: what is taken is in its bounds, what is not is told in printable words. */
#include <string.h>

#include "base/err.h"
#include "proto/ssh_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str command = {(const char *)data, size};
	char why[SSH_WORDS_WHY], name[HOSTNAME_MAX + 1];
	struct ssh_words w, none = {0};
	int e = ssh_words_read(command, &w, why);

	CHECK(e == 0 || e == ERR_INVAL);
	CHECK((e == 0) == (why[0] == '\0'));
	for (const char *p = why; *p != '\0'; p++)
		CHECK(*p >= ' ' && *p < 0x7f);
	if (e != 0) {
		CHECK(memcmp(&w, &none, sizeof w) == 0);
		return 0;
	}
	CHECK(w.name[0] == '\0' ||
	      (hostname_tunnel(str_of(w.name), name) == 0 && strcmp(name, w.name) == 0));
	CHECK(w.priority <= 65535 && w.sessions_max <= 64);
	CHECK(strlen(w.agent) < sizeof w.agent && w.policy < TUNNEL_POLICIES);
	CHECK(w.proxy < TUNNEL_PROXIES);
	return 0;
}
