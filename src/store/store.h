/*
 * Records that outlive us: small named values with a version each, behind one interface.
 *
 * A record has a kind ("tunnel", "account", ...), a key and a value. Whoever changes one says which
 * version it has seen, so two that change the same record never overwrite each other unknowingly.
 * Kinds of store: memory, SQLite. All pass test/suite/store_suite.c.
 *
 * Answers come by callback on the loop, never before the call returns, exactly once for every call
 * that returned 0, in the order of asking. A read shows at least every write asked for before it.
 * Once a write is answered with 0 it is kept: a SQLite store keeps it through kill -9 and power
 * loss.
 */
#ifndef KAREZ_STORE_STORE_H
#define KAREZ_STORE_STORE_H

#include "ev/ev.h"

struct store;

/* The most that one record may hold, in bytes. */
#define STORE_KIND_MAX	16
#define STORE_KEY_MAX	400
#define STORE_VALUE_MAX (64 * 1024)

/* The most that one call may carry or get, so that no call holds up the others for long. */
#define STORE_BATCH_MAX	      16384
#define STORE_BATCH_BYTES_MAX (4 * 1024 * 1024) /* keys and values of one batch */
#define STORE_PAGE_MAX	      1000		/* records of one answer to store_list */
#define STORE_PAGE_BYTES_MAX  (1024 * 1024)	/* keys and values of one such answer, about */

/* The most that may be asked and not answered yet: a slow disk must not become our memory. */
#define STORE_PENDING_MAX	1024
#define STORE_PENDING_BYTES_MAX (16 * 1024 * 1024)

/* The most that a memory store keeps, in bytes; one more write is answered with ERR_FULL. */
#define STORE_MEMORY_MAX (64 * 1024 * 1024)

/* "Whatever is there", in place of an expected version. */
#define STORE_ANY UINT64_MAX

/* A value; the bytes are borrowed from whoever passes it. */
struct store_record {
	struct str kind;    /* [1..STORE_KIND_MAX] a-z */
	struct str key;	    /* [1..STORE_KEY_MAX] any bytes; sorted as unsigned bytes */
	struct str value;   /* [0..STORE_VALUE_MAX] any bytes */
	uint64_t version;   /* never given twice by a store, also not after a drop; 0: not there */
	int64_t expires_ms; /* wall clock, ms since 1970 UTC, from when it is gone; 0: never */
};

enum store_op { STORE_PUT, STORE_DROP };

/* One line of a batch. */
struct store_write {
	enum store_op op;
	/* Its version is ignored; for STORE_DROP only kind and key count. */
	struct store_record rec;
	/* The version that must be there now; 0: must not exist; or STORE_ANY. */
	uint64_t expected;
};

struct store_answer {
	/*
	 * 0, or
	 * ERR_NOTFOUND (get), ERR_CONFLICT (a write: another version is there), ERR_FULL (the
	 * disk, or a memory store's cap), ERR_DENIED (the file is read-only), ERR_TIMEOUT (another
	 * process held the file for too long), ERR_NOMEM: a write has changed nothing.
	 * ERR_CLOSED (the store was closed first), ERR_IO (also: the file is damaged): a write may
	 * or may not be kept; look again before trying again.
	 */
	int e;

	/*
	 * [n] records, borrowed until the callback returns. get: the one found. list: the page.
	 * A write: one for each line, in order, without value; version is the new one, for
	 * STORE_DROP the one that went away (0: there was none).
	 */
	const struct store_record *recs;
	size_t n;

	bool more;     /* list: records follow after the last of these */
	size_t failed; /* a write with e != 0: index of the line that failed; 0 when it was not one
			* line's fault (see e) */
};

typedef void (*store_fn)(void *arg, const struct store_answer *answer);

/* Why a store could not be opened, for a person: what was tried, on what, the reason, a way out. */
struct store_why {
	char text[1024];
};

/*
 * Open a store. Blocks on the disk: for start-up.
 *   log    borrowed: must outlive the store. One line when writes begin to fail, one when they work
 *          again.
 *   where  "memory:" or "sqlite:PATH", NUL-terminated. PATH's directory is made when missing (one
 *          level, mode 0700), its file too (mode 0600). Several processes may open one file, but
 *          none may fork() with it open.
 *   *why   filled when this fails.
 * Returns 0, ERR_INVAL (no such kind of store), ERR_DENIED, ERR_NOTFOUND (no directory),
 * ERR_UNSUPPORTED (not a karez database, or one of a newer karez), ERR_FULL, ERR_IO, ERR_TIMEOUT,
 * ERR_NOMEM.
 */
int store_open(struct ev *ev, struct log *log, const char *where, struct store **out,
	       struct store_why *why) MUST_CHECK;

/*
 * Close: what is not answered yet is answered with ERR_CLOSED at the end of this turn, new calls
 * return ERR_CLOSED until then, afterwards the store is gone. NULL is allowed. Before ev_free().
 */
void store_close(struct store *s);

/*
 * Tell when records may be older than what was answered before: another Redis has taken over, or it
 * was started anew. What this process itself wrote shortly before has been written again by then,
 * as far as nobody else has written there since (see store_redis.h). One listener; NULL: nobody.
 *   fn  on the loop; may do anything to the store.
 */
void store_on_rewind(struct store *s, void (*fn)(void *arg), void *arg);

/* How many calls are not answered yet: whoever shuts down gracefully waits for 0. */
size_t store_pending(const struct store *s);

/*
 * Never call back anything that was asked with this arg: for owners that go away first. What they
 * asked to write is still written.
 */
void store_forget(struct store *s, const void *arg);

/*
 * The calls. Arguments are copied. All return 0 (the callback will come), or, without a callback:
 * ERR_INVAL (a kind or key that may not be), ERR_TOOBIG (key, value, batch), ERR_LIMIT (too much
 * is pending), ERR_CLOSED, ERR_NOMEM.
 */
int store_get(struct store *s, struct str kind, struct str key, store_fn fn, void *arg) MUST_CHECK;

/*
 * What this process knows of a record without asking: for reading often what changes seldom.
 *   *out  set on true; version 0: it is not there. Borrowed until the next call of any store_*().
 * Returns false when it must be asked for. A write that was asked for here is never missed; one of
 * another process may be, for up to STORE_PEEK_MS or until store_outdated().
 */
#define STORE_PEEK_MS 1000
bool store_peek(struct store *s, struct str kind, struct str key, struct store_record *out);

/* Another process has written or dropped this record: what store_peek() knows of it is old, and so
 * may be what is being read just now. Harmless when there can be no such record. */
void store_outdated(struct store *s, struct str kind, struct str key);

/* Create or replace one record; rec->version is ignored. */
int store_put(struct store *s, const struct store_record *rec, uint64_t expected, store_fn fn,
	      void *arg) MUST_CHECK;

/* Which record store_drop is about. */
struct store_id {
	struct str kind, key;
	uint64_t expected;
};

/* Remove one record. That there is none is no error when STORE_ANY or 0 is expected. */
int store_drop(struct store *s, struct store_id id, store_fn fn, void *arg) MUST_CHECK;

/* Where store_list begins and how much it may bring. */
struct store_page {
	struct str kind;
	struct str after; /* the last key of the page before; empty: from the start */
	size_t limit;	  /* [1..STORE_PAGE_MAX] */
};

/*
 * The next records of a kind, in the order of their keys. A page may be shorter than its limit
 * though more follow (STORE_PAGE_BYTES_MAX): answer->more tells. Records written between two pages
 * are seen or not, according to their keys.
 */
int store_list(struct store *s, struct store_page page, store_fn fn, void *arg) MUST_CHECK;

/*
 * Which records have been written or dropped lately, by whomever: each such line of a batch has a
 * number, above all before it, and the latest STORE_LOG_MAX of them are remembered. As long as the
 * one that was read last is still there, nothing that came later is missing.
 *   after  the number of the last one that is known; 0: the latest of all, and no other.
 *   fn     *recs, at most STORE_PAGE_MAX: kind and key, and in `version` the number; in their
 *          order, one record perhaps several times; answer->more tells. ERR_NOTFOUND: after 0, and
 *          none is remembered. ERR_CONFLICT: the one that was known is forgotten, and perhaps
 *          others that came after it. What goes because its time is over is not told.
 * Returns also ERR_UNSUPPORTED: this kind of store does not remember.
 */
#define STORE_LOG_MAX 16384
int store_changes(struct store *s, uint64_t after, store_fn fn, void *arg) MUST_CHECK;

/*
 * All of these writes or none, in their order, each seeing what those before it did.
 *   writes  [n] lines, 1 <= n <= STORE_BATCH_MAX.
 */
int store_batch(struct store *s, const struct store_write *writes, size_t n, store_fn fn,
		void *arg) MUST_CHECK;

#endif
