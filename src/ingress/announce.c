/* From what we know of a visitor to what the PROXY protocol can say; shared by all ingresses. */
#include "ingress/announce.h"

#include <string.h>

void announce_ids_init(struct announce_ids *ids, struct ev *ev)
{
	ids->last = 0;
	ev_random(ev, &ids->node, sizeof ids->node);
}

void announce_id_format(const struct announce_ids *ids, uint32_t n, char out[ANNOUNCE_ID_TEXT])
{
	str_printf(out, ANNOUNCE_ID_TEXT, "%016llx%08x", (unsigned long long)ids->node, n);
}

void announce_write(const struct announce *a, uint8_t out[PROXY_WRITE_MAX], size_t *len)
{
	struct proxy_header h = {.version = a->version == TUNNEL_PROXY_V1 ? 1 : 2,
				 .src = a->visit->visitor,
				 .dst = a->visit->local,
				 .tls = a->visit->tls};

	if (h.version == 2) {
		(void)!str_copy(h.sni, sizeof h.sni, str_of(a->visit->sni));
		h.alpn_len = MIN(a->alpn.len, sizeof h.alpn);
		if (h.alpn_len > 0)
			memcpy(h.alpn, a->alpn.p, h.alpn_len);
		h.id_len = ANNOUNCE_ID_TEXT - 1;
		memcpy(h.id, a->id, h.id_len);
		(void)!str_copy(h.tls_version, sizeof h.tls_version, str_of(a->tls_version));
	}
	proxy_protocol_write(&h, out, len);
}
