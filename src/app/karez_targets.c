/* What nobody has said must not change a record: only options that were given become wishes. */
#include "app/karez_targets.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli_options.h"

static bool karez_said(const struct config *c, const void *member)
{
	return config_source(c, member) > CONFIG_DEFAULT;
}

static struct health_opt karez_targets_health(const struct karez_options *set)
{
	struct health_opt h = {.path = set->health,
			       .interval_ms = (uint32_t)set->health_interval_ms,
			       .rise = (unsigned)set->health_rise,
			       .fall = (unsigned)set->health_fall};

	if (set->health == NULL)
		return (struct health_opt){.kind = HEALTH_NONE};
	h.kind = strcmp(set->health, "tcp") == 0 ? HEALTH_TCP : HEALTH_HTTP;
	return h;
}

/* It has its text in out->wish. */
static void karez_targets_wish(const struct config *c, const struct karez_options *set,
			       struct karez_targets *out)
{
	struct control_wish w = {.bind = set->bind,
				 .domains = (const char *const *)set->domains.v,
				 .n_domains = set->domains.n};

	if (karez_said(c, &set->port)) {
		w.has_port = true;
		w.port = (uint16_t)set->port;
	}
	if (karez_said(c, &set->tls))
		w.tls = tunnel_word_tlses[set->tls];
	if (karez_said(c, &set->proxy))
		w.proxy = tunnel_word_proxies[set->proxy];
	if (karez_said(c, &set->policy))
		w.policy = tunnel_word_policies[set->policy];
	if (karez_said(c, &set->max_sessions))
		w.sessions_max = (unsigned)set->max_sessions;
	if (karez_said(c, &set->drain_ms)) {
		w.has_drain = true;
		w.drain_ms = (uint32_t)set->drain_ms;
	}
	w.host_header = set->host_header;
	for (unsigned what = 0; what < HEADER_EDITS; what++) {
		w.edits[what] = (const char *const *)set->edits[what].v;
		w.n_edits[what] = set->edits[what].n;
	}
	CHECK(control_wish_write(&w, &out->wish) == 0); /* it is the start: memory is there */
	out->tunnel.wish = buf_str(&out->wish);
	out->tunnel.priority = (unsigned)set->priority;
	out->tunnel.proxy = karez_said(c, &set->proxy) ? (unsigned)set->proxy : 0;
}

static void karez_targets_tunnel(const struct config *c, const struct karez_options *set,
				 struct karez_targets *out)
{
	static const enum agent_kind kinds[] = {
		[KAREZ_HTTP] = AGENT_HTTP, [KAREZ_TCP] = AGENT_TCP, [KAREZ_TLS] = AGENT_TLS};
	struct agent_tunnel *t = &out->tunnel;
	struct str text = str_of(set->target);

	t->kind = kinds[karez_options_command(c)];
	t->name = set->name;
	karez_targets_wish(c, set, out);
	t->health = karez_targets_health(set);
	/* its row has checked it */
	CHECK(url_parse_target(text, t->kind == AGENT_HTTP ? URL_HTTP : URL_TCP, &t->target,
			       NULL) == 0);
	out->n_tunnels = 1;
	out->bare = strspn(set->target, "0123456789") == text.len;
	out->tls = url_is_tls(&t->target);
}

static void karez_targets_service(const struct karez_options *set, const char *item,
				  struct agent_service *out, bool *tls)
{
	struct str target = str_of(item), name;
	char text[IDENT_TEXT];

	CHECK(str_next(&target, '=', &name) && str_copy(text, sizeof text, name) == 0);
	CHECK(url_parse_target(target, URL_TCP, &out->target, NULL) == 0);
	out->name = must_strdup(text);
	out->health = karez_targets_health(set);
	*tls = *tls || url_is_tls(&out->target);
}

void karez_targets_read(const struct config *c, const struct karez_options *set,
			struct karez_targets *out)
{
	*out = (struct karez_targets){0};
	if (karez_options_command(c) == KAREZ_UP)
		return; /* its file says */
	if (karez_options_command(c) != KAREZ_SERVE) {
		karez_targets_tunnel(c, set, out);
		return;
	}
	out->n_services = set->services.n;
	out->services = must_calloc(out->n_services, sizeof *out->services);
	for (size_t i = 0; i < out->n_services; i++)
		karez_targets_service(set, set->services.v[i], &out->services[i], &out->tls);
}

void karez_targets_free(struct karez_targets *t)
{
	for (size_t i = 0; i < t->n_services; i++)
		free((char *)(uintptr_t)t->services[i].name);
	free(t->services);
	buf_free(&t->wish);
	*t = (struct karez_targets){0};
}
