/*
 * What a person sees, on the node's side of SSH: one channel, on which text is shown and keys are
 * told of (RFC 4254 6).
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "session/secsh_inside.h"

static void screen_forget(struct secsh_node *n)
{
	buf_free(&n->screen.out);
	n->screen = (struct secsh_screen){.wire = NULL};
}

/* All has been said. */
static void screen_end(struct secsh_node *n)
{
	struct wire *w = n->screen.wire;
	ssh_channel ch = secsh_wire_channel(w);

	if (ch != NULL)
		(void)ssh_channel_request_send_exit_status(ch, n->screen.status);
	secsh_link_touch(&n->link);
	screen_forget(n);
	wire_close(w, 0);
}

static void screen_flush(struct secsh_node *n)
{
	struct secsh_screen *s = &n->screen;

	if (wire_write_buf(s->wire, &s->out) != 0)
		buf_free(&s->out); /* it is broken, and will be told so */
	if (s->out.len == 0 && s->leaving) {
		screen_end(n);
		return;
	}
	wire_want(s->wire, (s->ended ? 0 : WIRE_READ) | (s->out.len > 0 ? WIRE_WRITE : 0));
}

/* ---- the wire ---- */

static void screen_on_ready(void *arg, struct wire *w, int events)
{
	struct secsh_node *n = arg;
	struct str typed;
	int e;

	if (events & WIRE_READ) {
		e = wire_read(w, SECSH_COMMAND_MAX, &typed);
		if (e == ERR_EOF)
			n->screen.ended = true; /* no keys any more; somebody may still look */
		else if (e == 0 && !n->screen.leaving)
			n->owner->typed(n->arg, typed);
	}
	if (!n->link.dead && n->screen.wire == w)
		screen_flush(n);
}

static void screen_on_broken(void *arg, struct wire *w, int why)
{
	struct secsh_node *n = arg;
	bool leaving = n->screen.leaving;

	screen_forget(n);
	wire_close(w, 0);
	if (!leaving)
		n->owner->typed(n->arg, (struct str){NULL, 0});
}

static const struct wire_owner screen_owner = {screen_on_ready, screen_on_broken};

/* ---- what the peer asks for ---- */

void secsh_screen_on_open(struct secsh_node *n, ssh_message m)
{
	struct secsh_screen *s = &n->screen;

	if (s->wire != NULL && secsh_wire_is_over(s->wire))
		screen_on_broken(n, s->wire, ERR_RESET); /* the one before: it is not told yet */
	if (n->link.dead || s->wire != NULL) {
		secsh_link_refuse(&n->link, m);
		return;
	}
	if (secsh_wire_person(&n->link, m, &s->wire) != 0)
		return;
	wire_own(s->wire, &screen_owner, n);
	wire_want(s->wire, WIRE_READ);
	n->owner->looking(n->arg);
}

static void screen_take(ssh_message m)
{
	(void)ssh_message_channel_request_reply_success(m);
}

/* A shell, or a command, once. */
static void screen_on_words(struct secsh_node *n, ssh_message m, struct str command)
{
	if (n->screen.worded || command.len > SECSH_COMMAND_MAX) {
		secsh_link_refuse(&n->link, m);
		return;
	}
	n->screen.worded = true;
	screen_take(m);
	n->owner->words(n->arg, command, n->screen.terminal);
	ssh_message_free(m);
}

void secsh_screen_on_request(struct secsh_node *n, ssh_message m)
{
	struct secsh_screen *s = &n->screen;
	ssh_channel ch = s->wire == NULL ? NULL : secsh_wire_channel(s->wire);
	char what[64] = "subsystem ";

	if (ch == NULL || ssh_message_channel_request_channel(m) != ch) {
		secsh_link_refuse(&n->link, m);
		return;
	}
	switch (ssh_message_subtype(m)) {
	case SSH_CHANNEL_REQUEST_PTY:
		s->terminal = s->terminal || !s->worded;
		screen_take(m);
		ssh_message_free(m);
		return;
	case SSH_CHANNEL_REQUEST_SHELL: screen_on_words(n, m, (struct str){"", 0}); return;
	case SSH_CHANNEL_REQUEST_EXEC:
		screen_on_words(n, m, str_of(ssh_message_channel_request_command(m)));
		return;
	case SSH_CHANNEL_REQUEST_SUBSYSTEM:
		show_ascii(what + strlen(what), sizeof what - strlen(what),
			   str_of(ssh_message_channel_request_subsystem(m)));
		n->owner->refused(n->arg, what);
		break;
	case SSH_CHANNEL_REQUEST_X11: n->owner->refused(n->arg, "x11-req"); break;
	default: break; /* the environment, the size of the window: of no use, and no harm */
	}
	if (!n->link.dead)
		secsh_link_refuse(&n->link, m);
	else
		ssh_message_free(m);
}

/* ---- what the owner wants ---- */

bool secsh_node_say(struct session *session, struct str text)
{
	struct secsh_node *n = secsh_node_of(session);
	struct secsh_screen *s = &n->screen;
	size_t before = s->out.len;
	struct str line;
	int e = 0;

	if (s->wire == NULL || s->leaving || n->link.dead)
		return false;
	while (e == 0 && text.len > 0) {
		line = (struct str){text.p, str_find(text, '\n')};
		text.p += MIN(line.len + 1, text.len);
		e = buf_add(&s->out, line.p, line.len, SECSH_SCREEN_MAX);
		if (e == 0 && line.len < text.len)
			e = s->terminal ? buf_add(&s->out, "\r\n", 2, SECSH_SCREEN_MAX)
					: buf_add(&s->out, "\n", 1, SECSH_SCREEN_MAX);
		text.len -= MIN(line.len + 1, text.len);
	}
	if (e != 0 && before > 0) /* all of it or nothing: half a line would be worse */
		s->out.len = before;
	else if (e != 0)
		buf_free(&s->out);
	screen_flush(n);
	return e == 0;
}

void secsh_node_leave(struct session *session, int status)
{
	struct secsh_node *n = secsh_node_of(session);
	struct secsh_screen *s = &n->screen;

	if (s->wire == NULL || s->leaving || n->link.dead)
		return;
	s->leaving = true;
	s->status = status;
	screen_flush(n);
}

void secsh_screen_release(struct secsh_node *n)
{
	struct wire *w = n->screen.wire;

	if (w == NULL)
		return;
	screen_forget(n);
	wire_close(w, 0);
}
