/* A channel of SSH as a wire: what its owner does with it, and what libssh tells of it. */
#include "session/secsh_wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_wire_inside.h"

static struct secsh_wire *secsh_wire_of(struct wire *w)
{
	return (struct secsh_wire *)w;
}

/* ---- the states ---- */

void secsh_wire_move(struct secsh_wire *s, enum secsh_state to)
{
	struct secsh_link *l = s->link;

	if (s->state == SECSH_OPENING)
		l->n_opening--;
	list_del(&s->in);
	s->state = to;
	switch (to) {
	case SECSH_OPENING:
		l->n_opening++;
		list_push(&l->opening, &s->in);
		break;
	case SECSH_CLOSING: list_push(&l->closing, &s->in); break;
	case SECSH_LEAVING: list_push(&l->leaving, &s->in); break;
	case SECSH_GONE: list_push(&l->gone, &s->in); break;
	case SECSH_ASKED:
	case SECSH_OPEN:
	case SECSH_FREED: break;
	}
}

/* So many bytes more, or fewer, are unread. */
static void secsh_wire_hold(struct secsh_wire *s, ssize_t more)
{
	s->held += (size_t)more;
	if (s->link == NULL)
		return;
	s->link->held += (size_t)more;
	if (s->closed)
		s->link->held_going += (size_t)more;
}

void secsh_wire_free(struct secsh_wire *s)
{
	if (s->link != NULL && s->state != SECSH_ASKED)
		s->link->n_channels--;
	list_del(&s->in);
	ev_free_later(s->wire.ev, s);
}

/* ---- telling the owner ---- */

static size_t secsh_wire_room(const struct wire *w)
{
	const struct secsh_wire *s = (const struct secsh_wire *)w;

	if (s->link == NULL || s->why != 0 || s->shut || s->rx_closed || s->link->stalled ||
	    secsh_link_is_blocked(s->link))
		return 0;
	if (s->state == SECSH_ASKED)
		return SECSH_WRITE_MAX;
	if (s->state != SECSH_OPEN)
		return 0;
	return MIN(ssh_channel_window_size(s->ch), (uint32_t)SECSH_WRITE_MAX);
}

static bool secsh_wire_has_data(const struct secsh_wire *s)
{
	return s->rx.len > 0 || s->rx_direct.len > 0 || (s->held > 0 && !s->in_direct);
}

static int secsh_wire_events(const struct secsh_wire *s)
{
	int events = 0;

	if ((s->wanted & WIRE_READ) && (secsh_wire_has_data(s) || s->rx_eof))
		events |= WIRE_READ;
	if ((s->wanted & WIRE_WRITE) && secsh_wire_room(&s->wire) > 0)
		events |= WIRE_WRITE;
	return events;
}

/* What the peer had sent before its end is read first. */
static bool secsh_wire_is_broken(const struct secsh_wire *s)
{
	if (s->why == 0 || s->link == NULL || !s->rx_closed || s->failed)
		return s->why != 0;
	return !secsh_wire_has_data(s) && (s->eof_read || !s->rx_eof);
}

void secsh_wire_update(struct secsh_wire *s)
{
	if (!s->closed &&
	    ((secsh_wire_is_broken(s) && !s->told_broken) || secsh_wire_events(s) != 0))
		ev_task_run(s->wire.ev, &s->tell);
}

void secsh_wire_tell(void *arg)
{
	struct secsh_wire *s = arg;
	int events;

	if (s->closed || s->wire.owner == NULL)
		return;
	if (secsh_wire_is_broken(s)) {
		if (!s->told_broken) {
			s->told_broken = true;
			s->wire.owner->broken(s->wire.arg, &s->wire, s->why);
		}
		return;
	}
	if ((events = secsh_wire_events(s)) != 0) {
		s->wire.owner->ready(s->wire.arg, &s->wire, events);
		secsh_wire_update(s); /* level-triggered */
	}
}

void secsh_wire_break(struct secsh_wire *s, int why)
{
	if (s->why == 0)
		s->why = why;
	secsh_wire_update(s);
}

/* ---- receiving ---- */

/* The last view is used up. */
static void secsh_wire_settle(struct secsh_wire *s)
{
	size_t n = s->view.len;

	if (s->view_in_rx && n > 0) {
		buf_take(&s->rx, n);
		if (s->link != NULL)
			s->link->held -= n;
	} else if (n > 0) {
		s->rx_direct.p += n;
		s->rx_direct.len -= n;
	}
	s->view = (struct str){NULL, 0};
	s->view_in_rx = false;
}

/*
 * Take all that libssh has. All: after every call of this kind it opens the window anew whatever it
 * still holds, so small pieces would let a peer fill it without end.
 */
static int secsh_wire_pull(struct secsh_wire *s)
{
	size_t len = s->held;
	char *at;
	int n, e;

	if ((e = buf_room(&s->rx, len, SIZE_MAX, &at)) != 0)
		return e;
	n = ssh_channel_read_nonblocking(s->ch, at, (uint32_t)len, 0);
	if (n <= 0)
		return ERR_RESET;
	buf_added(&s->rx, (size_t)n);
	secsh_wire_hold(s, -(ssize_t)n);
	s->link->held += (size_t)n;
	secsh_link_touch(s->link);
	return 0;
}

static int secsh_wire_read(struct wire *w, size_t max, struct str *out)
{
	struct secsh_wire *s = secsh_wire_of(w);
	int e;

	secsh_wire_settle(s);
	if (s->rx.len == 0 && s->held > 0 && !s->in_direct && s->link != NULL &&
	    (e = secsh_wire_pull(s)) != 0) {
		secsh_wire_break(s, e);
		return e;
	}
	if (s->rx.len > 0) {
		s->view = (struct str){buf_str(&s->rx).p, MIN(s->rx.len, max)};
		s->view_in_rx = true;
	} else if (s->rx_direct.len > 0) {
		s->view = (struct str){s->rx_direct.p, MIN(s->rx_direct.len, max)};
	} else if (s->why != 0 && !(s->rx_closed && s->rx_eof)) {
		return s->why;
	} else if (s->rx_eof) {
		s->eof_read = true;
		secsh_wire_update(s);
		return ERR_EOF;
	} else {
		return ERR_AGAIN;
	}
	*out = s->view;
	return 0;
}

static void secsh_wire_unread(struct wire *w, size_t n)
{
	struct secsh_wire *s = secsh_wire_of(w);

	CHECK(n <= s->view.len);
	s->view.len -= n;
	secsh_wire_settle(s);
	secsh_wire_update(s);
}

static int secsh_wire_restore(struct wire *w, struct str bytes)
{
	struct secsh_wire *s = secsh_wire_of(w);
	int e;

	secsh_wire_settle(s);
	if (bytes.len > 0 && (e = buf_unshift(&s->rx, bytes.p, bytes.len, SIZE_MAX)) != 0)
		return e;
	if (s->link != NULL)
		s->link->held += bytes.len;
	secsh_wire_update(s);
	return 0;
}

/* Lend the owner what libssh has, in place. Returns how much of it was used. */
static size_t secsh_wire_deliver(struct secsh_wire *s, struct str data)
{
	size_t used;

	s->in_direct = true;
	s->rx_direct = data;
	s->wire.owner->ready(s->wire.arg, &s->wire, WIRE_READ);
	s->in_direct = false;
	if (s->closed || s->link == NULL) /* after our CLOSE no window may be opened: see turn */
		return 0;
	secsh_wire_settle(s);
	used = data.len - s->rx_direct.len;
	s->rx_direct = (struct str){NULL, 0};
	secsh_wire_hold(s, -(ssize_t)used);
	return used;
}

/* More of a fast stream is about to come: it can be delivered together, and in place. */
static bool secsh_wire_gathers(struct secsh_wire *s, size_t more, size_t len)
{
	if (more < SECSH_LARGE_PACKET || s->n_large < 2 || len >= SECSH_GATHER) {
		s->n_large += more >= SECSH_LARGE_PACKET;
		list_del(&s->gather);
		return false;
	}
	if (!list_linked(&s->gather))
		list_push(&s->link->gathering, &s->gather);
	return true;
}

/* The peer's answer to our open has come, at the latest now. Returns false if it has not. */
bool secsh_wire_is_answered(struct secsh_wire *s)
{
	if (s->state == SECSH_OPENING && ssh_channel_is_open(s->ch))
		secsh_wire_move(s, s->closed ? SECSH_CLOSING : SECSH_OPEN);
	return s->state != SECSH_OPENING;
}

/* libssh has bytes for us: those that were left, and new ones. */
static int secsh_wire_on_data(ssh_session ssh, ssh_channel ch, void *data, uint32_t len,
			      int is_stderr, void *arg)
{
	struct secsh_wire *s = arg;
	struct secsh_link *l = s->link;
	size_t used = 0, more;

	if (l == NULL || l->dead)
		return 0;
	l->seen_packets++; /* not one of those that may be a flood */
	if (!secsh_wire_is_answered(s) || s->state == SECSH_GONE || s->rx_eof || s->rx_closed) {
		secsh_link_fail(l, ERR_PROTO, STR("bytes on a channel that is not open"));
		return 0;
	}
	s->rx_any = true;
	if (is_stderr)
		return (int)len; /* nobody asked for such */
	more = len - s->held;
	session_count(&l->session, more);
	secsh_wire_hold(s, (ssize_t)more);
	if (len > SECSH_HELD_MAX || l->held > SECSH_HELD_MOST) {
		secsh_link_fail(l, ERR_LIMIT, STR("more bytes than the window has room for"));
		return 0;
	}
	if (l->in_get && (s->wanted & WIRE_READ) && s->rx.len == 0 && s->why == 0 && !s->closed &&
	    s->wire.owner != NULL) {
		if (secsh_wire_gathers(s, more, len))
			return 0;
		used = secsh_wire_deliver(s, (struct str){data, len});
	}
	secsh_wire_update(s);
	return (int)used;
}

static void secsh_wire_on_eof(ssh_session ssh, ssh_channel ch, void *arg)
{
	struct secsh_wire *s = arg;

	if (s->link == NULL || s->link->dead || !secsh_wire_is_answered(s))
		return;
	s->rx_eof = true;
	secsh_wire_update(s);
}

static void secsh_wire_on_close(ssh_session ssh, ssh_channel ch, void *arg)
{
	struct secsh_wire *s = arg;

	if (s->link == NULL || s->link->dead)
		return;
	if (s->state == SECSH_OPENING) /* opened and closed in one go */
		secsh_wire_move(s, s->closed ? SECSH_CLOSING : SECSH_OPEN);
	s->rx_closed = true;
	if (s->state == SECSH_LEAVING)
		secsh_wire_move(s, SECSH_GONE);
	else if (!s->rx_eof || !s->shut_sent)
		secsh_wire_break(s, ERR_RESET);
}

/* ---- sending ---- */

void secsh_wire_send_eof(struct secsh_wire *s)
{
	s->shut_sent = true;
	secsh_link_cork(s->link);
	if (!s->rx_closed)
		(void)ssh_channel_send_eof(s->ch);
	secsh_link_touch(s->link);
}

void secsh_wire_accept(struct wire *w)
{
	struct secsh_wire *s = secsh_wire_of(w);
	ssh_message m = s->ask;

	if (s->state != SECSH_ASKED || s->link == NULL || s->why != 0)
		return;
	s->ch = ssh_message_channel_request_open_reply_accept(m);
	if (s->ch == NULL) {
		(void)ssh_message_reply_default(m);
		secsh_wire_break(s, ERR_NOMEM);
	} else {
		(void)ssh_set_channel_callbacks(s->ch, &s->callbacks);
		s->link->n_channels++;
		secsh_wire_move(s, SECSH_OPEN);
	}
	ssh_message_free(m);
	s->ask = NULL;
	secsh_link_touch(s->link);
	secsh_wire_update(s);
}

/* One run of bytes for one write: the first piece where it is large, else small ones together. */
static struct str secsh_wire_gather(struct ev *ev, const struct iovec *iov, int n_iov, size_t max)
{
	char *to = ev_scratch(ev, EV_SCRATCH_OUT);
	size_t len = 0;

	while (n_iov > 1 && iov->iov_len == 0)
		iov++, n_iov--;
	if (n_iov == 1 || iov->iov_len >= SECSH_WRITE_MAX / 2)
		return (struct str){iov->iov_base, MIN(iov->iov_len, max)};
	for (int i = 0; i < n_iov && len < max; i++) {
		size_t n = MIN(iov[i].iov_len, max - len);

		if (n > 0)
			memmove(to + len, iov[i].iov_base, n);
		len += n;
	}
	return (struct str){to, len};
}

static int secsh_wire_fail(struct secsh_wire *s)
{
	s->failed = true;
	secsh_wire_break(s, ERR_RESET);
	return s->why;
}

static int secsh_wire_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	struct secsh_wire *s = secsh_wire_of(w);
	struct secsh_link *l = s->link;
	struct str data;
	size_t room;
	int n;

	*taken = 0;
	if (s->why != 0 || l == NULL)
		return secsh_wire_fail(s);
	CHECK(!s->shut);
	if (s->state == SECSH_ASKED)
		secsh_wire_accept(w);
	if ((room = secsh_wire_room(w)) == 0 || wire_iov_len(iov, n_iov) == 0)
		return s->why;
	data = secsh_wire_gather(w->ev, iov, n_iov, room);
	secsh_link_cork(l);
	n = secsh_guard_write(l, s->ch, data, &s->proof);
	secsh_link_touch(l);
	if (n < 0)
		return secsh_wire_fail(s);
	if (n == 0) { /* keys are being exchanged */
		l->stalled = true;
		if (l->rekey_ms == 0)
			l->rekey_ms = ev_now_ms(w->ev);
		return 0;
	}
	l->rekey_ms = 0;
	*taken = (size_t)n;
	session_count(&l->session, (size_t)n);
	return 0;
}

static void secsh_wire_shut(struct wire *w)
{
	struct secsh_wire *s = secsh_wire_of(w);

	if (s->shut)
		return;
	s->shut = true;
	if (s->link == NULL)
		return;
	if (s->state == SECSH_ASKED)
		secsh_wire_accept(w);
	if (s->state == SECSH_OPEN && s->why == 0)
		secsh_wire_send_eof(s);
}

void secsh_wire_unwrite(struct secsh_wire *s)
{
	if (list_linked(&s->writer) && s->link != NULL)
		s->link->n_writers--;
	list_del(&s->writer);
}

static void secsh_wire_want(struct wire *w, int events)
{
	struct secsh_wire *s = secsh_wire_of(w);

	s->wanted = events;
	if (!(events & WIRE_WRITE)) {
		secsh_wire_unwrite(s);
	} else if (!list_linked(&s->writer) && s->link != NULL) {
		list_push(&s->link->writers, &s->writer);
		s->link->n_writers++;
	}
	secsh_wire_update(s);
}

/* ---- the end ---- */

/* Its owner is gone: what it held is let go. */
static void secsh_wire_disown(struct secsh_wire *s)
{
	struct secsh_link *l = s->link;

	s->closed = true;
	s->wanted = 0;
	s->wire.owner = NULL;
	ev_task_cancel(&s->tell);
	secsh_wire_unwrite(s);
	list_del(&s->among);
	list_del(&s->gather);
	s->rx_direct = s->view = (struct str){NULL, 0};
	s->view_in_rx = false;
	if (l != NULL) {
		l->held -= s->rx.len;
		l->held_going += s->held;
		if (s->is_stream)
			l->session.n_streams--;
	}
	buf_free(&s->rx);
}

static void secsh_wire_close(struct wire *w, int why)
{
	struct secsh_wire *s = secsh_wire_of(w);
	struct secsh_link *l = s->link;

	secsh_wire_disown(s);
	if (l == NULL || s->state == SECSH_FREED) {
		secsh_wire_free(s);
		return;
	}
	if (s->state == SECSH_ASKED) {
		if (s->ask != NULL && !l->dead) {
			secsh_link_refuse(l, s->ask);
			s->ask = NULL;
		}
		ssh_message_free(s->ask);
		secsh_wire_free(s);
		secsh_link_touch(l);
		return;
	}
	if (s->state == SECSH_OPEN)
		secsh_wire_move(s, SECSH_CLOSING);
	secsh_link_soon(l);
}

/* ---- birth ---- */

static const struct wire_ops secsh_wire_ops = {
	.read = secsh_wire_read,
	.unread = secsh_wire_unread,
	.write = secsh_wire_write,
	.room = secsh_wire_room,
	.shut = secsh_wire_shut,
	.want = secsh_wire_want,
	.close = secsh_wire_close,
	.restore = secsh_wire_restore,
};

static int secsh_wire_new(struct secsh_link *l, bool is_stream, struct secsh_wire **out)
{
	struct secsh_wire *s;

	if (l->dead)
		return ERR_DRAIN;
	if (l->n_channels >= SECSH_STREAMS_MAX || l->session.n_streams >= SECSH_STREAMS_MAX)
		return ERR_LIMIT;
	if ((s = calloc(1, sizeof *s)) == NULL)
		return ERR_NOMEM;
	s->wire = (struct wire){.ops = &secsh_wire_ops,
				.ev = l->session.ev,
				.scratch = EV_SCRATCH_SESSION};
	s->link = l;
	s->is_stream = is_stream;
	s->tell = (struct ev_task){.fn = secsh_wire_tell, .arg = s};
	s->callbacks.userdata = s;
	s->callbacks.channel_data_function = secsh_wire_on_data;
	s->callbacks.channel_eof_function = secsh_wire_on_eof;
	s->callbacks.channel_close_function = secsh_wire_on_close;
	ssh_callbacks_init(&s->callbacks);
	*out = s;
	return 0;
}

/* It is a wire from now on. */
static void secsh_wire_begin(struct secsh_wire *s)
{
	list_push(&s->link->wires, &s->among);
	if (s->is_stream)
		s->link->session.n_streams++;
}

int secsh_wire_open(struct secsh_link *l, const struct secsh_wire_ends *ends, struct wire **out)
{
	struct secsh_wire *s = NULL;
	int e, rc;

	if ((e = secsh_wire_new(l, true, &s)) != 0)
		return e;
	if ((s->ch = ssh_channel_new(l->ssh)) == NULL) {
		free(s);
		return ERR_NOMEM;
	}
	l->n_channels++;
	s->opened_ms = ev_now_ms(s->wire.ev);
	secsh_wire_move(s, SECSH_OPENING);
	(void)ssh_set_channel_callbacks(s->ch, &s->callbacks);
	secsh_link_cork(l);
	rc = ssh_channel_open_reverse_forward(s->ch, ends->address, ends->port, ends->origin,
					      ends->origin_port);
	secsh_link_touch(l);
	secsh_wire_begin(s);
	if (rc == SSH_ERROR && s->state == SECSH_OPENING) {
		secsh_wire_move(s, SECSH_GONE);
		secsh_wire_break(s, ERR_TARGET); /* refused already, within the call */
	}
	*out = &s->wire;
	return 0;
}

int secsh_wire_incoming(struct secsh_link *l, ssh_message m, struct wire **out)
{
	struct secsh_wire *s;
	int e;

	if ((e = secsh_wire_new(l, true, &s)) != 0)
		return e;
	s->ask = m;
	secsh_wire_begin(s);
	*out = &s->wire;
	return 0;
}

int secsh_wire_person(struct secsh_link *l, ssh_message m, struct wire **out)
{
	struct secsh_wire *s;
	int e;

	if ((e = secsh_wire_new(l, false, &s)) != 0) {
		secsh_link_refuse(l, m);
		return e;
	}
	s->ask = m;
	secsh_wire_begin(s);
	secsh_wire_accept(&s->wire);
	if (s->why != 0) {
		wire_close(&s->wire, 0);
		return ERR_NOMEM;
	}
	*out = &s->wire;
	return 0;
}

bool secsh_wire_is_over(struct wire *w)
{
	return secsh_wire_of(w)->rx_closed;
}

ssh_channel secsh_wire_channel(struct wire *w)
{
	struct secsh_wire *s = secsh_wire_of(w);

	return s->state == SECSH_OPEN ? s->ch : NULL;
}
