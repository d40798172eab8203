/* One tunnel's body as a change of its record: for a tunnel of its own, and for an entry of a whole
 * list. Private to api/. */
#ifndef KAREZ_API_API_WISH_H
#define KAREZ_API_API_WISH_H

#include "api/api_body.h"
#include "core/manage.h"

struct api_call;

/* What a body says. Texts and lists are borrowed from it. */
struct api_wish {
	unsigned set; /* MANAGE_T_*, of to */
	struct record_tunnel to;
	const struct json *basic; /* users, whose passwords are hashed by api_hash(); NULL: none */
	/* It tells how many tokens of visitors there are, and not which: those that are there stay.
	 * The caller sees to that, with MANAGE_T_BEARERS. */
	bool keeps_bearers;
};

/*
 * Read a body, or an entry, that was checked. Its name is the caller's to read.
 *   *out   all zero before.
 *   fault  filled on failure.
 * Returns 0, ERR_INVAL, ERR_AGAIN (the server is starting).
 */
int api_wish_read(const struct core *core, const struct json *body, struct api_wish *out,
		  struct api_fault *fault) MUST_CHECK;

/* The fault of a body that keeps tokens where there are none. Returns ERR_INVAL. */
int api_wish_no_bearers(struct api_fault *fault);

/* Passwords in it that are to be hashed. */
size_t api_wish_passwords(const struct api_wish *w);

/* Passwords that are being hashed, one after the other. */
struct api_hash {
	struct api_call *call;
	struct api_wish *wishes; /* borrowed: [n] */
	size_t n;
	void (*done)(struct api_call *call);
	size_t at, user; /* the one that is next, or at work */
};

/*
 * Hash all passwords of [n] wishes, then call done; or refuse the call.
 *   h  all but at and user set; lives as long as the call's state.
 */
void api_hash_go(struct api_hash *h);

#endif
