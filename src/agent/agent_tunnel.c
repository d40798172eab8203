/*
 * The tunnels that a person has asked for: each session attaches all of them, and what the server
 * answers decides whether they go on.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/agent_internal.h"
#include "base/err.h"

/* Bytes of a hint about a target that a server takes. */
#define AGENT_HINT_MAX 255

static const char *const agent_tunnel_kinds[] = {
	[AGENT_HTTP] = "http",
	[AGENT_TCP] = "tcp",
	[AGENT_TLS] = "tls",
};

/* ---- memory ---- */

static void agent_tunnel_remember(struct agent *a, const struct agent_place *p)
{
	char known[HOSTNAME_MAX + 1];

	if (a->opt.memory == NULL)
		return;
	memory_name(a->opt.memory, a->server, p->key, known);
	if (strcmp(known, p->name) != 0 &&
	    memory_set_name(a->opt.memory, a->server, p->key, p->name) != 0)
		log_warn(a->opt.log, "event=not-remembered reason=\"%s\"",
			 memory_why(a->opt.memory));
}

/* ---- attaching ---- */

static int agent_tunnel_attach(struct agent *a, struct uplink *u, size_t i)
{
	struct agent_place *p = &a->places[i];
	struct control_attach attach = {.ref = i + 1,
					.kind = str_of(agent_tunnel_kinds[p->kind]),
					.name = str_of(p->name),
					.target = str_of(p->text),
					.wish = &p->wish,
					.again = p->url[0] != '\0'};
	struct buf line = {0};
	int e;

	attach.target.len = MIN(attach.target.len, AGENT_HINT_MAX);
	if ((e = control_attach(&attach, &line)) == 0)
		e = uplink_tell(u, buf_str(&line));
	buf_free(&line);
	return e;
}

int agent_tunnel_attach_all(struct agent *a, struct uplink *u)
{
	int e = 0;

	for (size_t i = 0; i < a->opt.n_tunnels && e == 0; i++)
		if (!a->places[i].over)
			e = agent_tunnel_attach(a, u, i);
	return e;
}

void agent_tunnel_detach_all(struct agent *a, struct uplink *u)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		struct buf line = {0};

		/* If it cannot be told, closing the session tells it. */
		if (a->places[i].attached & agent_bit(u) &&
		    control_detach(str_of(a->places[i].name), &line) == 0)
			(void)!uplink_tell(u, buf_str(&line));
		buf_free(&line);
	}
}

bool agent_tunnel_awaits(const struct agent *a, const struct uplink *u)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++)
		if (!a->places[i].over && !(a->places[i].attached & agent_bit(u)))
			return true;
	return false;
}

bool agent_tunnel_all_known(const struct agent *a)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++)
		if (a->places[i].url[0] == '\0' && !a->places[i].over)
			return false;
	return true;
}

void agent_tunnel_down(struct agent *a, const struct uplink *u)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++)
		a->places[i].attached &= ~agent_bit(u);
}

/* ---- what the server answers ---- */

/* This tunnel is not to be had. word: code, reason and drain_ms count. */
static void agent_tunnel_lose(struct agent *a, size_t i, const struct control_line *word)
{
	bool any = a->opt.n_services > 0;

	a->places[i].over = true;
	a->places[i].drains = word->drain_ms > 0;
	a->places[i].attached = 0;
	health_free(a->places[i].health);
	a->places[i].health = NULL;
	for (size_t k = 0; k < a->opt.n_tunnels; k++)
		any = any || !a->places[k].over;
	if (!any) {
		agent_leave(a, word);
		return;
	}
	a->opt.events->lost(a->opt.arg, i, word->code, word->reason);
	agent_start_others(a); /* it may have been the last one they waited for */
}

static void agent_tunnel_on_attached(struct agent *a, struct uplink *u,
				     const struct control_line *line)
{
	struct agent_place *p = &a->places[line->ref - 1];
	struct agent_online o = {.tunnel = line->ref - 1,
				 .name = p->name,
				 .url = p->url,
				 .target = &p->target.to,
				 .again = strcmp(p->url, line->urls[0]) == 0,
				 .urls = line->urls,
				 .n_urls = line->n_urls};
	bool was_online = p->attached != 0;

	if (was_online && strcmp(p->name, line->name) != 0) { /* the others serve another one */
		agent_fail(a, u,
			   &(struct uplink_failure){.e = ERR_PROTO,
						    .was_up = true,
						    .reason = "it gave us another name"});
		return;
	}
	p->attached |= agent_bit(u);
	a->renewed = false;
	str_printf(p->name, sizeof p->name, "%s", line->name);
	str_printf(p->url, sizeof p->url, "%s", line->urls[0]);
	agent_tunnel_remember(a, p);
	if (!health_is_up(p->health))
		agent_tell_health(a, agent_bit(u), p->name, false);
	if (!was_online)
		a->opt.events->online(a->opt.arg, &o);
	agent_start_others(a);
}

static void agent_tunnel_on_refused(struct agent *a, struct uplink *u,
				    const struct control_line *line)
{
	struct agent_place *p = &a->places[line->ref - 1];
	bool name_taken =
		line->code == ERR_EXISTS || line->code == ERR_RESERVED || line->code == ERR_INVAL;
	struct uplink_failure f = {.e = line->code,
				   .spoken = true,
				   .was_up = true,
				   .reason = line->reason};

	if (name_taken && !p->asked && p->name[0] != '\0' && p->attached == 0) {
		/* The old one is somebody else's now: any will do, and is then remembered. */
		p->name[0] = '\0';
		if ((f.e = agent_tunnel_attach(a, u, line->ref - 1)) == 0)
			return;
	} else if (control_is_final(line->code)) {
		agent_tunnel_lose(a, line->ref - 1, line);
		return;
	}
	agent_fail(a, u, &f);
}

void agent_tunnel_on_answer(struct agent *a, struct uplink *u, const struct control_line *line)
{
	if (line->ref == 0 || line->ref > a->opt.n_tunnels || a->places[line->ref - 1].over)
		return;
	if (line->op == CONTROL_ATTACHED)
		agent_tunnel_on_attached(a, u, line);
	else
		agent_tunnel_on_refused(a, u, line);
}

bool agent_tunnel_on_detached(struct agent *a, struct uplink *u, const struct control_line *line)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		struct agent_place *p = &a->places[i];

		if (p->over || strcmp(p->name, line->name) != 0)
			continue;
		if (!control_is_final(line->code))
			agent_fail(a, u,
				   &(struct uplink_failure){.e = line->code,
							    .spoken = true,
							    .was_up = true,
							    .reason = line->reason});
		else
			agent_tunnel_lose(a, i, line);
		return true;
	}
	return false;
}

/* ---- visitors ---- */

/* A door for HTTP leads to tunnels for HTTP only, and no other door does. */
static bool agent_tunnel_takes(const struct agent_place *p, enum visit_ingress in)
{
	switch (in) {
	case VISIT_HTTP: return p->kind == AGENT_HTTP;
	case VISIT_TCP: return p->kind != AGENT_HTTP; /* also what was inside TLS */
	case VISIT_SNI: return p->kind == AGENT_TLS;
	case VISIT_UDP: break;
	}
	return false;
}

struct target *agent_tunnel_find(struct agent *a, const struct visit *visit)
{
	for (size_t i = 0; i < a->opt.n_tunnels; i++) {
		struct agent_place *p = &a->places[i];

		if ((!p->over || p->drains) && p->name[0] != '\0' &&
		    agent_tunnel_takes(p, visit->ingress) && strcmp(p->name, visit->tunnel) == 0)
			return &p->target;
	}
	return NULL;
}

/* ---- health ---- */

static void agent_tunnel_on_health(void *arg, bool up, const char *why)
{
	struct agent_place *p = arg;

	agent_tell_health(p->agent, p->attached, p->name, up);
	agent_on_health(p->agent, &p->target.to, up, why);
}

static int agent_tunnel_check(struct agent *a, struct agent_place *p, const struct health_opt *opt)
{
	struct health_owner owner = {.net = a->opt.net,
				     .to = &p->target.to,
				     .changed = agent_tunnel_on_health,
				     .arg = p};

	if (opt->kind == HEALTH_NONE)
		return 0;
	if (p->wish.proxy != NULL)
		owner.proxy = strcmp(p->wish.proxy, "v1") == 0	 ? 1
			      : strcmp(p->wish.proxy, "v2") == 0 ? 2
								 : 0;
	return health_new(a->ev, opt, &owner, &p->health);
}

/* ---- life ---- */

static int agent_tunnel_make(struct agent *a, const struct agent_tunnel *t, struct agent_place *p)
{
	*p = (struct agent_place){.agent = a,
				  .kind = t->kind,
				  .wish = t->wish,
				  .asked = t->name != NULL,
				  .target = {.to = t->target}};
	url_format(&t->target, p->text);
	if (t->kind == AGENT_HTTP)
		str_printf(p->key, sizeof p->key, "%s", p->text);
	else
		str_printf(p->key, sizeof p->key, "%s %s", agent_tunnel_kinds[t->kind], p->text);
	if (p->asked && hostname_tunnel(str_of(t->name), p->name) != 0)
		return ERR_INVAL;
	if (!p->asked && a->opt.memory != NULL)
		memory_name(a->opt.memory, a->server, p->key, p->name);
	return agent_tunnel_check(a, p, &t->health);
}

int agent_tunnel_make_all(struct agent *a)
{
	size_t n = a->opt.n_tunnels;
	int e = 0;

	if (n == 0)
		return 0;
	if ((a->places = calloc(n, sizeof *a->places)) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n && e == 0; i++)
		e = agent_tunnel_make(a, &a->opt.tunnels[i], &a->places[i]);
	a->opt.tunnels = NULL; /* copied */
	return e;
}

void agent_tunnel_free_all(struct agent *a)
{
	for (size_t i = 0; a->places != NULL && i < a->opt.n_tunnels; i++) {
		health_free(a->places[i].health);
		a->places[i].health = NULL;
	}
}
