/*
 * Many services come online at once, so they are counted a moment after the news. Whoever waits for
 * us at the start, as a machine that boots, waits for the first of them, but for no server that is
 * not there.
 */
#include "app/karez_up_inside.h"

#include "base/err.h"

/* So long after news the services are counted, in milliseconds. */
#define KAREZ_UP_NEWS_MS 50

/* So long we are waited for at most, in milliseconds. */
#define KAREZ_UP_PATIENCE_MS 10000

/* How many there are of a kind. */
struct karez_up_count {
	size_t online, refused;
};

static void karez_up_count(const struct karez_up *u, struct karez_up_count *out)
{
	struct agent_look look;

	*out = (struct karez_up_count){0};
	for (size_t i = 0; i < u->now.n; i++) {
		karez_up_look(u, i, &look);
		if (look.online)
			out->online++;
		else if (look.over || look.code != 0)
			out->refused++;
	}
}

static void karez_up_say_status(struct karez_up *u, const struct karez_up_count *c,
				const struct agent_state *s)
{
	const char *wrong = u->wrong != NULL ? "; the services file is wrong" : "";

	if (s->offline)
		notify_status(&u->notify, "0 of %zu services online: %s%s", u->now.n,
			      s->reason[0] != '\0' ? s->reason : err_text(s->e), wrong);
	else if (c->refused > 0)
		notify_status(&u->notify, "%zu of %zu services online, %zu refused%s", c->online,
			      u->now.n, c->refused, wrong);
	else
		notify_status(&u->notify, "%zu of %zu services online%s", c->online, u->now.n,
			      wrong);
}

static void karez_up_on_count(void *arg)
{
	struct karez_up *u = arg;
	struct agent_state s = {0};
	struct karez_up_count c;

	if (u->agent == NULL || u->stopping)
		return;
	karez_up_count(u, &c);
	agent_state(u->agent, &s);
	karez_up_say_status(u, &c, &s);
	if (!u->notify.ready && (c.online > 0 || s.offline || c.refused == u->now.n))
		notify_ready(&u->notify);
}

static void karez_up_on_patience(void *arg)
{
	struct karez_up *u = arg;

	if (!u->notify.ready && !u->stopping)
		notify_ready(&u->notify);
}

void karez_up_notify_begin(struct karez_up *u)
{
	notify_begin_here(&u->notify, u->ev);
	u->news = (struct ev_timer){.fn = karez_up_on_count, .arg = u};
	u->patience = (struct ev_timer){.fn = karez_up_on_patience, .arg = u};
	ev_timer_set(u->ev, &u->patience, KAREZ_UP_PATIENCE_MS);
	karez_up_news(u);
}

void karez_up_news(struct karez_up *u)
{
	if (u->notify.socket != NULL && !ev_timer_is_set(&u->news))
		ev_timer_set(u->ev, &u->news, KAREZ_UP_NEWS_MS);
}

void karez_up_stopping(struct karez_up *u)
{
	if (!u->stopping)
		notify_stopping(&u->notify, AGENT_STOP_MS);
	u->stopping = true;
}

void karez_up_notify_end(struct karez_up *u)
{
	ev_timer_stop(u->ev, &u->news);
	ev_timer_stop(u->ev, &u->patience);
	notify_end(&u->notify);
}
