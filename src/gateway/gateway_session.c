/*
 * One session of an agent: its control lines, what it serves, and its end.
 *
 * Whatever goes wrong, the agent is told why as long as it can hear, and the log has one line for
 * the beginning and one for the end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "gateway/gateway_internal.h"
#include "gateway/gateway_wish.h"
#include "proto/json.h"
#include "wire/wire_tls.h"

struct gateway_session {
	struct gateway_entry entry; /* first */
	struct ev_timer idle;
	struct list attaches; /* of gateway_attach; bounded by GATEWAY_ATTACHES_MAX */
	size_t n_attaches;
	bool offers;		       /* it waits for tunnels to be given to it */
	bool leaving;		       /* it ends when its last visitors have finished */
	char reason[CORE_REASON_TEXT]; /* why it is leaving */
};

/* An attach that the core has not answered yet. */
struct gateway_attach {
	struct list link;
	struct gateway_session *session; /* borrowed: its end frees us */
	uint64_t ref;
};

/* ---- the end ---- */

/* All that is known of it here goes; s->entry.session still lives. reason as above. */
static void gateway_session_finish(struct gateway_session *s, int why, struct str reason)
{
	struct list *link;

	ev_timer_stop(s->entry.gateway->ev, &s->idle);
	gateway_entry_finish(&s->entry, why, reason);
	tls_peer_free(s->entry.who.certificate);
	s->entry.who.certificate = NULL;
	while ((link = list_pop(&s->attaches)) != NULL)
		free(CONTAINER_OF(link, struct gateway_attach, link));
	ev_free_later(s->entry.gateway->ev, s); /* our callers may still look at it */
}

static void gateway_session_end(struct gateway_session *s, int why, struct str reason)
{
	struct session *session = s->entry.session;

	if (session == NULL)
		return;
	gateway_session_finish(s, why, reason);
	session_close(session, why, reason);
}

static void gateway_session_on_closed(void *arg, struct session *session, int why,
				      struct str reason)
{
	gateway_session_finish(arg, why, reason);
}

static void gateway_session_on_end(struct gateway_entry *n, int why, struct str reason)
{
	gateway_session_end(CONTAINER_OF(n, struct gateway_session, entry), why, reason);
}

static void gateway_session_on_drain(struct gateway_entry *n)
{
	session_drain(n->session);
}

static void gateway_session_on_recheck(struct gateway_entry *n)
{
	char why[TLS_CONTEXT_WHY], reason[TLS_CONTEXT_WHY + TLS_PEER_NAME_MAX + 32];

	if (n->who.certificate == NULL ||
	    tls_peer_check(n->who.certificate, ev_wall_ms(n->gateway->ev), why) == 0)
		return;
	str_printf(reason, sizeof reason, "the certificate \"%s\" is not good any more: %s",
		   tls_peer_name(n->who.certificate), why);
	gateway_session_on_end(n, ERR_CERT, str_of(reason));
}

/* ---- what the agent is told ---- */

/* e: why there is no line. An agent that cannot be told must go. */
static void gateway_session_say(struct gateway_session *s, int e, struct str line)
{
	if (e == 0)
		e = session_tell(s->entry.session, line);
	if (e == ERR_LIMIT)
		gateway_session_end(s, e, STR("the agent does not read its control lines"));
	else if (e != 0)
		gateway_session_end(s, e, STR("the server cannot write a control line"));
}

static void gateway_session_on_tell(struct gateway_entry *n, struct str line)
{
	gateway_session_say(CONTAINER_OF(n, struct gateway_session, entry), 0, line);
}

static const struct gateway_kind gateway_session_kind = {
	.logged = "",
	.tell = gateway_session_on_tell,
	.end = gateway_session_on_end,
	.drain = gateway_session_on_drain,
	.recheck = gateway_session_on_recheck,
};

/* Does it serve nothing, without a chance that this changes? */
static bool gateway_session_is_useless(const struct gateway_session *s)
{
	return member_n_tunnels(s->entry.member) == 0 && s->n_attaches == 0 && !s->offers;
}

/* Does a stream of a visitor still run? One stream carries the control lines. */
static bool gateway_session_has_visitors(const struct gateway_session *s)
{
	return s->entry.session->n_streams > 1;
}

/* Serving nothing is allowed for a while only, unless tunnels may be given to it at any time. */
static void gateway_session_watch(struct gateway_session *s)
{
	if (member_n_tunnels(s->entry.member) == 0 && !s->offers) {
		ev_timer_set(s->entry.gateway->ev, &s->idle,
			     s->leaving ? GATEWAY_LEAVE_MS : GATEWAY_IDLE_MS);
	} else {
		ev_timer_stop(s->entry.gateway->ev, &s->idle);
		s->leaving = false;
	}
}

static void gateway_session_on_idle(void *arg)
{
	struct gateway_session *s = arg;

	if (!gateway_session_is_useless(s) || gateway_session_has_visitors(s))
		gateway_session_watch(s);
	else if (s->leaving)
		gateway_session_end(s, ERR_REPLACED, str_of(s->reason));
	else
		gateway_session_end(s, ERR_TIMEOUT,
				    STR("this session has served no tunnel for 30 seconds"));
}

/* ---- answers and news ---- */

/* Sends *j and frees it; e is what went wrong in making it. */
static void gateway_session_tell(struct gateway_session *s, int e, struct json *j)
{
	struct buf line = {0};

	if (e == 0)
		e = json_write(j, SESSION_LINE_MAX, &line);
	json_free(j);
	gateway_session_say(s, e, buf_str(&line));
	buf_free(&line);
}

static void gateway_session_refuse(struct gateway_session *s, uint64_t ref, int why,
				   const char *reason)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 && (e = json_set_text(j, "op", STR("refused"))) == 0 &&
	    (e = json_set_number(j, "ref", ref)) == 0 &&
	    (e = json_set_text(j, "code", str_of(err_name(why)))) == 0)
		e = json_set_text(j, "reason", str_of(reason));
	gateway_session_tell(s, e, j);
}

static void gateway_session_confirm(struct gateway_session *s, uint64_t ref,
				    const struct core_attached *a)
{
	struct json *j = NULL, *urls = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 && (e = json_new_list(&urls)) == 0 &&
	    (e = json_set_text(j, "op", STR("attached"))) == 0 &&
	    (e = json_set_number(j, "ref", ref)) == 0)
		e = json_set_text(j, "name", str_of(a->name));
	for (size_t i = 0; i < a->n_urls && e == 0; i++)
		e = json_add_text(urls, str_of(a->urls[i]));
	if (e == 0)
		e = json_set(j, "urls", &urls);
	json_free(urls);
	gateway_session_tell(s, e, j);
}

/* ---- what the core says ---- */

static void gateway_session_on_attached(void *arg, const struct core_attached *result)
{
	struct gateway_attach *a = arg;
	struct gateway_session *s = a->session;
	uint64_t ref = a->ref;

	list_del(&a->link);
	s->n_attaches--;
	free(a);
	gateway_session_watch(s);
	if (result->e == 0)
		gateway_session_confirm(s, ref, result);
	else
		gateway_session_refuse(s, ref, result->e, result->reason);
}

static void gateway_session_on_assigned(void *arg, const char *tunnel, const char *service)
{
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 && (e = json_set_text(j, "op", STR("assigned"))) == 0 &&
	    (e = json_set_text(j, "name", str_of(tunnel))) == 0)
		e = json_set_text(j, "service", str_of(service));
	gateway_session_tell(arg, e, j);
}

/* It is the ghost of an agent that serves elsewhere, or other agents have its last tunnel. */
static void gateway_session_leave(struct gateway_session *s, const char *reason, uint64_t drain_ms)
{
	bool drains = drain_ms > 0 && gateway_session_has_visitors(s);

	if (gateway_session_is_useless(s) && !drains) {
		gateway_session_end(s, ERR_REPLACED, str_of(reason));
	} else if (drain_ms > 0) {
		s->leaving = true;
		str_printf(s->reason, sizeof s->reason, "%s", reason);
		gateway_session_watch(s);
	}
}

static void gateway_session_on_detached(void *arg, const char *tunnel, int why, const char *reason,
					uint64_t drain_ms)
{
	struct gateway_session *s = arg;
	struct json *j = NULL;
	int e;

	if ((e = json_new_object(&j)) == 0 && (e = json_set_text(j, "op", STR("detached"))) == 0 &&
	    (e = json_set_text(j, "name", str_of(tunnel))) == 0 &&
	    (e = json_set_text(j, "code", str_of(err_name(why)))) == 0)
		e = json_set_text(j, "reason", str_of(reason));
	if (e == 0 && drain_ms > 0)
		e = json_set_number(j, "drain_ms", drain_ms);
	gateway_session_tell(s, e, j);
	if (s->entry.session == NULL)
		return;
	gateway_session_watch(s);
	if (why == ERR_REPLACED)
		gateway_session_leave(s, reason, drain_ms);
}

static void gateway_session_on_expelled(void *arg, int why, const char *reason)
{
	gateway_session_end(arg, why, str_of(reason));
}

static const struct member_owner gateway_member_owner = {
	.assigned = gateway_session_on_assigned,
	.detached = gateway_session_on_detached,
	.expelled = gateway_session_on_expelled,
};

/* ---- what the agent says ---- */

static void gateway_session_attach(struct gateway_session *s, uint64_t ref,
				   const struct core_wish *wish)
{
	struct gateway_attach *a = NULL;
	int e = ERR_LIMIT;

	if (s->n_attaches >= GATEWAY_ATTACHES_MAX || (a = calloc(1, sizeof *a)) == NULL ||
	    (e = member_attach(s->entry.member, wish, gateway_session_on_attached, a)) != 0) {
		free(a);
		gateway_session_refuse(s, ref, e, "too many tunnels are being attached; try again");
		return;
	}
	a->session = s;
	a->ref = ref;
	list_push(&s->attaches, &a->link);
	s->n_attaches++;
}

/* Returns 0, or ERR_PROTO when nothing can be answered to it. */
static int gateway_session_on_attach(struct gateway_session *s, const struct json *j)
{
	char reason[CORE_REASON_TEXT];
	struct gateway_wish wish;
	uint64_t ref;
	int e;

	if (json_get_number(j, "ref", JSON_NUMBER_MAX, &ref) != 0)
		return ERR_PROTO;
	if ((e = gateway_wish_read(s->entry.gateway->opt.core, j, &wish, reason)) == 0)
		gateway_session_attach(s, ref, &wish.wish);
	else
		gateway_session_refuse(s, ref, e, reason);
	return 0;
}

/* An offer has no answer: a wrong one ends the session. */
static int gateway_session_on_offer(struct gateway_session *s, const struct json *j)
{
	struct str services[CORE_SERVICES_MAX];
	char reason[CORE_REASON_TEXT];
	unsigned priority;
	size_t n;
	int e;

	if (gateway_wish_read_offer(j, services, &n, &priority, reason) != 0) {
		gateway_session_end(s, ERR_PROTO, str_of(reason));
		return 0;
	}
	s->offers = true; /* before tunnels are given to it */
	if ((e = member_offer(s->entry.member, services, n, priority)) != 0)
		return e;
	if (s->entry.session != NULL)
		gateway_session_watch(s);
	return 0;
}

static int gateway_session_on_detach(struct gateway_session *s, const struct json *j)
{
	struct str name;

	if (json_get_text(j, "name", &name) != 0)
		return ERR_PROTO;
	member_detach(s->entry.member, name);
	gateway_session_watch(s);
	return 0;
}

static int gateway_session_on_health(struct gateway_session *s, const struct json *j)
{
	struct str name;
	bool up;

	if (json_get_text(j, "name", &name) != 0 || json_get_bool(j, "up", &up) != 0)
		return ERR_PROTO;
	member_set_health(s->entry.member, name, up);
	return 0;
}

/* What an agent may say; what is not here is of a later version. */
static const struct gateway_op {
	const char *name;
	int (*obey)(struct gateway_session *s, const struct json *j);
} gateway_ops[] = {
	{"attach", gateway_session_on_attach},
	{"detach", gateway_session_on_detach},
	{"offer", gateway_session_on_offer},
	{"health", gateway_session_on_health},
};

static int gateway_session_obey(struct gateway_session *s, const struct json *j)
{
	struct str op;

	if (json_get_text(j, "op", &op) != 0)
		return ERR_PROTO;
	for (size_t i = 0; i < ARRAY_LEN(gateway_ops); i++)
		if (str_eq(op, str_of(gateway_ops[i].name)))
			return gateway_ops[i].obey(s, j);
	return 0;
}

static void gateway_session_on_told(void *arg, struct session *session, struct str line)
{
	struct gateway_session *s = arg;
	struct json *j = NULL;
	int e;

	if (s->entry.session == NULL)
		return;
	if ((e = json_parse(line, SESSION_LINE_MAX, &j)) == 0)
		e = gateway_session_obey(s, j);
	json_free(j);
	if (e == ERR_NOMEM)
		gateway_session_end(s, e, STR("the server is out of memory"));
	else if (e != 0)
		gateway_session_end(s, ERR_PROTO, STR("a control line could not be understood"));
}

/* ---- the beginning ---- */

static const struct session_owner gateway_session_owner = {
	.told = gateway_session_on_told,
	.closed = gateway_session_on_closed,
};

static int gateway_session_join(struct gateway_session *s, char reason[CORE_REASON_TEXT])
{
	struct member_opt opt = {.session = s->entry.session,
				 .who = &s->entry.who.who,
				 .agent = s->entry.who.agent,
				 .peer = s->entry.who.peer,
				 .owner = &gateway_member_owner,
				 .arg = s};

	return member_join(s->entry.gateway->opt.core, &opt, &s->entry.member, reason);
}

void gateway_session_start(struct gateway *g, struct wire *wire, const struct gateway_agent *who)
{
	struct mux_opt opt = {.role = MUX_NODE,
			      .budget = &g->budget,
			      .owner = &gateway_session_owner};
	struct gateway_session *s = calloc(1, sizeof *s);
	char reason[CORE_REASON_TEXT];
	struct buf nodes = {0};
	int e = ERR_NOMEM;

	if (s == NULL)
		goto out;
	s->entry.gateway = g;
	s->entry.kind = &gateway_session_kind;
	s->entry.who = *who;
	s->idle = (struct ev_timer){.fn = gateway_session_on_idle, .arg = s};
	list_init(&s->attaches);
	opt.arg = s;
	if ((e = mux_new(g->ev, wire, &opt, &s->entry.session)) != 0)
		goto out;
	wire = NULL; /* the session owns it */
	if ((e = gateway_session_join(s, reason)) != 0) {
		gateway_entry_log_refusal(&s->entry, e);
		session_close(s->entry.session, e, str_of(reason));
		goto out;
	}
	tls_peer_share(s->entry.who.certificate);
	gateway_entry_begin(&s->entry);
	gateway_session_watch(s);
	gateway_nodes_line(g, &nodes);
	if (nodes.len > 0)
		gateway_session_say(s, 0, buf_str(&nodes));
	buf_free(&nodes);
	if (s->entry.session != NULL) /* something may have changed since the handshake */
		gateway_session_on_recheck(&s->entry);
	s = NULL; /* it lives in the list */
out:
	wire_close(wire, e);
	free(s);
}
