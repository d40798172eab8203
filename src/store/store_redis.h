/*
 * Records in Redis 6 or later, or what speaks like it, so that several nodes share them.
 *
 * Names ("where" of store_open; what stands in [] may be left out, %XX works in USER and PASS):
 *   redis://[USER[:PASS]@]HOST[:PORT][,HOST[:PORT]...][/DB][?wait=N]
 *          the first of these that is a master is used, whenever a connection is made; port 6379
 *   redis+sentinel://[USER[:PASS]@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DB][?wait=N]
 *          Sentinels, asked where MASTER is, whenever a connection is made; port 26379. USER and
 *          PASS are for the master. Without wait=N this is wait=1.
 *   redis+unix://[USER[:PASS]@]/PATH[?db=N&wait=N]
 *          a socket in the file system
 * Without PASS the environment's KAREZ_REDIS_PASSWORD counts, for Sentinels
 * KAREZ_REDIS_SENTINEL_PASSWORD. No password is ever shown. There is no TLS: rediss:// is refused.
 *
 * wait=N: a write is answered with 0 once N replicas have it (WAIT), else with ERR_IO. With wait=0
 * Redis alone decides what is kept: its replicas follow later, so a failover may take back the last
 * writes that were answered, and only "appendfsync always" makes a write outlive a power cut.
 *
 * When another Redis takes over, or the same one is started anew and has lost something, this
 * process writes again what was answered with 0 in its last 30 s there and is missing, each batch
 * wholly or not at all, with the versions that it had; where somebody has written since, that
 * counts. Then store_on_rewind() tells. What a process wrote that has died as well is not made
 * again by anybody.
 *
 * Beyond store.h: what is asked while Redis is away waits for it, 2 s at most, then it is answered
 * with ERR_TIMEOUT; when Redis has been away for 2 s, at once. A write that was sent when the
 * connection broke is answered with ERR_IO, since nobody knows. MISCONF (Redis cannot save) and OOM
 * are ERR_FULL: nothing was changed; NOREPLICAS and BUSY are ERR_TIMEOUT.
 */
#ifndef KAREZ_STORE_STORE_REDIS_H
#define KAREZ_STORE_STORE_REDIS_H

#include "store/store_internal.h"

/* How long a call may wait while Redis is away, and a connection may be without progress. */
#define STORE_REDIS_PATIENCE_MS 2000

/*
 * Open as store_open() does. The process must ignore SIGPIPE, since hiredis does not. Tries for
 * STORE_REDIS_PATIENCE_MS to reach Redis; when it is away, that is a warning in the log and the
 * store opens all the same: it works when Redis is back. Returns 0, ERR_INVAL (not such a name, no
 * such database), ERR_DENIED (Redis refuses the password), ERR_UNSUPPORTED (rediss://, or a newer
 * karez wrote the records), ERR_NOMEM, ERR_NOFILE.
 */
int store_redis_open(struct ev *ev, struct log *log, const char *where, struct store **out,
		     struct store_why *why) MUST_CHECK;

#endif
