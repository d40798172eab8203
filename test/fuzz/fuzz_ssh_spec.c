/* Any text as a forward: what is read holds together, and is read again from how it is shown. */
#include <string.h>

#include "base/err.h"
#include "proto/ssh_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char target[SSH_SPEC_TEXT], text[SSH_SPEC_TEXT + HOSTNAME_MAX + 16];
	struct ssh_spec s, again;
	const char *why = NULL, *shown = target;
	int e = ssh_spec_parse((struct str){(const char *)data, size}, &s, &why);

	CHECK(e == 0 || e == ERR_INVAL || e == ERR_UNSUPPORTED);
	CHECK((e == 0) == (why == NULL));
	if (e != 0)
		return 0;
	for (const char *p = s.address; *p != '\0'; p++)
		CHECK(*p > ' ' && *p < 0x7f);
	CHECK(s.socks || (s.to.scheme == URL_TCP && s.to.port != 0 && s.to.host[0] != '\0') ||
	      (s.to.scheme == URL_UNIX && s.to.path[0] == '/'));
	ssh_spec_target(&s, target);
	if (!s.socks && s.to.scheme == URL_UNIX)
		shown = s.to.path;
	str_printf(text, sizeof text, "%s%s%s:%u%s%s", strchr(s.address, ':') ? "[" : "", s.address,
		   strchr(s.address, ':') ? "]" : "", s.port, s.socks ? "" : ":",
		   s.socks ? "" : shown);
	CHECK(ssh_spec_parse(str_of(text), &again, NULL) == 0);
	CHECK(strcmp(s.address, again.address) == 0 && s.port == again.port);
	CHECK(s.socks == again.socks && s.to.port == again.to.port);
	CHECK(strcmp(s.to.host, again.to.host) == 0 && strcmp(s.to.path, again.to.path) == 0);
	return 0;
}
