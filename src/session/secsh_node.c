/*
 * The node's side of SSH: who asks for what, and what nobody gets.
 *
 * Three things can be asked for, and each has a file: to be admitted (secsh_login.c), visitors
 * (secsh_forward.c), and to see what happens (secsh_screen.c).
 */
#include "session/secsh_node.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/show.h"
#include "session/secsh_inside.h"

static void secsh_node_refuse(struct secsh_node *n, ssh_message m, const char *what)
{
	n->owner->refused(n->arg, what);
	if (!n->link.dead)
		secsh_link_refuse(&n->link, m);
	else
		ssh_message_free(m);
}

static void secsh_node_on_open(struct secsh_node *n, ssh_message m)
{
	switch (ssh_message_subtype(m)) {
	case SSH_CHANNEL_SESSION: secsh_screen_on_open(n, m); break;
	case SSH_CHANNEL_DIRECT_TCPIP: secsh_node_refuse(n, m, "direct-tcpip"); break;
	case SSH_CHANNEL_FORWARDED_TCPIP: secsh_node_refuse(n, m, "forwarded-tcpip"); break;
	case SSH_CHANNEL_X11: secsh_node_refuse(n, m, "x11"); break;
	case SSH_CHANNEL_AUTH_AGENT: secsh_node_refuse(n, m, "auth-agent"); break;
	default: secsh_node_refuse(n, m, "an unknown kind of channel"); break;
	}
}

static void secsh_node_on_message(void *arg, ssh_message m)
{
	struct secsh_node *n = arg;

	if (!n->admitted) {
		secsh_login_on_message(n, m);
		return;
	}
	switch (ssh_message_type(m)) {
	case SSH_REQUEST_CHANNEL_OPEN: secsh_node_on_open(n, m); break;
	case SSH_REQUEST_CHANNEL: secsh_screen_on_request(n, m); break;
	case SSH_REQUEST_GLOBAL: secsh_forward_on_message(n, m); break;
	default: /* nobody logs in twice */
		ssh_message_free(m);
		secsh_link_fail(&n->link, ERR_PROTO, STR("a request that does not belong here"));
		break;
	}
}

static void secsh_node_on_turn(void *arg)
{
	struct secsh_node *n = arg;

	if (n->peer[0] == '\0')
		show_ascii(n->peer, sizeof n->peer, str_of(ssh_get_clientbanner(n->link.ssh)));
	if (!n->admitted)
		secsh_login_on_turn(n);
}

static void secsh_node_on_release(void *arg)
{
	struct secsh_node *n = arg;

	secsh_screen_release(n);
	secsh_forward_release(n);
	secsh_login_release(n);
}

static void secsh_node_on_closed(void *arg, int why, struct str reason)
{
	struct secsh_node *n = arg;

	n->owner->closed(n->arg, why, reason);
}

static const struct secsh_link_owner secsh_node_link_owner = {
	.message = secsh_node_on_message,
	.turn = secsh_node_on_turn,
	.release = secsh_node_on_release,
	.closed = secsh_node_on_closed,
};

static void secsh_node_close(struct session *s, int why, struct str reason)
{
	struct secsh_node *n = secsh_node_of(s);

	if (!n->link.dead && reason.len > 0 && secsh_node_say(s, reason))
		(void)secsh_node_say(s, STR("\n"));
	if (!n->link.dead)
		secsh_node_leave(s, 1);
	secsh_link_close(s, why, reason);
}

const char *secsh_node_peer(const struct session *s)
{
	return secsh_node_of(s)->peer;
}

/* The protocol has no word for it, so the peer hears nothing: its owner ends it when that does the
 * least harm. */
static void secsh_node_drain(struct session *s)
{
	s->is_leaving = true;
}

static const struct session_ops secsh_node_ops = {
	.open = secsh_forward_open,
	.tell = secsh_link_tell,
	.ping = secsh_link_ping,
	.drain = secsh_node_drain,
	.close = secsh_node_close,
};

/* libssh gets a descriptor of its own, which is closed with it, now or later. */
static int secsh_node_begin(struct secsh_node *n, const struct secsh_node_opt *opt, int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), e;

	if (own < 0)
		return ERR_NOMEM;
	if ((e = secsh_link_watch(&n->link, own)) != 0)
		goto out;
	e = ERR_NOMEM;
	if (ssh_options_set(n->link.ssh, SSH_OPTIONS_COMPRESSION_C_S, "none") != SSH_OK ||
	    ssh_options_set(n->link.ssh, SSH_OPTIONS_COMPRESSION_S_C, "none") != SSH_OK)
		goto out;
	if (ssh_bind_accept_fd(secsh_keys_bind(opt->keys), n->link.ssh, own) != SSH_OK) {
		own = ssh_get_fd(n->link.ssh) == own ? -1 : own;
		goto out;
	}
	(void)ssh_handle_key_exchange(n->link.ssh); /* our hello; the pump sees what came of it */
	return 0;
out:
	if (own >= 0)
		close(own);
	return e;
}

int secsh_node_new(struct ev *ev, int fd, const struct secsh_node_opt *opt, struct session **out)
{
	struct secsh_node *n = calloc(1, sizeof *n);
	ssh_session ssh = ssh_new();
	int e;

	if (n == NULL || ssh == NULL) {
		ssh_free(ssh);
		free(n);
		return ERR_NOMEM;
	}
	n->owner = opt->owner;
	n->arg = opt->arg;
	n->methods = opt->methods;
	n->tries_max = opt->tries_max;
	n->prompt = opt->prompt;
	list_init(&n->waiting);
	list_init(&n->forwards);
	n->link.session.ops = &secsh_node_ops;
	secsh_link_start(&n->link, ev, ssh, &secsh_node_link_owner, n);
	secsh_link_join(&n->link, opt->share);
	if ((e = secsh_node_begin(n, opt, fd)) != 0) {
		secsh_link_undo(&n->link);
		return e;
	}
	close(fd);
	*out = &n->link.session;
	return 0;
}
