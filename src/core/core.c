/*
 * The life of the core, and the questions that wait for the store.
 *
 * Every question is a struct core_call: counted, bounded by its kind, answered from the loop, and
 * found here when the core goes.
 */
#include "core/core.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/ask.h"
#include "core/peer_internal.h"
#include "core/place.h"

_Static_assert(CORE_LOGINS_MAX + CORE_ATTACHES_MAX + CORE_LOOKUPS_MAX + CORE_MANAGES_MAX +
			       CORE_REFRESHES_MAX + CORE_PLACES_MAX + CORE_DROPS_MAX + 1 <
		       STORE_PENDING_MAX,
	       "more questions than the store takes");

/* As many as fit above 32 bits for those of one node, and below 2^53; 0 is for one that is alone.
 */
#define CORE_NUMBER_STARTS ((1u << 21) - 1)

/* ---- life ---- */

static void core_map_init(struct core *c, struct map *m)
{
	uint8_t seed[16];

	ev_random(c->ev, seed, sizeof seed);
	map_init(m, seed);
}

/*
 * Numbers of sessions begin here: with one node at 1; with others somewhere below 2^53, which every
 * reader of JSON keeps exact, so that none has what another one has.
 */
static uint64_t core_first_number(struct core *c)
{
	uint32_t drawn;

	if (c->opt.cluster.self == NULL)
		return 0;
	ev_random(c->ev, &drawn, sizeof drawn);
	return (uint64_t)(drawn % CORE_NUMBER_STARTS + 1) << 32;
}

int core_new(struct ev *ev, const struct core_opt *opt, struct core **out)
{
	struct core *c = calloc(1, sizeof *c);
	int e;

	if (c == NULL)
		return ERR_NOMEM;
	c->ev = ev;
	c->opt = *opt;
	core_map_init(c, &c->tunnels);
	core_map_init(c, &c->hosts);
	core_map_init(c, &c->members);
	core_map_init(c, &c->grants);
	core_map_init(c, &c->owners);
	core_map_init(c, &c->ports);
	core_map_init(c, &c->snis);
	core_map_init(c, &c->agents);
	map_init(&c->remotes, (const uint8_t *)c->tunnels.seed); /* the same names */
	/* the same, and one moment for both: a tunnel that comes or goes is not passed over */
	map_init(&c->places, (const uint8_t *)c->tunnels.seed);
	ev_random(ev, c->loop_key, sizeof c->loop_key);
	ev_random(ev, c->secret.key, sizeof c->secret.key);
	c->member_number = core_first_number(c);
	list_init(&c->visitors);
	list_init(&c->calls);
	list_init(&c->asks);
	list_init(&c->gone_agents);
	list_init(&c->peers);
	peer_tell_init(c);
	quota_init(c);
	tunnel_init(c);
	c->register_left = CORE_REGISTER_BURST;
	c->register_ms = ev_now_ms(ev);
	if ((e = refresh_new(c, &c->refresh)) == 0 && (e = news_new(c, &c->news)) == 0 &&
	    (e = temporary_new(c, &c->temporaries)) == 0 && (e = places_new(c)) == 0)
		MOVE(*out, c);
	if (c != NULL) {
		temporary_free(c->temporaries);
		news_free(c->news);
		refresh_free(c->refresh);
	}
	free(c);
	return e;
}

void core_free(struct core *c)
{
	if (c == NULL)
		return;
	CHECK(c->n_members == 0 && c->n_peers == 0);
	temporary_free(c->temporaries);
	c->temporaries = NULL;
	while (!list_empty(&c->calls)) {
		struct core_call *call = CONTAINER_OF(c->calls.next, struct core_call, link);

		call->closed(call);
	}
	ask_free_all(c);
	CHECK(c->tunnels.n == 0 && c->hosts.n == 0 && c->members.n == 0);
	CHECK(c->grants.n == 0 && c->owners.n == 0 && c->remotes.n == 0);
	ev_timer_stop(c->ev, &c->unserved_timer);
	peer_tell_end(c);
	quota_end(c);
	place_free_all(c);
	seen_free_all(c);
	CHECK(c->ports.n == 0);
	news_free(c->news);
	refresh_free(c->refresh);
	map_free(&c->tunnels);
	map_free(&c->hosts);
	map_free(&c->members);
	map_free(&c->grants);
	map_free(&c->owners);
	map_free(&c->places);
	map_free(&c->ports);
	map_free(&c->snis);
	map_free(&c->agents);
	map_free(&c->remotes);
	explicit_bzero(&c->secret, sizeof c->secret);
	free(c);
}

void core_drain_begin(struct core *c)
{
	c->draining = true;
}

/* ---- records ---- */

void core_on_record(struct core *c, const struct store_record *rec)
{
	if (str_eq(rec->kind, RECORD_ACCOUNT)) {
		grant_on_account(c, rec);
	} else if (str_eq(rec->kind, RECORD_CREDENTIAL)) {
		grant_on_credential(c, rec);
	} else if (str_eq(rec->kind, RECORD_TUNNEL)) {
		tunnel_on_record(c, rec);
		place_on_record(c, rec);
	}
}

/* ---- questions ---- */

int core_call_begin(struct core *c, struct core_call *call, enum core_call_kind kind,
		    void (*start)(void *call))
{
	static const size_t max[CORE_CALL_KINDS] = {
		[CORE_LOGIN] = CORE_LOGINS_MAX,	     [CORE_ATTACH] = CORE_ATTACHES_MAX,
		[CORE_LOOKUP] = CORE_LOOKUPS_MAX,    [CORE_MANAGE] = CORE_MANAGES_MAX,
		[CORE_REFRESH] = CORE_REFRESHES_MAX, [CORE_PLACE] = CORE_PLACES_MAX,
		[CORE_DROP] = CORE_DROPS_MAX,	     [CORE_NEWS] = 1,
	};

	if (c->n_calls[kind] >= max[kind])
		return ERR_LIMIT;
	c->n_calls[kind]++;
	call->core = c;
	call->kind = kind;
	call->task = (struct ev_task){.fn = start, .arg = call};
	list_push(&c->calls, &call->link);
	ev_task_run(c->ev, &call->task);
	return 0;
}

void core_call_end(struct core_call *call)
{
	struct core *c = call->core;

	c->n_calls[call->kind]--;
	list_del(&call->link);
	ev_task_cancel(&call->task);
	if (call->asked)
		store_forget(c->opt.store, call);
	call->asked = false;
}

static void core_on_answer(void *arg, const struct store_answer *answer)
{
	struct core_call *call = arg;

	call->asked = false;
	call->step(call, answer);
}

static int core_call_asked(struct core_call *call, core_step_fn step, int e)
{
	call->step = step;
	call->asked = e == 0;
	return core_store_err(e);
}

int core_call_get(struct core_call *call, struct str kind, struct str key, core_step_fn step)
{
	int e = store_get(call->core->opt.store, kind, key, core_on_answer, call);

	return core_call_asked(call, step, e);
}

int core_call_list(struct core_call *call, const struct store_page *page, core_step_fn step)
{
	int e = store_list(call->core->opt.store, *page, core_on_answer, call);

	return core_call_asked(call, step, e);
}

int core_call_changes(struct core_call *call, uint64_t after, core_step_fn step)
{
	int e = store_changes(call->core->opt.store, after, core_on_answer, call);

	return e == ERR_UNSUPPORTED ? e : core_call_asked(call, step, e);
}

int core_call_batch(struct core_call *call, const struct store_write *writes, size_t n,
		    core_step_fn step)
{
	int e = store_batch(call->core->opt.store, writes, n, core_on_answer, call);

	return core_call_asked(call, step, e);
}

/* ---- what a store's errors mean to somebody else ---- */

int core_store_err(int e)
{
	switch (e) {
	case 0:
	case ERR_NOMEM:
	case ERR_LIMIT:
	case ERR_FULL:
	case ERR_TIMEOUT:
	case ERR_CLOSED: return e;
	default: return ERR_IO; /* ERR_DENIED would end an agent's trying */
	}
}

void core_store_reason(int e, char reason[CORE_REASON_TEXT])
{
	if (e == ERR_LIMIT)
		str_printf(reason, CORE_REASON_TEXT,
			   "the server has too much to do at the moment; try again in a while");
	else if (e == ERR_CLOSED)
		str_printf(reason, CORE_REASON_TEXT, "the server is shutting down; try again");
	else
		str_printf(reason, CORE_REASON_TEXT,
			   "the server cannot use its records (%s); try again later, and if it "
			   "stays so, its operator finds more in its log",
			   err_text(e));
}
