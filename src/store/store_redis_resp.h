/* What Redis is asked and what it answers, as bytes and hiredis' replies; no connection. */
#ifndef KAREZ_STORE_STORE_REDIS_RESP_H
#define KAREZ_STORE_STORE_REDIS_RESP_H

#include "base/buf.h"
#include "store/store_internal.h"

struct redisReply;

enum { STORE_REDIS_SHA = 40, STORE_REDIS_RUN_ID = 40 };

/* The most that one command may take: the largest batch, and what stands around its bytes. */
#define STORE_REDIS_COMMAND_MAX (STORE_BATCH_BYTES_MAX + STORE_BATCH_MAX * 256)

/* What commands need to know of the Redis that gets them. */
struct store_redis_peer {
	char write_sha[STORE_REDIS_SHA + 1]; /* of store_redis_script_write there */
	char list_sha[STORE_REDIS_SHA + 1];
	char changes_sha[STORE_REDIS_SHA + 1];
	char run_id[STORE_REDIS_RUN_ID + 1]; /* "-" when it does not tell */
};

/*
 * Append a command of some words. Returns 0 or ERR_NOMEM, ERR_TOOBIG.
 *   words  [n], borrowed for the call.
 * Source: the Redis serialization protocol, "Sending commands to a Redis server".
 */
int store_redis_resp_words(struct buf *out, const struct str *words, size_t n) MUST_CHECK;

/* Append the command that runs a request; now_ms: wall clock. Errors as above. */
int store_redis_resp_request(struct buf *out, const struct store_req *req,
			     const struct store_redis_peer *peer, int64_t now_ms) MUST_CHECK;

/*
 * Append the command that does a batch again if it was lost.
 *   writes  [n]; each with the version that it was given, of a drop the one that went away.
 */
int store_redis_resp_redo(struct buf *out, const struct store_write *writes, size_t n,
			  const char *run_id) MUST_CHECK;

/* What to do about a reply. */
enum store_redis_fault {
	STORE_REDIS_FINE,   /* it decides the request: store_redis_resp_answer() */
	STORE_REDIS_SCRIPT, /* nothing was done: that Redis has not got the script */
	STORE_REDIS_MASTER, /* nothing was done: that Redis is no master, or not ready */
};

enum store_redis_fault store_redis_resp_fault(const struct redisReply *reply);

/*
 * Fill req's answer from a reply that is STORE_REDIS_FINE: the records are copied. A reply that
 * does not fit the request is ERR_IO.
 *   now_ms  wall clock: a record that is over by then is not found.
 */
void store_redis_resp_answer(struct store_req *req, const struct redisReply *reply, int64_t now_ms);

/* Is this an error, and its code this word ("NOAUTH")? Also for an error out of a script. */
bool store_redis_resp_is_error(const struct redisReply *reply, const char *code);

#endif
