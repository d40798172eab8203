/* How records become JSON and back: what record.c and record_tunnel.c share. Private to core/. */
#ifndef KAREZ_CORE_RECORD_INTERNAL_H
#define KAREZ_CORE_RECORD_INTERNAL_H

#include "core/record.h"
#include "proto/json.h"

/* A record that cannot be understood is the store's fault, whatever the parser calls it. */
int record_err(int e);

/*
 * Members of a record. One that is not there leaves *out alone.
 * Return 0, ERR_INVAL or ERR_TOOBIG.
 */
int record_text(const struct json *j, const char *key, char *out, size_t cap) MUST_CHECK;
int record_number(const struct json *j, const char *key, uint64_t *out) MUST_CHECK;
int record_time(const struct json *j, const char *key, int64_t *out) MUST_CHECK;
int record_flag(const struct json *j, const char *key, bool *out) MUST_CHECK;

/* The same, but it must be there and not empty: ERR_NOTFOUND. */
int record_must_text(const struct json *j, const char *key, char *out, size_t cap) MUST_CHECK;

/* Set a time, or drop the member when it is 0. */
int record_set_time(struct json *j, const char *key, int64_t ms) MUST_CHECK;

/* Set a text, or drop the member when it is empty. */
int record_set_text(struct json *j, const char *key, const char *text) MUST_CHECK;

/*
 * A list of ranges, "2000-2010" or "443", at most ACCESS_PORTS_MAX.
 *   *n  0 before.
 * Reading returns as record_text(); writing none drops the member.
 */
int record_ports(const struct json *j, const char *key, struct access_ports *out,
		 size_t *n) MUST_CHECK;
int record_set_ports(struct json *j, const char *key, const struct access_ports *ports,
		     size_t n) MUST_CHECK;

/* What is there now, to be changed; old empty: a new object. Returns 0, ERR_IO or ERR_NOMEM. */
int record_open(struct str old, struct json **out) MUST_CHECK;

#endif
