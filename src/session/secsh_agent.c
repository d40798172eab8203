/*
 * One session at a time of an agent with an SSH server: connecting, the host's key, the login, the
 * forwards, and the visitors that come through them.
 *
 * Until the login is done, and while the port is awaited that the server chooses, it drives libssh
 * by hand: those calls have to be made again and again by whoever began them. libssh reads that
 * port from the packet that came last, whatever that is; so one forward is asked for after the
 * other, and nothing else reads meanwhile.
 */
#include "session/secsh_agent.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_known.h"
#include "session/secsh_prove.h"
#include "session/secsh_wire.h"

/* A server that says nothing for so long, before it has admitted us, is given up. */
#define GREET_MS 30000
/*
 * Bytes that may come while one port is awaited that the server chooses: nothing is handed out
 * meanwhile. It is room for more visitors of earlier forwards than there may be at a time.
 */
#define ANSWER_MAX (1024 * 1024)
/* What visits are said to be for: there is no tunnel with a name here. */
#define TUNNEL "ssh"

struct forward {
	char *address; /* owned */
	uint16_t port; /* asked for */
	int bound;     /* where the server listens; 0: nowhere */
	bool answered;
};

enum phase { CONNECT, LOGIN, SERVE };

/* The session. Its memory is the link's. */
struct client {
	struct secsh_link link;	   /* first */
	struct secsh_agent *agent; /* weak: NULL after session_close() */
	enum phase phase;
	struct secsh_prove prove;
	struct ev_timer silence;  /* until SERVE */
	uint64_t heard;		  /* bytes, when silence was set last */
	bool asked;		  /* a person has been asked since then */
	struct ev_timer login;	  /* until SERVE: for the phase, whatever comes meanwhile */
	bool thought;		  /* a person has been asked since it was set */
	struct forward *forwards; /* owned: [n] */
	size_t n, n_answered;
	struct forward *asking; /* borrowed, of forwards: the one that was asked for; or NULL */
	uint64_t asked_at;	/* bytes that had come then */
};

struct secsh_agent {
	struct ev *ev;
	struct secsh_agent_asks asks, own; /* the caller's; ours, which notes that it was used */
	const struct secsh_agent_owner *owner;
	void *arg;
	struct secsh_where where;
	uint32_t login_ms;
	struct secsh_secrets secrets;
	ssh_key trusted;       /* owned: the host's key that was accepted last; NULL: none yet */
	struct client *client; /* weak: cleared when it ends */
};

/* ---- asking ---- */

static int agent_on_ask(void *arg, const char *prompt, bool echo, char *out, size_t cap)
{
	struct secsh_agent *a = arg;

	if (a->client != NULL)
		a->client->asked = a->client->thought = true;
	return a->asks.ask(a->asks.arg, prompt, echo, out, cap);
}

static void agent_on_say(void *arg, const char *text)
{
	struct secsh_agent *a = arg;

	a->asks.say(a->asks.arg, text);
}

/* ---- connecting ---- */

/* libssh makes its descriptor a blocking one when it is connected. */
static void client_unblock(struct client *c)
{
	int fd = ssh_get_fd(c->link.ssh), flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* What libssh calls an error. */
static void client_fail_connect(struct client *c)
{
	const char *words = ssh_get_error(c->link.ssh);
	bool cut = strncmp(words, "Socket error", 12) == 0;

	if (cut && c->link.socket.in_bytes == 0 && c->agent != NULL &&
	    c->agent->where.proxy != NULL)
		words = "the proxy has ended before the server has said a word";
	else if (cut && c->link.socket.in_bytes == 0)
		words = "the server has ended the connection before it said a word";
	secsh_link_fail(&c->link, cut ? ERR_EOF : ERR_PROTO, str_of(words));
}

static int client_check_host(struct client *c)
{
	struct secsh_agent *a = c->agent;
	char why[SECSH_WHY_TEXT] = "the server has shown no key";
	ssh_key key = NULL;
	int e = ERR_CERT;

	if (ssh_get_server_publickey(c->link.ssh, &key) != SSH_OK)
		goto out;
	if (a->trusted != NULL && ssh_key_cmp(a->trusted, key, SSH_KEY_CMP_PUBLIC) == 0) {
		e = 0;
		goto out;
	}
	if ((e = secsh_known_judge(&a->where, &a->own, a->trusted, key, why)) == 0) {
		SSH_KEY_FREE(a->trusted);
		MOVE(a->trusted, key);
	}
out:
	SSH_KEY_FREE(key);
	if (e != 0)
		secsh_link_fail(&c->link, e, str_of(why));
	return e;
}

static bool client_connect(struct client *c)
{
	int rc = ssh_connect(c->link.ssh);

	client_unblock(c);
	if (rc != SSH_ERROR) /* what is still called an option it would never close */
		(void)ssh_options_set(c->link.ssh, SSH_OPTIONS_FD, NULL);
	if (rc == SSH_AGAIN)
		return false;
	if (rc != SSH_OK) {
		client_fail_connect(c);
		return false;
	}
	if (client_check_host(c) != 0)
		return false;
	c->phase = LOGIN;
	ev_timer_set(c->link.session.ev, &c->login, c->agent->login_ms);
	return true;
}

/*
 * The next forward to ask for. Those whose port the server chooses come first: before there is any
 * other there is no visitor either, whose packets could come behind the answer.
 */
static struct forward *client_next(struct client *c)
{
	struct forward *next = NULL;

	for (size_t i = c->n; i-- > 0;) {
		struct forward *f = &c->forwards[i];

		if (!f->answered && (next == NULL || f->port == 0 || next->port != 0))
			next = f;
	}
	return next;
}

static bool client_begin_ask(struct client *c)
{
	if (c->asking != NULL)
		return true;
	if (!secsh_link_may_ask(&c->link))
		return false;
	c->asking = client_next(c);
	c->asked_at = c->link.socket.in_bytes;
	c->link.asking = true;
	if (c->asking->port == 0)
		secsh_link_by_hand(&c->link, true);
	return true;
}

static void client_stop_timers(struct client *c)
{
	ev_timer_stop(c->link.session.ev, &c->silence);
	ev_timer_stop(c->link.session.ev, &c->login);
}

static bool client_log_in(struct client *c)
{
	struct secsh_agent *a = c->agent;
	char why[SESSION_REASON_MAX];
	int e = secsh_prove_step(&c->prove, c->link.ssh, why);

	if (e == ERR_AGAIN)
		return false;
	if (e != 0) {
		secsh_link_fail(&c->link, e, str_of(why));
		return false;
	}
	c->phase = SERVE;
	client_stop_timers(c);
	secsh_link_by_hand(&c->link, false);
	if (c->n > 0)
		(void)client_begin_ask(c); /* before the first ping is out */
	secsh_link_up(&c->link);
	a->owner->up(a->arg, a->where.host, a->where.user);
	return true;
}

static void client_on_silence(void *arg)
{
	struct client *c = arg;

	if (!c->asked) {
		secsh_link_fail(&c->link, ERR_TIMEOUT,
				STR("the server says nothing and does not let us in"));
		return;
	}
	c->asked = false; /* a person's time is not the server's */
	ev_timer_set(c->link.session.ev, &c->silence, GREET_MS);
}

/* It does say something, and that is all. */
static void client_on_login(void *arg)
{
	struct client *c = arg;

	if (!c->thought) {
		secsh_link_fail(&c->link, ERR_TIMEOUT,
				STR("the server does not let us in in time"));
		return;
	}
	c->thought = false;
	ev_timer_set(c->link.session.ev, &c->login, c->agent->login_ms);
}

/* ---- asking for forwards ---- */

/* Whether the connection is dead; the link is told. */
static bool client_is_dead(struct client *c)
{
	if (ssh_is_connected(c->link.ssh) &&
	    (ssh_get_status(c->link.ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) == 0)
		return false;
	secsh_link_fail(&c->link, ERR_EOF, STR(""));
	return true;
}

static void client_answered(struct client *c, int e)
{
	struct secsh_agent *a = c->agent;
	struct forward *f = c->asking;

	f->answered = true;
	c->n_answered++;
	c->asking = NULL;
	c->link.asking = false;
	secsh_link_by_hand(&c->link, false); /* and read what came while we did */
	a->owner->forwarded(a->arg, (size_t)(f - c->forwards), e, (uint16_t)f->bound);
}

/* Ask for the next forward, or go on asking. Returns true when there may be another one. */
static bool client_ask(struct client *c)
{
	struct forward *f;
	int rc, port = 0;

	if (!client_begin_ask(c))
		return false;
	f = c->asking;
	rc = ssh_channel_listen_forward(c->link.ssh, f->address, f->port, &port);
	if (rc != SSH_OK && client_is_dead(c))
		return false;
	if (rc == SSH_AGAIN) {
		if (c->link.by_hand && c->link.socket.in_bytes - c->asked_at > ANSWER_MAX)
			secsh_link_fail(&c->link, ERR_LIMIT,
					STR("the server sends much, and no answer to a forward"));
		return false;
	}
	if (rc == SSH_OK && f->port == 0 && (port <= 0 || port > 65535)) {
		secsh_link_fail(&c->link, ERR_PROTO,
				STR("the server did not say which port it has allocated"));
		return false;
	}
	if (rc == SSH_OK)
		f->bound = f->port != 0 ? f->port : port;
	client_answered(c, rc == SSH_OK ? 0 : ERR_DENIED);
	return true;
}

/* ---- visitors ---- */

/* RFC 4254 7.2: a channel names the forward by what was asked for. */
static struct forward *client_find(struct client *c, const char *address, int port)
{
	for (size_t i = 0; i < c->n; i++) {
		struct forward *f = &c->forwards[i];

		if (f->bound != 0 && f->bound == port && strcmp(f->address, address) == 0)
			return f;
	}
	return NULL;
}

static void client_visit(struct client *c, ssh_message m)
{
	struct secsh_agent *a = c->agent;
	const char *address = ssh_message_channel_request_open_destination(m);
	const char *origin = ssh_message_channel_request_open_originator(m);
	int port = ssh_message_channel_request_open_originator_port(m);
	struct visit v = {.ingress = VISIT_TCP, .tunnel = TUNNEL};
	struct forward *f;
	struct wire *w;

	f = client_find(c, address != NULL ? address : "",
			ssh_message_channel_request_open_destination_port(m));
	if (f == NULL) {
		secsh_link_refuse(&c->link, m);
		return;
	}
	if (visit_end_set(&v.visitor, str_of(origin), (uint16_t)port) != 0)
		v.visitor = (struct visit_end){.ip = ""};
	v.local.port = (uint16_t)f->bound;
	if (secsh_wire_incoming(&c->link, m, &w) != 0) {
		secsh_link_refuse(&c->link, m);
		return;
	}
	a->owner->visit(a->arg, (size_t)(f - c->forwards), &v, w);
}

/* ---- the link ---- */

/* Whether anything may still be done: the owner may have closed us, or a step has failed. */
static bool client_goes_on(const struct client *c)
{
	return c->agent != NULL && !c->link.dead;
}

static void client_on_message(void *arg, ssh_message m)
{
	struct client *c = arg;

	/* the answer may have come in the same piece, right before the visitor */
	if (client_goes_on(c) && c->phase == SERVE && c->asking != NULL)
		(void)client_ask(c);
	if (client_goes_on(c) && c->phase == SERVE &&
	    ssh_message_type(m) == SSH_REQUEST_CHANNEL_OPEN &&
	    ssh_message_subtype(m) == SSH_CHANNEL_FORWARDED_TCPIP)
		client_visit(c, m);
	else
		secsh_link_refuse(&c->link, m);
}

static void client_on_turn(void *arg)
{
	struct client *c = arg;

	if (client_goes_on(c) && c->phase != SERVE && c->link.socket.in_bytes != c->heard) {
		c->heard = c->link.socket.in_bytes;
		ev_timer_set(c->link.session.ev, &c->silence, GREET_MS);
	}
	while (client_goes_on(c)) {
		bool more = c->phase == CONNECT	   ? client_connect(c)
			    : c->phase == LOGIN	   ? client_log_in(c)
			    : c->n_answered < c->n ? client_ask(c)
						   : false;

		if (!more)
			break;
	}
}

static void client_on_release(void *arg)
{
	struct client *c = arg;

	client_stop_timers(c);
	secsh_prove_free(&c->prove);
	for (size_t i = 0; i < c->n; i++)
		free(c->forwards[i].address);
	free(c->forwards);
	c->forwards = NULL;
	c->n = 0;
}

static void client_on_closed(void *arg, int why, struct str reason)
{
	struct client *c = arg;
	struct secsh_agent *a = c->agent;

	if (a == NULL)
		return;
	c->agent = NULL;
	a->client = NULL;
	a->owner->closed(a->arg, why, reason);
}

static const struct secsh_link_owner client_owner = {
	.message = client_on_message,
	.turn = client_on_turn,
	.release = client_on_release,
	.closed = client_on_closed,
};

/* ---- a session ---- */

static int client_open(struct session *s, const struct visit *visit, struct wire **out)
{
	return ERR_UNSUPPORTED;
}

static void client_close(struct session *s, int why, struct str reason)
{
	struct client *c = (struct client *)secsh_link_of(s);

	if (c->agent != NULL)
		c->agent->client = NULL;
	c->agent = NULL;
	client_stop_timers(c); /* it may outlive this call, not its owner */
	secsh_link_close(s, why, reason);
}

static const struct session_ops client_ops = {
	.open = client_open,
	.tell = secsh_link_tell,
	.ping = secsh_link_ping,
	.drain = secsh_link_drain,
	.close = client_close,
};

static int client_new(struct secsh_agent *a, const struct secsh_agent_forward *forwards, size_t n,
		      struct client **out)
{
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL || (c->forwards = calloc(MAX(n, 1), sizeof *c->forwards)) == NULL)
		goto fail;
	for (; c->n < n; c->n++) {
		struct forward *f = &c->forwards[c->n];

		if ((f->address = str_dup(str_of(forwards[c->n].address))) == NULL)
			goto fail;
		f->port = forwards[c->n].port;
	}
	c->agent = a;
	c->prove =
		(struct secsh_prove){.where = &a->where, .asks = &a->own, .secrets = &a->secrets};
	c->silence = (struct ev_timer){.fn = client_on_silence, .arg = c};
	c->login = (struct ev_timer){.fn = client_on_login, .arg = c};
	*out = c;
	return 0;
fail:
	if (c != NULL) {
		for (size_t i = 0; i < c->n; i++)
			free(c->forwards[i].address);
		free(c->forwards);
	}
	free(c);
	return ERR_NOMEM;
}

/* libssh's session, as the configuration wants it. */
static int agent_ssh(const struct secsh_agent *a, ssh_session *out, char why[SECSH_WHY_TEXT])
{
	char kinds[SECSH_KINDS_TEXT];
	ssh_session ssh = ssh_new();
	int e = ERR_NOMEM;

	if (ssh == NULL || (e = secsh_where_apply(&a->where, ssh, why)) != 0)
		goto out;
	if (a->where.config.values[SECSH_O_HOST_KEYS] == NULL) {
		secsh_known_kinds(&a->where, kinds);
		if (ssh_options_set(ssh, SSH_OPTIONS_HOSTKEYS, kinds) != 0) {
			e = ERR_NOMEM;
			goto out;
		}
	}
	MOVE(*out, ssh);
out:
	ssh_free(ssh);
	return e;
}

/* The proxy, if there is one, is started by the first call of ssh_connect(). */
static int client_dial(struct client *c, int fd)
{
	if (fd > UINT16_MAX) /* libssh keeps 16 bits of it */
		return ERR_NOFILE;
	if (fd >= 0) {
		if (ssh_options_set(c->link.ssh, SSH_OPTIONS_FD, &fd) != 0)
			return ERR_NOMEM;
		return secsh_link_watch(&c->link, fd);
	}
	if (ssh_connect(c->link.ssh) == SSH_ERROR) { /* it has ended already */
		client_fail_connect(c);
		return 0;
	}
	client_unblock(c);
	return secsh_link_watch(&c->link, ssh_get_fd(c->link.ssh));
}

int secsh_agent_start(struct secsh_agent *a, int fd, const struct secsh_agent_forward *forwards,
		      size_t n, struct session **out)
{
	char why[SECSH_WHY_TEXT];
	struct client *c = NULL;
	ssh_session ssh = NULL;
	uint32_t said_ms;
	int e;

	CHECK(a->client == NULL && n <= SECSH_SPECS_MAX && (fd >= 0 || a->where.proxy != NULL));
	if ((e = agent_ssh(a, &ssh, why)) != 0)
		return ERR_NOMEM; /* it has worked once */
	if ((e = client_new(a, forwards, n, &c)) != 0)
		goto out;
	secsh_link_start(&c->link, a->ev, ssh, &client_owner, c);
	ssh = NULL;
	c->link.session.ops = &client_ops;
	secsh_link_by_hand(&c->link, true);
	if ((e = client_dial(c, fd)) != 0) {
		client_on_release(c);
		secsh_link_undo(&c->link);
		return e;
	}
	a->client = c;
	ev_timer_set(a->ev, &c->silence, GREET_MS);
	said_ms = secsh_agent_dial_ms(a);
	ev_timer_set(a->ev, &c->login, said_ms != 0 ? said_ms : a->login_ms);
	secsh_link_soon(&c->link);
	*out = &c->link.session;
out:
	ssh_free(ssh);
	return e;
}

/* ---- the agent ---- */

int secsh_agent_new(struct ev *ev, const struct secsh_agent_opt *opt, struct secsh_agent **out,
		    char why[SECSH_WHY_TEXT])
{
	struct secsh_agent *a = calloc(1, sizeof *a);
	ssh_session ssh = NULL;
	int e = ERR_NOMEM;

	str_printf(why, SECSH_WHY_TEXT, "%s", err_text(ERR_NOMEM));
	if (a == NULL)
		goto out;
	a->ev = ev;
	a->asks = opt->asks;
	a->own = (struct secsh_agent_asks){.ask = agent_on_ask, .say = agent_on_say, .arg = a};
	a->owner = opt->owner;
	a->arg = opt->arg;
	a->login_ms = opt->login_ms != 0 ? opt->login_ms : SECSH_LOGIN_MS;
	if ((e = secsh_where_find(&a->where, opt, why)) != 0)
		goto out;
	if ((e = agent_ssh(a, &ssh, why)) != 0) /* what libssh does not take is said now */
		goto out;
	MOVE(*out, a);
out:
	ssh_free(ssh);
	secsh_agent_free(a);
	return e;
}

const char *secsh_agent_host(const struct secsh_agent *a)
{
	return a->where.host;
}

uint16_t secsh_agent_port(const struct secsh_agent *a)
{
	return a->where.port;
}

const char *secsh_agent_user(const struct secsh_agent *a)
{
	return a->where.user;
}

bool secsh_agent_is_proxied(const struct secsh_agent *a)
{
	return a->where.proxy != NULL;
}

uint32_t secsh_agent_dial_ms(const struct secsh_agent *a)
{
	uint64_t s = secsh_config_number(&a->where.config, SECSH_O_CONNECT_TIMEOUT, 0);

	return (uint32_t)MIN(s * 1000, INT32_MAX);
}

bool secsh_agent_is_all_or_none(const struct secsh_agent *a)
{
	return secsh_config_yes(&a->where.config, SECSH_O_ALL_OR_NOTHING, false);
}

void secsh_agent_free(struct secsh_agent *a)
{
	if (a == NULL)
		return;
	CHECK(a->client == NULL);
	SSH_KEY_FREE(a->trusted);
	secsh_secrets_free(&a->secrets);
	secsh_where_free(&a->where);
	free(a);
}

void secsh_agent_accept(struct wire *w)
{
	secsh_wire_accept(w);
}
