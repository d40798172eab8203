/*
 * Transactions over the store, written as straight code that may be run several times.
 *
 * A transaction is a function that reads records, decides, and says what to write. A record that is
 * not here yet makes a read give ERR_AGAIN; the function returns that at once and is run anew, from
 * its start, when the record has come. When it returns 0, all it has said is written in one batch,
 * and only if none of the records that it writes has changed since it read them; otherwise it is
 * run again on fresh ones. So it must change nothing but its own result, and that in the same way
 * each time. Random names and secrets are made before it starts.
 */
#ifndef KAREZ_CORE_TXN_H
#define KAREZ_CORE_TXN_H

#include "core/core_internal.h"

struct txn;

/* Records that one transaction may read, pages it may list, and lines it may write. */
#define TXN_READS_MAX  64
#define TXN_PAGES_MAX  4
#define TXN_WRITES_MAX 600

/* The same of a large one, which changes a whole list: MANAGE_LIST_MAX tunnels that come, and as
 * many that go, with all that hangs on them. Where others get ERR_LIMIT it gets ERR_TOOBIG. */
#define TXN_LARGE_READS_MAX  16384
#define TXN_LARGE_PAGES_MAX  32
#define TXN_LARGE_WRITES_MAX STORE_BATCH_MAX

/* Kinds of transactions are counted apart, so that none starves the others. */
struct txn_opt {
	struct core *core;
	enum core_call_kind kind;
	bool large; /* its bounds are the wide ones; whoever starts such counts them */
	/* The function. Returns 0 (write), ERR_AGAIN as a read gave it, or why it is not to be. */
	int (*run)(struct txn *t, void *arg);
	/*
	 * The end, called exactly once from the loop, never before txn_start() returns, not after
	 * txn_cancel(): 0, what run returned, or the store's error (core_store_err() applied).
	 * The transaction is freed when it returns.
	 */
	void (*done)(void *arg, int e);
	void *arg;
};

/* Returns 0 or, without a callback, ERR_LIMIT (too many of the kind), ERR_NOMEM. */
int txn_start(const struct txn_opt *opt, struct txn **out) MUST_CHECK;

/* Never call back. What it has asked to write may still be written. NULL is allowed. */
void txn_cancel(struct txn *t);

struct core *txn_core(const struct txn *t);

/*
 * Read a record.
 *   *out  set on success; borrowed until the transaction ends or run returns ERR_AGAIN but for a
 * pause. Returns 0, ERR_AGAIN (return it), ERR_NOTFOUND, ERR_LIMIT, ERR_NOMEM, or the store's
 * error.
 */
int txn_get(struct txn *t, struct str kind, struct str key,
	    const struct store_record **out) MUST_CHECK;

/*
 * Say that a record will be read, so that many come before the function is run again: ask for all
 * of them, then return ERR_AGAIN if one gave it.
 * Returns 0 (it is here, or known not to be there), ERR_AGAIN, ERR_LIMIT, ERR_NOMEM.
 */
int txn_want(struct txn *t, struct str kind, struct str key) MUST_CHECK;

/*
 * Leave the loop to others for a turn, in the middle of a long run: it is called again then, with
 * all that it has read and written so far in place, and txn_goes_on() says so. Whoever was first in
 * line stays so. When records have changed meanwhile, the write finds that out.
 * Returns ERR_AGAIN (return it), or 0: records are waited for anyhow, so it begins anew soon.
 */
int txn_pause(struct txn *t) MUST_CHECK;

/* Is this run the rest of one that has paused? */
bool txn_goes_on(const struct txn *t);

/* Is a page of a list on its way? Then nothing else may be asked for in this run. */
bool txn_waits(const struct txn *t);

/*
 * Read a record as it will be when what this run has written so far is written. What is not written
 * yet is read as by txn_get(), so a later write of it is guarded.
 *   *out  a value; its bytes are borrowed until run returns. Its version is 0 when it is to be
 *         written.
 * Returns as txn_get().
 */
int txn_see(struct txn *t, struct str kind, struct str key, struct store_record *out) MUST_CHECK;

/* Has this run dropped that record, and not written it since? */
bool txn_drops(const struct txn *t, struct str kind, struct str key);

/*
 * Stand in line: transactions of this node that name the same account go on one after the other
 * from here. For those who change its counts: in a crowd each would only spoil the others' tries.
 * Who names another account in a later try leaves the line of the one before; a large one stays in
 * the first.
 * Returns 0 when it is our turn, until the transaction ends, or ERR_AGAIN (return it).
 */
int txn_line(struct txn *t, const char *account) MUST_CHECK;

/* A page of records, see store_list(). Pages are not guarded against change. */
struct txn_page {
	const struct store_record *recs;
	size_t n;
	bool more;
};
int txn_list(struct txn *t, const struct store_page *page, struct txn_page *out) MUST_CHECK;

/*
 * A record of a page counts as read from now on: a write of it is guarded by that version.
 * Returns 0, ERR_LIMIT, ERR_NOMEM.
 */
int txn_know(struct txn *t, const struct store_record *rec) MUST_CHECK;

/*
 * Write a record: in place of the one that was read; one that was not read, or was not there, must
 * not be there. Of a record that is written or dropped twice in one run the later one counts; when
 * it was never read, what the first one expected stays expected.
 *   value  copied.
 * Return 0, ERR_LIMIT, ERR_TOOBIG (the value, or all of them together), ERR_NOMEM.
 */
int txn_put(struct txn *t, struct str kind, struct str key, struct str value) MUST_CHECK;

/* The same, gone at a moment of the wall clock (ms; 0: never). */
int txn_put_until(struct txn *t, const struct store_record *rec) MUST_CHECK;

/* Drop a record: the version that was read; one that was not read, whatever is there. */
int txn_drop(struct txn *t, struct str kind, struct str key) MUST_CHECK;

/* Nothing of what this run has written so far is to be written. */
void txn_discard(struct txn *t);

/*
 * The version of a record that this transaction has written, for done(). 0: it was not written.
 */
uint64_t txn_version(const struct txn *t, struct str kind, struct str key);

/*
 * The store's key for fingerprints; made, and written with this transaction, when there is none.
 *   *out  [DIGEST_LEN] borrowed: the core's.
 * Returns as txn_get(), never ERR_NOTFOUND.
 */
int txn_secret(struct txn *t, const uint8_t **out) MUST_CHECK;

#endif
