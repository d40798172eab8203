/*
 * What a service manager hears of us, when one has started us and wants to know: that we are ready,
 * how it goes in a sentence, that we are alive, that we end. Source: sd_notify(3).
 */
#ifndef KAREZ_APP_NOTIFY_H
#define KAREZ_APP_NOTIFY_H

#include "ev/ev.h"

/* Bytes of a sentence, NUL included; a longer one is cut. */
#define NOTIFY_STATUS 512

/* What the manager has put into the environment; texts may be NULL. Borrowed. */
struct notify_env {
	const char *socket;	   /* NOTIFY_SOCKET */
	const char *watchdog_usec; /* WATCHDOG_USEC: so often we must say that we are alive */
	const char *watchdog_pid;  /* WATCHDOG_PID: whom that is asked of; NULL: of us */
};

/* Embedded in its owner. All zero: nobody wants to know, and every call is harmless. */
struct notify {
	struct ev *ev;	    /* borrowed: outlives it */
	const char *socket; /* borrowed: the environment's; NULL: nobody wants to know */
	uint64_t alive_ms;  /* between two signs of life; 0: none are wanted */
	struct ev_timer alive;
	bool reloading;
	bool ready;		    /* that was told */
	char status[NOTIFY_STATUS]; /* as it was told last */
};

/*
 * Begin. Signs of life come from the loop from now on: as long as it turns.
 *   n  stays where it is until notify_end().
 */
void notify_begin(struct notify *n, struct ev *ev, const struct notify_env *env);

/* The same, with the environment of this process. */
void notify_begin_here(struct notify *n, struct ev *ev);

/* Nothing is told any more. */
void notify_end(struct notify *n);

/* We do what we are for. */
void notify_ready(struct notify *n);

/* How it goes: one line; control characters are replaced. The same as last time is not told again.
 */
void notify_status(struct notify *n, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The configuration is being read again, and has been read. Before notify_ready(), and the second
 * without the first, they say nothing. */
void notify_reloading(struct notify *n);
void notify_reloaded(struct notify *n);

/* We end, within so many milliseconds: the manager shall have patience. */
void notify_stopping(struct notify *n, uint64_t within_ms);

#endif
