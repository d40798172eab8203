/*
 * Which visitors a tunnel lets in: addresses, passwords, bearer tokens, and a service that is
 * asked. Only hashes are kept of what is secret.
 */
#ifndef KAREZ_CORE_RIGHTS_H
#define KAREZ_CORE_RIGHTS_H

#include "core/digest.h"
#include "proto/cidr.h"

/* Of one tunnel, at most. */
#define RIGHTS_USERS_MAX   16
#define RIGHTS_BEARERS_MAX 8
#define RIGHTS_BLOCKS_MAX  32

/* Bytes with their NUL: a visitor's user name, a password's hash as text, a URL. */
#define RIGHTS_USER_TEXT 64
#define RIGHTS_HASH_TEXT 128
#define RIGHTS_URL_TEXT	 512

struct rights_user {
	char name[RIGHTS_USER_TEXT]; /* without ':' */
	char hash[RIGHTS_HASH_TEXT]; /* "$scrypt$ln=14,r=8,p=1$<salt>$<key>", base64 */
};

/* All zero: everybody. A value. */
struct rights {
	struct rights_user users[RIGHTS_USERS_MAX]; /* by basic authentication */
	size_t n_users;
	char bearers[RIGHTS_BEARERS_MAX][DIGEST_HEX_TEXT]; /* fingerprints under the store's key */
	size_t n_bearers;
	struct cidr allow[RIGHTS_BLOCKS_MAX]; /* empty: all that are not denied */
	size_t n_allow;
	struct cidr deny[RIGHTS_BLOCKS_MAX]; /* stronger than allow */
	size_t n_deny;
	char auth_url[RIGHTS_URL_TEXT]; /* "": nobody is asked */
};

bool rights_is_empty(const struct rights *r);

/* Is this address let in? ip as in struct visit_end; one that is not known is let in only when no
 * list is there. */
bool rights_allow_address(const struct rights *r, const char *ip);

#endif
