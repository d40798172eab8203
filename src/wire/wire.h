/*
 * A wire: bytes both ways with half-close, whatever carries them.
 *
 * TCP, TLS over TCP, a stream of a session, memory: all have this one shape, so relaying, pacing
 * and the tests of an interface are written once.
 *
 * Rules that every kind keeps
 * - A wire has one owner at a time. The owner is told `ready` for what it wants (level-triggered:
 * again and again while it holds) and `broken` once, after which only wire_close() makes sense.
 * - Callbacks never come from inside a call that the owner makes; they come from the loop, or for a
 * stream from its session's reading.
 * - After wire_close() there is no callback, and the wire must not be touched.
 */
#ifndef KAREZ_WIRE_WIRE_H
#define KAREZ_WIRE_WIRE_H

#include <sys/uio.h>

#include "base/buf.h"
#include "base/err.h"
#include "ev/ev.h"

struct wire;

enum { WIRE_READ = 1, WIRE_WRITE = 2 };

/* "As much as you like" for wire_room(): the kind cannot know before it tries. */
#define WIRE_ROOM_UNKNOWN SIZE_MAX

struct wire_owner {
	/* events: those of the wanted WIRE_READ and WIRE_WRITE that hold now. */
	void (*ready)(void *arg, struct wire *w, int events);
	/* The wire is dead for the reason `why`, an ERR_*. */
	void (*broken)(void *arg, struct wire *w, int why);
};

struct wire_ops {
	int (*read)(struct wire *w, size_t max, struct str *out);
	void (*unread)(struct wire *w, size_t n);
	int (*write)(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken);
	size_t (*room)(const struct wire *w);
	void (*shut)(struct wire *w);
	void (*want)(struct wire *w, int events);
	void (*close)(struct wire *w, int why);
	void (*carrier)(struct wire *w);		  /* may be NULL: nothing to do */
	int (*restore)(struct wire *w, struct str bytes); /* may be NULL: cannot */
	void (*reason)(struct wire *w, int why);	  /* may be NULL: cannot say it */
};

/* The head of every kind of wire. */
struct wire {
	const struct wire_ops *ops;
	struct ev *ev;
	const struct wire_owner *owner; /* borrowed: static tables */
	void *arg;
	enum ev_scratch scratch; /* where this wire's reads land */
};

/* Whoever is told from now on; NULL for nobody (then nothing may be wanted). */
static inline void wire_own(struct wire *w, const struct wire_owner *owner, void *arg)
{
	w->owner = owner;
	w->arg = arg;
}

/*
 * Read what is there.
 *   max   the most bytes wanted, > 0.
 *   *out  borrowed bytes, out->len > 0 on success; valid until the next call on this wire, the next
 * read of any wire with the same scratch area, or the return to the loop, whichever is first. They
 * are in memory that may be written to (see wire_ws.c), but what is given back must be unchanged.
 * Returns 0, ERR_AGAIN (ask with wire_want), ERR_EOF (the peer has finished sending), or why it is
 * broken.
 */
static inline int wire_read(struct wire *w, size_t max, struct str *out)
{
	return w->ops->read(w, max, out);
}

/*
 * The last n bytes of the last successful read were not used: they come again. Before any other
 * call on this wire; what stands before them stays valid.
 */
static inline void wire_unread(struct wire *w, size_t n)
{
	w->ops->unread(w, n);
}

/*
 * These bytes were read, over any number of reads, and come again before all others. What the last
 * read lent is over.
 *   bytes  copied; not what this wire lends itself.
 * Returns 0, ERR_NOMEM, or ERR_UNSUPPORTED: this kind cannot.
 */
MUST_CHECK
static inline int wire_restore(struct wire *w, struct str bytes)
{
	return w->ops->restore == NULL ? ERR_UNSUPPORTED : w->ops->restore(w, bytes);
}

/*
 * Write as much as can be taken now.
 *   *taken  bytes taken, from the front; the rest is the caller's to offer again after WIRE_WRITE.
 * Returns 0 (also when nothing could be taken), or why the wire is broken.
 */
static inline int wire_write(struct wire *w, const struct iovec *iov, int n_iov, size_t *taken)
{
	return w->ops->write(w, iov, n_iov, taken);
}

/* How many bytes a write would take now: 0 when blocked, WIRE_ROOM_UNKNOWN when only trying tells.
 */
static inline size_t wire_room(const struct wire *w)
{
	return w->ops->room(w);
}

/* We send no more; what was taken is still delivered. Once. */
static inline void wire_shut(struct wire *w)
{
	w->ops->shut(w);
}

/* Replace what the owner wants to be told. */
static inline void wire_want(struct wire *w, int events)
{
	w->ops->want(w, events);
}

/*
 * The end.
 *   why  0: what was taken is still delivered if wire_shut() came before, and the peer sees an
 * ordinary end; an ERR_*: at once, the peer sees a reset, which on a stream carries the reason.
 * NULL is allowed.
 */
static inline void wire_close(struct wire *w, int why)
{
	if (w != NULL)
		w->ops->close(w, why);
}

/*
 * An ordinary end, by wire_shut() or wire_close(), that comes later is for this reason. A kind that
 * can say it does, and breaks with it on the other side once all that was sent has been read; to
 * the others it is an ordinary end. why  an ERR_*; 0 and ERR_EOF: none.
 */
static inline void wire_reason(struct wire *w, int why)
{
	if (w->ops->reason != NULL)
		w->ops->reason(w, why);
}

/*
 * It carries a session from now on: its reads get a scratch area of their own, and the kernel is to
 * keep its queue short and to notice a dead peer.
 */
static inline void wire_carrier(struct wire *w)
{
	w->scratch = EV_SCRATCH_SESSION;
	if (w->ops->carrier != NULL)
		w->ops->carrier(w);
}

/* Total bytes of a gather list. */
size_t wire_iov_len(const struct iovec *iov, int n_iov);

/*
 * Drop `skip` bytes from the front of a gather list, in place.
 * Returns the index of the first entry that still has bytes (n_iov when none).
 */
int wire_iov_skip(struct iovec *iov, int n_iov, size_t skip);

/*
 * Write text that must go whole: a short answer on a fresh connection.
 * Returns 0, ERR_AGAIN when only a part was taken, or why the wire is broken.
 */
int wire_write_all(struct wire *w, struct str text) MUST_CHECK;

/*
 * Write what waits in a buffer, as much as is taken now; the rest stays in it.
 * Returns 0 (also when nothing was taken, or nothing waits), or why the wire is broken.
 */
int wire_write_buf(struct wire *w, struct buf *b) MUST_CHECK;

#endif
