/*
 * libssh in the loop: the pump, liveness, floods, and the end of a session.
 *
 * libssh closes its descriptor by itself when anything goes wrong, and the number may be another
 * connection's in the next moment; so what is watched is a second descriptor of the same
 * connection. It also lets our last words arrive after libssh is gone.
 */
#include "session/secsh_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/show.h"
#include "session/secsh_wire.h"
#include "wire/linger.h"
#include "wire/wire_tcp.h"

/* What libssh reads at once; less than that, and there is no more for now. */
#define PIECE 4096

/* How long a closed session waits for the peer to read why. */
#define CLOSE_LINGER_MS	   2000
#define CLOSE_LINGER_BYTES (64 * 1024 * 1024)

/* The first round trip is measured so late: before, a client's small packets wait for each other.
 */
#define FIRST_PING_MS 1000

#define DISCONNECT_TEXT "Received SSH_MSG_DISCONNECT: "

static void link_pump(struct secsh_link *l);

/* ---- packets of one turn leave together ---- */

static void link_uncork(struct secsh_link *l)
{
	ev_task_cancel(&l->uncork);
	if (l->n_sends > 1)
		wire_tcp_cork(l->fd, false);
	l->n_sends = 0;
}

static void link_on_uncork(void *arg)
{
	link_uncork(arg);
}

void secsh_link_cork(struct secsh_link *l)
{
	if (l->fd < 0 || l->dead)
		return;
	l->n_sends++;
	if (l->n_sends == 1)
		ev_task_run(l->session.ev, &l->uncork);
	else if (l->n_sends == 2)
		wire_tcp_cork(l->fd, true);
}

/* ---- the end ---- */

/* What libssh says about its end, as an error and the peer's words. */
static int link_verdict(struct secsh_link *l, struct str *reason)
{
	struct str text = str_of(ssh_get_error(l->ssh)), code;

	*reason = (struct str){NULL, 0};
	if (str_starts(text, STR(DISCONNECT_TEXT))) {
		text.p += sizeof DISCONNECT_TEXT - 1;
		text.len -= sizeof DISCONNECT_TEXT - 1;
		if (str_next(&text, ':', &code) && text.p != NULL)
			*reason = text;
		return ERR_EOF;
	}
	if (str_eq(text, STR("Socket error: disconnected")))
		return ERR_EOF;
	if (str_starts(text, STR("Socket error: ")))
		return ERR_RESET;
	*reason = text;
	return ERR_PROTO;
}

static bool link_is_over(const struct secsh_link *l)
{
	return (ssh_get_status(l->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0;
}

/* Our last words. Only what a terminal can take: the peer will print it. */
static void link_say_why(struct secsh_link *l)
{
	char words[SESSION_REASON_MAX + 1];
	ssh_message m;

	show_line(words, sizeof words, (struct str){l->reason, l->reason_len});
	(void)ssh_session_set_disconnect_message(l->ssh,
						 words[0] != '\0' ? words : err_text(l->why));
	(void)ssh_blocking_flush(l->ssh, 0);
	/* After a write libssh does not write again before it has polled, and ssh_disconnect() does
	 * not poll. */
	for (int i = 0; i < SECSH_PACKETS && (m = ssh_message_get(l->ssh)) != NULL; i++)
		ssh_message_free(m);
	if (!link_is_over(l))
		ssh_disconnect(l->ssh);
}

static void link_end(struct secsh_link *l, int why_wires, bool say)
{
	struct wire *last = NULL;

	l->dead = true;
	ev_timer_stop(l->session.ev, &l->alive);
	ev_task_cancel(&l->soon);
	ev_task_cancel(&l->teardown);
	link_uncork(l);
	secsh_part_leave(&l->part);
	l->owner->release(l->arg);
	secsh_wire_orphan(l, why_wires);
	ev_io_free(l->io);
	l->io = NULL;
	if (say && !link_is_over(l))
		link_say_why(l);
	ssh_free(l->ssh);
	l->ssh = NULL;
	if (l->fd >= 0 && say && wire_tcp_new(l->session.ev, l->fd, NET_SESSION, &last) == 0)
		wire_linger(last, CLOSE_LINGER_MS, CLOSE_LINGER_BYTES);
	else if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	ev_free_later(l->session.ev, l);
}

static void link_note_why(struct secsh_link *l, int why, struct str reason)
{
	l->why = why;
	l->reason_len = MIN(reason.len, (size_t)SESSION_REASON_MAX);
	if (l->reason_len > 0)
		memcpy(l->reason, reason.p, l->reason_len);
}

static void link_on_teardown(void *arg)
{
	struct secsh_link *l = arg;
	bool gone = l->why == ERR_EOF || l->why == ERR_RESET || l->why == ERR_DEAD;
	char reason[SESSION_REASON_MAX];
	struct str text = {reason, l->reason_len};

	memcpy(reason, l->reason, l->reason_len);
	link_end(l, ERR_RESET, !gone);
	l->owner->closed(l->arg, l->why, text);
}

void secsh_link_fail(struct secsh_link *l, int why, struct str reason)
{
	if (l->dead)
		return;
	l->dead = true;
	link_note_why(l, why, reason);
	if (l->io != NULL)
		ev_io_want(l->io, 0);
	ev_task_run(l->session.ev, &l->teardown);
}

void secsh_link_close(struct session *s, int why, struct str reason)
{
	struct secsh_link *l = secsh_link_of(s);

	if (l->closing_soon)
		return;
	l->closing_soon = true;
	if (!l->dead)
		link_note_why(l, why, reason);
	l->dead = true;
	ev_task_cancel(&l->teardown);
	if (!l->in_pump)
		link_end(l, ERR_CLOSED, true);
}

/* ---- liveness ---- */

bool secsh_link_may_ask(const struct secsh_link *l)
{
	return l->ping_ns == 0 && !l->asking;
}

static void link_send_ping(struct secsh_link *l)
{
	if (!l->up || l->by_hand || !secsh_link_may_ask(l))
		return; /* what is out already is as good a question */
	(void)ssh_send_keepalive(l->ssh);
	l->ping_ns = ev_now_ns(l->session.ev);
	l->session.asked_ms = MAX(ev_now_ms(l->session.ev), 1);
	secsh_link_soon(l);
}

/*
 * Has the ping been answered? ssh_send_keepalive() does not say; but while a global request is out,
 * every call that makes one only asks for the answer to it.
 */
static void link_look_for_pong(struct secsh_link *l)
{
	if (l->ping_ns == 0 || ssh_channel_cancel_forward(l->ssh, "", 0) == SSH_AGAIN)
		return;
	session_note_rtt(&l->session, (ev_now_ns(l->session.ev) - l->ping_ns) / 1000 + 1);
	l->ping_ns = 0;
	l->ping_deadline_ms = 0;
	l->session.asked_ms = 0;
}

static void link_on_alive(void *arg)
{
	struct secsh_link *l = arg;
	uint64_t now = ev_now_ms(l->session.ev), silent = now - l->session.heard_ms,
		 next = SECSH_PING_MS;

	if (l->part.waits || l->paused) { /* it may have spoken */
		ev_timer_set(l->session.ev, &l->alive, FIRST_PING_MS);
		return;
	}
	if (silent >= SECSH_DEAD_MS || (l->ping_deadline_ms != 0 && now >= l->ping_deadline_ms) ||
	    (l->rekey_ms != 0 && now - l->rekey_ms >= SECSH_REKEY_MS)) {
		secsh_link_fail(l, ERR_DEAD, (struct str){NULL, 0});
		return;
	}
	if (silent >= SECSH_PING_MS || l->session.rtt_us == 0)
		link_send_ping(l);
	if (l->n_opening > 0) /* a refusal may have been overlooked */
		l->probes_left = l->opening_left = l->n_opening;
	if (l->n_opening > 0 || l->excess_ms != 0)
		secsh_link_soon(l);
	if (l->ping_deadline_ms != 0)
		next = MIN(next, l->ping_deadline_ms - now);
	ev_timer_set(l->session.ev, &l->alive, MIN(next, SECSH_DEAD_MS - silent));
}

void secsh_link_up(struct secsh_link *l)
{
	l->up = true;
	l->session.heard_ms = ev_now_ms(l->session.ev);
	ev_timer_set(l->session.ev, &l->alive, FIRST_PING_MS);
}

void secsh_link_ping(struct session *s, uint32_t deadline_ms)
{
	struct secsh_link *l = secsh_link_of(s);
	uint64_t deadline = ev_now_ms(s->ev) + deadline_ms;

	if (l->dead || !l->up)
		return;
	link_send_ping(l);
	if (deadline_ms == 0 || (l->ping_deadline_ms != 0 && l->ping_deadline_ms <= deadline))
		return;
	l->ping_deadline_ms = deadline;
	if (deadline < l->alive.at_ms)
		ev_timer_set(s->ev, &l->alive, deadline_ms);
}

/* ---- the pump ---- */

bool secsh_link_is_blocked(const struct secsh_link *l)
{
	return (ssh_get_status(l->ssh) & SSH_WRITE_PENDING) != 0;
}

static void link_want(struct secsh_link *l)
{
	int wants = l->paused || l->part.waits ? 0 : EV_READ;

	if (l->io == NULL || l->dead)
		return;
	if (secsh_link_is_blocked(l))
		wants |= EV_WRITE;
	if (wants != l->wants)
		ev_io_want(l->io, wants);
	l->wants = wants;
}

void secsh_link_soon(struct secsh_link *l)
{
	if (!l->dead)
		ev_task_run(l->session.ev, &l->soon);
}

void secsh_link_touch(struct secsh_link *l)
{
	if (l->in_pump || l->dead)
		return;
	if (l->socket.in_bytes != l->seen_bytes || link_is_over(l))
		secsh_link_soon(l);
	link_want(l);
}

/* Read and hand out messages. Returns true if none is left in libssh's queue. */
static bool link_read(struct secsh_link *l)
{
	uint64_t packets = l->raw.in_packets;
	int pieces = l->up ? SECSH_PIECES : 1; /* a stranger's packets may cost much */

	for (int i = 0; i < pieces && l->raw.in_packets - packets < SECSH_PACKETS;) {
		uint64_t bytes = l->socket.in_bytes;
		ssh_message m;

		l->in_get = true;
		m = ssh_message_get(l->ssh);
		l->in_get = false;
		if (l->dead) {
			ssh_message_free(m);
			return false;
		}
		if (m != NULL) {
			l->owner->message(l->arg, m);
			if (l->dead || l->paused)
				return false;
		} else if (l->socket.in_bytes - bytes < PIECE || link_is_over(l)) {
			return !link_is_over(l);
		}
		i += l->socket.in_bytes != bytes;
	}
	secsh_link_soon(l);
	return false;
}

/* Something has come: it lives. And what has come must not be a flood. */
static void link_note_read(struct secsh_link *l)
{
	if (l->socket.in_bytes != l->seen_bytes) {
		l->session.heard_ms = ev_now_ms(l->session.ev);
		l->seen_bytes = l->socket.in_bytes;
		l->stalled = l->exchanging;
		l->opening_left = l->n_opening;
		l->writers_left = l->n_writers;
		link_look_for_pong(l);
	}
	if (!secsh_link_is_blocked(l)) {
		l->n_answered = 0;
		l->writers_left = l->n_writers;
	} else {
		l->n_answered += l->raw.in_packets - l->seen_packets;
	}
	l->seen_packets = l->raw.in_packets;
	if (l->n_answered > SECSH_UNREAD_ANSWERS)
		secsh_link_fail(l, ERR_LIMIT, STR("answers are not read"));
}

static void link_check_over(struct secsh_link *l)
{
	struct str reason;
	int why;

	if (l->dead || l->by_hand || !link_is_over(l))
		return;
	why = link_verdict(l, &reason);
	secsh_link_fail(l, why, reason);
}

/* All that ran has finished, and the peer knows: it may go. */
static void link_check_drained(struct secsh_link *l)
{
	if (!l->dead && l->session.is_draining && l->session.n_streams == 0 &&
	    list_empty(&l->closing) && list_empty(&l->leaving) && !secsh_link_is_blocked(l))
		secsh_link_fail(l, ERR_DRAIN, STR("this server is going away"));
}

/* ---- its part of the time ---- */

/* libssh tells how far an exchange of keys is: 0.6 when the peer has asked for one, 1 at its end.
 */
static void link_on_status(void *arg, float status)
{
	struct secsh_link *l = arg;
	bool exchanging = status > 0.55f && status < 0.95f;

	if (exchanging && !l->exchanging) {
		l->n_exchanges++;
		l->stalled = true; /* it takes no data until the end */
		l->rekey_ms = MAX(ev_now_ms(l->session.ev), 1);
	} else if (!exchanging) {
		l->rekey_ms = 0;
	}
	l->exchanging = exchanging;
}

/* While it waited it was not heard, which was our doing. */
static void link_forgive(struct secsh_link *l)
{
	uint64_t ms = secsh_part_waited(&l->part);

	if (ms == 0)
		return;
	l->session.heard_ms = ev_now_ms(l->session.ev);
	if (l->rekey_ms != 0)
		l->rekey_ms += ms;
	if (l->ping_deadline_ms != 0)
		l->ping_deadline_ms += ms;
}

/*
 * The pump has run.
 *   begin_ns     when it began.
 *   n_exchanges  that had begun by then.
 *   was_costly   by then, it was a stranger, or exchanged keys.
 */
static void link_account(struct secsh_link *l, uint64_t begin_ns, uint64_t n_exchanges,
			 bool was_costly)
{
	uint64_t ns = (n_exchanges - l->seen_exchanges) * SECSH_EXCHANGE_NS;
	bool exchanges = l->exchanging || l->n_exchanges != l->seen_exchanges;

	if (l->part.share == NULL || (!was_costly && !exchanges))
		return;
	l->seen_exchanges = l->n_exchanges;
	ns += ev_now_ns(l->session.ev) - begin_ns;
	secsh_part_spend(&l->part, ns, l->up);
}

static void link_pump(struct secsh_link *l)
{
	bool costly = !l->up || l->exchanging;
	uint64_t n_exchanges = l->n_exchanges, begin_ns;

	if (l->dead || l->in_pump)
		return;
	l->in_pump = true;
	ev_task_cancel(&l->soon);
	begin_ns = ev_now_ns(l->session.ev);
	link_forgive(l);
	if (!secsh_part_may_read(&l->part, costly) || l->paused)
		(void)ssh_blocking_flush(l->ssh, 0);
	else if (!l->by_hand && link_read(l))
		secsh_wire_sweep(l);
	if (!l->dead)
		link_note_read(l);
	link_check_over(l);
	if (!l->dead)
		secsh_wire_turn(l);
	if (!l->dead)
		l->owner->turn(l->arg);
	link_check_over(l);
	link_check_drained(l);
	link_account(l, begin_ns, n_exchanges, costly);
	l->in_pump = false;
	if (l->closing_soon) {
		link_end(l, ERR_CLOSED, true);
		return;
	}
	if (!l->dead && !l->part.waits && !l->paused &&
	    (l->socket.in_bytes != l->seen_bytes || !list_empty(&l->gone)))
		secsh_link_soon(l); /* the calls of this turn have read, too */
	link_want(l);
}

static void link_on_soon(void *arg)
{
	link_pump(arg);
}

static void link_on_ready(void *arg, int events)
{
	struct secsh_link *l = arg;

	link_pump(l);
	if ((events & EV_ERROR) && !l->dead)
		secsh_link_fail(l, ERR_RESET, (struct str){NULL, 0});
}

void secsh_link_by_hand(struct secsh_link *l, bool by_hand)
{
	l->by_hand = by_hand;
	secsh_link_soon(l);
}

void secsh_link_pause(struct secsh_link *l, bool paused)
{
	l->paused = paused;
	secsh_link_soon(l);
}

void secsh_link_refuse(struct secsh_link *l, ssh_message m)
{
	/* nothing may be said about a channel after our CLOSE */
	if (ssh_message_type(m) != SSH_REQUEST_CHANNEL ||
	    ssh_channel_is_open(ssh_message_channel_request_channel(m)))
		(void)ssh_message_reply_default(m);
	ssh_message_free(m);
}

void secsh_link_undo(struct secsh_link *l)
{
	secsh_part_leave(&l->part);
	ev_task_cancel(&l->soon);
	ev_task_cancel(&l->uncork);
	ev_io_free(l->io);
	if (l->fd >= 0)
		close(l->fd);
	ssh_free(l->ssh);
	free(l);
}

/* ---- for session_ops ---- */

void secsh_link_drain(struct session *s)
{
	s->is_draining = true;
	secsh_link_soon(secsh_link_of(s));
}

int secsh_link_tell(struct session *s, struct str line)
{
	return ERR_UNSUPPORTED;
}

/* ---- birth ---- */

void secsh_link_start(struct secsh_link *l, struct ev *ev, ssh_session ssh,
		      const struct secsh_link_owner *owner, void *arg)
{
	secsh_guard_start();
	l->session.ev = ev;
	l->session.heard_ms = l->session.rtt_epoch_ms = ev_now_ms(ev);
	l->owner = owner;
	l->arg = arg;
	l->ssh = ssh;
	l->fd = -1;
	list_init(&l->wires);
	list_init(&l->opening);
	list_init(&l->writers);
	list_init(&l->closing);
	list_init(&l->leaving);
	list_init(&l->gone);
	list_init(&l->gathering);
	l->soon = (struct ev_task){.fn = link_on_soon, .arg = l};
	l->uncork = (struct ev_task){.fn = link_on_uncork, .arg = l};
	l->teardown = (struct ev_task){.fn = link_on_teardown, .arg = l};
	l->alive = (struct ev_timer){.fn = link_on_alive, .arg = l};
	ssh_set_blocking(ssh, 0);
	ssh_set_counters(ssh, &l->socket, &l->raw);
}

static void link_on_turn_to_read(void *arg)
{
	link_pump(arg);
}

static void link_on_less(void *arg)
{
	secsh_link_soon(arg);
}

static const struct secsh_part_owner link_part_owner = {link_on_turn_to_read, link_on_less};

void secsh_link_join(struct secsh_link *l, struct secsh_share *share)
{
	secsh_part_join(&l->part, share, &link_part_owner, l);
	l->callbacks = (struct ssh_callbacks_struct){.userdata = l,
						     .connect_status_function = link_on_status};
	ssh_callbacks_init(&l->callbacks);
	(void)ssh_set_callbacks(l->ssh, &l->callbacks);
}

int secsh_link_watch(struct secsh_link *l, int fd)
{
	int e;

	CHECK(l->fd < 0);
	if ((l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return err_from_errno(errno);
	if ((e = ev_io_new(l->session.ev, l->fd, link_on_ready, l, &l->io)) != 0)
		return e;
	secsh_link_soon(l);
	return 0;
}
