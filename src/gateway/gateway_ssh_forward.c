/*
 * Forwards become wishes, and what the core makes of them becomes answers: one for each request,
 * whatever happens in between.
 *
 * With an answer the peer may be told of others that it had to wait for, and a forward that it has
 * cancelled meanwhile comes back to us inside that call: so an answer is the last thing that is
 * done to a forward, and no list is walked across it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "core/manage.h"
#include "gateway/gateway_ssh.h"

static struct gateway_ssh_forward *gateway_ssh_forward_of(struct list *link)
{
	return CONTAINER_OF(link, struct gateway_ssh_forward, link);
}

size_t gateway_ssh_n(const struct gateway_ssh *s, enum gateway_ssh_state state)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &s->forwards)
		n += gateway_ssh_forward_of(link)->state == state;
	return n;
}

static void gateway_ssh_forward_free(struct gateway_ssh_forward *f)
{
	list_del(&f->link);
	f->ssh->n_forwards--;
	free(f->urls);
	free(f->reason);
	free(f);
}

void gateway_ssh_forget(struct gateway_ssh *s)
{
	while (!list_empty(&s->forwards))
		gateway_ssh_forward_free(gateway_ssh_forward_of(s->forwards.next));
	s->n_attaches = 0;
}

void gateway_ssh_forget_refused(struct gateway_ssh *s)
{
	LIST_FOR_EACH_SAFE (link, &s->forwards)
		if (gateway_ssh_forward_of(link)->state == GATEWAY_SSH_REFUSED)
			gateway_ssh_forward_free(gateway_ssh_forward_of(link));
}

static struct gateway_ssh_forward *gateway_ssh_forward_find(struct gateway_ssh *s, uint64_t id)
{
	LIST_FOR_EACH (link, &s->forwards) {
		struct gateway_ssh_forward *f = gateway_ssh_forward_of(link);

		if (f->id == id && f->state != GATEWAY_SSH_REFUSED)
			return f;
	}
	return NULL;
}

/* ---- answers ---- */

const char *gateway_ssh_reason(const struct gateway_ssh_forward *f)
{
	return f->reason != NULL ? f->reason : err_text(f->why);
}

static void gateway_ssh_log_forward(const struct gateway_ssh_forward *f)
{
	const struct gateway_entry *n = &f->ssh->entry;
	char address[GATEWAY_SSH_SHOWN], words[CORE_REASON_TEXT];

	if (!gateway_ssh_may_log(f->ssh))
		return;
	show_quoted(address, sizeof address, (struct str){f->address, f->address_len});
	show_quoted(words, sizeof words, str_of(gateway_ssh_reason(f)));
	if (f->state == GATEWAY_SSH_SERVED)
		log_info(n->gateway->opt.log,
			 "event=forward account=%s session=%llu agent=%s peer=%s address=\"%s\" "
			 "port=%u tunnel=%s",
			 n->who.who.account, (unsigned long long)n->number, n->who.agent.id,
			 n->who.peer.ip, address, f->port, f->tunnel);
	else
		log_info(n->gateway->opt.log,
			 "event=forward-refused account=%s session=%llu agent=%s peer=%s "
			 "address=\"%s\" port=%u code=%s reason=\"%s\"",
			 n->who.who.account, (unsigned long long)n->number, n->who.agent.id,
			 n->who.peer.ip, address, f->port, err_name(f->why), words);
}

/* Tell of it. It is kept as long as somebody may come to look. */
static void gateway_ssh_forward_note(struct gateway_ssh_forward *f, int e, const char *reason)
{
	struct gateway_ssh *s = f->ssh;

	f->state = GATEWAY_SSH_REFUSED;
	f->why = e;
	free(f->reason);
	f->reason = str_dup(str_of(reason));
	gateway_ssh_log_forward(f);
	gateway_ssh_screen_refused(s, f);
	if (s->shown || s->spoiled)
		gateway_ssh_forward_free(f);
	gateway_ssh_watch(s);
}

static void gateway_ssh_forward_refuse(struct gateway_ssh_forward *f, int e, const char *reason)
{
	struct gateway_ssh *s = f->ssh;
	uint64_t id = f->id;

	gateway_ssh_forward_note(f, e, reason);
	secsh_node_forwarded(s->entry.session, id, e, 0, NULL);
}

/* The peer has given it up before there was an answer. */
static void gateway_ssh_forward_drop(struct gateway_ssh_forward *f)
{
	struct gateway_ssh *s = f->ssh;
	uint64_t id = f->id;

	gateway_ssh_forward_free(f);
	gateway_ssh_watch(s);
	secsh_node_forwarded(s->entry.session, id, ERR_CLOSED, 0, NULL);
}

/* Does a forward serve this tunnel? */
static struct gateway_ssh_forward *gateway_ssh_forward_serving(struct gateway_ssh *s,
							       const char *tunnel)
{
	LIST_FOR_EACH (link, &s->forwards) {
		struct gateway_ssh_forward *f = gateway_ssh_forward_of(link);

		if (f->state == GATEWAY_SSH_SERVED && strcmp(f->tunnel, tunnel) == 0)
			return f;
	}
	return NULL;
}

static void gateway_ssh_forward_serve(struct gateway_ssh_forward *f, const struct core_attached *a)
{
	struct gateway_ssh *s = f->ssh;

	f->urls = calloc(MAX(a->n_urls, (size_t)1), sizeof f->urls[0]);
	if (f->urls != NULL) {
		f->n_urls = a->n_urls;
		memcpy(f->urls, a->urls, a->n_urls * sizeof f->urls[0]);
	}
	memcpy(f->tunnel, a->name, sizeof f->tunnel);
	f->state = GATEWAY_SSH_SERVED;
	gateway_ssh_log_forward(f);
	gateway_ssh_screen_forward(s, f);
	gateway_ssh_watch(s);
	secsh_node_forwarded(s->entry.session, f->id, 0, a->port != 0 ? a->port : f->port, a->name);
}

/* ---- wishes ---- */

/* What was said about it in words; returns whether there was anything. */
static bool gateway_ssh_wish_words(const struct ssh_words *w, struct manage_tunnel_change *c)
{
	unsigned before = c->set;

	if (w->has_proxy) {
		c->set |= MANAGE_T_PROXY;
		c->to.proxy = w->proxy;
	}
	if (w->has_policy) {
		c->set |= MANAGE_T_POLICY;
		c->to.policy = w->policy;
	}
	if (w->sessions_max > 0) {
		c->set |= MANAGE_T_SESSIONS_MAX;
		c->to.sessions_max = w->sessions_max;
	}
	return c->set != before;
}

/*
 * Where it is reached; returns whether a record that is there already must be made to say so: what
 * ssh sends unasked decides nothing about a tunnel that has its place.
 */
static bool gateway_ssh_wish_place(const struct gateway_ssh_forward *f,
				   struct manage_tunnel_change *c)
{
	const struct ssh_forward *w = &f->wanted;
	static const enum tunnel_kind kinds[] = {
		[SSH_FORWARD_HTTP] = TUNNEL_HTTP,
		[SSH_FORWARD_TLS] = TUNNEL_TLS,
		[SSH_FORWARD_TCP] = TUNNEL_TCP,
	};

	c->set |= MANAGE_T_KIND;
	c->to.kind = kinds[w->kind];
	if (w->domain[0] != '\0') {
		c->set |= MANAGE_T_ALT_NAMES;
		c->to.n_alt_names = 1;
		memcpy(c->to.alt_names[0], w->domain, sizeof c->to.alt_names[0]);
	}
	if (w->kind != SSH_FORWARD_TCP)
		return false;
	c->set |= MANAGE_T_PORT | MANAGE_T_BIND;
	c->to.port = w->port;
	memcpy(c->to.bind, w->bind, sizeof w->bind);
	if (w->name[0] != '\0' && w->bind[0] == '\0')
		c->set &= ~(unsigned)MANAGE_T_BIND; /* a name says nothing about addresses */
	return !f->unasked && (w->port != 0 || w->bind[0] != '\0');
}

static void gateway_ssh_on_attached(void *arg, const struct core_attached *result);

static int gateway_ssh_attach(struct gateway_ssh_forward *f)
{
	const struct ssh_forward *w = &f->wanted;
	const struct ssh_words *words = &f->ssh->words;
	struct manage_tunnel_change change = {.mode = MANAGE_ENSURE};
	struct core_wish wish = {.name = str_of(w->name), .change = &change};
	bool place = gateway_ssh_wish_place(f, &change);
	bool said = gateway_ssh_wish_words(words, &change);

	wish.kind = change.to.kind;
	wish.priority = words->priority;
	wish.by_route = w->name[0] == '\0' && (w->port != 0 || w->domain[0] != '\0');
	wish.temporary = !f->stays;
	wish.again = !place && !said;
	return member_attach(f->ssh->entry.member, &wish, gateway_ssh_on_attached, f);
}

/* Is the user's name no name for a tunnel, but another one may be? */
static bool gateway_ssh_is_no_name(int e)
{
	return e == ERR_EXISTS || e == ERR_RESERVED || e == ERR_INVAL || e == ERR_DENIED;
}

static void gateway_ssh_ask(struct gateway_ssh_forward *f)
{
	struct gateway_ssh *s = f->ssh;
	int e = s->n_attaches >= GATEWAY_ATTACHES_MAX ? ERR_LIMIT : gateway_ssh_attach(f);

	if (e != 0) {
		gateway_ssh_forward_refuse(f, e, "too many tunnels are being made now; try again");
		return;
	}
	f->state = GATEWAY_SSH_ASKED;
	s->n_attaches++;
	secsh_node_hush(s->entry.session, f->id);
}

/* It is served after all, and must not be. */
static void gateway_ssh_give_up(struct gateway_ssh *s, const struct core_attached *result)
{
	if (result->e == 0 && gateway_ssh_forward_serving(s, result->name) == NULL)
		member_detach(s->entry.member, str_of(result->name));
}

/* A tunnel that was asked for by its name has kept another port: that is not what was meant. */
static void gateway_ssh_refuse_port(struct gateway_ssh_forward *f,
				    const struct core_attached *result)
{
	char reason[CORE_REASON_TEXT];

	str_printf(reason, sizeof reason,
		   "the tunnel \"%.63s\" is reached at port %u; ask for that one", result->name,
		   result->port);
	gateway_ssh_give_up(f->ssh, result);
	gateway_ssh_forward_refuse(f, ERR_EXISTS, reason);
}

static void gateway_ssh_on_attached(void *arg, const struct core_attached *result)
{
	struct gateway_ssh_forward *f = arg;

	f->ssh->n_attaches--;
	if (f->cancelled) {
		gateway_ssh_give_up(f->ssh, result);
		gateway_ssh_forward_drop(f);
	} else if (f->by_user && gateway_ssh_is_no_name(result->e)) {
		f->by_user = false;
		f->wanted.name[0] = '\0';
		gateway_ssh_ask(f);
	} else if (result->e != 0) {
		gateway_ssh_forward_refuse(f, result->e, result->reason);
	} else if (f->wanted.port != 0 && result->port != f->wanted.port) {
		gateway_ssh_refuse_port(f, result);
	} else {
		gateway_ssh_forward_serve(f, result);
	}
}

/* ---- names ---- */

static bool gateway_ssh_is_unnamed(const struct gateway_ssh_forward *f)
{
	return f->wanted.name[0] == '\0' && f->wanted.domain[0] == '\0';
}

/* Does one that waits behind it want a name more than a tcp tunnel does? */
static bool gateway_ssh_others_first(const struct gateway_ssh *s)
{
	LIST_FOR_EACH (link, &s->forwards) {
		const struct gateway_ssh_forward *f = gateway_ssh_forward_of(link);

		if (f->state == GATEWAY_SSH_READ && f->wanted.kind != SSH_FORWARD_TCP &&
		    gateway_ssh_is_unnamed(f))
			return true;
	}
	return false;
}

static bool gateway_ssh_user_is_name(const struct gateway_ssh *s, char out[HOSTNAME_MAX + 1])
{
	struct str user = {s->user, s->user_len};

	return !str_eq(user, STR("anonymous")) && !str_eq(user, STR("nokey")) &&
	       hostname_tunnel(user, out) == 0;
}

/* The word name= is for the first that has none, http before tcp; then the user's name. */
static void gateway_ssh_give_name(struct gateway_ssh_forward *f)
{
	struct gateway_ssh *s = f->ssh;
	bool tcp = f->wanted.kind == SSH_FORWARD_TCP;

	f->stays = !gateway_ssh_is_unnamed(f);
	if (f->stays)
		return;
	if (s->words.name[0] != '\0' && !s->named && (!tcp || !gateway_ssh_others_first(s))) {
		s->named = true;
		s->named_by_user |= !tcp;
		f->stays = true;
		memcpy(f->wanted.name, s->words.name, sizeof f->wanted.name);
	} else if (!tcp && !s->named_by_user) {
		s->named_by_user = true;
		f->by_user = gateway_ssh_user_is_name(s, f->wanted.name);
	}
}

/* ---- from held to asked ---- */

static void gateway_ssh_forward_read(struct gateway_ssh_forward *f)
{
	const struct gateway_ssh *s = f->ssh;
	const struct gateway_ssh_opt *opt = s->entry.gateway->opt.ssh;
	struct str address = {f->address, f->address_len};
	const char *why = "the words behind the host are not right, or ask for help";

	if (s->spoiled ||
	    ssh_forward_read(address, f->port, opt->domain, s->words.tls, &f->wanted, &why) != 0) {
		gateway_ssh_forward_refuse(f, ERR_INVAL, why);
		return;
	}
	f->state = GATEWAY_SSH_READ;
	f->unasked = strcmp(f->wanted.bind, "localhost") == 0;
	if (opt->everywhere && f->unasked)
		f->wanted.bind[0] = '\0';
}

/* The oldest one in a state; NULL: there is none. */
static struct gateway_ssh_forward *gateway_ssh_first(struct gateway_ssh *s,
						     enum gateway_ssh_state state)
{
	LIST_FOR_EACH (link, &s->forwards)
		if (gateway_ssh_forward_of(link)->state == state)
			return gateway_ssh_forward_of(link);
	return NULL;
}

void gateway_ssh_settle(struct gateway_ssh *s)
{
	struct gateway_ssh_forward *f;

	s->settled = true;
	ev_timer_stop(s->entry.gateway->ev, &s->hold);
	while ((f = gateway_ssh_first(s, GATEWAY_SSH_HELD)) != NULL) /* all, before one is named */
		gateway_ssh_forward_read(f);
	while ((f = gateway_ssh_first(s, GATEWAY_SSH_READ)) != NULL) {
		gateway_ssh_give_name(f);
		gateway_ssh_ask(f);
	}
}

/* ---- what the peer asks for ---- */

static struct gateway_ssh_forward *gateway_ssh_forward_make(struct gateway_ssh *s, uint64_t id,
							    struct str address, uint16_t port)
{
	struct gateway_ssh_forward *f = calloc(1, sizeof *f);

	if (f == NULL)
		return NULL;
	f->ssh = s;
	f->id = id;
	f->port = port;
	f->address_len = MIN(address.len, sizeof f->address);
	if (f->address_len > 0)
		memcpy(f->address, address.p, f->address_len);
	list_push(&s->forwards, &f->link);
	s->n_forwards++;
	return f;
}

/* Returns NULL if there are as many as may be, or memory is short. */
static struct gateway_ssh_forward *gateway_ssh_forward_new(struct gateway_ssh *s, uint64_t id,
							   struct str address, uint16_t port)
{
	struct gateway_ssh_forward *refused;

	/* nobody has come to read why they were refused: the oldest ones make room */
	while (s->n_forwards >= SECSH_FORWARDS_MAX &&
	       (refused = gateway_ssh_first(s, GATEWAY_SSH_REFUSED)) != NULL)
		gateway_ssh_forward_free(refused);
	if (s->n_forwards >= SECSH_FORWARDS_MAX || address.len > SECSH_ADDRESS_MAX)
		return NULL;
	return gateway_ssh_forward_make(s, id, address, port);
}

/* Why one is refused that nobody has to be asked about. */
static const char *gateway_ssh_why_unasked(int e, char room[CORE_REASON_TEXT])
{
	switch (e) {
	case ERR_LIMIT:
		str_printf(room, CORE_REASON_TEXT, "a session has %d forwards at most",
			   SECSH_FORWARDS_MAX);
		return room;
	case ERR_INUSE: return "this session has asked for the same one already";
	case ERR_INVAL: return "the address is too long";
	default: return err_text(e);
	}
}

/* Beside those that there may be, some are kept until somebody reads why there are no more. */
void gateway_ssh_on_unforwarded(void *arg, int e, struct str address, uint16_t port)
{
	struct gateway_ssh_forward brief, *f = NULL;
	struct gateway_ssh *s = arg;
	char room[CORE_REASON_TEXT];

	if (s->n_forwards < SECSH_FORWARDS_MAX + GATEWAY_SSH_EXCESS_MAX)
		f = gateway_ssh_forward_make(s, 0, address, port);
	if (f != NULL) {
		gateway_ssh_forward_note(f, e, gateway_ssh_why_unasked(e, room));
		return;
	}
	brief = (struct gateway_ssh_forward){.ssh = s,
					     .state = GATEWAY_SSH_REFUSED,
					     .why = e,
					     .port = port};
	brief.address_len = MIN(address.len, sizeof brief.address);
	if (brief.address_len > 0)
		memcpy(brief.address, address.p, brief.address_len);
	brief.reason = str_dup(str_of(gateway_ssh_why_unasked(e, room)));
	gateway_ssh_log_forward(&brief);
	gateway_ssh_screen_refused(s, &brief);
	free(brief.reason);
}

void gateway_ssh_on_forward(void *arg, uint64_t id, struct str address, uint16_t port)
{
	struct gateway_ssh *s = arg;
	struct gateway_ssh_forward *f = gateway_ssh_forward_new(s, id, address, port);

	if (f == NULL) {
		gateway_ssh_on_unforwarded(s, ERR_LIMIT, address, port);
		secsh_node_forwarded(s->entry.session, id, ERR_LIMIT, 0, NULL);
		return;
	}
	if (s->entry.gateway->draining)
		gateway_ssh_forward_refuse(f, ERR_DRAIN, "the server is shutting down; try again");
	else if (s->settled)
		gateway_ssh_settle(s);
	else if (!ev_timer_is_set(&s->hold))
		ev_timer_set(s->entry.gateway->ev, &s->hold,
			     s->looking ? GATEWAY_SSH_LOOK_MS : GATEWAY_SSH_HOLD_MS);
	gateway_ssh_watch(s);
}

void gateway_ssh_on_cancelled(void *arg, uint64_t id)
{
	struct gateway_ssh *s = arg;
	struct gateway_ssh_forward *f = gateway_ssh_forward_find(s, id);
	char tunnel[HOSTNAME_MAX + 1];

	if (f == NULL)
		return; /* its tunnel had been taken away */
	if (f->state == GATEWAY_SSH_ASKED) {
		f->cancelled = true;
	} else if (f->state != GATEWAY_SSH_SERVED) {
		gateway_ssh_forward_drop(f);
	} else {
		memcpy(tunnel, f->tunnel, sizeof tunnel);
		gateway_ssh_forward_free(f);
		if (gateway_ssh_forward_serving(s, tunnel) == NULL) {
			member_detach(s->entry.member, str_of(tunnel));
			gateway_ssh_screen_detached(s, tunnel, 0, "given up");
		}
		gateway_ssh_watch(s);
	}
}

/* ---- what the core says ---- */

void gateway_ssh_on_detached(void *arg, const char *tunnel, int why, const char *reason,
			     uint64_t drain_ms)
{
	struct gateway_ssh_forward *f;
	struct gateway_ssh *s = arg;

	secsh_node_unforward(s->entry.session, tunnel);
	while ((f = gateway_ssh_forward_serving(s, tunnel)) != NULL)
		gateway_ssh_forward_free(f);
	gateway_ssh_screen_detached(s, tunnel, why, reason);
	gateway_ssh_watch(s);
}
