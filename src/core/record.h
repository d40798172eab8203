/*
 * The core's records as text: JSON objects. Members that this version does not know are kept when a
 * record is changed, so that nodes of two versions can share a store.
 */
#ifndef KAREZ_CORE_RECORD_H
#define KAREZ_CORE_RECORD_H

#include "base/buf.h"
#include "core/core.h"

/* Kinds of records in the store. */
#define RECORD_ACCOUNT STR("account") /* key: the account's number */
#define RECORD_TOKEN   STR("token")   /* key: the token's fingerprint */
#define RECORD_TUNNEL  STR("tunnel")  /* key: its name */
#define RECORD_CLAIM   STR("claim")   /* key: a label right before the domain */
#define RECORD_SECRET  STR("secret")  /* key: what it is for; value: bytes */

/* Bytes of a target's hint without its NUL, and of a whole record. */
enum { RECORD_TARGET_MAX = 255, RECORD_MAX = 8 * 1024 };

/* Values; all four begin with whose it is. Reading sets what the record does not say to its usual.
 */
struct record_account {
	bool enabled;	    /* usual: true */
	uint64_t n_tunnels; /* records of tunnels it has made; usual: 0 */
	int64_t created_ms;
};

struct record_token {
	char account[CORE_ACCOUNT_TEXT];
	int64_t created_ms;
};

struct record_tunnel {
	char account[CORE_ACCOUNT_TEXT];
	char target[RECORD_TARGET_MAX + 1]; /* a hint for people; may be empty */
	bool http;			    /* of the only kind that we know */
	bool enabled;			    /* usual: true */
	int64_t created_ms;
};

/*
 * Read a record.
 *   value  as the store gave it.
 * Return 0, ERR_IO (damaged) or ERR_NOMEM.
 */
int record_read_account(struct str value, struct record_account *out) MUST_CHECK;
int record_read_token(struct str value, struct record_token *out) MUST_CHECK;
int record_read_tunnel(struct str value, struct record_tunnel *out) MUST_CHECK;
int record_read_claim(struct str value, char account[CORE_ACCOUNT_TEXT]) MUST_CHECK;

/*
 * Write a new record.
 *   out  empty before; buf_free() it.
 * Return 0, ERR_INVAL (a text that is not UTF-8) or ERR_NOMEM.
 */
int record_write_account(const struct record_account *r, struct buf *out) MUST_CHECK;
int record_write_token(const struct record_token *r, struct buf *out) MUST_CHECK;
int record_write_tunnel(const struct record_tunnel *r, struct buf *out) MUST_CHECK;
int record_write_claim(const char *account, struct buf *out) MUST_CHECK;

/*
 * Write a record anew with one member changed.
 *   value  as the store gave it.
 *   out    empty before; buf_free() it.
 * Return 0, ERR_IO (damaged), ERR_INVAL (the text is not UTF-8) or ERR_NOMEM.
 */
int record_change_tunnels(struct str value, uint64_t n_tunnels, struct buf *out) MUST_CHECK;
int record_change_target(struct str value, const char *target, struct buf *out) MUST_CHECK;

#endif
