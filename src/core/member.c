/* Sessions of agents that are logged in, and how a new one takes the place of its own ghost. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"
#include "core/place.h"

static void member_leave_tunnels(struct member *m, const char *event)
{
	while (!list_empty(&m->serving))
		tunnel_leave(CONTAINER_OF(m->serving.next, struct serving, of_member), event);
}

static void member_on_expel(void *arg)
{
	struct member *m = arg;
	char reason[CORE_REASON_TEXT]; /* its owner may let it leave and then tell the agent why */

	memcpy(reason, m->reason, sizeof reason);
	m->opt.owner->expelled(m->opt.arg, m->why, reason);
}

void member_expel(struct member *m, int why, const char *reason)
{
	const char *event = why == ERR_REPLACED ? "replaced" : "expelled";
	const struct access_who *who = &m->grant->who;

	if (m->expelled)
		return;
	log_info(m->core->opt.log,
		 "event=%s why=%s account=%s credential=%s agent=%s carrier=%u session=%llu", event,
		 err_name(why), who->account, who->credential, m->opt.agent.id,
		 m->opt.agent.carrier, (unsigned long long)m->number);
	m->expelled = true;
	m->why = why;
	str_printf(m->reason, sizeof m->reason, "%s", reason);
	map_del(&m->core->members, &m->entry);
	m->grant->owner->n_members--;
	quota_changed(m->grant->owner);
	member_leave_tunnels(m, event);
	ev_task_run(m->core->ev, &m->expel);
}

static void member_on_assign(void *arg)
{
	place_assign(arg);
}

static void member_replace(struct core *c, struct str who)
{
	struct map_entry *old = map_get(&c->members, who);

	if (old != NULL)
		member_expel(CONTAINER_OF(old, struct member, entry), ERR_REPLACED,
			     "this connection was replaced by a newer one of the same agent");
}

int member_join(struct core *c, const struct member_opt *opt, struct member **out,
		char reason[CORE_REASON_TEXT])
{
	struct member *m = calloc(1, sizeof *m);
	size_t n;
	int e;

	if (m == NULL) {
		core_store_reason(ERR_NOMEM, reason);
		return ERR_NOMEM;
	}
	m->core = c;
	m->opt = *opt;
	list_init(&m->serving);
	list_init(&m->attaches);
	m->expel = (struct ev_task){.fn = member_on_expel, .arg = m};
	m->assign = (struct ev_task){.fn = member_on_assign, .arg = m};
	n = str_printf(m->who, sizeof m->who, "%s/%s/%llu/%u", opt->who->account, opt->agent.id,
		       (unsigned long long)opt->agent.epoch, opt->agent.carrier);
	m->entry.key = (struct str){m->who, n};
	m->agent_number = node_entry_agent_id(opt->who->account, opt->agent.id);
	member_replace(c, m->entry.key); /* first: it may be the one too many */
	if ((e = grant_join(m, opt->who, reason)) != 0)
		goto out;
	m->opt.who = &m->grant->who;
	if ((e = map_put(&c->members, &m->entry)) != 0) {
		core_store_reason(e, reason);
		goto out;
	}
	c->n_watching += m->opt.watch;
	m->number = ++c->member_number;
	m->since_ms = ev_wall_ms(c->ev);
	c->n_members++;
	seen_join(m);
	MOVE(*out, m);
out:
	if (m != NULL)
		grant_leave(m);
	free(m);
	return e;
}

void member_leave(struct member *m)
{
	if (m == NULL)
		return;
	attach_cancel_all(m);
	offer_end(m);
	member_leave_tunnels(m, "detach");
	if (!m->expelled)
		map_del(&m->core->members, &m->entry);
	ev_task_cancel(&m->expel);
	seen_leave(m);
	grant_leave(m);
	m->core->n_watching -= m->opt.watch;
	m->core->n_members--;
	free(m);
}

void member_watch(struct member *m, bool watch)
{
	m->core->n_watching += (size_t)watch - (size_t)m->opt.watch;
	m->opt.watch = watch;
}

const char *core_session_kind_name(enum core_session_kind kind)
{
	static const char *const names[CORE_SESSION_KINDS] = {"mux", "ssh"};

	return kind < CORE_SESSION_KINDS ? names[kind] : NULL;
}

/*
 * A session that nobody has heard of for a while and that is in somebody's way: it shows soon that
 * it lives, or dies. A stock client has no name of its own, so its ghost cannot be told from it.
 */
#define MEMBER_PING_MS 2000

void member_rouse(struct member *m)
{
	struct session *s = m->opt.session;

	if (ev_now_ms(s->ev) - s->heard_ms > SESSION_QUIET_MS)
		session_ping(s, MEMBER_PING_MS);
}

bool member_is_ghost(const struct member *m)
{
	return m->opt.kind == CORE_SESSION_SSH && !m->expelled && session_is_late(m->opt.session);
}

int member_attach(struct member *m, const struct core_wish *wish,
		  void (*done)(void *arg, const struct core_attached *result), void *arg)
{
	return attach_begin(m, wish, done, arg);
}

/* name: any case. NULL: it does not serve such a tunnel. */
static struct serving *member_find_serving(struct member *m, struct str name)
{
	char normal[HOSTNAME_MAX + 1];

	return hostname_tunnel(name, normal) != 0 ? NULL : tunnel_find_serving(m, str_of(normal));
}

int member_offer(struct member *m, const struct str *services, size_t n, unsigned priority)
{
	return offer_set(m, services, n, priority);
}

void member_detach(struct member *m, struct str name)
{
	struct serving *s = member_find_serving(m, name);

	if (s != NULL)
		tunnel_leave(s, "detach");
}

void member_set_health(struct member *m, struct str name, bool up)
{
	struct serving *s = member_find_serving(m, name);

	if (s != NULL)
		tunnel_set_health(s, up);
}

size_t member_n_tunnels(const struct member *m)
{
	return m->n_serving;
}

bool member_is_needed(const struct member *m)
{
	LIST_FOR_EACH (link, &m->serving) {
		const struct serving *s = CONTAINER_OF(link, struct serving, of_member);

		if (!peer_is_good(m->core, s->tunnel->entry.key))
			return true;
	}
	return false;
}

uint64_t member_number(const struct member *m)
{
	return m->number;
}
