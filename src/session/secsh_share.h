/*
 * What all SSH sessions of a node have in common: time for what costs much, and memory.
 *
 * An exchange of keys, or a login, costs a node a millisecond, and whoever asks for it next to
 * nothing. So those who have not logged in, together with those who exchange keys, get half of the
 * time of the loop: who comes when it is used up stands in a queue. One that has logged in gets a
 * fifth for its exchanges, by itself. All others are not slowed: carrying bytes is never counted.
 * Whoever waits is not read, and that is all; its visitors' bytes still go out.
 */
#ifndef KAREZ_SESSION_SECSH_SHARE_H
#define KAREZ_SESSION_SECSH_SHARE_H

#include "ev/ev.h"

/* One of so many parts of the time is for all of them together; for one session's exchanges. */
#define SECSH_SHARE_PART 2
#define SECSH_OWN_PART	 5
/* What may be used at once after a while of rest: some twenty exchanges; an ordinary client carries
 * 1 GiB between two. */
#define SECSH_BURST_NS (20 * 1000000)
/* More is never put down to one pump: our process did not run meanwhile. So no rest is longer than
 * half a second. */
#define SECSH_SPEND_MAX_NS (100 * 1000000)
/* What all sessions may hold unread: as much as four that each hold all they may. Above it each has
 * an equal part, but no less than the window that a channel has at first. */
#define SECSH_HELD_ALL	 ((size_t)512 * 1024 * 1024)
#define SECSH_HELD_LEAST ((size_t)64 * 1024)
/* Those that hold more than their part are called so often, even if nothing comes from them. */
#define SECSH_CALL_MS 100

struct secsh_share;

/* Returns 0 or ERR_NOMEM. */
int secsh_share_new(struct ev *ev, struct secsh_share **out) MUST_CHECK;

/* All its sessions have ended. NULL is allowed. */
void secsh_share_free(struct secsh_share *share);

/* ---- for session/secsh*: one session's part in it ---- */

struct secsh_part_owner {
	/* Its turn has come, from a timer: go on now. */
	void (*pump)(void *arg);
	/* Its part of the memory has become less: call secsh_part_hold() again at the end of the
	 * turn. */
	void (*soon)(void *arg);
};

/* Embedded in its owner, all zero when there is no share: then nothing here has an effect. */
struct secsh_part {
	struct secsh_share *share; /* borrowed: outlives its sessions */
	const struct secsh_part_owner *owner;
	void *arg;
	struct list among; /* in share->parts */
	struct list queue; /* in share->queue */
	struct ev_timer rest;
	int64_t credit_ns; /* of its own; less than 0: it rests */
	uint64_t filled_ns;
	uint64_t since_ms; /* when it began to wait */
	uint64_t waited_ms;
	size_t held;
	bool waits; /* nothing is to be read */
	bool is_next;
};

void secsh_part_join(struct secsh_part *p, struct secsh_share *share,
		     const struct secsh_part_owner *owner, void *arg);

/* Harmless the second time. */
void secsh_part_leave(struct secsh_part *p);

/*
 * May it read now?
 *   costly  it has not logged in, or exchanges keys.
 * When not, p->waits is set until pump() is called.
 */
bool secsh_part_may_read(struct secsh_part *p, bool costly) MUST_CHECK;

/*
 * It has taken so much of the loop's time.
 *   own  by exchanging keys, though it has logged in: it may have to rest, see p->waits.
 */
void secsh_part_spend(struct secsh_part *p, uint64_t ns, bool own);

/* For how long it has waited since this was asked last, in ms: we did not listen, so that is no
 * silence of the peer's. */
uint64_t secsh_part_waited(struct secsh_part *p);

/* It holds so many bytes unread now. Returns how many it may; SIZE_MAX: no matter. */
size_t secsh_part_hold(struct secsh_part *p, size_t held);

#endif
