/* Where a Redis store is: its names taken apart, and made fit to be shown. */
#ifndef KAREZ_STORE_STORE_REDIS_URL_H
#define KAREZ_STORE_STORE_REDIS_URL_H

#include "proto/url.h"

enum {
	STORE_REDIS_WHERE_MAX = 1000, /* bytes of a name */
	STORE_REDIS_HOSTS_MAX = 8,
	STORE_REDIS_WORD_MAX = 255, /* bytes of a user, a password, a master's name */
	STORE_REDIS_DB_MAX = 65535,
	STORE_REDIS_WAIT_MAX = 16,
	STORE_REDIS_WHY = 200, /* bytes of a reason with its NUL */
};

enum store_redis_kind { STORE_REDIS_TCP, STORE_REDIS_UNIX, STORE_REDIS_SENTINEL };

struct store_redis_host {
	char name[HOSTNAME_MAX + 1]; /* a name or an address, no brackets */
	uint16_t port;
};

/* A value. It holds secrets: wipe it with explicit_bzero() when it is done. */
struct store_redis_url {
	enum store_redis_kind kind;
	struct store_redis_host hosts[STORE_REDIS_HOSTS_MAX]; /* none for STORE_REDIS_UNIX */
	size_t n_hosts;
	char path[URL_UNIX_MAX + 1];			  /* STORE_REDIS_UNIX */
	char master[STORE_REDIS_WORD_MAX + 1];		  /* STORE_REDIS_SENTINEL */
	char user[STORE_REDIS_WORD_MAX + 1];		  /* empty: none */
	char password[STORE_REDIS_WORD_MAX + 1];	  /* empty: none */
	char sentinel_password[STORE_REDIS_WORD_MAX + 1]; /* empty: none; not part of the name */
	uint32_t db;
	uint32_t wait; /* replicas that must have a write; 0: does not matter */
};

/* Does this begin like the name of a Redis store, sound or not? */
bool store_redis_url_is(struct str where);

/*
 * Take a name apart (its forms stand in store_redis.h).
 *   why  set on failure to a clause for a person; it quotes nothing that could be a secret.
 * Returns 0, ERR_INVAL, ERR_UNSUPPORTED (rediss://).
 */
int store_redis_url_parse(struct str where, struct store_redis_url *out,
			  char why[STORE_REDIS_WHY]) MUST_CHECK;

/*
 * Take what the name leaves out from KAREZ_REDIS_PASSWORD and KAREZ_REDIS_SENTINEL_PASSWORD.
 * Returns 0 or ERR_TOOBIG.
 */
int store_redis_url_environment(struct store_redis_url *url) MUST_CHECK;

/*
 * The name of any store, fit to be shown: between "://" and the last "@" only a user is left, and
 * a query is left out. Holds for names that cannot be parsed too. Cut at cap; NUL-terminated.
 */
void store_redis_url_mask(struct str where, char *out, size_t cap);

#endif
