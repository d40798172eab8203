/*
 * An SSH client that has logged in: a member of the core from that moment on, though it is known
 * only later what it wants. Its words come last, and what they say holds for all before them.
 */
#include "gateway/gateway_ssh.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"

/* Keys that end it on a terminal: Ctrl-C, Ctrl-D, q. */
static const char gateway_ssh_end_keys[] = {3, 4, 'q'};

/* Bytes of the help, with what stands above it. */
#define GATEWAY_SSH_HELP_TEXT 2048

/* ---- the end ---- */

/* Its memory goes at the end of the turn. */
static void gateway_ssh_free(struct gateway_ssh *s)
{
	struct ev *ev = s->entry.gateway->ev;

	ev_timer_stop(ev, &s->grace);
	ev_timer_stop(ev, &s->hold);
	ev_timer_stop(ev, &s->idle);
	ev_timer_stop(ev, &s->leave);
	if (s->login != NULL)
		core_login_cancel(s->login);
	s->login = NULL;
	gateway_ssh_forget(s);
	buf_free(&s->certificate);
	explicit_bzero(s->number, sizeof s->number);
	ev_free_later(ev, s); /* our callers may still look at it */
}

/* All that is known of it here goes; the session itself still lives. */
static void gateway_ssh_finish(struct gateway_ssh *s, int why, struct str reason)
{
	if (s->open) {
		gateway_entry_finish(&s->entry, why, reason);
	} else {
		list_del(&s->entry.link);
		s->entry.gateway->n_starts--;
		s->entry.session = NULL;
	}
	gateway_ssh_free(s);
}

void gateway_ssh_end(struct gateway_ssh *s, int why, struct str reason)
{
	struct session *session = s->entry.session;

	if (session == NULL)
		return;
	gateway_ssh_finish(s, why, reason);
	session_close(session, why, reason);
}

static void gateway_ssh_on_closed(void *arg, int why, struct str reason)
{
	gateway_ssh_finish(arg, why, reason);
}

/* ---- as one of all sessions ---- */

static void gateway_ssh_on_end(struct gateway_entry *n, int why, struct str reason)
{
	gateway_ssh_end(CONTAINER_OF(n, struct gateway_ssh, entry), why, reason);
}

/* Is it time to go? See GATEWAY_SSH_QUIET_MS. */
static void gateway_ssh_on_leave(void *arg)
{
	struct gateway_ssh *s = arg;
	const struct session *session = s->entry.session;
	uint64_t now = ev_now_ms(s->entry.gateway->ev), unused;

	/* a visitor between two looks has left the time of his bytes */
	s->used_ms = session->n_streams > 0 ? now : MAX(s->used_ms, session->moved_ms);
	unused = now - MIN(now, s->used_ms);
	if (unused >= GATEWAY_SSH_UNUSED_MS ||
	    (unused >= GATEWAY_SSH_QUIET_MS && !member_is_needed(s->entry.member)))
		gateway_ssh_end(s, ERR_DRAIN, STR("the server is shutting down"));
	else
		ev_timer_set(s->entry.gateway->ev, &s->leave, GATEWAY_SSH_LEAVE_MS);
}

static void gateway_ssh_on_drain(struct gateway_entry *n)
{
	struct gateway_ssh *s = CONTAINER_OF(n, struct gateway_ssh, entry);

	gateway_ssh_screen_say(s, "the server is shutting down; running connections finish\n");
	session_drain(n->session);
	s->used_ms = ev_now_ms(n->gateway->ev);
	ev_timer_set(n->gateway->ev, &s->leave, GATEWAY_SSH_LEAVE_MS);
}

static void gateway_ssh_on_recheck(struct gateway_entry *n)
{
	struct gateway_ssh *s = CONTAINER_OF(n, struct gateway_ssh, entry);
	struct ssh_ca_ask ask = {.blob = buf_str(&s->certificate),
				 .user = {s->user, s->user_len},
				 .ip = n->who.peer.ip,
				 .now_ms = ev_wall_ms(n->gateway->ev)};
	const struct ssh_ca *ca = n->gateway->opt.ssh->ca;
	char name[SSH_CA_NAME_TEXT], why[SSH_CA_WHY] = "certificates prove nothing here";
	char reason[SSH_CA_WHY + 40];

	if (s->certificate.len == 0 || (ca != NULL && ssh_ca_check(ca, &ask, name, why) == 0))
		return;
	str_printf(reason, sizeof reason, "the certificate is not good any more: %s", why);
	gateway_ssh_end(s, ERR_CERT, str_of(reason));
}

static const struct gateway_kind gateway_ssh_kind = {
	.logged = " kind=ssh",
	.end = gateway_ssh_on_end,
	.drain = gateway_ssh_on_drain,
	.recheck = gateway_ssh_on_recheck,
};

/* ---- what is of no use ---- */

static bool gateway_ssh_is_useless(const struct gateway_ssh *s)
{
	return !s->looking && s->entry.session->n_streams == 0 &&
	       gateway_ssh_n(s, GATEWAY_SSH_REFUSED) == s->n_forwards;
}

void gateway_ssh_watch(struct gateway_ssh *s)
{
	struct ev *ev = s->entry.gateway->ev;

	if (s->entry.session == NULL)
		return;
	if (s->looking || gateway_ssh_n(s, GATEWAY_SSH_REFUSED) < s->n_forwards)
		ev_timer_stop(ev, &s->idle);
	else if (!ev_timer_is_set(&s->idle))
		ev_timer_set(ev, &s->idle, GATEWAY_IDLE_MS);
}

static void gateway_ssh_on_idle(void *arg)
{
	struct gateway_ssh *s = arg;

	if (gateway_ssh_is_useless(s))
		gateway_ssh_end(s, ERR_TIMEOUT,
				STR("this session has served no tunnel for 30 seconds"));
	else
		gateway_ssh_watch(s); /* streams of a tunnel that is gone may still run */
}

/* ---- who looks ---- */

/* Requests are told only as long as somebody reads of them. */
static void gateway_ssh_set_screen(struct gateway_ssh *s, bool shown)
{
	s->shown = shown;
	member_watch(s->entry.member, shown && !s->words.quiet && (s->terminal || s->words.json));
	gateway_ssh_watch(s);
}

static void gateway_ssh_on_looking(void *arg)
{
	struct gateway_ssh *s = arg;

	s->looking = true;
	s->shown = false;
	if (!s->settled)
		ev_timer_set(s->entry.gateway->ev, &s->hold, GATEWAY_SSH_LOOK_MS);
	gateway_ssh_watch(s);
}

static void gateway_ssh_leave(struct gateway_ssh *s, int status)
{
	secsh_node_leave(s->entry.session, status);
	s->looking = false;
	gateway_ssh_set_screen(s, false);
}

static void gateway_ssh_on_typed(void *arg, struct str bytes)
{
	struct gateway_ssh *s = arg;

	if (bytes.len == 0) {
		s->looking = false;
		gateway_ssh_set_screen(s, false);
		if (!s->settled)
			gateway_ssh_settle(s);
		return;
	}
	for (size_t i = 0; i < bytes.len && s->shown && s->terminal; i++)
		if (memchr(gateway_ssh_end_keys, bytes.p[i], sizeof gateway_ssh_end_keys) != NULL)
			gateway_ssh_leave(s, 0);
}

/* ---- joining ---- */

static void gateway_ssh_on_served(void *arg, const struct visit *visit,
				  const struct core_served *what)
{
	gateway_ssh_screen_served(arg, visit, what);
}

static void gateway_ssh_on_expelled(void *arg, int why, const char *reason)
{
	gateway_ssh_end(arg, why, str_of(reason));
}

/* There is no assigned(): it offers nothing. */
static const struct member_owner gateway_ssh_member_owner = {
	.detached = gateway_ssh_on_detached,
	.served = gateway_ssh_on_served,
	.expelled = gateway_ssh_on_expelled,
};

static int gateway_ssh_join(struct gateway_ssh *s, char reason[CORE_REASON_TEXT])
{
	struct member_opt opt = {.session = s->entry.session,
				 .who = &s->entry.who.who,
				 .agent = s->entry.who.agent,
				 .peer = s->entry.who.peer,
				 .owner = &gateway_ssh_member_owner,
				 .kind = CORE_SESSION_SSH,
				 .arg = s};

	return member_join(s->entry.gateway->opt.core, &opt, &s->entry.member, reason);
}

static void gateway_ssh_on_hold(void *arg)
{
	gateway_ssh_settle(arg);
}

void gateway_ssh_begin(struct gateway_ssh *s, const struct core_login *login)
{
	struct gateway *g = s->entry.gateway;
	char reason[CORE_REASON_TEXT];
	uint32_t id;
	int e;

	ev_random(g->ev, &id, sizeof id);
	s->entry.who.agent.epoch = 1;
	str_printf(s->entry.who.agent.id, CORE_AGENT_TEXT, "ssh-%08x", id);
	s->entry.who.agent.drawn = true;
	s->entry.who.who = login->who;
	s->entry.kind = &gateway_ssh_kind;
	memcpy(s->number, login->number, sizeof s->number);
	s->hold = (struct ev_timer){.fn = gateway_ssh_on_hold, .arg = s};
	s->idle = (struct ev_timer){.fn = gateway_ssh_on_idle, .arg = s};
	s->leave = (struct ev_timer){.fn = gateway_ssh_on_leave, .arg = s};
	if ((e = gateway_ssh_join(s, reason)) != 0) {
		gateway_entry_log_refusal(&s->entry, e);
		gateway_ssh_end(s, e, str_of(reason));
		return;
	}
	list_del(&s->entry.link);
	g->n_starts--;
	ev_timer_stop(g->ev, &s->grace);
	s->open = true;
	gateway_entry_begin(&s->entry);
	gateway_ssh_watch(s);
	secsh_node_admit(s->entry.session, true, NULL);
}

/* ---- the words ---- */

/* It is called otherwise from now on. Returns false when the session has ended by it. */
static bool gateway_ssh_rename(struct gateway_ssh *s, const char *agent)
{
	struct gateway_entry *n = &s->entry;
	uint64_t was = n->number;
	char reason[CORE_REASON_TEXT];
	int e;

	if (agent[0] == '\0' || strcmp(agent, n->who.agent.id) == 0)
		return true;
	if (gateway_ssh_n(s, GATEWAY_SSH_ASKED) + gateway_ssh_n(s, GATEWAY_SSH_SERVED) > 0) {
		gateway_ssh_screen_say(s, "agent= has come too late: tunnels are served already\n");
		return true;
	}
	str_printf(n->who.agent.id, sizeof n->who.agent.id, "%s", agent);
	n->who.agent.drawn = false;
	member_leave(n->member); /* first: it may be the one too many */
	n->member = NULL;
	if ((e = gateway_ssh_join(s, reason)) != 0) {
		gateway_entry_log_refusal(n, e);
		gateway_ssh_end(s, e, str_of(reason));
		return false;
	}
	n->number = member_number(n->member);
	log_info(n->gateway->opt.log, "event=session-named session=%llu was=%llu agent=%s",
		 (unsigned long long)n->number, (unsigned long long)was, agent);
	return true;
}

/* Its words make no tunnel: text is what it gets instead. */
static void gateway_ssh_spoil(struct gateway_ssh *s, const char *text, int status)
{
	s->spoiled = true;
	(void)secsh_node_say(s->entry.session, str_of(text));
	gateway_ssh_leave(s, status);
	gateway_ssh_settle(s);
}

static void gateway_ssh_obey(struct gateway_ssh *s, bool terminal)
{
	s->spoiled = false;
	s->terminal = terminal;
	gateway_ssh_set_screen(s, true);
	if (!gateway_ssh_rename(s, s->words.agent))
		return;
	gateway_ssh_set_screen(s, true); /* of the member that it is now */
	gateway_ssh_screen_begin(s);
	if (s->n_forwards == 0)
		gateway_ssh_screen_say(s, "nothing is forwarded yet; ask for a tunnel with: ssh -R "
					  "80:localhost:3000 ... (help: the words that may follow "
					  "the host)\n");
	gateway_ssh_settle(s);
}

static void gateway_ssh_on_words(void *arg, struct str command, bool terminal)
{
	struct gateway_ssh *s = arg;
	char why[SSH_WORDS_WHY], text[GATEWAY_SSH_HELP_TEXT];
	int e = ssh_words_read(command, &s->words, why);

	s->looking = true;
	if (e != 0) {
		str_printf(text, sizeof text, "%s\n", why);
		gateway_ssh_spoil(s, text, 2);
	} else if (s->words.help) {
		str_printf(text, sizeof text, "words that may follow the host:\n%s",
			   ssh_words_help());
		gateway_ssh_spoil(s, text, 0);
	} else {
		gateway_ssh_obey(s, terminal);
	}
}

static void gateway_ssh_on_refused(void *arg, const char *what)
{
	const struct gateway_ssh *s = arg;
	char shown[GATEWAY_SSH_SHOWN];

	if (!gateway_ssh_may_log(s))
		return;
	show_quoted(shown, sizeof shown, str_of(what));
	log_info(s->entry.gateway->opt.log,
		 "event=channel-refused account=%s session=%llu peer=%s what=\"%s\"",
		 s->entry.who.who.account, (unsigned long long)s->entry.number,
		 s->entry.who.peer.ip, shown);
}

const struct secsh_node_owner gateway_ssh_owner = {
	.login = gateway_ssh_on_try,
	.forward = gateway_ssh_on_forward,
	.unforwarded = gateway_ssh_on_unforwarded,
	.cancelled = gateway_ssh_on_cancelled,
	.looking = gateway_ssh_on_looking,
	.words = gateway_ssh_on_words,
	.typed = gateway_ssh_on_typed,
	.refused = gateway_ssh_on_refused,
	.closed = gateway_ssh_on_closed,
};
