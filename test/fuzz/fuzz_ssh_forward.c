/* Forwards: two bytes of port, one of flags, then the address; what is understood stays as it is.
 */
#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"
#include "proto/ssh_forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_again(const char *text, uint32_t port, bool tls, const struct ssh_forward *f)
{
	struct ssh_forward again;
	const char *why;

	CHECK(ssh_forward_read(str_of(text), port, "karez.example", tls, &again, &why) == 0);
	CHECK(memcmp(f, &again, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ssh_forward f;
	const char *why;
	uint32_t port;
	uint8_t ip[16];
	bool tls;
	int e;

	if (size < 3)
		return 0;
	port = (uint32_t)data[0] << 8 | data[1] | (uint32_t)(data[2] & 2) << 15;
	tls = data[2] & 1;
	e = ssh_forward_read((struct str){(const char *)data + 3, size - 3}, port, "karez.example",
			     tls, &f, &why);
	CHECK(e == 0 || e == ERR_INVAL);
	CHECK((e == 0) == (why == NULL));
	if (e != 0)
		return 0;
	CHECK(port <= UINT16_MAX && (f.port == 0 || f.port == port));
	CHECK((f.kind == SSH_FORWARD_TCP) == (port != 80 && port != 443));
	CHECK(f.kind != SSH_FORWARD_TLS || (tls && port == 443));
	CHECK(f.name[0] == '\0' || f.domain[0] == '\0');
	CHECK(f.bind[0] == '\0' || (f.kind == SSH_FORWARD_TCP && f.name[0] == '\0'));
	CHECK(f.domain[0] == '\0' || f.kind != SSH_FORWARD_TCP);
	if (f.bind[0] != '\0') {
		CHECK(strcmp(f.bind, "localhost") == 0 || cidr_ip_parse(str_of(f.bind), ip) == 0);
		fuzz_again(f.bind, port, tls, &f);
	}
	if (f.domain[0] != '\0')
		fuzz_again(f.domain, port, tls, &f);
	return 0;
}
