/*
 * Requests, in order, over a connection that comes and goes.
 *
 * A ring holds every call that is not answered yet: [first, next) were sent, [next, end) were not.
 * Redis replies in order, so answers need no search; when the connection breaks, `next` goes back
 * and what may be sent again is: reads always, writes only when Redis said that it did nothing.
 */
#include "store/store_redis.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/store_redis_link.h"
#include "store/store_redis_redo.h"
#include "store/store_redis_script.h"

/* Pages that may be under way: their answers wait in Redis' memory, a MiB each. */
#define LISTS_MAX 16

/* For replicas to have a write (wait=N): shorter than a reply may take. */
#define WAIT_MS	     1000
#define WAIT_MS_TEXT "1000"

/* Between two questions to the Sentinels while writes do not reach replicas. */
#define SEEK_MS 5000

enum call_state {
	CALL_WAITING,  /* to be sent */
	CALL_SENT,     /* no reply yet */
	CALL_AGAIN,    /* replied to, but to be sent again */
	CALL_UNPROVEN, /* a write that was done; WAIT has not told of the replicas */
	CALL_DONE,     /* its answer is decided */
};

struct call {
	struct store_req *req; /* in store.queue, or when sent in store.running */
	uint64_t asked_ms;
	enum call_state state;
	bool by_link; /* the answer tells of the connection, which has been logged */
};

struct store_redis {
	struct store store; /* first: the two are the same pointer */
	struct store_redis_url url;
	struct store_redis_link *link; /* owned */
	struct buf out;		       /* a command being made */
	struct call ring[STORE_PENDING_MAX];
	size_t first, next, end;     /* they only grow: a call's place is i % STORE_PENDING_MAX */
	size_t n_lists;		     /* pages that were sent and have no reply */
	enum store_redis_fault redo; /* send nothing until all replies are here; then see to this */
	bool unproven;		     /* a write was sent, and no WAIT behind it */
	bool broken;		     /* said in the log */
	bool told_evicts;
	uint64_t down_ms; /* when it broke; while it is not up */
	bool long_down;	  /* for longer than anybody waits */
	char wait_tag;	  /* its address marks the replies to WAIT */

	char run_id[STORE_REDIS_RUN_ID + 1]; /* of the Redis that has what was answered; "": none */
	struct store_redis_redo lately;	     /* what another one may lack */
	size_t n_redoing, n_remade, n_taken; /* batches sent to it; and what became of them */
	char redo_tag;
	uint64_t sought_ms; /* when the Sentinels were asked last; 0: never */
	struct ev_timer patience;
	struct ev_task task;
};

static struct call *redis_call(struct store_redis *r, size_t i)
{
	return &r->ring[i % STORE_PENDING_MAX];
}

/* ---- answers ---- */

/* The write is answered with 0. */
static void redis_wrote(struct store_redis *r, struct call *call)
{
	store_redis_redo_keep(&r->lately, call->req, ev_now_ms(r->store.ev));
}

static void call_done(struct call *call, int e, bool by_link)
{
	if (e != 0)
		call->req->answer = (struct store_answer){.e = e};
	call->state = CALL_DONE;
	call->by_link = by_link;
}

/* Answer from the front what is decided; a callback may ask for more or close the store. */
static void redis_settle(struct store_redis *r)
{
	struct store *s = &r->store;

	while (!s->closed && r->first != r->end) {
		struct call *call = redis_call(r, r->first);
		struct store_req *req = call->req;
		bool was_failing = s->failing;

		if (call->state != CALL_DONE)
			return;
		list_del(&req->link);
		if (r->next == r->first)
			r->next++;
		r->first++;
		if (!call->by_link) {
			store_req_answer(s, req);
			continue;
		}
		s->failing = true; /* said already */
		store_req_answer(s, req);
		s->failing = was_failing;
	}
}

/* While Redis is away: answer what has waited long enough. */
static void redis_expire(struct store_redis *r)
{
	uint64_t now = ev_now_ms(r->store.ev);

	if (store_redis_link_is_up(r->link))
		return;
	r->long_down = r->long_down || now - r->down_ms >= STORE_REDIS_PATIENCE_MS;
	for (size_t i = r->next; i != r->end; i++) {
		struct call *call = redis_call(r, i);

		if (call->state == CALL_DONE)
			continue;
		if (!r->long_down && now - call->asked_ms < STORE_REDIS_PATIENCE_MS) {
			uint64_t at = MIN(call->asked_ms, r->down_ms) + STORE_REDIS_PATIENCE_MS;

			ev_timer_set(r->store.ev, &r->patience, at - now);
			break;
		}
		call_done(call, ERR_TIMEOUT, true);
	}
	redis_settle(r);
}

/* ---- sending ---- */

static int redis_send(struct store_redis *r, void *tag)
{
	int e = store_redis_link_send(r->link, buf_str(&r->out), tag);

	buf_free(&r->out);
	return e;
}

static int redis_send_words(struct store_redis *r, const struct str *words, size_t n, void *tag)
{
	int e = store_redis_resp_words(&r->out, words, n);

	if (e == 0)
		return redis_send(r, tag);
	buf_free(&r->out);
	return e;
}

/* Returns false when this one has to wait. */
static bool redis_send_call(struct store_redis *r, struct call *call)
{
	struct store_req *req = call->req;
	int e;

	if (req->verb == STORE_LIST && r->n_lists == LISTS_MAX)
		return false;
	e = store_redis_resp_request(&r->out, req, store_redis_link_peer(r->link),
				     ev_wall_ms(r->store.ev));
	if (e == 0) {
		if ((e = redis_send(r, call)) != 0)
			return false; /* it is breaking */
		call->state = CALL_SENT;
		r->n_lists += req->verb == STORE_LIST;
		r->unproven |= req->verb == STORE_WRITE;
	} else {
		buf_free(&r->out);
		call_done(call, e, false);
	}
	return true;
}

/* Ask how many replicas have all writes so far. */
static void redis_send_wait(struct store_redis *r)
{
	char n[16];
	struct str words[] = {STR("WAIT"), {n, 0}, STR(WAIT_MS_TEXT)};

	words[1].len = str_printf(n, sizeof n, "%u", r->url.wait);
	if (!r->unproven || r->url.wait == 0)
		return;
	r->unproven = false;
	if (redis_send_words(r, words, ARRAY_LEN(words), &r->wait_tag) != 0)
		store_redis_link_reopen(r->link, "out of memory");
}

static void redis_pump(struct store_redis *r)
{
	bool more = true;

	while (more && r->next != r->end && r->redo == STORE_REDIS_FINE) {
		while (more && r->next != r->end && store_redis_link_has_room(r->link)) {
			struct call *call = redis_call(r, r->next);

			if (call->state == CALL_WAITING && !redis_send_call(r, call)) {
				more = false;
				break;
			}
			list_del(&call->req->link);
			list_push(&r->store.running, &call->req->link);
			r->next++;
		}
		redis_send_wait(r);
		store_redis_link_flush(r->link);
		more = more && store_redis_link_has_room(r->link);
	}
	redis_settle(r);
}

static void redis_on_task(void *arg)
{
	struct store_redis *r = arg;

	if (r->store.closed)
		return;
	if (store_redis_link_is_up(r->link))
		redis_pump(r);
	else
		redis_expire(r);
}

static void redis_kick(struct store *s)
{
	struct store_redis *r = (struct store_redis *)s;

	CHECK(r->end - r->first < STORE_PENDING_MAX);
	*redis_call(r, r->end++) = (struct call){
		.req = CONTAINER_OF(s->queue.prev, struct store_req, link),
		.asked_ms = ev_now_ms(s->ev),
	};
	ev_task_run(s->ev, &r->task);
}

/* ---- replies ---- */

/* What was sent and has no answer becomes unsent; callers have judged what may be. */
static void redis_rewind(struct store_redis *r)
{
	struct list queue;

	list_init(&queue);
	list_splice(&queue, &r->store.running);
	list_splice(&queue, &r->store.queue);
	list_splice(&r->store.queue, &queue);
	r->next = r->first;
	r->n_lists = 0;
	r->unproven = false;
	r->redo = STORE_REDIS_FINE;
	ev_task_run(r->store.ev, &r->task);
}

/* All replies are here, and some say that nothing was done: have that put right and ask again. */
static void redis_redo(struct store_redis *r)
{
	static const char *const scripts[] = {store_redis_script_write, store_redis_script_list,
					      store_redis_script_changes};
	uint64_t now = ev_now_ms(r->store.ev);

	if (r->redo == STORE_REDIS_MASTER) {
		store_redis_link_reopen(r->link, "it is no master any more, or not ready");
		return;
	}
	for (size_t i = r->first; i != r->next; i++) {
		struct call *call = redis_call(r, i);

		if (call->state != CALL_AGAIN)
			continue;
		call->state = CALL_WAITING;
		if (now - call->asked_ms >= STORE_REDIS_PATIENCE_MS)
			call_done(call, ERR_TIMEOUT, false);
	}
	redis_rewind(r);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct str words[] = {STR("SCRIPT"), STR("LOAD"), str_of(scripts[i])};

		if (redis_send_words(r, words, ARRAY_LEN(words), NULL) != 0) {
			store_redis_link_reopen(r->link, "out of memory");
			return;
		}
	}
}

static void redis_on_call_reply(struct store_redis *r, struct call *call, const redisReply *reply)
{
	struct store_req *req = call->req;
	enum store_redis_fault fault = store_redis_resp_fault(reply);

	r->n_lists -= req->verb == STORE_LIST;
	r->redo = MAX(r->redo, fault);
	/* A read behind a write that has to be sent again has to see that write. */
	if (fault != STORE_REDIS_FINE ||
	    (r->redo != STORE_REDIS_FINE && req->verb != STORE_WRITE)) {
		call->state = CALL_AGAIN;
		return;
	}
	store_redis_resp_answer(req, reply, ev_wall_ms(r->store.ev));
	if (req->verb == STORE_WRITE && req->answer.e == 0 && r->url.wait > 0) {
		call->state = CALL_UNPROVEN;
		return;
	}
	call->state = CALL_DONE;
	if (req->verb == STORE_WRITE && req->answer.e == 0)
		redis_wrote(r, call);
}

/* After a planned failover the old master is a master for some seconds still, without replicas. */
static void redis_seek(struct store_redis *r)
{
	uint64_t now = ev_now_ms(r->store.ev);

	if (r->url.kind != STORE_REDIS_SENTINEL ||
	    (r->sought_ms != 0 && now - r->sought_ms < SEEK_MS))
		return;
	r->sought_ms = now;
	store_redis_link_reopen(r->link, "a write did not reach its replicas; asking the Sentinels "
					 "whether another one is master");
}

/* The reply to WAIT: it stands for every write that was replied to before it. */
static void redis_on_wait_reply(struct store_redis *r, const redisReply *reply)
{
	bool enough = reply->type == REDIS_REPLY_INTEGER && reply->integer >= (int)r->url.wait;

	for (size_t i = r->first; i != r->next; i++) {
		struct call *call = redis_call(r, i);

		if (call->state != CALL_UNPROVEN)
			continue;
		if (!enough && !r->store.failing) {
			log_error(r->store.log,
				  "store=%s error=IO: fewer than wait=%u replicas have a write "
				  "within %d ms; writes fail until they do",
				  r->store.where, r->url.wait, WAIT_MS);
			r->store.failing = true;
		}
		if (enough)
			redis_wrote(r, call);
		call_done(call, enough ? 0 : ERR_IO, false);
	}
	if (!enough)
		redis_seek(r);
}

/* ---- another Redis has taken over ---- */

/* It has all that it will get back. */
static void redis_rewound(struct store_redis *r)
{
	struct store *s = &r->store;

	if (r->n_remade > 0 || r->n_taken > 0)
		log_warn(s->log,
			 "store=%s: another Redis is master, at %s, and had lost writes that were "
			 "answered; made again: %zu, taken by others meanwhile: %zu",
			 s->where, store_redis_link_peer_name(r->link), r->n_remade, r->n_taken);
	memcpy(r->run_id, store_redis_link_peer(r->link)->run_id, sizeof r->run_id);
	store_rewound(s);
}

static int redis_send_redo(void *arg, struct str command)
{
	struct store_redis *r = arg;
	int e = store_redis_link_send(r->link, command, &r->redo_tag);

	r->n_redoing += e == 0;
	return e;
}

/* Before anything else is asked there. */
static void redis_look_behind(struct store_redis *r)
{
	const char *run_id = store_redis_link_peer(r->link)->run_id;

	if (strcmp(run_id, "-") == 0 || strcmp(run_id, r->run_id) == 0)
		return;
	if (r->run_id[0] == '\0') {
		memcpy(r->run_id, run_id, sizeof r->run_id);
		return;
	}
	r->n_redoing = r->n_remade = r->n_taken = 0;
	if (store_redis_redo_each(&r->lately, run_id, redis_send_redo, r) != 0)
		store_redis_link_reopen(r->link, "out of memory");
	else if (r->n_redoing == 0)
		redis_rewound(r);
}

static void redis_on_redo_reply(struct store_redis *r, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_INTEGER) {
		r->n_remade += reply->integer == 1;
		r->n_taken += reply->integer == 2;
	} else if (store_redis_resp_fault(reply) == STORE_REDIS_MASTER) {
		r->redo = STORE_REDIS_MASTER;
	}
	if (--r->n_redoing == 0 && r->redo != STORE_REDIS_MASTER)
		redis_rewound(r);
}

static void redis_on_reply(void *arg, void *tag, const redisReply *reply)
{
	struct store_redis *r = arg;

	if (tag == &r->wait_tag)
		redis_on_wait_reply(r, reply);
	else if (tag == &r->redo_tag)
		redis_on_redo_reply(r, reply);
	else if (tag != NULL)
		redis_on_call_reply(r, tag, reply);
	if (r->redo != STORE_REDIS_FINE && store_redis_link_pending(r->link) == 0)
		redis_redo(r);
	redis_settle(r);
	if (r->next != r->end)
		ev_task_run(r->store.ev, &r->task);
}

/* ---- the connection comes and goes ---- */

static void redis_on_up(void *arg)
{
	struct store_redis *r = arg;
	struct store *s = &r->store;

	r->long_down = false;
	ev_timer_stop(s->ev, &r->patience);
	if (r->broken) {
		log_info(s->log, "store=%s works again, at %s", s->where,
			 store_redis_link_peer_name(r->link));
		r->broken = s->failing = false;
	}
	if (store_redis_link_evicts(r->link) && !r->told_evicts) {
		r->told_evicts = true;
		log_warn(s->log,
			 "store=%s: this Redis throws records away when its memory is full; set "
			 "maxmemory-policy to noeviction",
			 s->where);
	}
	redis_look_behind(r);
	ev_task_run(s->ev, &r->task);
}

static void redis_on_lost(void *arg)
{
	struct store_redis *r = arg;

	r->down_ms = ev_now_ms(r->store.ev);
	/* what another one has to get back stays until it has it */
	if (strcmp(store_redis_link_peer(r->link)->run_id, r->run_id) == 0)
		store_redis_redo_prune(&r->lately, r->down_ms);
	if (!r->broken) {
		log_error(r->store.log,
			  "store=%s lost: %s; records can be neither read nor written until it is "
			  "back",
			  r->store.where, store_redis_link_why(r->link));
		r->broken = r->store.failing = true;
	}
	for (size_t i = r->first; i != r->next; i++) {
		struct call *call = redis_call(r, i);

		if (call->state == CALL_DONE)
			continue;
		if (call->state == CALL_UNPROVEN ||
		    (call->state == CALL_SENT && call->req->verb == STORE_WRITE))
			call_done(call, ERR_IO, true);
		else
			call->state = CALL_WAITING;
	}
	redis_rewind(r);
}

static void redis_on_failed(void *arg, int e)
{
}

static void redis_on_patience(void *arg)
{
	redis_expire(arg);
}

static void redis_on_room(void *arg)
{
	struct store_redis *r = arg;

	ev_task_run(r->store.ev, &r->task);
}

static const struct store_redis_link_ops store_redis_link_ops = {
	.up = redis_on_up,
	.lost = redis_on_lost,
	.failed = redis_on_failed,
	.reply = redis_on_reply,
	.room = redis_on_room,
};

/* ---- the first look, before there is a store ---- */

struct probe {
	struct ev *ev;
	struct ev_timer timer;
	int e; /* ERR_AGAIN: not known yet */
};

static void probe_end(struct probe *p, int e)
{
	p->e = e;
	ev_stop(p->ev);
}

static void probe_on_up(void *arg)
{
	probe_end(arg, 0);
}

static void probe_on_lost(void *arg)
{
}

/* What waiting does not heal is told at once. */
static void probe_on_failed(void *arg, int e)
{
	struct probe *p = arg;

	if (p->e == ERR_AGAIN && (e == ERR_DENIED || e == ERR_INVAL || e == ERR_UNSUPPORTED))
		probe_end(p, e);
}

static void probe_on_reply(void *arg, void *tag, const redisReply *reply)
{
}

static void probe_on_timer(void *arg)
{
	struct probe *p = arg;

	if (p->e == ERR_AGAIN)
		probe_end(p, ERR_TIMEOUT);
}

static const struct store_redis_link_ops probe_ops = {
	.up = probe_on_up,
	.lost = probe_on_lost,
	.failed = probe_on_failed,
	.reply = probe_on_reply,
	.room = probe_on_lost,
};

static const char *probe_advice(int e)
{
	switch (e) {
	case ERR_DENIED:
		return "; give the right password in KAREZ_REDIS_PASSWORD or as "
		       "redis://USER:PASS@HOST";
	case ERR_INVAL: return "; name a database that it has";
	default: return "";
	}
}

/* Connect once on a loop of its own, so that nobody else's callbacks run meanwhile. */
static int probe_run(const struct store_redis_url *url, char reason[400])
{
	struct probe p = {.e = ERR_AGAIN};
	struct store_redis_link *link = NULL;
	int e;

	if ((e = ev_new(&p.ev)) != 0) {
		str_printf(reason, 400, "%s", err_text(e));
		return e;
	}
	p.timer = (struct ev_timer){.fn = probe_on_timer, .arg = &p};
	if ((e = store_redis_link_new(p.ev, url, &probe_ops, &p, &link)) == 0) {
		ev_timer_set(p.ev, &p.timer, STORE_REDIS_PATIENCE_MS);
		ev_run(p.ev);
		e = p.e;
		str_printf(reason, 400, "%s%s", store_redis_link_why(link), probe_advice(e));
	} else {
		str_printf(reason, 400, "%s", err_text(e));
	}
	ev_timer_stop(p.ev, &p.timer);
	store_redis_link_free(link);
	ev_free(p.ev);
	return e;
}

/* ---- life ---- */

static void redis_close(struct store *s)
{
	struct store_redis *r = (struct store_redis *)s;

	ev_task_cancel(&r->task);
	ev_timer_stop(s->ev, &r->patience);
	store_redis_link_free(r->link);
	store_redis_redo_clear(&r->lately);
	buf_free(&r->out);
	store_fini(s);
	explicit_bzero(&r->url, sizeof r->url);
	ev_free_later(s->ev, r);
}

static const struct store_ops store_redis_ops = {.kick = redis_kick,
						 .close = redis_close,
						 .remembers = true};

/* Returns 0, or an ERR_* and the reason, about a name that may be shown. */
static int redis_start(struct ev *ev, struct log *log, const char *shown, struct store_redis *r,
		       char reason[400])
{
	int e = probe_run(&r->url, reason);

	if (e != 0 && e != ERR_TIMEOUT)
		return e;
	if (e == ERR_TIMEOUT) {
		log_warn(log,
			 "store=%s cannot be reached: %s; going on without it, records can be "
			 "neither read nor written until it is there",
			 shown, reason);
		r->broken = r->long_down = true;
	}
	r->down_ms = ev_now_ms(ev);
	e = store_init(&r->store, &store_redis_ops, ev, log, shown);
	r->store.failing = r->broken;
	if (e == 0 &&
	    (e = store_redis_link_new(ev, &r->url, &store_redis_link_ops, r, &r->link)) != 0)
		store_fini(&r->store);
	str_printf(reason, 400, "%s", err_text(e));
	return e;
}

int store_redis_open(struct ev *ev, struct log *log, const char *where, struct store **out,
		     struct store_why *why)
{
	struct store_redis *r = calloc(1, sizeof *r);
	char shown[STORE_REDIS_WHERE_MAX + 8], clause[STORE_REDIS_WHY] = "", reason[400];
	int e = ERR_NOMEM;

	store_redis_url_mask(str_of(where), shown, sizeof shown);
	str_printf(reason, sizeof reason, "%s", err_text(e));
	if (r == NULL)
		goto out;
	r->patience = (struct ev_timer){.fn = redis_on_patience, .arg = r};
	r->task = (struct ev_task){.fn = redis_on_task, .arg = r};
	store_redis_redo_init(&r->lately);
	if ((e = store_redis_url_parse(str_of(where), &r->url, clause)) != 0)
		str_printf(reason, sizeof reason, "%s", clause);
	else if ((e = store_redis_url_environment(&r->url)) != 0)
		str_printf(reason, sizeof reason, "a password in the environment is too long");
	else
		e = redis_start(ev, log, shown, r, reason);
	if (e == 0) {
		*out = &r->store;
		return 0;
	}
out:
	store_why_say(why, "cannot open the store %s: %s", shown, reason);
	if (r != NULL)
		explicit_bzero(&r->url, sizeof r->url);
	free(r);
	return e;
}
