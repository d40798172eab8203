/* Sessions of agents that are logged in, and how a new one takes the place of its own ghost. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/core_internal.h"
#include "core/names.h"

static void member_leave_tunnels(struct member *m, const char *event)
{
	while (!list_empty(&m->serving))
		tunnel_leave(CONTAINER_OF(m->serving.next, struct serving, of_member), event);
}

static void member_on_expel(void *arg)
{
	struct member *m = arg;

	m->opt.owner->expelled(m->opt.arg, ERR_REPLACED,
			       "this connection was replaced by a newer one of the same agent");
}

/* It serves nothing from now on; its owner is told at the end of the turn. */
static void member_expel(struct member *m)
{
	char tag[CORE_TAG_TEXT];

	log_info(m->core->opt.log, "event=replaced owner=%s agent=%s carrier=%u session=%llu",
		 core_owner_tag(m->core, m->account, tag), m->opt.agent.id, m->opt.agent.carrier,
		 (unsigned long long)m->number);
	m->expelled = true;
	map_del(&m->core->members, &m->entry);
	member_leave_tunnels(m, "replaced");
	ev_task_run(m->core->ev, &m->expel);
}

int member_join(struct core *c, const struct member_opt *opt, struct member **out)
{
	struct member *m = calloc(1, sizeof *m);
	struct map_entry *old;
	int e = ERR_NOMEM;
	size_t n;

	if (m == NULL)
		goto out;
	m->core = c;
	m->opt = *opt;
	if ((e = str_copy(m->account, sizeof m->account, str_of(opt->account))) != 0)
		goto out;
	m->opt.account = m->account;
	list_init(&m->serving);
	list_init(&m->attaches);
	m->expel = (struct ev_task){.fn = member_on_expel, .arg = m};
	n = str_printf(m->who, sizeof m->who, "%s/%s/%llu/%u", m->account, opt->agent.id,
		       (unsigned long long)opt->agent.epoch, opt->agent.carrier);
	m->entry.key = (struct str){m->who, n};
	if ((old = map_get(&c->members, m->entry.key)) != NULL)
		member_expel(CONTAINER_OF(old, struct member, entry));
	if ((e = map_put(&c->members, &m->entry)) != 0)
		goto out;
	m->number = ++c->member_number;
	c->n_members++;
	MOVE(*out, m);
out:
	free(m);
	return e;
}

void member_leave(struct member *m)
{
	if (m == NULL)
		return;
	attach_cancel_all(m);
	member_leave_tunnels(m, "detach");
	if (!m->expelled)
		map_del(&m->core->members, &m->entry);
	ev_task_cancel(&m->expel);
	m->core->n_members--;
	free(m);
}

int member_attach(struct member *m, struct str name, struct str target,
		  void (*done)(void *arg, const struct core_attached *result), void *arg)
{
	return attach_begin(m, name, target, done, arg);
}

void member_detach(struct member *m, struct str name)
{
	char normal[HOSTNAME_MAX + 1];
	struct serving *s;

	if (hostname_tunnel(name, normal) != 0)
		return;
	if ((s = tunnel_find_serving(m, str_of(normal))) != NULL)
		tunnel_leave(s, "detach");
}

size_t member_n_tunnels(const struct member *m)
{
	return m->n_serving;
}

uint64_t member_number(const struct member *m)
{
	return m->number;
}
