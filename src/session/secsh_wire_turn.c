/*
 * What all channels of a session need after a pump, and at its end.
 *
 * libssh tells of bytes, of an end and of a close, but not that a channel has been accepted or
 * refused, nor that the peer's window has opened: those are looked for here, a bounded number a
 * turn.
 */
#include <string.h>

#include "base/err.h"
#include "session/secsh_wire.h"
#include "session/secsh_wire_inside.h"

/* More bytes than this in the window, and libssh will not open it again by itself. */
#define WIDE (64 * 1024)

/*
 * Send CLOSE. Until the peer has seen it, bytes may still come, and libssh would answer the first
 * ones by opening the window: of a channel that is closed, for which some peers end the connection.
 * So it is opened before, wide enough for good.
 */
static void secsh_wire_leave(struct secsh_wire *s)
{
	struct secsh_link *l = s->link;

	secsh_wire_move(s, SECSH_LEAVING);
	secsh_link_cork(l);
	if (!s->rx_any && !s->rx_eof && !s->rx_closed)
		(void)ssh_channel_read_timeout(s->ch, ev_scratch(s->wire.ev, EV_SCRATCH_OUT), WIDE,
					       1, 0);
	if (ssh_channel_close(s->ch) == SSH_AGAIN)
		(void)ssh_channel_close(s->ch); /* the first has sent only EOF */
	if (s->rx_closed && s->state == SECSH_LEAVING && !l->dead)
		secsh_wire_move(s, SECSH_GONE);
}

/* Has the peer accepted, or refused? libssh knows a refusal only when it is asked. */
static void secsh_wire_look(struct secsh_wire *s, bool probe)
{
	if (!ssh_channel_is_open(s->ch)) {
		if (ev_now_ms(s->wire.ev) - s->opened_ms >= SECSH_OPEN_MS)
			secsh_wire_break(s, ERR_TIMEOUT); /* the answer may still come */
		if (!probe || ssh_channel_open_reverse_forward(s->ch, "", 0, "", 0) != SSH_ERROR ||
		    s->state != SECSH_OPENING || s->link->dead)
			return;
		secsh_wire_move(s, SECSH_GONE);
		secsh_wire_break(s, ERR_TARGET);
		return;
	}
	if (secsh_wire_is_answered(s) && s->state == SECSH_OPEN && s->shut && !s->shut_sent)
		secsh_wire_send_eof(s);
	secsh_wire_update(s);
}

static void secsh_wire_note_refusal(struct secsh_link *l)
{
	const char *text = ssh_get_error(l->ssh);

	if (ssh_get_error_code(l->ssh) != SSH_REQUEST_DENIED || l->n_opening == 0 ||
	    strncmp(text, "Channel opening failure", 23) != 0 ||
	    strncmp(text, l->denied, sizeof l->denied - 1) == 0)
		return;
	(void)str_printf(l->denied, sizeof l->denied, "%s", text);
	l->opening_left = l->probes_left = l->n_opening;
}

static void secsh_wire_look_at_opening(struct secsh_link *l)
{
	int looks = SECSH_LOOKS, probes = SECSH_PROBES;

	while (!l->dead && l->opening_left > 0 && looks-- > 0 && probes > 0) {
		struct list *first = l->opening.next;
		bool probe = l->probes_left > 0;

		if (first == &l->opening) {
			l->opening_left = l->probes_left = 0;
			break;
		}
		list_del(first);
		list_push(&l->opening, first);
		l->opening_left--;
		if (probe) {
			l->probes_left--;
			probes--;
		}
		secsh_wire_look(CONTAINER_OF(first, struct secsh_wire, in), probe);
	}
	if (l->opening_left > 0)
		secsh_link_soon(l);
}

/* Whose turn it is to write goes to the end of the line, so all get theirs. */
static void secsh_wire_look_at_writers(struct secsh_link *l)
{
	int looks = SECSH_LOOKS;

	while (!l->dead && l->writers_left > 0 && !l->stalled && !secsh_link_is_blocked(l)) {
		struct list *first = l->writers.next;

		if (first == &l->writers) {
			l->writers_left = 0;
			return;
		}
		if (looks-- == 0) {
			secsh_link_soon(l);
			return;
		}
		list_del(first);
		list_push(&l->writers, first);
		l->writers_left--;
		secsh_wire_tell(CONTAINER_OF(first, struct secsh_wire, writer));
	}
}

/* Those who hold at least so much lose, until the rest is not too much. Returns what is left. */
static size_t secsh_wire_shed_from(struct secsh_link *l, size_t least, size_t most)
{
	size_t left = l->held - l->held_going;

	LIST_FOR_EACH (it, &l->wires) {
		struct secsh_wire *s = CONTAINER_OF(it, struct secsh_wire, among);
		size_t held = s->held + s->rx.len;

		if (s->why != 0)
			left -= held;
	}
	LIST_FOR_EACH (it, &l->wires) {
		struct secsh_wire *s = CONTAINER_OF(it, struct secsh_wire, among);
		size_t held = s->held + s->rx.len;

		if (left <= most)
			break;
		if (s->why == 0 && held >= least) {
			left -= held;
			secsh_wire_break(s, ERR_LIMIT);
		}
	}
	return left;
}

/* Too much is unread: those who do not read it lose. */
static void secsh_wire_shed(struct secsh_link *l)
{
	size_t part = secsh_part_hold(&l->part, l->held), most = MIN(part, SECSH_HELD_TOTAL);
	uint64_t now = ev_now_ms(l->session.ev);

	if (l->held - l->held_going > most &&
	    secsh_wire_shed_from(l, SECSH_HELD_MAX / 4, most) > most && part < SECSH_HELD_TOTAL)
		(void)secsh_wire_shed_from(l, 1, most);
	if (part >= SECSH_HELD_TOTAL || l->held <= part)
		l->excess_ms = 0;
	else if (l->excess_ms == 0)
		l->excess_ms = MAX(now, 1);
	else if (now - l->excess_ms >= SECSH_EXCESS_MS)
		secsh_link_fail(l, ERR_LIMIT,
				STR("more bytes are not taken than there is room for"));
}

void secsh_wire_turn(struct secsh_link *l)
{
	struct list *first;

	secsh_wire_note_refusal(l);
	secsh_wire_look_at_opening(l);
	secsh_wire_look_at_writers(l);
	secsh_wire_shed(l);
	while (!l->dead && (first = l->closing.next) != &l->closing)
		secsh_wire_leave(CONTAINER_OF(first, struct secsh_wire, in));
}

void secsh_wire_sweep(struct secsh_link *l)
{
	struct list *first;

	while ((first = list_pop(&l->gathering)) != NULL) {
		struct secsh_wire *s = CONTAINER_OF(first, struct secsh_wire, gather);

		s->n_large = 0;
		secsh_wire_update(s);
	}
	while ((first = list_pop(&l->gone)) != NULL) {
		struct secsh_wire *s = CONTAINER_OF(first, struct secsh_wire, in);

		l->held -= s->held;
		if (s->closed)
			l->held_going -= s->held;
		s->held = 0;
		ssh_channel_free(s->ch);
		s->ch = NULL;
		s->state = SECSH_FREED;
		if (s->closed)
			secsh_wire_free(s);
	}
}

/* The session is gone, the owner is not. */
static void secsh_wire_cut(struct secsh_wire *s, int why)
{
	bool finished = s->rx_closed && s->why == 0;

	secsh_wire_unwrite(s);
	list_del(&s->among);
	list_del(&s->gather);
	list_del(&s->in);
	ssh_message_free(s->ask);
	s->ask = NULL;
	s->ch = NULL;
	s->held = 0;
	s->state = SECSH_FREED;
	s->link = NULL;
	if (!finished)
		secsh_wire_break(s, why);
	secsh_wire_update(s);
}

void secsh_wire_orphan(struct secsh_link *l, int why)
{
	struct list *const going[] = {&l->opening, &l->closing, &l->leaving, &l->gone};
	struct list *link;

	while ((link = l->wires.next) != &l->wires)
		secsh_wire_cut(CONTAINER_OF(link, struct secsh_wire, among), why);
	for (size_t i = 0; i < ARRAY_LEN(going); i++)
		while ((link = list_pop(going[i])) != NULL)
			secsh_wire_free(CONTAINER_OF(link, struct secsh_wire, in));
}
