/* The store's fault injection stands between the store's front and the memory behind it. */
#include "unit/core/core_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static struct core_rig *core_rig_of(struct store *s)
{
	return CONTAINER_OF((struct store_ops *)(uintptr_t)s->ops, struct core_rig, ops);
}

static void core_rig_kick(struct store *s)
{
	struct core_rig *r = core_rig_of(s);
	struct list *last = s->queue.prev;
	struct store_req *req = CONTAINER_OF(last, struct store_req, link);
	int verdict = r->judge == NULL ? 0 : r->judge(r, req);

	r->n_asked++;
	if (verdict == 0) {
		r->real->kick(s);
		return;
	}
	list_del(last);
	list_push(&s->running, last);
	req->answer.e = verdict == CORE_RIG_HOLD ? 0 : verdict;
	if (verdict != CORE_RIG_HOLD)
		ev_task_run(s->ev, &r->fail);
}

/* Answer what was judged to fail. */
static void core_rig_on_fail(void *arg)
{
	struct core_rig *r = arg;

	LIST_FOR_EACH_SAFE (link, &r->store->running) {
		struct store_req *req = CONTAINER_OF(link, struct store_req, link);

		if (req->answer.e == 0)
			continue;
		list_del(link);
		list_push(&r->failing, link);
	}
	while (!list_empty(&r->failing))
		store_req_answer(r->store,
				 CONTAINER_OF(list_pop(&r->failing), struct store_req, link));
}

static void core_rig_close_store(struct store *s)
{
	core_rig_of(s)->real->close(s);
}

void core_rig_release(struct core_rig *r)
{
	struct list *link;

	r->judge = NULL;
	while ((link = list_pop(&r->store->running)) != NULL) {
		list_push(&r->store->queue, link);
		r->real->kick(r->store);
	}
	core_rig_run(r);
}

int core_rig_fail_all(struct core_rig *r, const struct store_req *req)
{
	return r->judge_e;
}

int core_rig_hold_all(struct core_rig *r, const struct store_req *req)
{
	return CORE_RIG_HOLD;
}

static void core_rig_on_line(void *arg, enum log_level level, const char *line, size_t len)
{
	struct core_rig *r = arg;

	r->n_lines++;
	str_printf(r->last_line, sizeof r->last_line, "%.*s", (int)len, line);
	assert_null(strstr(r->last_line, "kz_"));
	if (r->secret != NULL)
		assert_null(strstr(r->last_line, r->secret));
}

void core_rig_new(struct core_rig *r, bool allow_registration)
{
	struct store_why why;

	memset(r, 0, sizeof *r);
	assert_int_equal(ev_sim_new(11, &r->ev), 0);
	r->log = (struct log){.level = LOG_DEBUG, .write = core_rig_on_line, .arg = r};
	assert_int_equal(store_open(r->ev, &r->log, "memory:", &r->store, &why), 0);
	r->real = r->store->ops;
	r->ops = (struct store_ops){core_rig_kick, core_rig_close_store, false};
	r->store->ops = &r->ops;
	r->fail = (struct ev_task){.fn = core_rig_on_fail, .arg = r};
	list_init(&r->failing);
	r->opt = (struct core_opt){.log = &r->log,
				   .store = r->store,
				   .domain = "localhost",
				   .api_host = "api.corp.example",
				   .url_scheme = "http",
				   .url_port = 8080,
				   .registration = allow_registration ? CORE_OPEN : CORE_CLOSED};
	assert_int_equal(core_new(r->ev, &r->opt, &r->core), 0);
}

void core_rig_free(struct core_rig *r)
{
	r->judge = NULL;
	core_free(r->core);
	store_close(r->store);
	ev_free(r->ev);
}

void core_rig_run(struct core_rig *r)
{
	ev_sim_run_for(r->ev, 1);
}

/* ---- records ---- */

struct told_record {
	unsigned calls;
	int e;
	char *value;
};

static void core_rig_on_record(void *arg, const struct store_answer *answer)
{
	struct told_record *told = arg;

	told->calls++;
	told->e = answer->e;
	if (answer->e == 0)
		told->value = str_dup(answer->recs[0].value);
}

void core_rig_put(struct core_rig *r, const char *kind, const char *key, const char *value)
{
	struct store_record rec = {.kind = str_of(kind),
				   .key = str_of(key),
				   .value = str_of(value)};
	struct told_record told = {0};

	assert_int_equal(store_put(r->store, &rec, STORE_ANY, core_rig_on_record, &told), 0);
	core_rig_run(r);
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.e, 0);
	free(told.value);
}

char *core_rig_get(struct core_rig *r, const char *kind, const char *key)
{
	struct told_record told = {0};

	assert_int_equal(store_get(r->store, str_of(kind), str_of(key), core_rig_on_record, &told),
			 0);
	core_rig_run(r);
	assert_int_equal(told.calls, 1);
	return told.value;
}

/* ---- asking ---- */

void core_rig_on_login(void *arg, const struct core_login *result)
{
	struct told_login *told = arg;

	told->calls++;
	told->result = *result;
	if (result->e != 0)
		str_printf(told->reason, sizeof told->reason, "%s", result->reason);
}

struct told_login core_rig_login(struct core_rig *r, struct str token)
{
	struct core_proof proof = {token.len > 0 ? CORE_PROOF_BEARER : CORE_PROOF_NONE, token};
	struct told_login told = {0};

	assert_non_null(core_login(r->core, &proof, core_rig_on_login, &told));
	assert_int_equal(told.calls, 0);
	core_rig_run(r);
	assert_int_equal(told.calls, 1);
	if (told.result.e != 0)
		assert_true(strlen(told.reason) > 20);
	return told;
}

void core_rig_account(struct core_rig *r, struct access_who *who)
{
	struct told_login told = core_rig_login(r, STR(""));

	assert_int_equal(told.result.e, 0);
	*who = told.result.who;
}

void core_rig_on_attached(void *arg, const struct core_attached *result)
{
	struct told_attach *told = arg;

	told->calls++;
	told->result = *result;
	str_printf(told->reason, sizeof told->reason, "%s", result->reason);
}

int core_rig_ask(struct fake *f, const char *name, const char *target, struct told_attach *told)
{
	struct core_wish wish = {.name = str_of(name), .target = str_of(target)};

	return member_attach(f->member, &wish, core_rig_on_attached, told);
}

struct told_attach core_rig_attach(struct fake *f, const char *name, const char *target)
{
	struct told_attach told = {0};

	assert_int_equal(core_rig_ask(f, name, target, &told), 0);
	assert_int_equal(told.calls, 0);
	core_rig_run(f->rig);
	assert_int_equal(told.calls, 1);
	assert_true(told.result.e == 0 ? told.reason[0] == '\0' : strlen(told.reason) > 20);
	return told;
}

/* ---- sessions ---- */

static int fake_open(struct session *s, const struct visit *visit, struct wire **out)
{
	struct fake *f = (struct fake *)s;

	if (f->open_e != 0)
		return f->open_e;
	f->n_opened++;
	s->n_streams++;
	memcpy(f->tunnel, visit->tunnel, sizeof f->tunnel);
	memcpy(f->service, visit->service, sizeof f->service);
	*out = NULL;
	return 0;
}

static void fake_ping(struct session *s, uint32_t deadline_ms)
{
	struct fake *f = (struct fake *)s;

	f->n_pinged++;
	f->deadline_ms = deadline_ms;
	if (s->asked_ms == 0)
		s->asked_ms = ev_now_ms(s->ev);
}

static const struct session_ops fake_ops = {.open = fake_open, .ping = fake_ping};

static void fake_on_assigned(void *arg, const char *tunnel, const char *service)
{
	struct fake *f = arg;
	size_t n = strlen(f->assigned);

	f->n_assigned++;
	str_printf(f->assigned + n, sizeof f->assigned - n, "%s=%s ", tunnel, service);
	if (f->leave_when_told)
		fake_leave(f);
}

static void fake_on_detached(void *arg, const char *tunnel, int code, const char *reason,
			     uint64_t drain_ms)
{
	struct fake *f = arg;

	f->n_detached++;
	f->drain_ms = drain_ms;
	f->why = code;
	str_printf(f->detached, sizeof f->detached, "%s", tunnel);
	str_printf(f->reason, sizeof f->reason, "%s", reason);
	if (f->leave_when_told)
		fake_leave(f);
}

static void fake_on_expelled(void *arg, int code, const char *reason)
{
	struct fake *f = arg;

	f->n_expelled++;
	f->why = code;
	str_printf(f->reason, sizeof f->reason, "%s", reason);
	if (f->leave_when_told)
		fake_leave(f);
}

static void fake_on_served(void *arg, const struct visit *visit, const struct core_served *what)
{
	struct fake *f = arg;

	f->n_served++;
	str_printf(f->served, sizeof f->served, "%s %s %s %u %llu %llu", visit->tunnel,
		   what->method != NULL ? what->method : "-", what->path != NULL ? what->path : "-",
		   what->status, (unsigned long long)what->up, (unsigned long long)what->down);
	if (f->leave_when_told)
		fake_leave(f);
}

static const struct member_owner fake_owner = {.assigned = fake_on_assigned,
					       .detached = fake_on_detached,
					       .served = fake_on_served,
					       .expelled = fake_on_expelled};

static void fake_join_as(struct fake *f, struct core_rig *r, const struct member_opt *as)
{
	char reason[CORE_REASON_TEXT];
	struct member_opt opt = *as;

	memset(f, 0, sizeof *f);
	f->rig = r;
	f->session.ops = &fake_ops;
	f->session.ev = r->ev;
	opt.session = &f->session;
	opt.owner = &fake_owner;
	opt.arg = f;
	assert_int_equal(member_join(r->core, &opt, &f->member, reason), 0);
}

void fake_join(struct fake *f, struct core_rig *r, const struct access_who *who,
	       const struct core_agent *agent)
{
	fake_join_as(f, r, &(struct member_opt){.who = who, .agent = *agent});
}

void fake_join_ssh(struct fake *f, struct core_rig *r, const struct access_who *who,
		   const struct core_agent *agent)
{
	fake_join_as(f, r,
		     &(struct member_opt){.who = who, .agent = *agent, .kind = CORE_SESSION_SSH});
}

void fake_leave(struct fake *f)
{
	member_leave(f->member);
	f->member = NULL;
}
