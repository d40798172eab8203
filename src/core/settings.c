/* One allocation holds all, so that the loop can free it later as it frees everything else. */
#include "core/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

int settings_new(const struct record_tunnel *r, uint64_t version, struct tunnel_settings **out)
{
	bool open = rights_is_empty(&r->rights);
	size_t rights_len = open ? 0 : sizeof r->rights, target_len = strlen(r->target) + 1;
	size_t service_len = strlen(r->service) + 1, host_len = strlen(r->host) + 1;
	struct str edits = header_edits_str(&r->edits);
	struct tunnel_settings *s =
		calloc(1, sizeof *s + rights_len + target_len + service_len + host_len + edits.len);

	if (s == NULL)
		return ERR_NOMEM;
	s->refs = 1;
	s->kind = r->kind;
	s->tls = r->tls;
	s->proxy = r->proxy;
	s->rewrite = r->rewrite;
	s->drain_ms = r->drain_ms;
	s->version = version;
	if (!open)
		s->rights = memcpy(s + 1, &r->rights, rights_len);
	s->target = memcpy((char *)(s + 1) + rights_len, r->target, target_len);
	s->service = memcpy(s->target + target_len, r->service, service_len);
	s->host = memcpy(s->service + service_len, r->host, host_len);
	s->edits = (struct str){memcpy(s->host + host_len, edits.p, edits.len), edits.len};
	*out = s;
	return 0;
}

struct tunnel_settings *settings_ref(const struct tunnel_settings *s)
{
	struct tunnel_settings *shared = (struct tunnel_settings *)(uintptr_t)s;

	shared->refs++;
	return shared;
}

void settings_unref(struct ev *ev, struct tunnel_settings *s)
{
	if (s != NULL && --s->refs == 0)
		ev_free_later(ev, s);
}
